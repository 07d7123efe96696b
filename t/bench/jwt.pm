# ngx_http_gateway_jwt_module: tokens out of the cache, signatures without the
# cache, and the cache's memory; beside what nginx itself and lua cost.

use strict;
use warnings;

use Bench::Client;
use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(read_file);
use Bench::Tokens qw(TOKENS issuer token_request tokens);

use constant MODULE => 'ngx_http_gateway_jwt_module';

my $bench;


my $request = sub {
    my (@which) = @_;

    return sub { token_request($bench, @which) };
};


my $side = sub {
    my ($algorithm, $cache, $more) = @_;

    return {
        modules    => [MODULE],
        bad_status => 401,
        http       => sub { issuer($bench, $algorithm, $cache) },
        location   => 'gateway_jwt "bench" issuer=bench;' . ($more || ''),
    };
};


# The shape of the simplest handler that people write: a table of the tokens
# already seen, in the worker.

my $lua = {
    modules  => ['ndk_http_module', 'ngx_http_lua_module'],
    http     => 'init_worker_by_lua_block { seen = {} }',
    location => <<'END',
access_by_lua_block {
                local value = ngx.var.http_authorization
                if not value then
                    return ngx.exit(401)
                end
                if not seen[value] then
                    seen[value] = ngx.time() + 60
                end
                if seen[value] < ngx.time() then
                    seen[value] = nil
                end
            }
END
};


# Private_Dirty of the worker after every token has been there.

my $dirty = sub {
    my ($cache) = @_;
    my $asked = $request->('RS256', 1)->();
    my $side = $side->('RS256', $cache);
    my $gateway = Bench::Gateway->gateway($bench, 'memory', $side);

    Bench::Measure::check($gateway, $side, $asked);

    Bench::Measure::fill($bench, $gateway, $asked, TOKENS);

    my ($kb) = read_file("/proc/$gateway->{worker}/smaps_rollup")
        =~ /^Private_Dirty:\s*(\d+) kB/m;

    $gateway->stop_it;
    return $kb * 1024;
};


my $memory = sub {
    my ($file) = tokens($bench, 'RS256');
    my $length = (-s $file) / TOKENS - 1;
    my $target = 2 * $length + 512;
    my @each = map {
        ($dirty->('size=' . TOKENS) - $dirty->('off')) / TOKENS
    } 1 .. 3;
    my $each = Bench::spread(@each);

    return (
        figure => $each->{median},
        unit   => 'bytes for each cached token',
        spread => $each,
        text   => sprintf('%.0f bytes for each of %d tokens of %.0f bytes '
            . '(%.0f..%.0f)', $each->{median}, TOKENS, $length,
            $each->{min}, $each->{max}),
        target => { kind => 'bytes', value => $target },
        met    => $each->{median} <= $target ? 1 : 0,
    );
};


my $new_tokens = sub {
    my ($algorithm, $openssl, $target, @more) = @_;

    return {
        name => lc $algorithm,
        request => $request->($algorithm, 1),
        raw => {},
        openssl => $openssl,
        cases => [{
            name => lc $algorithm,
            title => "$algorithm, every token new, cache off",
            side => $side->($algorithm, 'off'),
            needs => [MODULE],
            target => $target,
        }, @more],
    };
};


sub {
    ($bench) = @_;

    return ({
        name => 'one token',
        request => $request->('RS256'),
        raw => {},
        cases => [
            { name => 'cached', title => 'token in the cache',
              side => $side->('RS256', 'size=4096'),
              needs => [MODULE],
              target => { ratio => 1.05 } },

            { name => 'rules', title => 'cached, a scope, a claim and a '
                                        . 'header made of a claim',
              side => $side->('RS256', 'size=4096', <<'END'),

            gateway_jwt_require_scope orders:read;
            gateway_jwt_require_claim aud contains api;
            proxy_set_header X-User $gateway_jwt_claim_sub;
END
              needs => [MODULE] },

            { name => 'unused', title => 'module loaded, no directive of it',
              side => { modules => [MODULE] },
              needs => [MODULE],
              target => { ratio => 1.00, tolerance => 0.01 } },

            { name => 'limit_req', title => 'nginx: limit_req',
              side => {
                  http => 'limit_req_zone $binary_remote_addr zone=all:1m '
                          . 'rate=1000000r/s;',
                  location => 'limit_req zone=all burst=100000 nodelay;',
              } },

            { name => 'auth_request',
              title => 'nginx: auth_request, answered by return 204',
              side => {
                  location => 'auth_request /auth;',
                  server => 'location = /auth { internal; return 204; }',
              } },

            { name => 'lua', title => 'lua: an access handler with a table',
              side => $lua,
              needs => $lua->{modules},
              optional => 1 },
        ],
    },

    $new_tokens->('RS256', 'rsa2048', { verify => 1.5 }, {
        name => 'many',
        title => 'RS256, all ' . TOKENS . ' tokens in the cache',
        side => { %{ $side->('RS256', 'size=' . TOKENS) }, fill => TOKENS },
        needs => [MODULE],
    }),
    $new_tokens->('ES256', 'ecdsap256', { verify => 1.3 }),
    $new_tokens->('HS256'),

    { name => 'memory', title => 'memory of the cache', run => $memory,
      needs => [MODULE] });
};
