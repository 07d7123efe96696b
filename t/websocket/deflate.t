#!/usr/bin/perl

# permessage-deflate through a guard, RFC 7692: frames pass as they are, but
# what is in them is looked at: its size and, of a text, its characters.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use Test::More;
use Time::HiRes qw( sleep time );

my $gate = NgxGatewayWebSocketGuard->new(
    http => 'gateway_websocket_deflate on;',
    locations => {
        small => 'gateway_websocket_max_message 1000;',
        big => 'gateway_websocket_max_message 4m; proxy_buffer_size 512;',
        frame => 'gateway_websocket_max_frame 100;',
        off => 'gateway_websocket_deflate off;',
    },
    scripts => { map { ("/$_/sends" => \&sends, "/$_/takes" => \&takes) }
                 qw( g small big frame off ) },
);

my $dir = $gate->nginx()->path('');

# A service with deflate that sends the bytes of a file, or takes what comes,
# until a Close.

sub sends {
    my ($c) = @_;

    $c->handshake(extensions => 'permessage-deflate');

    open my $in, '<:raw', $c->arg('from') or die "$!\n";
    local $/ = undef;
    $c->send_raw(scalar <$in>);

    return until_close($c);
}

sub takes {
    my ($c) = @_;

    $c->handshake(extensions => 'permessage-deflate');

    return until_close($c);
}

sub until_close {
    my ($c) = @_;

    while (my $frame = $c->read_frame()) {
        $c->mind($frame);
        last if $c->{done};
    }

    return;
}

sub z {
    my ($text, %o) = @_;

    return { payload => ws_deflate($text), rsv => 4, %o };
}

sub raw {
    my ($hex, %o) = @_;

    return { payload => pack('H*', $hex), rsv => 4, %o };
}

sub bytes {
    my ($mask, @frames) = @_;

    return join '', map {
        my %o = (opcode => 'text', %$_);
        my ($opcode, $payload) = delete @o{qw( opcode payload )};

        ws_frame($opcode, $payload, $mask ? (mask => ws_random(4)) : (), %o);
    } @frames;
}

sub show {
    return join ' ', map {
        ws_opcode($_->{opcode}) . ($_->{rsv} ? "r$_->{rsv}" : '')
        . ($_->{fin} // 1 ? '' : '+') . ':' . unpack 'H*', $_->{payload}
    } map { { opcode => 'text', %$_ } } @_;
}

my $number = 0;

# The frames from both sides; all arrive, or CODE, when N have arrived.

sub both {
    my ($name, $at, $frames, $code, $n) = @_;

    my @frames = @$frames;
    my $want = show(@frames[ 0 .. ($code ? $n : @frames) - 1 ])
               . ' closes ' . ($code // 1000);

    push @frames, { opcode => 'close', payload => pack 'n', 1000 } if !$code;

    # of the client

    my $uri = "/$at/takes?" . ++$number;
    my $ws = $gate->open($uri, deflate => 1);

    $ws->send_raw(bytes(1, @frames));

    my $close = $ws->read_close(undef, answer => 1);

    $ws->disconnect();

    my @got = @{ $gate->ended($uri)->{frames} };
    my $last = pop @got;

    is(show(@got) . ' closes '
       . ($last && $last->{opcode} == 8 ? unpack 'n', $last->{payload}
                                        : 'none'),
       $want, "client: $name");
    is($close->{code}, $code // 1000, "client: $name: its own Close");

    # of the service

    my $file = "$dir/$number";

    open my $out, '>:raw', $file or die "$!\n";
    print $out bytes(0, @frames);
    close $out or die "$!\n";

    $uri = "/$at/sends?from=$file";
    $ws = $gate->open($uri, deflate => 1);
    $close = $ws->read_close(undef, answer => 1);
    $ws->disconnect();

    is(show(@{ $close->{frames} }) . ' closes ' . ($close->{code} // 'none'),
       $want, "service: $name");

    my ($told) = grep { $_->{opcode} == 8 }
                 @{ $gate->ended($uri)->{frames} };

    is($told ? unpack('n', $told->{payload}) : 'none', $code // 1000,
       "service: $name: its own Close");

    return;
}


# What is allowed

my $smile = "\xf0\x9f\x98\x80";
my $noise = do {
    my $state = 7;

    join '', map {
        $state = ($state * 1103515245 + 12345) & 0x7fffffff;
        chr($state >> 16 & 255);
    } 1 .. 65536;
};

both('a message', 'g', [ z('hello') ]);
both('several', 'g', [ map { z("message $_") } 1 .. 10 ]);
both('compressed and not', 'g',
     [ z('a'), { payload => 'b' }, z('c', opcode => 'binary'),
       { payload => 'd', opcode => 'binary' } ]);
both('an empty one, as 0x00', 'g', [ raw('00'), z('a') ]);
both('an empty one, as a block', 'g', [ raw('0200'), z('a') ]);
both('a final block', 'g', [ raw('f348cdc9c90700'), raw('f348cdc9c90700') ]);
both('a block that is final, and the empty one after it', 'g',
     [ raw('f348cdc9c9070000'), z('b') ]);
both('a block that is not compressed', 'g',
     [ raw('000500faff48656c6c6f00') ]);
both('two blocks', 'g', [ raw('f24805000000ffffcac9c90700') ]);
both('a window of an earlier message', 'g',
     [ raw('f248cdc9c90700'), raw('f200110000') ]);

{
    my $long = ws_deflate(join ' ', 1 .. 1000);
    my $payload = sub { substr $long, $_[0], $_[1] // length $long };

    both('fragments', 'g', [
        { payload => $payload->(0, 10), rsv => 4, fin => 0 },
        { opcode => 'ping', payload => 'x' },
        { opcode => 'cont', payload => '', fin => 0 },
        { opcode => 'cont', payload => $payload->(10, 1), fin => 0 },
        { opcode => 'cont', payload => $payload->(11) },
        z('another'),
    ]);
    both('a fragment for each byte', 'big', [
        { payload => $payload->(0, 1), rsv => 4, fin => 0 },
        map({ { opcode => 'cont', payload => $payload->($_, 1), fin => 0 } }
            1 .. length($long) - 1),
        { opcode => 'cont', payload => '' },
    ]);
    both('the first fragment is empty', 'g', [
        { payload => '', rsv => 4, fin => 0 },
        { opcode => 'cont', payload => $long },
    ]);
}

both('characters', 'g', [ z("a${smile}h\xc3\xa4"), z($smile x 500) ]);
both('bytes that are no characters', 'g',
     [ z("\xff\xc3", opcode => 'binary') ]);


# What is not

both('RSV1 in a continuation', 'g',
     [ z('a', fin => 0), z('b', opcode => 'cont') ], 1002, 1);
both('RSV1 in a ping', 'g', [ z('a', opcode => 'ping') ], 1002, 0);
both('RSV2', 'g', [ z('a'), { payload => 'a', rsv => 2 } ], 1002, 1);
both('RSV1 and RSV3', 'g', [ z('a', rsv => 5) ], 1002, 0);
both('nothing to inflate', 'g', [ z('a'), { payload => '', rsv => 4 } ],
     1007, 1);
both('a block of a reserved kind', 'g', [ z('a'), raw('ffffff') ], 1007, 1);
both('a length that is not that of a block', 'g',
     [ raw('000500000048656c6c6f00') ], 1007, 0);
both('text that was not compressed', 'g', [ raw('48656c6c6f20776f726c64') ],
     1007, 0);
both('a message that is not whole', 'g',
     [ { payload => substr(ws_deflate('hello world'), 0, 6), rsv => 4 },
       z('b') ], 1007, 0);
for my $bad ("\xff", "a\xc3", "\xed\xa0\x80", "$smile\x80", "\xf0\x9f\x98") {
    both('bad text ' . unpack('H*', $bad), 'g', [ z('a'), z($bad), z('b') ],
         1007, 1);
}

both('a character over messages', 'g', [ z("\xc3"), z("\xa4") ], 1007, 0);


# Sizes, of what is inflated

both('a message of the limit', 'small', [ z('x' x 1000), z('y' x 1000) ]);
both('one beyond it', 'small', [ z('x' x 1000), z('y' x 1001), z('z') ],
     1009, 1);
both('one beyond it that is not compressed', 'small',
     [ z('x'), { payload => 'y' x 1001 } ], 1009, 1);
both('noise of the limit', 'g', [ z($noise, opcode => 'binary') ]);
both('a frame beyond max_frame', 'frame',
     [ z(substr($noise, 0, 90), opcode => 'binary'),
       z(substr($noise, 0, 200), opcode => 'binary') ], 1009, 1);
both('a small frame of a large message', 'frame', [ z('x' x 60000) ]);

{
    # 64 MB in 64 KB; one byte beyond the limit is enough

    my $bomb = ws_deflate("\0" x (64 << 20));
    my $before = $gate->memory();
    my $start = time;

    for my $at (qw( g small big )) {
        my $uri = "/$at/takes?bomb";
        my $ws = $gate->open($uri, deflate => 1);

        $ws->send_raw(ws_frame('binary', $bomb, rsv => 4, mask => 'abcd'));

        my $frame = $ws->read_frame();

        is($frame ? $frame->{opcode} . unpack('n', $frame->{payload}) : 'none',
           '81009', "a bomb of the client: $at");
        $ws->send_close(1009);
        $ws->disconnect();

        my $service = $gate->ended($uri);

        is(scalar(grep { $_->{opcode} != 8 } @{ $service->{frames} }), 0,
           'does not reach the service as a whole');

        open my $out, '>:raw', "$dir/bomb" or die "$!\n";
        print $out ws_frame('binary', $bomb, rsv => 4);
        close $out or die "$!\n";

        $ws = $gate->open("/$at/sends?from=$dir/bomb", deflate => 1);

        my $close = $ws->read_close(undef, answer => 1);

        is(scalar @{ $close->{frames} }, 0, "a bomb of the service: $at");
        ok(!defined $close->{code} || $close->{code} == 1009,
           'nor the client');

        my ($told) = grep { $_->{opcode} == 8 }
                     @{ $gate->ended("/$at/sends?from=$dir/bomb")
                             ->{frames} };

        is($told ? unpack('n', $told->{payload}) : 'none', 1009,
           'the service is told');
    }

    SKIP: {
        skip 'the memory of a sanitizer', 1 if $gate->sanitized();
        cmp_ok($gate->memory() - $before, '<', 3000, 'in little memory');
    }
}


# Conversations with what can be agreed on: contexts are kept or forgotten,
# windows are small

for my $offer ('permessage-deflate',
               'permessage-deflate; client_no_context_takeover',
               'permessage-deflate; server_no_context_takeover; '
               . 'client_no_context_takeover',
               'permessage-deflate; server_max_window_bits=9; '
               . 'client_max_window_bits=9',
               'permessage-deflate; client_max_window_bits; '
               . 'server_max_window_bits=15')
{
    my $parameters = $offer =~ s/^permessage-deflate(?:; )?//r;

    $parameters =~ s/client_max_window_bits(?!=)/client_max_window_bits=10/;

    my $uri = '/big/echo?deflate=1'
              . ($parameters ne ''
                 ? '&parameters=' . $parameters =~ s/ /%20/gr : '');
    my $ws = $gate->open($uri, deflate => $offer);

    like($ws->header('Sec-WebSocket-Extensions') // '',
         qr/^permessage-deflate/, $offer);

    my $wrong = 0;
    my $text = join ' ', map { "word $_" } 1 .. 3000;

    for my $i (0 .. 40) {
        my $message = $i % 7 == 3 ? ''
                      : $i % 5 == 4 ? $text
                      : substr $text, $i * 100, 50 + $i * 40;

        $ws->send_text($message, fragments => 1 + $i % 3,
                       compressed => $i % 6 == 5 ? 0 : 1);

        my $got = $ws->read_message();

        $wrong++ if !$got || $got->{payload} ne $message
                    || !$got->{compressed};
    }

    is($wrong, 0, 'forty messages and back');
    $ws->send_raw($ws->message('text', "last $text"), step => 200);
    is($ws->read_text(), "last $text", 'one in pieces');
    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, 'and its end');
}

{
    # a service that does not want it, a client that does not, a gateway that
    # does not

    my $ws = $gate->open('/g/echo', deflate => 1);

    is($ws->header('Sec-WebSocket-Extensions'), undef, 'not agreed on');
    $ws->send_text('plain');
    is($ws->read_text(), 'plain', 'goes on without');
    $ws->send_raw(bytes(1, z('a')));
    is($ws->read_close(undef, answer => 1)->{code}, 1002, 'RSV1 is wrong');

    $ws = $gate->open('/off/echo?deflate=1', deflate => 1);
    is($ws->header('Sec-WebSocket-Extensions'), undef,
       'gateway_websocket_deflate off');
    $ws->send_raw(bytes(1, z('a')));
    is($ws->read_close(undef, answer => 1)->{code}, 1002, 'RSV1 is wrong');
    is($gate->try('/off/takes', deflate => 1)->status(), 502,
       'a service that agrees to what it was not offered');
}

$gate->finish();

done_testing();
