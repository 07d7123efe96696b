#!/usr/bin/perl

# Messages of a WebSocket that go to different locations, by what they say; and
# what URIs are.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayServeNginx;
use NgxGatewayWebSocket;
use Test::More;

my $gate = NgxGatewayServeNginx->new(
    locations => {
        routes => <<'_EOC_',
            gateway_websocket_serve /service/default;
            gateway_websocket_route /type chat /service/chat;
            gateway_websocket_route /type "a b" /service/space;
            gateway_websocket_route /type "é" /service/accent;
            gateway_websocket_route /type "" /service/empty;
            gateway_websocket_route /type chat /service/never;
            gateway_websocket_route /a/b 1 /service/nested;
            gateway_websocket_route /list/1 x /service/element;
            gateway_websocket_route /n 1.0 /service/number;
            gateway_websocket_route /n -1e3 /service/exponent;
            gateway_websocket_route /flag true /service/true;
            gateway_websocket_route /flag false /service/false;
            gateway_websocket_route /flag null /service/null;
            gateway_websocket_route /~1slash~0 y /service/escaped;
            gateway_websocket_route member m /service/member;
            gateway_websocket_route /o "{}" /service/object;
_EOC_
        level => 'gateway_websocket_serve /service/default;',
        variable => <<'_EOC_',
            set $kind $arg_kind;
            gateway_websocket_serve /service/$arg_to?a=$arg_a&b=c&$arg_more;
            gateway_websocket_route /type chat /service/$kind/chat?u=$arg_a;
_EOC_
        escaped => 'gateway_websocket_serve "/service/a%20b%2fc?x=%20y";',
        bad => 'gateway_websocket_serve $arg_to;',
        internal => 'gateway_websocket_serve /echo;',
    },
    server => <<'_EOC_',
        gateway_websocket_route /type chat /service/above;
        gateway_websocket_route /type other /service/other;

        location = /own {
            gateway_websocket_serve /service/default;
            gateway_websocket_route /kind own /service/own;
        }

        location ~ ^/user/(?<user>[a-z]+)$ {
            gateway_websocket_serve /service/captured/$user/$1;
        }

        location = /named {
            gateway_websocket_serve /service/named;
            gateway_websocket_route /type chat /service/again;
        }
_EOC_
);

my $service = $gate->service();

# Where a message is answered from

sub to {
    my ($ws, $message, $binary) = @_;

    my $before = () = $service->requests();

    $binary ? $ws->send_binary($message) : $ws->send_text($message);
    defined $ws->read_message(2) or return 'nowhere';

    my @all = $service->waited(undef, $before + 1);

    return @all == $before + 1 ? $all[-1]{uri} : 'several';
}

my $ws = $gate->open('/routes');

for my $row (
    [ '{"type":"chat"}', 'chat' ],
    [ ' { "x" : [1,{"type":"no"}] , "type" : "chat" } ', 'chat' ],
    [ '{"type":"cha\u0074"}', 'chat' ],
    [ '{"ty\u0070e":"chat"}', 'chat' ],
    [ '{"type":"a b"}', 'space' ], [ '{"type":"a\u0020b"}', 'space' ],
    [ "{\"type\":\"\xc3\xa9\"}", 'accent' ],
    [ '{"type":"\u00e9"}', 'accent' ], [ '{"type":""}', 'empty' ],
    [ '{"type":"CHAT"}', 'default' ], [ '{"Type":"chat"}', 'default' ],
    [ '{"type":"chat "}', 'default' ], [ '{"type":"chats"}', 'default' ],
    [ '{"type":["chat"]}', 'default' ], [ '{"type":{"chat":1}}', 'default' ],
    [ '{"types":"chat"}', 'default' ],
    [ '{"type":"other","type":"chat"}', 'chat' ],
    [ '{"type":"chat","type":"other"}', 'default' ],
    [ '{"a":{"b":1}}', 'nested' ], [ '{"a":{"b":"1"}}', 'nested' ],
    [ '{"a":{"b":1.0}}', 'default' ], [ '{"a":{"b":10}}', 'default' ],
    [ '{"a":1,"b":1}', 'default' ], [ '{"a":[{"b":1}]}', 'default' ],
    [ '{"list":["a","x"]}', 'element' ], [ '{"list":["x"]}', 'default' ],
    [ '{"list":{"1":"x"}}', 'element' ],
    [ '{"n":1.0}', 'number' ], [ '{"n":1}', 'default' ],
    [ '{"n":"1.0"}', 'number' ], [ '{"n":-1e3}', 'exponent' ],
    [ '{"n":-1000}', 'default' ],
    [ '{"flag":true}', 'true' ], [ '{"flag":"true"}', 'true' ],
    [ '{"flag":false}', 'false' ], [ '{"flag":null}', 'null' ],
    [ '{"flag":1}', 'default' ],
    [ '{"/slash~":"y"}', 'escaped' ], [ '{"slash":"y"}', 'default' ],
    [ '{"member":"m"}', 'member' ], [ '{"x":{"member":"m"}}', 'default' ],
    [ '{"o":{}}', 'default' ], [ '{"o":"{}"}', 'object' ],
    [ '{"a":{"b":1},"type":"chat"}', 'chat' ],
    [ '{"n":1.0,"a":{"b":1}}', 'nested' ],
    [ '{"type":"chat"', 'default' ], [ '{"type":"chat"}}', 'default' ],
    [ '{"type":"chat"} x', 'default' ], [ "{'type':'chat'}", 'default' ],
    [ 'chat', 'default' ], [ '[]', 'default' ], [ '{}', 'default' ],
    [ '1', 'default' ])
{
    my ($message, $want) = @$row;

    is(to($ws, $message), "/$want", "route of $message");
}

is(to($ws, '{"type":"chat"}', 1), '/default', 'a binary message');
$ws->send_text('{"type":"chat"}', fragments => 5);
$ws->read_text();
is($service->last('/chat')->{body}, '{"type":"chat"}', 'in fragments');

{
    # deeper than a stack, and no JSON for that

    my $deep = '[' x 10000 . ']' x 10000;

    is(to($ws, $deep), '/default', 'a deep text');
    is(to($ws, '{"x":' . '[' x 20 . ']' x 20 . ',"type":"chat"}'), '/chat',
       'one that is not so deep');
}

{
    my $other = $gate->open('/level');

    is(to($other, '{"type":"chat"}'), '/above', 'inherited');
    is(to($other, '{"type":"other"}'), '/other', 'all of them');
    $other = $gate->open('/own');
    is(to($other, '{"type":"chat"}'), '/default',
       'routes of a level replace those above');
    is(to($other, '{"kind":"own"}'), '/own', 'by its own');
}


# URIs

{
    my $other = $gate->open('/variable?to=there&a=1&more=d&kind=k');

    is(to($other, 'a'), '/there?a=1&b=c&d', 'variables');
    is(to($other, '{"type":"chat"}'), '/k/chat?u=1', 'of a route, too');
    is(to($other, 'a'), '/there?a=1&b=c&d', 'and again');

    is(to($gate->open('/user/me'), 'a'), '/captured/me/me', 'captures');

    # a path is as it is, as that of an error_page is

    is(to($gate->open('/escaped'), 'a'), '/a%2520b%252fc?x=%20y', 'escapes');
}

for my $value ('', 'x', 'http://127.0.0.1/', '%0d%0a', '/../../x',
               '/service/../../x')
{
    my $other = $gate->try("/bad?to=$value");

    is($other->status(), 500, "a variable that is no URI: \"$value\"");
}

{
    my $other = $gate->open('/bad?to=/service/ok?a=b');

    is(to($other, 'a'), '/ok?a=b', 'one that is');

    # a location that serves WebSockets is no place for messages

    $other = $gate->open('/internal');
    $other->send_text('a');
    is($other->read_text(),
       '{"error":{"status":405,"title":"Not Allowed"}}'
       =~ s/Not Allowed/Method Not Allowed/r, 'a location that serves itself');
}

$ws->disconnect();
$gate->finish();

done_testing();
