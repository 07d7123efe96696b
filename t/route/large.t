
# 10,000 routes: they are read and reloaded quickly, all of them are found, and
# none by mistake.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use IO::Socket::INET ();
use Test::More;
use Time::HiRes qw( time );

my $nginx = NgxGatewayNginx->new(
    http => <<'_EOC_',
    gateway_routes $to {
        include %DIR%/routes.conf;
    }

    gateway_routes $names {
        GET  /:id/:no  x;
    }
_EOC_
    server => <<'_EOC_',
        keepalive_requests 100000;
        large_client_header_buffers 4 32k;
        gateway_route $to;

        location / {
            add_header X-Told "$to:$gateway_path_id:$gateway_path_no:" always;
            empty_gif;
        }
_EOC_
);

# as an ordinary API has them: 1,000 collections with ten routes each

sub routes {
    my ($count) = @_;

    my $text = '';

    for my $n (1 .. $count / 10) {
        my $path = "/service-" . $n % 40 . "/v1/things-$n";

        $text .= <<"_EOC_";
GET     $path                      list-$n;
POST    $path                      new-$n;
GET     $path/:id                  get-$n;
PUT     $path/:id                  put-$n;
DELETE  $path/:id                  delete-$n;
GET     $path/search               search-$n;
GET     $path/:id/parts            parts-$n;
GET     $path/:id/parts/:no        part-$n;
GET     $path/:id([0-9]+)/history  history-$n;
GET     $path/files/**             files-$n;
_EOC_
    }

    return $text;
}

# what is asked of one collection, and what is told

sub asked {
    my ($n) = @_;

    my $path = "/service-" . $n % 40 . "/v1/things-$n";

    return (
        [ "GET $path" => "200 list-${n}:::" ],
        [ "POST $path" => "405 new-${n}:::" ],
        [ "GET $path/x" => "200 get-${n}:x::" ],
        [ "GET $path/search" => "200 search-${n}:::" ],
        [ "GET $path/a/parts" => "200 parts-${n}:a::" ],
        [ "GET $path/a/parts/b" => "200 part-${n}:a:b:" ],
        [ "GET $path/12/history" => "200 history-${n}:12::" ],
        [ "GET $path/ab/history" => '404 :::' ],
        [ "GET $path/files/a/b" => "200 files-${n}:::" ],
        [ "GET ${path}x" => '404 :::' ],
        [ "PATCH $path/x" => '405 :::' ],
    );
}

sub ask {
    my (@requests) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $nginx->port())
                 or die "connect: $!\n";
    my @told;

    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 60;

    while (my @some = splice @requests, 0, 50) {
        print $socket map { "$_ HTTP/1.1\r\nHost: localhost\r\n"
                            . "Content-Length: 0\r\n\r\n" } @some;

        my $text = '';

        until ((() = $text =~ /^X-Told: [^\n]*\n/mg) == @some) {
            sysread $socket, $text, 65536, length $text or die "closed\n";
        }

        # a GIF does not end with a newline

        while ($text =~ m{HTTP/1\.1 (\d+) .*?\r\nX-Told: ([^\r\n]*)}sg) {
            push @told, "$1 $2";
        }
    }

    alarm 0;
    close $socket;

    return @told;
}

sub test_time {
    # "nginx -t" exits without freeing what it has read

    local $ENV{ASAN_OPTIONS} = ($ENV{ASAN_OPTIONS} // '') . ',detect_leaks=0';

    my $begin = time;
    my $test = "$nginx->{binary} -t -q -p $nginx->{dir}/ -c nginx.conf";
    my $output = `$test -e logs/error.log 2>&1`;

    is("$? $output", '0 ', 'nginx -t says nothing');

    return time - $begin;
}

sub memory {
    open my $in, '<', "/proc/$nginx->{pid}/status" or die "status: $!\n";
    my ($kilobytes) = map { /^VmRSS:\s+(\d+)/ } <$in>;
    close $in;

    return $kilobytes / 1024;
}

$nginx->write_file('routes.conf', routes(10));
$nginx->start();

my $small = memory();
my $small_time = test_time();

$nginx->write_file('routes.conf', routes(10_000));
ok($nginx->reload(), '10,000 routes');

my $large_time = test_time();

# An order of magnitude; t/bench has the figures.  Sanitizers keep what is
# freed, and take long.

my $careful = $ENV{ASAN_OPTIONS} || $ENV{TEST_NGINX_USE_VALGRIND};

cmp_ok($large_time - $small_time, '<', $careful ? 10 : 1,
       'they are read in no time');

$nginx->stop();
$nginx->start();

my $large = memory();

cmp_ok($large - $small, '<', $careful ? 200 : 12, 'and take little memory');

# each fifth collection, all of its routes

my @rows = map { asked($_) } grep { $_ % 5 == 0 } 1 .. 1000;
my @told = ask(map { $_->[0] } @rows);
my @wrong = grep { $told[$_] ne $rows[$_][1] } 0 .. $#rows;

is(scalar @told, scalar @rows, 'all were answered');
is(scalar @wrong, 0, 'all were right')
    or diag(map { "$rows[$_][0]: $told[$_], not $rows[$_][1]\n" }
            splice @wrong, 0, 10);

# one line twice among them, and one that never matches

$nginx->write_file('routes.conf', routes(10_000)
                   . "GET /service-7/v1/things-7/:other again;\n");

my $log = $nginx->reload_fails() // '';

like($log, qr{duplicate\ route\ "GET\ /service-7/v1/things-7/:other"\ in
              \ \S+routes\.conf:10001,\ the\ first\ one\ is\ in
              \ \S+routes\.conf:63\b}x, 'one twice among them');

$nginx->write_file('routes.conf', routes(10_000)
                   . "* /service-7/v1/things-7/:other any;\n");

ok($nginx->reload(), 'one takes all of five others');
is(scalar(() = $nginx->error_log() =~ /\[warn\].*never matches/g), 0,
   'which are before it');

# paths that lead into many dead ends take no longer than others

$nginx->write_file('routes.conf', join '', map {
    my $n = $_;
    "GET /" . join('/', map { $n >> $_ & 1 ? 'a' : ":x$_" } 0 .. 11)
    . "/end-$n  bad-$n;\n"
} 0 .. 4095);

# after a reload an old worker might take the connection

$nginx->stop();
$nginx->start();

my $begin = time;

is(join(' ', ask(('GET ' . '/a' x 12 . '/none') x 500)),
   join(' ', ('404 :::') x 500), 'none of them');
cmp_ok(time - $begin, '<', $careful ? 30 : 3, 'which does not take long');
is(join(' ', ask('GET ' . '/a' x 12 . '/end-0')), '200 bad-0:::', 'the last');

unlike($nginx->error_log(), qr/\[(?:alert|crit)\]/,
       'nothing wrong in the log');

done_testing();
