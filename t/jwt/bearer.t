
# Where a token comes from and what a request for it must look like:
# RFC 6750 section 2.1, RFC 9110 section 11.4.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

run_blocks();

__DATA__

=== TEST 1: forms of the Authorization header that are good
--- tokens eval
my $t = jwt();
[
    [ 'Bearer'      => $t => 'ok' ],
    [ 'bearer'      => undef, 'ok', headers => "Authorization: bearer $t" ],
    [ 'BEARER'      => undef, 'ok', headers => "Authorization: BEARER $t" ],
    [ 'bEaReR'      => undef, 'ok', headers => "Authorization: bEaReR $t" ],
    [ 'two spaces'  => undef, 'ok', headers => "Authorization: Bearer  $t" ],
    [ 'many spaces' => undef, 'ok',
      headers => 'Authorization: Bearer' . ' ' x 64 . $t ],
    [ 'spaces that the parser of headers takes off' => undef, 'ok',
      headers => "Authorization:    Bearer $t   " ],
    [ 'name in lower case' => undef, 'ok',
      headers => "authorization: Bearer $t" ],
]



=== TEST 2: no token in the request
--- tokens eval
my $t = jwt();
[
    [ 'no header'      => undef, 'missing' ],
    [ 'empty header'   => undef, 'missing', headers => 'Authorization:' ],
    [ 'Basic'          => undef, 'missing',
      headers => 'Authorization: Basic YWxpY2U6c2VjcmV0' ],
    [ 'Basic, a token' => undef, 'missing',
      headers => "Authorization: Basic $t" ],
    [ 'a shorter scheme' => undef, 'missing',
      headers => "Authorization: Beare $t" ],
    [ 'a longer scheme' => undef, 'missing',
      headers => "Authorization: Bearerx $t" ],
    [ 'no space'       => undef, 'missing',
      headers => "Authorization: Bearer$t" ],
    [ 'the token alone' => undef, 'missing', headers => "Authorization: $t" ],
    [ 'one character'  => undef, 'missing', headers => 'Authorization: B' ],
    [ 'six characters' => undef, 'missing', headers => 'Authorization: Digest' ],
    [ 'another header' => undef, 'missing',
      headers => "Proxy-Authorization: Bearer $t" ],
    [ 'a cookie that nobody asked for' => undef, 'missing',
      headers => "Cookie: token=$t; access_token=$t" ],
    [ 'an argument that nobody asked for' => undef, 'missing',
      request => "GET /t?token=$t&access_token=$t" ],
]
--- no_error_log
[error]
[crit]
[alert]



=== TEST 3: malformed Authorization headers
--- tokens eval
my $t = jwt();
[
    [ 'Bearer alone'       => undef, 'bad_request',
      headers => 'Authorization: Bearer' ],
    [ 'Bearer and a space' => undef, 'bad_request',
      headers => 'Authorization: Bearer ' ],
    [ 'bearer alone'       => undef, 'bad_request',
      headers => 'Authorization: bearer' ],
    [ 'a tab'              => undef, 'bad_request',
      headers => "Authorization: Bearer\t$t" ],
    [ 'a space and a tab'  => undef, 'bad_request',
      headers => "Authorization: Bearer \t$t" ],
    [ 'two tokens'         => undef, 'bad_request',
      headers => "Authorization: Bearer $t $t" ],
    [ 'two tokens, a comma' => undef, 'bad_request',
      headers => "Authorization: Bearer $t,$t" ],
    [ 'a space inside'     => undef, 'bad_request',
      headers => 'Authorization: Bearer ' . substr($t, 0, 40) . ' '
                 . substr($t, 40) ],
    [ 'a tab inside'       => undef, 'bad_request',
      headers => 'Authorization: Bearer ' . substr($t, 0, 40) . "\t"
                 . substr($t, 40) ],
    [ 'quotes'             => undef, 'bad_request',
      headers => "Authorization: Bearer \"$t\"" ],
    [ 'a parameter'        => undef, 'bad_request',
      headers => "Authorization: Bearer token=\"$t\"" ],
    [ 'a percent'          => undef, 'bad_request',
      headers => "Authorization: Bearer $t%20" ],
    [ 'a byte over 127'    => undef, 'bad_request',
      headers => "Authorization: Bearer $t\xff" ],
    [ 'an equals sign inside' => undef, 'bad_request',
      headers => 'Authorization: Bearer a=b' ],
    [ 'an equals sign alone' => undef, 'bad_request',
      headers => 'Authorization: Bearer =' ],
    [ 'a control character' => undef, 'bad_request',
      headers => "Authorization: Bearer $t\x01" ],
]



=== TEST 4: two Authorization headers
nginx itself refuses them, in its own words, and logs both
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
my ($t, $other) = (jwt(), jwt({ sub => 'bob' }));
[
    "Authorization: Bearer $t\nAuthorization: Bearer $t",
    "Authorization: Bearer $t\nAuthorization: Bearer $other",
    "Authorization: Basic YWxpY2U6c2VjcmV0\nAuthorization: Bearer $t",
]
--- error_code eval
[400, 400, 400]
--- response_body_unlike eval
["backend", "backend", "backend"]
--- no_access_log
/backend
--- no_error_log
[error]
[crit]
[alert]



=== TEST 5: sizes up to gateway_jwt_max_size, which is 8k
the token and nothing around it is measured
--- server
    large_client_header_buffers 4 128k;
--- tokens eval
[
    [ '1k'             => stretch(1024) => 'ok' ],
    [ '8k'             => stretch(8192) => 'ok' ],
    [ '8k, spaces'     => undef, 'ok',
      headers => 'Authorization: Bearer' . ' ' x 100 . stretch(8192) ],
    [ '8k and a byte'  => stretch(8193) => 'malformed' ],
    [ '9k'             => stretch(9 * 1024) => 'malformed' ],
    [ '64k'            => stretch(64 * 1024) => 'malformed' ],
]



=== TEST 6: short ones
--- tokens eval
[
    map({ [ "$_ bytes" => 'a' x $_ => 'malformed' ] } 1 .. 8),
    map({ [ "\"$_\"" => $_ => 'malformed' ] }
        '.', '..', '...', '....', 'a.', '.a', 'a.b', 'a..', '.b.', '..c',
        'a.b.', 'a..c', '.b.c', 'a.b.c', 'e30.e30.e30', 'e30.e30.', '-', '_',
        '~', '+', '/'),
]



=== TEST 7: long ones that are no tokens
--- server
    large_client_header_buffers 4 128k;
    gateway_jwt_max_size 64k;
--- tokens eval
[
    [ '64k of "a"'   => 'a' x 65536 => 'malformed' ],
    [ '64k of "."'   => '.' x 65536 => 'malformed' ],
    [ '64k of "a."'  => 'a.' x 32768 => 'malformed' ],
    [ 'a long header' => 'a' x 65532 . '.a.a' => 'malformed' ],
    [ 'a long payload' => 'a.' . 'a' x 65532 . '.a' => 'malformed' ],
    [ 'a long signature' => 'a.a.' . 'a' x 65532 => 'malformed' ],
]



=== TEST 8: another gateway_jwt_max_size
--- server
    large_client_header_buffers 4 128k;
    gateway_jwt_max_size 64k;
--- tokens eval
[
    [ '64k'            => stretch(65536) => 'ok' ],
    [ '64k and a byte' => stretch(65537) => 'malformed' ],
]



=== TEST 9: gateway_jwt_max_size of a location
--- server
    gateway_jwt_max_size 4k;
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_max_size 1k;
--- tokens eval
[
    [ '1k'            => stretch(1024) => 'ok' ],
    [ '1k and a byte' => stretch(1025) => 'malformed' ],
]



=== TEST 10: gateway_jwt_max_size of the server, in a cached token
--- config
    gateway_jwt_max_size 2k;

    location /t {
        add_header X-Status $gateway_jwt_status always;
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;

        location /t/small {
            gateway_jwt_max_size 1k;
            add_header X-Status $gateway_jwt_status always;
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
        }
    }

    location /backend {
        return 200 "backend\n";
    }
--- tokens eval
my $t = stretch(1500);
[
    [ 'inherited' => $t => 'ok' ],
    [ 'its own'   => $t => 'malformed', request => 'GET /t/small' ],
    [ 'inherited, again' => $t => 'ok' ],
    [ 'its own, again' => $t => 'malformed', request => 'GET /t/small' ],
]



=== TEST 11: a cookie
--- access
    gateway_jwt "api" issuer=corp token=$cookie_session;
--- tokens eval
my $t = jwt();
[
    [ 'a token'   => undef, 'ok', headers => "Cookie: session=$t" ],
    [ 'among others' => undef, 'ok',
      headers => "Cookie: a=1; session=$t; b=2" ],
    [ 'Authorization is not looked at' => undef, 'ok',
      headers => "Authorization: Bearer x\nCookie: session=$t" ],
    [ 'nor is it malformed' => undef, 'ok',
      headers => "Authorization: Bearer\nCookie: session=$t" ],
    [ 'no scheme' => undef, 'malformed',
      headers => "Cookie: session=Bearer $t" ],
    [ 'no token'  => undef, 'malformed', headers => 'Cookie: session=x' ],
]



=== TEST 12: no cookie
--- access
    gateway_jwt "api" issuer=corp token=$cookie_session;
--- tokens eval
my $t = jwt();
[
    [ 'no cookie'      => undef, 'missing' ],
    [ 'an empty one'   => undef, 'missing', headers => 'Cookie: session=' ],
    [ 'another cookie' => undef, 'missing', headers => "Cookie: sessio=$t" ],
    [ 'Authorization'  => $t => 'missing' ],
    [ 'a malformed Authorization' => undef, 'missing',
      headers => 'Authorization: Bearer' ],
]



=== TEST 13: an argument
--- access
    gateway_jwt "api" issuer=corp token=$arg_access_token;
--- tokens eval
my $t = jwt();
[
    [ 'a token'       => undef, 'ok', request => "GET /t?access_token=$t" ],
    [ 'among others'  => undef, 'ok',
      request => "GET /t?a=1&access_token=$t&b=2" ],
    [ 'an empty one'  => undef, 'missing', request => 'GET /t?access_token=' ],
    [ 'Authorization' => $t => 'missing' ],
    [ 'escapes are not decoded' => undef, 'malformed',
      request => 'GET /t?access_token=' . ($t =~ s/\./%2E/r) ],
]
--- no_error_log
[error]
[crit]
[alert]



=== TEST 14: a header of another name, a variable of map
--- http_config
    map $http_x_token $jwt_of_map {
        default          $http_x_token;
        "~^v1 (?<v>.+)$" $v;
    }
--- access
    gateway_jwt "api" issuer=corp token=$jwt_of_map;
--- tokens eval
my $t = jwt();
[
    [ 'as it is'      => undef, 'ok', headers => "X-Token: $t" ],
    [ 'of a capture'  => undef, 'ok', headers => "X-Token: v1 $t" ],
    [ 'no token'      => undef, 'missing', headers => 'X-Token:' ],
    [ 'Authorization' => $t => 'missing' ],
]



=== TEST 15: the token of a location and that of its server
--- config
    gateway_jwt "outer" issuer=corp token=$http_x_outer;

    location /outer {
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /inner {
        gateway_jwt "inner" issuer=corp token=$http_x_inner;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /header {
        gateway_jwt "header" issuer=corp;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        gateway_jwt off;
        return 200 "backend\n";
    }
--- tokens eval
my $t = jwt();
[
    [ 'outer'  => undef, 'ok', request => 'GET /outer',
      headers => "X-Outer: $t" ],
    [ 'inner'  => undef, 'ok', request => 'GET /inner',
      headers => "X-Inner: $t" ],
    [ 'header' => $t => 'ok', request => 'GET /header' ],
    [ 'inner with the outer token'  => undef, 'missing',
      request => 'GET /inner', headers => "X-Outer: $t", realm => 'inner' ],
    [ 'outer with the inner token'  => undef, 'missing',
      request => 'GET /outer', headers => "X-Inner: $t", realm => 'outer' ],
    [ 'header with the outer token' => undef, 'missing',
      request => 'GET /header', headers => "X-Outer: $t",
      realm => 'header' ],
]



=== TEST 16: methods
--- tokens eval
my $t = jwt();
[
    [ 'POST'    => $t => 'ok', request => "POST /t\nhello" ],
    [ 'PUT'     => $t => 'ok', request => "PUT /t\nhello" ],
    [ 'DELETE'  => $t => 'ok', request => 'DELETE /t' ],
    [ 'PATCH'   => $t => 'ok', request => "PATCH /t\nhello" ],
    [ 'OPTIONS' => $t => 'ok', request => 'OPTIONS /t' ],
    [ 'HTTP/1.0' => $t => 'ok', request => 'GET /t HTTP/1.0' ],
]



=== TEST 17: methods without a token; bodies are discarded
--- tokens eval
[
    [ 'POST'    => undef, 'missing', request => "POST /t\nhello" ],
    [ 'PUT'     => undef, 'missing', request => "PUT /t\nhello" ],
    [ 'DELETE'  => undef, 'missing', request => 'DELETE /t' ],
    [ 'PATCH'   => undef, 'missing', request => "PATCH /t\nhello" ],
    [ 'OPTIONS' => undef, 'missing', request => 'OPTIONS /t' ],
    [ 'HTTP/1.0' => undef, 'missing', request => 'GET /t HTTP/1.0' ],
]



=== TEST 18: a connection stays usable after a refusal
nginx closes it after a 400
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- pipelined_requests eval
["GET /t", "POST /t\nhello", "GET /t", "GET /t", "GET /t", "POST /t\nhello"]
--- more_headers eval
my $t = jwt();
[
    "X-No: token",
    "Authorization: Bearer x",
    "Authorization: Bearer $t",
    "Authorization: Bearer " . jwt({ exp => at(-100) }),
    "Authorization: Bearer $t",
    "Authorization: Bearer",
]
--- error_code eval
[401, 401, 200, 401, 200, 400]
--- response_body_like eval
['no bearer token', 'token is malformed', '\Abackend\n\z',
 'token has expired', '\Abackend\n\z', 'header is malformed']
