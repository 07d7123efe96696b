#!/usr/bin/perl

# Four workers under load: no token more than a bucket gives is spent, and
# hardly one less, also over reloads and when workers are killed; what is given
# back is given back; and clients that leave while they wait leave nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EFlood;
use Test::More;
use Time::HiRes qw( sleep );

my $port = E2E::free_port();
my $keys = 10_000;

my $nginx = E2E->start(name => 'gateway', port => $port, workers => 4,
                       http => conf('2000r/s burst=1000'));

is(scalar $nginx->workers, 4, 'four workers');


# One bucket, wanted by all workers.  It is there before, since workers that
# see a new key at the same moment may both make a bucket for it.  The kernel
# gives connections to workers at random: with 64 of them each worker has some.

{
    left('/exact?k=a');

    my $seen = E2EFlood->new($port, seconds => 2, connections => 16,
                             paths => [ '/exact?k=a' ])->wait;

    exact('one key', $seen, 'q=1000' => 2000);
    is($seen->{workers}, 4, 'all workers took part');
}


# The rate and the burst change meanwhile.  Old and new workers serve the same
# bucket for a moment, each at its own rate: a token is a time in which it
# comes back.

{
    left('/exact?k=b');

    my $flood = E2EFlood->new($port, seconds => 2.5,
                              paths => [ '/exact?k=b' ]);

    sleep 0.8;
    E2E::spew("$nginx->{prefix}/nginx.conf",
              E2E::slurp("$nginx->{prefix}/nginx.conf")
                  =~ s/2000r\/s burst=1000/3000r\/s burst=1500/r);
    ok($nginx->reload, 'a reload under load');

    exact('another rate and burst', $flood->wait, 'q=1000' => 2000,
          'q=1500' => 3000);

    E2E::spew("$nginx->{prefix}/nginx.conf",
              E2E::slurp("$nginx->{prefix}/nginx.conf")
                  =~ s/3000r\/s burst=1500/2000r\/s burst=1000/r);
    ok($nginx->reload, 'and back');
}


# Workers die.  What they have charged and not answered is spent: at most what
# was under way.

{
    left('/exact?k=c');

    my $depth = 8;
    my $flood = E2EFlood->new($port, seconds => 2, depth => $depth,
                              paths => [ '/exact?k=c' ]);

    for my $n (0 .. 3) {
        sleep 0.3;
        my @workers = $nginx->workers;
        kill 'KILL', $workers[$n % @workers];
    }

    my $seen = $flood->wait;

    cmp_ok($seen->{broken}, '>', 0, 'workers were killed under load');
    $seen->{lost} = $depth * $seen->{broken};
    exact('killed workers', $seen, 'q=1000' => 2000);
    ok(E2E::wait_for(5, sub { $nginx->workers == 4 }), 'they are replaced');
}


# Two zones, the second of which refuses most: the first is charged for what
# was admitted, and for nothing else.  Its tokens come back in hours only.

for my $order ('first', 'last') {
    is(left("/$order?k=$order&cost=0"), 100_000, "$order: full before");

    # 300 a second are admitted

    my $seen = E2EFlood->new($port, each => 1, paths => [
        ("/$order?k=$order") x 15_000 ])->wait;
    my $admitted = answered($seen, 200);

    cmp_ok(answered($seen, 429), '>', 1000, "$order: most are refused");
    is(left("/$order?k=$order&cost=0"), 100_000 - $admitted,
       "$order: the refused ones got their tokens back");
}

# Both fill again, and are whole.

{
    flood(0.5, '/both?k=x');

    ok(E2E::wait_for(5, sub { left('/both?k=x&cost=0') == 50 }),
       'both buckets are full again');
    sleep 0.1;
    is(left('/both?k=x&cost=0'), 50, 'and not more than that');
}


# Many keys: to each what is its own.

{
    my @paths = map { ("/many?k=$_") x 3 } 1 .. $keys;

    # the three of a key are far apart, and in other workers

    @paths = map { $paths[($_ * 3) % @paths + int($_ * 3 / @paths)] }
             0 .. $#paths;

    my $seen = E2EFlood->new($port, each => 1, paths => \@paths)->wait;

    is($seen->{broken}, 0, "$keys keys");
    is(answered($seen, 200), 2 * $keys, 'each has its two tokens');
    is(answered($seen, 429), $keys, 'and no third');
}


# Clients that leave while they wait.  nginx goes on counting the connections of
# workers that were killed.

ok(E2E::wait_for(5, sub { !connections() }), 'all connections are closed');

my $none = active();

{
    leave(1);

    my $before = memory();

    leave($_) for 2 .. 5;

    my $after = memory();

    ok(E2E::wait_for(5, sub { active() == $none }),
       'their connections are closed')
        or diag(active());

    SKIP: {
        skip('memory says nothing with sanitizers', 1) if E2E::sanitized();

        note("the workers' memory: $before kB, then $after kB");
        cmp_ok($after - $before, '<', 1024, 'the workers do not grow');
    }
}

$nginx->stop;

$nginx->clean_log('the log has no errors but the expected',
                  qr/\[alert\] .* worker process \d+ exited on signal 9/);

done_testing();


sub conf {
    my ($rate) = @_;

    return <<"_EOC_";
gateway_limit_zone \$arg_k zone=exact:1m rate=$rate;
gateway_limit_zone \$arg_k zone=hours:1m rate=1r/h burst=100000;
gateway_limit_zone \$arg_k zone=often:1m rate=300r/s burst=100;
gateway_limit_zone \$arg_k zone=a:1m rate=100r/s burst=50;
gateway_limit_zone \$arg_k zone=b:1m rate=200r/s burst=20;
gateway_limit_zone \$arg_k zone=many:4m rate=1r/h burst=2;
gateway_limit_zone \$arg_k zone=slow:1m rate=10r/s;

map \$arg_cost \$cost {
    default  \$arg_cost;
    ""       1;
}

keepalive_requests 1000000;

server {
    listen 127.0.0.1:$port reuseport;
    add_header X-Worker \$pid always;

    location = /exact {
        gateway_limit zone=exact cost=\$cost;
        empty_gif;
    }

    location = /first {
        gateway_limit zone=hours cost=\$cost;
        gateway_limit zone=often cost=\$cost;
        empty_gif;
    }

    # the one is charged before authentication, the other refuses after it

    location = /last {
        gateway_limit zone=hours cost=\$cost burst=100000;
        gateway_limit zone=often cost=\$cost after_auth;
        empty_gif;
    }

    location = /both {
        gateway_limit zone=a cost=\$cost;
        gateway_limit zone=b cost=\$cost;
        empty_gif;
    }

    location = /many {
        gateway_limit zone=many;
        empty_gif;
    }

    location = /slow {
        gateway_limit zone=slow delay=1000;
        empty_gif;
    }

    location = /status {
        stub_status;
    }
}
_EOC_
}


sub flood {
    my ($seconds, @paths) = @_;

    return E2EFlood->new($port, seconds => $seconds, paths => \@paths)->wait;
}


sub answered {
    my ($seen, $status) = @_;

    my $sum = 0;

    for my $answer (keys %{ $seen->{answers} }) {
        $sum += $seen->{answers}{$answer} if $answer =~ /^$status\b/;
    }

    return $sum;
}


# All tokens that were spent, as the time in which they come back, against the
# time that there was: %rates has the rate for each burst.

sub exact {
    my ($name, $seen, %rates) = @_;

    my ($spent, $capacity) = (0, 0);

    for my $quota (keys %rates) {
        my ($burst) = $quota =~ /(\d+)/;

        $spent += ($seen->{answers}{"200 $quota"} // 0) / $rates{$quota};
        $capacity = $burst / $rates{$quota}
            if $burst / $rates{$quota} > $capacity;
    }

    my $most = $seen->{end} - $seen->{begin} + $capacity;
    my @rates = sort { $b <=> $a } values %rates;
    my $least = $seen->{sent} - $seen->{begin} + $capacity
                - ($seen->{lost} // 0) / $rates[-1];

    note(sprintf '%s: %d admitted, %d refused, %d broken; %.4f s spent of '
                 . '%.4f to %.4f', $name, answered($seen, 200),
                 answered($seen, 429), $seen->{broken}, $spent, $least, $most);

    cmp_ok($spent, '<=', $most + 2 / $rates[-1], "$name: not a token more");

    SKIP: {
        skip('this machine is too slow for so many requests', 1)
            if answered($seen, 429) < answered($seen, 200);
        skip('it has stood still: the bucket was full again', 1)
            if $seen->{full};

        cmp_ok($spent, '>=', 0.99 * $least, "$name: all of them");
    }
}


# The tokens of the first zone.

sub left {
    my ($path) = @_;

    my $answer = E2EClient->new($port)->ask('GET', $path);
    my ($left) = ($answer->{headers}{ratelimit} // '') =~ /r=(\d+)/;

    return $left;
}


# Some hundred clients, who wait in all the workers, and go.

sub leave {
    my ($n) = @_;

    my @clients = map { E2EClient->new($port) } 1 .. 300;

    $_->send(E2EClient::request('GET', "/slow?k=$n")) for @clients;

    # the first one is served at once, but stays connected

    ok(E2E::wait_for(5, sub { active() == $none + @clients }),
       'clients wait') if $n == 1;

    sleep 0.1;
    @clients = ();

    E2E::wait_for(5, sub { active() == $none });
}


sub active {
    my $answer = E2EClient->new($port)->ask('GET', '/status');
    my ($active) = $answer->{body} =~ /^Active connections: (\d+)/;

    return $active;
}


# Those that are open at the gateway's end, whether the client's is or not.

sub connections {
    my $local = sprintf '0100007F:%04X', $port;

    return grep {
        my ($address, $state) = (split)[1, 3];

        $address eq $local && $state =~ /^0[18]$/;
    } split /\n/, E2E::slurp('/proc/net/tcp');
}


sub memory {
    my $sum = 0;

    $sum += E2E::memory($_) for $nginx->workers;

    return $sum;
}
