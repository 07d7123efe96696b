package NgxGatewayDocs;

# For tests of what the documentation says: finds the examples in Markdown,
# makes complete configurations of them, and runs nginx on these.
#
# An example is a block fenced as "nginx CONTEXT", where CONTEXT is what it
# stands in: main (a complete nginx.conf), http, server or location.  What an
# example names and does not define gets a stand-in: issuers, upstreams, key
# files, log directories, ports.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Path ();
use File::Spec ();
use File::Temp ();
use HTTP::Tiny ();
use IO::Socket::INET ();
use POSIX ();
use Time::HiRes ();
use Test::More ();

use NgxGatewayJWT qw( jwks pem );
use NgxGatewayPorts qw( free_ports );
use NgxGatewaySystem qw( slurp spew output nginx_binary );

use base 'Exporter';

our @EXPORT = qw(
    $ROOT need_nginx nginx_binary work_dir pages examples complete startable
    tls_certificate nginx_test nginx_start nginx_stop free_ports get slurp spew
);

our $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my ($dir, %running);

END {
    my $status = $?;

    nginx_stop($_) for keys %running;
    $? = $status;
}


# Skips the whole test where the modules are built into the nginx to test.

sub need_nginx {
    my ($good, $output) = nginx_test("events {}\n");

    return if $good;

    if ($ENV{TEST_NGINX_BINARY} && !$ENV{TEST_NGINX_LOAD_MODULES}) {
        Test::More::plan(skip_all => 'the nginx to test does not load '
                                     . 'build/modules.conf');
    }

    die "nginx does not load build/modules.conf:\n$output";
}


sub work_dir {
    if (!$dir) {
        File::Path::make_path("$ROOT/build");
        $dir = File::Temp->newdir('t-docs-XXXXXX', DIR => "$ROOT/build");

        # Worker processes of a master that runs as root are of another user.

        chmod 0755, "$dir";

        File::Path::make_path("$dir/keys");
        spew("$dir/keys/stand-in.jwks", jwks('rsa', 'p256'));
        spew("$dir/keys/stand-in.pem", pem('p256'));
    }

    return "$dir";
}


# A certificate for any name below example.net, which is its own authority, and
# its key.

sub tls_certificate {
    my $file = work_dir() . '/keys/stand-in';

    if (!-e "$file.crt") {
        my $output = output(qw( openssl req -x509 -nodes -days 2
            -newkey rsa:2048 -subj /CN=stand-in
            -addext subjectAltName=DNS:*.example.net
            -keyout ), "$file.key", '-out', "$file.crt");

        die "openssl:\n$output" if $? != 0;
    }

    return ("$file.crt", "$file.key");
}


# The Markdown files, relative to the source tree's top.

sub pages {
    return map { File::Spec->abs2rel($_, $ROOT) }
           glob "$ROOT/*.md $ROOT/docs/*.md $ROOT/conf.example/*.md";
}


# ({ context, text, line, heading }, ...)

sub examples {
    my ($page) = @_;

    my @examples;
    my $text = slurp("$ROOT/$page");

    while ($text =~ /^```nginx([^\n]*)\n(.*?)^```$/msg) {
        my ($context, $example) = ($1, $2);
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);

        my ($heading) = reverse substr($text, 0, $-[0]) =~ /^#+ (.*)$/mg;

        $context =~ s/^\s+|\s+$//g;
        push @examples, { context => $context, text => $example,
                          line => $line, heading => $heading };
    }

    return @examples;
}


# A complete configuration of an example, which listens on $port and whose
# upstreams are on the port $service.

sub complete {
    my ($context, $text, $port, $service) = @_;

    my $dir = work_dir();
    my $more = '';

    $port //= (free_ports(1))[0];
    $service //= 1;

    if ($context eq 'location') {
        $text .= "proxy_pass http://127.0.0.1:$service;\n"
            if $text !~ /\b(?:proxy|gateway_websocket)_pass\b/;
        $text = "location / {\n$text\n}";
    }

    if ($context eq 'server' || $context eq 'location') {
        $text = "server {\n$text\n}";
    }

    if ($context ne 'main') {
        my %issuers = map { $_ => 1 } map { split /,/ }
            $text =~ /\bissuer=([\w,]+)/g;
        my %upstreams = map { $_ => 1 }
            $text =~ m{\b(?:proxy|gateway_websocket)_pass\s+
                       (?:http|ws)s?://([a-z]+)[/;]}gx;

        delete @issuers{ $text =~ /gateway_jwt_issuer\s+(\w+)/g };
        delete @upstreams{ $text =~ /upstream\s+(\w+)/g };

        $more .= "gateway_jwt_issuer $_ { issuer https://id.example.com; "
                 . "audience api; key_file $dir/keys/stand-in.jwks; }\n"
            for sort keys %issuers;
        $more .= "upstream $_ { server 127.0.0.1:$service; }\n"
            for sort keys %upstreams;

        $text = "events {}\n\nhttp {\n$more$text\n}\n";
    }

    $text =~ s/^load_module\b.*\n//mg;
    $text =~ s{/etc/nginx/keys/[\w.-]+\.(jwks|pem)}{$dir/keys/stand-in.$1}g;
    $text =~ s{/etc/nginx/tls/[\w.-]+\.crt}{(tls_certificate())[0]}ge;
    $text =~ s{/etc/nginx/tls/[\w.-]+\.key}{(tls_certificate())[1]}ge;
    $text =~ s{/etc/nginx/htpasswd}{$dir/htpasswd}g;
    $text =~ s{/usr/share/nginx/html}{$dir/html}g;
    $text =~ s{/var/(?:log|cache)/nginx/}{$dir/}g;

    $text =~ s/\blisten\s+\d+(?=[ ;])/listen 127.0.0.1:$port/g;
    $text =~ s/\b(listen\s+127\.0\.0\.1:)80\d\d;/$1 . (free_ports(1))[0] . ';'
              /ge;
    $text =~ s/^(\s*server)\s\{\n(?!\s*listen)
              /$1 {\nlisten 127.0.0.1:$port;\n/mgx;
    $text =~ s/\bserver\s+127\.0\.0\.1:\d+;/server 127.0.0.1:$service;/g;

    return $text;
}


# With what lets any user start it, and with the text $http added to its http
# block.

sub startable {
    my ($text, $http) = @_;

    $http //= '';

    my $dir = work_dir();
    my $more = join '', map { "    ${_}_temp_path $dir/temp_$_;\n" }
                        qw( client_body proxy fastcgi uwsgi scgi );

    $text =~ s/^http \{\n/http {\n$more$http/m;
    $text =~ s/^http \{\n/$&    access_log off;\n/m
        unless $text =~ m{\baccess_log\b};

    return "include $ROOT/build/modules.conf;\npid $dir/nginx.pid;\n"
           . "error_log $dir/error.log;\n$text";
}


# nginx -t on a configuration; in list context also what it said.

sub nginx_test {
    my ($text) = @_;

    my $conf = work_dir() . '/nginx.conf';

    spew($conf, startable($text));

    my $output = output(nginx_binary() // 'nginx', '-t', '-q',
                        '-p', work_dir() . '/',
                        '-e', work_dir() . '/error.log', '-c', $conf);

    return wantarray ? ($? == 0, $output) : $? == 0;
}


# Starts nginx on a file and waits until the port answers; returns its pid.

sub nginx_start {
    my ($prefix, $file, $port) = @_;

    # Workers of a master that is root are another user's, who may not be able
    # to enter the folder.

    my $user = $> == 0 ? ' user root;' : '';

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        exec { nginx_binary() } 'nginx', '-p', "$prefix/",
             '-e', "$prefix/error.log", '-c', $file, '-g', "daemon off;$user"
            or POSIX::_exit(127);
    }

    $running{$pid} = 1;

    for (1 .. 100) {
        return $pid if IO::Socket::INET->new("127.0.0.1:$port");
        last if waitpid($pid, 1) != 0;
        Time::HiRes::sleep(0.05);
    }

    Test::More::diag(slurp("$prefix/error.log")) if -e "$prefix/error.log";
    nginx_stop($pid);

    return 0;
}


sub nginx_stop {
    my ($pid) = @_;

    delete $running{$pid} or return;
    kill 'TERM', $pid;
    waitpid $pid, 0;
}


# HTTP::Tiny's answer.

sub get {
    my ($url, %headers) = @_;

    my $method = delete $headers{method} // 'GET';
    my $http = HTTP::Tiny->new(max_redirect => 0, timeout => 10,
                               proxy => undef, http_proxy => undef);

    return $http->request($method, $url, { headers => \%headers });
}


1;
