package E2E;

# Runs nginx for tests with real peers: several at a time, with several
# workers, reloaded and killed as a test likes.  Everything that is started is
# stopped by its process id when the test ends, however it ends, and files are
# in a folder under build/ that goes with it.
#
#     my $nginx = E2E->start(http => $text, workers => 4);
#
# With bare => 1 it has none of the modules.
#
#     pid, workers    process ids of the master and of its workers
#     reload          sends HUP; true when new workers have replaced the old,
#                     which have ended
#     log             what error.log has so far
#     clean_log       a test: no line of the log that should not be there
#     stop            sends QUIT, waits

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use POSIX ();
use Test::More ();

use E2EClient ();
use NgxGatewayPorts qw( free_port );
use NgxGatewaySystem qw( slurp spew output nginx_binary children title memory
                         wait_for );

our $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my ($dir, $modules, %running);

my $test = $$;
my $names = 0;

$SIG{$_} = sub { exit 1 } for qw( INT TERM HUP );
$SIG{PIPE} = 'IGNORE';

END {
    my $status = $?;

    if ($$ == $test) {
        $running{$_}->stop for keys %running;
    }

    $? = $status;
}


# A folder for this test's files.

sub dir {
    if (!defined $dir) {
        File::Path::make_path("$ROOT/build");
        $dir = File::Temp->newdir('t-e2e-XXXXXX', DIR => "$ROOT/build");
        chmod 0755, "$dir";
    }

    return "$dir";
}


# Fails the whole test, saying what to install, where a command is not there.

sub need {
    my ($command, $package) = @_;

    return if grep { -x "$_/$command" } File::Spec->path;

    die "$command is missing: install Debian's package $package, or run "
        . "\"make deps\"\n";
}


sub binary {
    return nginx_binary()
           // die "there is no nginx: install Debian's package nginx, or run "
                  . "\"make deps\"\n";
}


# nginx's version as a number, 1.22.1 being 1022001.

sub version {
    my ($version) = output(binary(), '-v') =~ m{nginx/([\d.]+)};

    return sprintf '%d%03d%03d', split /\./, $version;
}


sub sanitized {
    return output(binary(), '-V') =~ /-fsanitize/;
}


sub start {
    my ($class, %o) = @_;

    my $prefix = dir() . '/' . ($o{name} // 'nginx' . ++$names);
    my $self = bless { prefix => $prefix, seen => 0, quit => 5 }, $class;

    File::Path::make_path($prefix);
    spew("$prefix/nginx.conf", _conf($prefix, %o));

    my $pid = $self->spawn('-e', "$prefix/error.log",
                           '-c', "$prefix/nginx.conf");
    my $workers = $o{workers} // 1;

    my $up = wait_for(20, sub {
        return waitpid($pid, POSIX::WNOHANG()) != 0
               || $self->workers == $workers && E2EClient->new($o{port});
    });

    if (!$up || !$self->workers) {
        Test::More::diag($self->log . $self->_stderr);
        die "nginx does not start\n";
    }

    return $self;
}


# Runs nginx with these arguments; it is stopped at the end at the latest.

sub spawn {
    my ($self, @arguments) = @_;

    my $prefix = $self->{prefix};
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        # with SIGHUP and others as they usually are

        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP PIPE );

        open STDERR, '>>', "$prefix/stderr.log" or POSIX::_exit(126);

        exec { binary() } 'nginx', '-p', "$prefix/", @arguments
            or POSIX::_exit(127);
    }

    $running{$pid} = $self;

    return $self->{pid} = $pid;
}


sub _conf {
    my ($prefix, %o) = @_;

    my $load = $o{bare} ? '' : modules();
    my $workers = $o{workers} // 1;
    my $connections = $o{connections} // 1024;
    my $main = $o{main} // '';

    # Workers of a master that runs as root could otherwise be of a user that
    # may not enter the source tree.

    $main = "user root;\n$main" if $> == 0;

    my $temp = join '', map { "    ${_}_temp_path $prefix/temp_$_;\n" }
                        qw( client_body proxy fastcgi uwsgi scgi );

    return <<"_EOC_";
$load
daemon off;
pid $prefix/nginx.pid;
error_log $prefix/error.log info;
worker_processes $workers;
$main

events {
    worker_connections $connections;
}

http {
$temp
    access_log off;

$o{http}
}
_EOC_
}


# The load_module lines; there are none where nginx has the modules built in.

sub modules {
    return $modules if defined $modules;

    my $prefix = dir() . '/probe';
    my $conf = "$prefix/nginx.conf";

    File::Path::make_path($prefix);
    spew($conf, "pid $prefix/nginx.pid;\nerror_log stderr;\nevents {}\n"
                . "http {\n gateway_jwt_cache off;\n"
                . join('', map { " ${_}_temp_path $prefix/temp;\n" }
                           qw( client_body proxy fastcgi uwsgi scgi ))
                . "}\n");

    my $answer = output(binary(), '-t', '-p', "$prefix/",
                         '-e', "$prefix/error.log", '-c', $conf);

    if ($answer =~ /test is successful/) {
        return $modules = '';
    }

    if ($answer !~ /unknown directive "gateway_jwt_cache"/) {
        Test::More::diag($answer);
        die binary() . " does not work\n";
    }

    if ($ENV{TEST_NGINX_LOAD_MODULES}) {
        return $modules = join '', map { "load_module \"$_\";\n" }
                                   split ' ', $ENV{TEST_NGINX_LOAD_MODULES};
    }

    my $file = "$ROOT/build/modules.conf";

    -e $file or die "there is no build/modules.conf: run \"make\"\n";

    return $modules = "include $file;\n";
}


sub pid {
    my ($self) = @_;

    return $self->{pid};
}


sub workers {
    my ($self) = @_;

    my @workers = grep { title($_) =~ /worker process/ }
                  children($self->{pid});

    return @workers;
}


sub hup {
    my ($self) = @_;

    kill 'HUP', $self->{pid};

    return;
}


sub reload {
    my ($self) = @_;

    my @old = $self->workers;
    my $count = grep { title($_) !~ /shutting down/ } @old;
    my %old = map { $_ => 1 } @old;

    $self->hup;

    return wait_for(20, sub {
        my @workers = $self->workers;

        return @workers == $count && !grep { $old{$_} } @workers;
    });
}


# The part of error.log that was not there when log was last asked for; with
# "all", all of it.

sub log {
    my ($self, $all) = @_;

    my $file = "$self->{prefix}/error.log";
    my $log = -e $file ? slurp($file) : '';
    my $from = $all ? 0 : $self->{seen};

    $self->{seen} = length $log;

    return substr $log, $from;
}


sub wait_log {
    my ($self, $pattern) = @_;

    my $log = '';

    wait_for(10, sub {
        $log .= $self->log;
        return $log =~ $pattern;
    });

    return $log;
}


# Nothing in the log that tells of a bug, nor any part of a token; @expected
# are patterns of lines that belong there.  What UBSan says of nginx's own code
# is nginx's.

sub clean_log {
    my ($self, $name, @expected) = @_;

    my @lines = split /\n/, $self->log(1) . $self->_stderr;

    for my $pattern (@expected) {
        @lines = grep { $_ !~ $pattern } @lines;
    }

    my $bug = qr/\[(?:alert|emerg|crit)\]|exited\ with\ code\ [1-9]|\beyJ
                 |Sanitizer|runtime\ error:/x;

    my @bad = grep { /$bug/ && !m{^src/\w+/.*: runtime error:} } @lines;

    return Test::More::is(join("\n", splice @bad, 0, 10), '', $name);
}


# What nginx says before it has read the name of its log, and what sanitizers
# say.

sub _stderr {
    my ($self) = @_;

    return slurp("$self->{prefix}/stderr.log");
}


sub stop {
    my ($self) = @_;

    my $pid = $self->{pid};

    delete $running{$pid} or return;

    for my $signal (qw( QUIT TERM KILL )) {
        kill $signal, $pid, $signal eq 'KILL' ? $self->workers : ();

        last if wait_for($self->{quit}, sub {
            waitpid($pid, POSIX::WNOHANG()) != 0
        });
    }

    return;
}


1;
