
# select=, only=, except= and rename=: what is taken of a part's answer, which
# stays as it is written there.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

our $Data = <<'_EOC_';
{ "data" : { "items" : [ 1.50, { "x" : "\u00e9" }, [ ] ], "" : 0,
             "a/b" : 1, "m~n" : 2, "null" : null, "last" : 1, "last" : 2 },
  "\u0065" : "escaped" }
_EOC_

our $Object = '{"a":1.0,"b":{"x" : 2},"c":"\u00e9","d":null}';

run_blocks();

__DATA__

=== TEST 1: select=
--- answers eval
[ data => $main::Data ]
--- parts
part member /f/data select=/data/items;
part element /f/data select=/data/items/0;
part deep /f/data select=/data/items/1/x;
part empty /f/data select=/data/items/2;
part unnamed /f/data select=/data/;
part slash /f/data select=/data/a~1b;
part tilde /f/data select=/data/m~0n;
part null /f/data select=/data/null;
part last /f/data select=/data/last;
part escaped /f/data select=/e;
--- requests eval
[ [ 'values as written' =>
    '{"member":[ 1.50, { "x" : "\u00e9" }, [ ] ],"element":1.50,'
    . '"deep":"\u00e9","empty":[ ],"unnamed":0,"slash":1,"tilde":2,'
    . '"null":null,"last":2,"escaped":"escaped"}' ] ]



=== TEST 2: select= of nothing
--- answers eval
[ data => $main::Data, array => '[1,2]', number => '12' ]
--- parts
part a /f/data select=/no optional;
part b /f/data select=/data/items/3 optional;
part c /f/data select=/data/items/- optional;
part d /f/data select=/data/items/00 optional;
part e /f/data select=/data/items/x optional;
part f /f/data select=/data/last/x optional;
part g /f/number select=/0 optional;
part h /f/array select=/01 optional;
part i /f/array select=/1 optional;
part j /f/array select=/18446744073709551616 optional;
part k /f/data select=/DATA default=1;
--- requests eval
[ [ 'what is there' => '{"i":2,"k":1}',
    aggregate => 'partial; missing="a,b,c,d,e,f,g,h,j,k"' ] ]
--- error_log
part "a" has failed: there is no value to select
part "j" has failed: there is no value to select



=== TEST 3: select= merged into the root
--- answers eval
[ data => $main::Data ]
--- parts
part . /f/data select=/data/items/1;
part y /f/data select=/data/last;
--- requests eval
[ [ 'its members' => '{ "x" : "\u00e9" ,"y":2}' ] ]



=== TEST 4: only=
--- answers eval
[ o => $main::Object, escaped => '{"\u0061":1,"b":2,"é":3}', empty => '{ }' ]
--- parts
part one /f/o only=c;
part order /f/o only=d,b,a;
part none /f/o only=x;
part some /f/o only=x,a,y;
part case /f/o only=A;
part escaped /f/escaped only=a,é;
part empty /f/empty only=a;
--- requests eval
[ [ 'in the order of the answer' =>
    '{"one":{"c":"\u00e9"},"order":{"a":1.0,"b":{"x" : 2},"d":null},'
    . '"none":{},"some":{"a":1.0},"case":{},"escaped":{"\u0061":1,"é":3},'
    . '"empty":{}}' ] ]



=== TEST 5: except=
--- answers eval
[ o => $main::Object, escaped => '{"\u0061":1,"b":2}', empty => '{ }',
  twice => '{"a":1,"b":2,"a":3}' ]
--- parts
part one /f/o except=a;
part most /f/o except=d,x,b;
part all /f/o except=a,b,c,d;
part none /f/o except=x;
part escaped /f/escaped except=a;
part empty /f/empty except=a;
part twice /f/twice except=a;
--- requests eval
[ [ 'the others' =>
    '{"one":{"b":{"x" : 2},"c":"\u00e9","d":null},"most":{"a":1.0,"c":"\u00e9"},'
    . '"all":{},"none":{"a":1.0,"b":{"x" : 2},"c":"\u00e9","d":null},'
    . '"escaped":{"b":2},"empty":{},"twice":{"b":2}}' ] ]



=== TEST 6: rename=
--- answers eval
[ o => $main::Object, escaped => '{"\u0061":1,"b":2}',
  twice => '{"a":1,"b":2,"a":3}' ]
--- parts
part one /f/o rename=a:z;
part swap /f/o rename=a:b,b:a;
part ring /f/o rename=a:b,b:c,c:a;
part none /f/o rename=x:y;
part escaped /f/escaped rename=a:é;
part twice /f/twice rename=a:c;
part colon /f/o rename=a:b:c;
part quoted /f/o 'rename=a:"';
--- requests eval
my $rest = '"c":"\u00e9","d":null';
[ [ 'names only' =>
    '{"one":{"z":1.0,"b":{"x" : 2},' . $rest . '},'
    . '"swap":{"b":1.0,"a":{"x" : 2},' . $rest . '},'
    . '"ring":{"b":1.0,"c":{"x" : 2},"a":"\u00e9","d":null},'
    . '"none":{"a":1.0,"b":{"x" : 2},' . $rest . '},'
    . '"escaped":{"é":1,"b":2},"twice":{"c":1,"b":2,"c":3},'
    . '"colon":{"b:c":1.0,"b":{"x" : 2},' . $rest . '},'
    . '"quoted":{"\"":1.0,"b":{"x" : 2},' . $rest . '}}' ] ]



=== TEST 7: together
--- answers eval
[ o => $main::Object, data => "{\"data\":$main::Object}" ]
--- parts
part only /f/o only=a,c rename=a:z;
part except /f/o except=b rename=c:x,b:y;
part select /f/data select=/data only=b;
part all /f/data select=/data rename=d:e except=a,b;
part . /f/data select=/data only=a,d rename=a:root;
--- requests eval
[ [ 'names are those of the answer' =>
    '{"only":{"z":1.0,"c":"\u00e9"},"except":{"a":1.0,"x":"\u00e9","d":null},'
    . '"select":{"b":{"x" : 2}},"all":{"c":"\u00e9","e":null},'
    . '"root":1.0,"d":null}' ] ]



=== TEST 8: members of what is no object
--- answers eval
[ a => '[{"a":1}]', n => '1', s => '"a"', null => 'null', o => '{"a":[1]}' ]
--- parts
part only /f/a only=a optional;
part except /f/n except=a optional;
part rename /f/s rename=b:c optional;
part null /f/null only=a default=0;
part select /f/o select=/a only=a optional;
part good /f/o only=a;
--- requests eval
[ [ 'there are none' => '{"null":0,"good":{"a":[1]}}',
    aggregate => 'partial; missing="only,except,rename,null,select"' ] ]
--- error_log
part "only" has failed: the value is not an object
part "null" has failed: the value is not an object



=== TEST 9: a new name that is there already
--- answers eval
[ o => '{"a":1,"b":2,"\u0062":3,"c":4}', no => '{"b":2,"c":4}' ]
--- parts
part a /f/o rename=a:b;
part b /f/o rename=a:b only=a;
part c /f/o rename=a:b,b:x;
part d /f/no rename=a:b;
part e /f/o rename=a:b except=a;
--- requests eval
[ [ 'it gives way' => '{"a":{"b":1,"c":4},"b":{"b":1},'
    . '"c":{"b":1,"x":2,"x":3,"c":4},"d":{"b":2,"c":4},'
    . '"e":{"b":2,"\u0062":3,"c":4}}' ] ]



=== TEST 10: a large answer of which little is taken
--- answers eval
[ a => '{"x":"' . 'x' x 300_000 . '","y":[1,2],"z":"' . 'z' x 300_000 . '"}' ]
--- parts
part a /f/a only=y;
part b /f/a select=/y/1;
part c /f/a except=x,z;
--- requests eval
[ [ 'just that' => '{"a":{"y":[1,2]},"b":2,"c":{"y":[1,2]}}' ] ]
