#!/usr/bin/perl

# conf.example/migration.conf when a service fails, hangs, or is killed and
# comes back: reads are the monolith's then, writes are nobody else's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EMigration;
use NgxGatewayBackend;
use Test::More;

failures();
trips();
killed();

done_testing();


# Reads that the service does not answer are the monolith's; writes are not.

sub failures {
    my %fails = (
        (map { ($_ => answer($_, 'no', 'Content-Length' => 2)) }
         500, 502, 503, 504),
        garbage => [ "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", [ 'close' ] ],
        close   => [[ 'close' ]],
        reset   => [[ 'reset' ]],
        hang    => [[ 'hang' ]],
    );

    my $old = service('monolith');
    my $new = service('catalog',
                      '/catalog/404' => answer(404, '', 'Content-Length' => 0),
                      '/catalog/long' => answer(200, '{"from":"catalog"}',
                                                'Content-Length' => 18,
                                                'X-Long' => 'x' x 15_000),
                      '/catalog/broken' => [ json('{"from":', 50),
                                             [ sleep => 0.1 ], [ 'close' ] ],
                      map { ("/catalog/$_" => $fails{$_}) } keys %fails);

    my $g = start(percent => { catalog => 100, 'catalog-writes' => 100 },
                  ports => { 8145 => $old->port, 8146 => $new->port },
                  edit => sub {
                      s/proxy_read_timeout +\K10s/900ms/;
                      s/max_fails=3/max_fails=0/;
                  });

    is(letter($g->ask(8140, 'GET', '/catalog/good')), 'c', 'the service');
    is(letter($g->ask(8140, 'GET', '/catalog/long')), 'c', 'a long header');
    is($g->ask(8140, 'GET', '/catalog/404')->{status}, 404, 'its 404 is one');
    is(methods($old, '/catalog/404'), '', 'nobody else is asked');

    for my $fail (sort keys %fails) {
        my $path = "/catalog/$fail";

        is(letter($g->ask(8140, 'GET', $path)), 'm',
           "$fail: a read is the monolith's");

        my $entry = entry($g, uri => $path, method => 'GET');
        my $status = $fail =~ /^\d/ ? $fail : $fail eq 'hang' ? 504 : 502;

        is("$entry->{service} $entry->{split} $entry->{upstream} "
           . $entry->{upstream_status},
           'catalog sticky 127.0.0.1:' . $g->port(8146) . ', 127.0.0.1:'
           . $g->port(8145) . " $status, 200",
           "$fail: the log says who has failed and who has answered");

        for my $method (qw( POST PUT PATCH DELETE )) {
            is($g->ask(8140, $method, $path, 'x')->{status}, $status,
               "$fail: $method is not repeated");
        }

        is($g->ask(8140, 'GET', $path, 'X-Canary' => 'new')->{status}, $status,
           "$fail: a canary sees what it is");

        is(methods($new, $path), 'GET POST PUT PATCH DELETE GET',
           "$fail: the service has had each once");
        is(methods($old, $path), 'GET', "$fail: the monolith the read");
    }

    is($g->ask(8140, 'HEAD', '/catalog/500')->{status}, 200, 'HEAD is a read');

    ok(!eval { client($g)->ask('GET', '/catalog/broken') },
       'what has begun and breaks off is broken');
    is(methods($old, '/catalog/broken'), '', 'and not begun again');

    # Writes on connections that might be closing: there are none that were
    # kept.

    for my $method (qw( POST PUT PATCH DELETE )) {
        is(letter($g->ask(8140, $method, '/catalog/good', 'x')), 'c', $method);
        $g->ask(8140, $method, '/catalog/close', 'x');
    }

    is(methods($new, '/catalog/close'), 'GET POST PUT PATCH DELETE GET'
       . ' POST PUT PATCH DELETE', 'each is seen once');
    unlike(join('', heads($old, '/catalog/good')), qr/./,
           'and the monolith has seen none of them');

    $new->stop;
    $g->stop;
    $g->clean_log('failures: the log is clean');
}


# After three failures the service is left alone for a while.

sub trips {
    my $new = service('catalog', '/catalog/500' =>
                      answer(500, '', 'Content-Length' => 0));

    my $g = start(percent => { catalog => 100 },
                  ports => { 8146 => $new->port }, edit => sub {
                      s/fail_timeout=10s/fail_timeout=3s/g;
                  });

    my $client = client($g);

    is(join('', map { letter($client->ask('GET', '/catalog/500')) } 1 .. 20),
       'm' x 20, 'the monolith answers in place of the service');
    is(scalar(my @seen = $new->seen('/catalog/500')), 3,
       'which is asked three times');
    is(letter($client->ask('GET', '/catalog/good')), 'm',
       'and then not at all');

    is(entry($g, uri => '/catalog/good')->{upstream},
       '127.0.0.1:' . $g->port(8145), 'which the log shows');

    ok(E2E::wait_for(10, sub {
        letter(client($g)->ask('GET', '/catalog/good')) eq 'c'
    }), 'until it has had time');

    $g->stop;
    $g->clean_log('three failures: the log is clean');
}


# A service that is killed, and comes back, under reads and writes.

sub killed {
    my $port = E2E::free_port();
    my $new = service('catalog', port => $port);
    my $old = service('monolith');

    my $g = start(percent => { catalog => 100, 'catalog-writes' => 100 },
                  ports => { 8145 => $old->port, 8146 => $port },
                  edit => sub { s/fail_timeout=10s/fail_timeout=1s/g });

    my $client = client($g);
    my ($reads, $writes) = ('', '');

    for my $n (1 .. 60) {
        $new->stop if $n == 21;

        $new = service('catalog', port => $port) if $n == 41;

        $reads .= letter($client->ask('GET', '/catalog/good'));
        $writes .= letter($client->ask('POST', '/catalog/body', 'x'));
    }

    like($reads, qr/^c{20}m{20,}c*$/, 'reads all have an answer');
    is($writes, 'c' x 20 . '!' x 20 . 'c' x 20, 'writes when it is there');
    is(methods($old, '/catalog/body'), '', 'and are nobody else\'s');
    is(scalar(my @seen = $new->seen('/catalog/body')), 20, 'nor come later');

    ok(E2E::wait_for(5, sub {
        letter($client->ask('GET', '/catalog/good')) eq 'c'
    }), 'reads are back as well');

    $g->stop;
    $g->clean_log('killed: the log is clean');
}
