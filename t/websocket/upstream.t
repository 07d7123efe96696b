
# Services that fail in each way that there is, before the WebSocket is open
# and after; others that are asked in their place; balancers; reloads.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewayWebSocketBackend;
use Time::HiRes qw( time sleep );

use Test::More;

my $refuse = sub {
    my ($code) = @_;

    return sub {
        my ($c) = @_;

        $c->send_raw("HTTP/1.1 $code X\r\nContent-Length: 0\r\n\r\n");
        $c->drain(2);
    };
};

my $backend = NgxGatewayWebSocketBackend->new(
    '/late' => sub {
        my ($c) = @_;

        $c->handshake();
        Time::HiRes::sleep(0.6);
        $c->send_text('late');
        $c->echo();
    },
);

my $bad = NgxGatewayWebSocketBackend->new(
    (map { +"/$_" => $refuse->($_) } qw( 403 404 429 500 502 503 504 418 )),
    '/wrong' => sub { $_[0]->handshake(accept => 'x' x 28);
                      $_[0]->drain(2) },
    '/lost' => sub { $_[0]->handshake(); $_[0]->read_message(0.05) },
);

my $good = NgxGatewayWebSocketBackend->new(
    '*' => sub { $_[0]->handshake(); $_[0]->send_text('good');
                 $_[0]->echo() },
    (map { my $name = $_; +"/$name" => sub {
        $_[0]->handshake(); $_[0]->send_text('good'); $_[0]->echo() } }
     qw( mute gone json )),
);

my ($to, $at, $there) = map { '127.0.0.1:' . $_->port() }
                        $backend, $bad, $good;

my %next = (
    default => '', off => 'off', error => 'error', timeout => 'timeout',
    invalid => 'invalid_header', non => 'error timeout non_idempotent',
    map { $_ => "http_$_" } qw( 403 404 429 500 502 503 504 ),
);

my %balancers = (
    plain => '', least => 'least_conn;', ip => 'ip_hash;',
    hash => 'hash $arg_n;', consistent => 'hash $arg_n consistent;',
    random => 'random;', two => 'random two least_conn;',
    zone => 'zone balancer 64k;', kept => 'keepalive 4;',
    all => 'least_conn; zone all 64k; keepalive 4;',
);

my $upstreams = join '', map { <<"_EOC_" } sort keys %balancers;
    upstream balance_$_ {
        $balancers{$_}
        server 127.0.0.1:1 max_fails=1 fail_timeout=60s;
        server $to max_conns=5;
        server 127.0.0.1:2 max_fails=1 fail_timeout=60s;
    }
_EOC_

my $locations = join '', (map { <<"_EOC_" } sort keys %next),
        location /next/$_/ {
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_next_upstream @{[ $next{$_} || 'error timeout' ]};
            gateway_websocket_pass ws://next/;
        }
_EOC_
    map { <<"_EOC_" } sort keys %balancers;
        location /balance/$_ {
            gateway_websocket_pass ws://balance_$_/json;
        }

        location /shared/$_ {
            gateway_websocket_correlate id;
            gateway_websocket_pass ws://balance_$_/json;
        }
_EOC_

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    upstream next {
        server $at max_fails=0;
        server $there max_fails=0 backup;
    }

    upstream down {
        server 127.0.0.1:1 max_fails=0;
        server $there max_fails=0 backup;
    }

    upstream none {
        server $to down;
    }

$upstreams
    log_format upstream '\$uri|\$status|\$upstream_addr|\$upstream_status';
_EOC_
    server => <<"_EOC_",
        access_log %DIR%/logs/upstream.log upstream;
        gateway_websocket_read_timeout 5s;
        gateway_websocket_connect_timeout 2s;

        location /one/ {
            gateway_websocket_pass ws://$to/;
        }

        location /late/ {
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_pass ws://$to/;
        }

        location /offer/ {
            gateway_websocket_protocols a b;
            gateway_websocket_pass ws://$to/;
        }

        location /late/offer/ {
            gateway_websocket_protocols a b;
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_pass ws://$to/;
        }

        location /deflate/ {
            gateway_websocket_deflate on;
            gateway_websocket_pass ws://$to/;
        }

        location /small/ {
            gateway_websocket_buffer_size 1k;
            gateway_websocket_pass ws://$to/;
        }

        location /sse/ {
            gateway_websocket_reply sse;
            gateway_websocket_pass ws://$to/;
        }

        location /down {
            gateway_websocket_pass ws://127.0.0.1:1;
        }

        location /one/down {
            gateway_websocket_pass ws://down;
        }

        location /none {
            gateway_websocket_pass ws://none;
        }

        location /tries/ {
            gateway_websocket_next_upstream_tries 1;
            gateway_websocket_pass ws://next/;
        }

        location /time/ {
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_next_upstream_timeout 100ms;
            gateway_websocket_pass ws://next/;
        }

        location /shared {
            gateway_websocket_correlate id;
            gateway_websocket_pass ws://$to/json;
        }

        location /sockets {
            stub_status;
        }

$locations
_EOC_
);

$nginx->start();

sub answer {
    my (@request) = @_;

    my $answer = pass_ask($nginx, @request);
    my ($detail) = $answer->{body} =~ /"detail":"([^"]*)"/;

    return "$answer->{code} " . ($detail // $answer->{body});
}

# Of a location with 200 ms for the service, which a machine that pauses may be
# without.

sub late_answer {
    my ($want, @request) = @_;

    my $answer;

    for (1 .. 5) {
        $answer = answer(@request);
        last if $answer eq $want;
    }

    return $answer;
}

my $OPEN = '502 No WebSocket to the service could be opened.';
my $LATE_OPEN = '504 No WebSocket to the service could be opened in time.';
my $CLOSED = '502 The service closed the connection before it had answered.';
my $BROKEN = '502 The service broke the rules of the WebSocket.';
my $LATE = '504 The service did not answer in time.';

my $worker = pass_worker($nginx);

is(late_answer($LATE, GET => '/late/echo'), $LATE, 'no answer');
ok($backend->wait(sub { $backend->open() == 0 }), 'which ends it');

my $sockets = pass_sockets($worker);

# each way to fail, and what the service is told

my @tests = (
    '/down' => $OPEN, undef,
    '/none' => $OPEN, undef,
    '/one/status?code=200' => $OPEN, undef,
    '/one/status?code=403&body=no' => $OPEN, undef,
    '/one/status?code=503' => $OPEN, undef,
    '/one/status?code=302' => $OPEN, undef,
    '/one/status?code=100' => $OPEN, undef,
    '/one/http' => $OPEN, undef,
    '/one/accept' => $OPEN, undef,
    '/one/accept?value=' => $OPEN, undef,
    '/one/protocol' => $OPEN, undef,
    '/offer/protocol' => $OPEN, undef,
    '/offer/protocol?name=a,%20b' => $OPEN, undef,
    '/one/extension' => $OPEN, undef,
    '/one/extension?value=permessage-deflate' => $OPEN, undef,
    '/deflate/extension' => $OPEN, undef,
    '/deflate/extension?value=permessage-deflate,%20permessage-deflate' =>
        $OPEN, undef,
    '/deflate/extension?value=permessage-deflate;%20server_max_window_bits=7'
        => $OPEN, undef,
    '/one/bare' => $OPEN, undef,
    '/one/bare?upgrade=websocket&connection=Upgrade' => $OPEN, undef,
    '/one/bare?upgrade=h2c&connection=Upgrade' => $OPEN, undef,
    '/one/before' => $OPEN, undef,
    '/late/mute' => $LATE_OPEN, undef,
    '/one/gone' => $OPEN, undef,
    '/one/gone?how=reset' => $OPEN, undef,
    '/one/die' => $CLOSED, undef,
    '/one/die?how=reset' => $CLOSED, undef,
    '/one/masked' => $BROKEN, 1002,
    '/one/raw?hex=8300' => $BROKEN, 1002,
    '/one/raw?hex=8b00' => $BROKEN, 1002,
    '/one/raw?hex=c100' => $BROKEN, 1002,
    '/one/raw?hex=9100' => $BROKEN, 1002,
    '/one/raw?hex=0900' => $BROKEN, 1002,
    '/one/raw?hex=8000' => $BROKEN, 1002,
    '/one/raw?hex=01000100' => $BROKEN, 1002,
    '/one/raw?hex=897e007e' => $BROKEN, 1002,
    '/one/raw?hex=817e0001' => $BROKEN, 1002,
    '/one/raw?hex=817fffffffffffffffff' => $BROKEN, 1002,
    '/one/raw?hex=8101ff' => $BROKEN, 1007,
    '/one/raw?hex=880103' => $BROKEN, 1002,
    '/one/raw?hex=88020001' => $BROKEN, 1002,
    '/one/raw?hex=880303e8ff' => $BROKEN, 1007,
    '/deflate/raw?hex=c10100&deflate=1' => "200 ", 1000,
    '/deflate/raw?hex=c103ffffff&deflate=1' => $BROKEN, 1007,
    '/late/silent' => $LATE, 1000,
    '/late/deaf' => $LATE, 1000,
    '/one/close' => $CLOSED, 1000,
    '/one/close?code=1013&reason=later' => $CLOSED, 1013,
    '/one/half' => $CLOSED, undef,
    '/one/close?keep=1' => $CLOSED, 1000,
    '/one/packet?n=1' => '200 {"n":1}', 1000,
    '/small/packet?n=300' => '200 {"n":1}', 1000,
    '/one/packet?n=1&text=' . 'x' x 500 => '200 ' . 'x' x 500, 1000,
    '/one/packet?n=1&then=eof' => '200 {"n":1}', undef,
    '/late/pings?n=5000' => $LATE, 1000,
    '/one/huge?size=65537' => $BROKEN, 1009,
    '/one/fragments?n=65537' => $BROKEN, 1009,
    '/one/fragments?n=50000' => '200 ' . 'x' x 50_000, 1000,
    '/one/messages?n=1&then=deaf' => '200 {"n":1}', 1000,
    '/one/messages?n=1&then=reset' => '200 {"n":1}', undef,
    '/late/offer/protocol?name=b' => $LATE, 1000,
    '/late/trickle' => $LATE, 1000,
);

my %want;

for (my $i = 0; $i < @tests; $i += 3) {
    my ($path, $want, $code) = @tests[$i .. $i + 2];
    my $answer = $path =~ m{^/late/} ? late_answer($want, GET => $path)
                                     : answer(GET => $path);

    is($answer, $want, substr $path, 0, 70);
    $want{ $path =~ s{\A(?:/late/offer|/\w+)}{}r } = [ $path, $code ] if $code;
}

is(answer(POST => '/one/trickle?post', 'abc'), '200 abc',
   'a handshake byte by byte');
$want{'/trickle?post'} = [ '/one/trickle?post', 1000 ];

is(answer(POST => '/one/die?each=1', 'abc'), $CLOSED,
   'one that dies when it is asked');

# none is left open, not even by those that never close

ok($backend->wait(sub { $backend->open() == 0 }, 4), 'no connection is left');
cmp_ok(pass_sockets($worker), '<=', $sockets, 'no socket, either');

my %last = map { ($_->{uri} // '') => $_ } $backend->connections();

for my $uri (sort keys %want) {
    my ($c, $want) = ($last{$uri}, $want{$uri});
    my ($close) = grep { $_->{opcode} == 8 } @{ $c->{frames} };

    is($close ? unpack 'n', $close->{payload} : undef, $want->[1],
       substr("$want->[0]: the service got $want->[1]", 0, 70));
}

my ($deaf) = grep { ($_->{uri} // '') =~ /then=deaf/ }
             $backend->connections();

cmp_ok($deaf->{ended} - $deaf->{frames}[-1]{time}, '>', 1.7,
       'one that never closes has two seconds for it');

# the next one

my @next = (
    error => gone => '200 good', timeout => mute => '200 good',
    default => gone => '200 good', default => mute => '200 good',
    error => mute => $LATE_OPEN, timeout => gone => $OPEN,
    off => gone => $OPEN, off => mute => $LATE_OPEN,
    invalid => wrong => '200 good', default => wrong => $OPEN,
    default => 503 => $OPEN, default => 418 => $OPEN,
    default => lost => $CLOSED,
    (map { ($_ => $_ => '200 good', off => $_ => $OPEN) }
     qw( 403 404 429 500 502 503 504 )),
);

while (my ($name, $path, $want) = splice @next, 0, 3) {
    is(late_answer($want, GET => "/next/$name/$path"), $want,
       "next: $name, $path");
}

is(answer(GET => '/one/down'), '200 good', 'next: nobody listens');
is(answer(POST => '/one/down', 'x'), '200 good', '... with a body');
is(answer(GET => '/tries/gone'), $OPEN, 'next: tries');
is(late_answer($LATE_OPEN, GET => '/time/mute'), $LATE_OPEN,
   'next: timeout');
is(late_answer('200 good', POST => '/next/non/gone', 'x'), '200 good',
   'next: non_idempotent');
is(late_answer('200 good', POST => '/next/non/mute', 'x'), '200 good',
   '... likewise');
ok(!$good->connections('/lost'), 'next: not once it was open');

my ($sent) = grep { @{ $_->{messages} } } $good->connections();

is($sent->{messages}[0]{payload}, 'x', 'the message goes to the next one');
is(scalar(grep { @{ $_->{messages} } } $bad->connections()), 0,
   '... alone');

my %keys = map { ($_->{head} =~ /Key: (\S+)/)[0] => 1 }
           $good->connections(), $bad->connections();

is(scalar keys %keys,
   $good->connections() + $bad->connections(), 'each has a key of its own');

like($nginx->read_file('logs/upstream.log'),
     qr{^/next/503/503\|200\|\Q$at\E, \Q$there\E\|503, 101$}m,
     'both are in the log');

# balancers; max_conns says whether peers are given back

for my $name (sort keys %balancers) {
    for my $kind (qw( balance shared )) {
        my @codes = map { answer(POST => "/$kind/$name?n=$_", "{\"id\":$_}")
                          =~ /\A200 \{"reply":\d+,"id":$_\}\z/ ? () : $_ }
                    1 .. 12;

        is("@codes", '', "$kind: $name");
    }
}

ok($backend->wait(sub {
    !grep { !defined $_->{end} && $_->{head} !~ /^Host: balance_/m }
    $backend->connections();
}), 'no connection is left');

# reload: streams end, answers that are waited for come, and shared
# connections are closed

$backend->forget();

my @streams = map { my $client = NgxGatewayPass->new($nginx->port());
                    $client->send(GET => "/sse/ticker?pause=0.05");
                    $client } 1 .. 5;

$_->read(qr/tick/) for @streams;

my ($late, $wait) = map { NgxGatewayPass->new($nginx->port()) } 1 .. 2;

is(answer(POST => '/shared', '{"id":0}'), '200 {"reply":1,"id":0}',
   'a shared connection');

$late->send(GET => '/one/late');
$wait->send(POST => '/shared', '{"id":1,"delay":0.18}');
$backend->wait(sub { $backend->connections('/late') });
sleep 0.05;

$nginx->{server} =~ s/read_timeout 5s;/$& gateway_websocket_drain 100ms;/;
ok($nginx->reload(), 'a reload');

$_->read() for @streams, $late, $wait;

is(join(' ', map { $_->{end} } @streams), 'whole ' x 4 . 'whole',
   'streams end');
is("$late->{code} $late->{body}", '200 late',
   'an answer that is waited for comes');
is("$wait->{code} $wait->{body}", '200 {"reply":2,"id":1,"delay":0.18}',
   '... also by a shared connection');

ok(pass_wait(sub { pass_worker($nginx) != $worker
                   && !-e "/proc/$worker/fd" || !kill 0, $worker }, 8),
   'the old worker ends');
is(answer(POST => '/shared', '{"id":0}'), '200 {"reply":1,"id":0}',
   'a new one has a connection of its own');

my @codes = map { my ($close) = grep { $_->{opcode} == 8 } @{ $_->{frames} };
                  $close ? unpack 'n', $close->{payload} : '-' }
            grep { $_->{path} eq '/ticker' } $backend->connections();

is("@codes", '1001 1001 1001 1001 1001', 'streams: 1001');

my ($shared) = $backend->connections('/json');
my ($close) = grep { $_->{opcode} == 8 } @{ $shared->{frames} };

is($close && unpack('n', $close->{payload}), 1001, 'shared: 1001');

$nginx->stop();
ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');
is(pass_log($nginx), '', 'nothing wrong in the log');

done_testing();
