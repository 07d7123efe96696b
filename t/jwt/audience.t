
# iss and aud: RFC 7519 sections 4.1.1 and 4.1.3, RFC 8725 sections 3.8 and
# 3.9; several issuers in one place.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

our $Other = 'https://other.example.com';

run_blocks();

__DATA__

=== TEST 1: one audience
--- tokens eval
[
    [ 'a string'         => jwt({ aud => 'api' }) => 'ok' ],
    [ 'an array of it'   => jwt({ aud => [ 'api' ] }) => 'ok' ],
    [ 'the last of several'
      => jwt({ aud => [ 'x', 'y', 'api' ] }) => 'ok' ],
    [ 'twice'            => jwt({ aud => [ 'api', 'api' ] }) => 'ok' ],
    [ 'among others that are no strings'
      => jwt({ aud => \'[1,null,{"api":"api"},["api"],"api"]' }) => 'ok' ],
    [ 'an escape'        => jwt({ aud => \'"\u0061pi"' }) => 'ok' ],
]



=== TEST 2: not that audience
--- tokens eval
[
    [ 'another'          => jwt({ aud => 'web' }) => 'wrong_audience' ],
    [ 'absent'           => jwt({ aud => undef }) => 'wrong_audience' ],
    [ 'an empty string'  => jwt({ aud => '' }) => 'wrong_audience' ],
    [ 'an empty array'   => jwt({ aud => [] }) => 'wrong_audience' ],
    [ 'other ones'       => jwt({ aud => [ 'x', 'y' ] })
      => 'wrong_audience' ],
    [ 'a longer one'     => jwt({ aud => 'api2' }) => 'wrong_audience' ],
    [ 'a shorter one'    => jwt({ aud => 'ap' }) => 'wrong_audience' ],
    [ 'another case'     => jwt({ aud => 'API' }) => 'wrong_audience' ],
    [ 'a space'          => jwt({ aud => 'api ' }) => 'wrong_audience' ],
    [ 'several in a string' => jwt({ aud => 'api web' })
      => 'wrong_audience' ],
    [ 'any'              => jwt({ aud => 'any' }) => 'wrong_audience' ],
    [ 'a star'           => jwt({ aud => '*' }) => 'wrong_audience' ],
    [ 'nested arrays'    => jwt({ aud => [ [ 'api' ] ] })
      => 'wrong_audience' ],
    map({ [ $_ => jwt({ aud => \$_ }) => 'wrong_audience' ] }
        '1', '0', 'null', 'true', '{}', '{"api":"api"}', '{"0":"api"}',
        '[1]', '[null]', '[{"api":"api"}]', '[[],"x"]', '["x",["api"],"y"]'),
]



=== TEST 3: several audiences
--- issuer
audience api https://api.example.com/ "two words";
--- tokens eval
[
    [ 'the first'        => jwt({ aud => 'api' }) => 'ok' ],
    [ 'the second'       => jwt({ aud => 'https://api.example.com/' })
      => 'ok' ],
    [ 'the third'        => jwt({ aud => 'two words' }) => 'ok' ],
    [ 'an array with one' => jwt({ aud => [ 'x', 'two words' ] }) => 'ok' ],
    [ 'none of them'     => jwt({ aud => 'two' }) => 'wrong_audience' ],
    [ 'an array with none' => jwt({ aud => [ 'x', 'words' ] })
      => 'wrong_audience' ],
    [ 'without the slash' => jwt({ aud => 'https://api.example.com' })
      => 'wrong_audience' ],
]



=== TEST 4: a number as audience is still compared as a string
--- issuer
audience 42;
--- tokens eval
[
    [ 'a string' => jwt({ aud => '42' }) => 'ok' ],
    [ 'a number' => jwt({ aud => \'42' }) => 'wrong_audience' ],
]



=== TEST 5: any audience
--- issuer
audience any;
--- tokens eval
[
    [ 'api'      => jwt({ aud => 'api' }) => 'ok' ],
    [ 'another'  => jwt({ aud => [ 'x' ] }) => 'ok' ],
    [ 'absent'   => jwt({ aud => undef }) => 'ok' ],
    [ 'empty'    => jwt({ aud => [] }) => 'ok' ],
    [ 'a number' => jwt({ aud => \'1' }) => 'ok' ],
]



=== TEST 6: iss
--- tokens eval
[
    [ 'absent'          => jwt({ iss => undef }) => 'unknown_issuer' ],
    [ 'another'         => jwt({ iss => $::Other }) => 'unknown_issuer' ],
    [ 'a slash more'    => jwt({ iss => 'https://id.example.com/' })
      => 'unknown_issuer' ],
    [ 'a byte less'     => jwt({ iss => 'https://id.example.co' })
      => 'unknown_issuer' ],
    [ 'another case'    => jwt({ iss => 'https://ID.example.com' })
      => 'unknown_issuer' ],
    [ 'another scheme'  => jwt({ iss => 'http://id.example.com' })
      => 'unknown_issuer' ],
    [ 'without scheme'  => jwt({ iss => 'id.example.com' })
      => 'unknown_issuer' ],
    [ "the block's name" => jwt({ iss => 'corp' }) => 'unknown_issuer' ],
    [ 'empty'           => jwt({ iss => '' }) => 'unknown_issuer' ],
    [ 'an array'        => jwt({ iss => [ 'https://id.example.com' ] })
      => 'unknown_issuer' ],
    map({ [ $_ => jwt({ iss => \$_ }) => 'unknown_issuer' ] }
        '1', 'null', 'true', '{}'),
    [ 'another, and a bad signature'
      => jwt({ iss => $::Other }, signature => sub { 'x' })
      => 'unknown_issuer' ],
    [ 'another, and no algorithm'
      => jwt({ iss => $::Other }, alg => 'none', sign_as => 'RS256')
      => 'unknown_issuer' ],
]



=== TEST 7: iss with an escape is what it is
--- tokens eval
[
    [ 'slashes' => jwt({ iss => \'"https:\/\/id.example.com"' }) => 'ok' ],
    [ 'a letter' => jwt({ iss => \'"https://\u0069d.example.com"' })
      => 'ok' ],
]



=== TEST 8: several issuers in one location
--- http_config eval
issuer()
. issuer("issuer $::Other; audience web;", 'other')
. issuer("issuer https://third.example.com;", 'third')
--- user_files eval
files('other.jwks' => jwks('rsa_other'), 'third.jwks' => jwks('p256_third'))
--- access
    gateway_jwt "api" issuer=corp,other;
--- tokens eval
[
    [ 'the first'  => jwt() => 'ok' ],
    [ 'the second' => jwt({ iss => $::Other, aud => 'web' },
                          key => 'rsa_other') => 'ok' ],
    [ 'one that is not named here'
      => jwt({ iss => 'https://third.example.com' }, key => 'p256_third')
      => 'unknown_issuer' ],
    [ "the second, the first's audience"
      => jwt({ iss => $::Other }, key => 'rsa_other') => 'wrong_audience' ],
    [ "the first, the second's audience" => jwt({ aud => 'web' })
      => 'wrong_audience' ],
]



=== TEST 9: an issuer for each location, a token goes to each
--- http_config eval
issuer()
. issuer("issuer $::Other;", 'other')
--- user_files eval
files('other.jwks' => jwks('rsa_other'))
--- config
    location /corp {
        gateway_jwt "corp" issuer=corp;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /other {
        gateway_jwt "other" issuer=other;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- tokens eval
my $corp = jwt();
my $other = jwt({ iss => $::Other }, key => 'rsa_other');
[
    [ 'corp to corp' => $corp => 'ok', request => 'GET /corp' ],
    [ 'corp to other' => $corp => 'unknown_issuer',
      request => 'GET /other', realm => 'other' ],
    [ 'other to other' => $other => 'ok', request => 'GET /other' ],
    [ 'other to corp' => $other => 'unknown_issuer',
      request => 'GET /corp', realm => 'corp' ],
    [ 'corp to other, again' => $corp => 'unknown_issuer',
      request => 'GET /other', realm => 'other' ],
]



=== TEST 10: the same issuer in two blocks of different audiences
each location names one of them
--- http_config eval
issuer()
. issuer("audience web;\nkey_file $NgxGatewayTest::KEYS/corp.jwks;", 'web')
--- config
    location /api {
        gateway_jwt "api" issuer=corp;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /web {
        gateway_jwt "web" issuer=web;
        add_header X-Status $gateway_jwt_status always;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
    }

    location /backend {
        return 200 "backend\n";
    }
--- tokens eval
my $api = jwt();
my $both = jwt({ aud => [ 'web', 'api' ] });
[
    [ 'api to api'  => $api => 'ok', request => 'GET /api' ],
    [ 'api to web'  => $api => 'wrong_audience', request => 'GET /web',
      realm => 'web' ],
    [ 'both to api' => $both => 'ok', request => 'GET /api' ],
    [ 'both to web' => $both => 'ok', request => 'GET /web' ],
    [ 'api to web, again'  => $api => 'wrong_audience',
      request => 'GET /web', realm => 'web' ],
    [ 'api to api, again'  => $api => 'ok', request => 'GET /api' ],
]



=== TEST 11: issuer blocks after their use
--- no_issuer
--- http_config eval
'server {
    listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;

    location /first {
        gateway_jwt "api" issuer=corp,other;
        add_header X-Status $gateway_jwt_status always;
        empty_gif;
    }
}
'
. issuer("issuer $::Other;", 'other') . issuer()
--- user_files eval
files('other.jwks' => jwks('rsa_other'))
--- config
    location /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/first;
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({ iss => $::Other }, key => 'rsa_other'),
 "Authorization: Bearer " . jwt({}, key => 'rsa_other', kid => undef)]
--- error_code eval
[200, 200, 401]
--- response_headers eval
["X-Status: ok", "X-Status: ok", "X-Status: bad_signature"]
