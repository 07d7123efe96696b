#!/usr/bin/perl

# Served WebSockets together with the other modules and with the rest of
# nginx: tokens and limits at the handshake, claims and limits at each message,
# aggregates that answer messages, TLS in front, backends that die, and the
# ways by which a request comes to its location.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EPeer;
use E2EServe qw( node );
use E2EWebSocket ();
use JSON::PP ();
use NgxGatewayJWT;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep );

E2E::need('node', 'nodejs');

my %backends = map { $_ => E2EPeer->start('node',
                         "$FindBin::Bin/serve_backend.cjs", $_) }
               qw( one two );
my %ports = map { $_ => $backends{$_}->hello()->{port} } keys %backends;
my ($port, $tls) = (E2E::free_port(), E2E::free_port());
my ($certificate, $key) = E2EWebSocket::certificate();
my $keys = E2E::dir() . '/keys.jwks';
my $json = JSON::PP->new->canonical;

E2E::spew($keys, jwks(qw( p256 )));

my $nginx = E2E->start(name => 'gateway', port => $port, http => <<"_EOC_");
gateway_websocket_zone table:1m;

gateway_jwt_issuer corp {
    issuer $NgxGatewayJWT::ISSUER;
    audience $NgxGatewayJWT::AUDIENCE;
    key_file $keys;
}

gateway_limit_zone \$gateway_jwt_claim_sub zone=by_user:1m rate=1r/h burst=12;
gateway_limit_zone \$gateway_jwt_claim_sub zone=by_page:1m rate=1r/h burst=2;
limit_req_zone \$gateway_jwt_claim_sub zone=messages:1m rate=1r/m;
limit_conn_zone \$arg_few zone=few:1m;

upstream both {
    server 127.0.0.1:$ports{one} max_fails=0;
    server 127.0.0.1:$ports{two} max_fails=0;
    keepalive 8;
}

proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header X-User \$gateway_jwt_claim_sub;
proxy_set_header X-Scheme \$scheme;
proxy_set_header X-Set \$set;
proxy_set_header X-Request-Id \$request_id;
proxy_next_upstream error timeout non_idempotent;

gateway_websocket_connect /_m/connect?\$args;
gateway_websocket_disconnect /_m/disconnect;

server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $certificate;
    ssl_certificate_key $key;

    location /app/ {
        set \$set 'of \$arg_x';
        gateway_jwt api issuer=corp;
        gateway_limit zone=by_user after_auth;
        gateway_websocket_serve /_m/head zone=table;
        gateway_websocket_route /action page /_page;
        gateway_websocket_route /action broken /_broken;
        gateway_websocket_route /action wrong /_wrong;
        gateway_websocket_route /action limited /_limited;
        gateway_websocket_route /action charged /_charged;
        gateway_websocket_route /action fallback /_fallback;
        gateway_websocket_route /action file /_file;
        gateway_websocket_route /action nothing /_nothing;
        gateway_websocket_route /action nested /app/nested;
        gateway_websocket_expires \$gateway_jwt_claim_exp;
    }

    location /admin/ {
        gateway_jwt api issuer=corp;
        gateway_jwt_require_scope admin;
        gateway_websocket_serve /_m/head;
    }

    location /free/ {
        gateway_websocket_serve /_m/as/free zone=table;
        gateway_websocket_concurrency 4;
    }

    location /few/ {
        limit_conn few 2;
        limit_conn_status 429;
        gateway_websocket_serve /_m/as/few;
    }

    location /asked/ {
        auth_request /_asked;
        gateway_websocket_serve /_m/as/asked;
    }

    location = /_asked {
        internal;
        proxy_method POST;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://both/connect?status=\$arg_status;
    }

    location /rewrite/ { rewrite ^/rewrite/(.*) /free/\$1 last; }
    location /try/ { try_files /nothing \@served; }
    location \@served { gateway_websocket_serve /_m/as/try; }
    location ~ ^/regex/(.+)\$ { gateway_websocket_serve /_m/as/\$1; }

    location /page/ {
        error_page 418 = \@served;
        return 418;
    }

    location /if/ {
        if (\$http_upgrade = websocket) {
            gateway_websocket_serve /_m/as/if;
        }
        proxy_pass http://both/head;
    }

    location /mirror/ {
        mirror /_mirror;
        gateway_websocket_serve /_m/as/mirror;
    }

    location = /_mirror { internal; proxy_pass http://both/head; }

    location /push/ { gateway_websocket_push zone=table; }

    # messages

    location /_m/ { internal; proxy_pass http://both/; }

    location = /_page {
        internal;
        gateway_aggregate_methods POST;
        gateway_aggregate {
            part user /_m/as/user method=POST body=request;
            part order /_m/as/order method=POST 'body={"n":1}';
            part none /_dead optional;
        }
    }

    location = /_broken {
        internal;
        gateway_aggregate_methods POST;
        gateway_aggregate {
            part user /_m/as/user;
            part none /_dead;
        }
    }

    location = /_wrong {
        internal;
        gateway_aggregate_methods POST;
        gateway_aggregate {
            part none /_m/as/wrong?status=409 method=POST errors=pass;
        }
    }

    location = /_limited {
        internal;
        limit_req zone=messages burst=2 nodelay;
        limit_req_status 429;
        proxy_pass http://both/as/limited;
    }

    location = /_charged {
        internal;
        gateway_limit zone=by_page;
        proxy_pass http://both/as/charged;
    }

    location = /_fallback {
        internal;
        error_page 502 = /_m/as/fallback;
        proxy_pass http://127.0.0.1:1;
    }

    location = /_dead { internal; proxy_pass http://127.0.0.1:1; }
    location = /_nothing { internal; return 204; }

    location = /_file {
        internal;
        default_type text/plain;
        return 200 'from nginx itself, by \$request_method';
    }
}
_EOC_

sub token {
    return 'Bearer ' . jwt({ @_ }, key => 'p256');
}

sub served {
    my ($uri, %o) = @_;

    return NgxGatewayWebSocket->new($o{tls} ? $tls : $port, uri => $uri, %o);
}

# An answer's JSON, or { text }.

sub said {
    my ($ws, $message) = @_;

    $ws->send_text($message);

    my $text = $ws->read_text();

    return { text => $text // 'nothing' } if ($text // '') !~ /\A\{/;

    my $value = eval { $json->decode($text) } // { text => $text };

    delete $value->{id} if $value->{as};

    return $value;
}

sub failed {
    my ($status, $title) = @_;

    return { error => { status => $status, title => $title } };
}

# What the backends were asked, of an event.

sub seen {
    my ($event) = @_;

    return map { @{ $_->ask({ ask => 'seen', event => $event })->{answer} } }
           values %backends;
}


# Tokens and limits, at the handshake.

is(served('/app/')->status(), 401, 'no token');
is(served('/app/', headers => [ Authorization => token(exp => at(-60)) ])
       ->status(), 401, 'a token that has expired');
is(served('/admin/', headers => [ Authorization => token() ])->status(), 403,
   'a token without the scope');
is(scalar seen('connect'), 0, 'no backend was asked');

{
    my $ws = served('/admin/', headers => [
        Authorization => token(sub => 'root', scope => 'admin') ]);

    is($ws->status(), 101, 'a token with the scope');
    is($ws->verify(), undef, 'a valid answer');
}

{
    my @open = map { served('/app/', headers => [
                         Authorization => token(sub => 'carol') ]) } 1 .. 12;
    my $refused = served('/app/', headers => [
        Authorization => token(sub => 'carol') ]);

    is(join(' ', map { $_->status() } @open), join(' ', (101) x 12),
       'handshakes of a user');
    is($refused->status(), 429, 'one too many');
    ok($refused->header('Retry-After'), 'with Retry-After');
}


# What messages have of it.

for my $scheme (qw( http https )) {
    my $ws = served('/app/?x=y', tls => $scheme eq 'https', headers => [
        Authorization => token(sub => 'alice'), 'X-User' => 'mallory',
        'X-Scheme' => 'gopher', Cookie => 'c=1' ]);

    is($ws->status(), 101, "$scheme: open");

    my @said = map { said($ws, 'who?') } 1 .. 3;

    for my $said (@said) {
        is(join(' ', map { $said->{$_} // '-' }
                     qw( x-user x-scheme x-set cookie gateway-event )),
           "alice $scheme of y c=1 message", "$scheme: what a message has");
    }

    is($said[0]{'x-request-id'}, $said[2]{'x-request-id'},
       "$scheme: \$request_id is the handshake's");

    # messages are not charged as handshakes are

    my $right = grep { $_->{'x-user'} } map { said($ws, "n $_") } 1 .. 20;

    is($right, 20, "$scheme: more messages than handshakes are allowed");
    $ws->send_close(4000, 'done');
    is($ws->read_close()->{code}, 4000, "$scheme: closed");

    my @told;

    E2E::wait_for(5, sub {
        @told = grep { $_->{headers}{'x-scheme'} eq $scheme
                       && $_->{headers}{'x-user'} eq 'alice' }
                seen('disconnect');
        return @told;
    });

    is(scalar @told, 1, "$scheme: disconnect");
    is(join(' ', @{ $told[0]{headers} }{qw( x-user gateway-close x-set )}),
       'alice 4000 done of y', "$scheme: what it has");
}

{
    my $ws = served('/app/', headers => [
        Authorization => token(sub => 'bob', exp => at(3)) ]);

    is(said($ws, 'x')->{'x-user'}, 'bob', 'a token that soon expires');
    is($ws->read_close()->{code}, 1008, 'closes the WebSocket then');
}


# What answers messages.

{
    my $ws = served('/app/', headers => [
        Authorization => token(sub => 'dave') ]);

    my $message = '{"action":"page","n":[1.50]}';

    for my $try (1, 2) {
        my $said = said($ws, $message);

        delete $said->{$_}{backend} for qw( user order );
        delete $said->{$_}{id} for qw( user order );

        is_deeply($said, {
            user => { as => 'user', got => $message, user => 'dave' },
            order => { as => 'order', got => '{"n":1}', user => 'dave' },
        }, "an aggregate, $try") or diag(explain($said));
    }

    is_deeply(said($ws, '{"action":"broken"}'), failed(502, 'Bad Gateway'),
              'an aggregate without a part that has to be there');

    my $error = said($ws, '{"action":"wrong"}')->{error};

    is("$error->{status} $error->{title} $error->{body}{as}",
       '409 Conflict wrong', 'an aggregate that passes an error on');
    is(said($ws, '{"action":"file"}')->{text}, 'from nginx itself, by POST',
       'nginx itself');
    is(said($ws, '{"action":"fallback"}')->{as}, 'fallback', 'error_page');
    is(said($ws, '{"action":"nested"}')->{error}{status}, 405,
       'a served location');

    $ws->send_text('{"action":"nothing"}');

    my @limited = map { said($ws, '{"action":"limited"}') } 1 .. 5;

    is(join(' ', map { $_->{as} // $_->{error}{status} } @limited),
       'limited limited limited 429 429', 'limit_req, of each message');
    is_deeply($limited[4], failed(429, 'Too Many Requests'),
              'limit_req: the error');

    @limited = map { said($ws, '{"action":"charged"}') } 1 .. 3;

    is(join(' ', map { $_->{as} // $_->{error}{status} } @limited),
       'charged charged 429', 'gateway_limit, of each message');
    is_deeply($limited[2], failed(429, 'Too Many Requests'),
              'gateway_limit: the error');
    is(said($ws, 'x')->{'x-user'}, 'dave', 'others are not limited');

    my $other = served('/app/', headers => [
        Authorization => token(sub => 'erin') ]);

    is(said($other, '{"action":"limited"}')->{as}, 'limited',
       'limit_req: another user');
}


# Ways to a served location.

for my $path (qw( free rewrite try regex/regex page if mirror asked )) {
    my $ws = served("/$path/?status=200" =~ s{regex/\?}{regex?}r);
    my $as = $path eq 'rewrite' ? 'free' : $path eq 'page' ? 'try'
             : $path =~ s{.*/}{}r;

    is($ws->status(), 101, "$path: open");
    is($ws->verify(), undef, "$path: a valid answer");
    is(said($ws, "m $_")->{as}, $as, "$path: message $_") for 1, 2;

    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, "$path: closed");
}

is(served('/asked/?status=403')->status(), 403, 'auth_request refuses');
like(E2EClient->new($port)->ask('GET', '/if/')->{body}, qr/"backend":"/,
     'a location that serves only WebSockets');

{
    my @open = map { served('/few/?few=1') } 1 .. 3;

    is(join(' ', map { $_->status() } @open), '101 101 429', 'limit_conn');
    is(said($open[0], 'x')->{as}, 'few', 'limit_conn: served');
    $open[0]->send_close(1000);
    $open[0]->read_close();
    $open[0]->disconnect();

    ok(E2E::wait_for(3, sub { served('/few/?few=1')->status() == 101 }),
       'limit_conn: one is free again');
}


# One of two backends dies while it has messages.

{
    my @open = map { served('/free/') } 1 .. 10;
    my %by;

    for my $n (1 .. 4) {
        $_->send_text("message $n") for @open;
        $by{ $json->decode($_->read_text() // '{}')->{backend} // '' }++
            for @open;
    }

    is(join(' ', sort keys %by), 'one two', 'both backends are asked');

    my $pid = $backends{one}->pid();

    for my $n (1 .. 20) {
        $_->send_text("message $n") for @open;
        kill 'KILL', $pid if $n == 5;
    }

    my @got = map { my $ws = $_; [ map { $ws->read_text() // '{}' } 1 .. 20 ] }
              @open;
    my $right = grep {
        my %seen = map { ($json->decode($_)->{got} // '') => 1 } @$_;
        keys %seen == 20 && !$seen{''};
    } @got;

    is($right, 10, 'one dies: all messages are answered, by the other');

    $_->send_text('after') for @open;
    is(join(' ', map { $json->decode($_->read_text() // '{}')->{backend}
                       // '-' } @open), join(' ', ('two') x 10),
       'one is dead: all goes to the other');

    $_->send_close(1000) for @open;
    is(join(' ', map { $_->read_close()->{code} // '-' } @open),
       join(' ', (1000) x 10), 'all are closed');

    my $sums;

    E2E::wait_for(5, sub {
        $sums = $backends{two}->ask({ ask => 'sums' })->{answer};
        return $sums->{ended} >= 10;
    });

    cmp_ok($sums->{ended}, '>=', 10, 'the other is told of it');
    is($sums->{more}, 0, 'once');
}

$_->stop() for values %backends;
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
