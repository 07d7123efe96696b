#!/usr/bin/perl

# The chat of conf.example/chat.conf, with both services of docs/examples and
# clients of the npm package "ws".  Only the ports are others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EPeer;
use E2EServe qw( node python );
use IO::Socket::INET ();
use POSIX ();
use Test::More;

my $node = node();
my $client = E2EPeer->start($node, "$FindBin::Bin/serve_chat.cjs");
my %services = (node => [ $node, 'websocket_backend.mjs' ],
                python => [ python(), 'websocket_backend.py' ]);
my %running;

END {
    my $status = $?;

    kill 'KILL', $_ for values %running;
    $? = $status;
}

# What is in the block "http" of the example.

sub example {
    my ($port, $push, $service) = @_;

    my ($http) = E2E::slurp("$E2E::ROOT/conf.example/chat.conf")
                 =~ /^http \{\n(.*)^\}/ms;

    $http =~ s/^.*_temp_path.*\n//mg;
    $http =~ s/\b8090\b/$port/g;
    $http =~ s/\b8091\b/$push/g;
    $http =~ s/\b8092\b/$service/g;

    return $http;
}

sub service {
    my ($name, $port, $push) = @_;

    my ($command, $file) = @{ $services{$name} };
    my $log = E2E::dir() . "/$name.log";
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP PIPE );
        open STDERR, '>>', $log or POSIX::_exit(126);
        exec { $command } $command, "$E2E::ROOT/docs/examples/$file", $port,
             "http://127.0.0.1:$push/push"
            or POSIX::_exit(127);
    }

    $running{$name} = $pid;

    return E2E::wait_for(10, sub {
        return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
    });
}

for my $name (sort keys %services) {
    my ($port, $push, $service) = map { E2E::free_port() } 1 .. 3;

    ok(service($name, $service, $push), "$name: the service");

    my $nginx = E2E->start(name => $name, port => $port, workers => 2,
                           http => example($port, $push, $service));

    $client->run({ name => $name, port => $port });

    my $answer = E2EClient->new($push)->ask('POST', '/push/groups/lobby',
                                            'hello, all');

    is("$answer->{status} $answer->{body}", qq(200 {"reached":0}\n),
       "$name: a push by anybody on this machine");

    $nginx->stop();
    $nginx->clean_log("$name: nothing wrong in the log");

    kill 'TERM', $running{$name};
    waitpid delete $running{$name}, 0;
}

$client->stop();

done_testing();
