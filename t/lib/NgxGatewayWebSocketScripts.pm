package NgxGatewayWebSocketScripts;

# What the services of NgxGatewayWebSocketBackend.pm do; it says what each of
# them is for.

use strict;
use warnings;

use JSON::PP ();
use Time::HiRes ();

use NgxGatewayWebSocket;

my %scripts = (
    echo => sub {
        my ($c) = @_;

        $c->handshake();
        $c->echo();
    },

    json => \&_json,

    messages => sub {
        my ($c) = @_;

        $c->handshake();

        if (!$c->arg('each')) {
            _messages($c);
            return _then($c);
        }

        while (!$c->{done}) {
            my $frame = $c->read_frame() // return;

            _messages($c) if $c->mind($frame) && $frame->{fin};
        }
    },

    ticker => sub {
        my ($c) = @_;

        $c->handshake();

        for (my $n = 1; !$c->{done}; $n++) {
            $c->send_text("{\"tick\":$n}") or return;

            my $next = Time::HiRes::time() + $c->arg('pause', 0.1);

            while (!$c->{done}) {
                my $frame = $c->read_frame($next - Time::HiRes::time());

                $c->mind($frame), next if $frame;
                return if $c->end() ne 'timeout';
                last;
            }
        }
    },

    silent => sub { _handshake_then($_[0], 'silent') },
    deaf => sub { _handshake_then($_[0], 'deaf') },
    stall => sub { _handshake_then($_[0], 'stall') },

    slow => sub {
        my ($c) = @_;

        $c->{chunk} = $c->arg('size', 1024);
        $c->handshake();

        my $end = Time::HiRes::time() + 3600;

        while (!$c->{done}) {
            while (my $frame = $c->_frame()) {
                $c->mind($frame);
            }

            last if $c->{done};
            $c->_fill($end) or last;
            Time::HiRes::sleep($c->arg('pause', 0.05));
        }
    },

    status => sub {
        my ($c) = @_;

        my $body = $c->arg('body', '');

        $c->send_raw('HTTP/1.1 ' . $c->arg('code', 403) . " X\r\n"
                     . "Content-Type: text/plain\r\nContent-Length: "
                     . length($body) . "\r\n\r\n$body");
        $c->{again} = 1;
    },

    http => sub {
        my ($c) = @_;

        my $head = $c->head();

        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                     . 'Content-Length: ' . length($head) . "\r\n\r\n$head");
        $c->{again} = 1;
    },

    accept => sub {
        my ($c) = @_;

        $c->handshake(accept => $c->arg('value', ws_accept('')));
        $c->drain();
    },

    protocol => sub {
        my ($c) = @_;

        $c->handshake(protocol => $c->arg('name', 'unasked'));
        $c->echo();
    },

    extension => sub {
        my ($c) = @_;

        $c->handshake(extensions => $c->arg('value', 'x-unasked'));
        $c->echo();
    },

    bare => sub {
        my ($c) = @_;

        $c->send_raw(join '', "HTTP/1.1 101 X\r\n",
            map({ defined $c->arg(lc) ? "$_: " . $c->arg(lc) . "\r\n" : () }
                qw( Upgrade Connection )), "\r\n");
        $c->drain();
    },

    packet => sub {
        my ($c) = @_;

        my $text = $c->arg('text');

        $c->handshake(more => join '', map {
            $c->frame('text', $text // "{\"n\":$_}")
        } 1 .. $c->arg('n', 2));
        _then($c);
    },

    trickle => sub {
        my ($c) = @_;

        $c->handshake(step => 1, pause => $c->arg('pause', 0.001));
        $c->echo();
    },

    before => sub {
        my ($c) = @_;

        $c->send_frame('text', 'early');
        $c->handshake();
        $c->echo();
    },

    mute => sub { $_[0]->drain() },

    gone => sub {
        my ($c) = @_;

        $c->abort() if $c->arg('how', '') eq 'reset';
    },

    die => sub {
        my ($c) = @_;

        $c->handshake();
        _wait_each($c) or return;
        $c->send_raw(substr $c->frame('text', '{"a":"' . 'x' x 100), 0, 50);
        Time::HiRes::sleep(0.02);
        $c->abort() if $c->arg('how', '') eq 'reset';
    },

    pings => sub {
        my ($c) = @_;

        $c->handshake();

        for my $n (1 .. $c->arg('n', 1000)) {
            $c->send_ping($c->arg('text', $n)) or return;
            Time::HiRes::sleep($c->arg('pause')) if $c->arg('pause');
        }

        _then($c);
    },

    masked => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_frame('text', '{"masked":1}', mask => 'abcd');
        _then($c);
    },

    raw => sub {
        my ($c) = @_;

        $c->handshake();
        _wait_each($c) or return;
        $c->send_raw(pack('H*', $c->arg('hex', '')), step => $c->arg('step'),
                     pause => $c->arg('pause'));
        _then($c);
    },

    fragments => sub {
        my ($c) = @_;

        my $n = $c->arg('n', 1_000_000);
        my $part = 'x' x $c->arg('size', 1);
        my $cont = $c->frame('cont', $part, fin => 0);

        $c->handshake();
        $c->send_frame('text', $part, fin => 0) if $n > 1;

        for (my $left = $n - 2; $left > 0; $left -= 1000) {
            $c->send_raw($cont x ($left > 1000 ? 1000 : $left)) or return;
        }

        $c->send_frame($n > 1 ? 'cont' : 'text', $part);
        _then($c);
    },

    huge => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text('x' x $c->arg('size', 1 << 20),
                      fragments => $c->arg('frames', 1));
        _then($c);
    },

    close => sub {
        my ($c) = @_;

        $c->handshake();

        for (1 .. $c->arg('n', 0)) {
            $c->read_message() // return;
        }

        my @close = $c->arg('none') ? () : ($c->arg('code', 1000),
                                            $c->arg('reason', ''));

        return $c->bye(@close) if !$c->arg('keep');

        $c->send_close(@close);
        $c->drain();
    },

    half => sub {
        my ($c) = @_;

        $c->handshake();
        $c->shutdown();
        $c->drain();
    },
);


sub script {
    my ($path) = @_;

    for my $name (split m{/}, $path) {
        return $scripts{$name} if $scripts{$name};
    }

    return undef;
}


# What comes after all else.

sub _then {
    my ($c, $what) = @_;

    $what //= $c->arg('then', 'echo');

    if ($what eq 'echo') {
        $c->echo();

    } elsif ($what eq 'close') {
        $c->bye(1000);

    } elsif ($what eq 'reset') {
        # what was sent is to arrive

        Time::HiRes::sleep(0.05);
        $c->abort();

    } elsif ($what eq 'silent') {
        while (!$c->{done}) {
            $c->mind($c->read_frame() // return);
        }

    } elsif ($what eq 'deaf') {
        $c->drain();

    } elsif ($what eq 'stall') {
        Time::HiRes::sleep(3600);

    } elsif ($what ne 'eof') {
        die "no such end: \"$what\"\n";
    }

    return;
}


sub _handshake_then {
    my ($c, $what) = @_;

    $c->handshake();

    return _then($c, $what);
}


sub _wait_each {
    my ($c) = @_;

    return 1 if !$c->arg('each');
    return $c->read_message();
}


sub _messages {
    my ($c) = @_;

    for my $n (1 .. $c->arg('n', 3)) {
        Time::HiRes::sleep($c->arg('pause')) if $c->arg('pause');

        my $text = $c->arg('text') // "{\"n\":$n}";

        $c->arg('binary') ? $c->send_binary($text) : $c->send_text($text);
    }

    return;
}


sub _json {
    my ($c) = @_;

    my $json = JSON::PP->new->utf8->allow_nonref;
    my $count = 0;
    my @due;

    $c->handshake();

    while (!$c->{done}) {
        my $wait = @due ? $due[0][0] - Time::HiRes::time() : undef;
        my $message = $c->read_message($wait);

        while (@due && $due[0][0] <= Time::HiRes::time()) {
            $c->send_text((shift @due)->[1]);
        }

        if (!$message) {
            $c->mind(delete $c->{held}), return if $c->{held};
            return if $c->end() ne 'timeout';
            next;
        }

        $count++;

        my $text = $message->{payload};
        my $object = eval { $json->decode($text) };

        next if ref $object ne 'HASH' || $object->{skip};

        if ($object->{close}) {
            return $c->bye($object->{close});
        }

        return if $object->{die};
        return $c->abort() if $object->{reset};

        if ($object->{noise}) {
            $c->send_text($_) for 'noise', '{"noise":1}', '[1]', '';
            $c->send_binary($text);
        }

        my $more = "\"reply\":$count";

        $more .= ",\"connection\":$$" if $c->arg('count');
        $text =~ s/\A\s*\{\s*(\}?)/$1 ? "{$more}" : "{$more,"/e;

        if ($object->{delay}) {
            @due = sort { $a->[0] <=> $b->[0] }
                   @due, [ Time::HiRes::time() + $object->{delay}, $text ];
            next;
        }

        $c->send_text($text) for 1 .. ($object->{twice} ? 2 : 1);
    }

    return;
}


1;
