#!/usr/bin/perl

# Frames by themselves, without nginx: RFC 6455, section 5, after the cases of
# the Autobahn test suite.  frame.c is fed the bytes whole, byte by byte and cut
# at each place, as both roles, and tells what came of them; plain.c compares
# masks and characters with the plainest code there is.
#
# Controls: codecs that were made wrong on purpose have to be found wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";

use List::Util qw( any );
use Test::More;

use NgxGatewayProgram;
use NgxGatewayWebSocketFrame;

plan skip_all => 'no nginx is configured in build/ ("make")' if !nginx();

my $codec = "$modules/websocket/ngx_http_gateway_websocket_frame.c";
my @drivers = map { "$here/$_.c" } qw( frame words );
my $program = sanitized('frame', '-O1', @drivers, $codec);
my $plain = sanitized('plain', '-O2', "$here/plain.c", "$here/words.c", $codec);

diag 'no sanitizers: nobody looks for bytes read outside of a frame'
    if !$program;

$program //= compiled('frame', '-O1', @drivers, $codec);
$plain //= compiled('plain', '-O2', "$here/plain.c", "$here/words.c", $codec);

my $mask = "\x37\xfa\x21\x3d";

# Autobahn's 6.5 to 6.23

my @characters = ("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "\0", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
    "\xee\x80\x80", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf",
    "\xf0\x90\x80\x80", "\xf0\x9f\xbf\xbe", "\xf4\x8f\xbf\xbf",
    "\xef\xbb\xbfa");

# [what, row, ...], a row being [what, line, what has to come of it]

my @tables = (
    ['lengths in another form', forms()],
    ['opcodes', opcodes()],
    ['reserved bits', reserved()],
    ['masks', masks()],
    ['control frames', control()],
    ['fragments', fragments()],
    ['compressed messages', compressed()],
    ['characters', characters()],
    ['characters in fragments', characters_in_fragments()],
    ['what is not UTF-8, at each place', invalid()],
    ['close frames', closing()],
    ['close codes from 0 to 5000', codes()],
    ['headers that are written', written()],
    ['limits', limits()],
    ['lengths', lengths()],
);

my @right;

for my $table (@tables) {
    my ($what, @rows) = @$table;
    my @wrong = wrong($program, @rows);

    push @right, $table if !@wrong;

    ok !@wrong, sprintf '%s (%d)', $what, scalar @rows
        or diag join "\n", splice @wrong, 0, 5;
}

for (['mask', 'masks, beside every boundary, against the plainest code'],
     ['utf8', 'characters, valid and not, against a decoder'],
     ['fragments 1000000', 'a million fragments in constant memory'])
{
    my ($line, $what) = @$_;

    is((told($plain, $line))[0], 'ok', $what);
}

controls();

done_testing();


# A row for each role: both(WHAT, EXPECTED, [OPTIONS], FRAMES)

sub both {
    my ($what, $expected, @frames) = @_;
    my $o = ref $frames[0] eq 'HASH' ? shift @frames : {};

    return map {
        fed("$what, of a " . ($_ ? 'client' : 'server'), $expected,
            { %$o, role => $_ }, @frames)
    } 0, 1;
}


# A frame is [OPCODE, PAYLOAD, OPTIONS] of ws_frame(), or its bytes.  "@+N" in
# what is expected are N bytes of the last frame, "@head+N" its head and N.

sub fed {
    my ($what, $expected, $o, @frames) = @_;
    my $role = $o->{role} // 0;
    my @bytes = map { frame($role, $_) } @frames;
    my $before = length join '', @bytes[0 .. $#bytes - 1];
    my $head = ref $frames[-1]
               ? length($bytes[-1]) - length($frames[-1][1]) : 0;
    my $bytes = join '', @bytes;

    $expected =~ s/\@\+(\d+)/'@' . ($before + $1)/e;
    $expected =~ s/\@head\+(\d+)/'@' . ($before + $head + $1)/e;

    chop $bytes if $o->{short};

    return [$what, join(' ', 'feed', $role,
                        map({ $o->{$_} // 0 }
                            qw( deflate max_frame max_message )),
                        hex_of($bytes)),
            $expected];
}


sub frame {
    my ($role, $frame) = @_;

    return $frame if !ref $frame;

    my ($opcode, $payload, @options) = @$frame;

    return ws_frame($opcode, $payload, $role ? (mask => $mask) : (), @options);
}


sub hex_of {
    my ($bytes) = @_;

    return length $bytes ? unpack 'H*', $bytes : '-';
}


sub got {
    my ($type, $payload) = @_;

    return "$type:" . unpack 'H*', $payload;
}


# ASCII, of which no two places near each other are the same

sub some {
    my ($n) = @_;

    return substr join('', map { sprintf '%x,', $_ } 1 .. $n / 2 + 1), 0, $n;
}


sub lengths {
    return map {
        my $size = $_;
        my $text = some($size);
        my $other = reverse $text;

        both("a text of $size bytes", got('t', $text), ['text', $text]),
        both("$size bytes", got('b', $other), ['binary', $other]),
        both("$size bytes, and a text", got('b', $other) . ' t:61',
             ['binary', $other], ['text', 'a']),
        both("a byte less than $size", '+', { short => 1 }, ['text', $text]),
    } 0 .. 4, 7 .. 9, 15 .. 17, 124 .. 128, 254 .. 257, 65534 .. 65537;
}


# Section 5.2: as few bytes as can be, and 63 bits

sub forms {
    my @rows;

    for my $role (0, 1) {
        my $more = 4 * $role;
        my $who = $role ? 'client' : 'server';
        my $length = sub {
            my ($what, $expected, $size, $form, $payload) = @_;

            return fed("$what, of a $who", $expected, { role => $role },
                       ['binary', $payload // '', form => $form,
                        length => $size]);
        };

        push @rows,
            map({ $length->("16 bits of length for $_",
                            '!1002@' . (4 + $more), $_, 16, some($_)) }
                0, 1, 2, 124, 125),
            map({ $length->("64 bits of length for $_",
                            '!1002@' . (10 + $more), $_, 64, some($_)) }
                0, 1, 125, 126, 127, 65534, 65535),
            map({ $length->("the first bit of a length: $_",
                            '!1002@' . (10 + $more), $_, 64) }
                1 << 63, (1 << 63) + 1, (1 << 63) + 65536, ~0),
            map({ $length->("a length of $_ bytes", '+', $_, 64) }
                65536, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 62,
                (1 << 63) - 1),
            map({ $length->("64 bits of length with the byte $_ set", '+',
                            1 << $_ * 8, 64) } 2 .. 7);
    }

    return @rows;
}


sub opcodes {
    return (
        (map { my $opcode = $_;
               map { both("opcode $opcode, $_->[0]", '!1002@+2', $_->[1],
                          [$opcode, '', @{ $_->[2] }]) }
                   ['alone', {}, []], ['not the last', {}, [fin => 0]],
                   ['with payload', {}, [length => 125]],
                   ['when deflate is agreed on', { deflate => 1 }, []],
                   ['and a bit', { deflate => 1 }, [rsv => 4]] }
            3 .. 7, 11 .. 15),
        (map { both("opcode $_ after a message", 't:61 !1002@+2',
                    ['text', 'a'], [$_, '']) } 3, 7, 11, 15),
        (map { both("opcode $_ within a message", '!1002@+2',
                    ['text', 'a', fin => 0], [$_, '']) } 3, 7, 11, 15),
    );
}


# RFC 7692, section 6: the first bit, of the first frame of a message

sub reserved {
    my @rows;

    for my $rsv (1 .. 7) {
        for my $deflate (0, 1) {
            my $o = { deflate => $deflate };
            my $what = "bits $rsv" . ($deflate ? ', deflate' : '');
            my $good = $deflate && $rsv == 4;

            push @rows,
                map({ both("$what, $_",
                           $good ? substr($_, 0, 1) . 'z:61' : '!1002@+2',
                           $o, [$_, 'a', rsv => $rsv]) } qw( text binary )),
                map({ both("$what, $_", '!1002@+2', $o,
                           [$_, '', rsv => $rsv]) } qw( ping pong close )),
                both("$what, a later frame", '!1002@+2', $o,
                     ['text', 'a', fin => 0], ['cont', 'b', rsv => $rsv]),
                both("$what, a later frame of a compressed message",
                     '!1002@' . '+2', { deflate => 1 },
                     ['text', 'a', fin => 0, rsv => 4],
                     ['cont', 'b', rsv => $rsv]),
                both("$what, a ping in a message", '!1002@+2', $o,
                     ['text', 'a', fin => 0], ['ping', '', rsv => $rsv]);
        }
    }

    return @rows;
}


sub masks {
    my @rows;

    for my $opcode (qw( text binary ping pong close )) {
        push @rows,
            fed("unmasked, of a client: $opcode", '!1002@2', { role => 1 },
                [$opcode, '', mask => undef]),
            fed("masked, of a server: $opcode", '!1002@2', { role => 0 },
                [$opcode, '', mask => $mask]);
    }

    return (@rows,
        fed('unmasked later', 't:61 !1002@+2', { role => 1 }, ['text', 'a'],
            ['text', 'b', mask => undef]),
        fed('unmasked fragment', '!1002@+2', { role => 1 },
            ['text', 'a', fin => 0], ['cont', 'b', mask => undef]),
        fed('masked later', 't:61 !1002@+2', { role => 0 }, ['text', 'a'],
            ['text', 'b', mask => $mask]),
        map({ my $key = $_;
              fed('mask ' . unpack('H*', $key), got('t', some(300)) . ' '
                  . got('ping', 'x,y'), { role => 1 },
                  ['text', some(300), mask => $key],
                  ['ping', 'x,y', mask => $key ^ "\1\2\3\4"]) }
            "\0\0\0\0", "\xff\xff\xff\xff", "\1\0\0\0", "\0\0\0\1",
            "\x80\x40\x20\x10", '0,1,'),
        fed('a mask for each frame', got('t', some(30)), { role => 1 },
            map { [($_ ? 'cont' : 'text'), substr(some(30), 5 * $_, 5),
                   fin => $_ == 5 ? 1 : 0, mask => chr($_ + 1) x 3 . "\xaa"] }
                0 .. 5),
    );
}


sub control {
    return (
        (map { my $opcode = $_;
               (map { both("a $opcode of $_ bytes",
                           got($opcode, some($_)) . ' t:61',
                           [$opcode, some($_)], ['text', 'a']) }
                    0, 1, 2, 8, 124, 125),
               (map { both("a $opcode of $_ bytes", '!1002@+2',
                           [$opcode, some($_)]) } 126, 127, 1000, 65536),
               (map { both("a $opcode of $_->[0] bytes, in $_->[1] bits",
                           '!1002@+2', [$opcode, some($_->[0]),
                                        form => $_->[1]]) }
                    [0, 16], [125, 16], [125, 64], [0, 64]),
               both("a $opcode that is not the last", '!1002@+2',
                    [$opcode, '', fin => 0]),
               both("a $opcode of all bytes",
                    got($opcode, join '', map { chr } 131 .. 255),
                    [$opcode, join '', map { chr } 131 .. 255]),
               both("a $opcode, not whole", '+', { short => 1 },
                    [$opcode, some(125)]),
               both("ten of $opcode", join(' ', map { got($opcode, "p$_") }
                                                    1 .. 10),
                    map { [$opcode, "p$_"] } 1 .. 10) }
            qw( ping pong )),
        both('a close of 126 bytes', '!1002@+2',
             ['close', ws_close(1000, 'x' x 124)]),
        both('a close that is not the last', '!1002@+2',
             ['close', ws_close(1000), fin => 0]),
        both('all of them', 'ping: pong:70 t:61 ping:71 close:1000:',
             ['ping', ''], ['pong', 'p'], ['text', 'a'], ['ping', 'q'],
             ['close', ws_close(1000)]),
        both('nothing is looked at after a close', 'close:1000:',
             ['close', ws_close(1000)], "\xff\xff\xff"),
    );
}


sub fragments {
    my $start = ['text', 'ab', fin => 0];
    my $ping = ['ping', 'p'];

    return (
        both('two', 't:61626364', $start, ['cont', 'cd']),
        both('three', 'b:616263', ['binary', 'a', fin => 0],
             ['cont', 'b', fin => 0], ['cont', 'c']),
        both('nothing but the last', 't:63', ['text', '', fin => 0],
             ['cont', '', fin => 0], ['cont', 'c']),
        both('nothing at all', 't:', ['text', '', fin => 0],
             ['cont', '', fin => 0], ['cont', '']),
        both('nothing in the last one', 't:6162', $start, ['cont', '']),
        both('a hundred', got('t', some(100)),
             map { [($_ ? 'cont' : 'text'), substr(some(100), $_, 1),
                    fin => $_ == 99 ? 1 : 0] } 0 .. 99),
        both('not the last one', '+', $start, ['cont', 'cd', fin => 0]),
        both('one without the last one', '+', $start),
        both('fragments of all forms', got('b', some(66000)),
             ['binary', some(100), fin => 0],
             ['cont', substr(some(66000), 100, 300), fin => 0],
             ['cont', substr(some(66000), 400)]),

        both('a ping in between', 'ping:70 t:616263', $start, $ping,
             ['cont', 'c']),
        both('control frames around each', 'ping:70 ping:70 pong:71 ping: '
             . 't:616263 ping:70', $ping, $start, $ping, ['pong', 'q'],
             ['cont', '', fin => 0], ['ping', ''], ['cont', 'c'], $ping),
        both('a close in between', 'close:1000:', $start,
             ['close', ws_close(1000)]),
        both('nothing of one message stays for the next one',
             't:6162 b:63 t:6465', $start, ['cont', ''], ['binary', 'c'],
             ['text', 'd', fin => 0], ['cont', 'e']),

        both('a continuation of nothing', '!1002@+2', ['cont', 'a']),
        both('one that is not the last', '!1002@+2', ['cont', 'a', fin => 0]),
        both('an empty one', '!1002@+2', ['cont', '']),
        both('after a message', 't:61 !1002@+2', ['text', 'a'], ['cont', 'b']),
        both('after a message of fragments', 't:616263 !1002@+2', $start,
             ['cont', 'c'], ['cont', 'd']),
        both('after a ping', 'ping:70 !1002@+2', $ping, ['cont', 'd']),
        (map { both("a $_ in a message", '!1002@+2', $start, [$_, 'c']),
               both("a $_ in a message, not the last", '!1002@+2', $start,
                    [$_, 'c', fin => 0]),
               both("a $_ in a message, after a ping", 'ping:70 !1002@+2',
                    $start, $ping, [$_, 'c']),
               both("a $_ in a message, later", '!1002@+2', $start,
                    ['cont', '', fin => 0], [$_, 'c']) } qw( text binary )),
    );
}


# Both are counted in bytes of payload.

sub limits {
    my @rows;

    for my $size (1, 10, 125, 126, 1000, 65535, 65536) {
        my $text = some($size);
        my $half = int($size / 2);
        my @halves = (['text', substr($text, 0, $half), fin => 0],
                      ['cont', substr $text, $half]);

        push @rows,
            both("a frame of $size bytes", got('t', $text),
                 { max_frame => $size }, ['text', $text]),
            both("a frame of a byte more than $size", '!1009@head+0',
                 { max_frame => $size }, ['text', "$text!"]),
            both("a message of $size bytes", got('t', $text),
                 { max_message => $size }, @halves),
            both("a message of a byte more than $size", '!1009@head+0',
                 { max_message => $size }, $halves[0], ['cont',
                     substr("$text!", $half)]),
            both("a message of one frame, a byte more than $size",
                 '!1009@head+0', { max_message => $size }, ['text', "$text!"]),
            both("the limit is each message's: $size",
                 join(' ', (got('t', $text)) x 3), { max_message => $size },
                 @halves, ['text', $text], @halves);
    }

    return (@rows,
        both('control frames are not counted', join(' ', ('ping:'
             . unpack 'H*', some(100)) x 3) . ' t:61',
             { max_frame => 10, max_message => 10 }, ['text', '', fin => 0],
             (['ping', some(100)]) x 3, ['cont', 'a']),
        both('fragments that are within the limit, but not together',
             '!1009@head+0', { max_frame => 10, max_message => 25 },
             ['text', some(10), fin => 0], ['cont', some(10), fin => 0],
             ['cont', some(6)]),
        both('a frame that is said to be huge', '!1009@head+0',
             { max_message => 65536 },
             ['text', '', form => 64, length => (1 << 63) - 1]),
        both('likewise, the second one', '!1009@head+0',
             { max_message => 65536 }, ['text', 'a', fin => 0],
             ['cont', '', form => 64, length => (1 << 63) - 1]),
        both('what is compressed is not counted here', got('tz', some(100)),
             { max_message => 10, deflate => 1 }, ['text', some(100),
                                                   rsv => 4]),
        both('but its frames are', '!1009@head+0',
             { max_frame => 1000, deflate => 1 },
             ['text', some(1100), rsv => 4]),
        both('with room for what cannot be compressed',
             got('bz', some(65_540)), { max_frame => 65_536, deflate => 1 },
             ['binary', some(65_540), rsv => 4]),
    );
}


# They are not looked into: what they are is known when they are inflated.

sub compressed {
    my $bytes = join '', map { chr } 128 .. 255;
    my $o = { deflate => 1 };

    return (
        both('a text', got('tz', $bytes), $o, ['text', $bytes, rsv => 4]),
        both('bytes', got('bz', $bytes), $o, ['binary', $bytes, rsv => 4]),
        both('nothing', 'tz:', $o, ['text', '', rsv => 4]),
        both('fragments', got('tz', "\xc3$bytes"), $o,
             ['text', "\xc3", rsv => 4, fin => 0], ['cont', $bytes]),
        both('a ping in between', got('ping', 'p') . ' ' . got('tz', "\xc3"),
             $o, ['text', "\xc3", rsv => 4, fin => 0], ['ping', 'p'],
             ['cont', '']),
        both('one that is not, after it', 'tz:c3 t:61', $o,
             ['text', "\xc3", rsv => 4], ['text', 'a']),
        both('which is looked into', 'tz:c3 !1007@head+2', $o,
             ['text', "\xc3", rsv => 4], ['text', "\xc3a"]),
    );
}


sub characters {
    my @bad = ("\x80", "\xbf", "\x80\xbf", "\xc0\xaf", "\xc0\x80", "\xc1\xbf",
        "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xc0", "\xc1", "\xf8",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited");

    return (
        (map { both('text ' . unpack('H*', $_), got('t', $_), ['text', $_]),
               both('text ' . unpack('H*', $_) . ' after 20 bytes',
                    got('t', some(20) . $_ . 'z'),
                    ['text', some(20) . $_ . 'z']) } @characters),
        (map { my $text = $_;
               map { both('text ' . unpack('H*', $_), told_of($_),
                          ['text', $_]) } $text, "a$text", "${text}a",
                   some(7) . $text . some(9), "$characters[0]$text" } @bad),
        (map { both('bytes ' . unpack('H*', $_), got('b', $_),
                    ['binary', $_]) } @bad),

        # the end comes too early

        (map { my $text = $_;
               map { both('text ' . unpack('H*', substr $text, 0, $_),
                          told_of(substr $text, 0, $_),
                          ['text', substr $text, 0, $_]) }
                   1 .. length($text) - 1 } @characters),
    );
}


# What comes of a text: it is an error at the first byte after which it cannot
# be a text any more, or at its end.

sub told_of {
    my ($text) = @_;
    my $end = bad_after($text);

    return $end ? "!1007\@head+$end" : got('t', $text);
}


sub bad_after {
    my ($text) = @_;

    my $tail = qr/[\x80-\xbf]/;
    my $character = qr/[\0-\x7f]|[\xc2-\xdf]$tail|\xe0[\xa0-\xbf]$tail
        |[\xe1-\xec\xee\xef]$tail$tail|\xed[\x80-\x9f]$tail
        |\xf0[\x90-\xbf]$tail$tail|[\xf1-\xf3]$tail$tail$tail
        |\xf4[\x80-\x8f]$tail$tail/x;
    my $part = qr/\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef]$tail|\xed[\x80-\x9f]
        |\xf0[\x90-\xbf]$tail?|[\xf1-\xf3]$tail{1,2}|\xf4[\x80-\x8f]$tail?
        |[\xc2-\xf4]/x;

    return 0 if $text =~ /\A(?:$character)*\z/;

    $text =~ /\A(?:$character)*+($part?)/;

    return $+[0] == length $text ? length $text : $+[0] + 1;
}


sub characters_in_fragments {
    my $text = join '', @characters[0, 1, 6, 14];
    my $last = length($text) - 1;

    return (
        (map { both("cut after $_ bytes", got('t', $text),
                    ['text', substr($text, 0, $_), fin => 0],
                    ['cont', substr $text, $_]) } 0 .. $last),
        (map { both("cut after $_ bytes, a ping in between",
                    got('ping', "\xff") . ' ' . got('t', $text),
                    ['text', substr($text, 0, $_), fin => 0],
                    ['ping', "\xff"], ['cont', substr $text, $_]) }
            0 .. $last),
        both('a byte in each', got('t', $text),
             map { [($_ ? 'cont' : 'text'), substr($text, $_, 1),
                    fin => $_ == $last ? 1 : 0] } 0 .. $last),
        both('a byte in each, with nothing between them', got('t', $text),
             (map { ([($_ ? 'cont' : 'text'), substr($text, $_, 1), fin => 0],
                     ['cont', '', fin => 0]) } 0 .. $last), ['cont', '']),
        both('the last one is missing', '!1007@head+0',
             ['text', "\xf0\x9f", fin => 0], ['cont', '']),
        both('nothing of it stays for the next text', 't:c3a9 !1007@head+1',
             ['text', "\xc3", fin => 0], ['cont', "\xa9"],
             ['text', "\xa9"]),
        both('told of at once, with more to come', '!1007@head+1',
             ['text', some(20), fin => 0], ['cont', "\xff"]),
        both('told of at once, in a frame with more to come', '!1007@head+2',
             ['text', "\xe0\x80", length => 60_000, form => 16]),
    );
}


# A text in which each byte in turn is another one, whole and in two fragments

sub invalid {
    my $text = join '', @characters[0, 6, 12];
    my @rows;

    for my $at (0 .. length($text) - 1) {
        for my $byte ("\0", 'a', "\x80", "\xbf", "\xc0", "\xe0", "\xf5",
                      "\xff")
        {
            my $other = $text;
            my $what = sprintf 'byte %d is %02x', $at, ord $byte;

            substr($other, $at, 1) = $byte;

            push @rows, both($what, told_of($other), ['text', $other]);

            my $end = bad_after($other) or next;

            for my $cut (1 .. length($text) - 1) {
                push @rows, both("$what, cut after $cut",
                    $end > $cut ? '!1007@head+' . ($end - $cut) : '!1007',
                    ['text', substr($other, 0, $cut), fin => 0],
                    ['cont', substr $other, $cut]);
            }
        }
    }

    return @rows;
}


sub closing {
    my @bad = ("\x80", "\xff", "\xc3", "\xed\xa0\x80", "a\xc0\x80b",
               "\xe2\x82", "\xf4\x90\x80\x80");

    return (
        both('nothing in it', 'close:1005:', ['close', '']),
        (map { both('one byte: ' . ord, 'close!1002', ['close', $_]) }
            "\x03", "\x10"),
        both('a code', 'close:1000:', ['close', ws_close(1000)]),
        (map { both("a reason of $_ bytes", 'close:1001:'
                    . unpack('H*', some($_)),
                    ['close', ws_close(1001, some($_))]) } 1, 2, 122, 123),
        both('a reason in UTF-8', 'close:4999:' . unpack('H*', $characters[0]),
             ['close', ws_close(4999, $characters[0])]),
        (map { both('a reason that is not: ' . unpack('H*', $_), 'close!1007',
                    ['close', ws_close(1000, $_)]),
               both('in the end: ' . unpack('H*', $_), 'close!1007',
                    ['close', ws_close(1000, substr(some(123),
                                                    length $_) . $_)]) }
            @bad),
        both('a code that is not valid comes first', 'close!1002',
             ['close', ws_close(999, "\xff")]),
        both('after a message', 't:61 close:1000:', ['text', 'a'],
             ['close', ws_close(1000)]),
    );
}


sub codes {
    my %sent = map { $_ => 1 } 1000 .. 1003, 1007 .. 1014, 3000 .. 4999;

    return map { ["code $_", 'close ' . unpack('H*', ws_close($_, 'x')),
                  $sent{$_} ? $_ : '!1002'] }
        0 .. 5000, 9999, 16_384, 32_768, 65_535, map { $_ << 8 } 1 .. 255;
}


sub written {
    my @lengths = (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 32, (1 << 63) - 1);
    my @rows;

    for my $key (undef, $mask) {
        my $what = $key ? 'masked' : 'not masked';
        my $word = $key ? unpack 'H*', $key : '-';

        push @rows,
            map({ my $length = $_;
                  map { ["$length bytes, $what",
                         "head $_->[0] $length $word", unpack 'H*',
                         ws_frame($_->[1], '', fin => $_->[2], rsv => $_->[3],
                                  length => $length, mask => $key)] }
                      [129, 'text', 1, 0], [2, 'binary', 0, 0],
                      [0xc1, 'text', 1, 4], [128, 'cont', 1, 0] } @lengths),
            map({ ["a ping of $_ bytes, $what",
                   "control 9 $word " . hex_of(some($_)), unpack 'H*',
                   ws_frame('ping', some($_), mask => $key)] }
                0, 1, 4, 7, 8, 9, 124, 125),
            ["a close, $what", "control 8 $word " . hex_of(ws_close(1000, 'x')),
             unpack 'H*', ws_frame('close', ws_close(1000, 'x'),
                                   mask => $key)];
    }

    return @rows;
}


# What is printed for each line

sub told {
    my ($command, @lines) = @_;

    spew("$work/lines", join '', map { "$_\n" } @lines);

    my ($status, $output) = run('sh', '-c', "exec $command < $work/lines");
    my @told = split /\n/, $output;

    push @told, "status $status" if $status != 0;

    return @told;
}


# The rows of which something else comes; a hasty caller wants the first one.

sub wrong {
    my ($command, @rows) = @_;
    my @told = told($command, map { $_->[1] } @rows);
    my @wrong;

    for my $row (@rows) {
        my $got = shift @told // 'nothing';

        next if $got eq $row->[2]
                || $row->[2] =~ /^!\d+$/ && $got =~ /^\Q$row->[2]\E\@/;

        push @wrong, map { length > 300 ? substr($_, 0, 300) . '...' : $_ }
            "$row->[0]: \"$got\" instead of \"$row->[2]\"";
    }

    return (@wrong, @told);
}


# What is to be found: [what, pattern, replacement]

sub controls {
    my @mutations = (
        ['a client may leave its frames unmasked',
         qr/ps->masked && !\(second & 0x80\)/, '0'],
        ['a server may mask its own', qr/!ps->masked && \(second & 0x80\)/,
         '0'],
        ['lengths of 126 bytes are not short', qr/\(size == 2\) \? 126/,
         '(size == 2) ? 125'],
        ['lengths of 65535 bytes are not short', qr/: 65536\)/, ': 65535)'],
        ['64 bits of length', qr/\|\| length >> 63/, ''],
        ['control frames of 126 bytes', qr/> NGX_\w+_MAX_CONTROL/, '> 126'],
        ['control frames in fragments', qr/!\(first & NGX_\w+_FIN\)/, '0'],
        ['a continuation of nothing', qr/if \(!ps->open\) \{\s+return/,
         'if (0) { return'],
        ['a message in a message', qr/if \(ps->open\) \{/, 'if (0) {'],
        ['the second reserved bit', qr/first & 0x70/, 'first & 0x50'],
        ['a continuation that is compressed',
         qr/if \(!ps->open\) \{\s+return "cont/,
         'reserved &= ~0x40; if (!ps->open) { return "cont'],
        ['compressed, though it was not agreed on', qr/if \(ps->deflate\)/,
         'if (1)'],
        ['opcode 11', qr/case NGX_\w+_PONG:/, 'case 11: case 10:'],
        ['a frame may be larger', qr/ps->length > max\)/,
         'ps->length > max + 1)'],
        ['a message may be larger', qr/ps->size > ps->max_message/,
         'ps->size > ps->max_message + 1'],
        ['only the frame is counted', qr/ps->size \+= ps->length/,
         'ps->size = ps->length'],
        ['compressed messages are counted', qr/ && !ps->compressed && /,
         ' && '],
        ['compressed frames have no room', qr/max \+= \(max >> 10\) \+ 16;/,
         ';'],
        ['a character is not waited for', qr/if \(ps->utf8\.left\)/, 'if (0)'],
        ['a character is forgotten at the end of a frame',
         qr/ps->rest = length;/, 'ps->rest = length; ps->utf8.left = 0;'],
        ['bytes are a text', qr/ps->type == NGX_\w+_TEXT && /, ''],
        ['a text that is passed is not checked',
         qr/rc = ngx_http_gateway_websocket_utf8\(&ps->utf8, scratch, n\)/,
         'rc = NGX_OK'],
        ['a text that is passed is checked masked',
         qr/\(&ps->utf8, scratch, n\)/, '(&ps->utf8, p + done, n)'],
        ['the mask begins anew in each piece',
         qr/ps->length - ps->rest\);/, '0);'],
        ['the mask begins anew in each piece that is passed',
         qr/ps->length - ps->rest \+ done/, 'done'],
        ['surrogates', qr/\(ch == 0xed\) \? 0x9f/, '(ch == 0xed) ? 0xbf'],
        ['more than U+10FFFF', qr/\(ch == 0xf4\) \? 0x8f/,
         '(ch == 0xf4) ? 0xbf'],
        ['three bytes that could be two', qr/\(ch == 0xe0\) \? 0xa0/,
         '(ch == 0xe0) ? 0x80'],
        ['two bytes that could be one', qr/ch < 0xc2/, 'ch < 0xc0'],
        ['f5', qr/ch > 0xf4/, 'ch > 0xf5'],
        ['the bounds of the second byte hold for the third one',
         qr/utf8->low = 0x80;\s+utf8->high = 0xbf;/, ''],
        ['code 1004', qr/n > 1003 && n < 1007/, 'n > 1004 && n < 1007'],
        ['code 1015', qr/n > 1014/, 'n > 1015'],
        ['code 5000', qr/n > 4999/, 'n > 5000'],
        ['code 2999', qr/n < 3000/, 'n < 2999'],
        ['a reason may end anywhere', qr/NGX_OK\s+\|\| utf8\.left\)/,
         'NGX_OK)'],
        ['a close of one byte has no code', qr/if \(len == 1\) \{/,
         'if (0) {'],
    );

    my $text = slurp($codec);
    my $count = 0;
    my @others = map { compiled($count++ . '.o', qw( -O0 -c ), $_) } @drivers;

    mutated($text, sub {
        my ($file) = @_;
        my $wrong = compiled('mutant', qw( -O0 -w ), @others, $file);

        return any {
            my (undef, @rows) = @$_;
            my @found = wrong($wrong, @rows);

            @found > 0;
        } @right;
    }, @mutations);

    return;
}
