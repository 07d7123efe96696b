# ngx_http_gateway_route_module: what a request costs that a table of routes
# sends to its service, with 10 routes and with 10,000; and the table alone.

package Bench::Route;

use strict;
use warnings;

use Bench::Client;
use Bench::Gateway;
use Bench::Process qw(write_file);
use Bench::RouteLookup;

use constant {
    MODULE    => 'ngx_http_gateway_route_module',
    RESOURCES => 1000,
    REGEXES   => 1000,
    PATH      => '/api/v1/resource7/12345/items/678',
};

my $bench;

# With "http://" and a variable nginx evaluates it, parses the URL and looks
# for the upstream by its name, for each request.

my $to_variable = sub {
    my ($variable) = @_;

    return <<"END";
proxy_pass http://\$$variable;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
END
};


# What an API has of each resource: ten routes.

my $routes = sub {
    my ($resource) = @_;
    my $all = "/api/v1/resource$resource";

    return join '', map { "    $_ backend;\n" }
        "GET    $all", "POST   $all", "GET    $all/:id", "PUT    $all/:id",
        "DELETE $all/:id", "GET    $all/:id/items", "POST   $all/:id/items",
        "GET    $all/:id/items/:item", "DELETE $all/:id/items/:item",
        "POST   $all/:id/archive";
};


# A file of it, since it may be large.  The requests' resource is number 7.

my $table = sub {
    my ($name, @resources) = @_;
    my $file = "$bench->{work}/$name.routes";

    write_file($file, join '', map { $routes->($_) } @resources);

    return "    gateway_routes \$service {\n        include $file;\n    }\n";
};


# What no route takes is refused.

my $refuses = sub {
    my ($gateway) = @_;
    my $client = Bench::Client->new($gateway->{port});
    my $status = $client->get('/api/v1/resource7/12345/nothing');

    die "bench: $gateway->{name}: a path without a route was answered "
        . "$status\n" if $status != 404;
    return;
};


my $routed = sub {
    my ($name, $resources, %more) = @_;

    return {
        modules  => [MODULE],
        http     => sub { $table->($name, @$resources) },
        location => 'gateway_route $service;' . ($more{location} // ''),
        content  => $more{content} // $to_variable->('service'),
        check    => $refuses,
    };
};


my $mapped = sub {
    my (@lines) = @_;

    return {
        http    => "    map \$uri \$service {\n"
                   . join('', map { "        $_\n" } @lines) . "    }\n",
        content => $to_variable->('service'),
    };
};


sub {
    ($bench) = @_;

    my @ten = ([7]);
    my @many = ([0 .. RESOURCES - 1]);

    # as many as can be, of which the last one matches

    my @regexes = map { "~^/api/v1/resource$_/[^/]+/items/[^/]+\$ backend;" }
        reverse 0 .. REGEXES - 1;

    @regexes = ((grep { !m{/resource7/} } @regexes),
                grep { m{/resource7/} } @regexes);

    return ({
        name => 'proxied',
        request => { path => PATH },
        raw => {},
        cases => [
            { name => 'ten', title => '10 routes, proxy_pass http://$service',
              side => $routed->('ten', @ten),
              needs => [MODULE],
              target => { ratio => 1.03 } },

            { name => 'static',
              title => '10 routes, and a proxy_pass without variables',
              side => $routed->('static', @ten,
                                content => Bench::Gateway::PROXY),
              needs => [MODULE] },

            { name => 'captures',
              title => '10 routes, both captures in header fields',
              side => $routed->('captures', @ten, location => <<'END'),

            proxy_set_header X-Id $gateway_path_id;
            proxy_set_header X-Item $gateway_path_item;
END
              needs => [MODULE] },

            { name => 'map', title => 'nginx: map, proxy_pass http://$service',
              side => $mapped->('default backend;') },

            { name => 'map_regexes',
              title => 'nginx: likewise, with ' . REGEXES . ' regexes',
              side => $mapped->(@regexes) },

            { name => 'unused', title => 'module loaded, no directive of it',
              side => { modules => [MODULE] },
              needs => [MODULE],
              target => { ratio => 1.00, tolerance => 0.01 } },
        ],
    },

    # "raw" has ten routes here

    { name => 'ten thousand',
      request => { path => PATH },
      raw => $routed->('few', @ten),
      cases => [
          { name => 'many', title => '10,000 routes, beside 10',
            side => $routed->('many', @many),
            needs => [MODULE],
            target => { ratio => 1.02 } },
      ],
    },

    # What nginx's own evaluation of the variable takes is in both.

    { name => 'beside map',
      request => { path => PATH },
      raw => $mapped->('default backend;'),
      cases => [
          { name => 'beside_map',
            title => '10 routes, beside map; both proxy_pass http://$service',
            side => $routed->('beside_map', @ten),
            needs => [MODULE] },
      ],
    },

    Bench::RouteLookup::groups($bench));
};
