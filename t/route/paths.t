
# Forms in which a path may be written, what becomes of captures, and where
# these may go.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: paths are compared when they are normalized
--- routes
GET  /users         users;
GET  /users/        users_slash;
GET  /users/me      me;
GET  /users/:id     user;
GET  /users/:id/x   x;
GET  /é             accent;
GET  "/a;b"         semicolon;
--- tell: $to [$gateway_path_id]
--- requests eval
[
    # dot segments

    [ '/./users' => 'users []' ],
    [ '/x/../users' => 'users []' ],
    [ '/users/.' => 'users_slash []' ],
    [ '/users/me/..' => 'users_slash []' ],
    [ '/users/./me' => 'me []' ],
    [ '/users/7/../me' => 'me []' ],
    [ '/users/%2e%2e/users/me' => 'me []' ],
    [ '/users/7/%2E%2e/me' => 'me []' ],
    [ '/users/.../x' => 'x [...]' ],
    [ '/users/..x' => 'user [..x]' ],

    # slashes

    [ '//users' => 'users []' ],
    [ '/users//me' => 'me []' ],
    [ '/users///me' => 'me []' ],
    [ '/users//' => 'users_slash []' ],
    [ '/users%2Fme' => 'me []' ],
    [ '/users%2fme' => 'me []' ],
    [ '/users%2F' => 'users_slash []' ],
    [ '/users%2F7%2Fx' => 'x [7]' ],
    [ '/users/a%2Fx' => 'x [a]' ],
    [ '/users/%2F/me' => 'me []' ],
    [ '/users/a%5Cx' => 'user [a\x]' ],

    # escapes

    [ '/%75sers' => 'users []' ],
    [ '/users/%6De' => 'me []' ],
    [ '/users/%6D%65' => 'me []' ],
    [ '/users/%256De' => 'user [%6De]' ],
    [ '/users/%252F' => 'user [%2F]' ],
    [ '/users/a%3Fb' => 'user [a?b]' ],
    [ '/users/a%23b' => 'user [a#b]' ],
    [ '/users/me%3Fx' => 'user [me?x]' ],
    [ '/users/a+b' => 'user [a+b]' ],
    [ '/users/%2B' => 'user [+]' ],
    [ '/users/%22' => 'user ["]' ],

    # bytes that are not ASCII, raw or not

    [ '/%C3%A9' => 'accent []' ],
    [ "/\xc3\xa9" => 'accent []' ],
    [ '/e%CC%81' => [404] ],
    [ '/%c3%89' => [404] ],
    [ '/users/%FF' => "user [\xff]" ],
    [ '/users/%C3%A9' => "user [\xc3\xa9]" ],

    # parameters of a segment are part of it

    [ '/a;b' => 'semicolon []' ],
    [ '/a%3Bb' => 'semicolon []' ],
    [ '/a;c' => [404] ],
    [ '/users;v=1' => [404] ],
    [ '/users/me;v=1' => 'user [me;v=1]' ],

    # what follows the path

    [ '/users/me?' => 'me []' ],
    [ '/users/me?a/../b' => 'me []' ],
    [ '/users/me#x' => 'me []' ],
    [ '/users/?x' => 'users_slash []' ],

    # a URI with a host

    [ 'GET http://localhost/users/me' => 'me []' ],
    [ 'GET http://localhost' => [404] ],
]



=== TEST 2: slashes that are not merged
--- server
merge_slashes off;
--- routes
GET  /users/me     me;
GET  /users/:id    user;
GET  /users/*rest  rest;
GET  /a/           a;
--- tell: $to [$gateway_path_id] [$gateway_path_rest]
--- requests eval
[
    [ '/users/me' => 'me [] []' ],
    [ '//users/me' => [404] ],
    [ '/users//me' => 'rest [] [/me]' ],
    [ '/users/x//y/' => 'rest [] [x//y/]' ],
    [ '/users//' => 'rest [] [/]' ],
    [ '/users/' => 'rest [] []' ],
    [ '/a//' => [404] ],
]



=== TEST 3: escaped captures
--- routes
GET  /one/:id      one;
GET  /rest/*path   rest;
--- tell: $gateway_path_escaped_id|$gateway_path_escaped_path
--- requests eval
[
    [ '/one/plain' => 'plain|' ],
    [ '/one/AZaz09-._~' => 'AZaz09-._~|' ],
    [ "/one/!\$&'()*+,;=:@" =>
      '%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40|' ],
    [ '/one/%20%22%23%25%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D' =>
      '%20%22%23%25%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D|' ],
    [ '/one/%01%0A%0D%7F' => '%01%0A%0D%7F|' ],
    [ '/one/%C3%A9%FF' => '%C3%A9%FF|' ],
    [ '/one/%252F' => '%252F|' ],
    [ '/rest/' => '|' ],
    [ '/rest/a/b' => '|a/b' ],
    [ '/rest/a%20b/c%3Fd/' => '|a%20b/c%3Fd/' ],
    [ '/rest/a%2Fb' => '|a/b' ],
    [ '/rest/%25/%26' => '|%25/%26' ],
]



=== TEST 4: where captures may go
--- routes
GET  /escaped/:id     escaped;
GET  /args/:id        args;
GET  /rest/*path      rest;
GET  /whole/:id       whole;
GET  /rewrite/:id     rewrite;
GET  /return/:id      return;
--- lines
    location /escaped/ {
        add_header X-Told $to;
        proxy_set_header X-Told $to;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:/v2/$gateway_path_escaped_id;
    }

    location /args/ {
        add_header X-Told $to;
        proxy_set_header X-Told $to;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:/v2?id=$gateway_path_escaped_id&a=1;
    }

    location /rewrite/ {
        rewrite ^ /v2/$gateway_path_id break;
        add_header X-Told $to;
        proxy_set_header X-Told $to;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
    }

    location /return/ {
        return 302 /v2/$gateway_path_escaped_id;
    }

    location /rest/ {
        add_header X-Told $to;
        proxy_set_header X-Told $to;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock:/v2/$gateway_path_escaped_path$is_args$args;
    }
--- requests eval
[
    [ '/escaped/a' => 'escaped', served => 'GET /v2/a' ],
    [ '/escaped/a%20b%3Fc' => 'escaped', served => 'GET /v2/a%20b%3Fc' ],
    [ '/escaped/%0D%0AX:1' => 'escaped', served => 'GET /v2/%0D%0AX%3A1' ],
    [ '/escaped/a?b=c' => 'escaped', served => 'GET /v2/a' ],
    [ '/args/1%262' => 'args', served => 'GET /v2?id=1%262&a=1' ],
    [ '/args/a+b' => 'args', served => 'GET /v2?id=a%2Bb&a=1' ],
    [ '/rest/a/b%20c/?x=%20' => 'rest', served => 'GET /v2/a/b%20c/?x=%20' ],
    [ '/rest/a%2Fb' => 'rest', served => 'GET /v2/a/b' ],
    [ '/rewrite/a%20b%3Fc%25?x=y' => 'rewrite',
      served => 'GET /v2/a%20b%3Fc%25?x=y' ],
    [ '/return/a%0Ab%3Fc' => [302], response =>
      { Location => 'http://localhost:$ServerPort/v2/a%0Ab%3Fc' } ],
    [ '/whole/a%20b%2F?x' => [404] ],
    [ '/whole/a%20b?x' => 'whole', served => 'GET /whole/a%20b?x' ],
]



=== TEST 5: the path that is there when it is needed first
--- server
location /old/ {
    rewrite ^/old/(.*)$ /new/$1 break;
    gateway_route $to;
    add_header X-Route $gateway_route;
    add_header X-Told $to;
    proxy_set_header X-Told $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /old/last/ {
    rewrite ^/old/last/(.*)$ /new/$1 last;
    gateway_route $to;
}

location /old/before/ {
    set $before $to;
    rewrite ^/old/before/(.*)$ /new/$1 break;
    gateway_route $to;
    add_header X-Route $gateway_route;
    add_header X-Told "$before, $to, $gateway_path_id";
    proxy_set_header X-Told "$before, $to, $gateway_path_id";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- routes
GET  /old/:id         old;
GET  /old/before/:id  before;
GET  /new/:id         new;
--- requests eval
[
    [ '/old/1' => 'new', route => '/new/:id', served => 'GET /new/1' ],
    [ '/old/last/1' => 'new', route => '/new/:id', served => 'GET /new/1' ],
    [ '/old/before/1' => 'before, before, 1', route => '/old/before/:id',
      served => 'GET /new/1' ],
]
