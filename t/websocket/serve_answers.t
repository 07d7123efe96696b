#!/usr/bin/perl

# What the answers of an HTTP service become for a client whose WebSocket it
# serves: messages, errors, state, a Close; and answers that nobody waits for.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayServeNginx;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

# "auto/build" can build one module alone

my $modules = $ENV{TEST_NGINX_LOAD_MODULES} // '';
my $aggregate = $modules eq '' || $modules =~ /gateway_aggregate/;

my $gate = NgxGatewayServeNginx->new(
    http => <<'_EOC_',
    limit_req_zone $server_port zone=delayed:1m rate=20r/s;
    proxy_cache_path %DIR%/cache keys_zone=cache:1m;

    upstream half {
        server 127.0.0.1:%DEAD%;
        server 127.0.0.1:%SERVICE%;
    }
_EOC_
    locations => {
        small => 'gateway_websocket_max_reply 1000;',
        closes => 'gateway_websocket_on_error close;',
        dead => 'gateway_websocket_serve /to/dead;',
        deadcloses => 'gateway_websocket_serve /to/dead; '
                      . 'gateway_websocket_on_error close;',
        slow => 'gateway_websocket_serve /to/slow;',
        half => 'gateway_websocket_serve /to/half;',
        cached => 'gateway_websocket_serve /to/cached;',
        static => 'gateway_websocket_serve /to/static;',
        empty => 'gateway_websocket_serve /to/empty;',
        json => 'gateway_websocket_serve /to/json;',
        none => 'gateway_websocket_serve /nowhere/at/all;',
        file => 'gateway_websocket_serve /to/file;',
        page => 'gateway_websocket_serve /to/page;',
        rewritten => 'gateway_websocket_serve /rewritten/a?b=c;',
        unbuffered => 'gateway_websocket_serve /to/unbuffered;',
        filters => 'gateway_websocket_serve /to/filters;',
        delayed => 'gateway_websocket_serve /to/delayed; '
                   . 'gateway_websocket_concurrency 2;',
        lingers => 'gateway_websocket_serve /to/lingers; '
                   . 'lingering_close always;',
        pass => 'gateway_websocket_serve /to/pass;',
        $aggregate ? (whole => 'gateway_websocket_serve /to/whole;') : (),
        queue => <<'_EOC_',
            gateway_websocket_disconnect /service/queue$is_args$args;
_EOC_
        parallel => <<'_EOC_',
            gateway_websocket_concurrency 8;
            gateway_websocket_disconnect /service/parallel$is_args$args;
_EOC_
    },
    server => <<'_EOC_' . ($aggregate ? <<'_WHOLE_' : ''),
        location = /to/dead {
            internal;
            proxy_pass http://127.0.0.1:%DEAD%;
        }

        location = /to/slow {
            internal;
            proxy_read_timeout 150ms;
            proxy_pass http://service/slow;
        }

        location = /to/half {
            internal;
            proxy_pass http://half/half;
        }

        location = /to/cached {
            internal;
            proxy_cache cache;
            proxy_cache_methods POST;
            proxy_cache_key $request_body;
            proxy_cache_valid 1m;
            proxy_pass http://service/cached;
        }

        location = /to/static {
            internal;
            return 200 "static text";
        }

        location = /to/empty {
            internal;
            return 204;
        }

        location = /to/json {
            internal;
            default_type application/json;
            return 200 '{"uri":"$uri"}';
        }

        location = /to/file {
            internal;
            default_type text/plain;
            alias %DIR%/file;
            error_page 405 =200 $uri;
        }

        location = /to/page {
            internal;
            proxy_intercept_errors on;
            error_page 500 503 =200 /to/sorry;
            error_page 501 /to/sorry;
            proxy_pass http://service/page;
        }

        location = /to/sorry {
            internal;
            return 200 "sorry";
        }

        location /rewritten/ {
            internal;
            rewrite ^/rewritten/(.*) /service/new/$1 last;
        }

        location = /to/unbuffered {
            internal;
            proxy_buffering off;
            proxy_pass http://service/unbuffered;
        }

        location = /to/filters {
            internal;
            gzip on;
            gzip_types *;
            gzip_min_length 1;
            add_header X-A b;
            proxy_pass http://service/filters;
        }

        location = /to/pass {
            internal;
            gateway_websocket_pass ws://127.0.0.1:%PORT%/echo;
        }

        location = /to/delayed {
            internal;
            limit_req zone=delayed burst=10;
            proxy_pass http://service/delayed;
        }

        location = /to/lingers {
            internal;
            lingering_close always;
            lingering_time 5s;
            proxy_pass http://service/lingers;
        }
_EOC_
        location = /to/whole {
            internal;

            gateway_aggregate_methods POST;

            gateway_aggregate {
                part a /service/part?body=1&type=application/json;
                part b /service/part?body=2&type=application/json;
            }
        }
_WHOLE_
);

my $service = $gate->service();
my $n = 0;

$gate->nginx()->write_file('file', 'of a file');

# What is said to a message: "text:a", "binary:a", "error:404 Not Found",
# "close:1000 bye", or "nothing", when a further message is answered first.

sub said {
    my ($ws, $message) = @_;

    $ws->send_text($message);
    $ws->send_text('!type=text/plain&body=--') if !$ws->{alone};

    return got($ws);
}

sub got {
    my ($ws) = @_;

    my @got;

    while (my $message = $ws->read_message()) {
        my $text = $message->{payload};

        return join ' ', @got ? @got : 'nothing' if $text eq '--';

        push @got, $message->{opcode} == 2 ? "binary:$text"
             : $text =~ /\A\{"error":\{"status":(\d+),"title":"([^"]+)"
                         (?:,"body":(.*))?\}\}\z/sx
             ? "error:$1 $2" . (defined $3 ? " $3" : '') : "text:$text";
        return join ' ', @got if $ws->{alone};
    }

    my $close = $ws->{held} ? $gate->closes($ws) : $ws->end();

    return join ' ', @got, "close:$close";
}

my $ws = $gate->open('/echo');


# Statuses

for my $row ([ 200, 'text:b' ], [ 201, 'text:b' ], [ 202, 'text:b' ],
             [ 203, 'text:b' ], [ 299, 'text:b' ],
             [ 206, 'text:b' ],
             [ 204, 'nothing' ], [ 205, 'text:b' ],
             [ 301, 'error:301 Moved Permanently' ],
             [ 302, 'error:302 Found' ],
             [ 304, 'error:304 Not Modified' ],
             [ 400, 'error:400 Bad Request' ],
             [ 401, 'error:401 Unauthorized' ],
             [ 403, 'error:403 Forbidden' ], [ 404, 'error:404 Not Found' ],
             [ 408, 'error:408 Request Timeout' ],
             [ 413, qr/^error:413 (?:Content|Payload|Request Entity) Too/ ],
             [ 429, 'error:429 Too Many Requests' ],
             [ 500, 'error:500 Internal Server Error' ],
             [ 502, 'error:502 Bad Gateway' ],
             [ 503, 'error:503 Service Unavailable' ],
             [ 504, 'error:504 Gateway Timeout' ])
{
    my ($status, $want) = @$row;
    my $got = said($ws, "!status=$status&body=b&type=text/plain");

    ref $want ? like($got, $want, "status $status")
              : is($got, $want, "status $status");
}

# a status without a name of its own has one all the same

like(said($ws, "!status=$_&body=b"), qr/^error:$_ \S/, "status $_")
    for 418, 499, 599;

# what a 4xx says is passed on when it is JSON

for my $row ([ '404', '{"a":[1]}', ' {"a":[1]}' ], [ '422', ' "a"', ' "a"' ],
             [ '400', '{"a":1', '' ], [ '400', '', '' ],
             [ '400', '1', ' 1' ],
             [ '500', '{"a":1}', '' ], [ '302', '{"a":1}', '' ])
{
    my ($status, $body, $want) = @$row;

    for my $type (qw( application/json application/problem+json )) {
        my $got = said($ws, "!status=$status&type=$type&body="
                            . encoded($body));

        $got =~ s/^(error:$status) [^{"1]*?(?= [{"1]|$)/$1/;
        is($got =~ s/  +/ /r, "error:$status$want", "$status with \"$body\"");
    }
}

sub sorted {
    my ($state) = @_;

    return join '; ', sort split /; /, $state;
}

sub encoded {
    my ($text) = @_;

    return $text =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}

is(said($ws, '!status=404&type=application/json&hex=22ff22'),
   'error:404 Not Found', 'JSON that is not UTF-8');
is(said($ws, '!body=b&type=text/plain'), 'text:b', 'it goes on after errors');


# Content types

for my $row (
    (map { [ $_, 'text' ] }
     'text/plain', 'text/html; charset=utf-8', 'TEXT/Plain', 'text/x-anything',
     'application/json', 'Application/JSON;charset=utf-8', 'application/a+json',
     'application/problem+json; a=b', 'application/xml', 'image/svg+xml',
     'application/javascript', 'text/javascript',
     'application/x-www-form-urlencoded', ''),
    (map { [ $_, 'binary' ] }
     'application/octet-stream', 'image/png', 'application/cbor',
     'application/jsonx', 'application/msgpack', 'texts/plain', 'audio/json-x'))
{
    my ($type, $want) = @$row;

    is(said($ws, '!body=b&type=' . encoded($type)), "$want:b",
       "type \"$type\"");
}

is(said($ws, '!hex=c3a4&type=text/plain'), "text:\xc3\xa4", 'UTF-8');
is(said($ws, '!hex=c3&type=text/plain'), 'error:502 Bad Gateway',
   'text that is not UTF-8');
is(said($ws, '!hex=22ff22&type=application/json'), 'error:502 Bad Gateway',
   'JSON that is not UTF-8');
is(said($ws, '!hex=ff00&type='), "binary:\xff\0",
   'not UTF-8, and of no type');
is(said($ws, '!hex=ff00&type=application/x-www-form-urlencoded'),
   "binary:\xff\0", 'not UTF-8, of the type that curl gives everything');
is(said($ws, '!body=&type=text/plain'), 'nothing', 'an empty body');


# Forms of an answer

for my $args ('chunked=1', 'chunked=1&chunk=1', 'length=', 'version=1.0',
              'version=1.0&length=', 'shut=1', 'chunked=1&shut=1',
              'delay=0.03')
{
    is(said($ws, "!type=text/plain&body=abcdefghijklmn&$args"),
       'text:abcdefghijklmn', $args);
}

is(said($ws, '!type=text/plain&chunked=1&body='), 'nothing',
   'an empty body in chunks');
is(said($ws, '!type=text/plain&length=&body='), 'nothing',
   'an empty body without a length');

for my $size (4095, 4096, 65536, 100_000) {
    is(length said($ws, "!type=text/plain&size=$size"), $size + 5,
       "$size bytes");
    is(length said($ws, "!type=text/plain&size=$size&chunked=1&chunk=10000"),
       $size + 5, "$size bytes in chunks");
}

my $bad = 'error:502 Bad Gateway';

is(said($ws, "!type=text/plain&body=abcdef&$_"), $bad, $_)
    for 'length=20', 'cut=3', 'cut=0', 'cut=3&reset=1', 'chunked=1&cut=5',
        'chunked=1&open=1', 'head=10', 'head=40', 'gone=1', 'reset=1', 'gzip=1',
        'gzip=1&status=201', 'raw=nonsense%0d%0a%0d%0a&shut=1',
        'header=Content-Encoding:%20br', 'length=90000&size=70000',
        'chunked=1&open=1&size=70000&chunk=5000';

is(said($ws, '!header=Content-Encoding:%20identity&body=a&type=text/plain'),
   'text:a', 'Content-Encoding: identity is none');
is(said($ws, '!status=204&gzip=1'), 'nothing', 'nothing, compressed');

for my $more ('', '&chunked=1', '&length=', '&chunked=1&chunk=1000') {
    my $small = $gate->open('/small');

    is(said($small, "!type=text/plain&size=1000$more"), 'text:' . 'x' x 1000,
       "max_reply is reached: $more");
    is(said($small, "!type=text/plain&size=1001$more"), $bad,
       "a byte more: $more");
    is(said($small, "!type=text/plain&size=3000000$more"), $bad,
       "much more: $more") if $more !~ /chunk/;
    is(said($small, '!type=text/plain&body=b'), 'text:b', 'it goes on');
}

is(said($ws, '!type=text/plain&size=1048576'), 'text:' . 'x' x 1048576,
   'a megabyte, the default');
is(said($ws, '!type=text/plain&size=1048577'), $bad, 'more');


# Services that are not there, or are not proxied

{
    my $other = $gate->open('/dead');

    $other->{alone} = 1;
    is(said($other, 'a'), $bad, 'a service that is dead');

    $other = $gate->open('/slow');

    my $start = time;

    is(said($other, '!never=1'), 'error:504 Gateway Timeout',
       'proxy_read_timeout');
    cmp_ok(time - $start, '<', 5, 'in time');

    $other = $gate->open('/half');
    is(said($other, '!type=text/plain&body=' . $_), "text:$_",
       "proxy_next_upstream: $_") for 1 .. 3;

    $other = $gate->open('/cached');

    for my $row ([ 'a', 1 ], [ 'a', 1 ], [ 'b', 2 ], [ 'a', 2 ], [ 'b', 2 ]) {
        my ($name, $count) = @$row;

        $other->{alone} = 1;
        is(said($other, "!type=text/plain&header=Cache-Control:%20max-age=9"
                        . "&state=s=$name&body=$name"),
           "text:$name", "proxy_cache: $name");
        is(scalar $service->requests('/cached'), $count,
           "proxy_cache: asked $count times");
    }

    for my $row ([ 'static', 'text:static text' ],
                 [ 'json', 'text:{"uri":"/to/json"}' ],
                 [ 'none', 'error:404 Not Found' ])
    {
        my ($name, $want) = @$row;

        $other = $gate->open("/$name");
        $other->{alone} = 1;
        is(said($other, 'a'), $want, $name);
        is(said($other, 'a'), $want, "$name, again");
    }

    $other = $gate->open('/empty');
    $other->send_text('a');
    is($other->read_frame(0.05), undef, 'return 204');

    $other = $gate->open('/file');
    $other->{alone} = 1;
    like(said($other, 'a'), qr/^(?:text:of a file|error:405 )/, 'a file');

    $other = $gate->open('/page');
    is(said($other, "!status=$_&body=no"), 'text:sorry',
       "error_page $_ with another status") for 500, 503;
    is(said($other, '!status=501&body=no'), 'error:501 Not Implemented',
       'error_page with its own');
    is(said($other, '!status=404&body=no'), 'error:404 Not Found',
       'no error_page');

    $other = $gate->open('/rewritten');
    is(said($other, '!type=text/plain&body=r'), 'text:r', 'rewrite');
    is(($service->requests('/new/a'))[0]{uri}, '/new/a?b=c', 'to where');

    $other = $gate->open('/unbuffered');
    is(length said($other, '!type=text/plain&size=100000'), 100005,
       'proxy_buffering off');
    is(said($other, '!type=text/plain&body=abcdef&cut=3'), $bad,
       'cut off, and proxy_buffering off');

    $other = $gate->open('/filters', headers => [
        'Accept-Encoding' => 'gzip' ]);
    is(said($other, '!type=text/plain&body=a'), 'text:a', 'gzip');

    $other = $gate->open('/lingers');
    $start = time;
    is(said($other, '!type=text/plain&body=a'), 'text:a', 'lingering_close');
    $other->send_close(1000);
    $other->read_close();
    cmp_ok(time - $start, '<', 4.5, 'is only for clients');

    $other = $gate->open('/pass');
    is(said($other, '!type=text/plain&body=a'), 'text:a',
       'a service that speaks WebSocket');
    is(said($other, '!type=image/png&body=a'), 'binary:a', 'binary');

    $start = time;
    $other = $gate->open('/delayed');
    $other->send_text("$_") for 1 .. 5;
    is(join(' ', map { $other->read_text() // '-' } 1 .. 5), '1 2 3 4 5',
       'limit_req delays messages');
    cmp_ok(time - $start, '>', 0.18, 'by its rate');

    SKIP: {
        skip 'the aggregate module', 1 if !$aggregate;

        $other = $gate->open('/whole');
        $other->{alone} = 1;
        is(said($other, 'x'), 'text:{"a":1,"b":2}', 'an aggregate');
    }
}

{
    $service->stop();

    my $other = $gate->open('/echo');

    $other->{alone} = 1;
    is(said($other, 'a'), $bad, 'a service that has been stopped');
    $ws->{alone} = 1;
    is(said($ws, 'a'), $bad, 'for others, too');
    $service->start();
    is(said($other, 'a'), 'text:a', 'and that is back');
    $ws = $gate->open('/echo');
}


# What a failure does

for my $row ([ 'status=404', 1008 ], [ 'status=500', 1011 ],
             [ 'status=302', 1011 ], [ 'gone=1', 1011 ], [ 'cut=1', 1011 ],
             [ 'gzip=1', 1011 ], [ 'hex=ff&type=text/plain', 1011 ],
             [ 'state=bad', 1011 ],
             [ 'status=404&type=application/json&body={}', 1008 ])
{
    my ($args, $code) = @$row;
    my $other = $gate->open('/closes?' . ++$n);

    is(said($other, "!body=abc&$args"),
       "close:$code the message was not served", "on_error close: $args");
    is($other->end(), 'eof', 'and the end');
}

{
    my $other = $gate->open('/deadcloses');

    $other->{alone} = 1;
    is(said($other, 'a'), 'close:1011 the message was not served',
       'on_error close: a service that is dead');
    $other = $gate->open('/closes?ok');
    is(said($other, '!status=204'), 'nothing', 'on_error close: 204 is none');
}


# State

my $stateful = $gate->open('/echo?n=state');

sub state_of {
    my ($name, $args, $said, $want) = @_;

    is(said($stateful, "!type=text/plain&body=b&$args"), $said, $name);
    $stateful->send_text('!name=state&type=text/plain&body=s');
    is($stateful->read_text(), 's', "$name: it goes on");

    my $request = $service->last('/echo');

    # in any order

    return is(sorted($service->header($request, 'Gateway-State') // ''),
              sorted($want), "$name: what it is then");
}

{
    my $ok = 'text:b';
    my $most = 'x' x (4096 - length 'ayz');

    # "--" of said() is between them, and has no state

    state_of('no state', '', $ok, '');
    state_of('one', 'state=a=1', $ok, 'a=1');
    state_of('another', 'state=b=2', $ok, 'a=1; b=2');
    state_of('a new value', 'state=a=3', $ok, 'a=3; b=2');
    state_of('several', 'state=c=4&state=d=5', $ok,
             'a=3; b=2; c=4; d=5');
    state_of('an empty value', 'state=b=', $ok, 'a=3; c=4; d=5');
    state_of('one that is not there', 'state=zz=', $ok, 'a=3; c=4; d=5');
    state_of('set and deleted', 'state=e=1&state=e=', $ok, 'a=3; c=4; d=5');
    state_of('deleted and set', 'state=c=&state=c=6', $ok,
             'a=3; d=5; c=6');
    state_of('spaces and signs', 'state=d=x%20%22y%22=%2c', $ok,
             'a=3; d=x "y"=,; c=6');
    state_of('names differ in case', 'state=A=7', $ok,
             'a=3; d=x "y"=,; c=6; A=7');
    state_of('of a failure', 'status=404&state=a=8&body=', 
             'error:404 Not Found', 'a=8; d=x "y"=,; c=6; A=7');
    state_of('without a message', 'status=204&state=a=9', 'nothing',
             'a=9; d=x "y"=,; c=6; A=7');

    for my $value ('bad', '=1', 'a b=1', 'a=1%3bb=2', 'a=%01', 'a=%7f',
                   'a(=1', '%c3%a4=1', '')
    {
        state_of("malformed \"$value\"", "state=g=1&state=$value",
                 'error:502 Bad Gateway', 'a=9; d=x "y"=,; c=6; A=7');
    }

    state_of('all gone', 'state=a=&state=d=&state=c=&state=A=', $ok, '');
    state_of('4094 bytes', "state=a=$most", $ok, "a=$most");
    state_of('4096 bytes', 'state=y=z', $ok, "a=$most; y=z");
    state_of('one that is none', 'state=w=', $ok, "a=$most; y=z");
    state_of('one too many', 'state=w=1', $bad, "a=$most; y=z");
    state_of('room is made', 'state=a=1&state=w=1', $ok, 'a=1; y=z; w=1');
    state_of('too much at once', "state=q=1&state=a=${most}1234",
             'error:502 Bad Gateway', 'a=1; y=z; w=1');
    state_of('many', join('&', map { "state=$_=x" } 'a' .. 'z'), $ok,
             'a=x; y=x; w=x; ' . join '; ', map { "$_=x" }
             grep { !/[ayw]/ } 'a' .. 'z');

    $ws->send_text('!type=text/plain&body=b');
    $ws->read_text();
    is($service->header($service->last('/echo'), 'Gateway-State'), undef,
       'another connection has none of it');
}

is(said($ws, '!type=text/plain&body=b&groups=a,b'), 'error:502 Bad Gateway',
   'groups without a zone');


# Gateway-Close

for my $row ([ '1000', '1000' ], [ '1000%20bye', '1000 bye' ],
             [ '4999%20all%20of%20it', '4999 all of it' ], [ '3000', '3000' ],
             [ '1014', '1014' ], [ '1001%20%c3%a4', "1001 \xc3\xa4" ],
             [ '1000%20' . 'x' x 123, '1000 ' . 'x' x 123 ])
{
    my ($value, $want) = @$row;
    my $other = $gate->open('/told?' . ++$n);

    is(said($other, "!type=text/plain&body=b&close=$value"),
       "text:b close:$want", "Gateway-Close: $value");
    is($other->end(), 'eof', 'and the end');

    $other = $gate->open('/told?' . ++$n);
    is(said($other, "!status=204&close=$value"), "close:$want",
       'without a message');
}

for my $value (qw( 999 5000 1004 1005 1006 1015 1016 2999 0 abc 1000bye 100
                   10000 -1000 ), '1000%20' . 'x' x 124, '1000%20%ff',
               '1000%20a%09b')
{
    my $other = $gate->open('/told?' . ++$n);

    is(said($other, "!type=text/plain&body=b&close=$value"), 'text:b',
       "Gateway-Close: $value is passed over");
}

like($gate->nginx()->error_log(),
     qr/\[error\] [^\n]*invalid "Gateway-Close: 999" in an answer/,
     'and the log says so');

{
    my $other = $gate->open('/told?' . ++$n);

    is(said($other, '!status=403&close=4003%20no'),
       'error:403 Forbidden close:4003 no', 'with a failure');

    # what was read before it is asked all the same, and nothing after it

    my $uri = "/told?$n";

    ok($service->wait(sub { $service->last($uri)->{event} eq 'disconnect' }),
       'and disconnect');
    cmp_ok(scalar $service->requests($uri), '<=', 4, 'once');
}

{
    # a large message before the Close is sent in full

    my $other = $gate->open('/told?' . ++$n, rcvbuf => 4096);

    $other->send_text('!type=text/plain&size=900000&close=1000');
    sleep 0.05;
    is(length $other->read_text(), 900_000, 'a large message');
    is($gate->closes($other), '1000', 'and then the Close');
}


# Answers that nobody waits for

for my $how (qw( abort disconnect close )) {
    my $uri = '/queue?' . ++$n;
    my $other = $gate->open($uri);

    $other->send_text("!hold=gone$n");
    $service->waited($uri, 1);

    if ($how eq 'close') {
        $other->send_close(1000);
        is($other->read_close()->{code}, 1000,
           'a Close is answered while a message is with the service');
    } else {
        $other->$how();
    }

    $gate->idle($uri, 1, "$how: disconnect waits for it");
    $service->release("gone$n");
    is($gate->events($uri, 2), "message:!hold=gone$n disconnect:"
       . ($how eq 'close' ? '1000' : '1006'), "$how: then it is told");
}

{
    my $uri = '/queue?' . ++$n;
    my $other = $gate->open($uri);

    $other->send_text("!hold=q$n");
    $other->send_text("m$_") for 1 .. 5;
    $other->send_close(1000, 'bye');

    my $close = $other->read_close();

    is(join(' ', @$close{qw( code reason end )}, scalar @{ $close->{frames} }),
       '1000 bye eof 0', 'a client that closes with messages queued');
    $service->waited($uri, 1);
    $gate->idle($uri, 1, 'of which one has been asked');
    $service->release("q$n");
    is($gate->events($uri, 7),
       "message:!hold=q$n message:m1 message:m2 message:m3 message:m4 "
       . 'message:m5 disconnect:1000 bye', 'all reach the service, in order');
    $gate->idle($uri, 7, 'and no more');
}

{
    my $uri = '/parallel?' . ++$n;
    my $other = $gate->open($uri);

    $other->send_text("!hold=p$n") for 1 .. 8;
    $other->send_text("m$_") for 1 .. 8;
    $service->waited($uri, 8);
    $other->abort();
    sleep 0.05;
    $service->release("p$n");
    $service->waited($uri, 17);

    my @all = $service->requests($uri);

    is(scalar(@all) . " $all[-1]{event}", '17 disconnect',
       'a client that is gone, concurrency 8: all are asked');
    my ($answered) = sort { $b <=> $a } map { $_->{ended} // 9e9 }
                     @all[ 0 .. $#all - 1 ];

    cmp_ok($all[-1]{time}, '>=', $answered,
           'and disconnect when the last was answered');
}

{
    # those that the service closes itself: what waits is dropped

    my $uri = '/parallel?' . ++$n;
    my $other = $gate->open($uri);

    $other->send_text("!hold=x$n&type=text/plain&body=late");
    $service->waited($uri, 1);
    $other->send_text('!status=204&close=4000');
    is($gate->closes($other), '4000', 'a Close while another one is asked');
    $service->release("x$n");
    is(($gate->events($uri, 3) =~ /(\S+)\z/)[0], 'disconnect:4000',
       'then disconnect');
}

$_->disconnect() for $ws, $stateful;
$gate->finish();

done_testing();
