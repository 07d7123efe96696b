#!/usr/bin/perl

# format=websocket-events: services that speak the protocol of Pushpin,
# WebSocket-over-HTTP, and GRIP.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayEvents;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( time );

my $type = $NgxGatewayEvents::TYPE;
my $failed = '1011 the service failed';
my $slack = 5;

my $gate = NgxGatewayEvents->new(
    http => 'gateway_websocket_drain 200ms;',
    locations => {
        many => 'gateway_websocket_concurrency 10;',
        short => 'gateway_websocket_max_reply 1k;',
        small => 'gateway_websocket_max_message 10;',
        idle => 'gateway_websocket_idle_timeout 150ms;',
        age => 'gateway_websocket_max_age 150ms;',
        nozone => 'gateway_websocket_serve /service/events$is_args$args '
                  . 'format=websocket-events;',
        routed => 'gateway_websocket_route /a b /service/other;',
        named => 'gateway_websocket_set_header Grip-Sig signed;',
        said => 'gateway_websocket_on_error message;',
        asked => 'gateway_websocket_connect /service/asked; '
                 . 'gateway_websocket_disconnect /service/asked;',
        dead => 'gateway_websocket_serve /to/dead format=websocket-events;',
    },
    server => <<'_EOC_',
        location = /to/dead {
            internal;
            proxy_pass http://127.0.0.1:%DEAD%;
        }
_EOC_
);

my $service = $gate->service();


sub field {
    my ($request, $name) = @_;

    return $service->header($request, $name);
}


# The handshake

{
    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields('Set-Meta-User: ann', 'Set-Cookie: a=b', 'X-Other: c',
                 'Sec-WebSocket-Extensions: grip', 'Connection-Id: x',
                 'Keep-Alive-Interval: 30', 'Set-Cookie: c=d',
                 'Sec-WebSocket-Protocol: b'));
    my $ws = $gate->try($uri, protocols => 'a, b', deflate => 1,
        origin => 'http://o.example', headers => [
            Cookie => 'x=y', Accept => 'text/html', 'Accept-Encoding' => 'gzip',
            'Connection-Id' => 'mine', 'Meta-User' => 'evil', 'meta-x' => 'y',
            'Content-Type' => 'a/b', 'Grip-Sig' => 'z', 'X-Kept' => 'kept',
            'User-Agent' => 'ua', Authorization => 'Basic eDp5',
        ]);

    is($ws->status(), 101, 'OPEN answered with OPEN');
    is($ws->verify(), undef, 'a good 101');
    is($ws->header('Sec-WebSocket-Protocol'), 'b', 'with the subprotocol');
    is(join('|', $ws->headers('Set-Cookie')), 'a=b|c=d', 'and the cookies');
    unlike($ws->head(), qr/grip|meta|connection-id|keep-alive-interval/i,
           'and nothing that is for the gateway');

    my ($request) = $service->requests($path);

    is("$request->{method} $request->{path} $request->{body}",
       "POST /events OPEN\r\n", 'what OPEN is');

    my %expected = (
        'Content-Type' => $type, Accept => $type, 'Content-Length' => 6,
        'Sec-WebSocket-Extensions' => 'grip', Cookie => 'x=y',
        Origin => 'http://o.example', 'Sec-WebSocket-Protocol' => 'a, b',
        'X-Kept' => 'kept', 'User-Agent' => 'ua',
        Authorization => 'Basic eDp5',
        (map { ($_ => undef) } 'Meta-User', 'Meta-X', 'Grip-Sig', 'Upgrade',
            'Accept-Encoding', 'Connection-Upgrade', 'Content-Encoding'),
    );

    is(field($request, $_), $expected{$_}, "$_ of OPEN")
        for sort keys %expected;

    like(field($request, 'Connection-Id'), qr/\A[0-9a-f]{32}\z/,
         'the id of the connection');

    $ws->send_text('m:a');
    is($ws->read_text(), 'a', 'a message');

    my (undef, $message) = $service->requests($path);

    delete @expected{qw( Content-Length Sec-WebSocket-Extensions )};
    $expected{'Meta-User'} = 'ann';
    $expected{'Connection-Id'} = field($request, 'Connection-Id');

    is(field($message, $_), $expected{$_}, "$_ of a message")
        for sort keys %expected;

    is($message->{body}, "TEXT 3\r\nm:a\r\n", 'its event');
}

for my $content ("$type; charset=utf-8", 'Application/WebSocket-Events',
                 "$type ;x=y")
{
    my ($uri) = $gate->fresh('events', said(['OPEN'])
        . '&type=' . encoded($content));

    is($gate->try($uri)->status(), 101, "OPEN of type $content");
}

{
    my ($uri) = $gate->fresh('events', 'body=' . encoded("OPEN 2\r\nab\r\n"));

    is($gate->try($uri)->status(), 101, 'OPEN with a content');
}

{
    my ($uri) = $gate->fresh('nozone', said(['OPEN'], ['TEXT', 'a']));
    my $ws = $gate->open($uri);

    is($ws->read_text(), 'a', 'without a zone');
}

{
    my ($uri, $path) = $gate->fresh('named');
    my $ws = $gate->open($uri);
    my ($request) = $service->requests($path);

    is(field($request, 'Grip-Sig'), 'signed', 'a field that was set');
}


{
    my ($uri, $path) = $gate->fresh('asked');
    my $ws = $gate->open($uri);

    $ws->send_text('a');
    is($gate->received($ws, 1), 'text:a', 'with connect and disconnect');
    $ws->send_close(1000);
    is($gate->requests($path, 3), 'OPEN TEXT:a CLOSE:1000:',
       'which are without effect');
    $gate->silent('/asked', 0, 'on either');
    is(scalar(grep { $_->{head} =~ /^Gateway-/mi } $service->requests($path)),
       0, 'no fields of the other format');
}


# OPEN that is refused

for my $row (
    [403, 'status=403&type=text/plain&body=no'],
    [404, 'status=404&type=text/plain'],
    [500, 'status=500&' . said(['OPEN'])],
    [502, 'type=text/plain&body=x', '200 of another type'],
    [502, 'type=&' . said(['OPEN']), 'no type'],
    [502, 'type=application/websocket-event&' . said(['OPEN']), 'a type'],
    [502, 'status=204', '204'],
    [502, 'body=', 'nothing'],
    [502, 'body=' . fields('Keep-Alive-Interval: 20'), 'a keep-alive'],
    [502, said(['TEXT', 'a']), 'TEXT'],
    [502, said(['TEXT', 'a'], ['OPEN']), 'TEXT first'],
    [502, 'body=' . encoded("open\r\n"), 'small letters'],
    [502, said(['CLOSE']), 'CLOSE'],
    [502, said(['DISCONNECT']), 'DISCONNECT'],
    [502, 'body=OPEN', 'no end of line'],
    [502, 'body=' . encoded("OPEN\n"), 'LF'],
    [502, 'body=' . encoded("OPEN\r\nTEXT 5\r\na\r\n"), 'malformed later'],
    [502, said(['OPEN']) . fields('Content-Bytes-Accepted: 1'),
     'more accepted than there was'],
    [502, said(['OPEN']) . '&gzip=1', 'compressed'],
    [502, said(['OPEN']) . '&cut=3', 'cut off'],
    [502, 'gone=1', 'no answer'],
) {
    my ($status, $open, $what) = @$row;
    my ($uri, $path) = $gate->fresh('events', $open);
    my $ws = $gate->try($uri);

    is($ws->status(), $status, 'OPEN refused: ' . ($what // $status));
    like($ws->header('Content-Type'), qr{\Aapplication/problem\+json},
         'with a problem');
    $gate->silent($path, 1, 'and nothing later');
}

is($gate->try('/dead')->status(), 502, 'OPEN refused: nobody listens');

{
    my ($uri) = $gate->fresh('events', 'status=401&body=x'
        . fields('WWW-Authenticate: Basic realm="x"', 'Set-Cookie: a=b'));
    my $ws = $gate->try($uri);

    is($ws->status(), 401, 'OPEN refused with fields');
    is($ws->header('WWW-Authenticate'), 'Basic realm="x"', 'of the service');
}

{
    my ($uri) = $gate->fresh('short', said(['OPEN'], ['TEXT', 'x' x 1100]));

    is($gate->try($uri)->status(), 502, 'OPEN answered with too much');
}


# Messages

{
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);

    $ws->send_text('hello');
    is($gate->received($ws, 1), 'text:hello', 'a text');
    $ws->send_binary("\0\xff");
    is($gate->received($ws, 1), "binary:\0\xff", 'a binary message');
    $ws->send_text('');
    is($gate->received($ws, 1), 'text:', 'an empty text');
    $ws->send_binary('');
    is($gate->received($ws, 1), 'binary:', 'an empty binary message');
    $ws->send_text("\xc3\xa9" x 30000, fragments => 3);
    is($gate->received($ws, 1), 'text:' . "\xc3\xa9" x 30000, 'a long one');

    my @requests = $service->requests($path);

    is($requests[1]{body}, "TEXT 5\r\nhello\r\n", 'the event of a text');
    is($requests[3]{body}, "TEXT 0\r\n\r\n", 'that of an empty one');
    is($requests[4]{body}, "BINARY 0\r\n\r\n", 'binary');
    is(length $requests[5]{body}, 60000 + length("TEXT ea60\r\n") + 2,
       'that of the long one');
    is($requests[5]{method} . field($requests[5], 'Content-Type'),
       "POST$type", 'what a request is');

    my %ids = map { (field($_, 'Connection-Id') => 1) } @requests;

    is(keys %ids, 1, 'with one id');

    $ws->send_text(told(['TEXT', 'a'], ['BINARY', "\xff"], ['PING', 'p'],
                        ['PING'], ['PONG', 'q'], ['NEW', 'x'], ['TEXT', 'b']));
    is($gate->received($ws, 6), "text:a binary:\xff ping:p ping: pong:q text:b",
       'events in order, but for one that is not known');

    $ws->send_pong('p');
    $ws->send_text(told());
    $ws->send_text('!status=204&type=');
    $ws->send_text('!body=&type=' . encoded($type));
    $ws->send_text('last');
    is($gate->received($ws, 1), 'text:last', 'answers without events');

    $ws->send_ping('x');
    is($gate->received($ws, 1), 'pong:x', 'a ping of the client is answered');
    $gate->silent($path, 11, 'and nothing that the service is told');
}

{
    my ($uri) = $gate->fresh('events',
        said(['OPEN'], ['TEXT', 'a'], ['PING', 'x'], ['BINARY', 'b']));
    my $ws = $gate->open($uri);

    is($gate->received($ws, 3), 'text:a ping:x binary:b', 'events after OPEN');
}

{
    my ($uri) = $gate->fresh('events', said(['OPEN'], ['TEXT', 'a'],
        ['CLOSE', pack('n', 4001) . 'why'], ['TEXT', 'b']));
    my $ws = $gate->open($uri);

    is($ws->read_text(), 'a', 'OPEN, and a message,');
    is($gate->closes($ws), '4001 why', 'and CLOSE');
}

{
    my ($uri, $path) = $gate->fresh('many');
    my $ws = $gate->open($uri);
    my $first = '!' . said(['TEXT', 'a']) . "&hold=many";

    $ws->send_text($first);
    $ws->send_text('b');
    $ws->send_binary('c');
    is($gate->requests($path, 2), "OPEN TEXT:$first",
       'one is with the service,');
    $gate->silent($path, 2, 'and the others wait, whatever the concurrency');
    $service->release('many');
    is($gate->received($ws, 3), 'text:a text:b binary:c', 'in order');

    is(scalar(grep { $_->{overlap} > 1 } $service->requests($path)), 0,
       'one at a time');
}

{
    my ($uri, $path) = $gate->fresh('routed');
    my $ws = $gate->open($uri);

    $ws->send_text('{"a":"b"}');
    is($gate->received($ws, 1), 'text:{"a":"b"}', 'routes are without effect');
    is($gate->requests($path, 2), 'OPEN TEXT:{"a":"b"}', 'one for all');
}


# State

{
    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields('Set-Meta-User: ann', 'Set-Meta-Room: 1', 'set-meta-x-y: z'));
    my $ws = $gate->open($uri);
    my $last = sub {
        my ($request) = ($service->requests($path))[-1];

        join ' ', map { (field($request, "Meta-$_") // 'none') }
            qw( User Room X-Y );
    };

    $ws->send_text('a');
    $gate->received($ws, 1);
    is($last->(), 'ann 1 z', 'Set-Meta-* of OPEN come back');

    $ws->send_text('!' . said(['TEXT', 'b'])
        . fields('Set-Meta-Room: 2', 'Set-Meta-USER:'));
    $gate->received($ws, 1);
    is($last->(), 'ann 1 z', 'those that there are');

    $ws->send_text('c');
    $gate->received($ws, 1);
    is($last->(), 'none 2 z', 'changed, and deleted in any case');

    $ws->send_text('!' . said(['TEXT', 'b'])
        . fields('Set-Meta-Room: 3', 'Set-Meta-Room: 4', 'Set-Meta-User: bob'));
    $gate->received($ws, 1);
    $ws->send_close(1000);
    $ws->read_close();
    $service->waited($path, 6);
    is($last->(), 'bob 4 z', 'the last of several, with CLOSE, too');
}

{
    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields('Set-Meta-Long: ' . 'x' x 3000));
    my $ws = $gate->open($uri);
    my $more = fields('Set-Meta-More: ' . 'y' x 1000);

    $ws->send_text('!' . said(['TEXT', 'a']) . $more);
    is($gate->received($ws, 1), 'text:a', 'much state');
    $ws->send_text('b');
    is($gate->received($ws, 1), 'text:b', 'which comes back');
    is(length field(($service->requests($path))[-1], 'Meta-Long'), 3000,
       'all of it');
    $more =~ s/More/Even-More/;
    $ws->send_text('!' . said(['TEXT', 'a']) . $more);
    is($gate->closes($ws), $failed, 'too much state');
    $gate->silent($path, 4, 'and no more requests');
}

{
    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields('Set-Meta-User: ann'));
    my $ws = $gate->open($uri);

    $ws->disconnect();
    is($gate->requests($path, 2), 'OPEN DISCONNECT', 'an end without Close');
    is(field(($service->requests($path))[1], 'Meta-User'), 'ann',
       'with the state');
}


# Content-Bytes-Accepted: how many more than the whole message, or a text

for my $row ([0, 'text:a'], ['x', 'text:a'], ['', 'text:a'], ['-0', 'text:a'],
             [-1, $failed], [-5, $failed], [1, $failed])
{
    my ($accepted, $expected) = @$row;
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);
    my $message = told(['TEXT', 'a']) . fields('Content-Bytes-Accepted: ');

    $message .= $accepted =~ /\A-?[0-9]\z/ && $accepted ne '-0'
        ? sprintf '%03d', length($message) + 3 + $accepted : $accepted;
    $ws->send_text($message);

    is($expected =~ /text/ ? $gate->received($ws, 1) : $gate->closes($ws),
       $expected, "Content-Bytes-Accepted: all and \"$accepted\"");
}


# What ends the connection

for my $row (
    ['status 500', 'status=500&' . said(['TEXT', 'a'])],
    ['status 404', 'status=404&type=text/plain&body=x'],
    ['status 201', 'status=302&' . said(['TEXT', 'a'])],
    ['another type', 'type=text/plain&body=x'],
    ['no type', 'type=&body=x'],
    ['malformed', 'body=' . encoded("TEXT 5\r\na\r\n")],
    ['malformed later', 'body=' . encoded("TEXT 1\r\na\r\nTEXT x\r\n")],
    ['OPEN', said(['OPEN'])],
    ['a text that is not UTF-8', said(['TEXT', "\xff"])],
    ['a long ping', said(['PING', 'x' x 126])],
    ['a bad code', said(['CLOSE', pack 'n', 1005])],
    ['a long reason', said(['CLOSE', pack('n', 1000) . 'x' x 124])],
    ['compressed', said(['TEXT', 'a']) . '&gzip=1'],
    ['cut off', said(['TEXT', 'a']) . '&cut=4'],
    ['no answer', 'gone=1'],
) {
    my ($what, $text) = @$row;

    for my $name (qw( events said )) {
        my ($uri, $path) = $gate->fresh($name);
        my $ws = $gate->open($uri);

        $ws->send_text("!$text");

        my $close = $ws->read_close(undef, answer => 1);

        is(join(' ', @{ $close->{frames} // [] }, $close->{code} // 'none'),
           '1011', "an answer: $what");
        $gate->silent($path, 2, 'and no more requests');
    }
}

{
    my ($uri) = $gate->fresh('short');
    my $ws = $gate->open($uri);

    $ws->send_text('!' . said(['TEXT', 'x' x 1100]));
    is($gate->closes($ws), $failed, 'an answer: too much');
}


# CLOSE and DISCONNECT of the service

for my $row (
    ['a code and a reason', pack('n', 4001) . "w\xc3\xa9", "4001 w\xc3\xa9"],
    ['a code', pack('n', 1001), '1001'],
    ['no content', undef, '1000'],
    ['an empty one', '', '1000'],
    ['code 0', "\0\0", '1000'],
) {
    my ($what, $content, $expected) = @$row;
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);
    my $message = told(['TEXT', 'a'], ['CLOSE', $content // ()], ['TEXT', 'b']);

    $ws->send_text($message);
    is($ws->read_text(), 'a', 'a message before CLOSE');

    my $close = $ws->read_close(undef, answer => 1);

    is(join(' ', $close->{code}, length $close->{reason} ? $close->{reason}
                                                         : ()), $expected,
       "CLOSE with $what");
    is($close->{end}, 'eof', 'and its end');
    is($gate->requests($path, 3), "OPEN TEXT:$message CLOSE:$close->{code}:"
       . ($close->{reason} // ''), 'the client\'s is told');
}

{
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);
    my $message = told(['CLOSE', pack 'n', 1000]);

    $ws->send_text($message);
    is($ws->read_frame()->{opcode}, 8, 'CLOSE, and a client that goes');
    $ws->disconnect();
    is($gate->requests($path, 3), "OPEN TEXT:$message DISCONNECT", 'is told');
}

{
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);

    $ws->send_text(told(['TEXT', 'a'], ['DISCONNECT'], ['TEXT', 'b']));
    is($ws->read_text(), 'a', 'a message before DISCONNECT');
    is($gate->closes($ws), $failed, 'which closes');
    $gate->silent($path, 2, 'and is not told back');
}


# CLOSE and DISCONNECT of the client

for my $row (['a code', 'CLOSE:1000:', 1000], ['none', 'CLOSE'],
             ['a reason', "CLOSE:4000:w\xc3\xa9", 4000, "w\xc3\xa9"])
{
    my ($what, $expected, @close) = @$row;
    my ($uri, $path) = $gate->fresh('events', undef, said(['TEXT', 'no']));
    my $ws = $gate->open($uri);

    $ws->send_close(@close);

    my $close = $ws->read_close();

    is($close->{code}, $close[0] // 1005, "a Close with $what is answered");
    is($close->{frames} && @{ $close->{frames} } || 0, 0, 'and nothing else');
    is($gate->requests($path, 2), "OPEN $expected", 'and told');
    $gate->silent($path, 2, 'once');
}

{
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);
    my $first = '!' . said(['TEXT', 'a']) . "&hold=close";
    my $begin = time;

    $ws->send_text($first);
    $ws->send_text('b');
    $ws->send_close(1001);
    is($ws->read_close()->{code}, 1001, 'a Close behind messages');
    cmp_ok(time - $begin, '<', $slack, 'is answered at once');
    $service->release('close');
    is($gate->requests($path, 4), "OPEN TEXT:$first TEXT:b CLOSE:1001:",
       'and told after them');
}

# all at once: those that the gateway closes wait for the client's Close

my @ends = map {
    my ($what, $name, $sub) = @$_;
    my ($uri, $path) = $gate->fresh($name);
    my $ws = $gate->open($uri);

    $sub->($ws);

    { what => $what, path => $path, ws => $ws };
} (
    ['the connection', 'events', sub { $_[0]->disconnect() }],
    ['a reset', 'events', sub { $_[0]->abort() }],
    ['a frame that is wrong', 'events', sub { $_[0]->send_frame(3, 'x') }],
    ['a message too large', 'small', sub { $_[0]->send_text('x' x 11) }],
    ['nothing for a while', 'idle', sub { }],
    ['its age', 'age', sub { }],
);

for my $end (@ends) {
    is($gate->requests($end->{path}, 2), 'OPEN DISCONNECT',
       "the end by $end->{what}");
    $gate->silent($end->{path}, 2, 'is told once');
}

{
    my ($uri, $path) = $gate->fresh('small');
    my $ws = $gate->open($uri);

    $ws->send_text('x' x 11);

    my $close = $gate->closes($ws);

    like($close, qr/\A1009 /, 'a client that answers the gateway\'s Close');
    like($gate->requests($path, 2), qr/\AOPEN CLOSE:1009:/,
         'is told of as one');
}


# Reloads, and workers that die

{
    my ($uri, $path) = $gate->fresh('events');
    my $ws = $gate->open($uri);
    my $worker = $gate->worker();

    ok($gate->nginx()->reload(), 'a reload');
    is($gate->closes($ws), '1001 server shutdown', 'closes');
    is($gate->requests($path, 2), 'OPEN CLOSE:1001:server shutdown',
       'and is told');
    ok($service->wait(sub { !kill 0, $worker }), 'the old worker ends');
}

SKIP: {
    skip 'a worker that is not to be killed', 3
        if $ENV{TEST_NGINX_USE_VALGRIND};

    my ($uri, $path) = $gate->fresh('events', said(['OPEN'])
        . fields('Set-Meta-User: ann'));
    my $ws = $gate->open($uri);

    $ws->send_text('a');
    $gate->received($ws, 1);

    kill 'KILL', $gate->worker();
    is($gate->requests($path, 3), 'OPEN TEXT:a DISCONNECT',
       'a worker that is killed');

    my ($open, undef, $last) = $service->requests($path);

    is(field($last, 'Connection-Id'), field($open, 'Connection-Id'),
       'the one that takes its place has the id');
    is(field($last, 'Meta-User'), 'ann', 'and the state');
}


$gate->finish(qr/signal 9/);

done_testing();
