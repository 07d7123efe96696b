
# What has no route is not charged, whatever the order in which modules are
# loaded.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayNginx;

use Test::More;

my @modules = split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';

for my $order (\@modules, [ reverse @modules ]) {
    local $ENV{TEST_NGINX_LOAD_MODULES} = join ' ', @$order;

    my ($name) = map { /(\w+)_module\.so$/ ? "first $1" : 'built in' }
                 $order->[0] // '';

    my $nginx = NgxGatewayNginx->new(
        http => <<'_EOC_',
        gateway_limit_zone $arg_key zone=z:64k rate=1r/h burst=2;
        limit_req_zone $arg_key zone=req:64k rate=1r/m;

        gateway_routes $to {
            GET  /a  a;
        }
_EOC_
        server => <<'_EOC_',
        gateway_route $to;
        gateway_limit zone=z;

        location / {
            add_header X-To $to;
            empty_gif;
        }

        location /req {
            limit_req zone=req;
            empty_gif;
        }
_EOC_
    );

    $nginx->start();

    my $codes = sub {
        my (@requests) = @_;

        return join ' ', map { my $answer = $nginx->request($_);
                               $answer ? $answer->{code} : '-' } @requests;
    };

    is($codes->(('GET /none?key=a') x 4), '404 404 404 404', "$name: 404");
    is($codes->(('POST /a?key=a') x 3), '405 405 405', "$name: 405");
    is($codes->(('OPTIONS /a?key=a') x 3), '204 204 204', "$name: 204");
    is($codes->(('GET /a?key=a') x 3), '200 200 429', "$name: what is charged");
    is($codes->(('GET /none?key=a') x 2), '404 404',
       "$name: 404 where a limit would refuse");
    is($codes->(('GET /req?key=b') x 3), '404 404 404',
       "$name: nor is it by limit_req");
}

done_testing();
