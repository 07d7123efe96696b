package E2EWholeClients;

# The clients of whole.t, each a sub for E2EWhole's run: it asks for what its
# name says, once more each time it is called, and knows what is due.
#
#     E2EWholeClients::know(%what);
#     $clients->run('http', $port, http_client());
#
# What they have to know: dir, a folder; seconds of the load; users (their
# names), tokens (by user) and bad ones (by $gateway_jwt_status); big and large,
# the contents of /files/big and of what /home has as "large"; h2load_port,
# wrk_port and push_port of the gateway.  t/e2e/whole_locations.conf has what
# they ask for.

use strict;
use warnings;

use E2E ();
use E2EClient ();
use JSON::PP ();
use NgxGatewayHTTP2 ();
use NgxGatewayWebSocket ();
use Time::HiRes qw( sleep time );

use base 'Exporter';

our @EXPORT = qw( http_client users_client limits_client http2_client
                  guarded_client served_client h2load_client wrk );

my $json = JSON::PP->new->canonical;

my %o;


sub know {
    %o = @_;

    return;
}


sub http_client {
    my $n = 0;

    return sub {
        my ($seen) = @_;

        my $i = ++$n % 1000;
        my $what = $n % 20;

        if ($what == 0) {
            right($seen, $seen->get('/files/big'), 200, $o{big});

        } elsif ($what == 1) {
            my $body = join ',', map { $i + $_ } 1 .. 2000;

            right($seen, $seen->ask('POST', '/echo', $body), 200, $body);

        } elsif ($what == 2) {
            my $body = qq({"id":"$$-$n","n":$i});

            right($seen, $seen->ask('POST', '/rpc', $body), 200, $body);

        } elsif ($what == 3) {
            right($seen, $seen->get("/nowhere/$i"), 404, qr/404 Not Found/);

        } elsif ($what == 4) {
            my $answer = $seen->get("/split/$i");

            right($seen, $answer, 200,
                  qr{\A(?:orders|legacy) GET /split/$i \z});
            $seen->count("split to $1")
                if $answer && $answer->{body} =~ /\A(\w+)/;

        } else {
            right($seen, $seen->get("/open/$i?a=$n"), 200,
                  "service GET /open/$i?a=$n ");
        }

        sleep 0.002;
    };
}


# Those who have tokens, and those who say so.

sub users_client {
    my @bad = sort keys %{ $o{bad} };
    my %side;

    return sub {
        my ($seen) = @_;

        my $user = $o{users}[rand @{ $o{users} }];
        my $i = int rand 1000;
        my $what = rand;
        my $authorization = "Bearer $o{tokens}{$user}";

        if ($what < 0.2) {
            my $bad = $bad[rand @bad];
            my $answer = $seen->get("/api/users/$i",
                                    Authorization => "Bearer $o{bad}{$bad}");

            right($seen, $answer, 401, qr/"status":401/);
            $seen->wrong("$bad: $answer->{headers}{'x-jwt'}")
                if $answer && $answer->{headers}{'x-jwt'} ne $bad;

        } elsif ($what < 0.25) {
            right($seen, $seen->get("/api/users/$i"), 401,
                  qr/"status":401/);

        } elsif ($what < 0.35) {
            right($seen, $seen->get("/admin/$i",
                                    Authorization => $authorization),
                  403, qr/"status":403/);

        } elsif ($what < 0.7) {
            my ($method, $path, $status, $due, @more) = @{ route($i, $user) };
            my $answer = $seen->ask($method, $path, @more,
                                    Authorization => $authorization);

            right($seen, $answer, $status, $due);
            $seen->count('routes');

            # each user has a side, and keeps it

            if ($answer && $answer->{body} =~ /\A(\w+) GET \/api\/orders\//) {
                my $side = $side{$user} //= $1;

                $seen->count("user to $1");
                $seen->wrong("$user of $side: $1") if $side ne $1;
            }

        } else {
            right($seen, $seen->get('/home', Authorization => $authorization),
                  200, qq({"user":{"sub":"$user"},)
                       . qq("orders":[{"of":"$user"}],"large":$o{large}}));
        }

        sleep 0.002;
    };
}


# [ METHOD, PATH, status and body that are due, fields ]

sub route {
    my ($i, $user) = @_;

    my @routes = (
        [ 'GET', "/api/users/$i", 200, "users GET /api/users/$i $user$i" ],
        [ 'GET', '/api/users/me', 200, "legacy GET /api/users/me $user" ],
        [ 'GET', "/api/orders/$i/a?b=c", 200,
          qr{\A(?:orders|legacy) GET /api/orders/$i/a\?b=c $user\z} ],
        [ 'POST', "/api/items/$i", 200, "orders POST /api/items/$i $user$i" ],
        [ 'GET', "/api/items/a$i", 200, "users GET /api/items/a$i ${user}a$i" ],
        [ 'GET', "/api/items/$i", 200, "legacy GET /api/items/$i $user$i",
          'X-Old' => 'yes' ],
        [ 'GET', "/api/many/$i/of/x", 200,
          "users GET /api/many/$i/of/x ${user}x" ],
        [ 'GET', "/api/nothing/$i", 404, qr/"status":404/ ],
        [ 'POST', "/api/users/$i", 405, qr/"status":405/ ],
        [ 'POST', '/api/items/a', 405, qr/"status":405/ ],
        [ 'OPTIONS', "/api/users/$i", 204, '' ],
    );

    return $routes[rand @routes];
}


# A bucket has three tokens, and gets no more in a minute.

sub limits_client {
    my $n = 0;

    return sub {
        my ($seen) = @_;

        my $key = "$$-" . ++$n;

        for my $status (200, 200, 200, 429, 429) {
            my $answer = $seen->get("/few?key=$key");

            # what was lost may have been charged

            last if !$answer || $seen->{tries} > 1;

            right($seen, $answer, $status, $status == 200
                  ? "service GET /few?key=$key " : qr/"status":429/);
        }

        sleep 0.01;
    };
}


# Ten requests at once, five times on a connection.  What is refused by a GOAWAY
# was not looked at, RFC 9113, section 6.8, and is sent again.

sub http2_client {
    my ($client, $used, $opened) = (undef, 0, 0);
    my @again;

    return sub {
        my ($seen) = @_;

        if (!$client || $used == 5) {
            $client = NgxGatewayHTTP2->new($seen->{port});
            ($used, $opened) = (0, time);
        }

        my @paths = (splice(@again), map { '/open/' . int rand 1000 } 1 .. 10);
        my @ids = $client->send(map { [ GET => $_ ] } @paths);
        my @answers = $client->answers(@ids);
        my @none;

        for my $i (0 .. $#paths) {
            my ($code, $body) = @{ $answers[$i] }{qw( code body )};

            if ($code eq '-') {
                push @none, $paths[$i];

            } elsif ($code eq 'refused') {
                $seen->count('refused');
                push @again, $paths[$i];

            } elsif ($code ne '200' || $body ne "service GET $paths[$i] ") {
                $seen->wrong("HTTP/2 $paths[$i]: $code $body");

            } else {
                $seen->count('right');
            }
        }

        # An idle connection that a worker which leaves has closed: what tells
        # of it may have gone with it.

        $seen->broken($client->{socket}, @none . ' streams',
                      opened => $opened, kept => $used && @none == @paths)
            if @none;

        $used++;
        undef $client if @none || $client->goaway;

        sleep 0.03;
    };
}


# WebSockets, each of which has been open for a while when it is used; one that
# has been closed is opened anew.

sub websockets {
    my ($path, $use) = @_;

    my @sockets;

    return sub {
        my ($seen) = @_;

        my $i = int rand 10;

        if (!$sockets[$i] || rand() < 0.01) {
            leave_socket($seen, delete $sockets[$i]) if $sockets[$i];

            $sockets[$i] = open_socket($seen, $path) or return;
        }

        if (!$use->($seen, $sockets[$i])) {
            my $time = time;
            my $close = $sockets[$i]->read_close(5, answer => 1);

            $seen->broken($sockets[$i]->socket, "$path: $close->{end}",
                          close => $close->{code}, time => $time,
                          opened => $sockets[$i]{opened});
            undef $sockets[$i];
        }

        sleep 0.005;
    };
}


sub open_socket {
    my ($seen, $path) = @_;

    my $ws = NgxGatewayWebSocket->new($seen->{port}, uri => $path);

    if (!$ws->status) {
        $seen->broken($ws->socket, "$path: no answer to the handshake");
        return;
    }

    if ($ws->status != 101 || defined $ws->verify) {
        $seen->wrong("$path: " . $ws->head);
        return;
    }

    $seen->count('opened');
    $ws->{opened} = time;

    return $ws;
}


sub leave_socket {
    my ($seen, $ws) = @_;

    $ws->send_close(1000);

    my $close = $ws->read_close(5);

    $seen->broken($ws->socket, "left: $close->{end}", close => $close->{code},
                  opened => $ws->{opened})
        if !$close->{code} || $close->{code} != 1000;

    return;
}


sub guarded_client {
    my $n = 0;

    return websockets('/guarded', sub {
        my ($seen, $ws) = @_;

        my $text = "$$ " . ++$n . ' ' . 'x' x rand 2000;

        return said($seen, $ws, $text, $text);
    });
}


# Messages that the service answers, and such that it pushes.

sub served_client {
    my $n = 0;

    return websockets('/served', sub {
        my ($seen, $ws) = @_;

        if (!$ws->{id}) {
            $ws->send_text('{"ask":"id"}') or return 0;

            my $answer = $ws->read_text(10) // return 0;

            ($ws->{id}) = $answer =~ /\A\{"id":"(\w+)"\}\z/
                or $seen->wrong("id: $answer");
            $seen->{ids}{ $ws->{id} } = 1;
        }

        my $text = qq({"n":"$$-) . ++$n . '"}';

        if ($n % 3) {
            return said($seen, $ws, $text, $text);
        }

        my $client = E2EClient->new($o{push_port});

        if (!$client) {
            $seen->wrong('push: no connection');
            return 1;
        }

        my $answer = eval {
            $client->ask('POST', "/push/$ws->{id}",
                         'Content-Type' => 'application/json', $text);
        };

        if (!$answer) {
            $seen->broken($client->{socket}, 'push: ' . ($@ || 'nothing'));
            return 1;
        }

        # A connection that is gone; 504 where its worker was killed when it had
        # been asked.

        return 0 if $answer->{status} == 410 || $answer->{status} == 504;

        if ($answer->{status} != 200
            || $answer->{body} ne qq({"reached":1}\n))
        {
            $seen->wrong("push: $answer->{status} $answer->{body}");
            return 1;
        }

        my $got = $ws->read_text(10) // return 0;

        $got eq $text ? $seen->count('right')
                      : $seen->wrong("push $text: $got");
        $seen->count('pushed');

        return 1;
    });
}


sub said {
    my ($seen, $ws, $text, $due) = @_;

    $ws->send_text($text) or return 0;

    my $answer = $ws->read_text(10) // return 0;

    $answer eq $due ? $seen->count('right')
                    : $seen->wrong("$text: $answer");

    return 1;
}


# Short loads of HTTP/2, and what h2load says of each: [ BEGIN, END, FAILED ].

sub h2load_client {
    my $at = "http://127.0.0.1:$o{h2load_port}";

    E2E::spew("$o{dir}/uris", join "\n", map { "$at$_" }
        qw( /open/1 /api/users/2 /home /files/large ));

    return sub {
        my ($seen) = @_;

        my $from = time;
        my $said = E2E::output('h2load', '-n', 200, '-c', 4, '-m', 5,
                               '-i', "$o{dir}/uris", '-H',
                               "Authorization: Bearer $o{tokens}{user1}");
        my $to = time;

        my ($failed) = $said =~ /^requests:.*\ (\d+) failed,/m;
        my ($good) = $said =~ /^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/m;

        if (!defined $failed || !defined $good || $good + $failed != 200) {
            $seen->wrong($said);
            return;
        }

        $seen->{counts}{right} += $good;
        push @{ $seen->{runs} }, [ $from, $to, $failed ];

        sleep 0.2;
    };
}


# On connections of one request each: none of these can have been closed by
# a worker that leaves.

sub wrk {
    E2E::spew("$o{dir}/wrk.lua", <<"_EOC_");
local requests = {}
local i = 0

init = function()
    local token = { Authorization = "Bearer $o{tokens}{user2}" }

    for n = 1, 100 do
        requests[#requests + 1] = wrk.format("GET", "/open/" .. n)
        requests[#requests + 1] = wrk.format("GET", "/api/users/" .. n, token)
        requests[#requests + 1] = wrk.format("GET", "/few?key=")
    end

    requests[#requests + 1] = wrk.format("GET", "/home", token)
    requests[#requests + 1] = wrk.format("GET", "/files/big")
end

request = function()
    i = i % #requests + 1
    return requests[i]
end

delay = function()
    return 10
end

done = function(summary)
    local e = summary.errors

    io.write(string.format("asked %d status %d connect %d read %d write %d " ..
                           "timeout %d\\n", summary.requests, e.status,
                           e.connect, e.read, e.write, e.timeout))
end
_EOC_

    return ('wrk', '-t1', '-c8', "-d$o{seconds}s", '--timeout', '20s',
            '-s', "$o{dir}/wrk.lua", "http://127.0.0.1:$o{wrk_port}");
}


sub right {
    my ($seen, $answer, $status, $body) = @_;

    return if !$answer;

    if ($answer->{status} != $status
        || (ref $body ? $answer->{body} !~ $body : $answer->{body} ne $body))
    {
        $seen->wrong("not $status $body: $answer->{status} "
                     . $json->encode($answer->{headers}) . $answer->{body});
        return;
    }

    $seen->count('right');

    return;
}


1;
