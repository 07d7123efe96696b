#!/usr/bin/perl

# The times of a guard: pings and who does not answer them, idle_timeout,
# max_age, expires, and those of nginx's proxy.  What takes time is begun for
# all, and then looked at.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayJWT;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use Test::More;
use Time::HiRes qw( sleep time );

# seconds that a sanitizer, or a busy machine, may add; nothing else would end
# these connections soon

my $slack = 5;

# "auto/build" can build one module alone

my $modules = $ENV{TEST_NGINX_LOAD_MODULES} // '';
my $limit = $modules eq '' || $modules =~ /gateway_jwt.*gateway_limit/s;

my $gate = NgxGatewayWebSocketGuard->new(
    http => $limit ? <<'_EOC_' : '',
    gateway_jwt_issuer corp {
        issuer   https://id.example.com;
        audience api;
        key_file %DIR%/keys;
    }

    gateway_limit_zone $gateway_jwt_claim_sub zone=handshakes:1m
                       rate=2r/h burst=2;
_EOC_
    locations => {
        ping => 'gateway_websocket_ping 200ms;',
        pingslow => 'gateway_websocket_ping 200ms; '
                    . 'gateway_websocket_max_message 100m;',
        quiet => 'gateway_websocket_ping off; proxy_read_timeout 400ms;',
        alive => 'gateway_websocket_ping 150ms; proxy_read_timeout 400ms;',
        reads => 'gateway_websocket_ping off; proxy_read_timeout 400ms; '
                 . 'gateway_websocket_max_message 100m;',
        sends => 'gateway_websocket_ping off; proxy_send_timeout 400ms; '
                 . 'gateway_websocket_max_message 100m;',
        takes => 'gateway_websocket_ping off; send_timeout 400ms; '
                 . 'gateway_websocket_max_message 100m;',
        idle => 'gateway_websocket_idle_timeout 400ms; '
                . 'gateway_websocket_ping 300ms;',
        never => 'gateway_websocket_idle_timeout off;',
        age => 'gateway_websocket_max_age 400ms;',
        expires => 'gateway_websocket_expires $arg_until;',
        level => 'gateway_websocket_expires "";',
        both => 'gateway_websocket_max_age 10s; gateway_websocket_expires '
                . '$arg_until;',
        $limit ? (jwt => <<'_EOC_') : (),
            gateway_jwt "api" issuer=corp;
            gateway_limit zone=handshakes after_auth;
            gateway_websocket_expires $gateway_jwt_claim_exp;
_EOC_
    },
    start => 0,
);

$gate->nginx()->write_file('keys', jwks('rsa'));
$gate->nginx()->start();

sub in {
    my ($seconds) = @_;

    return sprintf '%.3f', time + $seconds;
}

# Reads until a Close, which is answered: "CODE REASON by WHO".  The time is the
# one at which the service was told.

sub closed {
    my ($row) = @_;

    my ($ws, $uri, $start) = @$row{qw( ws uri start )};
    my $close = $ws->read_close(undef, answer => 1);

    $ws->disconnect();
    $row->{frames} = $close->{frames};

    my $service = $gate->ended($uri) // { frames => [] };
    my ($told) = grep { $_->{opcode} == 8 } @{ $service->{frames} };

    $row->{told} = $told ? unpack 'n', $told->{payload} . '  ' : 'nothing';
    $row->{time} = ($told ? $told->{time} : $service->{ended} // time)
                   - $start;

    my $log = $gate->log($uri);

    return join ' ', $close->{code} // 'none', $close->{reason} // '',
                     'by', $log->{by} // 'nobody';
}

sub between {
    my ($row, $from, $to, $name) = @_;

    cmp_ok($row->{time}, '>=', $from, "$name: not before $from s");
    cmp_ok($row->{time}, '<', $to + $slack, "$name: within $to s");

    return;
}

# All at once, since all wait

my %row = (
    age => $gate->begin('/age/echo'),
    idle => $gate->begin('/idle/silent'),
    quiet => $gate->begin('/quiet/silent'),
    both => $gate->begin_until('/both/echo', 0.5),
    fraction => $gate->begin_until('/expires/echo', 0.4),
    late => $gate->begin('/expires/echo?until=' . in(3600)),
    far => $gate->begin('/expires/echo?until=99999999999'),
    empty => $gate->begin('/expires/echo?until='),
    level => $gate->begin('/level/echo'),
    never => $gate->begin('/never/silent'),
    deafclient => $gate->begin('/ping/silent'),
    deafservice => $gate->begin('/ping/deaf'),
);

is(closed($row{fraction}), '1008 time has run out by gateway',
   'expires, with a fraction');
between($row{fraction}, 0.35, 0.4, 'expires');
is($row{fraction}{told}, 1008, 'the service is told');

is(closed($row{age}), '1001 open for too long by gateway', 'max_age');
between($row{age}, 0.4, 0.4, 'max_age');
is($row{age}{told}, 1001, 'the service is told');

my $idle = closed($row{idle});

attempts(sub {
    return 1 if $idle =~ /messages/;

    $row{idle} = $gate->begin("/idle/silent?$_[0]");
    $idle = closed($row{idle});
    return 0;
});

is($idle, '1001 no messages by gateway', 'idle_timeout, in spite of pings');
between($row{idle}, 0.4, 0.4, 'idle_timeout');
is($row{idle}{told}, 1001, 'the service is told');

is(closed($row{quiet}), '1001 service is silent by gateway',
   'proxy_read_timeout without pings');
between($row{quiet}, 0.4, 0.4, 'proxy_read_timeout');
is($row{quiet}{told}, 1001, 'the service is told');

is(closed($row{both}), '1008 time has run out by gateway',
   'expires before max_age');

is(closed($row{deafclient}), '1001 no answer to a ping by gateway',
   'a client that does not answer pings');
between($row{deafclient}, 0.4, 0.4, 'two pings');
is(join(' ', map { $_->{opcode} } @{ $row{deafclient}{frames} }), 9,
   'one ping');
is($row{deafclient}{told}, 1001, 'the service is told');

{
    # this one answers

    my $ws = $row{deafservice}{ws};

    is($ws->read_message(), undef, 'a service that does not answer pings');
    $ws->send_close(1001);
}

# Both sides answer: it stays for as long as one likes

{
    my ($row, $alive, $ws, $close, $pinged);

    attempts(sub {
        $row = $gate->begin("/ping/silent?pinged$_[0]");
        $alive = $gate->begin('/alive/silent');
        $ws = $row->{ws};

        while (time < $row->{start} + 0.9) {
            $_->{ws}->read_message(0.02) for $row, $alive;
        }

        # what a pong has to be swallowed for

        $ws->send_pong('my own');
        $ws->send_text('still there');
        $ws->send_close(1000);
        $close = $ws->read_close()->{code} // 'none';

        $alive->{ws}->send_close(1000);
        $alive->{close} = $alive->{ws}->read_close()->{code} // 'none';

        $pinged = grep { $_->{opcode} == 9 }
                  @{ ($gate->ended($row->{uri}) // {})->{frames} };

        return "$close $alive->{close}" eq '1000 1000' && $pinged >= 3
               && @{ $ws->{control} } >= 3;
    });

    cmp_ok(scalar @{ $ws->{control} }, '>=', 3, 'pings go on');
    is(join(' ', map { $_->{opcode} } @{ $ws->{control} }),
       join(' ', (9) x @{ $ws->{control} }), 'nothing but pings');
    is($close, 1000, 'the connection was still there');

    my $service = $gate->ended($row->{uri});

    is(join(' ', map { "$_->{opcode}:$_->{payload}" }
                 grep { $_->{opcode} != 9 } @{ $service->{frames} }),
       "10:my own 1:still there 8:\x03\xe8",
       "pongs for the gateway's pings are not passed on, others are");
    cmp_ok($pinged, '>=', 3, 'the service was pinged');
    is($alive->{close}, 1000,
       'pings keep a service alive that is silent for longer than '
       . 'proxy_read_timeout');
}

for my $name (qw( late far empty level never )) {
    my $ws = $row{$name}{ws};

    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, "$name: still open");
}


# Pings wait for the end of a frame; who has not been pinged is not lost

{
    my ($close, $texts);

    attempts(sub {
        my $uri = "/pingslow/silent?slow$_[0]";
        my $ws = $gate->open($uri);
        my $frame = $ws->frame('text', 'x' x 100);

        # 106 bytes; the client answers its own pings meanwhile, after it

        for my $i (0 .. 10) {
            $ws->send_raw(substr $frame, $i * 10, 10);
            sleep 0.07;
        }

        $ws->read_message(0.05);
        $ws->send_raw($ws->frame('text', 'after'));
        $ws->send_close(1000);
        $close = $ws->read_close()->{code} // 'none';
        $ws->disconnect();
        $texts = join ' ', map { $_->{payload} } grep { $_->{opcode} == 1 }
                 @{ ($gate->ended($uri) // {})->{frames} };

        return $close eq '1000';
    });

    is($close, 1000, 'a frame that takes longer than two pings');
    is($texts, 'x' x 100 . ' after', 'arrives as it was');
}

# A ping that waits for the end of a frame is not waited for when there will be
# none

{
    my ($ended, $took);

    attempts(sub {
        my $row = $gate->begin("/ping/silent?half$_[0]");
        my $ws = $row->{ws};

        $ws->send_raw(substr $ws->frame('text', 'x' x 100), 0, 50);
        $ws->read_message(0.32);
        $ws->disconnect();

        my $start = time;

        $ended = $gate->ended($row->{uri}, 5);
        $took = time - $start;

        return $took < 1.5;
    });

    ok($ended, 'half a frame, a ping, and no client');
    cmp_ok($took, '<', 1.5, 'is over at once');
}

# Data is as good as a pong, and who was silent then is pinged anew

{
    my ($row, @opcodes, $closed);

    attempts(sub {
        $row = $gate->begin("/ping/silent?data$_[0]");

        my $ws = $row->{ws};

        $ws->{deaf} = 1;
        @opcodes = ($ws->read_frame());
        $ws->send_text('here I am');
        $row->{start} = time;
        push @opcodes, $ws->read_frame();
        @opcodes = map { $_ ? $_->{opcode} : 'none' } @opcodes;
        $closed = closed($row);

        return "@opcodes" eq '9 9';
    });

    is($opcodes[0], 9, 'a ping');
    is($opcodes[1], 9, 'and after data another');
    is($closed, '1001 no answer to a ping by gateway',
       'which was not answered');
    between($row, 0.35, 0.45, 'from the data on');
}


# A pong that comes late is one all the same

{
    my $opcodes;

    attempts(sub {
        my $row = $gate->begin("/ping/silent?late$_[0]");
        my $ws = $row->{ws};
        my $ping = $ws->read_frame();
        my $start = time;

        $ws->send_text('data');
        sleep 0.05;
        $ws->send_pong($ping->{payload});
        $ws->send_close(1000);
        $ws->read_close();
        $ws->disconnect();
        $opcodes = join ' ', map { $_->{opcode} } grep { $_->{opcode} != 9 }
                   @{ ($gate->ended($row->{uri}) // {})->{frames} };

        return $opcodes eq '1 8' || time - $start < 0.15;
    });

    is($opcodes, '1 8', 'a pong after data is not passed on either');
}

# Who is not read is not silent

{
    my ($row, $text);

    attempts(sub {
        $row = $gate->begin("/reads/huge?size=30000000&then=silent&n=$_[0]",
                            rcvbuf => 4096);

        # there is more than all buffers hold: the service waits

        sleep 0.8;
        $text = $row->{ws}->read_text(20);

        return defined $text;
    });

    is(length($text // ''), 30_000_000,
       'a client that pauses for longer than proxy_read_timeout');
    $row->{start} = time;
    is(closed($row), '1001 service is silent by gateway',
       'a service that is silent from then on');
    # the gateway has seen the last of it a while before

    cmp_ok($row->{time}, '<', 0.4 + $slack, 'proxy_read_timeout');
}

# Who does not read is closed

{
    my $row = $gate->begin('/takes/huge?size=30000000&then=deaf',
                           rcvbuf => 4096);
    my $ws = $row->{ws};

    ok($gate->ended($row->{uri}, 10),
       'a client that does not read: send_timeout');
    $row->{time} = time - $row->{start};
    between($row, 0.4, 0.6, 'send_timeout');
    $ws->disconnect();

    my $log = $gate->log($row->{uri});

    is("$log->{close} $log->{by}", '1006 gateway', 'in the log');
}

{
    my $row = $gate->begin('/sends/stall', timeout => 3);
    my $ws = $row->{ws};
    my $text = 'x' x 30_000_000;

    $ws->send_text($text);

    $ws->read_close(3);
    $row->{time} = time - $row->{start};
    between($row, 0.4, 1.5, 'a service that does not read: proxy_send_timeout');
    $ws->disconnect();

    my $log = $gate->log($row->{uri});

    is("$log->{close} $log->{by}", '1006 gateway', 'in the log');
}


# expires

{
    for my $value ('0', '1', '1700000000', '1700000000.5', in(-0.01)) {
        my $ws = $gate->try("/expires/echo?until=$value");

        is($ws->status(), 403, "expires in the past: $value");
        like($ws->body(), qr/"detail":"The time of this connection has run/,
             'says so');
    }

    my @values = ('1,5', qw( a 1x -1 +1 1. .5 1.5.5 0x10 null 1.7e9
                             99999999999999999999999 %20 ));

    for my $value (@values) {
        my $ws = $gate->try("/expires/echo?until=$value");

        is($ws->status(), 500, "expires that is not a time: $value");
        like($ws->body(), qr/"detail":"The end of the connection could not/,
             'says so');
    }

    my @lines = $gate->nginx()->error_log()
                =~ /\[error\].*_expires" is not a unix time: "([^"]*)"/g;

    is("@lines", "@values", 'and so does the log');
    is($gate->try('/expires/http?until=a',
                  headers => [ Upgrade => undef ])->status(), 200,
       'only handshakes have an end');
}


# A token's end is the connection's

SKIP: {
    skip 'the modules jwt and limit', 7 if !$limit;

    my ($row, $wait, @statuses);

    attempts(sub {
        my $exp = in(0.8);
        my $token = jwt({ exp => \"$exp", sub => "a$_[0]" }, key => 'rsa');
        my @headers = (headers => [ Authorization => "Bearer $token" ]);

        $row = eval { $gate->begin("/jwt/echo?1$_[0]", @headers) } // return 0;
        $row->{start} = time;
        $wait = $exp - $row->{start};
        $row->{ws}->send_text('a');
        $row->{text} = $row->{ws}->read_text();
        @statuses = map { $_->status() } $gate->try('/jwt/echo'),
                    map { $gate->try("/jwt/echo?$_", @headers) } 2, 3;

        return time < $exp;
    });

    is($row->{text}, 'a', 'a handshake with a token');
    is($statuses[0], 401, 'one without');
    is($statuses[1], 101, 'a second');
    is($statuses[2], 429, 'too many');
    is(closed($row), '1008 time has run out by gateway',
       'closed when the token expires');
    between($row, $wait - 0.1, $wait, 'in time');
}

# The service that did not answer has not even closed

{
    my $ws = $row{deafservice}{ws};

    is(closed($row{deafservice}), '1001 no answer to a ping by gateway',
       'closed');
    between($row{deafservice}, 0.4, 0.5, 'two pings');
    cmp_ok(scalar @{ $ws->{control} }, '>=', 1, 'the client was pinged, too');
    is(length $_->{payload}, 8, 'with 8 bytes') for $ws->{control}[0];

    my $service = $gate->ended($row{deafservice}{uri}, 4);

    is(join(' ', map { $_->{payload} } grep { $_->{opcode} == 10 }
                 @{ $service->{frames} }), '', 'its pongs are not passed on');
}

$gate->finish();

done_testing();
