
# What "nginx -t" says to aggregates that can not work: the directive or part,
# the value, and what would be allowed.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayAggregate;
use Test::Nginx::Socket 'no_plan';

our $Options = qr{allowed are "optional", "default=", "timeout=", "method=", "body=", "select=", "only=", "except=", "rename=", "header=", "status=", "errors=", "each=", "max=" and "concurrency="};
our $Name = qr{it must be "\.", or the name of a member, as "user" or "user/orders", without spaces, quotes, backslashes and any of ",;<>", in UTF-8};
our $Default = qr{it must be a JSON text; one with braces, spaces or quotes is quoted whole: 'default=\{"a":1\}'};
our $List = qr{it must be a list "NAME,NAME,\.\.\." of different members};
our $Rename = qr{it must be a list "FROM:TO,FROM:TO,\.\.\." in which no name stands twice on one side};
our $Status = qr{it must be a list of status codes from 200 to 599 or classes of them, as "2xx,404"};
our $Dropped = qr{fields of the connection, of ranges and conditions, Accept-Encoding and Content-Length cannot be set};
our $Number = qr{it must be a number from 1 to 1000};

run_blocks();

__DATA__

=== TEST 1: a block outside of a location
--- server
gateway_aggregate { part a /f/a; }
--- emerg eval
[qr/"gateway_aggregate" directive is not allowed here/]



=== TEST 2: arguments
--- server
location = /x { gateway_aggregate a { part a /f/a; } }
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate" directive/]



=== TEST 3: no block
--- server
location = /x { gateway_aggregate; }
--- emerg eval
[qr/directive "gateway_aggregate" has no opening "\{"/]



=== TEST 4: two blocks
--- server
location = /x { gateway_aggregate { part a /f/a; } gateway_aggregate { part a /f/a; } }
--- emerg eval
[qr/"gateway_aggregate" directive is duplicate/]



=== TEST 5: a block in an if
--- server
location = /x { if ($arg_a) { gateway_aggregate { part a /f/a; } } }
--- emerg eval
[qr/"gateway_aggregate" directive is not allowed here/]



=== TEST 6: no part
--- parts

--- emerg eval
[qr/no "part" in "gateway_aggregate"/]



=== TEST 7: an unknown line
--- parts
path a /f/a;
--- emerg eval
[qr/unknown line "path" in "gateway_aggregate", allowed is "part NAME URI \[options\]"/]



=== TEST 8: a line with another case
--- parts
Part a /f/a;
--- emerg eval
[qr/unknown line "Part" in "gateway_aggregate", allowed is "part NAME URI \[options\]"/]



=== TEST 9: a directive among the parts
--- parts
part a /f/a;
gateway_aggregate_timeout 1s;
--- emerg eval
[qr/unknown line "gateway_aggregate_timeout" in "gateway_aggregate", allowed is "part NAME URI \[options\]"/]



=== TEST 10: a part of nothing
--- parts
part;
--- emerg eval
[qr/invalid number of arguments in "part", it must be "part NAME URI \[options\]"/]



=== TEST 11: a part without a URI
--- parts
part a;
--- emerg eval
[qr/invalid number of arguments in "part", it must be "part NAME URI \[options\]"/]



=== TEST 12: a block in a block
--- parts
part a /f/a { }
--- emerg eval
[qr/unexpected "\{"/]



=== TEST 13: 257 parts
--- parts eval
CORE::join "\n", map { "part p$_ /f/a;" } 1 .. 257
--- emerg eval
[qr/too many parts in "gateway_aggregate", there may be 256/]



=== TEST 14: a name of nothing
--- parts
part "" /f/a;
--- emerg eval
[qr/invalid name "" of a part/, $main::Name]



=== TEST 15: a name of a space
--- parts
part "a b" /f/a;
--- emerg eval
[qr/invalid name "a b" of a part/, $main::Name]



=== TEST 16: a name of a quote
--- parts
part 'a"b' /f/a;
--- emerg eval
[qr/invalid name "a"b" of a part/, $main::Name]



=== TEST 17: a name of a backslash
--- parts
part 'a\\b' /f/a;
--- emerg eval
[qr/invalid name "a\\b" of a part/, $main::Name]



=== TEST 18: a name of a comma
--- parts
part a,b /f/a;
--- emerg eval
[qr/invalid name "a,b" of a part/, $main::Name]



=== TEST 19: a name of a semicolon
--- parts
part "a;b" /f/a;
--- emerg eval
[qr/invalid name "a;b" of a part/, $main::Name]



=== TEST 20: a name of an angle
--- parts
part "a<b" /f/a;
--- emerg eval
[qr/invalid name "a<b" of a part/, $main::Name]



=== TEST 21: a name of another angle
--- parts
part a>b /f/a;
--- emerg eval
[qr/invalid name "a>b" of a part/, $main::Name]



=== TEST 22: a name of a slash at the end
--- parts
part a/ /f/a;
--- emerg eval
[qr/invalid name "a\/" of a part/, $main::Name]



=== TEST 23: a name of a slash at the beginning
--- parts
part /a /f/a;
--- emerg eval
[qr/invalid name "\/a" of a part/, $main::Name]



=== TEST 24: a name of two slashes
--- parts
part a//b /f/a;
--- emerg eval
[qr/invalid name "a\/\/b" of a part/, $main::Name]



=== TEST 25: a name of a tilde
--- parts
part a~ /f/a;
--- emerg eval
[qr/invalid name "a~" of a part/, $main::Name]



=== TEST 26: a name of a tilde and a two
--- parts
part a~2 /f/a;
--- emerg eval
[qr/invalid name "a~2" of a part/, $main::Name]



=== TEST 27: a name of a tab
--- parts
part "a	b" /f/a;
--- emerg eval
[qr/invalid name "a\tb" of a part/, $main::Name]



=== TEST 28: a name that is not UTF-8
--- parts eval
"part a\xff /f/a;"
--- emerg eval
[qr/invalid name "a\xff" of a part/, $main::Name]



=== TEST 29: a name of too many levels
--- parts eval
"part " . CORE::join("/", 1 .. 33) . " /f/a;"
--- emerg eval
[qr/invalid name "1\/2\/.*\/33" of a part/, $main::Name]



=== TEST 30: a name twice
--- parts
part a /f/a;
part x /f/a;
part a /f/a;
--- emerg eval
[qr/the name of part "a" is used by another part, or one of the two lies inside of the other/]



=== TEST 31: a name in another
--- parts
part a /f/a;
part x /f/a;
part a/b /f/a;
--- emerg eval
[qr/the name of part "a\/b" is used by another part, or one of the two lies inside of the other/]



=== TEST 32: a name around another
--- parts
part a/b /f/a;
part x /f/a;
part a /f/a;
--- emerg eval
[qr/the name of part "a" is used by another part, or one of the two lies inside of the other/]



=== TEST 33: a name in another, deeper
--- parts
part a/b/c /f/a;
part x /f/a;
part a/b/c/d /f/a;
--- emerg eval
[qr/the name of part "a\/b\/c\/d" is used by another part, or one of the two lies inside of the other/]



=== TEST 34: a nested name twice
--- parts
part a/b /f/a;
part x /f/a;
part a/b /f/a;
--- emerg eval
[qr/the name of part "a\/b" is used by another part, or one of the two lies inside of the other/]



=== TEST 35: a name twice, escaped
--- parts
part a~1b /f/a;
part x /f/a;
part a~1b /f/a;
--- emerg eval
[qr/the name of part "a~1b" is used by another part, or one of the two lies inside of the other/]



=== TEST 36: a URI of nothing
--- parts
part b "";
--- emerg eval
[qr/invalid URI "" of part "b", it must be one of a location and begin with "\/"/]



=== TEST 37: a URI of a relative one
--- parts
part b f/a;
--- emerg eval
[qr/invalid URI "f\/a" of part "b", it must be one of a location and begin with "\/"/]



=== TEST 38: a URI of a server
--- parts
part b http://localhost/f/a;
--- emerg eval
[qr/invalid URI "http:\/\/localhost\/f\/a" of part "b", it must be one of a location and begin with "\/"/]



=== TEST 39: a URI of a value only
--- parts
part b <a/id>;
--- emerg eval
[qr/invalid URI "<a\/id>" of part "b", it must be one of a location and begin with "\/"/]



=== TEST 40: a URI of an open angle
--- parts
part a /f/a;
part b /f/<a;
--- emerg eval
[qr/invalid URI "\/f\/<a" of part "b", "<" must begin "<part\/pointer>", "<item\/pointer>" or "<\$variable>"/]



=== TEST 41: a URI of an empty reference
--- parts
part a /f/a;
part b /f/<>;
--- emerg eval
[qr/invalid URI "\/f\/<>" of part "b", "<" must begin "<part\/pointer>", "<item\/pointer>" or "<\$variable>"/]



=== TEST 42: a URI of an open angle at the end
--- parts
part a /f/a;
part b /f/<;
--- emerg eval
[qr/invalid URI "\/f\/<" of part "b", "<" must begin "<part\/pointer>", "<item\/pointer>" or "<\$variable>"/]



=== TEST 43: a URI of an unknown variable
--- parts
part a /f/$no_such_variable;
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 44: a URI of an unknown variable, encoded
--- parts
part a /f/<$no_such_variable>;
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 45: a value of an unknown part
--- parts
part a /f/a;
part g/x /f/a;
part c /f/<b/id>;
--- emerg eval
[qr/part "c" needs "b\/id", and no part has such a name/]



=== TEST 46: a value of a part of a longer name
--- parts
part a /f/a;
part g/x /f/a;
part c /f/<ab/id>;
--- emerg eval
[qr/part "c" needs "ab\/id", and no part has such a name/]



=== TEST 47: a value of a group
--- parts
part a /f/a;
part g/x /f/a;
part c /f/<g/id>;
--- emerg eval
[qr/part "c" needs "g\/id", and no part has such a name/]



=== TEST 48: a value of item without each=
--- parts
part a /f/a;
part g/x /f/a;
part c /f/<item/id>;
--- emerg eval
[qr/part "c" needs "item\/id", and no part has such a name/]



=== TEST 49: a value of a pointer only
--- parts
part a /f/a;
part g/x /f/a;
part c /f/</id>;
--- emerg eval
[qr/part "c" needs "\/id", and no part has such a name/]



=== TEST 50: a value of a pointer that is none
--- parts
part a /f/a;
part c /f/<a/~2>;
--- emerg eval
[qr/invalid "a\/~2" in part "c", the name of a part must be followed by a JSON pointer/]



=== TEST 51: an item of a pointer that is none
--- parts
part a /f/a;
part c /f/<item/~> each=a;
--- emerg eval
[qr/invalid "item\/~" in part "c", "item" must be followed by a JSON pointer/]



=== TEST 52: each= of an unknown part
--- parts
part a /f/a;
part c /f/<item> each=b;
--- emerg eval
[qr/part "c" needs "b", and no part has such a name/]



=== TEST 53: each= of a pointer that is none
--- parts
part a /f/a;
part c /f/<item> each=a/~;
--- emerg eval
[qr/invalid "a\/~" in part "c", the name of a part must be followed by a JSON pointer/]



=== TEST 54: a part that needs itself
--- parts
part a /f/<a/id>;
--- emerg eval
[qr/part "a" waits for itself, directly or through the parts that it needs/]



=== TEST 55: each= of itself
--- parts
part x /f/x;
part a /f/<item> each=a;
--- emerg eval
[qr/part "a" waits for itself, directly or through the parts that it needs/]



=== TEST 56: two that need each other
--- parts
part x /f/x;
part a /f/<b>;
part b /f/<a>;
--- emerg eval
[qr/part "a" waits for itself, directly or through the parts that it needs/]



=== TEST 57: a cycle of three, one of them by each=
--- parts
part x /f/<c>;
part a /f/<b>;
part b /f/<item> each=c;
part c /f/?<a>;
--- emerg eval
[qr/part "x" waits for itself, directly or through the parts that it needs/]



=== TEST 58: an unknown option, option
--- parts
part a /f/a 'option';
--- emerg eval
[qr/invalid parameter "option" in "part"/, $main::Options]



=== TEST 59: an unknown option, Optional
--- parts
part a /f/a 'Optional';
--- emerg eval
[qr/invalid parameter "Optional" in "part"/, $main::Options]



=== TEST 60: an unknown option, optional=1
--- parts
part a /f/a 'optional=1';
--- emerg eval
[qr/invalid parameter "optional=1" in "part"/, $main::Options]



=== TEST 61: an unknown option, default
--- parts
part a /f/a 'default';
--- emerg eval
[qr/invalid parameter "default" in "part"/, $main::Options]



=== TEST 62: an unknown option, retries=3
--- parts
part a /f/a 'retries=3';
--- emerg eval
[qr/invalid parameter "retries=3" in "part"/, $main::Options]



=== TEST 63: an unknown option, timeout
--- parts
part a /f/a 'timeout';
--- emerg eval
[qr/invalid parameter "timeout" in "part"/, $main::Options]



=== TEST 64: an unknown option, status
--- parts
part a /f/a 'status';
--- emerg eval
[qr/invalid parameter "status" in "part"/, $main::Options]



=== TEST 65: optional twice
--- parts
part a /f/a optional optional;
--- emerg eval
[qr/invalid parameter "optional" in "part"/, qr/it may be there only once/]



=== TEST 66: default twice
--- parts
part a /f/a default=1 default=1;
--- emerg eval
[qr/invalid parameter "default=1" in "part"/, qr/it may be there only once/]



=== TEST 67: timeout twice
--- parts
part a /f/a timeout=1s timeout=1s;
--- emerg eval
[qr/invalid parameter "timeout=1s" in "part"/, qr/it may be there only once/]



=== TEST 68: method twice
--- parts
part a /f/a method=GET method=GET;
--- emerg eval
[qr/invalid parameter "method=GET" in "part"/, qr/it may be there only once/]



=== TEST 69: body twice
--- parts
part a /f/a body=x body=x;
--- emerg eval
[qr/invalid parameter "body=x" in "part"/, qr/it may be there only once/]



=== TEST 70: select twice
--- parts
part a /f/a select=/a select=/a;
--- emerg eval
[qr/invalid parameter "select=\/a" in "part"/, qr/it may be there only once/]



=== TEST 71: only twice
--- parts
part a /f/a only=a only=a;
--- emerg eval
[qr/invalid parameter "only=a" in "part"/, qr/it may be there only once/]



=== TEST 72: except twice
--- parts
part a /f/a except=a except=a;
--- emerg eval
[qr/invalid parameter "except=a" in "part"/, qr/it may be there only once/]



=== TEST 73: rename twice
--- parts
part a /f/a rename=a:b rename=a:b;
--- emerg eval
[qr/invalid parameter "rename=a:b" in "part"/, qr/it may be there only once/]



=== TEST 74: status twice
--- parts
part a /f/a status=200 status=200;
--- emerg eval
[qr/invalid parameter "status=200" in "part"/, qr/it may be there only once/]



=== TEST 75: errors twice
--- parts
part a /f/a errors=pass errors=pass;
--- emerg eval
[qr/invalid parameter "errors=pass" in "part"/, qr/it may be there only once/]



=== TEST 76: each twice
--- parts
part a /f/a each=x each=x;
--- emerg eval
[qr/invalid parameter "each=x" in "part"/, qr/it may be there only once/]



=== TEST 77: max twice
--- parts
part a /f/a max=1 max=1;
--- emerg eval
[qr/invalid parameter "max=1" in "part"/, qr/it may be there only once/]



=== TEST 78: concurrency twice
--- parts
part a /f/a concurrency=1 concurrency=1;
--- emerg eval
[qr/invalid parameter "concurrency=1" in "part"/, qr/it may be there only once/]



=== TEST 79: default=
--- parts
part a /f/a 'default=';
--- emerg eval
[qr/invalid parameter "default=" in "part"/, $main::Default]



=== TEST 80: default=text
--- parts
part a /f/a 'default=text';
--- emerg eval
[qr/invalid parameter "default=text" in "part"/, $main::Default]



=== TEST 81: default={"a":1
--- parts
part a /f/a 'default={"a":1';
--- emerg eval
[qr/invalid parameter "default=\{"a":1" in "part"/, $main::Default]



=== TEST 82: default={a:1}
--- parts
part a /f/a 'default={a:1}';
--- emerg eval
[qr/invalid parameter "default=\{a:1\}" in "part"/, $main::Default]



=== TEST 83: default=1 2
--- parts
part a /f/a 'default=1 2';
--- emerg eval
[qr/invalid parameter "default=1 2" in "part"/, $main::Default]



=== TEST 84: default=01
--- parts
part a /f/a 'default=01';
--- emerg eval
[qr/invalid parameter "default=01" in "part"/, $main::Default]



=== TEST 85: default="\x"
--- parts
part a /f/a 'default="\x"';
--- emerg eval
[qr/invalid parameter "default="\\x"" in "part"/, $main::Default]



=== TEST 86: timeout=
--- parts
part a /f/a 'timeout=';
--- emerg eval
[qr/invalid parameter "timeout=" in "part"/, qr/it must be a time greater than 0/]



=== TEST 87: timeout=0
--- parts
part a /f/a 'timeout=0';
--- emerg eval
[qr/invalid parameter "timeout=0" in "part"/, qr/it must be a time greater than 0/]



=== TEST 88: timeout=0s
--- parts
part a /f/a 'timeout=0s';
--- emerg eval
[qr/invalid parameter "timeout=0s" in "part"/, qr/it must be a time greater than 0/]



=== TEST 89: timeout=-1s
--- parts
part a /f/a 'timeout=-1s';
--- emerg eval
[qr/invalid parameter "timeout=-1s" in "part"/, qr/it must be a time greater than 0/]



=== TEST 90: timeout=soon
--- parts
part a /f/a 'timeout=soon';
--- emerg eval
[qr/invalid parameter "timeout=soon" in "part"/, qr/it must be a time greater than 0/]



=== TEST 91: timeout=1.5s
--- parts
part a /f/a 'timeout=1.5s';
--- emerg eval
[qr/invalid parameter "timeout=1\.5s" in "part"/, qr/it must be a time greater than 0/]



=== TEST 92: method=
--- parts
part a /f/a 'method=';
--- emerg eval
[qr/invalid parameter "method=" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 93: method=HEAD
--- parts
part a /f/a 'method=HEAD';
--- emerg eval
[qr/invalid parameter "method=HEAD" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 94: method=get
--- parts
part a /f/a 'method=get';
--- emerg eval
[qr/invalid parameter "method=get" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 95: method=TRACE
--- parts
part a /f/a 'method=TRACE';
--- emerg eval
[qr/invalid parameter "method=TRACE" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 96: method=CONNECT
--- parts
part a /f/a 'method=CONNECT';
--- emerg eval
[qr/invalid parameter "method=CONNECT" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 97: method=GETS
--- parts
part a /f/a 'method=GETS';
--- emerg eval
[qr/invalid parameter "method=GETS" in "part"/, qr/it must be GET, POST, PUT, DELETE, PATCH or OPTIONS/]



=== TEST 98: select=
--- parts
part a /f/a 'select=';
--- emerg eval
[qr/invalid parameter "select=" in "part"/, qr/it must be a JSON pointer, as "\/data\/0"/]



=== TEST 99: select=a
--- parts
part a /f/a 'select=a';
--- emerg eval
[qr/invalid parameter "select=a" in "part"/, qr/it must be a JSON pointer, as "\/data\/0"/]



=== TEST 100: select=a/b
--- parts
part a /f/a 'select=a/b';
--- emerg eval
[qr/invalid parameter "select=a\/b" in "part"/, qr/it must be a JSON pointer, as "\/data\/0"/]



=== TEST 101: select=/~
--- parts
part a /f/a 'select=/~';
--- emerg eval
[qr/invalid parameter "select=\/~" in "part"/, qr/it must be a JSON pointer, as "\/data\/0"/]



=== TEST 102: select=/a~2
--- parts
part a /f/a 'select=/a~2';
--- emerg eval
[qr/invalid parameter "select=\/a~2" in "part"/, qr/it must be a JSON pointer, as "\/data\/0"/]



=== TEST 103: only=
--- parts
part a /f/a 'only=';
--- emerg eval
[qr/invalid parameter "only=" in "part"/, $main::List]



=== TEST 104: only=,
--- parts
part a /f/a 'only=,';
--- emerg eval
[qr/invalid parameter "only=," in "part"/, $main::List]



=== TEST 105: only=a,
--- parts
part a /f/a 'only=a,';
--- emerg eval
[qr/invalid parameter "only=a," in "part"/, $main::List]



=== TEST 106: only=,,a
--- parts
part a /f/a 'only=,,a';
--- emerg eval
[qr/invalid parameter "only=,,a" in "part"/, $main::List]



=== TEST 107: only=,a
--- parts
part a /f/a 'only=,a';
--- emerg eval
[qr/invalid parameter "only=,a" in "part"/, $main::List]



=== TEST 108: only=a,b,a
--- parts
part a /f/a 'only=a,b,a';
--- emerg eval
[qr/invalid parameter "only=a,b,a" in "part"/, $main::List]



=== TEST 109: except=
--- parts
part a /f/a 'except=';
--- emerg eval
[qr/invalid parameter "except=" in "part"/, $main::List]



=== TEST 110: except=,
--- parts
part a /f/a 'except=,';
--- emerg eval
[qr/invalid parameter "except=," in "part"/, $main::List]



=== TEST 111: except=a,
--- parts
part a /f/a 'except=a,';
--- emerg eval
[qr/invalid parameter "except=a," in "part"/, $main::List]



=== TEST 112: except=,,a
--- parts
part a /f/a 'except=,,a';
--- emerg eval
[qr/invalid parameter "except=,,a" in "part"/, $main::List]



=== TEST 113: except=,a
--- parts
part a /f/a 'except=,a';
--- emerg eval
[qr/invalid parameter "except=,a" in "part"/, $main::List]



=== TEST 114: except=a,b,a
--- parts
part a /f/a 'except=a,b,a';
--- emerg eval
[qr/invalid parameter "except=a,b,a" in "part"/, $main::List]



=== TEST 115: rename=
--- parts
part a /f/a 'rename=';
--- emerg eval
[qr/invalid parameter "rename=" in "part"/, $main::Rename]



=== TEST 116: rename=a
--- parts
part a /f/a 'rename=a';
--- emerg eval
[qr/invalid parameter "rename=a" in "part"/, $main::Rename]



=== TEST 117: rename=:
--- parts
part a /f/a 'rename=:';
--- emerg eval
[qr/invalid parameter "rename=:" in "part"/, $main::Rename]



=== TEST 118: rename=a:
--- parts
part a /f/a 'rename=a:';
--- emerg eval
[qr/invalid parameter "rename=a:" in "part"/, $main::Rename]



=== TEST 119: rename=:a
--- parts
part a /f/a 'rename=:a';
--- emerg eval
[qr/invalid parameter "rename=:a" in "part"/, $main::Rename]



=== TEST 120: rename=a:b,
--- parts
part a /f/a 'rename=a:b,';
--- emerg eval
[qr/invalid parameter "rename=a:b," in "part"/, $main::Rename]



=== TEST 121: rename=a:b,a:c
--- parts
part a /f/a 'rename=a:b,a:c';
--- emerg eval
[qr/invalid parameter "rename=a:b,a:c" in "part"/, $main::Rename]



=== TEST 122: rename=a:c,b:c
--- parts
part a /f/a 'rename=a:c,b:c';
--- emerg eval
[qr/invalid parameter "rename=a:c,b:c" in "part"/, $main::Rename]



=== TEST 123: rename=a:b,a:b
--- parts
part a /f/a 'rename=a:b,a:b';
--- emerg eval
[qr/invalid parameter "rename=a:b,a:b" in "part"/, $main::Rename]



=== TEST 124: rename=a:b,c
--- parts
part a /f/a 'rename=a:b,c';
--- emerg eval
[qr/invalid parameter "rename=a:b,c" in "part"/, $main::Rename]



=== TEST 125: header=
--- parts
part a /f/a 'header=';
--- emerg eval
[qr/invalid parameter "header=" in "part"/, qr/it must be "header=NAME:VALUE"/]



=== TEST 126: header=X
--- parts
part a /f/a 'header=X';
--- emerg eval
[qr/invalid parameter "header=X" in "part"/, qr/it must be "header=NAME:VALUE"/]



=== TEST 127: header=:x
--- parts
part a /f/a 'header=:x';
--- emerg eval
[qr/invalid parameter "header=:x" in "part"/, qr/it must be "header=NAME:VALUE"/]



=== TEST 128: header=X Y:1
--- parts
part a /f/a 'header=X Y:1';
--- emerg eval
[qr/invalid parameter "header=X Y:1" in "part"/, qr/its name must be one of a header field/]



=== TEST 129: header=Ä:1
--- parts
part a /f/a 'header=Ä:1';
--- emerg eval
[qr/invalid parameter "header=Ä:1" in "part"/, qr/its name must be one of a header field/]



=== TEST 130: header=X(:1
--- parts
part a /f/a 'header=X(:1';
--- emerg eval
[qr/invalid parameter "header=X\(:1" in "part"/, qr/its name must be one of a header field/]



=== TEST 131: header=X/Y:1
--- parts
part a /f/a 'header=X/Y:1';
--- emerg eval
[qr/invalid parameter "header=X\/Y:1" in "part"/, qr/its name must be one of a header field/]



=== TEST 132: header=Connection:
--- parts
part a /f/a 'header=Connection:x';
--- emerg eval
[qr/invalid parameter "header=Connection:x" in "part"/, $main::Dropped]



=== TEST 133: header=Content-Length:
--- parts
part a /f/a 'header=Content-Length:x';
--- emerg eval
[qr/invalid parameter "header=Content-Length:x" in "part"/, $main::Dropped]



=== TEST 134: header=Keep-Alive:
--- parts
part a /f/a 'header=Keep-Alive:x';
--- emerg eval
[qr/invalid parameter "header=Keep-Alive:x" in "part"/, $main::Dropped]



=== TEST 135: header=TE:
--- parts
part a /f/a 'header=TE:x';
--- emerg eval
[qr/invalid parameter "header=TE:x" in "part"/, $main::Dropped]



=== TEST 136: header=Trailer:
--- parts
part a /f/a 'header=Trailer:x';
--- emerg eval
[qr/invalid parameter "header=Trailer:x" in "part"/, $main::Dropped]



=== TEST 137: header=Transfer-Encoding:
--- parts
part a /f/a 'header=Transfer-Encoding:x';
--- emerg eval
[qr/invalid parameter "header=Transfer-Encoding:x" in "part"/, $main::Dropped]



=== TEST 138: header=Upgrade:
--- parts
part a /f/a 'header=Upgrade:x';
--- emerg eval
[qr/invalid parameter "header=Upgrade:x" in "part"/, $main::Dropped]



=== TEST 139: header=Proxy-Connection:
--- parts
part a /f/a 'header=Proxy-Connection:x';
--- emerg eval
[qr/invalid parameter "header=Proxy-Connection:x" in "part"/, $main::Dropped]



=== TEST 140: header=Proxy-Authorization:
--- parts
part a /f/a 'header=Proxy-Authorization:x';
--- emerg eval
[qr/invalid parameter "header=Proxy-Authorization:x" in "part"/, $main::Dropped]



=== TEST 141: header=Range:
--- parts
part a /f/a 'header=Range:x';
--- emerg eval
[qr/invalid parameter "header=Range:x" in "part"/, $main::Dropped]



=== TEST 142: header=If-Range:
--- parts
part a /f/a 'header=If-Range:x';
--- emerg eval
[qr/invalid parameter "header=If-Range:x" in "part"/, $main::Dropped]



=== TEST 143: header=If-Match:
--- parts
part a /f/a 'header=If-Match:x';
--- emerg eval
[qr/invalid parameter "header=If-Match:x" in "part"/, $main::Dropped]



=== TEST 144: header=If-None-Match:
--- parts
part a /f/a 'header=If-None-Match:x';
--- emerg eval
[qr/invalid parameter "header=If-None-Match:x" in "part"/, $main::Dropped]



=== TEST 145: header=If-Modified-Since:
--- parts
part a /f/a 'header=If-Modified-Since:x';
--- emerg eval
[qr/invalid parameter "header=If-Modified-Since:x" in "part"/, $main::Dropped]



=== TEST 146: header=If-Unmodified-Since:
--- parts
part a /f/a 'header=If-Unmodified-Since:x';
--- emerg eval
[qr/invalid parameter "header=If-Unmodified-Since:x" in "part"/, $main::Dropped]



=== TEST 147: header=Accept-Encoding:
--- parts
part a /f/a 'header=Accept-Encoding:x';
--- emerg eval
[qr/invalid parameter "header=Accept-Encoding:x" in "part"/, $main::Dropped]



=== TEST 148: header=Expect:
--- parts
part a /f/a 'header=Expect:x';
--- emerg eval
[qr/invalid parameter "header=Expect:x" in "part"/, $main::Dropped]



=== TEST 149: header=Content-Range:
--- parts
part a /f/a 'header=Content-Range:x';
--- emerg eval
[qr/invalid parameter "header=Content-Range:x" in "part"/, $main::Dropped]



=== TEST 150: header=HTTP2-Settings:
--- parts
part a /f/a 'header=HTTP2-Settings:x';
--- emerg eval
[qr/invalid parameter "header=HTTP2-Settings:x" in "part"/, $main::Dropped]



=== TEST 151: header=accept-encoding:
--- parts
part a /f/a 'header=accept-encoding:x';
--- emerg eval
[qr/invalid parameter "header=accept-encoding:x" in "part"/, $main::Dropped]



=== TEST 152: header= twice
--- parts
part a /f/a header=X-A:1 header=X-B:1 header=x-a:2;
--- emerg eval
[qr/invalid parameter "header=x-a:2" in "part"/, qr/the same field is set before/]



=== TEST 153: header= of an unknown variable
--- parts
part a /f/a header=X:$no_such_variable;
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 154: body= of an unknown variable
--- parts
part a /f/a body=$no_such_variable;
--- emerg eval
[qr/unknown "no_such_variable" variable/]



=== TEST 155: status=
--- parts
part a /f/a 'status=';
--- emerg eval
[qr/invalid parameter "status=" in "part"/, $main::Status]



=== TEST 156: status=ok
--- parts
part a /f/a 'status=ok';
--- emerg eval
[qr/invalid parameter "status=ok" in "part"/, $main::Status]



=== TEST 157: status=99
--- parts
part a /f/a 'status=99';
--- emerg eval
[qr/invalid parameter "status=99" in "part"/, $main::Status]



=== TEST 158: status=199
--- parts
part a /f/a 'status=199';
--- emerg eval
[qr/invalid parameter "status=199" in "part"/, $main::Status]



=== TEST 159: status=600
--- parts
part a /f/a 'status=600';
--- emerg eval
[qr/invalid parameter "status=600" in "part"/, $main::Status]



=== TEST 160: status=20
--- parts
part a /f/a 'status=20';
--- emerg eval
[qr/invalid parameter "status=20" in "part"/, $main::Status]



=== TEST 161: status=2000
--- parts
part a /f/a 'status=2000';
--- emerg eval
[qr/invalid parameter "status=2000" in "part"/, $main::Status]



=== TEST 162: status=1xx
--- parts
part a /f/a 'status=1xx';
--- emerg eval
[qr/invalid parameter "status=1xx" in "part"/, $main::Status]



=== TEST 163: status=6xx
--- parts
part a /f/a 'status=6xx';
--- emerg eval
[qr/invalid parameter "status=6xx" in "part"/, $main::Status]



=== TEST 164: status=2x
--- parts
part a /f/a 'status=2x';
--- emerg eval
[qr/invalid parameter "status=2x" in "part"/, $main::Status]



=== TEST 165: status=xxx
--- parts
part a /f/a 'status=xxx';
--- emerg eval
[qr/invalid parameter "status=xxx" in "part"/, $main::Status]



=== TEST 166: status=200,
--- parts
part a /f/a 'status=200,';
--- emerg eval
[qr/invalid parameter "status=200," in "part"/, $main::Status]



=== TEST 167: status=200,2xx,x
--- parts
part a /f/a 'status=200,2xx,x';
--- emerg eval
[qr/invalid parameter "status=200,2xx,x" in "part"/, $main::Status]



=== TEST 168: status=-20
--- parts
part a /f/a 'status=-20';
--- emerg eval
[qr/invalid parameter "status=-20" in "part"/, $main::Status]



=== TEST 169: errors=
--- parts
part a /f/a 'errors=';
--- emerg eval
[qr/invalid parameter "errors=" in "part"/, qr/it must be "errors=pass"/]



=== TEST 170: errors=fail
--- parts
part a /f/a 'errors=fail';
--- emerg eval
[qr/invalid parameter "errors=fail" in "part"/, qr/it must be "errors=pass"/]



=== TEST 171: errors=Pass
--- parts
part a /f/a 'errors=Pass';
--- emerg eval
[qr/invalid parameter "errors=Pass" in "part"/, qr/it must be "errors=pass"/]



=== TEST 172: errors=pass,4xx
--- parts
part a /f/a 'errors=pass,4xx';
--- emerg eval
[qr/invalid parameter "errors=pass,4xx" in "part"/, qr/it must be "errors=pass"/]



=== TEST 173: each=
--- parts
part a /f/a 'each=';
--- emerg eval
[qr/invalid parameter "each=" in "part"/, qr/it must be "each=PART\/POINTER"/]



=== TEST 174: max=
--- parts
part a /f/a 'max=';
--- emerg eval
[qr/invalid parameter "max=" in "part"/, $main::Number]



=== TEST 175: max=0
--- parts
part a /f/a 'max=0';
--- emerg eval
[qr/invalid parameter "max=0" in "part"/, $main::Number]



=== TEST 176: max=-1
--- parts
part a /f/a 'max=-1';
--- emerg eval
[qr/invalid parameter "max=-1" in "part"/, $main::Number]



=== TEST 177: max=1001
--- parts
part a /f/a 'max=1001';
--- emerg eval
[qr/invalid parameter "max=1001" in "part"/, $main::Number]



=== TEST 178: max=x
--- parts
part a /f/a 'max=x';
--- emerg eval
[qr/invalid parameter "max=x" in "part"/, $main::Number]



=== TEST 179: max=1.5
--- parts
part a /f/a 'max=1.5';
--- emerg eval
[qr/invalid parameter "max=1\.5" in "part"/, $main::Number]



=== TEST 180: max=99999999999999999999
--- parts
part a /f/a 'max=99999999999999999999';
--- emerg eval
[qr/invalid parameter "max=99999999999999999999" in "part"/, $main::Number]



=== TEST 181: concurrency=
--- parts
part a /f/a 'concurrency=';
--- emerg eval
[qr/invalid parameter "concurrency=" in "part"/, $main::Number]



=== TEST 182: concurrency=0
--- parts
part a /f/a 'concurrency=0';
--- emerg eval
[qr/invalid parameter "concurrency=0" in "part"/, $main::Number]



=== TEST 183: concurrency=-1
--- parts
part a /f/a 'concurrency=-1';
--- emerg eval
[qr/invalid parameter "concurrency=-1" in "part"/, $main::Number]



=== TEST 184: concurrency=1001
--- parts
part a /f/a 'concurrency=1001';
--- emerg eval
[qr/invalid parameter "concurrency=1001" in "part"/, $main::Number]



=== TEST 185: concurrency=x
--- parts
part a /f/a 'concurrency=x';
--- emerg eval
[qr/invalid parameter "concurrency=x" in "part"/, $main::Number]



=== TEST 186: concurrency=1.5
--- parts
part a /f/a 'concurrency=1.5';
--- emerg eval
[qr/invalid parameter "concurrency=1\.5" in "part"/, $main::Number]



=== TEST 187: concurrency=99999999999999999999
--- parts
part a /f/a 'concurrency=99999999999999999999';
--- emerg eval
[qr/invalid parameter "concurrency=99999999999999999999" in "part"/, $main::Number]



=== TEST 188: errors=pass and optional
--- parts
part x /f/x;
part a /f/a errors=pass optional;
--- emerg eval
[qr/part "a" has "errors=pass", which a part that is optional or has a default cannot have/]



=== TEST 189: errors=pass and default=
--- parts
part x /f/x;
part a /f/a default=1 errors=pass;
--- emerg eval
[qr/part "a" has "errors=pass", which a part that is optional or has a default cannot have/]



=== TEST 190: only= and except=
--- parts
part x /f/x;
part a /f/a only=a except=b;
--- emerg eval
[qr/part "a" has both "only=" and "except=", of which it can have one/]



=== TEST 191: max= without each=
--- parts
part x /f/x;
part a /f/a max=3;
--- emerg eval
[qr/part "a" has "max=" without "each="/]



=== TEST 192: concurrency= without each=
--- parts
part x /f/x;
part a /f/a concurrency=3;
--- emerg eval
[qr/part "a" has "concurrency=" without "each="/]



=== TEST 193: each= of the root
--- parts
part x /f/x;
part . /f/<item> each=x;
--- emerg eval
[qr/part "\." has "each=", which makes an array and no members/]



=== TEST 194: a default of the root that is no object
--- parts
part x /f/x;
part . /f/a default=[];
--- emerg eval
[qr/part "\." needs a default that is an object/]



=== TEST 195: methods of TRACE
--- server
gateway_aggregate_methods TRACE;
--- emerg eval
[qr/invalid value "TRACE" in "gateway_aggregate_methods", allowed are GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS/]



=== TEST 196: methods of get
--- server
gateway_aggregate_methods get;
--- emerg eval
[qr/invalid value "get" in "gateway_aggregate_methods", allowed are GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS/]



=== TEST 197: methods of GET HEADS
--- server
gateway_aggregate_methods GET HEADS;
--- emerg eval
[qr/invalid value "HEADS" in "gateway_aggregate_methods", allowed are GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS/]



=== TEST 198: methods of GET,POST
--- server
gateway_aggregate_methods GET,POST;
--- emerg eval
[qr/invalid value "GET,POST" in "gateway_aggregate_methods", allowed are GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS/]



=== TEST 199: methods of none
--- server
gateway_aggregate_methods;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_methods" directive/]



=== TEST 200: a timeout of 0
--- server
gateway_aggregate_timeout 0;
--- emerg eval
[qr/invalid value "0" in "gateway_aggregate_timeout", it must be a time greater than 0/]



=== TEST 201: a timeout of x
--- server
gateway_aggregate_timeout x;
--- emerg eval
[qr/invalid value "x" in "gateway_aggregate_timeout", it must be a time greater than 0/]



=== TEST 202: a timeout of -1s
--- server
gateway_aggregate_timeout -1s;
--- emerg eval
[qr/invalid value "-1s" in "gateway_aggregate_timeout", it must be a time greater than 0/]



=== TEST 203: a timeout of 1.5s
--- server
gateway_aggregate_timeout 1.5s;
--- emerg eval
[qr/invalid value "1\.5s" in "gateway_aggregate_timeout", it must be a time greater than 0/]



=== TEST 204: max_part_size of 0
--- server
gateway_aggregate_max_part_size 0;
--- emerg eval
[qr/invalid value "0" in "gateway_aggregate_max_part_size", it must be a size greater than 0/]



=== TEST 205: max_part_size of x
--- server
gateway_aggregate_max_part_size x;
--- emerg eval
[qr/invalid value "x" in "gateway_aggregate_max_part_size", it must be a size greater than 0/]



=== TEST 206: max_part_size of -1k
--- server
gateway_aggregate_max_part_size -1k;
--- emerg eval
[qr/invalid value "-1k" in "gateway_aggregate_max_part_size", it must be a size greater than 0/]



=== TEST 207: max_part_size of 1.5m
--- server
gateway_aggregate_max_part_size 1.5m;
--- emerg eval
[qr/invalid value "1\.5m" in "gateway_aggregate_max_part_size", it must be a size greater than 0/]



=== TEST 208: max_size of 0
--- server
gateway_aggregate_max_size 0;
--- emerg eval
[qr/invalid value "0" in "gateway_aggregate_max_size", it must be a size greater than 0/]



=== TEST 209: max_size of x
--- server
gateway_aggregate_max_size x;
--- emerg eval
[qr/invalid value "x" in "gateway_aggregate_max_size", it must be a size greater than 0/]



=== TEST 210: max_size of -1k
--- server
gateway_aggregate_max_size -1k;
--- emerg eval
[qr/invalid value "-1k" in "gateway_aggregate_max_size", it must be a size greater than 0/]



=== TEST 211: max_size of 1.5m
--- server
gateway_aggregate_max_size 1.5m;
--- emerg eval
[qr/invalid value "1\.5m" in "gateway_aggregate_max_size", it must be a size greater than 0/]



=== TEST 212: max_depth of 0
--- server
gateway_aggregate_max_depth 0;
--- emerg eval
[qr/invalid value "0" in "gateway_aggregate_max_depth", it must be a number from 1 to 1024/]



=== TEST 213: max_depth of 1025
--- server
gateway_aggregate_max_depth 1025;
--- emerg eval
[qr/invalid value "1025" in "gateway_aggregate_max_depth", it must be a number from 1 to 1024/]



=== TEST 214: max_depth of x
--- server
gateway_aggregate_max_depth x;
--- emerg eval
[qr/invalid value "x" in "gateway_aggregate_max_depth", it must be a number from 1 to 1024/]



=== TEST 215: max_depth of -1
--- server
gateway_aggregate_max_depth -1;
--- emerg eval
[qr/invalid value "-1" in "gateway_aggregate_max_depth", it must be a number from 1 to 1024/]



=== TEST 216: server_timing of a word
--- server
gateway_aggregate_server_timing yes;
--- emerg eval
[qr/invalid value "yes" in "gateway_aggregate_server_timing" directive, it must be "on" or "off"/]



=== TEST 217: methods twice
--- server
gateway_aggregate_methods GET;
gateway_aggregate_methods GET;
--- emerg eval
[qr/"gateway_aggregate_methods" directive is duplicate/]



=== TEST 218: timeout twice
--- server
gateway_aggregate_timeout 1s;
gateway_aggregate_timeout 1s;
--- emerg eval
[qr/"gateway_aggregate_timeout" directive is duplicate/]



=== TEST 219: max_part_size twice
--- server
gateway_aggregate_max_part_size 1k;
gateway_aggregate_max_part_size 1k;
--- emerg eval
[qr/"gateway_aggregate_max_part_size" directive is duplicate/]



=== TEST 220: max_size twice
--- server
gateway_aggregate_max_size 1k;
gateway_aggregate_max_size 1k;
--- emerg eval
[qr/"gateway_aggregate_max_size" directive is duplicate/]



=== TEST 221: max_depth twice
--- server
gateway_aggregate_max_depth 3;
gateway_aggregate_max_depth 3;
--- emerg eval
[qr/"gateway_aggregate_max_depth" directive is duplicate/]



=== TEST 222: server_timing twice
--- server
gateway_aggregate_server_timing on;
gateway_aggregate_server_timing on;
--- emerg eval
[qr/"gateway_aggregate_server_timing" directive is duplicate/]



=== TEST 223: timeout of nothing
--- server
gateway_aggregate_timeout;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_timeout" directive/]



=== TEST 224: max_part_size of nothing
--- server
gateway_aggregate_max_part_size;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_max_part_size" directive/]



=== TEST 225: max_size of nothing
--- server
gateway_aggregate_max_size;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_max_size" directive/]



=== TEST 226: max_depth of nothing
--- server
gateway_aggregate_max_depth;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_max_depth" directive/]



=== TEST 227: server_timing of nothing
--- server
gateway_aggregate_server_timing;
--- emerg eval
[qr/invalid number of arguments in "gateway_aggregate_server_timing" directive/]



=== TEST 228: all that may be said
--- server
gateway_aggregate_methods GET HEAD POST PUT DELETE PATCH OPTIONS;
gateway_aggregate_timeout 1h;
gateway_aggregate_max_part_size 100k;
gateway_aggregate_max_size 1024m;
gateway_aggregate_max_depth 1;
gateway_aggregate_server_timing on;
--- locations eval
[ t => [ 'part a /f/a;', 'gateway_aggregate_max_depth 1;' ],
  all => [ 'part ' . CORE::join('/', 1 .. 32) . ' /f/no optional;' . <<'_EOC_',
part a /f/a optional default=0 timeout=1d method=PATCH body=request select=/a~0~1/ only=a rename=b:c status=2xx,404,5XX header=X:;
part b /f/a errors=pass status=200,599 body= except=a;
part c /f/<item> each=a max=1000 concurrency=1000;
part . /f/<$arg_a> 'default={ }';
_EOC_
<<'_EOC_' ] ]
gateway_aggregate_methods GET;
gateway_aggregate_timeout 1500ms;
gateway_aggregate_max_part_size 1;
gateway_aggregate_max_size 1;
gateway_aggregate_max_depth 1024;
gateway_aggregate_server_timing off;
_EOC_
--- answers eval
[ a => '[7]' ]
--- requests eval
[ [ 'nginx starts' => '{"a":[7]}' ] ]



=== TEST 229: a new name that is not UTF-8
--- parts eval
"part a /f/a rename=b:a\xff;"
--- emerg eval
[qr/invalid parameter "rename=b:a.*" in "part", it must be in UTF-8/]
