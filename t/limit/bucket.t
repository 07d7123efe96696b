
# A bucket: how it empties and fills, what a request costs, whose it is, and
# what gives its rate.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: a bucket of one token, which is the default
--- zone: rate=1r/h
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 0,
      response => { 'RateLimit-Policy' => '"z";q=1;w=3600',
                    'RateLimit' => '"z";r=0;t=3600' } ],
    [ 'the second' => 'a', 'rejected', r => 0 ],
    [ 'the third' => 'a', 'rejected', r => 0 ],
]



=== TEST 2: a full bucket admits that many at once
--- zone: rate=1r/h burst=5
--- requests eval
[
    (map { [ "$_ left" => 'a', 'passed', r => $_ ] } 4, 3, 2, 1, 0),
    [ 'empty' => 'a', 'rejected', r => 0 ],
    [ 'still' => 'a', 'rejected', r => 0 ],
]



=== TEST 3: keys have buckets of their own
--- zone: rate=1r/h burst=1
--- requests eval
[
    [ 'a' => 'a', 'passed' ],
    [ 'b' => 'b', 'passed' ],
    [ 'a again' => 'a', 'rejected' ],
    [ 'A' => 'A', 'passed' ],
    [ 'one that has a as its beginning' => 'aa', 'passed' ],
    [ 'b again' => 'b', 'rejected' ],
    [ 'A again' => 'A', 'rejected' ],
    [ 'aa again' => 'aa', 'rejected' ],
]



=== TEST 4: an empty key is not limited
--- zones
gateway_limit_zone $http_x_user zone=user:64k rate=1r/h;
--- limit
gateway_limit zone=user;
--- requests eval
[
    [ 'none' => undef, '' ],
    [ 'none again' => undef, '' ],
    [ 'an empty one' => undef, '', send => 'X-User:' ],
    [ 'an empty one again' => undef, '', send => 'X-User:' ],
]



=== TEST 5: a key of 64 KB
--- zones
map $http_x_half $long {
    default "$http_x_key$http_x_half$http_x_half$http_x_half$http_x_half$http_x_half$http_x_half$http_x_half$http_x_half$http_x_end";
}
gateway_limit_zone $long zone=long:64k rate=1r/h burst=2;
--- server
large_client_header_buffers 4 32k;
--- limit
gateway_limit zone=long;
proxy_set_header X-Half "";
--- requests eval
my $half = 'X-Half: ' . 'k' x 8192;
[
    [ 'the first' => 'a', 'passed', zone => 'long', r => 1,
      send => "$half\nX-End: 1" ],
    [ 'the second' => 'a', 'passed', zone => 'long', r => 0,
      send => "$half\nX-End: 1" ],
    [ 'the third' => 'a', 'rejected', zone => 'long', r => 0,
      send => "$half\nX-End: 1" ],
    [ 'one that has another last byte' => 'a', 'passed', zone => 'long',
      r => 1, send => "$half\nX-End: 2" ],
    [ 'one that has another first byte' => 'b', 'passed', zone => 'long',
      r => 1, send => "$half\nX-End: 1" ],
]



=== TEST 6: keys of all lengths around the hash's blocks
--- zone: rate=1r/h burst=1
--- requests eval
[
    (map { [ "$_ bytes" => 'x' x $_, 'passed' ] } 0 .. 20),
    (map { [ "$_ bytes again" => 'x' x $_, 'rejected' ] } 0 .. 20),
]



=== TEST 7: a token comes back in its time, and not before
--- zone: rate=30r/m burst=2
--- requests eval
[
    [ 'the first' => 'a', 'passed' ],
    [ 'the second' => 'a', 'passed' ],
    [ 'none is left' => 'a', 'rejected', r => 0, pause => 2.1,
      response => { 'Retry-After' => '[12]' } ],
    [ 'one has come back' => 'a', 'passed', r => 0 ],
    [ 'one only' => 'a', 'rejected', r => 0 ],
]



=== TEST 8: a bucket does not fill beyond its burst
--- zone: rate=100r/s burst=2
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'the first' => 'a', 'passed', send => 'X-Cost: 1', pause => 0.5 ],
    [ 'as many as there were' => 'a', 'passed', r => 0, send => 'X-Cost: 2' ],
]



=== TEST 9: one request a day
--- zone: rate=1r/d
--- requests eval
[
    [ 'today' => 'a', 'passed',
      response => { 'RateLimit-Policy' => '"z";q=1;w=86400',
                    'RateLimit' => '"z";r=0;t=86400' } ],
    [ 'not today' => 'a', 'rejected',
      response => { 'Retry-After' => seconds(86400) } ],
]



=== TEST 10: a million requests a second
--- zone: rate=1000000r/s burst=1
--- requests eval
[
    [ 'the first' => 'a', 'passed', r => 0,
      response => { 'RateLimit-Policy' => '"z";q=1;w=1',
                    'RateLimit' => '"z";r=0;t=1' } ],
    (map { [ "number $_" => 'a', 'passed', r => 0 ] } 2 .. 6),
]



=== TEST 11: the largest bucket
--- zone: rate=1r/s burst=2147483648
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'one' => 'a', 'passed', r => 2147483647, send => 'X-Cost: 1',
      response => { 'RateLimit-Policy' => '"z";q=2147483648;w=2147483648',
                    'RateLimit' => '"z";r=2147483647;t=1' } ],
    [ 'half of it' => 'b', 'passed', r => 1073741824,
      send => 'X-Cost: 1073741824' ],
    [ 'the other half' => 'b', 'passed', r => '\d{1,2}',
      send => 'X-Cost: 1073741824' ],
    [ 'more' => 'b', 'rejected', send => 'X-Cost: 1000' ],
    [ 'all of it' => 'c', 'passed', r => 0, send => 'X-Cost: 2147483648',
      response => { 'RateLimit' => '"z";r=0;t=2147483648' } ],
    [ 'no more' => 'c', 'rejected', send => 'X-Cost: 1000' ],
]



=== TEST 12: a bucket that fills in 71,000 years
--- zone: rate=1r/d burst=26000000
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'one' => 'a', 'passed', r => 25999999, send => 'X-Cost: 1',
      response => { 'RateLimit-Policy' => '"z";q=26000000;w=2246400000000',
                    'RateLimit' => '"z";r=25999999;t=86400' } ],
    [ 'all of it' => 'b', 'passed', r => 0, send => 'X-Cost: 26000000',
      response => { 'RateLimit' => '"z";r=0;t=2246400000000' } ],
    [ 'no more' => 'b', 'rejected', r => 0, send => 'X-Cost: 26000000',
      response => { 'Retry-After' => '2246400000000|22463999999\d\d' } ],
]



=== TEST 13: the largest bucket at the highest rate
--- zone: rate=1000000r/s burst=2147483648
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'all of it' => 'b', 'passed', r => 0, send => 'X-Cost: 2147483648',
      response => { 'RateLimit-Policy' => '"z";q=2147483648;w=2148',
                    'RateLimit' => '"z";r=0;t=2148' } ],
    [ 'all of it again' => 'b', 'rejected', send => 'X-Cost: 2147483648',
      response => { 'Retry-After' => seconds(2148) } ],
]



=== TEST 14: rates that are no whole number of microseconds
--- zone: rate=7r/h burst=7
--- requests eval
[
    (map { [ "$_ left" => 'a', 'passed', r => $_ ] } 6, 5, 4, 3, 2, 1, 0),
    [ 'empty' => 'a', 'rejected', r => 0,
      response => { 'Retry-After' => seconds(515) } ],
]



=== TEST 15: a constant cost
--- zone: rate=1r/h burst=7
--- limit
gateway_limit zone=z cost=3;
--- requests eval
[
    [ 'three' => 'a', 'passed', r => 4,
      response => { 'RateLimit' => '"z";r=4;t=10800' } ],
    [ 'six' => 'a', 'passed', r => 1 ],
    [ 'one is not enough' => 'a', 'rejected', r => 1,
      response => { 'Retry-After' => seconds(7200) } ],
]



=== TEST 16: a cost of a variable
--- zone: rate=1r/h burst=10
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'one' => 'a', 'passed', r => 9, send => 'X-Cost: 1' ],
    [ 'five' => 'a', 'passed', r => 4, send => 'X-Cost: 5' ],
    [ 'five are too many' => 'a', 'rejected', r => 4, send => 'X-Cost: 5',
      response => { 'Retry-After' => seconds(3600) } ],
    [ 'four are not' => 'a', 'passed', r => 0, send => 'X-Cost: 4' ],
    [ 'leading zeros' => 'b', 'passed', r => 8, send => 'X-Cost: 0002' ],
]



=== TEST 17: a cost of nothing
--- zone: rate=1r/h burst=1
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'nothing' => 'a', 'passed', r => 1, send => 'X-Cost: 0' ],
    [ 'nothing again' => 'a', 'passed', r => 1, send => 'X-Cost: 00' ],
    [ 'one' => 'a', 'passed', r => 0, send => 'X-Cost: 1' ],
    [ 'one more' => 'a', 'rejected', r => 0, send => 'X-Cost: 1' ],
    [ 'nothing of nothing' => 'a', 'passed', r => 0, send => 'X-Cost: 0',
      response => { RateLimit => '"z";r=0;t=' . seconds(3600) } ],
    [ 'still no more' => 'a', 'rejected', r => 0, send => 'X-Cost: 1' ],
]



=== TEST 18: a cost of several parts
--- zone: rate=1r/h burst=100
--- limit
gateway_limit zone=z cost=${http_x_cost}0;
--- requests eval
[
    [ '30' => 'a', 'passed', r => 70, send => 'X-Cost: 3' ],
    [ '70' => 'a', 'passed', r => 0, send => 'X-Cost: 7' ],
    [ 'zero' => 'a', 'passed', r => 0 ],
]



=== TEST 19: a cost that is more than the bucket holds
--- zone: rate=1r/h burst=10
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'eleven' => 'a', 'rejected', r => 10, send => 'X-Cost: 11',
      response => { 'Retry-After' => undef },
      log => [ '\[warn\] cost 11 in "gateway_limit" with zone "z" is more '
               . 'than the bucket holds: 10',
               '\[info\] gateway_limit refuses the request: zone "z"' ] ],
    [ 'the most' => 'a', 'rejected', r => 10, send => 'X-Cost: 2147483648',
      response => { 'Retry-After' => undef },
      log => [ '\[warn\] cost 2147483648 in .*',
               '\[info\] gateway_limit refuses .*' ] ],
    [ 'nothing was charged' => 'a', 'passed', r => 0, send => 'X-Cost: 10' ],
]



=== TEST 20: a cost that is not a number
--- zone: rate=1r/h burst=10
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    (map { [ "\"$_\"" => 'a', 'error', send => "X-Cost: $_" ] }
         '', '-1', '+1', '1.5', '1e3', 'one', '1 2', '0x10', '1r', ' ',
         '2147483649', '4294967296', '18446744073709551616',
         '18446744073709551617', '9' x 400),
    [ 'nothing was charged' => 'a', 'passed', r => 0, send => 'X-Cost: 10' ],
]



=== TEST 21: what the log says of an invalid cost
--- zone: rate=1r/h burst=10
--- limit
gateway_limit zone=z cost=$http_x_cost;
--- requests eval
[
    [ 'a word' => 'a', 'error', send => 'X-Cost: many',
      log => [ '\[error\] invalid cost "many" in "gateway_limit" with zone '
               . '"z", it must be a number of tokens up to 2147483648' ] ],
]



=== TEST 22: an invalid cost charges no other zone
--- zones
gateway_limit_zone $http_x_key zone=one:64k rate=1r/h burst=1;
gateway_limit_zone $http_x_key zone=two:64k rate=1r/h burst=1;
--- limit
gateway_limit zone=one;
gateway_limit zone=two cost=$http_x_cost;
--- requests eval
[
    [ 'invalid' => 'a', 'error', send => 'X-Cost: -1' ],
    [ 'good' => 'a', 'passed', zone => '(?:one|two)', left => 0,
      send => 'X-Cost: 1' ],
    [ 'no more' => 'a', 'rejected', zone => 'one', send => 'X-Cost: 1' ],
]



=== TEST 23: the location's burst instead of the zone's
--- zone: rate=1r/h burst=2
--- limit
gateway_limit zone=z burst=4;
--- locations eval
[ small => 'gateway_limit zone=z;',
  one => 'gateway_limit zone=z burst=1;' ]
--- requests eval
[
    [ 'four' => 'a', 'passed', r => 3,
      response => { 'RateLimit-Policy' => '"z";q=4;w=14400' } ],
    [ 'the same bucket, which is smaller there' => 'a', 'passed', r => 0,
      at => 'small', response => { 'RateLimit-Policy' => '"z";q=2;w=7200' } ],
    [ 'empty for this location' => 'a', 'rejected', r => 0, at => 'small' ],
    [ 'overdrawn for that one' => 'a', 'rejected', r => 0, at => 'one',
      response => { 'Retry-After' => seconds(7200),
                    'RateLimit' => '"z";r=0;t=' . seconds(7200) } ],
    [ 'but not here' => 'a', 'passed', r => 1 ],
    [ 'not yet' => 'a', 'passed', r => 0 ],
    [ 'empty' => 'a', 'rejected', r => 0 ],
]



=== TEST 24: a rate of a variable
--- zones
map $http_x_plan $rate {
    free     "1r/h";
    basic    "1 r/m burst=2";
    gold     "100 r/d burst=4";
    platinum "1000000r/s burst=2147483648";
}
gateway_limit_zone $http_x_key zone=plan:64k rate=$rate;
--- limit
gateway_limit zone=plan;
--- requests eval
my @free = (zone => 'plan', send => 'X-Plan: free');
my @basic = (zone => 'plan', send => 'X-Plan: basic');
my @gold = (zone => 'plan', send => 'X-Plan: gold');
[
    [ 'free' => 'a', 'passed', @free, r => 0,
      response => { 'RateLimit-Policy' => '"plan";q=1;w=3600' } ],
    [ 'free again' => 'a', 'rejected', @free, r => 0 ],
    [ 'basic' => 'b', 'passed', @basic, r => 1,
      response => { 'RateLimit-Policy' => '"plan";q=2;w=120' } ],
    [ 'basic again' => 'b', 'passed', @basic, r => 0 ],
    [ 'no more' => 'b', 'rejected', @basic, r => 0,
      response => { 'Retry-After' => seconds(60) } ],
    (map { [ "gold, $_ left" => 'c', 'passed', @gold, r => $_,
             response => { 'RateLimit-Policy' => '"plan";q=4;w=3456' } ] }
         3, 2, 1, 0),
    [ 'no more gold' => 'c', 'rejected', @gold, r => 0,
      response => { 'Retry-After' => seconds(864) } ],
    [ 'platinum' => 'd', 'passed', zone => 'plan', r => 2147483647,
      send => 'X-Plan: platinum' ],
]



=== TEST 25: a plan that changes in the meantime
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate burst=3;
--- limit
gateway_limit zone=plan;
--- requests eval
my @slow = (zone => 'plan', send => 'X-Rate: 1r/h burst=1');
my @fast = (zone => 'plan', send => 'X-Rate: 2r/h burst=4');
[
    [ 'slow' => 'a', 'passed', @slow, r => 0,
      response => { 'RateLimit' => '"plan";r=0;t=3600' } ],
    [ 'slow, empty' => 'a', 'rejected', @slow, r => 0 ],
    [ 'fast: an hour is two tokens, and it has two more' => 'a', 'passed',
      @fast, r => 1,
      response => { 'RateLimit-Policy' => '"plan";q=4;w=7200' } ],
    [ 'fast, the last' => 'a', 'passed', @fast, r => 0 ],
    [ 'fast, empty' => 'a', 'rejected', @fast, r => 0 ],
    [ 'slow again: it owes two hours' => 'a', 'rejected', @slow, r => 0,
      response => { 'Retry-After' => seconds(7200) } ],
]



=== TEST 26: whose burst it is when the rate is a variable
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate burst=3;
--- limit
gateway_limit zone=plan;
--- locations eval
[ own => 'gateway_limit zone=plan burst=5;' ]
--- requests eval
[
    [ "the zone's" => 'a', 'passed', zone => 'plan', r => 2,
      send => 'X-Rate: 1r/h' ],
    [ "the variable's" => 'b', 'passed', zone => 'plan', r => 6,
      send => 'X-Rate: 1r/h burst=7' ],
    [ "the location's" => 'c', 'passed', zone => 'plan', r => 4, at => 'own',
      send => 'X-Rate: 1r/h burst=7' ],
]



=== TEST 27: a rate that is garbage
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate burst=3;
--- limit
gateway_limit zone=plan;
--- requests eval
[
    (map { [ "\"$_\"" => 'a', 'error', send => "X-Rate: $_" ] }
         '', '0r/s', '-1r/s', '+1r/s', '1.5r/s', '1', 'r/s', '/s', '1r', '1r/',
         '1r/w', '1r/sec', '1r/S', '1R/s', '1  r/s', '1 r /s', '1r/s ,',
         '1000001r/s', '18446744073709551617r/s', '1r/s burst', '1r/s burst=',
         '1r/s burst=0', '1r/s burst=-1', '1r/s burst=1x', '1r/s burst=1.5',
         '1r/s  burst=2', '1r/sburst=2', '1r/s,burst=2', '1r/s BURST=2',
         '1r/s burst=2 burst=3', '1r/s burst=2147483649', 'unlimited',
         '9' x 400 . 'r/s'),
    [ 'nothing was charged' => 'a', 'passed', zone => 'plan', r => 2,
      send => 'X-Rate: 1r/h' ],
]



=== TEST 28: what the log says of an invalid rate
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=$http_x_rate;
--- limit
gateway_limit zone=plan;
--- requests eval
[
    [ 'a word' => 'a', 'error', send => 'X-Rate: gold',
      log => [ '\[error\] invalid rate "gold" in gateway_limit_zone "plan", '
               . 'it must be "N r/s", "N r/m", "N r/h" or "N r/d" and may '
               . 'have " burst=M"' ] ],
]



=== TEST 29: a rate of several parts
--- zones
gateway_limit_zone $http_x_key zone=plan:64k rate=${http_x_n}r/h burst=3;
--- limit
gateway_limit zone=plan;
--- requests eval
[
    [ 'six' => 'a', 'passed', zone => 'plan', r => 2, send => 'X-N: 6',
      response => { 'RateLimit-Policy' => '"plan";q=3;w=1800' } ],
]



=== TEST 30: a key of several parts
--- zones
gateway_limit_zone "$http_x_key/$request_method" zone=parts:64k rate=1r/h;
--- limit
gateway_limit zone=parts;
--- requests eval
[
    [ 'GET' => 'a', 'passed', zone => 'parts' ],
    [ 'GET again' => 'a', 'rejected', zone => 'parts' ],
    [ 'PUT' => 'a', 'passed', zone => 'parts', request => "PUT /t\nbody" ],
    [ 'PUT again' => 'a', 'rejected', zone => 'parts',
      request => "PUT /t\nbody" ],
]



=== TEST 31: a fixed key is one bucket for all
--- zones
gateway_limit_zone everybody zone=all:64k rate=1r/h burst=1000000;
--- limit
gateway_limit zone=all cost=$http_x_cost;
--- requests eval
[
    [ 'alice' => 'a', 'passed', zone => 'all', send => 'X-Cost: 1' ],
    [ 'bob' => 'b', 'rejected', zone => 'all', send => 'X-Cost: 1000000' ],
]
