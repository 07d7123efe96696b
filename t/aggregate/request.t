
# What the services are asked: method, header fields and body of a part.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

# what nginx sends of its own to the upstream "backend"

our $Own = '"Host: backend","Connection: close"';

our $Body = 'x' . CORE::join '', map { "\nline $_ of the body" } 1 .. 50_000;

run_blocks();

__DATA__

=== TEST 1: header fields of the request
--- parts
part a /up/ select=/headers;
part b /up/ select=/headers;
--- requests eval
my $all = sub { "{\"a\":[$_[0]],\"b\":[$_[0]]}" };
[
    [ 'none' => $all->($main::Own) ],
    [ 'others are passed' => $all->("$main::Own,"
      . '"X-One: 1","Authorization: Bearer x","Cookie: a=b; c=d",'
      . '"User-Agent: t","Accept: text/html","X-One: 2","Accept-Language: de",'
      . '"X-Forwarded-For: 192.0.2.1","Cache-Control: no-cache",'
      . '"Origin: https://x","Traceparent: 00-1"'),
      send => "X-One: 1\nAuthorization: Bearer x\nCookie: a=b; c=d\n"
              . "User-Agent: t\nAccept: text/html\nX-One: 2\n"
              . "Accept-Language: de\nX-Forwarded-For: 192.0.2.1\n"
              . "Cache-Control: no-cache\nOrigin: https://x\nTraceparent: 00-1" ],
    [ 'conditions, ranges, codings and those of the connection are not'
      => $all->("$main::Own,\"X-Last: 1\""),
      send => "Range: bytes=0-1\nIf-Range: \"x\"\n"
              . "If-None-Match: \"x\"\nif-modified-since: Sat, 01 Jan 2022 00:00:00 GMT\n"
              . "Accept-Encoding: gzip\nTE: trailers\nTrailer: X\nUpgrade: x\n"
              . "Keep-Alive: 5\nProxy-Connection: x\nProxy-Authorization: x\n"
              . "HTTP2-Settings: x\nContent-Range: bytes 0-1/2\n"
              . "Content-Language: de\nContent-Encoding: x\nX-Last: 1" ],
]



=== TEST 2: the client's conditions and ranges are not those of the answer
--- answers eval
[ a => '{"a":1}' ]
--- parts
part a /f/a;
--- requests eval
[
    [ 'all of it' => '{"a":{"a":1}}',
      send => "Range: bytes=0-1\nIf-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT" ],
]



=== TEST 3: header=
--- server
set $x "of set";
--- locations eval
[
    t => 'part a /up/ select=/headers header=X-New:1 header=X-Old:new'
         . ' header=X-Gone: "header=X-Set:$x, $arg_q" header=X-None:$arg_none;'
         . 'part b /up/ select=/headers;',
    known => 'part a /up/ select=/headers header=Authorization:A'
             . ' "header=Cookie:x=$cookie_a" header=User-Agent:'
             . ' header=X-Forwarded-For:192.0.2.9 header=Accept:application/json;'
             . 'part b /up/ select=/headers;',
    gone => 'part a /up/ select=/headers header=cookie: header=AUTHORIZATION:'
            . ' header=X-Forwarded-For: header=Referer:;',
]
--- requests eval
my $known = '"Cookie: a=b","Authorization: B","User-Agent: t",'
            . '"X-Forwarded-For: 192.0.2.1","X-Forwarded-For: 192.0.2.2",'
            . '"Accept: x","Cookie: c=d"';
my $send = $known =~ s/","/\n/gr =~ s/"//gr;
[
    [ 'adds, replaces, removes' => "{\"a\":[$main::Own,\"X-Keep: 1\","
      . '"X-New: 1","X-Old: new","X-Set: of set, 5"],'
      . "\"b\":[$main::Own,\"x-old: 1\",\"X-Keep: 1\",\"X-OLD: 2\",\"X-Gone: 1\",\"X-None: 1\"]}",
      args => '?q=5',
      send => "x-old: 1\nX-Keep: 1\nX-OLD: 2\nX-Gone: 1\nX-None: 1" ],
    [ 'fields that core knows' => "{\"a\":[$main::Own,\"Authorization: A\","
      . '"Cookie: x=b","X-Forwarded-For: 192.0.2.9",'
      . "\"Accept: application/json\"],\"b\":[$main::Own,$known]}",
      at => 'known', send => $send ],
    [ 'removes them' => "{\"a\":[$main::Own,\"User-Agent: t\",\"Accept: x\"]}",
      at => 'gone', send => "$send\nReferer: r" ],
]



=== TEST 4: variables of the part's location see the part's fields
--- server
location /see/ {
    proxy_pass http://backend;
    proxy_set_header Host $http_host;
    proxy_set_header X-Cookie "$cookie_a|$http_cookie";
    proxy_set_header X-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Auth $http_authorization;
    proxy_set_header X-If "$http_if_none_match$http_range$http_accept_encoding";
    proxy_set_header X-Host $host;
}
--- parts
part a /see/ select=/headers header=Host:example.com header=Cookie:a=part header=X-Forwarded-For:192.0.2.9 header=Authorization:;
part b /see/ select=/headers;
--- requests eval
[ [ 'not the request\'s' =>
    '{"a":["Host: example.com","X-Cookie: part|a=part",'
    . '"X-For: 192.0.2.9, 127.0.0.1","X-Host: localhost","Connection: close",'
    . '"Cookie: a=part","X-Forwarded-For: 192.0.2.9"],'
    . '"b":["Host: localhost","X-Cookie: client|a=client",'
    . '"X-For: 192.0.2.1, 127.0.0.1","X-Auth: B","X-Host: localhost",'
    . '"Connection: close","Cookie: a=client","X-Forwarded-For: 192.0.2.1",'
    . '"Authorization: B"]}',
    send => "Cookie: a=client\nX-Forwarded-For: 192.0.2.1\nAuthorization: B\n"
            . "If-None-Match: x\nRange: bytes=0-1\nAccept-Encoding: gzip" ] ]



=== TEST 5: method= and body=
--- locations eval
[
    t => 'part a /up/ method=POST "body={\"q\":\"$arg_q\"}" except=uri,count,flying;'
         . 'part b /up/ method=DELETE except=uri,count,flying;'
         . 'part c /up/ "body=é" except=uri,count,flying;',
    type => 'part a /up/ method=PUT body=x header=Content-Type:text/plain'
            . ' except=uri,count,flying;'
            . 'part b /up/ method=PATCH body=$arg_none except=uri,count,flying;'
            . 'part c /up/ method=OPTIONS except=uri,count,flying;',
]
--- requests eval
my $part = sub {
    my ($method, $fields, $text, $length) = @_;

    return "{\"method\":\"$method\",\"headers\":[\"Host: backend\",$fields],"
           . "\"body\":\"$text\",\"length\":$length}";
};
my ($close, $type) = ('"Connection: close"', '"Content-Type: application/json"');
[
    [ 'a text' => '{"a":' . $part->('POST',
          "$close,\"Content-Length: 9\",$type",
          '{\u0022q\u0022:\u00225\u0022}', 9)
      . ',"b":' . $part->('DELETE', $close, '', 0)
      . ',"c":' . $part->('GET', "$close,\"Content-Length: 2\",$type",
                          '\u00c3\u00a9', 2) . '}', args => '?q=5' ],
    [ 'of another type, or empty' => '{"a":' . $part->('PUT',
          "$close,\"Content-Length: 1\",\"Content-Type: text/plain\"", 'x', 1)
      . ',"b":' . $part->('PATCH', "$close,\"Content-Length: 0\",$type", '', 0)
      . ',"c":' . $part->('OPTIONS', $close, '', 0) . '}', at => 'type' ],
]



=== TEST 6: parts without body= do not get the client's
--- lines
gateway_aggregate_methods GET POST PUT;
--- parts
part a /up/ except=uri,count,flying;
part b /up/ method=POST except=uri,count,flying;
part c /up/ method=POST body=x select=/body;
--- requests eval
my $rest = '"headers":["Host: backend","Connection: close","X-One: 1"],'
           . '"body":"","length":0';
my $want = "{\"a\":{\"method\":\"GET\",$rest},\"b\":{\"method\":\"POST\",$rest},"
           . '"c":"x"}';
[
    [ 'POST' => $want, request => "POST /t\nbody",
      send => "X-One: 1\nContent-Type: text/plain\nContent-Language: de" ],
    [ 'GET' => $want, request => "GET /t\nbody", send => 'X-One: 1' ],
    [ 'a large one' => $want, request => "PUT /t\n$main::Body",
      send => "X-One: 1\nContent-Type: text/plain" ],
]



=== TEST 7: body=request
--- lines
gateway_aggregate_methods GET POST;
client_body_buffer_size 4m;
client_max_body_size 4m;
gateway_aggregate_max_part_size 4m;
gateway_aggregate_max_size 16m;
--- parts
part a /up/ method=POST body=request only=method,headers,body;
part b /up/ method=PUT body=request only=length;
part c /up/ only=method,length;
part d /up/ method=POST body=request header=Content-Type:text/x select=/headers;
part e /up/?x=<b/length> method=POST body=request only=uri,body;
--- requests eval
my $want = sub {
    my ($text, $type) = @_;
    my $json = $text =~ s/\n/\\u000a/gr;
    my $n = length $text;

    return '{"a":{"method":"POST","headers":["Host: backend",'
           . "\"Connection: close\",\"Content-Length: $n\"$type],\"body\":\"$json\"},"
           . "\"b\":{\"length\":$n},\"c\":{\"method\":\"GET\",\"length\":0},"
           . "\"d\":[\"Host: backend\",\"Connection: close\",\"Content-Length: $n\","
           . "\"Content-Type: text/x\"],\"e\":{\"uri\":\"/up/?x=$n\",\"body\":\"$json\"}}";
};
[
    [ 'a short one' => $want->('a=b&c=d', ',"Content-Type: application/x-www-form-urlencoded"'),
      request => "POST /t\na=b&c=d",
      send => 'Content-Type: application/x-www-form-urlencoded' ],
    [ 'one of a megabyte' => $want->($main::Body, ''),
      request => "POST /t\n$main::Body" ],
]



=== TEST 8: body=request, from a file
--- lines
gateway_aggregate_methods GET POST;
client_body_in_file_only clean;
client_max_body_size 4m;
gateway_aggregate_max_part_size 4m;
gateway_aggregate_max_size 16m;
--- parts
part a /up/ method=POST body=request only=body;
part b /up/ method=POST body=request only=length,body;
part c /up/ select=/length;
--- requests eval
my $json = $main::Body =~ s/\n/\\u000a/gr;
my $n = length $main::Body;
[
    [ 'short' => '{"a":{"body":"x"},"b":{"body":"x","length":1},"c":0}',
      request => "POST /t\nx" ],
    [ 'a megabyte' => "{\"a\":{\"body\":\"$json\"},\"b\":{\"body\":\"$json\",\"length\":$n},\"c\":0}",
      request => "POST /t\n$main::Body" ],
]



=== TEST 9: body=request, chunked, and larger than its buffer
--- lines
gateway_aggregate_methods GET POST;
client_body_buffer_size 1k;
client_max_body_size 4m;
gateway_aggregate_max_part_size 4m;
gateway_aggregate_max_size 16m;
--- parts
part a /up/ method=POST body=request only=body,length,headers;
part b /up/ method=POST body=request only=body;
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
. CORE::join('', map { "bb8\r\n" . 'y' x 3000 . "\r\n" } 1 .. 3) . "0\r\n\r\n"
--- response_body eval
'{"a":{"headers":["Host: backend","Connection: close","Content-Length: 9000"],"body":"' . 'y' x 9000 . '","length":9000},"b":{"body":"' . 'y' x 9000 . '"}}'
--- response_headers
Gateway-Aggregate: complete



=== TEST 10: names in Connection
--- parts
part a /up/ select=/headers;
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nConnection: close, x-one ,X-Two,,\tX-THREE\r\nX-Two: 2\r\nx-three: 3\r\nX-Four: 4\r\nX-Tw: 5\r\n\r\n"
--- response_body eval
"{\"a\":[$main::Own,\"X-Four: 4\",\"X-Tw: 5\"]}"



=== TEST 11: conditions that the answer as a whole cannot meet are not its own
--- parts
part a /up/ select=/headers;
--- requests eval
[
    map { [ $_ => "{\"a\":[$main::Own]}", send => $_ ] }
        'If-Match: "x"', 'If-Unmodified-Since: Sat, 01 Jan 2022 00:00:00 GMT'
]
