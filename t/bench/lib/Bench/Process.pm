package Bench::Process;

# Child processes: started pinned to a core, known by pid, and all stopped
# when the script ends, whichever way it ends.  Nothing here knows nginx.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(start stop stop_all alive capture free_port read_file
                    write_file workers_of which);

my $owner = $$;
my %running;      # pid => [pids of its children that we have seen]

# exit rather than die: no eval may take a signal for an error of its own
$SIG{$_} = sub { print {*STDERR} "bench: stopped\n"; exit 130 }
    for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';

END {
    if ($$ == $owner) {
        my $status = $?;
        local $SIG{INT} = 'IGNORE';
        local $SIG{TERM} = 'IGNORE';
        stop_all();
        $? = $status;
    }
}


sub stop_all {
    stop($_) for keys %running;
    return;
}


# start(cpu => 0, log => FILE, command => [...]) returns the pid.

sub start {
    my (%arg) = @_;
    my @command = on_cpu($arg{cpu}, @{ $arg{command} });

    my $pid = fork() // die "bench: fork(): $!\n";

    if ($pid == 0) {
        # a group of its own: Ctrl-C reaches this script alone, which then
        # stops its children in order
        setpgrp(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $arg{log} or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    $running{$pid} = [];
    return $pid;
}


# A signal that comes between nginx's look at what it has to do and its wait for
# events, which takes valgrind long, wakes nothing: it is sent again.

sub stop {
    my ($pid, $signal) = @_;
    my $children = $running{$pid} or return;
    my $until = time() + 5;
    my $again = 0;

    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        if (time() > $until) {
            kill 'KILL', $pid, @$children;
            waitpid($pid, 0);
            last;
        }

        kill $signal // 'TERM', $pid if $again++ % 100 == 0;
        sleep 0.005;
    }

    delete $running{$pid};
    return;
}


sub alive {
    my ($pid) = @_;

    return 0 if !$running{$pid};
    return 1 if waitpid($pid, POSIX::WNOHANG()) == 0;

    delete $running{$pid};
    return 0;
}


# Runs a command to its end; returns its exit status and all it printed.

sub capture {
    my ($cpu, @command) = @_;
    @command = on_cpu($cpu, @command);

    my $pid = open(my $out, '-|') // die "bench: fork(): $!\n";

    if ($pid == 0) {
        setpgrp(0, 0);
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    $running{$pid} = [];
    my $text = do { local $/; <$out> } // '';
    delete $running{$pid};
    close $out;

    return ($?, $text);
}


sub on_cpu {
    my ($cpu, @command) = @_;
    return defined $cpu ? ('taskset', '-c', $cpu, @command) : @command;
}


sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
        LocalAddr => '127.0.0.1', LocalPort => 0)
        or die "bench: no free port: $!\n";
    return $socket->sockport;
}


sub workers_of {
    my ($parent) = @_;
    my @pids;

    for my $file (glob '/proc/[0-9]*/stat') {
        my $stat = eval { read_file($file) } // next;
        my ($pid, $ppid) = $stat =~ /^(\d+) \(.*\) \S (\d+) /s or next;
        push @pids, $pid if $ppid == $parent;
    }

    $running{$parent} = [@pids] if $running{$parent};
    return @pids;
}


sub which {
    my ($name) = @_;

    for my $dir (split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/sbin') {
        return "$dir/$name" if -f "$dir/$name" && -x _;
    }
    return;
}


sub read_file {
    my ($file) = @_;
    open my $in, '<', $file or die "bench: open($file): $!\n";
    local $/;
    return scalar <$in>;
}


sub write_file {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "bench: open($file): $!\n";
    print {$out} $text;
    close $out or die "bench: close($file): $!\n";
    return;
}

1;
