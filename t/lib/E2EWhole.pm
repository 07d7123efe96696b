package E2EWhole;

# Checking clients for a whole gateway that is reloaded, and whose workers are
# killed, all the while: processes of their own, each of which does one thing
# again and again and looks at every answer.
#
#     my $clients = E2EWhole->new($dir);
#
#     $clients->run('jwt', sub { my ($seen) = @_; ... });  once more and more
#     $clients->command('wrk', @command);       a program, and what it prints
#     my $killed = E2EWhole::kill_worker($pid, @ports);
#     my $seen = $clients->stop();              { NAME => what it has seen }
#
# Which requests may be lost is told by connections.  A worker is stopped
# before it is killed, and its connections are listed then, by the ports of
# their clients.  A client whose connection ends without an answer, or within
# one, notes its port; where that is not of a killed worker, a request has been
# lost that should not.  There is one exception, RFC 9112, section 9.3.1: a
# connection that was kept, and on which not a byte of an answer has come, may
# have been closed by a worker that leaves; the request is sent again, and the
# worker, which the answer before has told of, has to be one that left.
#
# The sub is called until stop; $seen is an E2EWhole::Seen:
#
#     get(PATH, HEADERS), ask(METHOD, PATH, ..., BODY)
#                       the answer, or undef where it was lost; "tries" is how
#                       often it was sent
#     count(NAME)       counts what was done
#     wrong(TEXT)       tells of what is not as it should be
#     broken(SOCKET, WHAT, ...)  a connection that has ended

use strict;
use warnings;

use JSON::PP ();
use POSIX ();
use Time::HiRes ();

use E2E ();
use E2EClient ();
use NgxGatewayPorts qw( free_ports );

# wrong answers that a client tells of; requests before it makes a new
# connection, which another worker may take

my $WRONG = 20;
my $REQUESTS = 40;

my $json = JSON::PP->new->canonical;


sub new {
    my ($class, $dir) = @_;

    return bless { dir => $dir, owner => $$, clients => [] }, $class;
}


sub run {
    my ($self, $name, $port, $code) = @_;

    my $file = "$self->{dir}/seen-" . @{ $self->{clients} };
    my $stop = "$self->{dir}/stop";
    my $pid = fork // die "fork: $!\n";

    if ($pid) {
        push @{ $self->{clients} }, { name => $name, pid => $pid,
                                      file => $file };
        return;
    }

    $SIG{TERM} = 'DEFAULT';
    srand $$;

    my $seen = E2EWhole::Seen->new($port);

    eval {
        $code->($seen) while !-e $stop;
        1;
    } or $seen->wrong("died: $@");

    E2E::spew($file, $json->encode({ map { $_ => $seen->{$_} }
                                     qw( counts wrong broken ids runs ) }));
    POSIX::_exit(0);
}


# A program that ends by itself, or with SIGTERM.

sub command {
    my ($self, $name, @command) = @_;

    my $file = "$self->{dir}/printed-$name";
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP PIPE );

        open STDOUT, '>', $file or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    push @{ $self->{clients} }, { name => $name, pid => $pid, file => $file,
                                  command => 1 };

    return;
}


sub stop {
    my ($self, $seconds) = @_;

    my %seen;

    E2E::spew("$self->{dir}/stop", '');

    my $end = Time::HiRes::time() + ($seconds // 30);

    for my $client (@{ $self->{clients} }) {
        my $gone = E2E::wait_for($end - Time::HiRes::time(), sub {
            waitpid($client->{pid}, POSIX::WNOHANG()) != 0
        });

        die "$client->{name} does not end\n" if !$gone;

        delete $client->{pid};

        my $text = E2E::slurp($client->{file});

        push @{ $seen{ $client->{name} } },
            $client->{command} ? $text : $json->decode($text);
    }

    return \%seen;
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{owner};

    local ($?, $!);

    for my $pid (grep { defined } map { $_->{pid} } @{ $self->{clients} }) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    return;
}


# kB of one kind of a process's memory, or nothing when it is gone.

sub memory {
    my ($pid, $kind) = @_;

    my ($kb) = (eval { E2E::slurp("/proc/$pid/smaps_rollup") } // '')
               =~ /^$kind:\s+(\d+)/m;

    return $kb;
}


# Kills a worker: { pid, time, ports => { PORT => { clients' ports } } }.

sub kill_worker {
    my ($pid, @ports) = @_;

    kill 'STOP', $pid;

    E2E::wait_for(5, sub { E2E::slurp("/proc/$pid/stat") =~ /\) T / })
        or die "worker $pid does not stop\n";

    my %inode = map { $_ => 1 }
                map { (readlink // '') =~ /^socket:\[(\d+)\]/ ? $1 : () }
                glob "/proc/$pid/fd/*";

    my %killed = (pid => $pid, time => Time::HiRes::time(),
                  ports => { map { $_ => {} } @ports });

    for my $line (E2E::slurp('/proc/net/tcp') =~ /^ *\d+: (.*)/mg) {
        my ($local, $remote, $inode) = (split ' ', $line)[0, 1, 8];

        ($local, $remote) = map { hex s/.*://r } $local, $remote;

        next if !$inode{$inode} || !$killed{ports}{$local};
        $killed{ports}{$local}{$remote} = 1;
    }

    kill 'KILL', $pid;

    return \%killed;
}


package E2EWhole::Seen;


sub new {
    my ($class, $port) = @_;

    return bless { port => $port, left => 0, counts => {}, wrong => [],
                   broken => [], ids => {}, runs => [] }, $class;
}


sub count {
    my ($self, $name) = @_;

    $self->{counts}{$name}++;

    return;
}


sub wrong {
    my ($self, $text) = @_;

    $self->{counts}{wrong}++;
    push @{ $self->{wrong} }, substr $text, 0, 400
        if @{ $self->{wrong} } < $WRONG;

    return;
}


sub broken {
    my ($self, $socket, $what, %more) = @_;

    push @{ $self->{broken} }, { port => $socket->sockport() // 0,
                                 time => Time::HiRes::time(),
                                 what => $what, %more };

    return;
}


sub get {
    my ($self, $path, @headers) = @_;

    return $self->ask('GET', $path, @headers);
}


sub ask {
    my ($self, $method, $path, @request) = @_;

    if ($self->{left}-- <= 0) {
        delete @$self{qw( client worker )};
        $self->{left} = $REQUESTS;
    }

    for my $try (1 .. 4) {
        $self->{tries} = $try;

        if (!$self->{client}) {
            delete $self->{worker};
            $self->{client} = E2EClient->new($self->{port});
        }

        my $client = $self->{client};

        if (!$client) {
            $self->wrong("$method $path: no connection");
            return undef;
        }

        my $answer = eval { $client->ask($method, $path, @request) };

        $self->count('asked');

        if ($answer) {
            $self->{worker} = $answer->{headers}{'x-worker'};

            delete $self->{client}
                if ($answer->{headers}{connection} // '') eq 'close';

            return $answer;
        }

        my $kept = !$@ && defined $self->{worker};

        $self->broken($client->{socket}, "$method $path: " . ($@ || 'nothing'),
                      $kept ? (worker => $self->{worker}) : ());

        delete $self->{client};

        return undef if !$kept;
    }

    $self->wrong("$method $path: not answered on four connections");

    return undef;
}


# A program that listens at a port, which is its argument.

package E2EWhole::Program;


# That of the benchmarks which says back what it is sent, on WebSockets and by
# HTTP.

sub echo {
    my ($class, $port) = @_;

    my $program = E2E::dir() . '/ws_echo';
    my $said = E2E::output($ENV{CC} || 'cc', '-O2', '-o', $program,
                           "$E2E::ROOT/t/bench/ws_echo.c", '-lcrypto');

    -x $program or die "ws_echo.c is not compiled:\n$said";

    return $class->start($program, $port);
}


sub start {
    my ($class, $program, $port) = @_;

    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP PIPE );
        exec { $program } $program, $port or POSIX::_exit(127);
    }

    my $self = bless { pid => $pid, owner => $$ }, $class;

    E2E::wait_for(10, sub { E2EClient->new($port) })
        or die "$program does not listen\n";

    return $self;
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{owner};

    local ($?, $!);

    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;

    return;
}


1;
