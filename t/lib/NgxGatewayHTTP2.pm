package NgxGatewayHTTP2;

# A small client for many streams of one HTTP/2 connection at once, without
# TLS, RFC 9113; curl's --parallel does not get refused bodies and answers
# that come late right.  For what curl does get right:
#
#     http2_need_curl      skips the whole test where no curl speaks HTTP/2
#     http2_curl(ARG, ...) what it gets, with the head of the answer
#
#     http2_all(PORT, REQUEST, ...)  "CODE BODY" of each, requests as those of
#                          send(), all on one connection

use strict;
use warnings;

use IO::Socket::INET ();
use Test::More ();
use Time::HiRes ();

use NgxGatewaySystem qw( output );

use base 'Exporter';

our @EXPORT = qw( http2_need_curl http2_curl http2_all );

our $TIMEOUT = 30;


sub http2_need_curl {
    return if output('curl', '--version') =~ /^Features:.*HTTP2/m;

    Test::More::plan(skip_all => 'no curl that speaks HTTP/2');
}


sub http2_curl {
    my (@arguments) = @_;

    return output('curl', '-sS', '-i', '--http2-prior-knowledge',
                  '--max-time', 30, @arguments);
}


sub http2_all {
    my ($port, @requests) = @_;

    my $client = NgxGatewayHTTP2->new($port);
    my @answers = $client->answers($client->send(@requests));

    $client->close();

    return map { "$_->{code} $_->{body}" } @answers;
}


sub new {
    my ($class, $port) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port)
                 or die "connect: $!\n";

    $socket->autoflush(1);

    my $self = bless { socket => $socket, id => 1, streams => {} }, $class;

    $self->_send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . _frame(4, 0, 0, ''));

    return $self;
}


# Sends these requests, [ METHOD, PATH, NAME => VALUE ... ], in one write; the
# value of the empty name is a body.  Returns their streams.

sub send {
    my ($self, @requests) = @_;

    my $text = '';
    my @ids;

    for my $request (@requests) {
        my ($method, $path, @headers) = @$request;

        # literals without indexing, each of a name and a value

        my $block = '';
        my $body = '';
        my @fields = (':method', $method, ':path', $path, ':scheme', 'http',
                      ':authority', 'localhost', @headers);

        while (@fields) {
            my ($name, $value) = splice @fields, 0, 2;

            if ($name eq '') {
                $body = $value;
                next;
            }

            $block .= "\0" . _literal($name) . _literal($value);
        }

        # END_HEADERS, and END_STREAM where there is no body

        $text .= _frame(1, length $body ? 4 : 5, $self->{id}, $block);
        $text .= _frame(0, 1, $self->{id}, $body) if length $body;
        $self->{streams}{ $self->{id} } = {};
        push @ids, $self->{id};
        $self->{id} += 2;
    }

    $self->{sent} = Time::HiRes::time();
    $self->_send($text);

    return @ids;
}


# RST_STREAM with CANCEL

sub reset {
    my ($self, @ids) = @_;

    $self->_send(join '', map { _frame(3, 0, $_, pack 'N', 8) } @ids);

    return;
}


# The answers on these streams, { code, body, time: seconds since they were
# sent }, when all have come; the code is "-" where none did, "refused" where a
# GOAWAY says that none will.

sub answers {
    my ($self, @ids) = @_;

    my $streams = $self->{streams};

    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm $TIMEOUT;

    eval {
        while (grep { !$streams->{$_}{ended} } @ids) {
            $self->_read();
        }
    };

    alarm 0;

    return map { { code => '-', body => '', %{ $streams->{$_} // {} } } } @ids;
}


# Whether the server has said that it takes no more.

sub goaway {
    my ($self) = @_;

    return $self->{goaway};
}


sub close {
    my ($self) = @_;

    close $self->{socket};

    return;
}


sub _send {
    my ($self, $text) = @_;

    local $SIG{PIPE} = 'IGNORE';
    print { $self->{socket} } $text;

    return;
}


sub _read {
    my ($self) = @_;

    my ($type, $flags, $id, $payload) = $self->_read_frame();
    my $stream = $self->{streams}{$id} //= {};

    if ($type == 0) {
        $stream->{body} .= $payload;

    } elsif ($type == 1) {
        $stream->{code} = _code($payload);
        $stream->{time} = Time::HiRes::time() - $self->{sent};

    } elsif ($type == 3) {
        $stream->{code} //= 'reset';
        $stream->{ended} = 1;

    } elsif ($type == 7) {
        my $last = unpack 'N', $payload;

        for my $refused (grep { $_ > $last } keys %{ $self->{streams} }) {
            @{ $self->{streams}{$refused} }{qw( code ended )} = ('refused', 1);
        }

        $self->{goaway} = 1;

    } elsif ($type == 4 && !($flags & 1)) {
        $self->_send(_frame(4, 1, 0, ''));
    }

    $stream->{ended} = 1 if $type < 2 && $flags & 1;

    return;
}


sub _read_frame {
    my ($self) = @_;

    (read($self->{socket}, my $head, 9) // 0) == 9 or die "closed\n";

    my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $head;
    my $length = $high * 65536 + $low;
    my $payload = '';

    if ($length) {
        (read($self->{socket}, $payload, $length) // 0) == $length
            or die "closed\n";
    }

    return ($type, $flags, $id, $payload);
}


sub _frame {
    my ($type, $flags, $id, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $id) . $payload;
}


# a string of HPACK, RFC 7541 section 5.2, not compressed

sub _literal {
    my ($string) = @_;

    my $length = length $string;

    return chr($length) . $string if $length < 127;

    my $prefix = chr 127;

    for ($length -= 127; $length > 127; $length >>= 7) {
        $prefix .= chr($length & 127 | 128);
    }

    return $prefix . chr($length) . $string;
}


# ":status", which comes first: of the static table, or three digits; after
# what may be an update of the dynamic table's size

sub _code {
    my ($block) = @_;

    my %static = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400,
                  13 => 404, 14 => 500);

    $block =~ s/\A[\x20-\x3f]//;

    my $first = ord $block;

    return $static{ $first & 127 } // '?' if $first & 128;

    return $block =~ /\A.\x03(\d{3})/s ? $1
           : $block =~ /\A.\x82(..)/s ? _huffman($1) : '?';
}


# three digits: RFC 7541, appendix B, has 5 bits for 0 to 2 and 6 for 3 to 9

sub _huffman {
    my ($bytes) = @_;

    my $bits = unpack 'B*', $bytes;
    my $digits = '';

    while (length $digits < 3) {
        if ($bits =~ s/\A(000(?:00|01|10))//) {
            $digits .= oct "0b$1";

        } elsif ($bits =~ s/\A(011\d{3})//) {
            $digits .= oct("0b$1") - 0x16;

        } else {
            return '?';
        }
    }

    return $digits;
}


1;
