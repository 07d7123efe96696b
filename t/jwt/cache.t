
# The cache of verified tokens must not be told from verifying each time.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

# tokens that differ in one byte somewhere, or in length

sub neighbours {
    my ($token) = @_;

    my ($h, $c, $s) = split /\./, $token;
    my $flip = sub {
        my ($text, $at) = @_;
        substr($text, $at, 1) = substr($text, $at, 1) eq 'A' ? 'B' : 'A';
        return $text;
    };

    my $claims = unb64u($c) =~ s/"sub":"\w/"sub":"X/r;
    my $header = unb64u($h) =~ s/JWT/JwT/r;

    return [
        [ 'the first byte of the signature'
          => "$h.$c." . $flip->($s, 0) => 'bad_signature' ],
        [ 'a byte in the middle'
          => "$h.$c." . $flip->($s, 100) => 'bad_signature' ],
        [ 'a byte near the end'
          => "$h.$c." . $flip->($s, -2) => 'bad_signature' ],
        [ 'the claims' => "$h." . b64u($claims) . ".$s" => 'bad_signature' ],
        [ 'the header' => b64u($header) . ".$c.$s" => 'bad_signature' ],
        [ 'two bytes less' => substr($token, 0, -2) => 'bad_signature' ],
        [ 'a byte less' => substr($token, 0, -1) => 'malformed' ],
        [ 'a byte more' => "${token}A" => 'bad_signature' ],
        [ 'padding' => "$token=" => 'malformed' ],
        [ 'other spare bits' => "$h.$c." . loosen($s) => 'malformed' ],
        [ 'without its first byte' => substr($token, 1) => 'malformed' ],
    ];
}

run_blocks();

__DATA__

=== TEST 1: a token that is sent again and again
--- tokens eval
my $t = jwt();
[
    map { [ "time $_" => $t => 'ok' ] } 1 .. 10
]



=== TEST 2: a token that resembles one in the cache
--- tokens eval
my $t = jwt();
my $n = 0;
[
    [ 'the token' => $t => 'ok' ],
    map { [ @$_ ], [ "the token, after $_->[0]" => $t => 'ok' ] }
        @{ main::neighbours($t) }
]



=== TEST 3: refused tokens stay refused
--- tokens eval
my $bad = jwt({}, signature => sub { $_[0] ^ "\1" });
my $late = jwt({ exp => at(-60) });
my $other = jwt({ aud => 'x' });
[
    map {
        [ 'a good one' => jwt({ n => $_ }) => 'ok' ],
        [ 'signature' => $bad => 'bad_signature' ],
        [ 'expired' => $late => 'expired' ],
        [ 'audience' => $other => 'wrong_audience' ]
    } 1 .. 3
]



=== TEST 4: a token runs out while it is cached
--- tokens eval
my $t;
[
    [ 'before' => sub { $t = jwt({ exp => at(2) }) } => 'ok' ],
    [ 'before, again' => sub { $t } => 'ok' ],
    [ 'before, once more' => sub { $t } => 'ok', pause => 2.1 ],
    [ 'after' => sub { $t } => 'expired' ],
    [ 'after, again' => sub { $t } => 'expired' ],
    [ 'another' => jwt() => 'ok' ],
]



=== TEST 5: with leeway it runs out later; and one becomes valid
--- issuer
leeway 2s;
--- tokens eval
my ($t, $u, $v);
[
    [ 'within the leeway' => sub { $t = jwt({ exp => at(0) }) } => 'ok' ],
    [ 'not yet valid' => sub { $u = jwt({ nbf => at(4) }) }
      => 'not_yet_valid' ],
    [ 'issued a little ahead' => sub { $v = jwt({ iat => at(4) }) }
      => 'not_yet_valid' ],
    [ 'within the leeway, again' => sub { $t } => 'ok', pause => 2.2 ],
    [ 'after the leeway' => sub { $t } => 'expired' ],
    [ 'valid by now' => sub { $u } => 'ok' ],
    [ 'valid by now, again' => sub { $u } => 'ok' ],
    [ 'issued by now' => sub { $v } => 'ok' ],
]



=== TEST 6: the same "iss", other keys in each location
--- http_config eval
issuer() . issuer('', 'same')
--- user_files eval
files('same.jwks' => jwks(jwk('rsa_other', kid => 'rsa')))
--- locations eval
[ same => 'gateway_jwt "same" issuer=same;' ]
--- tokens eval
my $t = jwt();
my $u = jwt({}, key => 'rsa_other', kid => 'rsa');
[
    map {
        [ 'its own' => $t => 'ok' ],
        [ "the other's" => $t => 'bad_signature', at => 'same',
          realm => 'same' ],
        [ 'its own, 2' => $u => 'ok', at => 'same' ],
        [ "the other's, 2" => $u => 'bad_signature' ]
    } 1 .. 2
]



=== TEST 7: the same "iss", other demands in each location
--- http_config eval
my $keys = "key_file $NgxGatewayTest::KEYS/corp.jwks;\n";
issuer() . issuer("$keys type at+jwt;", 'type')
. issuer("$keys max_lifetime 1m;", 'lifetime')
. issuer("$keys algorithms PS256;", 'algorithms')
. issuer("$keys audience other;", 'audience')
--- suppress_stderr
--- locations eval
[ map { $_ => "gateway_jwt \"api\" issuer=$_;" }
      qw( type lifetime algorithms audience ) ]
--- tokens eval
my $t = jwt();
[
    map {
        [ 'none' => $t => 'ok' ],
        [ 'type' => $t => 'wrong_type', at => 'type' ],
        [ 'lifetime' => $t => 'too_long_lived', at => 'lifetime' ],
        [ 'algorithms' => $t => 'bad_algorithm', at => 'algorithms' ],
        [ 'audience' => $t => 'wrong_audience', at => 'audience' ]
    } 1 .. 2
]



=== TEST 8: the same "iss", another leeway
--- http_config eval
issuer('leeway 1m;')
. issuer("key_file $NgxGatewayTest::KEYS/corp.jwks;", 'strict')
--- locations eval
[ strict => 'gateway_jwt "api" issuer=strict;' ]
--- tokens eval
my $t = jwt({ exp => at(-5) });
[
    map {
        [ 'with' => $t => 'ok' ],
        [ 'without' => $t => 'expired', at => 'strict' ]
    } 1 .. 2
]



=== TEST 9: both in one cache, each token found for its own
--- http_config eval
issuer()
. issuer("key_file $NgxGatewayTest::KEYS/corp.jwks;", 'twin')
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value "$gateway_jwt_issuer $gateway_jwt_claim_sub" always;
--- locations eval
[ twin => 'gateway_jwt "api" issuer=twin;
           add_header X-Value "$gateway_jwt_issuer $gateway_jwt_claim_sub"
                      always;' ]
--- tokens eval
my $t = jwt();
my $u = jwt({ sub => 'bob' });
[
    map {
        [ 'corp' => $t => 'ok',
          response => { 'X-Value' => 'corp alice' } ],
        [ 'twin' => $t => 'ok', at => 'twin',
          response => { 'X-Value' => 'twin alice' } ],
        [ 'corp, another' => $u => 'ok',
          response => { 'X-Value' => 'corp bob' } ],
        [ 'twin, another' => $u => 'ok', at => 'twin',
          response => { 'X-Value' => 'twin bob' } ]
    } 1 .. 2
]



=== TEST 10: a cache of one
--- http_config
    gateway_jwt_cache size=1;
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value $gateway_jwt_claim_sub always;
--- tokens eval
my @t = map { [ "s$_", jwt({ sub => "s$_" }) ] } 1 .. 3;
[
    map({ [ $_->[0] => $_->[1] => 'ok',
            response => { 'X-Value' => $_->[0] } ] }
        @t, @t[ 0, 0, 1, 1, 2, 1, 2 ]),
    @{ main::neighbours($t[2][1]) }
]



=== TEST 11: more tokens than room
--- http_config
    gateway_jwt_cache size=3;
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value $gateway_jwt_claim_sub always;
--- tokens eval
my @t = map { [ "s$_", jwt({ sub => "s$_" }, key => 'ed25519') ] } 1 .. 8;
[
    map { [ $_->[0] => $_->[1] => 'ok',
            response => { 'X-Value' => $_->[0] } ] }
        @t, @t[ 0, 7, 0, 6, 0, 5, 0, 4, 1, 2, 3, 1, 2, 3, 7 ]
]



=== TEST 12: more tokens than room, some of which run out
--- http_config
    gateway_jwt_cache size=2;
--- tokens eval
my (@t, $last);
[
    map({ my $n = $_; [ "short $n" => sub { $t[$n] = jwt({ exp => at(2),
                                                           n => $n }) }
                        => 'ok' ] } 1 .. 3),
    [ 'long' => sub { $last = jwt() } => 'ok', pause => 2.1 ],
    [ 'long, again' => sub { $last } => 'ok' ],
    map({ my $n = $_; [ "short $n, after" => sub { $t[$n] } => 'expired' ] }
        1 .. 3),
    [ 'a new one' => jwt({ n => 9 }) => 'ok' ],
    [ 'long, once more' => sub { $last } => 'ok' ],
]



=== TEST 13: no cache
--- http_config
    gateway_jwt_cache off;
--- access
    gateway_jwt "api" issuer=corp;
    add_header X-Value $gateway_jwt_claim_sub always;
--- tokens eval
my $t = jwt();
my %alice = (response => { 'X-Value' => 'alice' });
my $short;
[
    [ 'a short one' => sub { $short = jwt({ exp => at(2) }) } => 'ok',
      %alice ],
    [ 'the first time' => $t => 'ok', %alice ],
    [ 'the second time' => $t => 'ok', %alice ],
    @{ main::neighbours($t) },
    [ 'the third time' => $t => 'ok', %alice, pause => 2.1 ],
    [ 'a short one, after' => sub { $short } => 'expired' ],
]



=== TEST 14: the largest cache
--- http_config
    gateway_jwt_cache size=1000000;
--- tokens eval
my $t = jwt();
[ [ 'once' => $t => 'ok' ], [ 'twice' => $t => 'ok' ] ]



=== TEST 15: one token in many requests at once
--- pipelined_requests eval
[('GET /t') x 8]
--- more_headers eval
"Authorization: Bearer " . jwt()
--- error_code eval
[(200) x 8]
--- response_body eval
[("backend\n") x 8]



=== TEST 16: a token of the header, of a cookie, of an argument is one
--- locations eval
[
    cookie => 'gateway_jwt "api" issuer=corp token=$cookie_t;',
    arg => 'gateway_jwt "api" issuer=corp token=$arg_t;',
]
--- tokens eval
my $t = jwt();
my $bad = jwt({}, signature => sub { 'x' x 256 });
[
    map {
        [ 'header' => $t => 'ok' ],
        [ 'cookie' => undef, 'ok', at => 'cookie', headers => "Cookie: t=$t" ],
        [ 'argument' => undef, 'ok', request => "GET /arg?t=$t" ],
        [ 'bad cookie' => undef, 'bad_signature', at => 'cookie',
          headers => "Cookie: t=$bad\nAuthorization: Bearer $t" ]
    } 1 .. 2
]



=== TEST 17: the cache drops a token that a request still holds
the subrequest brings another token in, and there is room for one
--- http_config
    gateway_jwt_cache size=1;
--- config
    location /t {
        gateway_jwt "api" issuer=corp;
        auth_request /other;
        add_header X-Value "$gateway_jwt_claim_sub $gateway_jwt_claims";
        empty_gif;
    }

    location /other {
        internal;
        proxy_set_header Authorization "Bearer $http_x_other";
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/inner;
    }

    location /inner {
        gateway_jwt "inner" issuer=corp;
        empty_gif;
    }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
my ($t, $u) = (jwt(), jwt({ sub => 'bob' }));
["Authorization: Bearer $t\nX-Other: $u",
 "Authorization: Bearer $u\nX-Other: $t",
 "Authorization: Bearer $t\nX-Other: x"]
--- error_code eval
[200, 200, 401]
--- response_headers_like eval
['X-Value: alice .*"sub":"alice".*', 'X-Value: bob .*"sub":"bob".*',
 'X-Value: ']
