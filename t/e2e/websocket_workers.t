#!/usr/bin/perl

# Four workers and a thousand sockets: a reload closes each of them properly, a
# worker that is killed takes its own with it and no other, nothing is left
# behind.  Then correlated requests under load, while the service is restarted
# and nginx reloads: each is answered with what it asked for, or with an error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EPeer;
use E2EWebSocket qw( certificate );
use JSON::PP ();
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $sockets = 1000;
my $drain = 2;
my $clients = 4;

E2E::need('node', 'nodejs');
E2E::need('openssl', 'openssl');

$ENV{NODE_PATH} = join ':', "$E2E::ROOT/build/node_modules",
                            grep { length } $ENV{NODE_PATH} // '';

if (!-d "$E2E::ROOT/build/node_modules/ws") {
    plan skip_all => 'the npm package "ws" is not installed: "make deps" '
                     . 'could not reach the npm registry';
}

# One program has the services' side of the sockets, another the clients'.

my @node = ('node', "$FindBin::Bin/websocket_ws.cjs", certificate());
my $service = E2EPeer->start(@node);
my $client = E2EPeer->start(@node);

my ($port, $backend_port) = (E2E::free_port(), E2E::free_port());
my $backend = NgxGatewayWebSocketBackend->new(port => $backend_port);

my $nginx = E2E->start(name => 'gateway', port => $port, workers => 4,
                       connections => 4096, main => <<'_EOC_',
worker_rlimit_nofile 10000;
worker_shutdown_timeout 10s;
_EOC_
                       http => <<"_EOC_");
map \$http_upgrade \$connection_upgrade {
    default upgrade;
    '' '';
}

upstream service {
    server 127.0.0.1:$service->{hello}{port} max_fails=0;
}

upstream backend {
    server 127.0.0.1:$backend_port max_fails=0;
}

gateway_websocket_drain ${drain}s;

# each worker gets its share of the connections

server {
    listen 127.0.0.1:$port reuseport;
    keepalive_requests 1000000;

    location /g/ {
        gateway_websocket_guard on;
        gateway_websocket_deflate on;
        gateway_websocket_ping 2s;
        proxy_pass http://service/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
    }

    location /correlate/ {
        gateway_websocket_pass ws://backend/;
        gateway_websocket_correlate /id;
        gateway_websocket_read_timeout 5s;
        gateway_websocket_connect_timeout 5s;
    }

    location /single/ {
        gateway_websocket_pass ws://backend/;
    }
}
_EOC_

is(scalar $nginx->workers, 4, 'four workers');

sub ask {
    my ($peer, $what, %more) = @_;

    my $answer = $peer->ask({ ask => $what, port => $port, %more });

    return $answer->{answer} if defined $answer->{answer};

    diag("$what: " . ($answer->{error} // 'no answer'));

    return {};
}

sub stay {
    my ($n) = @_;

    return ask($client, 'stay', n => $n, path => '/g/echo');
}

sub forget {
    ask($_, 'forget') for $client, $service;

    return;
}

# Files that a process has open.

sub files {
    my ($pid) = @_;

    my @files = glob "/proc/$pid/fd/*";

    return scalar @files;
}


# A reload.

{
    is(stay($sockets), $sockets, "$sockets sockets are open");

    my @old = $nginx->workers;
    my $seen = ask($client, 'count', talk => 1);

    is($seen->{answers}, $sockets, 'each is answered');

    my $start = time;

    ok($nginx->reload(), 'a reload');

    my $end = ask($client, 'count', all => 1);

    is(JSON::PP->new->canonical->encode($end->{codes}),
       "{\"1001\":$sockets}", 'each gets a Close with 1001');

    note(sprintf 'the first after %.2f s, the last after %.2f s',
         map { $_ / 1000 - $start } @$end{qw( first last )});

    # and not when workers have to end, after ten seconds

    cmp_ok($end->{last} / 1000 - $start, '<', $drain + 5,
           'within the time to drain');
    cmp_ok($end->{last} - $end->{first}, '>', $drain * 1000 / 4,
           'not all at once');

    my $told;

    E2E::wait_for(5, sub {
        $told = ask($service, 'service');
        return !$told->{open};
    });

    is($told->{codes}{1001}, $sockets, 'and so does the service');

    ok(E2E::wait_for(5, sub { !grep { kill 0, $_ } @old }),
       'the old workers end');
    cmp_ok(time - $start, '<', $drain + 7, 'as soon as they can');

    forget();
}


# New handshakes while the old are being closed.

{
    is(stay(200), 200, '200 sockets are open');

    my @old = $nginx->workers;

    $nginx->hup();

    E2E::wait_for(5, sub {
        my %now = map { $_ => 1 } $nginx->workers;
        return keys %now == 4 && !grep { $now{$_} } @old;
    });

    my $new = NgxGatewayWebSocket->open($port, uri => '/g/echo');

    my $n = 0;
    my $said = sub {
        $n++;
        $new->send_text("new $n") && ($new->read_text() // '') eq "new $n";
    };

    ok($said->(), 'a new one while the old are being closed');

    my $stays = 1;

    ok(E2E::wait_for(8, sub {
        $stays &&= $said->();
        return !grep { kill 0, $_ } @old;
    }), 'the old workers end');
    ok($stays && $said->(), 'the new one stays');
    $new->send_close(1000);
    is($new->read_close()->{code}, 1000, 'until it is closed');

    forget();
}


# A worker is killed.

{
    is(stay($sockets), $sockets, "$sockets sockets are open");

    my ($worker) = sort { files($b) <=> files($a) } $nginx->workers;

    kill 'KILL', $worker;

    ok(E2E::wait_for(10, sub {
        my @workers = $nginx->workers;
        return @workers == 4 && !grep { $_ == $worker } @workers;
    }), 'a worker that was killed is replaced');

    my $seen = ask($client, 'count', talk => 1);
    my $lost = $seen->{codes}{1006} // 0;

    note("$lost sockets were the worker's");

    cmp_ok($lost, '>', 0, 'its sockets are cut off');
    cmp_ok($lost, '<', $sockets, 'not those of others');
    is($seen->{answers}, $sockets - $lost, 'which are still answered');
    is(join(' ', keys %{ $seen->{codes} }), '1006', 'no other end');

    my $told;

    E2E::wait_for(5, sub {
        $told = ask($service, 'service');
        return $told->{open} == $sockets - $lost;
    });

    is($told->{open}, $sockets - $lost, 'the service sees the same');

    is(stay(100), $sockets - $lost + 100, 'new ones are served');
    is(ask($client, 'count', talk => 1)->{answers}, $sockets - $lost + 100,
       'and answered');

    forget();
}


# What 3,000 sockets leave behind.

{
    my ($memory, $files);

    for my $round (1 .. 6) {
        is(stay(500), 500, "500 sockets, round $round");
        is(ask($client, 'count', talk => 1)->{answers}, 500, 'answered');
        forget();

        my $none = sub { !grep { files($_) > 40 } $nginx->workers };

        ok(E2E::wait_for(8, $none), 'their files are closed');

        my $now = 0;

        $now += E2E::memory($_) for $nginx->workers;
        $memory = $now if $round <= 3 && $now > ($memory // 0);

        note("$now kB");

        # a sanitizer keeps what is freed for a while

        cmp_ok($now, '<', $memory + 3000, 'their memory is free again')
            if $round == 6 && !E2E::sanitized();
    }
}


# Correlated requests.

sub load {
    my ($name) = @_;

    my $path = E2E::dir() . "/load-$name";
    my @pids;

    for my $n (1 .. $clients) {
        my $pid = fork // die "fork: $!\n";

        if ($pid) {
            push @pids, $pid;
            next;
        }

        $SIG{TERM} = 'DEFAULT';
        srand $n;

        my %sum = (asked => 0, ok => 0, failed => 0, wrong => []);

        eval { requests($n, "$path-stop", \%sum); 1 }
            or push @{ $sum{wrong} }, "died: $@";

        splice @{ $sum{wrong} }, 5;
        E2E::spew("$path-$n", JSON::PP::encode_json(\%sum));
        POSIX::_exit(0);
    }

    return { path => $path, pids => \@pids };
}

sub requests {
    my ($n, $stop, $sum) = @_;

    my @open;

    # four at a time, so that they share connections

    while (!-e $stop) {
        my %wait;

        for my $i (0 .. 3) {
            my $id = "$n-" . $sum->{asked}++;
            my $delay = rand() < 0.2 ? ',"delay":0.01' : '';
            my $noise = rand() < 0.2 ? ',"noise":true' : '';

            $open[$i] //= E2EClient->new($port);
            $wait{$i} = E2EClient::request('POST', '/correlate/json',
                'Content-Type' => 'application/json',
                "{\"id\":\"$id\"$delay$noise}");
            $wait{$i} = [ $id, $wait{$i} ];
            $open[$i]->send($wait{$i}[1]);
        }

        for my $i (0 .. 3) {
            my ($id, $text) = @{ $wait{$i} };
            my $answer;

            # a worker that leaves closes connections that wait

            for my $try (1 .. 3) {
                $answer = eval { $open[$i]->answer('POST') };

                last if $answer || $@;
                $open[$i] = E2EClient->new($port);
                $open[$i]->send($text);
            }

            if (!$answer) {
                push @{ $sum->{wrong} }, "$id: no answer: $@";
                $open[$i] = undef;
                next;
            }

            $open[$i] = undef
                if ($answer->{headers}{connection} // '') eq 'close';

            if ($answer->{status} == 200) {
                my $object = eval { JSON::PP::decode_json($answer->{body}) };

                $sum->{ok}++;
                push @{ $sum->{wrong} }, "$id: $answer->{body}"
                    if !$object || $object->{id} ne $id || !$object->{reply};

            } elsif ($answer->{status} == 502 || $answer->{status} == 504) {
                $sum->{failed}++;

            } else {
                push @{ $sum->{wrong} }, "$id: $answer->{status} "
                                         . substr $answer->{body}, 0, 200;
            }
        }
    }

    return;
}

sub finish {
    my ($load) = @_;

    my %sum = (asked => 0, ok => 0, failed => 0, wrong => []);

    E2E::spew("$load->{path}-stop", '');
    waitpid $_, 0 for @{ $load->{pids} };

    for my $n (1 .. $clients) {
        my $one = JSON::PP::decode_json(E2E::slurp("$load->{path}-$n"));

        $sum{$_} += $one->{$_} for qw( asked ok failed );
        push @{ $sum{wrong} }, @{ $one->{wrong} };
    }

    note("$sum{asked} requests, $sum{ok} with 200, $sum{failed} failed");

    return \%sum;
}

{
    my $load = load('restarts');

    for (1 .. 4) {
        sleep 0.5;
        $backend->stop();
        sleep 0.3;
        $backend = NgxGatewayWebSocketBackend->new(port => $backend_port);
    }

    sleep 0.5;

    my $sum = finish($load);

    is(join("\n", @{ $sum->{wrong} }), '',
       'correlated, the service restarts: the right reply, 502 or 504');
    cmp_ok($sum->{ok}, '>', 200, 'many were answered');
    cmp_ok($sum->{failed}, '>', 0, 'some were not');
}

{
    my $load = load('reloads');

    for (1 .. 4) {
        sleep 0.5;
        ok($nginx->reload(), 'a reload');
    }

    my $sum = finish($load);

    is(join("\n", @{ $sum->{wrong} }), '', 'correlated, nginx reloads');
    is($sum->{failed}, 0, 'none has failed');
    cmp_ok($sum->{ok}, '>', 200, 'all were answered');

    # One connection for each worker that had something to ask

    ok($backend->wait(sub { $_[0]->open() <= 4 }),
       'one connection for each worker');
}


# QUIT, with requests and sockets open.

{
    my @clients = map { E2EClient->new($port) } 1 .. 20;
    my $n = 0;

    for my $client (@clients) {
        my $path = $n++ % 2 ? '/correlate/json' : '/single/json';

        $client->send(E2EClient::request('POST', $path,
            'Content-Type' => 'application/json',
            "{\"id\":$n,\"delay\":0.8}"));
    }

    is(stay(100), 100, '100 sockets are open');

    my @workers = $nginx->workers;

    kill 'QUIT', $nginx->pid;

    my $ok = 0;

    for my $i (1 .. @clients) {
        my $answer = eval { $clients[$i - 1]->answer('POST') };

        $ok++ if $answer && $answer->{status} == 200
                 && $answer->{body} =~ /"id":$i\b/;
    }

    is($ok, 20, 'QUIT: requests that wait are answered');
    is(JSON::PP->new->encode(ask($client, 'count', all => 1)->{codes}),
       '{"1001":100}', 'QUIT: sockets get a Close with 1001');
    ok(E2E::wait_for(8, sub { !grep { kill 0, $_ } @workers }),
       'QUIT: the workers end');
    ok($backend->wait(sub { !$_[0]->open() }),
       'and so do their connections');

    $nginx->stop();
}

$client->stop();
$service->stop();
$backend->stop();

$nginx->clean_log('nothing wrong in the log', qr/exited on signal 9/);

done_testing();
