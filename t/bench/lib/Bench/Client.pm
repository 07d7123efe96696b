package Bench::Client;

# One keepalive connection, one request after the other: for the checks before
# a measurement, for warming up, and for the fixed number of requests of a
# profile.  Load is wrk's work.

use strict;
use warnings;

use IO::Socket::INET;


sub new {
    my ($class, $port) = @_;
    return bless { port => $port, buffer => '' }, $class;
}


# The same bytes as wrk sends.  Returns the status.

sub get {
    my ($self, $path, $token) = @_;
    my $request = "GET $path HTTP/1.1\r\nHost: bench.example\r\n";

    $request .= "Authorization: Bearer $token\r\n" if defined $token;

    for my $attempt (1, 2) {
        $self->{socket} //= $self->connect;
        my $status = eval { $self->exchange("$request\r\n") };
        return $status if $status;
        delete $self->{socket};
        die $@ if $attempt == 2;
    }
    return;
}


sub connect {
    my ($self) = @_;
    $self->{buffer} = '';
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
        PeerPort => $self->{port}, Timeout => 10)
        // die "bench: connect(): $@\n";
}


sub exchange {
    my ($self, $request) = @_;

    defined syswrite($self->{socket}, $request)
        or die "bench: the gateway closed the connection: $!\n";

    my $head = $self->take(sub {
        my $end = index $_[0], "\r\n\r\n";
        return $end < 0 ? undef : $end + 4;
    });

    my ($status) = $head =~ m{^HTTP/1\.1 (\d{3}) }
        or die "bench: not an HTTP answer\n";

    if ($head =~ /^Content-Length: *(\d+)/mi) {
        my $length = $1;
        $self->take(sub { length $_[0] < $length ? undef : $length });

    } elsif ($head =~ /^Transfer-Encoding: *chunked/mi) {
        $self->take(sub { $_[0] =~ /(?:^|\r\n)0\r\n\r\n/ ? $+[0] : undef });
    }

    delete $self->{socket} if $head =~ /^Connection: *close/mi;
    return $status;
}


# Reads until $complete tells how many bytes of the buffer belong together.

sub take {
    my ($self, $complete) = @_;
    my $length;

    while (!defined($length = $complete->($self->{buffer}))) {
        my $got = sysread $self->{socket}, $self->{buffer}, 65536,
            length $self->{buffer};
        die "bench: the gateway closed the connection\n" if !$got;
    }

    return substr $self->{buffer}, 0, $length, '';
}

1;
