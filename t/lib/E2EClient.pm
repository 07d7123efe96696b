package E2EClient;

# One connection of an HTTP/1.1 client that sends exactly what it is told and
# says what came back, so that a test sees keepalive, pipelining and 100
# Continue as they are on the wire.
#
#     my $client = E2EClient->new($port);
#     my $answer = $client->ask('GET', '/', Authorization => "Bearer $token");
#
# An answer is { status, headers, body }, header names in lower case; undef if
# the connection ended before the answer's first byte.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes ();

our $TIMEOUT = 20;


sub new {
    my ($class, $port) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port,
                                       Timeout => $TIMEOUT)
        or return;

    $socket->autoflush(1);

    return bless { socket => $socket, buffer => '', eof => 0,
                   port => $port }, $class;
}


sub port {
    my ($self) = @_;

    return $self->{port};
}


# A request's bytes; a body brings its Content-Length.

sub request {
    my ($method, $path, @headers) = @_;

    my $body = @headers % 2 ? pop @headers : undef;
    my $text = "$method $path HTTP/1.1\r\nHost: localhost\r\n";

    push @headers, 'Content-Length' => length $body if defined $body;

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n" . ($body // '');
}


sub ask {
    my ($self, $method, @request) = @_;

    $self->send(request($method, @request)) or return;

    return $self->answer($method);
}


sub send {
    my ($self, $bytes) = @_;

    my $socket = $self->{socket};
    my $sent = 0;

    while ($sent < length $bytes) {
        my $n = syswrite $socket, $bytes, length($bytes) - $sent, $sent;

        return if !defined $n;
        $sent += $n;
    }

    return 1;
}


sub answer {
    my ($self, $method) = @_;

    while ($self->{buffer} !~ /\r\n\r\n/) {
        next if $self->_read;

        return if !length $self->{buffer};
        die "the connection ended within a header\n";
    }

    $self->{buffer} =~ s/\A(.*?\r\n)\r\n//s;

    my ($line, @lines) = split /\r\n/, $1;
    my ($status) = $line =~ m{^HTTP/1\.1 (\d{3})\b};

    die "not a status line: \"$line\"\n" if !defined $status;

    my %headers;

    for my $field (@lines) {
        my ($name, $value) = split /:\s*/, $field, 2;

        push @{ $headers{lc $name} }, $value;
    }

    my %answer = (status => $status, body => '', headers => {
        map { $_ => join ', ', @{ $headers{$_} } } keys %headers
    });

    return \%answer if ($method // '') eq 'HEAD' || $status < 200
                       || $status == 204 || $status == 304;

    if (lc($answer{headers}{'transfer-encoding'} // '') eq 'chunked') {
        $answer{body} = $self->_chunks;

    } else {
        $answer{body} = $self->_take($answer{headers}{'content-length'} // 0);
    }

    return \%answer;
}


sub _chunks {
    my ($self) = @_;

    my $body = '';

    while (1) {
        while ($self->{buffer} !~ /\r\n/) {
            $self->_read or die "the connection ended within a chunk\n";
        }

        $self->{buffer} =~ s/\A([0-9a-f]+)\r\n//i or die "not a chunk\n";

        my $size = hex $1;

        $body .= $self->_take($size);
        $self->_take(2) eq "\r\n" or die "no line break after a chunk\n";

        return $body if $size == 0;
    }
}


sub _take {
    my ($self, $length) = @_;

    while (length $self->{buffer} < $length) {
        $self->_read or die "the connection ended within a body\n";
    }

    return substr $self->{buffer}, 0, $length, '';
}


sub _read {
    my ($self) = @_;

    my $socket = $self->{socket};

    return 0 if $self->{eof};

    IO::Select->new($socket)->can_read($TIMEOUT)
        or die "no answer in $TIMEOUT seconds\n";

    my $n = sysread $socket, $self->{buffer}, 65536, length $self->{buffer};

    $self->{eof} = !$n;

    return $n;
}


# Whether the server has closed the connection, or does so within these
# seconds, without sending more.

sub closed {
    my ($self, $seconds) = @_;

    my $socket = $self->{socket};

    while (!$self->{eof} && !length $self->{buffer}) {
        IO::Select->new($socket)->can_read($seconds // 0) or return 0;
        $self->_read;
    }

    return $self->{eof} && !length $self->{buffer};
}


# Whether something has come that was not read.

sub pending {
    my ($self, $seconds) = @_;

    return 1 if length $self->{buffer};
    return scalar IO::Select->new($self->{socket})->can_read($seconds // 0);
}


1;
