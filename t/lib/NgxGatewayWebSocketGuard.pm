package NgxGatewayWebSocketGuard;

# An nginx with guarded locations before the service of
# NgxGatewayWebSocketBackend.pm.
#
#     my $gate = NgxGatewayWebSocketGuard->new(
#         locations => { small => 'gateway_websocket_max_message 100;' },
#     );
#
#     my $ws = $gate->open('/small/echo');
#
#     locations  NAME => LINES: a location "/NAME/" with a guard and these
#                lines; what is below it is a path of the service.  "g" has
#                none of its own
#     scripts    { PATH => SUB } for the service
#     http, server, options of NgxGatewayNginx; %BACKEND% is the service's
#                port, %PROXY% all that a proxied WebSocket needs
#     start => 0 does not start it
#
#     open(URI, ...)   a client whose handshake is done
#     try(URI, ...)    one whose handshake may have been refused
#     begin(URI, ...)  { uri, start (the time before the handshake), ws }
#     begin_until(PATH, SECONDS)  likewise, with ?until= of that time from
#                      start on, which is not over before the handshake is done
#     is_problem(WS, STATUS, DETAIL, NAME)  a test: the gateway's own answer
#     backend, nginx, port
#     service(URI)     what the service saw of the last connection, ended or
#                      not; ended(URI) waits until it has ended
#     log(URI)         { status, close, by, in, out } of the last request,
#                      when it is in the access log
#     worker           the pid of the worker, memory its RSS in KB
#     sanitized        whether memory says nothing
#     finish           nothing in the error log is an alert; to be called
#                      once, as a test

use strict;
use warnings;

use JSON::PP ();
use NgxGatewayNginx;
use NgxGatewaySystem ();
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Test::More ();
use Time::HiRes ();

our $PROXY = <<'_EOC_';
            proxy_pass http://127.0.0.1:%BACKEND%;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $gate_connection;
_EOC_

our $HTTP = <<'_EOC_';
    map $http_upgrade $gate_connection {
        default upgrade;
        '' '';
    }

    log_format gate '$request_uri $status $gateway_websocket_close '
                    '$gateway_websocket_closed_by '
                    '$gateway_websocket_messages_in '
                    '$gateway_websocket_messages_out $bytes_sent';
    access_log logs/gate.log gate;
_EOC_


sub new {
    my ($class, %o) = @_;

    my $start = delete $o{start} // 1;
    my $locations = delete $o{locations} // {};
    my $backend = NgxGatewayWebSocketBackend->new(%{ delete $o{scripts}
                                                     // {} });
    my $self = bless { backend => $backend, locations => $locations },
                     $class;

    $self->{nginx} = NgxGatewayNginx->new(%o, $self->configuration(%o));
    $self->{nginx}->start() if $start;

    return $self;
}


# http and server of the nginx, also for a reload.

sub configuration {
    my ($self, %o) = @_;

    my %locations = (g => '', %{ $o{locations} // $self->{locations} });
    my $server = $o{server} // '';

    for my $name (sort keys %locations) {
        $server .= <<"_EOC_";

        location /$name/ {
            gateway_websocket_guard on;
            $locations{$name}
%PROXY%        }
_EOC_
    }

    my %text = (http => $HTTP . ($o{http} // ''), server => $server);
    my $port = $self->{backend}->port();

    for my $text (values %text) {
        $text =~ s/%PROXY%/$PROXY/g;
        $text =~ s/%BACKEND%/$port/g;
    }

    return %text;
}


sub nginx {
    my ($self) = @_;

    return $self->{nginx};
}


sub backend {
    my ($self) = @_;

    return $self->{backend};
}


sub port {
    my ($self) = @_;

    return $self->{nginx}->port();
}


sub open {
    my ($self, $uri, %o) = @_;

    return NgxGatewayWebSocket->open($o{port} // $self->port(), uri => $uri,
                                     %o);
}


sub try {
    my ($self, $uri, %o) = @_;

    return NgxGatewayWebSocket->new($o{port} // $self->port(), uri => $uri,
                                    %o);
}


sub begin {
    my ($self, $uri, %o) = @_;

    return { uri => $uri, start => Time::HiRes::time(),
             ws => $self->open($uri, %o) };
}


sub begin_until {
    my ($self, $path, $seconds) = @_;

    for (1 .. 5) {
        my $start = Time::HiRes::time();
        my $uri = sprintf '%s?until=%.3f', $path, $start + $seconds;
        my $row = eval { $self->begin($uri) } // next;

        return { %$row, start => $start };
    }

    die $@;
}


sub service {
    my ($self, $uri) = @_;

    my ($last) = grep { $_->{uri} eq $uri }
                 reverse $self->{backend}->connections();

    return $last;
}


sub ended {
    my ($self, $uri, $seconds) = @_;

    my $last;

    $self->{backend}->wait(sub {
        $last = $self->service($uri);
        return $last && defined $last->{end};
    }, $seconds);

    return $last && defined $last->{end} ? $last : undef;
}


sub log {
    my ($self, $uri) = @_;

    my $line;

    $self->{nginx}->wait(sub {
        my $log = $self->{nginx}->read_file('logs/gate.log');

        ($line) = grep { index($_, "$uri ") == 0 } reverse split /\n/, $log;
        return defined $line;
    });

    my %log;

    @log{ qw( uri status close by in out sent ) } = split ' ', $line // '';

    return \%log;
}


sub is_problem {
    my ($self, $ws, $status, $detail, $name) = @_;

    my $body = eval { JSON::PP::decode_json($ws->body()) } // {};

    return Test::More::is(
        join(' ', $ws->status(), $ws->header('Content-Type') // '',
             $body->{status} // '', $body->{detail} // $ws->body()),
        "$status application/problem+json $status $detail", $name);
}


sub worker {
    my ($self) = @_;

    return NgxGatewaySystem::worker($self->{nginx}{pid});
}


sub memory {
    my ($self, $pid) = @_;

    CORE::open my $in, '<', '/proc/' . ($pid // $self->worker()) . '/status'
        or return 0;

    while (<$in>) {
        return $1 if /^VmRSS:\s+(\d+)/;
    }

    return 0;
}


sub sanitized {
    my ($self) = @_;

    return 1 if $ENV{TEST_NGINX_USE_VALGRIND};
    return `$self->{nginx}{binary} -V 2>&1` =~ /sanitize/ ? 1 : 0;
}


sub finish {
    my ($self, $more) = @_;

    my @bad = grep { /\[(?:alert|emerg|crit)\]|exited on signal/ }
              split /\n/, $self->{nginx}->error_log();

    @bad = grep { !/$more/ } @bad if $more;

    Test::More::is(join("\n", @bad), '', 'nothing is wrong in the error log');

    $self->{nginx}->stop();
    $self->{backend}->stop();

    return;
}


1;
