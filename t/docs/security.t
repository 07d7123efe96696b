#!/usr/bin/perl

# What docs/security.md says: what nginx lets through to a service, and which
# paths mean something else to it, and that the server to start from lets
# through neither these nor anything that it should not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET;
use NgxGatewayDocs;
use NgxGatewayJWT;
use Test::More;

need_nginx();

my $page = slurp("$ROOT/docs/security.md");
my $dir = work_dir();
my ($port, $plain, $service) = free_ports(3);

# A service that says what it was asked.

my $says = "
    server {
        listen        127.0.0.1:$service;
        default_type  text/plain;

        location / {
            return  200  '\$request_method \$request_uri host=\$http_host"
                       . " user=\$http_x_user user_id=\$http_x_user_id"
                       . " for=\$http_x_forwarded_for"
                       . " forwarded=\$http_forwarded"
                       . " event=\$http_gateway_event"
                       . " method=\$http_x_http_method_override"
                       . "\$http_x_http_method\$http_x_method_override"
                       . " url=\$http_x_original_url\$http_x_rewrite_url"
                       . " token=\$http_authorization"
                       . " length=\$http_content_length"
                       . " chunked=\$http_transfer_encoding"
                       . " range=\$http_range;';
        }

        location /accel {
            add_header  X-Accel-Redirect  /health;
            return      200  'no;';
        }
    }
";

# What asks a service for another method, or another path

my @instead = ('X-HTTP-Method-Override: PUT', 'X-HTTP-Method: PATCH',
               'X-Method-Override: DELETE', 'X-Original-URL: /a',
               'X-Rewrite-URL: /b');

# The server of the page, and one that has nothing but proxy_pass.

my ($example) = grep { $_->{heading} eq 'A server to start from' }
                examples('docs/security.md');
my $text = complete('http', $example->{text}, $port, $service);

spew("$dir/security.conf", startable($text, "
    $says

    server {
        listen       127.0.0.1:$plain;
        server_name  plain;

        location / {
            proxy_pass  http://127.0.0.1:$service;
        }

        location /admin/ {
            return  403;
        }

        location = /health {
            internal;
            return  200  'internal;';
        }
    }
"));

my $pid = nginx_start($dir, "$dir/security.conf", $port);

ok($pid, 'it starts') or done_testing(), exit;

let_through();
other_paths();
start_from();

nginx_stop($pid);

done_testing();


# One request byte by byte, with a Host unless "none:" is among the headers: the
# status, the body up to the ";", and all of the answer.

sub raw {
    my ($to, $line, @headers) = @_;

    my $body = @headers && $headers[-1] !~ /:/ ? pop @headers : '';
    my $socket = IO::Socket::INET->new("127.0.0.1:$to") or die "connect: $!";

    unshift @headers, 'Host: plain' if !grep { /^(?:Host|none):/ } @headers;
    push @headers, 'Connection: close' if !grep { /^Connection:/ } @headers;
    @headers = grep { !/^none:/ } @headers;

    local $SIG{ALRM} = sub { die "no answer to $line\n" };

    alarm 10;
    print $socket join("\r\n", $line, @headers), "\r\n\r\n", $body;

    local $/;
    my $answer = <$socket> // '';

    alarm 0;

    my ($status) = $answer =~ m{^HTTP/1\.1 (\d+)};
    my ($said) = $answer =~ /\r\n\r\n(.*);/s;

    return ($status // 0, $said // '', $answer);
}


sub said {
    my ($line, @headers) = @_;

    return (raw($plain, $line, @headers))[1];
}


sub status {
    my ($line, @headers) = @_;

    return (raw($plain, $line, @headers))[0];
}


# The table of "What nginx lets through".

sub let_through {
    my ($table) = $page =~ /^## What nginx lets through\n(.*?)^## /ms;
    my $rows = () = $table =~ /^\| (?!what a client|---)/mg;

    is($rows, 15, 'the rows that are tried here');

    my $get = 'GET /x HTTP/1.1';

    like(said('FOO / HTTP/1.1'), qr{^FOO / }, 'an unknown method');
    is(status('TRACE / HTTP/1.1'), 405, 'TRACE');
    is(status('CONNECT a:80 HTTP/1.1'), 400, 'CONNECT');

    my $all = said($get, 'X-User: root', 'X-Forwarded-For: 192.0.2.1',
                   'Forwarded: for=192.0.2.1', 'Gateway-Event: connect',
                   'Range: bytes=0-0', @instead);

    like($all, qr/ user=root /, 'X-User');
    like($all, qr/ for=192\.0\.2\.1 forwarded=for=192\.0\.2\.1 /, 'addresses');
    like($all, qr/ event=connect /, 'what only the gateway should say');
    like($all, qr{ method=PUTPATCHDELETE url=/a/b }, 'another method and path');
    like($all, qr/ range=bytes=0-0/, 'a range');
    like(said($get, 'X_User_Id: 7'), qr/ user_id= /, 'an underscore');
    like(said($get, 'X.User.Id: 7'), qr/ user_id= /, 'a dot');

    is(status($get, 'Host: nobody'), 200, 'any name');
    is(status('GET /x HTTP/1.0', 'none:'), 200, 'no name, in HTTP/1.0');
    is(status($get, 'none:'), 400, 'no name, in HTTP/1.1');
    like(said($get, 'Connection: close, X-User', 'X-User: root'),
         qr/ user=root /, 'a field that Connection names');

    is(status('POST /x HTTP/1.1', 'Content-Length: 3',
              'Transfer-Encoding: chunked', "0\r\n\r\n"), 400,
       'two kinds of length');

    for my $field ('Content-Length: 3', 'Host: plain', 'Authorization: B a') {
        is(status('POST /x HTTP/1.1', $field, $field, 'abc'), 400,
           "two of $field");
    }

    like(said('POST /x HTTP/1.1', 'Transfer-Encoding: chunked',
              "3\r\nabc\r\n0\r\n\r\n"), qr/ length=3 chunked= /,
         'a body in chunks');
    like(said($get, 'Content-Length: 3', 'abc'), qr/ length=3 /,
         'a body with GET');
    is(said('GET /accel HTTP/1.1'), 'internal', 'X-Accel-Redirect');
    is(status('GET /health HTTP/1.1'), 404, 'which a client cannot ask for');
    like((raw($plain, $get))[2], qr/^Server: nginx/m, 'Server is nginx\'s');
}


# The table of paths: what nginx makes of them, and what the service gets.

sub other_paths {
    my ($table) = $page =~ /^## Paths that mean.*?\n(\| request.*?)\n\n/ms;
    my @rows = map { [ /`([^`]+)`/g ] } $table =~ /^\| `.*$/mg;

    is(scalar @rows, 7, 'paths');

    for my $row (@rows) {
        my ($path, $nginx) = @$row;
        my ($status, $said) = raw($plain, "GET $path HTTP/1.1");

        if ($path =~ /%00/) {
            is($status, 400, "$path: 400");

        } elsif ($nginx =~ m{^/admin/}) {
            is($status, 403, "$path: nginx's path is $nginx");

        } else {
            is($status, 200, "$path: nginx's path is $nginx");
            like($said, qr/^GET \Q$path\E /, "$path: as it came");
        }

        ($status) = raw($port, "GET $path HTTP/1.1", 'Host: api.example.com',
                        'Authorization: Bearer ' . jwt());
        is($status, $path =~ /ADMIN/ ? 404 : 400,
           "$path: the server to start from refuses it");
    }
}


sub start_from {
    my $host = 'Host: api.example.com';
    my $alice = 'Authorization: Bearer ' . jwt();
    my $ask = sub {
        my ($line, @more) = @_;

        return raw($port, "$line HTTP/1.1", $host, @more);
    };

    is((raw($port, 'GET /orders/7 HTTP/1.1', 'Host: other', $alice))[0], 421,
       'another name');
    is((raw($port, 'GET /orders/7 HTTP/1.0', 'none:', $alice))[0], 421,
       'no name');

    my ($status, undef, $answer) = $ask->('GET /orders/7');

    is($status, 401, 'no token');
    like($answer, qr/^RateLimit: /m, 'but a limit');
    unlike($answer, qr{^Server: nginx/}m, 'and no version');
    is(($ask->('GET /orders/7', 'Authorization: Bearer '
               . jwt({ exp => at(7200) })))[0], 401, 'a token for too long');
    is(($ask->('GET /orders/7', 'Authorization: Bearer '
               . jwt({}, alg => 'RS512')))[0], 401, 'another algorithm');
    is(($ask->('DELETE /orders/7', $alice))[0], 405, 'another method');
    is(($ask->('FOO /orders/7', $alice))[0], 405, 'an unknown method');
    is(($ask->('GET /admin/', $alice))[0], 404, 'no line of the table');
    is(($ask->('GET /health'))[0], 200, 'what is public');
    is(get("http://127.0.0.1:$port/health")->{status}, 421,
       'but not by the address');

    my $said = ($ask->('GET /orders/7?a=1', $alice, 'X-User: root',
                       'X-Forwarded-For: 192.0.2.1', 'Forwarded: for=a',
                       @instead))[1];

    is($said, 'GET /orders/7?a=1 host=api.example.com user=alice user_id='
       . ' for=127.0.0.1 forwarded= event= method= url= token= length='
       . ' chunked= range=',
       'what the service is told');

    # Characters that the map has nothing against.

    for my $path ('/orders/a%20b', '/orders/%c3%bc', '/orders/~a.b_c-d+e',
                  '/orders/x?path=//a;b%2f..')
    {
        is(($ask->("GET $path", $alice))[0], 200, "$path is let through");
    }

    for my $path ('/orders/a%0ab', '/orders/%7F', '/orders/%2E%2e/x') {
        is(($ask->("GET $path", $alice))[0], 400, "$path is not");
    }

    # A service that says where to look.

    my ($accel) = $text =~ /proxy_ignore_headers\s+([^;]+);/;

    like($accel, qr/\bX-Accel-Redirect\b/, 'the header is ignored');
}
