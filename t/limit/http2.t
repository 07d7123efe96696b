
# Many streams of one HTTP/2 connection at once.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayHTTP2;
use NgxGatewayNginx;

use Test::More;

my $nginx = NgxGatewayNginx->new(
    http2 => 1,
    http => <<'_EOC_',
    gateway_limit_zone $http_x_key zone=ten:64k rate=1r/h burst=10;
    gateway_limit_zone $http_x_key zone=five:64k rate=1r/h burst=5;

    server {
        listen unix:%DIR%/backend.sock;
        access_log logs/backend.log;

        location / {
            return 200 "backend\n";
        }
    }
_EOC_
    server => <<'_EOC_',
        http2_max_concurrent_streams 200;

        location /ten {
            gateway_limit zone=ten;
            proxy_pass http://unix:%DIR%/backend.sock:/ten;
        }

        location /both {
            gateway_limit zone=ten;
            gateway_limit zone=five;
            proxy_pass http://unix:%DIR%/backend.sock:/both;
        }
_EOC_
);

$nginx->start();

sub codes {
    my ($uri, $key, $streams) = @_;

    my $client = NgxGatewayHTTP2->new($nginx->port());
    my @answers = $client->answers($client->send(
        ([ GET => $uri, 'x-key' => $key ]) x $streams));
    my %codes;

    for my $answer (@answers) {
        $codes{ $answer->{code} }++;

        my $want = $answer->{code} eq '200' ? qr/\Abackend\n\z/
                   : qr/"violated-policies":\["(?:ten|five)"\]\}\n\z/;

        if ($answer->{body} !~ $want) {
            fail("$uri, $key: the body of $answer->{code}");
            diag($answer->{body});
        }
    }

    $client->close();

    return join ', ', map { "$_: $codes{$_}" } sort keys %codes;
}

is(codes('/ten', 'a', 100), '200: 10, 429: 90', '100 streams, 10 tokens');
is(codes('/ten', 'a', 100), '429: 100', '100 streams, no tokens');
is(codes('/ten', 'b', 10), '200: 10', '10 streams, 10 tokens');

is(codes('/both', 'c', 100), '200: 5, 429: 95',
   '100 streams, 10 tokens of one zone and 5 of the other');
is(codes('/ten', 'c', 100), '200: 5, 429: 95',
   'what the refused ones took has been given back');

my $log = $nginx->read_file('logs/backend.log');

is(scalar(() = $log =~ m{ /ten }g), 25, 'what the backend has seen of /ten');
is(scalar(() = $log =~ m{ /both }g), 5, 'what the backend has seen of /both');

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg|error)\]/,
       'nothing wrong in the log');

done_testing();
