#!/usr/bin/perl

# The service is asked before a WebSocket is accepted, and told when it has
# ended: once, last, and why.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayServeNginx;
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

my $slack = 5;

my $uri = '/service/told$is_args$args';

# A location that asks and tells the service at one URI, or at others.

sub told {
    my (%o) = @_;

    my %uris = (serve => $uri, connect => $uri, disconnect => $uri, %o);

    return join '', map { "gateway_websocket_$_ $uris{$_};\n" }
                    sort keys %uris;
}

my $gate = NgxGatewayServeNginx->new(
    http => <<'_EOC_',
    gateway_websocket_zone chat:1m;
    gateway_websocket_drain 200ms;
_EOC_
    locations => {
        zone => told(serve => "$uri zone=chat"),
        slow => told(connect => '/to/slow'),
        dead => told(connect => '/to/dead'),
        static => told(connect => '/to/static'),
        mourned => told(disconnect => '/to/dead'),
        lost => told(disconnect => '/nowhere'),
        only => 'gateway_websocket_disconnect /service/only;',
        asked => 'gateway_websocket_connect /service/asked?c=$arg_c; '
                 . 'gateway_websocket_serve /service/asked?m=$arg_c;',
        page => told() . 'error_page 401 =200 /to/page;',
        small => told() . 'gateway_websocket_max_message 10;',
        limit => told() . 'gateway_websocket_limit 1r/h burst=2;',
        age => told() . 'gateway_websocket_max_age 150ms;',
        idle => told() . 'gateway_websocket_idle_timeout 150ms;',
        expires => told() . 'gateway_websocket_expires $arg_until;',
        ping => told() . 'gateway_websocket_ping 80ms;',
        fails => told() . 'gateway_websocket_on_error close;',
        headers => told() . <<'_EOC_',
            gateway_websocket_set_header X-Set "$arg_user";
            gateway_websocket_set_header X-Gone "";
_EOC_
    },
    server => <<'_EOC_',
        location = /to/slow {
            internal;
            proxy_read_timeout 150ms;
            proxy_pass http://service/slow?never=1;
        }

        location = /to/dead {
            internal;
            proxy_pass http://127.0.0.1:%DEAD%;
        }

        location = /to/static {
            internal;
            return 200 "ignored";
        }

        location = /to/page {
            return 200 "a page\n";
        }

        location /push/ {
            gateway_websocket_push zone=chat;
        }

        location /inherited/ {
            gateway_websocket_connect /service/above;
            gateway_websocket_disconnect /service/above;

            location /inherited/same {
                gateway_websocket_serve /service/inherited;
            }

            location /inherited/off {
                gateway_websocket_connect off;
                gateway_websocket_disconnect off;
                gateway_websocket_serve /service/inherited;
            }
        }
_EOC_
);

my $service = $gate->service();
my $n = 0;

sub header {
    my ($request, $name) = @_;

    return $service->header($request, $name);
}

# A path of its own; what is asked for there.

sub fresh {
    my ($name, $args) = @_;

    my $query = join '&', 'n=' . ++$n, $args // ();

    return ("/$name?$query", "/told?$query");
}

sub encoded {
    my ($text) = @_;

    return $text =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


# What connect says

for my $status (200, 201, 202, 204) {
    my ($uri, $path) = fresh('told', "only=connect&status=$status");
    my $ws = $gate->try($uri);

    is($ws->status(), 101, "connect answered with $status");
    is($ws->verify(), undef, 'a good 101');
    $ws->send_text('a');
    is($ws->read_text(), 'a', 'and a message');

    my ($connect, $message) = $service->requests($path);

    is("$connect->{event} $connect->{method} '$connect->{body}' "
       . (header($connect, 'Content-Type') // 'no type') . ' '
       . (header($connect, 'Content-Length') // 'no length'),
       "connect POST '' no type "
       . (header($connect, 'Content-Length') // 'no length'),
       'what connect is');
    is(header($connect, 'Gateway-Close'), undef, 'without what is not yet');
    is($connect->{cid}, $message->{cid}, 'with the id of the messages');
}

{
    my ($uri) = fresh('told', 'only=connect&body=ignored&type=text/plain&'
                              . 'header=Set-Cookie:%20a=1&'
                              . 'header=Set-Cookie:%20b=2&header=X-Other:%201');
    my $ws = $gate->open($uri, more => ws_frame('text', 'm', mask => 'abcd'));

    is($ws->read_text(), 'm', 'the body of its answer is none of a message');
    is(join('|', $ws->headers('Set-Cookie')), 'a=1|b=2', 'Set-Cookie');
    is($ws->header('X-Other'), undef, 'no other field');
    is($ws->header('Content-Type'), undef, 'no type');
    is($ws->header('Content-Length'), undef, 'no length');
    is($ws->header('Transfer-Encoding'), undef, 'no coding');
}

for my $row ([ 400, 'Bad Request' ],
             [ 401, 'Unauthorized', 'WWW-Authenticate: Bearer realm="a"' ],
             [ 403, 'Forbidden', 'Set-Cookie: a=1' ],
             [ 404, 'Not Found' ],
             [ 302, 'Found', 'Location: https://a.example/login?a=b' ],
             [ 303, 'See Other', 'Location: /login' ],
             [ 307, 'Temporary Redirect', 'Location: /login' ],
             [ 429, 'Too Many Requests', 'Retry-After: 7' ],
             [ 500, 'Internal Server Error' ],
             [ 503, 'Service Unavailable', 'Retry-After: 9' ])
{
    my ($status, $title, $field) = @$row;
    my $args = "only=connect&status=$status&body=secret&header=X-Other:%201"
               . '&header=Gateway-Other:%201';

    $args .= '&header=' . encoded($field) if $field;

    my ($uri, $path) = fresh('told', $args);
    my $ws = $gate->try($uri);
    my $body = eval { JSON::PP::decode_json($ws->body()) } // {};

    is(join(' ', $ws->status(), $ws->header('Content-Type') // '',
            $body->{status} // '', $body->{title} // ''),
       "$status application/problem+json $status $title",
       "connect answered with $status");

    if ($field) {
        my ($name, $value) = split /: /, $field, 2;
        my $got = $ws->header($name);

        # nginx makes a Location absolute, unless it is told not to

        $got =~ s{^http://localhost(?::\d+)?}{} if $name eq 'Location';
        is($got, $value, $field);
    }

    is($ws->header($_), undef, "no $_") for qw( X-Other Gateway-Other Upgrade
                                                Sec-WebSocket-Accept );
    unlike($ws->body(), qr/secret/, 'nor what it says');
    $gate->idle($path, 1, 'there is no disconnect');
}

for my $row ([ 'slow', 504 ], [ 'dead', 502 ]) {
    my ($name, $status) = @$row;
    my ($uri, $path) = fresh($name);
    my $ws = $gate->try($uri);

    is($ws->status() . ' ' . ($ws->header('Content-Type') // ''),
       "$status application/problem+json", "connect: $name");
    $gate->idle($path, 0, 'there is no disconnect');
}

for my $args ('gone=1', 'reset=1', 'head=10', 'state=bad',
              'header=Sec-WebSocket-Protocol:%20none',
              'state=a=' . 'x' x 4096)
{
    my ($uri, $path) = fresh('told', "only=connect&$args");
    my $ws = $gate->try($uri);

    is($ws->status(), 502, 'connect: ' . substr $args, 0, 40);
    is($ws->header('Content-Type'), 'application/problem+json', 'a problem');
}

{
    my ($uri) = fresh('page', 'only=connect&status=401');
    my $ws = $gate->try($uri);

    is($ws->status() . ' ' . $ws->body(), "200 a page\n",
       'error_page of the location');

    ($uri) = fresh('told', 'only=connect&status=403');
    $ws = $gate->try($uri);
    delete @$ws{qw( body key )} if $ws->body();

    SKIP: {
        skip 'closed', 1 if ($ws->header('Connection') // '') =~ /close/i;

        $ws->{uri} = '/echo';
        $ws->send_raw($ws->request());
        $ws->read_head();
        is($ws->status(), 101, 'another handshake on the same connection');
    }
}

{
    my $ws = $gate->open('/static');

    $ws->send_text('a');
    is($ws->read_text(), 'a', 'connect is a static location');
}


# What connect and the others are told

{
    my ($uri, $path) = fresh('headers', 'user=me');
    my $ws = $gate->open($uri, origin => 'https://a.example', headers => [
        'Cookie' => 'a=1', 'X-Gone' => 1, 'Gateway-State' => 'admin=1',
        'Gateway-Connection-Id' => '1' x 32, 'User-Agent' => 'test',
        'Content-Type' => 'text/x' ]);

    $ws->send_text('a');
    $ws->read_text();
    $ws->send_close(1000);
    is($gate->events($path, 3), 'connect message:a disconnect:1000',
       'three events');

    my @all = $service->requests($path);

    for my $request (@all) {
        is(join(' ', map { header($request, $_) // '-' }
                     qw( X-Set X-Gone Cookie Origin User-Agent Gateway-State
                         Upgrade Connection Sec-WebSocket-Key
                         Sec-WebSocket-Version )),
           'me - a=1 https://a.example test - - - - -',
           "fields of $request->{event}");
        is($request->{body}, $request->{event} eq 'message' ? 'a' : '',
           'and its body');
        is(header($request, 'Content-Type'),
           $request->{event} eq 'message' ? 'text/plain; charset=utf-8' : undef,
           'and type');
    }

    is(scalar(keys %{ { map { $_->{cid} => 1 } @all } }), 1, 'one id');
}

{
    my $ws = $gate->open('/asked?c=1');

    $ws->send_text('a');
    $ws->read_text();
    is(join(' ', map { "$_->{event}:$_->{args}" }
                 $service->requests('/asked')), 'connect:c=1 message:m=1',
       'URIs of their own');

    $ws = $gate->open('/inherited/same');
    $ws->send_close(1000);
    is($gate->events('/above', 2), 'connect disconnect:1000', 'inherited');
    $ws = $gate->open('/inherited/off');
    $ws->send_close(1000);
    $ws->read_close();
    $gate->idle('/above', 2, 'and off');
}


# State and groups

{
    my ($uri, $path) = fresh('told', 'only=connect&state=user=me&state=b=2');
    my $ws = $gate->open($uri);

    $ws->send_text('!status=204&state=b=&state=c=3');
    $ws->send_text('a');
    $ws->read_text();
    $ws->send_close(1000);
    $service->waited($path, 4);
    is(join(' | ', map { header($_, 'Gateway-State') // '-' }
                   $service->requests($path)),
       '- | user=me; b=2 | user=me; c=3 | user=me; c=3',
       'state of connect, changed by a message, told to disconnect');
}

{
    my ($uri, $path) = fresh('zone', 'only=connect&groups=room.1,all,x&'
                                     . 'groups=-x,y');
    my $ws = $gate->open($uri);
    my $id = $service->last($path)->{cid};

    my $groups = sub {
        my $answer = $gate->nginx()->request("GET /push/$id");
        my $said = eval { JSON::PP::decode_json($answer->{body}) } // {};

        return $answer->{code} != 200 ? $answer->{code}
               : join ' ', sort @{ $said->{groups} };
    };

    is($groups->(), 'all room.1 y', 'groups of connect');
    $ws->send_text('!type=text/plain&body=b&groups=-*,new&groups=a');
    is($ws->read_text(), 'b', 'an answer with groups');
    is($groups->(), 'a new', 'left, and others entered');
    $ws->send_text('!status=404&body=b&type=text/plain&groups=of-a-failure');
    like($ws->read_text(), qr/404/, 'a failure with groups');
    is($groups->(), 'a new of-a-failure', 'which counts');

    for my $value ('a%20b', 'a,%2c%2f', 'x' x 65, '-', '%c3%a4', 'a+b',
                   join(',', map { "g$_" } 1 .. 62))
    {
        $ws->send_text("!type=text/plain&body=b&groups=$value");
        is($ws->read_text(), '{"error":{"status":502,"title":"Bad Gateway"}}',
           'groups ' . substr $value, 0, 20);
        is($groups->(), 'a new of-a-failure', 'stay as they were');
    }

    $ws->send_text('!type=text/plain&body=b&groups=' . 'x' x 64 . ','
                   . join ',', map { "g$_" } 1 .. 60);
    is($ws->read_text(), 'b', 'the 64 that are possible');
    is(scalar(split / /, $groups->()), 64, 'are');

    $ws->send_close(1000);
    $ws->read_close();
    $service->waited($path, 12);
    is($groups->(), 410, 'a connection that has ended');
}

{
    my ($uri, $path) = fresh('told', 'only=connect&close=4001%20no');
    my $ws = $gate->open($uri);

    is($gate->closes($ws), '4001 no', 'Gateway-Close of connect');
    is($gate->events($path, 2), 'connect disconnect:4001 no', 'and disconnect');
}


{
    my ($uri) = fresh('told', 'only=connect&close=1005');
    my $ws = $gate->open($uri);

    $ws->send_text('a');
    is($ws->read_text(), 'a', 'one that may not be sent is passed over');
}


# Who leaves while connect is asked

{
    my ($uri, $path) = fresh('told', 'only=connect&hold=c1');
    my $ws = NgxGatewayWebSocket->plain($gate->port(), uri => $uri);

    $ws->send_raw($ws->request());
    $service->waited($path, 1);
    $ws->abort();
    sleep 0.05;
    $service->release('c1');

    # it is told, unless it has seen by itself that nobody waits

    ok($service->wait(sub {
        my @all = $service->requests($path);

        return $all[0]{gone} || $all[-1]{event} eq 'disconnect';
    }), 'a client that leaves while connect is asked');

    my @all = $service->requests($path);

    is(header($all[-1], 'Gateway-Close'), $all[0]{gone} ? undef : '1006',
       'and what the service is told');
    $gate->idle($path, $all[0]{gone} ? 1 : 2, 'once');
}

{
    my ($uri, $path) = fresh('told', 'only=connect&hold=c2');
    my $ws = NgxGatewayWebSocket->plain($gate->port(), uri => $uri);

    $ws->send_raw($ws->request());
    $service->waited($path, 1);
    is($ws->read_raw(1, 0.05), '', 'there is no 101 before its answer');
    $service->release('c2');
    $ws->read_head();
    is($ws->status(), 101, 'then there is');
    $ws->send_text('a');
    is($ws->read_text(), 'a', 'and a message');
}


# Why it has ended

sub ended {
    my ($name, $uri, $path, $want) = @_;

    my $got = $service->wait(sub {
        my ($last) = reverse $service->requests($path);

        return $last && $last->{event} eq 'disconnect'
               && header($last, 'Gateway-Close');
    });

    is($got, $want, "disconnect: $name");

    push @{ our $once }, [ $name, $path ];

    return;
}

for my $row ([ 'a Close', sub { $_[0]->send_close(1000, 'bye') },
               '1000 bye' ],
             [ 'a Close of another code', sub { $_[0]->send_close(4711) },
               '4711' ],
             [ 'a Close with UTF-8',
               sub { $_[0]->send_close(1001, "\xc3\xa4") },
               "1001 \xc3\xa4" ],
             [ 'a Close without a code', sub { $_[0]->send_close() }, '1005' ],
             [ 'no Close', sub { $_[0]->disconnect() }, '1006' ],
             [ 'a shutdown', sub { $_[0]->shutdown() }, '1006' ],
             [ 'a reset', sub { $_[0]->abort() }, '1006' ],
             [ 'a broken rule', sub {
                   $_[0]->send_raw("\xff\xff");
                   $_[0]->read_frame();
                   $_[0]->disconnect();
               }, '1002 reserved opcode' ],
             [ 'bad text', sub {
                   $_[0]->send_text("\xff");
                   $_[0]->read_frame();
                   $_[0]->disconnect();
               }, qr/^1007 \S/ ],
             [ 'half a frame', sub {
                   $_[0]->send_raw(substr $_[0]->frame('text', 'abc'), 0, 7);
                   $_[0]->disconnect();
               }, '1006' ])
{
    my ($name, $sub, $want) = @$row;
    my ($uri, $path) = fresh('told');
    my $ws = $gate->open($uri);

    $ws->send_text('a');
    $ws->read_text();
    $sub->($ws);

    my $got = $service->wait(sub {
        header($service->last($path), 'Gateway-Close')
    });

    ref $want ? like($got, $want, "disconnect: $name")
              : is($got, $want, "disconnect: $name");
    push @{ our $once }, [ $name, $path ];
}

{
    # a reason with a line break in it has no place in a field

    my ($uri, $path) = fresh('told');
    my $ws = $gate->open($uri);

    $ws->send_close(1000, "a\r\nGateway-State: admin=1\0\t\x7f");
    $service->waited($path, 2);

    my $last = $service->last($path);

    like(header($last, 'Gateway-Close') // '', qr/\A1000(?: [^\r\n]*)?\z/,
         'a reason with a line break');
    is(header($last, 'Gateway-State'), undef, 'is not another field');
    is(scalar(() = $last->{head} =~ /\r\n/g),
       scalar(() = $last->{head} =~ /^[A-Za-z-]+: [^\r\n\0]*\r$/mg) + 1,
       'each line is one');
}

{
    my %row = map {
        my ($uri, $path) = fresh($_);

        ($_ => { uri => $uri, path => $path, ws => $gate->open($uri) });
    } qw( age idle ping limit small fails );

    # its time may be over before it is asked for

    attempts(sub {
        my $until = sprintf '%.3f', time + 0.25;
        my ($uri, $path) = fresh('expires', "until=$until");

        $row{expires} = { uri => $uri, path => $path,
                          ws => $gate->try($uri) };
        return $row{expires}{ws}->status() == 101;
    });

    $row{limit}{ws}->send_text('a') for 1 .. 3;
    $row{small}{ws}->send_text('x' x 11);
    $row{fails}{ws}->send_text('!status=500');
    $row{ping}{ws}{deaf} = 1;

    my %want = (age => '1001 open for too long', idle => '1001 no messages',
                ping => '1001 no answer to a ping',
                expires => '1008 time has run out',
                limit => '1008 more messages than are allowed',
                small => '1009 message beyond gateway_websocket_max_message',
                fails => undef);

    for my $name (qw( limit small fails age idle ping expires )) {
        my ($uri, $path, $ws) = @{ $row{$name} }{qw( uri path ws )};
        my $said = $gate->closes($ws);
        my $want = $want{$name} // $said;

        is($said, $want, "Close: $name");
        ended($name, $uri, $path, $want);
    }

    like($row{fails}{ws}->end(), qr/eof/, 'the end');
}

{
    # who does not answer the gateway's Close is told of all the same

    my ($uri, $path) = fresh('small');
    my $ws = $gate->open($uri);

    $ws->send_text('x' x 11);
    is($ws->read_frame()->{opcode}, 8, 'a Close');
    $ws->abort();
    ended('a Close that is not answered', $uri, $path,
          '1009 message beyond gateway_websocket_max_message');

    # the answer to it may have another code

    ($uri, $path) = fresh('small');
    $ws = $gate->open($uri);
    $ws->send_text('x' x 11);
    $ws->read_frame();
    $ws->send_close(4000, 'mine');
    ended('the first code counts', $uri, $path,
          '1009 message beyond gateway_websocket_max_message');
}

for my $name (qw( mourned lost )) {
    my ($uri, $path) = fresh($name);
    my $ws = $gate->open($uri);

    $ws->send_text('a');
    is($ws->read_text(), 'a', "$name: a disconnect that fails");
    $ws->send_close(1000);
    is($ws->read_close()->{end}, 'eof', "$name: is none of the client's");
}

{
    my $ws = $gate->open('/only?a');

    $ws->send_close(1000);
    is($gate->events('/only', 1), 'disconnect:1000', 'without connect');
}


# Reload: all are closed, and told of by the worker that ends

{
    my @rows = map {
        my ($uri, $path) = fresh('told');

        { path => $path, ws => $gate->open($uri) };
    } 1 .. 10;

    # one has a message with the service

    $rows[3]{ws}->send_text('!hold=reload');
    $service->waited($rows[3]{path}, 2);

    # and one is being connected

    my ($uri, $path) = fresh('told', 'only=connect&hold=late');
    my $late = NgxGatewayWebSocket->plain($gate->port(), uri => $uri);

    $late->send_raw($late->request());
    $service->waited($path, 1);

    my $worker = $gate->worker();

    ok($gate->nginx()->reload(), 'a reload');

    is(join(' ', map { $gate->closes($_->{ws}) eq '1001 server shutdown'
                       ? () : 'other' } @rows), '',
       'all get 1001');

    for my $row (grep { $_ != $rows[3] } @rows) {
        ended('reload', undef, $row->{path}, '1001 server shutdown');
    }

    $gate->idle($rows[3]{path}, 2, 'one waits for its message');
    $service->release('reload');
    ended('a reload with a message', undef, $rows[3]{path},
          '1001 server shutdown');

    $service->release('late');
    $late->read_head();

    if ($late->status() == 101) {
        is($gate->closes($late), '1001 server shutdown',
           'connected while it ends');
        ended('connected while it ends', undef, $path,
              '1001 server shutdown');

    } else {
        is($late->status(), 503, 'not connected while it ends');
        ok(1);
    }

    ok($gate->nginx()->wait(sub { !kill 0, $worker }, 4 + $slack),
       'the old worker ends');
    unlike($gate->nginx()->error_log(), qr/open socket .* left in connection/,
           'with all its connections');

    my ($new, $told) = fresh('told');
    my $ws = $gate->open($new);

    $ws->send_text('new');
    is($ws->read_text(), 'new', 'a new one');
}

sleep 0.05;

for my $row (@{ our $once }) {
    my ($name, $path) = @$row;

    is(join(' ', grep { !/^(?:connect|message)$/ } map { $_->{event} }
                 $service->requests($path)), 'disconnect', "once: $name");
}

$gate->finish();

done_testing();
