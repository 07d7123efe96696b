#!/usr/bin/perl

# The memory that workers share: what it may be, and what happens when it is
# full.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayPush;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

# No room

{
    my $small = NgxGatewayPush->new(workers => 2, zone => '32k',
        serve => 'gateway_websocket_disconnect /service/gone?$args;');
    my (@ws, $refused);

    for (1 .. 240) {
        my $ws = $small->try("/client?n=f$_&only=connect&groups=full");

        if ($ws->status() != 101) {
            $refused = $ws;
            last;
        }

        push(@ws, $ws);
    }

    ok(@ws > 10, 'a small zone has room for ' . @ws);
    is($refused && $refused->status(), 503, 'then there is none');
    like($small->nginx()->error_log(),
         qr/\[error\] .*gateway_websocket_zone "clients" is full/, 'logged');

    is($small->says($small->push(POST => '/push/groups/full', 'reach')),
       '200 {"reached":' . @ws . '}', 'those that are there are reached');
    is(join(' ', grep { ($_->read_text() // '') ne 'reach' } @ws), '',
       'all of them');

    undef @ws;
    ok($small->members('full', 0), 'when they have gone');

    my $ws = $small->join('full');

    is($small->says($small->push(POST => "/push/$ws->{id}", 'room')),
       '200 {"reached":1}', 'there is room again');
    is($ws->read_text(), 'room', 'for others');

    undef $ws;
    $small->finish();
}


# Reloads: a zone stays as long as its size does; zones of others do not matter

{
    my $other = NgxGatewayPush->new(
        http => '    gateway_websocket_zone second:32k;',
        server => <<'_EOC_',
        location /second/ {
            gateway_websocket_push zone=second;
        }

        location = /two {
            gateway_websocket_serve /service/two?$args zone=second;
            gateway_websocket_connect /service/two?$args;
        }
_EOC_
    );

    # a worker that is to end closes them one after the other

    my @first = map { $other->join('') } 1 .. 20;
    my $one = $other->join('g');
    my $two = $other->open('/two?only=connect&groups=g');
    my $id = $other->service()->last('/two')->{cid};

    is($other->says($other->push(POST => '/push/groups/g', 'one')),
       '200 {"reached":1}', 'a zone');
    is($other->says($other->push(POST => '/second/groups/g', 'two')),
       '200 {"reached":1}', 'another, with its own groups');
    is($one->read_text(), 'one', 'the first');
    is($two->read_text(), 'two', 'the second');
    is($other->push(POST => "/push/$id", 'x')->{code}, 410, 'and its own ids');
    is($other->says($other->push(POST => "/second/$id", 'x')),
       '200 {"reached":1}', 'which are there');
    is($two->read_text(), 'x', 'only');

    my $http = $other->{nginx}{http};

    ok($other->reload(http => $http =~ s/clients:1m/clients:2m/r),
       'a reload, with another size');
    is($other->says($other->push(POST => '/push/groups/g', 'x')),
       '200 {"reached":0}', 'is a new zone');
    is($other->push(POST => "/push/$one->{id}", 'x')->{code}, 410,
       'without those of before');
    is($other->says($other->push(POST => "/second/$id", 'y')),
       '200 {"reached":1}', 'other zones stay');
    is($two->read_text(), 'y', 'as they are');

    my $new = $other->join('g');

    is($other->says($other->push(POST => '/push/groups/g', 'new')),
       '200 {"reached":1}', 'the new zone works');
    is($new->read_text(), 'new', 'for new connections');

    $one->send_text('!body=still&groups=h');
    is($one->read_text(), 'still', 'the old ones go on');

    undef @first;
    undef $one;
    undef $two;
    undef $new;
    $other->finish();
}


# What nginx -t says

{
    my $nginx = NgxGatewayNginx->new();

    for my $row (
        [ 'gateway_websocket_zone a:1m;', '', undef ],
        [ 'gateway_websocket_zone a:32k; gateway_websocket_zone b:1m;',
          'gateway_websocket_push zone=b;', undef ],
        [ '', 'gateway_websocket_push zone=a;',
          'there is no gateway_websocket_zone "a"' ],
        [ 'gateway_websocket_zone a:1m; gateway_websocket_zone a:1m;', '',
          'duplicate "gateway_websocket_zone" "a"' ],
        [ 'gateway_websocket_zone a:1m; gateway_websocket_zone a:2m;', '',
          qr/the size 2097152 of shared memory zone "a" conflicts/ ],
        [ 'gateway_websocket_zone a:16k;', '',
          'invalid parameter "a:16k" in "gateway_websocket_zone", the size '
          . 'must be at least 8 pages of memory (32k)' ],
        [ 'gateway_websocket_zone a:x;', '',
          'invalid parameter "a:x" in "gateway_websocket_zone", the size '
          . 'must be at least 8 pages of memory (32k)' ],
        [ 'gateway_websocket_zone a;', '',
          'invalid parameter "a" in "gateway_websocket_zone", it must be '
          . '"NAME:SIZE"' ],
        [ 'gateway_websocket_zone :1m;', '',
          'invalid parameter ":1m" in "gateway_websocket_zone", it must be '
          . '"NAME:SIZE"' ],
        [ 'gateway_websocket_zone a:1m;', 'gateway_websocket_push a;',
          'invalid parameter "a" in "gateway_websocket_push", it must be '
          . '"zone=NAME", "type=text" or "type=binary", each once' ],
        [ 'gateway_websocket_zone a:1m;', 'gateway_websocket_push zone=;',
          'empty name of a zone in "gateway_websocket_push"' ],
        [ 'gateway_websocket_zone a:1m;',
          'gateway_websocket_push zone=a; gateway_websocket_push zone=a;',
          '"gateway_websocket_push" directive is duplicate' ],
        [ 'gateway_websocket_zone a:1m;', 'gateway_websocket_push type=text;',
          'no "zone=NAME" in "gateway_websocket_push"' ],
        [ 'gateway_websocket_zone a:1m; limit_req_zone $uri zone=b:1m '
          . 'rate=1r/s;', 'gateway_websocket_push zone=b;',
          qr/the shared memory zone "b" is already declared for a different/ ])
    {
        my ($http, $location, $want) = @$row;

        $nginx->{http} = $http;
        $nginx->{server} = "location /p { $location }";

        my $said = $nginx->test();
        my ($line) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;

        $line =~ s/ in \S+:\d+\z// if defined $line;

        ref $want ? like($line, $want, "$http $location")
                  : is($line, $want, "$http $location");
    }
}

done_testing();
