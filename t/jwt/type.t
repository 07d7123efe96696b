
# "typ" of the header: RFC 7515 section 4.1.9, RFC 8725 section 3.11, RFC 9068
# section 4.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

run_blocks();

__DATA__

=== TEST 1: any, when no type is named
--- tokens eval
[
    [ 'JWT'      => jwt({}, header => { typ => 'JWT' }) => 'ok' ],
    [ 'at+jwt'   => jwt({}, header => { typ => 'at+jwt' }) => 'ok' ],
    [ 'absent'   => jwt({}, header => { typ => undef }) => 'ok' ],
    [ 'a number' => jwt({}, header => { typ => \'1' }) => 'ok' ],
]



=== TEST 2: at+jwt
--- issuer
type at+jwt;
--- tokens eval
[
    map({ [ $_ => jwt({}, header => { typ => $_ }) => 'ok' ] }
        'at+jwt', 'AT+JWT', 'At+Jwt', 'application/at+jwt',
        'Application/AT+JWT', 'APPLICATION/at+jwt'),
    [ 'an escape' => jwt({}, header => { typ => \'"at\u002bjwt"' }) => 'ok' ],
    [ 'an escaped slash'
      => jwt({}, header => { typ => \'"application\/at+jwt"' }) => 'ok' ],
]



=== TEST 3: not at+jwt
--- issuer
type at+jwt;
--- tokens eval
[
    [ 'absent' => jwt({}, header => { typ => undef }) => 'wrong_type' ],
    map({ [ "\"$_\"" => jwt({}, header => { typ => $_ }) => 'wrong_type' ] }
        'JWT', '', 'at+jw', 'at+jwt2', ' at+jwt', 'at+jwt ', 'atjwt',
        'application/', 'application/JWT', 'text/at+jwt', 'xapplication/at+jwt',
        'application/application/at+jwt', 'application/at+jwt/', '/at+jwt',
        'at+jwt; charset=utf-8'),
    map({ [ $_ => jwt({}, header => { typ => \$_ }) => 'wrong_type' ] }
        '1', 'null', 'true', '[]', '["at+jwt"]', '{}'),
]



=== TEST 4: written with application/
--- issuer
type application/at+jwt;
--- tokens eval
[
    [ 'short' => jwt({}, header => { typ => 'at+jwt' }) => 'ok' ],
    [ 'long'  => jwt({}, header => { typ => 'application/AT+jwt' }) => 'ok' ],
    [ 'JWT'   => jwt({}, header => { typ => 'JWT' }) => 'wrong_type' ],
]



=== TEST 5: several types, on one line
--- issuer
type at+jwt JWT;
--- tokens eval
[
    [ 'the first'  => jwt({}, header => { typ => 'at+jwt' }) => 'ok' ],
    [ 'the second' => jwt({}, header => { typ => 'jwt' }) => 'ok' ],
    [ 'a third'    => jwt({}, header => { typ => 'dpop+jwt' })
      => 'wrong_type' ],
    [ 'none'       => jwt({}, header => { typ => undef }) => 'wrong_type' ],
]



=== TEST 6: another media type
--- issuer
type text/x-token;
--- tokens eval
[
    [ 'the same'   => jwt({}, header => { typ => 'text/x-token' }) => 'ok' ],
    [ 'short'      => jwt({}, header => { typ => 'x-token' })
      => 'wrong_type' ],
    [ 'another'    => jwt({}, header => { typ => 'application/x-token' })
      => 'wrong_type' ],
    [ 'application/ before it'
      => jwt({}, header => { typ => 'application/text/x-token' })
      => 'wrong_type' ],
]



=== TEST 7: after the audience, before the lifetime
--- issuer
type at+jwt;
max_lifetime 1m;
--- tokens eval
[
    [ 'audience and type' => jwt({ aud => 'x' }) => 'wrong_audience' ],
    [ 'type and lifetime' => jwt() => 'wrong_type' ],
    [ 'lifetime' => jwt({}, header => { typ => 'at+jwt' })
      => 'too_long_lived' ],
]
