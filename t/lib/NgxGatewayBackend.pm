package NgxGatewayBackend;

# A service that answers as badly as a test wants it to, many connections at
# once, in a process of its own on a free port.
#
#     my $backend = NgxGatewayBackend->new(
#         '/good' => json('{"a":1}'),
#         '/slow' => [ json('{"a":1}', 10), [ sleep => 0.1 ], [ 'close' ] ],
#     );
#
# An answer is what is sent, or a list of steps: what is sent, and [ sleep =>
# seconds ], [ bytes => text, seconds between two ], [ 'close' ], [ 'reset' ],
# [ 'hang' ].  After the last step the connection waits for another request.
# A path without an answer is answered with 404.
#
#     seen(PATH)    the requests to this path so far, as { time, gone, head };
#                   gone is when nginx closed the connection before the answer
#                   was complete
#     open          connections that are open
#     left(PATH, SECONDS)  waits until nginx has closed the connection of each
#                   request to this path that was not answered in full; true
#                   when it does within these seconds
#     port, stop, and the rest of NgxGatewayListener

use strict;
use warnings;

use Errno qw( EAGAIN EWOULDBLOCK EINTR );
use IO::Select ();
use Socket qw( IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER );
use Time::HiRes ();

use base qw( Exporter NgxGatewayListener );

our @EXPORT = qw( json answer );


# An answer with its Content-Length, or one that does not tell the truth.

sub json {
    my ($text, $length) = @_;

    return answer(200, $text, 'Content-Type' => 'application/json',
                  'Content-Length' => $length // length $text);
}


sub answer {
    my ($status, $body, @headers) = @_;

    my $text = "HTTP/1.1 $status X\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n$body";
}


sub new {
    my ($class, %answers) = @_;

    my @port = exists $answers{port} ? (port => delete $answers{port}) : ();

    return $class->SUPER::new(@port, answers => \%answers);
}


sub _log {
    my ($self) = @_;

    open my $in, '<', "$self->{log}" or die "log: $!\n";

    return <$in>;
}


sub seen {
    my ($self, $path) = @_;

    my (@seen, %last);

    for my $line ($self->_log()) {
        my ($what, $id, $time, $text) = split ' ', $line, 4;

        if ($what eq 'request') {
            my ($uri, $head) = split ' ', $text, 2;

            next if $uri ne $path;
            push @seen, $last{$id} = { time => $time, head => $head };

        } elsif ($what eq 'done' || $what eq 'closed') {
            delete $last{$id};

        } elsif ($what eq 'gone') {
            my $request = delete $last{$id};
            $request->{gone} = $time if $request;
        }
    }

    return @seen;
}


sub open {
    my ($self) = @_;

    my $open = 0;

    for my $line ($self->_log()) {
        $open++ if $line =~ /^open /;
        $open-- if $line =~ /^(?:gone|closed|idle) /;
    }

    return $open;
}


sub left {
    my ($self, $path, $seconds) = @_;

    return $self->wait(sub {
        my @seen = $self->seen($path);

        return @seen && !grep { !$_->{gone} } @seen;
    }, $seconds // 5);
}


sub serve {
    my ($self, $listen) = @_;

    my $answers = $self->{answers};

    CORE::open my $log, '>>', "$self->{log}" or die "log: $!\n";
    $log->autoflush(1);

    my $read = IO::Select->new($listen);
    my (%connections, $ids);

    my $tell = sub {
        my ($what, $c, $text) = @_;

        printf $log "%s %d %.6f %s\n", $what, $c->{id}, Time::HiRes::time(),
               $text // '';
    };

    my $end = sub {
        my ($c, $what) = @_;

        $tell->($what, $c);
        $read->remove($c->{socket});
        delete $connections{ $c->{socket} };
        close $c->{socket};
    };

    while (!$self->orphaned()) {
        my $now = Time::HiRes::time();
        my $wait = 1;

        for my $c (values %connections) {
            while (@{ $c->{steps} }) {
                if ($c->{until} && $c->{until} > $now) {
                    my $left = $c->{until} - $now;

                    $wait = $left if $left < $wait;
                    last;
                }

                $c->{until} = 0;

                my $step = shift @{ $c->{steps} };

                $step = [ send => $step ] if !ref $step;

                my ($what, $value, $pause) = @$step;

                if ($what eq 'send') {
                    my $n = syswrite $c->{socket}, $value;

                    if (!defined $n) {
                        if ($! != EAGAIN && $! != EINTR) {
                            $end->($c, 'gone');
                            last;
                        }

                        $n = 0;
                    }

                    if ($n < length $value) {
                        unshift @{ $c->{steps} }, substr $value, $n;
                        $c->{until} = $now + 0.002;
                    }

                } elsif ($what eq 'sleep') {
                    $c->{until} = $now + $value;

                } elsif ($what eq 'bytes') {
                    unshift @{ $c->{steps} }, substr($value, 0, 1),
                            [ sleep => $pause // 0.0001 ],
                            length $value > 1
                            ? [ bytes => substr($value, 1), $pause ] : ();

                } elsif ($what eq 'hang') {
                    unshift @{ $c->{steps} }, $step;
                    $c->{until} = $now + 1000;

                } elsif ($what eq 'reset') {
                    setsockopt $c->{socket}, SOL_SOCKET, SO_LINGER,
                               pack 'II', 1, 0;
                    $end->($c, 'closed');
                    last;

                } else {
                    $end->($c, 'closed');
                    last;
                }

                if (!@{ $c->{steps} }) {
                    $tell->('done', $c);
                    $c->{busy} = 0;
                }
            }
        }

        for my $socket ($read->can_read($wait)) {
            if ($socket == $listen) {
                my $new = $listen->accept() or next;

                $new->blocking(0);
                setsockopt $new, IPPROTO_TCP, TCP_NODELAY, 1;
                $connections{$new} = { socket => $new, id => ++$ids,
                                       in => '', steps => [], busy => 0 };
                $read->add($new);
                $tell->('open', $connections{$new});
                next;
            }

            my $c = $connections{$socket} // next;
            my $n = sysread $socket, $c->{in}, 65536, length $c->{in};

            next if !defined $n && ($! == EAGAIN || $! == EINTR);

            if (!$n) {
                $end->($c, $c->{busy} ? 'gone' : 'idle');
                next;
            }

            next if $c->{busy} || $c->{in} !~ /\r\n\r\n/;

            my ($head, $body) = split /\r\n\r\n/, $c->{in}, 2;
            my ($length) = $head =~ /^Content-Length: (\d+)/mi;

            next if $length && length $body < $length;

            my ($path) = $head =~ m{^\S+ ([^\s?]+)};
            my $steps = $answers->{$path}
                        // answer(404, '', 'Content-Length' => 0);

            $c->{in} = '';
            $c->{busy} = 1;
            $c->{until} = 0;
            $c->{steps} = [ ref $steps ? @$steps : $steps ];

            $head =~ s/\r\n/\\n/g;
            $tell->('request', $c, "$path $head");
        }
    }
}


1;
