# ngx_http_gateway_limit_module: what a check costs beside the raw proxy and
# beside nginx's limit_req, what is admitted under overload, and how long those
# wait who are.

package Bench::Limit;

use strict;
use warnings;

use Bench::Gateway;
use Bench::LimitTable;
use Bench::Measure;
use Bench::Process qw(capture read_file write_file);

use constant {
    MODULE => 'ngx_http_gateway_limit_module',
    KEYS   => 20_000,
};

my $bench;


# Keys sent in turn, as tokens: nothing in these configurations looks at an
# Authorization header but as a key.

my $keys = sub {
    my $file = "$bench->{build}/keys.txt";

    write_file($file, join '', map { sprintf "key%07d\n", $_ } 1 .. KEYS);

    return { path => '/', tokens => $file, token => 'key0000001' };
};


# Rates that no load of one machine reaches: nothing is refused.

my $gateway_limit = sub {
    my ($key, %more) = @_;

    return {
        modules  => [MODULE],
        http     => "    gateway_limit_zone $key zone=all:10m rate=1000000r/s "
                    . "burst=1000000;\n"
                    . '    gateway_limit_headers '
                    . ($more{headers} // 'off') . ";\n"
                    . ($more{http} // ''),
        location => 'gateway_limit zone=all;' . ($more{location} // ''),
        content  => $more{content},
    };
};


my $limit_req = sub {
    my ($key, %more) = @_;

    return {
        http     => "    limit_req_zone $key zone=all:10m rate=1000000r/s;\n",
        location => 'limit_req zone=all burst=1000000 nodelay;',
        content  => $more{content},
    };
};


# What two workers admit while wrk asks far too often, by the gateway's own log
# and clock: from the first admitted request to the last.

my $admitted = sub {
    my ($rate, $burst) = (1000, 1000);
    my $log = "$bench->{work}/admitted.log";

    my $gateway = Bench::Gateway->gateway($bench, 'admitted', {
        modules  => [MODULE],
        http     => <<"END",
    gateway_limit_zone \$server_name zone=all:1m rate=${rate}r/s burst=$burst;
    log_format admitted '\$msec';
    map \$gateway_limit_status \$admitted {
        passed 1;
    }
END
        server   => "server_name all;\n"
                    . "        access_log $log admitted if=\$admitted;",
        location => 'gateway_limit zone=all;',
        content  => 'empty_gif;',
    }, workers => 2);

    my (undef, $report) = capture(undef, 'wrk', '-t1',
        "-c$bench->{connections}", "-d$bench->{overload}s",
        "http://127.0.0.1:$gateway->{port}/");
    my ($all) = $report =~ /^\s*(\d+) requests in /m
        or die "bench: admitted: wrk reports:\n$report";

    $gateway->stop_it('QUIT');

    my @times = sort { $a <=> $b } split /\n/, read_file($log);
    my $time = $times[-1] - $times[0];
    my $due = $burst + $rate * $time;
    my $off = (@times - $due) / $due * 1e6;

    die "bench: admitted: wrk reports too few refusals:\n$report"
        if $all < 2 * @times;

    return (
        figure => abs $off,
        unit   => 'ppm off burst + rate x time',
        spread => { min => abs $off, max => abs $off },
        text   => sprintf('%d of %d requests in %.3f s, %d r/s and %d: '
            . '%+.0f ppm', scalar @times, $all, $time, $rate, $burst, $off),
        target => { kind => 'ppm', value => 1000 },
        met    => abs $off <= 1000 ? 1 : 0,
    );
};


# The 99th percentile of how long admitted requests take, ten times as many
# being sent, beside limit_req.  One worker serves both in turn, so that what
# else the machine does is in both.

my $overload = sub {
    my $flood = $bench->compiled('flood');
    my $side = {
        modules => [MODULE],
        http    => <<'END',
    gateway_limit_zone $binary_remote_addr zone=own:1m rate=500r/s burst=101;
    limit_req_zone $binary_remote_addr zone=other:1m rate=500r/s;
END
        server  => <<'END',
location = /own {
            gateway_limit zone=own;
            empty_gif;
        }

        location = /other {
            limit_req zone=other burst=100 nodelay;
            limit_req_status 429;
            empty_gif;
        }
END
    };
    my (@own, @other, @ratio);

    for (1 .. $bench->{rounds}) {
        my $gateway = Bench::Gateway->gateway($bench, 'latency', $side);
        my ($status, $report) = capture($bench->{load_cpu}, $flood,
            $gateway->{port}, 10_000, 2, '/own', '/other');

        $gateway->stop_it;

        my %p99 = $report
            =~ m{^/(own|other): admitted \d+ refused \d{4,} .*p99 ([\d.]+)}mg;

        die "bench: latency: flood reports:\n$report"
            if $status != 0 || keys %p99 != 2;

        push @own, $p99{own};
        push @other, $p99{other};
        push @ratio, $p99{own} / $p99{other};
    }

    my ($own, $other) = (Bench::spread(@own), Bench::spread(@other));

    return %{ Bench::judge({
        ratio  => Bench::spread(@ratio),
        others => 0,
        clock  => 1,
        text   => sprintf('p99 %.0f us (%.0f..%.0f), limit_req %.0f '
            . '(%.0f..%.0f)', $own->{median}, $own->{min}, $own->{max},
            $other->{median}, $other->{min}, $other->{max}),
    }, { ratio => 1.00, tolerance => 0.05 }) };
};


sub {
    ($bench) = @_;

    my @gif = (content => 'empty_gif;');

    return ({
        name => 'proxied',
        request => { path => '/' },
        raw => {},
        cases => [
            { name => 'headers', title => 'one zone, by address',
              side => $gateway_limit->('$binary_remote_addr',
                                       headers => 'on'),
              needs => [MODULE],
              target => { ratio => 1.03 } },

            { name => 'off', title => 'likewise, without fields',
              side => $gateway_limit->('$binary_remote_addr'),
              needs => [MODULE] },

            { name => 'three', title => 'three zones, with their fields',
              side => $gateway_limit->('$binary_remote_addr',
                  headers => 'on', http => <<'END',
    gateway_limit_zone $server_name zone=server:1m rate=1000000r/s burst=1000000;
    gateway_limit_zone $uri zone=uri:1m rate=1000000r/s burst=1000000;
END
                  location => "\n            gateway_limit zone=server;"
                              . "\n            gateway_limit zone=uri;"),
              needs => [MODULE] },

            { name => 'unused', title => 'module loaded, no directive of it',
              side => { modules => [MODULE] },
              needs => [MODULE],
              target => { ratio => 1.00, tolerance => 0.01 } },
        ],
    },

    # "raw" is limit_req here

    { name => 'one key',
      request => { path => '/' },
      raw => $limit_req->('$binary_remote_addr', @gif),
      cases => [
          { name => 'gif', title => 'empty_gif, beside limit_req',
            side => $gateway_limit->('$binary_remote_addr', @gif),
            needs => [MODULE],
            target => { ratio => 1.00 } },
      ],
    },

    { name => 'many keys',
      request => $keys,
      raw => $limit_req->('$http_authorization', @gif),
      cases => [
          { name => 'gif_keys',
            title => 'empty_gif, ' . KEYS . ' keys, beside limit_req',
            side => $gateway_limit->('$http_authorization', @gif),
            needs => [MODULE],
            target => { ratio => 1.00 } },
      ],
    },

    { name => 'admitted', title => 'overload, two workers', run => $admitted,
      needs => [MODULE] },

    { name => 'latency', title => '10 x overload, those admitted',
      run => $overload, needs => [MODULE] },

    Bench::LimitTable::groups($bench));
};
