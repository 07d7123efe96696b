# ngx_http_gateway_aggregate_module: three parts made one answer, beside lua
# and njs doing the same.

package Bench::Aggregate;

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP ();

use Bench::Client;
use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(capture free_port read_file write_file);

use constant {
    MODULE  => 'ngx_http_gateway_aggregate_module',
    NAMES   => [qw(user orders ads)],
    LARGE   => 25_700,

    # latency: what a part takes, milliseconds; requests a second; seconds of
    # them, and how often
    WAIT    => 50,
    RATE    => 100,
    SECONDS => 2,
    TIMES   => 3,

    # memory: requests held at once
    HELD    => 200,
};

my $bench;
my %right;      # answers already found to be right
my %texts;      # size => the three texts


# Sixty bytes each.

my $small = sub {
    return map {
        sprintf '{"id":%d,"name":"Ada Lovelace","mail":"ada@example.com"}  ',
            $_ + 4710
    } 1 .. 3;
};


# What an API answers: objects with strings, numbers, true, false, null and
# some nesting.

my $large = sub {
    return map { large_text($_) } 1 .. 3;
};


sub large_text {
    my ($number) = @_;
    my @words = qw(amber birch cedar drift ember fjord grove heath);
    my (@orders, $id);
    my $length = 0;

    for ($id = 100_000 * $number; $length < LARGE - 240; $id++) {
        my $word = $words[$id % @words];

        push @orders, sprintf '{"id":%d,"customer":{"name":"%s %s",'
            . '"mail":"%s.%d@example.com","vip":%s},"created":'
            . '"2024-0%d-1%dT08:%02d:00Z","total":%d.%02d,"currency":"EUR",'
            . '"note":%s,"tags":["%s","%s \u00e9t\u00e9"]}',
            $id, ucfirst $word, ucfirst $words[($id + 3) % @words], $word,
            $id, $id % 3 ? 'false' : 'true', 1 + $id % 9, $id % 10, $id % 60,
            $id * 7 % 900, 11 + $id % 80,
            $id % 2 ? 'null' : qq("left at the $word door, \\"as agreed\\""),
            $words[$id * 5 % @words], $word;
        $length += 1 + length $orders[-1];
    }

    my $text = sprintf '{"page":%d,"next":"https://api.example.com/orders'
        . '?page=%d","orders":[%s],"count":%d}', $number, $number + 1,
        join(',', @orders), scalar @orders;

    die "bench: a large part has " . length($text) . " bytes\n"
        if abs(LARGE - length $text) > 200;

    return $text;
}


# nginx beside wrk, answering the parts; started when first asked for.

my $port = sub {
    return $bench->{parts}{port} if $bench->{parts};

    my $files = "$bench->{work}/parts.files";
    my @small = $small->();
    my @large = $large->();
    my $locations = '';

    %texts = (small => \@small, large => \@large);
    mkdir $files or die "bench: mkdir($files): $!\n";

    for my $i (1 .. 3) {
        mkdir "$files/large";
        write_file("$files/large/$i", $large[$i - 1]);
        $locations .= "        location = /small/$i {\n"
            . "            return 200 '$small[$i - 1]';\n        }\n";
    }

    $bench->{parts} = Bench::Gateway->run($bench, 'parts',
        $bench->{load_cpu}, '', <<"END", prefix => $bench->{awake});
    keepalive_timeout 600s;
    open_file_cache max=10;
    sendfile on;

    server {
        listen 127.0.0.1:%PORT%;
        default_type application/json;
        root $files;

$locations
    }
END
    return $bench->{parts}{port};
};


# A side: the same upstream and internal locations for all of them.

my $side = sub {
    my ($size, %more) = @_;

    return {
        modules => $more{modules},
        http    => sub {
            my $port = $port->();
            return <<"END" . ($more{http} // '');
    upstream parts {
        server 127.0.0.1:$port;
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
END
        },
        server  => "location /$size/ {\n"
                   . "            internal;\n"
                   . "            proxy_pass http://parts;\n"
                   . '            ' . ($more{part} // '') . "\n"
                   . "        }\n",
        location => $more{location},
        content => $more{content},
        check   => sub { check($size, $more{copied}, @_) },
    };
};


# An answer has to be the three texts: the very bytes where they are copied,
# the same values where they were decoded.

sub check {
    my ($size, $copied, $gateway) = @_;
    my $name = "$gateway->{name}, $size parts";
    my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$gateway->{port}/");
    my $body = $answer->{content};

    die "bench: $name: answered $answer->{status}, as "
        . ($answer->{headers}{'content-type'} // 'nothing') . "\n"
        if $answer->{status} != 200
           || $answer->{headers}{'content-type'} !~ m{^application/json};

    return if $right{"$size $body"};

    my @texts = @{ $texts{$size} };
    my $json = JSON::PP->new->utf8->canonical;
    my $whole = '{' . join(',', map {
        my $text = $texts[$_];
        $text =~ s/\s+$//;
        '"' . NAMES->[$_] . "\":$text"
    } 0 .. 2) . '}';
    my $same = $copied && $body eq $whole
        || $json->encode($json->decode($body))
           eq $json->encode($json->decode($whole));

    die "bench: $name: the answer is not the three parts:\n"
        . substr($body, 0, 500) . "\n"
        if !$same || $copied && $copied eq 'exactly' && $body ne $whole;

    $right{"$size $body"} = 1;
    return;
}


my $own = sub {
    my ($size) = @_;

    return $side->($size, modules => [MODULE], copied => 'exactly',
        content => <<"END");
gateway_aggregate {
                part user   /$size/1;
                part orders /$size/2;
                part ads    /$size/3;
            }
END
};


# The 99th percentile of three parts that take 50 ms each, and of one of them
# that is proxied as it is, in turn: what the machine adds is in both.

my $latency = sub {
    my $wait = $bench->compiled('aggregate_wait');
    my $service = free_port();
    my $gateway = Bench::Gateway->gateway($bench, 'latency', {
        modules => [MODULE],
        http    => <<"END",
    upstream slow {
        server 127.0.0.1:$service;
        keepalive 256;
        keepalive_requests 1000000000;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
END
        server  => <<'END',
location = /part {
            proxy_pass http://slow;
        }
END
        content => <<'END',
gateway_aggregate {
                part user   /part;
                part orders /part;
                part ads    /part;
            }
END
    });
    my %seen;

    for (1 .. TIMES) {
        my ($status, $report) = capture($bench->{load_cpu}, $wait, $service,
            WAIT, $gateway->{port}, RATE, SECONDS, '/', '/part');

        my $asked = RATE * SECONDS;
        my %p99 = $report
            =~ m{^(/\w*): answered $asked .*p99 ([\d.]+) .*bytes [1-9]}mg;

        # the three texts without the white space behind them, and their names
        die "bench: latency: aggregate_wait reports:\n$report"
            if $status != 0 || keys %p99 != 2
               || $report !~ m{^/: .* bytes 200$}m;

        push @{ $seen{$_} }, $p99{$_} for keys %p99;
    }

    $gateway->stop_it;

    my ($own, $one) = map { Bench::spread(@{ $seen{$_} }) } '/', '/part';

    return (
        figure => $own->{median},
        unit   => 'ms, 99th percentile',
        spread => $own,
        text   => sprintf('p99 %.2f ms (%.2f..%.2f), one part alone %.2f '
            . '(%.2f..%.2f)', map { @$_{qw(median min max)} } $own, $one),
        target => { kind => 'ms', value => 55 },
        met    => $own->{median} < 55 ? 1 : 0,
        noise  => $one->{max} < 55 ? []
                  : [sprintf 'one part alone takes up to %.0f ms', $one->{max}],
    );
};


# What a worker holds for a request at the moment at which it answers: many are
# kept there by a limit of their rate, and the growth of what the worker has
# written to is divided by their number.  The connections have been there
# before, idle, so that they are not in it; nor are sockets' buffers, which are
# the kernel's.

my $held = sub {
    my ($size, $together) = @_;
    my $side = $own->($size);
    my $gateway = Bench::Gateway->gateway($bench, 'memory', { %$side,
        location => 'limit_rate 1;',
        server   => $side->{server}
                    . "        location = /idle {\n            return 204;\n"
                    . "        }\n",
    });
    my $idle = "GET /idle HTTP/1.1\r\nHost: bench.example\r\n\r\n";
    my $whole = "GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n";
    my @sockets = map { Bench::Client->new($gateway->{port})->connect }
        1 .. HELD;

    for my $socket (@sockets) {
        ask($socket, $idle);
        begun($socket);
    }

    my $before = dirty($gateway);

    for my $socket (@sockets) {
        ask($socket, $whole);
        begun($socket) if !$together;
    }

    if ($together) {
        begun($_) for @sockets;
    }

    my $growth = (dirty($gateway) - $before) / HELD;

    $gateway->stop_it;
    return $growth;
};


sub ask {
    my ($socket, $request) = @_;

    defined syswrite($socket, $request)
        or die "bench: memory: write(): $!\n";
    return;
}


sub begun {
    my ($socket) = @_;
    vec(my $bits = '', fileno $socket, 1) = 1;

    die "bench: memory: no answer begins\n"
        if !select($bits, undef, undef, 10)
           || !sysread $socket, my $bytes, 65536;
    return;
}


# Private_Dirty, in bytes.

sub dirty {
    my ($gateway) = @_;
    my ($kb) = read_file("/proc/$gateway->{worker}/smaps_rollup")
        =~ /^Private_Dirty:\s*(\d+) kB/m;

    return $kb * 1024;
}


my $memory = sub {
    $port->();

    my $bytes = length '{"user":,"orders":,"ads":}';
    $bytes += length for @{ $texts{large} };

    my $target = 1.3 * $bytes + 16 * 1024;
    my $each = Bench::spread(map { $held->('large', 1) } 1 .. 3);
    my $alone = Bench::spread(map { $held->('large', 0) } 1 .. 3);

    return (
        figure => $each->{median},
        unit   => 'bytes for each request',
        spread => $each,
        text   => sprintf('%.1f KB for an answer of %.1f KB, of %d asked for '
            . 'at once (%.1f..%.1f); one after the other %.1f',
            $each->{median} / 1024, $bytes / 1024, HELD,
            $each->{min} / 1024, $each->{max} / 1024,
            $alone->{median} / 1024),
        target => { kind => 'bytes', value => $target },
        met    => $each->{median} <= $target ? 1 : 0,
    );
};


my @lua = ('ndk_http_module', 'ngx_http_lua_module');

my $lua = sub {
    my ($size, $http, $merge) = @_;

    return $side->($size, modules => \@lua, http => $http, content => <<"END");
content_by_lua_block {
                local user, orders, ads = ngx.location.capture_multi({
                    { "/$size/1" }, { "/$size/2" }, { "/$size/3" } })

                if user.status ~= 200 or orders.status ~= 200
                   or ads.status ~= 200
                then
                    return ngx.exit(502)
                end

                $merge
                ngx.header["Content-Type"] = "application/json"
                ngx.header["Content-Length"] = #answer
                ngx.print(answer)
            }
END
};


my $concatenation = sub {
    my ($size) = @_;

    return $lua->($size, '', <<'END');
local answer = '{"user":' .. user.body .. ',"orders":' .. orders.body
                               .. ',"ads":' .. ads.body .. '}'
END
};


my $cjson = sub {
    my ($size) = @_;

    return $lua->($size, <<'HTTP', <<'END');
    init_by_lua_block { cjson = require "cjson" }
HTTP
local answer = cjson.encode({
                    user = cjson.decode(user.body),
                    orders = cjson.decode(orders.body),
                    ads = cjson.decode(ads.body) })
END
};


my @njs = ('ngx_http_js_module');

my $njs = sub {
    my ($size) = @_;

    return $side->($size, modules => \@njs,
        http => "    js_import bench from $bench->{here}/aggregate.js;\n",
        part => 'subrequest_output_buffer_size 32k;',
        content => "js_content bench.$size;");
};


sub cjson_needs {
    return (grep { -e } glob('/usr/{lib,lib/*,local/lib}/lua/5.1/cjson.so'))
        ? @lua : (@lua, 'lua-cjson');
}


# "raw" is lua or njs here

sub beside {
    my ($size, $name, $title, $raw, $needs, $target, $rounds) = @_;

    return {
        name => $name,
        request => { path => '/' },
        raw => $raw->($size),
        cases => [
            { name => $name, title => $title,
              side => $own->($size),
              needs => [MODULE, @$needs],
              optional => 1,
              rounds => $rounds,
              $target ? (target => { ratio => $target }) : () },
        ],
    };
}


sub {
    ($bench) = @_;

    return (
        beside('small', 'small',
            '3 parts of 60 bytes, beside lua concatenation', $concatenation,
            \@lua, 0.8, 0.6),
        beside('small', 'small_cjson', 'likewise, beside lua with cjson',
            $cjson, [cjson_needs()], undef, 0.4),
        beside('small', 'small_njs', 'likewise, beside njs', $njs, \@njs,
            undef, 0.4),

        beside('large', 'large',
            '3 parts of 25.7 KB, beside lua concatenation', $concatenation,
            \@lua, 1.4, 0.6),
        beside('large', 'large_cjson', 'likewise, beside lua with cjson',
            $cjson, [cjson_needs()], 0.1, 0.4),
        beside('large', 'large_njs', 'likewise, beside njs', $njs, \@njs,
            0.1, 0.4),

        { name => 'latency', title => '3 parts of ' . WAIT . ' ms each, '
              . RATE . ' requests/s', run => $latency, needs => [MODULE] },

        { name => 'memory', title => '3 parts of 25.7 KB', run => $memory,
          needs => [MODULE] },
    );
};
