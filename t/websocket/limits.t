#!/usr/bin/perl

# Sizes and rates of a guard: what is at a limit passes, what is beyond it does
# not reach the other side; in one frame and in fragments, from both sides.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use Test::More;
use Time::HiRes qw( sleep time );

my $gate = NgxGatewayWebSocketGuard->new(
    http => 'gateway_websocket_max_message 2k;',
    locations => {
        small => 'gateway_websocket_max_message 100;',
        frame => 'gateway_websocket_max_message 1000; '
                 . 'gateway_websocket_max_frame 100;',
        wide => 'gateway_websocket_max_message 100; '
                . 'gateway_websocket_max_frame 1000;',
        above => 'gateway_websocket_max_frame 100;',
        default => 'gateway_websocket_max_message 64k;',
        vast => 'gateway_websocket_max_message 100m;',
        one => 'gateway_websocket_limit 1r/h;',
        three => 'gateway_websocket_limit 1r/h burst=3;',
        ten => 'gateway_websocket_limit 20r/s burst=2;',
    },
    server => <<'_EOC_',
        location /level/ {
            gateway_websocket_guard on;
            gateway_websocket_limit 1r/h burst=4;

            location /level/off/ {
                gateway_websocket_limit off;
%PROXY%            }

            location /level/on/ {
%PROXY%            }
        }
_EOC_
);

my $n = 0;

# The client sends bytes; { code, reason, service: what it saw }, or undef when
# the connection goes on.

sub sent {
    my ($uri, @messages) = @_;

    $uri .= '?' . $n++;

    my $ws = $gate->open($uri);

    $ws->send_raw(join '', @messages);
    $ws->send_text('end', compressed => 0);

    my @texts;

    while (my $message = $ws->read_message()) {
        last if $message->{payload} eq 'end';
        push @texts, $message->{payload};
    }

    if (!$ws->{held}) {
        $ws->send_close(1000);
        $ws->read_close();

        return { texts => \@texts };
    }

    my $close = $ws->read_close(undef, answer => 1);

    $ws->disconnect();

    return { %$close, texts => \@texts, service => $gate->ended($uri),
             log => $gate->log($uri) };
}

sub m1 {
    my ($text, @sizes) = @_;

    my $opcode = 'text';
    my $bytes = '';

    for my $size (@sizes) {
        $bytes .= ws_frame($opcode, substr($text, 0, $size, ''), fin => 0,
                           mask => ws_random(4));
        $opcode = 'cont';
    }

    return $bytes . ws_frame($opcode, $text, mask => ws_random(4));
}

sub passes {
    my ($name, $uri, @sizes) = @_;

    my $total = 0;

    $total += $_ for @sizes;
    pop @sizes;

    # echoed frame for frame

    my $got = sent($uri, m1('x' x $total, @sizes));

    is(length($got->{texts}[0] // ''), $total, "$name: passes");
    is($got->{code}, undef, "$name: and no Close");

    return;
}

sub too_big {
    my ($name, $uri, $reason, @sizes) = @_;

    my $total = 0;

    $total += $_ for @sizes;

    my $frames = @sizes - 1;

    pop @sizes;

    my $got = sent($uri, m1('x' x $total, @sizes));
    my @seen = @{ $got->{service}{frames} // [] };
    my $last = pop @seen;

    is(join(' ', $got->{code} // 'none', $got->{reason} // ''),
       "1009 $reason", "$name: closed");
    is(scalar(@seen), $frames, "$name: what was good arrives, no more");
    is(defined $last ? $last->{opcode} . unpack('n', $last->{payload} . '  ')
                     : 'nothing', '81009', "$name: the service is told");
    is("$got->{log}{close} $got->{log}{by}", '1009 gateway', "$name: log");

    # the same from the service

    $total = 'x' x $total;

    my $bytes = '';
    my $opcode = 'text';

    for my $size (@sizes) {
        $bytes .= ws_frame($opcode, substr($total, 0, $size, ''), fin => 0);
        $opcode = 'cont';
    }

    $bytes .= ws_frame($opcode, $total);

    if (length $bytes > 3000) {
        $bytes = substr $bytes, 0, 3000;
    }

    my $path = $uri =~ s/echo/raw/r . '?n=' . $n++ . '&hex='
               . unpack 'H*', $bytes;
    my $ws = $gate->open($path);
    my $close = $ws->read_close(undef, answer => 1);

    is(join(' ', $close->{code} // 'none', $close->{reason} // ''),
       "1009 $reason", "$name, of the service: closed");
    is(scalar @{ $close->{frames} }, $frames,
       "$name, of the service: what was good arrives, no more");
    $ws->disconnect();

    my $service = $gate->ended($path);
    my ($told) = grep { $_->{opcode} == 8 } @{ $service->{frames} };

    is($told ? unpack('n', $told->{payload}) : 'nothing', '1009',
       "$name, of the service: it is told");

    return;
}

my $frame = 'frame beyond gateway_websocket_max_frame';
my $message = 'message beyond gateway_websocket_max_message';

passes('a message of the limit', '/small/echo', 100);
too_big('a message beyond the limit', '/small/echo', $message, 101);
passes('fragments of the limit', '/small/echo', 50, 0, 49, 1);
too_big('fragments beyond the limit', '/small/echo', $message, 50, 50, 1);
too_big('a fragment beyond the limit', '/small/echo', $message, 50, 101);
passes('fragments of a frame each', '/frame/echo', (100) x 10);
too_big('a frame beyond the limit', '/frame/echo', $frame, 101);
too_big('a fragment beyond the frame limit', '/frame/echo', $frame, 100, 101);
too_big('many fragments', '/frame/echo', $message, (100) x 10, 1);
too_big('a limit of frames above that of messages', '/wide/echo', $message,
        101);
passes('an inherited limit', '/g/echo', 2048);
too_big('an inherited limit', '/g/echo', $message, 2049);
too_big('an inherited limit in fragments', '/g/echo', $message, 1024, 1025);
passes('an inherited limit, another of frames', '/above/echo', (100) x 20,
       48);
too_big('an inherited limit, another of frames', '/above/echo', $frame, 101);
passes('65536 bytes', '/default/echo', 65536);
too_big('65537 bytes', '/default/echo', $message, 65537);

{
    # each message counts by itself

    my $got = sent('/small/echo', map { m1('x' x 100, 50) } 1 .. 3);

    is(join(' ', map { length } @{ $got->{texts} }), '100 100 100',
       'each message counts by itself');

    # control frames do not

    $got = sent('/small/echo', ws_frame('text', 'x' x 50, fin => 0,
                                        mask => 'abcd'),
                ws_frame('ping', 'x' x 125, mask => 'abcd'),
                ws_frame('cont', 'y' x 50, mask => 'abcd'));
    is($got->{texts}[0], 'x' x 50 . 'y' x 50, 'control frames do not count');
}

# A large frame is refused at its header: none of its payload is waited for.

{
    my $ws = $gate->open('/small/echo?header');

    $ws->send_raw(ws_frame('binary', '', length => 1 << 40, mask => 'abcd'));

    my $close = $ws->read_close(undef, answer => 1);

    is($close->{code}, 1009, 'a frame of a terabyte is refused at its header');
    cmp_ok($close->{time}, '<', 5, 'at once');
}

# Its sender is listened to, so that it can read the Close, and not for ever.

{
    my $ws = $gate->open('/small/echo?flood', greedy => 0);

    $ws->send_raw(ws_frame('binary', 'x' x 3_000_000, mask => 'abcd'));

    my $close = $ws->read_close();

    is($close->{code}, 1009, 'a client that sends all of a large frame');
    is($close->{end}, 'eof', 'gets the Close, not a reset');
}

{
    my $size = 20_000_000;
    my $before = $gate->memory();
    my $ws = $gate->open('/vast/echo', timeout => 30);
    my $text = join '', map { chr(97 + $_ % 26) } 0 .. 999_999;

    $ws->send_binary($text x 20);

    my $got = $ws->read_message();

    ok($got->{payload} eq $text x 20, '20 MB there and back');

    SKIP: {
        skip 'the memory of a sanitizer', 1 if $gate->sanitized();
        cmp_ok($gate->memory() - $before, '<', 2000,
               'without memory for them');
    }
}


# Rates

# The messages that the service saw, and how it ended: those that it sent back
# may not be in time for the client.

sub rate {
    my ($uri, @frames) = @_;

    my $got = sent($uri, @frames);
    my @texts = $got->{service}
                ? map { $_->{opcode} < 8 ? $_->{payload} : () }
                      @{ $got->{service}{messages} }
                : @{ $got->{texts} };

    return join ' ', @texts,
                     defined $got->{code} ? "$got->{code} $got->{reason}" : ();
}

my @some = map { ws_frame('text', $_, mask => 'abcd') } 'a' .. 'z';
my $more = '1008 more messages than are allowed';

is(rate('/one/echo', @some[0, 1]), "a $more", 'one an hour');
is(rate('/three/echo', @some[ 0 .. 3 ]), "a b c $more", 'a burst of three');
is(rate('/three/echo', @some[ 0, 1 ]), 'a b', 'which are not more');
is(rate('/level/on/echo', @some[ 0 .. 4 ]), "a b c d $more", 'inherited');
is(rate('/level/off/echo', @some), join(' ', 'a' .. 'z'), 'off');
is(rate('/three/echo',
        ws_frame('text', 'a', fin => 0, mask => 'abcd'),
        map({ ws_frame('cont', $_, fin => 0, mask => 'abcd') } 'b' .. 'y'),
        ws_frame('cont', 'z', mask => 'abcd'), $some[0]),
   join('', 'a' .. 'z') . ' a', 'a message is one, in any number of fragments');
is(rate('/three/echo', map { ws_frame('ping', 'p', mask => 'abcd') } 1 .. 5),
   $more, 'pings are messages: a flood of them is one');

{
    my $got = sent('/three/echo', @some[ 0 .. 5 ]);
    my @seen = @{ $got->{service}{frames} };

    is(join(' ', map { $_->{payload} } @seen[ 0 .. 2 ]) . ' '
       . unpack('n', $seen[3]{payload}) . ' ' . @seen, 'a b c 1008 4',
       'no more than these reach the service, which is told');
    is(join(' ', @{ $got->{log} }{qw( close by in )}), '1008 gateway 3',
       'and are counted');
}

{
    # the service is not limited, nor are pongs for its pings

    my $ws = $gate->open('/one/messages?n=100&text=x');
    my @texts = map { $ws->read_text() } 1 .. 100;

    is(join('', @texts), 'x' x 100, 'messages of the service are not limited');

    $ws = $gate->open('/one/pings?n=20&pause=0.005&then=close');

    my $last = $ws->read_message();

    is(scalar @{ $ws->{control} }, 20, 'pongs for its pings neither');
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'until its end');
}

{
    # 20 a second: two at once, then one each 50 ms

    my $ws = $gate->open('/ten/echo?time');

    for my $i (1 .. 6) {
        $ws->send_text("$i");
        is($ws->read_text(), $i, "not faster than the rate: $i");
        sleep 0.07;
    }

    $ws->send_raw(join '', map { $ws->frame('text', $_) } 'a' .. 'd');

    my $close = $ws->read_close(undef, answer => 1);

    is($close->{code}, 1008, 'then it is too fast');
    $ws->disconnect();

    my $texts = join '', map { $_->{payload} }
                @{ $gate->ended('/ten/echo?time')->{messages} };

    like($texts, qr/\A123456ab?(?:\x03\xf0|\z)/, 'for the burst only');
}

$gate->finish();

done_testing();
