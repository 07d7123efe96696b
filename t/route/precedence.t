
# Which of several lines takes a request: segment by segment, then by
# conditions, then in order of writing.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

our @Lines = (
    'GET  /users/me                me;',
    'GET  /users/:id([0-9]+)       number;',
    'GET  /users/:id([a-z0-9]+)    word;',
    'GET  /users/:id               any;',
    'GET  /users/*rest             rest;',
    'GET  /**                      all;',
);

our @Requests = (
    [ '/users/me' => 'me' ],
    [ '/users/1' => 'number' ],
    [ '/users/me2' => 'word' ],
    [ '/users/Me' => 'any' ],
    [ '/users/' => 'rest' ],
    [ '/users/1/2' => 'rest' ],
    [ '/users' => 'all' ],
    [ '/' => 'all' ],
);

run_blocks();

__DATA__

=== TEST 1: literal, regex, one segment, rest
--- routes eval: CORE::join "\n", @main::Lines
--- requests eval: \@main::Requests



=== TEST 2: the order of writing does not matter, but for that of regexes
--- routes eval: CORE::join "\n", @main::Lines[5, 4, 3, 1, 2, 0]
--- requests eval: \@main::Requests



=== TEST 3: of two regexes the one that was written first
--- routes eval: CORE::join "\n", @main::Lines[0, 2, 1, 3, 4, 5]
--- requests eval
[
    [ '/users/me' => 'me' ],
    [ '/users/1' => 'word' ],
    [ '/users/me2' => 'word' ],
    [ '/users/Me' => 'any' ],
]



=== TEST 4: whatever other lines have
--- routes
POST  /other/:x([a-z0-9]+)  other;
GET   /:x/:y([a-z0-9]+)     none;
GET   /a/:x([0-9]+)         number;
GET   /a/:y([a-z0-9]+)      word;
GET   /b/:y([a-z0-9]+)      word;
GET   /b/:x([0-9]+)         number;
--- requests eval
[
    [ '/a/1' => 'number' ],
    [ '/a/x' => 'word' ],
    [ '/b/1' => 'word' ],
    [ '/c/1' => 'none' ],
]



=== TEST 5: the first segment in which lines differ decides
--- routes
GET  /a/:x/:y/d    a_xyd;
GET  /:w/b/c/d     w_bcd;
GET  /a/:x/c/:z    a_xcz;
GET  /a/b/*rest    ab_rest;
GET  /a/:x/c/e     a_xce;
GET  /:w/:x/:y/:z  all;
--- requests eval
[
    [ '/a/b/c/d' => 'ab_rest' ],
    [ '/a/x/c/d' => 'a_xcz' ],
    [ '/a/x/c/e' => 'a_xce' ],
    [ '/a/x/y/d' => 'a_xyd' ],
    [ '/w/b/c/d' => 'w_bcd' ],
    [ '/w/b/c/e' => 'all' ],
    [ '/a/x/y/z' => 'all' ],
    [ '/a/b' => [404] ],
    [ '/a/x/y' => [404] ],
]



=== TEST 6: a dead end is left again
--- routes
GET  /a/b/c/d/x         literal;
GET  /a/b/c/:x/y        first;
GET  /a/b/:x(c)/d/z     regex;
GET  /a/:x/c/d/w        third;
GET  /a/:x/:y/:z/:v/u   deep;
GET  /a/**              rest;
--- requests eval
[
    [ '/a/b/c/d/x' => 'literal' ],
    [ '/a/b/c/d/y' => 'first' ],
    [ '/a/b/c/d/z' => 'regex' ],
    [ '/a/b/c/d/w' => 'third' ],
    [ '/a/b/c/d/v' => 'rest' ],
    [ '/a/b/c/d/v/u' => 'deep' ],
    [ '/a/b/c/d/v/t' => 'rest' ],
    [ '/b/b/c/d/x' => [404] ],
]



=== TEST 7: the captures are those of the line that takes the request
--- routes
GET  /:a/:b/x        one;
GET  /:c(.+)/:d/y    two;
GET  /*e             three;
--- tell: $to [$gateway_path_a] [$gateway_path_b] [$gateway_path_c] [$gateway_path_d] [$gateway_path_e]
--- requests eval
[
    [ '/1/2/x' => 'one [1] [2] [] [] []' ],
    [ '/1/2/y' => 'two [] [] [1] [2] []' ],
    [ '/1/2/z' => 'three [] [] [] [] [1/2/z]' ],
]



=== TEST 8: names of captures make no other template
--- routes
GET   /users/:id          get;
PUT   /users/:user        put;
*     /users/:x           any;
GET   /n/:id([0-9])       get_digit;
POST  /n/:no([0-9])       post_digit;
GET   /n/*path            get_rest;
POST  /n/**               post_rest;
--- tell: $to [$gateway_path_id$gateway_path_user$gateway_path_x$gateway_path_no]
--- requests eval
[
    [ '/users/1' => 'get [1]', route => '/users/:id' ],
    [ 'PUT /users/1' => 'put [1]', route => '/users/:user' ],
    [ 'DELETE /users/1' => 'any [1]', route => '/users/:x' ],
    [ '/n/1' => 'get_digit [1]' ],
    [ 'POST /n/1' => 'post_digit [1]' ],
    [ 'GET /n/a' => 'get_rest []' ],
    [ 'POST /n/a' => 'post_rest []' ],
]



=== TEST 9: a line that only fails by method or condition is passed over
--- routes
GET   /users/me          me;
GET   /users/:id         get;
GET   /users/:id/orders  orders  if=$arg_orders;
POST  /users/**          post;
*     /**                any;
--- requests eval
[
    [ '/users/me' => 'me' ],
    [ 'POST /users/me' => 'post' ],
    [ 'PUT /users/me' => 'any' ],
    [ '/users/7' => 'get' ],
    [ 'POST /users/7' => 'post' ],
    [ 'DELETE /users/7' => 'any', route => '/**' ],
    [ '/users/7/orders?orders=1' => 'orders' ],
    [ '/users/7/orders' => 'any' ],
    [ 'POST /users/7/orders' => 'post' ],
]



=== TEST 10: those with conditions come first, then in order of writing
--- routes
GET  /a      plain;
GET  /a      one    if=$arg_one;
GET  /a      two    if=$arg_two;
GET  /a      both   if=$arg_one if=$arg_two;
GET  /b      both   if=$arg_one if=$arg_two;
GET  /b      one    if=$arg_one;
GET  /:x     other  if=$arg_one;
--- requests eval
[
    [ '/a' => 'plain' ],
    [ '/a?one=1' => 'one' ],
    [ '/a?two=1' => 'two' ],
    [ '/a?one=1&two=1' => 'one' ],
    [ '/b?one=1&two=1' => 'both' ],
    [ '/b?one=1' => 'one' ],
    [ '/b?two=1' => [404] ],
    [ '/c?one=1' => 'other' ],
]
--- warnings eval
[ qr/route "GET \/a" in .* never matches/ ]



=== TEST 11: the template comes before conditions and hosts
--- routes
GET  /:x         host      host=example.com;
GET  /a          literal;
GET  /:x         plain;
GET  /b          host_b    host=example.com;
GET  /b          literal_b;
GET  /**         rest      host=example.com if=$arg_x;
--- requests eval
[
    [ '/a' => 'literal', host => 'example.com' ],
    [ '/a' => 'literal' ],
    [ '/x' => 'host', host => 'example.com' ],
    [ '/x' => 'plain' ],
    [ '/b' => 'host_b', host => 'example.com' ],
    [ '/b' => 'literal_b' ],
    [ '/y/z?x=1' => 'rest', host => 'example.com' ],
    [ '/y/z' => [404], host => 'example.com' ],
    [ '/y/z?x=1' => [404] ],
]



=== TEST 12: the longest rest
--- routes
GET  /**          one;
GET  /a/**        two;
GET  /a/b/**      three;
GET  /a/:x/c/**   four;
--- requests eval
[
    [ '/' => 'one' ],
    [ '/a' => 'one' ],
    [ '/a/' => 'two' ],
    [ '/a/b' => 'two' ],
    [ '/a/b/' => 'three' ],
    [ '/a/b/c/d' => 'three' ],
    [ '/a/x/c/d' => 'four' ],
    [ '/a/x/d' => 'two' ],
]
