
# Several limits for one request: all of them or none, and each one once,
# whatever nginx makes of the request.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayJWT;
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

our $Zones = <<'_EOC_';
gateway_limit_zone $http_x_key zone=one:64k rate=1r/h burst=3;
gateway_limit_zone $http_x_two zone=two:64k rate=1r/d burst=1;
_EOC_

our $Add = <<'_EOC_';
add_header X-Status $gateway_limit_status always;
add_header X-Zone $gateway_limit_zone always;
add_header X-Remaining $gateway_limit_remaining always;
_EOC_

our $Backend = 'proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT'
               . '/backend/$http_x_run;';

our $Issuer = <<'_EOC_';
gateway_jwt_issuer corp {
    issuer   https://id.example.com;
    audience api;
    key_file $TEST_NGINX_SERVER_ROOT/html/corp.jwks;
}
_EOC_

our @Files = ([ 'corp.jwks' => jwks('p256') ]);

# tokens of users that each repetition has for itself are of the key's name

our $Good = 'Authorization: Bearer ' . jwt({}, key => 'p256');
our $Bob = 'Authorization: Bearer ' . jwt({ sub => 'bob' }, key => 'p256');
our $Expired = 'Authorization: Bearer ' . jwt({ exp => at(-60) },
                                              key => 'p256');

run_blocks();

__DATA__

=== TEST 1: two zones, and both are charged
--- zones eval: $main::Zones
--- limit
gateway_limit zone=one;
gateway_limit zone=two;
--- locations eval
[ one => 'gateway_limit zone=one;', two => 'gateway_limit zone=two;' ]
--- requests eval
[
    [ 'both' => 'a', 'passed', zone => 'two', left => 0,
      send => 'X-Two: %RUN%',
      response => { 'RateLimit-Policy' =>
                        '"one";q=3;w=10800, "two";q=1;w=86400',
                    'RateLimit' => fields([ 'one', 2, 3600 ],
                                          [ 'two', 0, 86400 ]) } ],
    [ 'the first' => 'a', 'passed', at => 'one', zone => 'one', r => 1 ],
    [ 'the second' => 'a', 'rejected', at => 'two', zone => 'two', r => 0,
      send => 'X-Two: %RUN%' ],
]



=== TEST 2: the later one refuses, and the earlier one gets its tokens back
--- zones eval: $main::Zones
--- limit
gateway_limit zone=one cost=2;
gateway_limit zone=two;
--- locations eval
[ one => 'gateway_limit zone=one;', two => 'gateway_limit zone=two;' ]
--- requests eval
[
    [ 'the second is emptied' => 'a', 'passed', at => 'two', zone => 'two',
      r => 0, send => 'X-Two: %RUN%' ],
    (map { [ "refused, time $_" => 'a', 'rejected', zone => 'two', left => 0,
             send => 'X-Two: %RUN%',
             response => { 'RateLimit' => fields([ 'one', 3, 0 ],
                                                 [ 'two', 0, 86400 ]),
                           'Retry-After' => seconds(86400) } ] } 1 .. 5),
    [ 'the first is full' => 'a', 'passed', at => 'one', zone => 'one',
      r => 2, response => { 'RateLimit' => '"one";r=2;t=3600' } ],
]



=== TEST 3: the earlier one refuses, and the later one is not charged
--- zones eval: $main::Zones
--- limit
gateway_limit zone=two;
gateway_limit zone=one cost=2;
--- locations eval
[ one => 'gateway_limit zone=one;', two => 'gateway_limit zone=two;' ]
--- requests eval
[
    [ 'the second is emptied' => 'a', 'passed', at => 'two', zone => 'two',
      r => 0, send => 'X-Two: %RUN%' ],
    (map { [ "refused, time $_" => 'a', 'rejected', zone => 'two', left => 0,
             send => 'X-Two: %RUN%',
             response => { 'RateLimit' => fields([ 'two', 0, 86400 ],
                                                 [ 'one', 3, 0 ]) } ] }
         1 .. 3),
    [ 'the first is full' => 'a', 'passed', at => 'one', zone => 'one', r => 2,
      response => { 'RateLimit' => '"one";r=2;t=3600' } ],
]



=== TEST 4: three zones, the last refuses
--- zones
gateway_limit_zone $http_x_key zone=one:64k rate=1r/h burst=3;
gateway_limit_zone $http_x_key$http_x_key zone=other:64k rate=1r/h burst=3;
gateway_limit_zone $http_x_two zone=two:64k rate=1r/d burst=1;
--- limit
gateway_limit zone=one;
gateway_limit zone=other;
gateway_limit zone=two;
--- requests eval
[
    [ 'all' => 'a', 'passed', zone => 'two', left => 0,
      send => 'X-Two: %RUN%' ],
    (map { [ "refused, time $_" => 'a', 'rejected', zone => 'two', left => 0,
             send => 'X-Two: %RUN%',
             response => { 'RateLimit' => fields([ 'one', 2, 3600 ],
                                                 [ 'other', 2, 3600 ],
                                                 [ 'two', 0, 86400 ]) } ] }
         1 .. 3),
    [ 'another one of the third' => 'a', 'passed', zone => 'two', left => 0,
      send => 'X-Two: %RUN%-2',
      response => { 'RateLimit' => fields([ 'one', 1, 7200 ],
                                          [ 'other', 1, 7200 ],
                                          [ 'two', 0, 86400 ]) } ],
]



=== TEST 5: when both refuse, the first is named, and Retry-After is for both
--- zones eval: $main::Zones
--- limit
gateway_limit zone=one cost=3;
gateway_limit zone=two;
--- requests eval
[
    [ 'both' => 'a', 'passed', zone => 'one', left => 0,
      send => 'X-Two: %RUN%' ],
    [ 'neither' => 'a', 'rejected', zone => 'one', left => 0,
      send => 'X-Two: %RUN%', response => { 'Retry-After' => seconds(86400) } ],
    [ 'only the second' => 'b', 'rejected', zone => 'two', left => 0,
      send => 'X-Two: %RUN%', response => { 'Retry-After' => seconds(86400) } ],
    [ 'only the first' => 'a', 'rejected', zone => 'one', left => 0,
      send => 'X-Two: %RUN%-2',
      response => { 'Retry-After' => seconds(10800) } ],
    [ 'that was not charged' => 'c', 'passed', zone => 'one', left => 0,
      send => 'X-Two: %RUN%-2' ],
]



=== TEST 6: one of the keys is empty
--- zones eval: $main::Zones
--- limit
gateway_limit zone=one;
gateway_limit zone=two;
--- requests eval
[
    [ 'the second' => 'a', 'passed', zone => 'one', r => 2,
      response => { 'RateLimit-Policy' => '"one";q=3;w=10800',
                    'RateLimit' => '"one";r=2;t=3600' } ],
    [ 'the first' => undef, 'passed', zone => 'two', r => 0,
      send => 'X-Two: %RUN%',
      response => { 'RateLimit-Policy' => '"two";q=1;w=86400' } ],
    [ 'both' => undef, '' ],
]



=== TEST 7: limits are inherited, and replaced where there are others
--- zones
gateway_limit_zone $http_x_key zone=http:64k rate=1r/h burst=9;
gateway_limit_zone $http_x_key zone=loc:64k rate=1r/h burst=9;
gateway_limit zone=http;
--- limit
--- server
location /nested {
    location /nested/one {
        add_header X-Status $gateway_limit_status always;
        add_header X-Zone $gateway_limit_zone always;
        add_header X-Remaining $gateway_limit_remaining always;
        gateway_limit zone=loc;

        location /nested/one/two {
            proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$http_x_run;
        }
    }

    location /nested/other {
        add_header X-Status $gateway_limit_status always;
        add_header X-Zone $gateway_limit_zone always;
        add_header X-Remaining $gateway_limit_remaining always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$http_x_run;
    }
}
--- locations eval
[ own => 'gateway_limit zone=loc;',
  both => "gateway_limit zone=loc cost=2;\ngateway_limit zone=http cost=3;",
  after => 'gateway_limit zone=loc after_auth;',
  status => 'gateway_limit_status 503;' ]
--- requests eval
[
    [ "http's" => 'a', 'passed', zone => 'http', r => 8 ],
    [ "http's, where there is another directive" => 'a', 'passed',
      at => 'status', zone => 'http', r => 7 ],
    [ "the location's own" => 'a', 'passed', at => 'own', zone => 'loc',
      r => 8 ],
    [ "the location's own, after_auth" => 'a', 'passed', at => 'after',
      zone => 'loc', r => 7 ],
    [ 'both, explicitly' => 'a', 'passed', at => 'both', zone => 'http',
      response => { 'RateLimit' => fields([ 'loc', 5, 14400 ],
                                          [ 'http', 4, 18000 ]) } ],
    [ 'nested, from its outer location' => 'a', 'passed', zone => 'loc',
      at => 'nested/one/two', r => 4 ],
    [ 'nested, from http' => 'a', 'passed', zone => 'http',
      at => 'nested/other', r => 3 ],
]



=== TEST 8: limits of a server
--- zones
gateway_limit_zone $http_x_key zone=http:64k rate=1r/h burst=9;
gateway_limit_zone $http_x_key zone=server:64k rate=1r/h burst=9;
gateway_limit zone=http;
--- server
gateway_limit zone=server;
--- limit
--- locations eval
[ own => 'gateway_limit zone=http;' ]
--- requests eval
[
    [ "the server's" => 'a', 'passed', zone => 'server', r => 8 ],
    [ "the location's" => 'a', 'passed', zone => 'http', at => 'own', r => 8 ],
]



=== TEST 9: limit_except
--- zone: rate=1r/h burst=1
--- limit
limit_except GET {
    gateway_limit zone=z;
}
--- requests eval
[
    [ 'GET' => 'a', '' ],
    [ 'GET again' => 'a', '' ],
    [ 'POST' => 'a', 'passed', request => "POST /t\nbody", r => 0 ],
    [ 'POST again' => 'a', 'rejected', request => "POST /t\nbody", r => 0 ],
    [ 'PUT' => 'a', 'rejected', request => "PUT /t\nbody", r => 0 ],
    [ 'GET once more' => 'a', '' ],
]



=== TEST 10: limit_except beside a limit of the location
--- zones
gateway_limit_zone $http_x_key zone=get:64k rate=1r/h burst=1;
gateway_limit_zone $http_x_key zone=set:64k rate=1r/h burst=1;
--- limit
gateway_limit zone=get;
limit_except GET {
    gateway_limit zone=set;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$http_x_run;
}
--- requests eval
[
    [ 'GET' => 'a', 'passed', zone => 'get', r => 0 ],
    [ 'PUT' => 'a', 'passed', zone => 'set', r => 0,
      request => "PUT /t\nbody" ],
    [ 'GET again' => 'a', 'rejected', zone => 'get', r => 0 ],
    [ 'PUT again' => 'a', 'rejected', zone => 'set', r => 0,
      request => "PUT /t\nbody" ],
]



=== TEST 11: auth_request
--- zone: rate=1r/h burst=2
--- server
location = /auth {
    internal;
    gateway_limit zone=z;
    empty_gif;
}
--- limit
gateway_limit zone=z;
auth_request /auth;
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 1 ],
    [ 'the second' => 'a', 'passed', r => 0 ],
    [ 'the third' => 'a', 'rejected', r => 0 ],
]



=== TEST 12: auth_request to what alone is limited
--- zone: rate=1r/h burst=1
--- server
location = /auth {
    internal;
    gateway_limit zone=z;
    empty_gif;
}
--- limit
auth_request /auth;
--- requests eval
[
    [ 'the first' => 'a', '' ],
    [ 'the second' => 'a', '' ],
]



=== TEST 13: SSI
--- zone: rate=1r/h burst=2
--- server eval
<<"_EOC_";
location = /page.html {
    $main::Add
    root html;
    ssi on;
    gateway_limit zone=z;
}

location = /part.html {
    $main::Add
    root html;
    ssi on;
    gateway_limit zone=z cost=2;
}
_EOC_
--- user_files
>>> page.html
[<!--# include virtual="/part.html?1" --><!--# include virtual="/part.html?2" --><!--# include virtual="/part.html?3" -->]
>>> part.html
part <!--# echo var="gateway_limit_zone" --> <!--# echo var="gateway_limit_remaining" -->;
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 1, at => 'page.html', served => 0,
      body => "[part z 1;\npart z 1;\npart z 1;\n]\n" ],
    [ 'the second' => 'a', 'passed', r => 0, at => 'page.html', served => 0,
      body => "[part z 0;\npart z 0;\npart z 0;\n]\n" ],
    [ 'the third' => 'a', 'rejected', r => 0, at => 'page.html' ],
    [ 'the part by itself' => 'a', 'rejected', r => 0, at => 'part.html' ],
]



=== TEST 14: mirror
--- zone: rate=1r/h burst=2
--- server
location = /mirror {
    internal;
    gateway_limit zone=z cost=2;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$http_x_run;
}
--- limit
gateway_limit zone=z;
mirror /mirror;
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 1, pause => 0.02 ],
    [ 'the second' => 'a', 'passed', r => 0, served => 3 ],
    [ 'the third' => 'a', 'rejected', r => 0 ],
]



=== TEST 15: try_files
--- zones eval: $main::Zones
--- server eval
<<"_EOC_";
location = /try {
    gateway_limit zone=one;
    try_files /no-such-file /same;
}

location = /try-other {
    gateway_limit zone=one;
    try_files /no-such-file /other;
}

location = /try-named {
    gateway_limit zone=one;
    try_files /no-such-file \@named;
}

location \@named {
    $main::Add
    $main::Backend
    gateway_limit zone=one cost=2;
}
_EOC_
--- limit
--- locations eval
[ same => 'gateway_limit zone=one;',
  other => 'gateway_limit zone=two;' ]
--- requests eval
[
    [ 'the same zone' => 'a', 'passed', at => 'try', zone => 'one', r => 2,
      response => { 'RateLimit' => '"one";r=2;t=3600' } ],
    [ 'the same zone, in a named location' => 'a', 'passed',
      at => 'try-named', zone => 'one', r => 1 ],
    [ 'another zone' => 'a', 'passed', at => 'try-other',
      zone => '(?:one|two)', left => 0, send => 'X-Two: %RUN%',
      response => { 'RateLimit' => fields([ 'one', 0, 10800 ],
                                          [ 'two', 0, 86400 ]) } ],
    [ 'none left' => 'a', 'rejected', at => 'try-named', zone => 'one',
      response => { 'X-Status' => undef, 'X-Zone' => undef,
                    'X-Remaining' => undef } ],
]
--- no_error_log
[alert]



=== TEST 16: the zone of the target refuses, and all is given back
--- zones eval: $main::Zones
--- server
location = /try {
    gateway_limit zone=one;
    try_files /no-such-file /other;
}
--- limit
gateway_limit zone=one;
--- locations eval
[ other => 'gateway_limit zone=two;' ]
--- requests eval
[
    [ 'both' => 'a', 'passed', at => 'try', zone => 'two', left => 0,
      send => 'X-Two: %RUN%' ],
    (map { [ "refused, time $_" => 'a', 'rejected', at => 'try',
             zone => 'two', left => 0, send => 'X-Two: %RUN%',
             response => { 'RateLimit' => fields([ 'one', 2, 3600 ],
                                                 [ 'two', 0, 86400 ]) } ] }
         1 .. 3),
    [ 'what is left of the first' => 'a', 'passed', zone => 'one', r => 1 ],
]



=== TEST 17: error_page
--- zone: rate=1r/h burst=2
--- server eval
<<"_EOC_";
location = /missing {
    $main::Add
    root html;
    gateway_limit zone=z;
    error_page 404 = \@fallback;
    log_not_found off;
}

location \@fallback {
    $main::Add
    $main::Backend
    gateway_limit zone=z;
}
_EOC_
--- limit
--- requests eval
[
    [ 'the first' => 'a', 'passed', at => 'missing', r => 1 ],
    [ 'the second' => 'a', 'passed', at => 'missing', r => 0 ],
    [ 'the third' => 'a', 'rejected', at => 'missing', r => 0 ],
]



=== TEST 18: rewrites
--- zone: rate=1r/h burst=2
--- server
location = /rewrite {
    gateway_limit zone=z;
    rewrite ^ /t last;
}

location = /hops {
    gateway_limit zone=z;
    rewrite ^ /hop last;
}

location = /hop {
    gateway_limit zone=z;
    rewrite ^ /t last;
}
--- requests eval
[
    [ 'one' => 'a', 'passed', at => 'rewrite', r => 1 ],
    [ 'two' => 'a', 'passed', at => 'hops', r => 0 ],
    [ 'none left' => 'a', 'rejected', at => 'rewrite', r => 0 ],
]



=== TEST 19: an index
--- zone: rate=1r/h burst=2
--- server eval
<<"_EOC_";
location /dir/ {
    $main::Add
    root html;
    index start.html;
    gateway_limit zone=z;
}
_EOC_
--- limit
--- user_files
>>> dir/start.html
start
--- requests eval
[
    [ 'the first' => 'a', 'passed', at => 'dir/', r => 1, body => "start\n",
      served => 0 ],
    [ 'the second' => 'a', 'passed', at => 'dir/', r => 0, body => "start\n",
      served => 0 ],
    [ 'the third' => 'a', 'rejected', at => 'dir/', r => 0 ],
]



=== TEST 20: X-Accel-Redirect
--- zone: rate=1r/h burst=2
--- server
location = /accel {
    gateway_limit zone=z;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/send;
}

location = /send {
    add_header X-Accel-Redirect /t;
    return 204;
}
--- requests eval
[
    [ 'the first' => 'a', 'passed', at => 'accel', r => 1 ],
    [ 'the second' => 'a', 'passed', at => 'accel', r => 0 ],
    [ 'the third' => 'a', 'rejected', at => 'accel', r => 0,
      response => { 'X-Status' => undef, 'X-Zone' => undef,
                    'X-Remaining' => undef } ],
]



=== TEST 21: after_auth: who is not let in is not charged
--- http_config eval
$main::Issuer . <<'_EOC_';
gateway_limit_zone $http_x_key zone=after:64k rate=1r/h burst=2;
_EOC_
--- limit
gateway_jwt "api" issuer=corp;
gateway_limit zone=after after_auth;
--- user_files eval: \@main::Files
--- requests eval
my @closed = (code => 401, served => 0, body => qr/"status":401/);
[
    [ 'no token' => 'a', '', @closed ],
    [ 'no token again' => 'a', '', @closed ],
    [ 'an old token' => 'a', '', @closed, send => $main::Expired ],
    [ 'an old token again' => 'a', '', @closed, send => $main::Expired ],
    [ 'a good token' => 'a', 'passed', zone => 'after', r => 1,
      send => $main::Good ],
    [ 'a good token again' => 'a', 'passed', zone => 'after', r => 0,
      send => $main::Good ],
    [ 'a good token, but no more' => 'a', 'rejected', zone => 'after', r => 0,
      send => $main::Good ],
    [ 'no token, and no word of limits' => 'a', '', @closed ],
]



=== TEST 22: without after_auth everybody is charged
--- http_config eval
$main::Issuer . <<'_EOC_';
gateway_limit_zone $http_x_key zone=before:64k rate=1r/h burst=2;
_EOC_
--- limit
gateway_jwt "api" issuer=corp;
gateway_limit zone=before;
--- user_files eval: \@main::Files
--- requests eval
my @closed = (code => 401, served => 0, body => qr/"status":401/);
[
    [ 'no token' => 'a', 'passed', zone => 'before', r => 1, @closed ],
    [ 'an old token' => 'a', 'passed', zone => 'before', r => 0, @closed,
      send => $main::Expired ],
    [ 'a good token, but no more' => 'a', 'rejected', zone => 'before',
      r => 0, send => $main::Good ],
    [ 'no token, no more' => 'a', 'rejected', zone => 'before', r => 0 ],
]



=== TEST 23: a verified claim is a key
--- http_config eval
$main::Issuer . <<'_EOC_';
gateway_limit_zone $gateway_jwt_claim_sub$http_x_key zone=sub:64k rate=1r/h burst=1;
_EOC_
--- limit
gateway_jwt "api" issuer=corp;
gateway_limit zone=sub after_auth;
--- user_files eval: \@main::Files
--- requests eval
[
    [ 'alice' => '', 'passed', zone => 'sub', r => 0, send => $main::Good ],
    [ 'alice again' => '', 'rejected', zone => 'sub', r => 0,
      send => $main::Good ],
    [ 'bob' => '', 'passed', zone => 'sub', r => 0, send => $main::Bob ],
    [ 'bob again' => '', 'rejected', zone => 'sub', r => 0,
      send => $main::Bob ],
]



=== TEST 24: a refusal after_auth gives back what was taken before
--- http_config eval
$main::Issuer . $main::Zones;
--- limit
gateway_jwt "api" issuer=corp;
gateway_limit zone=one;
gateway_limit zone=two after_auth;
--- user_files eval: \@main::Files
--- requests eval
my @two = (send => "$main::Good\nX-Two: %RUN%");
[
    [ 'both' => 'a', 'passed', zone => 'two', left => 0, @two,
      response => { 'RateLimit' => fields([ 'one', 2, 3600 ],
                                          [ 'two', 0, 86400 ]) } ],
    (map { [ "refused, time $_" => 'a', 'rejected', zone => 'two', left => 0,
             @two,
             response => { 'RateLimit' => fields([ 'one', 2, 3600 ],
                                                 [ 'two', 0, 86400 ]) } ] }
         1 .. 4),
    [ 'no token, which is charged before' => 'a', 'passed', zone => 'one',
      r => 1, code => 401, served => 0, body => qr/"status":401/,
      send => 'X-Two: %RUN%' ],
    [ 'another of the second' => 'a', 'passed', zone => '(?:one|two)',
      left => 0, send => "$main::Good\nX-Two: %RUN%-2",
      response => { 'RateLimit' => fields([ 'one', 0, 10800 ],
                                          [ 'two', 0, 86400 ]) } ],
]



=== TEST 25: after_auth and addresses
--- zones eval: $main::Zones
--- limit
gateway_limit zone=one after_auth;
deny all;
--- locations eval
[ open => 'gateway_limit zone=one after_auth; allow 127.0.0.1; deny all;' ]
--- requests eval
[
    [ 'closed' => 'a', '', code => 403, served => 0, body => qr/403/,
      log => [ '\[error\] access forbidden by rule' ] ],
    [ 'open' => 'a', 'passed', at => 'open', zone => 'one', r => 2 ],
]



=== TEST 26: an invalid cost after_auth gives back what was taken before
--- zones
gateway_limit_zone $http_x_key zone=before:64k rate=1r/h burst=2;
gateway_limit_zone $http_x_key zone=after:64k rate=1r/h burst=2;
--- limit
gateway_limit zone=before;
gateway_limit zone=after after_auth cost=$http_x_cost;
--- requests eval
[
    [ 'invalid' => 'a', 'error', send => 'X-Cost: x',
      response => { map { $_ => '.*' } qw( RateLimit RateLimit-Policy X-Zone
                                           X-Status X-Remaining ) } ],
    [ 'good' => 'a', 'passed', zone => '(?:before|after)', left => 1,
      send => 'X-Cost: 1',
      response => { 'RateLimit' => fields([ 'before', 1, 3600 ],
                                          [ 'after', 1, 3600 ]) } ],
]



=== TEST 27: the zone with the fewest tokens left is the one that is named
--- zones
gateway_limit_zone $http_x_key zone=many:64k rate=1r/h burst=9;
gateway_limit_zone $http_x_key zone=few:64k rate=1r/h burst=3;
gateway_limit_zone $http_x_key zone=more:64k rate=1r/h burst=5;
--- limit
gateway_limit zone=many;
gateway_limit zone=few;
gateway_limit zone=more;
--- requests eval
[
    [ 'the first' => 'a', 'passed', zone => 'few', left => 2 ],
    [ 'the second' => 'a', 'passed', zone => 'few', left => 1 ],
]
