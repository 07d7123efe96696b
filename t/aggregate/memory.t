
# 10,000 requests on one connection, of all shapes: the worker does not grow,
# and its connections to services are closed or kept.

use strict;
use warnings;

use lib 't/lib';
use E2EClient;
use NgxGatewayNginx;
use Time::HiRes qw( time sleep );

use Test::More;

# sanitizers keep what is freed, and valgrind takes long

my $careful = $ENV{ASAN_OPTIONS} || $ENV{TEST_NGINX_USE_VALGRIND};
my $rounds = $careful ? 60 : 1250;

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    access_log off;

    upstream service {
        server unix:%DIR%/service.sock;
        keepalive 16;
    }

    server {
        listen unix:%DIR%/service.sock;
        keepalive_requests 1000000;
        access_log off;
        root %DIR%;

        location = /good {
            return 200 '{"id":1}';
        }

        location = /bad {
            return 200 '{"id":1';
        }

        location = /error {
            return 503;
        }

        location = /cut {
            return 444;
        }

        location = /slow {
            limit_rate 1;
            return 200 '{"slow":true}';
        }
    }
_EOC_
    server => <<"_EOC_",
        keepalive_requests 1000000;
        access_log off;

        location = /complete {
            gateway_aggregate {
                part a /_b/good;
                part b /_b/large.json;
                part c /_b/good select=/id;
            }
        }

        location = /partial {
            gateway_aggregate {
                part a /_b/good;
                part b /_b/bad optional;
                part c /_b/error default=1;
                part d /_b/cut optional;
            }
        }

        location = /failed {
            gateway_aggregate {
                part a /_b/error;
                part b /_b/cut;
                part c /_b/large.json;
            }
        }

        location = /passed {
            gateway_aggregate {
                part a /_b/none errors=pass;
                part b /_b/good;
            }
        }

        location = /depends {
            gateway_aggregate {
                part a /_b/good;
                part b /_b/good?<a/id>;
                part list /_list;
                part each /_b/good?<item> each=list;
            }
        }

        location = /nested {
            gateway_aggregate {
                part a /complete;
                part b /failed optional;
            }
        }

        location = /timeout {
            gateway_aggregate {
                part a /_b/slow timeout=1ms;
                part b /_b/good;
            }
        }

        location = /partial_timeout {
            gateway_aggregate {
                part a /_b/slow timeout=1ms optional;
                part b /_b/good;
            }
        }

        location = /status {
            stub_status;
        }

        location = /_list {
            return 200 '[1,2,3,1]';
        }

        location /_b/ {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://service/;
        }
_EOC_
);

my $large = '["' . 'x' x 25_700 . '"]';

$nginx->write_file('large.json', $large);
$nginx->start();

my $complete = qq({"a":{"id":1},"b":$large,"c":1});

my %want = (
    complete => "200 $complete",
    partial => '200 {"a":{"id":1},"c":1}',
    depends => '200 {"a":{"id":1},"b":{"id":1},"list":[1,2,3,1],'
               . '"each":[{"id":1},{"id":1},{"id":1},{"id":1}]}',
    nested => qq(200 {"a":$complete}),
    partial_timeout => '200 {"b":{"id":1}}',
);

my %status = (failed => 502, passed => 404, timeout => 504);
my @names = (sort(keys %want), sort keys %status);

sub worker {
    open my $in, '<', "/proc/$nginx->{pid}/task/$nginx->{pid}/children";
    my ($pid) = split ' ', <$in>;

    return $pid;
}

sub memory {
    open my $in, '<', "/proc/$_[0]/status";
    my ($kb) = map { /^RssAnon:\s+(\d+)/ } <$in>;

    return $kb;
}

sub files {
    my @files = glob "/proc/$_[0]/fd/*";

    return scalar @files;
}

my $client = E2EClient->new($nginx->port());
my $wrong = 0;

sub ask {
    my ($rounds) = @_;

    for (1 .. $rounds) {
        for my $name (@names) {
            my $answer = eval { $client->ask('GET', "/$name") };

            if (!$answer) {
                diag("$name: no answer: $@") if !$wrong++;
                $client = E2EClient->new($nginx->port());
                next;
            }

            next if defined $want{$name}
                    ? "$answer->{status} $answer->{body}" eq $want{$name}
                    : $answer->{status} == $status{$name};

            diag("$name: $answer->{status} " . substr $answer->{body}, 0, 300)
                if !$wrong++;
        }
    }

    return;
}

ask($rounds / 5);

my $pid = worker();
my $before = memory($pid);
my $open = files($pid);

ask($rounds * 4 / 5);

my $after = memory($pid);

is($wrong, 0, 8 * $rounds . ' answers');
is(worker(), $pid, 'the worker is the same one');

SKIP: {
    skip('memory says nothing here', 1) if $careful;

    note("$before kB, then $after kB");
    cmp_ok($after - $before, '<', 256, 'the worker does not grow');
}

$nginx->wait(sub { files($pid) <= $open + 24 }, 5);
cmp_ok(files($pid), '<=', $open + 24, 'nor do its connections');

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing wrong in the log');

done_testing();
