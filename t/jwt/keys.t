
# Which keys verify what: RFC 7517, key files and the choice among keys.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

# a key file that is warned about is read by each of the processes that a
# start or a reload makes, so the log is searched as a whole

check_accum_error_log();

run_blocks();

__DATA__

=== TEST 1: PEM public keys
--- issuer eval
CORE::join '', map { "key_file $NgxGatewayTest::KEYS/$_.pem;\n" }
         qw( rsa p256 p384 p521 ed25519 ed448 )
--- user_files eval
files(map { ("$_.pem" => pem($_)) } qw( rsa p256 p384 p521 ed25519 ed448 ))
--- tokens eval
[
    map({ [ $_ => jwt({}, key => $_) => 'ok' ],
          [ "$_, no kid" => jwt({}, key => $_, kid => undef) => 'ok' ],
          [ "$_, any kid" => jwt({}, key => $_, kid => 'x') => 'ok' ],
          [ "$_, another key" => jwt({}, key => "${_}_other", kid => $_)
            => 'bad_signature' ] }
        qw( rsa p256 p384 p521 ed25519 ed448 )),
    [ 'PS256' => jwt({}, alg => 'PS256') => 'ok' ],
]



=== TEST 2: PEM certificates
--- issuer eval
CORE::join '', map { "key_file $NgxGatewayTest::KEYS/$_.crt;\n" }
         qw( rsa p256 ed25519 )
--- user_files eval
files(map { ("$_.crt" => certificate($_)) } qw( rsa p256 ed25519 ))
--- tokens eval
[
    map { [ $_ => jwt({}, key => $_) => 'ok' ],
          [ "$_, no kid" => jwt({}, key => $_, kid => undef) => 'ok' ],
          [ "$_, another key" => jwt({}, key => "${_}_other")
            => 'bad_signature' ] }
        qw( rsa p256 ed25519 )
]



=== TEST 3: a JWK alone
--- user_files eval
files('corp.jwks' => json(jwk('p256')))
--- tokens eval
[
    [ 'its key'    => jwt({}, key => 'p256') => 'ok' ],
    [ 'no kid'     => jwt({}, key => 'p256', kid => undef) => 'ok' ],
    [ 'another'    => jwt({}, key => 'p256_other') => 'unknown_key' ],
]



=== TEST 4: several files: JWKS, PEM and a certificate
--- issuer eval
CORE::join '', map { "key_file $NgxGatewayTest::KEYS/$_;\n" }
         qw( corp.jwks b.jwks rsa.pem p256.crt )
--- user_files eval
files('corp.jwks' => jwks('ed25519'), 'b.jwks' => jwks('p384', 'rsa_b'),
      'rsa.pem' => pem('rsa'), 'p256.crt' => certificate('p256'))
--- tokens eval
[
    map { [ $_ => jwt({}, key => $_) => 'ok' ],
          [ "$_, no kid" => jwt({}, key => $_, kid => undef) => 'ok' ] }
        qw( ed25519 p384 rsa_b rsa p256 )
]



=== TEST 5: a relative path counts from the configuration file
--- issuer
key_file ../html/corp.jwks;
--- tokens eval
[
    [ 'ok' => jwt() => 'ok' ],
]



=== TEST 6: the kid chooses
--- user_files eval
files('corp.jwks' => jwks('rsa', 'rsa_b', jwk('rsa_c', kid => undef)))
--- tokens eval
[
    [ 'the first'           => jwt() => 'ok' ],
    [ 'the second'          => jwt({}, key => 'rsa_b') => 'ok' ],
    [ 'the one without'     => jwt({}, key => 'rsa_c') => 'ok' ],
    [ 'the one without, no kid' => jwt({}, key => 'rsa_c', kid => undef)
      => 'ok' ],
    [ 'the first, no kid'   => jwt({}, kid => undef) => 'ok' ],
    [ 'the first, kid of the second' => jwt({}, kid => 'rsa_b')
      => 'bad_signature' ],
    [ 'the one without, kid of the first'
      => jwt({}, key => 'rsa_c', kid => 'rsa') => 'bad_signature' ],
    [ 'the first, an unknown kid' => jwt({}, kid => 'x')
      => 'bad_signature' ],
]



=== TEST 7: an unknown kid
--- tokens eval
[
    [ 'of a key that is there'  => jwt({}, kid => 'x') => 'unknown_key' ],
    [ 'of another key'          => jwt({}, key => 'rsa_other')
      => 'unknown_key' ],
    [ 'and an unknown algorithm'
      => jwt({}, kid => 'x', alg => 'none', sign_as => 'RS256')
      => 'bad_algorithm' ],
]



=== TEST 8: two keys of one kid
--- user_files eval
files('corp.jwks' => jwks(jwk('rsa', kid => 'a'), jwk('rsa_b', kid => 'a'),
                          jwk('p256', kid => 'a'), jwk('p384', kid => 'b')))
--- tokens eval
[
    [ 'the first'      => jwt({}, kid => 'a') => 'ok' ],
    [ 'the second'     => jwt({}, key => 'rsa_b', kid => 'a') => 'ok' ],
    [ 'of another type' => jwt({}, key => 'p256', kid => 'a') => 'ok' ],
    [ 'neither'        => jwt({}, key => 'rsa_c', kid => 'a')
      => 'bad_signature' ],
    [ 'no such type'   => jwt({}, key => 'ed25519', kid => 'a')
      => 'bad_algorithm' ],
]



=== TEST 9: the kid of another issuer's key
--- http_config eval
issuer()
. issuer('issuer https://other.example.com;', 'other')
--- user_files eval
files('other.jwks' => jwks('rsa_other', jwk('p256_other', kid => 'p256')))
--- access
    gateway_jwt "api" issuer=corp,other;
--- tokens eval
my $other = 'https://other.example.com';
[
    [ 'corp'  => jwt() => 'ok' ],
    [ 'other' => jwt({ iss => $other }, key => 'rsa_other') => 'ok' ],
    [ "corp, with other's key" => jwt({}, key => 'rsa_other')
      => 'unknown_key' ],
    [ "other, with corp's key" => jwt({ iss => $other }) => 'unknown_key' ],
    [ "corp, with other's key, no kid"
      => jwt({}, key => 'rsa_other', kid => undef) => 'bad_signature' ],
    [ "other, with corp's key, no kid"
      => jwt({ iss => $other }, kid => undef) => 'bad_signature' ],
    [ "a kid that both have, corp's"
      => jwt({}, key => 'p256') => 'ok' ],
    [ "a kid that both have, other's"
      => jwt({ iss => $other }, key => 'p256_other', kid => 'p256') => 'ok' ],
    [ 'a kid that both have, crossed'
      => jwt({ iss => $other }, key => 'p256') => 'bad_signature' ],
]



=== TEST 10: an unknown kty is skipped
--- user_files eval
files('corp.jwks' => jwks(\'{"kty":"XYZ","kid":"x","n":"AQAB"}',
                          \'{"kty":"AKP","kid":"y","alg":"ML-DSA-44"}',
                          'rsa'))
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_log eval
[qr/\[warn\].*"x"/, qr/\[warn\].*"y"/]
--- suppress_stderr
--- no_error_log
[error]
[alert]
[crit]



=== TEST 11: an RSA key of 1024 bits is not loaded
--- user_files eval
files('corp.jwks' => jwks(qw( rsa1024 rsa )))
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({}, key => 'rsa1024'),
 "Authorization: Bearer " . jwt({}, key => 'rsa1024', kid => undef)]
--- error_code eval
[200, 401, 401]
--- response_body_like eval
["backend", "key is not known", "signature is not valid"]
--- error_log eval
qr/\[warn\].*"rsa1024"/
--- suppress_stderr
--- no_error_log
[error]
[alert]
[crit]



=== TEST 12: an RSA key of 2047 bits is too short as well
--- user_files eval
my $n = unb64u((json(jwk('rsa')) =~ /"n":"([^"]+)"/)[0]);
my $first = substr($n, 0, 1) & "\x7f" | "\x40";
files('corp.jwks' => jwks('p256', jwk('rsa', n => b64u($first . substr $n, 1))))
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt({}, key => 'p256')
--- error_log eval
qr/\[warn\].*"rsa"/
--- suppress_stderr
--- no_error_log
[error]
[alert]
[crit]



=== TEST 13: "use" and "key_ops"
--- user_files eval
files('corp.jwks' => jwks(
    jwk('rsa', use => 'sig'), jwk('rsa_enc', use => 'enc'),
    jwk('rsa_x', use => 'x'),
    jwk('p256', key_ops => [ 'verify' ]),
    jwk('p256_both', key_ops => [ 'sign', 'verify' ], use => 'sig'),
    jwk('p256_sign', key_ops => [ 'sign' ]),
    jwk('p256_none', key_ops => []),
    jwk('p256_enc', key_ops => [ 'verify' ], use => 'enc'),
    jwk('p384', key_ops => [ 'wrapKey' ])))
--- suppress_stderr
--- tokens eval
[
    [ 'use sig'           => jwt() => 'ok' ],
    [ 'use enc'           => jwt({}, key => 'rsa_enc') => 'unknown_key' ],
    [ 'use x'             => jwt({}, key => 'rsa_x') => 'unknown_key' ],
    [ 'use enc, no kid'   => jwt({}, key => 'rsa_enc', kid => undef)
      => 'bad_signature' ],
    [ 'verify'            => jwt({}, key => 'p256') => 'ok' ],
    [ 'sign and verify'   => jwt({}, key => 'p256_both') => 'ok' ],
    [ 'sign'              => jwt({}, key => 'p256_sign') => 'unknown_key' ],
    [ 'no operation'      => jwt({}, key => 'p256_none') => 'unknown_key' ],
    [ 'verify and use enc' => jwt({}, key => 'p256_enc') => 'unknown_key' ],
    [ 'wrapKey'           => jwt({}, key => 'p384') => 'unknown_key' ],
    [ 'wrapKey, no kid'   => jwt({}, key => 'p384', kid => undef)
      => 'unknown_key' ],
]



=== TEST 14: those skipped are warned about
--- user_files eval
files('corp.jwks' => jwks('rsa', jwk('rsa_enc', use => 'enc'),
                          jwk('p256_sign', key_ops => [ 'sign' ])))
--- request
GET /t
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_log eval
[qr/\[warn\].*"rsa_enc"/, qr/\[warn\].*"p256_sign"/]
--- suppress_stderr
--- no_error_log
[error]
[alert]
[crit]



=== TEST 15: a JWK with private members is warned about, and verifies
--- user_files eval
files('corp.jwks' => jwks(map { jwk_private($_) } qw( rsa p256 ed25519 )))
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers eval
[map({ "Authorization: Bearer " . jwt({}, key => $_) }
     qw( rsa p256 ed25519 )),
 "Authorization: Bearer " . jwt({}, key => 'rsa_other', kid => 'rsa')]
--- error_code eval
[200, 200, 200, 401]
--- response_body_like eval
["backend", "backend", "backend", "signature is not valid"]
--- error_log eval
[qr/\[warn\].*"rsa".*private/, qr/\[warn\].*"p256".*private/,
 qr/\[warn\].*"ed25519".*private/]
--- suppress_stderr
--- no_error_log eval
my ($d) = json(jwk_private('rsa')) =~ /"d":"([^"]{20})/;
['[error]', '[alert]', '[crit]', $d]



=== TEST 16: an oct key is not used unless HS is listed
--- user_files eval
files('corp.jwks' => jwks(qw( rsa oct )))
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({}, key => 'oct')]
--- error_code eval
[200, 401]
--- response_body_like eval
["backend", "algorithm is not accepted"]
--- error_log eval
qr/\[warn\].*"oct"/
--- suppress_stderr
--- no_error_log eval
my ($k) = json(jwk('oct')) =~ /"k":"([^"]{20})/;
['[error]', '[alert]', '[crit]', $k]



=== TEST 17: members that are not known are no trouble
--- user_files eval
files('corp.jwks' => json({
    issuer => 'x', keys => [ jwk('rsa', x5t => 'abc', x5c => [ 'MIIB' ],
                                 ext => \'true', n_ => \'1.5') ],
    next => \'{"a":[1,2,{"b":null}]}' }))
--- tokens eval
[
    [ 'ok' => jwt() => 'ok' ],
]



=== TEST 18: many keys
--- user_files eval
files('corp.jwks' => jwks(map({ jwk('p256', kid => "k$_") } 1 .. 200),
                          'rsa', 'p256'))
--- tokens eval
[
    [ 'the last' => jwt({}, key => 'p256') => 'ok' ],
    [ 'the first' => jwt({}, key => 'p256', kid => 'k1') => 'ok' ],
    [ 'another' => jwt({}, key => 'p256', kid => 'k200') => 'ok' ],
    [ 'beyond' => jwt({}, key => 'p256', kid => 'k201') => 'unknown_key' ],
]



=== TEST 19: no more than eight signatures are tried for a token
--- user_files eval
files('corp.jwks' => jwks(map({ jwk("p256_$_", kid => 'a') } 1 .. 7),
                          jwk('p256', kid => 'a'),
                          jwk('p256_8', kid => 'a'),
                          'rsa'))
--- tokens eval
[
    [ 'the eighth' => jwt({}, key => 'p256', kid => 'a') => 'ok' ],
    [ 'the ninth' => jwt({}, key => 'p256_8', kid => 'a')
      => 'bad_signature' ],
    [ 'those of another type do not count' => jwt({}, kid => undef) => 'ok' ],
]



=== TEST 20: members with leading zeros, and a kid with an escape
--- user_files eval
my ($n) = json(jwk('rsa')) =~ /"n":"([^"]+)"/;
files('corp.jwks' => jwks(jwk('rsa', n => b64u("\0" . unb64u($n))),
                          \(json(jwk('p256')) =~ s/"kid":"p256"/"kid":"p\\u0032\\u002f\\u00e9"/r)))
--- tokens eval
[
    [ 'rsa' => jwt() => 'ok' ],
    [ 'the kid' => jwt({}, key => 'p256', kid => "p2/\xc3\xa9") => 'ok' ],
    [ 'the kid, with escapes'
      => jwt({}, key => 'p256', header => { kid => \'"p2\/\u00e9"' })
      => 'ok' ],
]



=== TEST 21: a JWKS that mentions PEM is still JSON
--- user_files eval
files('corp.jwks' => " \n" . jwks(jwk('rsa', pem => pem('rsa')), 'p256'))
--- tokens eval
[
    [ 'rsa' => jwt() => 'ok' ],
    [ 'p256' => jwt({}, key => 'p256') => 'ok' ],
]



=== TEST 22: PEM with text around it
--- user_files eval
files('corp.jwks' => "the key of 2026:\n" . pem('rsa') . "\nanother:\n"
                     . pem('p256') . "that is all\n")
--- tokens eval
[
    [ 'rsa' => jwt() => 'ok' ],
    [ 'p256' => jwt({}, key => 'p256') => 'ok' ],
    [ 'another' => jwt({}, key => 'rsa_other') => 'bad_signature' ],
]



=== TEST 23: an empty kid, in the token or in a key, is none
--- issuer eval
"key_file $NgxGatewayTest::KEYS/corp.jwks; key_file $NgxGatewayTest::KEYS/b.jwks;"
--- user_files eval
files('corp.jwks' => jwks('rsa', jwk('rsa_b', kid => '')),
      'b.jwks' => pem('p256'))
--- tokens eval
[
    [ 'of the PEM' => jwt({}, key => 'p256', kid => '') => 'ok' ],
    [ 'of the empty one' => jwt({}, key => 'rsa_b', kid => '') => 'ok' ],
    [ 'of another' => jwt({}, kid => '') => 'ok' ],
    [ 'of none' => jwt({}, key => 'rsa_other', kid => '')
      => 'bad_signature' ],
    [ 'any kid' => jwt({}, key => 'rsa_b', kid => 'x') => 'ok' ],
    [ 'any kid, of another' => jwt({}, kid => 'x') => 'bad_signature' ],
]



=== TEST 24: RSA exponents that make no secret
--- user_files eval
files('corp.jwks' => jwks('p256', jwk('rsa', kid => 'e1', e => b64u("\1")),
                          jwk('rsa', kid => 'e2', e => b64u("\2")),
                          jwk('rsa', kid => 'e65536',
                              e => b64u("\1\0\0")),
                          jwk('rsa', kid => 'e0', e => b64u("\0"))))
--- suppress_stderr
--- tokens eval
my $e1 = sub {
    # with an exponent of 1, the signature is the padded hash itself

    my ($h, $c) = split /\./, jwt({}, kid => 'e1');
    my $info = pack('H*', '3031300d060960864801650304020105000420')
               . Digest::SHA::sha256("$h.$c");
    return "$h.$c." . b64u("\0\1" . "\xff" x (253 - length $info) . "\0$info");
};
[
    [ 'forged for e = 1' => $e1->() => 'unknown_key' ],
    [ 'e = 2' => jwt({}, kid => 'e2') => 'unknown_key' ],
    [ 'e = 65536' => jwt({}, kid => 'e65536') => 'unknown_key' ],
    [ 'e = 0' => jwt({}, kid => 'e0') => 'unknown_key' ],
    [ 'the good key' => jwt({}, key => 'p256') => 'ok' ],
]
