
# Values come through byte for byte; only white space before and after the
# value of a part is left out.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

run_blocks();

__DATA__

=== TEST 1: values of all types, as they are written
--- answers eval
our @values = (
    fraction => '12.50', zero => '-0', huge => '1e400', tiny => '1E-400',
    large => '18446744073709551616', long => '0.' . '1' x 500,
    null => 'null', true => 'true', false => 'false',
    string => '"text"', none => '""', escaped => '"\u00e9\u00E9\/\"\\\\"',
    utf8 => "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", raw => "\"\x7f\"",
    surrogate => '"\ud800"', pair => '"\ud83d\ude00"', nul => '"\u0000"',
    array => '[]', object => '{}', spaced => "{ \"b\" :\t1 ,\r\n \"a\": [ ] }",
    twice => '{"a":1,"a":2}', unnamed => '{"":1}', order => '{"z":1,"a":2,"m":3}',
    numbers => '[1.0,1.00,10e0,-1.5E+3]',
);
\@values;
--- parts eval
our @values;
CORE::join "\n", map { "part $values[2 * $_] /f/$values[2 * $_];" } 0 .. $#values / 2;
--- requests eval
our @values;
[ [ 'all' => '{' . CORE::join(',', map { "\"$values[2 * $_]\":$values[2 * $_ + 1]" }
                             0 .. $#values / 2) . '}' ] ]



=== TEST 2: white space around a value is not part of it
--- answers eval
[ a => " \t\r\n1\n", b => "\n\n\n[ 1 ]  ", c => "\r\n\"  \"\r\n" ]
--- parts
part a /f/a;
part b /f/b;
part c /f/c;
--- requests eval
[ [ 'all' => '{"a":1,"b":[ 1 ],"c":"  "}' ] ]



=== TEST 3: 64 parts
--- answers eval
[ map { $_ => "{ \"n\": $_.0 }" } 1 .. 64 ]
--- parts eval
CORE::join "\n", map { "part p$_ /f/$_;" } 1 .. 64
--- requests eval
[ [ 'all' => '{' . CORE::join(',', map { "\"p$_\":{ \"n\": $_.0 }" } 1 .. 64)
             . '}' ] ]



=== TEST 4: 256 parts
--- answers eval
[ a => '[7]' ]
--- parts eval
CORE::join "\n", map { "part p$_ /f/a;" } 1 .. 256
--- requests eval
[ [ 'all' => '{' . CORE::join(',', map { "\"p$_\":[7]" } 1 .. 256) . '}' ] ]



=== TEST 5: 64 levels deep
--- answers eval
[ a => '[' x 64 . ']' x 64, b => '{"a":' x 63 . '[]' . '}' x 63 ]
--- parts
part a /f/a;
part b /f/b;
--- requests eval
[ [ 'all' => '{"a":' . '[' x 64 . ']' x 64
             . ',"b":' . '{"a":' x 63 . '[]' . '}' x 63 . '}' ] ]



=== TEST 6: as deep as it is said, not deeper
--- answers eval
[ 3 => '[[[0]]]', 4 => '[[[[]]]]', 1024 => '[' x 1024 . ']' x 1024 ]
--- locations eval
[
    t => [ 'part a /f/3; part b /f/4 optional;',
           'gateway_aggregate_max_depth 3;' ],
    flat => [ 'part a /f/3 optional; part b /up/form/length optional;',
              'gateway_aggregate_max_depth 1;' ],
    deep => [ 'part a /f/1024;', 'gateway_aggregate_max_depth 1024;' ],
]
--- requests eval
[
    [ 'three' => '{"a":[[[0]]]}', aggregate => 'partial; missing="b"' ],
    [ 'one' => '{"b":{"form":"length"}}', at => 'flat',
      aggregate => 'partial; missing="a"' ],
    [ 'many' => '{"a":' . '[' x 1024 . ']' x 1024 . '}', at => 'deep' ],
]



=== TEST 7: parts of no, few and many buffers
--- answers eval
[ small => '"' . 'a' x 100 . '"', large => '"' . 'b' x 200_000 . '"',
  odd => " \n" x 40_000 . '[' . '1,' x 40_000 . '1]' . "\n " x 40_000 ]
--- parts
part small /f/small;
part large /f/large;
part odd /f/odd;
--- requests eval
[ [ 'static' => '{"small":"' . 'a' x 100 . '","large":"' . 'b' x 200_000
                . '","odd":[' . '1,' x 40_000 . '1]}' ] ]
