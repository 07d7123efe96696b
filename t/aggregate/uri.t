
# Parts whose URIs take values of others and of variables: what is asked then.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

# a value of everything that means something in a URI, and how it is encoded

our $Value = '"/?#%&=+ ;:@\'\"<>[]{}|^`~!$*(),.-_é\u20ac\ud83d\ude00\\\\"';

our $Encoded = '%2F%3F%23%25%26%3D%2B%20%3B%3A%40%27%22%3C%3E%5B%5D%7B%7D%7C%5E'
               . '%60~%21%24%2A%28%29%2C.-_%C3%A9%E2%82%AC%F0%9F%98%80%5C';

# the same in the path where proxy_pass has a URI: nginx decodes it, and encodes
# what it must

our $Again = q(/%3F%23%25&=+%20;:@'%22%3C%3E[]%7B%7D%7C%5E%60~!$*(),.-_%C3%A9)
             . '%E2%82%AC%F0%9F%98%80%5C';

our $Locations = <<'_EOC_';
location /with/ { proxy_pass http://backend/base/; }
location /same/ { proxy_pass http://backend/same/; }
_EOC_

run_blocks();

__DATA__

=== TEST 1: three deep
--- answers eval
[ session => '{"user":{"id":12}}', 'user-12' => '{"team":"red"}',
  'team-red' => '{"name":"Reds"}' ]
--- locations eval
[
    t => 'part session /f/session; part user /f/user-<session/user/id>;'
         . 'part team /f/team-<user/team>;',
    back => 'part team /f/team-<user/team>; part user /f/user-<session/user/id>;'
            . 'part session /f/session;',
]
--- requests eval
[
    [ 'in the order of need' => '{"session":{"user":{"id":12}},'
      . '"user":{"team":"red"},"team":{"name":"Reds"}}' ],
    [ 'written the other way' => '{"team":{"name":"Reds"},'
      . '"user":{"team":"red"},"session":{"user":{"id":12}}}', at => 'back' ],
]



=== TEST 2: values with all that has a meaning in a URI
--- server eval: $main::Locations
--- answers eval
[ v => $main::Value ]
--- parts
part v /f/v;
part path /up/<v>/end select=/uri;
part args /up/x?a=<v>&b=1 select=/uri;
part base /with/<v>/end?a=<v> select=/uri;
part same /same/<v> select=/uri;
part baseargs /with/x?<v>=<v> select=/uri;
--- requests eval
my $e = $main::Encoded;
my $p = $main::Again;
[ [ 'encoded' => "{\"v\":$main::Value,\"path\":\"/up/$e/end\","
    . "\"args\":\"/up/x?a=$e&b=1\",\"base\":\"/base/$p/end?a=$e\","
    . "\"same\":\"/same/$p\",\"baseargs\":\"/base/x?$e=$e\"}" ] ]



=== TEST 3: values one by one, three deep, where proxies have no URI
--- answers eval
[ v => '["a/b","a?b","a#b","a%2Fb","a%b","a&b=c","a b","a+b","a\"b",'
       . '"é","a//b","%00","a;b",""]' ]
--- locations eval
[ map { ("n$_" => "part v /f/v select=/$_;"
                  . "part one /up/<v>/1 select=/uri;"
                  . "part two /up/2?x=<one>&y=<v> select=/uri;") } 0 .. 12 ]
--- requests eval
my @v = ('a/b', 'a?b', 'a#b', 'a%2Fb', 'a%b', 'a&b=c', 'a b', 'a+b', 'a\"b',
         'é', 'a//b', '%00', 'a;b');
[ map {
    my $e = my $value = $v[$_];
    $e =~ s/\\//g;
    $e =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;
    my $twice = "/up/$e/1" =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;

    [ $value => "{\"v\":\"$value\",\"one\":\"/up/$e/1\","
                . "\"two\":\"/up/2?x=$twice&y=$e\"}", at => "n$_" ]
} 0 .. $#v ]



=== TEST 4: values one by one, where proxies have a URI
--- server eval: $main::Locations
--- answers eval
[ v => '["a/b","a?b","a#b","a%2Fb","a%b","a&b=c","a b","a+b","a\"b",'
       . '"é","a//b","%41","a;b",""]' ]
--- locations eval
[ map { ("n$_" => "part v /f/v select=/$_;"
                  . "part one /with/<v>/1 select=/uri;"
                  . "part two /with/2?x=<v>&y=1 select=/uri;") } 0 .. 12 ]
--- requests eval
my @v = ('a/b', 'a?b', 'a#b', 'a%2Fb', 'a%b', 'a&b=c', 'a b', 'a+b', 'a\"b',
         'é', 'a//b', '%41', 'a;b');
[ map {
    my $e = my $value = $v[$_];
    $e =~ s/\\//g;
    $e =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;

    (my $p = $e) =~ s/%(2F|26|3D|2B|3B)/chr hex $1/ge;

    [ $value => "{\"v\":\"$value\",\"one\":\"/base/$p/1\","
                . "\"two\":\"/base/2?x=$e&y=1\"}", at => "n$_" ]
} 0 .. $#v ]



=== TEST 5: numbers, true and false, as they are written; before only=
--- answers eval
[ v => '{"n":12.50,"m":-1e+5,"t":true,"f":false,"s":"x","a":[7,[8]],"":9,'
       . '"a/b":"slash","k":1,"k":2}',
  s => '{"data":{"id":1},"id":2}' ]
--- parts
part v /f/v only=k;
part a /up/<v/n>/<v/m>/<v/t>/<v/f>/<v/s>/<v/a/0>/<v/a/1/0>/<v/>/<v/a~1b>/<v/k> select=/uri;
part s /f/s select=/data rename=id:x;
part b /up/<s/id> select=/uri;
part c/d /f/s;
part e /up/<c/d/data/id>/<c/d/id> select=/uri;
--- requests eval
[ [ 'all' => '{"v":{"k":1,"k":2},"a":"/up/12.50/-1e%2B5/true/false/x/7/8/9/'
    . 'slash/2","s":{"x":1},"b":"/up/1","c":{"d":{"data":{"id":1},"id":2}},'
    . '"e":"/up/1/2"}' ] ]



=== TEST 6: values that no path takes
--- answers eval
[ v => '["..",".","a/../b","a/..","./a","a\\\\..\\\\b","","a\u0000b",null,{},[]]' ]
--- parts eval
CORE::join '', "part v /f/v select=/6;\n", "part all /f/v only=x optional;\n",
     map { "part s$_ /f/v select=/$_;\npart p$_ /up/<s$_> optional;\n" } 0 .. 10
--- requests eval
my @v = ('".."', '"."', '"a/../b"', '"a/.."', '"./a"', '"a\\\\..\\\\b"', '""',
         '"a\u0000b"', 'null', '{}', '[]');
[ [ 'they fail' => '{"v":"",'
    . CORE::join(',', map { "\"s$_\":$v[$_]" } 0 .. 10) . '}',
    aggregate => 'partial; missing="all,'
                 . CORE::join(',', map { "p$_" } 0 .. 10) . '"' ] ]
--- error_log
part "p0" has failed: there is an unusable value for <s0>
part "p1" has failed: there is an unusable value for <s1>
part "p5" has failed: there is an unusable value for <s5>
part "p6" has failed: there is an unusable value for <s6>
part "p7" has failed: there is an unusable value for <s7>
part "p8" has failed: there is no value for <s8>
part "p9" has failed: there is no value for <s9>
part "p10" has failed: there is no value for <s10>



=== TEST 7: values that only look like these
--- answers eval
[ v => '["...","a..b",".a","a.","..a","a/.b/c","%2e%2e"]' ]
--- parts eval
CORE::join '', map { "part s$_ /f/v select=/$_;\n"
                     . "part p$_ /up/<s$_> select=/uri;\n" } 0 .. 6
--- requests eval
my @v = ('...', 'a..b', '.a', 'a.', '..a', 'a/.b/c', '%2e%2e');
my @e = ('...', 'a..b', '.a', 'a.', '..a', 'a%2F.b%2Fc', '%252e%252e');
[ [ 'they pass' => '{' . CORE::join(',',
    map { "\"s$_\":\"$v[$_]\",\"p$_\":\"/up/$e[$_]\"" } 0 .. 6) . '}' ] ]



=== TEST 8: such values in arguments
--- answers eval
[ v => '["..","","a\u0000b",null,"a/../b"]' ]
--- parts eval
CORE::join '', map { "part s$_ /f/v select=/$_;\n"
                     . "part p$_ /up/?a=<s$_> select=/uri optional;\n" } 0 .. 4
--- requests eval
[ [ 'they pass, but NUL and null' =>
    '{"s0":"..","p0":"/up/?a=..","s1":"","p1":"/up/?a=","s2":"a\u0000b",'
    . '"s3":null,"s4":"a/../b","p4":"/up/?a=a%2F..%2Fb"}',
    aggregate => 'partial; missing="p2,p3"' ] ]



=== TEST 9: variables in URIs
--- lines
set $word "a/b c";
--- parts
part encoded /up/<$arg_x>/<$word>?y=<$arg_x> select=/uri;
part plain /up/?$args select=/uri;
part text /up/<$arg_y-$arg_y>/x select=/uri optional;
--- requests eval
[
    [ 'encoded or not' =>
      '{"encoded":"/up/a%252Fb/a%2Fb%20c?y=a%252Fb",'
      . '"plain":"/up/?x=a%2Fb&&y=1","text":"/up/1-1/x"}',
      args => '?x=a%2Fb&&y=1' ],
]



=== TEST 10: a whole URI of a variable
--- answers eval
[ a => '1' ]
--- lines
set $where /f/a;
--- parts
part a $where;
part b $arg_u optional;
part c /f/../../a optional;
--- requests eval
[
    [ 'of a location' => '{"a":1,"b":1}', args => '?u=/f/a',
      aggregate => 'partial; missing="c"' ],
    [ 'elsewhere' => '{"a":1}', args => '?u=http://localhost/f/a',
      aggregate => 'partial; missing="b,c"' ],
    [ 'nothing' => '{"a":1}', aggregate => 'partial; missing="b,c"' ],
]
--- error_log
has failed: its URI is not a safe one



=== TEST 11: a value decides no location
--- answers eval
[ v => '"x/../../f/v"', secret => '1' ]
--- server
location /public/ { return 200 '"public"'; }
location /public/secret { return 200 '"secret"'; }
--- locations eval
[ t => 'part a /public/<$arg_v>;' ]
--- requests eval
[
    [ 'as a word' => '{"a":"public"}', args => '?v=other' ],
    [ 'what is behind it' => '{"a":"secret"}', args => '?v=secret' ],
]
