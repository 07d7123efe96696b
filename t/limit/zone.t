
# Zones and limits at the ends of what their parameters may be.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: the smallest zone
--- zones
gateway_limit_zone $http_x_key zone=small:32k rate=1r/h;
--- limit
gateway_limit zone=small;
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => 'small', r => 0 ],
    [ 'none' => 'a', 'rejected', zone => 'small', r => 0 ],
]



=== TEST 2: sizes in bytes, upper case and megabytes
--- zones
gateway_limit_zone $http_x_key zone=bytes:40000 rate=1r/h burst=3;
gateway_limit_zone $http_x_key zone=upper:64K rate=1r/h burst=3;
gateway_limit_zone $http_x_key zone=mega:2m rate=1r/h burst=1;
--- limit
gateway_limit zone=bytes;
gateway_limit zone=upper;
gateway_limit zone=mega;
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => 'mega', left => 0,
      response => { 'RateLimit' => fields([ 'bytes', 2, 3600 ],
                                          [ 'upper', 2, 3600 ],
                                          [ 'mega', 0, 3600 ]) } ],
    [ 'none' => 'a', 'rejected', zone => 'mega', left => 0 ],
]



=== TEST 3: parameters in any order, and a zone after its use
--- zones
server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/unused.sock;

    location / {
        gateway_limit after_auth cost=2 dry_run delay=3 burst=4 zone=late;
    }
}

gateway_limit_zone $http_x_key on_full=reject burst=2 rate=1r/h zone=late:64k;
--- limit
gateway_limit burst=3 zone=late;
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => 'late', r => 2 ],
]



=== TEST 4: the units of rates
--- zones
gateway_limit_zone $http_x_key zone=s:64k rate=2r/s burst=10;
gateway_limit_zone $http_x_key zone=m:64k rate=2r/m burst=10;
gateway_limit_zone $http_x_key zone=h:64k rate=2r/h burst=10;
gateway_limit_zone $http_x_key zone=d:64k rate=2r/d burst=10;
--- limit
gateway_limit zone=s;
gateway_limit zone=m;
gateway_limit zone=h;
gateway_limit zone=d;
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => '[smhd]', left => 9,
      response => {
          'RateLimit-Policy' => '"s";q=10;w=5, "m";q=10;w=300, '
                                . '"h";q=10;w=18000, "d";q=10;w=432000',
          'RateLimit' => '"s";r=9;t=1, "m";r=9;t=30, "h";r=9;t=1800, '
                         . '"d";r=9;t=43200' } ],
]



=== TEST 5: the highest number of each unit
--- zones
gateway_limit_zone $http_x_key zone=s:64k rate=1000000r/s burst=2147483648;
gateway_limit_zone $http_x_key zone=m:64k rate=1000000r/m burst=2147483648;
gateway_limit_zone $http_x_key zone=h:64k rate=1000000r/h burst=2147483648;
gateway_limit_zone $http_x_key zone=d:64k rate=1000000r/d burst=2147483648;
--- limit
gateway_limit zone=s cost=2147483648;
gateway_limit zone=m cost=2147483648;
gateway_limit zone=h cost=2147483648;
gateway_limit zone=d cost=2147483648;
--- requests eval
[
    [ 'all there is' => 'a', 'passed', zone => '[smhd]', left => 0,
      response => {
          'RateLimit-Policy' => '"s";q=2147483648;w=2148, '
                                . '"m";q=2147483648;w=128850, '
                                . '"h";q=2147483648;w=7730942, '
                                . '"d";q=2147483648;w=185542588' } ],
    [ 'no more' => 'a', 'rejected', zone => 's',
      response => { 'Retry-After' => '1855425\d\d' } ],
]



=== TEST 6: a cost of all that the bucket holds
--- zone: rate=1r/h burst=7
--- limit
gateway_limit zone=z cost=7;
--- locations eval
[ own => 'gateway_limit zone=z burst=2147483 cost=2147483;' ]
--- requests eval
[
    [ 'all' => 'a', 'passed', r => 0 ],
    [ 'no more' => 'a', 'rejected', r => 0 ],
    [ "all of the location's" => 'b', 'passed', r => 0, at => 'own' ],
]



=== TEST 7: a burst that the location's replaces, so that a cost fits
--- zone: rate=1r/h burst=2
--- limit
gateway_limit zone=z cost=4 burst=4;
--- requests eval
[
    [ 'all' => 'a', 'passed', r => 0 ],
]



=== TEST 8: a cost that is more than a variable's bucket holds
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate burst=2;
--- limit
gateway_limit zone=plan cost=3;
--- requests eval
[
    [ 'not with its burst' => 'a', 'rejected', zone => 'plan',
      send => 'X-Rate: 1r/h', response => { 'Retry-After' => undef },
      log => [ '\[warn\] cost 3 in "gateway_limit" with zone "plan" is more '
               . 'than the bucket holds: 2',
               '\[info\] gateway_limit refuses the request: zone "plan"' ] ],
    [ 'with another' => 'a', 'passed', zone => 'plan', r => 0,
      send => 'X-Rate: 1r/h burst=3' ],
]



=== TEST 9: a rate of a variable that would take too long to fill
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate;
--- limit
gateway_limit zone=plan;
--- requests eval
[
    [ 'too long' => 'a', 'error', send => 'X-Rate: 1r/d burst=2147483648' ],
    [ 'not too long' => 'a', 'passed', zone => 'plan',
      send => 'X-Rate: 1r/d burst=26000000' ],
]



=== TEST 10: a zone that nobody uses
--- zones
gateway_limit_zone $http_x_key zone=unused:32k rate=1r/s;
--- limit
--- requests eval
[
    [ 'no limit' => 'a', '' ],
    [ 'no limit again' => 'a', '' ],
]



=== TEST 11: a long name
--- zones eval
'gateway_limit_zone $http_x_key zone=' . 'n' x 500 . ':64k rate=1r/h;'
--- limit eval
'gateway_limit zone=' . 'n' x 500 . ';'
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => 'n{500}', r => 0,
      response => { 'RateLimit' => '"n{500}";r=0;t=3600' } ],
    [ 'none' => 'a', 'rejected', zone => 'n{500}',
      body => qr/"violated-policies":\["n{500}"\]\}\n\z/ ],
]



=== TEST 12: more zones than an array has room for at first
--- zones eval
CORE::join '', map { "gateway_limit_zone \$http_x_key zone=z$_:32k rate=1r/h "
               . 'burst=' . ($_ + 1) . ";\n" } 1 .. 12
--- limit eval
CORE::join '', map { "gateway_limit zone=z$_;\n" } 1 .. 12
--- requests eval
[
    [ 'the first' => 'a', 'passed', zone => 'z1', left => 1,
      response => { 'RateLimit' =>
                        fields(map { [ "z$_", $_, 3600 ] } 1 .. 12) } ],
    [ 'the second' => 'a', 'passed', zone => 'z1', left => 0 ],
    [ 'the third' => 'a', 'rejected', zone => 'z1', left => 0,
      response => { 'RateLimit' =>
                        fields(map { [ "z$_", $_ - 1, 7200 ] } 1 .. 12) } ],
]
