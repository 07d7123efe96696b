#!/usr/bin/perl

# Clients and services of the Python library websockets, with the gateway
# between them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EWebSocket qw( start certificate );
use Test::More;

# Debian's own Python has Debian's packages; one that comes earlier in PATH
# has not.

my $python = '/usr/bin/python3';

-x $python or die "$python is missing: install Debian's packages python3 and "
                  . "python3-websockets, or run \"make deps\"\n";

E2E::need('openssl', 'openssl');

my $peer = E2EPeer->start($python, "$FindBin::Bin/websocket_peer.py",
                          certificate());
my ($nginx, %where) = start($peer);

$peer->run({ run => $_, %where }) for qw( guard rules crowd pass );

$peer->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
