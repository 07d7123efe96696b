#!/usr/bin/perl

# Frames through a guard, after the cases of the Autobahn test suite: each row
# is sent by the client to the service, and by the service to the client.  What
# is allowed arrives as it was sent; what is not is closed with the right code,
# to both sides, and the offending frame does not arrive.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayWebSocketGuard;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep );

my $gate = NgxGatewayWebSocketGuard->new(
    locations => {
        big => 'gateway_websocket_max_message 1m;',
    },
    scripts => {
        # what arrived, as hex, when the other side is done; a service that
        # sends the bytes it was told by "hex", or in the file "from"

        '/big/sends' => \&sends,
        '/big/takes' => \&takes,
    },
);

my $dir = $gate->nginx()->path('');

sub sends {
    my ($c) = @_;

    $c->handshake();
    $c->send_raw($c->arg('from') ? slurp($c->arg('from'))
                                 : pack('H*', $c->arg('hex')),
                 step => $c->arg('step'), pause => $c->arg('pause'));
    answer($c);

    return;
}

sub takes {
    my ($c) = @_;

    $c->handshake();
    answer($c);

    return;
}

# Reads frames until a Close, which is answered, or the end.

sub answer {
    my ($c) = @_;

    while (my $frame = $c->read_frame()) {
        next if $frame->{opcode} != 8;

        $c->send_frame('close', $frame->{payload});
        $c->shutdown();
        $c->drain(2);
        last;
    }

    $c->note('rest ' . unpack 'H*', $c->{in});

    return;
}

sub slurp {
    my ($name) = @_;

    open my $in, '<:raw', $name or die "$name: $!\n";
    local $/ = undef;

    return scalar <$in>;
}

sub spew {
    my ($name, $text) = @_;

    open my $out, '>:raw', "$dir/$name" or die "$name: $!\n";
    print $out $text;
    close $out or die "$name: $!\n";

    return "$dir/$name";
}

# "1:abc" for a text frame with FIN, "0+:abc" for a continuation without it

sub show {
    my (@frames) = @_;

    return join ' ', map {
        my $text = $_->{payload};

        $text = length $text > 40
                ? length($text) . '#' . unpack('%32C*', $text)
                : $text =~ s/([^ -~])/sprintf '%%%02x', ord $1/ger;

        $_->{opcode} . ($_->{rsv} ? "r$_->{rsv}" : '')
        . ($_->{fin} ? '' : '+') . ":$text";
    } @frames;
}

# What a text of frames gives when it is read as a frames' reader does.

sub f {
    my ($opcode, $payload, %o) = @_;

    return { opcode => ws_opcode($opcode), payload => "$payload", rsv => 0,
             fin => 1, %o };
}

sub bytes {
    my ($mask, @frames) = @_;

    return join '', map {
        my %o = %$_;
        my ($opcode, $payload, $raw) = delete @o{qw( opcode payload raw )};

        defined $raw ? $raw
                     : ws_frame($opcode, $payload,
                                $mask ? (mask => ws_random(4)) : (), %o);
    } @frames;
}


# name, frames, and what comes of them: undef, all arrive; or [ CODE, N ],
# closed with CODE when N frames have arrived

my $long = join '', map { chr(33 + $_ % 90) } 1 .. 70000;
my $smile = "\xf0\x9f\x98\x80";
my @cases;

sub case {
    my ($name, $frames, @end) = @_;

    push @cases, [ $name, $frames, @end ? [ @end ] : undef ];

    return;
}

# 1: lengths

for my $opcode (qw( text binary )) {
    for my $length (0, 1, 7, 8, 9, 125, 126, 127, 128, 1000, 65535, 65536,
                    70000)
    {
        case("$opcode of $length bytes",
             [ f($opcode, substr $long, 0, $length) ]);
    }
}

case('a binary message of all bytes',
     [ f('binary', join '', map { chr } 0 .. 255) ]);

for my $row ([ 0, 16 ], [ 125, 16 ], [ 0, 64 ], [ 126, 64 ], [ 65535, 64 ]) {
    my ($length, $form) = @$row;

    case("$length bytes in $form bits",
         [ f('text', 'first'),
           f('binary', substr($long, 0, $length), form => $form) ], 1002, 1);
}

case('a length with its first bit set',
     [ f('text', 'first'),
       f('binary', 'x', form => 64, length => -9223372036854775807) ],
     1002, 1);
case('a length of 2^63 - 1',
     [ f('text', 'first'),
       f('binary', 'x', form => 64, length => 9223372036854775807) ],
     1009, 1);

# 2: pings and pongs

for my $opcode (qw( ping pong )) {
    for my $length (0, 1, 124, 125) {
        case("$opcode of $length bytes",
             [ f($opcode, substr $long, 0, $length), f('text', 'after') ]);
    }

    case("$opcode of bytes", [ f($opcode, "\0\xff\xfe\xfd") ]);
    case("$opcode of 126 bytes",
         [ f('text', 'a'), f($opcode, 'x' x 126), f('text', 'b') ], 1002, 1);
    case("$opcode of 65536 bytes", [ f($opcode, 'x' x 65536) ], 1002, 0);
    case("$opcode without FIN", [ f($opcode, 'x', fin => 0) ], 1002, 0);
    case("100 times $opcode", [ map { f($opcode, $_) } 1 .. 100 ]);
}

case('close of 126 bytes', [ f('close', pack('n', 1000) . 'x' x 124) ],
     1002, 0);
case('close without FIN', [ f('close', pack('n', 1000), fin => 0) ],
     1002, 0);

# 3: reserved bits

for my $rsv (1 .. 7) {
    case("text with RSV $rsv",
         [ f('text', 'a'), f('text', 'b', rsv => $rsv), f('text', 'c') ],
         1002, 1);
}

for my $opcode (qw( binary ping pong close )) {
    for my $rsv (1, 2, 4) {
        case("$opcode with RSV $rsv", [ f($opcode, '', rsv => $rsv) ],
             1002, 0);
    }
}

case('a continuation with RSV 4',
     [ f('text', 'a', fin => 0), f('cont', 'b', rsv => 4) ], 1002, 1);

# 4: reserved opcodes

for my $opcode (3 .. 7, 11 .. 15) {
    case("opcode $opcode", [ f('text', 'a'), f($opcode, '') ], 1002, 1);
    case("opcode $opcode with payload", [ f($opcode, 'abc'), f('text', 'a') ],
         1002, 0);
    case("opcode $opcode without FIN", [ f($opcode, 'abc', fin => 0) ],
         1002, 0);
}

# 5: fragments

case('two fragments', [ f('text', 'a', fin => 0), f('cont', 'b') ]);
case('empty fragments', [ f('text', '', fin => 0), f('cont', '', fin => 0),
                          f('cont', '') ]);
case('a hundred fragments',
     [ f('binary', 'x', fin => 0), (f('cont', 'y', fin => 0)) x 98,
       f('cont', 'z') ]);
case('fragments of all lengths',
     [ f('text', 'a', fin => 0),
       map({ f('cont', substr($long, 0, $_), fin => 0) }
           0, 125, 126, 127, 65535, 65536), f('cont', '') ]);
case('control frames between fragments',
     [ f('text', 'a', fin => 0), f('ping', 'p'), f('cont', 'b', fin => 0),
       f('pong', 'q'), f('ping', ''), f('cont', 'c'), f('text', 'd') ]);
case('a message after a fragmented one',
     [ f('text', 'a', fin => 0), f('cont', 'b'), f('binary', "\xff") ]);
case('a continuation first', [ f('cont', 'a') ], 1002, 0);
case('a continuation without FIN first', [ f('cont', 'a', fin => 0) ],
     1002, 0);
case('a continuation of an ended message',
     [ f('text', 'a'), f('cont', 'b') ], 1002, 1);
case('a continuation of an ended fragmented message',
     [ f('text', 'a', fin => 0), f('cont', 'b'), f('cont', 'c') ], 1002, 2);
case('a message within a message',
     [ f('text', 'a', fin => 0), f('text', 'b') ], 1002, 1);
case('a binary message within a text',
     [ f('text', 'a', fin => 0), f('ping', ''), f('binary', 'b') ], 1002, 2);
case('a message within a message, without FIN',
     [ f('text', 'a', fin => 0), f('text', 'b', fin => 0) ], 1002, 1);

# 6: text

my @good = (
    "h\xc3\xa4", "\xe2\x82\xac", $smile, "\xce\xba\xe1\xbd\xb9\xcf\x83",
    "\0", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf",
    "\xef\xbf\xbd", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf", "\xef\xb7\x90", "\xef\xbb\xbf",
);

my @bad = (
    "\x80", "\xbf", "\x80\xbf", "\xc0\x80", "\xc1\xbf", "\xc0\xaf",
    "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
    "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80",
    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
    "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xc3", "\xc3(",
    "\xe2\x82", "\xe2(\xa1", "\xe2\x82(", "\xf0\x9f\x98", "\xf0\x9f\x98(",
    "\xf0(\x8c\xbc", "\xf0\x90(\xbc",
);

case('text ' . unpack('H*', $_), [ f('text', "a${_}b"), f('text', $_) ])
    for @good;
case('bad text ' . unpack('H*', $_),
     [ f('text', 'first'), f('text', "a$_"), f('text', 'c') ], 1007, 1)
    for @bad;
case('bad text ' . unpack('H*', $_) . ' in binary', [ f('binary', $_) ])
    for @bad;
case('a character over fragments',
     [ f('text', "a\xf0", fin => 0), f('cont', "\x9f", fin => 0),
       f('cont', '', fin => 0), f('ping', "\xff"),
       f('cont', "\x98", fin => 0), f('cont', "\x80b") ]);
case('a character that is not whole at the end of the last fragment',
     [ f('text', "a\xf0", fin => 0), f('cont', "\x9f") ], 1007, 1);
case('a bad byte in a second fragment',
     [ f('text', "a\xf0", fin => 0), f('cont', "\x9fa"), f('text', 'b') ],
     1007, 1);
case('bad text in a fragment that goes on',
     [ f('text', "a\xc0", fin => 0), f('cont', 'b') ], 1007, 0);
case('a text that is not whole, then another',
     [ f('text', "\xe2\x82"), f('text', "\xac") ], 1007, 0);

# 7: close

case('close without payload', [ f('text', 'a'), f('close', '') ]);
case('close with a reason', [ f('close', pack('n', 1000) . 'bye') ]);
case('close with 123 bytes', [ f('close', pack('n', 1000) . 'x' x 123) ]);
case("close with $smile", [ f('close', pack('n', 1000) . $smile) ]);
case('close of one byte', [ f('text', 'a'), f('close', "\x03") ], 1002, 1);
case('close with ' . unpack('H*', $_),
     [ f('close', pack('n', 1000) . $_) ], 1007, 0) for @bad;
case("close with $_", [ f('close', pack 'n', $_) ])
    for 1000 .. 1003, 1007 .. 1014, 3000, 3999, 4000, 4999;
case("close with $_", [ f('close', pack 'n', $_) ], 1002, 0)
    for 0, 1, 999, 1004 .. 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535;


my $number = 0;

for my $case (@cases) {
    my ($name, $frames, $end) = @$case;

    $number++;
    from_client($name, $frames, $end);
    from_service($name, $frames, $end);
    $gate->backend()->forget();
}

sub arrived {
    my ($frames, $end) = @_;

    return show(@$frames[ 0 .. ($end ? $end->[1] : @$frames) - 1 ]);
}

# Without a Close among them one follows.

sub closes {
    my ($frames) = @_;

    return $frames->[-1]{opcode} == 8;
}

sub from_client {
    my ($name, $frames, $end) = @_;

    my $uri = "/big/takes?$number";
    my $ws = $gate->open($uri);
    my @frames = @$frames;

    push @frames, f('close', pack 'n', 1000) if !$end && !closes(\@frames);

    $ws->send_raw(bytes(1, @frames));

    my $close = $ws->read_close();

    $ws->disconnect();

    my $service = $gate->ended($uri);
    my @got = $service ? @{ $service->{frames} } : ();
    my $last = $end ? pop @got : undef;

    my $want = arrived(\@frames, $end);
    my $got = show(@got);

    if ($end) {
        my $code = $end->[0];

        $want .= " closes $code $code $close->{closes} masked by gateway";
        $got .= sprintf ' closes %s %s 1 %s by %s', $close->{code} // 'none',
                $last && $last->{opcode} == 8
                    ? unpack('n', $last->{payload} . "\0\0") : 'none',
                (grep { !$_->{masked} } @{ $service->{frames} })
                    ? 'unmasked' : 'masked',
                $gate->log($uri)->{by} // '';
    } else {
        $want .= ' by client';
        $got .= ' by ' . ($gate->log($uri)->{by} // '');
    }

    is($got, $want, "client: $name");

    return;
}

sub from_service {
    my ($name, $frames, $end) = @_;

    my @frames = @$frames;

    push @frames, f('close', pack 'n', 1000) if !$end && !closes(\@frames);

    my $uri = '/big/sends?n=' . $number . '&from='
              . spew("case-$number", bytes(0, @frames));
    my $ws = $gate->open($uri);
    my @got;

    while (my $frame = $ws->read_frame()) {
        push @got, $frame;
        last if $frame->{opcode} == 8;
    }

    my $last = $end ? pop @got : undef;

    $ws->send_close(1000) if $end || $frames[-1]{opcode} == 8;

    my $close = $ws->read_close();

    $ws->disconnect();

    my $want = arrived(\@frames, $end);
    my $got = show(@got);

    if ($end) {
        my $code = $end->[0];
        my $service = $gate->ended($uri);
        my ($told) = grep { $_->{opcode} == 8 } @{ $service->{frames} };

        $want .= " closes $code $code by gateway";
        $got .= sprintf ' closes %s %s by %s',
                $last && $last->{opcode} == 8
                    ? unpack('n', $last->{payload} . "\0\0") : 'none',
                $told ? unpack('n', $told->{payload} . "\0\0") : 'none',
                $gate->log($uri)->{by} // '';
    } else {
        $want .= ' by upstream';
        $got .= ' by ' . ($gate->log($uri)->{by} // '');
    }

    $got .= ' ' . $close->{end};
    $want .= ' eof';

    is($got, $want, "service: $name");

    return;
}


# Text that comes in two segments, at each place: what is wrong is found at the
# byte that makes it so.  The service may have the beginning of the frame by
# then, and gets the end of its connection, but no more and no Close in it.

{
    my $cut = 0;

    # as many at a time as there are connections

    for (my $i = 0; $i < @bad; $i += 4) {
        $cut += two_segments(@bad[ $i .. ($i + 3 < $#bad ? $i + 3 : $#bad) ]);
        $gate->backend()->forget();
    }

    cmp_ok($cut, '>', 20, "$cut of these frames arrived in part");
}

sub two_segments {
    my (@texts) = @_;

    my (@open, @seen, @wrong);
    my $cut = 0;

    for my $bad (@texts) {
        my $frame = ws_frame('text', "ab${bad}cd", mask => 'KEYS');

        for my $at (1 .. length($frame) - 1) {
            my $uri = sprintf '/big/takes?%s-%d', unpack('H*', $bad), $at;
            my $ws = $gate->open($uri);

            $ws->send_raw(substr $frame, 0, $at);
            push @open, [ $uri, $ws, $frame, $at ];
        }
    }

    sleep 0.03;
    $_->[1]->send_raw(substr $_->[2], $_->[3]) for @open;

    for my $row (@open) {
        my ($uri, $ws) = @$row;
        my $frame = $ws->read_frame();

        push @seen, $uri if !$frame || $frame->{opcode} != 8
                            || unpack('n', $frame->{payload}) != 1007;
        $ws->send_close(1007);
    }

    for my $row (@open) {
        my ($uri, $ws, $frame) = @$row;

        $ws->disconnect();

        my $service = $gate->ended($uri) // { frames => [], notes => [] };
        my @frames = @{ $service->{frames} };
        my ($rest) = map { /rest (.*)/ ? pack 'H*', $1 : () }
                     @{ $service->{notes} };

        $rest //= 'nothing said';

        next if show(@frames) =~ /\A8:%03%ef/ && $rest eq '';

        # the beginning, unmasked as the guard's mask is the client's

        $cut++;
        push @wrong, $uri
            if @frames || $rest eq '' || length $rest >= length $frame
               || $rest ne substr $frame, 0, length $rest;
    }

    my $name = join ' ', map { unpack 'H*', $_ } @texts;

    is("@seen", '', scalar(@open) . " frames in two segments: $name");
    is("@wrong", '', 'none of them reaches the service as a whole');

    return $cut;
}

{
    my $text = join '', @good;
    my $ws = $gate->open('/big/echo?good');

    $ws->send_raw($ws->frame('text', $text), pause => 0.0005);
    is($ws->read_text(), $text, 'good text, byte by byte, from the client');

    $ws = $gate->open('/big/sends?pause=0.0005&hex='
                      . unpack 'H*', ws_frame('text', $text));
    is($ws->read_text(), $text, 'good text, byte by byte, from the service');
}

{
    my $ws = $gate->open('/big/sends?bad&pause=0.001&hex='
                         . unpack 'H*', ws_frame('text', "ab\xe2\x82(cd"));
    my $close = $ws->read_close();

    is($close->{code}, undef, 'bad text of a service that has gone to the '
       . 'client in part: no Close in the middle of it');
    is($close->{rest}, "\x81\x07ab\xe2\x82", 'the client has what was good');
    is($close->{end}, 'eof', 'and the end of its connection');

    my $service = $gate->ended('/big/sends?bad&pause=0.001&hex='
                               . '8107616' . '2e282286364');

    is(show(@{ $service->{frames} }), '8:%03%eftext is not UTF-8',
       'the service is told with 1007');
}


# Masks

{
    my $ws = $gate->open('/big/takes?mask');

    $ws->send_raw(ws_frame('text', 'masked', mask => "\0\0\0\0")
                  . ws_frame('text', 'not masked'));

    my $close = $ws->read_close();
    my $service = $gate->ended('/big/takes?mask');

    is($close->{code}, 1002, 'a frame of the client without a mask');
    is(show(@{ $service->{frames} }),
       '1:masked 8:%03%eaunmasked frame of a client',
       'does not reach the service');
}

{
    my $ws = $gate->open('/big/masked');
    my $close = $ws->read_close(undef, answer => 1);

    is($close->{code}, 1002, 'a frame of the service with a mask');
    is(show(@{ $close->{frames} }), '', 'does not reach the client');
}


$gate->finish();

done_testing();
