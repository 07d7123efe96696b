package E2ELoad;

# Clients that send good and bad tokens as fast as they can and check each
# answer, in processes of their own.
#
#     my $load = E2ELoad->new($port, $clients, \%tokens);
#
#     use(\@good, \@bad)   which generations of tokens are good or bad; when
#                          it returns no request that relied on what was said
#                          before is under way
#     asked                how many requests there were so far
#     stop                 ends the clients; the sum of what they saw
#
# The tokens: of is [ [ [ token, sub ], ... ], ... ], by generation; always and
# never are such that always pass, as [ token, sub ], or never do, as [ token,
# status ]; expiring has [ token, sub, exp ].  The backend answers with sub.

use strict;
use warnings;

use IO::Handle ();
use IO::Select ();
use IO::Socket ();
use JSON::PP ();
use POSIX ();
use Socket qw( AF_UNIX SOCK_STREAM PF_UNSPEC );
use Time::HiRes qw( time );

use E2EClient ();

# requests before a client makes a new connection, which another worker may
# take; and wrong answers that it tells of

my $REQUESTS = 25;
my $WRONG = 200;


sub new {
    my ($class, $port, $clients, $tokens) = @_;

    my $self = bless { parent => $$, clients => [] }, $class;

    for (1 .. $clients) {
        socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
            or die "socketpair: $!\n";

        $_->autoflush(1) for $ours, $theirs;

        my $pid = fork // die "fork: $!\n";

        if (!$pid) {
            close $ours;
            close $_->{socket} for @{ $self->{clients} };

            eval { _client($port, $tokens, $theirs) };

            # without what the test does at its end

            print $theirs _line({ died => "$@" });
            POSIX::_exit(0);
        }

        close $theirs;
        push @{ $self->{clients} }, { pid => $pid, socket => $ours };
    }

    return $self;
}


sub use {
    my ($self, $good, $bad) = @_;

    $self->_tell({ good => $good, bad => $bad });

    return;
}


sub asked {
    my ($self) = @_;

    my $sum = 0;

    $sum += $_->{asked} for $self->_tell({ asked => 1 });

    return $sum;
}


sub stop {
    my ($self) = @_;

    my %sum = (wrong => []);

    for my $seen ($self->_tell({ stop => 1 })) {
        for my $name (keys %$seen) {
            if (ref $seen->{$name}) {
                push @{ $sum{$name} }, @{ $seen->{$name} };

            } else {
                $sum{$name} += $seen->{$name};
            }
        }
    }

    $self->_wait;

    return \%sum;
}


# Asks all clients, then takes their answers.

sub _tell {
    my ($self, $message) = @_;

    my @answers;

    for my $client (@{ $self->{clients} }) {
        $client->{socket}->print(_line($message));
    }

    for my $client (@{ $self->{clients} }) {
        my $line = $client->{socket}->getline
            or die "a client is gone\n";
        my $answer = JSON::PP::decode_json($line);

        die "a client died: $answer->{died}\n" if exists $answer->{died};
        push @answers, $answer;
    }

    return @answers;
}


sub _wait {
    my ($self) = @_;

    waitpid $_->{pid}, 0 for @{ $self->{clients} };
    $self->{clients} = [];

    return;
}


# The clients end when the other side of their socket is gone; should one be
# stuck, it is killed.

sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{parent};

    local $?;

    kill 'KILL', $_->{pid} for @{ $self->{clients} };
    $self->_wait;

    return;
}


sub _line {
    return JSON::PP::encode_json($_[0]) . "\n";
}


# What runs in each client's process.

sub _client {
    my ($port, $tokens, $socket) = @_;

    my $select = IO::Select->new($socket);
    my %seen = (good => 0, bad => 0, expired => 0, again => 0, broken => 0,
                wrong => []);
    my (@good, @bad);
    my ($left, $asked) = (0, 0);
    my $client;

    srand $$;

    while (1) {
        if ($select->can_read(@good ? 0 : undef)) {
            my $line = $socket->getline or return;
            my $message = JSON::PP::decode_json($line);

            if ($message->{stop}) {
                print $socket _line(\%seen);
                POSIX::_exit(0);
            }

            if ($message->{asked}) {
                print $socket _line({ asked => $asked });
                next;
            }

            @good = (@{ $tokens->{always} },
                     map { @{ $tokens->{of}[$_] } } @{ $message->{good} });
            @bad = (@{ $tokens->{never} },
                    map { [ $_->[0], 'unknown_key' ] }
                    map { @{ $tokens->{of}[$_] } } @{ $message->{bad} });

            print $socket _line({});
        }

        if ($left-- == 0) {
            undef $client;
            $left = $REQUESTS;
        }

        my $what = rand;

        $asked++;

        if ($what < 0.5) {
            my ($token, $sub) = @{ $good[rand @good] };

            _check(\%seen, good => "200 ok $sub",
                   _ask(\$client, $port, $token, \%seen), $sub);

        } elsif ($what < 0.95) {
            my ($token, $status) = @{ $bad[rand @bad] };

            _check(\%seen, bad => "401 $status",
                   _ask(\$client, $port, $token, \%seen), $status);

        } else {
            my @expiring = @{ $tokens->{expiring} };
            my ($token, $sub, $exp) = @{ $expiring[rand @expiring] };

            my $before = time;
            my $answer = _ask(\$client, $port, $token, \%seen);

            # nginx looks at the clock now and then

            if (time < $exp - 0.5) {
                _check(\%seen, good => "200 ok $sub", $answer, $sub);

            } elsif ($before > $exp + 1.5) {
                _check(\%seen, expired => '401 expired', $answer, $sub);
            }
        }
    }
}


sub _check {
    my ($seen, $kind, $wanted, $answer, $of) = @_;

    $seen->{$kind}++;

    return if $answer eq $wanted;
    return if @{ $seen->{wrong} } >= $WRONG;

    push @{ $seen->{wrong} }, "$kind $of: \"$answer\", not \"$wanted\"";

    return;
}


# A request on the connection, or a new one.  A worker that leaves closes the
# connections that wait for a request, RFC 9112, section 9.3.1: these are asked
# again.

sub _ask {
    my ($client, $port, $token, $seen) = @_;

    for my $try (1 .. 4) {
        $$client //= E2EClient->new($port) // return 'no connection';

        my $answer = eval {
            $$client->ask('GET', '/', Authorization => "Bearer $token");
        };

        if ($answer) {
            my $text = join ' ', $answer->{status},
                                 $answer->{headers}{'x-status'} // '';

            $text .= " $answer->{body}" if $answer->{status} == 200;
            undef $$client
                if ($answer->{headers}{connection} // '') eq 'close';

            return $text;
        }

        $seen->{ $@ ? 'broken' : 'again' }++;
        undef $$client;
    }

    return 'no answer';
}


1;
