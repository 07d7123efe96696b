#!/usr/bin/perl

# The services of docs/examples/ behind conf.example/chat.conf, with clients of
# the Python library websockets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Path qw( make_path );
use File::Spec;
use IO::Socket::INET;
use JSON::PP;
use NgxGatewayDocs;
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep );

need_nginx();

# Debian's own Python has Debian's packages; one that comes earlier in PATH
# has not.

my $python = '/usr/bin/python3';

-x $python or die "$python is missing: install Debian's packages python3 and "
                  . "python3-websockets, or run \"make deps\"\n";

my $dir = work_dir() . '/chat';
my ($port, $push, $service) = free_ports(3);
my %ports = (8090 => $port, 8091 => $push, 8092 => $service);
my $text = slurp("$ROOT/conf.example/chat.conf")
           =~ s/\b127\.0\.0\.1:(\d+)/127.0.0.1:$ports{$1}/gr;
my $pid;

END {
    my $status = $?;

    if ($pid) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    $? = $status;
}

make_path("$dir/build", "$dir/conf.example");
symlink "$ROOT/build/modules.conf", "$dir/build/modules.conf";
spew("$dir/conf.example/chat.conf", $text);

my $nginx = nginx_start("$dir/build", "$dir/conf.example/chat.conf", $port);

ok($nginx, 'the gateway starts') or done_testing(), exit 1;

for my $file (glob "$ROOT/docs/examples/*") {
    my ($name) = $file =~ m{([^/]+)\z};
    my $run = $name =~ /\.py$/ ? $python : 'node';

    subtest $name => sub {
        plan skip_all => "there is no $run"
            if $run !~ m{/} && !grep { -x "$_/$run" } File::Spec->path;

        $pid = fork // die "fork: $!";

        if (!$pid) {
            exec $run, $file, $service, "http://127.0.0.1:$push/push"
                or POSIX::_exit(127);
        }

        ok(listens($service), 'it starts') or return;

        my @lines = `$python $FindBin::Bin/websocket_backends.py \\
                     ws://127.0.0.1:$port/chat`;

        is($?, 0, 'the clients come to the end');

        for my $line (@lines) {
            my $case = decode_json($line);

            is($case->{got}, $case->{want}, $case->{name});
        }

        cmp_ok(scalar @lines, '>', 15, 'all of it');

        kill 'TERM', $pid;
        waitpid $pid, 0;
        undef $pid;
    };
}

nginx_stop($nginx);
unlike(slurp("$dir/build/chat_error.log"), qr/\[(?:error|alert|crit|emerg)\]/,
       'nothing is wrong in the log');

done_testing();


sub listens {
    my ($its_port) = @_;

    for (1 .. 200) {
        return 1 if IO::Socket::INET->new("127.0.0.1:$its_port");
        sleep 0.02;
    }

    return 0;
}
