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

    $small->finish();
}


# What nginx -t says

{
    my $nginx = NgxGatewayNginx->new();

    $nginx->{port} = 1;
    $ENV{ASAN_OPTIONS} = join ':', grep { length }
                                         $ENV{ASAN_OPTIONS} // '',
                                         'detect_leaks=0';

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
          . '"zone=NAME"' ],
        [ 'gateway_websocket_zone a:1m;', 'gateway_websocket_push zone=;',
          'empty name of a zone in "gateway_websocket_push"' ],
        [ 'gateway_websocket_zone a:1m;',
          'gateway_websocket_push zone=a; gateway_websocket_push zone=a;',
          '"gateway_websocket_push" directive is duplicate' ],
        [ 'gateway_websocket_zone a:1m; limit_req_zone $uri zone=b:1m '
          . 'rate=1r/s;', 'gateway_websocket_push zone=b;',
          qr/the shared memory zone "b" is already declared for a different/ ])
    {
        my ($http, $location, $want) = @$row;

        $nginx->{http} = $http;
        $nginx->{server} = "location /p { $location }";
        $nginx->write_config();

        my $command = "$nginx->{binary} -t -p $nginx->{dir}/ -c nginx.conf "
                      . '-e stderr 2>&1';
        my $said = `$command`;
        my ($line) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;

        $line =~ s/ in \S+:\d+\z// if defined $line;

        ref $want ? like($line, $want, "$http $location")
                  : is($line, $want, "$http $location");
    }
}

done_testing();
