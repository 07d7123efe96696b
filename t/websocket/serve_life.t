#!/usr/bin/perl

# How long the WebSockets live that an HTTP service answers: pings, times and
# rates; clients that do not read; and the memory of all that.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayServeNginx;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

# seconds that a sanitizer, or a busy machine, may add; nothing else would end
# these connections soon

my $slack = 5;

my $gate = NgxGatewayServeNginx->new(
    http => 'gateway_websocket_max_reply 20m;',
    locations => {
        ping => 'gateway_websocket_ping 100ms;',
        quiet => 'gateway_websocket_ping off;',
        idle => 'gateway_websocket_idle_timeout 250ms; '
                . 'gateway_websocket_ping 100ms;',
        never => 'gateway_websocket_idle_timeout off;',
        age => 'gateway_websocket_max_age 250ms;',
        expires => 'gateway_websocket_expires $arg_until;',
        both => 'gateway_websocket_max_age 10s; gateway_websocket_expires '
                . '$arg_until;',
        one => 'gateway_websocket_limit 1r/h;',
        three => 'gateway_websocket_limit 1r/h burst=3;',
        rate => 'gateway_websocket_limit 20r/s burst=2;',
        takes => 'gateway_websocket_send_timeout 250ms; '
                 . 'gateway_websocket_disconnect /service/takes?told;',
        crowd => 'gateway_websocket_concurrency 400; '
                 . 'gateway_websocket_max_queue 400;',
        static => 'gateway_websocket_serve /to/static;',
        parallel => 'gateway_websocket_serve /to/static; '
                    . 'gateway_websocket_concurrency 20;',
    },
    server => <<'_EOC_',
        location = /to/static {
            internal;
            return 200 "an answer";
        }
_EOC_
);

my $service = $gate->service();

sub in {
    my ($seconds) = @_;

    return sprintf '%.3f', time + $seconds;
}

sub closed_is {
    my ($row, $want, $from, $name) = @_;

    my $got = $gate->closes($row->{ws});
    my $time = time - $row->{start};

    is($got, $want, $name);
    cmp_ok($time, '>=', $from - 0.02, "$name: not before $from s");
    cmp_ok($time, '<', $from + $slack, "$name: in time");

    my $log = $gate->log($row->{uri});

    is("$log->{status} $log->{close} $log->{by}",
       '101 ' . ($want =~ /(\d+)/)[0] . ' gateway', "$name: log");

    return;
}


# All at once, since all wait

my %row = (
    age => $gate->begin('/age'),
    idle => $gate->begin('/idle?'),
    talk => $gate->begin('/idle?talk'),
    both => $gate->begin_until('/both', 0.3),
    expires => $gate->begin_until('/expires', 0.3),
    late => $gate->begin('/expires?until=' . in(3600)),
    empty => $gate->begin('/expires?until='),
    never => $gate->begin('/never'),
    quiet => $gate->begin('/quiet'),
    deaf => $gate->begin('/ping'),
    alive => $gate->begin('/ping?alive'),
    held => $gate->begin('/ping?held'),
);

$row{held}{ws}->send_text('!hold=h');

# An answer to 'still', and then to a Close.

sub still {
    my ($ws) = @_;

    $ws->send_text('still');

    my $text = $ws->read_text();

    $text = $ws->read_text() while ($text // '') eq 'talk';
    $ws->send_close(1000);

    return { text => $text, close => $ws->read_close()->{code} };
}

# Those who answer pings, or send something, stay; all three begin anew where
# one could not, since the machine has paused.

my %still;

attempts(sub {
    my ($try) = @_;

    if ($try > 1) {
        $row{$_} = $gate->begin("$row{$_}{uri}&again")
            for qw( alive held talk );
        $row{held}{ws}->send_text('!hold=h');
    }

    my $end = time + 0.5;
    my $next = 0;

    while (time < $end) {
        $row{$_}{ws}->read_message(0.01) for qw( alive held idle talk );

        if (time > $next) {
            $row{talk}{ws}->send_text('talk');
            $next = time + 0.08;
        }
    }

    $still{$_} = still($row{$_}{ws}) for qw( talk alive );
    $service->release('h');
    $still{held} = { text => $row{held}{ws}->read_text() };

    return ($still{held}{text} // '') eq '!hold=h'
           && !(grep { ($still{$_}{close} // 0) != 1000 } qw( talk alive ))
           && !(grep { @{ $row{$_}{ws}{control} } < 3 } qw( alive held ));
});

# one that is pinged as well

attempts(sub {
    my $ws = $row{idle}{ws};

    $ws->read_message(2);
    return 1 if !$ws->{held} || substr($ws->{held}{payload}, 2) !~ /ping/;

    $row{idle} = $gate->begin("$row{idle}{uri}&again");
    return 0;
});

closed_is($row{deaf}, '1001 no answer to a ping', 0.2, 'ping');
closed_is($row{age}, '1001 open for too long', 0.25, 'max_age');
closed_is($row{idle}, '1001 no messages', 0.25, 'idle_timeout');
closed_is($row{expires}, '1008 time has run out', 0.3, 'expires');
closed_is($row{both}, '1008 time has run out', 0.3, 'expires and max_age');

for my $name (qw( alive held )) {
    my $ws = $row{$name}{ws};

    cmp_ok(scalar @{ $ws->{control} }, '>=', 3, "$name: pings go on");
    is(join(' ', map { $_->{opcode} } grep { $_->{opcode} != 9 }
                 @{ $ws->{control} }), '', "$name: nothing but pings");
}

is($still{held}{text}, '!hold=h', 'the answer that was waited for');

for my $name (qw( alive talk late empty never quiet )) {
    my $still = $still{$name} // still($row{$name}{ws});

    is($still->{text}, 'still', "$name: still open");
    is($still->{close}, 1000, "$name: a Close");
}

is(join(' ', map { $_->{opcode} } @{ $row{quiet}{ws}{control} }), '',
   'ping off: none');
is(join(' ', grep { !/\A(?:still|!hold=h)\z/ }
             map { $_->{body} } $service->requests('/ping')), '',
   'the service sees no pings');


# Rates

{
    my $ws = $gate->open('/three?1');

    $ws->send_text($_) for 'a' .. 'c';
    is($ws->read_text(), $_, "burst: $_") for 'a' .. 'c';
    $ws->send_text('d');
    is($gate->closes($ws), '1008 more messages than are allowed',
       'one too many');
    is(join('', map { $_->{body} } $service->requests('/three?1')), 'abc',
       'which the service does not see');

    $ws = $gate->open('/three?2');
    $ws->send_raw(join '', map { ws_frame('ping', 'p', mask => 'abcd') }
                           1 .. 5);
    is($gate->closes($ws), '1008 more messages than are allowed',
       'pings are messages');

    $ws = $gate->open('/one');
    $ws->send_text('abc', fragments => 3);
    is($ws->read_text(), 'abc', 'a message in fragments is one');

    $ws = $gate->open('/rate');

    for my $i (qw( 1 2 3 4 5 )) {
        $ws->send_text($i);
        is($ws->read_text(), $i, "not faster than the rate: $i");
        sleep 0.06;
    }

    $ws->send_raw(join '', map { $ws->frame('text', $_) } 'a' .. 'd');
    like($gate->closes($ws), qr/^1008/, 'then it is too fast');
}


# Clients that do not read

{
    my $ws = $gate->open('/takes?size=15000000&type=text/plain&only=message',
                         rcvbuf => 4096);
    my $start = time;

    $ws->send_text('a');
    is($service->waited('/takes?told', 1), 1,
       'a client that does not read is gone');
    cmp_ok(time - $start, '>=', 0.25, 'after gateway_websocket_send_timeout');
    cmp_ok(time - $start, '<', 0.4 + $slack, 'in time');
    is($service->header($service->last('/takes?told'), 'Gateway-Close'),
       '1006', 'without a Close');

    my $log = $gate->log('/takes?size=15000000&type=text/plain&only=message');

    is("$log->{close} $log->{by}", '1006 gateway', 'in the log');
}

{
    # one that reads slowly, but reads, is none of these; a pause of the
    # machine makes it one

    my $uri = '/takes?type=text/plain&size=8000000&only=message';
    my $got = 0;

    for (1 .. 5) {
        my $ws = $gate->open($uri, rcvbuf => 65536, chunk => 1_000_000);

        $ws->send_text('a');

        for my $i (1 .. 4) {
            sleep 0.12;
            $ws->_fill(time + 1) while !$ws->{ended}
                                       && length $ws->{in} < $i * 1_900_000;
        }

        $got = length($ws->read_text() // '');
        last if $got == 8_000_000;
    }

    is($got, 8_000_000, 'a client that reads slowly');
}

{
    # answers that are not read hold up what is asked next

    my $ws = $gate->open('/echo?unread', rcvbuf => 4096, greedy => 0);
    my $before = $gate->memory();

    $ws->send_raw($ws->frame('text', '!type=text/plain&size=200000') x 120);
    sleep 0.3;

    my @asked = $service->requests('/echo?unread');

    cmp_ok(scalar(@asked), '<', 90,
           'messages of a client that does not read: ' . @asked . ' asked');

    SKIP: {
        skip 'the memory of a sanitizer', 1 if $gate->sanitized();

        # sixteen and some more that wait

        cmp_ok($gate->memory() - $before, '<', 6000,
               'and not kept without end');
    }

    my $all = 0;

    for (1 .. 120) {
        $all += length($ws->read_text() // last);
    }

    is($all, 24_000_000, 'all are answered when it reads');
}


# Memory

sub ask {
    my ($ws, $count, $message, $at_once) = @_;

    my $frame = $ws->frame('text', $message);
    my $got = 0;

    while ($count > 0) {
        $ws->send_raw($frame x $at_once);

        for (1 .. $at_once) {
            defined $ws->read_text() or return $got;
            $got++;
        }

        $count -= $at_once;
    }

    return $got;
}

SKIP: {
    skip 'the memory of a sanitizer', 10 if $gate->sanitized();

    for my $row ([ '/static', 5_000, 15_000, 250, 'a' ],
                 [ '/parallel', 2_000, 6_000, 250, '{"a":"message"}' ],
                 [ '/echo?n=state', 1_000, 2_000, 100,
                   '!state=a=1&state=b=&state=b=22&groups=' ],
                 [ '/echo?errors', 1_000, 2_000, 100, '!status=404' ])
    {
        my ($uri, $first, $then, $at_once, $message) = @$row;
        my $ws = $gate->open($uri);

        is(ask($ws, $first, $message, $at_once), $first,
           "$first messages on $uri");

        my $before = $gate->memory();

        is(ask($ws, $then, $message, $at_once), $then,
           "$then messages more");
        cmp_ok($gate->memory() - $before, '<=', 16, 'in the same memory');
        $ws->send_close(1000);
        $ws->read_close();
    }

    # connections leave nothing

    for my $count (200, 600) {
        my $before = $gate->memory();

        for (1 .. $count) {
            my $ws = $gate->open('/told?memory');

            $ws->send_text('!state=a=b');
            $ws->read_text();
            $_ % 2 ? $ws->abort() : $ws->send_close(1000);
        }

        $service->waited('/told?memory', $count == 200 ? 600 : 2400);
        cmp_ok($gate->memory() - $before, '<=', 100,
               'nor do connections that have ended') if $count > 200;
    }

    # a large message leaves nothing, either

    my $ws = $gate->open('/echo');

    for my $i (1 .. 6) {
        $ws->send_text('!type=text/plain&size=5000000');
        is(length $ws->read_text(), 5_000_000, 'a large answer');
    }

    my $before = $gate->memory();

    ask($ws, 20, '!type=text/plain&size=5000000', 1);
    cmp_ok($gate->memory() - $before, '<', 1000, 'more of them');
}


# More messages than worker_connections

{
    my $ws = $gate->open('/crowd');

    $ws->send_text('!hold=crowd&type=text/plain&body=yes') for 1 .. 300;
    $service->waited('/crowd', 80);
    sleep 0.1;
    $service->release('crowd');

    # those that were given up come back as well

    my %got;

    for my $i (1 .. 300) {
        my $text = $ws->read_text(5) // last;

        $got{$text}++;
        $service->release('crowd') if $i % 20 == 0;
    }

    my $sum = 0;

    $sum += $_ for values %got;
    is($sum, 300, 'more messages than worker_connections: all are answered');
    cmp_ok($got{yes} // 0, '>', 80, 'many of them by the service');
    is(join(' ', grep { !/^yes$|"status":50[0-9]/ } keys %got), '',
       'others with an error');
    $ws->send_text('again');
    is($ws->read_text(), 'again', 'it goes on');
}

$gate->finish(qr/worker_connections are not enough/);

done_testing();
