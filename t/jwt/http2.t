
# The check over HTTP/2, with curl as the client.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayJWT;
use NgxGatewayNginx;

use IO::Socket::INET ();
use Test::More;

my $curl = `curl --version 2>&1` // '';

plan skip_all => 'no curl that speaks HTTP/2' if $curl !~ /^Features:.*HTTP2/m;

my $nginx = NgxGatewayNginx->new(
    http => <<'_EOC_',
    gateway_jwt_issuer corp {
        issuer   https://id.example.com;
        audience api;
        key_file %DIR%/keys;
    }

    server {
        listen unix:%DIR%/backend.sock;

        location / {
            return 200 "backend $http_x_user\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        location / {
            gateway_jwt "api" issuer=corp;
            gateway_jwt_require_scope read;
            add_header X-Status $gateway_jwt_status always;
            proxy_set_header X-User $gateway_jwt_claim_sub;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }

        location /any {
            satisfy any;
            allow 127.0.0.1;
            deny all;
            gateway_jwt "api" issuer=corp;
            add_header X-Status $gateway_jwt_status always;
            proxy_pass http://unix:%DIR%/backend.sock:/;
        }
_EOC_
);

if ($nginx->nginx_version() < 1025001) {
    $nginx->{listen} = 'http2';

} else {
    $nginx->{server} .= "http2 on;\n";
}

$nginx->write_file('keys', jwks(qw( rsa p256 )));
$nginx->start();

my $url = 'http://127.0.0.1:' . $nginx->port();

# the answers to these arguments of curl, one after the other

sub curl {
    my (@arguments) = @_;

    open my $out, '-|', 'curl', '-sS', '-i', '--http2-prior-knowledge',
         '--max-time', 30, @arguments
        or die "curl: $!\n";

    local $/ = undef;
    my $text = <$out> // '';
    close $out;

    return $text;
}

sub bearer {
    my ($token) = @_;

    return ('-H', "Authorization: Bearer $token");
}

my $good = jwt({ scope => 'read' });

my @cases = (
    [ 'a good token', [ bearer($good) ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'the same again', [ bearer($good) ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'ES256', [ bearer(jwt({ scope => 'read' }, key => 'p256')) ], 200,
      'ok', undef, qr/^backend alice$/m ],
    [ 'no token', [], 401, 'missing', 'Bearer realm="api"',
      qr/"detail":"no bearer token in the request"/ ],
    [ 'expired', [ bearer(jwt({ exp => at(-60) })) ], 401, 'expired',
      'Bearer realm="api", error="invalid_token", '
      . 'error_description="the token has expired"',
      qr/"detail":"the token has expired"/ ],
    [ 'no scope', [ bearer(jwt()) ], 403, 'insufficient_scope',
      'Bearer realm="api", error="insufficient_scope", scope="read"',
      qr/"status":403/ ],
    [ 'malformed', [ '-H', 'Authorization: Bearer a b' ], 400, 'malformed',
      'Bearer realm="api", error="invalid_request", '
      . 'error_description="the Authorization header is malformed"',
      qr/"status":400/ ],
    [ 'POST', [ bearer($good), '-d', 'hello' ], 200, 'ok', undef,
      qr/^backend alice$/m ],
    [ 'HEAD, no token', [ '-I' ], 401, 'missing', 'Bearer realm="api"',
      qr/\r\n\r\n\z/ ],
);

for my $case (@cases) {
    my ($name, $arguments, $code, $status, $challenge, $body) = @$case;
    my $text = curl(@$arguments, "$url/t");

    like($text, qr{^HTTP/2 $code\b}, "$name: code");
    like($text, qr/^x-status: \Q$status\E\r$/m, "$name: status");
    like($text, $body, "$name: body");

    if (defined $challenge) {
        like($text, qr/^www-authenticate: \Q$challenge\E\r$/m,
             "$name: challenge");
        like($text, qr{^content-type: application/problem\+json\r$}m,
             "$name: type");
        unlike($text, qr/backend/, "$name: not the backend");

    } else {
        unlike($text, qr/^www-authenticate:/m, "$name: no challenge");
    }
}

my $text = curl("$url/any");

like($text, qr{^HTTP/2 200\b}, 'satisfy any: code');
like($text, qr/^x-status: missing\r$/m, 'satisfy any: status');
unlike($text, qr/^www-authenticate:/m, 'satisfy any: no challenge');

$text = curl(bearer($good), bearer($good), "$url/t");

like($text, qr{^HTTP/2 400\b}, 'two Authorization headers: code');
unlike($text, qr/backend/, 'two Authorization headers: not the backend');

# many streams of one connection at once: tokens of different users, none, and
# refused bodies, which curl does not get right

my (@requests, @want);

for my $n (1 .. 20) {
    my $token = jwt({ sub => "user$n", scope => 'read' });

    push @requests, [ GET => '/', authorization => "Bearer $token" ],
                    [ GET => '/' ],
                    [ GET => '/', authorization => 'Bearer x' ],
                    [ POST => '/' ],
                    [ POST => '/', authorization => "Bearer $token" ];
    push @want, "200 backend user$n\n", qr/^401 .*no bearer token/,
                qr/^401 .*token is malformed/, qr/^401 .*no bearer token/,
                "200 backend user$n\n";
}

my @got = streams(@requests);

for my $i (0 .. $#want) {
    my $name = "stream $i: $requests[$i][0]";

    ref $want[$i] ? like($got[$i], $want[$i], $name)
                  : is($got[$i], $want[$i], $name);
}

# Sends the requests in one write, each on a stream of its own, and returns
# what came on each: code and body.  POST has a body of 30 bytes.

sub streams {
    my (@list) = @_;

    my $text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '');
    my $id = 1;

    for my $request (@list) {
        my ($method, $path, @headers) = @$request;

        # literals without indexing, each of a name and a value

        my $block = '';
        my @fields = (':method', $method, ':path', $path, ':scheme', 'http',
                      ':authority', 'localhost', @headers);

        while (@fields) {
            my ($name, $value) = splice @fields, 0, 2;
            $block .= "\0" . literal($name) . literal($value);
        }

        my $post = $method eq 'POST';

        # END_HEADERS, and END_STREAM where there is no body

        $text .= frame(1, $post ? 4 : 5, $id, $block);
        $text .= frame(0, 1, $id, 'x' x 30) if $post;
        $id += 2;
    }

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $nginx->port())
                 or die "connect: $!\n";

    print $socket $text;
    $socket->flush();

    my (%code, %body, %ended);

    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 30;

    eval {
        while (keys %ended < @list) {
            my ($type, $flags, $stream, $payload) = read_frame($socket);

            if ($type == 1) {
                $code{$stream} = code($payload);

            } elsif ($type == 0) {
                $body{$stream} .= $payload;

            } elsif ($type == 4 && !($flags & 1)) {
                print $socket frame(4, 1, 0, '');
                $socket->flush();
            }

            $ended{$stream} = 1 if $type < 2 && $flags & 1;
        }
    };

    alarm 0;
    close $socket;

    return map { ($code{$_} // '-') . ' ' . ($body{$_} // '') }
           map { 2 * $_ + 1 } 0 .. $#list;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}

sub read_frame {
    my ($socket) = @_;

    read($socket, my $head, 9) == 9 or die "closed\n";

    my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $head;
    my $length = $high * 65536 + $low;
    my $payload = '';

    if ($length) {
        read($socket, $payload, $length) == $length or die "closed\n";
    }

    return ($type, $flags, $stream, $payload);
}

# a string of HPACK, RFC 7541 section 5.2, not compressed

sub literal {
    my ($string) = @_;

    my $length = length $string;

    return chr($length) . $string if $length < 127;

    my $prefix = chr 127;

    for ($length -= 127; $length > 127; $length >>= 7) {
        $prefix .= chr($length & 127 | 128);
    }

    return $prefix . chr($length) . $string;
}

# ":status", which comes first: of the static table, or three digits; after
# what may be an update of the dynamic table's size

sub code {
    my ($block) = @_;

    my %static = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400,
                  13 => 404, 14 => 500);

    $block =~ s/\A[\x20-\x3f]//;

    my $first = ord $block;

    return $static{ $first & 127 } if $first & 128;

    return $block =~ /\A.\x03(\d{3})/s ? $1
           : $block =~ /\A.\x82(..)/s ? huffman($1) : '?';
}

# three digits: RFC 7541, appendix B, has 5 bits for 0 to 2 and 6 for 3 to 9

sub huffman {
    my ($bytes) = @_;

    my $bits = unpack 'B*', $bytes;
    my $digits = '';

    while (length $digits < 3) {
        if ($bits =~ s/\A(000(?:00|01|10))//) {
            $digits .= oct "0b$1";

        } elsif ($bits =~ s/\A(011\d{3})//) {
            $digits .= oct("0b$1") - 0x16;

        } else {
            return '?';
        }
    }

    return $digits;
}

unlike($nginx->error_log(), qr/\[(?:alert|crit|error)\]/,
       'nothing wrong in the log');

done_testing();
