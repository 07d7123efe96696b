#!/usr/bin/perl

# Clients of the Python library websockets, served by an HTTP backend of
# Python's own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EServe qw( start python );
use Test::More;

my $peer = E2EPeer->start(python(), "$FindBin::Bin/serve_peer.py");
my ($nginx, %where) = start($peer);

$peer->run({ run => $_, %where })
    for qw( handshake messages closing crowd push );

$peer->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
