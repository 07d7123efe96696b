package NgxGatewayServeNginx;

# An nginx with served WebSockets before the service of NgxGatewayServe.pm.
#
#     my $gate = NgxGatewayServeNginx->new(
#         locations => { small => 'gateway_websocket_max_message 100;' },
#     );
#
#     my $ws = $gate->open('/small?body=yes');
#
#     locations  NAME => LINES: a location "/NAME" that serves WebSockets by
#                "/service/NAME" with the arguments of the handshake, unless a
#                gateway_websocket_serve is among the lines; "echo" has none of
#                its own, "told" is connected and disconnected by the same
#                "/service/NAME", too
#     http, server, options of NgxGatewayNginx; %SERVICE% is the service's
#                port, %DEAD% one at which nobody listens
#     answer     for the service
#     start => 0 does not start it
#
# "/service/..." of nginx is "/..." of the service.
#
#     open(URI, ...)   a client whose handshake is done
#     try(URI, ...)    one whose handshake may have been refused
#     over(SOCKET, ...)  one on a connection that there is already
#     closes(WS)       reads until the end, "CODE REASON"
#     service, nginx, port
#     events(PATH, N)  waits for N requests: "connect message:a disconnect:1000"
#     idle(PATH, N)    that there are no more than N requests, a moment later
#     log(URI)         { status, close, by, in, out } of the last request
#     begin, begin_until, is_problem, worker, memory, sanitized, finish  as of
#                      NgxGatewayWebSocketGuard

use strict;
use warnings;

use NgxGatewayNginx;
use NgxGatewayPorts qw( free_port );
use NgxGatewayServe;
use NgxGatewayWebSocket;
use Test::More ();
use Time::HiRes ();

use base 'NgxGatewayWebSocketGuard';

our $HTTP = <<'_EOC_';
    upstream service {
        server 127.0.0.1:%SERVICE%;
        keepalive 32;
    }

    log_format gate '$request_uri $status $gateway_websocket_close '
                    '$gateway_websocket_closed_by '
                    '$gateway_websocket_messages_in '
                    '$gateway_websocket_messages_out $bytes_sent';
    access_log logs/gate.log gate;

    proxy_http_version 1.1;
    proxy_buffer_size 16k;
    proxy_buffers 4 16k;
    proxy_set_header Connection "";
_EOC_

our $SERVICE = <<'_EOC_';
        location /service/ {
            internal;
            proxy_pass http://service/;
        }
_EOC_


sub new {
    my ($class, %o) = @_;

    my $start = delete $o{start} // 1;
    my $locations = delete $o{locations} // {};
    my $service = NgxGatewayServe->new(answer => delete $o{answer});
    my $dead = free_port();
    my $self = bless { service => $service, backend => $service,
                       locations => $locations, dead => $dead }, $class;

    $self->{nginx} = NgxGatewayNginx->new(%o, $self->configuration(%o));
    $self->{nginx}->start() if $start;

    return $self;
}


# http and server of the nginx, also for a reload.

sub configuration {
    my ($self, %o) = @_;

    my $told = <<'_EOC_';
            gateway_websocket_connect /service/told$is_args$args;
            gateway_websocket_disconnect /service/told$is_args$args;
_EOC_

    my %locations = (echo => '', told => $told,
                     %{ $o{locations} // $self->{locations} });
    my $server = ($o{server} // '') . $SERVICE;

    for my $name (sort keys %locations) {
        my $serve = $locations{$name} =~ /\bgateway_websocket_serve\s/ ? ''
                    : "gateway_websocket_serve /service/$name\$is_args\$args;";

        $server .= <<"_EOC_";

        location = /$name {
            $serve
            $locations{$name}
        }
_EOC_
    }

    my %text = (http => $HTTP . ($o{http} // ''), server => $server);
    my $port = $self->{service}->port();

    for my $text (values %text) {
        $text =~ s/%SERVICE%/$port/g;
        $text =~ s/%DEAD%/$self->{dead}/g;
    }

    return %text;
}


sub service {
    my ($self) = @_;

    return $self->{service};
}


sub over {
    my ($self, $socket, %o) = @_;

    my $ws = bless {
        in => '', side => 'client', greedy => 1, control => [],
        timeout => $NgxGatewayWebSocket::TIMEOUT, %o,
    }, 'NgxGatewayWebSocket';

    $ws->_use($socket);

    return $ws;
}


sub closes {
    my ($self, $ws, $seconds) = @_;

    my $close = $ws->read_close($seconds, answer => 1);

    return join ' ', $close->{code} // $close->{end},
                     length($close->{reason} // '') ? $close->{reason} : ();
}


sub events {
    my ($self, $path, $n, $seconds) = @_;

    my $service = $self->{service};

    return join ' ', map {
        my $event = $_->{event} // 'none';
        my $close = $service->header($_, 'Gateway-Close');

        $event eq 'message' ? "message:$_->{body}"
        : defined $close ? "$event:$close" : $event;
    } $service->waited($path, $n, $seconds);
}


sub idle {
    my ($self, $path, $n, $name) = @_;

    Time::HiRes::sleep(0.05);

    return Test::More::is(scalar(my @all = $self->{service}->requests($path)),
                          $n, $name);
}


1;
