package E2EFlood;

# Load for tests of limits: processes that send pipelined HEAD requests over
# several connections each, as fast as they are answered, and count answers.
#
#     my $flood = E2EFlood->new($port, seconds => 2, paths => [ '/?k=a' ]);
#     my $seen = $flood->wait;
#
#     processes, connections, depth    4 of 4 with 16 requests under way each
#     each                             every path is sent exactly once by all
#                                      processes together, instead of "seconds"
#
# What was seen:
#
#     answers     { "200 q=100" => 5, ... }: the status, and the first quota
#                 of RateLimit-Policy if there is one
#     workers     how many answered, by X-Worker
#     full        answers of a bucket that was empty before, and was full again
#     broken      connections that ended with requests unanswered
#     begin, sent, end    before the first request, before the last ones, after
#                         the last answer; of the monotonic clock

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw( clock_gettime CLOCK_MONOTONIC );

my $TIMEOUT = 20;


sub now {
    return clock_gettime(CLOCK_MONOTONIC);
}


sub new {
    my ($class, $port, %o) = @_;

    my $self = bless { parent => $$, running => [] }, $class;
    my $processes = $o{processes} // 4;

    for my $n (0 .. $processes - 1) {
        my $pid = open(my $pipe, '-|') // die "fork: $!\n";

        if (!$pid) {
            my $seen = eval { _flood($port, $n, $processes, %o) };

            $seen //= { died => "$@" };
            print JSON::PP::encode_json($seen);
            close STDOUT;

            # without what the test does at its end

            POSIX::_exit(0);
        }

        push @{ $self->{running} }, { pid => $pid, pipe => $pipe };
    }

    return $self;
}


sub wait {
    my ($self) = @_;

    my %sum = (answers => {}, broken => 0, full => 0);
    my %workers;

    for my $one (splice @{ $self->{running} }) {
        my $text = do { local $/; readline $one->{pipe} };

        close $one->{pipe};

        my $seen = JSON::PP::decode_json($text);

        die "a client died: $seen->{died}\n" if exists $seen->{died};

        $sum{answers}{$_} += $seen->{answers}{$_}
            for keys %{ $seen->{answers} };
        $workers{$_} = 1 for keys %{ $seen->{workers} };
        $sum{$_} += $seen->{$_} for qw( broken full );

        $sum{begin} = $seen->{begin}
            if !defined $sum{begin} || $seen->{begin} < $sum{begin};
        $sum{sent} = $seen->{sent}
            if !defined $sum{sent} || $seen->{sent} < $sum{sent};
        $sum{end} = $seen->{end}
            if !defined $sum{end} || $seen->{end} > $sum{end};
    }

    $sum{workers} = keys %workers;

    return \%sum;
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{parent};

    local $?;

    for my $one (@{ $self->{running} }) {
        kill 'KILL', $one->{pid};
        close $one->{pipe};
    }

    return;
}


# What runs in each process.

sub _flood {
    my ($port, $n, $processes, %o) = @_;

    local $SIG{ALRM} = sub { die "no end\n" };
    alarm $TIMEOUT + ($o{seconds} // 0);

    my @paths = @{ $o{paths} };
    my $depth = $o{depth} // 16;
    my $last = $o{each} ? 0 : now() + $o{seconds};
    my @connections = map { { left => 0 } } 1 .. $o{connections} // 4;
    my %seen = (answers => {}, workers => {}, broken => 0, full => 0,
                empty => 0, begin => now());

    @paths = @paths[grep { $_ % $processes == $n } 0 .. $#paths] if $o{each};

    while ($o{each} ? @paths : now() < $last) {

        $seen{sent} = now();

        for my $one (grep { @paths } @connections) {
            my @now = $o{each} ? splice @paths, 0, $depth
                               : map { $paths[rand @paths] } 1 .. $depth;

            _send($one, $port, @now);
        }

        _receive($_, \%seen) for grep { $_->{left} } @connections;
    }

    $seen{end} = now();

    return \%seen;
}


sub _send {
    my ($one, $port, @paths) = @_;

    $one->{socket} //= IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                             PeerPort => $port)
        // die "no connection: $!\n";
    $one->{buffer} //= '';
    $one->{left} = @paths;

    my $text = join '', map { "HEAD $_ HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                        @paths;

    while (length $text) {
        my $sent = syswrite $one->{socket}, $text;

        return if !defined $sent;
        substr $text, 0, $sent, '';
    }

    return;
}


sub _receive {
    my ($one, $seen) = @_;

    while ($one->{left}) {

        if ($one->{buffer} =~ s/\A(.*?)\r\n\r\n//s) {
            _count($1, $seen);
            $one->{left}--;
            next;
        }

        my $got = sysread $one->{socket}, $one->{buffer}, 65536,
                          length $one->{buffer};

        next if $got;

        # a worker that ends, in whatever way

        $seen->{broken}++;
        %$one = (left => 0);
        return;
    }

    return;
}


sub _count {
    my ($head, $seen) = @_;

    my ($status) = $head =~ m{\AHTTP/1\.1 (\d{3})};
    my ($quota) = $head =~ /^RateLimit-Policy: .*?;(q=\d+)/m;
    my ($left) = $head =~ /^RateLimit: .*?;r=(\d+)/m;
    my ($worker) = $head =~ /^X-Worker: (\d+)/m;

    $status //= 'none';

    $seen->{answers}{ defined $quota ? "$status $quota" : $status }++;
    $seen->{workers}{$worker}++ if defined $worker;

    if (defined $left && defined $quota) {
        my $share = $left / substr $quota, 2;

        $seen->{empty} ||= $share < 0.1;
        $seen->{full}++ if $seen->{empty} && $share > 0.9;
    }

    return;
}


1;
