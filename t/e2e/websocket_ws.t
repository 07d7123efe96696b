#!/usr/bin/perl

# Clients and services of the npm package "ws", with the gateway between them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EWebSocket qw( start certificate );
use Test::More;

E2E::need('node', 'nodejs');
E2E::need('openssl', 'openssl');

$ENV{NODE_PATH} = join ':', "$E2E::ROOT/build/node_modules",
                            grep { length } $ENV{NODE_PATH} // '';

if (!-d "$E2E::ROOT/build/node_modules/ws") {
    plan skip_all => 'the npm package "ws" is not installed: "make deps" '
                     . 'could not reach the npm registry';
}

my $peer = E2EPeer->start('node', "$FindBin::Bin/websocket_ws.cjs",
                          certificate());
my ($nginx, %where) = start($peer);

for my $run (qw( guard guardRules guardDeflate crowd
                 pass passReplies passStreams ))
{
    $peer->run({ run => $run, %where });
}

$peer->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
