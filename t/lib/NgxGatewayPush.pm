package NgxGatewayPush;

# An nginx of several workers whose clients can be pushed to, before the service
# of NgxGatewayServe.pm.
#
#     my $gate = NgxGatewayPush->new(workers => 4);
#     my $ws = $gate->join('a,b');
#     my $answer = $gate->push(POST => "/push/$ws->{id}", 'text');
#
#     zone       size of the zone; 1m
#     serve      more lines for the location of the clients, "push" for that of
#                pushes
#     connections  of a worker, 256
#     others as of NgxGatewayServeNginx
#
#     join(GROUPS, ...)  a client in these groups, which may be empty; its "id",
#                and "pid", the worker that has it; options are those of
#                NgxGatewayWebSocket, and args, of the service
#     spread(N, GROUPS)  clients, until each of N workers has one: { PID => WS }
#     push(METHOD, PATH, BODY, FIELD, ...)  its answer: code, headers, body,
#                and pid, the worker that has answered
#     push_from(PID, ...)  the same, by this worker
#     connection(PID)  one that pushes can be sent on, of this worker, if it
#                is given
#     says(ANSWER)  "CODE BODY", what a test looks at
#     members(HASH)  waits until a group has so many
#     workers    their process ids
#     reload(...)  as that of NgxGatewayNginx
#     wait(SUB)  until it is true; what it says

use strict;
use warnings;

use IO::Socket::INET ();
use NgxGatewaySystem qw( children );

use base 'NgxGatewayServeNginx';

our $TRIES = 400;


sub new {
    my ($class, %o) = @_;

    my $zone = delete $o{zone} // '1m';
    my $serve = delete $o{serve} // '';
    my $push = delete $o{push} // '';
    my $connections = delete $o{connections} // 256;
    my $start = delete $o{start} // 1;

    my $self = $class->SUPER::new(
        %o,
        start => 0,
        http => "    gateway_websocket_zone clients:$zone;\n"
                . ($o{http} // ''),
        locations => { %{ $o{locations} // {} }, client => <<"_EOC_" },
            gateway_websocket_serve /service/client?\$args zone=clients;
            gateway_websocket_connect /service/client?pid=\$pid&\$args;
            $serve
_EOC_
        server => <<"_EOC_" . ($o{server} // ''),
        location /push/ {
            add_header X-Pid \$pid always;
            gateway_websocket_push zone=clients;
            $push
        }

        location = /pid {
            return 200 \$pid;
        }
_EOC_
    );

    $self->{nginx}{connections} = $connections;
    bless $self->{nginx}, 'NgxGatewayPush::Nginx';

    $self->{nginx}->start() if $start;

    return $self;
}


sub join {
    my ($self, $groups, %o) = @_;

    my $n = ++$self->{joined};
    my $args = delete $o{args};
    my $ws = $self->open("/client?n=$n&only=connect"
                         . (length($groups // '') ? "&groups=$groups" : '')
                         . (defined $args ? "&$args" : ''), %o);

    my ($request) = grep { ($_->{event} // '') eq 'connect'
                           && $_->{args} =~ /&n=$n&/ }
                         $self->service()->requests('/client');

    $ws->{id} = $request->{cid};
    ($ws->{pid}) = $request->{args} =~ /pid=(\d+)/;

    return $ws;
}


sub spread {
    my ($self, $n, @args) = @_;

    my %by;

    for (1 .. $TRIES) {
        my $ws = $self->join(@args);

        if (!$by{ $ws->{pid} }) {
            $by{ $ws->{pid} } = $ws;
            return \%by if keys %by == $n;
        }
    }

    die "a worker has no connection\n";
}


sub connection {
    my ($self, $pid) = @_;

    for (1 .. $TRIES) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                           PeerPort => $self->port(),
                                           Timeout => 10)
                     or next;
        my $c = bless { socket => $socket, in => '' },
                      'NgxGatewayPush::Connection';

        return $c if !$pid;

        my $answer = $c->request('GET', '/pid') // next;

        return $c if $answer->{body} eq $pid;
    }

    die "worker $pid takes no connection\n";
}


sub push {
    my ($self, @args) = @_;

    return $self->connection()->request(@args);
}


sub push_from {
    my ($self, $pid, @args) = @_;

    $self->{from}{$pid} //= $self->connection($pid);

    my $answer = $self->{from}{$pid}->request(@args);

    # the last of keepalive_requests, or of a worker that ends

    delete $self->{from}{$pid}
        if !$answer || ($answer->{headers}{connection} // '') eq 'close';

    return $answer;
}


sub says {
    my ($self, $answer) = @_;

    my $body = $answer->{body} // '';

    $body =~ s/\n\z//;

    return ($answer->{code} // 'none') . (length $body ? " $body" : '');
}


sub members {
    my ($self, $group, $n, $seconds) = @_;

    return $self->wait(sub {
        my $answer = $self->push(GET => "/push/groups/$group");

        return $answer && $answer->{body} =~ /"connections":$n\b/;
    }, $seconds);
}


sub workers {
    my ($self) = @_;

    my @pids = sort(children($self->{nginx}{pid}));

    return @pids;
}


sub reload {
    my ($self, %o) = @_;

    return $self->nginx()->reload(%o);
}


sub wait {
    my ($self, $until, $seconds) = @_;

    return $self->nginx()->wait($until, $seconds // 10);
}


package NgxGatewayPush::Nginx;

use strict;
use warnings;

our @ISA = ('NgxGatewayNginx');


sub write_config {
    my ($self) = @_;

    $self->SUPER::write_config();

    my $text = $self->read_file('nginx.conf');

    $text =~ s/worker_connections 256/worker_connections $self->{connections}/;

    $text =~ s/^events \{/$&\n    use $self->{method};/m if $self->{method};
    $text =~ s/^daemon off;/master_process off;\n$&/m if $self->{single};

    return $self->write_file('nginx.conf', $text);
}


package NgxGatewayPush::Connection;

use strict;
use warnings;

use IO::Select ();


sub request {
    my ($self, @args) = @_;

    $self->send(@args);

    return $self->answer($args[0]);
}


sub send {
    my ($self, $method, $uri, $body, @fields) = @_;

    my $text = "$method $uri HTTP/1.1\r\nHost: localhost\r\n";

    while (@fields) {
        my ($name, $value) = splice @fields, 0, 2;

        $text .= "$name: $value\r\n";
    }

    $text .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;

    local $SIG{PIPE} = 'IGNORE';

    return syswrite $self->{socket}, "$text\r\n" . ($body // '');
}


# The next answer, or undef.

sub answer {
    my ($self, $method) = @_;

    my ($head, $length);

    for ( ;; ) {
        if (!defined $head && $self->{in} =~ s/\A(.*?\r\n)\r\n//s) {
            $head = $1;

            ($length) = $head =~ /^Content-Length: (\d+)/mi;
            $length = 0 if ($method // '') eq 'HEAD' || !defined $length;
        }

        last if defined $head && length $self->{in} >= $length;

        return undef if !IO::Select->new($self->{socket})->can_read(10)
                        || !sysread $self->{socket}, $self->{in}, 65536,
                                    length $self->{in};
    }

    my %headers;

    for my $line (split /\r\n/, $head) {
        $headers{ lc $1 } = $2 if $line =~ /^([\w-]+):\s*(.*)/;
    }

    my ($code) = $head =~ m{\AHTTP/1.1 (\d+)};

    return { code => $code, headers => \%headers, head => $head,
             body => substr($self->{in}, 0, $length, ''),
             pid => $headers{'x-pid'} };
}


1;
