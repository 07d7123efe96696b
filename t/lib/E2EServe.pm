package E2EServe;

# A gateway that serves WebSockets for the HTTP backend of another
# implementation.  E2EPeer.pm runs the program that has the backend, and often
# the clients as well; what it says first is { port }, the backend's.
#
#     my ($nginx, %where) = E2EServe::start($peer, %options);
#
# The names of the locations in configuration() say what is served how.
# %where is what the program is told: port, tls (ports of the gateway), ca (a
# file).  Options: workers, main, listen (parameters beside the port), drain,
# and http and server, more lines of these blocks.
#
# The backends, serve_backend.cjs and serve_peer.py, do what they are told:
#
#     /connect?status=S&h=NAME:VALUE&body=TEXT&delay=MS
#                  is answered with this; h may repeat
#     /do          a message {"do":{status, headers: [[NAME, VALUE], ...],
#                  text or base64, delay, die}} is answered with this, any
#                  other comes back as it is
#     /head        is answered with the header fields that the backend got
#     /as/NAME     is answered with the name, the message and the id; with
#                  ?status=S by serve_backend.cjs also with that status
#     /disconnect  is answered with 204

use strict;
use warnings;

use E2E ();
use E2EWebSocket ();

use base 'Exporter';

our @EXPORT_OK = qw( start python node chromium );

# name => lines of a location beside, or in place of, those that all have

my %SERVE = (
    s => '',
    plain => 'gateway_websocket_serve /_b/do;'
             . ' gateway_websocket_connect off;'
             . ' gateway_websocket_disconnect off;',
    head => 'gateway_websocket_serve /_b/head?a=$arg_a zone=table;',
    deflate => 'gateway_websocket_deflate on;',
    small => 'gateway_websocket_max_message 1k;',
    smalldeflate => 'gateway_websocket_max_message 1k;'
                    . ' gateway_websocket_deflate on;',
    frame => 'gateway_websocket_max_frame 1k;',
    reply => 'gateway_websocket_max_reply 1k;',
    protocols => 'gateway_websocket_protocols chat v2.chat;',
    origins => 'gateway_websocket_origins https://app.example.com'
               . ' https://*.example.org;',
    limit => 'gateway_websocket_limit 1r/s burst=5;',
    ping => 'gateway_websocket_ping 500ms;',
    idle => 'gateway_websocket_idle_timeout 300ms;',
    age => 'gateway_websocket_max_age 300ms;',
    expires => 'gateway_websocket_expires $arg_until;',
    close => 'gateway_websocket_on_error close;',
    parallel => 'gateway_websocket_concurrency 4;',
    queue => 'gateway_websocket_max_queue 4;'
             . ' gateway_websocket_send_timeout 10s;',
    slow => 'gateway_websocket_serve /_slow/do zone=table;',
    dead => 'gateway_websocket_serve /_dead/do zone=table;',
    deadconnect => 'gateway_websocket_connect /_dead/connect;',
    slowconnect => 'gateway_websocket_connect /_slow/connect?$args;',
    route => 'gateway_websocket_route /action order /_b/as/order;'
             . ' gateway_websocket_route /action 7 /_b/as/seven;'
             . ' gateway_websocket_route /a~1b/0/c true /_b/as/deep;'
             . ' gateway_websocket_route /action "say hi" /_b/as/hi;',
    headers => 'gateway_websocket_serve /_b/head zone=table;'
               . ' gateway_websocket_set_header X-Told "told $arg_x";'
               . ' gateway_websocket_set_header Cookie "";',
);


sub start {
    my ($peer, %o) = @_;

    my $port = E2E::free_port();
    my $tls = E2E::free_port();
    my ($certificate, $key) = E2EWebSocket::certificate();

    my $nginx = E2E->start(
        name => 'gateway', port => $port, workers => $o{workers} // 1,
        connections => 4096, main => $o{main},
        http => configuration(
            %o, backend => $peer->hello()->{port}, port => $port,
            tls => $tls, certificate => $certificate, key => $key));

    return ($nginx, port => $port, tls => $tls, ca => $certificate);
}


sub configuration {
    my (%o) = @_;

    my $http = $o{http} // '';
    my $server = $o{server} // '';
    my $listen = $o{listen} // '';
    my $drain = $o{drain} // '500ms';
    my $locations = '';

    for my $name (sort keys %SERVE) {
        my $lines = $SERVE{$name};
        my %usual = (
            serve => '/_b/do zone=table',
            connect => '/_b/connect?$args',
            disconnect => '/_b/disconnect',
            max_message => '2m',
            max_reply => '2m',
        );

        for my $usual (sort keys %usual) {
            $lines .= "\n        gateway_websocket_$usual $usual{$usual};"
                if $lines !~ /gateway_websocket_$usual /;
        }

        $locations .= <<"_EOC_";
    location /$name/ {
        $lines
    }

_EOC_
    }

    return <<"_EOC_";
gateway_websocket_zone table:4m;
gateway_websocket_drain $drain;

client_max_body_size 4m;

upstream backend {
    server 127.0.0.1:$o{backend} max_fails=0;
    keepalive 32;
}

proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host \$host;
proxy_set_header X-Scheme \$scheme;
proxy_set_header X-Address \$remote_addr;

$http

server {
    listen 127.0.0.1:$o{port} $listen;
    listen 127.0.0.1:$o{tls} ssl http2;
    ssl_certificate $o{certificate};
    ssl_certificate_key $o{key};
    keepalive_requests 1000000;

    location /push/ {
        gateway_websocket_push zone=table;
        gateway_websocket_max_message 2m;
        add_header X-Worker \$pid always;
    }

    location /push/small/ {
        gateway_websocket_push zone=table;
        gateway_websocket_max_message 1k;
    }

    location /_b/ {
        internal;
        proxy_pass http://backend/;
    }

    location /_slow/ {
        internal;
        proxy_read_timeout 200ms;
        proxy_pass http://backend/;
    }

    location /_dead/ {
        internal;
        proxy_pass http://127.0.0.1:1/;
    }

$server
$locations
}
_EOC_
}


# The interpreters of the peers; each fails the test, or skips it where what
# is missing comes from a registry that cannot be reached.

sub python {

    # Debian's own Python has Debian's packages; one that comes earlier in
    # PATH has not.

    my $python = '/usr/bin/python3';

    -x $python or die "$python is missing: install Debian's packages python3 "
                      . "and python3-websockets, or run \"make deps\"\n";

    E2E::need('openssl', 'openssl');

    return $python;
}


sub node {
    E2E::need('node', 'nodejs');
    E2E::need('openssl', 'openssl');

    $ENV{NODE_PATH} = join ':', "$E2E::ROOT/build/node_modules",
                                grep { length } $ENV{NODE_PATH} // '';

    if (!-d "$E2E::ROOT/build/node_modules/ws") {
        Test::More::plan(skip_all => 'the npm package "ws" is not installed: '
                                     . '"make deps" could not reach the npm '
                                     . 'registry');
    }

    return 'node';
}


sub chromium {
    my ($chromium) = grep { -x } map { ("$_/chromium-headless-shell",
                                        "$_/chromium") } File::Spec->path;

    if (!$chromium) {
        Test::More::plan(skip_all => 'there is no chromium-headless-shell: '
                                     . '"make deps" could not install it');
    }

    return $chromium;
}


1;
