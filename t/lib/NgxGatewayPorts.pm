package NgxGatewayPorts;

# Ports of 127.0.0.1 for servers of a test: free when they are asked for, and
# not given to any other test until this one has ended, whether something
# listens on them or not.  They are not of those that the system gives to
# connections.
#
#     free_port      one
#     free_ports(N)  N of them, next to each other
#     connected(PORT, rcvbuf => N)  a connection to it, with a SO_RCVBUF for one
#                    that reads slowly
#
# Test::Nginx takes its ports by fours, from 1988 on, and locks a file for each
# four: so do we, with the same files.

use strict;
use warnings;

use Fcntl qw( O_CREAT O_RDWR LOCK_EX LOCK_NB );
use File::Path ();
use File::Spec ();
use IO::Socket::INET ();
use Socket qw( SOL_SOCKET SO_RCVBUF inet_aton pack_sockaddr_in );

use base 'Exporter';

our @EXPORT_OK = qw( free_port free_ports connected );

my ($FIRST, $LAST) = (20000, 32000);

my @locks;


sub free_port {
    return (free_ports(1))[0];
}


sub free_ports {
    my ($count) = @_;

    for (1 .. 1000) {
        my $port = $FIRST + int rand $LAST - $FIRST - $count;
        my @ports = ($port .. $port + $count - 1);
        my @taken = _lock(@ports) or next;

        if (!grep { !_listens($_) } @ports) {
            push @locks, @taken;

            return @ports;
        }
    }

    die "no free ports\n";
}


# The files, or nothing when another test has one of them.  The same file that
# is opened twice can not be locked twice either.

sub _lock {
    my @ports = @_;

    my $dir = File::Spec->catdir(File::Spec->tmpdir(),
                                 "test-nginx-port-locks-$<");
    my %fours = map { $_ - $_ % 4 => 1 } @ports;
    my @files;

    File::Path::make_path($dir);

    for my $four (sort keys %fours) {
        sysopen my $file, "$dir/port-$four.lock", O_CREAT | O_RDWR, 0600
            or return;
        flock $file, LOCK_EX | LOCK_NB or return;

        push @files, $file;
    }

    return @files;
}


sub _listens {
    my ($port) = @_;

    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
                                 LocalPort => $port, ReuseAddr => 1);
}


sub connected {
    my ($port, %o) = @_;

    my $socket = IO::Socket::INET->new(Proto => 'tcp')
        or die "socket: $!\n";

    # it counts for the window that the handshake of TCP tells of

    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', $o{rcvbuf}
        if $o{rcvbuf};

    connect $socket, pack_sockaddr_in($port, inet_aton('127.0.0.1'))
        or die "connect to port $port: $!\n";

    return $socket;
}


1;
