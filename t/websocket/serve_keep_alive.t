#!/usr/bin/perl

# Keep-Alive-Interval of services that speak WebSocket-over-HTTP, with a clock
# that is moved on.

use strict;
use warnings;

use FindBin;
use lib 't/lib';
use File::Temp ();
use NgxGatewayEvents;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep );

plan skip_all => 'the clock is valgrind\'s' if $ENV{TEST_NGINX_USE_VALGRIND};

my $dir = File::Temp->newdir();
my $cc = $ENV{CC} || 'gcc';

is(system("$cc -W -Wall -shared -fPIC -o $dir/clock.so $FindBin::Bin/clock.c"),
   0, 'the clock is compiled');

my $gate = NgxGatewayEvents->new(
    start => 0,
    http => 'gateway_websocket_ping off; gateway_websocket_idle_timeout off;',
);

my $service = $gate->service();
my $ahead = 0;

move(0);

{
    local $ENV{LD_PRELOAD} = "$dir/clock.so";
    local $ENV{CLOCK_FILE} = "$dir/clock";
    local $ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
                                         'verify_asan_link_order=0';

    $gate->nginx()->start();
}


# So many seconds later, when what the service has answered has arrived: a
# request is answered after what came before it.  Another one wakes the worker,
# which waits for its timers.

sub move {
    my ($seconds) = @_;

    if ($gate->nginx()->alive()) {
        sleep($gate->sanitized() ? 0.3 : 0.05);
        $service->wait(sub {
            !grep { !$_->{ended} && !$_->{gone} } $service->requests();
        }, 0.5);
        $gate->publish({ items => [] });
    }

    $ahead += $seconds;

    open my $out, '+>>:raw', "$dir/clock" or die "clock: $!\n";
    CORE::close $out;
    open $out, '+<:raw', "$dir/clock" or die "clock: $!\n";
    syswrite $out, pack 'q', $ahead;
    CORE::close $out;

    $gate->publish({ items => [] }) if $ahead;

    return;
}


# One that is kept alive as this field says

sub kept {
    my ($interval, $end) = @_;

    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields("Keep-Alive-Interval: $interval", 'Set-Meta-A: b'), $end);

    return ($gate->open($uri), $path);
}


sub change {
    my ($ws, $interval) = @_;

    $ws->send_text('!' . said(['TEXT', 'b'])
                   . fields("Keep-Alive-Interval: $interval"));

    return $gate->received($ws, 1);
}


for my $row ([20, 20], [1, 20], [21, 21], [60, 60], [3600, 3600]) {
    my ($interval, $seconds) = @$row;
    my ($ws, $path) = kept($interval);

    move($seconds - 1);
    $gate->silent($path, 1, "interval $interval: nothing for a while");
    move(2);
    is($gate->requests($path, 2), 'OPEN empty', 'and a request then');
    move($seconds - 1);
    $gate->silent($path, 2, 'nothing after it');
    move(2);
    is($gate->requests($path, 3), 'OPEN empty empty', 'and another one');
    $ws->send_text('a');
    is($gate->received($ws, 1), 'text:a', 'beside messages');
    $ws->send_close(1000);
    $ws->read_close();
    is($gate->requests($path, 5), 'OPEN empty empty TEXT:a CLOSE:1000:',
       'until the end');
    move($seconds + 1);
    $gate->silent($path, 5, 'and no longer');
}

for my $interval (0, -1, 'x', '') {
    my ($ws, $path) = kept($interval);

    move(7200);
    $gate->silent($path, 1, "interval \"$interval\": none");
}

{
    my ($ws, $path) = kept(20);

    move(21);

    my ($open, $empty) = $service->waited($path, 2);

    is($empty->{body}, '', 'a request without events');
    is(join(' ', map { $service->header($empty, $_) // 'none' }
                 qw( Content-Type Accept Content-Length Meta-A )),
       "$NgxGatewayEvents::TYPE $NgxGatewayEvents::TYPE 0 b",
       'with all fields');
    is($service->header($empty, 'Connection-Id'),
       $service->header($open, 'Connection-Id'), 'of this connection');

    move(15);
    $ws->send_text('a');
    $gate->received($ws, 1);
    move(15);
    $gate->silent($path, 3, 'a message puts it off');
    move(6);
    is($gate->requests($path, 4), 'OPEN empty TEXT:a empty', 'until later');

    change($ws, 40);
    move(39);
    $gate->silent($path, 5, 'a longer interval');
    move(2);
    $service->waited($path, 6);
    $gate->silent($path, 6, 'which ends');

    change($ws, 0);
    move(7200);
    $gate->silent($path, 7, 'and none');

    change($ws, 20);
    move(21);
    $service->waited($path, 9);
    $gate->silent($path, 9, 'and again');
}

{
    my ($ws, $path) = kept(20, said(['TEXT', 'kept']) . '&hold=kept');

    move(21);
    is($gate->requests($path, 2), 'OPEN empty', 'one that takes its time');
    $ws->send_text('a');
    move(30);
    $gate->silent($path, 2, 'a message waits for its answer');
    $service->release('kept');
    is($gate->received($ws, 2), 'text:kept text:a', 'which may have events');
}

{
    my ($ws, $path) = kept(20, 'status=500');

    move(21);
    is($gate->closes($ws), '1011 the service failed', 'one that fails');
    $gate->silent($path, 2, 'ends it');
}


$gate->finish();

done_testing();
