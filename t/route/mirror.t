
# Mirrored requests are on the side of the requests that they mirror.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use Test::More;

my $nginx = NgxGatewayNginx->new(
    http => <<'_EOC_',
    gateway_routes $to {
        GET  /first/:id  a=1 b=1;
        GET  /late/:id   a=1 b=1;
        GET  /free/:id   a=1 b=1;
    }

    log_format told '$request_id $uri [$gateway_route] [$gateway_path_id] [$to]';

    server {
        listen unix:%DIR%/service.sock;
        access_log logs/service.log;

        location / {
            return 200 "$request_uri\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        gateway_route $to;
        access_log logs/told.log told;
        log_subrequest on;

        location /first/ {
            mirror /mirror;
            proxy_pass http://unix:%DIR%/service.sock:/$to/;
        }

        # the mirror is the first to ask for the value

        location /late/ {
            mirror /mirror;
            empty_gif;
        }

        # the mirror is the first to ask for the route

        location /free/ {
            gateway_route off;
            mirror /mirror;
            empty_gif;
        }

        location = /mirror {
            internal;
            proxy_pass http://unix:%DIR%/service.sock:/mirror/$to$request_uri;
        }
_EOC_
);

$nginx->start();

my $seen = 0;

for my $where (qw( first late free )) {
    my (%told, %sides, @lines);

    for my $n (1 .. 40) {
        my $answer = $nginx->get("/$where/$n");

        is($answer ? $answer->{code} : 'none', 200, "$where: request $n");
    }

    # a log is written when its request has ended

    $nginx->wait(sub {
        @lines = split /\n/, $nginx->read_file('logs/told.log');
        return @lines == $seen + 80;
    });

    for my $line (splice @lines, $seen) {
        my ($id, $uri, $what) = split / /, $line, 3;

        push @{ $told{$id} }, $what;
        $sides{ $what =~ s/.* //r }++;
    }

    is(scalar(grep { @$_ == 2 && $_->[0] eq $_->[1] } values %told), 40,
       "$where: the mirror's route is the request's");
    is(join(' ', sort keys %sides), '[a] [b]', "$where: both sides");
    is(scalar(grep { $_->[0] =~ m{^\[/$where/:id\] \[\d+\] } } values %told),
       40, "$where: its template and captures are, too");

    $seen += 80;
}

like($nginx->read_file('logs/service.log'), qr{ /mirror/[ab]/late/40 },
     'the mirror was sent there');
unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg|error)\]/,
       'nothing wrong in the log');

done_testing();
