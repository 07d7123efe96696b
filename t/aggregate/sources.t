
# Where parts come from: proxies with all framings, "return", files, aggregates.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: proxies, with and without buffers
--- server
proxy_http_version 1.1;
location /un/ { proxy_pass http://backend; proxy_buffering off; }
location /small/ { proxy_pass http://backend; proxy_buffers 2 4k; proxy_buffer_size 1k; proxy_busy_buffers_size 4k; }
location /file/ { proxy_pass http://backend; proxy_buffers 2 4k; proxy_buffer_size 1k; proxy_busy_buffers_size 4k; proxy_max_temp_file_size 1m; proxy_temp_file_write_size 8k; }
location /old/ { proxy_pass http://backend; proxy_http_version 1.0; }
--- locations eval
my @n;
for my $size (0, 50, 5_000, 200_000) {
    my $parts = '';
    for my $where (qw( up un small file old )) {
        for my $form (qw( length chunked close )) {
            next if $where eq 'old' && $form eq 'chunked';
            $parts .= "part $where/$form /$where/form/$form?size=$size;\n";
        }
    }
    push @n, "n$size" => $parts;
}
\@n;
--- requests eval
my @rows;
for my $size (0, 50, 5_000, 200_000) {
    my @all;
    for my $where (qw( up un small file old )) {
        push @all, "\"$where\":{" . CORE::join(',', map {
            "\"$_\":{\"form\":\"$_\",\"more\":\"" . 'x' x $size . '"}'
        } grep { $where ne 'old' || $_ ne 'chunked' } qw( length chunked close )) . '}';
    }
    push @rows, [ "$size bytes" => '{' . CORE::join(',', @all) . '}', at => "n$size" ];
}
\@rows;



=== TEST 2: "return", with a type, a status, a text of variables
--- server
location /one { return 200 '{"a":1}'; }
location /two { default_type application/json; return 201 '"$arg_x"'; }
location /three { default_type text/html; return 202 12.50; }
location /four { return 404 '{"no":1}'; }
location /five { rewrite ^ /one last; }
location /six { try_files /none @named; }
location @named { return 200 '"named"'; }
location /seven { error_page 404 =200 /one; return 404; }
location /eight { internal; return 200 '"internal"'; }
--- parts
part one /one;
part two /two?x=y;
part three /three;
part four /four status=404;
part five /five;
part six /six;
part seven /seven;
part eight /eight;
--- requests eval
[ [ 'all' => '{"one":{"a":1},"two":"y","three":12.50,"four":{"no":1},'
    . '"five":{"a":1},"six":"named","seven":{"a":1},"eight":"internal"}' ] ]



=== TEST 3: files, small, larger than a buffer, and with sendfile
--- server
location /sendfile/ { alias html/; sendfile on; }
location /plain/ { alias html/; sendfile off; output_buffers 1 4k; }
location /aio/ { alias html/; sendfile off; directio 1; }
--- answers eval
[ small => '[1]', 'edge' => '"' . 'e' x 65_534 . '"',
  over => '"' . 'o' x 65_535 . '"', large => '"' . 'l' x 900_000 . '"' ]
--- parts eval
CORE::join '', map { my $w = $_; map { "part $w/$_ /$w/$_;\n" }
                               qw( small edge over large ) }
                   qw( f sendfile plain aio )
--- requests eval
my $one = '{"small":[1],"edge":"' . 'e' x 65_534 . '","over":"' . 'o' x 65_535
          . '","large":"' . 'l' x 900_000 . '"}';
[ [ 'all of them' => "{\"f\":$one,\"sendfile\":$one,\"plain\":$one,\"aio\":$one}" ] ]



=== TEST 4: an aggregate in an aggregate
--- server
location = /inner { gateway_aggregate { part x /f/x; part y /deep; part . /up/ only=method; } }
location = /deep { gateway_aggregate { part z /f/x; part w /up/<z> select=/uri; } }
location = /some { gateway_aggregate { part x /f/x; part n /f/no optional; } }
location = /none { gateway_aggregate { part n /f/no; } }
location = /fields { gateway_aggregate { part h /up/ select=/headers header=X-Inner:$http_x_outer; } }
--- answers eval
[ x => '12.50' ]
--- locations eval
[
    t => 'part a /inner; part b /inner select=/y; part c /up/<a/y/z> select=/uri;',
    partial => 'part a /some; part b /none optional;',
    failed => 'part a /none;',
    headers => 'part a /fields header=X-Outer:1 header=Cookie:;',
]
--- requests eval
my $deep = '{"z":12.50,"w":"/up/12.50"}';
[
    [ 'three deep' => "{\"a\":{\"x\":12.50,\"y\":$deep,\"method\":\"GET\"},"
      . "\"b\":$deep,\"c\":\"/up/12.50\"}" ],
    [ 'a partial one' => '{"a":{"x":12.50}}', at => 'partial',
      aggregate => 'partial; missing="b"' ],
    [ 'a failed one' => qr/"parts":\[\{"name":"a","status":502,"reason":"/,
      at => 'failed', code => 502 ],
    [ 'header fields' => '{"a":{"h":["Host: backend","Connection: close",'
      . '"X-Outer: 1","X-Inner: 1"]}}', at => 'headers', send => 'Cookie: a=b' ],
    [ 'HEAD' => "{\"a\":{\"x\":12.50,\"y\":$deep,\"method\":\"GET\"},"
      . "\"b\":$deep,\"c\":\"/up/12.50\"}", request => 'HEAD /t' ],
]



=== TEST 5: an aggregate of itself, and two of one another
--- answers eval
[ x => '1' ]
--- parts
part a /t optional;
part x /f/x;
--- locations eval
[ other => 'part b /third; part y /f/x;', third => 'part c /other optional;' ]
--- requests eval
[
    [ 'the part fails' => '{"x":1}', aggregate => 'partial; missing="a"' ],
    [ 'the second time' => '{"b":{},"y":1}', at => 'other' ],
]
--- error_log
is a part of itself
--- no_error_log
[alert]



=== TEST 6: a POST of one, with a body that it hands down
--- server
location = /inner {
    gateway_aggregate_methods POST;
    gateway_aggregate {
        part x /up/ method=POST body=request only=method,body;
        part y /up/ only=method,body;
    }
}
--- lines
gateway_aggregate_methods GET POST;
--- parts
part a /inner method=POST body=request;
part b /inner method=POST body=mine;
--- requests eval
my $one = sub { "{\"x\":{\"method\":\"POST\",\"body\":\"$_[0]\"},\"y\":{\"method\":\"GET\",\"body\":\"\"}}" };
[
    [ 'both' => '{"a":' . $one->('theirs') . ',"b":' . $one->('mine') . '}',
      request => "POST /t\ntheirs" ],
    [ 'none' => '{"a":' . $one->('') . ',"b":' . $one->('mine') . '}' ],
]
