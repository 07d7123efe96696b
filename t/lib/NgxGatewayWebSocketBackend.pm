package NgxGatewayWebSocketBackend;

# A WebSocket service that behaves as badly as a test wants it to, on a free
# port, with a process for each connection.
#
#     my $backend = NgxGatewayWebSocketBackend->new(
#         '/mine' => sub {
#             my ($c) = @_;
#
#             $c->handshake();
#             $c->send_text($c->read_text() . '!');
#             $c->bye(1000);
#         },
#     );
#
# $c is a NgxGatewayWebSocket, see there, with
#
#     handshake(...)  sends the 101; accept (the value), protocol, extensions
#                     (undef: deflate where $c->arg('deflate') is set and it
#                     was offered; a text as it is, '' for none), headers [
#                     NAME => VALUE, ... ], more (bytes in the same packet),
#                     step and pause as send_raw() has them
#     arg(NAME, DEFAULT)  of the query string
#     request         { uri, path, head }; header(NAME) is one of its fields
#     note(TEXT)      for "notes" below
#     echo            answers everything until the end as a good service does
#     bye(CODE, REASON)  sends a Close and waits for the other side's, 2 s
#     mind(FRAME)     answers pings and a Close, after which "done" is set;
#                     true for a frame of a message
#     drain(SECONDS)  reads until the other side has closed TCP
#
# It is closed when the sub returns.
#
# The first segment of a path without a sub of its own is one of the names
# below, "/echo" being the first; "/x/echo" is the same: segments that are not
# names are passed over.  What is behind "?" are its arguments:
#
#     echo         each message as it came, frame for frame where it is not
#                  compressed; deflate=1; close is answered with its code
#     json         answers objects {...} with {"reply":N,...}, the N-th message,
#                  the rest as it came.  Members of the object: "skip":true (no
#                  answer), "delay":SECONDS (others overtake it), "twice":true,
#                  "noise":true (messages of other kinds come first),
#                  "close":CODE, "die":true, "reset":true; count=1 adds
#                  "connection":PID
#     messages     n messages ({"n":1}, ... or text=); each=1: for each message
#                  that comes, else at once; pause=; binary=1; then=
#     ticker       {"tick":N} with pause= between them (0.1), until the end
#     silent       answers pings and a Close, nothing else
#     deaf         reads, never answers anything
#     stall        reads nothing
#     slow         reads size= bytes (1024) each pause= seconds (0.05)
#     status       answers code= (403) and body= instead of 101, again and
#                  again, as "http" does
#     http         answers 200 with what it was asked, as text; likewise
#     accept       101 with a wrong accept key (value=)
#     protocol     101 with the subprotocol name=, which nobody may want
#     extension    101 with value= in Sec-WebSocket-Extensions
#     bare         101 without its fields; upgrade=, connection= have others
#     packet       n messages (2) in the same packet as the 101; then=
#     trickle      101 byte by byte; pause= (0.001), then as echo
#     before       a frame, and then the 101
#     mute         never answers the handshake
#     gone         closes instead of an answer; how=reset
#     die          closes in the middle of a frame; how=reset; each=1 when a
#                  message has come
#     pings        n pings (1000), pause=, text=; then=
#     masked       a masked frame; then=
#     raw          hex= bytes; step=, pause=; each=1 when a message has come;
#                  then=
#     fragments    a message in n frames (1000000), size= each (1); then=
#     huge         a message of size= bytes in one frame; frames=; then=
#     close        Close code= (1000), reason=; n= after so many messages
#                  (0); none=1 without a payload; keep=1 stays until the
#                  other side has closed TCP
#     half         says that no more comes, without a Close, and reads on
#
# What comes then: then=echo (until the end; the default), close (1000), eof,
# reset, silent, deaf, stall.
#
#     connections(PATH)  those so far, in order; all without a path: { id,
#                     pid, time, uri, path, head, frames, messages, notes,
#                     end, ended }; frames as NgxGatewayWebSocket's with time,
#                     messages their payloads ({ opcode, payload }; deflated
#                     ones as they came); end is "eof", "reset", or "closed" by
#                     the backend itself, undef while it is open
#     last(PATH)      the last of these
#     open            how many are open
#     forget          what was seen so far
#     stop            ends it, and all of its connections, at once
#     port, wait, and the rest of NgxGatewayListener
#
# "port => N" among the arguments of new is the port to be used.

use strict;
use warnings;

use IO::Select ();
use JSON::PP ();
use POSIX ();
use Socket qw( IPPROTO_TCP TCP_NODELAY );
use Time::HiRes ();

use NgxGatewayWebSocket;
use NgxGatewayWebSocketScripts;

use base 'NgxGatewayListener';


sub new {
    my ($class, %subs) = @_;

    my @port = exists $subs{port} ? (port => delete $subs{port}) : ();

    return $class->SUPER::new(@port, subs => \%subs);
}


# It ends its connections, and says when.

sub signal {
    return 'TERM';
}


sub forget {
    my ($self) = @_;

    truncate "$self->{log}", 0 or die "truncate: $!\n";

    return;
}


sub connections {
    my ($self, $path) = @_;

    my (@all, %all);

    CORE::open my $in, '<:raw', "$self->{log}" or die "log: $!\n";

    while (my $line = <$in>) {
        last if $line !~ /\n\z/;

        my ($what, $id, $time, $rest) = split ' ', $line, 4;

        if ($what eq 'open') {
            my $new = JSON::PP::decode_json($rest);

            $new = { %$new, id => $id, time => $time, frames => [],
                     messages => [], notes => [] };
            push @all, $all{$id} = $new;
            next;
        }

        my $c = $all{$id} // next;

        if ($what eq 'frame') {
            my ($opcode, $fin, $rsv, $masked, $hex) = split ' ', $rest;
            my $payload = pack 'H*', $hex // '';

            push @{ $c->{frames} },
                 { opcode => $opcode, fin => $fin, rsv => $rsv,
                   masked => $masked, payload => $payload, time => $time };

            next if $opcode > 7;

            push @{ $c->{messages} }, { opcode => $opcode, payload => '' }
                if $opcode > 0;
            $c->{messages}[-1]{payload} .= $payload if @{ $c->{messages} };

        } elsif ($what eq 'note') {
            push @{ $c->{notes} }, pack 'H*', $rest =~ s/\s+\z//r;

        } elsif ($what eq 'end') {
            $c->{end} = $rest =~ s/\s+\z//r;
            $c->{ended} = $time;
        }
    }

    return @all if !defined $path;
    return grep { $_->{path} eq $path } @all;
}


sub last {
    my ($self, $path) = @_;

    my @all = $self->connections($path);

    return $all[-1];
}


sub open {
    my ($self) = @_;

    return scalar grep { !defined $_->{end} } $self->connections();
}


# The process that listens.  It ends with the test, or at SIGTERM, and so do
# those of its connections.

sub serve {
    my ($self, $listen) = @_;

    $listen->blocking(0);

    my $select = IO::Select->new($listen);
    my $stop = 0;
    my (%children, $pid);

    local $SIG{TERM} = sub { $stop = 1 };

    while (!$stop && !$self->orphaned()) {
        my $ready = $select->can_read(0.2);

        while (($pid = waitpid -1, POSIX::WNOHANG()) > 0) {
            delete $children{$pid};
        }

        my $socket = $ready ? $listen->accept() : undef;

        next if !$socket;

        $pid = fork // next;

        if ($pid) {
            $children{$pid} = 1;
            CORE::close $socket;
            next;
        }

        CORE::close $listen;
        $SIG{TERM} = 'DEFAULT';
        srand;
        eval { _connection($socket, "$self->{log}", $self->{subs}) };
        print STDERR "backend: $@" if $@;
        POSIX::_exit(0);
    }

    CORE::close $listen;
    kill 'KILL', keys %children;
    waitpid $_, 0 for keys %children;

    POSIX::_exit(0);
}


sub _connection {
    my ($socket, $log, $subs) = @_;

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    my $c = NgxGatewayWebSocketBackend::Connection->serve($socket, $log);

    # a script that does without a WebSocket may be asked again

    while ($c->next_request()) {
        my $path = $c->{path};
        my $sub = $subs->{$path} // NgxGatewayWebSocketScripts::script($path)
                  // $subs->{'*'};

        $sub //= sub {
            $c->send_raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
                         . "\r\n");
            $c->{again} = 1;
        };

        # The other side may go at any time: what a script has not taken into
        # account ends it.

        eval { $sub->($c); 1 } or $c->note("died: $@");

        last if !delete $c->{again};

        $c->finish();
    }

    $c->finish();
    $c->disconnect();

    return;
}


package NgxGatewayWebSocketBackend::Connection;

use Fcntl qw( O_WRONLY O_APPEND O_CREAT );
use Time::HiRes ();

use NgxGatewayWebSocket;

use base 'NgxGatewayWebSocket';


sub serve {
    my ($class, $socket, $file) = @_;

    my $self = bless {
        in => '', side => 'server', greedy => 1, timeout => 3600,
        control => [], id => $$ * 1000,
    }, $class;

    sysopen $self->{log}, $file, O_WRONLY | O_APPEND | O_CREAT
        or die "log: $!\n";

    $self->_use($socket);

    $self->{seen} = sub {
        my ($frame) = @_;

        $self->tell('frame', join ' ', @$frame{qw( opcode fin rsv masked )},
                                       unpack 'H*', $frame->{payload});
    };

    return $self;
}


# Reads a request's head; false where none comes.  Bodies are not expected.

sub next_request {
    my ($self) = @_;

    my $end = Time::HiRes::time() + 3600;

    until ($self->{in} =~ /\r\n\r\n/) {
        $self->_fill($end) or return 0;
    }

    my $at = CORE::index $self->{in}, "\r\n\r\n";

    $self->{head} = substr $self->{in}, 0, $at + 2;
    substr $self->{in}, 0, $at + 4, '';

    my ($uri) = $self->{head} =~ m{\A\S+ (\S+)};
    my ($path, $args) = split /\?/, $uri, 2;

    $self->{path} = $path;
    $self->{uri} = $uri;
    $self->{args} = { map { my ($name, $value) = split /=/, $_, 2;
                            $value //= '';
                            $value =~ s/%([0-9a-f]{2})/chr hex $1/gei;
                            $name => $value } split /&/, $args // '' };
    $self->{id}++;
    $self->{asked} = 1;

    $self->tell('open', JSON::PP->new->ascii->canonical->encode(
                    { uri => $uri, path => $path, head => $self->{head},
                      pid => $$ }));

    return 1;
}


# A line in one write, so that those of others stay whole.

sub tell {
    my ($self, $what, $text) = @_;

    my $line = sprintf "%s %d %.6f %s\n", $what, $self->{id},
                       Time::HiRes::time(), $text;

    syswrite $self->{log}, $line;

    return;
}


sub note {
    my ($self, $text) = @_;

    $self->tell('note', unpack 'H*', $text);

    return;
}


sub arg {
    my ($self, $name, $default) = @_;

    return $self->{args}{$name} // $default;
}


sub request {
    my ($self) = @_;

    return { map { $_ => $self->{$_} } qw( uri path head ) };
}


sub handshake {
    my ($self, %o) = @_;

    my $extensions = $o{extensions};
    my @fields = (
        'Upgrade' => 'websocket',
        'Connection' => 'Upgrade',
        'Sec-WebSocket-Accept' =>
            $o{accept} // ws_accept($self->header('Sec-WebSocket-Key') // ''),
    );

    if (!defined $extensions && $self->arg('deflate')) {
        my $offer = $self->header('Sec-WebSocket-Extensions') // '';

        $extensions = 'permessage-deflate' if $offer =~ /permessage-deflate/;
        $extensions .= '; ' . $self->arg('parameters')
            if defined $extensions && defined $self->arg('parameters');
    }

    push @fields, 'Sec-WebSocket-Protocol' => $o{protocol}
        if defined $o{protocol};
    push @fields, 'Sec-WebSocket-Extensions' => $extensions
        if length($extensions // '');
    push @fields, @{ $o{headers} // [] };

    my $text = "HTTP/1.1 101 Switching Protocols\r\n";

    while (@fields) {
        my ($name, $value) = splice @fields, 0, 2;

        $text .= "$name: $value\r\n";
    }

    $self->_agree($extensions);

    return $self->send_raw("$text\r\n" . ($o{more} // ''),
                           step => $o{step}, pause => $o{pause});
}


# What a good service does with what is not a message; true for a message's
# frame.

sub mind {
    my ($self, $frame) = @_;

    return 1 if $frame->{opcode} < 8;

    if ($frame->{opcode} == 9) {
        $self->send_pong($frame->{payload});

    } elsif ($frame->{opcode} == 8) {
        $self->send_frame('close', $frame->{payload});
        $self->shutdown();
        $self->{done} = 1;
        $self->drain(2);
    }

    return 0;
}


sub echo {
    my ($self) = @_;

    if ($self->{agreed}) {
        while (my $message = $self->read_message()) {
            $self->send_raw($self->message($message->{opcode},
                                           $message->{payload}));
        }

        $self->mind(delete $self->{held}) if $self->{held};
        return;
    }

    while (!$self->{done}) {
        my $frame = $self->read_frame() // return;

        $self->mind($frame) or next;
        $self->send_frame($frame->{opcode}, $frame->{payload},
                          fin => $frame->{fin}, rsv => $frame->{rsv})
            or return;
    }

    return;
}


sub bye {
    my ($self, @close) = @_;

    my $end = Time::HiRes::time() + 2;

    $self->send_close(@close);

    while (my $frame = delete $self->{held}
                       // $self->read_frame($end - Time::HiRes::time()))
    {
        last if $frame->{opcode} == 8;
    }

    $self->{done} = 1;

    return;
}


# Reads until the other side has closed, frames or not.

sub drain {
    my ($self, $seconds) = @_;

    my $end = Time::HiRes::time() + ($seconds // 3600);

    while (1) {
        if ($self->_frame()) {
            next;
        }

        $self->_fill($end) or last;
    }

    return;
}


sub finish {
    my ($self) = @_;

    my $end = $self->{end} // '';

    return if !delete $self->{asked};

    $self->tell('end', $end eq 'eof' || $end eq 'reset' ? $end
                       : ($self->{broken} // '') =~ /reset|pipe/i ? 'reset'
                       : 'closed');

    return;
}


1;
