#!/usr/bin/perl

# What docs/websocket.md's examples do, beyond passing nginx -t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Test::More;
use Time::HiRes qw( sleep time );

need_nginx();

my $dir = work_dir();
my ($port, $service, $http_service, $tls_service) = free_ports(4);
my %examples = map { $_->{heading} => $_ } examples('docs/websocket.md');
my $nginx;

# The services; what they do goes by the path.

my $backend = NgxGatewayWebSocketBackend->new(
    port => $service,
    '/prices/' => \&prices,
    '/_price' => \&prices,
    '/feed' => sub {
        my ($c) = @_;

        $c->handshake();

        my $asked = $c->read_text() // return;

        $c->send_text($_) for $asked, '{"price":1}';
        $c->echo();
    },
    '/socket' => NgxGatewayWebSocketScripts::script('/json'),
    '/report/' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text($_) for '{"state":"working","done":"done"}', 'a line',
                              "{\"state\":\n\"done\"}", '{"late":1}';
        $c->echo();
    },
    '/quotes/' => sub {
        my ($c) = @_;

        $c->note($c->header('Host'));
        $c->handshake();
        $c->send_text("{\"quote\":$_}") for 1 .. 4;
        $c->echo();
    },
    '/log/' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text($_) for 'one', 'two';
        $c->bye(1000);
    },
    '*' => sub {
        my ($c) = @_;

        my ($protocol) = split /,\s*/,
                               $c->header('Sec-WebSocket-Protocol') // '';
        my $offer = $c->header('Sec-WebSocket-Extensions') // '';

        $c->handshake(protocol => $protocol, extensions =>
                      $offer =~ /permessage-deflate/ ? 'permessage-deflate'
                                                     : '');

        if ($c->{path} =~ m{^/live/}) {
            $c->send_text('{"live":1}');
        }

        $c->echo();
    },
);


recipe('Example', sub {
    my $answer = post('/prices/', '{"item":7}');

    is($answer->{status}, 200, 'a request');
    is($answer->{content}, '{"price":12.50}', 'is answered with a message');
    is($answer->{headers}{'content-type'}, 'application/json', 'of this type');

    is(get(url('/prices/'), accept => 'text/event-stream')->{content},
       "data: {\"price\":12.50}\n\ndata: {\"price\":12.55}\n\n", 'a stream');

    my $ws = chat();

    $ws->send_text('x' x 65536);
    is(length $ws->read_text(), 65536, 'a message of 64 KB');
    $ws->send_text('x' x 65537);
    is($ws->read_close()->{code}, 1009, 'a larger one');

    is(NgxGatewayWebSocket->new($port, uri => '/chat/',
           headers => [ 'Sec-WebSocket-Version' => '8' ])->status(), 426,
       'a handshake that is not one');

    my $game = NgxGatewayWebSocket->open($port, uri => '/game');

    $game->send_text('{"move":"e4"}');
    is($game->read_text(), '{"id":7}', 'the answer of an HTTP service');
    $game->send_text('x' x 65537);
    is($game->read_close(undef, answer => 1)->{code}, 1009,
       'a message that is too large');
    is(get(url('/game'))->{status}, 426, 'no WebSocket');
});

recipe('Variables', sub {
    my $ws = chat();

    $ws->send_text($_) for 'a', 'b';
    $ws->read_text() for 1 .. 2;
    $ws->send_text('x' x 4097);
    $ws->read_close(undef, answer => 1);
    $ws->disconnect();

    ok(soon(sub { -s "$dir/sockets.log" }), 'there is a log');
    like(slurp("$dir/sockets.log"),
         qr{^\S+ 127\.0\.0\.1 /chat/ 101 \d\.\d+ 1009/gateway [23] 2$}m,
         'which says what closed it');
});

recipe('JSON-RPC over a few connections', sub {
    my @answers = map {
        post('/rpc', "{\"jsonrpc\":\"2.0\",\"id\":\"a$_\",\"noise\":true}")
    } 1 .. 4;

    is(join(' ', map { $_->{content} =~ /"id":"(\w+)"/ } @answers),
       'a1 a2 a3 a4', 'each has its own answer');
    is(scalar(() = $backend->connections('/socket')), 1,
       'by one connection to each server, which are the same one here');
    is(post('/rpc', '{"id":[]}')->{status}, 400, 'no id');
    is(get(url('/rpc'))->{status}, 403, 'no POST');

    my $begin = time;
    my $answer = post('/rpc', '{"id":"b","skip":true}');

    is($answer->{status}, 504, 'no answer');
    ok(abs(time - $begin - 5) < 1, 'in five seconds');
    is(post('/rpc', '{"id":"b"}')->{status}, 409, 'its id is not free');
    is(post('/rpc', '{"id":"c","die":true}')->{status}, 502,
       'a connection that is lost');
    is(post('/rpc', '{"id":"b"}')->{status}, 200, 'and opened again');
});

recipe('Several messages as one answer', sub {
    is(get(url('/report/'))->{content},
       "{\"state\":\"working\",\"done\":\"done\"}\n\"a line\"\n"
       . "{\"state\": \"done\"}\n", 'until a value');

    my $answer = get(url('/quotes/'));

    is($answer->{content}, "{\"quote\":1}\n{\"quote\":2}\n{\"quote\":3}\n",
       'three');
    is($answer->{headers}{'content-type'}, 'application/x-ndjson', 'in lines');
    is($answer->{headers}{'content-length'}, length $answer->{content},
       'with a length');

    $answer = get(url('/log/'));
    is($answer->{content}, "\"one\"\n\"two\"\n", 'until it is closed');
    is($answer->{headers}{'cache-control'}, 'no-store', 'which is a stream');
});

recipe('An EventSource in a browser', sub {
    my $stream = NgxGatewayWebSocket->plain($port);

    $stream->send_raw("GET /prices?symbol=ACME HTTP/1.1\r\nHost: a\r\n"
                      . "Origin: https://www.example.com\r\n\r\n");
    is($stream->read_head(), 200, 'a symbol');
    like($stream->header('Content-Type'), qr{^text/event-stream}, 'a stream');

    my $text = '';

    for (1 .. 90) {
        $text .= $stream->read_raw(1) // '';
        last if $text =~ /"price":1\}\n\n/;
    }

    like($text, qr/data: \{"subscribe":"ACME"\}\n\n.*data: \{"price":1\}\n\n/s,
         'what was sent, and a price');
    $stream->disconnect();

    ok(soon(sub { defined $backend->last('/feed')->{end} }),
       'the service is told when the client has left');
    is(unpack('n', $backend->last('/feed')->{frames}[-1]{payload} // ''), 1001,
       'by this code');

    is(get(url('/prices?symbol=a%22'))->{status}, 400, 'not a symbol');
    is(get(url('/prices?symbol=a"'))->{status}, 400, 'nor that');
    is(get(url('/prices?symbol=ACME'),
           origin => 'https://example.com')->{status}, 403, 'another origin');
});

recipe('One URL for WebSockets and for others', sub {
    my $ws = NgxGatewayWebSocket->open($port, uri => '/live/1');

    is($ws->read_text(), '{"live":1}', 'a WebSocket');
    $ws->send_text("\xff");
    is($ws->read_close()->{code}, 1007, 'which is guarded');
    is(get(url('/live/1'))->{content}, '{"live":1}', 'one answer');

    my $stream = NgxGatewayWebSocket->plain($port);

    $stream->send_raw("GET /live/1 HTTP/1.1\r\nHost: a\r\n"
                      . "Accept: text/event-stream\r\n\r\n");
    $stream->read_head();
    like($stream->read_raw(24) // '', qr/data: \{"live":1\}/, 'a stream');
});

recipe('With a token, until it expires', sub {
    my @origin = (origin => 'https://www.example.com');
    my $end = CORE::time + 3;
    my $token = jwt({ exp => at(3) });

    is(NgxGatewayWebSocket->new($port, uri => '/chat/', @origin)->status(),
       401, 'no token');

    my $ws = NgxGatewayWebSocket->open($port, uri => '/chat/', @origin,
        protocols => 'chat.v0, chat.v1',
        headers => [ Cookie => "session=$token" ]);

    is($ws->header('Sec-WebSocket-Protocol'), 'chat.v1', 'a subprotocol');

    my $head = $backend->last('/chat/')->{head};

    like($head, qr/^X-User: alice\r$/m, 'the service is told who it is');
    unlike($head, qr/^Cookie:/mi, 'and not by the token');
    like($head, qr/^Sec-WebSocket-Protocol: chat\.v1\r$/m,
         'and what it may choose');

    my $close = $ws->read_close(10);

    is($close->{code}, 1008, 'closed');
    ok(time > $end - 1 && time < $end + 5, 'when the token expires');

    my @cookie = (headers => [ Cookie => 'session=' . jwt() ]);

    is(NgxGatewayWebSocket->new($port, uri => '/chat/', @cookie,
                                origin => 'https://example.net')->status(),
       403, 'another origin');

    $ws = NgxGatewayWebSocket->open($port, uri => '/chat/', @origin, @cookie);
    $ws->send_text('a') for 1 .. 60;
    $close = $ws->read_close();
    is($close->{code}, 1008, 'too many messages');
    is($close->{reason}, 'more messages than are allowed', 'and why');

    # all are asked for before the first is answered

    my @sockets = map {
        NgxGatewayWebSocket->plain($port, uri => '/chat/', @origin, @cookie)
    } 1 .. 60;

    $_->send_raw($_->request()) for @sockets;
    $_->read_head() for @sockets;
    ok(scalar(grep({ $_->status() == 429 } @sockets)), 'too many handshakes');
});

recipe('Parts of an aggregate', sub {
    is(get(url('/items/7'))->{content},
       '{"item":{"id":7},"price":{"price":12.50}}', 'both parts');
});

recipe('TLS to the service', sub {
    my $answer = get(url('/quotes/'));

    is($answer->{status}, 200, 'it answers');
    is($answer->{content}, '{"quote":1}', 'a message');
    is(($backend->last('/quotes/'))->{notes}[0], 'quotes.example.net',
       'with this host');

    is(get(url('/quotes/tuned/'))->{content}, '{"quote":1}',
       'a message of a connection that is tuned');
});

recipe('Compressed messages', sub {
    my $ws = NgxGatewayWebSocket->open($port, uri => '/feed/', deflate => 1);

    like($ws->header('Sec-WebSocket-Extensions') // '',
         qr/^permessage-deflate/, 'agreed on');
    $ws->send_text('x' x 262144);
    is(length($ws->read_text() // ''), 262144, 'inflated, it has 256 KB');
    $ws->send_text('x' x 262145);
    is($ws->read_close()->{code}, 1009, 'one with more');

    $ws = NgxGatewayWebSocket->open($port, uri => '/feed/');
    $ws->send_text('x' x 65537);
    is($ws->read_close()->{reason}, 'frame beyond gateway_websocket_max_frame',
       'a frame that is too large');
});

recipe('Reload and shutdown', sub {
    my @sockets = map { NgxGatewayWebSocket->open($port, uri => '/echo') }
                  1 .. 4;
    my $begin = time;

    kill 'HUP', $nginx;

    my @codes = map { $_->read_close(15)->{code} } @sockets;

    is("@codes", '1001 1001 1001 1001', 'all are told');
    cmp_ok(time - $begin, '<', 12, 'in time');
    is(NgxGatewayWebSocket->open($port, uri => '/echo')->status(), 101,
       'the new workers are there');
});

is_deeply([ sort keys %examples ], [], 'all examples were tried');

$backend->stop();

done_testing();


sub recipe {
    my ($heading, $test) = @_;

    my $example = delete $examples{$heading};

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        unlink map { "$dir/$_.log" } qw( sockets error );
        $backend->forget();

        my $text = complete($example->{context}, $example->{text}, $port,
                            $service);

        # HTTP services are elsewhere, and so is TLS

        $text =~ s/^(upstream (?:items|game) [^:]*:)\d+/$1$http_service/mg;
        $text =~ s/\b192\.0\.2\.1[01]:443/127.0.0.1:$tls_service/g;

        spew("$dir/recipe.conf", startable($text, services()));

        $nginx = nginx_start($dir, "$dir/recipe.conf", $port);

        ok($nginx, 'it starts') or return;
        $test->();
        nginx_stop($nginx);

        unlike(-e "$dir/error.log" ? slurp("$dir/error.log") : '',
               qr/\[(?:alert|crit|emerg)\]/, 'nothing is alarming');
    };
}


# An HTTP service, and TLS in front of the other.

sub services {
    my ($certificate, $key) = tls_certificate();

    return "server {
        listen 127.0.0.1:$http_service;
        location / { return 200 '{\"id\":7}'; }
    }
    server {
        listen 127.0.0.1:$tls_service ssl;
        ssl_certificate $certificate;
        ssl_certificate_key $key;
        location / {
            proxy_pass http://127.0.0.1:$service;
            proxy_http_version 1.1;
            proxy_set_header Host \$host;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }\n";
}


sub prices {
    my ($c) = @_;

    $c->handshake();
    $c->read_text(0.1);
    $c->send_text('{"price":12.50}');
    $c->send_text('{"price":12.55}');
    $c->bye(1000);

    return;
}


sub chat {
    return NgxGatewayWebSocket->open($port, uri => '/chat/');
}


sub post {
    my ($path, $body) = @_;

    return HTTP::Tiny->new(proxy => undef, http_proxy => undef)
        ->post(url($path), { content => $body,
                             headers => { 'content-type' =>
                                          'application/json' } });
}


sub soon {
    my ($true) = @_;

    for (1 .. 100) {
        return 1 if $true->();
        sleep 0.05;
    }

    return 0;
}


sub url {
    return "http://127.0.0.1:$port$_[0]";
}
