#!/usr/bin/perl

# All modules in one configuration, with four workers and a minute of mixed
# load, while nginx reloads every five seconds and a worker is killed every
# fifteen: each answer is right, only those are lost that a killed worker had
# (E2EWhole.pm has how that is told), no memory is lost, nothing is left.
#
# E2E_SECONDS is how long the load lasts, 60 without it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EWhole;
use E2EWholeClients;
use JSON::PP ();
use NgxGatewayJWT;
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $seconds = $ENV{E2E_SECONDS} || 60;
my $drain = 1;

E2E::need('wrk', 'wrk');
E2E::need('h2load', 'nghttp2-client');

my $dir = E2E::dir();

my $json = JSON::PP->new->canonical->allow_nonref;

# ports of the gateway: for checking clients, for those with HTTP/2, for h2load,
# wrk and pushes; and of the services

my ($service_port, $echo_port, @ports) = E2EWhole::free_ports(7);
my ($port, $h2_port, $h2load_port, $wrk_port, $push_port) = @ports;


# What stands for services: an nginx that answers with what it was told, and a
# program that says back what it is sent, on WebSockets and by HTTP.

my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 40_000;
my $large = '["' . join('","', 1 .. 5000) . '"]';

File::Path::make_path("$dir/files");
E2E::spew("$dir/files/big", $big);
E2E::spew("$dir/files/large", $large);

my $service = E2E->start(name => 'service', port => $service_port,
                         http => <<"_EOC_");
log_format ends '\$http_gateway_connection_id \$http_gateway_close';

server {
    listen 127.0.0.1:$service_port;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    default_type text/plain;

    location / {
        set \$who "\$http_x_user\$http_x_id";
        return 200 "\$http_host \$request_method \$request_uri \$who";
    }

    location /files/ {
        root $dir;
    }

    location = /user {
        default_type application/json;
        return 200 '{"sub":"\$http_x_user"}';
    }

    location = /orders {
        default_type application/json;
        return 200 '[{"of":"\$arg_of"}]';
    }

    location = /connect {
        add_header Gateway-Groups all;
        return 200;
    }

    location = /id {
        default_type application/json;
        return 200 '{"id":"\$http_gateway_connection_id"}';
    }

    location = /disconnect {
        access_log $dir/ends.log ends;
        return 204;
    }
}
_EOC_

my $echo = E2EWhole::Program->echo($echo_port);


# Tokens, of users and of nobody.

my @users = map { "user$_" } 1 .. 20;
my %tokens = map { $_ => jwt({ sub => $_, scope => 'read' }, key => 'p256') }
             @users;
my %bad = (
    bad_signature => jwt({}, key => 'p256', signature => sub {
        my ($bytes) = @_;
        substr($bytes, 0, 1) ^= "\1";
        return $bytes;
    }),
    unknown_key => jwt({}, key => 'p256_other'),
    expired => jwt({ exp => at(-60) }, key => 'p256'),
    wrong_audience => jwt({ aud => 'another' }, key => 'p256'),
    malformed => 'a.b.c',
);

E2E::spew("$dir/keys.json", jwks('p256'));

# a table that is not small

E2E::spew("$dir/routes", join '', map { "GET /api/many/$_/of/:id users;\n" }
                              0 .. 999);

my $nginx = E2E->start(name => 'gateway', port => $port, workers => 4,
                       http => configuration(),
                       main => 'worker_shutdown_timeout 10s;');

is(scalar $nginx->workers, 4, 'four workers');


# A minute.

my (@killed, @reloads, @young_samples, @old_samples);
my %workers;

my $clients = E2EWhole->new($dir);

E2EWholeClients::know(
    dir => $dir, seconds => $seconds, big => $big, large => $large,
    users => \@users, tokens => \%tokens, bad => \%bad,
    h2load_port => $h2load_port, wrk_port => $wrk_port,
    push_port => $push_port);

my $begin = time;

$clients->run('http', $port, http_client()) for 1 .. 2;
$clients->run('users', $port, users_client());
$clients->run('limits', $port, limits_client());
$clients->run('http2', $h2_port, http2_client());
$clients->run('guarded', $port, guarded_client());
$clients->run('served', $port, served_client()) for 1 .. 2;
$clients->run('h2load', $h2load_port, h2load_client());
$clients->command('wrk', wrk());

events();

my $seen = $clients->stop();

note(sprintf 'all clients have ended after %.1f s', time - $begin);


# What the clients have seen.

my (%again, %sides);

for my $name (sort keys %$seen) {
    next if $name eq 'wrk';

    my %counts;

    for my $one (@{ $seen->{$name} }) {
        $counts{$_} += $one->{counts}{$_} for keys %{ $one->{counts} };
    }

    %sides = (%sides, map { $_ => 1 } grep { / to \w+$/ } keys %counts);

    note("$name: ", join ', ', map { "$_ $counts{$_}" } sort keys %counts);

    is(join("\n", map { @{ $_->{wrong} } } @{ $seen->{$name} }), '',
       "$name: each answer is right");
    is(join("\n", map { lost($_) } map { @{ $_->{broken} } }
                  @{ $seen->{$name} }), '',
       "$name: nothing is lost but with killed workers");
    cmp_ok($counts{right} // 0, '>', $seconds, "$name: there were many");
}

note('broken by killed workers, or sent again after reloads: ',
     $json->encode(\%again));

is(join(', ', sort keys %sides), 'split to legacy, split to orders, '
   . 'user to legacy, user to orders', 'requests were split by weight');

wrk_is_right($seen->{wrk}[0]);
h2load_is_right(@{ $seen->{h2load}[0]{runs} });

is(scalar @reloads, POSIX::floor(($seconds - 1) / 5), 'reloads');
is(scalar @killed, POSIX::floor(($seconds + 7) / 15), 'killed workers');


# Each WebSocket that was served has ended for its service, and only once, or
# twice where a worker was killed between telling it and taking note of that.

{
    my %opened = map { %{ $_->{ids} } } @{ $seen->{served} };
    my %ended;

    E2E::wait_for(10, sub {
        %ended = ();

        for my $line (split /\n/, E2E::slurp("$dir/ends.log")) {
            my ($id, $code) = split ' ', $line;
            push @{ $ended{$id} }, $code;
        }

        return keys %ended >= keys %opened;
    });

    my %codes;

    $codes{ join ' and ', @{ $ended{$_} // [ 'none' ] } }++ for keys %opened;

    note('WebSockets that were served, by how they ended: ',
         $json->encode(\%codes));

    my $twice = 0;

    $twice += delete $codes{$_} for grep { /\A100[01] and 1006\z/ } keys %codes;

    is(join(', ', grep { !/\A(?:1000|1001|1006)\z/ } sort keys %codes), '',
       'the end of each served WebSocket is told, once');
    cmp_ok($twice, '<=', @killed, 'or as a worker was killed');
    is(get_push('GET', '/push/groups/all')->{body},
       qq({"group":"all","connections":0}\n),
       'and none is in a group any more');
}


# Memory.

memory();


# The end.

my $master = $nginx->pid;

$nginx->stop;
$service->stop;

is(join(' ', grep { kill 0, $_ } $master, keys %workers), '',
   'no process is left');

my $pids = join '|', map { $_->{pid} } @killed;
my $line = qr/\[alert\] .* worker process (?:$pids) exited on signal 9$/m;

is(scalar(() = $nginx->log(1) =~ /$line/mg), scalar @killed,
   'the log tells of each killed worker');
$nginx->clean_log('and has nothing else that is wrong', $line);
$service->clean_log('nor has that of the service');

access_log();

done_testing();


# Reloads, killed workers, and looks at the memory, in turn.

sub events {
    my @events = sort { $a->[0] <=> $b->[0] } (
        (map { [ $_ + 2, \&look, \@young_samples ],
               [ $_ + 4.5, \&look, \@old_samples ] } times_of(0, 5, 5)),
        (map { [ $_, \&reload ] } times_of(5, 5, 1)),
        (map { [ $_, \&kill_one ] } times_of(7.5, 15, 1)));

    while (time < $begin + $seconds) {
        if (@events && time >= $begin + $events[0][0]) {
            my (undef, $do, @with) = @{ shift @events };
            $do->(@with);
        }

        note_workers();
        sleep 0.05;
    }

    return;
}


sub times_of {
    my ($first, $each, $before) = @_;

    my @times;

    for (my $at = $first; $at <= $seconds - $before; $at += $each) {
        push @times, $at;
    }

    return @times;
}


sub look {
    my ($samples) = @_;

    push @$samples, sample();

    return;
}


sub kill_one {
    my @young = young();

    push @killed, E2EWhole::kill_worker($young[rand @young], @ports);

    return;
}


# Workers that have not been told to leave.

sub young {
    return grep {
        (eval { E2E::slurp("/proc/$_/cmdline") } // 'gone')
            !~ /shutting down|gone/
    } $nginx->workers;
}


sub note_workers {
    $workers{$_} //= time for $nginx->workers;

    return;
}


# When it was begun, when the new workers were there, and which were the old.

sub reload {
    my %reload = (begin => time, old => { map { $_ => 1 } $nginx->workers });

    $nginx->hup;

    E2E::wait_for(20, sub {
        4 == grep { !$reload{old}{$_} } $nginx->workers;
    }) or fail('new workers after a reload');

    $reload{new} = time;
    note_workers();

    push @reloads, \%reload;

    return;
}


# What became of a connection that a client tells of: nothing where that is as
# it may be.

sub lost {
    my ($one) = @_;

    for my $killed (@killed) {
        my $after = $one->{time} - $killed->{time};
        my $of = $after > 0 && $after < 10
                 && grep { $_->{ $one->{port} } } values %{ $killed->{ports} };

        if ($of) {
            $again{killed}++;
            return;
        }
    }

    for my $reload (@reloads) {
        my $after = $one->{time} - $reload->{begin};

        next if $after < 0;

        # one that may be of an old worker, which took connections for a moment
        # after the new ones were there

        my $old = defined $one->{opened}
                  && $one->{opened} < $reload->{new} + 0.5;

        # a connection that was kept, by a worker that has left

        if ($one->{worker} && $reload->{old}{ $one->{worker} }
            || $one->{kept} && $old)
        {
            $again{left}++;
            return;
        }

        # a WebSocket that was told to go, whenever its client noticed

        if (($one->{close} // 0) == 1001 && $old) {
            $again{told}++;
            return;
        }
    }

    return sprintf 'after %.3f s: %s', $one->{time} - $begin,
                   $json->encode($one);
}


# kB of the master's memory, which it may share with workers; of what is each
# worker's own, if that is not new; and of the zones.

sub sample {
    my $master = $nginx->pid;
    my ($zones) = E2E::slurp("/proc/$master/status") =~ /^RssShmem:\s+(\d+)/m;

    return { at => time - $begin, zones => $zones,
             master => E2EWhole::memory($master, 'Anonymous'),
             workers => { map { $_ => E2EWhole::memory($_, 'Private_Dirty') }
                          grep { time - $workers{$_} > 1.5 } young() } };
}


# Looked at before each reload, when workers are of the same age: from the tenth
# second on.
#
# The master's heap has more and more holes, for some eighty reloads; then it
# stays as it is.  In 50 seconds that makes 100 to 200 kB, which new workers,
# who write into the holes, have as their own.  A cycle that is not freed would
# be more than a megabyte each time.
#
# Workers grow in the seconds that they live, by some 150 kB from the second one
# on; meanwhile each has some 2,000 requests.  If 200 bytes of each were lost,
# the mean of all workers would tell.

sub memory {
    my ($then) = grep { $_->{at} > 8 } @old_samples;
    my $last = $old_samples[-1];

    for my $one (@old_samples) {
        note(sprintf '%.1f s: master %d kB, workers %s kB, zones %d kB',
             @$one{qw( at master )}, join(' ', values %{ $one->{workers} }),
             $one->{zones});
    }

    cmp_ok($last->{master} - $then->{master}, '<', 500,
           'the master does not grow');
    cmp_ok(mean($last) - mean($then), '<', 500, 'nor do its new workers');
    cmp_ok($last->{zones} - $then->{zones}, '<', 100, 'nor the zones');

    my @growth;

    for my $i (0 .. $#old_samples) {
        my ($young, $old) = map { $_->{workers} } $young_samples[$i],
                                                  $old_samples[$i];

        push @growth, map { $old->{$_} - $young->{$_} }
                      grep { defined $old->{$_} } keys %$young;
    }

    my $mean = 0;

    $mean += $_ / @growth for @growth;

    note(sprintf 'workers of 4.5 seconds less those of 2: %.1f kB of %s',
         $mean, join ' ', @growth);
    cmp_ok($mean, '<', 400, 'nor does a worker while it lives');

    return;
}


sub mean {
    my ($sample) = @_;

    my @workers = values %{ $sample->{workers} };
    my $sum = 0;

    $sum += $_ for @workers;

    return $sum / (@workers || 1);
}


# It does not send again what a GOAWAY has refused: it may have failed while
# nginx reloaded, and at no other time but with a killed worker, 50 for a
# connection.

sub h2load_is_right {
    my (@runs) = @_;

    my ($alone, @bad) = (0);

    for my $run (@runs) {
        my ($from, $to, $failed) = @$run;

        next if grep { $from < $_->{new} + 1 && $to > $_->{begin} } @reloads;

        my $lost = 0;

        $lost += 50 * keys %{ $_->{ports}{$h2load_port} }
            for grep { $from < $_->{time} && $to > $_->{time} } @killed;

        $alone++;
        push @bad, $failed if $failed > $lost;
    }

    note(@runs . " runs of h2load, $alone of them without a reload");
    cmp_ok($alone, '>', $seconds / 4, 'h2load: there were many');
    is("@bad", '', 'h2load: nothing is lost but with killed workers');

    return;
}


sub wrk_is_right {
    my ($said) = @_;

    my ($asked, $status, $connect, $read, $write, $timeout) =
        $said =~ /^asked\ (\d+)\ status\ (\d+)\ connect\ (\d+)\ read\ (\d+)
                  \ write\ (\d+)\ timeout\ (\d+)$/mx
        or return fail("wrk says: $said");

    my $lost = 0;

    $lost += keys %{ $_->{ports}{$wrk_port} } for @killed;

    note("wrk: asked $asked, lost $read + $write, with killed workers $lost");
    cmp_ok($asked, '>', 50 * $seconds, 'wrk: there were many');
    is("$status $connect $timeout", '0 0 0', 'wrk: all were right');
    cmp_ok($read + $write, '<=', $lost,
           'wrk: nothing is lost but with killed workers');

    return;
}


sub get_push {
    my ($method, $path) = @_;

    return E2EClient->new($push_port)->ask($method, $path);
}


# Each line is whole.

sub access_log {
    my ($lines, @bad) = (0);

    open my $in, '<:raw', "$dir/access.log" or die "access.log: $!\n";

    while (my $line = <$in>) {
        $lines++;
        push @bad, $line
            if $line !~ /\A\{(?:"[a-z_]+":"(?:[^"\\]|\\.)*",?)+\}\n\z/
               || $lines % 50 == 0 && !eval { JSON::PP::decode_json($line) };
    }

    is(join('', splice @bad, 0, 5), '', "$lines lines of the access log");

    return;
}


sub configuration {
    my %values = (PORT => $port, H2 => $h2_port, H2LOAD => $h2load_port,
                  WRK => $wrk_port, PUSH => $push_port,
                  SERVICE => $service_port, ECHO => $echo_port,
                  DIR => $dir, DRAIN => $drain,
                  ISSUER => $NgxGatewayJWT::ISSUER,
                  AUDIENCE => $NgxGatewayJWT::AUDIENCE,
                  LOCATIONS => "$FindBin::Bin/whole_locations.conf");

    return E2E::slurp("$FindBin::Bin/whole.conf")
           =~ s/%(\w+)%/$values{$1}/gr;
}
