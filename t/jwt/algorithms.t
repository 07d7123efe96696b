
# Which signatures are good: RFC 7515, RFC 7518 section 3, RFC 8037, RFC 8812;
# and which tricks do not help, RFC 8725 sections 2 and 3.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

our $All = 'algorithms RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512'
           . ' EdDSA ES256K HS256 HS384 HS512;';

run_blocks();

__DATA__

=== TEST 1: every algorithm
--- issuer eval
$::All
--- user_files eval
files('corp.jwks' =>
          jwks(qw( rsa rsa3072 p256 p384 p521 ed25519 ed448 k256 oct )))
--- tokens eval
[
    map({ [ $_ => jwt({}, key => 'rsa', alg => $_) => 'ok' ] }
        qw( RS256 RS384 RS512 PS256 PS384 PS512 )),
    map({ [ "$_, 3072 bits" => jwt({}, key => 'rsa3072', alg => $_) => 'ok' ] }
        qw( RS256 PS512 )),
    [ ES256  => jwt({}, key => 'p256') => 'ok' ],
    [ ES384  => jwt({}, key => 'p384') => 'ok' ],
    [ ES512  => jwt({}, key => 'p521') => 'ok' ],
    [ EdDSA  => jwt({}, key => 'ed25519') => 'ok' ],
    [ 'EdDSA, Ed448' => jwt({}, key => 'ed448') => 'ok' ],
    [ ES256K => jwt({}, key => 'k256') => 'ok' ],
    map({ [ $_ => jwt({}, key => 'oct', alg => $_) => 'ok' ] }
        qw( HS256 HS384 HS512 )),
]



=== TEST 2: every algorithm of a private claim, no kid in the token
--- issuer eval
$::All
--- user_files eval
files('corp.jwks' =>
          jwks(qw( rsa rsa3072 p256 p384 p521 ed25519 ed448 k256 oct )))
--- tokens eval
[
    [ RS256  => jwt({}, kid => undef) => 'ok' ],
    [ PS384  => jwt({}, kid => undef, alg => 'PS384') => 'ok' ],
    [ 'RS256, the second key' => jwt({}, key => 'rsa3072', kid => undef)
      => 'ok' ],
    map({ [ "$NgxGatewayJWT::KINDS{$_}{alg}, key $_"
            => jwt({}, key => $_, kid => undef) => 'ok' ] }
        qw( p256 p384 p521 ed25519 ed448 k256 oct )),
]



=== TEST 3: the default list
--- user_files eval
files('corp.jwks' => jwks(qw( rsa p256 p384 p521 ed25519 k256 )))
--- suppress_stderr
--- tokens eval
[
    map({ [ $_ => jwt({}, alg => $_) => 'ok' ] }
        qw( RS256 RS384 RS512 PS256 PS384 PS512 )),
    map({ [ $NgxGatewayJWT::KINDS{$_}{alg} => jwt({}, key => $_) => 'ok' ] }
        qw( p256 p384 p521 ed25519 )),
    [ ES256K => jwt({}, key => 'k256') => 'bad_algorithm' ],
    map({ [ $_ => jwt({}, key => 'oct', alg => $_) => 'bad_algorithm' ] }
        qw( HS256 HS384 HS512 )),
    map({ [ "$_ of a key that is there"
            => jwt({}, key => 'oct', kid => 'rsa', alg => $_)
            => 'bad_algorithm' ] } qw( HS256 HS384 HS512 )),
]
--- no_error_log
[error]
[crit]
[alert]



=== TEST 4: a shorter list
--- issuer
algorithms ES256 PS256;
--- suppress_stderr
--- tokens eval
[
    [ ES256 => jwt({}, key => 'p256') => 'ok' ],
    [ PS256 => jwt({}, alg => 'PS256') => 'ok' ],
    [ RS256 => jwt() => 'bad_algorithm' ],
    [ PS384 => jwt({}, alg => 'PS384') => 'bad_algorithm' ],
    [ ES384 => jwt({}, key => 'p384') => 'bad_algorithm' ],
    [ EdDSA => jwt({}, key => 'ed25519') => 'bad_algorithm' ],
]



=== TEST 5: none, in every spelling
signed well, not signed, and with an empty signature
--- tokens eval
[
    map {
        my $alg = $_;
        [ "$alg, signed" => jwt({}, alg => $alg, sign_as => 'RS256')
          => 'bad_algorithm' ],
        [ "$alg, not signed"
          => jwt({}, alg => $alg, sign_as => 'RS256', signature => sub { '' })
          => 'bad_algorithm' ],
        [ "$alg, not signed, no kid"
          => jwt({}, alg => $alg, kid => undef, sign_as => 'RS256',
                 signature => sub { '' }) => 'bad_algorithm' ],
    } qw( none None NONE nOnE nONE nonE )
]



=== TEST 6: names that are nearly right
--- tokens eval
[
    map { [ "\"$_\"" => jwt({}, alg => $_, sign_as => 'RS256')
            => 'bad_algorithm' ] }
        'rs256', 'Rs256', 'RS256 ', ' RS256', 'RS25', 'RS2567', 'RS512256',
        'RSA', 'RSA1_5', 'ES256K', 'EDDSA', 'Ed25519', 'A256GCM', '',
        'RS256\u0030', 'R', 'RS256,none', 'none,RS256'
]



=== TEST 7: "alg" in unusual forms
--- tokens eval
[
    [ 'absent' => jwt({}, header => { alg => undef }) => 'malformed' ],
    [ 'null'   => jwt({}, header => { alg => \'null' }) => 'malformed' ],
    [ 'number' => jwt({}, header => { alg => \'256' }) => 'malformed' ],
    [ 'true'   => jwt({}, header => { alg => \'true' }) => 'malformed' ],
    [ 'array'  => jwt({}, header => { alg => [ 'RS256' ] }) => 'malformed' ],
    [ 'object' => jwt({}, header => { alg => { alg => 'RS256' } })
      => 'malformed' ],
    [ 'another case' => jwt({}, header => '{"ALG":"RS256","kid":"rsa"}')
      => 'malformed' ],
    [ 'NUL'    => jwt({}, header => '{"alg":"RS256\u0000","kid":"rsa"}')
      => 'malformed' ],
]



=== TEST 8: "alg" written with an escape is what it is
--- tokens eval
[
    [ 'RS256' => jwt({}, header => '{"alg":"RS25\u0036","kid":"rsa"}')
      => 'ok' ],
    [ 'its name' => jwt({}, header => '{"\u0061lg":"RS256","kid":"rsa"}')
      => 'ok' ],
]



=== TEST 9: HMAC with the text of the public key, HS not listed
--- tokens eval
[
    map {
        my $alg = $_;
        map {
            my ($name, $secret) = @$_;
            [ "$alg, $name" => jwt({}, alg => $alg, secret => $secret)
              => 'bad_algorithm' ],
            [ "$alg, $name, no kid"
              => jwt({}, alg => $alg, secret => $secret, kid => undef)
              => 'bad_algorithm' ]
        } [ PEM => pem('rsa') ], [ 'PEM, chomped' => pem('rsa') =~ s/\n\z//r ],
          [ JWK => json(jwk('rsa')) ], [ nothing => '' ]
    } qw( HS256 HS512 )
]



=== TEST 10: HMAC with the text of the public key, HS listed
--- issuer eval
$::All
--- user_files eval
files('corp.jwks' => jwks(qw( rsa oct )))
--- tokens eval
[
    map {
        my $alg = $_;
        map {
            my ($name, $secret) = @$_;
            [ "$alg, $name, kid of the RSA key"
              => jwt({}, alg => $alg, secret => $secret) => 'bad_algorithm' ],
            [ "$alg, $name, kid of the oct key"
              => jwt({}, alg => $alg, secret => $secret, kid => 'oct')
              => 'bad_signature' ],
            [ "$alg, $name, no kid"
              => jwt({}, alg => $alg, secret => $secret, kid => undef)
              => 'bad_signature' ]
        } [ PEM => pem('rsa') ], [ JWK => json(jwk('rsa')) ], [ nothing => '' ]
    } qw( HS256 HS512 )
]



=== TEST 11: HMAC with the text of a PEM key file, HS listed
--- http_config eval
issuer("$::All
        key_file $NgxGatewayTest::KEYS/rsa.pem;
        key_file $NgxGatewayTest::KEYS/corp.jwks;")
--- user_files eval
files('rsa.pem' => pem('rsa'), 'corp.jwks' => jwks('oct'))
--- tokens eval
[
    [ 'the key itself' => jwt() => 'ok' ],
    [ 'HS256' => jwt({}, alg => 'HS256', secret => pem('rsa'))
      => 'unknown_key' ],
    [ 'HS256, no kid'
      => jwt({}, alg => 'HS256', kid => undef, secret => pem('rsa'))
      => 'bad_signature' ],
]



=== TEST 12: the algorithms of one key, when it has no "alg"
--- tokens eval
[
    [ 'RS256 signed as PS256' => jwt({}, alg => 'RS256', sign_as => 'PS256')
      => 'bad_signature' ],
    [ 'PS256 signed as RS256' => jwt({}, alg => 'PS256', sign_as => 'RS256')
      => 'bad_signature' ],
    [ 'RS256 signed as RS512' => jwt({}, alg => 'RS256', sign_as => 'RS512')
      => 'bad_signature' ],
    [ 'PS512 signed as PS256' => jwt({}, alg => 'PS512', sign_as => 'PS256')
      => 'bad_signature' ],
]



=== TEST 13: a key that has "alg" is for that one alone
--- user_files eval
files('corp.jwks' => jwks(jwk('rsa', alg => 'RS256'),
                          jwk('rsa_b', alg => 'PS384'),
                          jwk('p256', alg => 'ES256'),
                          jwk('ed25519', alg => 'EdDSA')))
--- tokens eval
[
    [ 'RS256'            => jwt() => 'ok' ],
    [ 'RS256 as PS256'   => jwt({}, alg => 'PS256') => 'bad_algorithm' ],
    [ 'RS256 as RS512'   => jwt({}, alg => 'RS512') => 'bad_algorithm' ],
    [ 'PS384'            => jwt({}, key => 'rsa_b', alg => 'PS384') => 'ok' ],
    [ 'PS384 as RS256'   => jwt({}, key => 'rsa_b') => 'bad_algorithm' ],
    [ 'PS384 as PS256'   => jwt({}, key => 'rsa_b', alg => 'PS256')
      => 'bad_algorithm' ],
    [ 'PS384 as RS384, no kid'
      => jwt({}, key => 'rsa_b', alg => 'RS384', kid => undef)
      => 'unknown_key' ],
    [ 'ES256'            => jwt({}, key => 'p256') => 'ok' ],
    [ 'EdDSA'            => jwt({}, key => 'ed25519') => 'ok' ],
]



=== TEST 14: the right kid, a key of another type or curve
--- tokens eval
[
    [ 'RS256, EC key'    => jwt({}, kid => 'p256') => 'bad_algorithm' ],
    [ 'ES256, RSA key'   => jwt({}, key => 'p256', kid => 'rsa')
      => 'bad_algorithm' ],
    [ 'ES256, P-384 key' => jwt({}, key => 'p256', kid => 'p384')
      => 'bad_algorithm' ],
    [ 'ES384, P-256 key' => jwt({}, key => 'p384', kid => 'p256')
      => 'bad_algorithm' ],
    [ 'ES512, P-384 key' => jwt({}, key => 'p521', kid => 'p384')
      => 'bad_algorithm' ],
    [ 'ES256 made by a P-384 key'
      => jwt({}, key => 'p384', alg => 'ES256') => 'bad_algorithm' ],
    [ 'ES384 made by a P-256 key'
      => jwt({}, key => 'p256', alg => 'ES384') => 'bad_algorithm' ],
    [ 'EdDSA, EC key'    => jwt({}, key => 'ed25519', kid => 'p256')
      => 'bad_algorithm' ],
    [ 'RS256, EdDSA key' => jwt({}, kid => 'ed25519') => 'bad_algorithm' ],
]



=== TEST 15: EdDSA of one curve and the key of the other
--- user_files eval
files('corp.jwks' => jwks(qw( ed25519 ed448 )))
--- tokens eval
[
    [ 'Ed25519' => jwt({}, key => 'ed25519') => 'ok' ],
    [ 'Ed448' => jwt({}, key => 'ed448') => 'ok' ],
    [ 'Ed25519, no kid' => jwt({}, key => 'ed25519', kid => undef) => 'ok' ],
    [ 'Ed448, no kid' => jwt({}, key => 'ed448', kid => undef) => 'ok' ],
    [ 'Ed25519, the other kid' => jwt({}, key => 'ed25519', kid => 'ed448')
      => 'bad_signature' ],
    [ 'Ed448, the other kid' => jwt({}, key => 'ed448', kid => 'ed25519')
      => 'bad_signature' ],
    [ 'Ed448, zeros'
      => jwt({}, key => 'ed448', signature => sub { "\0" x 114 })
      => 'bad_signature' ],
    [ 'Ed448, another key' => jwt({}, key => 'ed448_other', kid => 'ed448')
      => 'bad_signature' ],
]



=== TEST 16: secp256k1 is another curve than P-256
--- issuer
algorithms ES256 ES256K;
--- user_files eval
files('corp.jwks' => jwks(qw( p256 k256 )))
--- tokens eval
[
    [ 'ES256'                => jwt({}, key => 'p256') => 'ok' ],
    [ 'ES256K'               => jwt({}, key => 'k256') => 'ok' ],
    [ 'ES256K, P-256 key'    => jwt({}, key => 'p256', alg => 'ES256K')
      => 'bad_algorithm' ],
    [ 'ES256, secp256k1 key' => jwt({}, key => 'k256', alg => 'ES256')
      => 'bad_algorithm' ],
]



=== TEST 17: signatures by other keys
--- tokens eval
[
    map { [ $_ => jwt({}, key => "${_}_other", kid => $_)
            => 'bad_signature' ],
          [ "$_, no kid" => jwt({}, key => "${_}_other", kid => undef)
            => 'bad_signature' ] }
        qw( rsa p256 p384 p521 ed25519 )
]



=== TEST 18: signatures of something else
--- tokens eval
[
    map {
        my $key = $_;
        my ($h, $c, $s) = split /\./, jwt({}, key => $key);
        my ($h2, $c2, $s2) = split /\./, jwt({ sub => 'bob' }, key => $key);

        [ "$key: other claims"     => "$h.$c2.$s" => 'bad_signature' ],
        [ "$key: other signature"  => "$h.$c.$s2" => 'bad_signature' ],
        [ "$key: claims for both"  => "$h.$c.$s" => 'ok' ],
        [ "$key: one bit of the signature"
          => jwt({}, key => $key,
                 signature => sub { $_[0] ^ ("\0" x 20 . "\1") })
          => 'bad_signature' ],
        [ "$key: its first bit"
          => jwt({}, key => $key, signature => sub { $_[0] ^ "\x40" })
          => 'bad_signature' ],
        [ "$key: its last bit"
          => jwt({}, key => $key,
                 signature => sub { $_[0] ^ ("\0" x (length($_[0]) - 1)
                                             . "\1") })
          => 'bad_signature' ]
    } qw( rsa p256 p384 p521 ed25519 )
]



=== TEST 19: a header other than the one that was signed
--- tokens eval
my ($h, $c, $s) = split /\./, jwt();
[
    [ 'RS512 instead of RS256'
      => b64u(unb64u($h) =~ s/RS256/RS512/r) . ".$c.$s" => 'bad_signature' ],
    [ 'a space more'
      => b64u(unb64u($h) . ' ') . ".$c.$s" => 'bad_signature' ],
    [ 'another typ'
      => b64u(unb64u($h) =~ s/JWT/jwt/r) . ".$c.$s" => 'bad_signature' ],
]



=== TEST 20: wrong lengths
--- tokens eval
[
    map {
        my $key = $_;
        [ "$key: empty"
          => jwt({}, key => $key, signature => sub { '' })
          => 'bad_signature' ],
        [ "$key: one byte"
          => jwt({}, key => $key, signature => sub { substr $_[0], 0, 1 })
          => 'bad_signature' ],
        [ "$key: half"
          => jwt({}, key => $key,
                 signature => sub { substr $_[0], 0, length($_[0]) / 2 })
          => 'bad_signature' ],
        [ "$key: a byte less"
          => jwt({}, key => $key, signature => sub { substr $_[0], 0, -1 })
          => 'bad_signature' ],
        [ "$key: a byte more"
          => jwt({}, key => $key, signature => sub { "$_[0]\0" })
          => 'bad_signature' ],
        [ "$key: a zero byte before"
          => jwt({}, key => $key, signature => sub { "\0$_[0]" })
          => 'bad_signature' ],
        [ "$key: twice"
          => jwt({}, key => $key, signature => sub { $_[0] x 2 })
          => 'bad_signature' ],
        [ "$key: 2000 bytes"
          => jwt({}, key => $key, signature => sub { 'x' x 2000 })
          => 'bad_signature' ]
    } qw( rsa p256 p384 p521 ed25519 )
]



=== TEST 21: ECDSA signatures in unusual forms
--- tokens eval
my %bytes = (p256 => 32, p384 => 48, p521 => 66);
my %order = (
    p256 => 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
);

# what ECDSA itself writes: SEQUENCE { INTEGER r, INTEGER s }

my $integer = sub {
    my $n = $_[0] =~ s/\A\0+//r;
    $n = "\0$n" if $n eq '' || ord($n) > 127;
    return "\x02" . chr(length $n) . $n;
};

my $der = sub {
    my ($sig) = @_;
    my $n = length($sig) / 2;
    my $rs = $integer->(substr $sig, 0, $n) . $integer->(substr $sig, $n);
    return "\x30" . (length $rs > 127 ? "\x81" : '') . chr(length $rs) . $rs;
};

[
    map({
        my ($key, $n) = ($_, $bytes{$_});

        [ "$key: zeros" => jwt({}, key => $key, signature => sub { "\0" x 2 x $n })
          => 'bad_signature' ],
        [ "$key: r is 0"
          => jwt({}, key => $key,
                 signature => sub { "\0" x $n . substr $_[0], $n })
          => 'bad_signature' ],
        [ "$key: s is 0"
          => jwt({}, key => $key,
                 signature => sub { substr($_[0], 0, $n) . "\0" x $n })
          => 'bad_signature' ],
        [ "$key: r and s are 1"
          => jwt({}, key => $key,
                 signature => sub { ("\0" x ($n - 1) . "\1") x 2 })
          => 'bad_signature' ],
        [ "$key: ones" => jwt({}, key => $key, signature => sub { "\xff" x 2 x $n })
          => 'bad_signature' ],
        [ "$key: DER" => jwt({}, key => $key, signature => $der)
          => 'bad_signature' ],
        [ "$key: s before r"
          => jwt({}, key => $key,
                 signature => sub { substr($_[0], $n) . substr $_[0], 0, $n })
          => 'bad_signature' ],
        [ "$key: r and s padded"
          => jwt({}, key => $key,
                 signature => sub { "\0" . substr($_[0], 0, $n) . "\0"
                                    . substr $_[0], $n })
          => 'bad_signature' ]
    } qw( p256 p384 p521 )),
    [ 'p256: r and s are the order'
      => jwt({}, key => 'p256',
             signature => sub { pack('H*', $order{p256}) x 2 })
      => 'bad_signature' ],
    [ 'p256: DER in the length of r and s'
      => jwt({}, key => 'p256',
             signature => sub { substr($der->($_[0]), 0, 64) })
      => 'bad_signature' ],
]



=== TEST 22: EdDSA and RSA signatures in unusual forms
--- tokens eval
[
    [ 'EdDSA: zeros'
      => jwt({}, key => 'ed25519', signature => sub { "\0" x 64 })
      => 'bad_signature' ],
    [ 'EdDSA: the identity, s is 0'
      => jwt({}, key => 'ed25519', signature => sub { "\1" . "\0" x 63 })
      => 'bad_signature' ],
    [ 'EdDSA: ones'
      => jwt({}, key => 'ed25519', signature => sub { "\xff" x 64 })
      => 'bad_signature' ],
    [ 'RSA: zeros' => jwt({}, signature => sub { "\0" x 256 })
      => 'bad_signature' ],
    [ 'RSA: one' => jwt({}, signature => sub { "\0" x 255 . "\1" })
      => 'bad_signature' ],
    [ 'RSA: ones' => jwt({}, signature => sub { "\xff" x 256 })
      => 'bad_signature' ],
    [ 'PS256: zeros'
      => jwt({}, alg => 'PS256', signature => sub { "\0" x 256 })
      => 'bad_signature' ],
]



=== TEST 23: a key that the token brings along is not looked at
--- tokens eval
[
    [ 'jwk' => jwt({}, key => 'rsa_other', kid => 'rsa',
                   header => { jwk => jwk('rsa_other') })
      => 'bad_signature' ],
    [ 'jwk, its own kid' => jwt({}, key => 'rsa_other',
                                header => { jwk => jwk('rsa_other') })
      => 'unknown_key' ],
    [ 'x5c' => jwt({}, key => 'rsa_other', kid => 'rsa',
                   header => { x5c => [ 'MIIB' ] })
      => 'bad_signature' ],
    [ 'jku' => jwt({}, key => 'rsa_other', kid => 'rsa',
                   header => { jku => 'http://127.0.0.1/jwks',
                               x5u => 'http://127.0.0.1/x5u' })
      => 'bad_signature' ],
    [ 'a good token may bring them'
      => jwt({}, header => { jwk => jwk('rsa_other'), x5c => [ 'MIIB' ],
                             jku => 'http://127.0.0.1/jwks' }) => 'ok' ],
]



=== TEST 24: HMAC keys
--- issuer
algorithms HS256 HS512;
--- user_files eval
files('corp.jwks' => jwks('oct', 'oct_b', jwk('oct_c', alg => 'HS512')))
--- tokens eval
[
    [ 'HS256'            => jwt({}, key => 'oct') => 'ok' ],
    [ 'HS512'            => jwt({}, key => 'oct', alg => 'HS512') => 'ok' ],
    [ 'HS384, not listed' => jwt({}, key => 'oct', alg => 'HS384')
      => 'bad_algorithm' ],
    [ 'the second key'   => jwt({}, key => 'oct_b') => 'ok' ],
    [ 'the second key, no kid' => jwt({}, key => 'oct_b', kid => undef)
      => 'ok' ],
    [ 'a key for HS512'  => jwt({}, key => 'oct_c', alg => 'HS512') => 'ok' ],
    [ 'a key for HS512, HS256' => jwt({}, key => 'oct_c') => 'bad_algorithm' ],
    [ 'another key'      => jwt({}, key => 'oct_d', kid => 'oct')
      => 'bad_signature' ],
    [ 'HS256 signed as HS512' => jwt({}, key => 'oct', sign_as => 'HS512')
      => 'bad_signature' ],
    [ 'a signature cut to 16 bytes'
      => jwt({}, key => 'oct', signature => sub { substr $_[0], 0, 16 })
      => 'bad_signature' ],
    [ 'an empty signature'
      => jwt({}, key => 'oct', signature => sub { '' }) => 'bad_signature' ],
    [ 'a longer signature'
      => jwt({}, key => 'oct', signature => sub { "$_[0]\0" })
      => 'bad_signature' ],
]
