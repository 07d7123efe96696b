
# Served WebSockets: their handshakes are requests of clients, their messages
# are not.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayServeNginx;
use NgxGatewayWebSocket;

use Test::More;

my $gate = NgxGatewayServeNginx->new(
    http => <<'_EOC_',
    gateway_routes $to {
        GET   /chat/:room  chat=1 talk=1  sticky=$gateway_path_room;
        POST  /push/:room  push;
    }
_EOC_
    server => <<'_EOC_',
        gateway_route $to;

        location /chat/ {
            gateway_websocket_serve
                /messages/$to?room=$gateway_path_escaped_room;
        }

        location /other/ {
            gateway_websocket_serve /messages/other;
        }

        location /messages/ {
            internal;
            proxy_set_header X-Route "[$gateway_route] [$gateway_path_room]";
            proxy_set_header X-To "[$to]";
            proxy_pass http://service;
        }
_EOC_
);

my $service = $gate->service();

# what the service was asked last

sub asked {
    my ($ws, $message) = @_;

    my $before = () = $service->requests();

    $ws->send_text($message);

    my $answer = $ws->read_text(5) // 'nothing';
    my $request = ($service->waited(undef, $before + 1))[-1];

    return join ' ', $answer, $request->{uri},
                     map { $service->header($request, $_) // '-' }
                         qw( X-Route X-To );
}

my $ws = $gate->open('/chat/a%20b');
my $first = asked($ws, 'one');

like($first, qr{^one /messages/(?:chat|talk)\?room=a%20b }, 'a message');
like($first, qr/ \[\] \[\] \[\]$/, 'which is looked up by its own path');
is(asked($ws, 'two'), $first =~ s/^one/two/r, 'another one');
is(asked($gate->open('/chat/a%20b'), 'one'), $first,
   'another connection of the same room');

is($gate->try('/other/a')->status(), 404, 'a handshake without a route');
is($gate->try('/chat/a', method => 'POST')->status(), 405,
   'one with another method');
is($gate->try('/chat/a', method => 'POST')->header('Allow'), 'GET, HEAD',
   'and what is allowed');

$gate->finish();

done_testing();
