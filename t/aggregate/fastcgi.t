#!/usr/bin/perl

# Parts from FastCGI, whose records have their headers among the body: with
# and without Content-Length, small and large, in records of all sizes.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use IO::Socket::INET ();
use POSIX ();
use Test::More;

my %bodies = (
    small => '{"a":12.50}',
    large => '[' . join(',', map { qq({"id":$_,"t":"\\u00e9 $_"}) } 1 .. 9000)
             . ']',
);

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0,
                                   Listen => 128)
    or die "listen: $!\n";

my $child = fork() // die "fork: $!\n";

if ($child == 0) {
    local $SIG{PIPE} = 'IGNORE';

    while (my $connection = $listen->accept()) {
        serve($connection);
    }

    POSIX::_exit(0);
}

my $nginx = NgxGatewayNginx->new(server => <<"_EOC_");
        location = / {
            gateway_aggregate {
                part one /_fcgi?\$args;
                part two /_fcgi?\$args;
            }
        }

        location = /_fcgi {
            fastcgi_param QUERY_STRING \$args;
            fastcgi_pass 127.0.0.1:@{[ $listen->sockport() ]};
        }
_EOC_

$nginx->start();

for my $body (sort keys %bodies) {
    for my $length (0, 1) {
        for my $size (7, 1000, 8000, 65535) {
            my $text = $bodies{$body};
            my $answer = $nginx->get("/?body=$body&length=$length&size=$size&")
                // {};

            is($answer->{code}, 200, "$body, $length, $size: 200");
            ok(($answer->{body} // '') eq qq({"one":$text,"two":$text}),
               "$body, $length, $size: byte for byte");
        }
    }
}

$nginx->stop();

unlike($nginx->error_log(), qr/\[(?:error|crit|alert|emerg)\]/,
       'nothing is wrong');

kill 'KILL', $child;
waitpid $child, 0;

done_testing();


# One request, of which only QUERY_STRING counts

sub serve {
    my ($connection) = @_;
    my $request = '';

    while ($request !~ /\x01\x05\x00\x01\x00\x00/) {
        sysread $connection, $request, 65536, length $request or return;
    }

    my %args = $request =~ /(body|length|size)=(\w+)&/g;
    my $text = $bodies{ $args{body} };
    my $answer = "Content-Type: application/json\r\n"
        . ($args{length} ? 'Content-Length: ' . length($text) . "\r\n" : '')
        . "\r\n$text";

    my $records = join('', map { record(6, $_) }
                               unpack "(a$args{size})*", $answer)
        . record(6, '') . record(3, "\0" x 8);

    while (length $records) {
        my $sent = syswrite $connection, $records or last;
        substr $records, 0, $sent, '';
    }

    return;
}


sub record {
    my ($type, $text) = @_;
    my $padding = -length($text) % 8;

    return pack('CCnnCC', 1, $type, 1, length $text, $padding, 0)
        . $text . "\0" x $padding;
}
