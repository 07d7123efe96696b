
# Subrequests: they are not checked; those with variables of their own are
# looked up by their own path, the others have what their parent has.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: auth_request
--- routes
GET  /a/:id   a;
GET  /b/:id   b=1 c=1;
GET  /denied  d;
--- http
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/auth.sock;
    access_log off;

    location / {
        add_header X-User "$http_x_route";
        add_header X-To "$http_x_to";
        return 200;
    }

    location /denied {
        return 403;
    }
}
--- server
gateway_route $to;

location = /auth {
    internal;
    proxy_set_header X-Route "$gateway_route $gateway_path_id";
    proxy_set_header X-To $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/auth.sock:$request_uri;
}
--- check
auth_request /auth;
auth_request_set $user $upstream_http_x_user;
auth_request_set $their_to $upstream_http_x_to;

set $same $to$gateway_route_split;
--- lines
add_header X-Same "$their_to$gateway_route_split";
add_header X-To $same;
--- tell: $user
--- requests eval
[
    [ '/a/7' => '/a/:id 7', response => { 'X-Same' => 'a', 'X-To' => 'a' } ],
    [ '/b/8' => '/b/:id 8' ],
    [ '/denied' => [403] ],
    [ '/none' => [404] ],
    [ '/auth' => [404], nginx => 1 ],
]



=== TEST 2: parts of an aggregate have paths of their own
--- routes
GET  /whole/:id     whole;
GET  /_users/:id    users;
GET  /_orders/:no   orders;
--- server
gateway_route $to;

location /whole/ {
    add_header X-Route $gateway_route always;
    add_header X-Id $gateway_path_id always;

    gateway_aggregate {
        part users   /_users/<$gateway_path_id>;
        part orders  /_orders/<users/id>;
        part none    /_none/1;
    }
}

location ~ ^/_(users|orders|none)/ {
    internal;
    proxy_set_header X-Told '{"id":"x-$gateway_path_id","no":"$gateway_path_no","to":"$to","route":"$gateway_route"}';
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
[
    [ '/whole/7', [ 200 ], route => '/whole/:id',
      response => { 'X-Id' => 7, 'X-Told' => undef },
      text => '{"users":{"id":"x-7","no":"","to":"users",'
              . '"route":"/_users/:id"},'
              . '"orders":{"id":"x-","no":"x-7","to":"orders",'
              . '"route":"/_orders/:no"},'
              . '"none":{"id":"x-","no":"","to":"","route":""}}' ],
    [ '/_users/7' => [404], nginx => 1 ],
    [ 'POST /whole/7' => [405, 'GET, HEAD'] ],
]



=== TEST 3: server side includes
--- routes
GET  /page/:id  page;
GET  /part/:id  part;
--- user_files
>>> page.html
[<!--# include virtual="/part/1" -->|<!--# echo var="id" -->]
--- server
gateway_route $to;

location /page/ {
    ssi on;
    add_header X-Route $gateway_route always;
    set $told $to;
    set $id $gateway_path_id;
    rewrite ^ /page.html break;
    root html;
}

location /part/ {
    proxy_set_header X-Told "$gateway_route $gateway_path_id";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
[
    [ '/page/7', [200], route => '/page/:id',
      text => "[/page/:id 7\n|7]\n" ],
    [ '/part/1' => '/part/:id 1', response => { 'X-Told' => undef } ],
]



=== TEST 4: a value is that of the request, whoever reads it first
--- routes
GET  /a/:id  a=0 $uri?$arg_x=1  sticky=$arg_x;
--- http
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/auth.sock;
    access_log off;

    location / {
        return 200;
    }
}
--- server
location = /auth {
    internal;
    proxy_set_header X-To $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/auth.sock:/?x=none;
}

location = /auth_again {
    internal;
    rewrite ^ /auth?x=none break;
    proxy_set_header X-To $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/auth.sock;
}

location /a/again {
    gateway_route $to;
    auth_request /auth_again;
    add_header X-Told $to;
    proxy_set_header X-Told $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- check
gateway_route $to;
auth_request /auth;
--- tell: $gateway_route_split $to
--- requests eval
[
    [ '/a/7?x=1' => 'sticky /a/7?1' ],
    [ '/a/again?x=1' => '/a/again?1' ],
]
