
# Thousands of requests of all shapes: the worker does not grow, and keeps no
# connections.  Services that do not read what is sent to them.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocketBackend;
use Time::HiRes qw( time sleep );

use Test::More;

# sanitizers keep what is freed, and valgrind takes long

my $careful = $ENV{ASAN_OPTIONS} || $ENV{TEST_NGINX_USE_VALGRIND};
my $rounds = $careful ? 10 : 20;

my $backend = NgxGatewayWebSocketBackend->new();
my $to = '127.0.0.1:' . $backend->port();

my $nginx = NgxGatewayNginx->new(
    http => "access_log off;\n",
    server => <<"_EOC_",
        access_log off;
        client_max_body_size 10m;
        keepalive_requests 1000000;
        gateway_websocket_read_timeout 20s;

        location /one/ {
            gateway_websocket_pass ws://$to/;
        }

        location /short/ {
            gateway_websocket_read_timeout 5ms;
            gateway_websocket_pass ws://$to/;
        }

        location /close/ {
            gateway_websocket_reply close;
            gateway_websocket_pass ws://$to/;
        }

        location /sse/ {
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /deflate/ {
            gateway_websocket_deflate on;
            gateway_websocket_pass ws://$to/;
        }

        location /shared/ {
            gateway_websocket_correlate id;
            gateway_websocket_pass ws://$to/;
        }

        location /late/ {
            gateway_websocket_correlate id;
            gateway_websocket_read_timeout 5ms;
            gateway_websocket_pass ws://$to/;
        }

        location /down {
            gateway_websocket_pass ws://127.0.0.1:1;
        }

        location /unread/ {
            gateway_websocket_max_message 9m;
            gateway_websocket_send_timeout 300ms;
            gateway_websocket_pass ws://$to/;
        }

        location /slow/ {
            gateway_websocket_max_message 9m;
            gateway_websocket_send_timeout 300ms;
            gateway_websocket_pass ws://$to/;
        }
_EOC_
);

# so that free() gives back what is large

$ENV{MALLOC_MMAP_THRESHOLD_} = 131_072;
$nginx->start();

my $large = 'x' x 20_000;
my $id = 0;

my @shapes = (
    [ 200, GET => '/one/messages?n=1&then=close' ],
    [ 200, POST => '/one/echo', $large ],
    [ 502, GET => '/one/close' ],
    [ 502, GET => '/one/die' ],
    [ 502, GET => '/one/accept' ],
    [ 502, GET => '/down' ],
    [ 504, GET => '/short/silent' ],
    [ 200, GET => '/close/messages?n=50&then=close' ],
    [ 204, GET => '/close/close' ],
    [ 200, GET => '/sse/messages?n=200&then=close' ],
    [ 200, POST => '/deflate/echo?deflate=1', $large ],
    [ 502, GET => '/one/masked' ],
    [ 200, POST => '/shared/json', sub { "{\"id\":$id}" } ],
    [ 200, POST => '/shared/json', sub { "{\"id\":\"$id\",\"noise\":true}" } ],
    [ 502, POST => '/shared/json', sub { "{\"id\":0,\"die\":true}" } ],
    [ 504, POST => '/late/json', sub { "{\"id\":$id,\"delay\":0.5}" } ],
);

my $wrong = 0;
my $client = NgxGatewayPass->new($nginx->port());

sub ask {
    my ($rounds) = @_;

    for (1 .. $rounds) {
        for my $shape (@shapes) {
            my ($want, @request) = @$shape;

            $id++;
            $request[-1] = $request[-1]->() if ref $request[-1];

            $client->next()->send(@request);
            $client->read();

            my $code = $client->{code} // 0;

            $client = NgxGatewayPass->new($nginx->port())
                if $client->{closed} || ($client->{end} // '') ne 'whole';

            next if $code == $want;
            diag("@request[0, 1]: $code, not $want") if $wrong++ < 5;
        }

        # one that leaves

        my $leaver = NgxGatewayPass->new($nginx->port());

        $leaver->send(GET => '/sse/ticker');
        $leaver->read(qr/tick/) if $_ % 2;
        $leaver->close();
    }

    return;
}

my $worker = pass_worker($nginx);

# until those are gone that were to close, within two seconds

sub settled {
    my $last = -1;

    return pass_wait(sub {
        my $now = pass_sockets($worker);
        my $still = $now == $last;

        $last = $now;
        sleep 0.3;

        return $still;
    }, 4);
}

ask($rounds / 2);
settled();

my $before = pass_memory($worker);
my $sockets = pass_sockets($worker);

ask($rounds);
settled();

my $after = pass_memory($worker);

is($wrong, 0, 'answers as they should be');
is(pass_worker($nginx), $worker, 'the worker is the same one');

SKIP: {
    skip('memory says nothing here', 1) if $careful;

    note("$before kB, then $after kB");
    cmp_ok($after - $before, '<', 128, 'it does not grow');
}

cmp_ok(pass_sockets($worker), '<=', $sockets + 1, 'nor do its sockets');

# services that do not read

my $start = time;
my $answer = pass_ask($nginx, POST => '/unread/stall', 'x' x 8_000_000);

is($answer->{code}, 504, 'a service that does not read');
cmp_ok(time - $start, '<', 10, '... is not waited for');

# one that reads slowly has its time

attempts(sub {
    $answer = pass_ask($nginx, POST => '/slow/echo', 'y' x 8_000_000);
    return $answer->{code} == 200;
});

is($answer->{code}, 200, 'one that does');
ok($answer->{body} eq 'y' x 8_000_000, '... gets it all');

SKIP: {
    skip('memory says nothing here', 1) if $careful;

    pass_wait(sub { pass_memory($worker) < $after + 512 }, 3);
    cmp_ok(pass_memory($worker), '<', $after + 512,
           'what large messages took is given back');
}

$nginx->stop();
ok($backend->wait(sub { $backend->open() == 1 }),
   'no connection is left but that of the one that does nothing');
is(pass_log($nginx), '', 'nothing wrong in the log');

done_testing();
