#!/usr/bin/perl

# The gateway with everything of docs/concepts.md answers as it says there, and
# what follows from the phases follows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewayServe;
use NgxGatewayWebSocket;
use NgxGatewayWebSocketBackend;
use Test::More;

need_nginx();

my ($example) = grep { $_->{context} eq 'main' } examples('docs/concepts.md');
my ($port, $service, $push) = free_ports(3);
my $dir = work_dir();
my $prices = NgxGatewayWebSocketBackend->new(
    '/prices/' => sub {
        my ($c) = @_;

        $c->handshake();

        my $asked = $c->read_text(0.2) // 'none';

        $c->send_text("{\"asked\":\"$asked\",\"price\":$_}") for 1 .. 2;
        $c->bye(1000);
    },
);
my $prices_port = $prices->port();
my $live = NgxGatewayServe->new(answer => sub {
    return $_[0]{event} eq 'connect' ? 'status=204' : undef;
});
my $live_port = $live->port();
my $text = complete('main', $example->{text} =~ s/\b8081\b/$push/r, $port,
                    $service);

$text =~ s/(\bupstream\s+prices\s+\{\s+server\s+127\.0\.0\.1:)\d+/$1$prices_port/
    or die "there is no upstream of the prices\n";
$text =~ s{http://orders/live/}{http://127.0.0.1:$live_port/};

# A service that answers with the user that it was told, in place of the
# reader's.

spew("$dir/concepts.conf",
     startable($text, "
         server {
             listen 127.0.0.1:$service;

             set \$asked \$http_x_json\$uri;

             if (\$asked = user/orders/) {
                 return 503;
             }

             if (\$http_x_json) {
                 return 200 '\"\$uri \$http_x_user\"';
             }

             return 200 user=\$http_x_user;
         }
     "));

my $pid = nginx_start($dir, "$dir/concepts.conf", $port);

ok($pid, 'it starts') or done_testing(), exit;

my $url = "http://127.0.0.1:$port";
my $answer = get("$url/orders/");

is($answer->{status}, 401, 'no token: 401');
is($answer->{headers}{'www-authenticate'}, 'Bearer realm="api"',
   'no token: no error code');

$answer = get("$url/orders/", authorization => 'Bearer ' . jwt());

is($answer->{status}, 200, 'a good token: 200');
is($answer->{content}, 'user=alice', 'the service finds the user in X-User');

$answer = get("$url/orders/", authorization => 'Bearer ' . jwt(),
              'x-user' => 'root');

is($answer->{content}, 'user=alice', "a client's X-User is replaced");

$answer = get("$url/orders/",
              authorization => 'Bearer ' . jwt({ aud => 'other' }));

is($answer->{status}, 401, 'another audience: 401');

$answer = get("$url/orders/",
              authorization => 'Bearer '
                               . jwt({ iss => 'https://example.net' }));

is($answer->{status}, 401, 'another issuer: 401');

is(get("$url/users/7", authorization => 'Bearer ' . jwt())->{content},
   'user=alice', 'another line of the table');
is(get("$url/nothing/")->{status}, 404, 'a path that no line takes');

$answer = get("$url/users/7", method => 'DELETE');

is($answer->{status}, 405, 'a method that the path does not have');
is($answer->{headers}{allow}, 'GET, HEAD', 'those that it has');

$answer = get("$url/orders/admin/", authorization => 'Bearer ' . jwt());

is($answer->{status}, 403, 'no scope: 403');

$answer = get("$url/orders/admin/",
              authorization => 'Bearer '
                               . jwt({ scope => 'a orders:admin' }));

is($answer->{status}, 200, 'the scope: 200');

$answer = get("$url/home", authorization => 'Bearer ' . jwt());

is($answer->{status}, 502, 'services that answer no JSON: 502');
like($answer->{content},
     qr/"parts":\[\{"name":"user",.*\},\{"name":"orders",/, 'which of them');

$answer = get("$url/home", authorization => 'Bearer ' . jwt(),
              'x-json' => 1);

is($answer->{status}, 200, 'services that do: 200');
is($answer->{content}, '{"user":"/alice alice","orders":"/orders/ alice"}',
   'both answers');

$answer = get("$url/home", authorization => 'Bearer ' . jwt(),
              'x-json' => 'user');

is($answer->{content}, '{"user":"/alice alice","orders":[]}',
   'without the orders');

is(get("$url/_users/alice", authorization => 'Bearer ' . jwt())->{status},
   404, 'a part is not for clients');

$answer = HTTP::Tiny->new(proxy => undef, http_proxy => undef)->post(
              "$url/prices/",
              { headers => { authorization => 'Bearer ' . jwt(),
                             'content-type' => 'text/plain' },
                content => 'item 7' });

is($answer->{content}, '{"asked":"item 7","price":1}',
   'a message of a WebSocket service');
is(get("$url/prices/", authorization => 'Bearer ' . jwt(),
       accept => 'text/event-stream')->{content},
   qq(data: {"asked":"none","price":1}\n\ndata: {"asked":"none","price":2}\n\n),
   'a stream of all');

my $ws = NgxGatewayWebSocket->new($port, uri => '/live');

is($ws->status(), 401, 'a WebSocket needs a token, too');

$ws = NgxGatewayWebSocket->open($port, uri => '/live', headers => [
          Authorization => 'Bearer ' . jwt() ]);
$ws->send_text('hello');
is($ws->read_text(), 'hello', 'a message is a request');

my $request = $live->last('/messages');

is($live->header($request, 'X-User'), 'alice', 'by this user');
is(HTTP::Tiny->new(proxy => undef, http_proxy => undef)->post(
       "http://127.0.0.1:$push/push/$request->{cid}",
       { headers => { 'content-type' => 'text/plain' },
         content => 'news' })->{content}, qq({"reached":1}\n), 'a push');
is($ws->read_text(), 'news', 'comes');
$ws->disconnect();

$answer = get("$url/orders/");

is($answer->{status}, 401, 'a location without its own line: 401');
like($answer->{headers}{'ratelimit-policy'}, qr/^"by_ip";q=100;w=2$/,
     'the limit');

my $http = HTTP::Tiny->new(timeout => 10, proxy => undef, http_proxy => undef);

ok(scalar(grep { $http->get("$url/orders/")->{status} == 429 } 1 .. 400),
   'too many: 429');

nginx_stop($pid);
what_follows();

done_testing();


# The list "What follows from it", and the table of subrequests.

sub what_follows {
    my ($port, $service) = free_ports(2);
    my $text = complete('http', "
        gateway_jwt_issuer corp {
            issuer    https://id.example.com;
            audience  api;
            key_file  /etc/nginx/keys/corp.jwks;
        }

        gateway_limit_zone  \$arg_k  zone=by_key:1m  rate=1r/h burst=2;
        gateway_limit_zone  \$gateway_jwt_claim_sub  zone=by_user:1m
                            rate=1r/h;

        gateway_routes  \$service {
            GET  /a/**          first;
            GET  /any/**        first;
            GET  /early/**      first;
            GET  /late/**       first;
            GET  /mirrored/**   first;
            GET  /moved/**      first;
        }

        upstream first {
            server  127.0.0.1:$service;
        }

        server {
            listen         127.0.0.1:$port;

            gateway_jwt    api issuer=corp;
            gateway_limit  zone=by_key;
            gateway_route  \$service;
            proxy_set_header  X-User  \$gateway_jwt_claim_sub;

            location / {
                proxy_pass  http://\$service;
            }

            location /returned {
                return  200  'returned';
            }

            location /any/ {
                satisfy     any;
                allow       all;
                proxy_pass  http://\$service;
            }

            location /early/ {
                gateway_limit  zone=by_user;
                proxy_pass     http://\$service;
            }

            location /late/ {
                gateway_limit  zone=by_user after_auth;
                proxy_pass     http://\$service;
            }

            location /mirrored/ {
                mirror      /_mirror;
                proxy_pass  http://\$service;
            }

            location = /_mirror {
                internal;
                gateway_limit  zone=by_key cost=2;
                proxy_pass     http://\$service/mirror;
            }

            location /moved/ {
                gateway_jwt    off;
                error_page     404 = /_page;
                try_files      \$uri =404;
            }

            location = /_page {
                internal;
                proxy_pass  http://first;
            }
        }
    ", $port, $service);

    my $dir = work_dir();

    unlink "$dir/asked.log";
    spew("$dir/follows.conf", startable($text, "
        log_format  asked  '\$uri \$http_x_user';

        server {
            listen      127.0.0.1:$service;
            access_log  $dir/asked.log  asked;

            location / {
                return  200  'user=\$http_x_user';
            }
        }
    "));

    my $pid = nginx_start($dir, "$dir/follows.conf", $port);

    ok($pid, 'what follows from the phases') or return;

    my $ask = sub {
        my ($path, %headers) = @_;

        return get("http://127.0.0.1:$port$path", %headers)->{status};
    };
    my @alice = (authorization => 'Bearer ' . jwt());
    my @wrong = (authorization => 'Bearer wrong');

    is($ask->('/returned?k=r'), 200, 'return comes before all checks')
        for 1 .. 3;
    is(join(' ', map { $ask->('/a/?k=w', @wrong) } 1 .. 3), '401 401 429',
       'an address is charged before its token is looked at');
    is($ask->('/a/', method => 'OPTIONS'), 204, 'a preflight needs no token');
    is($ask->('/nowhere'), 404, 'a path that is not there needs none');
    is(join(' ', map { $ask->('/any/?k=s') } 1 .. 3), '200 200 429',
       'satisfy is about access only');
    is($ask->('/any/', method => 'PUT'), 405, 'so a route holds');
    is(join(' ', map { $ask->('/early/', @alice) } 1 .. 3), '200 200 200',
       'a limit by a claim needs after_auth');
    is(join(' ', map { $ask->('/late/', @alice) } 1 .. 3), '200 429 429',
       'with it, it limits');
    is(join(' ', map { $ask->('/mirrored/?k=m', @alice) } 1 .. 3),
       '200 200 429', 'a mirror is not charged');
    is($ask->('/moved/'), 401, 'an internal redirect is checked as it says');
    is(join(' ', map { $ask->('/moved/?k=i', @alice) } 1 .. 3),
       '200 200 429', 'is not charged once more, and has no other route');

    my @mirrors = slurp("$dir/asked.log") =~ m{^/mirror alice$}mg;

    is(scalar @mirrors, 2, 'nor is access checked; the user is that of the request');
    nginx_stop($pid);
}
