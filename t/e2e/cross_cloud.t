#!/usr/bin/perl

# conf.example/cross-cloud.conf: both gateways in one nginx, as the file is, and
# each in one of its own; what its comment says, with services that are killed,
# hang and fail.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2ECrossCloud qw( is_problem logged token );
use E2EExample;
use JSON::PP ();
use NgxGatewayBackend;
use NgxGatewayJWT qw( jwt );
use POSIX ();
use Test::More;
use Time::HiRes qw( sleep time );

E2E::need('curl', 'curl');

my $east = { https => 'api.east.example.com' };
my $west = { https => 'api.west.example.com' };

my %services = (
    catalog => [ 8122, 'east' ],
    orders_east => [ 8123, 'east' ],
    orders_west => [ 8132, 'west' ],
    invoices => [ 8133, 'west' ],
);

# A trace that a client has begun

my $id = '0af7651916cd43dd8448eb211c80319c';
my $parent = "00-$id-b7ad6b7169203331-01";

my (%service, $gateway);


# As it is: the stand-in services say what they were told.

{
    $gateway = start();

    like(E2E::slurp("$E2E::ROOT/conf.example/cross-cloud.conf"),
         qr/^\#\ +nginx\ -p\ "\$PWD\/build\/"
            \ -c\ "\$PWD\/conf\.example\/cross-cloud\.conf"$/mx,
         'the file says how it is started');

    my @told = (
        # asked, for what; who answers, and through which gateways
        [ 'east', 'catalog', 'east', [ 'east' ] ],
        [ 'east', 'orders', 'east', [ 'east' ] ],
        [ 'east', 'invoices', 'west', [ 'east', 'west' ] ],
        [ 'west', 'catalog', 'east', [ 'west', 'east' ] ],
        [ 'west', 'orders', 'west', [ 'west' ] ],
        [ 'west', 'invoices', 'west', [ 'west' ] ],
    );

    for my $told (@told) {
        my ($cloud, $service, $by, $via) = @$told;

        for my $issuer ('east', 'west') {
            my $answer = ask($cloud, 'GET', "/$service/1", token($issuer),
                             traceparent => $parent);

            is($answer->{status}, 200, "$service, asked for in the $cloud");
            is_deeply(JSON::PP::decode_json($answer->{body}), {
                service => $service, cloud => $by, user => 'alice',
                issuer => $issuer, client => '127.0.0.1',
                from => @$via > 1 ? "gateway.$cloud.example.com" : '',
                via => join(', ', map { "1.1 gateway.$_.example.com" } @$via),
                traceparent => $parent,
            }, "... with a token of the $issuer") or diag($answer->{body});
        }
    }

    # What the table says no to, before tokens are looked at

    for my $cloud ('east', 'west') {
        is(ask($cloud, 'GET', '/nothing/', token('east'))->{status}, 404,
           "$cloud: what is nowhere");

        my $answer = ask($cloud, 'POST', '/catalog/1', token('east'));

        is($answer->{status}, 405, "$cloud: a method that there is not");
        is($answer->{headers}{allow}, 'GET, HEAD', '... and which there are');

        is(ask($cloud, 'OPTIONS', '/catalog/1')->{status}, 204,
           "$cloud: or to ask for them");
        is(ask($cloud, 'GET', '/health')->{body}, "ok\n",
           "$cloud: it is well");
    }

    # What nginx cannot read gets nginx's answer.

    is(ask('east', 'GET', '/orders/1', Host => 'a b')->{status}, 400,
       'a request that is none');

    # Tokens: each issuer signs for itself.

    for my $cloud ('east', 'west') {
        for my $service ('catalog', 'orders', 'invoices') {
            my $answer = ask($cloud, 'GET', "/$service/1");

            is($answer->{status}, 401, "$cloud: $service without a token");
            is($answer->{headers}{'content-type'}, 'application/problem+json',
               '... is a problem');
        }

        my $other = jwt({ iss => 'https://id.east.example.com' },
                        key => 'p256');

        is(ask($cloud, 'GET', '/orders/1',
               Authorization => "Bearer $other")->{status}, 401,
           "$cloud: the west's key does not sign for the east");
    }

    # An address may ask so often.  All requests are of one curl.

    my $port = $gateway->port(8120);
    my @statuses = split ' ', E2E::output(
        'curl', '--silent', '--noproxy', '*', '--max-time', 20,
        '--cacert', $gateway->tls('ca.crt'), '--output', '/dev/null',
        '--write-out', '%{http_code} ', '--interface', '127.0.0.5',
        '--resolve', "api.east.example.com:$port:127.0.0.1",
        "https://api.east.example.com:$port/orders/[1-400]");

    is(scalar(grep { $_ == 401 || $_ == 429 } @statuses), 400,
       'many requests, each with an answer');
    cmp_ok(scalar(grep { $_ == 401 } @statuses[0 .. 99]), '==', 100,
           'a hundred at once are looked at');
    cmp_ok(scalar(grep { $_ == 429 } @statuses), '>', 0, 'not all of more');

    finish('as it is');
}


# Services that are killed, fail and hang, and count what they are asked.

{
    my %answers = map { $_ => [
        map { ("/$_/1" => json(qq({"service":"$_"}))) } 'catalog', 'invoices'
    ] } keys %services;

    for my $name (keys %services) {
        my $cloud = $services{$name}[1];

        my %own = (
            "/catalog/1" => json('{"service":"catalog"}'),
            "/invoices/1" => json('{"service":"invoices"}'),
            map { ("/orders/$_" => json(qq({"cloud":"$cloud"}))) }
                qw( 1 reset hang 503 500 cut trace forged loop ),
        );

        # only the east's fails
        if ($cloud eq 'east') {
            $own{'/orders/reset'} = [ [ 'reset' ] ];
            $own{'/orders/hang'} = [ [ 'hang' ] ];
            $own{'/orders/500'} = answer(500, '', 'Content-Length' => 0);
            $own{'/orders/503'} = answer(503, '', 'Content-Length' => 0,
                                         'Retry-After' => 7);
            $own{'/orders/cut'} = [ json('{"cloud":"east"}', 100),
                                    [ sleep => 0.1 ], [ 'close' ] ];
            $own{'/catalog/503'} = $own{'/orders/503'};
            $own{'/catalog/reset'} = [ [ 'reset' ] ];
            $own{'/catalog/hang'} = [ [ 'hang' ] ];
        }

        # and here both
        $own{'/orders/both'} = answer(503, "$cloud is busy\n",
                                      'Content-Length' => 13);

        $service{$name} = NgxGatewayBackend->new(%own,
                                                 port => E2E::free_port());
        push @{ $services{$name} }, \%own;
    }

    $gateway = start(
        ports => { map { $services{$_}[0] => $service{$_}->port() }
                   keys %services },
        edit => sub { s/proxy_read_timeout +\K5s/1600ms/;
                      s/proxy_read_timeout +\K4s/1200ms/g });

    # What may be repeated is asked for in the west.

    for my $failure (qw( reset hang 503 )) {
        my @methods = $failure eq 'hang' ? qw( GET PUT )
                                         : qw( GET HEAD PUT DELETE OPTIONS );

        for my $method (@methods) {
            my @body = $method eq 'PUT' ? 'some text' : ();
            my $n = seen('orders_west', "/orders/$failure");
            my $answer = ask('east', $method, "/orders/$failure",
                             token('east'), @body);

            is($answer->{status}, 200, "$method, $failure: answered");
            is($answer->{body}, '{"cloud":"west"}', '... by the west')
                if $method ne 'HEAD';
            is(seen('orders_west', "/orders/$failure"), $n + 1,
               '... which was asked once');
        }

        is(seen('orders_east', "/orders/$failure"), scalar @methods,
           "$failure: and the east not again");
    }

    my ($put) = grep { $_->{head} =~ /^PUT/ }
                $service{orders_west}->seen('/orders/reset');

    like($put->{head}, qr/Content-Length: 9\b/, 'with its body');

    # What may not be is not, once it has been sent.

    for my $case ([ reset => 502 ], [ hang => 504 ], [ 503 => 503 ]) {
        my ($failure, $status) = @$case;

        for my $method (qw( POST PATCH )) {
            my $n = seen('orders_west', "/orders/$failure");
            my $own = seen('orders_east', "/orders/$failure");
            my $answer = ask('east', $method, "/orders/$failure",
                             token('east'), 'some text');

            is($answer->{status}, $status, "$method, $failure: $status");
            is_problem($answer);
            is(seen('orders_west', "/orders/$failure"), $n,
               '... and the west was not asked');
            is($answer->{headers}{'retry-after'}, $status == 503 ? 7 : undef,
               '... when to come back');
            is(seen('orders_east', "/orders/$failure"), $own + 1,
               '... and the east once');
        }
    }

    # What is no failure of the service's, or is half an answer already

    is(ask('east', 'GET', '/orders/500', token('east'))->{status}, 500,
       'an error of its own making is the answer');
    is(seen('orders_west', '/orders/500'), 0, '... and nobody else is asked');

    like(ask('east', 'GET', '/orders/cut', token('east'))->{body},
         qr/"east"/, 'half an answer');
    is(seen('orders_west', '/orders/cut'), 0, '... is not begun anew');

    # When both fail each is asked once, and that is the end.

    my $answer = ask('east', 'GET', '/orders/both', token('east'));

    is($answer->{status}, 503, 'both fail');
    is($answer->{body}, "west is busy\n", '... and the west had the last word');
    is(seen('orders_east', '/orders/both'), 1, '... the east asked once');
    is(seen('orders_west', '/orders/both'), 1, '... the west asked once');

    $answer = ask('west', 'GET', '/orders/both', token('east'));
    is($answer->{body}, "east is busy\n", 'the other way round');
    is(seen('orders_east', '/orders/both'), 2, '... the east asked once');
    is(seen('orders_west', '/orders/both'), 2, '... the west asked once');

    # What the west does not have

    $answer = ask('east', 'GET', '/catalog/503', token('east'));
    is($answer->{status}, 503, 'the catalog fails');
    is($answer->{headers}{'retry-after'}, 7, '... and comes back');
    is_problem($answer);
    is(seen('catalog', '/catalog/503'), 1, '... asked once');

    $answer = ask('west', 'GET', '/catalog/reset', token('east'));
    is($answer->{status}, 502, 'for the west, too');
    is_problem($answer);
    is(seen('catalog', '/catalog/reset'), 1, '... asked once');

    # Who asks waits longer than who is asked, and hears of it.

    is(ask('west', 'GET', '/catalog/hang', token('east'))->{status}, 504,
       'for the west it takes too long');
    is(join(' ', map { $_->{status} }
                 logged($gateway, 'east', uri => '/catalog/hang')),
       504, '... as the east says');

    # A service is killed: the other cloud answers, also what may not be
    # repeated, since nobody had it.

    $service{orders_east}->stop();

    for my $method (qw( GET POST )) {
        my @body = $method eq 'POST' ? 'some text' : ();
        my $n = seen('orders_west', '/orders/1');
        my $answer = ask('east', $method, '/orders/1', token('east'),
                         'X-Test' => $method, @body);

        is($answer->{status}, 200, "$method: the orders are killed");
        is($answer->{body}, '{"cloud":"west"}', '... and the west answers');
        is(seen('orders_west', '/orders/1'), $n + 1, '... once');
    }

    my ($post) = grep { $_->{head} =~ /^POST/ }
                 $service{orders_west}->seen('/orders/1');

    like($post->{head}, qr/Content-Length: 9\b/, 'and the body came along');
    like($post->{head}, qr/X-From-Gateway: gateway\.east\.example\.com/i,
         'and who asked');

    my ($entry) = grep { $_->{method} eq 'POST' }
                  logged($gateway, 'east', uri => '/orders/1');

    like($entry->{upstream},
         qr/^127\.0\.0\.1:@{[ $gateway->port(8123) ]}\ :
            \ 127\.0\.0\.1:@{[ $gateway->port(8131) ]}$/x,
         'the log has both');
    is($entry->{upstream_status}, '502 : 200', '... and what they said');

    my $kept = qr/^\ *\d+:\ \S+\ 0100007F:@{[ sprintf '%04X',
                                                $gateway->port(8131) ]}\ 01\ /mx;

    ok(E2E::wait_for(5, sub { E2E::slurp('/proc/net/tcp') =~ $kept }),
       'the connection to the west is kept open');

    is(ask('west', 'GET', '/orders/1', token('east'))->{body},
       '{"cloud":"west"}', 'in the west nothing has happened');

    $service{orders_east} = NgxGatewayBackend->new(
        %{ $services{orders_east}[2] }, port => $gateway->port(8123));

    is(ask('east', 'GET', '/orders/1', token('east'))->{body},
       '{"cloud":"east"}', 'it is back');

    # Killed in both clouds

    $service{$_}->stop() for 'orders_east', 'orders_west';

    for my $method (qw( GET POST )) {
        $answer = ask('east', $method, '/orders/1', token('east'));
        is($answer->{status}, 502, "$method: killed in both clouds");
        is_problem($answer);
    }

    $service{$_} = NgxGatewayBackend->new(
                       %{ $services{$_}[2] },
                       port => $gateway->port($services{$_}[0]))
        for 'orders_east', 'orders_west';
}


# What clients make up

{
    my @forged = ('X-From-Gateway' => 'gateway.west.example.com',
                  'X-User' => 'root', 'X-Issuer' => 'west',
                  'X-Forwarded-For' => '192.0.2.1',
                  'X-Forwarded-Proto' => 'gopher', 'X-Request-Id' => 'mine',
                  Via => '1.1 gateway.west.example.com',
                  'X-Client-Cert' => 'CN=gateway.west.example.com',
                  'X-HTTP-Method-Override' => 'POST',
                  'X-HTTP-Method' => 'POST', 'X-Method-Override' => 'POST');

    my $from = [ '--interface', '127.0.0.9' ];

    # to the own service
    ask({ %$east, curl => $from }, 'GET', '/orders/forged', token('east'),
        @forged);

    my ($head) = map { $_->{head} =~ s/\\n/\n/gr }
                 $service{orders_east}->seen('/orders/forged');

    unlike($head, qr/^X-From-Gateway:/mi, 'it does not come from a gateway');
    like($head, qr/^X-User: alice$/mi, 'the user is the token\'s');
    like($head, qr/^X-Issuer: east$/mi, 'and so is the issuer');
    like($head, qr/^X-Forwarded-For: 127\.0\.0\.9$/mi, 'the address is real');
    like($head, qr/^X-Forwarded-Proto: https$/mi, 'and so is the protocol');
    unlike($head, qr/^X-Request-Id: mine$/mi, 'and the id is the gateway\'s');
    unlike($head, qr/^Authorization:/mi, 'the token stays at the gateway');
    unlike($head, qr/^X-\S*Method/mi, 'a GET is not a POST');

    # and to the other cloud's

    ask({ %$east, curl => $from }, 'GET', '/invoices/1', token('east'),
        @forged[0 .. 9]);

    ($head) = map { $_->{head} =~ s/\\n/\n/gr }
              $service{invoices}->seen('/invoices/1');

    like($head, qr/^X-From-Gateway: gateway\.east\.example\.com$/mi,
         'over there it is known which gateway asks');
    like($head, qr/^X-User: alice$/mi, 'the user is the token\'s');
    like($head, qr/^X-Issuer: east$/mi, 'and so is the issuer');
    like($head, qr/^X-Forwarded-For: 127\.0\.0\.9$/mi,
         'and the client\'s address has come along');
    unlike($head, qr/^Authorization:/mi, 'the token stays at the gateway');

    my ($there) = logged($gateway, 'west', uri => '/invoices/1');

    is($there->{client}, '127.0.0.9', 'it is in the log of the west');
    is($there->{jwt}, 'ok', 'the token was checked there');
    is($there->{user}, 'alice', 'and whose it is');

    # A client that calls itself a gateway gets no further than any other.

    is(ask('east', 'GET', '/orders/1', @forged)->{status}, 401,
       'no token, no answer');

    # One that has a certificate is not asked for it where clients are.

    my $certificate = [ '--cert', $gateway->tls('client.example.com.crt'),
                        '--key', $gateway->tls('client.example.com.key') ];

    is(ask({ %$east, curl => $certificate }, 'GET', '/invoices/1',
           token('east'))->{status}, 200,
       'a certificate makes no difference to clients');
}


# Traces

{
    my @new = (
        undef,
        '00-' . uc($id) . '-b7ad6b7169203331-01',
        '00-00000000000000000000000000000000-b7ad6b7169203331-01',
        "00-$id-0000000000000000-01",
        "00-$id-b7ad6b7169203331",
        "00-$id-b7ad6b7169203331-01-x",
        "ff-$id-b7ad6b7169203331-01",
        "00-$id-b7ad6b7169203331-0g",
        'x',
    );

    my @seen = trace($parent, 'tracestate' => 'vendor=1');

    is($seen[0], $parent, 'a trace is continued');
    is($seen[1], 'vendor=1', '... with its state');
    is($seen[2], $id, '... and in the log of the east');
    is($seen[3], $id, '... and in that of the west');

    my %ids;

    for my $given (@new) {
        my $name = defined $given ? "\"$given\"" : 'none';

        @seen = trace($given, 'tracestate' => 'vendor=1');

        like($seen[0],
             qr/^00-(?!0+-)[0-9a-f]{32}-(?!0+-)[0-9a-f]{16}-01$/,
             "$name: a new trace");
        is($seen[1], '', '... without state');
        is($seen[2], substr($seen[0], 3, 32), '... in the log of the east');
        is($seen[3], $seen[2], '... and in that of the west');
        isnt($seen[2], $id, '... which is new');
        $ids{$seen[2]} = 1;
    }

    is(scalar keys %ids, scalar @new, 'each is another one');

    finish('with services that fail',
           qr/upstream timed out|Connection refused|reset by peer/);
}


# Loops end, whoever made them: tables that send to each other what comes from
# the other, and a service that asks the gateway again.

{
    $gateway = start(edit => sub {
        s/ +if=\$from_client//g;
        s{http://invoices\.west\.internal}{https://gateway.east.example.com};
        s{(listen +127\.0\.0\.1:8131 ssl;)}{$1
            proxy_ssl_certificate     ../build/tls/gateway.west.example.com.crt;
            proxy_ssl_certificate_key ../build/tls/gateway.west.example.com.key;
            proxy_ssl_name            gateway.east.example.com;};
        s{(listen\ +127\.0\.0\.1:8123;.*?location\ /\ \{\n).*?^(\ {4}\})}{$1
            proxy_set_header  Via  \$http_via;
            proxy_ssl_name    api.east.example.com;
            proxy_pass        https://127.0.0.1:8120;
            $2}smx if $_[0] =~ /services/;
    });

    my $answer = ask('east', 'GET', '/invoices/loop', token('east'));

    is($answer->{status}, 508, 'gateways that ask each other');
    is_problem($answer);

    my @lines;

    E2E::wait_for(5, sub {
        @lines = map { logged($gateway, $_, uri => '/invoices/loop') }
                 'east', 'west';
        return @lines == 3;
    });

    is(join(' ', sort map { "$_->{server} $_->{status}" } @lines),
       'api.east.example.com 508 gateway.east.example.com 508 '
       . 'gateway.west.example.com 508', 'it ends where it began');
    is(scalar(keys %{{ map { $_->{trace} => 1 } @lines }}), 1,
       'as the logs show');

    $answer = ask('east', 'GET', '/orders/loop', token('east'));

    is($answer->{status}, 508, 'a service that asks its gateway');
    ok(E2E::wait_for(5, sub {
           logged($gateway, 'east', uri => '/orders/loop', status => 508) == 2
       }), '... asks it once');

    finish('with loops');
}


# Private names by DNS, looked up again without a reload.  Without the groups
# that stand in for them, and with a port, since 80 is not everybody's.

SKIP: {
    my $asked = E2E::dir() . '/asked';
    my $at = E2E::free_port();
    my @on = (service_on($asked, '127.0.0.1', $at), undef);

    $on[1] = service_on($asked, '127.0.0.2', $at)
        or skip('127.0.0.2 is not this machine\'s', 1);

    my $dns = dns();

    $gateway = start(
        ports => { 8129 => $dns->{port} },
        edit => sub {
            s{http://orders\.east\.internal(?=;)}
             {http://orders.east.internal:$at};
            s{1 http://orders\.east\.internal}
             {1 http://orders.east.internal:$at};
            s/^upstream.*\n//mg;
            s/resolver_timeout +\K2s/1s/;
        });

    my $ask = sub { ask('east', $_[0] // 'GET', '/orders/1', token('east')) };

    $dns->{set}->('127.0.0.1');
    is($ask->()->{body}, '127.0.0.1', 'a name is looked up');

    $dns->{set}->('127.0.0.2');
    ok(E2E::wait_for(5, sub { $ask->()->{body} eq '127.0.0.2' }),
       'and again when its time is over');

    # Both fail after they were asked: the second is asked only for what may
    # be asked twice.

    $dns->{set}->('127.0.0.1', '127.0.0.2');

    for my $case ([ GET => 2 ], [ POST => 1 ], [ PUT => 2 ], [ PATCH => 1 ]) {
        my ($method, $times) = @$case;

        ok(E2E::wait_for(5, sub {
            E2E::spew($asked, '');
            ask('east', $method, '/orders/reset', token('east'));
            return $method =~ /^P[OA]/ || E2E::slurp($asked) =~ /\n.*\n/;
        }), "$method: two addresses");
        is(scalar(() = E2E::slurp($asked) =~ /^$method /mg), $times,
           "... $times of them asked");
    }

    # one of two is dead

    $dns->{set}->('127.0.0.1', '127.0.0.2');
    stop_service($on[1]);
    ok(E2E::wait_for(5, sub { $ask->()->{body} eq '127.0.0.1' }),
       'the name has two addresses');
    is(join(' ', map { $ask->('POST')->{status} } 1 .. 4), '200 200 200 200',
       'where one does not answer the other one does');

    # It has none: the west is asked, where there is none either.

    $dns->{set}->();
    ok(E2E::wait_for(5, sub { $ask->()->{status} == 502 }),
       'the name has no address any more');

    my ($last) = reverse logged($gateway, 'east', uri => '/orders/1',
                                status => 502);

    like($last->{upstream}, qr/127\.0\.0\.1:@{[ $gateway->port(8131) ]}$/,
         'so the west was asked');

    stop_service($on[0]);
    stop_service($dns);

    finish('with names of DNS', qr/could not be resolved|Connection refused
                                   |prematurely closed/x);
}


# Two configurations of it, as the guide says

{
    my @ports = (E2E::free_port(), E2E::free_port());
    my $tls = E2E::dir() . '/tls';
    my %halves;

    # one authority for both
    no warnings 'redefine';
    local *E2EExample::tls = sub { "$tls/$_[1]" };

    for my $cloud ('east', 'west') {
        my ($other) = grep { $_ ne $cloud } 'east', 'west';
        my $upper = uc $other;

        $halves{$cloud} = start(
            ports => { 8121 => $ports[0], 8131 => $ports[1] },
            edit => sub {
                s/^\ *\#+\ BEGIN\ $upper\ \#.*?END\ $upper\ \#+$//msx;
                s{\.\./build/tls}{$tls}g;
            });

        my $text = E2E::slurp("$halves{$cloud}{dir}/conf.example/"
                              . 'cross-cloud.conf');

        unlike($text, qr/^ +server_name +\S+\.$other\./m,
               "one file for the $cloud");
    }

    for my $cloud ('east', 'west') {
        $gateway = $halves{$cloud};

        for my $path ('/catalog/1', '/orders/1', '/invoices/1') {
            is(ask($cloud, 'GET', $path, token('west'))->{status}, 200,
               "$path, asked for in the $cloud alone");
        }
    }

    # A cloud is gone.

    $halves{west}->stop;
    $gateway = $halves{east};

    is(ask('east', 'GET', '/orders/1', token('west'))->{status}, 200,
       'without the west the east has its orders');

    my $answer = ask('east', 'GET', '/invoices/1', token('west'));

    is($answer->{status}, 502, 'but no invoices');
    is_problem($answer);

    finish('each by itself', qr/Connection refused/);
    $halves{west}->clean_log('... and the west');
}

done_testing();


sub start {
    my (%o) = @_;

    return E2EExample->start('cross-cloud', %o,
        jwks => { 'keys/east.jwks' => [ 'rsa' ],
                  'keys/west.jwks' => [ 'p256' ] });
}


sub finish {
    my ($name, @expected) = @_;

    $gateway->stop;
    $gateway->clean_log("$name: the log has no errors but the expected",
                        @expected);
}


# A client of the gateway in the east or in the west

sub ask {
    my ($to, @request) = @_;

    my $o = ref $to ? $to : $to eq 'east' ? $east : $west;

    return $gateway->ask($o, $o->{https} =~ /east/ ? 8120 : 8130, @request);
}


sub seen {
    my ($name, $path) = @_;

    return scalar(() = $service{$name}->seen($path));
}


# What becomes of a trace on its way to the other cloud: the header and its
# state there, and the ids in both logs

sub trace {
    my ($given, @headers) = @_;

    my $path = '/orders/trace';
    my $n = seen('orders_west', $path);
    my @logged = map { scalar logged($gateway, $_, uri => $path) || 0 }
                 $n ? ('east', 'west') : ();

    $service{orders_east}->stop();
    ask('east', 'GET', $path, token('east'), @headers,
        defined $given ? (traceparent => $given) : ());
    $service{orders_east} = NgxGatewayBackend->new(
        %{ $services{orders_east}[2] }, port => $gateway->port(8123));

    my ($head) = map { $_->{head} =~ s/\\n/\n/gr }
                 ($service{orders_west}->seen($path))[-1];

    my ($traceparent) = $head =~ /^traceparent: (.*)$/mi;
    my ($tracestate) = $head =~ /^tracestate: (.*)$/mi;

    my @ids;

    for my $cloud ('east', 'west') {
        my $before = shift @logged // 0;
        my @entries;

        E2E::wait_for(5, sub {
            @entries = logged($gateway, $cloud, uri => $path);
            return @entries > $before;
        });

        push @ids, $entries[-1]{trace};
    }

    return ($traceparent, $tracestate // '', @ids);
}


# A service that answers with its address, and closes connections on which
# something with "reset" is asked, a line for each request being in a file; and
# a DNS server that answers every question with addresses that the test sets.

sub service_on {
    my ($file, $address, $port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => $address, Listen => 16,
                                       LocalPort => $port,
                                       ReuseAddr => 1)
        or return;

    return {
        pid => child(sub {
            while (my $client = $listen->accept()) {
                my $head = '';

                while ($head !~ /\r\n\r\n/ && sysread $client, $head, 4096,
                                                      length $head) {}

                my ($line) = $head =~ /^([^\r]*)/;

                open my $log, '>>', $file or die "$file: $!\n";
                syswrite $log, "$line $address\n";
                close $log;

                syswrite $client, answer(200, $address, 'Content-Length' =>
                                                        length $address)
                    if $line !~ /reset/;
                close $client;
            }
        }),
    };
}


sub dns {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Proto => 'udp')
        or die "udp: $!\n";

    my $file = E2E::dir() . '/addresses';

    return {
        port => $socket->sockport(),
        set => sub {
            E2E::spew("$file.new", join ' ', @_);
            rename "$file.new", $file or die "rename: $!\n";
        },
        pid => child(sub {
            while (my $client = $socket->recv(my $query, 512)) {
                my ($question) = substr($query, 12) =~ /^(.*?\0....)/s;
                my @addresses = split ' ', E2E::slurp($file);

                # RFC 1035: an answer to a recursive query, with a name error
                # if there is none; each address is good for a second

                $socket->send(
                    substr($query, 0, 2)
                    . pack('n5', @addresses ? 0x8180 : 0x8183, 1,
                           scalar @addresses, 0, 0)
                    . $question
                    . join('', map { pack 'n3Nn a4', 0xc00c, 1, 1, 1, 4,
                                          Socket::inet_aton($_) } @addresses),
                    0, $client);
            }
        }),
    };
}


sub child {
    my ($code) = @_;

    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw( INT TERM HUP );
        $SIG{PIPE} = 'IGNORE';
        eval { $code->() };
        print STDERR "child: $@" if $@;
        POSIX::_exit(1);
    }

    return $pid;
}


sub stop_service {
    my ($service) = @_;

    kill 'KILL', $service->{pid};
    waitpid $service->{pid}, 0;
}
