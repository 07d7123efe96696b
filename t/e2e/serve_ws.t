#!/usr/bin/perl

# Clients of the npm package "ws", served by an HTTP backend of node.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EServe qw( start node );
use Test::More;

my $peer = E2EPeer->start(node(), "$FindBin::Bin/serve_ws.cjs");
my ($nginx, %where) = start($peer);

for my $run (qw( handshake messages order state closing rules deflate push
                 crowd ))
{
    $peer->run({ run => $run, %where });
}

$peer->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
