# All modules together: what they cost when each has something to do with a
# request, and when none has.

package Bench::Whole;

use strict;
use warnings;

use Bench::Client;
use Bench::Gateway;
use Bench::Tokens qw(issuer token_request);

use constant {
    ALL  => [map { "ngx_http_gateway_${_}_module" }
             qw(jwt limit aggregate websocket route)],
    PATH => '/orders/12345',
};

my $bench;


# A table of routes, a limit by address, a token that is in the cache, and a
# limit by its user; rates that no load of one machine reaches.

my $gateway = sub {
    my ($content) = @_;

    return {
        modules    => ALL,
        bad_status => 401,
        http       => sub { issuer($bench, 'RS256', 'size=4096') . <<'END' },
    gateway_limit_zone $binary_remote_addr zone=address:1m
                       rate=1000000r/s burst=1000000;
    gateway_limit_zone $gateway_jwt_claim_sub zone=user:1m
                       rate=1000000r/s burst=1000000;

    gateway_routes $service {
        GET        /users/:id                backend;
        PUT        /users/:id                backend;
        *          /users/:id/settings/**    backend;
        GET,POST   /orders                   backend;
        GET        /orders/:id               backend;
        DELETE     /orders/:id               backend;
        GET        /orders/:id/items/:item   backend;
        POST       /carts/:id([0-9]+)        backend;
        GET        /catalog/**               backend;
        POST       /search                   backend;
    }
END
        location => <<'END',
gateway_route $service;
            gateway_limit zone=address;
            gateway_jwt "bench" issuer=bench;
            gateway_limit zone=user after_auth;
END
        content => $content,
        check   => sub {
            my ($gateway) = @_;
            my $client = Bench::Client->new($gateway->{port});

            for my $path ('/nothing', '/orders/1/nothing') {
                my $status = $client->get($path);

                die "bench: $gateway->{name}: $path was answered $status\n"
                    if $status != 404;
            }
        },
    };
};


sub {
    ($bench) = @_;

    return ({
        name => 'whole',
        request => sub { token_request($bench, 'RS256', 0, PATH) },
        raw => {},
        cases => [
            { name => 'all',
              title => 'a route, two limits, a token in the cache',
              side => $gateway->(<<'END'),
proxy_pass http://$service;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
END
              needs => ALL,
              target => { ratio => 1.15 } },

            { name => 'static',
              title => 'the same with a proxy_pass without variables',
              side => $gateway->(Bench::Gateway::PROXY),
              needs => ALL },

            { name => 'unused', title => 'all modules loaded, none used',
              side => { modules => ALL },
              needs => ALL,
              target => { ratio => 1.00, tolerance => 0.01 } },
        ],
    });
};
