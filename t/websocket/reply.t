
# gateway_websocket_reply: which messages are an answer, its type, and what
# messages look like in one of several.

use strict;
use warnings;

use lib 't/lib';
use MIME::Base64 qw( encode_base64 );
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Time::HiRes qw( time );

use Test::More;

# messages in a row, by name; then a Close, or what the service does else

my %rows = (
    kinds => [ "{\"a\":\n1}", "line\nbreak\"\\", [ "\0\xff" ], '', "\xc3\xa4",
               '1', "[1,\r\n\"\\n\"]\n", [ '' ], 'nul' ],
    until => [ '{"s":{"a/b":["x",{"m~n":"done"}]}}' ],
    numbers => [ '{"n":10}', '{"n":1.0}', '{"n":true}', '{"n":1}',
                 '{"n":null}', '{"n":"é"}', '{"n":{}}', '{"n":"\\u0041\\n"}' ],
    escapes => [ '{"n":"x"}', '{"n":"\\u0064\\u006fne"}', '{"n":"done"}' ],
    unlike => [ 'done', '"done"', '["done"]', [ '{"n":"done"}' ],
                '{"n":"done"', '{"m":"done"}', '{"n":["done"]}',
                '{"n":"done "}', '{"n":"done"}', '{"n":2}' ],
);

my $backend = NgxGatewayWebSocketBackend->new(
    '*' => sub {
        my ($c) = @_;

        my (undef, $name, $code) = split m{/}, $c->{path};

        $c->handshake();

        for my $message (@{ $rows{$name} // [] }) {
            ref $message ? $c->send_binary($message->[0])
                         : $c->send_text($message);
        }

        return if ($code // '') eq 'eof';
        return $c->bye($code eq 'none' ? () : $code) if $code;

        $c->echo();
    },

    '/mixed' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_frame('text', '{"a":', fin => 0);
        $c->send_ping('between');
        $c->send_pong('unasked');
        $c->send_frame('cont', "\"\xc3", fin => 0);
        $c->send_frame('cont', '', fin => 0);
        $c->send_ping('');
        $c->send_frame('cont', "\xa4\"}");
        $c->send_text('second', fragments => [ 1, 2, 0 ]);
        $c->echo();
    },

    '/pieces' => sub {
        my ($c) = @_;

        my $bytes = join '', ws_frame('text', '{"a":"', fin => 0),
            ws_frame('ping', 'x' x 10), ws_frame('cont', "\xc3", fin => 0),
            ws_frame('cont', "\xa4", fin => 0), ws_frame('pong', ''),
            ws_frame('cont', '"}'), ws_frame('text', 'b' x 130),
            ws_frame('binary', "\xff" x 1000, fin => 0),
            ws_frame('cont', '');

        $c->handshake();
        $c->send_raw($bytes, step => $c->arg('step'));
        $c->bye(1000);
    },

    '/fragment' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text('x' x $c->arg('size'),
                      fragments => $c->arg('frames', 1));
        $c->echo();
    },
);

my $to = '127.0.0.1:' . $backend->port();
my $locations = '';

my %replies = (
    one => '', message => 'message', count1 => 'count=1', count3 => 'count=3',
    count9 => 'count=9', close => 'close', count20 => 'count=20',
    pointer => 'until=/s/a~1b/1/m~0n=done', name => 'until=n=done',
    number => 'until=/n=1', fraction => 'until=n=1.0', true => 'until=n=true',
    null => 'until=/n=null', utf8 => 'until=n=é', object => q('until=n={}'),
    empty => 'until=n=', escaped => "'until=n=A\\n'",
);

for my $name (sort keys %replies) {
    my $lines = ($replies{$name}
                 ? "gateway_websocket_reply $replies{$name};\n" : '')
                . "gateway_websocket_pass ws://$to/;\n";

    $locations .= "location /$name/ {\n$lines}\n"
                  . "location /late/$name/ {\n$lines"
                  . "gateway_websocket_read_timeout 400ms;\n}\n";
}

my $nginx = NgxGatewayNginx->new(
    server => <<"_EOC_",
        gateway_websocket_read_timeout 10s;

        location /json {
            gateway_websocket_reply message ndjson;
            gateway_websocket_pass ws://$to/;
        }

        location /large/ {
            gateway_websocket_max_message 100k;
            gateway_websocket_pass ws://$to/;
        }

        location /frame/ {
            gateway_websocket_max_message 100k;
            gateway_websocket_max_frame 1000;
            gateway_websocket_pass ws://$to/;
        }

        location /reply/ {
            gateway_websocket_reply close;
            gateway_websocket_max_reply 1000;
            gateway_websocket_pass ws://$to/;
        }

        location /replies/ {
            gateway_websocket_reply close;
            gateway_websocket_max_reply 100k;
            gateway_websocket_buffer_size 1000;
            gateway_websocket_pass ws://$to/;
        }

        location /pieces {
            gateway_websocket_reply close;
            gateway_websocket_pass ws://$to;
        }

        location /bomb {
            gateway_websocket_deflate on;
            gateway_websocket_pass ws://$to/huge?deflate=1&size=\$arg_n;
        }

$locations
_EOC_
);

$nginx->start();

sub answer {
    my ($path, $method) = @_;

    my $answer = pass_ask($nginx, $method // 'GET', $path);
    my $type = $answer->{headers}{'content-type'} // '';

    is($answer->{end}, 'whole', "$path: the answer is whole");

    if ($type eq 'application/problem+json') {
        my ($detail) = $answer->{body} =~ /"detail":"([^"]*)"/;

        return "$answer->{code} $detail";
    }

    is($answer->{headers}{'content-length'}, length $answer->{body},
       "$path: its length") if $answer->{code} != 204;

    $type =~ s{application/}{};

    return "$answer->{code} $type $answer->{body}";
}

my $JSON = '200 json';
my $LINES = '200 x-ndjson';
my $CLOSED = '502 The service closed the connection before it had answered.';
my $BROKEN = '502 The service broke the rules of the WebSocket.';
my $LATE = '504 The service did not answer in time.';

my @lines = ("{\"a\": 1}\n", "\"line\\nbreak\\\"\\\\\"\n", "\"AP8=\"\n",
             "\"\"\n", "\"\xc3\xa4\"\n", "1\n", "[1,  \"\\n\"]\n", "\"\"\n",
             "\"nul\"\n");

my @tests = (
    '/one/kinds' => "$JSON {\"a\":\n1}",
    '/message/kinds/1000' => "$JSON {\"a\":\n1}",
    '/message/kinds/eof' => "$JSON {\"a\":\n1}",
    '/one/none/1000' => $CLOSED,
    '/one/none/1001' => $CLOSED,
    '/one/none/1011' => $CLOSED,
    '/one/none/none' => $CLOSED,
    '/one/none/eof' => $CLOSED,
    '/late/one/none' => $LATE,

    '/count1/kinds' => "$LINES $lines[0]",
    '/count3/kinds' => "$LINES " . join('', @lines[0 .. 2]),
    '/count9/kinds' => "$LINES " . join('', @lines),
    '/count9/kinds/1000' => "$LINES " . join('', @lines),
    '/count20/kinds/1000' => $CLOSED,
    '/count20/kinds/eof' => $CLOSED,
    '/late/count20/kinds' => $LATE,

    '/close/kinds/1000' => "$LINES " . join('', @lines),
    '/close/kinds/1001' => "$LINES " . join('', @lines),
    '/close/kinds/none' => "$LINES " . join('', @lines),
    '/close/kinds/1011' => $CLOSED,
    '/close/kinds/4000' => $CLOSED,
    '/close/kinds/eof' => $CLOSED,
    '/late/close/kinds' => $LATE,
    '/close/none/1000' => '204  ',
    '/close/none/none' => '204  ',
    '/close/none/1011' => $CLOSED,
    '/close/none/eof' => $CLOSED,

    '/pointer/until' => "$LINES $rows{until}[0]\n",
    '/late/name/until' => $LATE,
    '/name/escapes' => "$LINES {\"n\":\"x\"}\n{\"n\":\"\\u0064\\u006fne\"}\n",
    '/name/unlike' => "$LINES \"done\"\n\"done\"\n[\"done\"]\n\""
                      . encode_base64('{"n":"done"}', '') . "\"\n"
                      . "\"{\\\"n\\\":\\\"done\\\"\"\n{\"m\":\"done\"}\n"
                      . "{\"n\":[\"done\"]}\n{\"n\":\"done \"}\n"
                      . "{\"n\":\"done\"}\n",
    '/number/numbers' => "$LINES " . numbers(4),
    '/fraction/numbers' => "$LINES " . numbers(2),
    '/true/numbers' => "$LINES " . numbers(3),
    '/null/numbers' => "$LINES " . numbers(5),
    '/utf8/numbers' => "$LINES " . numbers(6),
    '/object/numbers' => "$LINES " . numbers(7),
    '/escaped/numbers' => "$LINES " . numbers(8),
    '/empty/numbers/1000' => $CLOSED,

    '/one/mixed' => "$JSON {\"a\":\"\xc3\xa4\"}",
    '/count1/mixed' => "$LINES {\"a\":\"\xc3\xa4\"}\n",

    '/large/fragment?size=102400' => '200 text/plain; charset=utf-8 '
                                     . 'x' x 102_400,
    '/large/fragment?size=102400&frames=1000' =>
        '200 text/plain; charset=utf-8 ' . 'x' x 102_400,
    '/large/fragment?size=102401' => $BROKEN,
    '/large/fragment?size=102401&frames=1000' => $BROKEN,
    '/frame/fragment?size=1000' => '200 text/plain; charset=utf-8 '
                                   . 'x' x 1000,
    '/frame/fragment?size=1001' => $BROKEN,
    '/frame/fragment?size=5000&frames=5' => '200 text/plain; charset=utf-8 '
                                            . 'x' x 5000,
    '/reply/messages?n=1&text=' . 'x' x 997 . '&then=close' =>
        "$LINES \"" . 'x' x 997 . "\"\n",
    '/reply/messages?n=1&text=' . 'x' x 998 . '&then=close' =>
        '502 The service\'s answer is too large.',
    '/reply/messages?n=11&text=' . 'x' x 97 . '&then=close' =>
        '502 The service\'s answer is too large.',
    '/replies/messages?n=700&text=' . 'x' x 97 . '&then=close' =>
        "$LINES " . ('"' . 'x' x 97 . "\"\n") x 700,
    '/bomb?n=65536' => '200 text/plain; charset=utf-8 ' . 'x' x 65_536,
    '/bomb?n=65537' => $BROKEN,
    '/bomb?n=30000000' => $BROKEN,
);

sub numbers {
    my ($n) = @_;

    return join '', map { "$_\n" } @{ $rows{numbers} }[0 .. $n - 1];
}

while (my ($path, $want) = splice @tests, 0, 2) {
    my $answer;

    attempts(sub {
        $answer = answer($path);
        return $answer eq $want || $path !~ m{^/late/};
    });

    ok($answer eq $want, substr($path, 0, 60))
        or diag('got ' . substr($answer, 0, 300),
                "\nnot " . substr $want, 0, 300);
}

# HEAD has the header of GET

my $head = pass_ask($nginx, HEAD => '/close/kinds/1000');

is("$head->{code} $head->{headers}{'content-length'} $head->{body}",
   '200 ' . length(join '', @lines) . ' ', 'HEAD');

# the time is that of one message, not of all

my $three = "$LINES {\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
my ($slow, $took);

attempts(sub {
    my $start = time;

    $slow = answer('/late/count3/messages?n=3&pause=0.25');
    $took = time - $start;
    return $slow eq $three;
});

is($slow, $three, 'each message has read_timeout');
cmp_ok($took, '>', 0.7, '... which is longer altogether');

# bytes that come in pieces of each size

for my $step (1 .. 8, 13, 100, 1000) {
    my $answer = answer("/pieces?step=$step");

    ok($answer eq "$LINES {\"a\":\"\xc3\xa4\"}\n\"" . 'b' x 130 . "\"\n\""
                  . encode_base64("\xff" x 1000, '') . "\"\n",
       "in pieces of $step bytes") or diag(substr $answer, 0, 300);
}

# what the service saw

my $mixed = $backend->last('/mixed');
my @pongs = map { $_->{payload} }
            grep { $_->{opcode} == 10 } @{ $mixed->{frames} };

cmp_ok(scalar @pongs, '<=', 2, 'pings are answered');

ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');

my %codes;

for my $c ($backend->connections()) {
    my ($close) = grep { $_->{opcode} == 8 } @{ $c->{frames} };

    $codes{$c->{uri}} = $close ? unpack 'n', $close->{payload} : undef;
}

is($codes{'/none'}, 1000, 'a late one is closed with 1000');
is($codes{'/fragment?size=102401'}, 1009, 'a large message: 1009');
is($codes{'/fragment?size=1001'}, 1009, 'a large frame: 1009');
is($codes{'/huge?deflate=1&size=30000000'}, 1009, 'a bomb: 1009');
is($codes{'/none/1011'}, 1011, 'a Close is answered with its code');
is($codes{'/none/none'}, 1000, '... or 1000');

$nginx->stop();
is(pass_log($nginx), '', 'nothing wrong in the log');

done_testing();
