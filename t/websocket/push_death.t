#!/usr/bin/perl

# Workers that die, that end, and that are there before and after a reload:
# pushes to the others are not held up, connections of the dead are told of
# once, and nothing is left of them.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayPush;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

my $slow = $ENV{TEST_NGINX_USE_VALGRIND} ? 10 : 1;

my $gate = NgxGatewayPush->new(
    workers => 4, connections => 1024,
    serve => 'gateway_websocket_disconnect '
             . '/service/gone?only=disconnect&told=$pid&$args;',
);

my $service = $gate->service();

sub pids {
    return $gate->workers();
}

# Stops a process; when this returns it does nothing any more.

sub stop {
    my ($pid) = @_;

    kill 'STOP', $pid;

    $gate->wait(sub {
        open my $in, '<', "/proc/$pid/stat" or return 0;
        return <$in> =~ /\) T /;
    }) or die "$pid does not stop\n";

    return;
}

# What the service was told of these ids: { ID => times }

sub told {
    my %told;

    $told{ $_->{cid} }++ for grep { $_->{event} eq 'disconnect' }
                             $service->requests('/gone');

    return \%told;
}


# SIGKILL while pushes go on

for my $round (1 .. 2) {
    my $by = $gate->spread(4, 'all');
    my ($victim, @others) = sort keys %$by;
    my @ws = map { $gate->join('all', args => 'state=of%3Dmine') } 1 .. 80;
    my @lost = grep { $_->{pid} eq $victim } @ws;
    my @stay = grep { $_->{pid} ne $victim } @ws, values %$by;

    # what is under way when it dies is answered, too

    my @waiting;

    for my $ws (@lost[0 .. 4]) {
        my $c = $gate->connection($others[0]);

        stop($victim) if !@waiting;
        $c->send(POST => "/push/$ws->{id}", 'to a dead one');
        push @waiting, $c;
    }

    for (1 .. 3) {
        my $c = $gate->connection($others[0]);

        $c->send(POST => '/push/groups/all', 'to all');
        push @waiting, $c;
    }

    sleep 0.05;

    my $start = time;

    kill 'KILL', $victim;

    my $reached = @stay;
    my @answers = map { $gate->says($_->answer() // {}) } @waiting;

    is(join(' ', map { substr $_, 0, 3 } @answers[0 .. 4]),
       '410 410 410 410 410',
       'who waits for a worker that is killed is told');
    is(join(' ', @answers[5 .. 7]),
       join(' ', ("200 {\"reached\":$reached}") x 3),
       'a group is what the others have');
    ok(time - $start < 1.5 * $slow, 'soon');

    $start = time;

    my @codes = map {
        $gate->push_from($others[ $_->{id} =~ /[0-7]\z/ ],
                         POST => "/push/$_->{id}", 'x')->{code}
    } @lost, $by->{$victim};

    is(join(' ', grep { $_ != 410 } @codes), '', 'what it had is gone');

    ok(time - $start < 1.5 * $slow, 'and does not hold anybody up');

    is(join(' ', grep { ($_->read_text() // '') ne 'to all' }
                 (@stay) x 3), '', 'others have got it');

    my @ids = map { $_->{id} } @lost, $by->{$victim};

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{$_} } @ids;
    }), 'the service is told of each that is lost');

    my $told = told();

    is(join(' ', grep { $told->{$_} != 1 } @ids), '', 'once');
    is(join(' ', grep { $told->{ $_->{id} } } @stay), '', 'and of no other');

    my ($one) = grep { $_->{cid} eq $lost[0]{id} } $service->requests('/gone');

    is($service->header($one, 'Gateway-Close'), '1006', 'it was no Close');
    is($service->header($one, 'Gateway-State'), 'of=mine', 'with its state');

    ok($gate->wait(sub {
        my @pids = pids();
        return @pids == 4 && !grep { $_ eq $victim } @pids;
    }), 'another takes its place');

    # the new one is reached and reaches

    my $new = (grep { my $pid = $_; !grep { $_ eq $pid } @others } pids())[0];
    my $ws;

    for (1 .. 200) {
        $ws = $gate->join('new');
        last if $ws->{pid} eq $new;
    }

    is($gate->says($gate->push_from($others[0], POST => "/push/$ws->{id}",
                                    'hi')), '200 {"reached":1}', 'to it');
    is($ws->read_text(), 'hi', 'arrives');
    is($gate->says($gate->push_from($new, POST => "/push/$stay[0]{id}", 'ho')),
       '200 {"reached":1}', 'from it');
    is($stay[0]->read_text(), 'ho', 'arrives');

    undef @ws;
    undef @stay;
    $by = undef;
    ok($gate->members('all', 0), 'nothing is left');
}


# All but one at once

{
    my @ws = map { $gate->join('three') } 1 .. 60;
    my ($keep, @victims) = pids();
    my @lost = grep { $_->{pid} ne $keep } @ws;

    kill 'KILL', @victims;

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{ $_->{id} } } @lost;
    }), 'three workers are killed');

    my $told = told();

    is(join(' ', grep { $told->{ $_->{id} } != 1 } @lost), '',
       'of each is told once');

    my $stay = @ws - @lost;

    ok($gate->members('three', $stay), 'the rest is there');
    is($gate->says($gate->push(POST => '/push/groups/three', 'left')),
       "200 {\"reached\":$stay}", 'and reached');
    is(join(' ', map { $_->read_text() } grep { $_->{pid} eq $keep } @ws),
       join(' ', ('left') x $stay), 'by whom it has to be');

    undef @ws;
    ok($gate->wait(sub { my @pids = pids(); @pids == 4 }),
       'there are four again');
}


# A connection that has ended, and has messages with the service still

{
    my @ws = map { $gate->join('ended') } 1 .. 6;

    for my $i (0 .. $#ws) {
        $ws[$i]->send_text('!delay=2');
        $ws[$i]->send_text('!body=b');
    }

    sleep 0.1;
    $_->send_close(1000) for @ws[0 .. 2];
    $_->abort() for @ws[3 .. 5];
    is($gate->closes($_), '1000', 'ends') for @ws[0 .. 2];

    ok($gate->members('ended', 0), 'has no members any more');
    is($gate->push(POST => "/push/$ws[0]{id}", 'x')->{code}, 410,
       'nor is it reached');

    my %pids = map { $_->{pid} => 1 } @ws;

    kill 'KILL', keys %pids;

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{ $_->{id} } } @ws;
    }), 'but the service is told of it');

    my $told = told();

    is(join(' ', grep { $told->{ $_->{id} } != 1 } @ws), '', 'once each');
    ok($gate->wait(sub { my @pids = pids(); @pids == 4 }), 'four again');
}


# A connection that the service has not accepted yet is not told of

{
    my @asked = map { $gate->connection() } 1 .. 4;

    $_->send('GET', '/client?only=connect&hold=never&unanswered=1', undef,
             Connection => 'Upgrade', Upgrade => 'websocket',
             'Sec-WebSocket-Version' => 13,
             'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==') for @asked;

    my @ids;

    ok($gate->wait(sub {
        @ids = map { $_->{cid} } grep { $_->{args} =~ /&unanswered=1/ }
                                 $service->requests('/client');
        return @ids == @asked;
    }), 'a service that is asked');

    my @ws = map { $gate->join('accepted') } 1 .. 20;
    my @pids = pids();

    kill 'KILL', @pids;

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{ $_->{id} } } @ws;
    }), 'whose gateway is killed');

    my $told = told();

    is(join(' ', grep { $told->{$_} } @ids), '', 'of none of these it is told');
    ok($gate->wait(sub { my @pids = pids(); @pids == 4 }), 'four once more');
}


# A worker that is told to terminate, alone, hands over what it has

{
    my @ws = map { $gate->join('term') } 1 .. 40;
    my $victim = $ws[0]{pid};
    my @lost = grep { $_->{pid} eq $victim } @ws;

    kill 'TERM', $victim;

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{ $_->{id} } } @lost;
    }), 'a worker ends alone');

    my $told = told();

    is(join(' ', grep { $told->{ $_->{id} } != 1 } @lost), '', 'once each');
    ok($gate->members('term', @ws - @lost), 'the rest stays');
}


# Reloads while pushes go on

{
    my @old = map { $gate->join('reload') } 1 .. 8;
    my $pid = $old[0]{pid};
    my ($bad, $n) = (0, 0);

    $gate->reload();

    my $new = $gate->join('reload');

    ok((!grep { $_->{pid} eq $new->{pid} } @old), 'a worker after a reload');

    # the old ones drain: until then they are reached

    my $answer = $gate->push_from($new->{pid}, GET => '/push/groups/reload');

    is($answer->{code}, 200, 'asks those of before');
    is($gate->push_from($new->{pid}, POST => "/push/$new->{id}", 'x')->{code},
       200, 'and itself');
    is($new->read_text(), 'x', 'which has it');

    for (1 .. 3) {
        $gate->nginx()->write_config();
        kill 'HUP', $gate->{nginx}{pid};

        for (1 .. 40) {
            my $ws = $gate->join('during');
            my $answer = $gate->push(POST => "/push/$ws->{id}", 'now');

            $n++;
            $bad++ if $answer->{code} != 200
                      && ($ws->read_close(2)->{code} // 0) != 1001;
            $bad++ if $answer->{code} == 200
                      && ($ws->read_text() // '') ne 'now';
        }
    }

    is($bad, 0, "$n pushes while workers come and go");
    undef @old;
}

# A worker of before a reload, whose place nobody takes

{
    my @old = map { $gate->join('old') } 1 .. 8;
    my %pids = map { $_->{pid} => 1 } @old;

    $gate->reload();
    kill 'KILL', keys %pids;

    ok($gate->wait(sub {
        my $told = told();
        return !grep { !$told->{ $_->{id} } } @old;
    }), 'workers of before a reload are killed');

    my $told = told();

    is(join(' ', grep { $told->{ $_->{id} } != 1 } @old), '', 'once each');
}

$gate->finish(qr/exited on signal 9|was locked by/);


# Whether nginx was built with a way to wait for events

sub has_method {
    my ($nginx) = @_;

    return $nginx->test() !~ /invalid event type/;
}


# Other ways to wait for events

for my $method (qw( poll select )) {
    my $other = NgxGatewayPush->new(workers => 2, start => 0);

    $other->{nginx}{method} = $method;

    if (!has_method($other->nginx())) {
        note("nginx was built without $method");
        next;
    }

    $other->nginx()->start();

    my $by = $other->spread(2, 'both');

    for my $from (keys %$by) {
        for my $to (keys %$by) {
            is($other->says($other->push_from($from,
                                              POST => "/push/$by->{$to}{id}",
                                              $from)),
               '200 {"reached":1}', $method);
            is($by->{$to}->read_text(), $from, 'arrives');
        }
    }

    undef $by;
    $other->finish();
}


# Without a master

{
    my $single = NgxGatewayPush->new(http => '', start => 0);

    $single->{nginx}{single} = 1;
    $single->nginx()->start();

    my $ws = $single->join('one');

    is($single->says($single->push(POST => '/push/groups/one', 'alone')),
       '200 {"reached":1}', 'one process');
    is($ws->read_text(), 'alone', 'has all there is');
    is($single->says($single->push(DELETE => "/push/$ws->{id}")), '204',
       'and ends it');
    $single->finish();
}

done_testing();
