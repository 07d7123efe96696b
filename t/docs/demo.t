#!/usr/bin/perl

# auto/demo starts, shows what README.md promises, and stops.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewaySystem qw( title );
use Test::More;

need_nginx();

my $dir = work_dir() . '/demo';
my ($taken) = free_ports(9);
my $demo = "$ROOT/auto/demo";

$ENV{DEMO_DIR} = $dir;
$ENV{NGINX_BINARY} = nginx_binary();
$ENV{PORT} = $taken;

END {
    my $status = $?;

    system("$demo stop >/dev/null") if defined $dir && -e "$dir/gateway.pid";
    $? = $status;
}

my $holder = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
                                   LocalPort => $taken)
    or die "port $taken: $!";

my $output = `$demo start detach 2>&1`;

is($?, 0, 'it starts') or diag($output);
close $holder;

my ($url) = $output =~ m{^The gateway listens on (http://[\d.:]+)}m;

isnt($url, "http://127.0.0.1:$taken", 'it does not take a port that is taken');
like($output, qr/^Port $taken .* is taken/m, 'and says so');

my @statuses = $output =~ /^    (\d{3}) /mg;

is("@statuses", '200 401 200 200 401 401 403 200 403 200 404 405 204 200 200 '
   . '200 200 200 200 200 429 200 200 200 200 101 401 101 101 200 401 200 502 '
   . '200 502 200', 'the answers');
like($output, qr/^    200 OK\n    \{.*"orders","user":"alice","order":17\}$/m,
     'a route, and what it has captured');
like($output, qr/^    405 .*\n    Allow: GET, HEAD, POST$/m,
     'a method that a route does not take');

like($output, qr/"user":"alice"/, 'the service is told who calls');
unlike($output, qr/"user":"root"/, "a client's X-User is replaced");
like($output, qr/WWW-Authenticate: Bearer realm="api"$/m,
     'no token: no error code');
like($output, qr/error="invalid_token".*expired/, 'an expired token');
like($output, qr/error="insufficient_scope".*scope="orders:admin"/,
     'the scope that is needed');

like($output, qr/^\ {4}429\ .*\n\ {4}Retry-After:\ 1\n
                 \ {4}RateLimit-Policy:\ .*"search";q=3;w=3\n
                 \ {4}RateLimit:\ .*"search";r=0;t=3$/mx,
     'a client that is told to slow down');
is(join(' ', $output =~ /"search";r=(\d)/g), '2 1 0 0 0 0',
   'and was told before how many are left');
like($output, qr/^    200 OK, after [01]\.\d seconds$/m, 'one that is slowed');

my @pages = $output =~ /^    Gateway-Aggregate: (.*)\n    (\{.*\})$/mg;

is($pages[0], 'complete', 'a page of three services');
like($pages[1], qr/^\{"catalog":\{.*\},"orders":\{.*\},"offers":\[\{.*\}\]\}$/,
     'and all of them');
like($pages[1], qr/"orders":\{"service":"orders","user":"alice"/,
     'which are told who calls');
is($pages[2], 'partial; missing="offers"', 'a page without the optional one');
like($pages[3], qr/,"offers":\[\]\}$/, 'with the default in its place');
is($pages[4], 'complete', 'it is back');
like($output, qr/"parts":\[\{"name":"orders",.*\{"name":"offers"/,
     'an answer that says what is missing');

like($output, qr/^curl -i -d '\{"item":7\}' .*\n\n    200 OK\n    \{"item":7,/m,
     'a request, answered by a WebSocket service');
is(scalar(() = $output =~ /^    data: \{"item":7,"price":[\d.]+\}$/mg), 3,
   'a stream of its messages');
like($output, qr/^\ {4}101\ .*\n\ {4}>\ hello\n
                 \ {4}<\ \{.*"text":"hello","user":"alice"\}\n
                 \ {4}>\ 2000\ bytes\n
                 \ {4}<\ Close\ 1009\ message\ beyond/mx,
     'a WebSocket that is closed for a message that is too large');

like($output, qr/^\ {4}101\ .*\n\ {4}>\ hello\n
                 \ {4}<\ \{"id":"[0-9a-f]{32}",.*"hello","user":"alice"\}\n
                 \ {4}>\ \{"action":"leave"\}\n\ {4}<\ you\ left\n
                 \ {4}<\ Close\ 1000\ goodbye$/mx,
     'a WebSocket whose service speaks HTTP');
like($output, qr/^\ {4}\$\ curl\ .*\n\ {4}\{"reached":1\}\n\ {4}<\ to\ you\n
                 \ {4}\$\ curl\ .*\n\ {4}\{"reached":1\}\n\ {4}<\ to\ all$/mx,
     'what is pushed to it');

# The lines that are shown, repeated when the bucket of searches is full again.

SKIP: {
    my @lines = $output =~ /^((?:(?:for|sleep|auto\/demo service) .*)?curl .*)$/mg;

    my @talks = $output =~ /^(auto\/demo-websocket .*)$/mg;

    is(@lines + @talks, @statuses - 5,
       'a line for each answer or loop of them');

    my @first = map { /^(.*)$/m } map { scalar `cd $ROOT && $_` } @talks;

    is("@first", join(' ', '101 Switching Protocols 401 Unauthorized',
                        ('101 Switching Protocols') x 2),
       'the lines for WebSockets give the same answers');

    @statuses = grep { $_ != 101 } @statuses;
    splice @statuses, 25, 1;

    skip('there is no curl', 2) if system('command -v curl >/dev/null');

    sleep 4;

    my $quiet = "curl -s -o $dir/body -w '%{http_code} '";
    like(`$demo service stop nobody 2>&1`, qr/no service "nobody"/,
         'a service that is not there');

    my @again = map { split ' ', `cd $ROOT && $_` }
                    map { s/\bcurl -i/$quiet/r } @lines;

    is("@again", "@statuses", 'the curl lines give the same answers');
}

# Tokens of one's own.

my $token = `$demo token $dir ec sub=carol scope=orders:admin`;

chomp $token;
is(get("$url/orders/admin/", authorization => "Bearer $token")->{status}, 200,
   'a token made by hand');

like(`$demo start detach 2>&1`, qr/runs already .*\Q$url\E/,
     'a second start says that one runs');
isnt($?, 0, 'and fails');

my ($pid) = slurp("$dir/gateway.pid") =~ /(\d+)/;

like(`$demo stop`, qr/has stopped/, 'it stops');
is(title($pid), '', 'nothing is left');
ok(!-e "$dir/live.pid" && !-e "$dir/rooms.pid",
   'nor of the services that are processes of their own');
like(`$demo stop`, qr/does not run/, 'a second stop says so');

# In the foreground, until Ctrl-C.

my $child = open(my $pipe, '-|') // die "fork: $!";

if (!$child) {
    exec $demo, 'start';
}

my $text = '';

while (my $line = <$pipe>) {
    $text .= $line;
    last if $line =~ /Ctrl-C/;
}

like($text, qr/Ctrl-C/, 'it stays in the foreground');
kill 'INT', $child;

{
    local $/;
    like(scalar <$pipe>, qr/has stopped/, 'Ctrl-C stops it');
}

close $pipe;

done_testing();
