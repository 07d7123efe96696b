
# What a token must look like before anything in it is believed: RFC 7515
# sections 3.1, 4.1.11 and 5.2, RFC 7519 section 7.2, RFC 7797 section 6,
# RFC 4648 section 5, RFC 8259.  All are signed well as they are.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

# the members that every payload here needs

our $Iss = '"iss":"https://id.example.com","aud":"api"';
our $Usual = $Iss . ',"exp":' . (time() + 3600);

run_blocks();

__DATA__

=== TEST 1: the controls of all that follows
--- tokens eval
[
    [ 'claims as text' => jwt("{$::Usual}") => 'ok' ],
    [ 'header as text' => jwt({}, header => '{"alg":"RS256","kid":"rsa"}')
      => 'ok' ],
    [ 'parts changed to the same'
      => jwt({}, header_b64 => sub { $_[0] }, claims_b64 => sub { $_[0] },
             signature_b64 => sub { $_[0] }) => 'ok' ],
    [ 'white space around and in it'
      => jwt(" \t\r\n{ $::Usual ,\n\t\"a\" : [ 1 , 2 ] }\r\n ") => 'ok' ],
    [ 'in the header' => jwt({}, header => " {\"alg\" :\t\"RS256\"}\n")
      => 'ok' ],
]



=== TEST 2: the number of parts
--- tokens eval
my ($h, $c, $s) = split /\./, jwt();
[
    [ 'one'                => $h => 'malformed' ],
    [ 'two'                => "$h.$c" => 'malformed' ],
    [ 'two, an empty one'  => "$h.$c." => 'bad_signature' ],
    [ 'four'               => "$h.$c.$s.$s" => 'malformed' ],
    [ 'four, an empty one' => "$h.$c.$s." => 'malformed' ],
    [ 'four, the first empty' => ".$h.$c.$s" => 'malformed' ],
    [ 'five, as JWE has'   => "$h.$c.$s.$c.$s" => 'malformed' ],
    [ 'two dots'           => "$h..$c.$s" => 'malformed' ],
    [ 'no header'          => ".$c.$s" => 'malformed' ],
    [ 'no payload'         => "$h..$s" => 'malformed' ],
    [ 'nothing'            => '..' => 'malformed' ],
]



=== TEST 3: padding
--- tokens eval
my $pad = sub { $_[0] . '=' x (-length($_[0]) % 4) };
[
    [ 'of the signature' => jwt({}, signature_b64 => $pad) => 'malformed' ],
    [ 'of one, where two are due'
      => jwt({}, signature_b64 => sub { "$_[0]=" }) => 'malformed' ],
    [ 'of three' => jwt({}, signature_b64 => sub { "$_[0]===" })
      => 'malformed' ],
    [ 'where none is due'
      => jwt({}, key => 'rsa3072', signature_b64 => sub { "$_[0]=" })
      => 'malformed' ],
]



=== TEST 4: padding inside is not even a bearer token
RFC 6750 section 2.1 has it at the end alone
--- tokens eval
my $pad = sub { $_[0] . '=' };
[
    [ 'of the header' => jwt({}, header_b64 => $pad) => 'bad_request' ],
    [ 'of the payload' => jwt({}, claims_b64 => $pad) => 'bad_request' ],
    [ 'in the header'
      => jwt({}, header_b64 => sub { 'QQ==' . $_[0] }) => 'bad_request' ],
    [ 'in the payload'
      => jwt({}, claims_b64 => sub { $_[0] . '==QQ' }) => 'bad_request' ],
    [ 'only padding' => '=' => 'bad_request' ],
    [ 'only padding, and dots' => '=.=.=' => 'bad_request' ],
]



=== TEST 5: padding, where the token is a variable's value
--- access
    gateway_jwt "api" issuer=corp token=$http_x_token;
--- tokens eval
my $pad = sub { $_[0] . '=' x (-length($_[0]) % 4) };
[
    [ 'of the header' => undef, 'malformed',
      headers => 'X-Token: '
                 . jwt({}, header => '{"alg":"RS256" }', header_b64 => $pad) ],
    [ 'of the payload' => undef, 'malformed',
      headers => 'X-Token: ' . jwt("{$::Usual}", claims_b64 =>
                                   sub { "$_[0]=" }) ],
    [ 'of the signature' => undef, 'malformed',
      headers => 'X-Token: ' . jwt({}, signature_b64 => $pad) ],
    [ 'alone' => undef, 'malformed', headers => 'X-Token: =.=.=' ],
    [ 'alone, two' => undef, 'malformed', headers => 'X-Token: ==.==.==' ],
    [ 'inside' => undef, 'malformed',
      headers => 'X-Token: '
                 . jwt({}, claims_b64 => sub { $_[0] . '==QQ' }) ],
    [ 'a space before' => undef, 'malformed',
      headers => 'X-Token: x ' . jwt() ],
    [ 'a byte over 127' => undef, 'malformed',
      headers => 'X-Token: ' . jwt() . "\xc3\xa9" ],
    [ 'a tab inside' => undef, 'malformed',
      headers => 'X-Token: ' . jwt({}, claims_b64 => sub { "$_[0]\t" }) ],
]



=== TEST 6: base64 instead of base64url
--- tokens eval
my $plain = sub { $_[0] =~ tr(-_)(+/)r };

# "-" and "_" stand for these in the header and in the payload, whatever
# precedes them; signatures are tried until one has both

my ($x, $n) = ('>>>???', 0);
my %o = (header => { x => $x });

$n++ until jwt({ x => $x, n => $n }, %o) =~ /\.(?=\w*-)(?=-*\w*_)[-\w]+$/;

[
    [ 'the control' => jwt({ x => $x, n => $n }, %o) => 'ok' ],
    [ 'the header' => jwt({ n => $n }, %o, header_b64 => $plain)
      => 'malformed' ],
    [ 'the payload' => jwt({ x => $x, n => $n }, claims_b64 => $plain)
      => 'malformed' ],
    [ 'the signature'
      => jwt({ x => $x, n => $n }, %o, signature_b64 => $plain)
      => 'malformed' ],
    [ '"~" of token68'
      => jwt({}, signature_b64 => sub { substr($_[0], 0, -1) . '~' })
      => 'malformed' ],
]



=== TEST 7: bits that must be zero
--- tokens eval
my ($two, $one);

# the length of the header's and payload's JSON is 1 and 2 modulo 3

for my $spaces ('', ' ', '  ') {
    my $text = "{\"alg\":\"RS256\"$spaces}";
    $two = $text if length($text) % 3 == 2;
    $one = $text if length($text) % 3 == 1;
}

my ($cone, $ctwo);

for my $spaces ('', ' ', '  ') {
    my $text = "{$::Usual$spaces}";
    $ctwo = $text if length($text) % 3 == 2;
    $cone = $text if length($text) % 3 == 1;
}

[
    [ 'the controls, 1' => jwt($cone, header => $one) => 'ok' ],
    [ 'the controls, 2' => jwt($ctwo, header => $two) => 'ok' ],
    [ 'header, four bits' => jwt({}, header => $one, header_b64 => \&loosen)
      => 'malformed' ],
    [ 'header, two bits' => jwt({}, header => $two, header_b64 => \&loosen)
      => 'malformed' ],
    [ 'payload, four bits' => jwt($cone, claims_b64 => \&loosen)
      => 'malformed' ],
    [ 'payload, two bits' => jwt($ctwo, claims_b64 => \&loosen)
      => 'malformed' ],
    [ 'signature of RSA' => jwt({}, signature_b64 => \&loosen)
      => 'malformed' ],
    [ 'signature of ECDSA'
      => jwt({}, key => 'p256', signature_b64 => \&loosen) => 'malformed' ],
    [ 'signature of EdDSA'
      => jwt({}, key => 'ed25519', signature_b64 => \&loosen)
      => 'malformed' ],
]



=== TEST 8: lengths that no bytes have
--- tokens eval
my $odd = sub { $_[0] . 'A' x ((5 - length $_[0]) % 4 || 4) };
[
    [ 'the header'    => jwt({}, header_b64 => $odd) => 'malformed' ],
    [ 'the payload'   => jwt({}, claims_b64 => $odd) => 'malformed' ],
    [ 'the signature' => jwt({}, signature_b64 => $odd) => 'malformed' ],
    [ 'one character' => jwt({}, signature_b64 => sub { 'A' })
      => 'malformed' ],
]



=== TEST 9: headers that are no JSON object
--- tokens eval
[
    map { [ $_ => jwt({}, header => $_) => 'malformed' ] }
        '[]', '"alg"', 'null', 'true', '1', '', ' ', '{', '}', '{}}', '{"alg"}',
        '{"alg":}', '{"alg":"RS256",}', '{"alg":"RS256"', '{alg:"RS256"}',
        "{'alg':'RS256'}", '{"alg":"RS256"}x', '{"alg":"RS256"}{}',
        '[{"alg":"RS256"}]', '{"alg":"RS256" "kid":"rsa"}',
        '/**/{"alg":"RS256"}', "\xef\xbb\xbf{\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\"}\0", "\0", '{"alg":"RS256","x":tru}',
        '{"alg":"RS256","x":01}', '{"alg":"RS256","x":"\x"}'
]



=== TEST 10: payloads that are no JSON object
--- tokens eval
[
    map { [ $_ => jwt($_) => 'malformed' ] }
        '[]', '"iss"', 'null', 'true', '1', '', ' ', '{', '}', '{"iss"}',
        "{$::Usual", "{$::Usual,}", "{$::Usual}}", "{$::Usual}x",
        "{$::Usual}{$::Usual}", "[{$::Usual}]", "{$::Usual,x:1}",
        "{$::Usual,'x':1}", "{$::Usual,\"x\":tru}", "{$::Usual,\"x\":01}",
        "{$::Usual,\"x\":+1}", "{$::Usual,\"x\":.5}", "{$::Usual,\"x\":1.}",
        "{$::Usual,\"x\":1e}", "{$::Usual,\"x\":0x10}",
        "{$::Usual,\"x\":NaN}", "{$::Usual,\"x\":Infinity}",
        "{$::Usual,\"x\":-}", "{$::Usual,\"x\":\"\\x\"}",
        "{$::Usual,\"x\":\"a\nb\"}", "{$::Usual,\"x\":\"a\tb\"}",
        "{$::Usual,\"x\":\"a}", "{$::Usual,\"x\":[1,]}",
        "{$::Usual,\"x\":[1 2]}", "{$::Usual,\"x\":[1}",
        "{$::Usual // x\n}", "\xef\xbb\xbf{$::Usual}", "{$::Usual}\0"
]



=== TEST 11: duplicate members
the first and the second of the two may be the good one
--- tokens eval
[
    [ 'alg, same' => jwt({}, header => '{"alg":"RS256","alg":"RS256"}')
      => 'malformed' ],
    [ 'alg, none first' => jwt({}, header => '{"alg":"none","alg":"RS256"}')
      => 'malformed' ],
    [ 'alg, none last' => jwt({}, header => '{"alg":"RS256","alg":"none"}')
      => 'malformed' ],
    [ 'kid'
      => jwt({}, header => '{"alg":"RS256","kid":"rsa","kid":"p256"}')
      => 'malformed' ],
    [ 'of a header that nobody knows'
      => jwt({}, header => '{"alg":"RS256","x":1,"x":1}') => 'malformed' ],
    [ 'nested in the header'
      => jwt({}, header => '{"alg":"RS256","x":{"y":1,"y":2}}')
      => 'malformed' ],
    [ 'written with an escape'
      => jwt({}, header => '{"alg":"RS256","\u0061lg":"RS256"}')
      => 'malformed' ],
    [ 'iss' => jwt("{$::Usual,\"iss\":\"https://id.example.com\"}")
      => 'malformed' ],
    [ 'iss, other first'
      => jwt("{\"iss\":\"https://evil.example.com\",$::Usual}")
      => 'malformed' ],
    [ 'exp' => jwt("{$::Usual,\"exp\":9999999999}") => 'malformed' ],
    [ 'exp, another first' => jwt("{\"exp\":1,$::Usual}") => 'malformed' ],
    [ 'sub' => jwt("{$::Usual,\"sub\":\"alice\",\"sub\":\"bob\"}")
      => 'malformed' ],
    [ 'sub, with an escape'
      => jwt("{$::Usual,\"sub\":\"alice\",\"s\\u0075b\":\"bob\"}")
      => 'malformed' ],
    [ 'nested' => jwt("{$::Usual,\"a\":[{\"b\":{\"c\":1,\"c\":1}}]}")
      => 'malformed' ],
    [ 'empty names' => jwt("{$::Usual,\"\":1,\"\":1}") => 'malformed' ],
]



=== TEST 12: what is not duplicate
--- tokens eval
[
    [ 'at different depths'
      => jwt("{$::Usual,\"sub\":\"a\",\"x\":{\"sub\":\"b\",\"y\":{\"sub\":1}}}")
      => 'ok' ],
    [ 'in different objects' => jwt("{$::Usual,\"x\":[{\"a\":1},{\"a\":1}]}")
      => 'ok' ],
    [ 'another case' => jwt("{$::Usual,\"sub\":\"a\",\"Sub\":\"b\"}")
      => 'ok' ],
    [ 'one empty name' => jwt("{$::Usual,\"\":1}") => 'ok' ],
    [ 'in the header and in the payload'
      => jwt("{$::Usual,\"alg\":\"none\",\"kid\":\"x\"}") => 'ok' ],
]



=== TEST 13: NUL
--- tokens eval
[
    [ 'escaped, in a claim' => jwt("{$::Usual,\"sub\":\"a\\u0000b\"}")
      => 'malformed' ],
    [ 'escaped, alone' => jwt("{$::Usual,\"sub\":\"\\u0000\"}")
      => 'malformed' ],
    [ 'escaped, in a name' => jwt("{$::Usual,\"a\\u0000b\":1}")
      => 'malformed' ],
    [ 'escaped, nested' => jwt("{$::Usual,\"a\":[{\"b\":\"\\u0000\"}]}")
      => 'malformed' ],
    [ 'escaped, in the header'
      => jwt({}, header => '{"alg":"RS256","x":"\u0000"}') => 'malformed' ],
    [ 'escaped, in a name of the header'
      => jwt({}, header => '{"alg":"RS256","\u0000":1}') => 'malformed' ],
    [ 'as it is, in a claim' => jwt("{$::Usual,\"sub\":\"a\0b\"}")
      => 'malformed' ],
    [ 'as it is, in a name' => jwt("{$::Usual,\"a\0b\":1}") => 'malformed' ],
    [ 'as it is, between' => jwt("{$::Usual,\0\"a\":1}") => 'malformed' ],
    map({ [ "as it is, after $_" => jwt("{$::Usual,\"n\":$_\0}")
            => 'malformed' ],
          [ "as it is, after $_, nested"
            => jwt("{$::Usual,\"n\":[$_\0,1]}") => 'malformed' ] }
        '7', '7.5', '1e2', 'true', 'false', 'null', '"a"', '{}', '[]'),
    [ 'as it is, after exp'
      => jwt("{$::Iss,\"exp\":9999999999\0}") => 'malformed' ],
    [ 'as it is, after a number of the header'
      => jwt({}, header => "{\"alg\":\"RS256\",\"x\":1\0}")
      => 'malformed' ],
    [ 'as it is, in the header'
      => jwt({}, header => "{\"alg\":\"RS256\",\"x\":\"\0\"}")
      => 'malformed' ],
]



=== TEST 14: invalid UTF-8
--- tokens eval
my %bad = (
    'a lone continuation' => "\x80", 'a lone start' => "\xc3",
    'an overlong slash' => "\xc0\xaf", 'an overlong NUL' => "\xc0\x80",
    'an overlong NUL, three bytes' => "\xe0\x80\x80",
    'a surrogate' => "\xed\xa0\x80", 'over 10FFFF' => "\xf4\x90\x80\x80",
    'five bytes' => "\xf8\x88\x80\x80\x80", 'FF' => "\xff", 'FE' => "\xfe",
    'Latin-1' => "Andr\xe9", 'cut short' => "\xe2\x82",
);
[
    map({ [ $_ => jwt("{$::Usual,\"sub\":\"$bad{$_}\"}") => 'malformed' ] }
        sort keys %bad),
    [ 'in a name' => jwt("{$::Usual,\"\xff\":1}") => 'malformed' ],
    [ 'in the header'
      => jwt({}, header => "{\"alg\":\"RS256\",\"x\":\"\xff\"}")
      => 'malformed' ],
    [ 'outside of strings' => jwt("{$::Usual,\xff\"a\":1}") => 'malformed' ],
    [ 'a lone surrogate, escaped' => jwt("{$::Usual,\"sub\":\"\\ud800\"}")
      => 'malformed' ],
    [ 'a second surrogate first, escaped'
      => jwt("{$::Usual,\"sub\":\"\\udc00\\ud800\"}") => 'malformed' ],
    [ 'a surrogate and no other' => jwt("{$::Usual,\"sub\":\"\\ud800a\"}")
      => 'malformed' ],
]



=== TEST 15: valid UTF-8
--- tokens eval
[
    [ 'two bytes'   => jwt("{$::Usual,\"sub\":\"Andr\xc3\xa9\"}") => 'ok' ],
    [ 'three bytes' => jwt("{$::Usual,\"sub\":\"\xe2\x82\xac\"}") => 'ok' ],
    [ 'four bytes'  => jwt("{$::Usual,\"sub\":\"\xf0\x9f\x98\x80\"}")
      => 'ok' ],
    [ 'escapes'     => jwt("{$::Usual,\"sub\":\"\\u00e9\\ud83d\\ude00\"}")
      => 'ok' ],
    [ 'in a name'   => jwt("{$::Usual,\"\xc3\xa9\":1}") => 'ok' ],
    [ 'controls, escaped' => jwt("{$::Usual,\"sub\":\"\\u0001\\n\\u007f\"}")
      => 'ok' ],
]



=== TEST 16: nesting
--- server
    large_client_header_buffers 4 128k;
    gateway_jwt_max_size 64k;
--- tokens eval
[
    [ '16 arrays' => jwt("{$::Usual,\"a\":" . '[' x 16 . ']' x 16 . '}')
      => 'ok' ],
    [ '16 objects'
      => jwt("{$::Usual,\"a\":" . '{"a":' x 16 . '1' . '}' x 16 . '}')
      => 'ok' ],
    [ '20000 arrays'
      => jwt("{$::Usual,\"a\":" . '[' x 20000 . ']' x 20000 . '}')
      => 'malformed' ],
    [ '5000 objects'
      => jwt("{$::Usual,\"a\":" . '{"a":' x 5000 . '1' . '}' x 5000 . '}')
      => 'malformed' ],
    [ '40000 arrays, not closed'
      => jwt("{$::Usual,\"a\":" . '[' x 40000 . '}') => 'malformed' ],
    [ '20000 arrays in the header'
      => jwt({}, header => '{"alg":"RS256","a":' . '[' x 20000
                           . ']' x 20000 . '}') => 'malformed' ],
    [ 'closed too often' => jwt("{$::Usual,\"a\":[]]]]}") => 'malformed' ],
]



=== TEST 17: numbers
--- tokens eval
[
    map({ [ $_ => jwt("{$::Usual,\"n\":$_}") => 'ok' ] }
        qw( 0 -0 1.5 -1.5e10 1E+2 1e-2 9223372036854775807
            -9223372036854775808 0.1e-300 1e308 )),
    map({ [ $_ => jwt("{$::Usual,\"n\":$_}") => 'malformed' ] }
        qw( 1e400 -1e400 9223372036854775808 -9223372036854775809
            99999999999999999999999999 )),
    [ '1e400, nested' => jwt("{$::Usual,\"n\":[{\"a\":1e400}]}")
      => 'malformed' ],
    [ '1e400, in the header'
      => jwt({}, header => '{"alg":"RS256","n":1e400}') => 'malformed' ],
]



=== TEST 18: "crit"
nothing that it could name is understood
--- tokens eval
[
    [ 'unknown' => jwt({}, header => { crit => [ 'x' ], x => 1 })
      => 'malformed' ],
    [ 'exp, RFC 7515 section 4.1.11'
      => jwt({}, header => { crit => [ 'exp' ], exp => at(100) })
      => 'malformed' ],
    [ 'b64' => jwt({}, header => { crit => [ 'b64' ], b64 => \'true' })
      => 'malformed' ],
    [ 'alg' => jwt({}, header => { crit => [ 'alg' ] }) => 'malformed' ],
    [ 'not there' => jwt({}, header => { crit => [ 'x' ] }) => 'malformed' ],
    [ 'empty' => jwt({}, header => { crit => [] }) => 'malformed' ],
    [ 'null' => jwt({}, header => { crit => \'null' }) => 'malformed' ],
    [ 'a string' => jwt({}, header => { crit => 'x' }) => 'malformed' ],
    [ 'false' => jwt({}, header => { crit => \'false' }) => 'malformed' ],
    [ 'with an escape'
      => jwt({}, header => '{"alg":"RS256","cr\u0069t":["x"]}')
      => 'malformed' ],
]



=== TEST 19: "crit" where it means nothing
--- tokens eval
[
    [ 'a claim' => jwt({ crit => [ 'x' ] }) => 'ok' ],
    [ 'nested' => jwt({}, header => { x => { crit => [ 'x' ] } }) => 'ok' ],
    [ 'another case' => jwt({}, header => { Crit => [ 'x' ] }) => 'ok' ],
]



=== TEST 20: "b64"
--- tokens eval
[
    [ 'false' => jwt({}, header => { b64 => \'false' }) => 'malformed' ],
    [ 'false, and critical'
      => jwt({}, header => { b64 => \'false', crit => [ 'b64' ] })
      => 'malformed' ],
    [ 'false, a payload as it is'
      => jwt("{$::Usual}", header => { b64 => \'false', crit => [ 'b64' ] },
             claims_b64 => sub { 'abc' })
      => 'malformed' ],
]



=== TEST 21: "kid" in unusual forms
--- tokens eval
[
    [ 'null' => jwt({}, kid => \'null') => 'malformed' ],
    [ 'number' => jwt({}, kid => \'1') => 'malformed' ],
    [ 'array' => jwt({}, kid => [ 'rsa' ]) => 'malformed' ],
    [ 'object' => jwt({}, kid => {}) => 'malformed' ],
    [ 'part of a kid' => jwt({}, kid => 'rs') => 'unknown_key' ],
    [ 'a kid and more' => jwt({}, kid => 'rsa ') => 'unknown_key' ],
    [ 'another case' => jwt({}, kid => 'RSA') => 'unknown_key' ],
    [ 'a path' => jwt({}, kid => '../../../../../dev/null')
      => 'unknown_key' ],
    [ 'a query' => jwt({}, kid => "' or 1=1 --") => 'unknown_key' ],
    [ '4k' => jwt({}, kid => 'x' x 4096) => 'unknown_key' ],
]



=== TEST 22: nested tokens and other media
"cty" and "typ" say nothing unless the issuer block names types
--- tokens eval
[
    [ 'a token in a token' => jwt(jwt(), header => { cty => 'JWT' })
      => 'malformed' ],
    [ 'cty' => jwt({}, header => { cty => 'JWT' }) => 'ok' ],
    [ 'no typ' => jwt({}, header => { typ => undef }) => 'ok' ],
    [ 'another typ' => jwt({}, header => { typ => 'text/plain' }) => 'ok' ],
]



=== TEST 23: many members
--- server
    large_client_header_buffers 4 128k;
    gateway_jwt_max_size 64k;
--- tokens eval
[
    [ '3000 members'
      => jwt("{$::Usual," . CORE::join(',', map { "\"m$_\":$_" } 1 .. 3000) . '}')
      => 'ok' ],
    [ '3000 members, one of them twice'
      => jwt("{$::Usual," . CORE::join(',', map { "\"m$_\":$_" } 1 .. 3000)
             . ',"m1":1}') => 'malformed' ],
    [ '20000 elements'
      => jwt("{$::Usual,\"a\":[" . CORE::join(',', (1) x 20000) . ']}') => 'ok' ],
    [ 'a string of 40000 escapes'
      => jwt("{$::Usual,\"a\":\"" . '\n' x 20000 . '"}') => 'ok' ],
]
