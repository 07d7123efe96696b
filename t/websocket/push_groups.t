#!/usr/bin/perl

# Groups that are larger than what is pushed to in a row, of some workers and of
# one, and whose members go meanwhile.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayPush;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

my $gate = NgxGatewayPush->new(
    workers => 4, connections => 512,
    serve => 'gateway_websocket_max_queue 20;',
);

my @pids = sort keys %{ $gate->spread(4, 'all') };
my $here = $pids[0];


# A large group

{
    my @ws = map { $gate->join('large') } 1 .. 900;
    my ($reached, @took);

    for my $from (@pids) {
        my $start = time;

        $reached = $gate->says($gate->push_from($from,
                                                POST => '/push/groups/large',
                                                "large $from"));
        push(@took, time - $start);
        is($reached, '200 {"reached":900}', 'a large group');
    }

    my $wrong = 0;

    for my $ws (@ws) {
        for my $from (@pids) {
            $wrong++ if ($ws->read_text() // '') ne "large $from";
        }
    }

    is($wrong, 0, 'every member has all, in order');
    note(sprintf 'seconds: %.4f %.4f %.4f %.4f', @took);

    $_->abort() for @ws[0 .. 449];
    is($gate->push_from($here, POST => '/push/groups/large', 'z')->{code}, 200,
       'half of it goes');
    ok($gate->members('large', 450), 'and is missed by nobody');
}

$gate->finish();


# More members in one worker than are pushed to in a row

{
    my $one = NgxGatewayPush->new(workers => 1, connections => 4096,
        serve => 'gateway_websocket_max_queue 20;');
    my @ws = map { $one->join('crowd') } 1 .. 1300;
    my @c = map { $one->connection() } 1 .. 3;

    $c[$_]->send(POST => '/push/groups/crowd', "crowd $_") for 0 .. 2;
    close $c[1]{socket};

    is($one->says($c[$_]->answer()), '200 {"reached":1300}', 'a crowd')
        for 0, 2;

    my %got;

    for my $ws (@ws) {
        my $text = join(',', map { $ws->read_text() // 'none' } 0 .. 2);

        $got{$text}++;
    }

    is(join(' ', map { "$_ $got{$_}" } sort keys %got),
       'crowd 0,crowd 1,crowd 2 1300', 'each member has each, in order');

    my $c = $one->connection();

    $c->send(DELETE => '/push/groups/crowd');
    $ws[$_]->abort() for 600 .. 700;
    like($one->says($c->answer()), qr/\A200 \{"reached":1[123]\d\d\}/,
         'closed while some go');
    is($one->closes($ws[0]), '1000', 'the first');
    is($one->closes($ws[1299]), '1000', 'the last');
    ok($one->members('crowd', 0), 'none is left');

    undef @ws;
    $one->finish();
}


done_testing();
