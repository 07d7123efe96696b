
# delay=: what is served late, how late, and who does not wait for it.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;

use IO::Select ();
use IO::Socket::UNIX ();
use Test::More;
use Time::HiRes qw( sleep time );

local $SIG{PIPE} = 'IGNORE';

my $nginx = NgxGatewayNginx->new(
    http2 => 1,
    http => <<'_EOC_',
    gateway_limit_zone $http_x_key zone=second:64k rate=1r/s;
    gateway_limit_zone $http_x_key zone=a:64k rate=40r/m;
    gateway_limit_zone $http_x_key zone=b:64k rate=40r/m;
    gateway_limit_zone $http_x_key zone=minute:64k rate=1r/m burst=2;

    log_format limits '$http_x_key $status $gateway_limit_status';
    access_log logs/limits.log limits;

    server {
        listen unix:%DIR%/backend.sock;
        access_log logs/backend.log limits;
        client_body_in_single_buffer on;

        location /echo {
            proxy_pass http://unix:%DIR%/backend.sock:/body;
            proxy_set_header X-Body $request_body;
        }

        location /body {
            return 200 "body $http_x_body\n";
        }

        location / {
            return 200 "backend\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        keepalive_requests 1000;
        add_header X-Status $gateway_limit_status always;
        proxy_set_header X-Key $http_x_key;

        location /second {
            gateway_limit zone=second delay=2;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /none {
            gateway_limit zone=second delay=0;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /echo {
            gateway_limit zone=second delay=2;
            proxy_pass http://unix:%DIR%/backend.sock:/echo;
        }

        location /both {
            gateway_limit zone=a delay=1;
            gateway_limit zone=b delay=1;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /phases {
            gateway_limit zone=a delay=1;
            gateway_limit zone=b delay=1 after_auth;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /minute {
            gateway_limit zone=minute delay=2;
            gateway_limit_log_level error;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /cost {
            gateway_limit zone=minute cost=2 delay=2;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /free {
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }
_EOC_
);

# before nginx 1.25.1, a port has HTTP/2 or HTTP/1.1, not both

$nginx->{http} .= <<"_EOC_";
    server {
        listen unix:%DIR%/http1.sock;
        access_log logs/limits.log limits;
        $nginx->{server}
    }
_EOC_

$nginx->start();

sub client {
    my ($text) = @_;

    my $socket = IO::Socket::UNIX->new(Peer => $nginx->path('http1.sock'))
        or die "connect: $!\n";

    $socket->autoflush(1);
    print $socket $text if defined $text;

    return $socket;
}

sub request {
    my ($uri, $key, @headers) = @_;

    return join "\r\n", "GET $uri HTTP/1.1", 'Host: localhost',
                        "X-Key: $key", @headers, '', '';
}

# Reads as many answers from each of these sockets, as [ code, body, seconds
# since $start ]; in the order in which they come.

sub answers {
    my ($start, $each, @sockets) = @_;

    my $select = IO::Select->new(@sockets);
    my (%text, %number, @answers);
    my $end = time() + 30;

    while ($select->count() && time() < $end) {
        for my $socket ($select->can_read(0.5)) {

            my $n = sysread $socket, $text{$socket}, 65536,
                            length($text{$socket} // '');

            while ($text{$socket} =~ s{\AHTTP/1.1\ (\d+).*?
                                       \r\nContent-Length:\ (\d+)\r\n
                                       (.*?)\r\n\r\n}{}xsi)
            {
                my ($code, $length, $rest) = ($1, $2, $3);

                push @answers, [ $code, substr($text{$socket}, 0, $length, ''),
                                 time() - $start ];
                $number{$socket}++;
            }

            if (!$n || ($number{$socket} // 0) >= $each) {
                $select->remove($socket);
            }
        }
    }

    return @answers;
}

# Late by at least that much, and not by much more; a machine may be busy.

sub late {
    my ($answer, $least, $name, $most) = @_;

    $most //= $least + 4;

    my $took = $answer ? $answer->[2] : 'for ever';

    ok($answer && $answer->[0] == 200 && $took >= $least - 0.05
       && $took < $most, "$name: served within $least to $most s")
        or diag($answer ? "status $answer->[0], $took s" : 'no answer');

    return;
}

sub lines {
    my ($file, $pattern) = @_;

    return scalar grep { $_ =~ $pattern } split /\n/, $nginx->read_file($file);
}

sub comes {
    my ($file, $pattern, $count, $name, $seconds) = @_;

    my $end = time() + ($seconds // 10);

    sleep 0.05 while lines($file, $pattern) < $count && time() < $end;

    is(lines($file, $pattern), $count, $name);

    return;
}

# several at once: each is later than the one before, and one is too much

my $start = time();
my @answers = answers($start, 1,
                      map { client(request('/second', 'k1')) } 1 .. 4);

is(scalar @answers, 4, 'four at once: four answers');
is(join(' ', sort map { $_->[0] } @answers), '200 200 200 429',
   'four at once: one is refused');

my @good = grep { $_->[0] == 200 } @answers;

late($good[$_], $_, "four at once, number $_") for 0 .. 2;

my ($refused) = grep { $_->[0] == 429 } @answers;

ok($refused && $refused->[2] < $good[2][2],
   'four at once: the one that is refused does not wait');
is(lines('logs/backend.log', qr/^k1 200/), 3,
   'four at once: the backend has seen three');
comes('logs/limits.log', qr/^k1 200 delayed/, 2, 'four at once: two delayed');

# no debt with delay=0

@answers = answers(time(), 1, map { client(request('/none', 'k2')) } 1 .. 2);
is(join(' ', sort map { $_->[0] } @answers), '200 429',
   'delay=0: one is refused');

# two zones that both delay: it counts once

for my $uri ('/both', '/phases') {
    $start = time();
    @answers = answers($start, 1,
                       map { client(request($uri, "k3$uri")) } 1 .. 2);

    late($answers[0], 0, "$uri, the first", 1.4);
    late($answers[1], 1.5, "$uri, the second", 2.9);
}

# costs: a debt of two tokens is there for one request of two

@answers = answers(time(), 1, client(request('/cost', 'k4')));
is($answers[0][0], 200, 'cost=2, within the burst: served');

my $waiting = client(request('/cost', 'k4'));

comes('logs/error.log', qr/delays the request: zone "minute", 1[12]\d{4} ms/,
      1, 'cost=2, within the delay: it waits for two tokens');

@answers = answers(time(), 1, client(request('/minute', 'k4')));
is($answers[0][0], 429, 'one token more: refused');

# a client that does not wait

close $waiting;

comes('logs/limits.log', qr/^k4 499 delayed/, 1,
      'a client hangs up: the request is gone at once');
is(lines('logs/backend.log', qr/^k4 200/), 1,
   'a client hangs up: the backend has seen the first only');

# a client that only shuts down its side of the connection

answers(time(), 1, client(request('/cost', 'k5')));
$waiting = client(request('/cost', 'k5'));
comes('logs/error.log', qr/delays the request: zone "minute", 1[12]\d{4} ms/,
      2, 'the next one waits');
shutdown $waiting, 1;
comes('logs/limits.log', qr/^k5 499 delayed/, 1,
      'a client shuts down its side: the request is gone');
close $waiting;

# the level of a delay is milder than a refusal's

answers(time(), 1, client(request('/minute', 'k6'))) for 1 .. 2;
$waiting = client(request('/minute', 'k6'));
comes('logs/error.log',
      qr/\[warn\] .*delays the request: zone "minute", \d+ ms/, 1,
      'gateway_limit_log_level error: a delay is a warning');
close $waiting;
comes('logs/limits.log', qr/^k6 499 delayed/, 1, 'that one is gone as well');

# many that hang up

answers(time(), 1, client(request('/cost', "m$_"))) for 1 .. 30;

my @waiting = map { client(request('/cost', "m$_")) } 1 .. 30;

comes('logs/error.log', qr/delays the request: zone "minute", 1[12]\d{4} ms/,
      32, 'thirty wait');
close $_ for @waiting;
comes('logs/limits.log', qr/^m\d+ 499 delayed/, 30,
      'thirty hang up: all are gone');

# pipelined: in order, and the connection goes on

$start = time();
my $socket = client(request('/second', 'k7') x 3 . request('/free', 'k7'));
@answers = answers($start, 4, $socket);

is(join(' ', map { $_->[0] } @answers), '200 200 200 200',
   'pipelined: all are served');
late($answers[1], 1, 'pipelined, the second');
late($answers[2], 2, 'pipelined, the third');

# keepalive after a delay

print $socket request('/free', 'k7');
@answers = answers(time(), 1, $socket);
is($answers[0] && $answers[0][1], "backend\n", 'keepalive: it goes on');
close $socket;

# bodies, which come while the request waits

answers(time(), 1, client(request('/echo', 'k8')));

$start = time();
$socket = client("POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Key: k8\r\n"
                 . "Content-Length: 10\r\n\r\n01234");
sleep 0.2;
print $socket '56789';
@answers = answers($start, 1, $socket);

late($answers[0], 0.1, 'a body in two parts');
is($answers[0] && $answers[0][1], "body 0123456789\n",
   'a body in two parts: the backend gets it');

# a reload while it waits

answers(time(), 1, client(request('/second', 'k9')));
$start = time();
$socket = client(request('/second', 'k9'));
ok($nginx->reload(), 'a reload while it waits');
@answers = answers($start, 1, $socket);
late($answers[0], 0.1, 'a reload while it waits');

# HTTP/2

my $http2 = NgxGatewayHTTP2->new($nginx->port());
my @ids = $http2->send(([ GET => '/second', 'x-key' => 'k10' ]) x 4);

@answers = sort { ($a->{time} // 99) <=> ($b->{time} // 99) }
           $http2->answers(@ids);

is(join(' ', sort map { $_->{code} } @answers), '200 200 200 429',
   'HTTP/2: one of four streams is refused');

@good = map { [ $_->{code}, '', $_->{time} ] }
        grep { $_->{code} eq '200' } @answers;

late($good[$_], $_, "HTTP/2, stream $_") for 0 .. 2;

# streams that are reset, and a connection that ends, while they wait

for my $way ('reset', 'close') {
    my $key = "h2$way";

    $http2 = NgxGatewayHTTP2->new($nginx->port());
    $http2->answers($http2->send([ GET => '/cost', 'x-key' => $key ]));

    my ($id) = $http2->send([ GET => '/cost', 'x-key' => $key ]);
    my ($other) = $http2->answers($http2->send([ GET => '/minute',
                                                 'x-key' => $key ]));

    is($other->{code}, 429, "HTTP/2, $way: one waits, one is refused");

    $way eq 'reset' ? $http2->reset($id) : $http2->close();

    comes('logs/limits.log', qr/^$key 499 delayed/, 1,
          "HTTP/2, $way: the request is gone");

    if ($way eq 'reset') {
        my ($answer) = $http2->answers($http2->send([ GET => '/free' ]));
        is($answer->{code}, 200, 'HTTP/2, reset: the connection goes on');
    }
}

# No timer is left that would keep a worker from its end.

$start = time();
kill 'QUIT', $nginx->{pid};
sleep 0.05 while $nginx->alive() && time() - $start < 20;
ok(!$nginx->alive(), 'it exits');
cmp_ok(time() - $start, '<', 10, 'it exits without waiting for anybody');

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]/,
       'no alert in the log');

done_testing();
