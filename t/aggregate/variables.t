
# The three variables, Server-Timing, and the variables that parts see.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

our $Log = <<'_EOC_';
log_format agg '[$gateway_aggregate_status|$gateway_aggregate_missing|$gateway_aggregate_timings] $status $uri';
_EOC_

our $To = 'access_log $TEST_NGINX_SERVER_ROOT/logs/access.log agg;';

run_blocks();

__DATA__

=== TEST 1: complete
--- http_config eval: $main::Log
--- answers eval
[ a => '{"a": 1}' ]
--- parts
part a /f/a;
part b/c /f/a;
part d /f/<item> each=e;
part e /list;
part f /list;
--- server eval
$main::To . q( location /list { return 201 '["a","a"]'; })
--- requests eval
[ [ 'all' => '{"a":{"a": 1},"b":{"c":{"a": 1}},"d":[{"a": 1},{"a": 1}],'
    . '"e":["a","a"],"f":["a","a"]}' ] ]
--- access_log eval
qr/^\[complete\|\|a:200:0\.\d\d\d:8, b\/c:200:0\.\d\d\d:8, d:200:0\.\d\d\d:8, e:201:0\.\d\d\d:9, f:201:0\.\d\d\d:9\] 200 \/t$/m



=== TEST 2: partial
--- http_config eval: $main::Log
--- server eval: $main::To
--- answers eval
[ a => '1', bad => '[1,' ]
--- parts
part a /f/a;
part b/c /f/no optional;
part d /f/bad default=2;
part e /up/<b/c> optional;
part f /up/delay/5 timeout=30ms optional;
--- requests eval
[ [ 'all' => '{"a":1,"b":{},"d":2}',
    aggregate => 'partial; missing="b/c,d,e,f"' ] ]
--- access_log eval
qr/^\[partial\|b\/c,d,e,f\|a:200:0\.\d\d\d:1, b\/c:404:0\.\d\d\d:\d+, d:200:0\.\d\d\d:3, e:-:0\.000:0, f:504:0\.0[3-9]\d:0\] 200 \/t$/m



=== TEST 3: truncated
--- http_config eval: $main::Log
--- server eval: $main::To
--- answers eval
[ a => '[1,2]' ]
--- parts
part a /f/a;
part b /f/a each=a max=1;
--- requests eval
[ [ 'partial, and nothing is missing' => '{"a":[1,2],"b":[[1,2]]}',
    aggregate => 'partial; truncated="b"' ] ]
--- access_log eval
qr/^\[partial\|\|a:200:0\.\d\d\d:5, b:200:0\.\d\d\d:5\] 200 \/t$/m



=== TEST 4: failed
--- http_config eval: $main::Log
--- server eval: $main::To
--- answers eval
[ a => '1' ]
--- parts
part a /f/a;
part b /f/no;
part c /f/no optional;
--- requests eval
[ [ '502' => qr/"parts":\[\{"name":"b","status":404,/, code => 502,
    response => { 'Content-Type' => 'application/problem+json' } ] ]
--- access_log eval
qr/^\[failed\|b,c\|a:200:0\.\d\d\d:1, b:404:0\.\d\d\d:\d+, c:404:0\.\d\d\d:\d+\] 502 \/t$/m



=== TEST 5: failed, with an error_page
--- http_config eval: $main::Log
--- server eval
$main::To . <<'_EOC_'
location = /error {
    add_header X-Status "$gateway_aggregate_status $gateway_aggregate_missing" always;
    return 200 "sorry\n";
}
location @error {
    add_header X-Status "$gateway_aggregate_status $gateway_aggregate_missing" always;
    return 200 "sorry\n";
}
_EOC_
--- locations eval
[ t => [ 'part a /f/no;', 'error_page 502 =503 /error;' ],
  named => [ 'part a /f/no;', 'error_page 502 =503 @error;' ] ]
--- requests eval
[
    [ 'an URI' => "sorry\n", code => 503, response => { 'X-Status' => 'failed a' } ],
    [ 'a named location' => "sorry\n", code => 503, at => 'named',
      response => { 'X-Status' => 'failed a' } ],
]
--- access_log eval
qr/^\[failed\|a\|a:404:0\.\d\d\d:\d+\] 503 \/(?:error|named)$/m



=== TEST 6: elsewhere there are none
--- http_config eval: $main::Log
--- server eval
$main::To . <<'_EOC_'
location = /x {
    add_header X-All "[$gateway_aggregate_status$gateway_aggregate_missing$gateway_aggregate_timings]";
    return 200 "x\n";
}
_EOC_
--- parts
part a /f/a;
--- requests eval
[
    [ 'no aggregate' => "x\n", at => 'x', aggregate => undef,
      response => { 'X-All' => '[]' } ],
]
--- access_log eval
qr/^\[-\|-\|-\] 200 \/x$/m



=== TEST 7: in header fields of the whole
--- lines
add_header X-All "$gateway_aggregate_status|$gateway_aggregate_missing";
--- answers eval
[ a => '1' ]
--- parts
part a /f/a;
part b /f/no optional;
--- requests eval
[ [ 'partial' => '{"a":1}', aggregate => 'partial; missing="b"',
    response => { 'X-All' => 'partial|b' } ] ]



=== TEST 8: Server-Timing
--- answers eval
[ a => '1' ]
--- http_config
gateway_aggregate_server_timing on;
--- parts
part a /f/a;
part b/c /up/delay/0.05;
part . /f/no optional;
part d:e(f) /up/<b/c/x> optional;
part é /up/delay/5 timeout=20ms optional;
--- requests eval
[ [ 'all' => sub { $_[0] =~ /\A\{"a":1,"b":\{"c":\{"method".*\}\}\}\z/ },
    aggregate => 'partial; missing=".,d:e(f),é"' ] ]
--- raw_response_headers_like: \r\nServer-Timing: a;dur=\d+;desc="200", b\.c;dur=(?:[5-9]\d|\d{3,});desc="200", \.;dur=\d+;desc="404", d_e_f_;dur=0, __;dur=(?:[2-9]\d|\d{3,});desc="504"\r\n



=== TEST 9: no Server-Timing by default, and where it is off
--- http_config
gateway_aggregate_server_timing on;
--- server
gateway_aggregate_server_timing off;
--- answers eval
[ a => '1' ]
--- parts
part a /f/a;
--- requests eval
[ [ 'none' => '{"a":1}', response => { 'Server-Timing' => undef } ] ]



=== TEST 10: variables of "set" and the request's id are those of the whole
--- http_config
log_format id '$request_id';
--- server
set $of_server server;
location /in/ {
    set $own $of_part;
    set $of_part part;
    proxy_pass http://backend/$request_id/$of_server/$of_location/$own/$of_part/$args;
}
--- lines
set $of_location $arg_x;
set $of_part location;
add_header X-Id $request_id;
--- parts
part a /in/ select=/uri;
part b /in/?<a> select=/uri optional;
part c /up/<$request_id>/<$of_part>/<$of_location> select=/uri;
--- requests eval
[ [ 'inherited' => sub {
    my ($a, $c) = $_[0] =~
        m{\A\{"a":"/([0-9a-f]{32})/server/5/location/part/","b":"/\1/server/5/location/part/[^"]*","c":"/up/\1/location/5"\}\z};
    return $a;
}, args => '?x=5' ] ]



=== TEST 11: variables of map are of each part's own
--- http_config
map $uri $of_uri { /t whole; ~^/one one; ~^/two two; default other; }
map $arg_x $of_arg { default $arg_x; }
--- server
location /one { proxy_pass http://backend/$of_uri/$of_arg/$arg_x/$args; }
location /two { proxy_pass http://backend/$of_uri/$of_arg/$arg_x/$args; }
--- lines
add_header X-Uri "$of_uri $of_arg $uri $args";
set $before $of_uri;
--- parts
part one /one?x=1 select=/uri;
part two /two?x=2 select=/uri;
part three /two?x=3 select=/uri;
--- requests eval
[ [ 'they do not leak' => '{"one":"/one/1/1/x=1","two":"/two/2/2/x=2",'
    . '"three":"/two/3/3/x=3"}', args => '?x=0',
    response => { 'X-Uri' => 'whole 0 /t x=0' } ] ]



=== TEST 12: named captures are those of the whole
--- server
location /one { proxy_pass http://backend/$word/$other; }
location /two {
    rewrite ^/two/(?<other>[a-z]+)$ /two/$other/$word break;
    proxy_pass http://backend;
}
--- lines
rewrite ^/(?<word>[a-z]+)$ $uri break;
--- parts
part one /one select=/uri;
part two /two/mine select=/uri;
part three /one?<two> select=/uri;
--- requests eval
[ [ 'what no part can find out' => '{"one":"/t/","two":"/two/mine/t",'
    . '"three":"/t/"}' ] ]



=== TEST 13: "set" in a part's location does not change the whole
--- server
location /one { set $x one; proxy_pass http://backend/$x/$y; }
location /two { set $y two; proxy_pass http://backend/$x/$y; }
--- lines
set $x whole;
set $y whole;
add_header X-X "$x $y";
--- parts
part one /one select=/uri;
part two /two select=/uri;
part three /one?<two> select=/uri;
--- requests eval
[ [ 'nor other parts' => '{"one":"/one/whole","two":"/whole/two",'
    . '"three":"/one/whole"}', response => { 'X-X' => 'whole whole' } ] ]
