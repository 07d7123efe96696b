# ngx_http_gateway_websocket_module: what a message of a served socket costs
# beside a proxied POST of the same bytes, and beside Pushpin, which asks an
# HTTP backend, too; what a served socket takes, and how fast a push is.

package Bench::Serve;

use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use POSIX ();
use Time::HiRes qw(sleep time);

use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(alive free_port read_file start stop workers_of
                      write_file);
use Bench::Sockets qw(dirty load_sockets post request service side sockets);

use constant {
    MODULE  => 'ngx_http_gateway_websocket_module',
    SIZE    => 100,
    RATIO   => 1.3,

    # pushpin: times as many messages in a CPU second, as a target
    TIMES    => 5,
    ATTEMPTS => 3,

    # idle: sockets, how many of them open at once, and how often; the most
    # bytes for each
    SOCKETS => 10_000,
    OPENING => 64,
    LOOKS   => 3,
    EACH    => 8192,

    # million: messages at once, and those after which memory is looked at
    ATONCE  => 16,
    MARKS   => [50_000, 250_000, 500_000, 750_000, 1_000_000],

    # group: pushes to all sockets, the most milliseconds for one
    ROUNDS  => 20,
    GROUP   => 100,

    # id: sockets, pushes and how many a second, the most microseconds
    TARGETS => 64,
    PUSHES  => 2000,
    RATE    => 500,
    ID      => 2000,

    # group and id: the share of all cores above which others are noise
    OTHERS  => 0.05,
};

my $bench;
my $answers;


# What is served at /, with parameters more of gateway_websocket_serve.

sub served {
    my ($more, %side) = @_;
    my $path = $side{path} // '/';

    return side($bench, "gateway_websocket_serve /message$more;\n"
            . '            ' . ($side{serve} // ''),
        modules => [MODULE], keepalive => 1, http => $side{http},
        server => <<"END" . ($side{server} // ''));
location = /message {
            internal;
            proxy_pass http://service$path;
            proxy_set_header Connection "";
        }

END
}


# The service takes nothing but events at this path.

sub events {
    return served(' format=websocket-events', path => '/events');
}


# Beside ws_echo: what tells a socket which id and which worker it has, and
# puts each into one group.

sub answers {
    $answers = undef if $answers && !alive($answers->{pid});

    return $answers //= Bench::Gateway->run($bench, 'answers',
        $bench->{load_cpu}, '', <<'END', prefix => $bench->{awake});
    keepalive_timeout 600s;

    server {
        listen 127.0.0.1:%PORT%;
        default_type text/plain;

        location = /connect {
            add_header Gateway-Groups all;
            return 204;
        }

        location = /message {
            return 200 "$http_gateway_connection_id $http_bench_worker";
        }
    }
END
}


sub grouped {
    my $port = answers()->{port};

    return (
        http => sub { <<"END" },

    gateway_websocket_zone bench:32m;

    upstream answers {
        server 127.0.0.1:$port;
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }
END
        serve => 'gateway_websocket_connect /connect;',
        server => <<'END',
        location = /connect {
            internal;
            proxy_pass http://answers;
            proxy_set_header Connection "";
        }
END
    );
}


# Messages in a CPU second: Pushpin, and a gateway that asks the same service
# as Pushpin does, or with the message as it is.

my $pushpin = sub {
    my @sides = ([events => events()],
                 [plain => served('')]);
    my (%us, @ratio, @events);

    for (1 .. $bench->{rounds}) {
        push @{ $us{pushpin} }, pushpin_us();
        push @{ $us{$_->[0]} }, gateway_us(@$_) for @sides;
        push @ratio, $us{pushpin}[-1] / $us{plain}[-1];
        push @events, $us{pushpin}[-1] / $us{events}[-1];
    }

    my %spread = map { $_ => Bench::spread(@{ $us{$_} }) } keys %us;
    my ($ratio, $events) = (Bench::spread(@ratio), Bench::spread(@events));

    return (
        figure => $ratio->{median},
        unit   => "times Pushpin's messages in a CPU second",
        spread => $ratio,
        text   => sprintf('%.1f x (%.1f..%.1f) with %.2f us a message, in its '
            . 'format %.1f x (%.1f..%.1f) with %.2f; Pushpin %.1f (%.1f..%.1f)',
            @$ratio{qw(median min max)}, $spread{plain}{median},
            @$events{qw(median min max)}, $spread{events}{median},
            @{ $spread{pushpin} }{qw(median min max)}),
        target => { kind => 'x', value => TIMES },
        met    => $ratio->{median} >= TIMES ? 1 : 0,
    );
};


sub gateway_us {
    my ($name, $side) = @_;
    my $gateway = Bench::Gateway->gateway($bench, $name, $side);
    my $us = message_us($gateway->{port}, sub { cpu($gateway->{worker}) });

    $gateway->stop_it;
    return $us;
}


# All of Pushpin's processes, with the gateway's core for themselves.  Now and
# then it loses a connection: then it begins again.

sub pushpin_us {
    my $us;

    for my $attempt (1 .. ATTEMPTS) {
        my ($port, @pids) = pushpin_start();

        $us = eval {
            message_us($port, sub { cpu(map { $_, workers_of($_) } @pids) });
        };

        stop($_) for @pids;
        return $us if $us;
    }
    die $@;
}


# What is taken by messages alone: the time for a load of some seconds without
# that for one message on each connection.

sub message_us {
    my ($port, $cpu) = @_;
    my ($taken, $messages) = (0, 0);

    for my $load ([200, 1, 0], [$bench->{connections}, undef, -1],
                  ["$bench->{seconds}s", undef, 1])
    {
        my ($limit, $connections, $sign) = @$load;
        my $before = $cpu->();
        my ($answered, $report) = load_sockets($bench, $port, $limit,
            $connections || $bench->{connections}, 'ws', SIZE);

        die "bench: ws_load reports:\n$report" if !$answered;

        # what is done about connections that are gone belongs to them
        sleep 0.1;
        $taken += $sign * ($cpu->() - $before);
        $messages += $sign * $answered;
    }
    return $taken / $messages * 1e6;
}


# CPU seconds of all threads of all these processes.

sub cpu {
    my $ns = 0;

    for my $file (map { glob "/proc/$_/task/*/schedstat" } @_) {
        my ($one) = (eval { read_file($file) } // '') =~ /^(\d+)/;
        $ns += $one // 0;
    }
    return $ns / 1e9;
}


# Pushpin as Debian has it (condure, pushpin-proxy and pushpin-handler, and
# zurl, which is a service of its own there), with less to log, and with all
# names and ports of its own.

sub pushpin_start {
    my $sockets = tempdir('pushpin-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $dir = "$bench->{work}/pushpin";
    my ($port, $control) = (free_port(), free_port());
    my $service = service($bench);
    my $zurl = "ipc://$sockets/zurl";
    my @pids;

    make_path($dir);
    write_file("$dir/routes", "* 127.0.0.1:$service,over_http\n");

    write_file("$dir/zurl.conf", <<"END");
[General]
in_spec=$zurl-in
in_stream_spec=$zurl-in-stream
out_spec=$zurl-out
defpolicy=allow
max_open_requests=2000
buffer_size=200000
timeout=600
in_hwm=1000
out_hwm=1000
END

    write_file("$dir/pushpin.conf", <<"END");
[global]
include={libdir}/internal.conf
rundir=$sockets
ipc_prefix=bench-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:$port
logdir=$dir
log_level=1
client_buffer_size=8192
client_maxconn=1000

[proxy]
routesfile=$dir/routes
updates_check=off
zurl_out_specs=$zurl-in
zurl_out_stream_specs=$zurl-in-stream
zurl_in_specs=$zurl-out

[handler]
push_in_spec=ipc://$sockets/push
push_in_sub_specs=ipc://$sockets/push-sub
push_in_http_addr=127.0.0.1
push_in_http_port=$control
command_spec=ipc://$sockets/command
END

    for my $command (['zurl', "--config=$dir/zurl.conf", '--loglevel=1'],
                     ['pushpin', "--config=$dir/pushpin.conf",
                      '--merge-output', '--loglevel=1'])
    {
        push @pids, start(cpu => $bench->{gateway_cpu}, command => $command,
            log => "$dir/out.log");
    }

    my ($answered, $report);

    for (1 .. 100) {
        ($answered, $report) = load_sockets($bench, $port, 1, 1, 'ws', SIZE);
        return ($port, @pids) if $answered;
        sleep 0.05;
    }
    die "bench: Pushpin does not answer: ${report}It says:\n"
        . read_file("$dir/out.log");
}


# What a worker holds for each of many sockets that had one message and wait.

my $idle = sub {
    my @each = map { held(served('')) } 1 .. LOOKS;
    my $grouped = held(served(' zone=bench', grouped()));
    my $limited = held(served('', serve => 'limit_conn all 65535;',
        http => sub { "    limit_conn_zone \$server_port zone=all:1m;\n" }));

    my $spread = Bench::spread(@each);

    return (
        figure => $spread->{median},
        unit   => 'bytes for each',
        spread => $spread,
        text   => sprintf('%.2f KB for each (%.2f..%.2f); %.2f in a group, '
            . '%.2f with limit_conn', (map { $_ / 1024 }
            @$spread{qw(median min max)}, $grouped, $limited)),
        target => { kind => 'bytes', value => EACH },
        met    => $spread->{median} <= EACH ? 1 : 0,
    );
};


sub held {
    my ($side) = @_;
    my $limit = SOCKETS + 2000;
    my $gateway = Bench::Gateway->gateway($bench, 'idle', $side,
        worker_connections => $limit, prefix => ['prlimit', "--nofile=$limit"]);

    # what the first sockets bring is nothing that each of them has
    stop(sockets($bench, $gateway, OPENING, SIZE));
    sleep 0.2;

    my $before = dirty($gateway);
    my $pid = sockets($bench, $gateway, SOCKETS, SIZE, OPENING);
    my $growth = (dirty($gateway) - $before) / SOCKETS;

    stop($pid);
    $gateway->stop_it;
    return $growth;
}


# Many messages through one socket.  The worker's memory is looked at when all
# that were sent have come back.

my $million = sub {
    my $gateway = Bench::Gateway->gateway($bench, 'million', served(''));
    my $log = "$gateway->{dir}/pipe.log";
    my $before = Bench::Measure::sample($bench, $gateway->{worker});
    my $pid = serve_program($log, $bench->{load_cpu}, 'pipe',
        $gateway->{port}, '/', SIZE, ATONCE, @{ +MARKS });
    my (@looks, $seconds);

    for my $mark (@{ +MARKS }) {
        ($seconds) = line($pid, $log, qr/^at $mark seconds (\S+)$/m);
        push @looks, dirty($gateway);
    }

    my $after = Bench::Measure::sample($bench, $gateway->{worker});

    stop($pid);
    $gateway->stop_it;

    my @growth = map { $_ - $looks[0] } @looks[1 .. $#looks];
    my ($most) = sort { $b <=> $a } @growth;

    return (
        figure => $most,
        unit   => 'bytes of growth',
        spread => { min => $most, max => $most },
        text   => sprintf('%d KB more than at message %d; %d KB in all, '
            . '%.2f us a message, %.0f messages a second', $most / 1024,
            MARKS->[0], $looks[0] / 1024, ($after->{cpu} - $before->{cpu})
            / MARKS->[-1] * 1e6, MARKS->[-1] / $seconds),
        target => { kind => 'bytes', value => 0 },
        met    => $most <= 0 ? 1 : 0,
    );
};


# One push to all sockets, which two workers have.

my $group = sub {
    my $gateway = push_gateway();
    my $log = "$gateway->{dir}/group.log";
    my $before = taken($gateway);
    my $pid = serve_program($log, undef, 'group', $gateway->{shared}, '/serve',
        SIZE, SOCKETS, '/push/groups/all', ROUNDS);
    my $round = ROUNDS;

    line($pid, $log, qr/^round $round first /m);
    stop($pid);

    my $noise = others($before, taken($gateway));

    $gateway->stop_it;

    my %seen;

    for my $line (split /\n/, read_file($log)) {
        my %time = $line =~ /(first|last|answer) (\S+)/g;
        push @{ $seen{$_} }, $time{$_} for keys %time;
    }

    my %spread = map { $_ => Bench::spread(@{ $seen{$_} }) } keys %seen;

    return (
        figure => $spread{last}{median},
        unit   => 'ms to the last of ' . SOCKETS,
        spread => $spread{last},
        noise  => $noise,
        text   => sprintf('%.1f ms (%.1f..%.1f) to the last of %d, the first '
            . '%.1f, the answer %.1f (%.1f..%.1f)',
            @{ $spread{last} }{qw(median min max)}, SOCKETS,
            $spread{first}{median}, @{ $spread{answer} }{qw(median min max)}),
        target => { kind => 'ms', value => GROUP },
        met    => $spread{last}{median} <= GROUP ? 1 : 0,
    );
};


# One push after the other, each to a socket of the other worker.

my $id = sub {
    my $gateway = push_gateway();
    my $log = "$gateway->{dir}/id.log";
    my $before = taken($gateway);
    my $pid = serve_program($log, undef, 'id', $gateway->{shared}, '/serve',
        SIZE, TARGETS, '/push', PUSHES, RATE);
    my ($other, @time) = line($pid, $log, qr/^other\ (\d+)\ of\ \d+
        \ p50\ (\S+)\ p99\ (\S+)\ max\ (\S+)
        \ answer\ p50\ (\S+)\ p99\ (\S+)\ max\ (\S+)$/mx);

    stop($pid);

    my $noise = others($before, taken($gateway));

    $gateway->stop_it;

    return (
        figure => $time[1],
        unit   => 'us, 99th percentile',
        spread => { min => $time[0], max => $time[2] },
        noise  => $noise,
        text   => sprintf('50%% %.0f us, 99%% %.0f, all %.0f; the answer %.0f, '
            . '%.0f, %.0f; %d a second', @time, RATE),
        target => { kind => 'us', value => ID },
        met    => $time[1] <= ID ? 1 : 0,
    );
};


# Two workers with listening sockets of their own, so that each gets about half
# of the connections.

sub push_gateway {
    my $shared = free_port();
    my $limit = SOCKETS + 2000;
    my %grouped = grouped();
    my $http = $grouped{http};

    $grouped{http} = sub { $http->() . <<"END" };

    server {
        listen 127.0.0.1:$shared reuseport;

        location = /serve {
            gateway_websocket_serve /message zone=bench;
            gateway_websocket_connect /connect;
            gateway_websocket_set_header Bench-Worker \$pid;
        }

        location = /message {
            internal;
            proxy_pass http://answers;
            proxy_set_header Connection "";
        }

        location = /push {
            return 200 \$pid;
        }

        location /push/ {
            gateway_websocket_push zone=bench;
        }

        $grouped{server}
    }
END

    my $gateway = Bench::Gateway->gateway($bench, 'push',
        side($bench, 'return 204;', modules => [MODULE],
             http => $grouped{http}),
        workers => 2, worker_connections => $limit,
        prefix => ['prlimit', "--nofile=$limit"]);

    $gateway->{shared} = $shared;
    return $gateway;
}


# CPU seconds of all that runs on this machine, and of what belongs to the case:
# those of the client are there as soon as it has been waited for.

sub taken {
    my ($gateway) = @_;
    my $hz = POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my (undef, @all) = split ' ', (split /\n/, read_file('/proc/stat'))[0];
    my $own = cpu(map { workers_of($_->{pid}) } $gateway, answers());

    $own += $_ for times;

    return { wall => time(), own => $own, cpus => scalar(() = glob
             '/sys/devices/system/cpu/cpu[0-9]*'),
             all => ($all[0] + $all[1] + $all[2] + $all[5] + $all[6]) / $hz };
}


sub others {
    my ($before, $after) = @_;
    my %spent = map { $_ => $after->{$_} - $before->{$_} } qw(wall own all);
    my $share = ($spent{all} - $spent{own}) / $spent{wall} / $after->{cpus};

    return $share > OTHERS
        ? [sprintf 'others took %.0f%% of all cores', $share * 100] : [];
}


sub serve_program {
    my ($log, $cpu, @arguments) = @_;

    return start(cpu => $cpu, log => $log, command => [@{ $bench->{awake} },
        $bench->compiled('ws_serve'), @arguments]);
}


# Waits for a line in a log, and returns what the pattern has in parentheses.

sub line {
    my ($pid, $log, $pattern) = @_;
    my $until = time() + 120;

    while (time() < $until) {
        my $running = alive($pid);

        my @found = -f $log ? read_file($log) =~ $pattern : ();

        return @found if @found;
        last if !$running;
        sleep 0.005;
    }
    die "bench: ws_serve reports:\n" . (-f $log ? read_file($log) : '');
}


sub beside {
    my ($name, $title, $side, $target) = @_;

    return {
        name => $name,
        request => request($bench, 'ws', SIZE),
        raw => { %{ post($bench) }, request => request($bench, 'post', SIZE) },
        cases => [
            { name => $name, title => $title, side => $side,
              needs => [MODULE],
              $target ? (target => { ratio => $target }) : (rounds => 0.6) },
        ],
    };
}


sub {
    ($bench) = @_;

    return (
        beside('message', SIZE . ' bytes and back, beside a proxied POST',
            served(''), RATIO),
        beside('events', 'likewise, with format=websocket-events',
            events()),
        { name => 'pushpin', title => 'beside Pushpin, CPU of all processes',
          run => $pushpin, needs => [MODULE],
          commands => [qw(pushpin zurl)], optional => 1 },
        { name => 'idle', title => SOCKETS . ' sockets that wait',
          run => $idle, needs => [MODULE] },
        { name => 'million', title => 'a million messages on one socket',
          run => $million, needs => [MODULE] },
        { name => 'group', title => 'a push to ' . SOCKETS . ' sockets',
          run => $group, needs => [MODULE] },
        { name => 'id', title => 'a push to a socket of another worker',
          run => $id, needs => [MODULE] },
    );
};
