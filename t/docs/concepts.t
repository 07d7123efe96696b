#!/usr/bin/perl

# The gateway with everything of docs/concepts.md answers as it says there.

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

done_testing();
