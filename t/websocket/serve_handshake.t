#!/usr/bin/perl

# Handshakes of clients whose WebSockets are served by an HTTP service: what is
# refused and why, and what a 101 has in it.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayHTTP2;
use NgxGatewayServeNginx;
use NgxGatewayWebSocket;
use NgxGatewayWebSocketHandshakes;
use Test::More;
use Time::HiRes qw( sleep );

my $gate = NgxGatewayServeNginx->new(
    locations => {
        origins => 'gateway_websocket_origins https://app.example.com '
                   . 'http://localhost:3000 https://*.example.org;',
        null => 'gateway_websocket_origins null;',
        chat => 'gateway_websocket_protocols chat v2.chat;',
        chatted => <<'_EOC_',
            gateway_websocket_protocols chat v2.chat;
            gateway_websocket_connect /service/chatted$is_args$args;
_EOC_
        deflate => 'gateway_websocket_deflate on;',
        page => 'error_page 400 405 426 =200 /to/page;',
        expired => 'gateway_websocket_expires $arg_until;',
        denied => 'deny all;',
        added => 'add_header X-Added yes always;',
        limited => 'gateway_websocket_serve /to/limited;',
    },
    http => <<'_EOC_',
    limit_req_zone $request_uri zone=messages:1m rate=1r/m;

    server {
        listen 127.0.0.1:%PORT2% http2;

        location / {
            gateway_websocket_serve /service/h2;
        }
    }
_EOC_
    server => <<'_EOC_',
        location = /to/page {
            return 200 "a page\n";
        }

        location = /to/limited {
            internal;
            limit_req zone=messages;
            limit_req_status 429;
            proxy_pass http://service/limited;
        }

        location /level/ {
            gateway_websocket_protocols chat;
            gateway_websocket_serve /service/level;

            location /level/more/ {
                gateway_websocket_protocols other;
                gateway_websocket_serve /service/level;
            }

            location /level/same/ {
                gateway_websocket_serve /service/level;
            }
        }

        location /guarded/ {
            gateway_websocket_guard on;
            gateway_websocket_deflate on;

            location /guarded/served {
                gateway_websocket_serve /service/guarded;
            }
        }

        location /try/ {
            try_files /nothing/here @tried;
        }

        location @tried {
            gateway_websocket_serve /service/tried?$args&$uri;
        }

        location /rewrite/ {
            rewrite ^/rewrite/(.*) /level/same/?a=$1 last;
        }

        location /if/ {
            if ($arg_a) {
                gateway_websocket_serve /service/if;
            }

            empty_gif;
        }

        location /except/ {
            limit_except POST {
                gateway_websocket_serve /service/except;
            }

            return 200 "a post\n";
        }
_EOC_
    start => 0,
);

my $port2 = NgxGatewayNginx::free_port();

$gate->nginx()->{http} =~ s/%PORT2%/$port2/g;
$gate->nginx()->start();

sub refused {
    my ($name, $status, $detail, %o) = @_;

    my $ws = $gate->try(delete $o{uri} // '/told', %o);
    my $seen = $gate->service()->requests();

    $gate->is_problem($ws, $status, $detail, $name);
    is($seen, 0, "$name: the service is not asked");

    return $ws;
}

sub accepted {
    my ($name, %o) = @_;

    my $ws = $gate->try($o{uri} // '/echo', %o);

    is($ws->status(), 101, $name) or return;
    is($ws->verify(), undef, "$name: a good answer");
    $ws->send_text('echo');
    is($ws->read_text(), 'echo', "$name: a message and back");

    return $ws;
}


# Each field missing, doubled, wrong

for my $row (bad_handshakes()) {
    my ($name, $detail, @headers) = @$row;

    refused($name, 400, $detail, headers => \@headers,
            more => $name =~ /chunked/ ? "4\r\nbody\r\n0\r\n\r\n"
                    : $name =~ /body/ ? 'body' : '');
}

for my $version (bad_versions()) {
    my $ws = refused("version \"$version\"", 426, $DETAILS{version},
                     headers => [ 'Sec-WebSocket-Version' => $version ]);

    is($ws->header('Sec-WebSocket-Version'), '13', 'says which is');
    is($ws->header('Upgrade'), 'websocket', 'and what to upgrade to');
    is($ws->header('Connection') =~ /\bupgrade\b/i ? 1 : $ws->head(), 1,
       'which is hop-by-hop');
}

# RFC 9110, sections 15.5.22, 7.8 and 10.2.1

for my $row ([ 'no Upgrade', Upgrade => undef ],
             [ 'no Upgrade and no Connection', Upgrade => undef,
               Connection => undef ],
             [ 'a plain GET', map { ($_ => undef) }
               qw( Upgrade Connection Sec-WebSocket-Key
                   Sec-WebSocket-Version ) ])
{
    my ($name, @headers) = @$row;
    my $ws = $gate->try('/told', headers => \@headers);

    is($ws->status(), 426, $name);
    like($ws->head(), qr{\AHTTP/1.1 426 Upgrade Required\r\n}, 'a reason');
    is($ws->header('Upgrade'), 'websocket', 'what to upgrade to');
    like($ws->header('Connection') // '', qr/\bupgrade\b/i, 'on this hop');
    is($ws->header('Content-Type'), 'application/problem+json', 'a problem');
    is((eval { JSON::PP::decode_json($ws->body()) } // {})->{status}, 426,
       'whose status this is');
}

for my $name (qw( POST PUT HEAD DELETE OPTIONS PATCH )) {
    for my $upgrade (1, 0) {
        my $ws = $gate->try('/told', method => $name, headers => [
            $upgrade ? () : (Upgrade => undef, Connection => undef),
            $name =~ /^P/ ? ('Content-Length' => 0) : () ]);

        is($ws->status(), 405, "$name" . ($upgrade ? ' with Upgrade' : ''));
        is($ws->header('Allow'), 'GET', 'what is allowed');
        is($ws->header('Content-Type'), 'application/problem+json',
           'a problem') if $name ne 'HEAD';
    }
}

{
    my $ws = $gate->try('/told', method => 'POST', more => 'body',
                        headers => [ 'Content-Length' => 4 ]);

    is($ws->status(), 405, 'POST with a body');

    $ws = $gate->try('/told', protocol => 'HTTP/1.0');
    is($ws->status(), 400, 'HTTP/1.0');
    $gate->is_problem($ws, 400, $DETAILS{method}, 'HTTP/1.0: a problem');
}

{
    # the connection of a request that was refused goes on

    my $ws = NgxGatewayWebSocket->plain($gate->port(), uri => '/told');

    $ws->send_raw("GET /told HTTP/1.1\r\nHost: a\r\n\r\n");
    $ws->read_head();
    is($ws->status(), 426, 'a plain GET');

    SKIP: {
        skip 'closed', 1 if ($ws->header('Connection') // '') =~ /close/i;

        $ws->body();
        delete $ws->{body};
        $ws->{uri} = '/echo';
        $ws->send_raw($ws->request());
        $ws->read_head();
        is($ws->status(), 101, 'and a handshake after it');
    }
}

is(scalar $gate->service()->requests(), 0, 'the service has seen none');

accepted('a handshake');
accepted($_->[0], headers => [ @$_[ 1 .. $#$_ ] ])
    for [ 'Connection: keep-alive, Upgrade',
          Connection => 'keep-alive, Upgrade' ],
        [ 'two fields Connection', Connection => [ 'keep-alive', 'UPGRADE' ] ],
        [ 'Upgrade: WebSocket', Upgrade => 'WebSocket' ],
        [ 'fields in capitals', 'UPGRADE' => 'WEBSOCKET',
          'CONNECTION' => 'UPGRADE', 'SEC-WEBSOCKET-VERSION' => 13 ],
        [ 'fields in small letters', 'upgrade' => 'websocket',
          'connection' => 'upgrade', 'sec-websocket-version' => 13 ],
        [ 'an empty body', 'Content-Length' => 0 ],
        [ 'many fields', map { ("X-Field-$_" => $_) } 1 .. 60 ];
accepted('a key of other bytes', key => '////////////////////+A==');


# The 101

{
    my $ws = $gate->open('/echo', key => $KEY);
    my %head = $ws->head() =~ /^([^:\r\n]+): ([^\r\n]*)\r$/mg;

    like($ws->head(), qr{\AHTTP/1\.1 101 Switching Protocols\r\n}, 'a 101');
    is(join(' ', sort keys %head),
       'Connection Date Sec-WebSocket-Accept Server Upgrade',
       'what is in a 101');
    is($head{'Sec-WebSocket-Accept'}, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
       'the key of RFC 6455');
    is(lc "$head{Connection} $head{Upgrade}", 'upgrade websocket',
       'what it has become');
    like($head{Server}, qr/^nginx/, 'by whom');
    is($ws->read_raw(1, 0.05), '', 'and nothing after it');

    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, 'a Close comes back');
    is($ws->end(), 'eof', 'and the end');

    my $log = $gate->log('/echo');

    is("$log->{status} $log->{close} $log->{by}", '101 1000 client',
       'the access log');
}

is($gate->open('/added')->header('X-Added'), 'yes', 'add_header in a 101');


# How a handshake arrives

{
    my $ws = NgxGatewayWebSocket->plain($gate->port(), uri => '/echo');
    my @frames = map { $ws->frame('text', "$_") } 1 .. 5;

    $ws->send_raw(join '', $ws->request(), @frames);
    $ws->read_head();
    is($ws->status(), 101, 'messages in the same packet');
    is($ws->read_text(), $_, "message $_ of that packet") for 1 .. 5;

    # more than the buffer of the header

    my $text = 'x' x 30_000;

    $ws = $gate->open('/echo', more => ws_frame('text', $text,
                                                mask => 'abcd'));
    ok($ws->read_text() eq $text, 'a large message in the same packet');

    my $half = ws_frame('text', 'halves', mask => 'abcd');

    $ws = $gate->open('/echo', more => substr $half, 0, 7);
    $ws->send_raw(substr $half, 7);
    is($ws->read_text(), 'halves', 'half of a message in the same packet');

    $ws = $gate->try('/echo', more => ws_frame('text', 'unmasked'));
    is($ws->status() . ' ' . $gate->closes($ws),
       '101 1002 unmasked frame of a client',
       'what is wrong in the same packet');

    $ws = $gate->open('/told?delay=0.05&only=connect',
                      more => ws_frame('text', 'early', mask => 'abcd'));
    is($ws->read_text(), 'early', 'a message before connect was answered');
    is(join(' ', map { $_->{event} }
                 $gate->service()->requests('/told')), 'connect message',
       'comes after it');
}

{
    my $ws = NgxGatewayWebSocket->plain($gate->port(), uri => '/echo');

    $ws->send_raw($ws->request() . $ws->frame('text', 'by bytes')
                  . $ws->frame('text', 'x' x 200), step => 1);
    $ws->read_head();
    is($ws->status(), 101, 'a handshake in pieces of one byte');
    is($ws->read_text(), 'by bytes', 'as is a message');
    is($ws->read_text(), 'x' x 200, 'and another');
}


# HTTP/2

for my $row ([ 'a request' ], [ 'Upgrade', upgrade => 'websocket' ],
             [ 'a key', 'sec-websocket-key' => $KEY ],
             [ 'a version', 'sec-websocket-version' => 13 ])
{
    my ($name, @headers) = @$row;
    my $client = NgxGatewayHTTP2->new($port2);
    my ($answer) = $client->answers($client->send([ 'GET', '/', @headers ]));

    is($answer->{code}, 400, "HTTP/2: $name");
    like($answer->{body}, qr/"detail":"A WebSocket needs HTTP\/1.1 here/,
         'what is needed');
}


# Origins

{
    my $bad = 'The origin is not allowed here.';

    accepted("origin $_", uri => '/origins', origin => $_)
        for 'https://app.example.com', 'HTTPS://APP.example.COM',
            'http://localhost:3000', 'https://a.b.example.org';

    my $seen = $gate->service()->requests();

    for my $origin ('http://app.example.com', 'https://app.example.com:8443',
                    'https://app.example.com.evil.example', 'null', '',
                    'https://example.org', 'https://evil.example')
    {
        my $ws = $gate->try('/origins', origin => $origin);

        $gate->is_problem($ws, 403, $bad, "origin \"$origin\"");
    }

    my $ws = $gate->try('/origins', headers => [
        Origin => [ ('https://app.example.com') x 2 ] ]);

    $gate->is_problem($ws, 403, $bad, 'two origins');
    is(scalar $gate->service()->requests(), $seen,
       'the service sees none of these');
    accepted('no origin', uri => '/origins');
    accepted('null', uri => '/null', origin => 'null');
    accepted('any origin', origin => 'https://evil.example');
}


# Subprotocols: the first of the client's that is listed, or as connect says

for my $row ([ 'chat', 'chat' ], [ 'chat, other', 'chat' ],
             [ 'other, v2.chat,chat', 'v2.chat' ], [ ',, chat ,,', 'chat' ],
             [ 'other', undef ], [ 'CHAT', undef ], [ 'chat2', undef ])
{
    my ($offer, $want) = @$row;
    my $ws = accepted("subprotocols $offer", uri => '/chat',
                      protocols => $offer);

    is($ws->header('Sec-WebSocket-Protocol'), $want, 'the one in the 101');
}

{
    my $ws = accepted('no list', protocols => 'a, b');

    is($ws->header('Sec-WebSocket-Protocol'), undef, 'none is chosen');

    $ws = accepted('two fields', uri => '/chat', headers => [
        'Sec-WebSocket-Protocol' => [ 'a, v2.chat', 'chat' ] ],
        protocols => 'a, v2.chat, chat');
    is($ws->header('Sec-WebSocket-Protocol'), 'v2.chat', 'as one');

    $ws = accepted('a list', uri => '/level/more/', protocols => 'chat, other');
    is($ws->header('Sec-WebSocket-Protocol'), 'other', 'replaces that above');
    $ws = accepted('a list', uri => '/level/same/', protocols => 'other, chat');
    is($ws->header('Sec-WebSocket-Protocol'), 'chat', 'is inherited');
}

{
    my $said = 'only=connect&header=Sec-WebSocket-Protocol:%20';
    my @row = ([ 'connect chooses', "${said}v2.chat", 'chat, v2.chat',
                 'v2.chat' ],
               [ 'connect chooses what is not listed', "${said}other",
                 'chat, other', 'other' ],
               [ 'connect says nothing', 'only=connect', 'other, chat',
                 'chat' ]);

    for my $row (@row) {
        my ($name, $args, $offer, $want) = @$row;
        my $ws = accepted($name, uri => "/chatted?$args", protocols => $offer);

        is($ws->header('Sec-WebSocket-Protocol'), $want, $want);
    }

    for my $row ([ 'v3', 'chat' ], [ 'chat', undef ], [ 'CHAT', 'chat' ],
                 [ 'chat,%20v2.chat', 'chat, v2.chat' ], [ '', 'chat' ])
    {
        my ($value, $offer) = @$row;

        # an empty value is none

        my $ws = $gate->try("/chatted?$said$value", protocols => $offer);

        is($ws->status(), $value eq '' ? 101 : 502,
           "connect chooses \"$value\" of " . ($offer // 'none'));
    }
}


# permessage-deflate

for my $row (
    [ 'permessage-deflate', qr/^permessage-deflate/ ],
    [ 'permessage-deflate; client_max_window_bits', qr/^permessage-deflate/ ],
    [ 'x-one, permessage-deflate', qr/^permessage-deflate/ ],
    [ 'permessage-deflate; server_no_context_takeover',
      qr/server_no_context_takeover/ ],
    [ 'permessage-deflate; client_no_context_takeover',
      qr/^permessage-deflate/ ],
    [ 'permessage-deflate; server_max_window_bits=10',
      qr/^permessage-deflate.*server_max_window_bits=10/ ],
    [ 'permessage-deflate; nonsense, permessage-deflate',
      qr/^permessage-deflate(?:;(?! nonsense)[^,]*)?$/ ],
    [ 'permessage-deflate; nonsense', undef ],
    [ 'permessage-deflate; server_max_window_bits=7', undef ],
    [ 'x-one', undef ])
{
    my ($offer, $want) = @$row;
    my $ws = accepted($offer, uri => '/deflate', deflate => $offer);
    my $said = $ws->header('Sec-WebSocket-Extensions');

    ref $want ? like($said // 'none', $want, 'what is agreed on')
              : is($said, $want, 'what is agreed on');
}

is(accepted('deflate is off', deflate => 1)
   ->header('Sec-WebSocket-Extensions'), undef, 'nothing is agreed on');
$gate->is_problem($gate->try('/deflate', deflate => '/'), 400,
                  '"Sec-WebSocket-Extensions" is malformed.',
                  'not a list of extensions');


# Other directives

is($gate->try('/page')->status(), 101, 'error_page: a handshake');
{
    my $ws = $gate->try('/page', headers => [ Upgrade => undef ]);

    is($ws->status() . ' ' . $ws->body(), "200 a page\n", 'error_page 426');
    is($gate->try('/denied')->status(), 403, 'deny all');
    is($gate->try('/if/?a=1')->status(), 101, 'in an if');
    is($gate->try('/if/')->status(), 200, 'and outside of it');
    is($gate->try('/service/echo')->status(), 404, 'what is internal stays so');
}

{
    my $ws = $gate->try('/expired?until=1');

    $gate->is_problem($ws, 403, 'The time of this connection has run out.',
                      'expires is past');
    is($gate->try('/expired?until=a')->status(), 500, 'expires is no time');
    is($gate->try('/expired?until=')->status(), 101, 'no expires');
    is($gate->try('/expired?until=99999999999')->status(), 101, 'far away');
}

accepted('a guard of the level above', uri => '/guarded/served',
         deflate => 1);
is($gate->try('/guarded/served', headers => [ Upgrade => undef ])->status(),
   426, 'and a plain request');

accepted('a named location', uri => '/try/it?a=b');
is($gate->service()->last('/tried')->{args}, 'a=b&/try/it', 'and its URI');
accepted('a location that was rewritten to', uri => '/rewrite/x');

{
    # limits of the target's location are those of messages

    my $ws = $gate->open('/limited');

    $ws->send_text('one');
    $ws->send_text('two');
    is($ws->read_text(), 'one', 'limit_req where messages go');
    is($ws->read_text(),
       '{"error":{"status":429,"title":"Too Many Requests"}}', 'one too many');
}

$gate->finish();

done_testing();
