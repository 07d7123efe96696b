#!/usr/bin/perl

# README.md's configuration has 25 lines, and answers as README.md says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use NgxGatewayDocs;
use NgxGatewayJWT;
use Test::More;

need_nginx();

my ($example) = grep { $_->{context} eq 'main' } examples('README.md');

is(scalar(split /\n/, $example->{text}), 25, 'it has 25 lines');
unlike($example->{text}, qr/.{81}/, 'and none is too long');

my ($port, @services) = free_ports(4);
my $dir = work_dir();
my %ports = (users => $services[0], orders => $services[1],
             legacy => $services[2]);
my $text = complete('main', $example->{text}, $port);

for my $name (keys %ports) {
    $text =~ s/(\bupstream\s+$name\s+\{\ server\ 127\.0\.0\.1:)\d+
              /$1$ports{$name}/x
        or die "there is no upstream $name\n";
}

spew("$dir/readme.conf",
     startable($text, join '', map {
         "server { listen 127.0.0.1:$ports{$_}; "
         . "return 200 \"$_ \$http_x_user\"; }\n"
     } sort keys %ports));

my $pid = nginx_start($dir, "$dir/readme.conf", $port);

ok($pid, 'it starts') or done_testing(), exit;

my $url = "http://127.0.0.1:$port";
my %alice = (authorization => 'Bearer ' . jwt());

my $answer = get("$url/users/7");

is($answer->{status}, 401, 'no token: 401');
is($answer->{headers}{'www-authenticate'}, 'Bearer realm="api"',
   'no token: no error code');
is(get("$url/users/7", authorization => 'Bearer ' . jwt({ aud => 'other' }))
       ->{status}, 401, 'another audience: 401');
is(get("$url/users/7", authorization => 'Bearer '
           . jwt({ iss => 'https://example.net' }))->{status}, 401,
   'another issuer: 401');

is(get("$url/users/7", %alice)->{content}, 'users alice', 'users');
is(get("$url/users/7", %alice, 'x-user' => 'root')->{content}, 'users alice',
   "a client's X-User is replaced");

$answer = get("$url/users/7", %alice, method => 'DELETE');

is($answer->{status}, 405, 'another method: 405');
is($answer->{headers}{allow}, 'GET, HEAD', 'those that there are');
is(get("$url/other", %alice)->{status}, 404, 'another path: 404');
is(get("$url/orders/7", %alice, method => 'DELETE')->{status}, 200,
   'any method, where the table says so');

# Addresses in 127.0.0.0/8 are all ours: each user asks from one of its own, so
# that none is refused.

my %got;

for my $user (1 .. 300) {
    my $http = HTTP::Tiny->new(timeout => 10, proxy => undef,
                               http_proxy => undef,
                               local_address => '127.0.1.' . $user % 250);
    my %token = (authorization => 'Bearer ' . jwt({ sub => "user$user" }));

    for (1 .. 2) {
        my $answer = $http->get("$url/orders/", { headers => \%token });

        $got{$user}{$answer->{content}}++;
    }
}

my @moved = grep { exists $got{$_}{"orders user$_"} } keys %got;
my @stayed = grep { exists $got{$_}{"legacy user$_"} } keys %got;

is(@moved + @stayed, 300, 'all users have orders, always of one service');

# 30 of 300, with a standard deviation of 5.2; which they are is the same in
# each run.

cmp_ok(scalar @moved, '>', 10, 'the new one has some of them');
cmp_ok(scalar @moved, '<', 50, 'and the old one most');

is(get("$url/orders/", %alice, method => 'OPTIONS')->{status}, 200,
   'a table that takes all methods takes OPTIONS');
is(get("$url/users/7", method => 'OPTIONS')->{status}, 204,
   'one that does not answers it');

my $http = HTTP::Tiny->new(timeout => 10, proxy => undef, http_proxy => undef);
my ($refused) = grep { $_->{status} == 429 }
                map { $http->get("$url/users/7") } 1 .. 400;

ok($refused, 'too many: 429');
ok($refused->{headers}{'retry-after'}, 'and when to come back');

nginx_stop($pid);

done_testing();
