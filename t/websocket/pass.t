
# What a service gets of a request: the URI in each form of
# gateway_websocket_pass, the header of the handshake byte for byte, and where
# the directive may stand.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewayWebSocketBackend;

use Test::More;

# what is said of the handshake is the answer

my $backend = NgxGatewayWebSocketBackend->new(
    '*' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text($c->head());
        $c->echo();
    },
);

my $port = $backend->port();
my $to = "127.0.0.1:$port";

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    upstream service {
        server $to;
    }

    upstream service.example {
        server $to;
    }

    map \$arg_to \$to {
        address $to;
        name service;
        socket unix:%DIR%/service.sock:;
        none 127.0.0.1:1;
    }

    log_format messages '\$uri|\$status|\$gateway_websocket_messages_out'
                        '|\$gateway_websocket_messages_in'
                        '|\$gateway_websocket_close'
                        '|\$gateway_websocket_closed_by'
                        '|\$upstream_addr|\$upstream_status';

    server {
        listen unix:%DIR%/service.sock;

        location / {
            proxy_http_version 1.1;
            proxy_set_header Host \$http_host;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://$to;
        }
    }
_EOC_
    server => <<"_EOC_",
        access_log %DIR%/logs/messages.log messages;

        location /plain {
            gateway_websocket_pass ws://$to;
        }

        location /prefix/ {
            gateway_websocket_pass ws://$to/put/here/;
        }

        location /short {
            gateway_websocket_pass ws://$to/;
        }

        location = /exact {
            gateway_websocket_pass http://$to/fixed;
        }

        location = /args {
            gateway_websocket_pass ws://$to/fixed?a=1;
        }

        location = /upper {
            gateway_websocket_pass WS://$to;
        }

        location = /name {
            gateway_websocket_pass ws://service.example/x;
        }

        location /socket/ {
            gateway_websocket_pass ws://unix:%DIR%/service.sock:/y/;
        }

        location ~ ^/pattern/(.*) {
            gateway_websocket_pass ws://$to;
        }

        location ~ ^/captured/(.*) {
            gateway_websocket_pass ws://$to/\$1\$is_args\$args;
        }

        location /variable/ {
            gateway_websocket_pass ws://\$to;
        }

        location /variable/uri {
            gateway_websocket_pass ws://\$to/given;
        }

        location /variable/args {
            gateway_websocket_pass ws://\$to?q=\$arg_q;
        }

        location /variable/scheme {
            gateway_websocket_pass \$arg_scheme://\$to/s;
        }

        location /rewritten/ {
            rewrite ^/rewritten/(.*) /new/\$1 break;
            gateway_websocket_pass ws://$to;
        }

        location /rewritten/uri/ {
            rewrite ^/rewritten/uri/(.*) /new/\$1 break;
            gateway_websocket_pass ws://$to/ignored/;
        }

        location /redirected/ {
            rewrite ^/redirected/(.*) /prefix/\$1 last;
        }

        location /slash/ {
            gateway_websocket_pass ws://$to/;
        }

        location /set {
            gateway_websocket_set_header X-One "one \$arg_one";
            gateway_websocket_set_header X-Two \$arg_two;
            gateway_websocket_set_header X-Two again;
            gateway_websocket_set_header Authorization \$http_authorization;
            gateway_websocket_pass ws://$to;

            location /set/host {
                gateway_websocket_set_header host \$host;
                gateway_websocket_pass ws://$to;
            }

            location /set/nohost {
                gateway_websocket_set_header Host "";
                gateway_websocket_pass ws://$to;
            }

            location /set/inherited {
                gateway_websocket_pass ws://$to;
            }
        }

        location ~ ^/broken/(.*)\$ {
            gateway_websocket_set_header X-Broken \$1;
            gateway_websocket_pass ws://$to;
        }

        location ~ ^/split/(.*)\$ {
            gateway_websocket_pass ws://$to/\$1;
        }

        location /offer {
            gateway_websocket_protocols graphql-ws chat.v1;
            gateway_websocket_deflate on;
            gateway_websocket_pass ws://$to;
        }

        location /if {
            if (\$arg_ws) {
                gateway_websocket_pass ws://$to;
            }

            empty_gif;
        }

        location /if2 {
            gateway_websocket_set_header X-If yes;
            gateway_websocket_pass ws://$to;

            if (\$arg_set) {
                set \$x 1;
            }
        }

        location /except {
            limit_except GET {
                deny all;
            }

            gateway_websocket_pass ws://$to;
        }

        location /except2 {
            limit_except GET {
                gateway_websocket_pass ws://$to;
            }

            return 200 "not passed";
        }

        location /named {
            error_page 404 = \@named;
            return 404;
        }

        location \@named {
            gateway_websocket_pass ws://$to;
        }

        location /fallback {
            error_page 502 504 = /fallen;
            gateway_websocket_connect_timeout 1s;
            gateway_websocket_read_timeout 200ms;
            gateway_websocket_pass ws://127.0.0.1:1;

            location /fallback/answer {
                error_page 502 504 = /fallen;
                gateway_websocket_pass ws://$to/silent;
            }

            location /fallback/other {
                error_page 502 = /prefix/other;
                gateway_websocket_pass ws://127.0.0.1:1;
            }

            location /fallback/page {
                error_page 502 /fallen;
                gateway_websocket_pass ws://127.0.0.1:1;
            }
        }

        location = /fallen {
            return 200 "fallen";
        }
_EOC_
);

$nginx->start();

sub head {
    my (@request) = @_;

    my $answer = pass_ask($nginx, @request);

    return $answer->{code} == 200 ? $answer->{body} : $answer->{code};
}

# the URI, and Host

my @uris = (
    '/plain' => '/plain', $to,
    '/plain/%2fa%20b/../c?d=%20&e' => '/plain/%2fa%20b/../c?d=%20&e', $to,
    '/prefix/' => '/put/here/', $to,
    '/prefix/a%20b?c=d%20' => '/put/here/a%20b?c=d%20', $to,
    '/prefix/x/../y' => '/put/here/y', $to,
    '/prefix/%0d%0aX:%20y' => '/put/here/%0D%0AX:%20y', $to,
    '/prefix/%c3%a4%3f' => '/put/here/%C3%A4%3F', $to,
    '/short' => '/', $to,
    '/shortage' => '/age', $to,
    '/exact' => '/fixed', $to,
    '/exact?a' => '/fixed?a', $to,
    '/args' => '/fixed?a=1', $to,
    '/upper?x' => '/upper?x', $to,
    '/name' => '/x', 'service.example',
    '/socket/z' => '/y/z', 'localhost',
    '/pattern/a%20b' => '/pattern/a%20b', $to,
    '/captured/x/y?z=1' => '/x/y?z=1', $to,
    '/variable/?to=address' => '/variable/?to=address', $to,
    '/variable/?to=name' => '/variable/?to=name', 'service',
    '/variable/?to=socket' => '/variable/?to=socket', 'localhost',
    '/variable/uri/x?to=address' => '/given', $to,
    '/variable/args?to=address&q=1' => '/?q=1', $to,
    '/variable/scheme?to=address&scheme=http' => '/s', $to,
    '/rewritten/a?b' => '/new/a?b', $to,
    '/rewritten/uri/a%20b?c' => '/new/a%20b?c', $to,
    '/redirected/a?b' => '/put/here/a?b', $to,
    '/named?x=%20' => '/named?x=%20', $to,
);

while (my ($request, $uri, $host) = splice @uris, 0, 3) {
    my $head = head(GET => $request);

    like($head, qr{\AGET \Q$uri\E HTTP/1\.1\r\n}, "$request: the URI");
    like($head, qr{^Host: \Q$host\E\r\n}m, "$request: Host");
}

is(pass_ask($nginx, GET => '/slash')->{code}, 301,
   'a location with a slash is redirected to');
is(pass_ask($nginx, GET => '/variable/?to=none')->{code}, 502,
   'a variable: nobody listens');
is(pass_ask($nginx, GET => '/variable/?to=x')->{code}, 500,
   'a variable: no address');
is(pass_ask($nginx, GET => '/variable/scheme?to=address&scheme=ftp')->{code},
   500, 'a variable: another scheme');

# nothing else is in the handshake

my $head = head(POST => '/plain', 'X-A' => 1, Cookie => 'c=1',
                Origin => 'http://a', 'User-Agent' => 'x',
                'Content-Type' => 'text/plain', Upgrade => 'h2c',
                'Accept' => '*/*', 'Sec-WebSocket-Protocol' => 'p',
                'Connection' => 'close, X-A', 'body');

like($head, qr{\AGET[ ]/plain[ ]HTTP/1\.1\r\n
               Upgrade:[ ]websocket\r\n
               Connection:[ ]Upgrade\r\n
               Sec-WebSocket-Version:[ ]13\r\n
               Sec-WebSocket-Key:[ ][A-Za-z0-9+/]{22}==\r\n
               Host:[ ]\Q$to\E\r\n\z}x, 'the handshake');

my %keys = map { head(GET => '/plain') =~ /Key: (\S+)/; $1 => 1 } 1 .. 3;

is(scalar keys %keys, 3, 'each has a key of its own');

$head = head(GET => '/set?one=1', Authorization => 'Bearer x');
like($head, qr{==\r\nX-One:[ ]one[ ]1\r\nX-Two:[ ]again\r\n
               Authorization:[ ]Bearer[ ]x\r\nHost:[ ]\Q$to\E\r\n\z}x,
     'fields that are set, and an empty one that is not sent');

$head = head(GET => '/set?two=2');
like($head, qr{X-One: one \r\nX-Two: 2\r\nX-Two: again\r\nHost: [^\r]+\r\n\z},
     'one that is set twice');

like(head(GET => '/set/host'), qr{==\r\nhost: localhost\r\n\z},
     'Host that is set, and nothing inherited beside it');
like(head(GET => '/set/nohost'), qr{==\r\n\z}, 'no Host');
like(head(GET => '/set/inherited'), qr{==\r\nX-One: one \r\nX-Two: again\r\n},
     'fields that are inherited');
like(head(GET => '/if2?set=1'), qr{^X-If: yes\r$}m, 'fields in "if"');

$backend->forget();

for my $break ('%0d%0aX-Evil:%20y', '%0aX-Evil:%20y', '%0dX-Evil:%20y') {
    my $answer = pass_ask($nginx, GET => "/broken/a$break");

    # a pattern's dot does not match a line feed

    like($answer->{code}, qr/\A40[04]\z/, "a line break $break is refused");
    is(scalar(my @all = $backend->connections()), 0, '... and not sent');
}

like(pass_ask($nginx, GET => '/broken/a%0dX-Evil:%20y')->{body},
     qr/"title":"Bad Request","status":400,"detail":"A header field for the /,
     'a problem for it');

for my $text ('%0dX-Evil:%20y', 'x%20y', 'x%00y') {
    my $answer = head(GET => "/split/$text");

    unlike($answer, qr{\AGET /[^\r]*[ \r\0][^\r]* HTTP/1\.1\r\n|^X-Evil}m,
           "a URI with $text is not another request");
}

like(head(GET => '/offer'),
     qr{==\r\nHost:[ ][^\r]+\r\n
        Sec-WebSocket-Protocol:[ ]graphql-ws,[ ]chat\.v1\r\n
        Sec-WebSocket-Extensions:[ ]permessage-deflate;
        [ ]client_max_window_bits[^\r]*\r\n\z}x,
     'subprotocols and deflate are offered');

# where it stands

like(head(GET => '/if?ws=1'), qr{\AGET /if\?ws=1 }, 'in "if"');
like(head(GET => '/if'), qr{\AGIF}, 'beside an "if"');
like(head(GET => '/if2'), qr{\AGET /if2 }, 'beside an "if" of something else');
like(head(GET => '/except'), qr{\AGET /except }, 'beside limit_except');
is(head(POST => '/except', ''), 403, 'what limit_except denies');
like(head(POST => '/except2', ''), qr{\AGET /except2 }, 'in limit_except');
is(head(GET => '/fallback'), 'fallen', 'error_page for 502');
is(head(GET => '/fallback/answer'), 'fallen', 'error_page for 504');
like(head(POST => '/fallback/other', 'x'), qr{\AGET /put/here/other },
     'error_page with another service');

my $page = pass_ask($nginx, GET => '/fallback/page');

is("$page->{code} $page->{body}", '502 fallen', 'error_page with a body');

# methods

for my $method (qw( GET HEAD POST PUT PATCH DELETE OPTIONS )) {
    my $answer = pass_ask($nginx, $method => '/plain');

    is($answer->{code}, 200, "$method");
    like($answer->{headers}{'content-length'}, qr/\A\d\d\d\z/,
         "$method: the length");
    is(length $answer->{body}, $method eq 'HEAD' ? 0
       : $answer->{headers}{'content-length'}, "$method: the body");
}

for my $method (qw( PROPFIND MKCOL COPY )) {
    my $answer = pass_ask($nginx, $method => '/plain');

    is($answer->{code}, 405, $method);
    like($answer->{body}, qr/"status":405,"detail":"There is no message/,
         "$method: a problem");
}

# protocols, and the connection afterwards

my $client = NgxGatewayPass->new($nginx->port());

for my $request ([ GET => '/plain/1' ], [ HEAD => '/plain/2' ],
                 [ POST => '/plain/3', 'body' ],
                 [ GET => '/variable/?to=none' ], [ GET => '/plain/4' ])
{
    $client->next()->send(@$request);
    $client->read();

    is($client->{end}, 'whole', "@$request on a connection that is kept");
}

like($client->{body}, qr{\AGET /plain/4 }, 'which has the answer of the last');

$client->next()->raw("GET /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"
                     . "POST /plain/b HTTP/1.1\r\nHost: a\r\n"
                     . "Content-Length: 2\r\n\r\nab"
                     . "GET /plain/c HTTP/1.1\r\nHost: a\r\n\r\n");

for my $name (qw( a b c )) {
    $client->next()->read();
    like($client->{body}, qr{\AGET /plain/$name }, "pipelined $name");
}

ok($backend->wait(sub {
    grep { $_->{path} eq '/plain/b' && @{ $_->{messages} } == 1
           && $_->{messages}[0]{payload} eq 'ab' } $backend->connections();
}), 'with its body');

my $old = NgxGatewayPass->new($nginx->port());

$old->send(GET => '/plain', protocol => 'HTTP/1.0');
$old->read();
like("$old->{code} $old->{body}", qr{\A200 GET /plain }, 'HTTP/1.0');
is(pass_wait(sub { $old->_fill(0); $old->{closed} }), 'eof',
   'HTTP/1.0: the connection is closed');

# a connection to a service is for one request, and it is told

ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');

my @bad = grep { my ($close) = grep { $_->{opcode} == 8 } @{ $_->{frames} };
                 !$close || $close->{payload} ne pack('n', 1000)
                 || grep { !$_->{masked} } @{ $_->{frames} } }
          grep { $_->{path} =~ /^.plain/ } $backend->connections();

is(scalar @bad, 0, 'each had a Close 1000, and masked frames only');

# what is in the log

my $log = $nginx->read_file('logs/messages.log');

like($log, qr{^/plain/b\|200\|1\|1\|1000\|gateway\|\Q$to\E\|101$}m,
     'variables of an answer');
like($log, qr{^/plain/a\|200\|0\|1\|1000\|gateway\|}m, 'without a message');

$nginx->stop();
is(pass_log($nginx), '', 'nothing wrong in the log');

done_testing();
