#!/usr/bin/perl

# Keys and tokens that the npm package "jose" makes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EInterop;
use Test::More;

E2E::need('node', 'nodejs');
E2E::need('openssl', 'openssl');

$ENV{NODE_PATH} = join ':', "$E2E::ROOT/build/node_modules",
                            grep { length } $ENV{NODE_PATH} // '';

if (!-d "$E2E::ROOT/build/node_modules/jose") {
    plan skip_all => 'the npm package "jose" is not installed: "make deps" '
                     . 'could not reach the npm registry';
}

E2EInterop::run('node', "$FindBin::Bin/jose.cjs");

done_testing();
