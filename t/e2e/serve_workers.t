#!/usr/bin/perl

# Four workers and a thousand served WebSockets with messages and pushes all
# the while, when a worker is killed, when nginx reloads, and when it ends: the
# backend is told of each end once, and each push is answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EServe qw( start node );
use Test::More;
use Time::HiRes qw( sleep time );

my $sockets = 1000;
my $leave = 120;
my $drain = 1;

my $backend = E2EPeer->start(node(), "$FindBin::Bin/serve_backend.cjs");
my $client = E2EPeer->start('node', "$FindBin::Bin/serve_crowd.cjs");

my ($nginx, %where) = start($backend, workers => 4, listen => 'reuseport',
                            drain => "${drain}s",
                            main => <<'_EOC_', server => <<"_EOC_");
worker_rlimit_nofile 10000;
worker_shutdown_timeout 10s;
_EOC_
    location /crowd/ {
        gateway_websocket_serve /_b/as/crowd zone=table;
        gateway_websocket_connect /_b/connect?\$args;
        gateway_websocket_disconnect /_b/disconnect;
    }
_EOC_

is(scalar $nginx->workers, 4, 'four workers');

sub ask {
    my ($peer, $what, %more) = @_;

    my $answer = $peer->ask({ ask => $what, %where, %more });

    return $answer->{answer} if defined $answer->{answer};

    diag("$what: " . ($answer->{error} // 'no answer'));

    return {};
}

# Files that a process has open.

sub files {
    my ($pid) = @_;

    my @files = glob "/proc/$pid/fd/*";

    return scalar @files;
}

# The backend's sums, when so many connections have ended.

sub sums {
    my ($ended) = @_;

    my $sums;

    E2E::wait_for(15, sub {
        $sums = ask($backend, 'sums');
        return $sums->{ended} >= $ended;
    });

    # none comes twice, or late

    sleep 0.1;
    $sums = ask($backend, 'sums');

    is($sums->{ended}, $ended, "the backend is told of $ended ends");
    is_deeply([ @$sums{qw( more never late )} ], [ 0, 0, 0 ],
              'of each once, after all else');

    return $sums;
}

# What became of messages and pushes.

sub traffic {
    my ($name, $lost) = @_;

    ok(ask($client, 'enough'), "$name: there is enough of it");

    my $seen = ask($client, 'stop');
    my ($messages, $pushes) = @$seen{qw( messages pushes )};
    my %statuses = %{ $pushes->{statuses} };

    # A worker that is killed takes requests with it, one of each who pushes.

    my $reset = delete($statuses{'ECONNRESET'}) // 0;

    note(explain($seen));

    cmp_ok($reset, '<=', $lost ? 4 : 0, "$name: pushes that were cut off");
    is(join(' ', grep { !/\A(?:200|410|429)\z/ } sort keys %statuses), '',
       "$name: pushes are answered with 200, 410 or 429");
    cmp_ok($statuses{200} // 0, '>', 50, "$name: many with 200");
    cmp_ok($pushes->{slowest}, '<', 3000, "$name: none takes long");
    cmp_ok($pushes->{workers}, '>=', 4, "$name: by all workers");
    is($pushes->{wrong}, 0, "$name: each gets what is for it");
    cmp_ok($pushes->{right}, '>', 100, "$name: and gets it");
    # A worker that is killed cannot say any more what it has sent.

    cmp_ok($pushes->{right}, '<=', $pushes->{reached},
           "$name: not more than it is said") if !$lost;

    is_deeply([ sort grep { !/\A(?:answered|cut)\z/ } keys %$messages ], [],
              "$name: messages are answered");
    cmp_ok($messages->{answered} // 0, '>', 50, "$name: many messages");

    return $pushes;
}


is(ask($client, 'open', n => $sockets), $sockets,
   "$sockets sockets are open");

is_deeply(ask($client, 'all'), { ids => $sockets, groups => $sockets,
                                 right => 2 * $sockets, wrong => 0 },
          'each is reached, alone and as one of its group');


# A worker is killed.

my $lost;

{
    my ($worker) = sort { files($b) <=> files($a) } $nginx->workers;

    is(ask($client, 'leave', n => $leave), $leave, 'some leave');
    ask($client, 'start');
    sleep 0.5;
    kill 'KILL', $worker;

    ok(E2E::wait_for(5, sub {
        my @workers = $nginx->workers;
        return @workers == 4 && !grep { $_ == $worker } @workers;
    }), 'a worker that is killed is replaced');

    my ($seen, $open);

    E2E::wait_for(10, sub {
        ($seen, $open) = (ask($client, 'count'), $seen && $seen->{open});
        sleep 0.3;
        return $open && $seen->{open} == $open;
    });

    $lost = $sockets - $seen->{open};
    cmp_ok($lost, '>', 0, 'its sockets are cut off');
    cmp_ok($lost, '<', $sockets / 2, 'not those of others');
    is(join(' ', keys %{ $seen->{codes} }), '1006', 'no other end');

    traffic('killed', 1);

    # Also of those that had left, but whose messages were not answered yet

    my $sums = sums($lost + $leave);
    my %close = %{ $sums->{close} };

    is(join(' ', sort keys %close), '1000 1006', 'killed: by 1006');
    cmp_ok($close{1006}, '>=', $lost, 'killed: by 1006');
    cmp_ok($close{1000}, '<', $leave, 'killed: and of some that had left');
    is(join(' ', sort keys %{ $sums->{state} }),
       join(' ', map { "group=g$_" } 0 .. 9), 'killed: with their states');
    is(ask($client, 'open', n => $lost), $sockets, 'new ones are served');
    is_deeply(ask($client, 'all'), { ids => $sockets, groups => $sockets,
                                     right => 2 * $sockets, wrong => 0 },
              'and all are reached');
}


# A reload.

{
    my @old = $nginx->workers;

    ask($client, 'start');
    ask($client, 'enough');

    my $start = time;

    ok($nginx->reload(), 'a reload');

    my $end = ask($client, 'count', all => 1);

    note(sprintf 'all closed after %.2f s', time - $start);

    is_deeply($end->{codes}, { 1001 => $sockets, 1006 => $lost },
              'reload: each gets a Close with 1001');
    cmp_ok(time - $start, '<', $drain + 5, 'reload: within the time to drain');

    traffic('reload');

    my $sums = sums($lost + $leave + $sockets);

    is((grep { /\A1001\b/ } keys %{ $sums->{close} }), 1,
       'reload: with the code');
    ok(E2E::wait_for(5, sub { !grep { kill 0, $_ } @old }),
       'reload: the old workers end');
}


# QUIT.

{
    ask($client, 'forget');
    is(ask($client, 'open', n => 100), 100, '100 sockets are open');

    my @workers = $nginx->workers;

    kill 'QUIT', $nginx->pid;

    is_deeply(ask($client, 'count', all => 1)->{codes}, { 1001 => 100 },
              'QUIT: each gets a Close with 1001');
    sums($lost + $leave + $sockets + 100);
    ok(E2E::wait_for(5, sub { !grep { kill 0, $_ } @workers }),
       'QUIT: the workers end');

    $nginx->stop();
}

$client->stop();
$backend->stop();

$nginx->clean_log('nothing wrong in the log', qr/exited on signal 9/);

done_testing();
