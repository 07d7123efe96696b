
# Request bodies as messages: of every kind and size, what
# gateway_websocket_send says, requests over HTTP/2, and subrequests.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewayWebSocketBackend;

use Test::More;

my $backend = NgxGatewayWebSocketBackend->new(
    '/count' => sub {
        my ($c) = @_;

        $c->handshake();

        my $message = $c->read_message(0.3);

        $c->send_text($message ? "$message->{opcode} $message->{frames} "
                                 . length $message->{payload} : 'none');
        $c->echo();
    },
);

my $to = '127.0.0.1:' . $backend->port();

my $nginx = NgxGatewayNginx->new(
    server => <<"_EOC_",
        client_max_body_size 10m;
        client_body_temp_path %DIR%/bodies;

        location = /echo {
            gateway_websocket_pass ws://$to/echo;
        }

        location = /count {
            gateway_websocket_pass ws://$to/count;
        }

        location = /file {
            client_body_in_file_only clean;
            gateway_websocket_max_message 300k;
            gateway_websocket_pass ws://$to/echo;
        }

        location = /small {
            client_body_buffer_size 1k;
            gateway_websocket_max_message 300k;
            gateway_websocket_pass ws://$to/echo;
        }

        location = /limited {
            client_body_buffer_size 1k;
            gateway_websocket_max_message 5000;
            gateway_websocket_pass ws://$to/echo;
        }

        location = /memory {
            client_body_buffer_size 64k;
            gateway_websocket_max_message 5000;
            gateway_websocket_pass ws://$to/echo;
        }

        location = /value {
            gateway_websocket_send '{"ask":"\$arg_ask"}';
            gateway_websocket_pass ws://$to/echo;
        }

        location = /none {
            gateway_websocket_send none;
            gateway_websocket_pass ws://$to/messages?n=1;
        }

        location = /counted {
            gateway_websocket_send none;
            gateway_websocket_pass ws://$to/count;
        }

        location = /deflate {
            gateway_websocket_deflate on;
            gateway_websocket_max_message 300k;
            gateway_websocket_pass ws://$to/echo?deflate=1;
        }

        location = /forget {
            gateway_websocket_deflate on;
            gateway_websocket_reply count=3;
            gateway_websocket_pass
                ws://$to/messages?deflate=1&parameters=\$arg_p&text=\$arg_t;
        }

        location = /whole {
            gateway_aggregate_methods GET POST;
            gateway_aggregate {
                part a /echo body=request method=POST;
                part b /value?ask=1;
                part c /_silent optional timeout=100ms;
                part d /_gone optional;
            }
        }

        location = /_silent {
            gateway_websocket_pass ws://$to/silent;
        }

        location = /_gone {
            gateway_websocket_pass ws://$to/close;
        }

        location = /checked {
            set \$to \$arg_to;
            auth_request /_check;
            empty_gif;
        }

        location = /_check {
            gateway_websocket_send \$request_id;
            gateway_websocket_pass ws://$to\$to;
        }

        location = /mirrored {
            mirror /_mirror;
            gateway_websocket_pass ws://$to/echo;
        }

        location = /_mirror {
            internal;
            gateway_websocket_pass ws://$to/echo?mirror=1;
        }

        location = /included {
            ssi on;
            ssi_types *;
            default_type text/plain;
            alias %DIR%/page;
        }
_EOC_
);

$nginx->write_file('page', '<!--# include virtual="/value?ask=1" -->,'
                           . '<!--# include virtual="/value?ask=2" -->.');
$nginx->start();

sub answer {
    my (@request) = @_;

    my $answer = pass_ask($nginx, @request);

    return join ' ', $answer->{code}, $answer->{headers}{'content-type'} // '',
                     $answer->{body};
}

my $JSON = '200 application/json';
my $TEXT = '200 text/plain; charset=utf-8';
my $BINARY = '200 application/octet-stream';

# the kind of a message; the answer is what came back

my @kinds = (
    '{"a":1}' => undef, $JSON,
    ' [1] ' => undef, $JSON,
    '1' => undef, $JSON,
    'hello' => undef, $TEXT,
    '{"a":1' => undef, $TEXT,
    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" => undef, $TEXT,
    "\xc3" => undef, $BINARY,
    "a\xff" => undef, $BINARY,
    "\xed\xa0\x80" => undef, $BINARY,
    "\xc0\x80" => undef, $BINARY,
    "\0" => undef, $TEXT,
    'text' => 'application/octet-stream', $BINARY,
    'text' => 'Application/Octet-Stream; x=y', $BINARY,
    'text' => 'image/png', $TEXT,
    '{}' => 'text/plain', $JSON,
);

while (my ($body, $type, $want) = splice @kinds, 0, 3) {
    my $name = join ' ', unpack('H*', $body), $type // ();

    is(answer(POST => '/echo', $type ? ('Content-Type' => $type) : (), $body),
       "$want $body", "a message of $name");
}

# none

$backend->forget();
is(answer(GET => '/count'), "$TEXT none", 'no body, no message');
is(answer(POST => '/count', ''), "$TEXT none", 'a body of no bytes');
is(answer(POST => '/counted', 'abc'), "$TEXT none", 'a body that is not sent');
is(answer(POST => '/count', 'abc'), "$TEXT 1 1 3", 'a body');

sub chunked {
    my ($path, @chunks) = @_;

    my $text = join '', map { sprintf "%x\r\n%s\r\n", length, $_ } @chunks;

    my $chunked = NgxGatewayPass->new($nginx->port());

    $chunked->{method} = 'POST';
    $chunked->raw("POST $path HTTP/1.1\r\nHost: a\r\n"
                          . "Transfer-Encoding: chunked\r\n\r\n$text"
                          . "0\r\n\r\n");
    $chunked->read();

    return "$chunked->{code} $chunked->{body}";
}

is(chunked('/count'), '200 none', 'no chunks');
is(chunked('/count', 'a', 'bc', 'd' x 300), '200 1 1 303', 'chunks');
is(chunked('/small', map { chr(65 + $_ % 26) x 300 } 1 .. 50),
   '200 ' . join('', map { chr(65 + $_ % 26) x 300 } 1 .. 50),
   'chunks in a file');

# in pieces

my $client = NgxGatewayPass->new($nginx->port());

$client->{method} = 'POST';
$client->raw("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n");

for (1 .. 3) {
    select undef, undef, undef, 0.02;
    $client->raw($_ x 1000);
}

$client->read();
is($client->{body}, join('', map { $_ x 1000 } 1 .. 3), 'a body in pieces');

# sizes; what crosses the boundaries of frames' lengths as well

for my $size (1, 124 .. 127, 1000, 1024, 1025, 65535, 65536, 65537, 200_000) {
    my $body = join '', map { chr(33 + $_ % 90) } 1 .. $size;

    for my $path ('/small', '/file', '/deflate') {
        my $answer = pass_ask($nginx, POST => $path, $body);

        ok($answer->{code} == 200 && $answer->{body} eq $body,
           "$path: $size bytes")
            or diag("$answer->{code} " . length $answer->{body});
    }
}

for my $path ('/limited', '/memory') {
    my $answer = pass_ask($nginx, POST => $path, 'x' x 5000);

    is("$answer->{code} " . length $answer->{body}, '200 5000',
       "$path: as large as a message may be");

    $answer = pass_ask($nginx, POST => $path, 'x' x 5001);
    is($answer->{code}, 413, "$path: a byte more");
    is($answer->{headers}{'content-type'}, 'application/problem+json',
       '... which is a problem');

    is(substr(chunked($path, 'x' x 4000, 'y' x 1000), 0, 5), '200 x',
       "$path: likewise in chunks");
    is(substr(chunked($path, 'x' x 4000, 'y' x 1001), 0, 3), '413',
       "$path: chunks with a byte more");
}

is(answer(GET => '/value?ask=me'), "$JSON {\"ask\":\"me\"}", 'a value');
is(answer(POST => '/value?ask=me', 'a body that nobody wants'),
   "$JSON {\"ask\":\"me\"}", 'in place of a body');
is(answer(POST => '/none', 'x' x 100_000), "$JSON {\"n\":1}",
   'none, and a large body');

ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');
is(scalar(grep { @{ $_->{messages} } }
          $backend->connections('/messages')), 0, 'none was sent');
is(scalar(grep { $_->{fin} != 1 || !$_->{masked} }
          map { @{ $_->{frames} } } $backend->connections()), 0,
   'all frames are whole and masked');
is(scalar(grep { $_->{end} ne 'eof' } $backend->connections()), 0,
   'the gateway waits for the service to close');

my ($one, $two) = ($backend->connections('/echo'))[-2, -1];

isnt($one->{head} =~ s/.*Key: (\S+).*/$1/sr,
     $two->{head} =~ s/.*Key: (\S+).*/$1/sr, 'keys differ');

# compressed with and without a context

my ($deflated) = grep { $_->{uri} =~ /deflate/ && @{ $_->{messages} }
                        && length $_->{messages}[0]{payload} < 10_000
                        && $_->{frames}[0]{rsv} == 4 }
                 $backend->connections('/echo');

ok($deflated, 'deflate: what was sent was compressed');

my ($short) = grep { $_->{uri} =~ /deflate/ && @{ $_->{messages} }
                     && $_->{messages}[0]{payload} eq '"' }
              $backend->connections('/echo');

is($short && $short->{frames}[0]{rsv}, 0, 'deflate: short ones are not');

for my $parameters ('server_max_window_bits=15', 'server_no_context_takeover',
                    'client_no_context_takeover',
                    'server_max_window_bits=9', 'client_max_window_bits=10')
{
    is(answer(GET => "/forget?p=$parameters&t=" . 'abc' x 300),
       '200 application/x-ndjson ' . ('"' . 'abc' x 300 . "\"\n") x 3,
       "deflate: $parameters");
}

# subrequests

my $whole = pass_ask($nginx, POST => '/whole', '{"id":1}');

is("$whole->{code} $whole->{body}",
   '200 {"a":{"id":1},"b":{"ask":"1"}}', 'parts of an aggregate');
is($whole->{headers}{'gateway-aggregate'}, 'partial; missing="c,d"',
   'those that are missing');

is(pass_ask($nginx, GET => '/checked?to=/echo')->{code}, 200,
   'auth_request');
is(pass_ask($nginx, GET => '/checked?to=/close')->{code}, 500,
   'auth_request that fails');

$backend->forget();
is(answer(POST => '/mirrored', '{"id":2}'), "$JSON {\"id\":2}", 'mirror');
ok($backend->wait(sub {
    grep { $_->{uri} eq '/echo?mirror=1' && @{ $_->{messages} }
           && $_->{messages}[0]{payload} eq '{"id":2}' }
    $backend->connections();
}), '... has the body, too');

is(answer(GET => '/included'), '200 text/plain {"ask":"1"},{"ask":"2"}.',
   'SSI');

# HTTP/2

$nginx->stop();
is(pass_log($nginx), '', 'nothing wrong in the log');

my $second = NgxGatewayNginx->new(server => $nginx->{server}, http2 => 1);

$second->write_file('page', '');

$second->start();

my $http2 = NgxGatewayHTTP2->new($second->port());

my @ids = $http2->send(
    (map { [ POST => '/echo', '' => "{\"id\":$_}" ] } 1 .. 20),
    [ GET => '/value?ask=2' ], [ POST => '/limited', '' => 'x' x 5001 ],
    [ HEAD => '/value?ask=3' ], [ GET => '/count' ]);
my @answers = $http2->answers(@ids);

is(join(' ', map { "$_->{code} $_->{body}" } @answers),
   join(' ', (map { "200 {\"id\":$_}" } 1 .. 20), '200 {"ask":"2"}',
        '413 ' . $answers[21]{body}, '200 ', '200 none'), 'HTTP/2');

$http2->close();
ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');

$second->stop();
is(pass_log($second), '', 'nothing wrong in the log');

done_testing();
