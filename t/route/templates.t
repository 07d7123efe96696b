
# Which paths a template takes, and what its captures are then.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayRoute;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: literals
--- routes
GET  /               root;
GET  /users          users;
GET  /users/         users_slash;
GET  /users/me       me;
GET  /users/me/      me_slash;
GET  /usersx         usersx;
GET  /u              u;
GET  /a/b/c/d/e/f/g  deep;
--- requests eval
[
    [ '/' => 'root', route => '/' ],
    [ '/users' => 'users', route => '/users' ],
    [ '/users/' => 'users_slash', route => '/users/' ],
    [ '/users/me' => 'me' ],
    [ '/users/me/' => 'me_slash' ],
    [ '/usersx' => 'usersx' ],
    [ '/u' => 'u' ],
    [ '/users?x=/users/me' => 'users' ],
    [ '/users/me?' => 'me' ],
    [ '/a/b/c/d/e/f/g' => 'deep' ],
    map { [ $_ => [404], route => undef ] }
        qw( /user /us /usersxy /users/m /users/mee /users/me/x /uusers
            /a /a/ /a/b/c/d/e/f /a/b/c/d/e/f/ /a/b/c/d/e/f/g/ /a/b/c/d/e/f/gh
            /x /Users /USERS /users/ME )
]



=== TEST 2: what is special only at the beginning of a segment
--- routes
POST  /v1/items:batch     batch;
POST  /v1/items:          colon;
POST  /v1/a*              star;
POST  /v1/a**             stars;
POST  /v1/a:x(1)          parentheses;
POST  /v1/(x)             group;
POST  /v1/:x(:literal)    begins;
POST  /v1/:x(\*\*)        rest;
POST  /v1/...             dots;
POST  /v1/.well-known     dot;
POST  /v1/$x              dollar;
POST  "/v1/{id}"          braces;
POST  "/v1/a b"           space;
POST  "/v1/a;b=1,2"       parameters;
POST  /v1/é              accent;
POST  /v1/a+b             plus;
POST  /v1/~-._!'&@=       rest_of_pchar;
--- requests eval
[
    [ 'POST /v1/items:batch' => 'batch' ],
    [ 'POST /v1/items:' => 'colon' ],
    [ 'POST /v1/items:get' => [404] ],
    [ 'POST /v1/a*' => 'star' ],
    [ 'POST /v1/a**' => 'stars' ],
    [ 'POST /v1/ax' => [404] ],
    [ 'POST /v1/a:x(1)' => 'parentheses' ],
    [ 'POST /v1/a:x1' => [404] ],
    [ 'POST /v1/(x)' => 'group' ],
    [ 'POST /v1/:literal' => 'begins' ],
    [ 'POST /v1/**' => 'rest' ],
    [ 'POST /v1/...' => 'dots' ],
    [ 'POST /v1/.well-known' => 'dot' ],
    [ 'POST /v1/$x' => 'dollar' ],
    [ 'POST /v1/%7Bid%7D' => 'braces' ],
    [ 'POST /v1/{id}' => 'braces' ],
    [ 'POST /v1/a%20b' => 'space' ],
    [ 'POST /v1/a+b' => 'plus' ],
    [ 'POST /v1/a%2Bb' => 'plus' ],
    [ 'POST /v1/a;b=1,2' => 'parameters' ],
    [ 'POST /v1/%C3%A9' => 'accent' ],
    [ "POST /v1/~-._!'&@=" => 'rest_of_pchar' ],
]



=== TEST 3: one segment
--- routes
GET  /users/:id             user;
GET  /users/:id/            user_slash;
GET  /users/:id/orders/:no  order;
GET  /:a/b/:c/d             mixed;
--- tell: $to [$gateway_path_id] [$gateway_path_no] [$gateway_path_a] [$gateway_path_c]
--- requests eval
[
    [ '/users/7' => 'user [7] [] [] []', route => '/users/:id' ],
    [ '/users/7/' => 'user_slash [7] [] [] []', route => '/users/:id/' ],
    [ '/users/seven%20up' => 'user [seven up] [] [] []' ],
    [ '/users/:id' => 'user [:id] [] [] []' ],
    [ '/users/**' => 'user [**] [] [] []' ],
    [ '/users/7/orders/x-1' => 'order [7] [x-1] [] []' ],
    [ '/1/b/2/d' => 'mixed [] [] [1] [2]' ],
    [ '/users/b/2/d' => 'mixed [] [] [users] [2]' ],
    map { [ $_ => [404] ] }
        qw( /users /users/ /users/7/orders /users/7/orders/
            /users/7/orders/1/ /users/7/x /1/b/2 /1/b/2/d/ /1/c/2/d )
]



=== TEST 4: a regex takes a whole segment, nothing else
--- routes
GET  /n/:id([0-9]+)                   number;
GET  "/e/:id([a-z]{2})"               two;
GET  /alt/:id(a|bc)                   either;
GET  /alt/:id(a|bc)/end               either_end;
GET  /anchor/:id(^a$)                 anchored;
GET  /i/:id((?i)abc)                  any_case;
GET  "/uuid/:id([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
     uuid;
GET  /ext/:id([a-z]+\.json)           json;
GET  /slash/:id(a/b)                  slash;
GET  /group/:id((a)(?<y>b)?)          group;
GET  /paren/:id(\([()]\))             parentheses;
GET  /class/:id([]a)]+)               class;
GET  /opt/:id(a?)                     optional;
GET  /multi/:id(a.c)                  dot;
GET  /multi/:id(a.c)/:y(b+)           two_regexes;
GET  /lines/:id(a$)                   lines;
GET  /space/:id(a\sb)                 space;
--- tell: $to [$gateway_path_id]
--- requests eval
[
    [ '/n/0' => 'number [0]', route => '/n/:id([0-9]+)' ],
    [ '/n/123456789' => 'number [123456789]' ],
    [ '/e/ab' => 'two [ab]' ],
    [ '/alt/a' => 'either [a]' ],
    [ '/alt/bc' => 'either [bc]' ],
    [ '/alt/bc/end' => 'either_end [bc]' ],
    [ '/anchor/a' => 'anchored [a]' ],
    [ '/i/aBC' => 'any_case [aBC]' ],
    [ '/uuid/01234567-89ab-cdef-0123-456789abcdef' =>
      'uuid [01234567-89ab-cdef-0123-456789abcdef]' ],
    [ '/ext/x.json' => 'json [x.json]' ],
    [ '/group/a' => 'group [a]' ],
    [ '/group/ab' => 'group [ab]' ],
    [ '/paren/(()' => 'parentheses [(()]' ],
    [ '/class/])a' => 'class [])a]' ],
    [ '/opt/a' => 'optional [a]' ],
    [ '/multi/a.c' => 'dot [a.c]' ],
    [ '/multi/a%20c' => 'dot [a c]' ],
    [ '/multi/abc/bb' => 'two_regexes [abc]' ],
    [ '/lines/a' => 'lines [a]' ],
    [ '/space/a%20b' => 'space [a b]' ],
    map { [ $_ => [404] ] }
        qw( /n /n/ /n/a /n/1a /n/a1 /n/1/ /n/1/2 /n/-1 /n/1%0A /n/%0A1
            /e/a /e/abc /e/AB /alt/ab /alt/abc /alt/b /alt/c /alt/ac
            /alt/x/end /anchor/aa /i/abd
            /uuid/01234567-89ab-cdef-0123-456789abcde
            /uuid/01234567-89AB-cdef-0123-456789abcdef
            /ext/x.jsonx /ext/xjson /slash/a/b /slash/a%2Fb /group/b /paren/()
            /class/b /opt/ /opt /opt/b /multi/ac /multi/a%0Ac /multi/abc/a
            /multi/abc/ /lines/a%0A /lines/ab ),
]



=== TEST 5: all that follows
--- routes
GET  /orders/**        orders;
GET  /files/*path      file;
GET  /:tenant/x/*path  tenant;
--- tell: $to [$gateway_path_path] [$gateway_path_tenant]
--- requests eval
[
    [ '/orders/' => 'orders [] []', route => '/orders/**' ],
    [ '/orders/1' => 'orders [] []' ],
    [ '/orders/1/2/3' => 'orders [] []' ],
    [ '/orders/1/' => 'orders [] []' ],
    [ '/files/' => 'file [] []', route => '/files/*path' ],
    [ '/files/a' => 'file [a] []' ],
    [ '/files/a/b.txt' => 'file [a/b.txt] []' ],
    [ '/files/a/' => 'file [a/] []' ],
    [ '/files/a%20b/c%C3%A9' => "file [a b/c\xc3\xa9] []" ],
    [ '/acme/x/' => 'tenant [] [acme]' ],
    [ '/acme/x/y' => 'tenant [y] [acme]' ],
    [ '/files/x/y' => 'file [x/y] []' ],
    map { [ $_ => [404] ] } qw( / /orders /order/ /ordersx /ordersx/ /files
                                /acme/x /acme/y/z )
]



=== TEST 6: everything
--- routes
*  /**  all;
--- requests eval
[
    map { [ $_ => 'all', route => '/**' ] }
        '/', '/a', '/a/', '/a/b/c', '/' . 'a/' x 200, 'POST /x', 'DELETE /',
        'HEAD /x', 'PROPFIND /x', 'BREW /x'
]



=== TEST 7: as many segments as are allowed, and longer paths
--- routes eval
'GET  ' . '/:a' . CORE::join('', map { "/:s$_" } 2 .. 64) . "  sixty_four;\n"
. 'GET ' . '/x' x 63 . "/** rest;\n"
--- tell: $to [$gateway_path_s64]
--- requests eval
[
    [ '/y' . '/z' x 62 . '/last' => 'sixty_four [last]' ],
    [ '/x' x 63 . '/y' => 'rest []' ],
    [ '/x' x 63 . '/y/z' x 500 => 'rest []' ],
    [ '/y' . '/z' x 62 => [404] ],
    [ '/y' . '/z' x 63 . '/' => [404] ],
    [ '/y' . '/z' x 64 => [404] ],
]



=== TEST 8: names of captures
--- routes
GET  /a/:1         one;
GET  /b/:_         underscore;
GET  /c/:a_B9      mixed;
GET  /d/:escaped   escaped;
GET  /e/:id        lower;
GET  /f/:ID        upper;
GET  /g/:xescaped_ x;
--- tell: $to [$gateway_path_1] [$gateway_path__] [$gateway_path_a_B9] [$gateway_path_escaped] [$gateway_path_id] [$gateway_path_ID] [$gateway_path_xescaped_]
--- requests eval
[
    [ '/a/v' => 'one [v] [] [] [] [] [] []' ],
    [ '/b/v' => 'underscore [] [v] [] [] [] [] []' ],
    [ '/c/v' => 'mixed [] [] [v] [] [] [] []' ],
    [ '/d/v' => 'escaped [] [] [] [v] [] [] []' ],
    [ '/e/v' => 'lower [] [] [] [] [v] [v] []' ],
    [ '/f/v' => 'upper [] [] [] [] [v] [v] []' ],
    [ '/g/v' => 'x [] [] [] [] [] [] [v]' ],
]



=== TEST 9: a regex that takes too long does not match
--- routes
GET  /:x((a+)+)  slow;
GET  /:x         other;
--- requests eval
[
    [ '/' . 'a' x 40 . '!' => 'other' ],
    [ '/' . 'a' x 400 . '!' => 'other' ],
]
--- error_log eval
qr/\[error\].*failed: -47 on "a+!" using the route regex "\(a\+\)\+"/



=== TEST 10: a regex that does not
--- routes
GET  /:x((a+)+)  slow;
GET  /:x         other;
--- requests eval
[
    [ '/aab' => 'other' ],
    [ '/' . 'a' x 400 => 'slow' ],
    [ '/' . 'b' x 2000 => 'other' ],
]
--- no_error_log
[error]



=== TEST 11: the same with PCRE's compiler
--- main_config
pcre_jit on;
--- routes
GET  /:x((a+)+)  slow;
GET  /:x         other;
--- requests eval
[
    [ '/' . 'a' x 2000 => 'slow' ],
    [ '/' . 'a' x 40 . '!' => 'other' ],
]
