#!/usr/bin/perl

# The configurations of docs/coming-from.md do what it says of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use NgxGatewayJWT;
use Test::More;

need_nginx();

my $dir = work_dir();
my ($port, @services) = free_ports(3);
my $url = "http://127.0.0.1:$port";
my %alice = (authorization => 'Bearer ' . jwt());

my @examples = examples('docs/coming-from.md');
my ($kong, $apisix, $krakend) =
    grep { $_->{heading} eq 'The same gateway' } @examples;
my ($prefix) = grep { $_->{heading} eq 'A prefix that is cut off' } @examples;

is(scalar @examples, 4, 'examples that are tried here');

with($kong, sub {
    my %alice = (authorization => 'Bearer '
                                  . jwt({}, key => 'p256', kid => undef));
    my $answer = get("$url/orders", %alice);

    is($answer->{content}, '0 GET /orders alice corp', 'the path itself');
    is(get("$url/orders/7?a=1", %alice)->{content},
       '0 GET /orders/7?a=1 alice corp', 'what is below');
    is(get("$url/ordersX", %alice)->{status}, 404, 'what begins like it');

    $answer = get("$url/orders/7", %alice, method => 'DELETE');

    is($answer->{status}, 405, 'a method that the path lacks');
    is($answer->{headers}{allow}, 'GET, HEAD, POST', 'those that it has');
    is(get("$url/orders", authorization => 'Bearer '
               . jwt({ aud => 'other' }))->{status}, 401, 'another audience');
    is(get("$url/orders")->{headers}{'ratelimit-policy'}, '"by_ip";q=50;w=1',
       'fifty requests a second');
});

with($prefix, sub {
    is(get("$url/billing/invoices/7?open=1")->{content},
       '0 GET /invoices/7?open=1  ', 'a prefix is cut off');
    is(get("$url/billing/a%20b%3fc")->{content}, '0 GET /a%20b%3Fc  ',
       'and the rest is escaped');
    is(get("$url/billing/")->{content}, '0 GET /  ', 'nothing is left');
});

with($apisix, sub {
    my %side;

    for my $user (1 .. 200) {
        my $http = HTTP::Tiny->new(timeout => 10, proxy => undef,
                                   http_proxy => undef,
                                   local_address => "127.0.2.$user");
        my %token = (authorization => 'Bearer ' . jwt({ sub => "u$user" }));

        for my $path ('/orders', '/orders/7') {
            my $answer = $http->get("$url$path", { headers => \%token });

            $side{$user}{ substr $answer->{content}, 0, 1 } = 1;
        }
    }

    my @new = grep { "@{[ keys %{ $side{$_} } ]}" eq '0' } keys %side;
    my @old = grep { "@{[ keys %{ $side{$_} } ]}" eq '1' } keys %side;

    is(@new + @old, 200, 'each user has always the same service');

    # 20 of 200, with a standard deviation of 4.2; which is the same each time

    cmp_ok(scalar @new, '>', 6, 'the new one has some');
    cmp_ok(scalar @new, '<', 36, 'and the old one most');
});

with($krakend, sub {
    my $answer = get("$url/home/7", %alice);

    is($answer->{status}, 200, 'an answer of two services');
    is($answer->{content}, '{"user":{"name":"Ann","age":40.0},'
       . '"orders":{"path":"/orders/7"}}', 'as they wrote it');

    $answer = get("$url/home/7", %alice, 'x-fail' => 'orders');
    is($answer->{content}, '{"user":{"name":"Ann","age":40.0}}',
       'without one of them');
    is($answer->{headers}{'gateway-aggregate'}, 'partial; missing="orders"',
       'it says which');

    $answer = get("$url/home/7", %alice, 'x-fail' => 'both');
    is("$answer->{status} $answer->{content}", '200 {}', 'without both');
    is($answer->{headers}{'gateway-aggregate'},
       'partial; missing="user,orders"', 'it says so');
    is(get("$url/home/7")->{status}, 401, 'without a token');
});

done_testing();


# Runs an example with two services, of the ports that it names in their order.

sub with {
    my ($example, $code) = @_;

    my $text = $example->{text};

    $text =~ s/\bserver\s+127\.0\.0\.1:900$_;/server  unix:$dir\/$_;/g
        for 1, 2;
    $text = complete('http', $text, $port);
    $text =~ s/\bunix:\Q$dir\E\/(\d);/127.0.0.1:$services[$1 - 1];/g;

    spew("$dir/coming_from.conf", startable($text, join '', map { "
        server {
            listen        127.0.0.1:$services[$_];
            default_type  application/json;

            location / {
                return  200  '$_ \$request_method \$request_uri"
                             . " \$http_x_user \$http_x_consumer_username';
            }

            location /users/ {
                if (\$http_x_fail = both) {
                    return  503;
                }

                return  200  '{\"name\":\"Ann\",\"password\":\"x\","
                             . "\"age\":40.0}';
            }

            location = /orders/7 {
                if (\$http_x_fail) {
                    return  503;
                }

                if (\$http_x_user = '') {
                    return  200  '{\"path\":\"\$uri\"}';
                }

                return  200  '$_ \$request_method \$request_uri"
                             . " \$http_x_user \$http_x_consumer_username';
            }
        }
    " } 0, 1));

    my $pid = nginx_start($dir, "$dir/coming_from.conf", $port);

    ok($pid, "the example in line $example->{line} starts") or return;
    $code->();
    nginx_stop($pid);
}
