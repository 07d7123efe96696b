
# Deadlines: the answer comes at once, what runs is given up, and the client's
# connection serves the next request.

use strict;
use warnings;

use lib 't/lib';
use E2EClient;
use IO::Socket::INET;
use NgxGatewayBackend;
use NgxGatewayNginx;
use Time::HiRes qw( time sleep );

use Test::More;

my %answers = (
    '/good' => json('{"id":1}'),
    '/late' => [ [ sleep => 0.05 ], json('{"id":2}') ],
    '/drip' => [ answer(200, '', 'Transfer-Encoding' => 'chunked'),
                 map { ("2\r\n[[\r\n", [ sleep => 0.03 ]) } 1 .. 30 ],
    '/half' => [ json('[1,', 100), [ 'hang' ] ],
);

$answers{$_} = [ [ 'hang' ] ] for map { "/hang$_" } 1 .. 40;

my $backend = NgxGatewayBackend->new(%answers);
my $port = $backend->port();

# takes connections but says nothing, and a resolver that never answers

my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
           or die "socket: $!\n";
my $resolver = $deaf->sockport();

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    proxy_cache_path %DIR%/cache keys_zone=cache:1m;
    limit_req_zone all zone=slow:64k rate=1r/s;
    limit_req_zone all zone=fast:64k rate=4r/s;
_EOC_
    server => <<"_EOC_",
        gateway_aggregate_timeout 200ms;
        error_page 403 = /fallback;

        location = /next {
            return 200 "next";
        }

        location = /fallback {
            return 200 "fallback";
        }

        location = /status {
            stub_status;
        }

        location = /whole {
            gateway_aggregate {
                part good /_b/good;
                part bad /_b/hang1;
            }
        }

        location = /part {
            gateway_aggregate_timeout 10s;
            gateway_aggregate {
                part good /_b/good;
                part bad /_b/hang2 timeout=150ms;
                part late /_b/late;
            }
        }

        location = /optional {
            gateway_aggregate {
                part good /_b/good;
                part bad /_b/hang3 optional timeout=100ms;
                part worse /_b/hang4 default=[];
                part late /_b/late;
            }
        }

        location = /half {
            gateway_aggregate {
                part bad /_b/half;
            }
        }

        location = /drip {
            gateway_aggregate {
                part bad /_b/drip optional;
            }
        }

        location = /cached {
            gateway_aggregate {
                part bad /_cached/hang5;
            }
        }

        # one fills the cache, the others wait for it

        location = /locked {
            gateway_aggregate_timeout 250ms;
            gateway_aggregate {
                part a /_locked/hang6 optional;
                part b /_locked/hang6 optional;
                part c /_locked/hang6 optional;
                part good /_b/good;
            }
        }

        location = /delayed {
            gateway_aggregate {
                part a /_delayed/good optional;
                part b /_delayed/good optional;
                part c /_delayed/good optional;
                part good /_b/late;
            }
        }

        location = /delayed_slow {
            gateway_aggregate {
                part a /_delayed/hang20 optional;
                part b /_delayed/hang20 optional;
                part c /_delayed/hang20 optional;
                part good /_b/late;
            }
        }

        location = /nested {
            gateway_aggregate_timeout 200ms;
            gateway_aggregate {
                part good /_b/good;
                part inner /_inner optional;
            }
        }

        location = /_inner {
            internal;
            gateway_aggregate_timeout 9s;
            gateway_aggregate {
                part deep /_innermost;
                part bad /_b/hang7;
            }
        }

        location = /_innermost {
            internal;
            gateway_aggregate_timeout 9s;
            gateway_aggregate {
                part bad /_b/hang8;
                part good /_b/good;
                part lock /_locked/hang9;
                part lock2 /_locked/hang9;
                part name /_name/x;
                part half /_b/half;
            }
        }

        location = /nested_first {
            gateway_aggregate_timeout 5s;
            gateway_aggregate {
                part inner /_short;
            }
        }

        location = /_short {
            internal;
            gateway_aggregate {
                part bad /_b/hang10;
            }
        }

        location = /named {
            gateway_aggregate {
                part bad /_name/x;
            }
        }

        location = /depends {
            gateway_aggregate {
                part bad /_b/hang11;
                part next /_b/good?<bad/id>;
                part last /_b/good?<next/id> optional;
            }
        }

        location = /each {
            gateway_aggregate {
                part ids /_ids;
                part each /_b/<item> each=ids concurrency=3 optional;
            }
        }

        location = /_ids {
            return 200 '["hang12","good","hang13","hang14","hang15"]';
        }

        location = /mirrored {
            gateway_aggregate {
                part bad /_mirror/hang16;
            }
        }

        location = /_ssi {
            ssi on;
            ssi_types *;
            return 200 'x';
        }

        location /_mirror/ {
            internal;
            mirror /_b/hang17;
            proxy_pass http://127.0.0.1:$port/;
        }

        location = /authorized {
            gateway_aggregate {
                part bad /_auth/good optional;
                part good /_b/good;
            }
        }

        # for a part, the access phase is skipped

        location /_auth/ {
            internal;
            auth_request /_b/hang18;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_delayed/ {
            internal;
            limit_req zone=slow burst=20;
            proxy_pass http://127.0.0.1:$port/;
        }

        location = /delayed_good {
            gateway_aggregate_timeout 5s;
            gateway_aggregate {
                part a /_fast/good;
                part late /_b/late;
                part good /_b/good;
            }
        }

        location /_fast/ {
            internal;
            limit_req zone=fast burst=20;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_name/ {
            internal;
            resolver 127.0.0.1:$resolver;
            resolver_timeout 30s;
            set \$name nobody.example;
            proxy_pass http://\$name:$port/;
        }

        location /_cached/ {
            internal;
            proxy_cache cache;
            proxy_cache_valid 1m;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_locked/ {
            internal;
            proxy_cache cache;
            proxy_cache_valid 1m;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 30s;
            proxy_cache_lock_age 30s;
            proxy_pass http://127.0.0.1:$port/;
        }

        location /_b/ {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:$port/;
        }
_EOC_
);

$nginx->start();

# sanitizers and a busy machine

my $SLACK = 0.15 + ($ENV{ASAN_OPTIONS} ? 0.1 : 0);

my $all = 'the whole answer timed out';

sub failed {
    return '\{"type":"about:blank","title":"Gateway Timeout","status":504,'
           . '"detail":"a required part of the answer is missing",'
           . '"instance":"[0-9a-f]{32}","parts":\[' . join(',', map {
               qq(\\{"name":"$_->[0]",(?:"status":$_->[1],)?"reason":"$_->[2]"\\})
           } @_) . "\\]\\}\n";
}

# at, seconds, status, body, what hangs at the backend

my @tests = (
    [ 'whole', 0.2, 504, failed([ bad => 504, $all ]), 'hang1' ],
    [ 'part', 0.15, 504, failed([ bad => 504, 'it timed out' ]), 'hang2' ],
    [ 'optional', 0.2, 200, '\{"good":\{"id":1\},"worse":\[\],'
                            . '"late":\{"id":2\}\}', 'hang3', 'hang4' ],
    [ 'half', 0.2, 504, failed([ bad => 504, $all ]), 'half' ],
    [ 'drip', 0.2, 200, '\{\}', 'drip' ],
    [ 'cached', 0.2, 504, failed([ bad => 504, $all ]), 'hang5' ],
    [ 'locked', 0.25, 200, '\{"good":\{"id":1\}\}', 'hang6' ],
    [ 'nested', 0.2, 200, '\{"good":\{"id":1\}\}', 'hang7', 'hang8',
      'hang9' ],
    [ 'nested_first', 0.2, 504,
      qr/\{.*"parts":\[\{"name":"inner","status":504,"reason":"it timed out"\}\]\}\n/,
      'hang10' ],
    [ 'named', 0.2, 504, failed([ bad => 504, $all ]) ],
    [ 'depends', 0.2, 504, failed([ bad => 504, $all ],
                                  [ next => 504, $all ],
                                  [ last => 504, $all ]), 'hang11' ],
    [ 'each', 0.2, 200, '\{"ids":\["hang12","good","hang13","hang14",'
                        . '"hang15"\]\}', 'hang12', 'hang13', 'hang14' ],
    [ 'mirrored', 0.2, 504, failed([ bad => 504, $all ]), 'hang16' ],
    [ 'authorized', 0, 200, '\{"bad":\{"id":1\},"good":\{"id":1\}\}' ],
);

# A request, and the next one on its connection.  A machine that pauses can
# miss any deadline: who answers otherwise than he should is asked again.

sub attempt {
    my ($name) = @_;

    my $client = E2EClient->new($nginx->port());
    my $start = time;
    my $answer = eval { $client->ask('GET', "/$name") } // {};
    my %got = (status => $answer->{status}, body => $answer->{body} // '',
               took => time - $start);

    $start = time;
    $answer = eval { $client->ask('GET', '/next') } // {};

    return { %got, then => ($answer->{status} // '-') . ' '
                           . ($answer->{body} // $@),
             then_took => time - $start };
}

sub attempts {
    my ($name, $seconds, $body) = @_;

    my $got;

    for (1 .. 5) {
        $got = attempt($name);

        last if $got->{body} =~ /\A$body\z/
                && $got->{took} < $seconds + $SLACK
                && $got->{then_took} < $SLACK;
    }

    return $got;
}

for my $test (@tests) {
    my ($name, $seconds, $status, $body, @hang) = @$test;

    my $got = attempts($name, $seconds, $body);

    is($got->{status}, $status, "$name: status");
    like($got->{body}, qr/\A$body\z/, "$name: body");
    cmp_ok($got->{took}, '>', $seconds - 0.005,
           "$name: not before the deadline");
    cmp_ok($got->{took}, '<', $seconds + $SLACK, "$name: at the deadline");
    is($got->{then}, '200 next', "$name: the next request");
    cmp_ok($got->{then_took}, '<', $SLACK, "$name: at once");

    ok($backend->left("/$_", 5), "$name: $_ was given up") for @hang;
}

# the file that was locked is not so for ever

{
    my $before = $backend->seen('/hang6');
    my $answer = $nginx->get('/locked');

    is($answer->{code}, 200, 'locked: again');
    is(scalar $backend->seen('/hang6'), $before + 1,
       'locked: the lock was given back');
}

# A part that limit_req delays: the first one of a request only.  The timer of
# the connection that it waits for is not for others.

is(($nginx->get('/delayed_good') // {})->{code}, 200, 'delayed_good: first');

{
    my $body = '{"a":{"id":1},"late":{"id":2},"good":{"id":1}}';
    my $got = attempts('delayed_good', 0.5, "\Q$body\E");

    is("$got->{status} $got->{body}", "200 $body", 'delayed_good: the answer');
    cmp_ok($got->{took}, '<', 0.5 + $SLACK, 'delayed_good: at once');
}

is(($nginx->get('/delayed') // {})->{code}, 200, 'delayed: first');

my %delayed = (delayed => '{"b":{"id":1},"c":{"id":1},"good":{"id":2}}',
               delayed_slow => '{"good":{"id":2}}');

for my $name (qw( delayed delayed_slow )) {
    my $got = attempts($name, 0.2, "\Q$delayed{$name}\E");

    is($got->{status}, 200, "$name: status");
    is($got->{body}, $delayed{$name}, "$name: body");
    cmp_ok($got->{took}, '<', 0.2 + $SLACK, "$name: at the deadline");
    is($got->{then}, '200 next', "$name: the next request");
    cmp_ok($got->{then_took}, '<', $SLACK, "$name: at once");
}

my $status = '';

ok($nginx->wait(sub {
    $status = ($nginx->get('/status') // { body => '' })->{body};
    return $status =~ /^Active connections: 1 $/m;
}), 'no connection is left open') or diag($status);

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing wrong in the log');

done_testing();
