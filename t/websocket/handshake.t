#!/usr/bin/perl

# Handshakes of clients and answers of services, as a guard sees them: what is
# refused and why, what is passed on, and what is none of its business.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use NgxGatewayWebSocketHandshakes;
use Test::More;

my $gate = NgxGatewayWebSocketGuard->new(
    locations => {
        origins => 'gateway_websocket_origins https://app.example.com '
                   . 'http://localhost:3000 https://*.example.org '
                   . 'https://*.example.net:8443;',
        any => 'gateway_websocket_origins *;',
        null => 'gateway_websocket_origins null;',
        chat => 'gateway_websocket_protocols chat v2.chat;',
        deflate => 'gateway_websocket_deflate on;',
        page => 'error_page 400 426 =200 /page; error_page 403 /page; '
                . 'gateway_websocket_origins null;',
        named => 'error_page 400 426 502 @named;',
        guarded => 'error_page 426 =200 /guarded; error_page 502 /guarded;',
        allowed => 'deny all;',
    },
    scripts => {
        '/g/answer' => \&answer,
        '/deflate/answer' => \&answer,
        '/chat/answer' => \&answer,
        '/off/plain' => \&plain,
        '/g/plain' => \&plain,
    },
    server => <<'_EOC_',
        location = /page {
            return 200 "a page\n";
        }

        location @named {
            add_header X-Named yes always;
            return 400 "named\n";
        }

        location /off/ {
            gateway_websocket_guard off;
%PROXY%        }

        location /level/ {
            gateway_websocket_guard on;
            gateway_websocket_protocols chat;

            location /level/off/ {
                gateway_websocket_guard off;
%PROXY%            }

            location /level/more/ {
                gateway_websocket_protocols other;
%PROXY%            }

%PROXY%        }

        location = /guarded {
            gateway_websocket_guard on;
            empty_gif;
        }

        location /static/ {
            gateway_websocket_guard on;
            empty_gif;
        }
_EOC_
    http => <<"_EOC_",
    server {
        listen 127.0.0.1:%PORT2% http2;

        location / {
            gateway_websocket_guard on;
%PROXY%        }
    }
_EOC_
    start => 0,
);

# a 101 as "head" says, after which frames are echoed

sub answer {
    my ($c) = @_;

    my $head = $c->arg('head');
    my $accept = ws_accept($c->header('Sec-WebSocket-Key') // '');

    $head =~ s/ACCEPT/$accept/g;
    $c->send_raw($head =~ s/\n/\r\n/gr . "\r\n");
    $c->echo();

    return;
}

# what was asked, or a body in chunks

sub plain {
    my ($c) = @_;

    my $head = $c->head();

    $c->send_raw("HTTP/1.1 200 OK\r\nX-Answer: plain\r\n"
                 . "Transfer-Encoding: chunked\r\n\r\n"
                 . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $head, $head));
    $c->drain();

    return;
}


my $port2 = NgxGatewayNginx::free_port();

$gate->nginx()->{http} =~ s/%PORT2%/$port2/g;
$gate->nginx()->start();

sub refused {
    my ($name, $status, $detail, %o) = @_;

    my $seen = $gate->backend()->connections();
    my $uri = delete $o{uri} // '/g/echo';
    my $ws = $gate->try($uri, %o);

    $gate->is_problem($ws, $status, $detail, $name);
    is(scalar $gate->backend()->connections(), $seen,
       "$name: the service is not asked");

    return $ws;
}

sub accepted {
    my ($name, %o) = @_;

    my $ws = $gate->try($o{uri} // '/g/echo', %o);

    is($ws->status(), 101, $name) or return;
    is($ws->verify(), undef, "$name: a good answer");
    $ws->send_text('echo');
    is($ws->read_text(), 'echo', "$name: a frame and back");

    return $ws;
}

# What the service saw of a field.

sub seen {
    my ($name) = @_;

    my @values = $gate->backend()->last()->{head}
                 =~ /^\Q$name\E:[ \t]*([^\r\n]*)/mgi;

    return join '|', @values;
}


# Each field missing, doubled, wrong

my @rows = (bad_handshakes(),
            [ 'an empty Upgrade', $DETAILS{upgrade}, Upgrade => '' ]);

for my $row (@rows) {
    my ($name, $detail, @headers) = @$row;

    refused($name, 400, $detail, headers => \@headers,
            more => $name =~ /chunked/ ? "0\r\n\r\n"
                    : $name =~ /body/ ? 'body' : '');
}

for my $version (bad_versions()) {
    my $ws = refused("version \"$version\"", 426, $DETAILS{version},
                     headers => [ 'Sec-WebSocket-Version' => $version ]);

    is($ws->header('Sec-WebSocket-Version'), '13', 'says which is');
    is($ws->header('Upgrade'), 'websocket', 'and what to upgrade to');
    like($ws->head(), qr{\AHTTP/1.1 426 Upgrade Required\r\n},
         'a status with a reason');
}

for my $name (qw( POST PUT HEAD DELETE OPTIONS )) {
    my $ws = $gate->try('/g/echo', method => $name);

    is($ws->status(), 400, $name);
    $gate->is_problem($ws, 400, $DETAILS{method}, "$name: a problem")
        if $name ne 'HEAD';
}

refused('HTTP/1.0', 400, $DETAILS{method}, protocol => 'HTTP/1.0');
refused('POST with a body', 400, $DETAILS{method}, method => 'POST',
        headers => [ 'Content-Length' => 4 ], more => 'body');
refused('in a location without a proxy', 400, $DETAILS{key}, uri => '/static/x',
        headers => [ 'Sec-WebSocket-Key' => 'x' ]);

accepted('a handshake');
is(seen('Sec-WebSocket-Version'), '13', 'the service sees the version');
is(seen('Upgrade') . ' ' . seen('Connection'), 'websocket upgrade',
   'and that it is one');
accepted($_->[0], headers => [ @$_[ 1 .. $#$_ ] ])
    for [ 'Connection: keep-alive, Upgrade',
          Connection => 'keep-alive, Upgrade' ],
        [ 'two fields Connection', Connection => [ 'keep-alive', 'UPGRADE' ] ],
        [ 'Upgrade: WebSocket', Upgrade => 'WebSocket' ],
        [ 'an empty body', 'Content-Length' => 0 ],
        [ 'many fields', map { ("X-Field-$_" => $_) } 1 .. 60 ];
is(seen('X-Field-60'), '60', 'all of which arrive');
accepted('a key of other bytes', key => '////////////////////+A==');
is(seen('Sec-WebSocket-Key'), '////////////////////+A==', 'as it is');
accepted('a key with bits that count for nothing',
         key => 'dGhlIHNhbXBsZSBub25jZR==');


# Requests that are not for a WebSocket

for my $path (qw( /g/plain /off/plain )) {
    my $ws = $gate->try($path, headers => [
        'Upgrade' => undef, 'Connection' => undef,
        'Sec-WebSocket-Protocol' => 'a/b',
        'Sec-WebSocket-Extensions' => 'x-one' ]);

    is($ws->status(), 200, "no Upgrade: $path");
    like($ws->body(), qr/^Sec-WebSocket-Protocol: a\/b\r$/m,
         'all fields arrive');
    like($ws->body(), qr/^Sec-WebSocket-Extensions: x-one\r$/m, 'all');
}

{
    my $answer = $gate->nginx()->request('POST /g/http', 'Content-Length: 0');

    is($answer->{code}, 200, 'POST without Upgrade');
    $answer = $gate->nginx()->request('GET /static/x');
    is($answer->{headers}{'content-type'}, 'image/gif',
       'no Upgrade, nothing to proxy');
}

{
    my $ws = $gate->try('/off/echo', headers => [
        'Sec-WebSocket-Version' => 8, 'Sec-WebSocket-Extensions' => 'x-one' ]);

    is($ws->status(), 101, 'no guard: nothing is checked');
    is(seen('Sec-WebSocket-Extensions'), 'x-one', 'and nothing taken away');
    $ws->send_raw("\xff" x 4);
    ok(!defined $ws->read_raw(1, 0.05) || $ws->read_raw(1, 0.05) eq '',
       'nor are frames');
}

refused('inherited', 400, $DETAILS{key}, uri => '/level/echo',
        headers => [ 'Sec-WebSocket-Key' => 'x' ]);
is($gate->try('/level/off/echo', headers => [ 'Sec-WebSocket-Key' => 'x' ])
   ->status(), 101, 'not inherited');


# HTTP/2

for my $row ([ 'Upgrade', upgrade => 'websocket' ],
             [ 'Upgrade: h2c', upgrade => 'h2c' ],
             [ 'a key', 'sec-websocket-key' => $KEY ],
             [ 'a version', 'sec-websocket-version' => 13 ])
{
    my ($name, @headers) = @$row;
    my $client = NgxGatewayHTTP2->new($port2);
    my ($answer) = $client->answers($client->send([ 'GET', '/g/echo',
                                                    @headers ]));

    is($answer->{code}, 400, "HTTP/2: $name");
    like($answer->{body}, qr/"detail":"A WebSocket needs HTTP\/1.1 here: /,
         'what is needed');
}

{
    my $client = NgxGatewayHTTP2->new($port2);
    my ($answer) = $client->answers($client->send([ 'GET', '/g/http' ]));

    is($answer->{code}, 200, 'HTTP/2: a request');
}


# Origins

my $bad_origin = 'The origin is not allowed here.';

for my $origin ('https://app.example.com', 'HTTPS://APP.example.COM',
                'http://localhost:3000', 'https://a.example.org',
                'https://a.b.example.org', 'https://x.example.net:8443')
{
    accepted("origin $origin", uri => '/origins/echo', origin => $origin);
}

for my $origin ('http://app.example.com', 'https://app.example.com:8443',
                'https://app.example.com.evil.example', 'null',
                'https://xapp.example.com', 'http://localhost',
                'http://localhost:30000', 'https://example.org',
                'https://.example.org', 'https://badexample.org',
                'https://evil.example/a.example.org',
                'https://evil.example@a.example.org',
                'https://a.example.org:1', 'http://a.example.org',
                'https://a.example.net', '',
                'https://app.example.com, https://evil.example')
{
    refused("origin \"$origin\"", 403, $bad_origin, uri => '/origins/echo',
            origin => $origin);
}

refused('two origins', 403, $bad_origin, uri => '/origins/echo',
        headers => [ Origin => [ 'https://app.example.com',
                                 'https://app.example.com' ] ]);
refused('no origin, with a null one', 403, $bad_origin,
        uri => '/origins/echo', origin => 'null');
accepted('no origin', uri => '/origins/echo');
accepted('any origin', uri => '/any/echo', origin => 'https://evil.example');
accepted('null', uri => '/null/echo', origin => 'null');
refused('null only', 403, $bad_origin, uri => '/null/echo',
        origin => 'nullx');


# Subprotocols

for my $row ([ 'chat', 'chat' ], [ 'chat, other', 'chat' ],
             [ 'other, v2.chat,chat', 'v2.chat, chat' ],
             [ ',, chat ,,', 'chat' ], [ 'other', '' ], [ 'CHAT', '' ],
             [ 'chat2', '' ], [ 'cha', '' ])
{
    my ($offer, $want) = @$row;

    accepted("subprotocols $offer", uri => '/chat/echo',
             protocols => $offer);
    is(seen('Sec-WebSocket-Protocol'), $want, 'those that the service sees');
}

accepted('subprotocols in two fields', uri => '/chat/echo',
         headers => [ 'Sec-WebSocket-Protocol' => [ 'a, chat', 'v2.chat' ] ]);
is(seen('Sec-WebSocket-Protocol'), 'chat, v2.chat', 'as one');
accepted('no list of subprotocols', protocols => 'a, b,c');
is(seen('Sec-WebSocket-Protocol'), 'a, b, c', 'all pass');
accepted('a list of the level below', uri => '/level/more/echo',
         protocols => 'chat, other');
is(seen('Sec-WebSocket-Protocol'), 'other', 'replaces the one above');
accepted('and that one', uri => '/level/echo', protocols => 'chat, other');
is(seen('Sec-WebSocket-Protocol'), 'chat', 'is inherited');

{
    my $ws = accepted('a subprotocol is chosen', protocols => 'a, b',
                      uri => '/g/protocol?name=b');

    is($ws->header('Sec-WebSocket-Protocol'), 'b', 'the client is told');
}


# Extensions

accepted('extensions', headers => [
    'Sec-WebSocket-Extensions' => [ 'permessage-deflate', 'x-one' ] ]);
is(seen('Sec-WebSocket-Extensions'), '', 'none passes');
accepted('extensions', uri => '/deflate/echo', headers => [
    'Sec-WebSocket-Extensions' =>
        [ 'x-one; a=1, permessage-deflate; client_max_window_bits', 'x-two' ]
]);
is(seen('Sec-WebSocket-Extensions'),
   'permessage-deflate; client_max_window_bits',
   'only permessage-deflate does, where it may');
refused('a malformed extension', 400,
        '"Sec-WebSocket-Extensions" is malformed.', uri => '/deflate/echo',
        headers => [ 'Sec-WebSocket-Extensions' => 'permessage-deflate; =' ]);
accepted('a malformed extension that nobody sees',
        headers => [ 'Sec-WebSocket-Extensions' => 'permessage-deflate; =' ]);


# The service's answer

my $bad_answer = "The service's answer to the WebSocket handshake is not "
                 . 'valid.';
my @fine = ('Upgrade: websocket', 'Connection: Upgrade',
            'Sec-WebSocket-Accept: ACCEPT');

sub head {
    my (@lines) = @_;

    return join('', map { "$_\n" } 'HTTP/1.1 101 Switching Protocols', @lines)
           =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}

my %bad = (
    'no Upgrade' => [ @fine[1, 2] ],
    'Upgrade: h2c' => [ 'Upgrade: h2c', @fine[1, 2] ],
    'two Upgrades' => [ @fine, $fine[0] ],
    'no Connection' => [ @fine[0, 2] ],
    'Connection: close' => [ 'Connection: close', @fine[0, 2] ],
    'no accept key' => [ @fine[0, 1] ],
    'two accept keys' => [ @fine, $fine[2] ],
    'a wrong accept key' => [ @fine[0, 1], 'Sec-WebSocket-Accept: '
                                           . ws_accept('') ],
    'an accept key in lower case' =>
        [ @fine[0, 1], 'Sec-WebSocket-Accept: ' . lc ws_accept($KEY) ],
    'an empty accept key' => [ @fine[0, 1], 'Sec-WebSocket-Accept: ' ],
    'a longer accept key' => [ @fine[0, 1], 'Sec-WebSocket-Accept: ACCEPTx' ],
    'a subprotocol' => [ @fine, 'Sec-WebSocket-Protocol: chat' ],
    'an extension' => [ @fine, 'Sec-WebSocket-Extensions: x-one' ],
    'an extension that was not passed on' =>
        [ @fine, 'Sec-WebSocket-Extensions: permessage-deflate' ],
);

for my $name (sort keys %bad) {
    my $ws = $gate->try('/g/answer?head=' . head(@{ $bad{$name} }),
                        key => $KEY, deflate => $name =~ /passed/ ? 1 : 0);

    $gate->is_problem($ws, 502, $bad_answer, "an answer with $name");
    unlike($ws->head(), qr/^(?:Upgrade|Sec-WebSocket-\w+):/mi,
           'of which nothing is passed on');
}

for my $row ([ 'chat, v2.chat', 'other' ], [ 'chat', 'v2.chat' ],
             [ 'chat', 'Chat' ], [ 'other', 'other' ], [ 'chat', '' ],
             [ 'chat, v2.chat', 'chat, v2.chat' ])
{
    my ($offer, $name) = @$row;
    my $ws = $gate->try('/chat/answer?head='
                        . head(@fine, "Sec-WebSocket-Protocol: $name"),
                        protocols => $offer);

    $gate->is_problem($ws, 502, $bad_answer,
                      "$offer was offered, \"$name\" chosen");
}

is($gate->try('/chat/answer?head=' . head(@fine,
       'Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Protocol: chat'),
       protocols => 'chat')->status(), 502, 'a subprotocol twice');

for my $value ('x-one', 'permessage-deflate, x-one',
               'permessage-deflate; server_max_window_bits=7',
               'permessage-deflate; unknown',
               'permessage-deflate, permessage-deflate')
{
    my $ws = $gate->try('/deflate/answer?head='
                        . head(@fine, "Sec-WebSocket-Extensions: $value"),
                        deflate => 1);

    $gate->is_problem($ws, 502, $bad_answer, "permessage-deflate was offered, "
                                      . "\"$value\" chosen");
}

is($gate->try('/deflate/answer?head='
              . head(@fine, 'Sec-WebSocket-Extensions: permessage-deflate'))
   ->status(), 502, 'permessage-deflate was not offered, but chosen');

accepted('fields in other cases',
         uri => '/g/answer?head=' . head('UPGRADE: WebSocket',
             'connection: keep-alive, UPGRADE',
             'sec-websocket-accept: ACCEPT'));

{
    my $ws = $gate->try('/g/answer?head=' . head(@fine), headers => [
        'Upgrade' => undef, 'Connection' => undef ]);

    $gate->is_problem($ws, 502, $bad_answer,
                      '101 to a request without Upgrade');
}

for my $code (200, 301, 401, 403, 404, 426, 500, 503) {
    my $uri = "/g/status?code=$code&body=said";
    my $ws = $gate->try($uri);

    is($ws->status() . ' ' . $ws->body(), "$code said",
       "the service answers $code");
    is($ws->header('Content-Type'), 'text/plain', 'as it is');
}

{
    my $ws = $gate->try('/g/plain');

    is($ws->status(), 200, 'an answer in chunks');
    like($ws->body(), qr{^GET /g/plain }, 'all of it');
    is($ws->header('X-Answer'), 'plain', 'and its fields');
}

is($gate->try('/g/gone')->status(), 502, 'the service closes');
is($gate->try('/g/gone?how=reset')->status(), 502, 'the service resets');
is($gate->try('/g/before', timeout => 2)->status(), 502,
   'a frame before the handshake is over');
accepted('an answer byte by byte', uri => '/g/trickle');


# Refusals that have a page of their own, other refusals

{
    my $ws = $gate->try('/page/echo', headers => [
                            'Sec-WebSocket-Version' => 8 ]);

    is($ws->status() . ' ' . $ws->body(), "200 a page\n", 'error_page');

    $ws = $gate->try('/page/echo', origin => 'https://a.example');
    is($ws->status() . ' ' . $ws->body(), "403 a page\n",
       'error_page and the status');

    $ws = $gate->try('/named/echo', headers => [ Upgrade => 'h2c' ]);
    is($ws->status() . ' ' . $ws->body(), "400 named\n",
       'error_page that is a named location');
    is($ws->header('X-Named'), 'yes', 'its fields');

    $ws = $gate->try('/named/accept');
    is($ws->body(), "named\n", 'error_page for a bad answer of the service');
    unlike($ws->head(), qr/^(?:Upgrade|Sec-WebSocket-\w+):/mi,
           'of which nothing is passed on');

    $ws = $gate->try('/allowed/echo', headers => [
                            'Sec-WebSocket-Version' => 8 ]);
    is($ws->status(), 403, 'who may not get in, is not told of versions');
}


# The page of an error has its way where there is a guard, too

for my $row ([ 200, '/guarded/echo', 'Sec-WebSocket-Version' => 8 ],
             [ 502, '/guarded/accept' ])
{
    my ($status, $uri, @headers) = @$row;
    my $ws = $gate->try($uri, headers => \@headers);

    is($ws->status() . ' ' . $ws->header('Content-Type'),
       "$status image/gif", 'error_page that is guarded as well');
}


# What comes with the handshake, and with its answer

for my $row ([ 'a frame', ws_frame('text', 'early', mask => 'abcd') ],
             [ 'a part of a frame',
               substr ws_frame('text', 'early', mask => 'abcd'), 0, 4 ],
             [ 'a part of a ping',
               substr ws_frame('ping', 'x' x 125, mask => 'abcd'), 0, 120 ],
             [ 'a hundred frames',
               ws_frame('text', 'early', mask => 'abcd') x 100 ])
{
    my ($name, $more) = @$row;
    my $ws = $gate->open('/g/echo', more => $more);

    if ($name eq 'a part of a frame') {
        $ws->send_raw(substr ws_frame('text', 'early', mask => 'abcd'), 4);

    } elsif ($name eq 'a part of a ping') {
        $ws->send_raw(substr ws_frame('ping', 'x' x 125, mask => 'abcd'),
                      120);
        is($ws->read_frame()->{payload}, 'x' x 125,
           'with the handshake: a part of a ping');
        next;
    }

    is($ws->read_text(), 'early', "with the handshake: $name")
        for $name =~ /hundred/ ? 1 .. 100 : 1;
}

{
    my $ws = $gate->open('/g/packet?n=1000');
    my @texts = map { $ws->read_text() } 1 .. 1000;

    is(join(' ', @texts), join(' ', map { "{\"n\":$_}" } 1 .. 1000),
       'a thousand messages with the answer');
    $ws->send_text('later');
    is($ws->read_text(), 'later', 'and one later');
}

{
    my $ws = $gate->open('/g/packet?n=2&then=close',
                         more => ws_frame('text', 'early', mask => 'abcd'));

    is($ws->read_text(), "{\"n\":$_}", "with both, message $_") for 1, 2;
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'and its end');
    is($gate->ended('/g/packet?n=2&then=close')->{messages}[0]{payload},
       'early', 'what came with the handshake');
}

{
    my $ws = $gate->try('/g/echo',
                        more => ws_frame('text', 'early'));

    is($ws->read_close()->{code}, 1002, 'a bad frame with the handshake');
}

$gate->finish();

done_testing();
