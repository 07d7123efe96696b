package E2EWebSocket;

# A gateway between the WebSocket clients and services of another
# implementation.  E2EPeer.pm runs the program that has both; what it says
# first is { port, tls }: of its service, without and with TLS.
#
#     my ($nginx, %where) = E2EWebSocket::start($peer, %options);
#
# Below /g/ is the service behind a guard, below /p/ behind a POST; the names
# of the locations in configuration() say with what.  %where is what the
# program is told: port, tls (ports of the gateway), ca (a file).  Options:
# workers, and server, more lines of the server block.

use strict;
use warnings;

use E2E ();

use base 'Exporter';

our @EXPORT_OK = qw( start certificate );

# name => lines of a location beside those that all of its kind have

my %GUARD = (
    g => '',
    deflate => 'gateway_websocket_deflate on;',
    small => 'gateway_websocket_max_message 1k;',
    smalldeflate => 'gateway_websocket_max_message 1k;'
                    . ' gateway_websocket_deflate on;',
    frame => 'gateway_websocket_max_frame 1k;',
    protocols => 'gateway_websocket_protocols chat v2.chat;',
    origins => 'gateway_websocket_origins https://app.example.com'
               . ' https://*.example.org;',
    limit => 'gateway_websocket_limit 1r/s burst=5;',
    ping => 'gateway_websocket_ping 600ms;',
    idle => 'gateway_websocket_idle_timeout 500ms;',
    age => 'gateway_websocket_max_age 500ms;',
    expires => 'gateway_websocket_expires $arg_until;',
);

my %PASS = (
    p => '',
    pdeflate => 'gateway_websocket_deflate on;',
    ptls => '',
    pverify => '',
    pcount => 'gateway_websocket_reply count=3;',
    puntil => 'gateway_websocket_reply until=/last=true;',
    pclose => 'gateway_websocket_reply close;',
    psse => 'gateway_websocket_reply sse;',
    pndjson => 'gateway_websocket_reply close ndjson;',
    pnone => 'gateway_websocket_send none;',
    pfixed => 'gateway_websocket_send "{\"fixed\":\"$arg_x\"}";',
    pcorrelate => 'gateway_websocket_correlate /id;',
    pprotocols => 'gateway_websocket_protocols chat v2.chat;',
    pheaders => 'gateway_websocket_set_header X-Told "told $arg_x";'
                . ' gateway_websocket_set_header Host told.example.com;',
    pping => 'gateway_websocket_ping 500ms;'
             . ' gateway_websocket_read_timeout 4s;',
    ptimeout => 'gateway_websocket_read_timeout 300ms;',
    psmall => 'gateway_websocket_max_message 1k;',
);


sub start {
    my ($peer, %o) = @_;

    my $port = E2E::free_port();
    my $tls = E2E::free_port();
    my ($certificate, $key) = certificate();

    my $nginx = E2E->start(
        name => 'gateway', port => $port, workers => $o{workers} // 1,
        connections => 4096,
        http => configuration($peer->hello(), $port, $tls, $certificate,
                              $key, $o{server} // ''));

    return ($nginx, port => $port, tls => $tls, ca => $certificate);
}


# A certificate for "localhost" that is its own authority, and its key.

sub certificate {
    my $name = E2E::dir() . '/localhost';

    if (!-e "$name.crt") {
        my $said = E2E::output(qw( openssl req -x509 -newkey rsa:2048 -nodes
            -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost
            -keyout ), "$name.key", '-out', "$name.crt");

        -e "$name.crt" or die "openssl: $said\n";
    }

    return ("$name.crt", "$name.key");
}


sub configuration {
    my ($service, $port, $tls, $certificate, $key, $server) = @_;

    my $locations = '';

    for my $name (sort keys %GUARD) {
        $locations .= <<"_EOC_";
    location /$name/ {
        gateway_websocket_guard on;
        @{[ _lines($GUARD{$name}) ]}
        proxy_pass http://127.0.0.1:$service->{port}/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
        proxy_read_timeout 10s;
    }

_EOC_
    }

    for my $name (sort keys %PASS) {
        my $url = $name eq 'ptls' || $name eq 'pverify'
                  ? "wss://127.0.0.1:$service->{tls}/"
                  : "ws://127.0.0.1:$service->{port}/";
        my $trusted = $name eq 'ptls'
                      ? "gateway_websocket_ssl_name localhost;\n"
                        . 'gateway_websocket_ssl_trusted_certificate '
                        . "$certificate;" : '';

        $locations .= <<"_EOC_";
    location /$name/ {
        gateway_websocket_pass $url;
        @{[ _lines($PASS{$name}) ]}
        $trusted
    }

_EOC_
    }

    return <<"_EOC_";
map \$http_upgrade \$connection_upgrade {
    default upgrade;
    '' '';
}

client_max_body_size 4m;

server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $certificate;
    ssl_certificate_key $key;

$server
$locations
}
_EOC_
}


# A location's own lines, and those that come where it has no other.

sub _lines {
    my ($lines) = @_;

    return $lines =~ /max_message/ ? $lines
           : "gateway_websocket_max_message 2m; $lines";
}


1;
