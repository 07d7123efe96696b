
# exp, nbf and iat: RFC 7519 section 4.1, and the lines of an issuer block
# about them.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

run_blocks();

__DATA__

=== TEST 1: exp
--- tokens eval
[
    [ 'in an hour'    => jwt({ exp => at(3600) }) => 'ok' ],
    [ 'in a minute'   => jwt({ exp => at(60) }) => 'ok' ],
    [ 'in 100 years'  => jwt({ exp => at(100 * 365 * 86400) }) => 'ok' ],
    [ 'far ahead'     => jwt({ exp => \'9223372036854775807' }) => 'ok' ],
    [ 'farther ahead' => jwt({ exp => \'1e300' }) => 'ok' ],
    [ 'a minute ago'  => jwt({ exp => at(-60) }) => 'expired' ],
    [ 'a second ago'  => jwt({ exp => at(-1) }) => 'expired' ],
    [ 'now'           => jwt({ exp => at(0) }) => 'expired' ],
    [ '0'             => jwt({ exp => \'0' }) => 'expired' ],
    [ '1'             => jwt({ exp => \'1' }) => 'expired' ],
    [ '-1'            => jwt({ exp => \'-1' }) => 'expired' ],
    [ 'far behind'    => jwt({ exp => \'-9223372036854775808' })
      => 'expired' ],
    [ 'farther behind' => jwt({ exp => \'-1e300' }) => 'expired' ],
]



=== TEST 2: exp as a fraction
--- tokens eval
my ($soon, $past) = (time() + 60, time() - 60);
[
    [ 'ahead'       => jwt({ exp => \"$soon.25" }) => 'ok' ],
    [ 'behind'      => jwt({ exp => \"$past.75" }) => 'expired' ],
    [ 'an exponent' => jwt({ exp => \'9.9e10' }) => 'ok' ],
    [ 'an exponent, behind' => jwt({ exp => \'1E9' }) => 'expired' ],
    [ 'a small one' => jwt({ exp => \'1e-5' }) => 'expired' ],
    [ 'written with a fraction of zero' => jwt({ exp => \"$soon.0" })
      => 'ok' ],
]



=== TEST 3: exp that is no number
--- tokens eval
[
    [ 'absent' => jwt({ exp => undef }) => 'malformed' ],
    map({ [ $_ => jwt({ exp => \$_ }) => 'malformed' ] }
        '"9999999999"', '""', '"x"', 'null', 'true', 'false', '[]',
        '[9999999999]', '{}', '{"exp":9999999999}', '1e400', '-1e400',
        '99999999999999999999'),
]



=== TEST 4: nbf
--- tokens eval
[
    [ 'a minute ago'  => jwt({ nbf => at(-60) }) => 'ok' ],
    [ 'now'           => jwt({ nbf => at(0) }) => 'ok' ],
    [ '0'             => jwt({ nbf => \'0' }) => 'ok' ],
    [ 'negative'      => jwt({ nbf => \'-5' }) => 'ok' ],
    [ 'a fraction'    => jwt({ nbf => \'12.5' }) => 'ok' ],
    [ 'far behind'    => jwt({ nbf => \'-1e300' }) => 'ok' ],
    [ 'in a minute'   => jwt({ nbf => at(60) }) => 'not_yet_valid' ],
    [ 'far ahead'     => jwt({ nbf => \'9223372036854775807' })
      => 'not_yet_valid' ],
    [ 'farther ahead' => jwt({ nbf => \'1e300' }) => 'not_yet_valid' ],
    map({ [ $_ => jwt({ nbf => \$_ }) => 'malformed' ] }
        '"0"', 'null', 'false', '[]', '{}', '-1e400'),
]



=== TEST 5: iat
--- tokens eval
[
    [ 'absent'        => jwt({ iat => undef }) => 'ok' ],
    [ 'a minute ago'  => jwt({ iat => at(-60) }) => 'ok' ],
    [ 'now'           => jwt({ iat => at(0) }) => 'ok' ],
    [ '0'             => jwt({ iat => \'0' }) => 'ok' ],
    [ 'a fraction'    => jwt({ iat => \'1.5' }) => 'ok' ],
    [ 'in a minute'   => jwt({ iat => at(60) }) => 'not_yet_valid' ],
    [ 'far ahead'     => jwt({ iat => \'1e300' }) => 'not_yet_valid' ],
    map({ [ $_ => jwt({ iat => \$_ }) => 'malformed' ] }
        '"0"', 'null', 'true', '[]', '{}', '1e400'),
]



=== TEST 6: exp is looked at before nbf and iat, and all after the signature
--- tokens eval
[
    [ 'exp and nbf' => jwt({ exp => at(-60), nbf => at(60) }) => 'expired' ],
    [ 'exp and iat' => jwt({ exp => at(-60), iat => at(60) }) => 'expired' ],
    [ 'exp and aud' => jwt({ exp => at(-60), aud => 'x' }) => 'expired' ],
    [ 'nbf and aud' => jwt({ nbf => at(60), aud => 'x' })
      => 'not_yet_valid' ],
    [ 'exp and signature'
      => jwt({ exp => at(-60) }, key => 'rsa_other', kid => 'rsa')
      => 'bad_signature' ],
    [ 'exp and key'
      => jwt({ exp => at(-60) }, kid => 'x') => 'unknown_key' ],
    [ 'exp and issuer' => jwt({ exp => at(-60), iss => 'x' })
      => 'unknown_issuer' ],
]



=== TEST 7: leeway
--- issuer
leeway 30s;
--- tokens eval
[
    [ 'exp 20s ago'   => jwt({ exp => at(-20) }) => 'ok' ],
    [ 'exp 40s ago'   => jwt({ exp => at(-40) }) => 'expired' ],
    [ 'exp 30s ago'   => jwt({ exp => at(-30) }) => 'expired' ],
    [ 'nbf in 20s'    => jwt({ nbf => at(20) }) => 'ok' ],
    [ 'nbf in a minute' => jwt({ nbf => at(60) }) => 'not_yet_valid' ],
    [ 'iat in 20s'    => jwt({ iat => at(20) }) => 'ok' ],
    [ 'iat in a minute' => jwt({ iat => at(60) }) => 'not_yet_valid' ],
    [ 'exp far behind' => jwt({ exp => \'-9223372036854775808' })
      => 'expired' ],
    [ 'exp far ahead' => jwt({ exp => \'9223372036854775807' }) => 'ok' ],
    [ 'nbf far ahead' => jwt({ nbf => \'9223372036854775807' })
      => 'not_yet_valid' ],
    [ 'nbf far behind' => jwt({ nbf => \'-9223372036854775808' }) => 'ok' ],
]



=== TEST 8: the longest leeway
--- issuer
leeway 5m;
--- tokens eval
[
    [ 'exp 280s ago' => jwt({ exp => at(-280) }) => 'ok' ],
    [ 'exp 310s ago' => jwt({ exp => at(-310) }) => 'expired' ],
]



=== TEST 9: the leeway of one issuer is not another's
--- http_config eval
issuer('leeway 1m;')
. issuer('issuer https://other.example.com;', 'other')
--- user_files eval
files('other.jwks' => jwks('rsa'))
--- access
    gateway_jwt "api" issuer=corp,other;
--- tokens eval
[
    [ 'with'    => jwt({ exp => at(-30) }) => 'ok' ],
    [ 'without' => jwt({ exp => at(-30), iss => 'https://other.example.com' })
      => 'expired' ],
]



=== TEST 10: require_exp off
--- issuer
require_exp off;
--- tokens eval
[
    [ 'absent'       => jwt({ exp => undef }) => 'ok' ],
    [ 'ahead'        => jwt({ exp => at(60) }) => 'ok' ],
    [ 'behind'       => jwt({ exp => at(-60) }) => 'expired' ],
    [ 'a string'     => jwt({ exp => \'"9999999999"' }) => 'malformed' ],
    [ 'null'         => jwt({ exp => \'null' }) => 'malformed' ],
    [ '1e400'        => jwt({ exp => \'1e400' }) => 'malformed' ],
    [ 'absent, and nbf ahead' => jwt({ exp => undef, nbf => at(60) })
      => 'not_yet_valid' ],
]



=== TEST 11: require_exp on
--- issuer
require_exp on;
--- tokens eval
[
    [ 'absent' => jwt({ exp => undef }) => 'malformed' ],
    [ 'ahead'  => jwt({ exp => at(60) }) => 'ok' ],
]



=== TEST 12: max_lifetime
--- issuer
max_lifetime 10m;
--- tokens eval
my $now = time();
[
    [ '10m'          => jwt({ iat => \$now, exp => \($now + 600) }) => 'ok' ],
    [ '5m'           => jwt({ iat => \$now, exp => \($now + 300) }) => 'ok' ],
    [ 'of a token that is nearly over'
      => jwt({ iat => \($now - 500), exp => \($now + 100) }) => 'ok' ],
    [ '10m and a second' => jwt({ iat => \$now, exp => \($now + 601) })
      => 'too_long_lived' ],
    [ '10m and half a second'
      => jwt({ iat => \$now, exp => \(($now + 600) . '.5') })
      => 'too_long_lived' ],
    [ 'an hour, of which a minute is left'
      => jwt({ iat => \($now - 3540), exp => \($now + 60) })
      => 'too_long_lived' ],
    [ 'no iat'       => jwt({ iat => undef, exp => \($now + 60) })
      => 'too_long_lived' ],
    [ 'iat far behind' => jwt({ iat => \'-9223372036854775808',
                                exp => \($now + 60) }) => 'too_long_lived' ],
    [ 'exp far ahead' => jwt({ exp => \'9223372036854775807' })
      => 'too_long_lived' ],
    [ 'both far' => jwt({ iat => \'-9223372036854775808',
                          exp => \'9223372036854775807' })
      => 'too_long_lived' ],
    [ 'over, and too long' => jwt({ iat => \($now - 7200),
                                    exp => \($now - 60) }) => 'expired' ],
]



=== TEST 13: max_lifetime without exp
--- issuer
max_lifetime 10m;
require_exp off;
--- tokens eval
my $now = time();
[
    [ 'no exp'  => jwt({ exp => undef }) => 'too_long_lived' ],
    [ 'neither' => jwt({ exp => undef, iat => undef }) => 'too_long_lived' ],
    [ 'both'    => jwt({ iat => \$now, exp => \($now + 600) }) => 'ok' ],
]



=== TEST 14: a token runs out, and another starts to be valid
no token is sent twice, so the cache has no part in it
--- tokens eval
my $then;
[
    [ 'exp ahead' => sub { $then = time() + 3; jwt({ exp => \$then, n => 1 }) }
      => 'ok' ],
    [ 'nbf ahead' => sub { jwt({ nbf => \$then, n => 1 }) }
      => 'not_yet_valid', pause => 3.1 ],
    [ 'exp passed' => sub { jwt({ exp => \$then, n => 2 }) } => 'expired' ],
    [ 'nbf passed' => sub { jwt({ nbf => \$then, n => 2 }) } => 'ok' ],
]
