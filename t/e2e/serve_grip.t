#!/usr/bin/perl

# A service made for Pushpin, with the npm package "@fanoutio/grip", behind the
# gateway in place of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EServe qw( start node );
use Test::More;

my $node = node();

if (!-d "$E2E::ROOT/build/node_modules/\@fanoutio/grip") {
    plan skip_all => 'the npm package "@fanoutio/grip" is not installed: '
                     . '"make deps" could not reach the npm registry';
}

my $peer = E2EPeer->start($node, "$FindBin::Bin/serve_grip.cjs");
my $signature = $peer->hello()->{signature};
my ($nginx, %where) = start($peer, workers => 2, server => <<"_EOC_");
    location = /grip {
        gateway_websocket_serve /_b/grip zone=table format=websocket-events;
        gateway_websocket_set_header Grip-Sig "$signature";
        gateway_websocket_max_message 1m;
    }

    location = /publish/ {
        gateway_websocket_push zone=table;
    }
_EOC_

$peer->run({ run => $_, %where })
    for qw( messages state closing channels crowd );

$peer->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
