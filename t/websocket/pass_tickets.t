
# A service that sends the tickets of its TLS session when the WebSocket is
# open: nginx's upstream, which would keep them, has no part in it any more.

use strict;
use warnings;

use lib 't/lib';
use FindBin;
use NgxGatewayNginx;
use NgxGatewayPass;

use Test::More;

my $nginx = NgxGatewayNginx->new();
my ($certificate, $key, $service) = map { $nginx->path($_) }
                                    qw( certificate key service );

sub run {
    my (@command) = @_;

    my $said = `@command 2>&1`;

    $? == 0 or die "@command:\n$said";

    return;
}

my $made = system(($ENV{CC} || 'gcc') . " -o $service"
                  . " $FindBin::Bin/pass_tickets.c -lssl -lcrypto 2>"
                  . $nginx->path('cc'));

plan(skip_all => 'OpenSSL does not send tickets when it is told to')
    if $made && $nginx->read_file('cc') =~ /SSL_new_session_ticket/;

is($made, 0, 'the service is compiled') or diag($nginx->read_file('cc'));

run(qw( openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
        -nodes -days 2 -subj /CN=localhost -keyout ), $key, '-out',
    $certificate);

my $pid = open my $out, '-|', $service, $certificate, $key
    or die "$service: $!\n";
my $port = <$out> + 0;

$nginx->{server} = <<"_EOC_";
        gateway_websocket_ssl_trusted_certificate $certificate;
        gateway_websocket_ssl_name localhost;

        location /sse {
            gateway_websocket_reply sse;
            gateway_websocket_pass wss://127.0.0.1:$port;
        }

        location /count {
            gateway_websocket_reply count=3;
            gateway_websocket_pass wss://127.0.0.1:$port;
        }
_EOC_

$nginx->start();

my $worker = pass_worker($nginx);

for (1, 2) {
    is(pass_ask($nginx, GET => '/sse')->{body}, "data: hi\n\n" x 3,
       'a stream');
    is(pass_ask($nginx, GET => '/count')->{body}, "\"hi\"\n" x 3,
       'messages');
}

is(pass_worker($nginx), $worker, 'the worker is the same one');

kill 'TERM', $pid;
close $out;
$nginx->stop();
is(pass_log($nginx), '', 'nothing wrong in the log');

done_testing();
