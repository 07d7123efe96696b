#!/usr/bin/perl

# Pushes between workers: from each to each, and to groups that are everywhere,
# also while those go whom they are for.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayPush;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

my $slow = $ENV{TEST_NGINX_USE_VALGRIND} ? 10 : 1;

my $gate = NgxGatewayPush->new(
    workers => 4,
    serve => 'gateway_websocket_max_queue 3;',
    push => 'client_max_body_size 2m; gateway_websocket_max_message 2m;',
);

my $by = $gate->spread(4, 'all');
my @pids = sort keys %$by;


# From each to each

for my $from (@pids) {
    for my $to (@pids) {
        my $ws = $by->{$to};
        my $uri = "/push/$ws->{id}";
        my $name = "worker $from to $to";
        my $answer = $gate->push_from($from, POST => $uri, "from $from");

        is($gate->says($answer), '200 {"reached":1}', $name);
        is($answer->{pid}, $from, 'this one');
        is($ws->read_text(), "from $from", 'arrives');

        $gate->push_from($from, POST => $uri, "\0$from",
                         'Content-Type' => 'application/octet-stream');

        my $message = $ws->read_message();

        is($message->{opcode}, 2, 'binary');
        is($message->{payload}, "\0$from", 'arrives');

        my $is = JSON::PP::decode_json($gate->push_from($from, GET => $uri)
                                       ->{body});

        is($is->{connectionId}, $ws->{id}, 'GET');
        is_deeply($is->{groups}, ['all'], 'with groups');
    }

    my $all = $gate->push_from($from, GET => '/push/groups/all');
    my ($members) = $all->{body} =~ /"connections":(\d+)/;

    ok($members >= 4, 'a group of all workers');
    is($gate->says($gate->push_from($from, POST => '/push/groups/all', 'g')),
       "200 {\"reached\":$members}", 'all of it is reached');
    is($by->{$_}->read_text(), 'g', 'also there') for @pids;
}

my ($here, $there) = @pids;


# Large messages, in both directions

for my $size (0, 1, 4096, 65536, 300_000) {
    my $body = join '', map { chr(97 + $_ % 26) } 1 .. $size;

    is($gate->says($gate->push_from($here, POST => "/push/$by->{$there}{id}",
                                    $body)),
       '200 {"reached":1}', "$size bytes");
    is($by->{$there}->read_text(), $body, 'as they were');
}

{
    my $answer = $gate->push_from($here, POST => "/push/$by->{$there}{id}",
                                  'x' x 1_500_000);

    is($answer->{code}, 503, 'what does not fit into the zone');
    like($answer->{body}, qr/The zone has no room for it now/, 'is refused');
    is($gate->push_from($here, POST => "/push/$by->{$here}{id}",
                        'x' x 1_500_000)->{code}, 200,
       'it does not have to where the connection is');
    is(length $by->{$here}->read_text(), 1_500_000, 'and arrives');
    is($gate->push_from($here, POST => "/push/$by->{$there}{id}", 'after')
       ->{code}, 200, 'then as before');
    is($by->{$there}->read_text(), 'after', 'it is');
}


# In order

{
    my $n = 200;

    $gate->push_from($here, POST => "/push/$by->{$there}{id}", $_)
        for 1 .. $n / 2;
    $gate->push_from($here, POST => '/push/groups/all', $_)
        for $n / 2 + 1 .. $n;

    is(join(',', map { $by->{$there}->read_text() } 1 .. $n),
       join(',', 1 .. $n), 'messages arrive in order');

    is($by->{$_}->read_text(), $n / 2 + 1, 'others have theirs') for $here;
    $by->{$_}->read_text() for map { ($_) x ($n / 2 - 1) } $here;
    $by->{$_}->read_text() for map { ($_) x ($n / 2) } @pids[2, 3];
}


# A client of another worker that does not read

{
    my $ws = $gate->join('', rcvbuf => 4096);
    my ($from) = grep { $_ ne $ws->{pid} } @pids;
    my ($answer, $n) = ({}, 0);

    for (1 .. 2000) {
        $answer = $gate->push_from($from, POST => "/push/$ws->{id}",
                                   'y' x 60000);
        last if $answer->{code} != 200;
        $n++;
    }

    is($answer->{code}, 429, 'a client that does not read');
    is(length($ws->read_text() // ''), 60000, 'reads') for 1 .. $n;
}


# The client of the push is gone before the answer

{
    my $n = 50;

    for (1 .. $n) {
        my $c = $gate->connection();

        $c->send(POST => "/push/$by->{$there}{id}", 'gone');
        close $c->{socket};
    }

    $gate->push_from($here, POST => "/push/$by->{$there}{id}", 'last');

    my ($got, $text) = 0;

    $got++ while defined($text = $by->{$there}->read_text())
                 && $text eq 'gone';

    is($text, 'last', 'who does not wait for the answer');
    ok($got <= $n, 'does no harm');
}


# Close, by another worker

{
    my $ws = $gate->join('closed');
    my ($from) = grep { $_ ne $ws->{pid} } @pids;

    is($gate->says($gate->push_from($from, DELETE => "/push/$ws->{id}", undef,
                                    'Gateway-Close' => '4003 enough')),
       '204', 'DELETE');
    is($gate->closes($ws), '4003 enough', 'closes');

    ok($gate->wait(sub {
        $gate->push_from($from, POST => "/push/$ws->{id}", 'x')->{code} == 410
    }), 'it is gone');

    my @all = map { $gate->join('closed') } 1 .. 12;

    is($gate->says($gate->push_from($from, DELETE => '/push/groups/closed',
                                    undef, 'Gateway-Close' => '4004')),
       '200 {"reached":12}', 'a group');
    is(join(' ', map { $gate->closes($_) } @all), join(' ', (4004) x 12),
       'of all workers');
}


# A worker that does not answer in time

{
    my $group = $gate->join('stuck');
    my $other = $gate->join('stuck');

    $other = $gate->join('stuck') while $other->{pid} eq $group->{pid};

    my ($from) = grep { $_ ne $group->{pid} && $_ ne $other->{pid} } @pids;
    my @c = map { $gate->connection($from) } 1 .. 4;
    my $start = time;

    kill 'STOP', $group->{pid};

    $c[0]->send(POST => "/push/$group->{id}", 'late');
    $c[1]->send(GET => "/push/$group->{id}");
    $c[2]->send(POST => '/push/groups/stuck', 'late group');
    $c[3]->send(POST => "/push/$other->{id}", 'in time');

    is($c[3]->answer()->{code}, 200, 'a worker is stuck');
    ok(time - $start < 1.8 * $slow, 'others are not held up');
    is($other->read_text(), 'late group', 'their part of a group has it');
    is($other->read_text(), 'in time', 'at once');

    is($c[$_]->answer()->{code}, 504, 'for it there is no answer') for 0, 1;
    like($gate->says($c[2]->answer()), qr/\A200 \{"reached":[1-9]/,
         'a group counts those that have answered');
    ok(time - $start < 8 * $slow, 'after two seconds');

    kill 'CONT', $group->{pid};

    is($group->read_text(), 'late', 'it has it later');
    is($group->read_text(), 'late group', 'all of it');
    is($gate->push_from($from, POST => "/push/$group->{id}", 'then')->{code},
       200, 'then it is as before');
    is($group->read_text(), 'then', 'here and there');
}


# Connections that come and go while they are pushed to

{
    my %codes;
    my @ws = map { $gate->join('churn') } 1 .. 60;
    my $end = time + 1;
    my $i = 0;

    while (time < $end
           || !($codes{200} && $codes{410}) && time < $end + 10)
    {
        my $at = $i++ % @ws;
        my $ws = $ws[$at];
        my $from = $pids[$i % 4];

        if ($i % 5 == 0) {
            $ws->abort() if $i % 2;
            $ws->send_close(1000) if !($i % 2);
            $ws[$at] = $gate->join('churn');
        }

        $codes{ $gate->push_from($from, POST => "/push/$ws->{id}", 'x')
                ->{code} // 'none' }++;
        $codes{ 'group ' . $gate->push_from($from, POST => '/push/groups/churn',
                                            'y')->{code} }++;
    }

    is(join(',', grep { !/\A(?:200|410|429|group 200)\z/ } sort keys %codes),
       '', 'taken, full, or gone');
    ok($codes{200} && $codes{410}, 'both kinds');
    undef @ws;
    ok($gate->members('churn', 0), 'none is left');
}

undef $by;

$gate->finish();

done_testing();
