
# A request is checked once, before limits and tokens: error pages, internal
# redirects, and what other modules do with a request.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayJWT;
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

our $Keys = [ [ 'corp.jwks' => jwks('p256') ] ];
our $Token = 'Authorization: Bearer ' . jwt({}, key => 'p256', alg => 'ES256');

run_blocks();

__DATA__

=== TEST 1: error_page has its way
--- routes
GET  /a  a;
--- server
error_page 404 /missing;
error_page 405 =418 @method;
error_page 500 502 503 504 /missing;

location = /missing {
    internal;
    gateway_route $to;
    add_header X-Route "$gateway_route" always;
    add_header X-Page missing always;
    return 404 "no page\n";
}

location @method {
    gateway_route $to;
    add_header X-Page method always;
    proxy_set_header X-Told "[$gateway_route]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /plain/ {
    gateway_route $to;
    error_page 405 /missing;
}
--- requests eval
my @page = (response => { 'X-Page' => 'missing',
                          'Content-Type' => 'text/plain' });
[
    [ '/a' => 'a' ],
    [ '/b' => [404], @page, text => "no page\n", route => undef ],
    [ 'POST /a' => [418, 'GET, HEAD'], response => { 'X-Page' => 'method' },
      text => "[]\n" ],
    [ 'OPTIONS /a' => [204, 'GET, HEAD'] ],
    [ '/plain/x' => [404], text => qr/"status":404/ ],
]



=== TEST 2: an error page that is proxied, with a status of its own
--- routes
GET  /a  a;
--- server
error_page 404 = @fallback;
error_page 405 =200 /changed;

location @fallback {
    gateway_route $to;
    proxy_set_header X-Told "fallback [$gateway_route]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location = /changed {
    gateway_route $to;
    proxy_set_header X-Told "changed [$gateway_route]";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/a' => 'a' ],
    [ '/b' => 'fallback []', @more, served => 'GET /b' ],
    [ 'POST /a' => [200, 'GET, HEAD'], @more, text => "changed []\n",
      served => 'GET /changed' ],
    [ '/changed' => 'fallback []', @more ],
]



=== TEST 3: a client's request is checked, not what becomes of it
--- user_files
>>> page.html
a page
--- routes
GET  /index/        index;
GET  /try/**        try;
GET  /accel/**      accel;
GET  /error/**      error;
GET  /named         named;
--- server
gateway_route $to;
root html;

location /index/ {
    add_header X-Route $gateway_route;
    alias html/;
    index page.html;
}

location = /index/page.html {
    add_header X-Route $gateway_route;
    proxy_set_header X-Told $gateway_route;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /try/ {
    try_files $uri /inner/try;
}

location /named {
    try_files $uri @named;
}

location @named {
    proxy_set_header X-Told "named $gateway_route";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /error/ {
    error_page 502 = /inner/error;
    proxy_pass http://127.0.0.1:1;
}

location /accel/ {
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/accel.sock;
}

location /inner/ {
    internal;
    add_header X-Route $gateway_route always;
    proxy_set_header X-Told "$gateway_route, $to";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- http
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/accel.sock;
    access_log off;

    location / {
        add_header X-Accel-Redirect /inner/accel;
        return 200;
    }
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/index/' => '/index/', @more, route => '/index/' ],
    [ '/try/x' => '/try/**, try', @more, served => 'GET /inner/try' ],
    [ '/named' => 'named /named', @more ],
    [ '/error/x' => '/error/**, error', @more, served => 'GET /inner/error' ],
    [ '/accel/x' => '/accel/**, accel', @more ],
    [ '/inner/try' => [404], nginx => 1 ],
    [ '/index/page.html' => [404] ],
]



=== TEST 4: before tokens and passwords, and whatever "satisfy" says
--- user_files eval: $main::Keys
--- http
gateway_jwt_issuer corp {
    issuer https://id.example.com;
    audience api;
    key_file $TEST_NGINX_SERVER_ROOT/html/corp.jwks;
}
--- routes
GET   /a  a;
GET   /any/a  any;
GET   /deny/a  deny;
--- server
location /any/ {
    satisfy any;
    gateway_route $to;
    gateway_jwt "api" issuer=corp;
    allow 192.0.2.1;
    deny all;
    proxy_set_header X-Told $to;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /deny/ {
    gateway_route $to;
    deny all;
}
--- lines
    gateway_jwt "api" issuer=corp;
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/a' => [401], text => qr/no bearer token/ ],
    [ '/a' => 'a', send => $main::Token ],
    [ '/b' => [404] ],
    [ '/b' => [404], send => $main::Token ],
    [ 'POST /a' => [405, 'GET, HEAD'] ],
    [ 'OPTIONS /a' => [204, 'GET, HEAD'] ],
    [ '/any/a' => [401], text => qr/no bearer token/ ],
    [ '/any/a' => 'any', send => $main::Token, @more ],
    [ '/any/b' => [404] ],
    [ 'OPTIONS /any/a' => [204, 'GET, HEAD'] ],
    [ '/deny/a' => [403] ],
    [ '/deny/b' => [404] ],
    [ 'POST /deny/a' => [405, 'GET, HEAD'] ],
]



=== TEST 5: what is refused is not charged
--- http
gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=2;
--- routes
GET   /a  a;
--- lines
    gateway_limit zone=z;
    add_header X-Limit "$gateway_limit_status" always;
--- requests eval
my @none = (response => { 'X-Limit' => undef, 'RateLimit' => undef });
my @key = (send => 'X-Key: a');
[
    [ '/b' => [404], @none, @key ],
    [ '/b' => [404], @none, @key ],
    [ '/b' => [404], @none, @key ],
    [ 'POST /a' => [405, 'GET, HEAD'], @none, @key ],
    [ 'OPTIONS /a' => [204, 'GET, HEAD'], @none, @key ],
]



=== TEST 6: what is answered before is not checked
--- routes
GET   /a  a;
--- server
location /return/ {
    gateway_route $to;
    return 200 "returned\n";
}
--- requests eval
[
    [ '/return/x' => 'returned', response => { 'X-Told' => undef } ],
    [ '/a/%00' => [400] ],
    [ '/../x' => [400] ],
]



=== TEST 7: limit_except and "if" keep the check
--- routes
*   /a   a;
*   /c   c;
--- lines
    limit_except GET {
        deny all;
    }

    if ($arg_x) {
        add_header X-Told $to;
        add_header X-If yes;
    }
--- requests eval
[
    [ '/a' => 'a' ],
    [ 'POST /a' => [403] ],
    [ 'POST /b' => [404] ],
    [ '/b?x=1' => [404] ],
    [ '/c?x=1' => 'c', response => { 'X-If' => 'yes' } ],
]



=== TEST 8: from a location without a check to one that has it
--- routes
GET  /a       a;
GET  /last/b  last;
--- server
location /last/ {
    rewrite ^/last/(.*) /$1 last;
}

location /try/ {
    try_files /none /a;
}

location /try_none/ {
    try_files /none /none2;
}
--- requests eval
[
    [ '/last/a' => 'a', served => 'GET /a' ],
    [ '/last/b' => [404] ],
    [ '/try/x' => 'a', served => 'GET /a' ],
    [ '/try_none/x' => [404] ],
]



=== TEST 9: another table checks by the path that leads there, once
--- http
gateway_routes $two {
    GET   /inner/a   two_a;
    GET   /again     again;
}
--- routes
GET   /try/**    one;
GET   /inner/**  inner;
--- server
location /try/a {
    gateway_route $to;
    try_files /none /inner/a;
}

location /try/b {
    gateway_route $to;
    try_files /none /inner/b;
}

location /try/c {
    gateway_route $to;
    try_files /none /inner/a/c;
}

location /inner/ {
    internal;
    gateway_route $two;
    add_header X-Route $gateway_route always;
    proxy_set_header X-Told "$to $two";
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}

location /inner/a/c {
    internal;
    gateway_route $two;
    error_page 404 = /inner/a;
}
--- requests eval
my @more = (response => { 'X-Told' => undef });
[
    [ '/try/a' => 'one two_a', route => '/inner/a', @more ],
    [ '/try/b' => [404] ],
    [ '/try/c' => 'one ', @more, route => undef, text => "one\n" ],
]



=== TEST 10: an error page is not checked where its request was not
--- routes
GET  /a  a;
--- server
gateway_route $to;
error_page 403 /page;

location /denied {
    gateway_route off;
    deny all;
}

location = /page {
    internal;
    add_header X-Page yes always;
    proxy_set_header X-Told page;
    proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/service.sock;
}
--- requests eval
[
    [ '/denied' => [403], text => "page\n", response => { 'X-Page' => 'yes' } ],
    [ '/page' => [404], nginx => 1 ],
    [ '/other' => [404] ],
]
