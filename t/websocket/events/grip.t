#!/usr/bin/perl

# GRIP without nginx: the extension in a field, what a message of a service is,
# and the items of a published body.  grip.c asks the module, and once more with
# each allocation failing; short fields are compared with a regular expression.
#
# Controls: what was made wrong on purpose has to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";

use JSON::PP ();
use MIME::Base64 qw( encode_base64 );
use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my @flags = ("-I$here/../frame", "-I$here/../../json");
my $websocket = "$modules/websocket/ngx_http_gateway_websocket";
my @changed = map { "${websocket}_$_.c" } qw( grip grip_items grip_json );
my @sources = ("$here/grip.c", "$here/base64.c", "$here/../frame/words.c",
    "$here/../../json/core.c", "${websocket}_frame.c",
    map { "$modules/common/ngx_http_gateway_$_.c" } qw( json json_scan ));
my $program = sanitized('grip', @flags, '-O1', @sources, @changed);

diag 'no sanitizers: nobody looks for bytes read outside of a text'
    if !$program;

$program //= compiled('grip', @flags, '-O1', @sources, @changed);

my $json = JSON::PP->new->canonical->ascii;

# [what, [words], what has to come of it]; a reference is a word as it is

my @tests = (extensions(), messages(), controlled(), keep_alives(), items(),
             malformed());

is $_->[1], $_->[2], $_->[0] for asked($program, @tests);

my @short = map { ["extension \"$_\"", ['extension', $_], plain($_)] }
    sequences(4, '', qw( grip message-prefix ; = " \ ), ',', ' ', 'm:'),
    sequences(4, 'grip;message-prefix', qw( ; = " \ x ), ',', ' ', 'm:'),
    sequences(4, 'grip; message-prefix="', qw( ; = " \ x ), ',', ' ', 'm:');
my @wrong = grep { $_->[1] ne $_->[2] } asked($program, @short);

ok !@wrong, sprintf 'all short fields (%d)', scalar @short
    or diag join "\n", map { "$_->[0]: $_->[1] instead of $_->[2]" }
                           splice @wrong, 0, 5;

controls();

done_testing();


sub extensions {
    my @rows = (
        ['the name', 'grip', 'm:'],
        ['a prefix', 'grip; message-prefix="x-"', 'x-'],
        ['none', 'grip; message-prefix=""', ''],
        ['none, in a word', 'grip; message-prefix', ''],
        ['a token', 'grip; message-prefix=msg', 'msg'],
        ['what is no token', 'grip; message-prefix=m:', 'm:'],
        ['spaces', "\t grip ;\tmessage-prefix = \"m:\" ", 'm:'],
        ['escapes', 'grip; message-prefix="\\"\\\\\\a"', '"\\a'],
        ['other bytes', "grip; message-prefix=\"\t,;=\xc3\xa9\"",
            "\t,;=\xc3\xa9"],
        ['other parameters', 'grip; a; b=1; c="2"; message-prefix="p"; d',
            'p'],
        ['the last of several', 'grip; message-prefix="a"; message-prefix=b',
            'b'],
        ['among others', 'x; message-prefix="x", , grip, y', 'm:'],
        ['nothing of others', 'x; message-prefix="x", grip; a', 'm:'],
        ['the first of several', 'grip; message-prefix=1, grip', '1'],
        ['malformed later', 'grip, ;', 'm:'],
        ['a comma at the end', 'grip; message-prefix="a",', 'a'],

        (map { ["no such: $_", $_] }
            '', ',', 'Grip', 'GRIP', 'grip2', 'gri', 'permessage-deflate',
            'x; grip', 'x=grip', '"grip"', 'x;grip=grip'),
        (map { ["malformed: $_", $_] }
            'grip;', 'grip;;', 'grip; ', 'grip x', 'grip=1', 'grip; =1',
            'grip; message-prefix=', 'grip; message-prefix= ;a',
            'grip; message-prefix="', 'grip; message-prefix="a',
            'grip; message-prefix="a\\', 'grip; message-prefix="a\\"',
            'grip; message-prefix="a"b', 'grip; message-prefix="a" b',
            'grip; message-prefix=a"b"', 'grip; message-prefix=a b',
            "grip; message-prefix=\"\x01\"", "grip; message-prefix=\"\\\0\"",
            "grip; message-prefix=\"\x7f\"", "grip; message-prefix=\xc3\xa9",
            "gr\xc3\xa9p", 'x;, grip', '"x", grip', 'x y, grip'),
    );

    return map {
        my ($what, $field, $prefix) = @$_;
        ["extension: $what", ['extension', $field],
         defined $prefix ? 'ok ' . hex_of($prefix) : 'declined'];
    } @rows;
}


sub messages {
    my @rows = (
        ['with the prefix', 1, 'm:', 'm:hello', 'hello'],
        ['binary', 2, 'm:', "m:\0\xff", "\0\xff"],
        ['nothing but the prefix', 1, 'm:', 'm:', ''],
        ['once', 1, 'm:', 'm:m:x', 'm:x'],
        ['another prefix', 1, 'msg=', 'msg=x', 'x'],
        ['no prefix', 1, '', 'hello', 'hello'],
        ['no prefix and nothing', 1, '', '', ''],
        ['no prefix, and binary that looks like one for the gateway', 2, '',
            'c:{}', 'c:{}'],
        ['a prefix that begins so, too', 2, 'c:', 'c:x', 'x'],
        ['no prefix, and not one for the gateway', 1, '', 'c;{}', 'c;{}'],
        ['likewise, a letter', 1, '', 'c', 'c'],

        (map { ['dropped: ' . ($_->[2] || 'nothing'), @$_] }
            [1, 'm:', 'hello'], [1, 'm:', ''], [1, 'm:', 'm'], [2, 'm:', 'M:x'],
            [1, 'm:', 'mm:x'], [2, 'm:', 'c:{}'], [1, 'msg', 'ms'],
            [1, 'm:', 'c']),
    );

    return map {
        my ($what, $opcode, $prefix, $data, $content) = @$_;
        ["message: $what", ['message', \$opcode, $prefix, $data],
         defined $content ? "ok message $opcode " . hex_of($content)
                          : 'ok ignored'];
    } @rows;
}


sub controlled {
    my @rows = (
        ['subscribe', '{"type":"subscribe","channel":"x"}', 'subscribe 78'],
        ['unsubscribe', '{"type":"unsubscribe","channel":"x"}',
            'unsubscribe 78'],
        ['spaces', " { \"channel\" :\t\"a b\" ,\r\n\"type\" : \"subscribe\" } ",
            'subscribe ' . hex_of('a b')],
        ['escapes', '{"\u0074ype":"s\u0075bscribe","channel":"\u00e9\n\/"}',
            'subscribe ' . hex_of("\xc3\xa9\n/")],
        ['the last of several', '{"type":"detach","type":"subscribe",'
            . '"channel":"a","channel":"b"}', 'subscribe 62'],
        ['other members', '{"type":"subscribe","channel":"x","a":[{}],'
            . '"filters":[],"b":"c"}', 'subscribe 78'],
        ['filters that are null', '{"type":"subscribe","channel":"x",'
            . '"filters":null}', 'subscribe 78'],
        ['filters to unsubscribe', '{"type":"unsubscribe","channel":"x",'
            . '"filters":["a"]}', 'unsubscribe 78'],
        ['detach', '{"type":"detach"}', 'detach'],
        (map { ["not supported: $_", "{\"type\":\"$_\"}", 'other'] }
            qw( session set-meta send-delayed flush-delayed )),

        (map { ["nothing: $_", $_, 'ignored'] }
            '', ' ', '{', '{}', '[]', '"subscribe"', 'null', '1', '{} x',
            '{"type":"subscribe"}', '{"type":"subscribe","channel":""}',
            '{"type":"subscribe","channel":1}',
            '{"type":"subscribe","channel":null}',
            '{"type":"subscribe","channel":["x"]}',
            '{"type":"subscribe","channel":"\ud800"}',
            '{"type":"subscribe","channel":"x","filters":["a"]}',
            '{"type":"subscribe","channel":"x","filters":"a"}',
            '{"type":"subscribe","channel":"x",}',
            '{"type":"subscribe","channel":"x","channel":null}',
            '{"type":"Subscribe","channel":"x"}',
            '{"type":"subscribed","channel":"x"}',
            '{"type":null,"channel":"x"}', '{"type":1,"channel":"x"}',
            '{"Type":"subscribe","channel":"x"}', '{"type":"hold"}',
            '{"type":""}', "{\"type\":\"subscribe\",\"channel\":\"\xff\"}",
            '{"type":"detach","x":' . '[' x 40 . ']' x 40 . '}'),
        ['not too deep', '{"type":"detach","x":' . '[' x 31 . ']' x 31 . '}',
            'detach'],
        ['a long name', '{"type":"detach","' . 'x' x 1000 . '":1}', 'detach'],
        ['a long name with escapes',
            '{"type":"detach","' . '\u0078' x 100 . '":1}', 'detach'],
    );

    return map({ ["control: $_->[0]", ['message', \1, 'm:', "c:$_->[1]"],
                  "ok $_->[2]"] } @rows),
           map({ ["control, without a prefix: $_->[0]",
                  ['message', \1, '', "c:$_->[1]"], "ok $_->[2]"] } @rows);
}


sub keep_alives {
    my $long = 'x' x 126;

    my @rows = (
        ['off', {}, '1 55 none'],
        ['a text', { content => 'beat' }, '1 55 62656174'],
        ['an empty one', { content => '' }, '1 55 -'],
        ['base64', { 'content-bin' => 'QUI=' }, '1 55 4142'],
        ['base64 first', { 'content-bin' => 'QUI=', content => 'x' },
            '1 55 4142'],
        ['binary', { content => 'x', 'message-type' => 'binary' }, '2 55 78'],
        ['binary bytes', { 'content-bin' => '/w==',
            'message-type' => 'binary' }, '2 55 ff'],
        ['a ping', { content => '', 'message-type' => 'ping' }, '9 55 -'],
        ['a pong', { content => substr($long, 1), 'message-type' => 'pong' },
            '10 55 ' . '78' x 125],
        ['a timeout', { content => 'x', timeout => 20 }, '1 20 78'],
        ['the default timeout', { content => 'x', timeout => 0 }, '1 55 78'],
        ['the longest timeout', { content => 'x', timeout => 2147483 },
            '1 2147483 78'],
        ['a timeout that is not looked at', { timeout => 'x' }, '1 55 none'],
        ['interval', { content => 'x', mode => 'interval' },
            '1 55 interval 78'],
        ['idle', { content => 'x', mode => 'idle' }, '1 55 78'],
        (map { ["another mode: $_", { content => 'x', mode => $_ }, '1 55 78'] }
            'intervals', 'internal', ''),

        (map { ['nothing: ' . $json->encode($_), $_] }
            { content => 1 }, { content => [] }, { 'content-bin' => '!' },
            { 'content-bin' => 1 }, { 'content-bin' => '/w==' },
            { content => 'x', 'message-type' => 'x' },
            { 'message-type' => 1 }, { content => 'x', mode => 1 },
            { content => 'x', timeout => -1 },
            { content => 'x', timeout => 1.5 },
            { content => 'x', timeout => '20' },
            { content => 'x', timeout => 2147484 },
            { content => $long, 'message-type' => 'ping' }),
    );

    return map {
        my ($what, $members, $expected) = @$_;
        ["keep-alive: $what",
         ['message', \1, 'm:', 'c:' . $json->encode({ type => 'keep-alive',
                                                      %$members })],
         $expected ? "ok keep-alive $expected" : 'ok ignored'];
    } @rows;
}


sub items {
    my $bytes = join '', map { chr } 0 .. 255;

    my @rows = (
        ['none', [], ''],
        ['a text', [message(content => 'hello')], '(1 78 none 1 68656c6c6f)'],
        ['characters', [message(content => "\xe9\x{1f600}\n")],
            '(1 78 none 1 c3a9f09f98800a)'],
        ['an empty one', [message(content => '')], '(1 78 none 1 -)'],
        ['bytes', [message('content-bin' => encode_base64($bytes, ''))],
            '(1 78 none 2 ' . hex_of($bytes) . ')'],
        ['bytes in lines', [message('content-bin' => encode_base64($bytes))],
            '(1 78 none 2 ' . hex_of($bytes) . ')'],
        ['no bytes', [message('content-bin' => '')], '(1 78 none 2 -)'],
        ['without padding', [message('content-bin' => 'QUI')],
            '(1 78 none 2 4142)'],
        ['bytes first', [message('content-bin' => 'QUI=', content => 'x')],
            '(1 78 none 2 4142)'],
        ['bytes that are null', [message('content-bin' => undef,
            content => 'x')], '(1 78 none 1 78)'],
        ['an id', [{ %{ message(content => 'x') }, id => 'i1',
            'prev-id' => 'i0', 'no-seq' => JSON::PP::true, meta => {} }],
            '(1 78 6931 1 78)'],
        ['an id that is null', [{ %{ message(content => 'x') }, id => undef }],
            '(1 78 none 1 78)'],
        ['an empty channel', [{ %{ message(content => 'x') }, channel => '' }],
            '(1 - none 1 78)'],
        ['send', [message(action => 'send', content => 'x')],
            '(1 78 none 1 78)'],
        ['an action that is null', [message(action => undef, content => 'x')],
            '(1 78 none 1 78)'],
        ['text in base64', [message(type => 'text', 'content-bin' => 'w6k=')],
            '(1 78 none 1 c3a9)'],
        ['binary of characters', [message(type => 'binary', content => 'x')],
            '(1 78 none 2 78)'],
        ['pings', [message(type => 'ping'), message(type => 'pong',
            content => 'x' x 125), message(type => 'ping',
            'content-bin' => '/w==')], '(1 78 none 9 -) '
            . '(2 78 none 10 ' . '78' x 125 . ') (3 78 none 9 ff)'],
        ['no filters', [message(content => 'x', 'content-filters' => [])],
            '(1 78 none 1 78)'],
        ['close', [message(action => 'close')],
            '(1 78 none close 1000 -)'],
        (map { ["close $_", [message(action => 'close', code => $_)],
                "(1 78 none close $_ -)"] }
            1000, 1001, 1003, 1007, 1014, 3000, 4999),
        ['close with a reason', [message(action => 'close', code => 4000,
            reason => "why \xe9")],
            '(1 78 none close 4000 ' . hex_of("why \xc3\xa9") . ')'],
        ['close with the longest one', [message(action => 'close',
            reason => 'x' x 123)],
            '(1 78 none close 1000 ' . '78' x 123 . ')'],
        ['content of a close is not looked at', [message(action => 'close',
            content => 1, type => 1)], '(1 78 none close 1000 -)'],
        ['without "formats"', [{ channel => 'x',
            'ws-message' => { content => 'y' } }], '(1 78 none 1 79)'],
        ['"formats" that are null', [{ channel => 'x', formats => undef,
            'ws-message' => { content => 'y' } }], '(1 78 none 1 79)'],
        ['with "formats" nothing else counts', [{ %{ message(content => 'x') },
            'ws-message' => { content => 'y' } }], '(1 78 none 1 78)'],
        ['other formats', [{ channel => 'x', formats => { 'http-stream' => {
            content => 'x' } } }, message(content => 'y'),
            { channel => 'x', 'http-response' => { body => 'x' } },
            { channel => 'x', 'http-stream' => 1 }], '(2 78 none 1 79)'],
        ['a format that is null', [{ channel => 'x', formats => {
            'ws-message' => undef } }], ''],
        ['hint and refresh', [message(action => 'hint'),
            message(action => 'refresh'), message(content => 'y')],
            '(3 78 none 1 79)'],
        ['several', [map { message(content => $_) } 'a' .. 'c'],
            '(1 78 none 1 61) (2 78 none 1 62) (3 78 none 1 63)'],
    );

    return map({ ["items: $_->[0]",
                  ['items', $json->encode({ items => $_->[1] })],
                  join ' ', 'done', $_->[2] || ()] } @rows),
           ['items: spaces and other members', ['items', " { \"a\" : [ 1 ] ,"
               . "\t\"items\"\n:\r[ { \"ws-message\" : { \"content\" : \"y\" }"
               . " , \"channel\" : \"x\" } , { \"channel\" : \"x\" , "
               . "\"ws-message\" : { \"content\" : \"z\" } } ] } "],
               'done (1 78 none 1 79) (2 78 none 1 7a)'],
           ['items: nothing, with spaces', ['items', '{"items":[ ]}'], 'done'],
           ['items: the last of several', ['items', '{"items":1,"items":[]}'],
               'done'],
           ['items: names with escapes', ['items', '{"\u0069tems":[{"channe'
               . '\u006c":"\u0078","format\u0073":{"ws\u002dmessage":'
               . '{"conten\u0074":"\u0079"}}}]}'], 'done (1 78 none 1 79)'],
           ['items: names of nothing else', ['items', '{"items":[{"channel":'
               . '"x","' . join('', map { sprintf '\u%04x', ord }
                                    split //, 'ws-message')
               . '":{"content":"y"}}]}'], 'done (1 78 none 1 79)'];
}


sub message {
    return { channel => 'x', formats => { 'ws-message' => { @_ } } };
}


sub malformed {
    my $deep = '{"items":' . '[' x 32 . ']' x 32 . '}';

    my @bodies = (
        (map { [$_, 'body is not valid JSON'] }
            '', ' ', '{', '{"items":[]} x', '{"items":[}', '{"items":[1,]}',
            "\xff", "\xef\xbb\xbf{}", '{"items":[]', $deep),
        (map { [$_, 'body is not an object'] }
            '[]', '1', '"x"', 'null', '[{}]'),
        (map { [$_, 'object does not contain "items"'] } '{}', '{"item":[]}',
            '{"items":null}'),
        (map { [$_, 'object contains "items" with wrong type'] }
            '{"items":1}', '{"items":{}}', '{"items":"x"}'),
    );

    my @items = (
        (map { [$_, 'item is not an object'] } 1, 'x', [], [{}], undef),
        (map { [$_, 'item has no "channel" that is a string'] }
            {}, { channel => 1 }, { channel => undef },
            { 'ws-message' => { content => 'x' } }),
        (map { [{ channel => 'x', id => $_ },
                'item has an "id" that is not a string'] } 1, {}),
        [{ channel => 'x' }, 'item has no "formats"'],
        [{ channel => 'x', 'ws-message' => undef }, 'item has no "formats"'],
        (map { [{ channel => 'x', formats => $_ },
                'item has "formats" that are not an object'] } 1, [], 'x'),
        [{ channel => 'x', formats => {} }, 'item has "formats" without any'],
        (map { [{ channel => 'x', formats => { 'ws-message' => $_ } },
                '"ws-message" is not an object'] } 1, [], 'x'),
        (map { [message(content => 'x', action => $_),
                '"ws-message" has an unknown "action"'] }
            'x', '', 'Send', 1),
        (map { [message(content => 'x', type => $_),
                '"ws-message" has an unknown "type"'] }
            'x', '', 'close', 1),
        (map { [message(@$_),
                '"ws-message" has no "content" or "content-bin"'] }
            [], [content => undef], [type => 'text'], [type => 'binary']),
        (map { [message(content => $_), '"content" is not a string'] }
            1, [], {}, JSON::PP::true),
        (map { [message('content-bin' => $_),
                '"content-bin" is not a string in base64'] }
            1, 'A', 'QUI=x', '!', 'QU-_', 'QUI===', '=', '===', 'Q=I=',
            'QQ=', 'QUJD=', "QU\0I"),
        [message(type => 'text', 'content-bin' => '/w=='),
            '"content-bin" of a text is not UTF-8'],
        [message(type => 'text', 'content-bin' => 'w6nD'),
            '"content-bin" of a text is not UTF-8'],
        (map { [message(type => $_, content => 'x' x 126),
                'the content of a ping or pong is too long'] } 'ping', 'pong'),
        (map { [message(content => 'x', 'content-filters' => $_),
                '"ws-message" has "content-filters", which are not supported'] }
            ['skip-self'], 'x'),
        (map { [message(action => 'close', code => $_),
                '"ws-message" has an invalid "code"'] }
            0, 99, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000, -1,
            '1000', 1000.5, [], JSON::PP::true, 1e30),
        (map { [message(action => 'close', reason => $_),
                '"ws-message" has an invalid "reason"'] }
            1, 'x' x 124, "\xe9" x 62),
    );

    my $good = message(content => 'x');

    return map({ ["malformed: $_->[0]", ['items', $_->[0]],
                  "declined $_->[1]"] } @bodies),
           map({ my $one = $json->encode($_->[0]);
                 (["malformed: $one", ['items', "{\"items\":[$one]}"],
                   "declined 1 $_->[1]"],
                  ["... as the second one",
                   ['items', '{"items":[' . $json->encode($good) . ",$one]}"],
                   "declined (1 78 none 1 78) 2 $_->[1]"]) } @items),
           (map { ["malformed: half of a surrogate pair in $_->[0]",
                   ['items', "{\"items\":[$_->[1]]}"], "declined 1 $_->[2]"] }
               ['a channel', '{"channel":"\ud800","ws-message":{}}',
                'item has no "channel" that is a string'],
               ['a content',
                '{"channel":"x","ws-message":{"content":"\ud800"}}',
                '"content" is not a string']);
}


# The same as grip.c says, with a regular expression

sub plain {
    my ($field) = @_;
    my $token = qr/[^\x00-\x20\x7f-\xff,;="]+/;
    my $control = '\x00-\x08\x0a-\x1f\x7f';
    my $string = qr/"((?:[^"\\$control]|\\[^$control])*)"/;

    while ($field =~ s/\A[, \t]*($token)[ \t]*//) {
        my $name = $1;
        my $prefix = 'm:';

        while ($field =~ s/\A;[ \t]*($token)[ \t]*//) {
            my $param = $1;
            my $value = '';

            if ($field =~ s/\A=[ \t]*(?:$string|($token))[ \t]*//) {
                $value = $1 // $2;
                $value =~ s/\\(.)/$1/gs if defined $1;
            }

            $prefix = $value if $param eq 'message-prefix';
        }

        last if $field !~ /\A(?:,|\z)/;

        return 'ok ' . hex_of($prefix) if $name eq 'grip';
    }

    return 'declined';
}


sub sequences {
    my ($longest, $first, @pieces) = @_;
    my @all = my @these = ($first);

    for (1 .. $longest) {
        @these = map { my $one = $_; map { "$one$_" } @pieces } @these;
        push @all, @these;
    }

    my %seen;

    return grep { !$seen{$_}++ } @all;
}


sub hex_of {
    my ($text) = @_;

    return length $text ? unpack 'H*', $text : '-';
}


# [what, what came of it, what has to come of it] for each test

sub asked {
    my ($command, @tests) = @_;

    spew("$work/lines", join '', map {
        my ($call, @words) = @{ $_->[1] };
        join(' ', $call, map { ref ? $$_ : hex_of($_) } @words) . "\n";
    } @tests);

    my ($status, $output) = run('sh', '-c', "exec $command < $work/lines");
    my @lines = split /\n/, $output;

    return (map({ [$_->[0], shift(@lines) // 'nothing', $_->[2]] } @tests),
            ['nothing else is wrong', join("\n", $status, @lines), '0']);
}


# What is to be found: [what, file, pattern, replacement]

sub controls {
    my @mutations = (
        ['a name in any case', 'grip', qr/ngx_memcmp\(name\.data, (\S+)\.data/,
         sub { "strncasecmp((char *) name.data, (char *) $1.data" }],
        ['a name that begins so', 'grip', qr/name\.len != \S+\.len\n/,
         '0'],
        ['escapes stay', 'grip', qr/if \(!param\.escapes\)/, 'if (1)'],
        ['an escape hides nothing', 'grip', qr/param->escapes = 1;\s+p\+\+;/,
         'param->escapes = 1;'],
        ['the first of several parameters', 'grip', qr/\*prefix = param;/,
         'if (prefix->value.data == '
         . 'ngx_http_gateway_websocket_grip_prefix.data) { *prefix = param; }'],
        ['what follows an element is passed over', 'grip',
         qr/if \(p && p < last && \*p != ','\)/, 'if (0)'],
        ['control bytes in strings', 'grip', qr/\(\*p < 0x20 && \*p != '\\t'\)/,
         '0'],
        ['tokens of any bytes', 'grip', qr/ && \*p < 0x7f\n/, "\n"],
        ['binary is for the gateway', 'grip',
         qr/opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT\n\s+&& data/,
         '1 && data'],
        ['a letter is for the gateway', 'grip', qr/ && data->data\[1\] == ':'/,
         ''],
        ['all pass', 'grip', qr/ngx_memcmp\(data->data, prefix->data.*?\) != 0/,
         '0'],
        ['the prefix stays', 'grip', qr/grip->data\.data \+= prefix->len;/, ''],
        ['an empty channel', 'grip', qr/rc == NGX_OK && grip->data\.len == 0/,
         '0'],
        ['filters are passed over', 'grip',
         qr/&& !ngx_http_gateway_websocket_grip_is_empty/, '&& 0 && !ngx_http_'
         . 'gateway_websocket_grip_is_empty'],
        ['no memory is as a bad message', 'grip',
         qr/if \(rc == NGX_ERROR\) \{/, 'if (0) {'],
        ['a timeout of 0', 'grip', qr/if \(n\) \{/, 'if (1) {'],
        ['any timeout', 'grip', qr/ \|\| n > NGX_\w+_MAX_TIMEOUT/, ''],
        ['any mode', 'grip', qr/mode\.data, "interval"/,
         'mode.data, mode.data'],

        ['"items" may be anything', 'grip_items', qr/list\.data\[0\] != '\['/,
         '0'],
        ['others are not passed over', 'grip_items',
         qr/while \(rc == NGX_DONE\)/, 'while (0)'],
        ['no formats', 'grip_items', qr/grip_is_empty\(formats\)/,
         'grip_is_empty(formats) && 0'],
        ['a hint is a message', 'grip_items', qr/"hint"\), 0/, '"hint"), 1'],
        ['bytes are a text', 'grip_items', qr/else if \(bin->len\)/,
         'else if (0)'],
        ['filters of an item', 'grip_items', qr/if \(!ngx_\w+_is_empty\(/,
         'if (0 && !ngx_http_gateway_websocket_grip_is_empty('],
        ['a ping has a content', 'grip_items',
         qr/item->opcode >= NGX_HTTP_GATEWAY_WEBSOCKET_PING/, '0'],
        ['a text has none', 'grip_items',
         qr/item->opcode >= NGX_HTTP_GATEWAY_WEBSOCKET_PING/, '1'],
        ['a code of 17 bits', 'grip_items', qr/ \|\| n > 0xffff/, ''],
        ['any code', 'grip_items', qr/\|\| ngx_\w+_close_code.*?!= NGX_OK\)/s,
         ')'],
        ['any reason', 'grip_items',
         qr/item->reason\.len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL - 2/,
         '0'],

        ['what follows the body', 'grip_json',
         qr/\|\| ngx_http_gateway_json_scan_end\(&s\) != NGX_OK/, ''],
        ['any depth', 'grip_json', qr/NGX_HTTP_GATEWAY_WEBSOCKET_GRIP_DEPTH/,
         '1024'],
        ['null is a value', 'grip_json', qr/== 'n'/, '== 0'],
        ['the first member', 'grip_json', qr/values\[i\] = member\.value;/,
         'if (values[i].len == 0) { values[i] = member.value; }'],
        ['names in escapes are not known', 'grip_json',
         qr/member\.name\.len > NGX_\w+_MAX_NAME/, 'member.name.len > 15'],
        ['a number is a string', 'grip_json', qr/ \|\| text->data\[0\] != '"'/,
         ''],
        ['words that begin so', 'grip_json', qr/words->name\.len == word\.len/,
         'words->name.len >= word.len'],
        ['not empty', 'grip_json', qr/return p == last;/, 'return 0;'],
        ['empty', 'grip_json', qr/return p == last;/, 'return 1;'],
        ['any content of a ping', 'grip_json',
         qr/data->len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL/, '0'],
        ['any bytes of a text', 'grip_json',
         qr/if \(opcode == NGX_HTTP_GATEWAY_WEBSOCKET_TEXT && bin->len\)/,
         'if (0)'],
        ['half of a character', 'grip_json', qr/\n\s+\|\| utf8\.left/, ''],
        ['no lines in base64', 'grip_json', qr/c != CR && c != LF/, '1'],
        ['anything after padding', 'grip_json',
         qr/ngx_strlchr\(src\.data, p, '='\) != NULL/, '0'],
        ['any padding', 'grip_json', qr/\(i && .*?% 4\)/, '0'],
    );

    my $count = 0;
    my %object = map {
        ($_ => compiled($count++ . '.o', @flags, qw( -O0 -c ), $_))
    } @sources, @changed;

    for my $mutation (@mutations) {
        my ($what, $file, @change) = @$mutation;
        my $source = "${websocket}_$file.c";

        mutated(slurp($source), sub {
            my ($mutant) = @_;
            my $wrong = compiled('mutant', @flags, qw( -O0 -w ),
                (map { $object{$_} } grep { $_ ne $source } @sources, @changed),
                $mutant);

            return scalar grep { $_->[1] ne $_->[2] } asked($wrong, @tests);
        }, [$what, @change]);
    }

    return;
}
