# ngx_http_gateway_limit_module: what a check costs beside the raw proxy and
# beside nginx's limit_req, what is admitted under overload, and how long those
# wait who are.

package Bench::Limit;

use strict;
use warnings;

use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(read_file write_file);

use constant {
    MODULE => 'ngx_http_gateway_limit_module',
    KEYS   => 20_000,
};

my $bench;


# Keys sent in turn, as tokens: nothing in these configurations looks at an
# Authorization header but as a key.

my $keys = sub {
    my $file = "$bench->{build}/keys.txt";

    write_file($file, join '', map { sprintf "key%07d\n", $_ } 1 .. KEYS);

    return { path => '/', tokens => $file, token => 'key0000001' };
};


# Rates that no load of one machine reaches: nothing is refused.

my $gateway_limit = sub {
    my ($key, %more) = @_;

    return {
        modules  => [MODULE],
        http     => "    gateway_limit_zone $key zone=all:10m rate=1000000r/s "
                    . "burst=1000000;\n"
                    . '    gateway_limit_headers '
                    . ($more{headers} // 'off') . ";\n"
                    . ($more{http} // ''),
        location => 'gateway_limit zone=all;' . ($more{location} // ''),
        content  => $more{content},
    };
};


my $limit_req = sub {
    my ($key, %more) = @_;

    return {
        http     => "    limit_req_zone $key zone=all:10m rate=1000000r/s;\n",
        location => 'limit_req zone=all burst=1000000 nodelay;',
        content  => $more{content},
    };
};


sub {
    ($bench) = @_;

    my @gif = (content => 'empty_gif;');

    return ({
        name => 'proxied',
        request => { path => '/' },
        raw => {},
        cases => [
            { name => 'headers', title => 'one zone, by address',
              side => $gateway_limit->('$binary_remote_addr',
                                       headers => 'on'),
              needs => [MODULE],
              target => { ratio => 1.03 } },

            { name => 'legacy', title => 'likewise, with X-RateLimit fields',
              side => $gateway_limit->('$binary_remote_addr',
                                       headers => 'legacy'),
              needs => [MODULE] },

            { name => 'off', title => 'likewise, without fields',
              side => $gateway_limit->('$binary_remote_addr'),
              needs => [MODULE] },

            { name => 'three', title => 'three zones, with their fields',
              side => $gateway_limit->('$binary_remote_addr',
                  headers => 'on', http => <<'END',
    gateway_limit_zone $server_name zone=server:1m rate=1000000r/s burst=1000000;
    gateway_limit_zone $uri zone=uri:1m rate=1000000r/s burst=1000000;
END
                  location => "\n            gateway_limit zone=server;"
                              . "\n            gateway_limit zone=uri;"),
              needs => [MODULE] },

            { name => 'unused', title => 'module loaded, no directive of it',
              side => { modules => [MODULE] },
              needs => [MODULE],
              target => { ratio => 1.00, tolerance => 0.01 } },

            { name => 'limit_req', title => 'nginx: limit_req',
              side => $limit_req->('$binary_remote_addr') },
        ],
    },

    # "raw" is limit_req here

    { name => 'one key',
      request => { path => '/' },
      raw => $limit_req->('$binary_remote_addr', @gif),
      cases => [
          { name => 'gif', title => 'empty_gif, beside limit_req',
            side => $gateway_limit->('$binary_remote_addr', @gif),
            needs => [MODULE],
            target => { ratio => 1.00 } },
      ],
    },

    { name => 'many keys',
      request => $keys,
      raw => $limit_req->('$http_authorization', @gif),
      cases => [
          { name => 'gif_keys',
            title => 'empty_gif, ' . KEYS . ' keys, beside limit_req',
            side => $gateway_limit->('$http_authorization', @gif),
            needs => [MODULE],
            target => { ratio => 1.00 } },
      ],
    });
};
