package Bench::Gateway;

# nginx processes on loopback ports: the backend, and a gateway made from a
# "side", the few lines in which one measured configuration differs from
# another.  A side is a hash:
#
#     modules   names of .so files, without ".so"
#     http      lines for the http block
#     server    lines for the server block (further locations)
#     location  lines for "location /", before its content
#     content   what answers there; default: proxy_pass to the backend
#
# of which each may be a sub that returns the text, and
#
#     bad_status  what the request's bad_token must be answered
#     fill        so many tokens are sent before it is measured
#     check       a sub that looks at what the gateway answers, and dies
#     request     what it is sent instead of the group's request

use strict;
use warnings;

use File::Path qw(make_path);
use Time::HiRes qw(sleep time);

use Bench::Process qw(start stop alive capture free_port read_file write_file
                      workers_of);

# A worker that serves one benchmark must not close connections meanwhile.
use constant FOREVER => 'keepalive_requests 1000000000;';

use constant PROXY => <<'END';
proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
END


sub backend {
    my ($class, $bench) = @_;

    return $class->run($bench, 'backend', $bench->{load_cpu}, '', <<'END',
    keepalive_timeout 600s;

    server {
        listen 127.0.0.1:%PORT%;
        location / {
            default_type text/plain;
            return 200 "ok\n";
        }
    }
END
        prefix => $bench->{awake});
}


sub gateway {
    my ($class, $bench, $name, $side, %option) = @_;
    my %text = map { $_ => value($side->{$_}) }
        qw(http server location content);
    my $content = $text{content} || PROXY;
    my $backend = $bench->{backend}{port};
    my $forever = FOREVER;
    my $load = join '', map { "load_module $_;\n" }
        map { $bench->module_file($_) } @{ $side->{modules} || [] };

    my $cpu = $option{workers} ? undef : $bench->{gateway_cpu};

    return $class->run($bench, $name, $cpu, $load, <<"END",
    keepalive_timeout 600s;

    upstream backend {
        server 127.0.0.1:$backend;
        keepalive 128;
        $forever
        keepalive_timeout 600s;
    }

$text{http}
    server {
        listen 127.0.0.1:%PORT%;

        location / {
            $text{location}
            $content
        }
        $text{server}
    }
END
        %option);
}


sub value {
    my ($value) = @_;
    return ref $value ? $value->() : $value // '';
}


# prefix => [command] runs nginx under that command; with single => 1 it is one
# process, without master and worker; with workers => N there are several, and
# not on one core; worker_connections => N instead of 1024.

sub run {
    my ($class, $bench, $name, $cpu, $load, $http, %option) = @_;
    my $dir = "$bench->{work}/$name";
    my $process = $option{single} ? 'master_process off;'
                  : 'worker_processes ' . ($option{workers} || 1) . ';';
    my $temp = join '', map { "    ${_}_temp_path $dir/temp;\n" }
        $bench->temp_paths;
    my $connections = $option{worker_connections} || 1024;
    my $forever = FOREVER;
    my $self;

    make_path("$dir/logs");

    # another process may take the port between our look and nginx's bind
    for my $attempt (1 .. 3) {
        my $port = free_port();
        (my $text = $http) =~ s/%PORT%/$port/;

        write_file("$dir/nginx.conf", <<"END");
${load}daemon off;
$process
pid $dir/nginx.pid;
error_log $dir/logs/error.log crit;
events { worker_connections $connections; }
http {
    access_log off;
$temp    $forever
$text}
END
        $self = bless { name => $name, dir => $dir, port => $port }, $class;
        $self->{pid} = start(cpu => $cpu, log => "$dir/logs/out.log",
            command => [@{ $option{prefix} || [] }, $bench->{nginx},
                '-p', $dir, '-c', "$dir/nginx.conf"]);

        return $self->found($option{single}) if $self->listens($option{wait});
        stop($self->{pid});
    }

    my $log = join '', map { -f $_ ? read_file($_) : '' }
        "$dir/logs/out.log", "$dir/logs/error.log";
    die "bench: nginx does not start with $dir/nginx.conf:\n$log";
}


sub listens {
    my ($self, $seconds) = @_;
    my $until = time() + ($seconds || 5);

    while (time() < $until) {
        return 0 if !alive($self->{pid});
        return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port}, Proto => 'tcp', Timeout => 1);
        sleep 0.01;
    }
    return 0;
}


# The process that does the work.

sub found {
    my ($self, $single) = @_;

    if ($single) {
        $self->{worker} = $self->{pid};
        return $self;
    }

    for (1 .. 100) {
        ($self->{worker}) = workers_of($self->{pid});
        return $self if $self->{worker};
        sleep 0.01;
    }
    die "bench: nginx has no worker\n";
}


sub stop_it {
    my ($self, $signal) = @_;
    my $log = "$self->{dir}/logs/error.log";

    stop($self->{pid}, $signal);

    # the log's level is crit: whatever stands there is worth knowing
    if (-s $log) {
        print {*STDERR} "bench: $self->{name}: ", read_file($log);
        unlink $log;
    }
    return;
}

1;
