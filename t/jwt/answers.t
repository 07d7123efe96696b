
# What a refused client is told, and who else has a word in it: RFC 6750
# section 3, RFC 9457, RFC 9110 section 11.6.1; satisfy, error_page,
# limit_except, inheritance and HEAD.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

use IO::Uncompress::Gunzip ();

# who may come in by satisfy any

our $Htpasswd = 'alice:{PLAIN}secret' . "\n";
our $Basic = 'Authorization: Basic YWxpY2U6c2VjcmV0';
our $BadBasic = 'Authorization: Basic YWxpY2U6d3Jvbmc=';
our $User = 'auth_basic "closed"; auth_basic_user_file '
            . '$TEST_NGINX_SERVER_ROOT/html/htpasswd;';
our $Any = "satisfy any;\ngateway_jwt \"api\" issuer=corp;\n";
our $All = "satisfy all;\ngateway_jwt \"api\" issuer=corp;\n";

sub gunzipped {
    my ($body) = @_;

    my $text;

    return IO::Uncompress::Gunzip::gunzip(\$body, \$text) ? $text
                                                          : "not gzip: $body";
}

# marks the instance that is the id of the log's last line

sub logged {
    my ($body) = @_;

    my $id;

    for (1 .. 100) {
        ($id) = (join '', @{ Test::Nginx::Util::access_log_data() }) =~ /ID=(\S+)\n\z/;
        last if $id && $body =~ s/"instance":"$id"/"instance":"the last in the log"/;
    }

    return $body;
}

run_blocks();

__DATA__

=== TEST 1: no token, literally
--- access
    gateway_jwt "api" issuer=corp;
--- request
GET /t
--- error_code: 401
--- response_headers
WWW-Authenticate: Bearer realm="api"
Content-Type: application/problem+json
--- response_body_like chomp
\A\{"type":"about:blank","title":"Unauthorized","status":401,"detail":"no bearer token in the request","instance":"[0-9a-f]{32}"\}\n\z



=== TEST 2: a token that has run out, literally
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt({ exp => at(-60) })
--- error_code: 401
--- response_headers
WWW-Authenticate: Bearer realm="api", error="invalid_token", error_description="the token has expired"
Content-Type: application/problem+json
--- response_body_like chomp
\A\{"type":"about:blank","title":"Unauthorized","status":401,"detail":"the token has expired","instance":"[0-9a-f]{32}"\}\n\z



=== TEST 3: a malformed request, literally
--- request
GET /t
--- more_headers
Authorization: Bearer
--- error_code: 400
--- response_headers
WWW-Authenticate: Bearer realm="api", error="invalid_request", error_description="the Authorization header is malformed"
Content-Type: application/problem+json
--- response_body_like chomp
\A\{"type":"about:blank","title":"Bad Request","status":400,"detail":"the Authorization header is malformed","instance":"[0-9a-f]{32}"\}\n\z



=== TEST 4: a scope that is missing, literally
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope read write;
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code: 403
--- response_headers
WWW-Authenticate: Bearer realm="api", error="insufficient_scope", scope="read write"
Content-Type: application/problem+json
--- response_body_like chomp
\A\{"type":"about:blank","title":"Forbidden","status":403,"detail":"the token's scope does not suffice for this resource","instance":"[0-9a-f]{32}"\}\n\z



=== TEST 5: a claim that does not hold, literally
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq bob;
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code: 403
--- response_headers_like
WWW-Authenticate: Bearer realm="api", error="insufficient_scope".*
Content-Type: application/problem\+json
--- response_body_like chomp
\A\{"type":"about:blank","title":"Forbidden","status":403,"detail":"a claim of the token does not satisfy this resource","instance":"[0-9a-f]{32}"\}\n\z



=== TEST 6: the instance is $request_id, so that a report finds its line
--- http_config
    log_format ids 'ID=$request_id';
--- access
    gateway_jwt "api" issuer=corp;
    access_log $TEST_NGINX_SERVER_ROOT/logs/access.log ids;
--- request
GET /t
--- error_code: 401
--- response_body_filters eval
\&main::logged
--- response_body_like chomp
"instance":"the last in the log"



=== TEST 7: HEAD
the length is that of the body which GET would get
--- tokens eval
my $length = length('{"type":"about:blank","title":"Unauthorized",'
                    . '"status":401,"detail":"","instance":""}' . "\n") + 32;
[
    [ 'no token' => undef, 'missing', request => 'HEAD /t', body => '',
      response => { 'Content-Length'
          => $length + length 'no bearer token in the request' } ],
    [ 'expired' => jwt({ exp => at(-60) }) => 'expired',
      request => 'HEAD /t', body => '',
      response => { 'Content-Length'
          => $length + length 'the token has expired' } ],
    [ 'HTTP/1.0' => undef, 'missing', request => 'HEAD /t HTTP/1.0',
      body => '',
      response => { 'Content-Length'
          => $length + length 'no bearer token in the request' } ],
    [ 'a good one' => jwt() => 'ok', request => 'HEAD /t', body => '' ],
]



=== TEST 8: answers of the backend are its own
--- config
    location /t/ {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/;
    }

    location /backend/401 {
        add_header WWW-Authenticate 'Basic realm="backend"' always;
        return 401 "not you\n";
    }

    location /backend/403 {
        return 403 "not here\n";
    }

    location /backend/400 {
        return 400 "not so\n";
    }
--- request eval
["GET /t/401", "GET /t/403", "GET /t/400"]
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code eval
[401, 403, 400]
--- response_headers eval
["WWW-Authenticate: Basic realm=\"backend\"\nContent-Type: text/plain",
 "! WWW-Authenticate", "! WWW-Authenticate"]
--- response_body eval
["not you\n", "not here\n", "not so\n"]



=== TEST 9: other errors of nginx are its own
--- config
    location /deny {
        gateway_jwt "api" issuer=corp;
        deny all;
        empty_gif;
    }

    location /missing {
        gateway_jwt "api" issuer=corp;
    }
--- request eval
["GET /deny", "GET /missing"]
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code eval
[403, 404]
--- response_headers eval
["Content-Type: text/html\n! WWW-Authenticate",
 "Content-Type: text/html\n! WWW-Authenticate"]
--- response_body_like eval
["403 Forbidden", "404 Not Found"]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 10: realms
--- locations eval
[
    quotes => 'gateway_jwt "a \"b\" c\\\\d" issuer=corp;',
    single => q(gateway_jwt 'it is "api"' issuer=corp;),
    empty => 'gateway_jwt "" issuer=corp;',
    word => 'gateway_jwt api2 issuer=corp;',
    utf8 => "gateway_jwt \"\xc3\xa9t\xc3\xa9\" issuer=corp;",
    argument => 'gateway_jwt "for $arg_r" issuer=corp;',
    off => 'gateway_jwt "off" issuer=corp;',
]
--- tokens eval
[
    [ 'quotes' => undef, 'missing', at => 'quotes',
      realm => 'a \"b\" c\\\\d' ],
    [ 'quotes, expired' => jwt({ exp => at(-60) }) => 'expired',
      at => 'quotes', realm => 'a \"b\" c\\\\d' ],
    [ 'single' => undef, 'missing', at => 'single',
      realm => 'it is \"api\"' ],
    [ 'empty' => undef, 'missing', at => 'empty', realm => '' ],
    [ 'word' => undef, 'missing', at => 'word', realm => 'api2' ],
    [ 'utf8' => undef, 'missing', at => 'utf8',
      realm => "\xc3\xa9t\xc3\xa9" ],
    [ 'a variable' => undef, 'missing', request => 'GET /argument?r=you',
      realm => 'for you' ],
    [ 'a variable with quotes' => undef, 'missing',
      request => 'GET /argument?r=",error="x\\', realm => 'for \",error=\"x\\\\' ],
    [ 'an empty variable' => undef, 'missing', at => 'argument',
      realm => 'for ' ],
    [ 'off, and an issuer, is a realm' => undef, 'missing', at => 'off',
      realm => 'off' ],
]



=== TEST 11: line breaks in a realm's variable
--- config
    location /t {
        gateway_jwt "for $uri" issuer=corp;
        empty_gif;
    }
--- request eval
["GET /t%0d%0aX-Evil:1", "GET /t%0aX-Evil:1", "GET /t%22%0dX-Evil:1"]
--- error_code eval
[401, 401, 401]
--- raw_response_headers_unlike eval
[('\nX-Evil|[^\r]\n|\r[^\n]') x 3]
--- response_headers_like eval
['WWW-Authenticate: Bearer realm="for /t +X-Evil:1"',
 'WWW-Authenticate: Bearer realm="for /t +X-Evil:1"',
 'WWW-Authenticate: Bearer realm="for /t\\\\" +X-Evil:1"']



=== TEST 12: gzip
of the refusals, nginx compresses only 403
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope read;
    gzip on;
    gzip_types application/problem+json;
    gzip_min_length 1;
--- request
GET /t
--- more_headers eval
"Accept-Encoding: gzip\nAuthorization: Bearer " . jwt()
--- error_code: 403
--- response_headers
Content-Encoding: gzip
Content-Type: application/problem+json
! Content-Length
--- response_body_filters eval
\&main::gunzipped
--- response_body_like chomp
\A\{"type":"about:blank".*"\}\n\z



=== TEST 13: bodies of requests
--- tokens eval
[
    [ 'a length' => undef, 'missing', request => "POST /t\n" . 'x' x 1000 ],
    [ 'chunked' => undef, 'missing',
      request => "POST /t\n5\r\nhello\r\n0\r\n\r\n",
      headers => 'Transfer-Encoding: chunked' ],
    [ 'long' => undef, 'missing', request => "POST /t\n" . 'x' x 100000 ],
]



=== TEST 14: error_page: a file, a named location, a redirect, another status
--- config
    location /file {
        gateway_jwt "api" issuer=corp;
        error_page 401 /denied.html;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /denied.html {
        internal;
        root $TEST_NGINX_SERVER_ROOT/html;
        types { text/html html; }
    }

    location /named {
        gateway_jwt "api" issuer=corp;
        error_page 401 @denied;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location @denied {
        return 401 "named $gateway_jwt_status\n";
    }

    location /url {
        gateway_jwt "api" issuer=corp;
        error_page 401 http://login.example.com/?from=$uri;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /status {
        gateway_jwt "api" issuer=corp;
        error_page 401 =404 @denied404;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location @denied404 {
        return 404 "nothing here\n";
    }

    location /its {
        gateway_jwt "api" issuer=corp;
        error_page 401 = @its;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location @its {
        return 200 "public\n";
    }

    location /backend {
        return 200 "backend\n";
    }
--- user_files eval
files('denied.html' => "<p>denied</p>\n")
--- request eval
[map { "GET /$_" } qw( file named url status its )]
--- error_code eval
[401, 401, 302, 404, 200]
--- response_headers eval
["Content-Type: text/html\nWWW-Authenticate: Bearer realm=\"api\"",
 "WWW-Authenticate: Bearer realm=\"api\"",
 "Location: http://login.example.com/?from=/url",
 "Content-Type: text/plain", "Content-Type: text/plain"]
--- response_body_like eval
['\A<p>denied</p>\n\z', '\Anamed missing\n\z', '302 Found',
 '\Anothing here\n\z', '\Apublic\n\z']
--- no_access_log
/backend



=== TEST 15: error_page of 403 and of 400
--- config
    location /scope {
        gateway_jwt "api" issuer=corp;
        gateway_jwt_require_scope read;
        error_page 403 @denied;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /bad {
        gateway_jwt "api" issuer=corp;
        error_page 400 @denied;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /other {
        gateway_jwt "api" issuer=corp;
        error_page 403 404 500 @denied;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location @denied {
        default_type text/html;
        return 200 "$gateway_jwt_status\n";
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /scope", "GET /bad", "GET /other"]
--- more_headers eval
["Authorization: Bearer " . jwt(), "Authorization: Bearer", "X-No: token"]
--- error_code eval
[403, 400, 401]
--- response_headers eval
["WWW-Authenticate: Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"read\"\nContent-Type: text/html",
 "WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_request\", error_description=\"the Authorization header is malformed\"\nContent-Type: text/html",
 "WWW-Authenticate: Bearer realm=\"api\"\nContent-Type: application/problem+json"]
--- response_body_like eval
['\Ainsufficient_scope\n\z', '\Amalformed\n\z', 'no bearer token']
--- no_access_log
/backend



=== TEST 16: an error_page that is behind the same check
--- config
    gateway_jwt "api" issuer=corp;
    error_page 401 /denied;

    location /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /denied {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        gateway_jwt off;
        return 200 "backend\n";
    }
--- request eval
["GET /t", "GET /denied"]
--- error_code eval
[401, 401]
--- raw_response_headers_unlike eval
[('WWW-Authenticate.*WWW-Authenticate') x 2]
--- response_headers eval
[('WWW-Authenticate: Bearer realm="api"') x 2]
--- response_body_like eval
[('no bearer token') x 2]
--- no_access_log
/backend



=== TEST 17: satisfy any, allow and deny
--- locations eval
[
    allow => $::Any . 'allow 127.0.0.1; deny all;',
    deny => $::Any . 'deny all;',
    scope => $::Any . 'deny all; gateway_jwt_require_scope read;',
    open => $::Any . 'allow 127.0.0.1; deny all;
                      gateway_jwt_require_scope read;',
]
--- tokens eval
[
    [ 'allow, no token' => undef, 'ok', at => 'allow',
      response => { 'X-Status' => 'missing' } ],
    [ 'allow, expired' => jwt({ exp => at(-60) }) => 'ok', at => 'allow',
      response => { 'X-Status' => 'expired' } ],
    [ 'allow, a good token' => jwt() => 'ok', at => 'allow' ],
    [ 'allow, a malformed header' => undef, 'bad_request', at => 'allow',
      headers => 'Authorization: Bearer a b' ],
    [ 'deny, a good token' => jwt() => 'ok', at => 'deny' ],
    [ 'deny, no token' => undef, 'missing', at => 'deny' ],
    [ 'deny, expired' => jwt({ exp => at(-60) }) => 'expired',
      at => 'deny' ],
    [ 'deny, the scope' => jwt({ scope => 'read' }) => 'ok',
      at => 'scope' ],
    [ 'deny, not the scope' => jwt() => 'insufficient_scope',
      at => 'scope', scope => 'read' ],
    [ 'allow, not the scope' => jwt() => 'ok', at => 'open',
      response => { 'X-Status' => 'insufficient_scope' } ],
]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 18: satisfy any, let in by the address: no claims of a bad token
--- access eval
$::Any . 'allow 127.0.0.1; deny all;
          add_header X-Sub "[$gateway_jwt_claim_sub]" always;'
--- tokens eval
[
    [ 'a good one' => jwt() => 'ok', response => { 'X-Sub' => '[alice]' } ],
    [ 'signature' => jwt({}, signature => sub { 'x' }) => 'ok',
      response => { 'X-Sub' => '[]', 'X-Status' => 'bad_signature' } ],
    [ 'expired' => jwt({ exp => at(-60) }) => 'ok',
      response => { 'X-Sub' => '[]', 'X-Status' => 'expired' } ],
    [ 'no algorithm'
      => jwt({}, alg => 'none', sign_as => 'RS256', signature => sub { '' })
      => 'ok',
      response => { 'X-Sub' => '[]', 'X-Status' => 'bad_algorithm' } ],
]



=== TEST 19: satisfy any, auth_basic
--- locations eval
[ t2 => $::Any . $::User ]
--- user_files eval
files(htpasswd => $::Htpasswd)
--- tokens eval
my $both = 'Bearer realm="api", Basic realm="closed"';
[
    [ 'a good token' => jwt() => 'ok', at => 't2' ],
    [ 'the password' => undef, 'ok', at => 't2', headers => $::Basic,
      response => { 'X-Status' => 'missing' } ],
    [ 'no header' => undef, 'missing', at => 't2',
      response => { 'WWW-Authenticate' => $both } ],
    [ 'a wrong password' => undef, 'missing', at => 't2',
      headers => $::BadBasic,
      response => { 'WWW-Authenticate' => $both } ],
    [ 'expired' => jwt({ exp => at(-60) }) => 'expired', at => 't2',
      response => { 'WWW-Authenticate'
          => 'Bearer realm="api", error="invalid_token",'
             . ' error_description="the token has expired",'
             . ' Basic realm="closed"' } ],
    [ 'a malformed header' => undef, 'bad_request', at => 't2',
      headers => 'Authorization: Bearer a b' ],
]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 20: satisfy any, auth_basic and addresses
--- locations eval
[
    allow => $::Any . $::User . 'allow 127.0.0.1; deny all;',
    deny => $::Any . $::User . 'deny all;',
]
--- user_files eval
files(htpasswd => $::Htpasswd)
--- tokens eval
my %missing = (response => { 'X-Status' => 'missing' });
my $both = 'Bearer realm="api", Basic realm="closed"';
[
    [ 'allow, nothing' => undef, 'ok', at => 'allow', %missing ],
    [ 'allow, a wrong password' => undef, 'ok', at => 'allow',
      headers => $::BadBasic, %missing ],
    [ 'allow, a bad token' => 'x' => 'ok', at => 'allow',
      response => { 'X-Status' => 'malformed' } ],
    [ 'deny, nothing' => undef, 'missing', at => 'deny',
      response => { 'WWW-Authenticate' => $both } ],
    [ 'deny, the password' => undef, 'ok', at => 'deny',
      headers => $::Basic, %missing ],
    [ 'deny, a good token' => jwt() => 'ok', at => 'deny' ],
]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 21: satisfy all, allow and deny
--- locations eval
[
    allow => $::All . 'allow 127.0.0.1; deny all;',
    deny => $::All . 'deny all;',
]
--- tokens eval
[
    [ 'allow, a good token' => jwt() => 'ok', at => 'allow' ],
    [ 'allow, no token' => undef, 'missing', at => 'allow' ],
    [ 'deny, no token' => undef, 'missing', at => 'deny' ],
    [ 'deny, a good token' => jwt() => 'ok', at => 'deny', code => 403,
      body => qr/403 Forbidden/ ],
]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 22: satisfy all, auth_basic, the token in a cookie
--- locations eval
[
    cookie => 'gateway_jwt "api" issuer=corp token=$cookie_session; '
              . $::User,
]
--- user_files eval
files(htpasswd => $::Htpasswd)
--- tokens eval
my $cookie = 'Cookie: session=' . jwt();
[
    [ 'both' => undef, 'ok', at => 'cookie',
      headers => "$::Basic\n$cookie" ],
    [ 'the password' => undef, 'missing', at => 'cookie',
      headers => $::Basic ],
    [ 'the cookie' => undef, 'ok', at => 'cookie', headers => $cookie,
      code => 401, body => qr/401 Authorization Required/,
      response => { 'WWW-Authenticate' => 'Basic realm="closed"' } ],
]



=== TEST 23: auth_delay
--- access
    gateway_jwt "api" issuer=corp;
    auth_delay 200ms;
--- tokens eval
[
    [ 'no token' => undef, 'missing' ],
    [ 'a bad one' => 'x' => 'malformed' ],
]



=== TEST 24: limit_except
--- locations eval
[
    get => 'gateway_jwt off;
            limit_except GET { gateway_jwt "api" issuer=corp; }',
    post => 'gateway_jwt "api" issuer=corp;
             limit_except POST { gateway_jwt off; }',
    other => 'gateway_jwt "outer" issuer=corp;
              limit_except GET {
                  gateway_jwt "inner" issuer=corp;
                  gateway_jwt_require_scope write;
              }',
]
--- tokens eval
my %off = (response => { 'X-Status' => undef });
[
    [ 'get: GET' => undef, 'ok', at => 'get', %off ],
    [ 'get: POST' => undef, 'missing', request => "POST /get\nx" ],
    [ 'get: POST, a token' => jwt() => 'ok', request => "POST /get\nx" ],
    [ 'get: DELETE' => undef, 'missing', request => 'DELETE /get' ],
    [ 'post: POST' => undef, 'missing', request => "POST /post\nx" ],
    [ 'post: POST, a token' => jwt() => 'ok', request => "POST /post\nx" ],
    [ 'post: GET' => undef, 'ok', at => 'post', %off ],
    [ 'other: GET' => undef, 'missing', at => 'other', realm => 'outer' ],
    [ 'other: GET, a token' => jwt() => 'ok', at => 'other' ],
    [ 'other: POST' => undef, 'missing', request => "POST /other\nx",
      realm => 'inner' ],
    [ 'other: POST, a token' => jwt() => 'insufficient_scope',
      request => "POST /other\nx", realm => 'inner', scope => 'write' ],
    [ 'other: POST, the scope' => jwt({ scope => 'write' }) => 'ok',
      request => "POST /other\nx" ],
]



=== TEST 25: inheritance
--- http_config eval
issuer() . 'gateway_jwt "http" issuer=corp;'
--- config
    add_header X-Status $gateway_jwt_status always;

    location /http {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;

        location /http/deep {
            gateway_jwt "deep" issuer=corp;
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;

            location /http/deep/off {
                gateway_jwt off;
                proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;

                location /http/deep/off/inherited {
                    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
                }

                location /http/deep/off/on {
                    gateway_jwt "on" issuer=corp;
                    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
                }
            }
        }
    }

    location /if {
        if ($arg_a) {
            set $a 1;
        }

        if ($arg_b) {
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
            rewrite ^ /backend break;
        }

        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
        rewrite ^ /backend break;
    }

    location /rewrite {
        rewrite ^ /http last;
    }

    location ~ ^/regex {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
        rewrite ^ /backend break;
    }

    location /backend {
        gateway_jwt off;
        return 200 "backend\n";
    }
--- tokens eval
my %off = (response => { 'X-Status' => undef });
[
    map({ [ "$_, a token" => jwt() => 'ok', at => $_ ],
          [ "$_, no token" => undef, 'missing', at => $_, realm => 'http' ] }
        'http', 'if', 'if?a=1', 'if?b=1', 'if?a=1&b=1', 'rewrite', 'regex',
        'http/other', '%68ttp', '/http', 'x/../http'),
    [ 'deep' => undef, 'missing', at => 'http/deep', realm => 'deep' ],
    [ 'deep, a token' => jwt() => 'ok', at => 'http/deep' ],
    [ 'off' => undef, 'ok', at => 'http/deep/off', %off ],
    [ 'off, inherited' => undef, 'ok', at => 'http/deep/off/inherited',
      %off ],
    [ 'on' => undef, 'missing', at => 'http/deep/off/on', realm => 'on' ],
]



=== TEST 26: two servers
--- http_config eval
issuer() . '
server {
    listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    gateway_jwt "server" issuer=corp;

    location / {
        add_header X-Status $gateway_jwt_status always;
        empty_gif;
    }
}'
--- config
    location /checked {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;
    }

    location /open {
        empty_gif;
    }
--- request eval
["GET /checked", "GET /open", "GET /checked"]
--- more_headers eval
["X-No: token", "X-No: token", "Authorization: Bearer " . jwt()]
--- error_code eval
[401, 200, 200]
--- response_headers eval
["WWW-Authenticate: Bearer realm=\"server\"\nX-Status: missing",
 "! WWW-Authenticate\n! X-Status", "X-Status: ok"]



=== TEST 27: satisfy any, let in by the address: the backend's own refusals
--- config
    location /t/ {
        satisfy any;
        allow 127.0.0.1;
        deny all;
        gateway_jwt "api" issuer=corp;
        gateway_jwt_require_scope read;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/;
    }

    location /backend/401 {
        add_header WWW-Authenticate 'Basic realm="backend"' always;
        return 401 "not you\n";
    }

    location /backend/403 {
        return 403 "not here\n";
    }

    location /backend/400 {
        return 400 "not so\n";
    }

    location /backend/large/ {
        error_page 401 403 /backend/large/page;
        return 401;
    }

    location = /backend/large/page {
        default_type text/plain;
        alias $TEST_NGINX_SERVER_ROOT/html/large;
    }
--- user_files eval
files(large => 'x' x 1000000)
--- request eval
["GET /t/401", "GET /t/403", "GET /t/400", "GET /t/401", "GET /t/large/"]
--- more_headers eval
["X-No: token",
 "Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({ exp => at(-60) }),
 "Authorization: Bearer x",
 "Authorization: Bearer x"]
--- error_code eval
[401, 403, 400, 401, 401]
--- response_headers eval
["WWW-Authenticate: Basic realm=\"backend\"\nContent-Type: text/plain",
 "! WWW-Authenticate\nContent-Type: text/plain",
 "! WWW-Authenticate\nContent-Type: text/plain",
 "WWW-Authenticate: Basic realm=\"backend\"\nContent-Type: text/plain",
 "! WWW-Authenticate\nContent-Type: text/plain"]
--- response_body eval
["not you\n", "not here\n", "not so\n", "not you\n", "x" x 1000000]



=== TEST 28: satisfy any, let in by the address: nginx's own refusals
--- config
    location /t/ {
        satisfy any;
        allow 127.0.0.1;
        gateway_jwt "api" issuer=corp;

        location /t/static {
            root $TEST_NGINX_SERVER_ROOT/html;
            dav_methods PUT;
        }

        location /t/limit {
            client_max_body_size 1;
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
        }
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /t/static", "POST /t/limit\nhello"]
--- error_code eval
[404, 413]
--- response_headers eval
["Content-Type: text/html\n! WWW-Authenticate",
 "Content-Type: text/html\n! WWW-Authenticate"]
--- no_error_log
[crit]
[alert]



=== TEST 29: satisfy any, auth_request
--- config
    location /t {
        satisfy any;
        gateway_jwt "api" issuer=corp;
        auth_request /auth;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /auth {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/authback;
    }

    location /authback {
        if ($http_x_key = "secret") {
            return 204;
        }

        return 403;
    }

    location /backend {
        return 200 "backend\n";
    }
--- tokens eval
my $expired = jwt({ exp => at(-60) });
[
    [ 'a good token' => jwt() => 'ok' ],
    [ 'the key' => undef, 'ok', headers => 'X-Key: secret',
      response => { 'X-Status' => 'missing' } ],
    [ 'the key, and a token that has run out' => undef, 'ok',
      headers => "X-Key: secret\nAuthorization: Bearer $expired",
      response => { 'X-Status' => 'expired' } ],
    [ 'neither' => undef, 'missing' ],
    [ 'a wrong key' => undef, 'missing', headers => 'X-Key: x' ],
    [ 'expired' => $expired => 'expired' ],
    [ 'the key, POST' => undef, 'ok', headers => 'X-Key: secret',
      request => "POST /t\nhello", response => { 'X-Status' => 'missing' } ],
    [ 'neither, POST' => undef, 'missing', request => "POST /t\nhello" ],
]
--- no_error_log
[crit]
[alert]
eyJ
