package NgxGatewayListener;

# A server of a test, on a port of 127.0.0.1 and in a process of its own.  What
# it does is a class made of this one, with
#
#     serve(LISTEN)  in that process; it ends when this returns.  What has to
#                    be known of it is written to the file $self->{log}
#     signal         what ends it; KILL
#
# and what tests call:
#
#     new(port => PORT, ...)  starts it, on a free port without one; the rest
#                    are members of the object
#     port, pid
#     stop           ends it, as does the end of the object
#     start          starts it again, on its port
#     orphaned       in that process: the test has ended, however it did
#     wait(SUB, SECONDS)  until SUB, which is given the object, says true; what
#                    it says

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use POSIX ();

use NgxGatewayPorts ();
use NgxGatewaySystem ();

our $TIMEOUT = $ENV{TEST_NGINX_USE_VALGRIND} ? 60 : 10;


sub new {
    my ($class, %o) = @_;

    my $self = bless { %o, owner => $$ }, $class;

    $self->{port} //= NgxGatewayPorts::free_port();
    $self->{log} = File::Temp->new(TEMPLATE => 'ngx_gateway_XXXXXX',
                                   TMPDIR => 1);

    return $self->start();
}


sub start {
    my ($self) = @_;

    my $listen = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 1024,
        ReuseAddr => 1)
        or die "listen: $!\n";

    $self->{pid} = fork // die "fork: $!\n";

    if ($self->{pid} == 0) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP );
        $SIG{PIPE} = 'IGNORE';

        _let_go($listen);

        eval { $self->serve($listen) };
        print STDERR ref $self, ": $@" if $@;
        POSIX::_exit(1);
    }

    CORE::close $listen;

    return $self;
}


# A client has not left while its socket is open here, too.  Perl would not
# close a number of its own that is used once more.

sub _let_go {
    my ($listen) = @_;

    CORE::open my $null, '<', '/dev/null' or die "/dev/null: $!\n";

    for my $n (map { m{/(\d+)\z} } glob '/proc/self/fd/*') {
        POSIX::dup2(fileno $null, $n) if $n > 2 && $n != fileno $listen;
    }

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!, $@);

    $self->stop() if $self->{owner} == $$;

    return;
}


sub signal {
    return 'KILL';
}


sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid} // return;

    kill $self->signal(), $pid;
    waitpid $pid, 0;

    return;
}


sub port {
    my ($self) = @_;

    return $self->{port};
}


sub pid {
    my ($self) = @_;

    return $self->{pid};
}


sub orphaned {
    my ($self) = @_;

    return getppid != $self->{owner};
}


sub wait {
    my ($self, $sub, $seconds) = @_;

    return NgxGatewaySystem::wait_for($seconds // $TIMEOUT,
                                      sub { $sub->($self) });
}


1;
