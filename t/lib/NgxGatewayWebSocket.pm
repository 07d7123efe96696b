package NgxGatewayWebSocket;

# WebSockets byte by byte, RFC 6455 and 7692: a client that is as wrong as a
# test wants it to be.  NgxGatewayWebSocketBackend.pm has the other side, with
# the same methods for what is sent and read.
#
#     my $ws = NgxGatewayWebSocket->open($port, uri => '/echo');
#
#     $ws->send_text('a');
#     is($ws->read_text(), 'a');
#     $ws->send_close(1000);
#     is($ws->read_close()->{code}, 1000);
#
# Constructors
#
#     new(PORT, ...)    connects, sends a handshake, reads the answer's head
#     open(PORT, ...)   the same, and dies when the answer is not 101
#     plain(PORT, ...)  connects only: send_raw() and read_head() do the rest
#
#     uri, method, host, protocol (HTTP/1.1), key, origin, protocols (a text),
#     deflate (1, or the text of Sec-WebSocket-Extensions)
#     headers  [ NAME => VALUE, ... ]: more fields; in place of those that a
#              handshake has by itself, where VALUE is undef for none and
#              [ VALUE, ... ] for several
#     more     bytes in the same packet as the handshake
#     tls      1, or { options of IO::Socket::SSL }; nothing is verified
#              unless they say so
#     rcvbuf   SO_RCVBUF, for one that reads slowly
#     greedy   0: nothing is read while something is being written; without
#              it a test that echoes much would wait for itself
#     timeout  seconds, of all that waits; 10
#
# The answer
#
#     status, header(NAME), headers(NAME) (all of that name), head (the text)
#     body     of an answer that is not 101, in full
#     verify   undef, or what is wrong with a 101: accept key, Upgrade,
#              Connection, what was not offered
#     end      how the connection ended, if it has: "eof", "reset"; a read
#              that came to nothing says "timeout" here
#
# Sending; each returns true unless the connection is broken
#
#     send_text(TEXT, ...), send_binary(BYTES, ...)
#              fragments  into so many frames, or [ SIZE, ... ], where what
#                         is left is the last frame
#              compressed 0: not, even where deflate was agreed on
#              and what ws_frame() has
#     send_ping(TEXT), send_pong(TEXT), send_close(CODE, REASON); each also
#              with what ws_frame() has; send_close() alone has no payload
#     send_frame(OPCODE, PAYLOAD, ...)
#     send_raw(BYTES, step => N, pause => SECONDS)
#              as it is; N bytes at a time (1), with pauses between them
#     shutdown says that no more comes, and can go on reading
#     abort    ends it with RST
#     disconnect  closes the socket; also the end of the object does
#
# A text is bytes: encode it.  Reading, each with seconds to wait or timeout:
#
#     read_frame    { opcode, fin, rsv, masked, payload, time }, or undef
#     read_message  { opcode, payload, frames, compressed }: fragments put
#                   together and inflated; pings are answered unless "deaf"
#                   is set; control frames that came are kept in "control";
#                   undef at a Close, which read_close() then tells of
#     read_text     the payload of the next message, or undef
#     read_close    reads until the connection ends: { code, reason, end,
#                   time, frames, closes }; end is "eof", "reset" or
#                   "timeout", time seconds that it took, frames what came
#                   before the Close, after what was read already; code is
#                   undef without a Close, 1005 where it has none; a Close
#                   does not get an answer unless "answer => 1"
#     read_raw(N)   so many bytes, or what there is at the end
#
# NgxGatewayWebSocketFrame.pm has the functions, exported here as well.

use strict;
use warnings;

use Errno qw( EAGAIN EWOULDBLOCK EINTR ECONNRESET EPIPE );
use IO::Select ();
use MIME::Base64 ();
use NgxGatewayPorts qw( connected );
use NgxGatewayWebSocketFrame;
use Socket qw( IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER );
use Time::HiRes ();

use base 'Exporter';

our @EXPORT = @NgxGatewayWebSocketFrame::EXPORT;

our $TIMEOUT = $ENV{TEST_NGINX_USE_VALGRIND} ? 60 : 10;


sub plain {
    my ($class, $port, %o) = @_;

    my $self = bless {
        in => '', side => 'client', greedy => 1, timeout => $TIMEOUT,
        control => [], %o,
    }, $class;

    my $socket = connected($port, %o);

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    if ($o{tls}) {
        require IO::Socket::SSL;

        IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0,
                                   SSL_hostname => $o{host} // 'localhost',
                                   Timeout => $self->{timeout},
                                   ref $o{tls} ? %{ $o{tls} } : ())
            or die "TLS: ", IO::Socket::SSL::errstr(), "\n";
    }

    $self->_use($socket);

    return $self;
}


sub new {
    my ($class, $port, %o) = @_;

    my $self = $class->plain($port, %o);

    $self->send_raw($self->request() . ($o{more} // ''));
    $self->read_head();
    $self->_agree($self->header('Sec-WebSocket-Extensions'))
        if $self->status() == 101;

    return $self;
}


sub open {
    my ($class, $port, %o) = @_;

    my $self = $class->new($port, %o);

    $self->status() == 101
        or die 'the handshake was answered with ' . $self->status() . "\n"
               . $self->body();

    my $wrong = $self->verify();

    die "$wrong\n" if defined $wrong;

    return $self;
}


# The handshake's text.

sub request {
    my ($self) = @_;

    $self->{key} //= MIME::Base64::encode_base64(ws_random(16), '');

    my $deflate = $self->{deflate};

    $deflate = 'permessage-deflate; client_max_window_bits'
        if $deflate && $deflate eq '1';

    my @fields = (
        'Host' => $self->{host} // 'localhost',
        'Upgrade' => 'websocket',
        'Connection' => 'Upgrade',
        'Sec-WebSocket-Version' => '13',
        'Sec-WebSocket-Key' => $self->{key},
        'Origin' => $self->{origin},
        'Sec-WebSocket-Protocol' => $self->{protocols},
        'Sec-WebSocket-Extensions' => $deflate || undef,
    );

    my @more = @{ $self->{headers} // [] };
    my %more;

    for (my $i = 0; $i < @more; $i += 2) {
        $more{ lc $more[$i] } = 1;
    }

    my $text = join ' ', $self->{method} // 'GET', $self->{uri} // '/',
                         $self->{protocol} // 'HTTP/1.1';

    $text .= "\r\n";

    while (@fields) {
        my ($name, $value) = splice @fields, 0, 2;

        next if !defined $value || $more{ lc $name };
        $text .= "$name: $value\r\n";
    }

    while (@more) {
        my ($name, $value) = splice @more, 0, 2;

        $text .= "$name: $_\r\n" for ref $value ? @$value : $value // ();
    }

    return "$text\r\n";
}


sub read_head {
    my ($self, $timeout) = @_;

    $self->{status} = 0;
    $self->{head} = '';

    my $end = Time::HiRes::time() + ($timeout // $self->{timeout});

    until ($self->{in} =~ /\r\n\r\n/) {
        $self->_fill($end) or return 0;
    }

    my $at = index $self->{in}, "\r\n\r\n";

    $self->{head} = substr $self->{in}, 0, $at + 2;
    substr $self->{in}, 0, $at + 4, '';

    ($self->{status}) = $self->{head} =~ m{\AHTTP/1\.[01] (\d{3})}
        or $self->{status} = 0;

    return $self->{status};
}


sub status {
    my ($self) = @_;

    return $self->{status} // 0;
}


sub head {
    my ($self) = @_;

    return $self->{head} // '';
}


sub headers {
    my ($self, $name) = @_;

    my @values = $self->head() =~ /^\Q$name\E:[ \t]*([^\r\n]*)/mgi;

    return @values;
}


sub header {
    my ($self, $name) = @_;

    my @values = $self->headers($name);

    return @values ? join ', ', @values : undef;
}


sub body {
    my ($self) = @_;

    return $self->{body} if defined $self->{body};
    return '' if !$self->status() || $self->status() == 101;

    my $length = $self->header('Content-Length');

    $length = 0 if $self->status() == 204 || $self->status() == 304;

    if (($self->header('Transfer-Encoding') // '') =~ /chunked/i) {
        my $end = Time::HiRes::time() + $self->{timeout};
        my $body = '';

        while (1) {
            if ($self->{in} =~ /\A([0-9a-f]+)[^\r\n]*\r\n/i) {
                my ($size, $from) = (hex $1, $+[0]);

                if (length $self->{in} >= $from + $size + 2) {
                    $body .= substr $self->{in}, $from, $size;
                    substr $self->{in}, 0, $from + $size + 2, '';
                    last if !$size;
                    next;
                }
            }

            $self->_fill($end) or last;
        }

        return $self->{body} = $body;
    }

    return $self->{body} = $self->read_raw($length // 1 << 40);
}


sub verify {
    my ($self) = @_;

    my $accept = $self->header('Sec-WebSocket-Accept') // '';
    my $protocol = $self->header('Sec-WebSocket-Protocol');
    my $extensions = $self->header('Sec-WebSocket-Extensions');
    my %offered = map { $_ => 1 } split /[,\s]+/, $self->{protocols} // '';

    return 'the accept key is wrong' if $accept ne ws_accept($self->{key});
    return 'no Upgrade: websocket'
        if lc($self->header('Upgrade') // '') ne 'websocket';
    return 'no Connection: upgrade'
        if lc($self->header('Connection') // '') ne 'upgrade';
    return 'a subprotocol that was not offered'
        if defined $protocol && !$offered{$protocol};
    return 'an extension that was not offered'
        if defined $extensions && !$self->{deflate};

    return undef;
}


sub end {
    my ($self) = @_;

    return $self->{end};
}


sub socket {
    my ($self) = @_;

    return $self->{socket};
}


# What both sides have agreed on is what the answer says.

sub _agree {
    my ($self, $text) = @_;

    return if !defined $text || $text !~ /\A\s*permessage-deflate/;

    my ($mine, $other) = $self->{side} eq 'client' ? qw( client server )
                                                   : qw( server client );

    my %bits = map {
        $_ => $text =~ /${_}_max_window_bits\s*=\s*"?(\d+)/ ? $1 : 15;
    } qw( client server );

    $self->{agreed} = {
        out => ws_deflater($bits{$mine}),
        in => ws_inflater($bits{$other}),
        out_bits => $bits{$mine},
        in_bits => $bits{$other},
        forget_out => scalar($text =~ /${mine}_no_context_takeover/),
        forget_in => scalar($text =~ /${other}_no_context_takeover/),
    };

    return;
}


# Sending.

sub send_frame {
    my ($self, $opcode, $payload, %o) = @_;

    return $self->send_raw($self->frame($opcode, $payload, %o));
}


sub frame {
    my ($self, $opcode, $payload, %o) = @_;

    if (!exists $o{mask} && $self->{side} eq 'client') {
        $o{mask} = ws_random(4);
    }

    return ws_frame($opcode, $payload, %o);
}


sub send_text {
    my ($self, $text, %o) = @_;

    return $self->send_raw($self->message('text', $text, %o));
}


sub send_binary {
    my ($self, $bytes, %o) = @_;

    return $self->send_raw($self->message('binary', $bytes, %o));
}


# The bytes of a message.

sub message {
    my ($self, $opcode, $payload, %o) = @_;

    my $fragments = delete $o{fragments} // 1;
    my $compressed = delete $o{compressed} // 1;
    my $rsv = $o{rsv} // 0;

    if ($compressed && (my $agreed = $self->{agreed})) {
        $agreed->{out} = ws_deflater($agreed->{out_bits})
            if $agreed->{forget_out};

        $payload = ws_deflate($payload, $agreed->{out});
        $rsv |= 4;
    }

    my @sizes = ref $fragments ? @$fragments : ();

    if (!ref $fragments && $fragments > 1) {
        my $size = int(length($payload) / $fragments);

        @sizes = ($size) x ($fragments - 1);
    }

    my $text = '';

    for my $size (@sizes) {
        $text .= $self->frame($opcode, substr($payload, 0, $size, ''), %o,
                              rsv => $rsv, fin => 0);
        ($opcode, $rsv) = ('cont', 0);
    }

    return $text . $self->frame($opcode, $payload, %o, rsv => $rsv);
}


sub send_ping {
    my ($self, $text, %o) = @_;

    return $self->send_frame('ping', $text, %o);
}


sub send_pong {
    my ($self, $text, %o) = @_;

    return $self->send_frame('pong', $text, %o);
}


sub send_close {
    my ($self, $code, $reason, %o) = @_;

    return $self->send_frame('close', ws_close($code, $reason), %o);
}


sub send_raw {
    my ($self, $bytes, %o) = @_;

    my $step = $o{step} // ($o{pause} ? 1 : undef)
        or return $self->_write($bytes);

    for (my $i = 0; $i < length $bytes; $i += $step) {
        Time::HiRes::sleep($o{pause}) if $o{pause} && $i;
        $self->_write(substr $bytes, $i, $step) or return 0;
    }

    return 1;
}


sub shutdown {
    my ($self) = @_;

    return CORE::shutdown $self->{socket}, 1;
}


sub abort {
    my ($self) = @_;

    my $socket = $self->{socket} // return;

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;

    return $self->disconnect();
}


sub disconnect {
    my ($self) = @_;

    my $socket = delete $self->{socket} // return;

    if ($self->{tls}) {
        $socket->close(SSL_no_shutdown => 1);

    } else {
        CORE::close $socket;
    }

    return;
}


# Reading.

sub read_frame {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout // $self->{timeout});

    while (1) {
        my $frame = $self->_frame();

        return $frame if $frame;
        return undef if !$self->_fill($end);
    }
}


# A frame of what has been read, if it is all there.

sub _frame {
    my ($self) = @_;

    return if length $self->{in} < 2;

    my ($first, $second) = unpack 'CC', $self->{in};
    my $length = $second & 127;
    my $from = $length == 126 ? 4 : $length == 127 ? 10 : 2;

    return if length $self->{in} < $from;

    $length = unpack 'xxn', $self->{in} if $from == 4;
    $length = unpack 'xxQ>', $self->{in} if $from == 10;

    my $mask = $second & 128 ? $from : 0;

    $from += 4 if $mask;

    return if length $self->{in} < $from + $length;

    my $payload = substr $self->{in}, $from, $length;

    $payload = ws_mask($payload, substr $self->{in}, $mask, 4) if $mask;
    substr $self->{in}, 0, $from + $length, '';

    my $frame = {
        opcode => $first & 15,
        fin => $first >> 7,
        rsv => $first >> 4 & 7,
        masked => $mask ? 1 : 0,
        payload => $payload,
        time => Time::HiRes::time(),
    };

    $self->{seen}->($frame) if $self->{seen};

    return $frame;
}


sub read_message {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout // $self->{timeout});
    my $message = delete $self->{part};

    while (1) {
        my $frame = $self->{held} // $self->read_frame(
                                         $end - Time::HiRes::time());

        if (!$frame) {
            $self->{part} = $message;
            return undef;
        }

        if ($frame->{opcode} == 8) {
            $self->{held} = $frame;
            return undef;
        }

        if ($frame->{opcode} > 7) {
            push @{ $self->{control} }, $frame;
            $self->send_pong($frame->{payload})
                if $frame->{opcode} == 9 && !$self->{deaf};
            next;
        }

        die "a fragment without a beginning\n"
            if !$message && $frame->{opcode} == 0;
        die "a message within a message\n"
            if $message && $frame->{opcode} != 0;

        $message //= { opcode => $frame->{opcode}, payload => '',
                       compressed => $frame->{rsv} & 4 ? 1 : 0,
                       frames => 0 };
        $message->{payload} .= $frame->{payload};
        $message->{frames}++;

        last if $frame->{fin};
    }

    return $message if !$message->{compressed};

    my $agreed = $self->{agreed} // die "compressed, but not agreed on\n";

    $agreed->{in} = ws_inflater($agreed->{in_bits}) if $agreed->{forget_in};
    $message->{payload} = ws_inflate($message->{payload}, $agreed->{in});

    return $message;
}


sub read_text {
    my ($self, $timeout) = @_;

    my $message = $self->read_message($timeout);

    return $message ? $message->{payload} : undef;
}


sub read_close {
    my ($self, $timeout, %o) = @_;

    my $start = Time::HiRes::time();
    my $end = $start + ($timeout // $self->{timeout});
    my %close = (frames => [], closes => 0);

    while (1) {
        my $frame = delete $self->{held}
                    // $self->read_frame($end - Time::HiRes::time())
                    // last;

        if ($frame->{opcode} != 8) {
            push @{ $close{frames} }, $frame;
            next;
        }

        next if $close{closes}++;

        my $payload = $frame->{payload};

        $close{code} = length $payload ? unpack 'n', $payload : 1005;
        $close{reason} = length $payload > 2 ? substr $payload, 2 : '';

        $self->send_frame('close', $payload) if $o{answer};
    }

    $close{end} = $self->{end} // 'timeout';
    $close{time} = Time::HiRes::time() - $start;
    $close{rest} = $self->{in};

    return \%close;
}


sub read_raw {
    my ($self, $n, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout // $self->{timeout});

    while (length $self->{in} < $n) {
        $self->_fill($end) or last;
    }

    return substr $self->{in}, 0, $n, '';
}


# The socket, which never blocks.

sub _use {
    my ($self, $socket) = @_;

    $socket->blocking(0);
    $self->{socket} = $socket;
    $self->{select} = IO::Select->new($socket);

    return;
}


# Reads what there is, until a time; true when there was something.

sub _fill {
    my ($self, $end) = @_;

    return 0 if $self->{ended};

    while (1) {
        my $socket = $self->{socket} // return $self->_ended('closed');
        my $wait = $end - Time::HiRes::time();

        $wait = 0 if $wait < 0;

        if (!($self->{tls} && $socket->pending())
            && !$self->{select}->can_read($wait))
        {
            next if $! == EINTR && Time::HiRes::time() < $end;

            $self->{end} = 'timeout';
            return 0;
        }

        my $n = $self->_read();

        return $n if defined $n;

        if (Time::HiRes::time() >= $end) {
            $self->{end} = 'timeout';
            return 0;
        }
    }
}


# Bytes that were read, 0 at the end, undef where there are none.

sub _read {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $n = sysread $self->{socket}, $self->{in}, $self->{chunk} // 65536,
                    length $self->{in};

    return $n if $n;
    return $self->_ended('eof') if defined $n;
    return undef if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;

    return $self->_ended('reset') if $! == ECONNRESET || $! == EPIPE;

    return $self->_ended($self->{tls} ? 'eof' : "error: $!");
}


sub _ended {
    my ($self, $how) = @_;

    $self->{end} = $self->{ended} = $how;

    return 0;
}


sub _write {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $end = Time::HiRes::time() + $self->{timeout};
    my $at = 0;

    while ($at < length $bytes) {
        my $socket = $self->{socket} // return 0;
        my $n = syswrite $socket, $bytes, 65536, $at;

        if ($n) {
            $at += $n;
            next;
        }

        if ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) {
            # what came before is still there to be read

            $self->{broken} = "$!";
            return 0;
        }

        return 0 if Time::HiRes::time() > $end;

        my $read = $self->{greedy} && !$self->{ended} ? $self->{select}
                                                      : undef;
        my ($readable) = IO::Select->select($read, $self->{select}, undef,
                                            0.2);

        $self->_read() if $readable && @$readable;
    }

    return 1;
}


1;
