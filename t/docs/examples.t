#!/usr/bin/perl

# nginx -t takes each example of the documentation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use Test::More;

need_nginx();

my $count = 0;

for my $page (pages()) {
    for my $example (examples($page)) {
        my $name = "$page:$example->{line}";

        like($example->{context}, qr/^(main|http|server|location)$/,
             "$name says what it stands in");

        my $conf = complete($example->{context}, $example->{text});
        my ($good, $output) = nginx_test($conf);

        $count++;
        ok($good, "$name passes nginx -t") or diag($output);
    }
}

cmp_ok($count, '>', 0, 'there are examples');

done_testing();
