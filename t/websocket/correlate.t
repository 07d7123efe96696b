
# gateway_websocket_correlate: many requests share a connection, and each gets
# what is its own.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayBackend;
use NgxGatewayHTTP2;
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewayWebSocketBackend;
use Time::HiRes qw( time sleep );

use Test::More;

my $backend = NgxGatewayWebSocketBackend->new(

    # {"id":..., "say":[...]}: sends these texts, as they are

    '/say' => sub {
        my ($c) = @_;

        $c->handshake();

        while (my $message = $c->read_message()) {
            my $object = JSON::PP::decode_json($message->{payload});

            for my $text (@{ $object->{say} }) {
                ref $text ? Time::HiRes::sleep($text->[0])
                          : utf8::encode($text);
                ref $text or $c->send_text($text);
            }
        }

        $c->mind(delete $c->{held}) if $c->{held};
    },

    # the handshake comes late

    '/slow' => sub {
        my ($c) = @_;

        Time::HiRes::sleep(0.15);
        $c->handshake();
        $c->echo();
    },

    '/never' => sub { $_[0]->drain() },
);

my $plain = NgxGatewayBackend->new(
    '/k' => [ [ sleep => 0.1 ],
              answer(200, 'ok', 'Content-Length' => 2) ],
    '/kept' => [ [ 'hang' ] ],
);

my $another = NgxGatewayWebSocketBackend->new();
my $to = '127.0.0.1:' . $backend->port();
my $there = '127.0.0.1:' . $another->port();
my $kept = '127.0.0.1:' . $plain->port();

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    upstream kept {
        server $kept;
        keepalive 8;
    }

    upstream next {
        server 127.0.0.1:1 max_fails=0;
        server $to backup;
    }

    upstream two {
        server $to;
        server $there;
    }

    log_format correlate '\$uri|\$status|\$gateway_websocket_messages_out'
                         '|\$gateway_websocket_messages_in'
                         '|\$upstream_addr';
_EOC_
    server => <<"_EOC_",
        access_log %DIR%/logs/correlate.log correlate;
        gateway_websocket_correlate id;
        gateway_websocket_read_timeout 20s;

        location /json {
            gateway_websocket_pass ws://$to/json?count=1;
        }

        # what is to be late

        location /late {
            gateway_websocket_read_timeout 400ms;
            gateway_websocket_pass ws://$to/json?count=1;
        }

        location /args/ {
            gateway_websocket_pass ws://$to/json/;
        }

        location /user {
            gateway_websocket_set_header X-User \$http_x_user;
            gateway_websocket_pass ws://$to/json?count=1;
        }

        location /say {
            gateway_websocket_pass ws://$to/say;
        }

        location /pointer {
            gateway_websocket_correlate /a~1b/1/id;
            gateway_websocket_pass ws://$to/say;
        }

        location /count {
            gateway_websocket_read_timeout 400ms;
            gateway_websocket_reply count=2;
            gateway_websocket_pass ws://$to/say;
        }

        location /until {
            gateway_websocket_reply until=/done=true;
            gateway_websocket_pass ws://$to/say;
        }

        location /idle {
            gateway_websocket_idle_timeout 200ms;
            gateway_websocket_pass ws://$to/json;
        }

        location /age {
            gateway_websocket_max_age 200ms;
            gateway_websocket_pass ws://$to/json?count=1;
        }

        location /ping {
            gateway_websocket_ping 100ms;
            gateway_websocket_pass ws://$to/deaf;
        }

        location /value {
            gateway_websocket_send '{"id":"\$arg_id","more":\$arg_more}';
            gateway_websocket_pass ws://$to/json?count=1;
        }

        location /slow {
            gateway_websocket_pass ws://$to/slow;
        }

        location /never {
            gateway_websocket_pass ws://$to/never;
        }

        location /mute {
            gateway_websocket_read_timeout 400ms;
            gateway_websocket_pass ws://$to/mute;
        }

        location /refuses {
            gateway_websocket_pass ws://$to/status;
        }

        location /down {
            gateway_websocket_pass ws://127.0.0.1:1;
        }

        location /next {
            gateway_websocket_pass ws://next/json?count=1;
        }

        location /two {
            gateway_websocket_pass ws://two/json?count=1;
        }

        location /deflate {
            gateway_websocket_deflate on;
            gateway_websocket_pass ws://$to/echo?deflate=1;
        }

        location /k {
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://kept;
        }

        location /kept {
            gateway_websocket_pass ws://kept/kept;
        }

        location = /whole {
            gateway_aggregate {
                part a /value?id=1&more=1;
                part b /value?id=2&more=2;
                part c /_down optional;
                part d /_down2 optional;
                part e /value?id=<a/id>&more=3;
            }
        }

        location = /required {
            gateway_aggregate {
                part a /_down;
                part b /_down2;
            }
        }

        location /_down {
            gateway_websocket_send '{"id":"1\$request_id"}';
            gateway_websocket_pass ws://127.0.0.1:1/down;
        }

        location /_down2 {
            gateway_websocket_send '{"id":"2\$request_id"}';
            gateway_websocket_pass ws://127.0.0.1:1/down;
        }

        location /status {
            stub_status;
        }
_EOC_
);

$nginx->start();

my $worker = pass_worker($nginx);

sub start {
    my (@request) = @_;

    my $client = NgxGatewayPass->new($nginx->port());

    return $client->send(@request);
}

sub post {
    my ($path, $body, @fields) = @_;

    my $answer = pass_ask($nginx, POST => $path, @fields, $body);
    my ($detail) = $answer->{body} =~ /"detail":"([^"]*)"/;

    return "$answer->{code} " . ($detail // $answer->{body});
}

# what is said, in JSON

sub say_it {
    my ($id, @texts) = @_;

    return JSON::PP->new->utf8->canonical->encode(
        { id => $id, say => \@texts });
}

my $LATE = '504 The service did not answer in time.';
my $CLOSED = '502 The service closed the connection before it had answered.';
my $OPEN = '502 No WebSocket to the service could be opened.';
my $TAKEN = '409 A request with the same id has not been answered yet.';
my $NOT = '400 The request has to be JSON with an id, a string or a number,'
          . ' to be answered by.';

# many at once, answered in another order, over one connection

my @clients;

for my $n (1 .. 100) {
    my $delay = $n % 5 ? (101 - $n) / 1000 : 0;

    push @clients, start(POST => '/json',
                         "{\"id\":$n,\"delay\":$delay,\"noise\":true}");
}

$_->read() for @clients;

is(join(' ', map { $_->{body} =~ /"id":(\d+)[,}]/ ? $1 : $_->{code} }
        @clients), join(' ', 1 .. 100), '100 at once, each has its own answer');

my %connections = map { ($_->{body} =~ /"connection":(\d+)/)[0] => 1 }
                  @clients;

is(scalar keys %connections, 1, 'of one connection');
is(scalar(my @all = $backend->connections()), 1, 'which is the only one');
is($clients[0]{headers}{'content-type'}, 'application/json', 'their type');

# others have connections of their own

$backend->forget();

for my $user ('a', 'b', 'a', '', 'b') {
    is(post('/user', '{"id":1}', 'X-User' => $user) =~ /\A200 \{"reply":/, 1,
       "a request of user \"$user\"");
}

is(scalar(@all = $backend->connections()), 3,
   'other fields of the handshake, other connections');

$backend->forget();
like(post("/args/$_", '{"id":1}'), qr/\A200 /) for qw( x y x );
is(scalar(@all = $backend->connections()), 2, 'likewise other URIs');

# what an id may be

for my $body ('', 'x', '{}', '[1]', '{"id":1', '{"id":null}', '{"id":true}',
              '{"id":{}}', '{"id":[1]}', '{"ID":1}', "{\"id\":\"\xff\"}",
              '{"id":1} x', '"id"')
{
    is(post('/json', $body), $NOT, "\"$body\" has none");
}

is(pass_ask($nginx, POST => '/json', 'Content-Type' =>
            'application/octet-stream', '{"id":1}')->{code}, 400,
   'nor have bytes');
is(pass_ask($nginx, GET => '/json')->{code}, 400, 'nor has no body');

my @ids = (
    '1' => [ '{"id":"1","x":0}', '{"id":1.0}', '{"id":10}', '{"id":1,"x":1}' ],
    'a' => [ '{"id":"b"}', '{"a":{"id":"a"}}', '["a"]', '"a"', 'a',
             '{"id":["a"]}', '{"id":"\\u0061","x":1}' ],
    "\x{e4}\"\\" => [ '{"id":"\\u00e4\\"\\\\","x":1}' ],
    '' => [ '{"id":" "}', '{"id":null}', '{"id":"","x":1}' ],
    '"1' => [ '{"id":1}', '{"id":"1"}', '{"id":"\\"1","x":1}' ],
);

while (my ($id, $texts) = splice @ids, 0, 2) {
    my $name = $id eq "\x{e4}\"\\" ? 'with escapes' : "\"$id\"";

    is(post('/say', say_it($id eq '1' ? 1 : $id, @$texts)),
       "200 $texts->[-1]", "an id $name");
}

is(post('/say', '{"id":"\\u0061\\/","say":["{\\"id\\":\\"a/\\",\\"x\\":1}"]}'),
   '200 {"id":"a/","x":1}', 'one that is sent with escapes');
is(post('/pointer', JSON::PP::encode_json({
       'a/b' => [ 0, { id => 7 } ],
       say => [ '{"id":7}', '{"a/b":[{"id":7},0]}',
                '{"a/b":[0,{"id":7}],"x":1}' ] })),
   '200 {"a/b":[0,{"id":7}],"x":1}', 'one that a pointer finds');
is(post('/say', say_it(5, '{"id":4}', '{"id":5,"x":1}', '{"id":5,"x":2}')),
   '200 {"id":5,"x":1}', 'the first one counts');

# what has come by then of the same connection is the other one, too

is(post('/say', say_it(6, '{"id":6}')), '200 {"id":6}', 'another id');
is(post('/say', say_it(5, '{"id":5,"x":3}')), '200 {"id":5,"x":3}',
   'and may be used again');

# several messages for one

is(post('/count', say_it(1, '{"id":1,"x":1}', '{"id":2}', '{"id":1,"x":2}',
                         '{"id":1,"x":3}')),
   "200 {\"id\":1,\"x\":1}\n{\"id\":1,\"x\":2}\n", 'two messages');
is(post('/until', say_it(1, '{"id":1,"x":1}', '{"id":2,"done":true}',
                         '{"id":1,"done":true}')),
   "200 {\"id\":1,\"x\":1}\n{\"id\":1,\"done\":true}\n", 'until');

# what came later has its own time

my $two = start(POST => '/count', say_it(1, [ 0.2 ], '{"id":1}'));

sleep 0.1;

my $start = time;

is(post('/count', say_it(2)), $LATE, 'a request behind one with two answers');
cmp_ok(time - $start, '<', 0.7, '... has its own time');
$two->read();
is($two->{code}, 504, 'and the other one, too');

# the same id

my $first = start(POST => '/json', '{"id":1,"delay":0.5}');

sleep 0.05;
is(post('/json', '{"id":1}'), $TAKEN, 'an id that is waited for');
is(post('/json', '{"id":"1"}') =~ /"id":"1"/, 1, 'a string is not a number');
$first->read();
is($first->{code}, 200, 'the first one is not disturbed');
like(post('/json', '{"id":1}'), qr/\A200 /, 'then it is free');

# asks again until the id is free

sub post_free {
    my ($path, $body) = @_;

    my $answer;

    $backend->wait(sub { ($answer = post($path, $body)) ne $TAKEN });

    return $answer;
}

is(post('/late', '{"id":"late","delay":1}'), $LATE, 'no answer in time');
is(post('/late', '{"id":"late","x":1}'), $TAKEN, 'which may come yet');
like(post('/late', '{"id":"other"}'), qr/\A200 .*"id":"other"/,
     'others are answered');
like(post_free('/late', '{"id":"late","x":2}'),
     qr/\A200 .*"id":"late","x":2\}\z/,
     'a late answer is nobody else\'s, and then the id is free');

$first = start(POST => '/late', '{"id":"left","delay":0.6}');
sleep 0.05;
$first->close();
sleep 0.05;
is(post('/late', '{"id":"left","x":1}'), $TAKEN,
   'the id of a client that has left');
like(post_free('/late', '{"id":"left","x":2}'), qr/"x":2\}\z/,
     '... likewise');

# every third is never answered

$backend->forget();
@clients = map { start(POST => '/late', "{\"id\":$_"
                       . ($_ % 3 ? '' : ',"skip":true') . '}') } 1 .. 100;
$_->read() for @clients;
is(join(' ', map { $_->{code} } @clients),
   join(' ', map { $_ % 3 ? 200 : 504 } 1 .. 100),
   '100, of which every third is never answered');
is(scalar(grep { $_->{code} == 200 } map { pass_ask($nginx, POST => '/late',
                                                    "{\"id\":$_}") }
          grep { $_ % 3 } 1 .. 9), 6, 'the connection is used still');
is(scalar(@all = $backend->connections()), 0, '... the same one');

# it is lost

for my $how ('die', 'reset', 'close') {
    my $value = $how eq 'close' ? 1001 : 'true';

    @clients = map { start(POST => '/json',
                           "{\"id\":\"$how$_\",\"skip\":true}") } 1 .. 5;
    sleep 0.05;
    is(post('/json', "{\"id\":0,\"$how\":$value}"), $CLOSED,
       "$how: the connection is lost");
    $_->read() for @clients;
    is(join(' ', map { $_->{code} } @clients), '502 502 502 502 502',
       '... for all');
    like(post('/json', "{\"id\":\"${how}1\"}"), qr/\A200 \{"reply":1,/,
         '... and opened again');
}

is(post('/ping', '{"id":1}'), '502 The connection to the service was lost.',
   'pings that are not answered');

# when it is opened

$backend->forget();
@clients = map { start(POST => '/slow', "{\"id\":$_}") } 1 .. 10;
$_->read() for @clients;
is(join(' ', map { $_->{body} } @clients),
   join(' ', map { "{\"id\":$_}" } 1 .. 10), 'all wait for it');
is(scalar(@all = $backend->connections()), 1, '... the one');

for my $leave ([ 0 ], [ 0, 1 ], [ 0 .. 9 ]) {
    $backend->forget();
    @clients = ();

    for my $n (1 .. 10) {
        push @clients, start(POST => '/never', "{\"id\":$n}");
        $backend->wait(sub { $backend->connections() }) if $n == 1;
    }

    sleep 0.05;

    # all at once, for the worker

    kill 'STOP', $worker;
    pass_wait(sub {
        open my $in, '<', "/proc/$worker/stat";
        <$in> =~ /\) T /;
    });
    $_->close() for @clients[@$leave];
    sleep 0.02;
    kill 'CONT', $worker;

    if (@$leave == 10) {
        ok($backend->wait(sub { $backend->open() == 0 }),
           'all that wait for it leave');
        $backend->forget();
    }

    my $client = start(POST => '/never', '{"id":11}');

    ok($backend->wait(sub { $backend->connections() >= (@$leave == 10 ? 1 : 2)
                            && $backend->open() == 1 }),
       @$leave . ' leave: the next one opens it');
    $_->close() for $client, @clients;
    $backend->wait(sub { $backend->open() == 0 });
}

@clients = map { start(POST => '/slow', "{\"id\":$_}") } 1 .. 4;
sleep 0.05;
$clients[0]->close();
$clients[2]->close();
$_->read() for @clients[1, 3];
is("$clients[1]{body} $clients[3]{body}", '{"id":2} {"id":4}',
   'the rest is answered');

for my $case ([ '/down', $OPEN ], [ '/refuses', $OPEN ],
              [ '/mute', '504 No WebSocket to the service could be opened in'
                         . ' time.' ])
{
    my ($path, $want) = @$case;

    @clients = map { start(POST => $path, "{\"id\":$_}") } 1 .. 5;
    $_->read() for @clients;

    my %codes = map { $_->{code} => 1 } @clients;

    like($want, qr/\A@{[ join '|', keys %codes ]} /, "$path: all fail");
    is(post($path, '{"id":1}'), $want, "$path: the next one tries again");
}

@clients = map { start(POST => '/next', "{\"id\":$_}") } 1 .. 5;
$_->read() for @clients;
is(join(' ', map { $_->{code} } @clients), '200 200 200 200 200',
   'another server')
    or diag(substr $nginx->error_log(), -4000);

$backend->forget();
@clients = map { start(POST => '/two', "{\"id\":$_,\"delay\":0.05}") } 1 .. 20;
$_->read() for @clients;
is(join(' ', map { $_->{body} =~ /"reply":(\d+)/ ? $1 : $_->{code} }
        @clients), join(' ', map { int(($_ + 1) / 2) } 1 .. 20),
   'two servers in turn');
is(scalar(@all = ($backend->connections(), $another->connections())), 2,
   '... with a connection to each');

# connections that an upstream keeps

@clients = map { start(GET => "/k") } 1 .. 4;
$_->read() for @clients;
is(join(' ', map { $_->{code} } @clients), '200 200 200 200',
   'kept connections');
@clients = ();

for my $n (1 .. 3) {
    push @clients, start(POST => '/kept', "{\"id\":$n}");
    sleep 0.02;
}

$clients[0]->close();
ok($backend->wait(sub { $plain->seen('/kept') >= 2 }),
   'are given back, and used by the next one');
$_->close() for @clients;
is(pass_ask($nginx, GET => '/status')->{code}, 200, 'the worker is there');

# it is closed

sub close_of {
    my ($path) = @_;

    my $c = $backend->last($path) // return;
    my ($close) = grep { $_->{opcode} == 8 } @{ $c->{frames} };

    return $close ? unpack 'n', $close->{payload} : undef;
}

$backend->forget();
like(post('/idle', '{"id":1}'), qr/\A200 /, 'a connection without use');
$start = time;
ok($backend->wait(sub { defined $backend->last('/json')->{end} }, 2),
   'is closed');
cmp_ok(time - $start, '>', 0.1, '... not at once');
cmp_ok(time - $start, '<', 1, '... in time');
is(close_of('/json'), 1000, '... with 1000');
like(post('/idle', '{"id":1}'), qr/\A200 \{"reply":1,/, '... and opened again');

my ($one) = post('/age', '{"id":1}') =~ /connection":(\d+)/;

$first = start(POST => '/age', '{"id":2,"delay":0.3}');
sleep 0.25;

my ($other) = post('/age', '{"id":2}') =~ /connection":(\d+)/;

isnt($other, $one, 'one that is too old gets no requests');
$first->read();
is($first->{code}, 200, '... and is there for those that it has');

# what is sent instead of a body

is(post('/value?id=x&more=1', 'no matter what') =~ s/"conn[^,]*,//r,
   '200 {"reply":1,"id":"x","more":1}', 'a value with an id');
is(pass_ask($nginx, GET => '/value?id=y&more=')->{code}, 400,
   'one that is not JSON');

$backend->forget();
is(post('/deflate', '{"id":1,"x":"' . 'a' x 500 . '"}'),
   '200 {"id":1,"x":"' . 'a' x 500 . '"}', 'deflate');

# parts of an aggregate, which share one

my $whole = pass_ask($nginx, GET => '/whole');

is($whole->{body} =~ s/"(?:reply|connection)":\d+,//gr,
   '{"a":{"id":"1","more":1},"b":{"id":"2","more":2},'
   . '"e":{"id":"1","more":3}}', 'an aggregate');

for (1 .. 5) {
    is(pass_ask($nginx, GET => '/required')->{code}, 502,
       'an aggregate whose required parts fail together');
}

# leaving in the middle

for my $n (1 .. 30) {
    my $client = start(POST => '/json', "{\"id\":\"leave$n\","
                                           . "\"delay\":0.001}");

    sleep 0.0005 * ($n % 5);
    $client->close();
}

sleep 0.1;
like(post('/json', '{"id":"still"}'), qr/\A200 .*"still"\}\z/,
     'clients that leave at any time');

# A query string is the client's, and each has a connection of its own

post("/args/?n=$_", "{\"id\":$_}") for 1 .. 70;

ok($backend->wait(sub { $backend->open() <= 64 }),
   'no more than 64 idle connections are kept');

$backend->forget();
post("/args/?n=$_", "{\"id\":$_}") for 60 .. 70;
is(scalar($backend->connections()), 0, '... the last ones');
post('/args/?n=1', '{"id":1}');
is(scalar($backend->connections()), 1, '... not the first one');

is(pass_worker($nginx), $worker, 'the worker is the same one');

my $log = $nginx->read_file('logs/correlate.log');

like($log, qr{^/json\|200\|1\|1\|\Q$to\E$}m, 'in the log: an answer');
like($log, qr{^/late\|504\|1\|0\|\Q$to\E$}m, 'in the log: none');

# HTTP/2

my $second = NgxGatewayNginx->new(
    http => $nginx->{http}, http2 => 1, server => $nginx->{server});

$second->start();
$backend->forget();

my $http2 = NgxGatewayHTTP2->new($second->port());
my @streams = $http2->send(map { [ POST => '/json', '' =>
                                   "{\"id\":$_,\"delay\":"
                                   . (101 - $_) / 1000 . '}' ] } 1 .. 100);
my @answers = $http2->answers(@streams);

is(join(' ', map { $_->{body} =~ /"id":(\d+)/ ? $1 : $_->{code} } @answers),
   join(' ', 1 .. 100), 'HTTP/2: 100 streams');
is(scalar(@all = $backend->connections()), 1, '... one connection');

$backend->forget();
@streams = $http2->send(map { [ POST => '/never', '' => "{\"id\":$_}" ] }
                        1 .. 10);
$backend->wait(sub { $backend->connections() });
$http2->reset($streams[0], $streams[1]);
ok($backend->wait(sub { $backend->connections() == 2 }),
   'HTTP/2: streams that are reset');
$http2->close();
ok($backend->wait(sub { $backend->open() == 0 }), 'HTTP/2: all at once');
$http2 = NgxGatewayHTTP2->new($second->port());
$http2->send([ POST => '/never', '' => '{"id":1}' ]);
ok($backend->wait(sub { $backend->open() == 1 }),
   '... and the next one opens it');
$http2->close();

$second->stop();
$nginx->stop();
ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');

for ($nginx, $second) {
    is(pass_log($_), '', 'nothing wrong in the log');
}

done_testing();
