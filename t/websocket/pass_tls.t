
# TLS to services: verification, which is on by default, names, certificates of
# the gateway's own, sessions.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;
use NgxGatewayPass;
use NgxGatewayWebSocketBackend;

use Test::More;

my $backend = NgxGatewayWebSocketBackend->new(
    '*' => sub {
        my ($c) = @_;

        $c->handshake();
        $c->send_text($c->head());
        $c->echo();
    },
);

my $to = '127.0.0.1:' . $backend->port();

my $SERVER = <<'_EOC_';
        ssl_certificate_key %DIR%/server.key;
        ssl_client_certificate %DIR%/ca.pem;
        ssl_verify_client optional;
        ssl_session_cache shared:tls:1m;
        ssl_protocols TLSv1.2 TLSv1.3;

        location / {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header X-SNI "<$ssl_server_name>";
            proxy_set_header X-Client "<$ssl_client_s_dn>";
            proxy_set_header X-Protocol "$ssl_protocol $ssl_cipher";
            proxy_set_header X-Reused "<$ssl_session_reused>";
            proxy_pass http://backend;
        }
_EOC_

my $nginx = NgxGatewayNginx->new(
    http => <<"_EOC_",
    upstream backend {
        server $to;
    }

    upstream service.example {
        server unix:%DIR%/good.sock;
    }

    upstream other.example {
        server unix:%DIR%/good.sock;
    }

    upstream self.example {
        server unix:%DIR%/self.sock;
    }

    upstream revoked.example {
        server unix:%DIR%/revoked.sock;
    }

    upstream plain {
        server unix:%DIR%/plain.sock;
    }

    server {
        listen unix:%DIR%/plain.sock;
    }

    server {
        listen unix:%DIR%/good.sock ssl;
        ssl_certificate %DIR%/service.example.pem;
$SERVER
    }

    server {
        listen unix:%DIR%/self.sock ssl;
        ssl_certificate %DIR%/self.example.pem;
$SERVER
    }

    server {
        listen unix:%DIR%/revoked.sock ssl;
        ssl_certificate %DIR%/revoked.example.pem;
$SERVER
    }
_EOC_
    server => <<"_EOC_",
        gateway_websocket_ssl_trusted_certificate %DIR%/ca.pem;
        gateway_websocket_ssl_session_reuse off;
        gateway_websocket_read_timeout 2s;
        gateway_websocket_max_message 1m;

        location /good {
            gateway_websocket_pass wss://service.example;
        }

        location /https {
            gateway_websocket_pass https://service.example;
        }

        location /self {
            gateway_websocket_pass wss://self.example;
        }

        location /other {
            gateway_websocket_pass wss://other.example;
        }

        location /unverified {
            gateway_websocket_ssl_verify off;
            gateway_websocket_pass wss://self.example;
        }

        location /name {
            gateway_websocket_ssl_name service.example;
            gateway_websocket_pass wss://other.example;
        }

        location /named {
            gateway_websocket_ssl_name \$arg_name;
            gateway_websocket_pass wss://other.example;
        }

        location /nosni {
            gateway_websocket_ssl_server_name off;
            gateway_websocket_pass wss://service.example;
        }

        location /revoked {
            gateway_websocket_pass wss://revoked.example;
        }

        location /crl {
            gateway_websocket_ssl_crl %DIR%/ca.crl;
            gateway_websocket_pass wss://revoked.example;
        }

        location /crl/good {
            gateway_websocket_ssl_crl %DIR%/ca.crl;
            gateway_websocket_pass wss://service.example;
        }

        location /client {
            gateway_websocket_ssl_certificate %DIR%/client.example.pem;
            gateway_websocket_ssl_certificate_key %DIR%/server.key;
            gateway_websocket_pass wss://service.example;
        }

        location /client/locked {
            gateway_websocket_ssl_certificate %DIR%/client.example.pem;
            gateway_websocket_ssl_certificate_key %DIR%/locked.key;
            gateway_websocket_ssl_password_file %DIR%/password;
            gateway_websocket_pass wss://service.example;
        }

        location /client/variable {
            gateway_websocket_ssl_certificate
                %DIR%/\$arg_c.example.pem;
            gateway_websocket_ssl_certificate_key %DIR%/server.key;
            gateway_websocket_pass wss://service.example;
        }

        location /old {
            gateway_websocket_ssl_protocols TLSv1.2;
            gateway_websocket_ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384;
            gateway_websocket_pass wss://service.example;
        }

        location /older {
            gateway_websocket_ssl_protocols TLSv1.1;
            gateway_websocket_pass wss://service.example;
        }

        location /reuse {
            gateway_websocket_ssl_session_reuse on;
            gateway_websocket_pass wss://service.example;
        }

        location /variable {
            gateway_websocket_pass \$arg_scheme://\$arg_to\$uri;
        }

        location /plain {
            gateway_websocket_pass wss://plain;
        }

        location /tls {
            gateway_websocket_pass ws://service.example;
        }

        location /echo {
            gateway_websocket_pass wss://service.example;
        }

        location /sse {
            gateway_websocket_reply sse;
            gateway_websocket_pass
                wss://service.example/messages?n=2000&then=close;
        }

        location /shared {
            gateway_websocket_correlate id;
            gateway_websocket_pass wss://service.example/json?count=1;
        }
_EOC_
);

sub openssl {
    my (@arguments) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', $nginx->path('openssl');
        exec 'openssl', @arguments;
        exit 127;
    }

    waitpid $pid, 0;
    die "openssl @arguments:\n", $nginx->read_file('openssl') if $?;

    return;
}

my $dir = $nginx->path('');

$nginx->write_file('password', "secret\n");
$nginx->write_file('index.txt', '');
$nginx->write_file('ca.conf', <<"_EOC_");
[ ca ]
default_ca = c

[ c ]
database = ${dir}index.txt
default_md = sha256
default_crl_days = 30
_EOC_

for my $name ('ca', 'server') {
    openssl(qw( ecparam -genkey -name prime256v1 -out ), "$dir$name.key");
}

openssl(qw( ec -aes128 -passout pass:secret -in ), "${dir}server.key",
        '-out', "${dir}locked.key");
openssl(qw( req -new -x509 -days 30 -subj /CN=ca -key ), "${dir}ca.key",
        '-out', "${dir}ca.pem");
openssl(qw( req -new -x509 -days 30 -subj /CN=self.example -key ),
        "${dir}server.key", '-out', "${dir}self.example.pem");

my $serial = 1;

for my $name (map { "$_.example" } qw( service revoked client )) {
    $nginx->write_file('name', "subjectAltName = DNS:$name\n");
    openssl(qw( req -new -subj ), "/CN=$name", '-key', "${dir}server.key",
            '-out', "${dir}request");
    openssl(qw( x509 -req -days 30 -in ), "${dir}request", '-CA',
            "${dir}ca.pem", '-CAkey', "${dir}ca.key", '-set_serial',
            $serial++, '-extfile', "${dir}name", '-out', "$dir$name.pem");
}

my @ca = (qw( ca -config ), "${dir}ca.conf", '-cert', "${dir}ca.pem",
          '-keyfile', "${dir}ca.key");

openssl(@ca, '-revoke', "${dir}revoked.example.pem");
openssl(@ca, '-gencrl', '-out', "${dir}ca.crl");

$nginx->start();

sub head {
    my ($path) = @_;

    my $answer = pass_ask($nginx, GET => $path);

    return $answer->{code} == 200 ? $answer->{body} : $answer->{code};
}

sub refused {
    my ($path, $pattern, $name) = @_;

    my $seen = length $nginx->error_log();
    my $answer = pass_ask($nginx, GET => $path);

    is($answer->{code}, 502, "$name: refused");
    like($answer->{body}, qr/"detail":"No WebSocket to the service could be/,
         "$name: a problem");
    like(substr($nginx->error_log(), $seen), $pattern, "$name: the log");

    return;
}

my $UNTRUSTED = qr/upstream SSL certificate verify error: \(1[89]|\(20:/;
my $NAME = qr/upstream SSL certificate does not match "other\.example"/;

$backend->forget();
refused('/self', $UNTRUSTED, 'self-signed');
refused('/other', $NAME, 'another name');
refused('/named?name=x', qr/does not match "x"/, 'a name that is given');
refused('/crl', qr/verify error: \(23:/, 'revoked');
refused('/older', qr/SSL/, 'no protocol in common');
refused('/plain', qr/SSL_do_handshake\(\) failed/,
        'a service without TLS');
refused('/tls', qr/answered a websocket handshake with 400/,
        'a service with TLS');
is(scalar(my @all = grep { $_->{head} =~ /Upgrade/ }
          $backend->connections()), 0,
   'none was asked for a WebSocket');

like(head('/good'), qr/^X-SNI: <service\.example>\r$/m, 'SNI');
like(head('/good'), qr/^X-Client: <>\r$/m, 'no certificate');
like(head('/good'), qr/^X-Protocol: TLSv1\.3 /m, 'the protocol');
like(head('/https'), qr{\AGET /https }, 'https');
like(head('/unverified'), qr/^X-SNI: <self\.example>\r$/m,
     'without verification');
like(head('/name'), qr/^X-SNI: <service\.example>\r$/m, 'ssl_name');
like(head('/named?name=service.example'),
     qr/^X-SNI: <service\.example>\r$/m, 'ssl_name, a variable');
like(head('/nosni'), qr/^X-SNI: <>\r$/m, 'no SNI');
like(head('/revoked'), qr{\AGET }, 'no list of those revoked');
like(head('/crl/good'), qr{\AGET }, 'not revoked');
like(head('/client'), qr/^X-Client: <CN=client\.example>\r$/m,
     'a certificate');
like(head('/client/locked'), qr/^X-Client: <CN=client\.example>\r$/m,
     '... with a key that is locked');

for my $name (qw( client service )) {
    like(head("/client/variable?c=$name"),
         qr/^X-Client: <CN=$name\.example>\r$/m,
         "... that a variable names: $name");
}

like(head('/old'), qr/^X-Protocol: TLSv1\.2 ECDHE-ECDSA-AES256-GCM-SHA384\r/m,
     'protocols and ciphers');
like(head('/variable?scheme=wss&to=service.example'),
     qr/^X-SNI: <service\.example>\r$/m, 'a URL of variables');
is(head('/variable?scheme=wss&to=self.example'), 502, '... is verified');
like(head('/variable?scheme=ws&to=backend'),
     qr{\AGET[ ]/variable[ ]HTTP/1\.1\r\nUpgrade:}x,
     '... and may be without TLS');

SKIP: {
    # nginx does not free the last session of a server when it exits

    skip('sessions that are kept are a leak', 1) if $ENV{ASAN_OPTIONS};

    head('/reuse');
    like(head('/reuse'), qr/^X-Reused: <r>\r$/m, 'a session is used again');
}

head('/good');
like(head('/good'), qr/^X-Reused: <\.>\r$/m, '... unless it is off');

# what passes through

for my $size (1, 16_384, 16_385, 300_000) {
    my $answer = pass_ask($nginx, POST => '/echo', 'x' x $size);

    ok($answer->{body} eq 'x' x $size, "$size bytes");
}

is(pass_ask($nginx, GET => '/sse')->{body},
   join('', map { "data: {\"n\":$_}\n\n" } 1 .. 2000), 'a stream');

my %connections;

for my $n (1 .. 20) {
    my $body = pass_ask($nginx, POST => '/shared', "{\"id\":$n}")->{body};

    like($body, qr/"id":$n\}\z/, "a shared connection: $n");
    $connections{$1} = 1 if $body =~ /"connection":(\d+)/;
}

is(scalar keys %connections, 1, '... the same one');

# certificates of the system are those of OpenSSL

$nginx->{server} =~ s/gateway_websocket_ssl_trusted_certificate [^;]+;//;
$nginx->stop();
$nginx->start();
refused('/good', $UNTRUSTED, 'unknown to the system');
$nginx->stop();

{
    local $ENV{SSL_CERT_FILE} = $nginx->path('ca.pem');

    $nginx->start();
    like(head('/good'), qr/^X-SNI/m, 'known to the system');
    refused('/self', $UNTRUSTED, 'another one');
}

# wrong configurations

for my $case (
    [ 'ssl_certificate %DIR%/client.example.pem;',
      qr/no "gateway_websocket_ssl_certificate_key" is defined/ ],
    [ 'ssl_trusted_certificate %DIR%/none;', qr/SSL_CTX_load_verify_loc/ ],
    [ 'ssl_crl %DIR%/none;', qr/X509_LOOKUP_load_file|BIO_new_file/ ],
    [ 'ssl_ciphers none;', qr/SSL_CTX_set_cipher_list/ ],
    [ 'ssl_protocols SSLv9;', qr/invalid value "SSLv9"/ ],
)
{
    my ($line, $pattern) = @$case;
    my $server = $nginx->{server};

    like($nginx->reload_fails(server => <<"_EOC_"), $pattern, $line);
        location /wrong {
            gateway_websocket_$line
            gateway_websocket_pass wss://service.example;
        }
_EOC_

    $nginx->{server} = $server;
}

$nginx->stop();
ok($backend->wait(sub { $backend->open() == 0 }), 'no connection is left');
is(pass_log($nginx) =~ s/^.*(?:\[emerg\]|SSL_do_handshake).*\n//mgr, '',
   'nothing wrong in the log');

done_testing();
