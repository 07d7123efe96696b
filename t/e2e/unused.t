#!/usr/bin/perl

# All modules loaded, and none of their directives used: nginx answers as it
# does without them.  Two of them, one bare, have the same configuration and
# get the same bytes, good requests and bad ones, and what they send, log and
# count is compared byte by byte; all that may differ is ports, times, and
# numbers of processes and connections.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use E2E;
use E2EClient;
use E2EWebSocket qw( certificate );
use E2EWhole;
use Compress::Zlib ();
use IO::Socket::INET ();
use MIME::Base64 qw( encode_base64 );
use NgxGatewayBackend;
use NgxGatewaySystem qw( children );
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes ();

E2E::need('curl', 'curl');

if (E2E::modules() eq '') {
    plan skip_all => 'this nginx has the modules built in: there is none '
                     . 'without them';
}

my $dir = E2E::dir();
my ($certificate, $key) = certificate();

files();

my $backend = NgxGatewayBackend->new(backend());
my ($echo_port) = E2EWhole::free_ports(1);
my $echo = E2EWhole::Program->echo($echo_port);

# [ name, plain port, TLS port, port of HTTP/2 without TLS, nginx ]

my @sides = map { side($_) } 'bare', 'loaded';

my $requests = 0;

is_deeply([ map { mapped($_) } @sides ],
          [ '', join ' ', sort map { /(\w+)\.so\b/g } loads() ],
          'one of them has all modules, the other has none');


# Requests, each on a connection of its own, which nginx closes; the few that
# are on one are for keep-alive and pipelining.

for my $request (requests()) {
    my ($name, $bytes) = @$request;

    same($name, map { exchange($_->{port}, $bytes) } @sides);
}

for my $request (curls()) {
    my ($name, $port, @options) = @$request;

    same($name, map {
        my $at = $_->{$port};
        E2E::output('curl', qw( -sS -i -k -m 10 ), '--resolve',
                    "localhost:$at:127.0.0.1", map { s/PORT/$at/r } @options);
    } @sides);
}

same('a WebSocket that is proxied', map { socket_of($_) } @sides);
same('the same, and the service refuses', map {
    NgxGatewayWebSocket->new($_->{port}, uri => '/refused')->head
} @sides);

# A connection that lingers is counted for a moment.

same('requests and connections that were counted', settled(sub {
    return map { exchange($_->{port}, get('/status')) } @sides;
}));


# A reload, after which all is as before; workers that have not done anything
# yet have the same open.  They have a channel to each process of the old ones
# that is not gone yet, and hear of its end from the master.

my @old = map { children($_->{nginx}->pid) } @sides;

$_->{nginx}->reload for @sides;

ok(E2E::wait_for(20, sub { !grep { kill 0, $_ } @old }),
   'no process is left of those before the reload');

same('files that a worker has open', settled(sub {
    return map {
        my ($worker) = $_->{nginx}->workers;
        join "\n", sort map { (readlink // '') =~ s/\[\d+\]/[N]/gr }
                   glob "/proc/$worker/fd/*"
    } @sides;
}));

same('after a reload', map { exchange($_->{port}, get('/')) } @sides);

$_->{nginx}->stop for @sides;

cmp_ok($requests, '>', 150, "$requests answers were compared");

# In whatever order: a line may be written when the next request has been
# answered.

for my $log ('access.log', 'error.log') {
    my ($bare, $loaded) = map { logged($_, $log) } @sides;

    my %both = map { $_ => 0 } @$bare, @$loaded;

    $both{$_}++ for @$loaded;
    $both{$_}-- for @$bare;

    cmp_ok(scalar @$bare, '>', 50, "there are lines of $log");
    is(join("\n", map { "$both{$_}: " . substr $_, 0, 300 }
                  grep { $both{$_} } sort keys %both), '',
       "$log is the same");
}

$_->{nginx}->clean_log("nothing wrong with $_->{name}") for @sides;

done_testing();


# The modules that a worker has in its memory, and those there are.

sub mapped {
    my ($side) = @_;

    my ($worker) = $side->{nginx}->workers;
    my %modules = map { $_ => 1 }
                  E2E::slurp("/proc/$worker/maps")
                  =~ m{/(ngx_http_gateway_\w+)\.so$}mg;

    return join ' ', sort keys %modules;
}


sub loads {
    return map { /^include (.*);/ ? E2E::slurp($1) : $_ }
           split /\n/, E2E::modules();
}


# What is asked of both, when it has become the same, or does not for a while.

sub settled {
    my ($ask) = @_;

    my @answers;

    E2E::wait_for(5, sub {
        @answers = $ask->();
        return normal($answers[0]) eq normal($answers[1]);
    });

    return @answers;
}


sub same {
    my ($name, $bare, $loaded) = @_;

    $requests++;

    if ($bare eq '') {
        fail("$name: there is no answer at all");
        return;
    }

    my ($one, $other) = map { normal($_) } $bare, $loaded;

    return pass($name) if $one eq $other;

    fail($name);
    diag("bare:\n" . substr($one, 0, 2000) . "\n\nloaded:\n"
         . substr($other, 0, 2000));

    return;
}


sub normal {
    my ($text) = @_;

    for my $side (@sides) {
        $text =~ s/\b$side->{$_}\b/\U$_/g for qw( port tls h2 );
        $text =~ s/\Q$side->{nginx}{prefix}\E/PREFIX/g;
    }

    $text =~ s/^(date|expires): .*$/$1: DATE/gmi;

    return $text;
}


sub logged {
    my ($side, $log) = @_;

    my @lines = split /\n/, normal(E2E::slurp("$side->{nginx}{prefix}/$log"));

    # of the error log what is wrong with requests, and not when a client or
    # nginx noticed that the other one had left

    if ($log eq 'error.log') {
        @lines = map { s/^\S+ \S+ \[(\w+)\] \d+#\d+: \*\d+ /[$1] /r }
                 map { s/excess: [\d.]+/excess: N/r }
                 grep { /\*\d+ / && !/\[notice\]/
                        && (!/\[info\]/ || / client sent /) } @lines;
    }

    return \@lines;
}


sub side {
    my ($name) = @_;

    my ($port, $tls, $h2) = E2EWhole::free_ports(3);
    my %side = (name => $name, port => $port, tls => $tls, h2 => $h2);

    File::Path::make_path("$dir/$name/dav", "$dir/$name/cache");

    $side{nginx} = E2E->start(name => $name, port => $port,
                              bare => $name eq 'bare',
                              http => configuration(%side));

    return \%side;
}


# What comes back for these bytes until nginx closes the connection, or says
# nothing for a while.

sub exchange {
    my ($port, $bytes) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port)
        or return '';
    my $text = '';

    $socket->autoflush(1);

    # parts with a moment between them

    for my $part (ref $bytes ? @$bytes : $bytes) {
        Time::HiRes::sleep(0.005) if ref $bytes;
        print $socket $part;
    }

    local $SIG{ALRM} = sub { die "timeout\n" };

    eval {
        alarm 10;
        while (sysread $socket, $text, 65536, length $text) { }
        alarm 0;
        1;
    } or $text .= '(no end)';

    return $text eq '' ? '(closed)' : $text;
}


# The handshake, frames in both directions, and the end.

sub socket_of {
    my ($side) = @_;

    my $ws = NgxGatewayWebSocket->new($side->{port}, uri => '/echo',
                                      key => 'dGhlIHNhbXBsZSBub25jZQ==');
    my $text = $ws->head;

    for my $size (1, 200, 70_000) {
        $ws->send_text('x' x $size);
        $text .= ($ws->read_text(10) // '-') . "\n";
    }

    $ws->send_frame('cont', 'out of order');
    $ws->send_close(1000, 'bye');

    my $close = $ws->read_close(10);

    return $text . join ' ', map { $_ // '-' }
                             $close->{code}, $close->{reason}, $close->{end};
}


sub files {
    File::Path::make_path("$dir/html/dir/sub", "$dir/html/list",
                          "$dir/html/index");
    E2E::spew("$dir/html/index.html", "<p>index</p>\n" x 100);
    E2E::spew("$dir/html/index/index.html", "index\n");
    E2E::spew("$dir/html/file.txt", join '', map { "line $_\n" } 1 .. 5000);
    E2E::spew("$dir/html/empty.txt", '');
    E2E::spew("$dir/html/list/a & b.txt", 'a');
    E2E::spew("$dir/html/list/\xc3\xa9.txt", 'e');
    E2E::spew("$dir/html/page.shtml", '<!--#include virtual="/proxy/a" -->-'
              . '<!--#include virtual="/file.txt" -->-'
              . '<!--#include virtual="/nowhere" -->-'
              . '<!--#include virtual="/late" wait="yes" -->-'
              . '<!--#echo var="uri" -->');
    E2E::spew("$dir/html/zipped.txt.gz", Compress::Zlib::memGzip('zipped'));
    E2E::spew("$dir/html/50x.html", "error page\n");
    E2E::spew("$dir/users", "user:{PLAIN}password\n");

    return;
}


sub get {
    my ($path, @headers) = @_;

    return "GET $path HTTP/1.1\r\nHost: test.example.com\r\n"
           . "Connection: close\r\n" . join('', map { "$_\r\n" } @headers)
           . "\r\n";
}


sub method {
    my ($method, $path, $body, @headers) = @_;

    return get($path, (defined $body ? 'Content-Length: ' . length $body : ()),
               @headers) =~ s/^GET/$method/r . ($body // '');
}


sub requests {
    my $host = "Host: test.example.com\r\n";
    my $close = "Connection: close\r\n\r\n";
    my $basic = 'Authorization: Basic ' . encode_base64('user:password', '');
    my @requests;

    my $add = sub { push @requests, [ @_ ] };

    $add->("GET $_", get($_)) for
        qw( / /index.html /file.txt /empty.txt /nowhere /dir /dir/ /list/
            /index /index/ /list/a%20%26%20b.txt /list/%C3%A9.txt
            //file.txt /./file.txt /dir/../file.txt /dir/%2e%2e/file.txt
            /file.txt?a=b&c=d /file.txt/ /file%2etxt /FILE.txt
            /zipped.txt /page.shtml /return/200 /return/204 /return/301
            /return/404 /return/503 /return/444 /rewrite/file.txt
            /redirect/a?b=c /permanent/a /tryfiles/none /tryfiles/file.txt
            /named /internal /accel /map?a=1 /map?a=xyz /split?k=abc /args?a=1
            /proxy/a /proxy/a?b=c&d=e%20f /proxy/a%2Fb /proxy/%C3%A9
            /variable/a /noslash/a /chunked /reset /cut /invalid /bighead
            /teapot /cookies /location /refresh /nobody /error /gone /dead
            /late /timeout /unbuffered /cached /cached /cached?other /sliced
            /intercepted /gzipped /gunzipped /auth/ok /auth/no /auth/error
            /basic /satisfy/no /denied /sub /added /mirrored /limited
            /limited /limited /conn /secure?md5=bad /status0 /empty
            /referer /geo /options /keepalive0 /etag /noetag /expires
            /charset /types.unknown /alias/file.txt /alias/ /regex/123/abc
            /regex/abc /case /CASE /nested/inner/a /nested/a
            /subrequest/file.txt /errorpage/404 /errorpage/410
            /recursive /problem);

    $add->("HEAD $_", method('HEAD', $_)) for
        qw( / /file.txt /nowhere /proxy/a /chunked /return/200 /gzipped
            /cached /dir /page.shtml /return/503 /dead );

    $add->("$_ /proxy/a", method($_, '/proxy/a', 'body=1')) for
        qw( POST PUT PATCH DELETE OPTIONS PROPFIND );

    $add->("$_ /file.txt", method($_, '/file.txt', '')) for
        qw( POST PUT DELETE OPTIONS TRACE CONNECT PATCH BREW get );

    # ranges and conditions

    $add->("Range: $_", get('/file.txt', "Range: $_")) for
        'bytes=0-9', 'bytes=-5', 'bytes=10-', 'bytes=0-0,5-6,-1',
        'bytes=100000-', 'bytes=9-1', 'bytes=a-b', 'lines=1-2', 'bytes=0-';
    $add->("proxied Range: $_", get('/cached', "Range: $_")) for
        'bytes=0-1', 'bytes=99-';
    $add->('If-Range', get('/file.txt', 'Range: bytes=0-3',
                           'If-Range: "other"'));
    $add->("If: $_", get('/file.txt', $_)) for
        'If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT',
        'If-Modified-Since: nonsense', 'If-None-Match: *',
        'If-None-Match: "x"', 'If-Match: "x"', 'If-Match: *',
        'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT';

    # encodings

    $add->("Accept-Encoding: $_", get('/gzipped', "Accept-Encoding: $_")) for
        'gzip', 'gzip;q=0', 'deflate, gzip;q=0.5', 'identity';
    $add->('gzip_static', get('/zipped.txt', 'Accept-Encoding: gzip'));
    $add->('gunzip', get('/gunzipped', 'Accept-Encoding: gzip'));
    $add->('compressed and a range', get('/gzipped', 'Accept-Encoding: gzip',
                                         'Range: bytes=0-9'));

    # access

    $add->('a password', get('/basic', $basic));
    $add->('a wrong one',
           get('/basic', 'Authorization: Basic dXNlcjp4'));
    $add->('a malformed one', get('/basic', 'Authorization: Basic ???'));
    $add->('a token', get('/basic', 'Authorization: Bearer a.b.c'));
    $add->('limit_except', method('POST', '/except', 'x'));
    $add->('limit_except, a password', method('POST', '/except', 'x', $basic));
    $add->('satisfy any', get('/satisfy/no', $basic));
    $add->('realip', get('/realip', 'X-Forwarded-For: 192.0.2.1, 192.0.2.2'));
    $add->('referer', get('/referer', 'Referer: https://bad.example.com/'));
    $add->('cookies', get('/args?x', 'Cookie: a=1; b=2', 'Cookie: c=3'));

    # bodies

    my $large = 'x' x 70_000;

    $add->('a body', method('POST', '/proxy/body', 'a=1'));
    $add->('one that is a file', method('POST', '/proxy/body', $large));
    $add->('one that is too large', method('POST', '/small', $large));
    $add->('one that is unbuffered', method('POST', '/unbuffered', $large));
    $add->('one to nobody', method('POST', '/return/200', $large));
    $add->('100 Continue', method('POST', '/proxy/body', 'a=1',
                                  'Expect: 100-continue'));
    $add->('100 Continue, too large',
           get('/small', 'Expect: 100-continue', 'Content-Length: 70000')
               =~ s/^GET/POST/r);
    my $post = "POST /proxy/body HTTP/1.1\r\n$host";
    my $chunks = "Transfer-Encoding: chunked\r\n$close";

    $add->('in chunks', "$post${chunks}3\r\nabc\r\n2;x=y\r\nde\r\n"
           . "0\r\nT: 1\r\n\r\n");
    $add->('in bad chunks', "$post${chunks}zz\r\nabc\r\n0\r\n\r\n");
    $add->('in chunks with a length',
           "${post}Content-Length: 3\r\n${chunks}0\r\n\r\n");
    $add->('in pieces', [ $post, "Content-Length: 6\r\n$close",
                          'abc', 'def' ]);
    $add->('dav: PUT', method('PUT', '/dav/a', 'content'));
    $add->('dav: GET', get('/dav/a'));
    $add->('dav: MKCOL', method('MKCOL', '/dav/b/'));
    $add->('dav: COPY', method('COPY', '/dav/a', undef,
                               'Destination: /dav/b/c'));
    $add->('dav: DELETE', method('DELETE', '/dav/a', undef));

    # what is wrong

    my %bad = (
        'no request' => "\r\n\r\n\r\n",
        'a bad method' => "G\@T / HTTP/1.1\r\n$host$close",
        'a bad line' => "GET / HTTP/1.1 x\r\n$host$close",
        'no version' => "GET /\r\n",
        'HTTP/1.0' => "GET /file.txt HTTP/1.0\r\n\r\n",
        'HTTP/1.0 and keep-alive' => "GET / HTTP/1.0\r\n"
                                     . "Connection: keep-alive\r\n\r\n"
                                     . "GET / HTTP/1.0\r\n\r\n",
        'HTTP/2.0 by name' => "GET / HTTP/2.0\r\n$host$close",
        'HTTP/9' => "GET / HTTP/9.9\r\n$host$close",
        'the preface of HTTP/2' => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        'TLS' => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 32,
        'no Host' => "GET / HTTP/1.1\r\n$close",
        'two of them' => "GET / HTTP/1.1\r\n$host$host$close",
        'a bad Host' => "GET / HTTP/1.1\r\nHost: a/b\r\n$close",
        'an empty Host' => "GET / HTTP/1.1\r\nHost:\r\n$close",
        'another Host' => "GET / HTTP/1.1\r\nHost: other.example.com\r\n$close",
        'an absolute URI' => "GET http://other.example.com/x HTTP/1.1\r\n"
                             . "$host$close",
        'an asterisk' => "OPTIONS * HTTP/1.1\r\n$host$close",
        'CONNECT' => "CONNECT a.example.com:443 HTTP/1.1\r\n$host$close",
        'a NUL' => "GET /\0 HTTP/1.1\r\n$host$close",
        'a NUL that is escaped' => get('/%00'),
        'a bad escape' => get('/%zz'),
        'out of the root' => get('/../../etc/passwd'),
        'out of it, escaped' => get('/%2e%2e/%2e%2e/etc/passwd'),
        'a space' => "GET /a b HTTP/1.1\r\n$host$close",
        'a control character' => "GET /\x7f\x01 HTTP/1.1\r\n$host$close",
        'a long URI' => get('/' . 'x' x 40_000),
        'a large field' => get('/', 'X-Large: ' . 'x' x 40_000),
        'many fields' => get('/args', map { "X-$_: $_" } 1 .. 400),
        'a field without a name' => get('/', ': x'),
        'a field without a colon' => get('/', 'nonsense'),
        'a folded field' => get('/', "X-A: a\r\n b"),
        'a bad name' => get('/args', 'X A: b', 'X_B: c'),
        'a bad length' => get('/proxy/body', 'Content-Length: x'),
        'a negative one' => get('/proxy/body', 'Content-Length: -1'),
        'two lengths' => get('/proxy/body', 'Content-Length: 1',
                             'Content-Length: 2'),
        'a bad coding' => get('/proxy/body', 'Transfer-Encoding: gzip'),
        'bare LF' => "GET / HTTP/1.1\nHost: test.example.com\n"
                     . "Connection: close\n\n",
        'Upgrade to nothing' => get('/', 'Upgrade: websocket',
                                    'Connection: Upgrade'),
        'h2c' => get('/', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'),
    );

    $add->($_, $bad{$_}) for sort keys %bad;

    $add->('keep-alive', [ "GET /a.txt HTTP/1.1\r\n$host\r\n",
                           "GET /file.txt HTTP/1.1\r\n$host\r\n",
                           get('/proxy/a') ]);
    $add->('pipelined', "GET /return/200 HTTP/1.1\r\n$host\r\n"
           . "POST /proxy/body HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc"
           . "HEAD / HTTP/1.1\r\n$host\r\n" . get('/page.shtml'));
    $add->('a few bytes at a time', [ get('/return/200') =~ /.{1,9}/gs ]);

    return @requests;
}


# TLS and HTTP/2: [ name, port, options ]

sub curls {
    my @requests = (
        [ 'TLS' => 'tls', '--http1.1', 'https://localhost:PORT/file.txt' ],
        [ 'HTTP/2' => 'tls', '--http2', 'https://localhost:PORT/file.txt' ],
        [ 'HTTP to a port of TLS' => 'tls', 'http://localhost:PORT/' ],
    );

    for my $path (qw( / /file.txt /nowhere /proxy/a /chunked /page.shtml
                      /gzipped /auth/no /basic /return/301 /redirect/a /dir
                      /dead /limited /cached /return/204 /problem ))
    {
        push @requests, [ "HTTP/2 $path" => 'h2', '--http2-prior-knowledge',
                          "http://localhost:PORT$path" ];
    }

    push @requests,
        [ 'HTTP/2, a body' => 'h2', '--http2-prior-knowledge', '-d', 'a=1',
          'http://localhost:PORT/proxy/body' ],
        [ 'HTTP/2, a large one' => 'h2', '--http2-prior-knowledge', '-d',
          'x' x 70_000, 'http://localhost:PORT/proxy/body' ],
        [ 'HTTP/2, HEAD' => 'h2', '--http2-prior-knowledge', '-I',
          'http://localhost:PORT/file.txt' ],
        [ 'HTTP/2, several' => 'h2', '--http2-prior-knowledge',
          'http://localhost:PORT/file.txt', '--next', '-i',
          '--http2-prior-knowledge', 'http://localhost:PORT/proxy/b' ],
        [ 'HTTP/2, gzip' => 'h2', '--http2-prior-knowledge', '--compressed',
          'http://localhost:PORT/gzipped' ];

    return @requests;
}


sub backend {
    my $text = 'text ' x 1000;

    return (
        '/gzip' => [ answer(200, Compress::Zlib::memGzip($text),
                            'Content-Encoding' => 'gzip',
                            'Connection' => 'close'), [ 'close' ] ],
        '/chunked' => answer(200, "5\r\nhello\r\n3;a=b\r\n, x\r\n0\r\n\r\n",
                             'Transfer-Encoding' => 'chunked'),
        '/reset' => [ [ 'reset' ] ],
        '/cut' => [ answer(200, 'x', 'Content-Length' => 100), [ 'close' ] ],
        '/invalid' => [ "nonsense\r\n\r\n", [ 'close' ] ],
        '/bighead' => answer(200, '', 'X-Big' => 'x' x 20_000,
                             'Content-Length' => 0),
        '/teapot' => answer(418, 'short', 'Content-Length' => 5,
                            'X-Accel-Expires' => 0),
        '/cookies' => answer(200, '', 'Set-Cookie' => 'a=1; Path=/x',
                             'Set-Cookie' => 'b=2', 'Content-Length' => 0),
        '/location' => answer(302, '', 'Content-Length' => 0,
                              'Location' => 'http://elsewhere.example.com/'),
        '/refresh' => answer(200, '', 'Content-Length' => 0,
                             'Refresh' => '5; url=/a'),
        '/nobody' => answer(204, ''),
        '/error' => answer(503, 'down', 'Content-Length' => 4,
                           'Retry-After' => 7),
        '/late' => [ [ sleep => 0.05 ],
                     answer(200, 'late', 'Content-Length' => 4) ],
        '/timeout' => [ [ 'hang' ] ],
        '/cached' => answer(200, $text, 'Cache-Control' => 'max-age=60',
                            'ETag' => '"v1"',
                            'Content-Length' => length $text),
        '/accel' => answer(200, '', 'X-Accel-Redirect' => '/internal',
                           'Content-Length' => 0),
        '/ok' => answer(204, ''),
        '/no' => answer(403, '', 'Content-Length' => 0),
        '/unauthorized' => answer(401, '', 'Content-Length' => 0,
                                  'WWW-Authenticate' => 'Bearer'),
    );
}


sub configuration {
    my (%side) = @_;

    my %values = (PORT => $side{port}, TLS => $side{tls}, H2 => $side{h2},
                  OWN => "$dir/$side{name}", DIR => $dir,
                  SERVICE => $backend->port, ECHO => $echo_port,
                  DEAD => '127.0.0.1:1', CERTIFICATE => $certificate,
                  KEY => $key);

    return E2E::slurp("$FindBin::Bin/unused.conf")
           =~ s/%(\w+)%/$values{$1}/gr;
}
