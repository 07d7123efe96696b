
# Conditions of lines: if=, host=, header= and query=.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: if=
--- routes
GET  /a  yes  if=$arg_x;
GET  /a  no;
GET  /b  yes  if=$arg_x$arg_y;
GET  /b  no;
GET  /c  yes  if=$map;
GET  /c  no;
GET  /d  yes  if=0$arg_x;
GET  /d  no;
--- http
map $http_user_agent $map {
    ~curl    1;
    default  0;
}
--- requests eval
[
    [ '/a' => 'no' ],
    [ '/a?x=' => 'no' ],
    [ '/a?x=0' => 'no' ],
    [ '/a?x=1' => 'yes' ],
    [ '/a?x=00' => 'yes' ],
    [ '/a?x=0.0' => 'yes' ],
    [ '/a?x=no' => 'yes' ],
    [ '/a?x=%20' => 'yes' ],
    [ '/b?x=0' => 'no' ],
    [ '/b?y=0' => 'no' ],
    [ '/b?x=0&y=0' => 'yes' ],
    [ '/c' => 'no' ],
    [ '/c' => 'yes', send => 'User-Agent: curl/7' ],
    [ '/d' => 'no' ],
    [ '/d?x=0' => 'yes' ],
]



=== TEST 2: host=
--- routes
GET  /  exact      host=api.example.com;
GET  /  deep       host=*.eu.example.com;
GET  /  below      host=*.example.com;
GET  /  upper      host=Shop.Example.ORG;
GET  /  single     host=intranet;
GET  /  address    host=192.0.2.1;
GET  /  any;
--- requests eval
[
    map { [ '/' => $_->[1], host => $_->[0] ] }
        [ 'api.example.com', 'exact' ],
        [ 'API.Example.COM', 'exact' ],
        [ 'api.example.com:8080', 'exact' ],
        [ 'api.example.com.', 'exact' ],
        [ 'www.example.com', 'below' ],
        [ 'a.b.example.com', 'below' ],
        [ 'eu.example.com', 'below' ],
        [ 'x.eu.example.com', 'deep' ],
        [ 'x.api.example.com', 'below' ],
        [ 'x.y.EU.example.com:1', 'deep' ],
        [ 'example.com', 'any' ],
        [ 'xexample.com', 'any' ],
        [ 'example.com.evil.org', 'any' ],
        [ 'shop.example.org', 'upper' ],
        [ 'intranet', 'single' ],
        [ 'intranet.example.net', 'any' ],
        [ '192.0.2.1', 'address' ],
        [ '192.0.2.1:80', 'address' ],
        [ '192.0.2.10', 'any' ],
        [ '[2001:db8::1]', 'any' ],
        [ 'localhost', 'any' ],
]



=== TEST 3: of two hosts the one that was written first, not the longer one
--- routes
GET   /a    below  host=*.example.com;
POST  /a    exact  host=api.example.com;
GET   /b    exact  host=api.example.com;
GET   /b    below  host=*.example.com;
GET   /:x   x      host=api.example.com;
--- requests eval
[
    [ 'GET /a' => 'below', host => 'api.example.com' ],
    [ 'POST /a' => 'exact', host => 'api.example.com' ],
    [ 'GET /b' => 'exact', host => 'api.example.com' ],
    [ 'GET /b' => 'below', host => 'www.example.com' ],
    [ 'GET /c' => 'x', host => 'api.example.com' ],
    [ 'POST /a' => [405, 'GET, HEAD'], host => 'www.example.com' ],
]
--- warnings eval: []



=== TEST 4: a host that is in the URI, and one that is missing
--- routes
GET  /  named  host=api.example.com;
GET  /  any;
--- requests eval
[
    [ 'GET http://api.example.com/ HTTP/1.1' => 'named', host => 'localhost' ],
    [ 'GET http://localhost/ HTTP/1.1' => 'any', host => 'api.example.com' ],
]



=== TEST 5: no host at all
--- routes
GET  /  named  host=api.example.com;
GET  /  any;
--- raw_request eval
"GET / HTTP/1.0\r\n\r\n"
--- response_body
any



=== TEST 6: lines of a host and of any host are one table
--- routes
GET   /users/:id   shop      host=shop.example.com;
GET   /users/:id   any;
POST  /users/:id   post;
GET   /users/me    me;
GET   /orders      below     host=*.example.com;
GET   /**          rest      host=shop.example.com;
--- requests eval
[
    [ '/users/1' => 'shop', host => 'shop.example.com' ],
    [ '/users/1' => 'any', host => 'example.org' ],
    [ '/users/me' => 'me', host => 'shop.example.com' ],
    [ 'POST /users/1' => 'post', host => 'shop.example.com' ],
    [ '/orders' => 'below', host => 'shop.example.com' ],
    [ '/orders' => 'below', host => 'api.example.com' ],
    [ '/orders' => [404], host => 'example.org' ],
    [ '/x' => 'rest', host => 'shop.example.com' ],
    [ '/x' => [404], host => 'api.example.com' ],
    [ 'PUT /users/1' => [405, 'GET, HEAD, POST'], host => 'shop.example.com' ],
    [ 'PUT /orders' => [405, 'GET, HEAD'], host => 'shop.example.com' ],
    [ 'PUT /orders' => [404], host => 'example.org' ],
]



=== TEST 7: header=
--- routes
GET  /  canary   header=X-Canary:1;
GET  /  text     "header=X-Text:a b: c";
GET  /  agent    header=user-agent:test;
GET  /  json     header=Accept:application/json;
GET  /  none;
--- requests eval
[
    [ '/' => 'none' ],
    [ '/' => 'canary', send => 'X-Canary: 1' ],
    [ '/' => 'canary', send => 'x-CANARY: 1' ],
    [ '/' => 'canary', send => 'X-Canary:   1   ' ],
    [ '/' => 'none', send => 'X-Canary: 11' ],
    [ '/' => 'none', send => 'X-Canary: 1, 2' ],
    [ '/' => 'none', send => 'X-Canary: ' ],
    [ '/' => 'none', send => 'X-Canar: 1' ],
    [ '/' => 'canary', send => "X-Canary: 0\nX-Canary: 1" ],
    [ '/' => 'text', send => 'X-Text: a b: c' ],
    [ '/' => 'none', send => 'X-Text: a b: C' ],
    [ '/' => 'agent', send => 'User-Agent: test' ],
    [ '/' => 'none', send => 'User-Agent: Test' ],
    [ '/' => 'json', send => 'Accept: application/json' ],
    [ '/' => 'none', send => 'Accept: application/json, */*' ],
    [ '/', 'canary',
      send => CORE::join "\n", (map { "X-Field-$_: $_" } 1 .. 40), 'X-Canary: 1' ],
]



=== TEST 8: query=
--- routes
GET  /  two      query=version:2;
GET  /  space    "query=q:a b";
GET  /  escaped  "query=a&b:c=d";
GET  /  accent   query=é:ü;
GET  /  none;
--- requests eval
[
    [ '/' => 'none' ],
    [ '/?version=2' => 'two' ],
    [ '/?version=%32' => 'two' ],
    [ '/?%76ersion=2' => 'two' ],
    [ '/?a=b&version=2&c' => 'two' ],
    [ '/?version=1&version=2' => 'two' ],
    [ '/?&&version=2&&' => 'two' ],
    [ '/?version=' => 'none' ],
    [ '/?version' => 'none' ],
    [ '/?version=22' => 'none' ],
    [ '/?version=2=' => 'none' ],
    [ '/?Version=2' => 'none' ],
    [ '/?xversion=2' => 'none' ],
    [ '/?version=2;x=1' => 'none' ],
    [ '/?q=a+b' => 'space' ],
    [ '/?q=a%20b' => 'space' ],
    [ '/?q=a%2Bb' => 'none' ],
    [ '/?a%26b=c%3Dd' => 'escaped' ],
    [ '/?a%26b=c=d' => 'escaped' ],
    [ '/?a&b=c=d' => 'none' ],
    [ '/?%C3%A9=%C3%BC' => 'accent' ],
    [ '/?q=a%2' => 'none' ],
    [ '/?q=%' => 'none' ],
    [ '/?version=2%00' => 'none' ],
]



=== TEST 9: all of them must hold
--- routes
GET  /  all     if=$arg_x host=example.com header=X-A:1 query=v:2;
GET  /  twice   header=X-A:1 header=X-B:2 query=v:2 query=w:3 if=$arg_x if=$arg_y;
GET  /  none;
--- requests eval
[
    [ '/?x=1&v=2' => 'all', host => 'example.com', send => 'X-A: 1' ],
    [ '/?x=0&v=2' => 'none', host => 'example.com', send => 'X-A: 1' ],
    [ '/?x=1&v=3' => 'none', host => 'example.com', send => 'X-A: 1' ],
    [ '/?x=1&v=2' => 'none', host => 'example.org', send => 'X-A: 1' ],
    [ '/?x=1&v=2' => 'none', host => 'example.com', send => 'X-A: 2' ],
    [ '/?x=1&y=1&v=2&w=3' => 'twice', send => "X-A: 1\nX-B: 2" ],
    [ '/?x=1&y=0&v=2&w=3' => 'none', send => "X-A: 1\nX-B: 2" ],
    [ '/?x=1&y=1&v=2&w=2' => 'none', send => "X-A: 1\nX-B: 2" ],
    [ '/?x=1&y=1&v=2&w=3' => 'none', send => 'X-A: 1' ],
]



=== TEST 10: a condition that asks for the route itself
--- routes
GET  /  a  if=$to;
--- requests eval
[
    [ '/' => [404] ],
]
--- error_log eval
[ qr/\[error\].*cycle while evaluating variable "to"/ ]



=== TEST 11: a condition that asks for another table
--- http
gateway_routes $audience {
    GET  /internal/**  internal;
    default            public;
}

map $audience $is_internal {
    internal  1;
    default   0;
}
--- routes
GET  /internal/:x  inside   if=$is_internal;
GET  /**           outside;
--- requests eval
[
    [ '/internal/1' => 'inside' ],
    [ '/internal/1/2' => 'outside' ],
    [ '/x' => 'outside' ],
]
