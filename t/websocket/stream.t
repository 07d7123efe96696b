
# Streams of server-sent events and of JSON lines: what they look like, when
# they begin and end, slow clients and clients that leave.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Time::HiRes qw( time sleep );

use Test::More;

my $careful = $ENV{ASAN_OPTIONS} || $ENV{TEST_NGINX_USE_VALGRIND};
my $many = $careful ? 10_000 : 200_000;

my @texts = ("{\"a\":\n1}", "a\r\nb\rc\n\nd", [ "\0\xff" ], '', "\xc3\xa4",
             "\n", [ 'x' x 1000 ], ' "s" ');

my $backend = NgxGatewayWebSocketBackend->new(
    '/kinds' => sub {
        my ($c) = @_;

        $c->handshake();

        for (@texts) {
            ref $_ ? $c->send_binary($_->[0]) : $c->send_text($_);
        }

        return if $c->arg('end', '') eq 'eof';
        return $c->bye($c->arg('code', 1000));
    },

    # numbered messages in large writes

    '/many' => sub {
        my ($c) = @_;

        my $n = $c->arg('n');
        my $pad = 'x' x $c->arg('pad', 0);

        $c->handshake();

        for (my $i = 1; $i <= $n; $i += 100) {
            $c->send_raw(join '', map { $c->frame('text', "$_ $pad") }
                                  $i .. $i + 99) or return;
            $c->note($i) if $i % 1000 == 1;
        }

        $c->bye(1000);
    },

    '/after' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text('first');
        Time::HiRes::sleep(0.05);
        $c->send_raw($c->frame('text', 'second') . $c->frame('text', 'third')
                     . $c->frame('close', ws_close($c->arg('code', 1000))));
        $c->drain(3);
    },
);

my $to = '127.0.0.1:' . $backend->port();

my $nginx = NgxGatewayNginx->new(
    http => <<'_EOC_',
    log_format stream '$uri|$status|$gateway_websocket_close'
                      '|$gateway_websocket_closed_by'
                      '|$gateway_websocket_messages_in';
_EOC_
    server => <<"_EOC_",
        access_log %DIR%/logs/stream.log stream;

        location /short/ {
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /sse/ {
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /ndjson/ {
            gateway_websocket_reply ndjson;
            gateway_websocket_pass ws://$to/;
        }

        location /count/ {
            gateway_websocket_reply count=3 sse;
            gateway_websocket_pass ws://$to/;
        }

        location /until/ {
            gateway_websocket_reply ndjson until=/tick=2;
            gateway_websocket_pass ws://$to/;
        }

        location /message/ {
            gateway_websocket_reply message sse;
            gateway_websocket_pass ws://$to/;
        }

        location /accept/ {
            gateway_websocket_pass ws://$to/;
        }

        location /gzip/ {
            gzip on;
            gzip_types *;
            gzip_min_length 0;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /ping/ {
            gateway_websocket_ping 100ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /rest/ {
            gateway_websocket_ping 400ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /noping/ {
            gateway_websocket_ping 100ms;
            gateway_websocket_reply ndjson;
            gateway_websocket_pass ws://$to/;
        }

        location /idle/ {
            gateway_websocket_idle_timeout 300ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /age/ {
            gateway_websocket_max_age 300ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /expires/ {
            gateway_websocket_expires \$arg_at;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /unread/ {
            send_timeout 300ms;
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }
_EOC_
);

my $v = $nginx->nginx_version();

$nginx->start();

sub get {
    my ($path, @fields) = @_;

    my $answer = pass_ask($nginx, GET => $path, @fields);

    return "$answer->{end} $answer->{code} $answer->{body}";
}

sub start {
    my ($path, %o) = @_;

    my $client = NgxGatewayPass->new($nginx->port(), %o);

    $client->send(GET => $path);

    return $client;
}

sub close_of {
    my ($path) = @_;

    $backend->wait(sub { my $c = $backend->last($path);
                         $c && (defined $c->{end}
                                || grep { $_->{opcode} == 8 }
                                   @{ $c->{frames} }) });

    my ($close) = grep { $_->{opcode} == 8 }
                  @{ ($backend->last($path) // {})->{frames} // [] };

    return $close ? unpack 'n', $close->{payload} : undef;
}

# how messages look

my $base64 = 'eHh4' x 333 . 'eA==';

is(get('/sse/kinds'), join('', 'whole 200 ', map { "$_\n\n" }
   "data: {\"a\":\ndata: 1}", "data: a\ndata: b\ndata: c\ndata: \ndata: d",
   "event: binary\ndata: AP8=", 'data: ', "data: \xc3\xa4",
   "data: \ndata: ", "event: binary\ndata: $base64", 'data:  "s" '),
   'server-sent events');

is(get('/ndjson/kinds'), join('', 'whole 200 ', map { "$_\n" }
   '{"a": 1}', '"a\\r\\nb\\rc\\n\\nd"', '"AP8="', '""', "\"\xc3\xa4\"",
   '"\\n"', "\"$base64\"", '"s"') =~ s/"s"\n\z//r =~ s/\z/"s"\n/r,
   'JSON lines');

for my $case ([ sse => 'text/event-stream' ],
              [ ndjson => 'application/x-ndjson' ])
{
    my $answer = pass_ask($nginx, GET => "/$case->[0]/kinds");
    my $headers = $answer->{headers};

    is($headers->{'content-type'}, $case->[1], "$case->[0]: the type");
    is($headers->{'cache-control'}, 'no-store', '... not to be stored');
    is($headers->{'x-accel-buffering'}, 'no', '... nor buffered');
    is($headers->{'content-length'}, undef, '... without a length');

    is(pass_ask($nginx, HEAD => "/$case->[0]/kinds")
       ->{headers}{'content-type'}, $case->[1], '... likewise of HEAD');
}

# when they end

is(get('/sse/close'), 'whole 200 ', 'nothing but a Close');
like(get('/sse/kinds?code=1001'), qr/\Awhole 200 /, 'closed with 1001');
like(get('/sse/kinds?code=1011'), qr/\Acut 200 data: /, 'closed with 1011');
like(get('/sse/kinds?end=eof'), qr/\Acut 200 data: /, 'without a Close');
like(get('/sse/die'), qr/\Acut 200 \z/, 'in the middle of a frame');
like(get('/sse/masked'), qr/\Acut 200 \z/, 'against the rules');
like(get('/sse/status?code=503'), qr/\Awhole 502 \{/, 'before it began');

for my $code (1000, 1001, 1011) {
    my $end = $code == 1011 ? 'cut' : 'whole';

    is(get("/sse/after?code=$code"),
       "$end 200 data: first\n\ndata: second\n\ndata: third\n\n",
       "messages in the same packet as a Close $code are passed on");
}

is(get('/count/ticker?pause=0.01'),
   join('', 'whole 200 ', map { "data: {\"tick\":$_}\n\n" } 1 .. 3), 'count');
is(close_of('/ticker'), 1000, '... which is closed with 1000');
is(get('/until/ticker?pause=0.01'),
   "whole 200 {\"tick\":1}\n{\"tick\":2}\n", 'until');
is(get('/message/ticker?pause=0.01'), "whole 200 data: {\"tick\":1}\n\n",
   'message');

# Accept

for my $accept ('text/event-stream', 'text/event-stream, */*;q=0.1',
                'application/json, text/event-stream;q=0.9')
{
    my $answer = pass_ask($nginx, GET => '/accept/kinds', Accept => $accept);

    is($answer->{headers}{'content-type'}, 'text/event-stream',
       "Accept: $accept");
    like($answer->{body}, qr/\Adata: .*data:  "s" \n\n\z/s, '... is a stream');
}

for my $accept ('*/*', 'text/*', 'text/event-streams', 'text/plain') {
    is(pass_ask($nginx, GET => '/accept/kinds', Accept => $accept)->{headers}
       {'content-type'}, 'application/json', "Accept: $accept");
}

# as it comes

# and for longer than gateway_websocket_read_timeout

my ($client, $first);

attempts(sub {
    $client = start('/short/ticker?pause=0.3');
    return $first = $client->read(qr/"tick":1\}\n\n/, 0.25);
});

ok($first, 'the first message comes at once');
ok($client->read(qr/"tick":2\}\n\n/), 'and the others');
is($client->{end}, undef, '... although it goes on');
$client->close();
is(close_of('/ticker'), 1001, 'the client leaves: 1001');

attempts(sub {
    $client = start('/short/silent');
    $first = $client->read(qr/\A/);
    pass_wait(sub { $client->read(qr/./, 0); $client->{code} });
    return $client->{code} == 200;
});

ok($first, 'a service that says nothing');
is($client->{code}, 200, '... is open all the same');
sleep 0.25;
$client->read(qr/./, 0);
is($client->{end}, undef, '... and stays so');
$client->abort();
is(close_of('/silent'), 1001, 'the client resets: 1001');

my $old = NgxGatewayPass->new($nginx->port());

$old->send(GET => '/sse/kinds', protocol => 'HTTP/1.0');
$old->read();
like("$old->{code} $old->{body}", qr/\A200 data: .*data:  "s" \n\n\z/s,
     'HTTP/1.0');

$client = NgxGatewayPass->new($nginx->port());

for my $path ('/sse/kinds', '/ndjson/close', '/count/ticker?pause=0.01') {
    $client->next()->send(GET => $path);
    $client->read();
    is($client->{end}, 'whole', "$path on a connection that is kept");
}

$client = NgxGatewayPass->new($nginx->port());
$client->send(GET => '/gzip/ticker?pause=10', 'Accept-Encoding' => 'gzip');
ok($client->read(qr/\A\x1f\x8b.{10}/s, 8), 'compressed, and still at once');
$client->close();

# what keeps them alive, and what does not

attempts(sub {
    $client = start('/ping/silent');
    $first = $client->read(qr/\A: ping\n\n: ping\n\n/, 2);
    $client->close();
    return $first;
});

ok($first, 'comments');

attempts(sub {
    $client = start('/noping/silent');
    $first = $client->read(qr/./, 0.35);
    $client->close();
    return !defined $client->{end};
});

ok(!$first, 'not among JSON lines');
is($client->{end}, undef, 'pings that are answered keep it');

my ($took, $got);

attempts(sub {
    my $start = time;

    $got = get('/ping/deaf');
    $took = time - $start;
    return $took < 1 && $got =~ /ping/;
});

like($got, qr/\Acut 200 (?:: ping\n\n)+\z/, 'pings without an answer');
cmp_ok($took, '<', 1, '... are not waited for');

for my $case ([ '/idle/silent', 1001, 0.2, 1 ],
              [ '/age/ticker?pause=0.05', 1001, 0.2, 1 ],
              [ '/expires/ticker?pause=0.05&at=', 1008, 0.2, 1 ])
{
    my ($path, $code, $least, $most) = @$case;

    attempts(sub {
        my $start = time;

        $got = get($path =~ s/at=\K/sprintf '%.3f', $start + 0.3/er);
        $took = time - $start;
        return $took < $most && $got =~ /\Awhole 200 /;
    });

    like($got, qr/\Awhole 200 /, "$path: ends");
    cmp_ok($took, '>', $least, '... not at once');
    cmp_ok($took, '<', $most, '... in time');
    is(close_of($path =~ m{(/\w+)(?:\?|\z)}), $code, "... with $code");
}

attempts(sub {
    $client = start('/idle/ticker?pause=0.1');
    $first = $client->read(qr/"tick":6/, 3);
    $client->close();
    return $first;
});

ok($first, 'messages keep it from being idle');

is(pass_ask($nginx, GET => '/expires/ticker?at=1')->{code}, 403,
   'expired already');
is(pass_ask($nginx, GET => '/expires/ticker?at=x')->{code}, 500,
   'not a time');
like(get('/expires/kinds?at='), qr/\Awhole 200 /, 'no time');

# many messages in constant memory

sub numbers {
    my ($client, $n, $first) = @_;

    my ($next, $rest) = ($first // 1, '');
    my $end = time + ($careful ? 60 : 20);

    while ($next <= $n && time < $end) {
        $client->read(qr/\n\n\z/, 1);
        $rest .= $client->{body};
        $client->{body} = '';

        while ($rest =~ /\Gdata: (\d+) [^\n]*\n\n/gc) {
            return "$1 after " . ($next - 1) if $1 != $next;
            $next++;
        }

        $rest = substr $rest, pos $rest // 0;
        last if defined $client->{end};
    }

    return $next - 1;
}

my $worker = pass_worker($nginx);

$client = start("/sse/many?n=$many");

cmp_ok(numbers($client, 1000), '>=', 1000, 'the first thousand messages');

my $before = pass_memory($worker);

# the rest, which begins somewhere among those read

$client->close();
$client = start("/sse/many?n=$many");
is(numbers($client, $many), $many, "$many messages in order");

my $after = pass_memory($worker);

SKIP: {
    skip('memory says nothing here', 1) if $careful;

    note("$before kB, then $after kB");
    cmp_ok($after - $before, '<', 128, '... in constant memory');
}

# a client that does not read

$backend->forget();
$client = start('/sse/many?n=100000&pad=1000', rcvbuf => 8192);
ok($client->read(qr/./), 'a client that does not read');

# it stops once the buffers of all sockets are full

my $notes = -1;

pass_wait(sub {
    my $now = @{ $backend->last('/many')->{notes} };
    my $still = $now == $notes;

    $notes = $now;
    sleep 0.2;

    return $still;
}, 10);

cmp_ok($notes, '<', 50, 'stops the reading of the service');

my $stopped = pass_memory($worker);

SKIP: {
    skip('memory says nothing here', 1) if $careful;

    note("$after kB, then $stopped kB");
    cmp_ok($stopped - $after, '<', 512, '... and the worker keeps little');
}

is(pass_ask($nginx, GET => '/accept/kinds')->{code}, 200,
   'others are answered');

cmp_ok(numbers($client, $careful ? 5000 : 50_000), '>=',
       $careful ? 5000 : 50_000, 'it goes on where it stopped, in order');

$client->close();

# pings while nothing is read of what they are answered with

attempts(sub {
    $client = start('/rest/many?n=20000&pad=1000', rcvbuf => 8192);
    $first = $client->read(qr/./);
    sleep 1.1;
    $got = numbers($client, 20_000);
    $client->close();
    return $got eq '20000';
});

ok($first, 'a client that rests');
is($got, 20_000, '... for longer than pings may take');

$client = start('/unread/many?n=100000&pad=1000', rcvbuf => 8192);
ok($client->read(qr/./), 'a client that does not read');
ok($backend->wait(sub { defined $backend->last('/many')->{end} }, 10),
   'is given up after send_timeout');
is(close_of('/many'), 1001, '... with 1001');
$client->close();

# HTTP/2

ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');

my $log = $nginx->read_file('logs/stream.log');

like($log, qr{^/sse/kinds\|200\|1000\|upstream\|8$}m, 'in the log: a Close');
like($log, qr{^/sse/die\|200\|1006\|upstream\|0$}m, 'in the log: none');
like($log, qr{^/age/ticker\|200\|1001\|gateway\|\d+$}m,
     'in the log: the gateway');
like($log, qr{^/expires/ticker\|200\|1008\|gateway\|\d+$}m,
     'in the log: time');
like($log, qr{^/short/ticker\|200\|1001\|gateway\|\d+$}m,
     'in the log: the client');
like($log, qr{^/ping/deaf\|200\|1001\|gateway\|0$}m, 'in the log: lost');
like($log, qr{^/sse/masked\|200\|1002\|gateway\|0$}m, 'in the log: rules');

my $second = NgxGatewayNginx->new(http => $nginx->{http}, http2 => 1,
                                  server => $nginx->{server});

$second->start();

my $http2 = NgxGatewayHTTP2->new($second->port());

my @ids = $http2->send([ GET => '/sse/after' ], [ GET => '/ndjson/kinds' ],
                       [ GET => '/sse/after?code=1011' ],
                       [ GET => '/until/ticker?pause=0.02' ]);
my @answers = $http2->answers(@ids);

is("$answers[0]{code} $answers[0]{body}",
   "200 data: first\n\ndata: second\n\ndata: third\n\n", 'HTTP/2: a stream');
like($answers[1]{body}, qr/\A\{"a": 1\}\n/, 'HTTP/2: another');
is($answers[3]{body}, "{\"tick\":1}\n{\"tick\":2}\n", 'HTTP/2: until');

# its window is never opened

$backend->forget();
@ids = $http2->send([ GET => '/sse/many?n=100000&pad=1000' ]);
sleep 0.3;
$http2->send([ GET => '/sse/close' ]);
ok($backend->wait(sub { $backend->last('/close') }),
   'HTTP/2: a stream that is not read');
cmp_ok(scalar @{ $backend->last('/many')->{notes} }, '<', 50,
       '... stops the reading of the service');
$http2->reset($ids[0]);
is(close_of('/many'), 1001, '... and ends when it is reset');

$backend->forget();
$http2 = NgxGatewayHTTP2->new($second->port());
@ids = $http2->send([ GET => '/sse/ticker?pause=0.02' ],
                    [ GET => '/sse/silent' ]);
ok($backend->wait(sub { $backend->open() == 2 }), 'HTTP/2: two more');
sleep 0.1;
$http2->reset($ids[0]);
is(close_of('/ticker'), 1001, 'HTTP/2: one is reset');
is($backend->last('/silent')->{end}, undef, '... the other is not');
$http2->close();
is(close_of('/silent'), 1001, 'HTTP/2: the connection is closed');

$second->stop();
$nginx->stop();

for ($nginx, $second) {
    is(pass_log($_), '', 'nothing wrong in the log');
}

done_testing();
