#!/usr/bin/perl

# README.md's configuration answers as README.md says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewayWebSocketBackend;
use Test::More;

need_nginx();

my ($example) = grep { $_->{context} eq 'main' } examples('README.md');
my ($port, $service) = free_ports(2);
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
my $text = complete('main', $example->{text}, $port, $service);

$text =~ s/(\bupstream\s+prices\s+\{\s+server\s+127\.0\.0\.1:)\d+/$1$prices_port/
    or die "there is no upstream of the prices\n";

# A service that answers with the user that it was told, in place of the
# reader's.

spew("$dir/readme.conf",
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

my $pid = nginx_start($dir, "$dir/readme.conf", $port);

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

$answer = get("$url/");

is($answer->{status}, 401, 'a location without its own line: 401');
like($answer->{headers}{'ratelimit-policy'}, qr/^"by_ip";q=100;w=2$/,
     'the limit');

my $http = HTTP::Tiny->new(timeout => 10, proxy => undef, http_proxy => undef);

ok(scalar(grep { $http->get("$url/")->{status} == 429 } 1 .. 400),
   'too many: 429');

nginx_stop($pid);

done_testing();
