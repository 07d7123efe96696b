
# The check over HTTP/2, with curl as the client.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayJWT;
use NgxGatewayNginx;

use Test::More;

http2_need_curl();

my $nginx = NgxGatewayNginx->new(
    http2 => 1,
    http => <<'_EOC_',
    gateway_jwt_issuer corp {
        issuer   https://id.example.com;
        audience api;
        key_file %DIR%/keys;
    }

    server {
        listen unix:%DIR%/backend.sock;

        location / {
            return 200 "backend $http_x_user\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        location / {
            gateway_jwt "api" issuer=corp;
            gateway_jwt_require_scope read;
            add_header X-Status $gateway_jwt_status always;
            proxy_set_header X-User $gateway_jwt_claim_sub;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /any {
            satisfy any;
            allow 127.0.0.1;
            deny all;
            gateway_jwt "api" issuer=corp;
            add_header X-Status $gateway_jwt_status always;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }
_EOC_
);

$nginx->write_file('keys', jwks(qw( rsa p256 )));
$nginx->start();

my $url = 'http://127.0.0.1:' . $nginx->port();

sub bearer {
    my ($token) = @_;

    return ('-H', "Authorization: Bearer $token");
}

my $good = jwt({ scope => 'read' });

my @cases = (
    [ 'a good token', [ bearer($good) ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'the same again', [ bearer($good) ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'ES256', [ bearer(jwt({ scope => 'read' }, key => 'p256')) ], 200,
      'ok', undef, qr/^backend alice$/m ],
    [ 'no token', [], 401, 'missing', 'Bearer realm="api"',
      qr/"detail":"no bearer token in the request"/ ],
    [ 'expired', [ bearer(jwt({ exp => at(-60) })) ], 401, 'expired',
      'Bearer realm="api", error="invalid_token", '
      . 'error_description="the token has expired"',
      qr/"detail":"the token has expired"/ ],
    [ 'no scope', [ bearer(jwt()) ], 403, 'insufficient_scope',
      'Bearer realm="api", error="insufficient_scope", scope="read"',
      qr/"status":403/ ],
    [ 'malformed', [ '-H', 'Authorization: Bearer a b' ], 400, 'malformed',
      'Bearer realm="api", error="invalid_request", '
      . 'error_description="the Authorization header is malformed"',
      qr/"status":400/ ],
    [ 'POST', [ bearer($good), '-d', 'hello' ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'HEAD, no token', [ '-I' ], 401, 'missing', 'Bearer realm="api"',
      qr/\r\n\r\n\z/ ],
);

for my $case (@cases) {
    my ($name, $arguments, $code, $status, $challenge, $body) = @$case;
    my $text = http2_curl(@$arguments, "$url/t");

    like($text, qr{^HTTP/2 $code\b}, "$name: code");
    like($text, qr/^x-status: \Q$status\E\r$/m, "$name: status");
    like($text, $body, "$name: body");

    if (defined $challenge) {
        like($text, qr/^www-authenticate: \Q$challenge\E\r$/m,
             "$name: challenge");
        like($text, qr{^content-type: application/problem\+json\r$}m,
             "$name: type");
        unlike($text, qr/backend/, "$name: not the backend");

    } else {
        unlike($text, qr/^www-authenticate:/m, "$name: no challenge");
    }
}

my $text = http2_curl("$url/any");

like($text, qr{^HTTP/2 200\b}, 'satisfy any: code');
like($text, qr/^x-status: missing\r$/m, 'satisfy any: status');
unlike($text, qr/^www-authenticate:/m, 'satisfy any: no challenge');

$text = http2_curl(bearer($good), bearer($good), "$url/t");

like($text, qr{^HTTP/2 400\b}, 'two Authorization headers: code');
unlike($text, qr/backend/, 'two Authorization headers: not the backend');

# many streams of one connection at once: tokens of different users, none, and
# refused bodies, which curl does not get right

my (@requests, @want);

for my $n (1 .. 20) {
    my $token = jwt({ sub => "user$n", scope => 'read' });

    push @requests, [ GET => '/', authorization => "Bearer $token" ],
                    [ GET => '/' ],
                    [ GET => '/', authorization => 'Bearer x' ],
                    [ POST => '/', '' => 'x' x 30 ],
                    [ POST => '/', authorization => "Bearer $token",
                      '' => 'x' x 30 ];
    push @want, "200 backend user$n\n", qr/^401 .*no bearer token/,
                qr/^401 .*token is malformed/, qr/^401 .*no bearer token/,
                "200 backend user$n\n";
}

my @got = http2_all($nginx->port(), @requests);

for my $i (0 .. $#want) {
    my $name = "stream $i: $requests[$i][0]";

    ref $want[$i] ? like($got[$i], $want[$i], $name)
                  : is($got[$i], $want[$i], $name);
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|error)\]/,
       'nothing wrong in the log');

done_testing();
