package E2EPeer;

# A program of another implementation that is a peer on both sides of the
# gateway.
#
#     my $peer = E2EPeer->start('node', "$FindBin::Bin/websocket_ws.cjs");
#
#     hello       what it said first, {...}: the ports of its servers
#     run({...})  tells it what to test; each of its answers { name, got, want
#                 } is one test of ours, until { done: true }, which is
#                 returned
#     ask({...})  one line and its answer
#     stop
#
# It talks in lines of JSON, and ends when its input does, however we end.

use strict;
use warnings;

use IO::Select ();
use JSON::PP ();
use POSIX ();
use Socket qw( AF_UNIX SOCK_STREAM PF_UNSPEC );
use Test::More ();
use Time::HiRes ();

use E2E ();

our $TIMEOUT = 60;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %running;


END {
    my $status = $?;

    $_->stop() for grep { $_->{owner} == $$ } values %running;
    $? = $status;
}


sub start {
    my ($class, @command) = @_;

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!\n";

    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP PIPE );

        CORE::close $ours;
        open STDIN, '<&', $theirs or POSIX::_exit(126);
        open STDOUT, '>&', $theirs or POSIX::_exit(126);
        CORE::close $theirs;

        exec { $command[0] } @command or POSIX::_exit(127);
    }

    CORE::close $theirs;
    $ours->autoflush(1);

    my $self = bless { pid => $pid, socket => $ours, owner => $$, in => '',
                       name => join(' ', @command) }, $class;

    $running{$pid} = $self;
    $self->{hello} = $self->_read() // die "$self->{name} does not start\n";

    return $self;
}


sub hello {
    my ($self) = @_;

    return $self->{hello};
}


sub pid {
    my ($self) = @_;

    return $self->{pid};
}


sub tell {
    my ($self, $what) = @_;

    print { $self->{socket} } $json->encode($what), "\n";

    return;
}


sub ask {
    my ($self, $what) = @_;

    $self->tell($what);

    return $self->_read();
}


sub run {
    my ($self, $what) = @_;

    $self->tell($what);

    while (1) {
        my $answer = $self->_read();

        if (!$answer) {
            Test::More::fail("$self->{name} has ended, or hangs");
            return {};
        }

        return $answer if $answer->{done};

        my ($got, $want) = map { ref || !defined ? $json->encode($_) : $_ }
                           @$answer{qw( got want )};

        Test::More::is($got, $want, $answer->{name});
    }
}


sub stop {
    my ($self) = @_;

    my $pid = $self->{pid};

    delete $running{$pid} or return;

    CORE::close $self->{socket};

    my $gone = sub { waitpid($pid, POSIX::WNOHANG()) != 0 };

    if (!E2E::wait_for(3, $gone)) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    return;
}


sub _read {
    my ($self) = @_;

    my $end = Time::HiRes::time() + $TIMEOUT;
    my $select = IO::Select->new($self->{socket});

    while (index($self->{in}, "\n") < 0) {
        my $wait = $end - Time::HiRes::time();

        return undef if $wait <= 0;
        next if !$select->can_read($wait);

        sysread($self->{socket}, $self->{in}, 65536, length $self->{in})
            or return undef;
    }

    my $line = substr $self->{in}, 0, 1 + index($self->{in}, "\n"), '';

    return $json->decode($line);
}


1;
