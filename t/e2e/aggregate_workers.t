#!/usr/bin/perl

# Four workers under load while services fail at random, are killed and come
# back, while nginx reloads and a worker is killed: each answer is what it must
# be, and afterwards all is well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use JSON::PP ();
use NgxGatewayBackend;
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

my $clients = 4;

# Services: two that are well, or fail in ways that the path tells, and one that
# comes and goes.

my $large = '["' . 'x' x 20_000 . '"]';

my %answers = (
    '/good' => json('{"id":12.50}'),
    '/large' => json($large),
    '/error' => answer(503, '', 'Content-Length' => 0),
    '/reset' => [ [ 'reset' ] ],
    '/cut' => [ json($large, 30_000), [ 'close' ] ],
    '/invalid' => json('{"id":1e}'),
    '/hang' => [ [ 'hang' ] ],
    '/late' => [ [ sleep => 0.01 ], json('"late"') ],
    '/slow' => [ [ sleep => 0.7 ], json('"slow"') ],
);

my ($port, $victim_port) = (E2E::free_port(), E2E::free_port());

my $service = NgxGatewayBackend->new(%answers);
my $slow = NgxGatewayBackend->new(%answers);
my $victim = NgxGatewayBackend->new(%answers, port => $victim_port);

# Parts have the time to answer that a busy machine may need, but for those that
# hang, which are asked for in locations of their own: "b", or "c", or both.

my $required = <<'_EOC_';
        gateway_aggregate {
            part a /_service/good;
            part b /_service/$arg_b timeout=B;
            part c /_service/large;
        }
_EOC_

my $optional = <<'_EOC_';
        gateway_aggregate {
            part a /_service/late;
            part b /_service/$arg_b optional timeout=B;
            part c /_service/$arg_c default=null timeout=C;
            part d /_service/good;
        }
_EOC_

my $locations = '';

for my $hang ('', 'b', 'c', 'bc') {
    my %timeout = map { uc $_ => $hang =~ /$_/ ? '300ms' : '20s' } 'b', 'c';

    $locations .= ("    location = /required/$hang {\n$required    }\n\n"
                   . "    location = /optional/$hang {\n$optional    }\n\n")
                  =~ s/timeout=\K([BC])\b/$timeout{$1}/gr;
}

my $nginx = E2E->start(name => 'gateway', port => $port, workers => 4,
                       http => <<"_EOC_");
upstream victim {
    server 127.0.0.1:$victim_port max_fails=0;
    keepalive 8;
}

upstream both {
    server 127.0.0.1:$victim_port max_fails=1 fail_timeout=1s;
    server 127.0.0.1:@{[ $service->port() ]};
    keepalive 8;
}

server {
    listen 127.0.0.1:$port;
    keepalive_requests 1000000;
    gateway_aggregate_timeout 20s;

    # a failure of one's choice, required and optional

$locations
    location = /victim {
        gateway_aggregate {
            part a /_service/good;
            part b /_victim/large;
            part c /_victim/good?<a/id>;
        }
    }

    location = /victim_optional {
        gateway_aggregate {
            part a /_service/good;
            part b /_victim/large optional;
            part c /_victim/late default=0;
        }
    }

    location = /both {
        gateway_aggregate {
            part a /_both/good;
            part b /_both/late;
        }
    }

    location = /slow {
        gateway_aggregate {
            part a /_slow/slow;
            part b /_slow/hang optional timeout=900ms;
        }
    }

    location /_service/ {
        internal;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://127.0.0.1:@{[ $service->port() ]}/;
    }

    location /_slow/ {
        internal;
        proxy_pass http://127.0.0.1:@{[ $slow->port() ]}/;
    }

    location /_victim/ {
        internal;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://victim/;
    }

    location /_both/ {
        internal;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://both/;
    }
}
_EOC_

is(scalar $nginx->workers, 4, 'four workers');

my %value = (good => '{"id":12.50}', large => $large, late => '"late"');

my %reason = (error => [ 502, 503, 'its status is not one of success' ],
              reset => [ 502, 502, 'no server gave a valid answer' ],
              cut => [ 502, 200, 'the answer was cut off' ],
              invalid => [ 502, 200, qr/the answer .* at byte 8/ ],
              hang => [ 504, 504, 'it timed out' ]);

# What the answer is, or why it is wrong.

sub check {
    my ($kind, $b, $c, $answer) = @_;

    my ($status, $body) = @$answer{qw( status body )};
    my $head = $answer->{headers}{'gateway-aggregate'} // '';

    if ($kind eq 'required' && $value{$b}) {
        return $status == 200 && $head eq 'complete'
               && $body eq qq({"a":$value{good},"b":$value{$b},"c":$large});
    }

    if ($kind eq 'required') {
        my $problem = eval { JSON::PP::decode_json($body) } or return 0;
        my $part = $problem->{parts}[0];
        my ($code, $of, $reason) = @{ $reason{$b} };

        return $status == $code && $problem->{status} == $code
               && @{ $problem->{parts} } == 1 && $part->{name} eq 'b'
               && $part->{status} == $of
               && (ref $reason ? $part->{reason} =~ $reason
                               : $part->{reason} eq $reason);
    }

    my @missing = (($value{$b} ? () : 'b'), ($value{$c} ? () : 'c'));

    return $status == 200
           && $head eq (@missing ? 'partial; missing="'
                                   . join(',', @missing) . '"' : 'complete')
           && $body eq '{"a":"late",'
                       . ($value{$b} ? qq("b":$value{$b},) : '')
                       . '"c":' . ($value{$c} // 'null') . ','
                       . qq("d":$value{good}});
}

# A service that comes and goes: all or a problem.

sub check_victim {
    my ($kind, $answer) = @_;

    my ($status, $body) = @$answer{qw( status body )};
    my $good = $value{good};

    if ($kind eq 'both') {
        return $status == 200 && $body eq qq({"a":$good,"b":"late"});
    }

    if ($kind eq 'victim_optional') {
        return $status == 200
               && $body =~ /\A\{"a":\Q$good\E,(?:"b":\Q$large\E,)?
                            "c":(?:"late"|0)\}\z/x;
    }

    return $body eq qq({"a":$good,"b":$large,"c":$good}) if $status == 200;

    return $status == 502
           && $body =~ /"parts":\[\{"name":"[bc]",(?:"status":\d+,)?"reason":/;
}

# Clients in processes of their own, until "stop" is there or all is asked.

sub load {
    my ($what, $requests) = @_;

    my $name = E2E::dir() . "/load-$what";
    my @pids;

    unlink "$name-stop";

    for my $n (1 .. $clients) {
        my $pid = fork // die "fork: $!\n";

        if ($pid) {
            push @pids, $pid;
            next;
        }

        $SIG{TERM} = 'DEFAULT';
        srand $n;

        my ($asked, $ok, @wrong) = (0, 0);

        eval {
            ($asked, $ok) = client($what, $requests, "$name-stop", \@wrong);
            1;
        } or push @wrong, "died: $@";

        E2E::spew("$name-$n", JSON::PP::encode_json(
            { asked => $asked, ok => $ok,
              wrong => [ splice @wrong, 0, 5 ] }));
        POSIX::_exit(0);
    }

    return { name => $name, pids => \@pids };
}

sub finish {
    my ($load) = @_;

    my %sum = (asked => 0, ok => 0, wrong => []);

    E2E::spew("$load->{name}-stop", '');
    waitpid $_, 0 for @{ $load->{pids} };

    for my $n (1 .. $clients) {
        my $one = JSON::PP::decode_json(E2E::slurp("$load->{name}-$n"));

        $sum{$_} += $one->{$_} for qw( asked ok );
        push @{ $sum{wrong} }, @{ $one->{wrong} };
    }

    return \%sum;
}

sub client {
    my ($what, $requests, $stop, $wrong) = @_;

    # waiting for one that hangs is what takes the time

    my @failures = ('hang', (grep { $_ ne 'hang' } sort keys %reason) x 10);
    my @values = sort keys %value;
    my ($asked, $ok, $client) = (0, 0);

    while ($asked < $requests && !-e $stop) {
        my @parts = map { rand > 0.15 ? $values[rand @values]
                                      : $failures[rand @failures] } 1, 2;
        my $kind = $what eq 'victim'
                   ? (qw( victim victim_optional both ))[rand 3]
                   : rand > 0.5 ? 'required' : 'optional';
        my $uri = $what eq 'victim' ? "/$kind"
                                    : "/$kind/" . hanging(@parts)
                                      . "?b=$parts[0]&c=$parts[1]";

        undef $client if rand > 0.98;

        my $answer;

        # a worker that leaves closes connections that wait

        for my $try (1 .. 3) {
            $client //= E2EClient->new($port);
            $answer = eval { $client->ask('GET', $uri) };

            last if $answer || $@;
            undef $client;
        }

        $asked++;

        if (!$answer) {
            push @$wrong, "$uri: no answer: $@";
            undef $client;
            next;
        }

        undef $client if ($answer->{headers}{connection} // '') eq 'close';

        $ok++ if $answer->{status} == 200;

        push @$wrong, "$uri: $answer->{status} "
                      . substr $answer->{body}, 0, 200
            if !($what eq 'victim' ? check_victim($kind, $answer)
                                   : check($kind, @parts, $answer));
    }

    return ($asked, $ok);
}

# Which parts hang.

sub hanging {
    my ($b, $c) = @_;

    return ($b eq 'hang' ? 'b' : '') . ($c eq 'hang' ? 'c' : '');
}


# Random failures, each with the answer that is due.

{
    my $sum = finish_when_asked(load('soak', 2550));

    is($sum->{asked}, 4 * 2550, '10,200 requests with random failures');
    is(join("\n", @{ $sum->{wrong} }), '', 'each answer is the one due');
    cmp_ok($sum->{ok}, '>', 5000, 'many are complete');
    cmp_ok($sum->{ok}, '<', 4 * 2550, 'and many have failed');
}

sub finish_when_asked {
    my ($load) = @_;

    waitpid $_, 0 for @{ $load->{pids} };

    return finish({ %$load, pids => [] });
}


# A service is killed under load, and comes back.

{
    my $load = load('victim', 1_000_000);

    for (1 .. 4) {
        sleep 0.4;
        $victim->stop();
        sleep 0.4;
        $victim = NgxGatewayBackend->new(%answers, port => $victim_port);
    }

    sleep 0.4;

    my $sum = finish($load);

    note("$sum->{asked} requests, $sum->{ok} with 200");
    is(join("\n", @{ $sum->{wrong} }), '',
       'a service that is killed: all of the answer or a problem');
    cmp_ok($sum->{ok}, '<', $sum->{asked}, 'there were problems');

    # fail_timeout of /both

    sleep 1.1;

    my $client = E2EClient->new($port);
    my $ok = 0;

    for (1 .. 30) {
        $ok++ if $client->ask('GET', '/victim')->{status} == 200;
        $ok++ if $client->ask('GET', '/both')->{status} == 200;
    }

    is($ok, 60, 'afterwards all is well');
}


# Reloads under load.

{
    my $load = load('soak', 1_000_000);

    for (1 .. 5) {
        sleep 0.3;
        ok($nginx->reload, 'a reload');
    }

    my $sum = finish($load);

    note("$sum->{asked} requests, $sum->{ok} with 200");
    is(join("\n", @{ $sum->{wrong} }), '', 'reloads: each answer is right');
}


# A worker is killed: only requests of its own are lost.

{
    my ($worker) = $nginx->workers;

    kill 'KILL', $worker;

    ok(E2E::wait_for(10, sub {
        my @workers = $nginx->workers;
        return @workers == 4 && !grep { $_ == $worker } @workers;
    }), 'a worker that was killed is replaced');
}


# QUIT with requests under way: these are answered.

{
    my @clients = map { E2EClient->new($port) } 1 .. 20;

    $_->send(E2EClient::request('GET', '/slow')) for @clients;

    ok(E2E::wait_for(20, sub {
        $slow->seen('/slow') == 20 && $slow->seen('/hang') == 20
    }), 'requests are under way');

    my @workers = $nginx->workers;

    kill 'QUIT', $nginx->pid;

    my %seen;

    for my $client (@clients) {
        my $answer = eval { $client->answer('GET') };

        $seen{ $answer ? "$answer->{status} $answer->{body}" : "- $@" }++;
    }

    is(join("\n", map { "$seen{$_}: $_" } sort keys %seen),
       '20: 200 {"a":"slow"}', 'QUIT: requests under way are answered');

    ok(E2E::wait_for(5, sub { !grep { kill 0, $_ } @workers }),
       'QUIT: the workers end');
    $nginx->stop;
}

$nginx->clean_log('nothing wrong in the log', qr/exited on signal 9/);

done_testing();
