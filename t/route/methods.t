
# Methods: what lines take, 404, 405 and Allow, OPTIONS, HEAD.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: one, several, all
--- routes
GET                    /one      one;
GET,POST,PROPFIND      /several  several;
*                      /all      all;
--- requests eval
[
    [ 'GET /one' => 'one' ],
    [ 'HEAD /one' => 'one' ],
    [ 'GET /several' => 'several' ],
    [ 'HEAD /several' => 'several' ],
    [ 'POST /several' => 'several' ],
    [ 'PROPFIND /several' => 'several' ],
    [ 'POST /one' => [405, 'GET, HEAD'], route => undef ],
    [ 'DELETE /several' => [405, 'GET, HEAD, POST, PROPFIND'] ],
    [ 'POST /none' => [404], route => undef ],
    [ 'OPTIONS /one' => [204, 'GET, HEAD'], route => undef ],
    [ 'OPTIONS /several' => [204, 'GET, HEAD, POST, PROPFIND'] ],
    [ 'OPTIONS /none' => [404] ],
    [ 'HEAD /none' => [404] ],
    map { [ "$_ /all" => 'all' ] }
        qw( GET HEAD POST PUT PATCH DELETE OPTIONS LOCK REPORT FOO A-B_C )
]



=== TEST 2: the order of Allow
--- routes
ZZZ                 /a  zzz;
AAA,DELETE          /a  aaa;
OPTIONS,PATCH,PUT   /a  some;
POST                /a  post;
GET                 /a  get;
MKCOL,LOCK          /b  b;
LOCK,MKCOL          /c  c;
--- requests eval
[
    [ 'BREW /a' => [405, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, ZZZ,'
                           . ' AAA'] ],
    [ 'GET /b' => [405, 'MKCOL, LOCK'] ],
    [ 'GET /c' => [405, 'MKCOL, LOCK'] ],
    [ 'OPTIONS /b' => [204, 'MKCOL, LOCK'] ],
]



=== TEST 3: of all lines that have the path
--- routes
GET     /users/me         me;
PUT     /users/:id        put;
DELETE  /users/:id([0-9]) delete;
POST    /users/**         post;
PATCH   /other            patch;
--- requests eval
[
    [ 'BREW /users/me' => [405, 'GET, HEAD, POST, PUT'] ],
    [ 'BREW /users/7' => [405, 'POST, PUT, DELETE'] ],
    [ 'BREW /users/x' => [405, 'POST, PUT'] ],
    [ 'BREW /users/x/y' => [405, 'POST'] ],
    [ 'GET /users/x/y' => [405, 'POST'] ],
    [ 'BREW /users' => [404] ],
    [ 'OPTIONS /users/me' => [204, 'GET, HEAD, POST, PUT'] ],
]



=== TEST 4: HEAD
--- routes
GET       /follows      get;
GET       /own          get;
HEAD      /own          head;
GET       /cond         get       if=$arg_x;
HEAD      /cond         head;
HEAD      /only         head;
GET,HEAD  /both         both;
GET       /fallback/a   get;
HEAD      /fallback/:x  head;
POST      /post         post;
*         /star         star;
GET       /star         get;
--- requests eval
[
    [ 'HEAD /follows' => 'get' ],
    [ 'HEAD /own' => 'head' ],
    [ 'GET /own' => 'get' ],
    [ 'HEAD /cond' => 'head' ],
    [ 'HEAD /cond?x=1' => 'get' ],
    [ 'HEAD /only' => 'head' ],
    [ 'GET /only' => [405, 'HEAD'] ],
    [ 'HEAD /both' => 'both' ],
    [ 'HEAD /fallback/a' => 'get' ],
    [ 'HEAD /fallback/b' => 'head' ],
    [ 'HEAD /post' => [405, 'POST'] ],
    [ 'BREW /own' => [405, 'GET, HEAD'] ],
    [ 'BREW /cond' => [405, 'HEAD'] ],
    [ 'BREW /cond?x=1' => [405, 'GET, HEAD'] ],
    [ 'HEAD /star' => 'star' ],
    [ 'GET /star' => 'star' ],
    [ 'BREW /star' => 'star' ],
]
--- warnings eval
[ qr/route "GET \/star" in \S+nginx\.conf:\d+ never matches, "\* \/star" in \S+nginx\.conf:\d+ takes all of its requests/ ]



=== TEST 5: OPTIONS
--- routes
GET          /api/:x       api;
OPTIONS      /own          own;
GET          /own          get;
*            /any          any;
OPTIONS,GET  /files/**     files;
OPTIONS      /preflight/** preflight;
POST         /preflight/a  post;
--- requests eval
[
    [ 'OPTIONS /api/1' => [204, 'GET, HEAD'],
      response => { 'Content-Type' => undef, 'Transfer-Encoding' => undef } ],
    [ 'OPTIONS /own' => 'own' ],
    [ 'OPTIONS /any' => 'any' ],
    [ 'OPTIONS /files/a' => 'files' ],
    [ 'OPTIONS /preflight/a' => 'preflight' ],
    [ 'OPTIONS /preflight/' => 'preflight' ],
    [ 'GET /preflight/a' => [405, 'POST, OPTIONS'] ],
    [ 'OPTIONS /api' => [404] ],
]



=== TEST 6: methods differ by case, and nginx takes only capital letters
--- routes
GET         /a  a;
get,M2!#~   /b  b;
--- requests eval
[
    [ 'GET /a' => 'a' ],
    [ 'get /a' => [400] ],
    [ 'GET /b' => [405, 'get, M2!#~'] ],
    [ 'HEAD /b' => [405, 'get, M2!#~'] ],
    [ 'get /b' => [400] ],
]



=== TEST 7: conditions that fail are as if the path did
--- routes
GET   /a  a      if=$arg_x;
POST  /a  b      host=example.com;
PUT   /b  c      header=X-A:1;
GET   /c  d      query=v:1;
POST  /c  e;
--- requests eval
[
    [ 'GET /a' => [404] ],
    [ 'GET /a?x=1' => 'a' ],
    [ 'POST /a?x=1' => [405, 'GET, HEAD'] ],
    [ 'POST /a' => [404] ],
    [ 'POST /a' => 'b', host => 'example.com' ],
    [ 'GET /a' => [405, 'POST'], host => 'example.com' ],
    [ 'GET /a?x=1' => 'a', host => 'example.com' ],
    [ 'OPTIONS /a?x=1' => [204, 'GET, HEAD, POST'], host => 'example.com' ],
    [ 'OPTIONS /b' => [404] ],
    [ 'OPTIONS /b' => [204, 'PUT'], send => 'X-A: 1' ],
    [ 'GET /c' => [405, 'POST'] ],
    [ 'GET /c?v=1' => 'd' ],
    [ 'DELETE /c?v=1' => [405, 'GET, HEAD, POST'] ],
]



=== TEST 8: a default takes what no line does
--- routes
GET   /users/:id  users;
POST  /users      post;
default           other;
--- requests eval
[
    [ '/users/1' => 'users', route => '/users/:id' ],
    [ 'POST /users/1' => 'other', route => 'default' ],
    [ 'OPTIONS /users/1' => 'other', route => 'default' ],
    [ '/' => 'other', route => 'default' ],
    [ '/users' => 'other', route => 'default' ],
    [ 'DELETE /x/y/z' => 'other' ],
]



=== TEST 9: nothing but a default
--- routes
default  $arg_to;
--- requests eval
[
    [ '/?to=a' => 'a', route => 'default' ],
    [ 'POST /x?to=b' => 'b', route => 'default' ],
    [ '/' => '', route => 'default' ],
]



=== TEST 10: without gateway_route there is no upstream either
--- routes
GET  /users  unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:;
--- server
location / {
    proxy_set_header X-Told "told";
    proxy_pass http://$to;
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/users' => 'told', @more ],
    [ '/none' => [500], @more ],
]



=== TEST 11: without gateway_route nothing is refused
--- routes
GET  /users  users;
--- check
--- tell: [$to]
--- requests eval
[
    [ '/users' => '[users]', route => '/users' ],
    [ '/' => '[]', route => undef ],
    [ 'POST /users' => '[]', route => undef ],
    [ 'OPTIONS /users' => '[]', route => undef ],
]



=== TEST 12: gateway_route for a server, and off
--- routes
GET  /users  users;
GET  /off/a  a;
--- server
gateway_route $to;

location /off/ {
    gateway_route off;
    add_header X-Route $gateway_route always;
    add_header X-Told "[$to]" always;
    proxy_set_header X-Told "[$to]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- check
--- requests eval
[
    [ '/users' => 'users' ],
    [ '/none' => [404] ],
    [ 'POST /users' => [405, 'GET, HEAD'] ],
    [ '/off/a' => '[a]', route => '/off/a' ],
    [ '/off/b' => '[]', route => undef ],
    [ 'POST /off/a' => '[]', route => undef ],
]



=== TEST 13: a body that is sent in vain
--- routes
GET  /users  users;
--- requests eval
[
    [ "POST /users\n" . 'x' x 20000 => [405, 'GET, HEAD'] ],
    [ "POST /none\n" . 'x' x 20000 => [404] ],
    [ "OPTIONS /users\nx" => [204, 'GET, HEAD'] ],
]



=== TEST 14: as many methods as are allowed
--- routes eval
my @names = map { "M_$_" } 'AA' .. 'CJ';
CORE::join('', map { "$_  /a  \L$_\E;\n" } @names) . "GET  /a  get;\n"
--- requests eval
[
    [ 'M_AA /a' => 'm_aa' ],
    [ 'M_CJ /a' => 'm_cj' ],
    [ 'HEAD /a' => 'get' ],
    [ 'M_CK /a' => [405, 'GET, HEAD, '
                         . CORE::join ', ', map { "M_$_" } 'AA' .. 'CJ'] ],
]
