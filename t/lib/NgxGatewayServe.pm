package NgxGatewayServe;

# An HTTP service behind gateway_websocket_serve, as good or bad as a test wants
# it to be, many connections at once, in a process of its own on a free port.
#
#     my $service = NgxGatewayServe->new();
#
#     ... a client sends "!status=404&type=text/plain&body=none"
#
#     is(($service->requests('/echo'))[-1]{body}, ...);
#
# What is answered is in the query string and in a body that begins with "!",
# which comes after it; both are as a query string is: NAME=VALUE&NAME=VALUE,
# %XX, and without either the body comes back with its Content-Type.
#
#     status=      200
#     body=        text of the answer; hex= in hex, size= so many "x"
#     type=        Content-Type; empty for none
#     header=      NAME: VALUE, may repeat; state=, groups=, close= are those of
#                  Gateway-Set-State, -Groups and -Close, and may repeat, too
#     delay=       seconds before the answer
#     hold=        not before release(NAME) was called
#     never=1      no answer at all
#     chunked=1    in chunks of chunk= bytes (7); without a last one with open=1
#     length=      a Content-Length that is not true; empty for none, so that
#                  the end of the connection is the end of the answer
#     cut=         the connection is closed after so many bytes of the body
#     head=        after so many bytes of the head
#     reset=1      a RST where it would be closed, or instead of an answer
#     gone=1       it is closed instead of an answer
#     raw=         these bytes are the answer
#     gzip=1       with Content-Encoding: gzip
#     version=     1.0: HTTP/1.0, and it is closed after the answer
#     shut=1       Connection: close, and it is closed after the answer
#     only=        connect, message or disconnect: the query string counts for
#                  requests with that Gateway-Event only
#     on=          so much of it is only for a body that begins with this
#
# A sub given to new() as "answer" is asked first, with the request as below:
# what it returns is such a text, or undef.
#
#     requests(PATH)  those so far, in the order in which they have begun, of
#                  all paths without one: { id, connection (a number), time,
#                  method, uri, path, args, version, head, body, overlap (how
#                  many were under way, with this one), ended (when it was
#                  answered), gone (when nginx had left before it was), event,
#                  cid }
#     header(REQUEST, NAME)  the values of a field of it, joined with "|", or
#                  undef
#     last(PATH)   the last of them
#     waited(PATH, N, SECONDS)  until there are N, or SECONDS are over; those
#                  that there are
#     release(NAME)  lets answers with hold=NAME go
#     port, stop, start, wait, and the rest of NgxGatewayListener

use strict;
use warnings;

use Compress::Zlib ();
use Errno qw( EAGAIN EWOULDBLOCK EINTR );
use IO::Poll qw( POLLIN POLLOUT POLLHUP POLLERR );
use IO::Socket::INET ();
use Socket qw( IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER );
use Time::HiRes ();

use base 'NgxGatewayListener';


sub new {
    my ($class, %o) = @_;

    return $class->SUPER::new(%o, requests => [], at => 0, by => {});
}


# What has been written to the log since it was read last.

sub _read_log {
    my ($self) = @_;

    CORE::open my $in, '<:raw', "$self->{log}" or die "log: $!\n";
    seek $in, $self->{at}, 0;

    while (my $line = <$in>) {
        last if substr($line, -1) ne "\n";

        $self->{at} += length $line;
        chomp $line;

        my ($what, $id, $time, @more) = split / /, $line;

        if ($what ne 'request') {
            my $request = $self->{by}{$id} // next;

            $request->{$what} = $time;
            next;
        }

        my ($connection, $overlap, $head, $body) = @more;

        $head = pack 'H*', $head;

        my ($method, $uri, $version) = $head =~ m{\A(\S+) (\S+) HTTP/(\S+)};
        my ($path, $args) = split /\?/, $uri // '', 2;

        my $request = {
            id => $id, connection => $connection, time => $time,
            method => $method, uri => $uri, path => $path, args => $args,
            version => $version, head => $head, overlap => $overlap,
            body => pack('H*', $body // ''),
        };

        ($request->{event}) = $head =~ /^Gateway-Event: (.*?)\r$/mi;
        ($request->{cid}) = $head =~ /^Gateway-Connection-Id: (.*?)\r$/mi;

        push @{ $self->{requests} }, $self->{by}{$id} = $request;
    }

    return;
}


sub requests {
    my ($self, $path) = @_;

    $self->_read_log();

    my @all = @{ $self->{requests} };

    return @all if !defined $path;
    return grep { ($path =~ /\?/ ? $_->{uri} : $_->{path}) eq $path } @all;
}


sub header {
    my ($self, $request, $name) = @_;

    my @values = ($request->{head} // '') =~ /^\Q$name\E:[ \t]*([^\r\n]*)/mgi;

    return @values ? join '|', @values : undef;
}


sub last {
    my ($self, $path) = @_;

    return ($self->requests($path))[-1];
}


sub waited {
    my ($self, $path, $n, $seconds) = @_;

    $self->wait(sub { $self->requests($path) >= $n }, $seconds);

    return $self->requests($path);
}


sub release {
    my ($self, $name) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $self->{port})
                 or die "release: $!\n";

    print $socket "RELEASE /$name HTTP/1.1\r\n\r\n";
    $socket->flush();

    # the answer says that it was read

    sysread $socket, my $answer, 100;
    CORE::close $socket;

    return;
}


# "a=1&b=%20" as a list of names and values

sub _arguments {
    my ($text) = @_;

    return map {
        my ($name, $value) = split /=/, $_, 2;

        $value //= 1;
        $value =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
        ($name, $value);
    } grep { length } split /&/, $text;
}


# What is to be done for a request: what is sent, after how long, or held by
# whom, and what happens to the connection then.

sub _plan {
    my ($self, $request) = @_;

    my ($body) = $request->{body};
    my $text = $request->{uri} =~ /\?(.*)/ ? $1 : '';
    my $sub = $self->{answer};

    $text = '' if $text =~ /(?:\A|&)only=(\w+)/
                  && $1 ne ($request->{event} // '');
    $text .= '&' . substr $body, 1 if $body =~ /\A!/;

    if ($sub) {
        my $said = $sub->($request);

        $text = $said if defined $said;
    }

    my @arguments = _arguments($text);
    my (%o, @headers);

    for (my $i = 0; $i < @arguments; $i += 2) {
        my ($name, $value) = @arguments[$i, $i + 1];

        if ($name eq 'on') {
            next if index($body, $value) == 0;
            last;
        }

        if ($name eq 'header') {
            push @headers, $value;

        } elsif ($name =~ /\A(?:state|groups|close)\z/) {
            my %names = (state => 'Set-State', groups => 'Groups',
                         close => 'Close');

            push @headers, "Gateway-$names{$name}: $value";

        } else {
            $o{$name} = $value;
        }
    }

    my %plan = (delay => $o{delay}, hold => $o{hold},
                end => $o{reset} ? 'reset' : 'close');

    return { %plan, send => '', end => 'never' } if $o{never};
    return { %plan, send => '', done => 1 } if $o{gone};

    if ($o{reset} && !defined $o{cut} && !defined $o{head}) {
        return { %plan, send => '', done => 1 };
    }

    if (defined $o{raw}) {
        return { %plan, send => $o{raw}, done => defined $o{shut} };
    }

    my $status = $o{status} // 200;
    my $version = $o{version} // '1.1';
    my ($type) = $request->{head} =~ /^Content-Type: (.*?)\r$/mi;

    $body = $o{body} if defined $o{body};
    $body = pack 'H*', $o{hex} if defined $o{hex};
    $body = 'x' x $o{size} if defined $o{size};
    $body = '' if $status == 204 || $status == 304;
    $type = $o{type} if defined $o{type};

    if ($o{gzip}) {
        push @headers, 'Content-Encoding: gzip';
        $body = Compress::Zlib::memGzip($body)
            if $status != 204 && $status != 304;
    }

    unshift @headers, "Content-Type: $type" if length($type // '');

    my $done = $o{shut} || $version eq '1.0';

    if ($status == 204 || $status == 304) {
        # neither has a length

    } elsif ($o{chunked}) {
        my $size = $o{chunk} // 7;
        my $chunks = '';

        for (my $i = 0; $i < length $body; $i += $size) {
            my $chunk = substr $body, $i, $size;

            $chunks .= sprintf "%x\r\n%s\r\n", length $chunk, $chunk;
        }

        push @headers, 'Transfer-Encoding: chunked';
        $chunks .= "0\r\n\r\n" if !$o{open};
        $done = 1 if $o{open};
        $body = $chunks;

    } elsif (!defined $o{length}) {
        push @headers, 'Content-Length: ' . length $body;

    } elsif (length $o{length}) {
        push @headers, "Content-Length: $o{length}";
        $done = 1;

    } else {
        $done = 1;
    }

    if (defined $o{cut}) {
        $body = substr $body, 0, $o{cut};
        $done = 1;
    }

    push @headers, 'Connection: close' if $done && $version ne '1.0';

    my $head = join '', map { "$_\r\n" } "HTTP/$version $status X", @headers,
                                         '';

    if (defined $o{head}) {
        return { %plan, send => substr($head, 0, $o{head}), done => 1 };
    }

    return { %plan, send => $head . $body, done => $done };
}


sub serve {
    my ($self, $listen) = @_;

    CORE::open my $log, '>>:raw', "$self->{log}" or die "log: $!\n";

    my $poll = IO::Poll->new();
    my (%by, %waiting, %held);
    my ($connections, $requests, $under_way) = (0, time . '0', 0);

    my $tell = sub {
        my ($what, $id, @more) = @_;

        syswrite $log, join(' ', $what, $id,
                            sprintf('%.6f', Time::HiRes::time()), @more)
                       . "\n";
    };

    my $close = sub {
        my ($c, $how) = @_;

        if ($c->{request}) {
            $tell->($how, $c->{request});
            $under_way--;
        }

        if ($how eq 'ended' && ($c->{plan}{end} // '') eq 'reset') {
            setsockopt $c->{socket}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
        }

        delete $waiting{ $c->{id} };
        delete $by{ fileno $c->{socket} };
        delete $_->{ $c->{id} } for values %held;
        $poll->remove($c->{socket});
        CORE::close $c->{socket};
        $c->{closed} = 1;
    };

    my $write = sub {
        my ($c) = @_;

        while (length $c->{out}) {
            my $n = syswrite $c->{socket}, $c->{out}, 65536;

            if (!defined $n) {
                next if $! == EINTR;

                if ($! == EAGAIN || $! == EWOULDBLOCK) {
                    $poll->mask($c->{socket} => POLLIN | POLLOUT);
                    return;
                }

                return $close->($c, 'gone');
            }

            substr $c->{out}, 0, $n, '';
        }

        return if ($c->{plan}{end} // '') eq 'never';
        return $close->($c, 'ended') if $c->{plan}{done};

        $poll->mask($c->{socket} => POLLIN);
        $tell->('ended', delete $c->{request});
        $under_way--;
        delete $c->{plan};
    };

    # begins with a request that is there in full; true when there was one

    my $take = sub {
        my ($c) = @_;

        return 0 if $c->{request} || $c->{closed};

        my $at = index $c->{in}, "\r\n\r\n";

        return 0 if $at < 0;

        my $head = substr $c->{in}, 0, $at + 2;

        if ($head =~ m{\ARELEASE /(\S*)}) {
            $c->{in} = '';

            for my $other (values %{ delete $held{$1} // {} }) {
                $other->{out} = $other->{plan}{send};
                $write->($other);
            }

            syswrite $c->{socket}, 'released';
            return 0;
        }

        my ($length) = $head =~ /^Content-Length: (\d+)/mi;

        return 0 if length $c->{in} < $at + 4 + ($length // 0);

        my $body = substr $c->{in}, $at + 4, $length // 0;

        substr $c->{in}, 0, $at + 4 + ($length // 0), '';

        my ($event) = $head =~ /^Gateway-Event: (.*?)\r$/mi;
        my ($uri) = $head =~ m{\A\S+ (\S+)};
        my ($cid) = $head =~ /^Gateway-Connection-Id: (.*?)\r$/mi;

        $c->{request} = ++$requests;
        $under_way++;
        $tell->('request', $c->{request}, $c->{id}, $under_way,
                unpack('H*', $head), unpack 'H*', $body);

        my $plan = $c->{plan} = $self->_plan({
            head => $head, body => $body, event => $event, uri => $uri,
            cid => $cid });

        if (defined $plan->{hold}) {
            $held{ $plan->{hold} }{ $c->{id} } = $c;

        } elsif ($plan->{delay}) {
            $waiting{ $c->{id} } = $c;
            $c->{until} = Time::HiRes::time() + $plan->{delay};

        } else {
            $c->{out} = $plan->{send};
            $write->($c);
        }

        return 1;
    };

    $listen->blocking(0);
    $poll->mask($listen => POLLIN);

    while (!$self->orphaned()) {
        my $now = Time::HiRes::time();
        my $wait = 1;

        for my $c (values %waiting) {
            if ($c->{until} <= $now) {
                delete $waiting{ $c->{id} };
                $c->{out} = $c->{plan}{send};
                $write->($c);
                1 while $take->($c);

            } elsif ($c->{until} - $now < $wait) {
                $wait = $c->{until} - $now;
            }
        }

        $poll->poll($wait);

        for my $socket ($poll->handles(POLLOUT)) {
            my $c = $by{ fileno $socket } // next;

            $write->($c);
        }

        for my $socket ($poll->handles(POLLIN | POLLHUP | POLLERR)) {
            if ($socket == $listen) {
                while (my $new = $listen->accept()) {
                    $new->blocking(0);
                    setsockopt $new, IPPROTO_TCP, TCP_NODELAY, 1;
                    $by{ fileno $new } = { socket => $new, in => '',
                                           out => '', id => ++$connections };
                    $poll->mask($new => POLLIN);
                }

                next;
            }

            defined fileno $socket or next;

            my $c = $by{ fileno $socket } // next;
            my $n = sysread $socket, $c->{in}, 65536, length $c->{in};

            next if !defined $n && ($! == EAGAIN || $! == EINTR);

            if (!$n) {
                $close->($c, 'gone');
                next;
            }

            1 while $take->($c);
        }
    }
}


1;
