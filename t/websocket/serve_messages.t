#!/usr/bin/perl

# Messages of clients that an HTTP service answers: what of them reaches the
# service, as what kind of request, in which order, and what ends a connection.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::SSL ();
use IO::Socket::UNIX ();
use NgxGatewayJWT;
use NgxGatewayServeNginx;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

# "auto/build" can build one module alone

my $modules = $ENV{TEST_NGINX_LOAD_MODULES} // '';
my $jwt = $modules eq '' || $modules =~ /gateway_jwt/;

my $gate = NgxGatewayServeNginx->new(
    http => $jwt ? <<'_EOC_' : '',
    gateway_jwt_issuer corp {
        issuer   https://id.example.com;
        audience api;
        key_file %DIR%/keys;
    }
_EOC_
    locations => {
        big => 'gateway_websocket_max_message 1m;',
        small => 'gateway_websocket_max_message 100;',
        frame => 'gateway_websocket_max_message 1000; '
                 . 'gateway_websocket_max_frame 100;',
        three => 'gateway_websocket_concurrency 3;',
        many => 'gateway_websocket_concurrency 16; '
                . 'gateway_websocket_max_queue 4;',
        two => 'gateway_websocket_max_queue 2;',
        deflate => 'gateway_websocket_deflate on;',
        smalldeflate => 'gateway_websocket_deflate on; '
                        . 'gateway_websocket_max_message 100;',
        exact => <<'_EOC_',
            gateway_websocket_serve /to/exact;
            gateway_websocket_set_header X-Set "$arg_user of $remote_addr";
            gateway_websocket_set_header X-Replaced new;
            gateway_websocket_set_header X-Gone "";
            gateway_websocket_set_header Gateway-Mine yes;
_EOC_
        variables => <<'_EOC_',
            set $mine "$arg_mine";
            rewrite ^/(?<word>[a-z]+) $uri break;
            gateway_websocket_serve /to/variables?id=$arg_mine;
_EOC_
        static => 'gateway_websocket_serve /to/static;',
        secret => 'gateway_websocket_serve /to/secret; '
                  . 'gateway_websocket_disconnect /to/secret;',
        $jwt ? (jwt => <<'_EOC_') : (),
            gateway_jwt "api" issuer=corp;
            gateway_websocket_serve /to/jwt;
_EOC_
    },
    server => <<'_EOC_' . ($jwt ? <<'_JWT_' : ''),
        location = /to/exact {
            internal;
            proxy_pass http://service/exact?a=b;
        }

        location = /to/variables {
            internal;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Scheme $scheme;
            proxy_set_header X-Host $host;
            proxy_set_header X-Mine "$mine $word";
            proxy_set_header X-Agent $http_user_agent;
            proxy_set_header X-Cookie $cookie_a;
            proxy_set_header X-Request $request_id;
            proxy_set_header X-Uri "$uri $args";
            proxy_set_header X-Length $content_length;
            proxy_pass http://service/variables;
        }

        location ~ ^/captured/(?<who>[a-z]+)$ {
            gateway_websocket_serve /to/captured;
        }

        location = /to/captured {
            internal;
            proxy_set_header X-Who $who;
            proxy_pass http://service/captured;
        }

        location = /to/static {
            internal;
            return 200 $content_type;
        }

        listen unix:%DIR%/tls.sock ssl proxy_protocol;
        ssl_certificate %DIR%/server.pem;
        ssl_certificate_key %DIR%/server.key;
        ssl_protocols TLSv1.3;

        location = /to/secret {
            internal;
            proxy_set_header X-Scheme $scheme;
            proxy_set_header X-Protocol $ssl_protocol;
            proxy_set_header X-Client $proxy_protocol_addr;
            proxy_pass http://service/secret;
        }
_EOC_
        location = /to/jwt {
            internal;
            proxy_set_header X-Sub $gateway_jwt_claim_sub;
            proxy_set_header X-Status $gateway_jwt_status;
            proxy_pass http://service/jwt;
        }
_JWT_
    start => 0,
);

$gate->nginx()->write_file('keys', jwks('rsa')) if $jwt;
self_signed($gate->nginx()->path(''));
$gate->nginx()->start();

sub self_signed {
    my ($dir) = @_;

    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
           . "-nodes -days 2 -subj /CN=localhost -keyout $dir/server.key "
           . "-out $dir/server.pem 2> /dev/null") == 0
        or die "openssl: $?\n";

    return;
}

my $service = $gate->service();
my $n = 0;
my $long = join '', map { chr(33 + $_ % 90) } 1 .. 70000;
my $smile = "\xf0\x9f\x98\x80";

sub seen {
    my ($name, $request) = @_;

    return $service->header($request // $service->last(), $name);
}


# What kind of request a message is

{
    my $ws = $gate->open('/echo?body=ok&type=');
    my $text = 'text/plain; charset=utf-8';

    for my $row (
        [ 'plain', $text ], [ '{"a":1}', 'application/json' ],
        [ " [1, 2]\r\n", 'application/json' ], [ '1', 'application/json' ],
        [ '"a"', 'application/json' ], [ 'true', 'application/json' ],
        [ 'null', 'application/json' ], [ '{"a":1', $text ],
        [ '{"a":1} {"a":1}', $text ], [ "{'a':1}", $text ], [ '', $text ],
        [ ' ', $text ], [ '01', $text ], [ 'nul', $text ],
        [ "{\"a\":\"$smile\"}", 'application/json' ], [ "$smile\0", $text ],
        [ "\xef\xbb\xbf{}", $text ])
    {
        my ($message, $type) = @$row;

        $ws->send_text($message);
        is($ws->read_text(), 'ok', "text \"$message\"");

        my $request = $service->last();

        is($request->{body}, $message, 'arrives');
        is(seen('Content-Type'), $type, 'as what it is');
        is(seen('Content-Length'), length $message, 'with its length');
        is("$request->{method} $request->{uri} $request->{event}",
           'POST /echo?body=ok&type= message', 'as a POST');
    }

    for my $message ('{"a":1}', "\0\xff", '') {
        $ws->send_binary($message);
        is($ws->read_text(), 'ok', 'binary');
        is($service->last()->{body}, $message, 'arrives');
        is(seen('Content-Type'), 'application/octet-stream', 'as such');
    }

    my %ids = map { $_->{cid} => 1 } $service->requests('/echo');

    is(scalar(keys %ids), 1, 'all have the id of the connection');
    like((keys %ids)[0], qr/\A[0-9a-f]{32}\z/, 'which is 32 hex digits');
    is(seen('Gateway-State'), undef, 'there is no state');

    $gate->open('/echo')->send_text('b');
    $service->waited('/echo', 21);
    ok(!$ids{ $service->last('/echo')->{cid} }, 'another one has another');
}


# Lengths, fragments, control frames

{
    my $ws = $gate->open('/big');

    for my $length (1, 124, 125, 126, 127, 128, 4095, 4096, 65535, 65536,
                    70000)
    {
        for my $opcode (qw( text binary )) {
            my $text = substr $long, 0, $length;

            $ws->send_raw($ws->message($opcode, $text));

            my $got = $ws->read_message();

            ok($got->{payload} eq $text, "$opcode of $length bytes");
            is($got->{opcode}, ws_opcode($opcode), 'and back as such');
        }
    }

    for my $sizes ([ 1 ], [ 0, 0 ], [ 10, 0, 30000, 1 ], [ (1) x 100 ]) {
        $ws->send_text($long, fragments => [ @$sizes ]);
        ok($ws->read_text() eq $long, "fragments @$sizes[0 .. 0]...");
        ok($service->last('/big')->{body} eq $long, 'are one request');
    }

    $ws->send_frame('text', "a\xf0", fin => 0);
    $ws->send_ping('between');
    $ws->send_frame('cont', "\x9f", fin => 0);
    $ws->send_pong('mine');
    $ws->send_frame('cont', '', fin => 0);

    my $frame = $ws->read_frame();

    is("$frame->{opcode} $frame->{payload}", '10 between',
       'a ping between fragments is answered');
    $ws->send_frame('cont', "\x98", fin => 0);
    $ws->send_frame('cont', "\x80b");
    is($ws->read_text(), "a${smile}b", 'a character over fragments');
    is($service->last('/big')->{body}, "a${smile}b", 'is whole');

    for my $length (0, 125) {
        $ws->send_ping('p' x $length);
        is($ws->read_frame()->{payload}, 'p' x $length,
           "a ping of $length bytes");
    }

    $ws->send_raw(join '', map { $ws->frame('ping', "$_") } 1 .. 50);
    $ws->send_text('after pings');
    is($ws->read_text(), 'after pings', 'many pings');
    is($ws->{control}[-1]{payload}, '50', 'of which the last was answered');

    my $before = $service->requests('/big');

    $ws->send_pong('nobody asked');
    $ws->send_pong('');
    $ws->send_text('after');
    is($ws->read_text(), 'after', 'pongs are passed over');
    is($service->requests('/big'), $before + 1, 'by the service, too');

    # a ping is answered while a message is with the service

    $ws->send_text('!hold=p');
    $ws->send_ping('meanwhile');
    is($ws->read_frame()->{payload}, 'meanwhile',
       'a ping while a message waits');
    $service->waited('/big', $before + 2);
    $service->release('p');
    is($ws->read_text(), '!hold=p', 'which is answered after it');
}


# What breaks the rules: nothing of it reaches the service

sub wrong {
    my ($name, $uri, $want, $bytes, @good) = @_;

    my $path = "$uri?" . ++$n;
    my $ws = $gate->open($path);

    $ws->send_raw(join('', map { $ws->frame('text', $_) } @good) . $bytes
                  . $ws->frame('text', 'after'));

    my $close = $ws->read_close(undef, answer => 1);
    my $got = $close->{code} // 'none';

    $got .= " $close->{reason}" if $want =~ / /;

    is($got, $want, $name);

    # what was good may be with the service still

    my @seen = map { $_->{body} } $service->waited($path, scalar @good);

    is("@seen", "@good", "$name: what was before it");

    return $close;
}

sub frame {
    my ($opcode, $payload, %o) = @_;

    return ws_frame($opcode, $payload, mask => ws_random(4), %o);
}

sub text {
    my ($payload, @more) = @_;

    return frame('text', $payload, @more);
}

wrong('no mask', '/echo', '1002 unmasked frame of a client',
      ws_frame('text', 'a'), 'first');
wrong("RSV $_", '/echo', 1002, text('a', rsv => $_)) for 1, 2, 4;
wrong('RSV 4 of a continuation', '/deflate', 1002,
      text('a', fin => 0) . frame('cont', 'a', rsv => 4));
wrong("opcode $_", '/echo', '1002 reserved opcode', frame($_, 'a'), 'first')
    for 3, 7, 11, 15;
wrong('a continuation of nothing', '/echo', '1002 continuation of no message',
      frame('cont', 'a'), 'first');
wrong('a message within one', '/echo', 1002,
      text('a', fin => 0) . text('b'), 'first');
wrong('a fragmented ping', '/echo', '1002 fragmented control frame',
      frame('ping', 'a', fin => 0));
wrong('a ping of 126 bytes', '/echo', 1002, frame('ping', 'a' x 126));
wrong('125 bytes in 16 bits', '/echo', 1002, text('a' x 125, form => 16));
wrong('65535 bytes in 64 bits', '/echo', 1002, text($long, length => 65535,
                                                    form => 64));
wrong('a length with its first bit set', '/echo', 1002,
      frame('binary', 'x', form => 64, length => -9223372036854775807));
wrong('text ' . unpack('H*', $_), '/echo', 1007, text("a$_"), 'first')
    for "\x80", "\xc0\x80", "\xe0\x80\xaf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(";
wrong('a character that is not whole', '/echo', 1007,
      text("a\xf0", fin => 0) . frame('cont', "\x9f"), 'first');
wrong('a bad byte in a fragment that goes on', '/echo', 1007,
      text("a\xc0", fin => 0), 'first');
wrong('65537 bytes', '/echo', 1009, text(substr $long, 0, 65537), 'first');
wrong('101 bytes', '/small',
      '1009 message beyond gateway_websocket_max_message', text('x' x 101),
      'x' x 100);
wrong('fragments of 101 bytes', '/small', 1009,
      text('x' x 100, fin => 0) . frame('cont', 'x'));
wrong('a frame of 101 bytes', '/frame',
      '1009 frame beyond gateway_websocket_max_frame', text('x' x 101),
      'x' x 100);
wrong('1001 bytes in frames', '/frame', 1009,
      text('x' x 100, fin => 0) . frame('cont', 'x' x 100, fin => 0) x 9
      . frame('cont', 'x'));

{
    my $close = wrong('a terabyte', '/small', 1009,
                      frame('binary', '', length => 1 << 40));

    cmp_ok($close->{time}, '<', 1, 'is refused at its header');

    my $ws = $gate->open('/frame');

    $ws->send_text('x' x 1000, fragments => 10);
    is($ws->read_text(), 'x' x 1000, '1000 bytes in frames of 100');
}


# Close

sub close_of {
    my ($want, $payload, %o) = @_;

    my $path = '/told?' . ++$n;
    my $ws = $gate->open($path);

    $ws->send_frame('close', $payload, %o);

    my $close = $ws->read_close();

    is(join(' ', $close->{code} // 'none', $close->{closes}, $close->{end}),
       "$want 1 eof", 'Close ' . unpack 'H*', substr $payload, 0, 20);

    return;
}

close_of(1005, '');
close_of($_, pack 'n', $_) for 1000 .. 1003, 1007 .. 1014, 3000, 3999, 4000,
                               4999;
close_of(1000, pack('n', 1000) . 'x' x 123);
close_of(1000, pack('n', 1000) . $smile);
close_of(1002, pack 'n', $_) for 0, 999, 1004 .. 1006, 1015, 1016, 2999, 5000,
                                 65535;
close_of(1002, "\x03");
close_of(1002, pack('n', 1000) . 'x' x 124);
close_of(1007, pack('n', 1000) . $_) for "\xff", "\xe2\x82";
close_of(1002, pack('n', 1000), rsv => 2);

{
    my $ws = $gate->open('/echo?' . ++$n);

    $ws->send_raw($ws->frame('close', pack 'n', 1000)
                  . $ws->frame('text', 'after') . "\xff" x 10);

    my $close = $ws->read_close();

    is("$close->{code} $close->{closes}", '1000 1',
       'what comes after a Close');
    $gate->idle("/echo?$n", 0, 'is dropped');
}


# Order

{
    my $ws = $gate->open('/echo?one');

    $ws->send_text('!hold=o&body=a');
    $ws->send_text($_) for qw( b c d );
    $service->waited('/echo?one', 1);
    $gate->idle('/echo?one', 1, 'concurrency 1: the others wait');
    $service->release('o');
    is(join('', map { $ws->read_text() } 1 .. 4), 'abcd',
       'and are answered in order');
    is(join(' ', map { $_->{overlap} } $service->requests('/echo?one')),
       '1 1 1 1', 'one at a time');
    is(join(' ', map { $_->{body} } $service->requests('/echo?one')),
       '!hold=o&body=a b c d', 'in order');
}

{
    my $ws = $gate->open('/three?x');

    $ws->send_text("!hold=$_&body=$_") for qw( a b c d e );
    $service->waited('/three?x', 3);
    $gate->idle('/three?x', 3, 'concurrency 3: as many are with the service');
    $service->release('b');
    is($ws->read_text(), 'b', 'answered as they are ready');
    $service->waited('/three?x', 4);
    $gate->idle('/three?x', 4, 'another takes its place');
    $service->release('c');
    is($ws->read_text(), 'c', 'and again');
    $service->waited('/three?x', 5);
    $service->release($_) for qw( e d a );
    is(join('', sort map { $ws->read_text() } 1 .. 3), 'ade', 'all');
    is((sort { $a <=> $b } map { $_->{overlap} }
        $service->requests('/three?x'))[-1], 3, 'no more than three');
}


# More than what may wait

{
    # a Close behind messages too many is not read yet

    my $ws = $gate->open('/two?x');

    $ws->send_text('!hold=t&body=0');
    $ws->send_text("$_") for 1 .. 5;
    $ws->send_close(1000);
    $service->waited('/two?x', 1);
    $gate->idle('/two?x', 1, 'max_queue 2: one is with the service');
    is($ws->read_frame(0.05), undef, 'the Close waits, too');
    $service->release('t');
    is($ws->read_text(), "$_", "answer $_") for 0 .. 2;
    $service->waited('/two?x', 6);
    is(join('', map { substr $_->{body}, -1 } $service->requests('/two?x')),
       '012345', 'all reach the service');
    is($ws->read_close()->{code}, 1000, 'and the Close is answered');
}

{
    # a client is not read: what it sends stays with it

    my $before = $gate->memory();
    my $ws = $gate->open('/echo?held', timeout => 0.4);
    my $frames = join '', map { $ws->frame('text', 'x' x 1000) } 1 .. 100;

    $ws->send_text('!hold=q&body=q');
    $ws->send_raw($frames x 300);
    ok(!$ws->{broken}, 'thirty megabytes are not taken');

    SKIP: {
        skip 'the memory of a sanitizer', 1 if $gate->sanitized();
        cmp_ok($gate->memory() - $before, '<', 1000,
               'and none of the memory for them');
    }

    is(scalar $service->requests('/echo?held'), 1, 'nor given to the service');
    $ws->abort();
    $service->release('q');
}

{
    my $count = $gate->sanitized() ? 2_000 : 10_000;
    my $ws = $gate->open('/many?x', timeout => 60);
    my $frames = join '', map { $ws->frame('text', "$_") } 1 .. $count;

    # an echo, while all is being written

    $ws->send_raw($frames);

    my %got;

    for (1 .. $count) {
        $got{ $ws->read_text() // last } = 1;
    }

    is(scalar(keys %got), $count, "$count messages at once are all answered");
    is(scalar $service->requests('/many?x'), $count, 'each is asked once');
}


# Compression

{
    my $ws = $gate->open('/deflate', deflate => 1);

    for my $text ('short', substr($long, 0, 60000), 'a' x 60000, '',
                  "{\"a\":\"$smile\"}")
    {
        $ws->send_text($text);

        if ($text ne '') {
            my $got = $ws->read_message();

            ok($got->{payload} eq $text, length($text) . ' bytes, deflated');
            is($got->{compressed}, 1, 'and back') if length $text > 1000;
        }

        $service->wait(sub { $service->last('/deflate')->{body} eq $text });
        ok($service->last('/deflate')->{body} eq $text, 'inflated');
    }

    is(seen('Sec-WebSocket-Extensions', $service->last('/deflate')), undef,
       'the service is not told');

    $ws->send_text('plain', compressed => 0);
    is($ws->read_text(), 'plain', 'one that is not');
    $ws->send_text('a' x 30000, fragments => 3);
    is($ws->read_text(), 'a' x 30000, 'in fragments');
    $ws->send_binary("\xff" x 300);
    is($ws->read_message()->{opcode}, 2, 'binary');

    for my $bad ([ 'a bomb', 'a' x 10_000_000, 1009 ],
                 [ 'a text that is not UTF-8', "a\xff", 1007 ])
    {
        my ($name, $text, $code) = @$bad;

        $ws = $gate->open('/deflate?' . ++$n, deflate => 1);
        $ws->send_text($text);
        is(($gate->closes($ws) =~ /(\d+)/)[0], $code, "deflated: $name");
        is(scalar $service->requests("/deflate?$n"), 0, 'and does not arrive');
    }

    # a character that is inflated in two parts; blocks are not compressed

    $ws = $gate->open('/deflate?' . ++$n, deflate => 1);
    $ws->send_frame('text', "\0\2\0\xfd\xffa\xc3", rsv => 4, fin => 0);
    sleep 0.05;
    $ws->send_frame('cont', "\0\2\0\xfd\xff\xa9b\0");
    is($ws->read_text(), "a\xc3\xa9b", 'a character in two fragments');

    $ws->send_frame('text', "\0\2\0\xfd\xffa\xc3", rsv => 4, fin => 0);
    $ws->send_frame('cont', "\0");
    like($gate->closes($ws), qr/^1007 .*middle/, 'half a character');

    $ws = $gate->open('/deflate?' . ++$n, deflate => 1);
    $ws->send_frame('text', "\xff\xff\xff\xff", rsv => 4);
    like($gate->closes($ws), qr/^1007/, 'what cannot be inflated');

    $ws = $gate->open('/smalldeflate?' . ++$n, deflate => 1);
    $ws->send_text('a' x 100);
    is($ws->read_text(), 'a' x 100, '100 bytes');
    $ws->send_text('a' x 101);
    like($gate->closes($ws), qr/^1009/, '101 bytes');

    for my $offer (qw( server_no_context_takeover client_no_context_takeover
                       server_max_window_bits=9 client_max_window_bits=9 ))
    {
        $ws = $gate->open('/deflate', deflate => "permessage-deflate; $offer");

        for (1 .. 3) {
            $ws->send_text(substr $long, $_, 20000);
            ok($ws->read_text() eq substr($long, $_, 20000), "$offer $_");
        }
    }
}


# The request, to the byte

{
    my $ws = $gate->open('/exact?user=me', host => 'ws.example.com',
        key => 'dGhlIHNhbXBsZSBub25jZQ==', protocols => 'a',
        origin => 'https://a.example', headers => [
            'Connection' => 'keep-alive, Upgrade, X-Hop',
            'X-Hop' => 'hop', 'Keep-Alive' => 'timeout=5',
            'Proxy-Connection' => 'keep-alive', 'TE' => 'trailers',
            'Trailer' => 'X', 'Proxy-Authorization' => 'Basic x',
            'Accept-Encoding' => 'gzip', 'Expect' => undef,
            'Range' => 'bytes=0-1', 'If-None-Match' => '"a"',
            'Content-Type' => 'image/png', 'Content-Language' => 'de',
            'Content-Encoding' => 'br', 'Content-Length' => 0,
            'Sec-WebSocket-Extensions' => 'x-one',
            'Sec-WebSocket-Accept' => 'x',
            'Gateway-Connection-Id' => '0' x 32, 'gateway-event' => 'connect',
            'GATEWAY-STATE' => 'admin=1', 'Gateway-Close' => '1000',
            'Gateway-Other' => 'x', 'Gateway-Mine' => 'no',
            'X-Gone' => 'gone', 'X-Replaced' => [ 'old', 'older' ],
            'Cookie' => 'a=1; b=2', 'Authorization' => 'Bearer x',
            'User-Agent' => 'test', 'X-Two' => [ 1, 2 ],
            'Accept' => 'text/html', 'X-Gateway-State' => 'mine' ]);

    $ws->send_text('{"a":1}');
    is($ws->read_text(), '{"a":1}', 'a request');

    my $request = $service->last('/exact');
    my $head = join "\n", sort split /\r\n/, $request->{head};

    $head =~ s/^(Gateway-Connection-Id: )[0-9a-f]{32}$/${1}ID/m;

    is($head, join("\n", sort split /\n/, <<'_EOC_'), 'all that it has');
POST /exact?a=b HTTP/1.1
Host: service
Content-Length: 7
Accept: text/html
Authorization: Bearer x
Content-Type: application/json
Cookie: a=1; b=2
Gateway-Connection-Id: ID
Gateway-Event: message
Gateway-Mine: yes
Origin: https://a.example
Sec-WebSocket-Protocol: a
User-Agent: test
X-Gateway-State: mine
X-Replaced: new
X-Set: me of 127.0.0.1
X-Two: 1
X-Two: 2
_EOC_
}

{
    my $ws = $gate->open('/variables?mine=1', host => 'ws.example.com:80',
                         headers => [ 'User-Agent' => 'test',
                                      'X-Forwarded-For' => '192.0.2.1',
                                      'Cookie' => 'a=b' ]);
    my %ids;

    for my $text (qw( one three )) {
        $ws->send_text($text);
        is($ws->read_text(), $text, 'variables');

        my $request = $service->last('/variables');

        is(join(' ', map { seen($_, $request) // '-' }
                     qw( X-Forwarded-For X-Real-IP X-Scheme X-Host X-Mine
                         X-Agent X-Cookie X-Uri X-Length )),
           '192.0.2.1, 127.0.0.1 127.0.0.1 http ws.example.com 1 '
           . 'variables test b '
           . '/to/variables id=1 ' . length $text, 'have their values');
        $ids{ seen('X-Request', $request) // 'none' } = 1;
    }

    is(scalar(keys %ids), 1, 'one $request_id');
    like((keys %ids)[0], qr/\A[0-9a-f]{32}\z/, 'that is one');
}

{
    my $ws = $gate->open('/captured/ann');

    for my $text (qw( a b )) {
        $ws->send_text($text);
        $ws->read_text();
        is(seen('X-Who', $service->last('/captured')), 'ann',
           "a named capture of the handshake, message $text");
    }
}

{
    my $ws = $gate->open('/static');

    $ws->send_text('a');
    is($ws->read_text(), 'text/plain; charset=utf-8', '$content_type');
    $ws->send_text('{}');
    is($ws->read_text(), 'application/json', 'of each message');
}

SKIP: {
    skip 'the jwt module', 3 if !$jwt;

    my $token = jwt({ sub => 'alice' }, key => 'rsa');
    my $ws = $gate->open('/jwt', headers => [
        Authorization => "Bearer $token" ]);

    for my $text (qw( a b )) {
        $ws->send_text($text);
        $ws->read_text();
        is(join(' ', map { seen($_, $service->last('/jwt')) // '-' }
                     qw( X-Sub X-Status )), 'alice ok',
           "variables of the token, message $text");
    }

    is($gate->try('/jwt')->status(), 401, 'without a token');
}


# TLS, behind a balancer that says who the client is

{
    my $socket = IO::Socket::UNIX->new(
        Peer => $gate->nginx()->path('tls.sock')) or die "connect: $!\n";

    syswrite $socket, "PROXY TCP4 192.0.2.7 192.0.2.8 1 443\r\n";
    IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0)
        or die 'TLS: ' . IO::Socket::SSL::errstr() . "\n";

    my $ws = $gate->over($socket, uri => '/secret', tls => 1);

    $ws->send_raw($ws->request());
    is($ws->read_head(), 101, 'TLS');
    is($ws->verify(), undef, 'a good answer');

    for my $length (1, 100, 60_000) {
        my $text = substr $long, 0, $length;

        $ws->send_text($text);
        ok($ws->read_text() eq $text, "TLS: $length bytes");
    }

    $ws->send_raw($ws->frame('text', substr $long, 0, 60_000) x 20);
    is(length join('', map { $ws->read_text() // '' } 1 .. 20), 1_200_000,
       'TLS: much at once');
    is(join(' ', map { seen($_) // '-' } qw( X-Scheme X-Protocol X-Client )),
       'https TLSv1.3 192.0.2.7', 'TLS: variables');

    # what is asked when the client has gone has no TLS any more

    my $before = $service->requests('/secret');

    $ws->send_text('!hold=tls');
    $ws->send_text('queued');
    $service->waited('/secret', $before + 1);
    $ws->disconnect();
    sleep 0.05;
    $service->release('tls');
    $service->waited('/secret', $before + 3);
    is(join(' ', map { "$_->{event}:$_->{body}" }
                 ($service->requests('/secret'))[ $before .. $before + 2 ]),
       'message:!hold=tls message:queued disconnect:',
       'TLS: a client that is gone');
}

$gate->finish();

done_testing();
