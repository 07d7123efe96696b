package NgxGatewayPass;

# An HTTP client for locations that are answered over WebSockets: several
# requests at once, answers that come bit by bit, and clients that leave.
#
#     my $answer = pass_ask($nginx, POST => '/t', 'X-A' => 1, 'body');
#
#     my $client = NgxGatewayPass->new($nginx->port());
#
#     $client->send('GET', '/events');
#     ok($client->read(qr/data: 2\n/));
#     is($client->{end}, undef);
#
#     new(PORT, ...)   connects; rcvbuf, for one that reads slowly
#     send(METHOD, PATH, NAME => VALUE, ..., BODY)
#                      a request, "protocol" (HTTP/1.1) among the fields is
#                      its protocol; a body brings its Content-Length
#     raw(BYTES)       as it is
#     read(PATTERN, SECONDS)
#                      until the body so far matches, or, without a pattern,
#                      the answer has ended; true when that came to pass
#     next             forgets the answer, for another one on the connection
#     close, abort     leaves; with RST
#
# Members: code, headers (names in lower case; of several the last), body,
# what has come of it, and end: undef while more is to come, "whole", "cut"
# where it ended too early.  closed is set when nginx closed the connection.
#
#     pass_ask(NGINX, ...)  sends on a connection of its own and reads it all
#     pass_log(NGINX)       the lines of the error log that say that nginx
#                           itself, or the module, has an error
#     pass_worker(NGINX), pass_memory(PID), pass_sockets(PID)
#                           a worker; its kB of memory; how many sockets
#     pass_wait(SUB, SECONDS)  until SUB says true

use strict;
use warnings;

use Errno qw( EAGAIN EWOULDBLOCK EINTR );
use IO::Select ();
use Socket qw( SOL_SOCKET SO_LINGER );
use Time::HiRes ();

use NgxGatewayPorts qw( connected );
use NgxGatewaySystem qw( memory wait_for worker );

use base 'Exporter';

our @EXPORT = qw( pass_ask pass_log pass_worker pass_memory pass_sockets
                  pass_wait );

our $TIMEOUT = $ENV{TEST_NGINX_USE_VALGRIND} ? 60 : 10;


sub new {
    my ($class, $port, %o) = @_;

    my $socket = connected($port, %o);

    $socket->autoflush(1);

    my $self = bless { socket => $socket }, $class;

    $self->next();

    return $self;
}


sub next {
    my ($self) = @_;

    delete @$self{qw( code end length head )};
    $self->{in} //= '';
    $self->{body} = '';
    $self->{headers} = {};

    return $self;
}


sub send {
    my ($self, $method, $path, @fields) = @_;

    my $body = @fields % 2 ? pop @fields : undef;
    my $protocol = 'HTTP/1.1';
    my $text = '';

    push @fields, 'Content-Length' => length $body if defined $body;

    while (my ($name, $value) = splice @fields, 0, 2) {
        $name eq 'protocol' ? $protocol = $value
                            : ($text .= "$name: $value\r\n");
    }

    $self->{method} = $method;

    return $self->raw("$method $path $protocol\r\nHost: localhost\r\n"
                      . "$text\r\n" . ($body // ''));
}


sub raw {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    print { $self->{socket} } $bytes or return undef;

    return $self;
}


sub read {
    my ($self, $pattern, $seconds) = @_;

    my $end = Time::HiRes::time() + ($seconds // $TIMEOUT);

    while (1) {
        $self->_parse();

        return 1 if defined $pattern && $self->{body} =~ $pattern;
        return !defined $pattern if defined $self->{end};
        return 0 if !$self->_fill($end - Time::HiRes::time());
    }
}


sub close {
    my ($self) = @_;

    close delete $self->{socket} if $self->{socket};

    return;
}


sub abort {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;

    return $self->close();
}


# What has come of the answer, as far as it is understood.

sub _parse {
    my ($self) = @_;

    return if defined $self->{end};

    if (!defined $self->{code}) {

        if ($self->{in} !~ s/\A(.*?\r\n)\r\n//s) {
            $self->{end} = 'cut' if $self->{closed};
            return;
        }

        my ($line, @lines) = split /\r\n/, $1;

        ($self->{code}) = $line =~ m{\AHTTP/1\.1 (\d{3}) };
        $self->{code} //= 0;

        for my $field (@lines) {
            my ($name, $value) = split /:\s*/, $field, 2;

            $self->{headers}{lc $name} = $value;
        }

        my $chunked = $self->{headers}{'transfer-encoding'} // '';

        $self->{length} = $self->{headers}{'content-length'};
        $self->{length} = 0 if $self->{method} eq 'HEAD'
                               || $self->{code} == 204;
        $self->{length} = 'chunked'
            if $chunked eq 'chunked' && !defined $self->{length};
    }

    my $length = $self->{length} // 'eof';

    if ($length eq 'chunked') {

        while ($self->{in} =~ /\A([0-9a-f]+)\r\n/i) {
            my ($size, $from) = (hex $1, $+[0]);

            last if length $self->{in} < $from + $size + 2;

            $self->{body} .= substr $self->{in}, $from, $size;
            substr $self->{in}, 0, $from + $size + 2, '';

            return $self->{end} = 'whole' if !$size;
        }

    } elsif ($length eq 'eof') {
        $self->{body} .= delete $self->{in};
        $self->{in} = '';
        $self->{end} = 'whole' if $self->{closed};

    } else {
        $self->{body} .= substr $self->{in}, 0,
                                $length - length($self->{body}), '';

        return $self->{end} = 'whole' if length $self->{body} == $length;
    }

    $self->{end} //= 'cut' if $self->{closed};

    return;
}


sub _fill {
    my ($self, $seconds) = @_;

    return 0 if $self->{closed};

    $seconds = 0 if $seconds < 0;

    my $socket = $self->{socket};

    IO::Select->new($socket)->can_read($seconds) or return 0;

    my $n = sysread $socket, $self->{in}, 65536, length $self->{in};

    return 1 if !defined $n
                && ($! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR);

    $self->{closed} = $n ? undef : defined $n ? 'eof' : 'reset';

    return 1;
}


sub pass_ask {
    my ($nginx, @request) = @_;

    my $client = NgxGatewayPass->new($nginx->port());

    $client->send(@request);
    $client->read();
    $client->close();
    $client->{code} //= 0;

    return $client;
}


sub pass_log {
    my ($nginx) = @_;

    return join '', grep { /\[(?:alert|crit|emerg)\]|runtime error|Sanitizer/ }
                    split /(?<=\n)/, $nginx->error_log();
}


sub pass_worker {
    my ($nginx) = @_;

    return worker($nginx->{pid});
}


sub pass_memory {
    my ($pid) = @_;

    return memory($pid);
}


sub pass_sockets {
    my ($pid) = @_;

    return scalar grep { (readlink($_) // '') =~ /^socket:/ }
                  glob "/proc/$pid/fd/*";
}


sub pass_wait {
    my ($sub, $seconds) = @_;

    return wait_for($seconds // $TIMEOUT, $sub);
}


1;
