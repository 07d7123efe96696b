#!/usr/bin/perl

# A browser: a page of the gateway's own opens WebSockets, which are guarded,
# and reads what becomes of a WebSocket as events.  The service is npm's "ws".

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

my ($chromium) = grep { -x } map { ("$_/chromium-headless-shell",
                                    "$_/chromium") } File::Spec->path;

if (!$chromium) {
    plan skip_all => 'there is no chromium-headless-shell: "make deps" '
                     . 'could not install it';
}

$ENV{NODE_PATH} = join ':', "$E2E::ROOT/build/node_modules",
                            grep { length } $ENV{NODE_PATH} // '';

if (!-d "$E2E::ROOT/build/node_modules/ws") {
    plan skip_all => 'the npm package "ws" is not installed: "make deps" '
                     . 'could not reach the npm registry';
}

my $service = E2EPeer->start('node', "$FindBin::Bin/websocket_ws.cjs",
                             certificate());
my $browser = E2EPeer->start('node', "$FindBin::Bin/websocket_chromium.cjs",
                             $chromium, E2E::dir() . '/profile');

note($browser->hello()->{product});

my ($nginx, %where) = start($service, server => <<"_EOC_");
    location = /page {
        alias $FindBin::Bin/websocket_page.html;
        default_type text/html;
    }
_EOC_

for my $origin ("http://127.0.0.1:$where{port}",
                "https://127.0.0.1:$where{tls}")
{
    $browser->run({ url => "$origin/page", call => 'sockets()' });
    $browser->run({ call => 'events()' });

    $browser->run({ call => 'stay()' });
    ok($nginx->reload(), 'a reload');
    $browser->run({ call => 'stayed()' });

    # a page that is left leaves with 1001

    $service->ask({ ask => 'forget' });
    $browser->run({ call => 'stay()' });
    $browser->run({ url => 'about:blank' });

    my $seen;

    E2E::wait_for(5, sub {
        $seen = $service->ask({ ask => 'service' })->{answer};
        return ($seen->{codes}{1001} // 0) == 2;
    });

    is($seen->{codes}{1001}, 2, 'a page that is left: the service is told')
        or diag(explain($seen));
}

$browser->stop();
$service->stop();
$nginx->stop();
$nginx->clean_log('nothing wrong in the log');

done_testing();
