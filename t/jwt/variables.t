
# $gateway_jwt_claim_NAME, $gateway_jwt_claims, $gateway_jwt_header_NAME,
# $gateway_jwt_issuer, $gateway_jwt_status, and those of gateway_jwt_claim_set.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

run_blocks();

__DATA__

=== TEST 1: values of every type, byte for byte
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value "[$gateway_jwt_claim_v]" always;
--- tokens eval
my @raw = ('1', '0', '-0', '12.50', '1e2', '1E+2', '-1.0e-3', 'true', 'false',
           'null', '[]', '{}', '[1, 2 ,"a"]', '{"b":1,"a":{"c":[null]}}',
           '{ "b" : 1.50 , "a" : 2 }', '[ ]', '["\u0041\/"]',
           '9007199254740993', '0.1000000000000000055511151231257827',
           '123456789012345678');
[
    map({ [ $_ => jwt({ v => \$_ }) => 'ok',
            response => { 'X-Value' => "[$_]" } ] } @raw),
    [ 'a string' => jwt({ v => 'abc' }) => 'ok',
      response => { 'X-Value' => '[abc]' } ],
    [ 'an empty string' => jwt({ v => '' }) => 'ok',
      response => { 'X-Value' => '[]' } ],
    [ 'absent' => jwt() => 'ok', response => { 'X-Value' => '[]' } ],
    [ 'with quotes' => jwt({ v => 'a"b\\c/d' }) => 'ok',
      response => { 'X-Value' => '[a"b\\c/d]' } ],
    [ 'escapes' => jwt({ v => \'"\u0041\u00e9\u20ac\ud83d\ude00\/\\\\\""' })
      => 'ok',
      response => { 'X-Value'
                    => "[A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/\\\"]" } ],
    [ 'UTF-8' => jwt({ v => "\xe2\x82\xac" }) => 'ok',
      response => { 'X-Value' => "[\xe2\x82\xac]" } ],
    [ 'a dollar is no variable' => jwt({ v => '$uri ${uri}' }) => 'ok',
      response => { 'X-Value' => '[$uri ${uri}]' } ],
]



=== TEST 2: line breaks never come out
they would be headers of the token's own
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        add_header X-Claim "[$gateway_jwt_claim_v]" always;
        add_header X-Header "[$gateway_jwt_header_v]" always;
        add_header X-Claims "[$gateway_jwt_claims]" always;
        add_header X-Set "[$v]" always;
        proxy_set_header X-Claim "$gateway_jwt_claim_v";
        proxy_set_header X-Header "$gateway_jwt_header_v";
        proxy_set_header X-Claims "$gateway_jwt_claims";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend [$http_x_evil]\n";
    }
--- http_config
    gateway_jwt_claim_set $v /v;
--- request eval
[('GET /t') x 7]
--- more_headers eval
my $usual = '"iss":"https://id.example.com","aud":"api","exp":'
            . (time() + 3600);
my $header = '"alg":"RS256","kid":"rsa"';
[map { "Authorization: Bearer $_" }
     jwt({ v => "a\r\nX-Evil: 1" }), jwt({ v => "a\nX-Evil: 1" }),
     jwt({ v => "a\rX-Evil: 1" }),
     jwt({ v => [ "a\r\nX-Evil: 1" ] }),
     jwt("{$usual,\"v\":[1,\r\n2,\"X-Evil: 1\"]}"),
     jwt("{$usual\r\n,\"v\":{\r\n\"X-Evil\": 1\r\n}\n}"),
     jwt({}, header => "{$header,\"v\":\"a\\r\\nX-Evil: 1\"}")]
--- response_body eval
[("backend []\n") x 7]
--- response_headers eval
['X-Claim: ["a\r\nX-Evil: 1"]'."\n".'X-Set: ["a\r\nX-Evil: 1"]',
 'X-Claim: ["a\nX-Evil: 1"]', 'X-Claim: ["a\rX-Evil: 1"]',
 'X-Claim: [["a\u000d\u000aX-Evil: 1"]]', 'X-Claim: [[1,  2,"X-Evil: 1"]]',
 'X-Claim: [{  "X-Evil": 1  }]', 'X-Header: ["a\r\nX-Evil: 1"]']
--- raw_response_headers_unlike eval
[('\nX-Evil|\n *"X-Evil|\n2|[^\r]\n|\r[^\n]') x 7]



=== TEST 3: nothing of a token that is not good
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq alice;
    add_header X-Value "[$gateway_jwt_claim_sub$gateway_jwt_claims]" always;
    add_header X-Header "[$gateway_jwt_header_kid]" always;
    add_header X-Issuer "[$gateway_jwt_issuer]" always;
    add_header X-Set "[$jwt_email]" always;
--- http_config
    gateway_jwt_claim_set $jwt_email email;
--- tokens eval
my %none = (response => { map { $_ => '[]' }
                          qw( X-Value X-Header X-Issuer X-Set ) });
my %e = (email => 'e');
[
    [ 'no token'      => undef, 'missing', %none ],
    [ 'malformed'     => 'x', 'malformed', %none ],
    [ 'bad request'   => undef, 'bad_request',
      headers => 'Authorization: Bearer a b', %none ],
    [ 'signature'     => jwt({ %e }, signature => sub { 'x' })
      => 'bad_signature', %none ],
    [ 'algorithm'     => jwt({ %e }, alg => 'none', sign_as => 'RS256')
      => 'bad_algorithm', %none ],
    [ 'key'           => jwt({ %e }, kid => 'x') => 'unknown_key', %none ],
    [ 'issuer'        => jwt({ %e, iss => 'x' }) => 'unknown_issuer',
      %none ],
    [ 'expired'       => jwt({ %e, exp => at(-60) }) => 'expired', %none ],
    [ 'not yet valid' => jwt({ %e, nbf => at(60) }) => 'not_yet_valid',
      %none ],
    [ 'audience'      => jwt({ %e, aud => 'x' }) => 'wrong_audience',
      %none ],
]



=== TEST 4: where no check runs
--- locations eval
[
    off => 'gateway_jwt off;
            add_header X-Value "[$gateway_jwt_status$gateway_jwt_claim_sub]"
                       always;',
]
--- tokens eval
my %none = (response => { 'X-Status' => undef, 'X-Value' => '[]' });
[
    [ 'no token' => undef, 'ok', at => 'off', %none ],
    [ 'a good one' => jwt() => 'ok', at => 'off', %none ],
    [ 'a bad one' => 'x' => 'ok', at => 'off', %none ],
    [ 'a malformed header' => undef, 'ok', at => 'off', %none,
      headers => 'Authorization: Bearer' ],
]



=== TEST 5: claims, header, issuer
--- access
    gateway_jwt "api" issuer=corp,other;
    add_header X-Issuer $gateway_jwt_issuer always;
    add_header X-Kid $gateway_jwt_header_kid always;
    add_header X-Alg $gateway_jwt_header_alg always;
    add_header X-Typ "[$gateway_jwt_header_typ]" always;
    add_header X-Claims $gateway_jwt_claims always;
--- http_config eval
issuer() . issuer('issuer https://other.example.com;', 'other')
--- user_files eval
files('other.jwks' => jwks('p256'))
--- tokens eval
my $exp = time() + 3600;
my $corp = '{"iss":"https://id.example.com", "aud":["api"],"x":1.50,"exp":'
           . "$exp}";
my $other = " {\"iss\":\"https:\\/\\/other.example.com\",\"aud\":\"api\","
            . "\"exp\":$exp.0,\"a\":{\"b\":[ ]}}";
[
    [ 'corp' => jwt($corp) => 'ok',
      response => { 'X-Issuer' => 'corp', 'X-Kid' => 'rsa',
                    'X-Alg' => 'RS256', 'X-Typ' => '[JWT]',
                    'X-Claims' => $corp } ],
    [ 'other' => jwt($other, key => 'p256', header => { typ => undef })
      => 'ok',
      response => { 'X-Issuer' => 'other', 'X-Kid' => 'p256',
                    'X-Alg' => 'ES256', 'X-Typ' => '[]',
                    'X-Claims' => $other =~ s/^ //r } ],
]



=== TEST 6: names
nginx makes the names of variables lower case
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Lower "[$gateway_jwt_claim_email_verified]" always;
    add_header X-Upper "[$gateway_jwt_claim_Email_Verified]" always;
    add_header X-Braces "[${gateway_jwt_claim_email_verified}2]" always;
    add_header X-Number "[$gateway_jwt_claim_0]" always;
--- tokens eval
[
    [ 'lower' => jwt({ email_verified => \'true', 0 => 'zero' }) => 'ok',
      response => { 'X-Lower' => '[true]', 'X-Upper' => '[true]',
                    'X-Braces' => '[true2]', 'X-Number' => '[zero]' } ],
    [ 'upper' => jwt({ Email_Verified => \'true' }) => 'ok',
      response => { 'X-Lower' => '[]', 'X-Upper' => '[]',
                    'X-Braces' => '[2]', 'X-Number' => '[]' } ],
]



=== TEST 7: gateway_jwt_claim_set
--- http_config
    gateway_jwt_claim_set $jwt_role    Role;
    gateway_jwt_claim_set $jwt_roles   /realm_access/roles;
    gateway_jwt_claim_set $jwt_first   /realm_access/roles/0;
    gateway_jwt_claim_set $jwt_url     https://example.com/tenant;
    gateway_jwt_claim_set $jwt_pointer /https:~1~1example.com~1tenant;
    gateway_jwt_claim_set $jwt_n       /a/b~0c/n;
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Role    "[$jwt_role]" always;
    add_header X-Roles   "[$jwt_roles]" always;
    add_header X-First   "[$jwt_first]" always;
    add_header X-Url     "[$jwt_url]" always;
    add_header X-Pointer "[$jwt_pointer]" always;
    add_header X-N       "[$jwt_n]" always;
--- tokens eval
my %empty = map { ("X-$_" => '[]') } qw( Role Roles First Url Pointer N );
[
    [ 'all' => jwt({ Role => 'boss',
                     realm_access => { roles => [ 'x', 'y' ] },
                     'https://example.com/tenant' => 't',
                     a => { 'b~c' => { n => \'12.50' } } }) => 'ok',
      response => { 'X-Role' => '[boss]', 'X-Roles' => '[["x","y"]]',
                    'X-First' => '[x]', 'X-Url' => '[t]',
                    'X-Pointer' => '[t]', 'X-N' => '[12.50]' } ],
    [ 'none' => jwt() => 'ok', response => \%empty ],
    [ 'of other types' => jwt({ role => 'boss', realm_access => [ 'roles' ],
                                a => 'b~c' }) => 'ok',
      response => \%empty ],
    [ 'refused' => jwt({ Role => 'boss', aud => 'x' }) => 'wrong_audience',
      response => \%empty ],
]



=== TEST 8: values do not stay from request to request
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value "[$gateway_jwt_claim_sub $gateway_jwt_claim_x]" always;
--- pipelined_requests eval
['GET /t', 'GET /t', 'GET /t', 'GET /t']
--- more_headers eval
["Authorization: Bearer " . jwt({ x => 1 }),
 "Authorization: Bearer " . jwt({ sub => 'bob' }),
 "X-No: token",
 "Authorization: Bearer " . jwt({ sub => undef, x => 2 })]
--- error_code eval
[200, 200, 401, 200]
--- response_headers eval
["X-Value: [alice 1]", "X-Value: [bob ]", "X-Value: [ ]", "X-Value: [ 2]"]



=== TEST 9: before the check there is nothing, and that does not stay
--- config
    location /t {
        set $early "[$gateway_jwt_claim_sub$gateway_jwt_status$jwt_sub]";
        gateway_jwt "api" issuer=corp;
        add_header X-Early $early always;
        add_header X-Late  "[$gateway_jwt_claim_sub $gateway_jwt_status $jwt_sub]" always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- http_config
    gateway_jwt_claim_set $jwt_sub sub;
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- response_headers
X-Early: []
X-Late: [alice ok alice]



=== TEST 10: what the backend gets
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        proxy_set_header Authorization "";
        proxy_set_header X-User $gateway_jwt_claim_sub;
        proxy_set_header X-Groups $gateway_jwt_claim_groups;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$gateway_jwt_claim_sub;
    }

    location /backend/ {
        return 200 "$uri [$http_x_user] [$http_x_groups] [$http_authorization]\n";
    }
--- request
GET /t
--- more_headers eval
"X-User: mallory\nAuthorization: Bearer " . jwt({ groups => [ 'a', 'b' ] })
--- response_body
/backend/alice [alice] [["a","b"]] []



=== TEST 11: map, and if in another location
--- http_config
    map $gateway_jwt_claim_tier $pool {
        default free;
        gold    paid;
    }
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/$pool;
    }

    location /free {
        return 200 "free\n";
    }

    location /paid {
        return 200 "paid\n";
    }
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt({ tier => 'gold' }),
 "Authorization: Bearer " . jwt()]
--- response_body eval
["paid\n", "free\n"]



=== TEST 12: the log
--- http_config
    log_format jwt 'LOG $uri [$gateway_jwt_status] [$gateway_jwt_claim_sub] '
                   '[$gateway_jwt_issuer]';
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        access_log $TEST_NGINX_SERVER_ROOT/logs/access.log jwt;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- pipelined_requests eval
["GET /t/good", "GET /t/none", "GET /t/bad", "GET /t/expired"]
--- more_headers eval
["Authorization: Bearer " . jwt(),
 "X-No: token",
 "Authorization: Bearer x",
 "Authorization: Bearer " . jwt({ exp => at(-60) })]
--- error_code eval
[200, 401, 401, 401]
--- access_log eval
['LOG /t/good [ok] [alice] [corp]', 'LOG /t/none [missing] [-] [-]',
 'LOG /t/bad [malformed] [-] [-]', 'LOG /t/expired [expired] [-] [-]']



=== TEST 13: internal redirects
by error_page, try_files, X-Accel-Redirect, and to a named location
--- config
    location /error {
        gateway_jwt "api" issuer=corp;
        proxy_intercept_errors on;
        error_page 404 = /open;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/nothing;
    }

    location /named {
        gateway_jwt "api" issuer=corp;
        proxy_intercept_errors on;
        error_page 404 = @named;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/nothing;
    }

    location /try {
        gateway_jwt "api" issuer=corp;
        try_files /no-such-file /open;
    }

    location /trynamed {
        gateway_jwt "api" issuer=corp;
        try_files /no-such-file @named;
    }

    location /accel {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/accelback;
    }

    location /accelback {
        add_header X-Accel-Redirect /open;
        return 200;
    }

    location /nothing {
        return 404;
    }

    location @named {
        add_header X-Value "[$gateway_jwt_claim_sub $gateway_jwt_status]" always;
        rewrite ^ /backend break;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
    }

    location /open {
        add_header X-Value "[$gateway_jwt_claim_sub $gateway_jwt_status]" always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
[map { "GET /$_" } qw( error try accel named trynamed )]
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code eval
[200, 200, 200, 200, 200]
--- response_headers eval
[('X-Value: [alice ok]') x 5]



=== TEST 14: an internal redirect to a location that asks for more
--- config
    location /t {
        gateway_jwt "outer" issuer=corp;
        try_files /no-such-file /strict;
    }

    location /strict {
        gateway_jwt "inner" issuer=corp;
        gateway_jwt_require_scope write;
        add_header X-Value "[$gateway_jwt_claim_sub $gateway_jwt_status]" always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt({ scope => 'write' }),
 "Authorization: Bearer " . jwt({ scope => 'read' }),
 "X-No: token"]
--- error_code eval
[200, 403, 401]
--- response_headers eval
["X-Value: [alice ok]\n! WWW-Authenticate",
 "WWW-Authenticate: Bearer realm=\"inner\", error=\"insufficient_scope\", scope=\"write\"",
 "WWW-Authenticate: Bearer realm=\"outer\""]



=== TEST 15: subrequests of SSI
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        ssi on;
        ssi_types text/plain;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/page;
    }

    location /page {
        return 200 '<!--#include virtual="/part" --> <!--#echo var="gateway_jwt_claim_sub" -->';
    }

    location /part {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/echo?sub=$gateway_jwt_claim_sub&status=$gateway_jwt_status;
    }

    location /echo {
        return 200 "[$arg_sub $arg_status]";
    }
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- response_body chomp
[alice ok] alice



=== TEST 16: an SSI subrequest to a location of its own check
the access phase is not for subrequests, nginx says, and so do we
--- config
    location /t {
        ssi on;
        ssi_types text/plain;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/page;
    }

    location /page {
        return 200 '<!--#include virtual="/part" -->';
    }

    location /part {
        gateway_jwt "api" issuer=corp;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/echo?status=[$gateway_jwt_status];
    }

    location /echo {
        return 200 "$arg_status";
    }
--- request
GET /t
--- response_body chomp
[]



=== TEST 17: auth_request sees the claims, and comes after the check
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        auth_request /auth;
        add_header X-Value "[$gateway_jwt_claim_sub]" always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /auth {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/authback/$gateway_jwt_claim_sub;
    }

    location /authback/ {
        return 403;
    }

    location /authback/alice {
        return 204;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({ sub => 'bob' }),
 "X-No: token"]
--- error_code eval
[200, 403, 401]
--- response_headers eval
["X-Value: [alice]", "X-Value: [bob]", "X-Value: []"]
--- no_error_log
[crit]
[alert]
eyJ



=== TEST 18: mirror
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        mirror /mirror;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /mirror {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/copy?sub=$gateway_jwt_claim_sub;
    }

    location /copy {
        return 200;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- wait: 0.1
--- access_log
/copy?sub=alice



=== TEST 19: mirror does not run for a refused request
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        mirror /mirror;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /mirror {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/copy?sub=$gateway_jwt_claim_sub;
    }

    location /copy {
        return 200;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request
GET /t
--- error_code: 401
--- wait: 0.1
--- no_access_log
/copy
/backend



=== TEST 20: error_page sees the status
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        error_page 401 /denied;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /denied {
        internal;
        default_type text/html;
        return 200 "denied: $gateway_jwt_status [$gateway_jwt_claim_sub]\n";
    }

    location /backend {
        return 200 "backend\n";
    }
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["X-No: token",
 "Authorization: Bearer " . jwt({ exp => at(-60) })]
--- error_code eval
[401, 401]
--- response_body eval
["denied: missing []\n", "denied: expired []\n"]



=== TEST 21: an answer that a filter turns into another one
--- http_config
    log_format sub 'LOG $uri $status [$gateway_jwt_claim_sub]';
--- config
    location /files/ {
        gateway_jwt "api" issuer=corp;
        access_log $TEST_NGINX_SERVER_ROOT/logs/access.log sub;
        error_page 416 @range;
        alias $TEST_NGINX_SERVER_ROOT/html/;
    }

    location @range {
        access_log $TEST_NGINX_SERVER_ROOT/logs/access.log sub;
        return 416 "range for [$gateway_jwt_claim_sub]\n";
    }
--- user_files eval
files(text => "hello\n")
--- request eval
["GET /files/text", "GET /files/text", "GET /files/text"]
--- more_headers eval
my $auth = "Authorization: Bearer " . jwt();
["$auth", "$auth\nIf-Match: \"x\"", "$auth\nRange: bytes=100-200"]
--- error_code eval
[200, 412, 416]
--- response_body_like eval
['\Ahello\n\z', '412 Precondition Failed',
 '416 Requested Range Not Satisfiable|range for \[alice\]']



=== TEST 22: what those write into the log
--- http_config
    log_format sub 'LOG $uri $status [$gateway_jwt_claim_sub]';
--- config
    location /files/ {
        gateway_jwt "api" issuer=corp;
        access_log $TEST_NGINX_SERVER_ROOT/logs/access.log sub;
        alias $TEST_NGINX_SERVER_ROOT/html/;
    }
--- user_files eval
files(text => "hello\n")
--- request
GET /files/text
--- more_headers eval
"If-Match: \"x\"\nAuthorization: Bearer " . jwt()
--- error_code: 412
--- access_log
LOG /files/text 412 [alice]



=== TEST 23: post_action
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        post_action /after;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /after {
        internal;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/copy?sub=$gateway_jwt_claim_sub;
    }

    location /copy {
        return 200;
    }

    location /backend {
        return 200 "backend\n";
    }
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- wait: 0.1
--- access_log
/copy?sub=alice
