#!/usr/bin/perl

# What is found in JSON texts and taken out of them, without nginx: pointers,
# members, elements, the characters of strings, and the members that a part of
# an answer keeps.  json.c asks the module, and once more with each allocation
# failing.
#
# Controls: what was made wrong on purpose has to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my @sources = (map({ "$here/$_.c" } qw( json core )),
    map({ "$modules/common/ngx_http_gateway_$_.c" } qw( json json_scan )));
my $program = sanitized('json', '-O1', @sources);

diag 'no sanitizers: nobody looks for bytes read outside of a text'
    if !$program;

$program //= compiled('json', '-O1', @sources);

# [what, [words], what has to come of it]

my @tests = (pointers(), found(), listed(), strings(), picked(), broken());

told(@$_) for asked($program, @tests, without_memory());

controls();

done_testing();


sub told {
    my ($what, $got, $expected) = @_;

    is $got, $expected, $what;

    return;
}


# [what, what came of it, what has to come of it] for each test

sub asked {
    my ($command, @tests) = @_;

    spew("$work/lines", join '', map {
        my ($call, @words) = @{ $_->[1] };
        join(' ', $call, map { length ? unpack 'H*', $_ : '-' } @words) . "\n";
    } @tests);

    my ($status, $output) = run('sh', '-c', "exec $command < $work/lines");
    my @lines = split /\n/, $output;

    return (map({ [$_->[0], answer(shift @lines), $_->[2]] } @tests),
            ['nothing else is wrong', join("\n", $status, @lines), '0']);
}


# "ok TEXT | TEXT"

sub answer {
    my ($line) = @_;

    return 'nothing' if !defined $line;

    my ($rc, $texts, $rest)
        = $line =~ /^(\w+)((?: (?:-|[0-9a-f]+)(?![^ ,]))*)(.*)$/s
        or return $line;

    my @texts = map { $_ eq '-' ? '' : pack 'H*', $_ } split ' ', $texts;

    return (@texts ? "$rc " . join ' | ', @texts : $rc) . $rest;
}


sub pointers {
    return (
        (map { ["pointer: $_->[0]", ['pointer', $_->[1]], $_->[2]] }
            ['whole value',        '',            'ok'],
            ['a name',             '/a',          'ok a'],
            ['names',              '/a/bc/d',     'ok a | bc | d'],
            ['more than four',     '/a/b/c/d/e/f/g/h/i',
                                   'ok a | b | c | d | e | f | g | h | i'],
            ['an empty name in front', '//a',     'ok  | a'],
            ['an empty name at the end', '/a/',   'ok a | '],
            ['escapes',            '/~1/~0/a~1b~0c', 'ok / | ~ | a/b~c'],
            ['"~01" is "~1"',      '/~01',        'ok ~1'],
            ['"~10" is "/0"',      '/~10',        'ok /0'],
            ['anything else as it is', '/%41"\\ {', 'ok %41"\\ {'],
            ['no slash in front',  'a',           'declined'],
            ['no slash in front of the second', 'a/b', 'declined'],
            ['a fragment',         '#/a',         'declined'],
            ['"~" at the end',     '/a~',         'declined'],
            ['"~" in front of "/"', '/a~/b',      'declined'],
            ['"~2"',               '/~2',         'declined'],
            ['"~~"',               '/~~0',        'declined']),
    );
}


sub found {
    my $object = '{"a":1,"b":{"c":[10,20,{"d":"x"}],"":0},"a/b":2,"m~n":3,'
        . '"0":4,"":{"":5},"\u0061\u0062":6,"e\"f":7,"\u00e9":8}';
    my $spaced = "{ \"a\" : [ 1 ,\n\t{ \"b\" :\r\n [ ] } , 2 ] , \"c\" : { }}";

    my @rows = (
        ['the whole', '', '[1, 2]', 'ok [1, 2]'],
        ['the whole number', '', '-1.50', 'ok -1.50'],
        ['a member', '/a', $object, 'ok 1'],
        ['a member of a member', '/b/', $object, 'ok 0'],
        ['an element of a member', '/b/c/1', $object, 'ok 20'],
        ['a member of an element', '/b/c/2/d', $object, 'ok "x"'],
        ['an object, as it stands', '/b', $object,
            'ok {"c":[10,20,{"d":"x"}],"":0}'],
        ['a name with a slash', '/a~1b', $object, 'ok 2'],
        ['a name with a tilde', '/m~0n', $object, 'ok 3'],
        ['a name of digits', '/0', $object, 'ok 4'],
        ['empty names', '//', $object, 'ok 5'],
        ['a name that is escaped in the text', '/ab', $object, 'ok 6'],
        ['a quote in a name', '/e"f', $object, 'ok 7'],
        ['a name in UTF-8, escaped in the text', "/\xc3\xa9", $object, 'ok 8'],
        ['a name in UTF-8', "/\xc3\xa9", "{\"e\":1,\"\xc3\xa9\":2}", 'ok 2'],
        ['a name outside of the first plane', "/\xf0\x9f\x98\x80",
            '{"\ud83d\uDE00":1}', 'ok 1'],
        ['not a name that is equal without its escapes', '/u0061',
            '{"\u0061":1}', 'declined'],
        ['not a name by its escapes', '/\u0061', '{"\u0061":1}', 'declined'],
        ['the escaped backslash of a name', '/\u0061', '{"\\\\u0061":1}',
            'ok 1'],
        ['no name with a NUL for what is before it', '/a', '{"a\u0000":1}',
            'declined'],
        ['no half of a pair', "/\xed\xa0\x80", '{"\ud800":1}', 'declined'],
        ['a name beside half of a pair', '/a', '{"\ud800":1,"a":2}', 'ok 2'],
        ['no other case', '/A', $object, 'declined'],
        ['no beginning of a name', '/m', $object, 'declined'],
        ['nothing longer than a name', '/aa', $object, 'declined'],
        ['no name inside of a value', '/c', $object, 'declined'],
        ['no string that is a value', '/x', '{"a":"x"}', 'declined'],
        ['nothing in an empty object', '/a', '{}', 'declined'],
        ['nothing in an empty object with white space', '/a', "{ \n}",
            'declined'],

        ['no member of an array', '/a', '["a"]', 'declined'],
        ['no member of a string', '/a', '"a"', 'declined'],
        ['no member of a number', '/a', '1', 'declined'],
        ['no member of null', '/a', 'null', 'declined'],
        ['nothing beyond a number', '/a/b', '{"a":1}', 'declined'],
        ['nothing beyond what is not there', '/b/c', '{"a":1}', 'declined'],

        ['the first element', '/0', '[1,2,3]', 'ok 1'],
        ['the last element', '/2', '[1,2,3]', 'ok 3'],
        ['no element after it', '/3', '[1,2,3]', 'declined'],
        ['none in an empty array', '/0', '[]', 'declined'],
        ['none in an empty array with white space', '/0', '[ ]', 'declined'],
        ['the tenth element', '/10', '[0,1,2,3,4,5,6,7,8,9,10]', 'ok 10'],
        ['no element of an object', '/0', '{"a":1}', 'declined'],
        ['no element of a string', '/0', '"abc"', 'declined'],
        ['commas and brackets in strings', '/1', '["],[",1]', 'ok 1'],
        ['elements of all kinds', '/7',
            '[1,"",{},[],true,false,null,-0.5E+1]', 'ok -0.5E+1'],

        (map { ["no index \"$_\"", "/$_", '[1,2,3]', 'declined'] }
            '', '-', '00', '01', '+1', '-1', ' 1', '1 ', '1.0', '1e0', '0x1',
            'a', '9223372036854775807', '9223372036854775808',
            '18446744073709551616', '99999999999999999999999'),

        ['white space around a member', '/c', $spaced, 'ok { }'],
        ['white space around elements', '/a/1/b', $spaced, 'ok [ ]'],
        ['white space inside stays', '/a', $spaced,
            "ok [ 1 ,\n\t{ \"b\" :\r\n [ ] } , 2 ]"],

        ['of members with one name the last one', '/a', '{"a":1,"b":2,"a":3}',
            'ok 3'],
        ['likewise, escaped', '/a', '{"a":1,"\u0061":3}', 'ok 3'],
        ['likewise, escaped before', '/a', '{"\u0061":1,"a":3}', 'ok 3'],
        ['likewise, further down', '/a/x', '{"a":{"x":1},"a":{"x":2,"x":3}}',
            'ok 3'],
        ['the last one counts also where the first one would do', '/a/x',
            '{"a":{"x":1},"a":{"y":2}}', 'declined'],
        ['likewise, not an object', '/a/x', '{"a":{"x":1},"a":null}',
            'declined'],

        ['numbers as they stand', '/a', '{"a":1.10000000000000000000e+0001}',
            'ok 1.10000000000000000000e+0001'],
        ['strings as they stand', '/a', '{"a":"\u0041\/\ud800"}',
            'ok "\u0041\/\ud800"'],
        ['null', '/a', '{"a":null}', 'ok null'],
        ['a value of 1024 levels', '/a',
            '{"a":' . '[' x 1023 . ']' x 1023 . '}',
            'ok ' . '[' x 1023 . ']' x 1023],
        ['a value below 1023 others', '/a' x 1023,
            '{"a":' x 1023 . '1' . '}' x 1023, 'ok 1'],
    );

    return map { my ($what, $pointer, $text, $expected) = @$_;
                 ["find: $what", ['find', $pointer, $text], $expected] } @rows;
}


sub listed {
    return (
        (map { ["members: $_->[0]", ['members', $_->[1]], $_->[2]] }
            ['none', '{}', 'ok'],
            ['none but white space', "{ \n }", 'ok'],
            ['one', '{"a":1}', 'ok "a":1 | a | 1'],
            ['two', '{"a":1,"b":[2]}', 'ok "a":1 | a | 1 | "b":[2] | b | [2]'],
            ['white space', "{ \"a\" :\t1 ,\n\"b\":2}",
                "ok  \"a\" :\t1  | a | 1 | \n\"b\":2 | b | 2"],
            ['white space at the end', '{"a": {} }', 'ok "a": {}  | a | {}'],
            ['names as they stand', '{"\u0061\"":1}',
                'ok "\u0061\"":1 | \u0061\" | 1'],
            ['an empty name', '{"":""}', 'ok "":"" |  | ""'],
            ['names that are there twice', '{"a":1,"a":2}',
                'ok "a":1 | a | 1 | "a":2 | a | 2'],
            ['of a string', '"{}"', 'declined'],
            ['of a number', '12', 'declined'],
            ['of nothing', '', 'declined'],
            ['of an array', '["a"]', 'ok']),

        (map { ["elements: $_->[0]", ['elements', $_->[1]], $_->[2]] }
            ['none', '[]', 'ok'],
            ['none but white space', "[\t]", 'ok'],
            ['one', '[1]', 'ok 1'],
            ['all kinds', '[1,"a",{"b":[]},[[]],true,null,-1e5]',
                'ok 1 | "a" | {"b":[]} | [[]] | true | null | -1e5'],
            ['white space', "[ 1 , \"a\"\n,\t[ ] ]", 'ok 1 | "a" | [ ]'],
            ['numbers at the end', '[1,22]', 'ok 1 | 22'],
            ['literals at the end', '[null,true]', 'ok null | true'],
            ['of a string', '"[]"', 'declined'],
            ['of nothing', '', 'declined']),
    );
}


sub strings {
    return (
        (map { ["decode: $_->[0]", ['decode', "\"$_->[1]\""], $_->[2]] }
            ['plain', 'abc', 'ok abc'],
            ['empty', '', 'ok '],
            ['UTF-8', "\xc3\xa9\xf0\x9f\x98\x80",
                "ok \xc3\xa9\xf0\x9f\x98\x80"],
            ['short escapes', '\"\\\\\/\b\f\n\r\t', "ok \"\\/\b\f\n\r\t"],
            ['ASCII', '\u0041\u007f', "ok A\x7f"],
            ['two bytes', '\u0080\u07FF', "ok \xc2\x80\xdf\xbf"],
            ['three bytes', '\u0800\uffff', "ok \xe0\xa0\x80\xef\xbf\xbf"],
            ['pairs', '\ud800\udc00\uDBFF\uDFFF',
                "ok \xf0\x90\x80\x80\xf4\x8f\xbf\xbf"],
            ['a NUL', 'a\u0000b', "ok a\0b"],
            ['half of a pair', '\ud800', 'declined'],
            ['the other half', '\udc00', 'declined'],
            ['halves in the wrong order', '\udc00\ud800', 'declined'],
            ['half of a pair and a character', '\ud800x', 'declined'],
            ['half of a pair and an escape', '\ud800\u0041', 'declined'],
            ['long', 'x' x 1000 . '\n', 'ok ' . 'x' x 1000 . "\n"]),

        (map { ["name: $_->[0]", ['name', "\"$_->[1]\"", $_->[2]],
                $_->[3] ? 'ok' : 'declined'] }
            ['the same', 'abc', 'abc', 1],
            ['empty', '', '', 1],
            ['escaped', '\u0061bc', 'abc', 1],
            ['escaped slash', 'a\/b', 'a/b', 1],
            ['as long', 'abc', 'abd', 0],
            ['shorter', 'ab', 'abc', 0],
            ['longer', 'abc', 'ab', 0],
            ['longer, escaped', 'ab\u0063', 'ab', 0],
            ['as long as its escape', '\n', '\n', 0],
            ['a NUL at the end', 'a\u0000', 'a', 0],
            ['half of a pair', '\ud800', '', 0]),
    );
}


sub picked {
    my $text = '{"id":1,"name":"Ann","mail":"a@b","tags":["x"]}';
    my $spaced = "{\n  \"a\": 1,\n  \"b\" : [ 2 ],\n  \"c\": 3\n}";

    my @rows = (

        # only, except, rename

        ['all', $text, '', '', '', $text],
        ['one', $text, 'id', '', '', '{"id":1}'],
        ['two, in the order of the text', $text, 'tags,id', '', '',
            '{"id":1,"tags":["x"]}'],
        ['one that is not there', $text, 'x', '', '', '{}'],
        ['one that is there and one that is not', $text, 'x,mail', '', '',
            '{"mail":"a@b"}'],
        ['but the first', $text, '', 'id', '',
            '{"name":"Ann","mail":"a@b","tags":["x"]}'],
        ['but the last', $text, '', 'tags', '',
            '{"id":1,"name":"Ann","mail":"a@b"}'],
        ['but those in the middle', $text, '', 'mail,name', '',
            '{"id":1,"tags":["x"]}'],
        ['but what is not there', $text, '', 'x', '', $text],
        ['but all', $text, '', 'id,name,mail,tags', '', '{}'],
        ['but the beginning of a name', $text, '', 'i,nam', '', $text],
        ['both lists', $text, 'id,name', 'id', '', '{"name":"Ann"}'],

        ['of an empty object', '{}', 'a', '', '', '{}'],
        ['of white space', '{ }', '', 'a', '', '{}'],

        ['renamed', $text, '', '', 'id:user',
            '{"user":1,"name":"Ann","mail":"a@b","tags":["x"]}'],
        ['renamed to less', $text, 'mail', '', 'mail:m', '{"m":"a@b"}'],
        ['renamed to an empty name', $text, 'id', '', 'id:', '{"":1}'],
        ['renamed to itself', $text, 'id', '', 'id:id', '{"id":1}'],
        ['renamed to what has escapes', $text, 'id', '', "id:\"\n\xc3\xa9",
            "{\"\\\"\\n\xc3\xa9\":1}"],
        ['renamed, not there', $text, 'id', '', 'x:y', '{"id":1}'],
        ['renamed, but the old name is listed', $text, 'id', '', 'id:user',
            '{"user":1}'],
        ['the new name is not listed', $text, 'user', '', 'id:user', '{}'],
        ['the new name is listed as one that does not stay', $text, 'id',
            'user', 'id:user', '{"user":1}'],
        ['renamed in the values, too? no', '{"a":{"a":1}}', '', '', 'a:b',
            '{"b":{"a":1}}'],
        ['listed in the values, too? no', '{"a":{"b":1,"a":2}}', '', 'b', '',
            '{"a":{"b":1,"a":2}}'],

        ['a member gives way to a renamed one after it', '{"b":1,"a":2}', '',
            '', 'a:b', '{"b":2}'],
        ['a member gives way to a renamed one before it', '{"a":1,"b":2}', '',
            '', 'a:b', '{"b":1}'],
        ['an escaped member gives way', '{"\u0062":1,"a":2}', '', '', 'a:b',
            '{"b":2}'],
        ['no one gives way to what is not there', '{"b":1,"c":2}', '', '',
            'a:b', '{"b":1,"c":2}'],
        ['no one gives way to what does not stay', '{"b":1,"a":2}', 'b', '',
            'a:b', '{"b":1}'],
        ['likewise, by the other list', '{"b":1,"a":2}', '', 'a', 'a:b',
            '{"b":1}'],
        ['two change places', '{"a":1,"b":2}', '', '', 'a:b,b:a',
            '{"b":1,"a":2}'],
        ['three change places', '{"a":1,"b":2,"c":3}', '', '', 'a:b,b:c,c:a',
            '{"b":1,"c":2,"a":3}'],
        ['two change places, one is not there', '{"a":1,"c":2}', '', '',
            'a:b,b:a', '{"b":1,"c":2}'],
        ['each moves one on, the last one gives way', '{"a":1,"b":2,"c":3}',
            '', '', 'a:b,b:c', '{"b":1,"c":2}'],
        ['the first line counts', '{"a":1,"b":2,"c":3}', '', '', 'a:b,a:c',
            '{"b":1,"c":3}'],

        ['escaped names, listed', '{"\u0061":1,"b":2,"\u0063":3}', 'a,b', '',
            '', '{"\u0061":1,"b":2}'],
        ['escaped names, listed as such that do not stay',
            '{"\u0061":1,"b":2}', '', 'a', '', '{"b":2}'],
        ['escaped names, renamed', '{"\u0061":1}', '', '', 'a:b', '{"b":1}'],
        ['a name with a quote', '{"a\"b":1,"c":2}', 'a"b', '', '',
            '{"a\"b":1}'],
        ['a name with half of a pair', '{"\ud800":1,"a":2}', '', 'a', '',
            '{"\ud800":1}'],
        ['a name with a NUL', '{"a\u0000":1,"a":2}', '', 'a', '',
            '{"a\u0000":1}'],

        ['names that are there twice', '{"a":1,"b":2,"a":3}', 'a', '', '',
            '{"a":1,"a":3}'],
        ['twice, and not any more', '{"a":1,"b":2,"a":3}', '', 'a', '',
            '{"b":2}'],
        ['twice, and renamed', '{"a":1,"b":2,"a":3}', '', '', 'a:longer',
            '{"longer":1,"b":2,"longer":3}'],

        ['spacing, all', $spaced, '', '', '', $spaced],
        ['spacing, the first', $spaced, 'a', '', '', "{\n  \"a\": 1}"],
        ['spacing, in the middle', $spaced, 'b', '', '',
            "{\n  \"b\" : [ 2 ]}"],
        ['spacing, the last', $spaced, 'c', '', '', "{\n  \"c\": 3\n}"],
        ['spacing, but the middle', $spaced, '', 'b', '',
            "{\n  \"a\": 1,\n  \"c\": 3\n}"],
        ['spacing, renamed', $spaced, 'b', '', 'b:x', "{\n  \"x\" : [ 2 ]}"],

        ['values as they stand', '{"a":1.0e+05,"b":"\u0041\/","c":0}', '',
            'c', '', '{"a":1.0e+05,"b":"\u0041\/"}'],
        ['many renamed', '{' . join(',', ('"a":1') x 200) . '}', '', '',
            'a:' . 'b' x 100,
            '{' . join(',', ('"' . 'b' x 100 . '":1') x 200) . '}'],

        ['of an array', '["id"]', 'id', '', '', undef],
        ['of a string', '"id"', 'id', '', '', undef],
        ['of null', 'null', '', 'id', '', undef],
        ['of a number', '1', '', '', 'id:x', undef],
    );

    return map {
        my ($what, $text, $only, $except, $rename, $expected) = @$_;
        my @pairs = map { [/^(.*?):(.*)$/s] } split /,/, $rename;

        ["pick: $what",
         ['pick', $text,
          (map { join '', map { "$_\0" } split /,/ } $only, $except),
          join '', map { my ($from, $to) = @$_;
                         "$from\0$to\0" . escaped($to) . "\0" } @pairs],
         defined $expected ? "ok $expected" : 'declined'];
    } @rows;
}


sub escaped {
    my ($text) = @_;

    return JSON::PP->new->allow_nonref->encode($text) =~ s/^"|"$//gr;
}


# Nothing valid, and nothing read outside of it

sub broken {
    my @texts = (
        ['nothing', ''],
        map { ["\"$_\"", $_] } '{', '[', '{"', '{"a', '{"a"', '{"a":',
            '{"a":1', '{"a":}', '{"a"}', '{"a",', '{"a" 1}', '{,}', '{a:1}',
            '[1', '[1,', '["', '["a', '[1 2]', '[,]', '{"\\', '{"\\u00',
            '{"a":"\\', "{\"\xe2\x82", '}', ']', '"', '-',
    );

    return (
        ['find: the whole of nothing', ['find', '', ''], 'ok '],
        (map { ["find: not in $_->[0]", ['find', '/a', $_->[1]], 'declined'] }
            @texts),
        (map { ["pick: from $_->[0]", ['pick', $_->[1], '', "b\0", ''],
                $_->[1] =~ /^\{./ ? 'ok {}' : 'declined'] }
            @texts),
        (map { ["elements: of $_->[0]", ['elements', $_->[0]], $_->[1]] }
            ['[', 'declined'], ['[1', 'ok'], ['[1,', 'ok 1'], ['["', 'ok'],
            ['["a', 'ok'], ['[1 2]', 'ok'], ['[,]', 'ok'], ['[1,,2]', 'ok 1'],
            ['[1,2', 'ok 1'], ['["\\', 'ok'], ["[\"\xe2\x82", 'ok'],
            ['[tru]', 'ok'], ['[[]', 'ok'], ['[[1,]', 'ok']),
    );
}


# Who is out of memory does not know what a name is, and must not take it for
# another one

sub without_memory {
    return (
        ['decode: no memory for the characters',
         ['decode', '"\u0061b"'], 'ok ab'],
        ['name: no memory to see that it is another one',
         ['name', '"\u0061bc"', 'b'], 'declined'],
        ['find: no memory to see that it is the name',
         ['find', '/a', '{"\u0061":1}'], 'ok 1'],
        ['pick: no memory to see that the member does not stay',
         ['pick', '{"\u0061":1,"b":2}', '', "a\0", ''], 'ok {"b":2}'],
    );
}


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['of members with one name the first one counts',
         qr/if \(rc\) \{\s+found = member\.value;/,
         'if (rc && !found.len) { found = member.value;'],

        ['an index may have leading zeros',
         qr/token->data\[0\] == '0' && token->len > 1/, '0'],

        ['"~1" and "~0" are each other', qr/\*p == '0' \? '~' : '\/'/,
         q{*p == '0' ? '/' : '~'}],

        ['names are compared as they stand',
         qr/escape = ngx_strlchr\(p, last, '\\\\'\);(?=\s+if)/,
         'escape = NULL;'],

        ['white space after a member is lost',
         qr/member->all\.len = p - start/,
         'member->all.len = member->value.data + member->value.len - start'],

        ['nobody gives way to a renamed member',
         qr/renamed\[rename - renames\] = 1;/, ''],

        ['everybody gives way to a renamed member, there or not',
         qr/if \(!renamed\[i\]\) \{/, 'if (0) {'],
    );

    my $json = "$modules/common/ngx_http_gateway_json.c";
    my $text = slurp($json);
    my $count = 0;
    my @others = map {
        compiled($count++ . '.o', qw( -O0 -c ), $_)
    } grep { $_ ne $json } @sources;

    mutated($text, sub {
        my ($file) = @_;
        my $wrong = compiled('mutant', qw( -O0 -w ), @others, $file);

        return scalar grep { $_->[1] ne $_->[2] } asked($wrong, @tests);
    }, @mutations);

    return;
}
