
# What clients do: leave early, ask again on the same connection, pipeline, ask
# with HTTP/1.0, HTTP/2, HEAD.

use strict;
use warnings;

use lib 't/lib';
use E2EClient;
use IO::Socket::INET;
use NgxGatewayBackend;
use NgxGatewayHTTP2;
use NgxGatewayNginx;
use Time::HiRes qw( time sleep );

use Test::More;

my $large = '["' . 'x' x 300_000 . '"]';

my %answers = (
    '/good' => json('{"id":1}'),
    '/late' => [ [ sleep => 0.05 ], json('{"id":2}') ],
    '/half' => [ json('[1,', 100), [ 'hang' ] ],
    '/error' => answer(500, '', 'Content-Length' => 0),
    '/reset' => [ [ 'reset' ] ],
    '/short' => [ json('[1,', 100), [ 'close' ] ],
    '/large' => json($large),
);

$answers{$_} = [ [ 'hang' ] ] for map { "/hang$_" } 1 .. 20;

my $backend = NgxGatewayBackend->new(%answers);
my $port = $backend->port();

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    proxy_cache_path %DIR%/cache keys_zone=cache:1m;

    upstream backend {
        server 127.0.0.1:$port;
        keepalive 8;
    }
_EOC_
    server => <<"_EOC_",
        keepalive_requests 100000;
        gateway_aggregate_timeout 20s;

        location = /status {
            stub_status;
        }

        location = /next {
            return 200 "next";
        }

        location = /good {
            gateway_aggregate {
                part a /_b/good;
                part b /_b/late;
            }
        }

        location = /large {
            gateway_aggregate {
                part a /_b/large;
                part b /_b/good;
            }
        }

        location = /optional {
            gateway_aggregate {
                part a /_b/good;
                part b /_b/error optional;
                part c /_b/reset optional;
                part d /_b/short optional;
            }
        }

        location = /failed {
            gateway_aggregate {
                part a /_b/error;
                part b /_b/reset;
                part c /_b/good;
            }
        }

        location = /timeout {
            gateway_aggregate_timeout 60ms;
            gateway_aggregate {
                part a /_b/hang20;
                part b /_b/half;
                part c /_b/good;
            }
        }

        location = /leave1 {
            gateway_aggregate {
                part a /_b/hang1;
                part b /_b/good;
                part c /_b/hang2;
                part d /_b/half;
                part e /_b/hang3?<a/id>;
            }
        }

        location = /leave2 {
            gateway_aggregate {
                part a /_inner;
                part b /_locked/hang5 optional;
                part c /_locked/hang5;
            }
        }

        location = /_inner {
            internal;
            gateway_aggregate {
                part deep /_b/hang4;
                part good /_b/good;
            }
        }

        location = /leave3 {
            gateway_aggregate {
                part a /_b/hang6;
                part b /_b/hang7;
            }
        }

        location = /leave4 {
            gateway_aggregate_methods POST;
            gateway_aggregate {
                part a /_b/hang8 body=request method=POST;
                part b /_b/hang9;
            }
        }

        location /_locked/ {
            internal;
            proxy_cache cache;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 2s;
            proxy_pass http://backend/;
        }

        location /_b/ {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
            proxy_pass http://backend/;
        }
_EOC_
);

$nginx->start();

my $good = '{"a":{"id":1},"b":{"id":2}}';

sub active {
    my ($nginx) = @_;

    my ($n) = ($nginx->get('/status') // { body => '' })->{body}
              =~ /^Active connections: (\d+) $/m;

    return $n // '?';
}

sub settles {
    my ($nginx, $name) = @_;

    my $end = time + 10;

    sleep 0.05 while active($nginx) ne '1' && time < $end;
    is(active($nginx), 1, $name);
}

# the client leaves

sub leave {
    my ($uri, $text, $way, @hang) = @_;

    my $client = E2EClient->new($nginx->port());
    my %before = map { $_ => scalar $backend->seen("/$_") } @hang;
    my $asked = sub { $backend->seen("/$_[0]") > $before{$_[0]} };
    my $end = time + 10;

    $client->send($text);
    sleep 0.01 while grep({ !$asked->($_) } @hang) && time < $end;

    # a while, so that all parts wait

    sleep 0.05;

    if ($way eq 'reset') {
        setsockopt $client->{socket}, Socket::SOL_SOCKET(),
                   Socket::SO_LINGER(), pack 'II', 1, 0;
    }

    close $client->{socket};

    for my $path (@hang) {
        ok($asked->($path), "$uri, $way: $path was asked");
        ok($backend->left("/$path", 5), "$uri, $way: $path was given up");
    }

    settles($nginx, "$uri, $way: no connection is left");
}

for my $way (qw( close reset )) {
    leave('leave1', "GET /leave1 HTTP/1.1\r\nHost: a\r\n\r\n", $way,
          qw( hang1 hang2 half ));
    leave('leave2', "GET /leave2 HTTP/1.1\r\nHost: a\r\n\r\n", $way,
          qw( hang4 ));
    leave('leave3', "GET /leave3 HTTP/1.0\r\n\r\n", $way,
          qw( hang6 hang7 ));
    leave('leave4', "POST /leave4 HTTP/1.1\r\nHost: a\r\n"
                    . "Content-Length: 3\r\n\r\n[1]", $way,
          qw( hang8 hang9 ));
}

is(scalar $backend->seen('/hang3'), 0, 'what has to wait was not asked');

# while the answer is sent

for my $i (1 .. 5) {
    my $client = E2EClient->new($nginx->port());

    $client->send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    sleep 0.02 * $i;
    close $client->{socket};
}

settles($nginx, 'clients that leave while a large answer comes');

# one connection

{
    my $client = E2EClient->new($nginx->port());
    my $seen = '';

    for my $i (1 .. 50) {
        for my $uri (qw( good optional failed next )) {
            my $answer = eval { $client->ask('GET', "/$uri") } // {};
            my $body = $answer->{body} // '';

            $seen .= "$uri $i: $@" if !$answer->{status};
            $seen .= "$uri $i: $body\n"
                if $uri eq 'good' && $body ne $good
                   || $uri eq 'optional' && $body ne '{"a":{"id":1}}'
                   || $uri eq 'next' && $body ne 'next'
                   || $uri eq 'failed'
                      && $body !~ /"parts":\[\{"name":"a","status":500.*"b"/;
        }
    }

    is($seen, '', 'many answers on one connection');

    my $head = $client->ask('HEAD', '/good');

    is("$head->{status} $head->{headers}{'content-length'}",
       '200 ' . length $good, 'HEAD: the length that GET has');

    $head = $client->ask('HEAD', '/failed');

    is($head->{status}, 502, 'HEAD: a failure');

    $head = $client->ask('HEAD', '/timeout');

    is($head->{status}, 504, 'HEAD: a timeout');
    is($client->ask('GET', '/next')->{body}, 'next', 'HEAD: then another');
}

# pipelined

{
    my $client = E2EClient->new($nginx->port());
    my @uris = (qw( good failed timeout next optional good timeout good )) x 3;

    $client->send(join '', map { E2EClient::request('GET', "/$_") } @uris);

    my $got = join ' ', map {
        my $answer = eval { $client->answer('GET') } // { status => "- $@" };

        $answer->{status}
    } @uris;

    is($got, join(' ', ('200 502 504 200 200 200 504 200') x 3),
       'pipelined requests');

    $client->send(join '', map { E2EClient::request($_, '/good') }
                           qw( GET HEAD GET ));

    is($client->answer('GET')->{body}, $good, 'pipelined: GET');
    is($client->answer('HEAD')->{headers}{'content-length'}, length $good,
       'pipelined: HEAD');
    is($client->answer('GET')->{body}, $good, 'pipelined: GET again');
}

# HTTP/1.0

{
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $nginx->port());

    print $socket "GET /good HTTP/1.0\r\n\r\n";
    $socket->flush();
    local $/;

    my $text = <$socket>;

    like($text, qr{\AHTTP/1\.1\ 200\ .*\r\nContent-Length:\ 27\r\n.*
                   \r\n\r\n\Q$good\E\z}xs, 'HTTP/1.0');
}

# a client that sends its request and no more: a half-closed connection

{
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $nginx->port());

    print $socket "GET /leave3 HTTP/1.1\r\nHost: a\r\n\r\n";
    $socket->flush();
    shutdown $socket, 1;
    sleep 0.2;
    close $socket;
    settles($nginx, 'a half-closed connection');
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing wrong in the log');
$nginx->stop();

# HTTP/2

$nginx->{http2} = 1;
$nginx->{server} .= "http2_max_concurrent_streams 200;\n";
$nginx->start();

sub codes {
    my (@answers) = @_;

    my %codes;

    $codes{ $_->{code} }++ for @answers;

    return join ', ', map { "$_: $codes{$_}" } sort keys %codes;
}

{
    my $client = NgxGatewayHTTP2->new($nginx->port());
    my @uris = (qw( good optional failed timeout next )) x 12;
    my @answers = $client->answers($client->send(
        map { [ GET => "/$_" ] } @uris));

    is(codes(@answers), '200: 36, 502: 12, 504: 12', '60 streams');

    my $wrong = '';

    for my $i (0 .. $#uris) {
        my $body = $answers[$i]{body};

        $wrong .= "$uris[$i]: $body\n"
            if $uris[$i] eq 'good' && $body ne $good
               || $uris[$i] eq 'optional' && $body ne '{"a":{"id":1}}'
               || $uris[$i] eq 'failed' && $body !~ /"parts":\[\{"name":"a"/
               || $uris[$i] eq 'timeout' && $body !~ /timed out/
               || $uris[$i] eq 'next' && $body ne 'next';
    }

    is($wrong, '', '60 streams: their bodies');

    my @streams = $client->send(([ GET => '/leave1' ]) x 10,
                                ([ GET => '/leave2' ]) x 10,
                                [ GET => '/leave4' ],
                                [ POST => '/leave4', '' => '[1]' ],
                                ([ GET => '/timeout' ]) x 5,
                                ([ GET => '/good' ]) x 5);

    sleep 0.02;
    $client->reset(splice @streams, 0, 20);
    shift @streams;
    $client->reset(splice @streams, 0, 1);

    is(codes($client->answers(@streams)), '200: 5, 504: 5',
       'streams that go on while others are reset');
    ok($backend->left("/$_", 3), "$_ was given up")
        for qw( hang1 hang2 half );

    # the reset ones again, now when each has gone on for a while

    @streams = $client->send(map { [ GET => "/leave$_" ] } 1, 2, 3);
    sleep 0.2;
    $client->reset(@streams);
    ok($backend->left("/$_", 3), "$_ was given up") for qw( hang6 hang7 );

    is(codes($client->answers($client->send(([ GET => '/good' ]) x 3))),
       '200: 3', 'the connection goes on');

    # the whole connection ends

    $client->send(map { [ GET => "/leave$_" ] } (1, 2, 3) x 5);
    sleep 0.1;
    $client->close();
    ok($backend->left("/$_", 3), "$_ was given up with the connection")
        for qw( hang1 hang2 half hang4 hang6 hang7 );
}

{
    my $client = NgxGatewayHTTP2->new($nginx->port());
    my $end = time + 5;
    my $body = '';

    while (time < $end) {
        ($body) = map { $_->{body} }
                  $client->answers($client->send([ GET => '/status' ]));
        last if $body =~ /^Active connections: 1 $/m;
        sleep 0.1;
    }

    like($body, qr/^Active connections: 1 $/m, 'no connection is left');
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing wrong in the log');

done_testing();
