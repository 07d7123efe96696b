# ngx_http_gateway_websocket_module: what a guarded socket costs beside nginx's
# own tunnel, and a request that a WebSocket service answers beside a proxied
# POST of the same bytes.

package Bench::WebSocket;

use strict;
use warnings;

use IO::Socket::INET;
use Time::HiRes qw(sleep);

use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(capture stop);
use Bench::Sockets qw(dirty post request side sockets);

use constant {
    MODULE  => 'ngx_http_gateway_websocket_module',
    SIZE    => 100,

    # guard_idle: sockets at once, and how often
    SOCKETS => 1000,
    TIMES   => 3,

    # sse_memory: messages, bytes of each, and where the memory is looked at
    TICKS   => 1_000_000,
    TICK    => 64,
    LOOKS   => [50_000, 250_000, 500_000, 750_000, 995_000],

    # unmask: bytes of payload, runs, seconds of each, MB a second as a target
    FRAME   => 4096,
    RUNS    => 7,
    SECONDS => 0.1,
    UNMASK  => 4000,
};

my $bench;


sub tunnel {
    return side($bench, <<'END', @_);
proxy_pass http://service;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
END
}


sub guard {
    my ($more) = @_;
    return tunnel(modules => [MODULE],
        location => 'gateway_websocket_guard on;' . ($more // ''));
}


sub own {
    my ($content, %more) = @_;
    return side($bench, "gateway_websocket_pass ws://service;$content",
        modules => [MODULE], %more);
}


# What a worker holds for each of many sockets that had one message and then
# wait, beside what the tunnel holds for them.

my $idle = sub {
    my (@own, @raw, @ratio);

    for (1 .. TIMES) {
        push @raw, held(tunnel());
        push @own, held(guard());
        push @ratio, $own[-1] / $raw[-1];
    }

    my ($own, $raw) = (Bench::spread(@own), Bench::spread(@raw));

    return %{ Bench::judge({
        ratio  => Bench::spread(@ratio),
        others => 0,
        clock  => 1,
        text   => sprintf('%.2f KB for each (%.2f..%.2f), the tunnel %.2f '
            . '(%.2f..%.2f)', map { @$_{qw(median min max)} } $own, $raw),
    }, { ratio => 1.1 }) };
};


sub held {
    my ($side) = @_;
    my $gateway = Bench::Gateway->gateway($bench, 'idle', $side,
        worker_connections => 4 * SOCKETS);

    # what the first sockets bring is nothing that each of them has
    stop(sockets($bench, $gateway, 10, SIZE));
    sleep 0.1;

    my $before = dirty($gateway);
    my $pid = sockets($bench, $gateway, SOCKETS, SIZE);
    my $growth = (dirty($gateway) - $before) / SOCKETS;

    stop($pid);
    $gateway->stop_it;
    return $growth / 1024;
}


# A stream is read as fast as it comes, but for moments at which nothing is
# read until the worker has come to a stand and its memory is looked at.

my $stream = sub {
    my $gateway = Bench::Gateway->gateway($bench, 'stream', side($bench,
        'gateway_websocket_pass ws://service/tick/' . TICKS . '/' . TICK . ";\n"
        . "            gateway_websocket_reply sse;\n", modules => [MODULE]));
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $gateway->{port}, Proto => 'tcp', Timeout => 10)
        // die "bench: stream: connect(): $@\n";
    my ($lines, $head, $last, @looks) = (0, '', '');
    my $before = Bench::Measure::sample($bench, $gateway->{worker});

    # no chunks in HTTP/1.0
    print {$socket} "GET / HTTP/1.0\r\nHost: bench.example\r\n\r\n";

    while (sysread $socket, my $bytes, 65536) {

        if ($head !~ /\r\n\r\n/) {
            $head .= $bytes;
            next if $head !~ /\r\n\r\n(.*)/s;
            $bytes = $1;
        }

        $lines += $bytes =~ tr/\n//;
        $last = substr "$last$bytes", -200;

        if (@looks < @{ +LOOKS } && $lines / 2 >= LOOKS->[@looks]) {
            sleep 0.05;
            push @looks, dirty($gateway);
        }
    }

    my $after = Bench::Measure::sample($bench, $gateway->{worker});
    my $number = sprintf '%010d', TICKS;

    $gateway->stop_it;

    die "bench: stream: $lines lines, which end in \"$last\", after:\n$head"
        if $lines != 2 * TICKS || @looks != @{ +LOOKS }
           || $last !~ /data: \{"tick":$number *\}\n\n$/
           || $head !~ m{^HTTP/1\.1 200 .*^Content-Type: text/event-stream}ms;

    my @growth = map { $_ - $looks[0] } @looks[1 .. $#looks];
    my ($most) = sort { $b <=> $a } @growth;

    return (
        figure => $most,
        unit   => 'bytes of growth',
        spread => { min => $most, max => $most },
        text   => sprintf('%d KB more than at message %d, seen up to message '
            . '%d; %d KB in all, %.2f us a message', $most / 1024,
            LOOKS->[0], LOOKS->[-1], $looks[0] / 1024,
            ($after->{cpu} - $before->{cpu}) / TICKS * 1e6),
        target => { kind => 'bytes', value => 0 },
        met    => $most <= 0 ? 1 : 0,
    );
};


# The frames alone, ws_unmask.c.

my $unmask = sub {
    my %seen;

    for (1 .. RUNS) {
        push @{ $seen{$_} }, frames($_) / 1e6 for qw(mask pass);
    }

    my ($spread, $pass) = map { Bench::spread(@{ $seen{$_} }) } qw(mask pass);

    return (
        figure => $spread->{median},
        unit   => 'MB per second and core',
        spread => $spread,
        text   => sprintf('%.1f GB/s (%.1f..%.1f); header and UTF-8 checked, '
            . 'left masked: %.1f', (map { $spread->{$_} / 1e3 }
                                       qw(median min max)),
            $pass->{median} / 1e3),
        target => { kind => 'MB/s', value => UNMASK },
        met    => $spread->{median} >= UNMASK ? 1 : 0,
    );
};


sub frames {
    my ($what) = @_;
    my ($status, $text) = capture($bench->{gateway_cpu}, frames_program(),
        $what, FRAME, SECONDS);

    die "bench: ws_unmask $what:\n$text" if $status != 0;

    return $text;
}


# Compiled anew when something of it has changed, with nginx's options.

sub frames_program {
    my $nginx = "$bench->{root}/build/nginx";
    my $websocket = "$bench->{root}/modules/websocket";
    my $program = "$bench->{build}/ws_unmask";

    my @sources = ("$bench->{here}/ws_unmask.c",
        "$websocket/ngx_http_gateway_websocket_frame.c");
    my $newest = (sort { $b <=> $a } map { (stat $_)[9] } @sources,
                  "$websocket/ngx_http_gateway_websocket_frame.h")[0];

    return $program if -x $program && (stat $program)[9] >= $newest;

    my ($status, $text) = capture(undef, $ENV{CC} || 'cc',
        qw(-O2 -fPIC -fstack-protector-strong -D_GNU_SOURCE),
        "-I$websocket", "-I$nginx/objs",
        (map { "-I$nginx/src/$_" } qw(core event event/modules os/unix)),
        '-o', $program, @sources);
    die "bench: ws_unmask.c is not compiled:\n$text" if $status != 0;

    return $program;
}


sub beside {
    my ($name, $title, $request, $raw, $side, $target) = @_;

    return {
        name => $name,
        request => $request,
        raw => $raw,
        cases => [
            { name => $name, title => $title, side => $side,
              needs => [MODULE],
              $target ? (target => { ratio => $target }) : (rounds => 0.4) },
        ],
    };
}


sub {
    ($bench) = @_;

    return (
        beside('guard', SIZE . ' bytes and back, beside the tunnel',
            request($bench, 'ws', SIZE), tunnel(), guard(), 1.15),
        beside('guard_4k', 'likewise, 4,000 bytes',
            request($bench, 'ws', 4000), tunnel(), guard()),
        beside('guard_deflate', 'likewise, ' . SIZE . ' bytes, compressed',
            request($bench, 'deflate', SIZE), tunnel(),
            guard('gateway_websocket_deflate on;')),

        { name => 'guard_idle', title => SOCKETS . ' sockets that wait',
          run => $idle, needs => [MODULE] },

        beside('correlated', 'POST by way of one socket, beside a proxied POST',
            request($bench, 'post', SIZE), post($bench),
            own('gateway_websocket_correlate /id;'), 1.2),
        beside('pass', 'POST and a socket for each, beside a connection each',
            request($bench, 'post', SIZE),
            side($bench, 'proxy_pass http://service;', fresh => 1),
            own('', fresh => 1), 1.5),

        { name => 'sse_memory', title => 'a stream of a million messages',
          run => $stream, needs => [MODULE] },

        { name => 'unmask',
          title => 'the frames alone, ' . FRAME . ' bytes each',
          run => $unmask },

        { name => 'unused',
          request => { path => '/' },
          raw => {},
          cases => [
              { name => 'unused', title => 'module loaded, no directive of it',
                side => { modules => [MODULE] },
                needs => [MODULE],
                target => { ratio => 1.00, tolerance => 0.01 } },
          ],
        },
    );
};
