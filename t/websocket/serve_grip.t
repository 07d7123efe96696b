#!/usr/bin/perl

# GRIP, which services that speak WebSocket-over-HTTP have from Pushpin: what is
# for the client, channels, and the publish API.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayEvents;
use NgxGatewayWebSocket;
use Test::More;

my $gate = NgxGatewayEvents->new(
    locations => {
        nozone => 'gateway_websocket_serve /service/events$is_args$args '
                  . 'format=websocket-events;',
    },
);

my $service = $gate->service();
my $json = JSON::PP->new->canonical->ascii;


# The extension, and what has no prefix

my $grip = fields('Sec-WebSocket-Extensions: grip');

{
    my ($uri) = $gate->fresh('events',
        said(['OPEN'], ['TEXT', 'm:a'], ['TEXT', 'b'],
        ['BINARY', "m:\xff"], ['BINARY', 'c'], ['PING', 'x'], ['TEXT', 'm:'])
        . $grip);
    my $ws = $gate->open($uri);

    is($gate->received($ws, 4), "text:a binary:\xff ping:x text:",
       'with GRIP, what has no prefix is dropped');
    is($ws->header('Sec-WebSocket-Extensions'), undef, 'not a word of it');
}

for my $row (
    ['another prefix', 'grip; message-prefix="to:"', 'to:a m:b', 'a'],
    ['no prefix', 'grip; message-prefix=""', 'a m:b', 'a m:b'],
    ['among others', 'x; y, grip; message-prefix="m-"', 'm-a b', 'a'],
    ['another extension', 'grap', 'a m:b c:{}', 'a m:b c:{}'],
    ['malformed', 'grip; message-prefix="', 'a m:b', 'a m:b'],
) {
    my ($what, $extensions, $messages, $expected) = @$row;
    my ($uri) = $gate->fresh('events', said(['OPEN'],
        (map { ['TEXT', $_] } split / /, $messages), ['PING'])
        . fields("Sec-WebSocket-Extensions: $extensions"));
    my $ws = $gate->open($uri);
    my @expected = split / /, $expected;

    is($gate->received($ws, @expected + 1),
       join(' ', (map { "text:$_" } @expected), 'ping:'), "GRIP: $what");
}

{
    my ($uri) = $gate->fresh('events', said(['OPEN'], ['TEXT', 'm:a'])
        . fields('Sec-WebSocket-Extensions: x', 'Sec-WebSocket-Extensions: '
                 . 'grip', 'Sec-WebSocket-Extensions: grip; '
                 . 'message-prefix="x"'));
    my $ws = $gate->open($uri);

    is($gate->received($ws, 1), 'text:a',
       'GRIP: of several fields the first one');
}

{
    my ($uri) = $gate->fresh('events');
    my $ws = $gate->open($uri);

    $ws->send_text(told(['TEXT', 'm:a']) . $grip);
    is($gate->received($ws, 1), 'text:m:a', 'GRIP is agreed on with OPEN only');
}

sub control {
    return ['TEXT', 'c:' . $json->encode({ @_ })];
}

sub subscribed {
    my ($channel, @more) = @_;

    my ($uri, $path) = $gate->fresh('events', said(['OPEN'],
        control(type => 'subscribe', channel => $channel), @more) . $grip);

    return ($gate->open($uri), $path);
}

{
    my ($ws, $path) = subscribed('room-1', ['TEXT', 'm:in']);

    is($ws->read_text(), 'in', 'subscribed');
    is($gate->publish({ items => [item('room-1', content => "h\x{e9}")] }),
       "200 text/plain Published\n", 'published');
    is($gate->received($ws, 1), "text:h\xc3\xa9", 'a text');
    $gate->publish({ items => [item('room-1', 'content-bin' => "AP8=\n")] });
    is($gate->received($ws, 1), "binary:\0\xff", 'a binary message');
    $gate->publish({ items => [item('room-1', type => 'ping', content => 'p'),
        item('room-1', type => 'pong'),
        item('other', content => 'no'), { channel => 'room-1', formats => {
            'http-stream' => { content => 'no' } } },
        item('room-1', content => '1'), item('room-1', action => 'hint'),
        { channel => 'room-1', 'ws-message' => { content => '2' } }] });
    is($gate->received($ws, 4), 'ping:p pong: text:1 text:2',
       'several items, in order');

    $ws->send_text(told(control(type => 'unsubscribe', channel => 'room-1'),
                        control(type => 'subscribe', channel => 'room-2'),
                        ['TEXT', 'm:moved']));
    is($gate->received($ws, 1), 'text:moved', 'another channel');
    $gate->publish({ items => [item('room-1', content => 'no'),
                        item('room-2', content => 'yes')] });
    is($gate->received($ws, 1), 'text:yes', 'and what is for it');

    $gate->publish({ items => [item('room-2', action => 'close', code => 4002,
                             reason => 'over')] });
    is($gate->closes($ws), '4002 over', 'closed');
    like($gate->requests($path, 3), qr/ (?:CLOSE:4002:over|CLOSE)\z/,
         'and told');
}

{
    my ($ws) = subscribed('room-3', ['TEXT', 'm:in']);

    $ws->read_text();
    $gate->publish({ items => [item('room-3', action => 'close')] });
    is($gate->closes($ws), '1000', 'closed, without a code');
}

{
    my ($ws) = subscribed('many-0');

    $ws->send_text(told((map { control(type => 'subscribe',
                                       channel => "many-$_") } 1 .. 70),
                        ['TEXT', 'm:in']));
    is($ws->read_text(), 'in', 'more channels than there may be');
    $gate->publish({ items => [map { item("many-$_", content => "$_") }
                               0, 63, 64, 70] });
    $gate->publish({ items => [item('many-0', content => 'last')] });
    is($gate->received($ws, 3), 'text:0 text:63 text:last', 'the first 64');
}

{
    my ($ws) = subscribed('stays');
    my $lost = 0;

    for my $i (1 .. 200) {
        my @names = map { 'x' x 50 . "-$i-$_" } 1 .. 50;

        $ws->send_text(told((map { (control(type => 'subscribe',
                                            channel => $_),
                                    control(type => 'unsubscribe',
                                            channel => $_)) } @names),
                            ['TEXT', "m:$i"]));
        $lost++ if ($ws->read_text() // '') ne $i;
    }

    is($lost, 0, 'more channels come and go than a zone has room for');
    $gate->publish({ items => [item('stays', content => 'x')] });
    is($gate->received($ws, 1), 'text:x', 'and one stays');
}

# what is no channel, or not done, is passed over

for my $row (
    ['no name', { type => 'subscribe', channel => '' }],
    ['a list', { type => 'subscribe', channel => 'room-4,-*' }],
    ['a name that leaves', { type => 'subscribe', channel => '-*' }],
    ['spaces', { type => 'subscribe', channel => 'room 5' }],
    ['a line', { type => 'subscribe', channel => "a\r\nb" }],
    ['a long name', { type => 'subscribe', channel => 'x' x 65 }],
    ['filters', { type => 'subscribe', channel => 'room-6',
                  filters => ['skip-self'] }],
    ['detach', { type => 'detach' }],
    ['keep-alive', { type => 'keep-alive' }],
    ['session', { type => 'session', id => 'x' }],
    ['what nobody knows', { type => 'x' }],
    ['to leave what it is not in', { type => 'unsubscribe', channel => 'x' }],
) {
    my ($what, $message) = @$row;
    my ($ws, $path) = subscribed('kept', control(%$message),
        ['TEXT', 'c:{'], ['TEXT', 'c:'], ['TEXT', 'm:in']);

    is($ws->read_text(), 'in', "a control message: $what");
    $gate->publish({ items => [item('kept', content => 'a'),
                        item('room-4', content => 'no'),
                        item('room-6', content => 'no'),
                        item('kept', content => 'b')] });
    is($gate->received($ws, 2), 'text:a text:b', 'does nothing');
    $ws->send_close(1000);
    $ws->read_close();
    $service->waited($path, 2);
}


{
    my ($uri) = $gate->fresh('nozone', said(['OPEN'],
        control(type => 'subscribe', channel => 'x'),
        ['TEXT', 'm:in']) . $grip);
    my $ws = $gate->open($uri);

    is($ws->read_text(), 'in', 'a control message: without a zone');
    $ws->send_text(told(control(type => 'unsubscribe', channel => 'x'),
                        ['TEXT', 'm:out']));
    is($ws->read_text(), 'out', 'does nothing');
}


# The publish API

{
    my ($ws) = subscribed('api', ['TEXT', 'm:in']);

    $ws->read_text();

    my @rows = (
        ['no items', '{"items":[]}', "200 text/plain Published\n"],
        ['nobody is reached', { items => [item('nobody', content => 'x')] },
            "200 text/plain Published\n"],
        ['a channel that is no group', { items => [item("\x{e9} /",
            content => 'x')] }, "200 text/plain Published\n"],
        ['nothing', '', 'body is not valid JSON'],
        ['no JSON', '{"items":[}', 'body is not valid JSON'],
        ['a list', '[]', 'body is not an object'],
        ['without items', '{}', 'object does not contain "items"'],
        ['one that is malformed', { items => [item('api', content => 'no'),
            item('api')] },
            '"ws-message" has no "content" or "content-bin"'],
        ['a code', { items => [item('api', action => 'close', code => 99)] },
            '"ws-message" has an invalid "code"'],
        ['filters', { items => [item('api', content => 'x',
            'content-filters' => ['skip-self'])] },
            '"ws-message" has "content-filters", which are not supported'],
    );

    for (@rows) {
        my ($what, $body, $expected) = @$_;
        my $got = $gate->publish($body);

        if ($expected =~ /\A200/) {
            is($got, $expected, "publish: $what");
            next;
        }

        my ($start, $text) = $got =~ /\A(.*?) (\{.*)\z/s;

        is($start, '400 application/problem+json', "publish refused: $what");
        is(eval { JSON::PP::decode_json($text)->{detail} }, $expected,
           'with the reason');
    }

    like($gate->publish('{"items":[]}', Accept => 'application/json'),
         qr/\A200 application\/json \{"message": ?"Published"\}\n?\z/,
         'publish: as JSON');
    like($gate->publish('{"items":[]}', path => '/publish'), qr/\A200 /,
         'publish: without a slash');
    like($gate->publish('', method => 'GET'), qr/\A405 /, 'publish: GET');

    $gate->publish({ items => [item('api', content => 'last')] });
    is($gate->received($ws, 1), 'text:last',
       'nothing of a malformed one is sent');
}


$gate->finish();

done_testing();
