
# What clients are told: RateLimit and RateLimit-Policy
# (draft-ietf-httpapi-ratelimit-headers-11), Retry-After, and the problem that
# a refusal is.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

our $None = { map { $_ => undef }
              qw( RateLimit RateLimit-Policy X-RateLimit-Limit
                  X-RateLimit-Remaining X-RateLimit-Reset ) };

run_blocks();

__DATA__

=== TEST 1: admitted
--- zone: rate=2r/h burst=100
--- requests eval
[
    [ 'the first' => 'a', 'passed',
      response => { 'RateLimit-Policy' => '"z";q=100;w=180000',
                    'RateLimit' => '"z";r=99;t=1800',
                    'Retry-After' => undef, 'X-RateLimit-Limit' => undef } ],
    [ 'the second' => 'a', 'passed',
      response => { 'RateLimit-Policy' => '"z";q=100;w=180000',
                    'RateLimit' => fields([ 'z', 98, 3600 ]) } ],
]



=== TEST 2: refused
--- zone: rate=2r/h
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected',
      response => { 'RateLimit-Policy' => '"z";q=1;w=1800',
                    'RateLimit' => fields([ 'z', 0, 1800 ]),
                    'Retry-After' => seconds(1800),
                    'Content-Type' => 'application/problem\+json',
                    'X-RateLimit-Limit' => undef } ],
]



=== TEST 3: the names are those of the draft
--- zone: rate=2r/h
--- request
GET /t
--- more_headers eval
key(1, 'a')
--- raw_response_headers_like: \r\nRateLimit-Policy: "z";q=1;w=1800\r\nRateLimit: "z";r=0;t=1800\r\n
--- raw_response_headers_unlike: (?i)Retry-After|X-RateLimit|(?:\r\nRateLimit:.*){2}



=== TEST 4: what is refused, literally
--- zone: rate=2r/h
--- limit
gateway_limit zone=z cost=2 burst=2;
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected',
      body => qr/\A\{"type":"https:\/\/iana\.org\/assignments\/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"detail":"too many requests","instance":"[0-9a-f]{32}","violated-policies":\["z"\]\}\n\z/ ],
]



=== TEST 5: the instance is the request's id
--- zone: rate=2r/h
--- limit
gateway_limit zone=z;
add_header X-ID $request_id always;
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected',
      response => { 'X-ID' => '[0-9a-f]{32}' } ],
]



=== TEST 6: names with unusual characters that are ASCII
--- zones
gateway_limit_zone $http_x_key "zone=user/*,;=1#'~!:64k" rate=1r/h;
--- limit
gateway_limit "zone=user/*,;=1#'~!";
--- requests eval
my $name = "user/\\*,;=1#'~!";
[
    [ 'the first' => 'a', 'passed', zone => $name,
      response => { 'RateLimit' => "\"$name\";r=0;t=3600" } ],
    [ 'the second' => 'a', 'rejected', zone => $name,
      body => qr/"violated-policies":\["$name"\]\}/ ],
]



=== TEST 7: off
--- zone: rate=1r/h
--- limit
gateway_limit zone=z;
gateway_limit_headers off;
--- requests eval
[
    [ 'the first' => 'a', 'passed', left => 0, response => $main::None ],
    [ 'the second' => 'a', 'rejected', left => 0,
      response => { %$main::None, 'Retry-After' => seconds(3600) } ],
]



=== TEST 8: legacy
--- zone: rate=1r/m burst=2
--- limit
gateway_limit zone=z;
gateway_limit_headers legacy;
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 1,
      response => { 'RateLimit-Policy' => '"z";q=2;w=120',
                    'RateLimit' => '"z";r=1;t=60',
                    'X-RateLimit-Limit' => 2, 'X-RateLimit-Remaining' => 1,
                    'X-RateLimit-Reset' => 60 } ],
    [ 'the second' => 'a', 'passed', r => 0,
      response => { 'X-RateLimit-Limit' => 2, 'X-RateLimit-Remaining' => 0,
                    'X-RateLimit-Reset' => seconds(120) } ],
    [ 'the third' => 'a', 'rejected', r => 0,
      response => { 'X-RateLimit-Limit' => 2, 'X-RateLimit-Remaining' => 0,
                    'X-RateLimit-Reset' => seconds(120),
                    'Retry-After' => seconds(60) } ],
]



=== TEST 9: legacy with several zones tells of the deciding one
--- zones
gateway_limit_zone $http_x_key zone=many:64k rate=1r/h burst=9;
gateway_limit_zone $http_x_key zone=few:64k rate=1r/m burst=1;
--- limit
gateway_limit zone=many;
gateway_limit zone=few;
gateway_limit_headers legacy;
--- requests eval
[
    [ 'admitted' => 'a', 'passed', zone => 'few', left => 0,
      response => { 'RateLimit-Policy' => '"many";q=9;w=32400, "few";q=1;w=60',
                    'X-RateLimit-Limit' => 1, 'X-RateLimit-Remaining' => 0,
                    'X-RateLimit-Reset' => 60 } ],
    [ 'refused' => 'a', 'rejected', zone => 'few', left => 0,
      response => { 'X-RateLimit-Limit' => 1, 'X-RateLimit-Remaining' => 0,
                    'X-RateLimit-Reset' => seconds(60) } ],
]



=== TEST 10: on is the default, and what is set is inherited
--- zones
gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=9;
gateway_limit_headers off;
--- limit
gateway_limit zone=z;
--- locations eval
[ on => 'gateway_limit zone=z; gateway_limit_headers on;',
  legacy => 'gateway_limit zone=z; gateway_limit_headers LEGACY;' ]
--- requests eval
[
    [ 'off' => 'a', 'passed', response => $main::None ],
    [ 'on' => 'a', 'passed', at => 'on', r => 7,
      response => { 'X-RateLimit-Limit' => undef } ],
    [ 'legacy' => 'a', 'passed', at => 'legacy', r => 6,
      response => { 'X-RateLimit-Limit' => 9 } ],
]



=== TEST 11: a static page for 429
--- zone: rate=1r/h
--- limit
gateway_limit zone=z;
error_page 429 /slow.html;
--- user_files
>>> slow.html
slow down
--- server
location = /slow.html {
    root html;
}
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected', body => "slow down\n",
      response => { 'Content-Type' => 'text/html|text/plain',
                    'RateLimit-Policy' => '"z";q=1;w=3600',
                    'RateLimit' => fields([ 'z', 0, 3600 ]),
                    'Retry-After' => seconds(3600), 'X-Status' => undef,
                    'X-Zone' => undef, 'X-Remaining' => undef } ],
]



=== TEST 12: a named location for 429, itself limited
--- zone: rate=1r/h
--- server
location @slow {
    gateway_limit zone=z;
    add_header X-Status $gateway_limit_status always;
    add_header X-Zone $gateway_limit_zone always;
    add_header X-Remaining $gateway_limit_remaining always;
    default_type text/x-slow;
    return 420 "slow down\n";
}
--- limit
gateway_limit zone=z;
error_page 429 = @slow;
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected', code => 420, body => "slow down\n",
      left => 0,
      response => { 'Content-Type' => 'text/x-slow',
                    'RateLimit' => fields([ 'z', 0, 3600 ]) } ],
]



=== TEST 13: a backend's page for 429
--- zone: rate=1r/h
--- server
location @slow {
    gateway_limit zone=z;
    rewrite ^ /page break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT;
}

location = /page {
    add_header RateLimit '"page";r=1;t=1' always;
    return 200 "slow down\n";
}
--- limit
gateway_limit zone=z;
error_page 429 @slow;
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected', body => "slow down\n",
      response => { 'Content-Type' => 'text/plain',
                    'RateLimit' => '.*"z";r=0;t=' . seconds(3600) . '.*',
                    'Retry-After' => seconds(3600), 'X-Status' => undef,
                    'X-Zone' => undef, 'X-Remaining' => undef } ],
]



=== TEST 14: another code for 429
--- zone: rate=1r/h
--- limit
gateway_limit zone=z;
error_page 429 =503 /slow.html;
--- user_files
>>> slow.html
slow down
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'rejected', code => 503, body => "slow down\n",
      response => { 'Content-Type' => 'text/html|text/plain',
                    'RateLimit' => fields([ 'z', 0, 3600 ]),
                    'X-Status' => undef, 'X-Zone' => undef,
                    'X-Remaining' => undef } ],
]



=== TEST 15: gateway_limit_status
--- zones
gateway_limit_zone $http_x_key zone=z:64k rate=1r/h;
gateway_limit_status 503;
--- limit
gateway_limit zone=z;
--- locations eval
[ other => 'gateway_limit zone=z; gateway_limit_status 403;',
  least => 'gateway_limit zone=z; gateway_limit_status 400;',
  most => 'gateway_limit zone=z; gateway_limit_status 599;' ]
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ "http's" => 'a', 'rejected', code => 503 ],
    [ "the location's" => 'a', 'rejected', at => 'other', code => 403 ],
    [ '400' => 'a', 'rejected', at => 'least', code => 400 ],
    [ '599' => 'a', 'rejected', at => 'most', code => 599, body => qr/./s,
      response => { 'Content-Type' => '.*' } ],
]



=== TEST 16: HEAD
--- zone: rate=1r/h
--- requests eval
[
    [ 'the first' => 'a', 'passed', request => 'HEAD /t', r => 0, body => '' ],
    [ 'the second' => 'a', 'rejected', request => 'HEAD /t', r => 0, body => '',
      response => { 'Content-Length' => '[1-9]\d+' } ],
]



=== TEST 17: a request with a body is refused, and the connection goes on
--- zone: rate=1r/h
--- config
    location = /t {
        gateway_limit zone=z;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location = /backend {
        return 200 "backend\n";
    }
--- pipelined_requests eval
[ "POST /t\r\nhello", "POST /t\r\nhello", "GET /backend" ]
--- more_headers eval
[ map { key($_, 'a') } 1 .. 3 ]
--- error_code eval
[ 200, 429, 200 ]
--- response_body eval
[ "backend\n", problem('z'), "backend\n" ]



=== TEST 18: a response that has fields of its own
--- zone: rate=1r/h burst=2
--- server
location = /limited-too {
    add_header RateLimit-Policy '"inner";q=5;w=5';
    add_header RateLimit '"inner";r=4;t=1';
    return 200 "backend\n";
}
--- limit
gateway_limit zone=z;
proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/limited-too;
--- requests eval
[
    [ 'the first' => 'a', 'passed', served => 0,
      response => { 'RateLimit-Policy' =>
                        '"inner";q=5;w=5, "z";q=2;w=7200',
                    'RateLimit' => '"inner";r=4;t=1, "z";r=1;t=3600' } ],
]



=== TEST 19: answers of all kinds have the fields, once
--- zone: rate=1r/h burst=100
--- server
location /files/ {
    gateway_limit zone=z;
    add_header X-Status $gateway_limit_status always;
    add_header X-Zone $gateway_limit_zone always;
    add_header X-Remaining $gateway_limit_remaining always;
    alias html/;
    log_not_found off;
    if_modified_since before;
}

location = /gone {
    gateway_limit zone=z;
    add_header X-Status $gateway_limit_status always;
    add_header X-Zone $gateway_limit_zone always;
    add_header X-Remaining $gateway_limit_remaining always;
    proxy_pass http://127.0.0.1:1/;
}
--- user_files
>>> file.txt
0123456789
--- requests eval
[
    [ '200' => 'a', 'passed', at => 'files/file.txt', r => 99, served => 0,
      body => "0123456789\n" ],
    [ '304' => 'a', 'passed', at => 'files/file.txt', r => 98, served => 0,
      send => 'If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT',
      code => 304, body => '' ],
    [ '206' => 'a', 'passed', at => 'files/file.txt', r => 97, served => 0,
      send => 'Range: bytes=2-4', code => 206, body => '234' ],
    [ '416' => 'a', 'passed', at => 'files/file.txt', r => 96, served => 0,
      send => 'Range: bytes=200-400', code => 416, body => qr/416/,
      response => { map { $_ => '.*' } qw( X-Status X-Zone X-Remaining ) } ],
    [ '404' => 'a', 'passed', at => 'files/none.txt', r => 95, served => 0,
      code => 404, body => qr/404/ ],
    [ '301' => 'a', 'passed', at => 'files/dir', r => 94, served => 0,
      code => '404', body => qr/404/ ],
    [ '405' => 'a', 'passed', request => 'PUT /files/file.txt', r => 93,
      served => 0, code => 405, body => qr/405/ ],
    [ '502' => 'a', 'passed', at => 'gone', r => 92, served => 0, code => 502,
      body => qr/502/, log => [ '\[error\] connect\(\) failed .*' ] ],
]



=== TEST 20: one set of fields after internal redirects
--- zone: rate=1r/h burst=100
--- server
location = /start {
    gateway_limit zone=z;
    try_files /none /middle;
}

location = /middle {
    gateway_limit zone=z;
    error_page 404 = /t;
    root html;
    log_not_found off;
}
--- requests eval
[
    [ 'two of them' => 'a', 'passed', at => 'start', r => 99,
      response => { 'RateLimit-Policy' => '"z";q=100;w=360000',
                    'RateLimit' => '"z";r=99;t=3600' } ],
]



=== TEST 21: a dry run is not to be noticed
--- zone: rate=1r/h
--- limit
gateway_limit zone=z dry_run;
gateway_limit_headers legacy;
--- requests eval
[
    [ 'passed' => 'a', 'passed', left => 0, response => $main::None ],
    [ 'would be refused' => 'a', 'dry_run_rejected', left => 0,
      response => $main::None,
      log => [ '\[info\] gateway_limit refuses the request, dry run: '
               . 'zone "z"' ] ],
    [ 'would be refused again' => 'a', 'dry_run_rejected', left => 0,
      response => $main::None ],
]



=== TEST 22: a dry run beside a limit that is meant
--- zones
gateway_limit_zone $http_x_key zone=dry:64k rate=1r/h;
gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=3;
--- limit
gateway_limit zone=dry dry_run;
gateway_limit zone=z;
gateway_limit_headers legacy;
--- requests eval
my $policy = { 'RateLimit-Policy' => '"z";q=3;w=10800',
               'X-RateLimit-Limit' => 3 };
[
    [ 'passed' => 'a', 'passed', zone => 'dry', left => 0,
      response => { %$policy, 'RateLimit' => '"z";r=2;t=3600' } ],
    [ 'would be refused' => 'a', 'dry_run_rejected', zone => 'dry', left => 0,
      response => { %$policy, 'RateLimit' => fields([ 'z', 1, 7200 ]) },
      log => [ '\[info\] gateway_limit refuses the request, dry run: '
               . 'zone "dry"' ] ],
    [ 'would be refused again' => 'a', 'dry_run_rejected', zone => 'dry',
      left => 0,
      response => { %$policy, 'RateLimit' => fields([ 'z', 0, 10800 ]) } ],
    [ 'is refused' => 'a', 'rejected', left => 0,
      response => { %$policy, 'RateLimit' => fields([ 'z', 0, 10800 ]),
                    'Retry-After' => seconds(3600) },
      log => [ '\[info\] gateway_limit refuses the request: zone "z"' ] ],
]



=== TEST 23: what is not limited has no fields
--- zone: rate=1r/h
--- locations eval
[ free => '' ]
--- requests eval
[
    [ 'no limit' => 'a', '', at => 'free', response => $main::None ],
    [ 'no key' => undef, '', response => $main::None ],
]



=== TEST 24: the levels of the log
--- zones
gateway_limit_zone $http_x_key zone=z:64k rate=1r/h;
gateway_limit_log_level error;
--- limit
gateway_limit zone=z;
--- locations eval
[ map { $_ => "gateway_limit zone=z; gateway_limit_log_level $_;" }
  qw( info notice warn error ) ]
--- requests eval
my $refused = 'gateway_limit refuses the request: zone "z"';
[
    [ 'the first' => 'a', 'passed', log => [] ],
    [ 'inherited' => 'a', 'rejected', log => [ "\\[error\\] $refused" ] ],
    map { [ $_ => 'a', 'rejected', at => $_,
            log => [ "\\[$_\\] $refused" ] ] } qw( info notice warn error )
]
--- no_error_log
[alert]



=== TEST 25: Retry-After is true: a second less is too early
--- zone: rate=30r/m
--- limit
gateway_limit zone=z;
--- locations eval
[ three => 'gateway_limit zone=z burst=3 cost=3;' ]
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'at once' => 'a', 'rejected', response => { 'Retry-After' => 2 },
      pause => 1 ],
    [ 'a second later' => 'a', 'rejected', response => { 'Retry-After' => 1 },
      pause => 1 ],
    [ 'two seconds later' => 'a', 'passed' ],
    [ 'at once again' => 'a', 'rejected', response => { 'Retry-After' => 2 } ],
    [ 'more at once' => 'a', 'rejected', at => 'three',
      response => { 'Retry-After' => 2 }, pause => 2 ],
    [ 'more, two seconds later' => 'a', 'passed', at => 'three', r => 0 ],
    [ 'more again' => 'a', 'rejected', at => 'three',
      response => { 'Retry-After' => 6 } ],
]
