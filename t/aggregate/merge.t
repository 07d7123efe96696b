
# How the parts become one object: order, nesting, parts called "." and members
# with one name.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: the order is the written one, whatever comes first
--- answers eval
[ now => '1' ]
--- parts
part slow /up/delay/0.05 select=/method;
part b /up/delay/0.02 select=/method;
part now /f/now;
part a /up/ select=/method;
--- requests eval
[ [ 'all' => '{"slow":"GET","b":"GET","now":1,"a":"GET"}' ] ]



=== TEST 2: nested names
--- answers eval
[ map { $_ => $_ } 1 .. 5 ]
--- parts
part a/b /f/1;
part x /f/2;
part a/c/d /f/3;
part y/z /f/4;
part a/c/e /f/5;
--- requests eval
[ [ 'one object for each' =>
    '{"a":{"b":1,"c":{"d":3,"e":5}},"x":2,"y":{"z":4}}' ] ]



=== TEST 3: a slash and a tilde in a name
--- answers eval
[ map { $_ => $_ } 1 .. 4 ]
--- parts
part a~1b /f/1;
part a/b /f/2;
part c~0d /f/3;
part e~01 /f/4;
--- requests eval
[ [ 'they are members' => '{"a/b":1,"a":{"b":2},"c~d":3,"e~1":4}' ] ]



=== TEST 4: names that are not ASCII, and those that look like others
--- answers eval
[ map { $_ => $_ } 1 .. 4 ]
--- parts
part é /f/1;
part a.b /f/2;
part user /f/3;
part user2 /f/4;
--- requests eval
[ [ 'as written' => '{"é":1,"a.b":2,"user":3,"user2":4}' ] ]



=== TEST 5: "." beside named parts
--- answers eval
[ root => '{ "a" : 1 , "b":{"c" : 2} }', x => '"x"', y => '"y"' ]
--- parts
part x /f/x;
part . /f/root;
part y /f/y;
--- requests eval
[ [ 'where it is written' => '{"x":"x", "a" : 1 , "b":{"c" : 2} ,"y":"y"}' ] ]



=== TEST 6: "." alone
--- answers eval
[ root => "\n{ \"a\" : 1 }\n", none => '{}', twice => '{"a":1,"a":2}' ]
--- locations eval
[ t => 'part . /f/root;', none => 'part . /f/none;',
  twice => 'part . /f/twice;', nothing => 'part . /f/missing optional;',
  default => q(part . /f/missing 'default={"d":1}';) ]
--- requests eval
[
    [ 'the object as it is' => '{ "a" : 1 }' ],
    [ 'an empty one' => '{}', at => 'none' ],
    [ 'a name that is there twice' => '{"a":1,"a":2}', at => 'twice' ],
    [ 'missing' => '{}', at => 'nothing', aggregate => 'partial; missing="."' ],
    [ 'default' => '{"d":1}', at => 'default',
      aggregate => 'partial; missing="."' ],
]



=== TEST 7: "." against a named part: the first one stays
--- answers eval
[ root => '{"a":1,"b":2,"c":3}', b => '"named"' ]
--- locations eval
[
    t => 'part . /f/root; part b /f/b;',
    named => 'part b /f/b; part . /f/root;',
    nested => 'part b/x /f/b; part . /f/root; part b/y /f/b;',
    root => 'part . /f/root; part b/x /f/b; part b/y /f/b; part d /f/b;',
    between => 'part a /f/b; part . /f/root; part c /f/b;',
]
--- requests eval
[
    [ 'the member' => '{"a":1,"b":2,"c":3}' ],
    [ 'the part' => '{"b":"named","a":1,"c":3}', at => 'named' ],
    [ 'the group' => '{"b":{"x":"named","y":"named"},"a":1,"c":3}',
      at => 'nested' ],
    [ 'not the group' => '{"a":1,"b":2,"c":3,"d":"named"}', at => 'root' ],
    [ 'both' => '{"a":"named","b":2,"c":3}', at => 'between' ],
]



=== TEST 8: two and three parts that merge
--- answers eval
[ one => '{"a":1,"b":1}', two => '{"b":2,"c":2,"c":22}',
  three => '{"c":3,"a":3,"d":3}', all => '{"a":4,"b":4}', none => '{ }' ]
--- locations eval
[
    t => 'part . /f/one; part . /f/two; part . /f/three;',
    back => 'part . /f/three; part . /f/two; part . /f/one;',
    covered => 'part . /f/one; part . /f/all; part x /f/none;',
    empty => 'part . /f/none; part . /f/none;',
    mixed => 'part . /f/none; part . /f/one; part . /f/none;',
]
--- requests eval
[
    [ 'in order' => '{"a":1,"b":1,"c":2,"c":22,"d":3}' ],
    [ 'and back' => '{"c":3,"a":3,"d":3,"b":2}', at => 'back' ],
    [ 'nothing left of one' => '{"a":1,"b":1,"x":{ }}', at => 'covered' ],
    [ 'nothing at all' => '{}', at => 'empty' ],
    [ 'nothing around' => '{"a":1,"b":1}', at => 'mixed' ],
]



=== TEST 9: names collide as what they mean, not as they are written
--- answers eval
[ plain => '{"a":1,"\u00e9":1,"b/c":1}',
  escaped => '{"\u0061":2,"' . "\xc3\xa9" . '":2,"b\/c":2,"A":2,"a ":2}',
  x => '3' ]
--- locations eval
[
    t => 'part . /f/plain; part . /f/escaped;',
    back => 'part . /f/escaped; part . /f/plain;',
    part => 'part a /f/x; part . /f/escaped;',
    slash => 'part b~1c /f/x; part . /f/escaped; part . /f/plain;',
    after => "part . /f/plain; part \xc3\xa9 /f/x;",
]
--- requests eval
[
    [ 'plain first' => '{"a":1,"\u00e9":1,"b/c":1,"A":2,"a ":2}' ],
    [ 'escaped first' => '{"\u0061":2,"' . "\xc3\xa9"
      . '":2,"b\/c":2,"A":2,"a ":2}', at => 'back' ],
    [ 'a part' => '{"a":3,"' . "\xc3\xa9" . '":2,"b\/c":2,"A":2,"a ":2}',
      at => 'part' ],
    [ 'a slash' => '{"b/c":3,"\u0061":2,"' . "\xc3\xa9"
      . '":2,"A":2,"a ":2}', at => 'slash' ],
    [ 'a part later' => '{"a":1,"\u00e9":1,"b/c":1}', at => 'after' ],
]



=== TEST 10: duplicates within one part are passed
--- answers eval
[ a => '{"k":1,"k":2}' ]
--- parts
part . /f/a;
part a /f/a;
--- requests eval
[ [ 'twice' => '{"k":1,"k":2,"a":{"k":1,"k":2}}' ] ]



=== TEST 11: a part that is missing has no name to collide
--- answers eval
[ root => '{"a":1,"b":2}', x => '3' ]
--- locations eval
[
    t => 'part a /f/missing optional; part . /f/root;',
    default => 'part a /f/missing default=0; part . /f/root;',
    root => 'part . /f/missing optional; part a /f/x;',
    both => q(part . /f/missing 'default={"a":9}'; part a /f/x;),
]
--- requests eval
[
    [ 'the member' => '{"a":1,"b":2}', aggregate => 'partial; missing="a"' ],
    [ 'the default' => '{"a":0,"b":2}', at => 'default',
      aggregate => 'partial; missing="a"' ],
    [ 'the part' => '{"a":3}', at => 'root',
      aggregate => 'partial; missing="."' ],
    [ 'the default\'s member' => '{"a":9}', at => 'both',
      aggregate => 'partial; missing="."' ],
]



=== TEST 12: defaults, as they are written
--- answers eval
[ x => '1' ]
--- parts
part a /f/no default=12.50;
part b /f/no 'default= {"a" : "\u00e9"} ';
part c/d /f/no default=null;
part c/e /f/no optional;
part f /f/x default=2;
part g /f/no 'default="text"';
part h /f/no default=[];
--- requests eval
[ [ 'of those that failed' =>
    '{"a":12.50,"b":{"a" : "\u00e9"},"c":{"d":null},"f":1,"g":"text","h":[]}',
    aggregate => 'partial; missing="a,b,c/d,c/e,g,h"' ] ]



=== TEST 13: what is left when parts are missing
--- answers eval
[ x => '1' ]
--- locations eval
[
    t => 'part a/b /f/no optional; part a/c /f/no optional; part x /f/x;',
    last => 'part x /f/x; part a/b/c /f/no optional; part y /f/no optional;',
    all => 'part x /f/no optional; part y /f/no optional;',
]
--- requests eval
[
    [ 'an empty group' => '{"a":{},"x":1}',
      aggregate => 'partial; missing="a/b,a/c"' ],
    [ 'at the end' => '{"x":1,"a":{"b":{}}}', at => 'last',
      aggregate => 'partial; missing="a/b/c,y"' ],
    [ 'nothing' => '{}', at => 'all', aggregate => 'partial; missing="x,y"' ],
]



=== TEST 14: "." of what is no object
--- answers eval
[ array => '[1]', string => '"a"', null => 'null', x => '1' ]
--- locations eval
[ t => 'part . /f/array optional; part x /f/x;',
  all => 'part . /f/string optional; part . /f/null optional; part x /f/x;' ]
--- requests eval
[
    [ 'an array' => '{"x":1}', aggregate => 'partial; missing="."' ],
    [ 'others' => '{"x":1}', at => 'all', aggregate => 'partial; missing=".,."' ],
]
--- error_log
part "." has failed: the value is not an object



=== TEST 15: many members, half of them taken
--- answers eval
[ even => '{' . CORE::join(',', map { "\"m" . 2 * $_ . '":0' } 0 .. 999) . '}',
  all => '{' . CORE::join(',', map { "\"m$_\":1" } 0 .. 1999) . '}' ]
--- parts
part . /f/even;
part . /f/all;
--- requests eval
[ [ 'each once' => '{'
    . CORE::join(',', (map { "\"m" . 2 * $_ . '":0' } 0 .. 999),
                      (map { "\"m" . (2 * $_ + 1) . '":1' } 0 .. 999)) . '}' ] ]
