
# The variables: what they are, and when.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: values with variables
--- routes
GET  /text      text;
GET  /host      http://$host:81/x;
GET  /path/:id  id-$gateway_path_id;
GET  /args      "$arg_a b";
GET  /empty     $arg_none;
GET  /equals    http://a/?b=$arg_b;
GET  /quoted    "a;b {c}";
--- tell: [$to]
--- requests eval
[
    [ '/text' => '[text]' ],
    [ '/host' => '[http://localhost:81/x]' ],
    [ '/path/7' => '[id-7]' ],
    [ '/args?a=1' => '[1 b]' ],
    [ '/args' => '[ b]' ],
    [ '/empty' => '[]', route => '/empty' ],
    [ '/equals?b=2' => '[http://a/?b=2]' ],
    [ '/quoted' => '[a;b {c}]' ],
]



=== TEST 2: a value that is an upstream, an address, a URI
--- http
upstream service {
    server unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- routes
GET  /upstream/**  service;
GET  /address/**   unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:;
--- server
location / {
    gateway_route $to;
    proxy_set_header X-Told $gateway_route;
    proxy_pass http://$to;
}
--- requests eval
[
    [ '/upstream/a%20b?c' => '/upstream/**', served => 'GET /upstream/a%20b?c',
      response => { 'X-Told' => undef } ],
    [ '/address/a%20b?c' => '/address/**', served => 'GET /address/a%20b?c',
      response => { 'X-Told' => undef } ],
    [ '/none' => [404] ],
]



=== TEST 3: without a route
--- routes
GET   /a/:id  a;
POST  /b      b;
--- tell: [$to] [$gateway_route] [$gateway_route_value] [$gateway_route_split] [$gateway_path_id] [$gateway_path_escaped_id]
--- server
error_page 404 405 = @none;

location @none {
    set $told "[$to] [$gateway_route] [$gateway_route_value] [$gateway_route_split] [$gateway_path_id] [$gateway_path_escaped_id]";
    add_header X-Told $told always;
    return 200 "$told\n";
}
--- requests eval
[
    [ '/a/1' => '[a] [/a/:id] [a] [] [1] [1]' ],
    [ '/none' => '[] [] [] [] [] []' ],
    [ '/b' => '[] [] [] [] [] []',
      response => { Allow => 'POST' } ],
]



=== TEST 4: reading $gateway_route_value chooses nothing
--- routes
GET  /a  a=1 b=1;
--- tell: [$gateway_route_value$gateway_route_split] $to [$gateway_route_split] [$gateway_route_value]
--- server
location / {
    gateway_route $to;
    set $before "[$gateway_route_value$gateway_route_split]";
    add_header X-Before $before;
    add_header X-After "$gateway_route_split $gateway_route_value.$to";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    proxy_set_header X-Told $before;
}
--- requests eval
[
    [ '/a' => '[]', response => { 'X-Told' => undef } ],
]
--- response_headers_like
X-After: random (?:a\.a|b\.b)



=== TEST 5: default
--- routes
GET  /a   a;
default   b-$arg_x;
--- tell: [$to] [$gateway_route] [$gateway_route_value]
--- requests eval
[
    [ '/a' => '[a] [/a] [a]' ],
    [ '/b?x=1' => '[b-1] [default] [b-1]' ],
]



=== TEST 6: several tables
--- http
gateway_routes $one {
    GET  /a/:id     one_a;
    GET  /only1/:x  one_only;
}

gateway_routes $two {
    GET  /:kind/:no  two_a;
}
--- server
location / {
    proxy_set_header X-Told "$two $one, $gateway_route [$gateway_path_id] [$gateway_path_no]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;

    location /a/check1 {
        gateway_route $one;
        proxy_set_header X-Told "$two $one, $gateway_route [$gateway_path_id] [$gateway_path_no]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    }

    location /a/check2 {
        gateway_route $two;
        proxy_set_header X-Told "$two $one, $gateway_route [$gateway_path_id] [$gateway_path_no]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    }

    location /a/none {
        proxy_set_header X-Told "[$gateway_route$gateway_path_id]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    }

    location /only1/ {
        gateway_route $two;
        proxy_set_header X-Told "[$gateway_route] $gateway_path_kind [$gateway_path_x] $one [$gateway_path_x]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    }
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/a/7' => 'two_a one_a, /a/:id [7] []', @more ],
    [ '/a/check1' => 'two_a one_a, /a/:id [check1] []', @more ],
    [ '/a/check2' => 'two_a one_a, /:kind/:no [] [check2]', @more ],
    [ '/a/none' => '[]', @more ],
    [ '/only1/x' => '[/:kind/:no] only1 [] one_only []', @more ],
]



=== TEST 7: one table is the one that they tell of, looked up or not
--- routes
GET  /a/:id  a;
--- server
location / {
    proxy_set_header X-Told "[$gateway_route] [$gateway_path_escaped_id] [$gateway_route_value]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
[
    [ '/a/7' => '[/a/:id] [7] []', response => { 'X-Told' => undef } ],
    [ '/b' => '[] [] []', response => { 'X-Told' => undef } ],
]



=== TEST 8: in map, if, set, and in the access log
--- http
map $gateway_route $mapped {
    /a/:id   "is a";
    default  other;
}

map $gateway_path_id $id_mapped {
    ~^[0-9]+$  number;
    default    word;
}

log_format routes "$request_uri $gateway_route $gateway_route_value $gateway_path_id";
--- routes
GET  /a/:id  a;
GET  /b/:id  b;
--- server
access_log logs/access.log routes;
--- lines
    if ($to = b) {
        add_header X-If b;
    }
--- check
    gateway_route $to;
    set $copy "$gateway_path_id";
--- tell: $mapped, $id_mapped, $copy
--- requests eval
[
    [ '/a/7' => 'is a, number, 7', response => { 'X-If' => undef } ],
    [ '/a/x' => 'is a, word, x', response => { 'X-If' => undef } ],
]
--- access_log eval
qr{^/a/(7|x) /a/:id a \1$}m



=== TEST 9: captures of a location, and those of routes
--- routes
GET  "/a/:id([0-9]+(-([a-z]+))?)"  a;
GET  /b/:id(.*)                    b;
--- server
location ~ ^/(?<first>[ab])/(.)(.*)$ {
    gateway_route $to;
    add_header X-Told "$to $gateway_path_id [$1] [$2] [$3] [$first]";
    proxy_set_header X-Told "$to $gateway_path_id [$1] [$2] [$3] [$first]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
[
    [ '/a/12-xy' => 'a 12-xy [a] [1] [2-xy] [a]' ],
    [ '/b/12-xy' => 'b 12-xy [b] [1] [2-xy] [b]' ],
    [ '/a/xy' => [404] ],
]



=== TEST 10: a value's own name, in another case
--- routes
GET  /a  a;
--- check
gateway_route $TO;
--- tell: $TO $to
--- requests eval
[
    [ '/a' => 'a a' ],
    [ '/b' => [404] ],
]



=== TEST 11: a value that is its own variable
--- routes
GET  /a  $to;
--- requests eval
[
    [ '/a' => '' ],
]
--- error_log eval
[ qr/\[error\].*cycle while evaluating variable "to"/ ]



=== TEST 12: what a text has begun with is not changed by what follows
--- http
map $gateway_route_value $seen {
    ""       nothing;
    default  "something that is longer";
}
--- routes
GET  /a  aaaaaaaa;
--- tell: [$gateway_route_value] $to $seen [$gateway_route_value]
--- requests eval
[
    [ '/a' => '[] aaaaaaaa nothing []' ],
]



=== TEST 13: the log tells what was chosen after a text has said that nothing was
--- http
log_format routes "$request_uri [$gateway_route_value]";
--- routes
GET  /a  aaa;
--- server
access_log logs/access.log routes;
--- tell: [$gateway_route_value] $to
--- requests eval
[
    [ '/a' => '[] aaa' ],
]
--- access_log eval
qr{^/a \[aaa\]$}m



=== TEST 14: the same with several tables
--- http
map $gateway_route $seen {
    ""       nothing;
    default  "something that is longer";
}

gateway_routes $one {
    GET  /a/:id  one;
}

gateway_routes $two {
    GET  /a/:x   two-$gateway_path_x;
}
--- server
location / {
    set $early "[$gateway_route]";
    proxy_set_header X-Told "$early [$gateway_route] $one $seen [$gateway_route] $two";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;

    location /a/later {
        set $early "[$gateway_route]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:/$one;
        proxy_set_header X-Told "$early [$gateway_route]";
    }

    location /a/set {
        set $text "[$gateway_path_id] $one [$gateway_path_id]";
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
        proxy_set_header X-Told "$text [$gateway_path_id]";
    }
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/a/7' => '[] [] one nothing [] two-', @more ],
    [ '/a/later' => '[] [/a/:id]', @more ],
    [ '/a/set' => '[] one [] [set]', @more ],
]



=== TEST 15: tables that ask each other are looked up once
--- http
gateway_routes $one {
    GET  /a  one_a=1 one_b=1;
}
--- routes
GET  /a  a  if=$one;
GET  /a  b;
--- server
location / {
    gateway_route $one;
    proxy_set_header X-Told "$told [$gateway_route_split]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;

    set $told $to;
}
--- requests eval
[
    [ '/a' => 'a [random]', response => { 'X-Told' => undef } ],
]



=== TEST 16: a field whose name nginx calls invalid
--- http
ignore_invalid_headers off;
--- routes
GET  /a  a  header=X.Canary:1;
GET  /a  b  header=x_canary:1;
GET  /a  c;
--- requests eval
[
    [ '/a' => 'a', send => 'X.Canary: 1' ],
    [ '/a' => 'b', send => 'X_Canary: 1' ],
    [ '/a' => 'c', send => 'XCanary: 1' ],
]
