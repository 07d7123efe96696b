
# Routes over HTTP/2: hosts, answers, many streams at once.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;

use Test::More;

http2_need_curl();

my $nginx = NgxGatewayNginx->new(
    http2 => 1,
    http => <<'_EOC_',
    gateway_routes $to {
        GET   /users/:id  named  host=api.example.com;
        GET   /users/:id  user;
        POST  /users      new;
        GET   /split/:id  a=1 b=1  sticky=$gateway_path_id;
        GET   /canary     canary  header=X-Canary:1;
    }

    server {
        listen unix:%DIR%/service.sock;

        location / {
            return 200 "$http_x_told\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        http2_max_concurrent_streams 200;
        gateway_route $to;

        location / {
            proxy_set_header X-Told "$to:$gateway_path_id";
            proxy_pass http://unix:%DIR%/service.sock:/;
        }
_EOC_
);

$nginx->start();

my $url = 'http://127.0.0.1:' . $nginx->port();

my $problem = qr{^content-type: application/problem\+json\r$}m;

for my $case (
    [ 'a route', [ "$url/users/7" ], qr/^HTTP\/2 200\b.*^user:7$/ms ],
    [ 'a host', [ '-H', 'Host: API.example.com', "$url/users/7" ],
      qr/^HTTP\/2 200\b.*^named:7$/ms ],
    [ 'a host with a port', [ '-H', 'Host: api.example.com:8443',
                              "$url/users/7" ],
      qr/^HTTP\/2 200\b.*^named:7$/ms ],
    [ 'a body', [ '-d', 'x', "$url/users" ], qr/^HTTP\/2 200\b.*^new:$/ms ],
    [ 'HEAD', [ '-I', "$url/users/7" ], qr/^HTTP\/2 200\b.*\r\n\r\n\z/ms ],
    [ 'no route', [ "$url/none" ], qr/^HTTP\/2 404\b/, $problem,
      qr/No route takes this request/ ],
    [ 'no method', [ '-X', 'DELETE', "$url/users/7" ], qr/^HTTP\/2 405\b/,
      $problem, qr/^allow: GET, HEAD\r$/m ],
    [ 'OPTIONS', [ '-X', 'OPTIONS', "$url/users/7" ], qr/^HTTP\/2 204\b/,
      qr/^allow: GET, HEAD\r$/m, qr/\r\n\r\n\z/ ],
    [ 'a header', [ '-H', 'X-Canary: 1', "$url/canary" ],
      qr/^HTTP\/2 200\b.*^canary:$/ms ],
    [ 'without it', [ "$url/canary" ], qr/^HTTP\/2 404\b/ ])
{
    my ($name, $arguments, @patterns) = @$case;
    my $text = http2_curl(@$arguments);

    like($text, $_, $name) for @patterns;
}

# many streams of one connection at once, and bodies that are refused, which
# curl does not get right

my (@requests, @want);

for my $n (1 .. 25) {
    push @requests, [ GET => "/users/$n" ], [ GET => "/none/$n" ],
                    [ POST => "/users/$n", '' => 'x' x 1000 ],
                    [ OPTIONS => '/users' ],
                    [ POST => '/users', '' => 'x' x 30 ],
                    [ GET => "/split/$n" ];
    push @want, qr/^200 user:$n$/, qr/^404 .*No route takes/,
                qr/^405 .*not for this method/, qr/^204 $/, qr/^200 new:$/,
                qr/^200 [ab]:$n$/;
}

my @got = http2_all($nginx->port(), @requests);

for my $i (0 .. $#want) {
    like($got[$i], $want[$i], "stream $i: @{ $requests[$i] }[0, 1]");
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg|error)\]/,
       'nothing wrong in the log');

done_testing();
