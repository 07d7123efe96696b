#!/usr/bin/perl

# The bytes of guarded tunnels and how tunnels end: nothing is lost, changed or
# reordered, whoever is slow; a Close of the gateway stands between two frames;
# peers that die, leave, are half closed, or never close; with and without TLS.

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw( sha1_hex );
use IO::Socket::SSL ();
use NgxGatewayJWT ();
use NgxGatewaySystem qw( attempts );
use NgxGatewayWebSocket;
use NgxGatewayWebSocketGuard;
use Test::More;
use Time::HiRes qw( sleep time );

my $slack = 5;
my $tls_port = NgxGatewayNginx::free_port();
my $https_port = NgxGatewayNginx::free_port();

# Before and behind the gateway, another server of the same nginx has the TLS
# of clients and that of the service.

my $gate = NgxGatewayWebSocketGuard->new(
    http => <<"_EOC_",
    gateway_websocket_ping off;
    proxy_ssl_session_reuse off;
    ssl_certificate %DIR%/tls.crt;
    ssl_certificate_key %DIR%/tls.key;

    server {
        listen 127.0.0.1:$tls_port ssl;

        location / {
            gateway_websocket_guard on;
            gateway_websocket_max_message 100m;
            proxy_buffer_size 1k;
%PROXY%        }

        location /both/ {
            gateway_websocket_guard on;
            gateway_websocket_max_message 100m;
            proxy_buffer_size 1k;
%PROXY%            proxy_pass https://127.0.0.1:$https_port;
        }
    }

    server {
        listen 127.0.0.1:$https_port ssl;

        location / {
%PROXY%        }
    }
_EOC_
    locations => {
        tiny => 'gateway_websocket_max_message 100m; proxy_buffer_size 256;',
        small => 'gateway_websocket_max_message 100;',
        oneway => 'gateway_websocket_max_message 3m; '
                  . 'gateway_websocket_max_frame 3m;',
        one => 'gateway_websocket_limit 1r/h;',
        age => 'gateway_websocket_max_age 300ms; '
               . 'gateway_websocket_max_message 100m;',
        behind => "gateway_websocket_max_message 100m; proxy_buffer_size 1k; "
                  . "proxy_pass https://127.0.0.1:$https_port;",
    },
    scripts => {
        '/both/random' => \&random, '/tiny/random' => \&random,
        '/behind/random' => \&random, '/random' => \&random,
        '/g/badtext' => \&bad_text,
        '/oneway/count' => \&count,
        '/tiny/pieces' => \&chunks,
        '/small/middle' => \&middle, '/one/middle' => \&middle,
        '/age/middle' => \&middle, '/g/middle' => \&middle,
    },
    start => 0,
);

# "proxy_pass" stands twice otherwise

$gate->nginx()->{server}
    =~ s/(proxy_pass https[^;]*;)(.*?)proxy_pass http:[^;]*;/$1$2/gs;
$gate->nginx()->{http} =~ s/proxy_pass http:[^;]*;([^{}]*proxy_pass https)/$1/g;

my ($crt, $key) = certificate();

$gate->nginx()->write_file('tls.crt', $crt);
$gate->nginx()->write_file('tls.key', $key);
$gate->nginx()->start();

sub certificate {
    my $dir = $gate->nginx()->path('');

    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
           . "/CN=localhost -keyout $dir/new.key -out $dir/new.crt "
           . '> /dev/null 2>&1') == 0
        or die "openssl failed\n";

    return map { $gate->nginx()->read_file("new.$_") } qw( crt key );
}


# Counts bytes until the end of a message.

sub count {
    my ($c) = @_;

    my ($n, $last) = (0, '');

    $c->handshake();
    $c->{in} = '' if ($n = length $c->{in});

    while ($last !~ /\x80\x81abcd.\z/s) {
        my $part = '';

        $c->{select}->can_read(20) or last;
        sysread $c->socket(), $part, 65536 or last;
        $n += length $part;
        $last = substr $last . $part, -7;
    }

    $c->send_text("$n");
    $c->drain(2);

    return;
}


# Frames that are as different as can be, always the same for a seed.

sub frames {
    my ($seed, $total, $mask) = @_;

    my ($bytes, $open) = ('', 0);
    my $text = join '', map { chr(33 + $_ % 90) } 0 .. 9999;
    my $state = $seed;
    my $next = sub {
        $state = ($state * 1103515245 + 12345) & 0x7fffffff;
        return $state >> 8;
    };

    while (length $bytes < $total) {
        my $kind = $next->() % 10;
        my $size = (0, 1, 5, 125, 126, 300, 1000, 5000, 65535, 70000)
                   [ $next->() % 10 ];
        my $fin = $next->() % 3 ? 1 : 0;
        my $opcode = $open ? 'cont' : $kind % 2 ? 'text' : 'binary';

        if ($kind == 9) {
            ($opcode, $size, $fin) = ('pong', $size % 126, 1);

        } else {
            $open = !$fin;
        }

        my $from = $next->() % 10000;

        $bytes .= ws_frame($opcode, substr($text x 9, $from, $size),
                           fin => $fin, $mask ? (mask => 'mask') : ());
    }

    $bytes .= ws_frame('cont', '', $mask ? (mask => 'mask') : ()) if $open;

    return $bytes;
}

# A service that sends such frames and takes those of the client at once.

sub random {
    my ($c) = @_;

    my $total = $c->arg('total', 2_000_000);
    my $want = length frames(2, $total, 1);
    my $out = frames(1, $total, 0);
    my ($in, $at) = ('', 0);

    $c->handshake();
    $in = $c->read_raw(length $c->{in}, 0) if length $c->{in};

    my $end = time + 30;

    while (length $in < $want || $at < length $out) {
        my ($r, $w) = IO::Select->select($c->{select},
                                         $at < length $out ? $c->{select}
                                                           : undef,
                                         undef, 1);

        die "too long\n" if time > $end;

        if ($w && @$w) {
            my $n = syswrite $c->socket(), $out, 7000, $at;

            $at += $n if $n;
        }

        if ($r && @$r) {
            my $n = sysread $c->socket(), $in, 9000, length $in;

            last if defined $n && !$n;
        }
    }

    # the Close of the client may have come with the last bytes

    $in = substr $in, 0, $want;
    $c->note(sha1_hex($in) . ' ' . length $in);
    $c->send_raw(ws_frame('close', ws_close(1000)));
    $c->drain(2);

    return;
}

sub both_ways {
    my ($name, $uri, %o) = @_;

    my $total = $o{total} // 2_000_000;

    $uri .= "?total=$total";

    my $ws = $gate->open($uri, %o);
    my $out = frames(2, $total, 1);
    my $want = frames(1, $total, 0);
    my ($in, $at) = ($ws->read_raw(length $ws->{in}, 0), 0);
    my $end = time + 30;

    while ((length $in < length $want || $at < length $out) && time < $end) {
        my $pending = $o{tls} ? $ws->socket()->pending() : 0;
        my ($r, $w) = IO::Select->select($ws->{select},
                                         $at < length $out ? $ws->{select}
                                                           : undef,
                                         undef, $pending ? 0 : 1);

        if ($w && @$w) {
            my $n = syswrite $ws->socket(), $out, 6000, $at;

            $at += $n if $n;
        }

        if ($pending || $r && @$r) {
            my $n = sysread $ws->socket(), $in, 8000, length $in;

            last if defined $n && !$n;
        }
    }

    my $got = substr $in, 0, length $want;

    ok($got eq $want, "$name: bytes of the service")
        or diag(length($in) . ' of ' . length $want);

    $ws->{in} = substr $in, length $got;
    $ws->send_close(1000);

    my $close = $ws->read_close();

    is($close->{code} . $close->{end}, '1000eof', "$name: and its Close");
    $ws->disconnect();

    my ($note) = @{ $gate->ended($o{path} // $uri)->{notes} };

    is($note, sha1_hex($out) . ' ' . length $out, "$name: bytes of the client");

    return;
}

both_ways('a buffer of 256 bytes, both ways at once', '/tiny/random');
both_ways('TLS to the client', '/random', port => $tls_port, tls => 1);
both_ways('TLS to the service', '/behind/random');
both_ways('TLS to both', '/both/random', port => $tls_port, tls => 1);


# Frames in pieces of all sizes

sub pieces {
    return ws_frame('text', "h\xc3\xa4llo") . ws_frame('ping', 'y' x 125)
           . ws_frame('binary', 'x' x 126, fin => 0)
           . ws_frame('pong', '') . ws_frame('cont', 'z' x 200, fin => 0)
           . ws_frame('cont', '') . ws_frame('text', '');
}

sub chunks {
    my ($c) = @_;

    $c->handshake();
    $c->send_raw(pieces(), step => $c->arg('step'), pause => 0.0003);
    $c->send_raw(ws_frame('close', ws_close(1000)));
    $c->drain(2);

    return;
}

for my $step (1, 2, 3, 7, 131) {
    my $want = pieces();
    my $ws = $gate->open("/tiny/pieces?step=$step");

    ok($ws->read_raw(length $want) eq $want,
       "the service's frames in pieces of $step bytes");
    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, 'and its Close');

    my $mine = ws_frame('text', "h\xc3\xa4llo", mask => 'abcd')
               . ws_frame('binary', 'x' x 126, mask => 'abcd', fin => 0)
               . ws_frame('ping', 'y' x 125, mask => 'abcd')
               . ws_frame('cont', '', mask => 'abcd');

    $ws = $gate->open("/tiny/echo?$step");
    $ws->send_raw($mine, step => $step, pause => 0.0003);
    is($ws->read_text() . $ws->read_text(), "h\xc3\xa4llo" . 'x' x 126,
       "the client's frames in pieces of $step bytes");
    is($ws->{control}[0]{payload}, 'y' x 125, 'and its ping');
}


# Slow readers get everything: of the service's frames, and of the client's

sub slow_client {
    my ($name, $uri, %o) = @_;

    my $ws = $gate->open("$uri?size=6000000&frames=3&then=close",
                         rcvbuf => 8192, %o);

    sleep 0.3;
    $ws->{chunk} = 5000;

    # half of it slowly

    for (1 .. 50) {
        $ws->_fill(time + 1);
        sleep 0.002;
    }

    $ws->{chunk} = 65536;

    my $message = $ws->read_message(20);

    ok($message && $message->{payload} eq 'x' x 6_000_000,
       "$name: a client that reads slowly")
        or diag($ws->end() . ' ' . length $ws->{in});
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'and the Close');

    return;
}

slow_client('plain', '/tiny/huge');
slow_client('TLS', '/huge', port => $tls_port, tls => 1);
slow_client('TLS behind', '/behind/huge');
slow_client('TLS before and behind', '/both/huge', port => $tls_port,
            tls => 1);

{
    my $ws = $gate->open('/tiny/slow?size=65536&pause=0.002', greedy => 0,
                         timeout => 20);
    my $text = join '', map { chr(97 + $_ % 26) } 0 .. 99_999;

    $ws->send_text($text x 40);
    $ws->send_ping('done');

    my $frame = $ws->read_frame();

    is($frame ? $frame->{opcode} : 'none', 10,
       'a service that reads slowly answers in the end');

    my $service = $gate->service('/tiny/slow?size=65536&pause=0.002');

    ok($service->{messages}[0]{payload} eq $text x 40, 'and has everything');
}

{
    my $ws = $gate->open('/behind/slow?size=65536&pause=0.002', greedy => 0,
                         timeout => 20);

    $ws->send_text('abc' x 1_000_000);
    $ws->send_ping('done');

    my $frame = $ws->read_frame();

    is($frame ? $frame->{opcode} : 'none', 10,
       'a service behind TLS that reads slowly answers in the end');
    ok($gate->service('/behind/slow?size=65536&pause=0.002')
            ->{messages}[0]{payload} eq 'abc' x 1_000_000,
       'and has everything');
}


# A Close of the gateway stands between two frames: one side breaks a rule while
# a large frame goes to it.

sub middle {
    my ($c) = @_;

    my $frame = ws_frame('text', 'x' x ($c->arg('size', 99)));

    $c->handshake();
    $c->send_raw(substr $frame, 0, 50);

    my $first = $c->read_frame(5);

    sleep 0.1;
    $c->send_raw(substr($frame, 50) . ws_frame('text', 'after'));

    while (my $got = $first // $c->read_frame(3)) {
        $first = undef;
        next if $got->{opcode} != 8;
        $c->note(unpack('n', $got->{payload}));
        $c->send_frame('close', $got->{payload});
    }

    return;
}

for my $row ([ '/small/middle', 'a' x 101, 1009 ],
             [ '/small/middle?bad', "\xff", 1007 ],
             [ '/g/middle', undef, 1002 ])
{
    my ($uri, $text, $code) = @$row;
    my $ws = $gate->open($uri);

    like($ws->read_raw(50) . $ws->read_raw(2, 0.1), qr/\A\x81\x63x{48}\z/,
         "$code in the middle of a frame: its beginning");
    $ws->{in} = "\x81\x63" . 'x' x 48;
    $ws->send_raw(defined $text ? $ws->frame('text', $text)
                                : $ws->frame(3, ''));

    my $close = $ws->read_close(undef, answer => 1);

    is(show($close), "1:" . 'x' x 99 . " closes $code",
       'all of that frame, then the Close');
    $ws->disconnect();
    is(join(' ', @{ $gate->ended($uri)->{notes} }), "$code",
       'and the service is told');
}

sub show {
    my ($close) = @_;

    return join ' ', map({ "$_->{opcode}:$_->{payload}" }
                         @{ $close->{frames} }),
                     'closes', $close->{code} // 'none';
}

{
    # max_age ends it while the service has half a frame of the client: the
    # Close comes after the end of this one

    my ($close, $frames);

    attempts(sub {
        my $uri = "/age/silent?middle$_[0]";
        my $ws = $gate->open($uri);
        my $frame = $ws->frame('text', 'y' x 100);

        $ws->send_raw(substr $frame, 0, 60);
        sleep 0.45;
        $ws->send_raw(substr($frame, 60) . $ws->frame('text', 'after'));
        $close = $ws->read_close(undef, answer => 1);
        $ws->disconnect();
        $frames = ($gate->ended($uri) // {})->{frames} // [];

        return @$frames > 1;
    });

    is($close->{code}, 1001, 'max_age in the middle of a frame of the client');
    is(join(' ', map { $_->{opcode} == 8 ? '8:' . unpack 'n', $_->{payload}
                                         : "$_->{opcode}:$_->{payload}" }
                 @$frames), '1:' . 'y' x 100 . ' 8:1001',
       'the service has all of that frame, then the Close, nothing after');
}

{
    my $close;

    attempts(sub {
        my $ws = $gate->open("/age/middle?size=1000&n=$_[0]");

        sleep 0.4;
        $ws->send_text('a');
        $close = $ws->read_close(undef, answer => 1);

        return @{ $close->{frames} };
    });

    is(show($close), '1:' . 'x' x 1000 . ' closes 1001',
       'max_age in the middle of a frame of the service');
}


# Who closes: the first Close stays, and nothing comes after it

sub logged {
    my ($ws, $uri, $want, $name) = @_;

    $ws->disconnect();

    my $log = $gate->log($uri);

    return is(join(' ', @$log{qw( status close by in out )}), $want,
              "$name: in the log");
}

{
    my $uri = '/g/echo?closes';
    my $ws = $gate->open($uri);

    $ws->send_text($_) for 'a', 'b';
    $ws->read_text() for 1, 2;
    $ws->send_raw($ws->frame('close', ws_close(4001, 'mine'))
                  . $ws->frame('text', 'after'));

    my $close = $ws->read_close();

    is("$close->{code} $close->{reason} $close->{closes} $close->{end}",
       '4001 mine 1 eof', 'the client closes, the service answers');
    logged($ws, $uri, '101 4001 client 2 2', 'the client closes');

    my $service = $gate->ended($uri);

    is(join(' ', map { $_->{opcode} } @{ $service->{frames} }), '1 1 8',
       'what comes after it is not passed on');
}

{
    my $uri = '/g/close?code=4002&reason=theirs';
    my $ws = $gate->open($uri);
    my $close = $ws->read_close(undef, answer => 1);

    is("$close->{code} $close->{reason} $close->{closes} $close->{end}",
       '4002 theirs 1 eof', 'the service closes');
    logged($ws, $uri, '101 4002 upstream 0 0', 'the service closes');
    is($gate->ended($uri)->{frames}[0]{payload}, pack('n', 4002) . 'theirs',
       'and is answered');
}

{
    my $uri = '/g/close?none=1';
    my $ws = $gate->open($uri);
    my $close = $ws->read_close(undef, answer => 1);

    is("$close->{code} $close->{end}", '1005 eof', 'a Close without a code');
    logged($ws, $uri, '101 1005 upstream 0 0', 'a Close without a code');
}

{
    # a Close and TCP's end at once

    my $uri = '/g/echo?both';
    my $ws = $gate->open($uri);

    $ws->send_raw($ws->frame('text', 'last') . $ws->frame('close', ''));
    $ws->shutdown();

    my $service = $gate->ended($uri);

    is(join(' ', map { $_->{opcode} } @{ $service->{frames} }), '1 8',
       'a Close and the end of TCP at once: all arrives');
    logged($ws, $uri, '101 1005 client 1 ' . $gate->log($uri)->{out},
           'a Close and the end of TCP');
}

{
    my $uri = '/g/messages?n=3&text=x&then=eof';
    my $ws = $gate->open($uri);
    my $close = $ws->read_close();

    is(show($close), '1:x 1:x 1:x closes none',
       'a service that closes TCP without a Close: all arrives');
    is($close->{end}, 'eof', 'and the end');
    logged($ws, $uri, '101 1006 upstream 0 3', 'no Close');
}

{
    my $uri = '/g/silent?leaves';
    my $ws = $gate->open($uri);

    $ws->send_text('x');
    $ws->disconnect();

    my $service = $gate->ended($uri);

    is($service->{messages}[0]{payload}, 'x',
       'a client that leaves without a Close: all arrives');
    is($service->{end}, 'eof', 'and the end');
    logged($ws, $uri, '101 1006 client 1 0', 'no Close');
}

# Half closed: what the other side still says has nowhere to go, as in nginx's
# own tunnel

{
    my $uri = '/g/half';
    my $ws = $gate->open($uri);

    is($ws->read_close(3)->{end}, 'eof', 'a service that is half closed');
    $ws->disconnect();
    ok($gate->ended($uri), 'is closed');

    $uri = '/g/deaf?half';
    $ws = $gate->open($uri);
    $ws->send_text('last');
    $ws->shutdown();
    is($ws->read_close(3)->{end}, 'eof', 'a client that is half closed');
    is($gate->ended($uri)->{messages}[0]{payload}, 'last',
       'what it had said arrives');
}

# Peers that die

# What has come before a reset is lost where the gateway has not read it yet.

for my $row ([ '/g/die?how=eof', 'eof' ], [ '/g/die?how=reset', 'reset' ]) {
    my ($path, $name) = @$row;
    my ($uri, $ws, $close);

    attempts(sub {
        $uri = "$path&n=$_[0]";
        $ws = $gate->open($uri);
        $close = $ws->read_close();
        $ws->disconnect();

        return $gate->log($uri)->{out} eq '1';
    });

    is($close->{code}, undef,
       "a service that dies in the middle of a frame ($name): no Close in it");
    like($close->{end}, qr/eof|reset/, 'the end of the connection');
    logged($ws, $uri, '101 1006 upstream 0 1', $name);
}

{
    my $uri = '/g/silent?dies';
    my $ws = $gate->open($uri);

    # what has come with a ping that is answered has been read, too

    $ws->send_raw($ws->frame('ping', 'p')
                  . substr $ws->frame('text', 'x' x 100), 0, 50);
    is($ws->read_frame()->{opcode}, 10, 'half a frame has come');
    $ws->abort();

    my $service = $gate->ended($uri);

    is($service ? join ' ', map { $_->{opcode} } @{ $service->{frames} }
                : 'open', 9, 'a client that resets in the middle of a frame');
    logged($ws, $uri, '101 1006 client 1 0', 'a client that resets');
}

{
    # while the service sends all it can

    my $uri = '/tiny/huge?size=30000000';
    my $ws = $gate->open($uri);

    $ws->read_raw(100_000);
    $ws->abort();
    ok($gate->ended($uri), 'a client that resets while it is sent to');
    logged($ws, $uri, '101 1006 client 0 1', 'a client that resets');
}

{
    my $uri = '/tiny/stall?gone';
    my $ws = $gate->open($uri);

    $ws->{timeout} = 0.3;
    $ws->send_text('x' x 20_000_000);

    my ($pid) = $gate->service($uri)->{pid};

    kill 'KILL', $pid;
    like($ws->read_close(3)->{end}, qr/eof|reset/,
       'a service that dies while it is sent to');
    logged($ws, $uri, '101 1006 upstream 1 0', 'a service that dies');
}

# What is wrong in a frame that has gone to the client in part: there is no
# place for a Close, and nobody to wait for when the service has answered

sub bad_text {
    my ($c) = @_;

    $c->handshake();
    $c->send_raw("\x81\x05ab");
    sleep 0.1;
    $c->send_raw("\xff\xff\xff");
    $c->read_frame(5);
    $c->send_close(1007);
    $c->drain(5);

    return;
}

{
    my ($ws, $close);

    attempts(sub {
        $ws->disconnect() if $ws;
        $ws = $gate->open('/g/badtext');
        $close = $ws->read_close(5);

        return $close->{time} < 1.5 && length $close->{rest};
    });

    is($close->{rest} . ' ' . ($close->{code} // 'none') . ' '
       . $close->{end}, "\x81\x05ab none eof",
       'bad text in a frame that has gone in part');
    cmp_ok($close->{time}, '<', 1.5, 'is the end at once');
    logged($ws, '/g/badtext', '101 1007 gateway 0 1', 'bad text');
}

# Who goes on sending reads the Close all the same

{
    my $ws = $gate->open('/g/echo?goes-on', greedy => 0);

    $ws->send_raw($ws->frame(3, '') . 'x' x 3_000_000);

    my $close = $ws->read_close();

    is(($close->{code} // 'none') . $close->{end}, '1002eof',
       'a client that goes on sending reads the Close');
}

# Peers that do not close

{
    my ($uri, $twice);

    attempts(sub {
        my $end = time + 0.25;

        $uri = "/age/deaf?twice$_[0]";
        $twice = $gate->open($uri);
        $twice->send_close(4000);
        $twice->send_text('after');

        return $gate->nginx()->wait(sub {
            my $service = $gate->service($uri);

            return $service && @{ $service->{frames} // [] };
        }, 5) && time < $end;
    });

    my %start = map { $_ => time } qw( client service );
    my $client = $gate->open('/small/silent?never');

    my $service = $gate->open('/small/deaf?never');

    $client->send_text('x' x 101);
    $service->send_text('x' x 101);

    # one that answers, but does not close TCP, is closed at once

    my $close = $client->read_close();

    is("$close->{code} $close->{end}", '1009 eof',
       'a client that does not answer a Close');
    cmp_ok(time - $start{client}, '<', 2 + $slack, 'is closed');

    $close = $service->read_close();
    is("$close->{code} $close->{end}", '1009 eof',
       'a service that does not answer a Close');
    cmp_ok(time - $start{service}, '<', 2 + $slack, 'the end after 2 s');
    cmp_ok(time - $start{service}, '>', 1.8, 'not before');

    my $seen = $gate->ended('/small/deaf?never');

    is($seen ? $seen->{end} : 'open', 'eof', 'it is closed as well');

    # one Close of each side, and no more of the gateway's own

    $close = $twice->read_close();
    $seen = $gate->ended($uri);

    is(join(' ', map { $_->{opcode} } @{ $seen->{frames} }), '8',
       'a service that was sent the Close of the client gets no second one');
    is($close->{code}, 1001, 'the client is told why it ends');
    logged($twice, $uri, '101 4000 client 0 0',
           'the first Close');
}


# Floods

{
    my $ws = $gate->open('/g/pings?n=20000&then=close', timeout => 20);

    is($ws->read_message(), undef, 'a flood of pings of the service');
    is(scalar @{ $ws->{control} }, 20000, 'all arrive');
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'until its end');

    my $n = 0;

    $ws = $gate->open('/g/echo?flood', timeout => 20);
    $ws->send_raw(join '', map { $ws->frame('ping', "p$_", mask => 'abcd') }
                                1 .. 20000);
    $n++ while $n < 20000 && $ws->read_frame()->{opcode} == 10;
    is($n, 20000, 'a flood of pings of the client');
}

{
    # A million fragments of one byte: in each direction a frame takes no memory

    my $n = 1_000_000;
    my $before = $gate->memory();
    my $ws = $gate->open("/oneway/fragments?n=$n&then=close", timeout => 60);
    my $bytes = 3 * $n;
    my $got = 0;
    my $bad = 0;

    while ($got < $bytes) {
        my $part = $ws->read_raw($bytes - $got > 300_000 ? 300_000
                                                         : $bytes - $got);

        last if $part eq '';
        $bad++ if $part =~ /[^\x00\x01\x80x]/;
        $got += length $part;
    }

    is($got, $bytes, 'a million fragments of the service');

    my $close = $ws->read_close(undef, answer => 1);

    is($close->{code} . $bad, '10000', 'and its Close');

    # and of the client, which gets each of them back

    $ws = $gate->open('/oneway/count', timeout => 60);
    $ws->send_raw(ws_frame('text', 'x', fin => 0, mask => 'abcd')
                  . ws_frame('cont', 'y', fin => 0, mask => 'abcd') x ($n - 2)
                  . ws_frame('cont', 'z', mask => 'abcd'));
    is($ws->read_text(), 7 * $n, 'a million fragments of the client');

    SKIP: {
        skip 'the memory of a sanitizer', 1 if $gate->sanitized();
        cmp_ok($gate->memory() - $before, '<', 1000, 'in constant memory');
    }
}

$gate->finish();

done_testing();
