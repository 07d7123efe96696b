package NgxGatewayNginx;

# An nginx of a test's own, for what Test::Nginx can not do: reloads that are
# to fail, several configurations in turn, other clients.  It listens on a
# free port, lives in a temporary directory, and is gone with its object.
#
# TEST_NGINX_BINARY and TEST_NGINX_LOAD_MODULES mean what they mean to
# Test::Nginx.

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();

use NgxGatewayPorts qw( free_port );
use NgxGatewaySystem qw( output spew workers wait_for );

# an interrupted test leaves nothing behind either

$SIG{$_} //= sub { exit 1 } for qw( INT TERM HUP );

our $TIMEOUT = $ENV{TEST_NGINX_USE_VALGRIND} ? 60 : 15;


# Options: http and server, lines for these blocks, where %DIR% stands for
# the directory; workers; listen, parameters beside the port; http2, whether
# it speaks HTTP/2.

sub new {
    my ($class, %options) = @_;

    my $self = bless {
        workers => 1,
        listen  => '',
        http2   => 0,
        http    => '',
        server  => '',
        %options,
        binary  => $ENV{TEST_NGINX_BINARY} || 'nginx',
        version => 0,
        owner   => $$,
    }, $class;

    $self->{temp} = File::Temp->newdir('ngx_gateway_XXXXXX', TMPDIR => 1);
    $self->{dir} = $self->{temp}->dirname();

    mkdir "$self->{dir}/logs" or die "mkdir: $!\n";

    return $self;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!, $@);

    $self->stop() if $self->{owner} == $$;

    return;
}


# The number of the binary's version, as nginx_version is in C.

sub nginx_version {
    my ($self) = @_;

    my ($major, $minor, $patch) =
        output($self->{binary}, '-v') =~ m{/(\d+)\.(\d+)\.(\d+)}
        or die "$self->{binary} -v: no version\n";

    return $major * 1000000 + $minor * 1000 + $patch;
}


sub path {
    my ($self, $name) = @_;

    return "$self->{dir}/$name";
}


sub port {
    my ($self) = @_;

    return $self->{port};
}


sub write_file {
    my ($self, $name, $text) = @_;

    my $path = $self->path($name);

    spew("$path.new", $text);
    rename "$path.new", $path or die "rename $path.new: $!\n";

    return;
}


sub read_file {
    my ($self, $name) = @_;

    open my $in, '<:raw', $self->path($name) or return '';
    local $/ = undef;
    my $text = <$in>;
    close $in;

    return $text;
}


sub error_log {
    my ($self) = @_;

    return $self->read_file('logs/error.log');
}


# Starts it; a port that someone else has taken meanwhile is given up.

sub start {
    my ($self) = @_;

    for (1 .. 10) {
        $self->{port} = free_port();
        $self->write_config();

        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            open STDERR, '>>', $self->path('logs/stderr');
            exec $self->{binary}, '-p', "$self->{dir}/", '-c', 'nginx.conf',
                 '-e', 'logs/error.log'
                or POSIX::_exit(127);
        }

        $self->{pid} = $pid;

        $self->wait(sub { $self->_serves() || !$self->alive() });

        return $self if $self->alive() && $self->_serves();

        $self->stop();
    }

    die "nginx does not start:\n", $self->error_log(),
        $self->read_file('logs/stderr');
}


sub alive {
    my ($self) = @_;

    return 0 if !$self->{pid};
    return 1 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;

    delete $self->{pid};

    return 0;
}


sub stop {
    my ($self) = @_;

    return if !$self->alive();

    for my $signal (qw( QUIT TERM KILL )) {
        kill $signal, $self->{pid};
        last if $self->wait(sub { !$self->alive() },
                            $signal eq 'QUIT' ? 3 : $TIMEOUT);
    }

    return;
}


# Writes the configuration, of which each has a version, and makes nginx read
# it.  Returns true when it serves all new connections: the workers of before
# may go on with those that they have.

sub reload {
    my ($self, %options) = @_;

    my %old = map { $_ => 1 } workers($self->{pid});

    @$self{ keys %options } = values %options;

    $self->write_config();
    kill 'HUP', $self->{pid};

    return $self->wait(sub {
        $self->_serves() && !grep { $old{$_} } workers($self->{pid});
    });
}


# The same where it must fail.  Returns the log's lines of it, or undef when
# it has not failed.

sub reload_fails {
    my ($self, %options) = @_;

    my $seen = length $self->error_log();
    my $version = $self->{version};

    @$self{ keys %options } = values %options;

    $self->write_config();
    kill 'HUP', $self->{pid};

    my $news = sub { substr $self->error_log(), $seen };
    my $failed = $self->wait(sub {
        $news->() =~ /\[emerg\]/ || $self->_serves()
    });

    return $failed && !$self->_serves() ? $news->() : undef;
}


# What "nginx -t" says to the configuration; $? is its status.  It listens for
# a moment, and does so at a port of its own: where other suites expect nobody,
# as at port 1, they would find it.

sub test {
    my ($self) = @_;

    $self->{port} //= free_port();
    $self->write_config();

    # it exits without freeing what it has read

    local $ENV{ASAN_OPTIONS} = join ',', grep { length }
                                         $ENV{ASAN_OPTIONS} // '',
                                         'detect_leaks=0';

    return output($self->{binary}, '-t', '-p', "$self->{dir}/",
                  '-c', 'nginx.conf', '-e', 'logs/error.log');
}


sub write_config {
    my ($self) = @_;

    my $version = ++$self->{version};
    my $user = $> == 0 ? 'user root;' : '';
    my $modules = join "\n", map { "load_module $_;" }
                             split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $temp = join "\n", map { "    ${_}_temp_path temp_$_;" }
                          qw( client_body proxy fastcgi uwsgi scgi );
    my ($listen, $server) = $self->_http2();

    my $text = <<"_EOC_";
$modules
daemon off;
pid logs/nginx.pid;
error_log logs/error.log info;
worker_processes $self->{workers};
worker_shutdown_timeout 5s;
$user

events {
    worker_connections 256;
}

http {
    access_log logs/access.log;
$temp

$self->{http}

    server {
        listen 127.0.0.1:$self->{port} $self->{listen} $listen;

$server
$self->{server}
    }

    server {
        listen unix:%DIR%/version.sock;

        location / {
            return 200 "$version";
        }
    }
}
_EOC_

    $text =~ s/%DIR%/$self->{dir}/g;
    $text =~ s/%PORT%/$self->{port}/g;

    $self->write_file('nginx.conf', $text);

    return;
}


# What listens with HTTP/2, and how the server says so, in this version.

sub _http2 {
    my ($self) = @_;

    return ('', '') if !$self->{http2};
    return ('http2', '') if $self->nginx_version() < 1025001;
    return ('', '        http2 on;');
}


# A request, and its answer as { code, headers (names in lower case), body },
# or undef.

sub request {
    my ($self, $line, @headers) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $self->{port},
                                       Timeout => $TIMEOUT)
                 or return undef;

    return _answer(_exchange($socket, $line, @headers));
}


sub get {
    my ($self, $uri, $token) = @_;

    return $self->request("GET $uri",
                          defined $token ? "Authorization: Bearer $token"
                                         : ());
}


# Whether new connections get to the configuration that was written last.

sub _serves {
    my ($self) = @_;

    for (1 .. 4 * $self->{workers}) {
        my $socket = IO::Socket::UNIX->new(Peer => $self->path('version.sock'),
                                           Timeout => $TIMEOUT)
                     or return 0;
        my $answer = _answer(_exchange($socket, 'GET /'));

        return 0 if !$answer || $answer->{body} ne $self->{version};
    }

    return 1;
}


sub _exchange {
    my ($socket, $line, @headers) = @_;

    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { die "timeout\n" };

    my $text = '';

    eval {
        alarm $TIMEOUT;
        print $socket join "\r\n", "$line HTTP/1.1", 'Host: localhost',
                                   'Connection: close', @headers, '', '';
        $socket->flush();
        local $/ = undef;
        $text = <$socket> // '';
    };

    alarm 0;
    close $socket;

    return $text;
}


sub _answer {
    my ($text) = @_;

    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    return undef if !defined $body;

    my ($status, @lines) = split /\r\n/, $head;
    my ($code) = $status =~ m{^HTTP/[\d.]+ (\d+)} or return undef;

    my %headers;

    for my $line (@lines) {
        my ($name, $value) = split /:\s*/, $line, 2;
        $name = lc $name;
        $headers{$name} = defined $headers{$name} ? "$headers{$name}, $value"
                                                  : $value;
    }

    return { code => $code, headers => \%headers, body => $body };
}


# Until the sub says true; what it says.

sub wait {
    my ($self, $until, $seconds) = @_;

    return wait_for($seconds // $TIMEOUT, $until);
}


1;
