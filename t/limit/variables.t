
# The embedded variables: what they tell, and when; $gateway_limit_prefix.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayLimit;
use Test::Nginx::Socket 'no_plan';

use Socket qw( AF_INET AF_INET6 inet_pton );

our $Log = <<'_EOC_';
log_format limits '$http_x_run.$http_x_row $gateway_limit_status,$gateway_limit_zone,$gateway_limit_remaining';
_EOC_

our $Prefix = <<'_EOC_';
log_format prefix '$http_x_run.$http_x_row $gateway_limit_prefix';
_EOC_

our $Access = 'access_log logs/access.log limits;';
our $AccessPrefix = 'access_log logs/access.log prefix;';
our $Real = 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;';

# an address as the access log writes its bytes

sub logged {
    my ($address) = @_;

    my $bytes = inet_pton($address =~ /:/ ? AF_INET6 : AF_INET, $address);

    $bytes =~ s/([^ !#-\[\]-~])/sprintf '\\x%02X', ord $1/ges;
    $bytes =~ s/"/\\x22/g;

    return quotemeta $bytes;
}

run_blocks();

__DATA__

=== TEST 1: passed and rejected, in the access log
--- zones eval
$main::Log . 'gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=2;'
--- limit eval
"gateway_limit zone=z;\n$main::Access"
--- requests eval
[
    [ 'the first' => 'a', 'passed', left => 1, access => 'passed,z,1' ],
    [ 'the second' => 'a', 'passed', left => 0, access => 'passed,z,0' ],
    [ 'the third' => 'a', 'rejected', left => 0, access => 'rejected,z,0' ],
]



=== TEST 2: delayed
--- zones eval
$main::Log . 'gateway_limit_zone $http_x_key zone=z:64k rate=1r/s burst=1;'
--- limit eval
"gateway_limit zone=z delay=1;\n$main::Access"
--- requests eval
[
    [ 'the first' => 'a', 'passed', left => 0, access => 'passed,z,0' ],
    [ 'the second' => 'a', 'delayed', left => 0, access => 'delayed,z,0',
      log => [ '\[info\] gateway_limit delays the request: zone "z", \d+ ms'
             ] ],
]



=== TEST 3: dry_run_delayed and dry_run_rejected
--- zones eval
$main::Log . 'gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=1;'
--- limit eval
"gateway_limit zone=z delay=1 dry_run;\n$main::Access"
--- requests eval
[
    [ 'the first' => 'a', 'passed', left => 0, access => 'passed,z,0' ],
    [ 'the second' => 'a', 'dry_run_delayed', left => 0,
      access => 'dry_run_delayed,z,0',
      log => [ '\[info\] gateway_limit delays the request, dry run: '
               . 'zone "z", 3[56]\d{5} ms' ] ],
    [ 'the third' => 'a', 'dry_run_rejected', left => 0,
      access => 'dry_run_rejected,z,0',
      log => [ '\[info\] gateway_limit refuses the request, dry run: '
               . 'zone "z"' ] ],
]



=== TEST 4: nothing where there is no limit, and none for an empty key
--- zones eval
$main::Log . 'gateway_limit_zone $http_x_key zone=z:64k rate=1r/h burst=1;'
--- limit eval
"gateway_limit zone=z;\n$main::Access"
--- locations eval
[ free => $main::Access ]
--- requests eval
[
    [ 'no limit' => 'a', '', at => 'free', access => '-,-,-' ],
    [ 'no key' => undef, '', access => '-,-,-' ],
]



=== TEST 5: the most severe status decides
--- zones eval
$main::Log . <<'_EOC_';
gateway_limit_zone $http_x_key zone=wide:64k rate=1r/h burst=1000;
gateway_limit_zone $http_x_key zone=slow:64k rate=1r/s burst=1;
gateway_limit_zone $http_x_key zone=dry:64k rate=1r/h burst=1;
gateway_limit_zone $http_x_key zone=hard:64k rate=1r/h burst=3;
_EOC_
--- limit eval
<<"_EOC_";
gateway_limit zone=wide;
gateway_limit zone=dry dry_run;
gateway_limit zone=slow delay=100;
gateway_limit zone=hard;
$main::Access
_EOC_
--- locations eval
[ fast => <<"_EOC_" ];
gateway_limit zone=wide;
gateway_limit zone=dry dry_run;
gateway_limit zone=hard;
$main::Access
_EOC_
--- requests eval
[
    [ 'passed: the one with the fewest tokens' => 'a', 'passed',
      zone => '(?:dry|slow)', left => 0, access => 'passed,(?:dry|slow),0' ],
    [ 'a dry run would refuse' => 'a', 'dry_run_rejected', zone => 'dry',
      left => 0, at => 'fast', access => 'dry_run_rejected,dry,0',
      response => { 'RateLimit' => '.+', 'RateLimit-Policy' => '.+' } ],
    [ 'delayed, which is more than that' => 'a', 'delayed', zone => 'slow',
      left => 0, access => 'delayed,slow,0' ],
    [ 'rejected' => 'a', 'rejected', zone => 'hard', left => 0,
      access => 'rejected,hard,0' ],
]



=== TEST 6: they are there before the request is proxied, and after redirects
--- zone: rate=1r/h burst=5
--- server
location = /start {
    gateway_limit zone=z;
    try_files /none /middle;
}

location = /middle {
    add_header X-Status $gateway_limit_status;
    add_header X-Zone $gateway_limit_zone;
    add_header X-Remaining $gateway_limit_remaining;
    proxy_set_header X-Limits $gateway_limit_status,$gateway_limit_zone,$gateway_limit_remaining;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/echo;
}

location = /echo {
    return 200 "$http_x_limits\n";
}
--- requests eval
[
    [ 'redirected' => 'a', 'passed', at => 'start', r => 4, served => 0,
      body => "passed,z,4\n" ],
]



=== TEST 7: the prefix of an address is itself by default, or 64 bits
--- zones eval: $main::Prefix
--- limit eval
"$main::Real\n$main::AccessPrefix"
--- requests eval
[
    map { [ $_->[0] => 'a', '', send => "X-Real-IP: $_->[0]",
            access => main::logged($_->[1] // $_->[0]) ] }
        [ '192.0.2.77' ], [ '0.0.0.0' ], [ '255.255.255.254' ],
        [ '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::' ],
        [ 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
          'ffff:ffff:ffff:ffff::' ],
        [ '::1', '::' ],
        [ '::ffff:192.0.2.77', '192.0.2.77' ],
        [ '::192.0.2.77', '::' ],
]



=== TEST 8: gateway_limit_prefix
--- zones eval
$main::Prefix . 'gateway_limit_prefix 24 56;'
--- limit eval
"$main::Real\n$main::AccessPrefix"
--- locations eval
[ map { my ($v4, $v6) = @$_;
        "p$v4" => "$main::Real\n$main::AccessPrefix\n"
                  . "gateway_limit_prefix $v4 $v6;" }
      [ 1, 1 ], [ 8, 128 ], [ 9, 65 ], [ 31, 127 ], [ 32, 8 ] ]
--- requests eval
my @rows;
for ([ t => '192.0.2.0', 'ffff:ffff:ffff:ff00::' ],
     [ p1 => '128.0.0.0', '8000::' ],
     [ p8 => '192.0.0.0', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' ],
     [ p9 => '192.0.0.0', 'ffff:ffff:ffff:ffff:8000::' ],
     [ p31 => '192.0.2.254', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe' ],
     [ p32 => '192.0.2.255', 'ff00::' ])
{
    my ($at, $v4, $v6) = @$_;

    push @rows,
         [ "$at, IPv4" => 'a', '', at => $at, send => 'X-Real-IP: 192.0.2.255',
           access => main::logged($v4) ],
         [ "$at, mapped" => 'a', '', at => $at,
           send => 'X-Real-IP: ::ffff:192.0.2.255',
           access => main::logged($v4) ],
         [ "$at, IPv6" => 'a', '', at => $at,
           send => 'X-Real-IP: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
           access => main::logged($v6) ];
}
\@rows;



=== TEST 9: a bucket for a network
--- zones
gateway_limit_zone $gateway_limit_prefix$http_x_key zone=net:64k rate=1r/h;
--- server eval: $main::Real
--- limit
gateway_limit zone=net;
--- locations eval
[ wide => "gateway_limit zone=net;\ngateway_limit_prefix 24 48;" ]
--- requests eval
my $row = sub {
    my ($address, $status, @more) = @_;

    return [ $address => 'a', $status, zone => 'net', @more,
             send => "X-Real-IP: $address" ];
};

[
    $row->('2001:db8::1', 'passed'),
    $row->('2001:db8::2', 'rejected'),
    $row->('2001:db8::ffff:ffff:ffff:ffff', 'rejected'),
    $row->('2001:db8:0:1::1', 'passed'),
    $row->('192.0.2.1', 'passed'),
    $row->('192.0.2.2', 'passed'),
    $row->('192.0.2.1', 'rejected'),
    $row->('::ffff:192.0.2.2', 'rejected'),
    $row->('198.51.100.1', 'passed', at => 'wide'),
    $row->('198.51.100.2', 'rejected', at => 'wide'),
    $row->('198.51.101.2', 'passed', at => 'wide'),
    $row->('2001:db9:0:1::1', 'passed', at => 'wide'),
    $row->('2001:db9:0:2::1', 'rejected', at => 'wide'),
    $row->('2001:db9:1:2::1', 'passed', at => 'wide'),
]



=== TEST 10: unix sockets have no address, and are not limited by it
--- http_config
gateway_limit_zone $gateway_limit_prefix zone=unix:64k rate=1r/h;

server {
    listen unix:$TEST_NGINX_SERVER_ROOT/html/limit.sock;

    location / {
        gateway_limit zone=unix;
        add_header X-Prefix "[$gateway_limit_prefix]";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend/$http_x_run;
    }
}
--- limit
proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/limit.sock;
--- requests eval
[
    map { [ "request $_" => 'a', '', response => { 'X-Prefix' => '\[\]' } ] }
        1 .. 3
]



=== TEST 11: a proxy that only the location trusts
--- zones
gateway_limit_zone $gateway_limit_prefix$http_x_key zone=net:64k rate=1r/h;
--- limit eval
"gateway_limit zone=net;\n$main::Real"
--- requests eval
[
    [ 'one' => 'a', 'passed', zone => 'net', send => 'X-Real-IP: 192.0.2.1' ],
    [ 'one again' => 'a', 'rejected', zone => 'net',
      send => 'X-Real-IP: 192.0.2.1' ],
    [ 'another' => 'a', 'passed', zone => 'net',
      send => 'X-Real-IP: 192.0.2.2' ],
]
