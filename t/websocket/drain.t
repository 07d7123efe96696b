#!/usr/bin/perl

# A worker that is to end, by a reload or a QUIT: guarded WebSockets get 1001,
# spread over gateway_websocket_drain and in time for worker_shutdown_timeout;
# new handshakes go to the new worker.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use Test::More;
use Time::HiRes qw( sleep time );

# what a busy machine may add

my $slack = $ENV{TEST_NGINX_USE_VALGRIND} ? 5 : 2;

# worker_shutdown_timeout is 5s

my %locations = (
    long => 'gateway_websocket_drain 1m;',
    some => 'gateway_websocket_drain 800ms;',
    off => 'gateway_websocket_drain off;',
);

my $gate = NgxGatewayWebSocketGuard->new(
    http => 'gateway_websocket_drain 300ms;',
    locations => \%locations,
);

# Reads from all until all have ended: each gets { code, reason, time } of its
# Close, which is answered.  Who has no more to read closes TCP.

sub collect {
    my ($start, @open) = @_;

    my $end = time + 8;
    my %left = map { $_ => $_ } @open;
    my $select = IO::Select->new(map { $_->{ws}->socket() } @open);
    my @closed;
    my %by = map { $_->{ws}->socket() => $_ } @open;

    while (%by && time < $end) {
        for my $socket ($select->can_read(0.5)) {
            my $row = $by{$socket} // next;
            my $frame = $row->{ws}->read_frame(0);

            if (!$frame && $row->{ws}->end() ne 'timeout') {
                $row->{end} = $row->{ws}->end();

            } elsif ($frame && $frame->{opcode} == 8) {
                $row->{code} = unpack 'n', $frame->{payload};
                $row->{reason} = substr $frame->{payload}, 2;
                $row->{time} = time - $start;
                $row->{ws}->send_close(1001);

            } else {
                next;
            }

            $select->remove($socket);
            delete $by{$socket};
            push @closed, $row;
        }
    }

    $_->{ws}->read_close(3) for grep { $_->{uri} !~ /deaf/ } @closed;
    $_->{ws}->disconnect() for grep { $_->{uri} !~ /deaf/ } @closed;

    return grep { defined $_->{time} } @open;
}

sub open_some {
    my ($n, $path) = @_;

    return map { { uri => "$path?$_", ws => $gate->open("$path?$_") } }
           1 .. $n;
}

# In order, and the largest gap between two.

sub apart {
    my @times = sort { $a <=> $b } grep { defined } map { $_->{time} } @_;
    my $largest = 0;

    for my $i (1 .. $#times) {
        my $gap = $times[$i] - $times[$i - 1];

        $largest = $gap if $gap > $largest;
    }

    return ($largest, @times);
}

sub ends {
    my ($pid, $seconds) = @_;

    my $end = time + $seconds;

    while (time < $end) {
        return 1 if !kill 0, $pid;
        sleep 0.02;
    }

    return 0;
}


# A reload

{
    my @some = open_some(20, '/some/echo');
    my @inherited = open_some(5, '/g/echo');
    my @off = open_some(5, '/off/echo');
    my @deaf = open_some(1, '/some/deaf');
    my @closing = open_some(1, '/some/deaf/closing');
    my $worker = $gate->worker();

    $closing[0]{ws}->send_close(4000);
    $_->{ws}->send_text('before') for @some;
    $_->{ws}->read_text() for @some;

    my $start = time;

    ok($gate->nginx()->reload(), 'a reload');

    # for a moment both workers take new ones

    ok($gate->nginx()->wait(sub {
        $gate->nginx()->error_log() =~ /gracefully shutting down/
    }), 'the old worker does not take any more');

    my $new = $gate->open('/some/echo?new');

    $new->send_text('new');
    is($new->read_text(), 'new', 'a new handshake while the old are open');
    cmp_ok(time - $start, '<', 0.8 + $slack, 'at once');

    # one in the middle of a frame of its own

    my @got = collect($start, @some, @inherited, @off, @deaf);

    is(scalar(@got), 31, 'all get a Close');
    is(join(' ', grep { $_ ne '1001 server shutdown' }
                 map { "$_->{code} $_->{reason}" } @got), '', 'with 1001');

    my ($largest, @times) = apart(@some);

    cmp_ok($times[-1], '<', 0.8 + $slack,
           'within gateway_websocket_drain: ' . sprintf '%.2f', $times[-1]);

    my $spread = $times[-1] - $times[0];

    @times = sort { $a <=> $b } map { $_->{time} } @inherited;
    cmp_ok($times[-1], '<', 0.3 + $slack, 'an inherited time');
    @times = sort { $a <=> $b } map { $_->{time} } @off;
    cmp_ok($times[-1], '<', $slack, 'drain is off: at once');

    my ($told) = grep { $_->{opcode} == 8 }
                 @{ $gate->ended('/some/echo?7')->{frames} };

    is(unpack('n', $told->{payload}), 1001, 'the service is told');

    my $log = $gate->log('/some/echo?7');

    is("$log->{status} $log->{close} $log->{by} $log->{in} $log->{out}",
       '101 1001 gateway 1 1', 'and the log');

    # the deaf ones take 2 s more

    for my $row (@deaf, @closing) {
        $row->{ws}->read_close(4);
        $row->{ws}->disconnect();
    }

    ok(ends($worker, 4 + $slack), 'the old worker ends');
    isnt($gate->worker(), $worker, 'another one has taken its place');
    is($gate->service('/some/deaf/closing?1')->{end}, 'eof',
       'with all its connections');
    is(scalar(grep { $_->{opcode} == 8 }
              @{ $gate->service('/some/deaf/closing?1')->{frames} }), 1,
       'one that was closing got no second Close');

    $new->send_text('still');
    is($new->read_text(), 'still', 'the new one has stayed');
    $new->disconnect();

    # a machine that pauses meanwhile has no gaps, or large ones

    for (1 .. 5) {
        last if $spread > 0.3 && $largest < 0.4;

        my @again = open_some(20, '/some/echo/again');

        $start = time;
        $gate->nginx()->reload();
        collect($start, @again);
        ($largest, @times) = apart(@again);
        $spread = $times[-1] - $times[0];
    }

    cmp_ok($spread, '>', 0.3, 'spread over it');
    cmp_ok($largest, '<', 0.4, 'evenly');
}


# A time to drain that is longer than there is

{
    my @open = open_some(6, '/long/echo');
    my $worker = $gate->worker();

    # who is in the middle of a frame gets its Close after it

    my $half = $open[0]{ws}->frame('text', 'half');

    $open[0]{ws}->send_raw(substr $half, 0, 8);

    my $start = time;

    ok($gate->nginx()->reload(), 'a reload');
    sleep 0.3;
    $open[0]{ws}->send_raw(substr $half, 8);

    my @got = collect($start, @open);
    my @times = sort { $a <=> $b } map { $_->{time} } @got;

    is(scalar(@times), 6, 'gateway_websocket_drain 1m: all get a Close');
    cmp_ok($times[-1], '<', 2.5 + $slack,
           'within half of worker_shutdown_timeout');
    cmp_ok($times[-1], '>', 1.5, 'and spread over it');
    is($gate->ended('/long/echo?1')->{messages}[0]{payload}, 'half',
       'a frame that had begun has come to its end');
    ok(ends($worker, 3 + $slack), 'the worker ends');
}


# A worker that ends while a handshake is under way

{
    my $ws = NgxGatewayWebSocket->plain($gate->port(),
                                        uri => '/some/trickle?pause=0.004');

    $ws->send_raw($ws->request());
    sleep 0.1;

    my $worker = $gate->worker();

    $gate->nginx()->reload();
    $ws->read_head();
    is($ws->status(), 101, 'a handshake under way at a reload');

    my $close = $ws->read_close(undef, answer => 1);

    is("$close->{code} $close->{end}", '1001 eof', 'and its Close');
    $ws->disconnect();
    ok(ends($worker, 3 + $slack), 'the worker ends');
}


# QUIT

{
    my @open = open_some(10, '/some/echo/quit');
    my $worker = $gate->worker();
    my $start = time;

    kill 'QUIT', $gate->nginx()->{pid};

    my @got = collect($start, @open);

    is(scalar(grep { $_->{code} == 1001 } @got), 10,
       'QUIT: all get a Close with 1001');
    ok(ends($worker, 2 + $slack), 'the worker ends');
    is(scalar(grep { $_->{end} eq 'eof' }
              map { $gate->ended($_->{uri}) } @open),
       10, 'the connections of the service as well');
}

unlike($gate->nginx()->error_log(), qr/open socket .* left in connection/,
       'no connection is left');
$gate->finish();

done_testing();
