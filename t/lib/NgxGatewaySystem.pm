package NgxGatewaySystem;

# Files, programs and processes, as all tests need them.
#
#     slurp(FILE), spew(FILE, TEXT)  bytes
#     output(COMMAND, ...)    what it prints, errors included; $? as ever
#     nginx_binary            the nginx to test, TEST_NGINX_BINARY or that of
#                             the machine; undef when there is none
#     children(PID)           process ids
#     title(PID)              what a process says that it is, '' when it is gone
#     workers(PID)            of a master, without those that shut down
#     worker(PID)             the one of these that was started last
#     memory(PID)             kB of anonymous memory, or undef
#     attempts(SUB)           calls it at most five times, with 1, 2, ..., until
#                             it says true: for what has to happen in less time
#                             than a machine may pause for
#     wait_for(SECONDS, SUB)  until SUB says true, or once more after that
#                             time; what it says

use strict;
use warnings;

use File::Spec ();
use POSIX ();
use Time::HiRes ();

use base 'Exporter';

our @EXPORT_OK = qw( slurp spew output nginx_binary children title worker
                     workers memory attempts wait_for );


sub slurp {
    my ($file) = @_;

    open my $in, '<:raw', $file or die "$file: $!\n";
    local $/;

    return scalar(<$in>) // '';
}


sub spew {
    my ($file, $text) = @_;

    open my $out, '>:raw', $file or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";

    return;
}


sub output {
    my (@command) = @_;

    my $pid = open(my $pipe, '-|') // die "fork: $!\n";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    local $/;
    my $output = <$pipe> // '';
    close $pipe;

    return $output;
}


sub nginx_binary {
    return $ENV{TEST_NGINX_BINARY} if $ENV{TEST_NGINX_BINARY};

    for my $path (File::Spec->path, '/usr/local/sbin', '/usr/sbin') {
        return "$path/nginx" if -x "$path/nginx";
    }

    return undef;
}


sub children {
    my ($pid) = @_;

    my $children = _proc("$pid/task/$pid/children");

    return split ' ', $children if defined $children;
    return split ' ', output('pgrep', '-P', $pid);
}


sub title {
    my ($pid) = @_;

    return _proc("$pid/cmdline") // '';
}


sub worker {
    my ($pid) = @_;

    return (workers($pid))[-1];
}


sub workers {
    my ($pid) = @_;

    my @workers = grep { title($_) !~ /shutting down/ } children($pid);

    return @workers;
}


sub memory {
    my ($pid) = @_;

    my ($kb) = (_proc("$pid/status") // '') =~ /^RssAnon:\s+(\d+)/m;

    return $kb;
}


# A process may go while it is looked at.

sub _proc {
    my ($name) = @_;

    open my $in, '<', "/proc/$name" or return undef;
    local $/;

    return scalar <$in>;
}


sub attempts {
    my ($attempt) = @_;

    $attempt->($_) and last for 1 .. 5;

    return;
}


sub wait_for {
    my ($seconds, $until) = @_;

    my $end = Time::HiRes::time() + $seconds;

    while (1) {
        my $late = Time::HiRes::time() > $end;
        my $said = $until->();

        return $said if $said || $late;

        Time::HiRes::sleep(0.01);
    }
}


1;
