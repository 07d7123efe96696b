#!/usr/bin/perl

# Keys and tokens that the Python library jwcrypto makes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EInterop;
use Test::More;

# Debian's own Python has Debian's packages; one that comes earlier in PATH
# has not.

my $python = '/usr/bin/python3';

-x $python or die "$python is missing: install Debian's packages python3 and "
                  . "python3-jwcrypto, or run \"make deps\"\n";

E2E::need('openssl', 'openssl');

E2EInterop::run($python, "$FindBin::Bin/jwcrypto_peer.py");

done_testing();
