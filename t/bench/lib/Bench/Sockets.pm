package Bench::Sockets;

# What the cases with WebSockets have in common: the service beside the load
# (ws_echo.c), the load (ws_load.c), sides whose "upstream service" is that
# service, and the memory of a worker.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use Time::HiRes qw(sleep);

use Bench::Process qw(alive capture free_port read_file start stop);

our @EXPORT_OK = qw(dirty load_sockets post request service side sockets);

my $echo;


# The port of a service.  A fresh one has a port of its own: where each request
# takes a connection, those that were closed lately are in nobody's way then.

sub service {
    my ($bench, $fresh) = @_;

    if ($echo && ($fresh || !alive($echo->{pid}))) {
        stop($echo->{pid});
        undef $echo;
    }

    return $echo->{port} if $echo;

    my $program = $bench->compiled('ws_echo', '-lcrypto');
    my $port = free_port();
    my $pid = start(cpu => $bench->{load_cpu},
        log => "$bench->{work}/ws_echo.log",
        command => [@{ $bench->{awake} }, $program, $port]);

    $echo = { pid => $pid, port => $port };

    for (1 .. 500) {
        return $port if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $port, Proto => 'tcp', Timeout => 1);
        last if !alive($pid);
        sleep 0.01;
    }
    die "bench: ws_echo does not listen:\n"
        . read_file("$bench->{work}/ws_echo.log");
}


# A request of Bench: ws_load.c sends it.

sub request {
    my ($bench, $mode, $size, $path) = @_;

    return {
        path => $path || '/',
        load => sub {
            my ($gateway, $limit, $connections) = @_;
            my ($answered, $report) = load_sockets($bench, $gateway->{port},
                $limit, $connections, $mode, $size, $path);

            die "bench: $gateway->{name}: ws_load reports:\n$report"
                if !$answered;

            return $answered;
        },
    };
}


# How many were answered, or 0 and what was wrong.

sub load_sockets {
    my ($bench, $port, $limit, $connections, $mode, $size, $path) = @_;
    my ($status, $report) = capture($bench->{load_cpu}, @{ $bench->{awake} },
        $bench->compiled('ws_load', '-lz'), $mode, $port, $path || '/', $size,
        $connections, $limit);
    my ($answered) = $report =~ /^answered (\d+) /m;

    return ($status == 0 && $answered || 0, $report);
}


# fresh => 1: a new service, keepalive => 1: connections to it are kept; and
# what a side of Bench::Gateway has.

sub side {
    my ($bench, $content, %more) = @_;
    my ($fresh, $keep, $http) = delete @more{qw(fresh keepalive http)};

    return {
        %more,
        http => sub {
            my $port = service($bench, $fresh);
            my $keepalive = $keep ? <<'END' : '';
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
END
            return <<"END" . ($http ? $http->() : '');
    upstream service {
        server 127.0.0.1:$port;
$keepalive    }

    proxy_http_version 1.1;
END
        },
        content => $content,
    };
}


# Proxied requests, with connections that are kept on both sides.

sub post {
    my ($bench) = @_;

    return side($bench, <<'END', keepalive => 1);
proxy_pass http://service;
            proxy_set_header Connection "";
END
}


# Sockets that had one message and wait: the pid of the process that has them.

sub sockets {
    my ($bench, $gateway, $count, $size, $at_once) = @_;
    my $log = "$gateway->{dir}/sockets.log";

    unlink $log;

    my $pid = start(cpu => $bench->{load_cpu}, log => $log,
        command => [$bench->compiled('ws_load', '-lz'), 'idle',
                    $gateway->{port}, '/', $size, $count, $at_once || 0]);

    for (1 .. 3000) {
        return $pid if -f $log && read_file($log) =~ /^ready$/m;
        last if !alive($pid);
        sleep 0.01;
    }
    die "bench: $count idle sockets: ws_load reports:\n" . read_file($log);
}


# Private_Dirty, in bytes.

sub dirty {
    my ($gateway) = @_;
    my ($kb) = read_file("/proc/$gateway->{worker}/smaps_rollup")
        =~ /^Private_Dirty:\s*(\d+) kB/m;

    return $kb * 1024;
}

1;
