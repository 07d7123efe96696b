#!/usr/bin/perl

# What docs/limit.md's examples do, beyond passing nginx -t, and that a bucket
# fills as its picture says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Select;
use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewaySystem qw( attempts );
use Test::More;
use Time::HiRes qw( sleep time );

need_nginx();

my $dir = work_dir();
my ($port, $service, $bucket_port) = free_ports(3);
my %examples = map { $_->{heading} => $_ } examples('docs/limit.md');

# So that a test may come from any address.

my $addresses = "
    set_real_ip_from 127.0.0.1;
    real_ip_header X-From;
";


# The table for those who come from limit_req: both do the same with thirty
# requests at once.

SKIP: {
    my @same = slurp("$ROOT/docs/limit.md")
        =~ /^\| `(limit_req zone=[^`]*)` \| `(gateway_limit zone=[^`]*)` \|$/mg;

    is(scalar @same, 8, 'the table has four of them');
    skip('nginx has no limit_req', 1)
        if `${\ nginx_binary()} -V 2>&1` =~ /--without-http_limit_req_module/;

    my $n = 0;
    my $conf = join '', map {
        "location = /" . $n++ . " { $_; empty_gif; }\n"
    } @same;

    spew("$dir/same.conf", startable("events {}\nhttp {\n
        limit_req_zone \$uri zone=one:64k rate=10r/s;
        gateway_limit_zone \$uri zone=two:64k rate=10r/s;
        server {
            listen 127.0.0.1:$port;
            limit_req_status 429;
            $conf
        }
    }\n" =~ s/gateway_limit zone=one/gateway_limit zone=two/gr));

    my ($pid, @told);

    attempts(sub {
        $pid = nginx_start($dir, "$dir/same.conf", $port) or return 1;
        @told = at_once(map { "http://127.0.0.1:$port/$_" } 0 .. $#same);
        nginx_stop($pid);

        return !grep { length off(@told[$_, $_ + 1])
                       || apart(@told[$_, $_ + 1]) >= 0.3 }
                map { 2 * $_ } 0 .. @told / 2 - 1;
    });

    ok($pid, 'limit_req and gateway_limit') or last;

    while (my ($theirs, $ours) = splice @same, 0, 2) {
        my ($their, $our) = splice @told, 0, 2;

        is(off($our, $their), '', "$theirs: $ours")
            or diag(map { "$_->{now} now, $_->{late} late\n" } $our, $their);
        cmp_ok(apart($our, $their), '<', 0.3, 'and as late at most');
    }
}


# The picture's table, up to the fourth second; the rest when that has come.
# Where the machine pauses, all begins anew.

my @rows = rows();
my ($begin, $bucket);

attempts(sub { first_seconds() });
ok($bucket, 'the bucket of the picture') or done_testing(), exit;


recipe('Example', sub {
    my $answer = get(url('/'));

    is($answer->{status}, 200, 'admitted');
    is($answer->{headers}{'ratelimit-policy'}, '"by_ip";q=100;w=2',
       'the policy');
    is($answer->{headers}{ratelimit}, '"by_ip";r=99;t=1', 'what is left');
    cmp_ok(scalar(grep { $_ == 200 } statuses('/', 400)), '>=', 99,
           'as many at once');
});

recipe('Several limits', sub {
    my @reports = statuses('/reports/', 20);

    is(count(200, @reports[0 .. 9]), 10, 'ten of the one place');
    isnt(count(200, @reports), 20, 'and no more');
    is(count(200, statuses('/', 20)), 20, 'the other still has some');
});

recipe('By address', sub {
    my @from = ('x-from' => '2001:db8:1:2::1');

    is(count(200, statuses('/', 40, @from)), 40, 'a network');
    drained('2001:db8:1:2:ffff::2');
    is(status('/', 'x-from' => '2001:db8:1:3::1'), 200, 'another network');
    is(count(200, statuses('/', 40, 'x-from' => '192.0.2.1')), 40, 'IPv4');
    drained('192.0.2.1');
    is(status('/', 'x-from' => '192.0.2.2'), 200, 'another address');
});

recipe('By user', sub {
    my @alice = bearer({ sub => 'alice' });
    my @bob = bearer({ sub => 'bob' });

    is(count(200, statuses('/', 20, @alice)), 20, 'as many at once');
    ok(refused('by_user', 5, @alice), 'then the user is refused');
    is(status('/', @bob), 200, 'another user is not');
    is(status('/'), 401, 'nobody');
    ok(!exists get(url('/'))->{headers}{'retry-after'}, 'is told to log in');
    ok(refused('by_ip', 500), 'but not as often as he likes');
});

recipe('By API key', sub {
    my @key = ('x-api-key' => 'k-3f0c1a6e');

    is(count(200, statuses('/', 6)), 5, 'without a key');
    is(status('/', 'x-api-key' => 'made-up'), 429, 'with one made up');
    is(count(200, statuses('/', 50, @key)), 50, 'with one that is known');
    like(get(url('/'), @key)->{headers}{'ratelimit-policy'},
         qr/^"by_key";q=200;w=2$/, 'and its policy');
});

recipe('By plan', sub {
    my @gold = bearer({ sub => 'alice', plan => 'gold' });
    my @none = bearer({ sub => 'bob' });

    is(policy(@gold), '"by_plan";q=200;w=2', 'gold');
    is(policy(bearer({ sub => 'carol', plan => 'silver' })),
       '"by_plan";q=40;w=2', 'silver');
    is(policy(@none), '"by_plan";q=4;w=2', 'none');
    ok(refused('by_plan', 20, @none), 'which does not reach far');
    is(count(200, statuses('/', 50, @gold)), 50, 'while gold does');
});

recipe('Per second, and per day', sub {
    my @alice = bearer({ sub => 'alice' });
    my $headers = get(url('/'), @alice)->{headers};

    is($headers->{'ratelimit-policy'},
       '"second";q=10;w=2, "day";q=10000;w=86400', 'both policies');
    is($headers->{ratelimit}, '"second";r=9;t=1, "day";r=9999;t=9', 'both');
    ok(refused('second', 30, @alice), 'the first one refuses');

    # What it refuses, the day is not charged for.

    sleep 0.3;
    my ($left) = get(url('/'), @alice)->{headers}{ratelimit} =~ /"day";r=(\d+)/;

    cmp_ok($left, '>=', 9980, 'and the second one is not charged');
});

recipe('Costs', sub {
    left(39, 'GET', '/');
    left(34, 'POST', '/', method => 'POST');
    left(34, 'OPTIONS', '/', method => 'OPTIONS');
    left(24, 'a search', '/search/');
    left(14, 'another one', '/search/');
    isnt(count(200, statuses('/search/', 5)), 5, 'and no more');
    is(status('/', method => 'OPTIONS'), 200, 'what is free is free');
});

recipe('A dry run first', sub {
    is(count(200, statuses('/', 100)), 100, 'nothing is refused');
    ok(!exists get(url('/'))->{headers}{ratelimit}, 'nothing is told');

    my $log = slurp("$dir/limits.log");

    like($log, qr{^\S+ 127\.0\.0\.1 GET / 200 passed by_ip 39$}m,
         'the log, at first');
    like($log, qr{^\S+ 127\.0\.0\.1 GET / 200 dry_run_rejected by_ip 0$}m,
         'and later');
    like(slurp("$dir/error.log"),
         qr/\[notice\].*gateway_limit refuses the request, dry run: zone/,
         'the error log');
});

recipe('Late rather than never', sub {
    my $begin = time;

    is(count(200, statuses('/', 9)), 9, 'all are served');
    cmp_ok(time - $begin, '>=', 0.38, 'some of them late');
});

recipe('Some are not limited', sub {
    is(count(200, statuses('/', 60, 'x-from' => '10.1.2.3')), 60,
       'an address of their network');
    ok(!exists get(url('/'), 'x-from' => '10.1.2.3')->{headers}{ratelimit},
       'is told nothing');
    is(status('/'), 200, 'others');
    drained('192.0.2.1');
});

recipe('Answers of your own', sub {
    is(status('/'), 200, 'the first');

    my ($answer) = grep { $_->{status} != 200 } map { get(url('/')) } 1 .. 10;

    is($answer->{status}, 429, 'the second');
    is($answer->{content}, '{"error":"slow down","zone":"by_ip"}', 'the page');
    is($answer->{headers}{'retry-after'}, 1, 'Retry-After');
    is($answer->{headers}{ratelimit}, '"by_ip";r=0;t=1', 'RateLimit');
});

is_deeply([ keys %examples ], [], 'all examples were tried');


attempts(sub {
    first_seconds() if $_[0] > 1;
    ask($_) for grep { $_->{time} >= 4 } @rows;

    return !grep { !as_told($_) } @rows;
});

for my $row (@rows) {
    is($row->{told}, "$row->{status}|$row->{limit}|$row->{retry}",
       "the bucket at $row->{name}, $row->{time} s");
}

nginx_stop($bucket);


# The delays that the text below the picture tells of.

my (@late, @answers);

attempts(sub {
    nginx_stop($bucket) if $_[0] > 1;
    $bucket = nginx_start($dir, bucket('delay=2'), $bucket_port) or return 1;

    statuses("http://127.0.0.1:$bucket_port/", 5);

    @late = map { late() } 1 .. 3;
    @answers = map { answer($_) } @late;

    return abs($answers[1]{after} - 1) < 0.4
           && abs($answers[2]{after} - 2) < 0.4;
});

ok($bucket, 'with delay') or done_testing(), exit;
is(join(' ', map { $_->{status} } @answers), '429 200 200',
   'one is refused at once, and two are late');
is($answers[1]{ratelimit}, '"by_ip";r=0;t=6', 'the sixth');
is($answers[2]{ratelimit}, '"by_ip";r=0;t=7', 'the seventh');
cmp_ok(abs($answers[1]{after} - 1), '<', 0.4, 'after a second');
cmp_ok(abs($answers[2]{after} - 2), '<', 0.4, 'after two');

nginx_stop($bucket);

done_testing();


# { name, time, status, limit, retry } of the table's rows.

sub rows {
    my ($text) = slurp("$ROOT/docs/limit.md")
        =~ /^## How a bucket fills\n.*?\n(?:\|---)[^\n]*\n((?:\|[^\n]*\n)+)/ms;

    my ($name, $time);

    return map {
        my @cells = split /\s*\|\s*/, $_, -1;

        $name = $cells[1] if $cells[1] ne '';
        $time = $cells[2] =~ s/ s$//r if $cells[2] ne '';

        { name => $name, time => $time, status => $cells[4],
          limit => $cells[5] =~ tr/`//dr, retry => $cells[6] };
    } split /\n/, $text;
}


sub bucket {
    my ($parameters) = @_;

    my ($rate) = slurp("$ROOT/docs/limit.md") =~ /zone with `(rate=[^`]+)`/;

    $parameters //= '';

    spew("$dir/bucket.conf", startable("events {}\nhttp {\n
        gateway_limit_zone \$remote_addr zone=by_ip:64k $rate;
        server {
            listen 127.0.0.1:$bucket_port;
            gateway_limit zone=by_ip $parameters;
            location / {
                empty_gif;
            }
        }
    }\n"));

    return "$dir/bucket.conf";
}


# The bucket is started, and the rows up to the fourth second are asked; true
# when all is as they say.

sub first_seconds {
    my @first = grep { $_->{time} < 4 } @rows;

    nginx_stop($bucket) if $bucket;
    $bucket = nginx_start($dir, bucket(), $bucket_port) or return 1;
    $begin = undef;
    ask($_) for @first;

    return !grep { !as_told($_) } @first;
}


sub as_told {
    my ($row) = @_;

    return $row->{told} eq "$row->{status}|$row->{limit}|$row->{retry}";
}


sub ask {
    my ($row) = @_;

    $begin //= time;

    my $wait = $begin + $row->{time} - time;

    sleep $wait if $wait > 0;

    my $answer = get("http://127.0.0.1:$bucket_port/");
    my $headers = $answer->{headers};

    $row->{told} = join '|', $answer->{status}, $headers->{ratelimit} // '',
                             $headers->{'retry-after'} // '';

    return;
}


# In which two of those below differ, and how much later the one was done

sub off {
    my ($one, $other) = @_;

    return join ' ', grep { abs($one->{$_} - $other->{$_}) > 1 }
                     qw( now late );
}


sub apart {
    my ($one, $other) = @_;

    return abs($one->{last} - $other->{last});
}


# For each URL, what becomes of thirty requests: how many are served at once,
# how many late, and when the last of them.

sub at_once {
    my (@urls) = @_;

    my @waiting = map {
        my $url = $_;
        my ($path) = $url =~ m{(/\d+)$};
        map { { url => $url, path => $path,
                socket => IO::Socket::INET->new("127.0.0.1:$port") } } 1 .. 30;
    } @urls;
    my %told = map { $_ => { now => 0, late => 0, last => 0 } } @urls;
    my %first;

    for my $one (@waiting) {
        $one->{begin} = $first{$one->{url}} //= time;
        syswrite $one->{socket}, "GET $one->{path} HTTP/1.0\r\n\r\n";
    }

    my %of = map { $_->{socket} => $_ } @waiting;
    my $select = IO::Select->new(map { $_->{socket} } @waiting);

    while ($select->count) {
        my @ready = $select->can_read(5) or last;

        for my $socket (@ready) {
            my $one = $of{$socket};
            my $after = time - $one->{begin};
            my $told = $told{$one->{url}};

            $select->remove($socket);
            next if readline($socket) !~ /^HTTP\S+ 200/;

            # the next one after those that are not late is late by 0.1 s

            $told->{ $after < 0.08 ? 'now' : 'late' }++;
            $told->{last} = $after if $after > $told->{last};
        }
    }

    return @told{@urls};
}


# A request whose answer is not waited for, and the next answer of them all.

sub late {
    my $socket = IO::Socket::INET->new("127.0.0.1:$bucket_port")
        or die "port $bucket_port: $!";

    syswrite $socket, "GET / HTTP/1.0\r\n\r\n";
    sleep 0.02;

    return { socket => $socket, begin => time };
}


sub answer {
    my $waiting = '';

    vec($waiting, fileno $_->{socket}, 1) = 1
        for grep { !$_->{done} } @late;
    select $waiting, undef, undef, 5;

    for my $one (grep { !$_->{done} } @late) {
        next if !vec $waiting, fileno $one->{socket}, 1;

        my $text = do { local $/; readline $one->{socket} };

        $one->{done} = 1;

        my ($status) = $text =~ m{^HTTP/\S+ (\d+)};
        my ($limit) = $text =~ /^RateLimit: (.*?)\r/m;

        return { status => $status, ratelimit => $limit,
                 after => time - $one->{begin} };
    }

    return { status => 0, ratelimit => '', after => 0 };
}


sub recipe {
    my ($heading, $test) = @_;

    my $example = delete $examples{$heading};

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        my $text = complete($example->{context}, $example->{text}, $port,
                            $service);

        $text = startable($text, "$addresses
            server {
                listen 127.0.0.1:$service;
                return 200;
            }
        ");

        spew("$dir/recipe.conf", $text =~ s/error\.log(?=;)/error.log info/r);

        my $pid = nginx_start($dir, "$dir/recipe.conf", $port);

        ok($pid, 'it starts') or return;
        $test->();
        nginx_stop($pid);
    };
}


sub url {
    my ($path) = @_;

    return $path =~ /^http:/ ? $path : "http://127.0.0.1:$port$path";
}


sub status {
    my ($path, @headers) = @_;

    return get(url($path), @headers)->{status};
}


# One connection, so that they come faster than tokens do.

sub statuses {
    my ($path, $count, %headers) = @_;

    my $http = HTTP::Tiny->new(timeout => 10, proxy => undef,
                               http_proxy => undef);

    return map { $http->get(url($path), { headers => \%headers })->{status} }
           1 .. $count;
}


sub count {
    my ($status, @statuses) = @_;

    return scalar grep { $_ == $status } @statuses;
}


# Whether that many requests are too many for the zone.

sub refused {
    my ($zone, $count, %headers) = @_;

    my $http = HTTP::Tiny->new(timeout => 10, proxy => undef,
                               http_proxy => undef);

    for (1 .. $count) {
        my $answer = $http->get(url('/'), { headers => \%headers });

        return 1 if $answer->{status} == 429
                    && $answer->{content}
                       =~ /"violated-policies":\["$zone"\]/
                    && $answer->{headers}{'retry-after'} >= 1;
    }

    return 0;
}


sub drained {
    my ($from) = @_;

    ok(refused('by_ip', 200, 'x-from' => $from), "$from has no more");
}


sub policy {
    return get(url('/'), @_)->{headers}{'ratelimit-policy'};
}


# Tokens come back meanwhile: 20 in a second.

sub left {
    my ($tokens, $name, $path, %headers) = @_;

    our $first //= time;

    my $limit = get(url($path), %headers)->{headers}{ratelimit};
    my ($left) = $limit =~ /r=(\d+)/;
    my $back = 20 * (time - $first);

    ok($left >= $tokens && $left <= $tokens + $back, $name) or diag($limit);
}


sub bearer {
    my ($claims) = @_;

    return (authorization => 'Bearer ' . jwt($claims));
}
