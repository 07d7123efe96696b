
# each=: a part that is asked once for each element of an array.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: results in the order of the elements
--- answers eval
[ ids => '[3,1,2]', map { ("o$_" => " {\"n\" : $_.0} ") } 1 .. 3 ]
--- parts
part ids /f/ids;
part orders /f/o<item> each=ids;
--- requests eval
[ [ 'all' => '{"ids":[3,1,2],"orders":[{"n" : 3.0},{"n" : 1.0},{"n" : 2.0}]}' ] ]



=== TEST 2: whatever comes first
--- answers eval
[ times => '["0.06","0.03","0"]' ]
--- parts
part times /f/times;
part . /up/ only=method;
part all /up/delay/<item> each=times select=/uri;
--- requests eval
[ [ 'the slowest is the first' =>
    '{"times":["0.06","0.03","0"],"method":"GET",'
    . '"all":["/up/delay/0.06","/up/delay/0.03","/up/delay/0"]}' ] ]



=== TEST 3: elements, and what lies in them
--- answers eval
[ a => '{"list":[{"id":"a/b","n":[1]},{"id":7,"n":[2]}],"é":["x y",12.50,"\u00e9"]}' ]
--- parts
part a /f/a select=/list;
part b/c /f/a;
part ids /up/<item/id>/<item/n/0>?<item/id> each=a select=/uri;
part deep /up/<item/n/0> each=b/c/list select=/uri;
part texts /up/<item> each=b/c/é select=/uri;
part mixed /up/<b/c/list/1/id>/<item> each=b/c/é select=/uri;
--- requests eval
my $list = '[{"id":"a/b","n":[1]},{"id":7,"n":[2]}]';
my $texts = '["x y",12.50,"\u00e9"]';
[ [ 'all' => "{\"a\":$list,\"b\":{\"c\":{\"list\":$list,\"é\":$texts}},"
    . '"ids":["/up/a%2Fb/1?a%2Fb","/up/7/2?7"],"deep":["/up/1","/up/2"],'
    . '"texts":["/up/x%20y","/up/12.50","/up/%C3%A9"],'
    . '"mixed":["/up/7/x%20y","/up/7/12.50","/up/7/%C3%A9"]}' ] ]



=== TEST 4: one URI is asked once
--- answers eval
[ ids => '["a","b","a","\u0061",{"x":"a"},"b"]', objects => '[{"id":1,"x":1},{"id":1,"x":2}]' ]
--- parts
part ids /f/ids only=x optional;
part a /f/ids select=/5;
part l /f/ids;
part o /f/objects;
part same /up/<o/0/id> each=l select=/count;
part each /up/<item/id> each=o select=/count;
part end /up/<each/0>/<same/0> select=/count;
--- requests eval
[ [ 'one count for one URI' => sub {
    my ($same, $one, $two, $end) = $_[0] =~
        /"same":\[(\d+(?:,\d+)*)\],"each":\[(\d+),(\d+)\],"end":(\d+)\}\z/
        or return 0;
    my %seen = map { $_ => 1 } CORE::split /,/, $same;

    return 0 if keys %seen != 1 || ($same =~ tr/,//) != 5;
    ($same) = keys %seen;

    return $one == $two && abs($same - $one) == 1
           && $end == ($same > $one ? $same : $one) + 1;
}, aggregate => 'partial; missing="ids"' ] ]



=== TEST 5: duplicates, with their places
--- answers eval
[ ids => '["a","b","a","\u0061","b"]', a => '"A"', b => '"B"' ]
--- parts
part ids /f/ids;
part all /f/<item> each=ids;
part one /f/<item> each=ids concurrency=1;
--- requests eval
[ [ 'all' => '{"ids":["a","b","a","\u0061","b"],"all":["A","B","A","A","B"],'
    . '"one":["A","B","A","A","B"]}' ] ]



=== TEST 6: max=, and its default
--- answers eval
[ one => '[1]', three => '[1,2,3]', many => '[' . CORE::join(',', 1 .. 21) . ']',
  twenty => '[' . CORE::join(',', 1 .. 20) . ']' ]
--- locations eval
[
    t => 'part a /f/three; part b /up/<item> each=a max=2 select=/uri;',
    just => 'part a /f/three; part b /up/<item> each=a max=3 select=/uri;',
    usual => 'part a /f/many; part b/c /up/<item> each=a select=/length;',
    twenty => 'part a /f/twenty; part b /up/<item> each=a select=/length;',
    both => 'part a /f/three; part b /up/<item> each=a max=1 select=/length;'
            . 'part c /f/no optional; part d /f/<item> each=a max=1 default=[];'
            . 'part e /up/<item> each=a max=2 select=/length;',
]
--- requests eval
my $n = sub { CORE::join ',', @_ };
[
    [ 'more' => '{"a":[1,2,3],"b":["/up/1","/up/2"]}',
      aggregate => 'partial; truncated="b"' ],
    [ 'as many' => '{"a":[1,2,3],"b":["/up/1","/up/2","/up/3"]}',
      at => 'just' ],
    [ '21' => '{"a":[' . $n->(1 .. 21) . '],"b":{"c":[' . $n->((0) x 20)
      . ']}}', at => 'usual', aggregate => 'partial; truncated="b/c"' ],
    [ '20' => '{"a":[' . $n->(1 .. 20) . '],"b":[' . $n->((0) x 20)
      . ']}', at => 'twenty' ],
    [ 'missing and truncated' => '{"a":[1,2,3],"b":[0],"d":[],"e":[0,0]}',
      at => 'both', aggregate => 'partial; missing="c,d"; truncated="b,e"' ],
]



=== TEST 7: no more at a time than concurrency= says
--- answers eval
[ ids => '[1,2,3,4,5,6]' ]
--- locations eval
[ map { ("n$_" => "part ids /f/ids select=/0; part i /f/ids;"
                  . "part a /up/delay/0.02/<item> each=i concurrency=$_"
                  . " select=/flying;") } 1, 2, 5, 6, 1000 ]
--- requests eval
[ map {
    my ($n, $most) = @$_;

    [ $n => sub {
        my ($flying) = $_[0] =~ /\A\{"ids":1,"i":\[1,2,3,4,5,6\],"a":\[([\d,]+)\]\}\z/
            or return 0;
        my @sorted = CORE::sort { $a <=> $b } CORE::split /,/, $flying;

        return @sorted == 6 && $sorted[-1] == $most && $sorted[0] == 1;
    }, at => "n$n" ]
} [ 1, 1 ], [ 2, 2 ], [ 5, 5 ], [ 6, 6 ], [ 1000, 6 ] ]



=== TEST 8: without concurrency= all at once
--- answers eval
[ ids => '[1,2,3,4,5,6,7,8]' ]
--- parts
part i /f/ids;
part a /up/delay/0.03/<item> each=i select=/flying;
--- requests eval
[ [ 'eight' => sub { $_[0] =~ /"a":\[([\d,]+)\]\}\z/
    && CORE::join(',', CORE::sort CORE::split(/,/, $1)) eq '1,2,3,4,5,6,7,8' } ] ]



=== TEST 9: no elements
--- answers eval
[ none => '[]', spaced => '{"a":[ ]}' ]
--- parts
part a /f/none;
part b /f/no/<item> each=a;
part c /f/spaced;
part d /f/no/<item> each=c/a;
part e /up/<item> each=d select=/x;
--- requests eval
[ [ 'none' => '{"a":[],"b":[],"c":{"a":[ ]},"d":[],"e":[]}' ] ]



=== TEST 10: an array of what has no URI
--- answers eval
[ v => '[[1,null],[1,true],[1,false],[1,[2]],{"a":1},"text",null,[{"x":1},{}]]' ]
--- parts
part v /f/v only=x optional;
part all /f/v;
part a /up/<item> each=all/0 optional;
part b /up/<item> each=all/1 optional;
part c /up/<item> each=all/2 optional;
part d /up/<item> each=all/3 optional;
part e /up/<item> each=all/4 optional;
part f /up/<item> each=all/5 optional;
part g /up/<item> each=all/6 optional;
part h /up/<item> each=all/9 optional;
part i /up/<item/x> each=all/7 optional;
part j /up/<item> each=all/7 optional;
part k /up/<item> each=all/0 max=1 select=/uri;
--- requests eval
[ [ 'each of them fails' =>
    '{"all":[[1,null],[1,true],[1,false],[1,[2]],{"a":1},"text",null,[{"x":1},{}]],'
    . '"k":["/up/1"]}',
    aggregate => 'partial; missing="v,a,b,c,d,e,f,g,h,i,j"; truncated="k"' ] ]
--- error_log
part "a" has failed: an element is not a string, a number or an object
part "d" has failed: an element is not a string, a number or an object
part "e" has failed: there is no array to take its elements from
part "h" has failed: there is no array to take its elements from
part "i" has failed: there is no value for <item/x>
part "j" has failed: there is no value for <item>



=== TEST 11: one that fails fails all
--- answers eval
[ ids => '[1,2,3]', o1 => '1', o3 => '3' ]
--- parts
part ids /f/ids;
part all /f/o<item> each=ids optional;
part one /f/o<item> each=ids concurrency=1 default=null;
part ok /f/o<item> each=ids status=200,404 optional;
--- requests eval
[ [ 'or leaves the default' => '{"ids":[1,2,3],"one":null}',
    aggregate => 'partial; missing="all,one,ok"' ] ]



=== TEST 12: each of each
--- answers eval
[ ids => '["a","b"]', 'l-a' => '{"next":"c"}', 'l-b' => '{"next":"d"}',
  'm-c' => '["e"]', 'm-d' => '["f"]', 'n-e' => '1', 'n-f' => '2' ]
--- parts
part ids /f/ids;
part l /f/l-<item> each=ids;
part m /f/m-<item/next> each=l;
part n /f/n-<item> each=o;
part o /f/m-<item> each=k select=/0;
part k /f/l-<item> each=ids select=/next;
part first /f/n-<m/0/0>;
--- requests eval
[ [ 'in order of need' => '{"ids":["a","b"],"l":[{"next":"c"},{"next":"d"}],'
    . '"m":[["e"],["f"]],"n":[1,2],"o":["e","f"],"k":["c","d"],"first":1}' ] ]



=== TEST 13: select=, only= and rename= of each
--- answers eval
[ ids => '[1,2]', o1 => '{"d":{"a":1,"b":2}}', o2 => '{"d":{"a":3}}' ]
--- parts
part ids /f/ids;
part a /f/o<item> each=ids select=/d;
part b /f/o<item> each=ids select=/d/a;
part c /f/o<item> each=ids select=/d only=a rename=a:x;
part d /f/o<item> each=ids select=/d/b optional;
--- requests eval
[ [ 'all' => '{"ids":[1,2],"a":[{"a":1,"b":2},{"a":3}],"b":[1,3],'
    . '"c":[{"x":1},{"x":3}]}', aggregate => 'partial; missing="d"' ] ]



=== TEST 14: a part without <item>: one request for all
--- answers eval
[ ids => '[1,2,3]', x => '"x"' ]
--- parts
part ids /f/ids;
part a /f/x each=ids;
--- requests eval
[ [ 'three times the same' => '{"ids":[1,2,3],"a":["x","x","x"]}' ] ]



=== TEST 15: a part called item
--- answers eval
[ i => '{"id":5}', ids => '[1]' ]
--- parts
part item /f/i;
part a /up/<item/id> select=/uri;
part ids /f/ids;
part b /up/<item> each=ids select=/uri;
--- requests eval
[ [ 'is one outside of each=' =>
    '{"item":{"id":5},"a":"/up/5","ids":[1],"b":["/up/1"]}' ] ]



=== TEST 16: large results of 200 elements
--- answers eval
[ ids => '[' . CORE::join(',', 1 .. 200) . ']' ]
--- parts
part ids /f/ids only=x optional;
part i /f/ids;
part a /up/form/chunked/<item>?size=3000 each=i max=200 concurrency=20;
--- lines
proxy_http_version 1.1;
--- requests eval
[ [ 'all' => '{"i":[' . CORE::join(',', 1 .. 200) . '],"a":['
    . CORE::join(',', ('{"form":"chunked","more":"' . 'x' x 3000 . '"}') x 200)
    . ']}', aggregate => 'partial; missing="ids"' ] ]
