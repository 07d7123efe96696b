#!/usr/bin/perl

# WebSockets together with the rest of nginx and with the other modules:
# upstreams that fail, error_page, subrequests, rewrites, pipelined requests.
# A guard must be there however the request has come to its location.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Test::More;

my $backend = NgxGatewayWebSocketBackend->new();
my $service = '127.0.0.1:' . $backend->port();
my $port = E2E::free_port();

my $nginx = E2E->start(name => 'gateway', port => $port, http => <<"_EOC_");
map \$http_upgrade \$connection_upgrade {
    default upgrade;
    '' '';
}

upstream dead_or_alive {
    server 127.0.0.1:1 max_fails=0;
    server $service;
    keepalive 4;
}

upstream kept {
    server $service;
    keepalive 4;
}

proxy_http_version 1.1;
proxy_set_header Upgrade \$http_upgrade;
proxy_set_header Connection \$connection_upgrade;

server {
    listen 127.0.0.1:$port;

    gateway_websocket_guard on;
    gateway_websocket_read_timeout 10s;
    gateway_websocket_send '{"id":"\$request_id"}';

    # sockets

    location /direct/ { proxy_pass http://$service/; }
    location /next/ { proxy_pass http://dead_or_alive/; }
    location /kept/ { proxy_pass http://kept/; }
    location /rewrite/ { rewrite ^/rewrite/(.*) /direct/\$1 last; }
    location /try/ { try_files /nothing \@service; }
    location \@service { proxy_pass http://$service; }
    location /mirror/ { mirror /_mirror; proxy_pass http://$service/; }
    location = /_mirror { internal; proxy_pass http://$service/echo; }
    location = /_said { internal; proxy_pass http://$service/http; }
    location /allowed/ { auth_request /_said; proxy_pass http://$service/; }
    location = /_denied { internal; proxy_pass http://$service/status; }
    location /denied/ { auth_request /_denied; proxy_pass http://$service/; }

    location /fallback/ {
        error_page 502 = \@service;
        proxy_pass http://127.0.0.1:1;
    }

    location /fallback_502/ {
        error_page 502 \@service;
        proxy_pass http://127.0.0.1:1;
    }

    location /fallback_200/ {
        error_page 502 =200 \@service;
        proxy_pass http://127.0.0.1:1;
    }

    location /from_unguarded/ {
        gateway_websocket_guard off;
        error_page 502 \@service;
        proxy_pass http://127.0.0.1:1;
    }

    location /intercepted/ {
        proxy_intercept_errors on;
        error_page 403 = \@service;
        proxy_pass http://$service/status/;
    }

    # requests

    location /p/ {
        gateway_websocket_guard off;
        gateway_websocket_pass ws://$service/;
    }

    location /k/ {
        gateway_websocket_guard off;
        gateway_websocket_correlate /id;
        gateway_websocket_pass ws://$service/;
    }

    location /p_next/ {
        gateway_websocket_guard off;
        gateway_websocket_pass ws://dead_or_alive/;
    }

    location /p_fallback/ {
        gateway_websocket_guard off;
        error_page 502 504 =200 /p/json;
        gateway_websocket_pass ws://$service/;
    }

    location = /p_fallback/silent {
        gateway_websocket_guard off;
        error_page 502 504 =200 /p/json;
        gateway_websocket_read_timeout 300ms;
        gateway_websocket_pass ws://$service/silent;
    }

    location = /p_silent {
        gateway_websocket_guard off;
        gateway_websocket_read_timeout 300ms;
        gateway_websocket_pass ws://$service/silent;
    }

    location /p_from_proxy/ {
        error_page 502 = /p/json;
        proxy_pass http://127.0.0.1:1;
    }

    location ~ ^/regex/(.*) {
        gateway_websocket_guard off;
        gateway_websocket_pass ws://$service/\$1;
    }

    location /allowed_p/ {
        gateway_websocket_guard off;
        auth_request /k/json;
        gateway_websocket_pass ws://$service/;
    }

    location /denied_p/ {
        gateway_websocket_guard off;
        auth_request /p/gone;
        gateway_websocket_pass ws://$service/;
    }

    location /mirror_p/ {
        gateway_websocket_guard off;
        mirror /p_silent;
        mirror /k/json;
        gateway_websocket_pass ws://$service/;
    }

    location = /ssi {
        ssi on;
        ssi_types *;
        set \$one '<!--# include virtual="/p/json" -->';
        return 200 '\$one,<!--# include virtual="/k/json" -->';
    }

    location = /parts {
        gateway_aggregate {
            part one /p/json;
            part two /k/json;
            part none /p/silent optional timeout=50ms;
            part gone /p/die?each=1 optional;
        }
    }

    location = /missing {
        gateway_aggregate {
            part one /p/json;
            part gone /p/gone;
        }
    }
}
_EOC_


# A message, and a frame that no guard lets through.

for my $path (qw( direct next next kept rewrite try mirror allowed fallback
                  fallback_502 fallback_200 from_unguarded intercepted ))
{
    my $ws = NgxGatewayWebSocket->new($port, uri => "/$path/echo");

    is($ws->status(), 101, "$path: a WebSocket");
    is($ws->verify(), undef, "$path: a valid answer");
    $ws->send_text('a message');
    is($ws->read_text(), 'a message', "$path: a message");

    $ws->send_frame(3, 'not allowed');

    my $close = $ws->read_close(5, answer => 1);

    is($close->{code}, 1002, "$path: guarded");
    is($close->{end}, 'eof', "$path: ended");
}

for my $path (qw( denied/echo direct/status kept/status )) {
    my $ws = NgxGatewayWebSocket->new($port, uri => "/$path");

    is($ws->status(), 403, "$path: refused");
}

{
    my $ws = NgxGatewayWebSocket->new($port, uri => '/kept/http');

    is($ws->status(), 200, 'an answer that is not 101, by keepalive');
    like($ws->body(), qr/^Upgrade: websocket\r$/m, 'is passed on');
}

is(scalar(grep { grep { $_->{opcode} == 3 } @{ $_->{frames} } }
               $backend->connections()), 0,
   'no service got what is not allowed');


# Requests.

sub get {
    my ($uri, $method) = @_;

    return E2EClient->new($port)->ask($method // 'GET', $uri);
}

my $reply = qr/\{"reply":\d+,"id":"[0-9a-f]{32}"\}/;

for my $path (qw( p/json k/json p_next/json p_next/json p_fallback/gone
                  p_fallback/silent p_fallback/status p_from_proxy/x
                  regex/json allowed_p/json mirror_p/json ))
{
    my $answer = get("/$path");

    is($answer->{status}, 200, "/$path: the status");
    like($answer->{body}, qr/\A$reply\z/, "/$path: the answer");

    $answer = get("/$path", 'HEAD');
    is($answer->{status}, 200, "/$path: HEAD");
}

is(get('/denied_p/json')->{status}, 500, 'auth_request that has no answer');

like(get('/ssi')->{body}, qr/\A$reply,$reply\z/, 'ssi');

{
    my $answer = get('/parts');

    is($answer->{status}, 200, 'parts of an aggregate');
    like($answer->{body}, qr/\A\{"one":$reply,"two":$reply\}\z/,
         'with the replies');
    is($answer->{headers}{'gateway-aggregate'},
       'partial; missing="none,gone"', 'without those that are missing');

    is(get('/missing')->{status}, 502, 'one that has to be there');
}

{
    my $client = E2EClient->new($port);

    $client->send(join '', map { E2EClient::request('GET', '/p/json') } 1 .. 5);

    my @answers = map { $client->answer('GET') } 1 .. 5;

    is(scalar(grep { $_->{status} == 200 && $_->{body} =~ /\A$reply\z/ }
                   @answers), 5, 'pipelined requests');
}

ok($backend->wait(sub {
    my @open = grep { !defined $_->{end} } $backend->connections();

    # those that are correlated, or kept

    return !grep { $_->{path} !~ m{\A/(?:json|status|http)\z} } @open;
}), 'all sockets are closed');

$nginx->stop();
$backend->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
