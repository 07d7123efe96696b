package E2EExample;

# Runs a configuration of conf.example/ as it is, on other ports and in a folder
# of its own, with certificates that are made for it, and is a client of it.
# It is an E2E: pid, workers, reload, clean_log and stop are as there.
#
#     my $gateway = E2EExample->start('public-api', jwks => [ 'rsa' ]);
#     my $answer = $gateway->ask(8100, 'GET', '/path', Name => 'value');
#
# Options of start:
#
#     jwks      keys in keys/example.jwks, names as NgxGatewayJWT has them; or
#               a hash of such lists, by file ("keys/a.jwks")
#     ports     { 8110 => $port }: a service of the test's own; the stand-in
#               server for that port is left out.  Port 1 refuses connections
#     edit      sub that changes a file's text in $_; its argument is the
#               file's name below conf.example/, which are NAME.conf, log.conf,
#               services/NAME.conf and NAME/*.  Ports are moved after it
#     quit      for QUIT: seconds until stop uses TERM
#
# Beside those of E2E:
#
#     prepare(...)     what start does but for starting it
#     dir              the folder that has conf.example/ and build/
#     ports            the ports of the files, and where they are
#     port(8100)       where 127.0.0.1:8100 of the files is
#     tls(NAME)        path of a file of auto/certificates
#     edit(FILE, SUB)  changes a file as the option does, where the ports
#                      have been moved
#     ask(...)         { status, headers, body, version }; names of headers in
#                      lower case, values of one name joined by ", "
#     curl(...)        the same with options of curl, the last being the URL
#     logged(FIELDS)   the access log's entries with these values, all without;
#                      waits for at least one
#     access_log       its text, {log}_access.log's where that member is set

use strict;
use warnings;

use File::Copy ();
use File::Path ();
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Test::More ();

use NgxGatewayJWT qw( jwks );

use base 'E2E';

my $names = 0;


sub start {
    my ($class, $name, %o) = @_;

    my $self = $class->prepare($name, %o);

    # Someone else may take a port meanwhile.

    for (1 .. 5) {
        return $self if $self->_run();
        last if $self->log(1) !~ /Address already in use/;

        $self->_files();
    }

    Test::More::diag($self->log(1) . $self->_stderr);
    die "$name.conf does not start\n";
}


# All but starting it.

sub prepare {
    my ($class, $name, %o) = @_;

    my $dir = E2E::dir() . "/$name" . ++$names;
    my $self = bless { name => $name, dir => $dir, prefix => "$dir/build",
                       seen => 0, quit => $o{quit} // 5, options => \%o },
                     $class;

    File::Path::make_path("$dir/build", "$dir/conf.example/keys",
                          "$dir/conf.example/services",
                          "$dir/conf.example/$name");

    E2E::spew("$dir/build/modules.conf", E2E::modules());
    $self->_certificates();
    $self->_keys();

    $self->_files();

    return $self;
}


sub _certificates {
    my ($self) = @_;

    my $output = E2E::output("$E2E::ROOT/auto/certificates", $self->tls(''));

    die "auto/certificates:\n$output" if $? != 0;
}


sub _keys {
    my ($self) = @_;

    for my $file (glob "$E2E::ROOT/conf.example/keys/*") {
        File::Copy::copy($file, "$self->{dir}/conf.example/keys/")
            or die "$file: $!\n";
    }

    my $jwks = $self->{options}{jwks} or return;

    $jwks = { 'keys/example.jwks' => $jwks } if ref $jwks eq 'ARRAY';

    for my $file (keys %$jwks) {
        E2E::spew("$self->{dir}/conf.example/$file", jwks(@{ $jwks->{$file} }));
    }
}


# The files, with ports that are free now.

sub _files {
    my ($self) = @_;

    my $given = $self->{options}{ports} // {};
    my $edit = $self->{options}{edit} // sub {};

    my %texts;
    my @names = map { s{^\Q$E2E::ROOT\E/conf.example/}{}r } grep { -f }
                map { glob "$E2E::ROOT/conf.example/$_" }
                "$self->{name}.conf", 'log.conf',
                "services/$self->{name}.conf", "$self->{name}/*";

    for my $file (@names) {
        local $_ = E2E::slurp("$E2E::ROOT/conf.example/$file");

        $edit->($file);

        if ($file =~ m{^services/}) {
            for my $port (keys %$given) {
                s/^(\ *)server\ \{\n(?:(?!\1\}).*\n)*?
                  \ +listen\ +127\.0\.0\.1:$port\b.*\n(?:(?!\1\}).*\n)*\1\}\n
                 //mgx;
            }
        }

        $texts{$file} = $_;
    }

    my %ports = map { $_ => 1 } map { /\b127\.0\.0\.1:(\d+)/g } values %texts;

    for my $port (sort keys %ports) {
        $ports{$port} = $given->{$port} // E2E::free_port();
    }

    $self->{ports} = \%ports;

    for my $file (keys %texts) {
        E2E::spew("$self->{dir}/conf.example/$file",
                  $texts{$file} =~ s/\b127\.0\.0\.1:\K(\d+)/$ports{$1}/gr);
    }
}


sub _run {
    my ($self) = @_;

    my $prefix = $self->{prefix};

    unlink "$prefix/$self->{name}_error.log";

    # Workers of a master that is root are another user's, who may not be able
    # to enter the folder.

    my $user = $> == 0 ? ' user root;' : '';

    my $pid = $self->spawn(
        '-e', "$prefix/stderr.log",
        '-c', "$self->{dir}/conf.example/$self->{name}.conf",
        '-g', "daemon off;$user");
    my $gone = 0;

    # All of its workers: a reload waits until there are as many again.

    my $workers = $self->_worker_processes();

    E2E::wait_for(20, sub {
        $gone = waitpid($pid, POSIX::WNOHANG()) != 0;

        return $gone || -e "$prefix/$self->{name}.pid"
                        && $self->workers == $workers;
    });

    return !$gone && $self->workers;
}


sub _worker_processes {
    my ($self) = @_;

    my $conf = E2E::slurp("$self->{dir}/conf.example/$self->{name}.conf");
    my ($number) = $conf =~ /^worker_processes\s+(\w+);/m;

    return $number // 1 if ($number // '') ne 'auto';

    return E2E::output('getconf', '_NPROCESSORS_ONLN') + 0;
}


sub dir {
    my ($self) = @_;

    return $self->{dir};
}


sub port {
    my ($self, $port) = @_;

    return $self->{ports}{$port} // die "$self->{name} has no port $port\n";
}


sub ports {
    my ($self) = @_;

    return %{ $self->{ports} };
}


sub tls {
    my ($self, $name) = @_;

    return "$self->{prefix}/tls/$name";
}


sub edit {
    my ($self, $file, $code) = @_;

    local $_ = E2E::slurp("$self->{dir}/conf.example/$file");

    $code->();
    E2E::spew("$self->{dir}/conf.example/$file", $_);
}


# ask(PORT, METHOD, PATH, NAME => VALUE, ..., [BODY]) by HTTPS where the
# option https is set, as in ask({ https => 'api.example.com' }, PORT, ...),
# and with other options of curl in { curl => [...] }.

sub ask {
    my ($self, @arguments) = @_;

    my $o = ref $arguments[0] ? shift @arguments : {};
    my ($port, $method, $path, @headers) = @arguments;
    my $body = @headers % 2 ? pop @headers : undef;

    my $host = $o->{https} // $o->{host} // 'localhost';
    my @options = @{ $o->{curl} // [] };

    $port = $self->port($port);

    push @options, $method eq 'HEAD' ? '--head' : ('--request', $method);

    while (my ($name, $value) = splice @headers, 0, 2) {
        push @options, '--header', $value eq '' ? "$name;" : "$name: $value";
    }

    # in a file, as it may be long

    my $file;

    if (defined $body) {
        $file = File::Temp->new(DIR => E2E::dir());
        E2E::spew("$file", $body);
        push @options, '--data-binary', "\@$file";
    }

    my $scheme = $o->{https} ? 'https' : 'http';

    return $self->curl(@options, '--resolve', "$host:$port:127.0.0.1",
                       "$scheme://$host:$port$path");
}


sub curl {
    my ($self, @options) = @_;

    my $output = E2E::output('curl', '--silent', '--show-error', '--include',
                             '--max-time', 20, '--noproxy', '*', '--path-as-is',
                             '--cacert', $self->tls('ca.crt'), @options);

    my ($version, $status, $headers, $body);

    do {
        ($version, $status, $headers, $body) =
            $output =~ m{^HTTP/(\S+)\ (\d+)[^\n]*\r\n
                         ((?:[^\r\n]+\r\n)*)\r\n(.*)}sx
            or return { status => 0, headers => {}, body => $output };

        $output = $body;
    } while ($status < 200 && $status != 101);

    my %headers;

    for (split /\r\n/, $headers) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;

        $name = lc $name;
        $headers{$name} = defined $headers{$name} ? "$headers{$name}, $value"
                                                  : $value;
    }

    return { version => $version, status => $status, headers => \%headers,
             body => $body };
}


# The error log has a name of its own.

sub log {
    my ($self, $all) = @_;

    my $file = "$self->{prefix}/$self->{name}_error.log";
    my $log = -e $file ? E2E::slurp($file) : '';
    my $from = $all ? 0 : $self->{seen};

    $self->{seen} = length $log;

    return substr $log, $from;
}


sub access_log {
    my ($self) = @_;

    my $name = $self->{log} // $self->{name};
    my $file = "$self->{prefix}/${name}_access.log";

    return -e $file ? E2E::slurp($file) : '';
}


# Each line has to be JSON.

sub logged {
    my ($self, %fields) = @_;

    my @found;

    E2E::wait_for(5, sub {
        my @lines = $self->access_log =~ /^(.*)\n/mg;

        @found = grep {
            my $entry = $_;

            !grep { ($entry->{$_} // '') ne $fields{$_} } keys %fields;
        } map { JSON::PP::decode_json($_) } @lines;
    });

    return @found;
}


1;
