package Bench::Measure;

# One measurement: a fresh gateway, a check that it answers as it should, load
# for a fixed time, and the CPU time which its worker took per request.
#
# A fresh process for each: how the heap and the code happen to lie in memory
# moves the figure by a per cent or two, and this way the spread shows it.

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use Time::HiRes qw(time);

use Bench::Client;
use Bench::Gateway;
use Bench::Process qw(capture read_file);

our @EXPORT_OK = qw(measure check median openssl_verify);

use constant WARM_UP => 300;


# $request: path, and token (one) or tokens (a file of them, sent in turn); or
# path and load, a sub that takes the gateway, a limit ("2s" or a number of
# requests) and a number of connections, sends what wrk cannot, looks at each
# answer, and returns how many there were.

sub measure {
    my ($bench, $name, $side, $request) = @_;
    my $gateway = Bench::Gateway->gateway($bench, $name, $side);

    $request = $side->{request} if $side->{request};

    check($gateway, $side, $request);
    warm_up($gateway, $request);
    fill($bench, $gateway, $request, $side->{fill}) if $side->{fill};

    my $before = sample($bench, $gateway->{worker});
    my $load = load($bench, $gateway, $request);
    my $after = sample($bench, $gateway->{worker});

    $gateway->stop_it;

    my %spent = map { $_ => $after->{$_} - $before->{$_} } keys %$after;
    my $us = $spent{cpu} * 1e6 / $load->{requests};

    return {
        us       => $us,
        tick_us  => $spent{ticks} * 1e6 / $load->{requests},
        rate     => $load->{requests} / $spent{wall},
        busy     => $spent{cpu} / $spent{wall},
        others   => positive($spent{core} - $spent{cpu}) / $spent{wall},
        requests => $load->{requests},
    };
}


# A figure of a gateway that lets everybody in, or nobody, is worth nothing.

sub check {
    my ($gateway, $side, $request) = @_;

    if ($request->{load}) {
        $request->{load}->($gateway, 1, 1);
        return;
    }

    my $client = Bench::Client->new($gateway->{port});
    my $status = $client->get($request->{path}, $request->{token});

    die "bench: $gateway->{name}: a good request was answered $status\n"
        if $status != 200;

    $side->{check}->($gateway) if $side->{check};

    my $expect = $side->{bad_status} // return;
    $status = $client->get($request->{path}, $request->{bad_token});

    die "bench: $gateway->{name}: a bad token was answered $status, "
        . "not $expect\n"
        if $status != $expect;
    return;
}


sub warm_up {
    my ($gateway, $request) = @_;

    return $request->{load}->($gateway, WARM_UP, 1) if $request->{load};

    my $client = Bench::Client->new($gateway->{port});

    $client->get($request->{path}, $request->{token}) for 1 .. WARM_UP;
    return;
}


# Sends the first $count tokens of a file at least once.  Each load begins
# with the first one, so a single load has to reach the last.

sub fill {
    my ($bench, $gateway, $request, $count) = @_;

    for my $seconds (1, 2, 4, 8, 16) {
        my $load = load($bench, $gateway, $request, $seconds);
        return if $load->{requests} > $count;
    }
    die "bench: this machine is too busy to send $count requests\n";
}


sub load {
    my ($bench, $gateway, $request, $seconds) = @_;
    my $limit = ($seconds || $bench->{seconds}) . 's';

    return { requests => $request->{load}->($gateway, $limit,
                                            $bench->{connections}) }
        if $request->{load};

    my @command = (@{ $bench->{awake} }, 'wrk', '-t1',
        "-c$bench->{connections}", "-d$limit", '-H', 'Host: bench.example');

    if ($request->{tokens}) {
        push @command, '-s', "$bench->{here}/rotate.lua";

    } elsif (defined $request->{token}) {
        push @command, '-H', "Authorization: Bearer $request->{token}";
    }

    push @command, "http://127.0.0.1:$gateway->{port}$request->{path}";
    push @command, '--', $request->{tokens} if $request->{tokens};

    my ($status, $report) = capture($bench->{load_cpu}, @command);
    my ($requests) = $report =~ /^\s*(\d+) requests in /m;

    if ($status != 0 || !$requests || $report =~ /Non-2xx|Socket errors/) {
        die "bench: $gateway->{name}: wrk reports:\n$report";
    }
    return { requests => $requests };
}


# schedstat counts nanoseconds; stat's clock ticks are here to cross-check it,
# and instead of it where the kernel has none.

sub sample {
    my ($bench, $pid) = @_;
    my $hz = POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my $stat = read_file("/proc/$pid/stat");
    my @field = split ' ', substr $stat, rindex($stat, ')') + 2;
    my $ticks = ($field[11] + $field[12]) / $hz;
    my $sched = eval { read_file("/proc/$pid/schedstat") };
    my ($ns) = ($sched // '') =~ /^(\d+)/;

    # all but idle and iowait
    my ($core) = read_file('/proc/stat') =~ /^cpu$bench->{gateway_cpu} (.*)/m;
    my @core = split ' ', $core;

    return {
        wall  => time(),
        cpu   => $ns ? $ns / 1e9 : $ticks,
        ticks => $ticks,
        core  => ($core[0] + $core[1] + $core[2] + $core[5] + $core[6]
                  + $core[7]) / $hz,
    };
}


# What one verification costs by openssl's own account, in microseconds, on
# the gateway's core.

sub openssl_verify {
    my ($bench, $algorithm) = @_;
    my ($status, $report) = capture($bench->{gateway_cpu}, 'openssl', 'speed',
        '-mr', '-seconds', 1, $algorithm);
    my ($per_second) = $report =~ /^\+F\d+:\d+:\d+:[\d.]+:([\d.]+)/m;

    die "bench: openssl speed $algorithm reports:\n$report"
        if $status != 0 || !$per_second;

    return 1e6 / $per_second;
}


sub median {
    my @sorted = sort { $a <=> $b } @_;
    my $half = @sorted / 2;

    return @sorted % 2 ? $sorted[$half]
                       : ($sorted[$half - 1] + $sorted[$half]) / 2;
}


sub positive {
    my ($value) = @_;
    return $value > 0 ? $value : 0;
}

1;
