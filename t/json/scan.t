#!/usr/bin/perl

# The scanner by itself, without nginx: what is a JSON text, where the value
# is, and what is wrong where.  Each text goes through scan.c, which has it
# scanned in pieces of all kinds, by the code with SSE2 and by that without.
#
# Controls: scanners that were made wrong on purpose have to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use List::Util qw( any );
use Test::More;

use NgxGatewayProgram;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my $scanner = "$modules/common/ngx_http_gateway_json_scan.c";

# What is wrong with a text, as it is logged

my %reason = (
    bom     => 'starts with a byte order mark',
    colon   => 'has no colon where there must be one',
    comma   => 'has neither a comma nor the end of an array or object where '
               . 'there must be one',
    control => 'has a control character in a string',
    deep    => 'is nested too deep',
    early   => 'ends too early',
    empty   => 'is empty',
    escape  => 'has an invalid escape in a string',
    literal => 'has an invalid literal',
    name    => 'has no name where there must be one',
    number  => 'has an invalid number',
    rest    => 'has something after its value',
    utf8    => 'is not valid UTF-8',
    value   => 'has no value where there must be one',
);

# [what, [text, what has to come of it, depth], ...]

my @tables = (
    table('values', 1024, values_table()),
    table('white space', 1024, space_table()),
    table('objects and arrays', 1024, container_table()),
    table('strings', 1024, string_table()),
    table('numbers', 1024, number_table()),
    table('literals', 1024, literal_table()),
    table('characters, at both bounds of each range', 1024, utf8_table()),
    table('what RFC 8259 leaves open', 1024, open_table()),
    table('documents', 1024, document_table()),
    ['depth', depth_table()],
    ['brackets that do not match, at any depth', bracket_table()],
    ['each byte, in and around a string', byte_table()],
    ['what ends a run of plain bytes, at each distance', plain_table()],
    ['what ends a run of white space, at each distance', run_table()],
    ['all short texts, against a regular expression', short_table()],
    ['all short numbers, against a regular expression', short_number_table()],
);

my @sources = ("$here/scan.c", "$here/portable.c");
my $program = sanitized('scan', '-O1', @sources, $scanner);

diag 'no sanitizers: nobody looks for bytes read outside of a text'
    if !$program;

$program //= compiled('scan', '-O1', @sources, $scanner);

# the tables that find nothing, for the controls

my @right;

for my $table (@tables) {
    my ($what, @texts) = @$table;
    my @wrong = wrong($program, \@texts);

    push @right, $table if !@wrong;

    ok !@wrong, sprintf '%s (%d texts)', $what, scalar @texts
        or diag join "\n", splice @wrong, 0, 5;
}

my ($status, $output) = run($program, 'utf8');

is $status, 0, 'all beginnings of characters, against a decoder'
    or diag substr $output, 0, 1000;

controls();

done_testing();


sub table {
    my ($what, $depth, @rows) = @_;

    return [$what, map { [@$_, $depth] } @rows];
}


# valid(TEXT) is a row with a value from end to end, valid(TEXT, START, END)
# one with something around it.

sub valid {
    my ($text, $start, $end) = @_;

    return [$text, sprintf 'valid %d %d', $start // 0, $end // length $text];
}


# wrong_at(TEXT, OFFSET, REASON); open_end(TEXT): it could go on

sub wrong_at {
    my ($text, $offset, $reason) = @_;

    return [$text, "error $offset " . ($reason{$reason} // die $reason)];
}


sub open_end {
    my ($text) = @_;

    return wrong_at($text, length $text, 'early');
}


sub values_table {
    return (
        (map { valid($_) } '{}', '[]', '""', '0', 'true', 'false', 'null',
            '{"a":1}', '[1]', '"a"', '-1.5e+10'),
        valid(" \t\r\n1 \t\r\n", 4, 5),
        wrong_at('', 0, 'empty'),
        wrong_at(' ', 1, 'empty'),
        wrong_at("\n\r\t ", 4, 'empty'),
        wrong_at("\n\r\t 1 2", 6, 'rest'),
        wrong_at('1,', 1, 'rest'),
        wrong_at('{}{}', 2, 'rest'),
        wrong_at('[]]', 2, 'rest'),
        wrong_at('""""', 2, 'rest'),
        wrong_at('"a"a', 3, 'rest'),
        wrong_at("1\0", 1, 'rest'),
        wrong_at("true\0", 4, 'rest'),
        wrong_at("{}\0", 2, 'rest'),
        wrong_at("\"\"\n\0", 3, 'rest'),
        wrong_at('1//', 1, 'rest'),
        wrong_at('[] # no', 3, 'rest'),
        map { wrong_at($_, 0, 'value') } "\0", '/**/1', '//', '}', ']', ',',
            ':', "'a'", 'a', 'N', 'NaN', 'Infinity', 'True', 'NULL', '+1',
            '.5', '\\', "\x80", "\xff", "\xc3\xa9", "\x0b", '%', '(', 'u',
    );
}


sub space_table {
    my @spaces = ("\x20", "\x09", "\x0a", "\x0d");

    return (
        (map { valid("$_\[$_\[$_]$_,$_\{$_\"a\"$_:${_}1$_,$_\"b\"$_:${_}2$_}"
                     . "$_]$_", 1, 32) } @spaces),

        # not ours, in each place

        (map {
            my $no = $_;

            wrong_at("${no}1", 0, 'value'),
            wrong_at("1$no", 1, 'rest'),
            wrong_at("[${no}1]", 1, 'value'),
            wrong_at("[1$no]", 2, 'comma'),
            wrong_at("[1,${no}1]", 3, 'value'),
            wrong_at("{$no\"a\":1}", 1, 'name'),
            wrong_at("{\"a\"$no:1}", 4, 'colon'),
            wrong_at("{\"a\":${no}1}", 5, 'value'),
            wrong_at("{\"a\":\"\"$no}", 7, 'comma'),
            wrong_at("{\"a\":1,$no\"b\":1}", 7, 'name'),
        } "\0", "\x01", "\x08", "\x0b", "\x0c", "\x1f", "\x7f", "\x85",
          "\xa0", "\xc2\xa0", "\xe2\x80\xa8"),

        wrong_at("1\xef\xbb\xbf", 1, 'rest'),
        wrong_at("[1\xef\xbb\xbf]", 2, 'comma'),
    );
}


sub container_table {
    return (
        (map { valid($_) } '[1,2]', '[[],[]]', '[{},{}]', '{"a":{}}',
            '{"a":[],"b":{}}', '[[[1],2],3]', '{"a":{"b":{"c":0}},"d":0}',
            '[{"a":[{"b":[]}]}]', '{"":""}', '{"a":"","b":null}'),

        (map { open_end($_) } '[', '[1', '[1,', '[[]', '[1 ', '[ ', '{', '{ ',
            '{"', '{"a', '{"a"', '{"a" ', '{"a":', '{"a": ', '{"a":1',
            '{"a":1,', '{"a":1, ', '{"a":{}', '{"a":1,"b"'),

        wrong_at('[,', 1, 'value'),
        wrong_at('[1,]', 3, 'value'),
        wrong_at('[1,,2]', 3, 'value'),
        wrong_at('[:', 1, 'value'),
        wrong_at('[1:2]', 2, 'comma'),
        wrong_at('[1 2]', 3, 'comma'),
        wrong_at('["a" "b"]', 5, 'comma'),
        wrong_at('[1}', 2, 'comma'),
        wrong_at('[}', 1, 'value'),
        wrong_at('[[]}', 3, 'comma'),
        wrong_at('{]', 1, 'name'),
        wrong_at('{,', 1, 'name'),
        wrong_at('{:', 1, 'name'),
        wrong_at('{a:1}', 1, 'name'),
        wrong_at("{'a':1}", 1, 'name'),
        wrong_at('{1:1}', 1, 'name'),
        wrong_at('{null:1}', 1, 'name'),
        wrong_at('{[]:1}', 1, 'name'),
        wrong_at('{{}:1}', 1, 'name'),
        wrong_at('{"a":1,}', 7, 'name'),
        wrong_at('{"a":1,,"b":2}', 7, 'name'),
        wrong_at('{"a":1,1}', 7, 'name'),
        wrong_at('{"a"}', 4, 'colon'),
        wrong_at('{"a",', 4, 'colon'),
        wrong_at('{"a" 1}', 5, 'colon'),
        wrong_at('{"a"=1}', 4, 'colon'),
        wrong_at('{"\u0061"}', 9, 'colon'),
        wrong_at('{"a"::1}', 5, 'value'),
        wrong_at('{"a":}', 5, 'value'),
        wrong_at('{"a":,', 5, 'value'),
        wrong_at('{"a":1]', 6, 'comma'),
        wrong_at('{"a":1 "b":2}', 7, 'comma'),
        wrong_at('{"a":1:2}', 6, 'comma'),
        wrong_at('{"a":{}]', 7, 'comma'),
        wrong_at('{"a":[]}}', 8, 'rest'),
        wrong_at("[\xef\xbb\xbf1]", 1, 'value'),
        wrong_at("{\xef\xbb\xbf}", 1, 'name'),
    );
}


sub string_table {
    my $utf8 = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";

    return (
        (map { valid("\"\\$_\"") } '"', '\\', '/', qw( b f n r t u0000 u001f
            u0061 uABCD uabcd uFFFF ud83d\ude00 uD83D\uDE00 )),
        (map { wrong_at("\"\\$_\"", 2, 'escape') } qw( a v x 0 1 U B N ' ? ),
            "\0", "\n", ' ', "\x7f", "\xc3\xa9"),

        (map { wrong_at("\"\\u$_\"", 3 + index($_, 'g') % 4, 'escape') }
            'g000', '0g00', '00g0', '000g'),
        (map { wrong_at("\"\\u00$_\"", 5, 'escape') } '/0', ':0', '@0', 'G0',
            '`0', "\x10", '"', '\\', "\x00", "\xe1", '}'),
        wrong_at('"\u12"', 5, 'escape'),
        wrong_at('"\u+123"', 3, 'escape'),
        wrong_at('"\u{41}"', 3, 'escape'),
        valid('"\u00410"'),

        (map { open_end($_) } '"', '"a', '"\\', '"\\\\', '"\\"', '"\\u',
            '"\\u0', '"\\u00', '"\\u004', '"\\u0041', "\"\xc3", "\"\xe2\x82",
            "\"\xf0\x9f\x98", '"\\\\\\"'),

        valid("\"$utf8\""),
        valid('"' . $utf8 x 5 . '"'),
        valid("{\"$utf8\":\"$utf8\"}"),
        valid("\"a\\n${utf8}\\u00e9$utf8\\\\\""),
        valid("\"\x7f\""),
        valid('"/"'),
        valid("\"'\""),
        valid('"{[]}:,"'),

        wrong_at("\"a\nb\"", 2, 'control'),
        wrong_at("\"\tb\"", 1, 'control'),
        wrong_at("{\"a\0\":1}", 3, 'control'),
        wrong_at("{\"a\\n\0\":1}", 5, 'control'),
        wrong_at("{\"a\\x\":1}", 4, 'escape'),
        wrong_at("{\"a\xff\":1}", 3, 'utf8'),
        wrong_at("\"$utf8\x1f\"", 10, 'control'),
        wrong_at("\"\\n\x1f\"", 3, 'control'),
    );
}


sub number_table {
    return (
        (map { valid($_), valid("[$_]"), valid(" $_ ", 1, 1 + length),
               valid("{\"a\":$_,\"b\":$_}"), wrong_at($_ . 'x', length, 'rest')
             } qw( 0 -0 1 9 10 -10 1234567890 0.0 -0.5 1.25 10.01 0e0 0E0 1e1
                   1E+1 1e-1 1.5e10 1.5E-10 -0e-0 0e00 0.00 1e0001 ),
               1 x 400),

        (map { open_end($_), wrong_at("$_ ", length, 'number'),
               wrong_at("[$_]", 1 + length, 'number'),
               wrong_at($_ . 'x', length, 'number') }
            qw( - 1. -1. 0. 1e 1E 1e+ 1e- 0e -0.0e 1.5E+ )),

        wrong_at('00', 1, 'number'),
        wrong_at('01', 1, 'number'),
        wrong_at('-00', 2, 'number'),
        wrong_at('-01', 2, 'number'),
        wrong_at('[01]', 2, 'number'),
        wrong_at('--1', 1, 'number'),
        wrong_at('-+1', 1, 'number'),
        wrong_at('-.5', 1, 'number'),
        wrong_at('-e1', 1, 'number'),
        wrong_at('- 1', 1, 'number'),
        wrong_at('-Infinity', 1, 'number'),
        wrong_at('-NaN', 1, 'number'),
        wrong_at('1..5', 2, 'number'),
        wrong_at('1.e5', 2, 'number'),
        wrong_at('1.-5', 2, 'number'),
        wrong_at('1ee5', 2, 'number'),
        wrong_at('1e+-5', 3, 'number'),
        wrong_at('1e.5', 2, 'number'),
        wrong_at('1.5.5', 3, 'rest'),
        wrong_at('1e5.5', 3, 'rest'),
        wrong_at('1e5e5', 3, 'rest'),
        wrong_at('1-1', 1, 'rest'),
        wrong_at('1+1', 1, 'rest'),
        wrong_at('0x10', 1, 'rest'),
        wrong_at('1_000', 1, 'rest'),
        wrong_at('[1 000]', 3, 'comma'),
        wrong_at('1f', 1, 'rest'),
        wrong_at('0b1', 1, 'rest'),
        wrong_at("1\xd9\xa0", 1, 'rest'),
        wrong_at('0a', 1, 'rest'),
    );
}


sub literal_table {
    return map {
        my $literal = $_;

        valid($literal), valid("[$literal,$literal]"),
        valid("{\"a\":$literal}"),
        wrong_at($literal . 'x', length $literal, 'rest'),
        wrong_at("[$literal$literal]", 1 + length $literal, 'comma'),
        map {
            my $part = substr $literal, 0, $_;

            open_end($part), open_end("[$part"),
            wrong_at(uc($literal) =~ s/^.{$_}/$part/r, $_, 'literal'),
            wrong_at("$part ", $_, 'literal'),
            wrong_at("[$part]", 1 + $_, 'literal'),
            wrong_at("$part\0", $_, 'literal'),
        } 1 .. length($literal) - 1;
    } qw( true false null );
}


# RFC 3629, section 4, and Unicode's table 3-7: what may follow the first byte

sub utf8_table {
    my @rows;
    my @tail = ([0x80, 0xbf]) x 2;

    for my $row (
        [[0xc2, 0xdf], [0x80, 0xbf]],
        [[0xe0, 0xe0], [0xa0, 0xbf], $tail[0]],
        [[0xe1, 0xec], [0x80, 0xbf], $tail[0]],
        [[0xed, 0xed], [0x80, 0x9f], $tail[0]],
        [[0xee, 0xef], [0x80, 0xbf], $tail[0]],
        [[0xf0, 0xf0], [0x90, 0xbf], @tail],
        [[0xf1, 0xf3], [0x80, 0xbf], @tail],
        [[0xf4, 0xf4], [0x80, 0x8f], @tail],
    ) {
        for my $bound (0, 1) {
            my @bytes = map { $_->[$bound] } @$row;

            push @rows, in_strings(\@bytes);

            # each byte after the first one below and above its range, and
            # missing

            for my $i (1 .. $#bytes) {
                for my $byte ($row->[$i][0] - 1, $row->[$i][1] + 1, 0, 0x22,
                              0x5c, 0x41, 0x7f, 0xc2, 0xff)
                {
                    my @wrong = @bytes;

                    $wrong[$i] = $byte;
                    push @rows, in_strings(\@wrong, $i);
                }

                push @rows, open_end('"' . pack 'C*', @bytes[0 .. $i - 1]);
            }
        }
    }

    # bytes that begin nothing

    push @rows, map { in_strings([$_], 0), in_strings([$_, 0x80, 0x80, 0x80],
                                                      0) }
        0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff;

    return @rows;
}


# The bytes at the end of a string, in front of much else, after a character,
# and in a name; the byte at "wrong", if any, is the first one that is wrong.

sub in_strings {
    my ($bytes, $wrong) = @_;
    my $text = pack 'C*', @$bytes;

    return map {
        my ($before, $after) = @$_;

        defined $wrong
            ? wrong_at("$before$text$after", $wrong + length $before, 'utf8')
            : valid("$before$text$after");
    } ['"', '"'], ['"', '1234567890123456"'], ["\"\xe2\x82\xac", '"'],
      ["\"\xc3\xa9", "\xc3\xa9abc\""], ['{"', '":1}'], ['["\n', '"]'],
      ['"123456789012', '"'];
}


sub open_table {
    return (
        wrong_at("\xef\xbb\xbf1", 0, 'bom'),
        wrong_at("\xef\xbb\xbf", 0, 'bom'),
        wrong_at(" \xef\xbb\xbf1", 1, 'value'),
        wrong_at("\xfe\xff\x001", 0, 'value'),
        wrong_at("\xff\xfe1\x00", 0, 'value'),
        wrong_at("1\x00", 1, 'rest'),

        valid('{"a":1,"a":2,"\u0061":3}'),
        valid('"\ud800"'),
        valid('"\udc00\ud800"'),
        valid('"\ud800\u0041"'),
        valid('{"\ud83d":"\ude00"}'),
        valid('"\u0000"'),
        valid('{"\u0000":1}'),
        valid('"\ufffe\uffff"'),
        valid("\"\xef\xbf\xbe\xef\xb7\x90\xef\xbb\xbf\""),
        valid('123456789012345678901234567890.1234567890e1234567890'),
        valid('-1e400'),
        valid('1e-400'),
        valid('9007199254740993'),
        valid('0.1' . '0' x 500),
    );
}


# Cut everywhere by scan.c

sub document_table {
    my $pretty = <<'END';
{
    "id":      12345678901234567890,
    "name":    "Zo\u00eb \"Z\" \\ M\/ller",
    "price":   [ 1.50, -0.25e+3, 0, 1E5 ],
    "tags":    [ "a", "", [ ], { } ],
    "nested":  { "yes": true, "no": false, "none": null },
    "a member's name of more than thirty-two bytes": "and a value likewise"
}
END

    (my $compact = $pretty) =~ s/\s+(?![ZM\w])//g;
    (my $windows = $pretty) =~ s/\n/\r\n/g;
    (my $tabs = $pretty) =~ s/ {4}/\t/g;
    my $names = "{\"\xd0\xb8\xd0\xbc\xd1\x8f\":\"\xe5\x90\x8d\xe5\x89\x8d "
        . "\xf0\x9f\x98\x80\xf0\x9f\x98\x80!\",\"\xc3\xa9\":[\"\xc3\xa9t\xc3"
        . "\xa9\",\"\xe2\x82\xac 5\"],\"x\":\"\xe2\x80\xa8\xef\xbf\xbf\"}";

    return (
        (map { valid($_, 0, length($_) - (/(\s*)\z/ ? length $1 : 0)) }
            $pretty, $compact, $windows, $tabs, $names,
            "[\n" . join(",\n", ('  ' x 20 . '{ "a" : 1 }') x 4) . "\n]\n\n"),
        wrong_at("$compact,", length $compact, 'rest'),
        open_end(substr $compact, 0, -1),
        open_end(substr $names, 0, -1),
        wrong_at(substr($names, 0, -2) . "\x80\"}", length($names) - 2,
                 'utf8'),
    );
}


sub depth_table {
    my @rows;

    for my $max (1, 2, 63, 64, 65, 127, 128, 1024) {
        for my $pair (['[', ']', ''], ['{"a":', '}', 1], ['[{"b":', '}]', 1],
                      [" [\n", "\t] ", ''])
        {
            my ($open, $close, $value) = @$pair;
            my $levels = $open =~ tr/[{//;
            my $times = int $max / $levels;
            my $fits = $open x $times . $value . $close x $times;
            my ($start) = $open =~ /^(\s*)/;
            my ($end) = $close =~ /(\s*)$/;

            push @rows, [@{ valid($fits, length $start,
                                  length($fits) - length $end) }, $max];

            # the bracket that is one too many

            my $more = $open x ($times + 1) . $value;
            my @at;

            push @at, $-[0] while $more =~ /[\[{]/g;
            push @rows, [@{ wrong_at($more, $at[$max], 'deep') }, $max];
        }
    }

    # depth is how many are open, not how many there were

    push @rows, [@{ valid('[' . join(',', ('[[]]') x 40) . ']') }, 3];
    push @rows, [@{ wrong_at('[[[]],[[[', 8, 'deep') }, 3];
    push @rows, [@{ valid('{"a":[[1]],"b":[{}],"c":[[]]}') }, 3];

    return @rows;
}


# Objects and arrays in any order around each other: each closes with its own
# bracket only, also where there are more of them than bits in a word.

sub bracket_table {
    my @rows;
    my $seed = 1;

    my %level = map { $_ => 1 } 1 .. 4, 63 .. 66, 127 .. 130, 191 .. 193;

    for my $depth (sort { $a <=> $b } keys %level) {
        my ($open, @close) = ('');

        for (1 .. $depth) {
            $seed = ($seed * 1103515245 + 12345) & 0x7fffffff;

            if ($seed >> 16 & 1) {
                $open .= '{"a":';
                unshift @close, '}';

            } else {
                $open .= '[';
                unshift @close, ']';
            }
        }

        push @rows, [@{ valid(join '', $open, 1, @close) }, 1024];

        for my $i (grep { $level{$depth - $_} } 0 .. $#close) {
            my $text = join '', $open, 1, @close[0 .. $i];

            $text =~ s/(.)\z/$1 eq '}' ? ']' : '}'/e;
            push @rows, [@{ wrong_at($text, length($text) - 1, 'comma') },
                         1024];
        }
    }

    # those at the bottom

    for my $close (']', '}') {
        my ($open, $end) = $close eq ']' ? ('[', '}') : ('{"a":', ']');
        my $text = $open x 1024 . 1 . $close x 1023;

        push @rows, [@{ valid("$text$close") }, 1024];
        push @rows, [@{ wrong_at("$text$end", length $text, 'comma') }, 1024];
    }

    return @rows;
}


# Where a piece of 8 or 16 bytes ends, and elsewhere

sub byte_table {
    my @rows;

    for my $byte (0 .. 255) {
        my $c = chr $byte;

        for my $n (0, 1, 6 .. 9, 14 .. 17) {
            my $before = '"' . 'x' x $n;
            my $text = "$before$c" . 'x' x 20 . '"';
            my $at = 1 + $n;

            my $row = $byte < 0x20 ? wrong_at($text, $at, 'control')
                : $c eq '"'        ? wrong_at($text, $at + 1, 'rest')
                : $c eq '\\'       ? wrong_at($text, $at + 1, 'escape')
                : $byte < 0x80     ? valid($text)
                : $byte >= 0xc2 && $byte <= 0xf4
                                   ? wrong_at($text, $at + 1, 'utf8')
                :                    wrong_at($text, $at, 'utf8');

            push @rows, [@$row, 1024];

            # and after the value

            $text = '""' . ' ' x $n . $c . ' ' x 20;
            $row = $c =~ /[ \t\r\n]/ ? valid($text, 0, 2)
                                     : wrong_at($text, 2 + $n, 'rest');

            push @rows, [@$row, 1024];
        }
    }

    return @rows;
}


sub plain_table {
    my @rows;

    for my $n (0 .. 34) {
        my $plain = substr '!#$%&()*+,-./0123456789:;<=>?@[]^_`{|}~ ABC', 0, $n;

        for my $more (0, 1, 7, 8, 15, 16, 17) {
            my $rest = 'z' x $more;

            push @rows, map { [@$_, 1024] }
                valid("\"$plain\""),
                valid("\"$plain\\\"$rest\""),
                valid("\"$plain\\u00e9$rest\""),
                valid("\"$plain\xc3\xa9$rest\""),
                valid("\"$plain\xe2\x82\xac$rest\""),
                valid("\"$plain\xf0\x9f\x98\x80$rest\""),
                valid("[\"$plain\",\"$rest\"]"),
                valid("{\"$plain\":\"$rest\"}"),
                valid("{\"$plain\\n\":\"$rest\\n\"}"),
                wrong_at("\"$plain\"$rest,", 2 + $n, 'rest'),
                wrong_at("\"$plain\x1f$rest\"", 1 + $n, 'control'),
                wrong_at("{\"$plain\x00$rest\":1}", 2 + $n, 'control'),
                wrong_at("\"$plain\x80$rest\"", 1 + $n, 'utf8'),
                wrong_at("\"$plain\\x$rest\"", 2 + $n, 'escape'),
                open_end("\"$plain\\\"$rest");
        }
    }

    return @rows;
}


sub run_table {
    my @rows;

    for my $n (0 .. 34) {
        for my $space (' ' x $n, "\n" . ' ' x $n, "\t" x $n, "\r\n" x $n,
                       ' ' x $n . "\n\t", " \t" x $n)
        {
            my $length = length $space;

            push @rows, map { [@$_, 1024] }
                valid("${space}1$space", $length, $length + 1),
                valid("[$space\"\"$space,$space\"\"$space]"),
                valid("{$space\"a\"$space:$space\"\"$space,$space\"b\"$space:"
                      . "$space\"\"$space}"),
                wrong_at("[$space\"\"$space\x0b]", 3 + 2 * $length, 'comma'),
                wrong_at("[$space\x01]", 1 + $length, 'value'),
                wrong_at($space, $length, 'empty');
        }
    }

    return @rows;
}


# A grammar of one piece

sub grammar {
    return qr/
        (?(DEFINE)
            (?<space>   [ \t\r\n]* )
            (?<string>  " (?: [ !\#-\[\]-\x7f]
                            | \\ (?: ["\\\/bfnrt] | u [0-9a-fA-F]{4} ) )* " )
            (?<number>  -? (?: 0 | [1-9][0-9]* ) (?: \. [0-9]+ )?
                        (?: [eE] [-+]? [0-9]+ )? )
            (?<value>   (?&space) (?: (?&string) | (?&number) | true | false
                            | null
                            | \[ (?: (?&space)
                                   | (?&value) (?: , (?&value) )* ) \]
                            | \{ (?: (?&space)
                                   | (?&member) (?: , (?&member) )* ) \} )
                        (?&space) )
            (?<member>  (?&space) (?&string) (?&space) : (?&value) )
        )
        \A (?&value) \z
    /x;
}


sub short_table {
    my @few = ('{', '}', '[', ']', ':', ',', '""', '1');
    my @more = (@few, '"', ' ', '0', 'a', '\\', 'null');
    my $grammar = grammar();

    return map { [$_, /$grammar/ ? 'valid' : 'error', 1024] }
        (map { all_of($_, @more) } 1 .. 3), all_of(4, @few);
}


sub short_number_table {
    my $grammar = grammar();

    return map { [$_, /$grammar/ ? 'valid' : 'error', 1024] }
        map { all_of($_, '0', '7', '-', '+', '.', 'e') } 1 .. 5;
}


# All texts of so many tokens

sub all_of {
    my ($n, @tokens) = @_;
    my @texts = ('');

    for (1 .. $n) {
        @texts = map { my $text = $_; map { "$text$_" } @tokens } @texts;
    }

    return @texts;
}


# Texts of which something else comes than what has to, with a reason; a hasty
# caller is content with the first one.

sub wrong {
    my ($scan, $texts, $hasty) = @_;
    my @wrong;

    spew("$work/texts", join '', map {
        sprintf "%d %s\n", $_->[2], unpack 'H*', $_->[0]
    } @$texts);

    my $pid = open(my $out, '-|') // die "fork: $!";

    if (!$pid) {
        open STDIN, '<', "$work/texts" or die "$work/texts: $!";
        open STDERR, '>&', \*STDOUT;
        exec $scan or die "$scan: $!";
    }

    for my $text (@$texts) {
        my $got = <$out> // 'nothing';

        chomp $got;

        next if $got eq $text->[1] || $got =~ /^\Q$text->[1]\E /;

        push @wrong, sprintf '%s, depth %d: %s instead of %s',
            shown($text->[0]), $text->[2], $got, $text->[1];

        if ($got !~ /^(?:valid|error|differs)/) {
            push @wrong, <$out>;
            last;
        }

        last if $hasty;
    }

    close $out;
    push @wrong, "exit status $?" if $? && !$hasty;

    return @wrong;
}


sub shown {
    my ($text) = @_;

    $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    substr $text, 60, -20, '...' if length $text > 100;

    return $text;
}


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['16 bytes are looked through for no backslash',
         qr/_mm_cmpeq_epi8\(x, backslash\)/, '_mm_cmpeq_epi8(x, quote)'],

        ['8 bytes are looked through for no quote',
         qr/y = x \^ ngx_http_gateway_json_each \* '"';/, 'y = x;'],

        ['16 bytes of white space end at a tab',
         qr/_mm_set1_epi8\('\\t'\)/, "_mm_set1_epi8(' ')"],

        ['one level too many',
         qr/s->depth == s->max_depth/, 's->depth > s->max_depth'],

        ['what is around the 64 innermost containers is forgotten',
         qr/s->outer\[s->depth \/ 64\] >> s->depth % 64/,
         's->outer[0] >> s->depth % 64'],

        ['a surrogate is a character, in the midst of a string',
         qr/p\[1\] > 0x9f/, 'p[1] > 0xbf'],

        ['a surrogate is a character, at the end',
         qr/s->high = 0x9f/, 's->high = 0xbf'],

        ['the bounds of a second byte hold for the third one',
         qr/s->low = 0x80;\s+s->high = 0xbf;\s+\} while/, '} while'],

        ['a "g" is a digit', qr/c > 'f'/, "c > 'g'"],

        ['a second sign in an exponent, when it comes later',
         qr/goto exponent_sign;/, 'goto exponent;'],

        ['the end is counted from the last piece',
         qr/s->end = s->offset \+ \(p - data\)/, 's->end = p - data'],

        ['an error is where the piece begins',
         qr/s->offset \+= p - data;/, ''],

        ['a fraction is not the end of a text', qr/case scan_fraction:\n/, ''],

        ['a name in two pieces is a value',
         qr/s->name = 1;/, 's->name = (p != last);'],
    );

    my $text = slurp($scanner);
    my $driver = compiled('driver.o', qw( -O0 -c ), "$here/scan.c");

    mutated($text, sub {
        my ($file) = @_;
        my $scan = compiled('mutant', qw( -O0 -w ), $driver,
            "$here/portable.c", "-DSCANNER=\"$file\"", $file);

        return any {
            my (undef, @texts) = @$_;
            my @wrong = wrong($scan, \@texts, 1);

            @wrong > 0;
        } @right;
    }, map { [$_->[0], qr/.*\K$_->[1]/s, $_->[2]] } @mutations);

    return;
}
