#!/usr/bin/perl

# A browser: a page opens WebSockets, which an HTTP backend serves, and is told
# by events what becomes of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EPeer;
use E2EServe qw( start node chromium );
use Test::More;

my $chromium = chromium();
my $backend = E2EPeer->start(node(), "$FindBin::Bin/serve_backend.cjs");
my $browser = E2EPeer->start('node', "$FindBin::Bin/websocket_chromium.cjs",
                             $chromium, E2E::dir() . '/profile');

note($browser->hello()->{product});

my ($nginx, %where) = start($backend, server => <<"_EOC_");
    location = /page {
        alias $FindBin::Bin/serve_page.html;
        default_type text/html;
    }
_EOC_

# How connections have ended, as the backend was told.

sub told {
    my ($close, $n) = @_;

    my $sums;

    E2E::wait_for(5, sub {
        $sums = $backend->ask({ ask => 'sums' })->{answer};
        return ($sums->{close}{$close} // 0) == $n;
    });

    is($sums->{close}{$close}, $n, "the backend is told of $close")
        or diag(explain($sums));

    return $sums;
}

for my $origin ("http://127.0.0.1:$where{port}",
                "https://127.0.0.1:$where{tls}")
{
    $backend->ask({ ask => 'forget' });
    $browser->run({ url => "$origin/page", call => 'messages()' });
    told("3000 gr\xc3\xbc\xc3\x9fe", 2);

    $browser->run({ call => 'ends()' });
    told("4001 gr\xc3\xbc\xc3\x9fe", 1);

    $browser->run({ call => 'cookies()' });
    $browser->run({ call => 'push()' });

    my $sums = told('4003 go away', 1);

    is_deeply([ @$sums{qw( more late )} ], [ 0, 0 ],
              'no connection has ended twice');

    # a reload, and a page that is left

    for my $left (0, 1) {
        $backend->ask({ ask => 'forget' });
        $browser->run({ call => 'stay()' });

        if ($left) {
            $browser->run({ url => 'about:blank' });

        } else {
            ok($nginx->reload(), 'a reload');
            $browser->run({ call => 'stayed()' });
        }

        my @seen;

        E2E::wait_for(5, sub {
            @seen = @{ $backend->ask({ ask => 'seen',
                                       event => 'disconnect' })->{answer} };
            return @seen == 2;
        });

        is(join(' ', map { substr $_->{headers}{'gateway-close'}, 0, 4 }
                     @seen), '1001 1001',
           $left ? 'a page that is left: the backend is told'
                 : 'a reload: the backend is told');
    }
}

$browser->stop();
$backend->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
