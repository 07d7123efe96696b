#!/usr/bin/perl

# Events of WebSocket-over-HTTP, read and written, without nginx.  Bodies go
# through events.c; all that are made of a few pieces are compared with a few
# lines of Perl.
#
# Controls: what was made wrong on purpose has to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";

use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my $frame = "$here/../frame";
my $websocket = "$modules/websocket/ngx_http_gateway_websocket";
my $source = "${websocket}_events.c";
my @sources = ("$here/events.c", "$frame/words.c", "${websocket}_frame.c");
my $program = sanitized('events', "-I$frame", '-O1', @sources, $source);

diag 'no sanitizers: nobody looks for bytes read outside of a body'
    if !$program;

$program //= compiled('events', "-I$frame", '-O1', @sources, $source);

my %type = (TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9, PONG => 0xa,
            OPEN => 0x10, DISCONNECT => 0x11);
my $other = 0x12;

# [what, [words], what has to come of it]; a reference is a word as it is

my @tests = (parsed(), malformed(), closed(), written());

is $_->[1], $_->[2], $_->[0] for asked($program, @tests);

my @short = map { [sprintf('"%s"', escaped($_)), ['parse', $_], plain($_)] }
    sequences(5, 'PING', 'x', ' ', '1', '0', 'a', "\r\n", "\r", "\n"),
    map { "TEXT 2\r\n$_" } sequences(4, 'x', "\r\n", "\r", "\n", 'OPEN');
my @wrong = grep { $_->[1] ne $_->[2] } asked($program, @short);

ok !@wrong, sprintf 'all short bodies (%d)', scalar @short
    or diag join "\n", map { "$_->[0]: $_->[1] instead of $_->[2]" }
                           splice @wrong, 0, 5;

controls();

done_testing();


sub parsed {
    my $long = 'x' x 70000;

    my @rows = (
        ['nothing', '', ''],
        (map { ["$_ without a size", "$_\r\n", [$_]] } sort keys %type),
        (map { ["$_ with a content", "$_ 2\r\nab\r\n", [$_, 'ab']] }
            sort keys %type),
        ['an empty content', "TEXT 0\r\n\r\n", ['TEXT', '']],
        ['one after the other', "OPEN\r\nTEXT 5\r\nhello\r\nBINARY 2\r\n\0\xff"
            . "\r\nPING\r\nCLOSE 2\r\n\x03\xe8\r\nDISCONNECT\r\n",
            ['OPEN'], ['TEXT', 'hello'], ['BINARY', "\0\xff"], ['PING'],
            ['CLOSE', "\x03\xe8"], ['DISCONNECT']],
        ['capitals', "TEXT B\r\nhello world\r\n", ['TEXT', 'hello world']],
        ['small letters', "TEXT b\r\nhello world\r\n",
            ['TEXT', 'hello world']],
        ['sixteen', "TEXT 10\r\n0123456789abcdef\r\n",
            ['TEXT', '0123456789abcdef']],
        ['long', "TEXT 11170\r\n$long\r\n", ['TEXT', $long]],
        ['zeros in front', 'TEXT ' . '0' x 40 . "1\r\nx\r\n", ['TEXT', 'x']],
        ['line ends in a content', "TEXT 6\r\n\r\n\r\n\r\n\r\n",
            ['TEXT', "\r\n\r\n\r\n"]],
        ['events in a content', "TEXT 6\r\nOPEN\r\n\r\nOPEN\r\n",
            ['TEXT', "OPEN\r\n"], ['OPEN']],
        (map { ["a name that is not known: $_", "$_\r\n", [$_]] }
            qw( open Text OPENED OPE TEXTT x A-B A_B 9 - )),
        ['one with a content', "NEW 2\r\nab\r\nOPEN\r\n", ['NEW', 'ab'],
            ['OPEN']],
        ['the very last line end is missing', "OPEN\r\nTEXT 2\r\nab",
            ['OPEN'], ['TEXT', 'ab']],
        ['likewise, without a content', "TEXT 0\r\n", ['TEXT', '']],
    );

    return map {
        my ($what, $body, @events) = @$_;
        ["parse: $what", ['parse', $body], told(grep { ref } @events)];
    } @rows;
}


sub told {
    return join ' ', 'ok', map {
        my ($name, $content) = @$_;

        sprintf '%x:%s:%s', $type{$name} // $other, $name,
            hex_of($content // '');
    } @_;
}


sub malformed {
    return map {
        my $body = $_;
        my $last = "OPEN\r\n$body";

        (["malformed: \"" . escaped($body) . '"', ['parse', $body],
            'ok error'],
         ['... as the second one', ['parse', $last], 'ok 10:OPEN:- error']);
    } ('OPEN', "OPEN\r", "OPEN\rx", "OPEN\n", "OPEN\n\n", "\r\n", "\n", ' ',
       " OPEN\r\n", "TEXT 1\r\nx\rx",
       "OPEN \r\n", "OPEN  1\r\nx\r\n", "TEXT 1 \r\nx\r\n", "TEXT\t1\r\nx\r\n",
       "TEXT 1;x=y\r\nx\r\n", "TEXT -1\r\nx\r\n", "TEXT +1\r\nx\r\n",
       "TEXT 0x1\r\nx\r\n", "TEXT g\r\nx\r\n", "TEXT 1g\r\nx\r\n",
       "TEXT 1\nx\r\n", "TEXT 1\rx\r\n", 'TEXT 1', "TEXT 1\r", "TEXT 1\r\n",
       "TEXT 2\r\nx", "TEXT 1\r\nx\r", "TEXT 1\r\nx\n", "TEXT 1\r\nxy\r\n",
       "TEXT 2\r\nx\r\n", "TEXT 3\r\nx\r\n\r", "TEXT 4\r\nx\r\n",
       "TEXT ffffffffffffffff\r\nx\r\n", "TEXT 10000000000000000\r\nx\r\n",
       "TEXT 10000000000000001\r\nx\r\n", "TEXT 7fffffffffffffff\r\nx\r\n",
       'TEXT ' . 'f' x 100 . "\r\nx\r\n", "T\xc3\xa9XT\r\n", "OPEN:\r\n",
       "\0\r\n", "OP\0EN\r\n", '{"error":1}', "<html>\r\n");
}


sub closed {
    my @rows = (
        ['nothing', '', 1005, ''],
        ['a code', pack('n', 1000), 1000, ''],
        ['a reason', pack('n', 4001) . 'why', 4001, 'why'],
        ['the longest one', pack('n', 1001) . 'x' x 123, 1001, 'x' x 123],
        ['a reason in UTF-8', pack('n', 3000) . "\xc3\xa9", 3000, "\xc3\xa9"],
        ['no code, as libraries write it', "\0\0", 1005, ''],
        ['likewise, with a reason', "\0\0why", 1005, ''],
        (map { ["code $_", pack('n', $_), $_, ''] }
            1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999),
        (map { ["code $_", pack('n', $_)] }
            1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535),
        ['a byte', 'x'],
        ['a long reason', pack('n', 1000) . 'x' x 124],
        ['a reason that is not UTF-8', pack('n', 1000) . "\xff"],
        ['a reason with half of a character', pack('n', 1000) . "\xc3"],
    );

    return map {
        my ($what, $content, $code, $reason) = @$_;
        ["close: $what", ['close', $content], $code
            ? join(' ', 'ok', $code, hex_of($reason)) : 'declined 1011 -'];
    } @rows;
}


sub written {
    my @rows = (
        ['TEXT', '', "TEXT 0\r\n\r\n"],
        ['BINARY', '', "BINARY 0\r\n\r\n"],
        (map { [$_, '', "$_\r\n"] } qw( OPEN DISCONNECT CLOSE PING PONG )),
        (map { [$_, "a\r\n", "$_ 3\r\na\r\n\r\n"] } sort keys %type),
        (map { ['TEXT', 'x' x $_, sprintf "TEXT %x\r\n%s\r\n", $_, 'x' x $_] }
            1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 70000),
    );

    return map({ my ($name, $content, $expected) = @$_;
                 ["write: $name, " . length($content),
                  ['write', \sprintf('%x', $type{$name}), $content],
                  hex_of($expected)] } @rows),
           map({ my ($code, $reason, $expected) = @$_;
                 ["write: CLOSE $code", ['write_close', \$code, $reason],
                  hex_of($expected)] }
               [0, 'why', "CLOSE\r\n"], [1005, '', "CLOSE\r\n"],
               [1000, '', "CLOSE 2\r\n\x03\xe8\r\n"],
               [4999, 'why', "CLOSE 5\r\n\x13\x87why\r\n"],
               [1001, 'x' x 123, "CLOSE 7d\r\n\x03\xe9" . 'x' x 123 . "\r\n"]);
}


# The same as events.c says, the plain way

sub plain {
    my ($body) = @_;
    my @events;

    while (length $body) {
        $body =~ s/\A([A-Za-z0-9_-]+)(?: ([0-9A-Fa-f]+))?\r\n//
            or return told(@events) . ' error';

        my ($name, $size) = ($1, $2);
        my $content;

        if (defined $size) {
            return told(@events) . ' error' if hex $size > length $body;

            $content = substr $body, 0, hex $size, '';

            return told(@events) . ' error'
                if $body ne '' && $body !~ s/\A\r\n//;
        }

        push @events, [$name, $content];
    }

    return told(@events);
}


sub sequences {
    my ($longest, @pieces) = @_;
    my @all = my @these = ('');

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


sub escaped {
    my ($text) = @_;

    $text =~ s/\r/\\r/g;
    $text =~ s/\n/\\n/g;

    return $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
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


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['a name of nothing', qr/event->name\.len == 0/, '0'],
        ['a name with anything in it', qr/\*p == '-' \|\| \*p == '_'/,
         q{*p > ' '}],
        ['names in any case', qr/&& ngx_memcmp\(n->name\.data/,
         '&& ngx_strncasecmp_(n->name.data'],
        ['a size without digits', qr/digits == 0/, '0'],
        ['no capitals', qr/\(\*p >= 'A' && \*p <= 'F'\) \? \*p - 'A' \+ 10/,
         '0 ? 0'],
        ['a size of decimal digits', qr/size \* 16/, 'size * 10'],
        ['a size that overflows', qr/digits\+\+;.*?\n            \}/s,
         'digits++;'],
        ['a content of one byte more', qr/(digits\+\+.*)size > \(size_t\)/s,
         sub { "$1size > 1 + (size_t)" }],
        ['a line without CR', qr/last - p < 2 \|\| p\[0\] != CR/,
         'last - p < 2'],
        ['a line without LF', qr/ \|\| p\[1\] != LF/, ''],
        ['half a line end at the end', qr/last - p < 2/, 'last - p < 1'],
        ['a content without what comes after it',
         qr/if \(sized && p < last\)/, 'if (0)'],
        ['the last line end has to be there', qr/if \(sized && p < last\)/,
         'if (sized)'],
        ['a line end without a size', qr/if \(sized && p < last\)/,
         'if (p < last)'],
        ['the cursor moves', qr/events->error = error;/,
         'events->error = error; events->pos++;'],
        ['the last type is told', qr/\(\*n\)\+\+ == 0/, '(*n)++ >= 0'],
        ['a bad code', qr/!= NGX_OK\)\n    \{\n        \*code = NGX_HTTP\w+;/,
         '== NGX_OK) { *code = 1011;'],
        ['code 0 is bad', qr/len >= 2 && p\[0\] == 0/, '0 && p[0] == 0'],
        ['a long reason', qr/len > NGX_HTTP_GATEWAY_WEBSOCKET_MAX_CONTROL/,
         '0'],
        ['the size of a size', qr/n > 0xf;/, 'n > 0xff;'],
        ['always a size', qr/return len\n/, "return 1\n"],
        ['never a size', qr/return len\n.*?;/s, 'return 0;'],
        ['a reason without a code', qr/code == 0 \|\| code ==/, 'code =='],
    );

    my $text = slurp($source);
    my $count = 0;
    my @others = map {
        compiled($count++ . '.o', "-I$frame", qw( -O0 -c ), $_)
    } @sources;

    $text =~ s/^typedef/#define ngx_strncasecmp_(a, b, n) strncasecmp((char *)
        a, (char *) b, n)\ntypedef/mx;
    $text =~ s/\n +a, \(char/ a, (char/;

    mutated($text, sub {
        my ($file) = @_;
        my $wrong = compiled('mutant', qw( -O0 -w ), @others, $file);

        return scalar grep { $_->[1] ne $_->[2] } asked($wrong, @tests);
    }, @mutations);

    return;
}
