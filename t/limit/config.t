
# What "nginx -t" says to limits that can not work: the directive, the value,
# and what would be allowed.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

our $Rate = qr{"rate" must be a number from 1 to 1000000 with "r/s", "r/m", "r/h" or "r/d", or a variable that has one};
our $Burst = qr{"burst" must be a number of tokens from 1 to 2147483648};
our $Delay = qr{"delay" must be a number of tokens from 0 to 2147483648};
our $Allowed = qr{allowed are "zone=NAME:SIZE", "rate=", "burst=" and "on_full=", once each};

run_blocks();

__DATA__

=== TEST 1: a zone without parameters
--- zones
gateway_limit_zone $http_x_key;
--- limit
--- emerg eval
[qr/invalid number of arguments in "gateway_limit_zone" directive/]



=== TEST 2: one parameter only
--- zones
gateway_limit_zone $http_x_key zone=bad:64k;
--- limit
--- emerg eval
[qr/no "rate=" in "gateway_limit_zone"/]



=== TEST 3: no zone=
--- zones
gateway_limit_zone $http_x_key rate=1r/s burst=2;
--- limit
--- emerg eval
[qr/no "zone=" in "gateway_limit_zone"/]



=== TEST 4: no rate=
--- zones
gateway_limit_zone $http_x_key zone=bad:64k burst=2;
--- limit
--- emerg eval
[qr/no "rate=" in "gateway_limit_zone"/]



=== TEST 5: an unknown parameter
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s nodelay;
--- limit
--- emerg eval
[qr/invalid parameter "nodelay" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 6: a parameter with another case
--- zones
gateway_limit_zone $http_x_key zone=bad:64k Rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "Rate=1r\/s" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 7: zone= twice
--- zones
gateway_limit_zone $http_x_key zone=bad:64k zone=worse:64k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=worse:64k" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 8: rate= twice
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s rate=2r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=2r\/s" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 9: rate= twice, the first a variable
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=$arg_rate rate=2r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=2r\/s" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 10: rate= twice, the second a variable
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s rate=$arg_rate;
--- limit
--- emerg eval
[qr/invalid parameter "rate=\$arg_rate" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 11: burst= twice
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=1 burst=2;
--- limit
--- emerg eval
[qr/invalid parameter "burst=2" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 12: on_full= twice
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s on_full=pass on_full=evict;
--- limit
--- emerg eval
[qr/invalid parameter "on_full=evict" in "gateway_limit_zone"/, $main::Allowed]



=== TEST 13: a zone without a size
--- zones
gateway_limit_zone $http_x_key zone=bad rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad" in "gateway_limit_zone"/, qr/it must be "zone=NAME:SIZE"/]



=== TEST 14: a zone without a name
--- zones
gateway_limit_zone $http_x_key zone=:64k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=:64k" in "gateway_limit_zone"/, qr/it must be "zone=NAME:SIZE"/]



=== TEST 15: a zone of nothing
--- zones
gateway_limit_zone $http_x_key zone= rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=" in "gateway_limit_zone"/, qr/it must be "zone=NAME:SIZE"/]



=== TEST 16: a size of nothing
--- zones
gateway_limit_zone $http_x_key zone=bad: rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 17: a size of a word
--- zones
gateway_limit_zone $http_x_key zone=bad:large rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:large" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 18: a size of zero
--- zones
gateway_limit_zone $http_x_key zone=bad:0 rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:0" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 19: a size of one page
--- zones
gateway_limit_zone $http_x_key zone=bad:4k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:4k" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 20: a size of a byte too few
--- zones
gateway_limit_zone $http_x_key zone=bad:32767 rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:32767" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 21: a size of seven pages
--- zones
gateway_limit_zone $http_x_key zone=bad:28k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:28k" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 22: a size of a negative number
--- zones
gateway_limit_zone $http_x_key zone=bad:-1m rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:-1m" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 23: a size of a fraction
--- zones
gateway_limit_zone $http_x_key zone=bad:1.5m rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:1\.5m" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 24: a size of an unknown unit
--- zones
gateway_limit_zone $http_x_key zone=bad:64K9 rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:64K9" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 25: a size of two colons
--- zones
gateway_limit_zone $http_x_key zone=bad:64k:64k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bad:64k:64k" in "gateway_limit_zone"/, qr/the size must be at least 8 pages of memory \(32k\)/]



=== TEST 26: a name with a space
--- zones
gateway_limit_zone $http_x_key "zone=a b:64k" rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=a b:64k" in "gateway_limit_zone"/, qr/the name must be visible ASCII characters without quotes and backslashes/]



=== TEST 27: a name with a quote
--- zones
gateway_limit_zone $http_x_key 'zone=a"b:64k' rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=a"b:64k" in "gateway_limit_zone"/, qr/the name must be visible ASCII characters without quotes and backslashes/]



=== TEST 28: a name with a backslash
--- zones
gateway_limit_zone $http_x_key 'zone=a\\b:64k' rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=a\\b:64k" in "gateway_limit_zone"/, qr/the name must be visible ASCII characters without quotes and backslashes/]



=== TEST 29: a name with a byte that is not ASCII
--- zones
gateway_limit_zone $http_x_key zone=bäd:64k rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=bäd:64k" in "gateway_limit_zone"/, qr/the name must be visible ASCII characters without quotes and backslashes/]



=== TEST 30: a name with a tab
--- zones
gateway_limit_zone $http_x_key "zone=a	b:64k" rate=1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "zone=a\	b:64k" in "gateway_limit_zone"/, qr/the name must be visible ASCII characters without quotes and backslashes/]



=== TEST 31: a rate of nothing
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=;
--- limit
--- emerg eval
[qr/invalid parameter "rate=" in "gateway_limit_zone"/, $main::Rate]



=== TEST 32: a rate of zero
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=0r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=0r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 33: a rate of a negative number
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=-1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=-1r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 34: a rate of a fraction
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=0.5r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=0\.5r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 35: a rate of no unit
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=10;
--- limit
--- emerg eval
[qr/invalid parameter "rate=10" in "gateway_limit_zone"/, $main::Rate]



=== TEST 36: a rate of half a unit
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=10r;
--- limit
--- emerg eval
[qr/invalid parameter "rate=10r" in "gateway_limit_zone"/, $main::Rate]



=== TEST 37: a rate of a unit that there is not
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=10r/w;
--- limit
--- emerg eval
[qr/invalid parameter "rate=10r\/w" in "gateway_limit_zone"/, $main::Rate]



=== TEST 38: a rate of a unit of two letters
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=10r/ms;
--- limit
--- emerg eval
[qr/invalid parameter "rate=10r\/ms" in "gateway_limit_zone"/, $main::Rate]



=== TEST 39: a rate of a number that is too large
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1000001r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=1000001r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 40: a rate of a number that does not fit
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=18446744073709551617r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=18446744073709551617r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 41: a rate of a sign
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=+1r/s;
--- limit
--- emerg eval
[qr/invalid parameter "rate=\+1r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 42: a rate of a word
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=fast;
--- limit
--- emerg eval
[qr/invalid parameter "rate=fast" in "gateway_limit_zone"/, $main::Rate]



=== TEST 43: a rate of limit_req's unit in upper case
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1R/S;
--- limit
--- emerg eval
[qr/invalid parameter "rate=1R\/S" in "gateway_limit_zone"/, $main::Rate]



=== TEST 44: a rate with a space
--- zones
gateway_limit_zone $http_x_key zone=bad:64k "rate=1 r/s";
--- limit
--- emerg eval
[qr/invalid parameter "rate=1 r\/s" in "gateway_limit_zone"/, $main::Rate]



=== TEST 45: a rate with a burst in it
--- zones
gateway_limit_zone $http_x_key zone=bad:64k "rate=1r/s burst=2";
--- limit
--- emerg eval
[qr/invalid parameter "rate=1r\/s burst=2" in "gateway_limit_zone"/, $main::Rate]



=== TEST 46: a burst of nothing
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=;
--- limit
--- emerg eval
[qr/invalid parameter "burst=" in "gateway_limit_zone"/, $main::Burst]



=== TEST 47: a burst of zero
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=0;
--- limit
--- emerg eval
[qr/invalid parameter "burst=0" in "gateway_limit_zone"/, $main::Burst]



=== TEST 48: a burst of a negative number
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=-1;
--- limit
--- emerg eval
[qr/invalid parameter "burst=-1" in "gateway_limit_zone"/, $main::Burst]



=== TEST 49: a burst of a fraction
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=1.5;
--- limit
--- emerg eval
[qr/invalid parameter "burst=1\.5" in "gateway_limit_zone"/, $main::Burst]



=== TEST 50: a burst of a word
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=many;
--- limit
--- emerg eval
[qr/invalid parameter "burst=many" in "gateway_limit_zone"/, $main::Burst]



=== TEST 51: a burst of a number that is too large
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=2147483649;
--- limit
--- emerg eval
[qr/invalid parameter "burst=2147483649" in "gateway_limit_zone"/, $main::Burst]



=== TEST 52: a burst of a number that does not fit
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=18446744073709551617;
--- limit
--- emerg eval
[qr/invalid parameter "burst=18446744073709551617" in "gateway_limit_zone"/, $main::Burst]



=== TEST 53: a burst of a unit
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=10k;
--- limit
--- emerg eval
[qr/invalid parameter "burst=10k" in "gateway_limit_zone"/, $main::Burst]



=== TEST 54: a burst of a variable
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s burst=$arg_burst;
--- limit
--- emerg eval
[qr/invalid parameter "burst=\$arg_burst" in "gateway_limit_zone"/, $main::Burst]



=== TEST 55: on_full of nothing
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s on_full=;
--- limit
--- emerg eval
[qr/invalid parameter "on_full=" in "gateway_limit_zone"/, qr/"on_full" must be "evict", "reject" or "pass"/]



=== TEST 56: on_full of a word
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s on_full=drop;
--- limit
--- emerg eval
[qr/invalid parameter "on_full=drop" in "gateway_limit_zone"/, qr/"on_full" must be "evict", "reject" or "pass"/]



=== TEST 57: on_full of upper case
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s on_full=EVICT;
--- limit
--- emerg eval
[qr/invalid parameter "on_full=EVICT" in "gateway_limit_zone"/, qr/"on_full" must be "evict", "reject" or "pass"/]



=== TEST 58: a burst that takes too long
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/d burst=2147483648;
--- limit
--- emerg eval
[qr/invalid burst 2147483648 in gateway_limit_zone "bad"/, qr/takes more than 73,000 years to fill/]



=== TEST 59: a zone twice
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s;
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s;
--- limit
--- emerg eval
[qr/duplicate gateway_limit_zone "bad"/]



=== TEST 60: a zone twice, of two sizes
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s;
gateway_limit_zone $http_x_key zone=bad:128k rate=1r/s;
--- limit
--- emerg eval
[qr/the size 131072 of shared memory zone "bad" conflicts with already declared size 65536/]



=== TEST 61: a zone of another module
--- zones
limit_req_zone $http_x_key zone=bad:64k rate=1r/s;
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s;
--- limit
--- emerg eval
[qr/the shared memory zone "bad" is already declared for a different use/]



=== TEST 62: a key of an unknown variable
--- zones
gateway_limit_zone $no_such_variable zone=bad:64k rate=1r/s;
--- limit
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 63: a rate of an unknown variable
--- zones
gateway_limit_zone $http_x_key zone=bad:64k rate=$no_such_variable;
--- limit
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 64: a zone in a server block
--- server
gateway_limit_zone $http_x_key zone=bad:64k rate=1r/s;
--- emerg eval
[qr/"gateway_limit_zone" directive is not allowed here/]



=== TEST 65: a limit without parameters
--- limit
gateway_limit;
--- emerg eval
[qr/invalid number of arguments in "gateway_limit" directive/]



=== TEST 66: a limit without zone=
--- limit
gateway_limit burst=2;
--- emerg eval
[qr/no "zone=" in "gateway_limit"/]



=== TEST 67: a limit's parameter that there is not
--- limit
gateway_limit zone=z nodelay;
--- emerg eval
[qr/invalid parameter "nodelay" in "gateway_limit",/, qr/allowed are /]



=== TEST 68: a limit's zone of nothing
--- limit
gateway_limit zone=;
--- emerg eval
[qr/invalid parameter "zone=" in "gateway_limit",/, qr/allowed are /]



=== TEST 69: a limit's zone twice
--- limit
gateway_limit zone=z zone=y;
--- emerg eval
[qr/invalid parameter "zone=y" in "gateway_limit",/, qr/allowed are /]



=== TEST 70: a limit's zone without a name for it
--- limit
gateway_limit z;
--- emerg eval
[qr/invalid parameter "z" in "gateway_limit",/, qr/allowed are /]



=== TEST 71: a limit's rate
--- limit
gateway_limit zone=z rate=1r/s;
--- emerg eval
[qr/invalid parameter "rate=1r\/s" in "gateway_limit",/, qr/allowed are /]



=== TEST 72: a limit's burst twice
--- limit
gateway_limit zone=z burst=1 burst=2;
--- emerg eval
[qr/invalid parameter "burst=2" in "gateway_limit",/, qr/allowed are /]



=== TEST 73: a limit's delay twice
--- limit
gateway_limit zone=z delay=1 delay=2;
--- emerg eval
[qr/invalid parameter "delay=2" in "gateway_limit",/, qr/allowed are /]



=== TEST 74: a limit's delay of nothing twice
--- limit
gateway_limit zone=z delay=0 delay=2;
--- emerg eval
[qr/invalid parameter "delay=2" in "gateway_limit",/, qr/allowed are /]



=== TEST 75: a limit's cost twice
--- limit
gateway_limit zone=z cost=1 cost=2;
--- emerg eval
[qr/invalid parameter "cost=2" in "gateway_limit",/, qr/allowed are /]



=== TEST 76: after_auth twice
--- limit
gateway_limit zone=z after_auth after_auth;
--- emerg eval
[qr/invalid parameter "after_auth" in "gateway_limit",/, qr/allowed are /]



=== TEST 77: dry_run twice
--- limit
gateway_limit zone=z dry_run dry_run;
--- emerg eval
[qr/invalid parameter "dry_run" in "gateway_limit",/, qr/allowed are /]



=== TEST 78: a limit's burst of nothing
--- limit
gateway_limit zone=z burst=;
--- emerg eval
[qr/invalid parameter "burst=" in "gateway_limit",/, $main::Burst]



=== TEST 79: a limit's burst of zero
--- limit
gateway_limit zone=z burst=0;
--- emerg eval
[qr/invalid parameter "burst=0" in "gateway_limit",/, $main::Burst]



=== TEST 80: a limit's burst of a negative number
--- limit
gateway_limit zone=z burst=-1;
--- emerg eval
[qr/invalid parameter "burst=-1" in "gateway_limit",/, $main::Burst]



=== TEST 81: a limit's burst of a word
--- limit
gateway_limit zone=z burst=many;
--- emerg eval
[qr/invalid parameter "burst=many" in "gateway_limit",/, $main::Burst]



=== TEST 82: a limit's burst of a number that is too large
--- limit
gateway_limit zone=z burst=2147483649;
--- emerg eval
[qr/invalid parameter "burst=2147483649" in "gateway_limit",/, $main::Burst]



=== TEST 83: a limit's burst of a variable
--- limit
gateway_limit zone=z burst=$arg_burst;
--- emerg eval
[qr/invalid parameter "burst=\$arg_burst" in "gateway_limit",/, $main::Burst]



=== TEST 84: a limit's delay of nothing
--- limit
gateway_limit zone=z delay=;
--- emerg eval
[qr/invalid parameter "delay=" in "gateway_limit",/, $main::Delay]



=== TEST 85: a limit's delay of a negative number
--- limit
gateway_limit zone=z delay=-1;
--- emerg eval
[qr/invalid parameter "delay=-1" in "gateway_limit",/, $main::Delay]



=== TEST 86: a limit's delay of a word
--- limit
gateway_limit zone=z delay=long;
--- emerg eval
[qr/invalid parameter "delay=long" in "gateway_limit",/, $main::Delay]



=== TEST 87: a limit's delay of a number that is too large
--- limit
gateway_limit zone=z delay=2147483649;
--- emerg eval
[qr/invalid parameter "delay=2147483649" in "gateway_limit",/, $main::Delay]



=== TEST 88: a limit's delay of a variable
--- limit
gateway_limit zone=z delay=$arg_delay;
--- emerg eval
[qr/invalid parameter "delay=\$arg_delay" in "gateway_limit",/, $main::Delay]



=== TEST 89: a limit's delay of a unit
--- limit
gateway_limit zone=z delay=1s;
--- emerg eval
[qr/invalid parameter "delay=1s" in "gateway_limit",/, $main::Delay]



=== TEST 90: a cost of nothing
--- limit
gateway_limit zone=z cost=;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 91: a cost of zero
--- limit
gateway_limit zone=z cost=0;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 92: a cost of a negative number
--- limit
gateway_limit zone=z cost=-1;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 93: a cost of a fraction
--- limit
gateway_limit zone=z cost=0.5;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 94: a cost of a word
--- limit
gateway_limit zone=z cost=dear;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 95: a cost of a number that is too large
--- limit
gateway_limit zone=z cost=2147483649;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" must be a number of tokens from 1 to 2147483648, or have variables/]



=== TEST 96: a cost of an unknown variable
--- limit
gateway_limit zone=z cost=$no_such_variable;
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 97: a cost that is more than the zone's bucket holds
--- limit
gateway_limit zone=z cost=3;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" is more than the bucket holds/]



=== TEST 98: a cost that is more than the location's bucket holds
--- limit
gateway_limit zone=z burst=1 cost=2;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"cost" is more than the bucket holds/]



=== TEST 99: a location's burst that takes too long
--- zone
rate=1r/d
--- limit
gateway_limit zone=z burst=2147483648;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"burst" takes more than 73,000 years to fill/]



=== TEST 100: a delay that takes too long
--- zone
rate=1r/d
--- limit
gateway_limit zone=z delay=2147483648;
--- emerg eval
[qr/invalid "gateway_limit" with zone "z" in \S+nginx\.conf:\d+,/, qr/"delay" takes more than 73,000 years/]



=== TEST 101: a zone that there is not
--- limit
gateway_limit zone=other;
--- emerg eval
[qr/invalid "gateway_limit" with zone "other" in \S+nginx\.conf:\d+,/, qr/there is no gateway_limit_zone of that name/]



=== TEST 102: another module's zone
--- zones
limit_req_zone $http_x_key zone=other:64k rate=1r/s;
--- limit
gateway_limit zone=other;
--- emerg eval
[qr/the shared memory zone "other" is already declared for a different use/]



=== TEST 103: the same zone twice
--- limit
gateway_limit zone=z;
gateway_limit zone=z burst=3;
--- emerg eval
[qr/duplicate zone "z" in "gateway_limit"/]



=== TEST 104: the same zone twice, once after_auth
--- limit
gateway_limit zone=z;
gateway_limit zone=z after_auth;
--- emerg eval
[qr/duplicate zone "z" in "gateway_limit"/]



=== TEST 105: the same zone twice, both after_auth
--- limit
gateway_limit zone=z after_auth;
gateway_limit zone=z after_auth;
--- emerg eval
[qr/duplicate zone "z" in "gateway_limit"/]



=== TEST 106: in an if block
--- limit
if ($arg_x) { gateway_limit zone=z; }
--- emerg eval
[qr/"gateway_limit" directive is not allowed here/]



=== TEST 107: a status of a word
--- limit
gateway_limit_status many;
--- emerg eval
[qr/invalid value "many" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 108: a status of 200
--- limit
gateway_limit_status 200;
--- emerg eval
[qr/invalid value "200" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 109: a status of below 400
--- limit
gateway_limit_status 399;
--- emerg eval
[qr/invalid value "399" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 110: a status of above 599
--- limit
gateway_limit_status 600;
--- emerg eval
[qr/invalid value "600" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 111: a status of a negative number
--- limit
gateway_limit_status -1;
--- emerg eval
[qr/invalid value "-1" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 112: a status of 429 and a half
--- limit
gateway_limit_status 429.5;
--- emerg eval
[qr/invalid value "429\.5" in "gateway_limit_status", it must be a status code from 400 to 599/]



=== TEST 113: the status twice
--- limit
gateway_limit_status 429;
gateway_limit_status 503;
--- emerg eval
[qr/"gateway_limit_status" directive is duplicate/]



=== TEST 114: the status without a value
--- limit
gateway_limit_status;
--- emerg eval
[qr/invalid number of arguments in "gateway_limit_status" directive/]



=== TEST 115: headers of another kind
--- limit
gateway_limit_headers yes;
--- emerg eval
[qr/invalid value "yes" in "gateway_limit_headers", allowed are off, on, legacy/]



=== TEST 116: headers twice
--- limit
gateway_limit_headers on;
gateway_limit_headers off;
--- emerg eval
[qr/"gateway_limit_headers" directive is duplicate/]



=== TEST 117: headers of two kinds
--- limit
gateway_limit_headers on legacy;
--- emerg eval
[qr/invalid number of arguments in "gateway_limit_headers" directive/]



=== TEST 118: a log level that there is not
--- limit
gateway_limit_log_level debug;
--- emerg eval
[qr/invalid value "debug" in "gateway_limit_log_level", allowed are info, notice, warn, error/]



=== TEST 119: a log level twice
--- limit
gateway_limit_log_level info;
gateway_limit_log_level warn;
--- emerg eval
[qr/"gateway_limit_log_level" directive is duplicate/]



=== TEST 120: a prefix of 0 64
--- limit
gateway_limit_prefix 0 64;
--- emerg eval
[qr/invalid value "0 64" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 121: a prefix of 33 64
--- limit
gateway_limit_prefix 33 64;
--- emerg eval
[qr/invalid value "33 64" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 122: a prefix of 32 0
--- limit
gateway_limit_prefix 32 0;
--- emerg eval
[qr/invalid value "32 0" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 123: a prefix of 32 129
--- limit
gateway_limit_prefix 32 129;
--- emerg eval
[qr/invalid value "32 129" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 124: a prefix of -1 64
--- limit
gateway_limit_prefix -1 64;
--- emerg eval
[qr/invalid value "-1 64" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 125: a prefix of x 64
--- limit
gateway_limit_prefix x 64;
--- emerg eval
[qr/invalid value "x 64" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 126: a prefix of 32 x
--- limit
gateway_limit_prefix 32 x;
--- emerg eval
[qr/invalid value "32 x" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 127: a prefix of 32.5 64
--- limit
gateway_limit_prefix 32.5 64;
--- emerg eval
[qr/invalid value "32\.5 64" in "gateway_limit_prefix", it must be a number of bits from 1 to 32 for IPv4 and one from 1 to 128 for IPv6/]



=== TEST 128: a prefix of one number
--- limit
gateway_limit_prefix 32;
--- emerg eval
[qr/invalid number of arguments in "gateway_limit_prefix" directive/]



=== TEST 129: a prefix twice
--- limit
gateway_limit_prefix 24 56;
gateway_limit_prefix 32 64;
--- emerg eval
[qr/"gateway_limit_prefix" directive is duplicate/]
