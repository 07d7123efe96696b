
# What "nginx -t" says to a configuration that can not work: the directive,
# the value, and what would be allowed.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayTest;
use Test::Nginx::Socket;

our $Dir = $NgxGatewayTest::KEYS;

run_blocks();

__DATA__

=== TEST 1: an issuer block without issuer
--- issuer
no issuer;
--- emerg eval
[qr/no "issuer" in gateway_jwt_issuer "corp"/]



=== TEST 2: without audience
--- issuer
no audience;
--- emerg eval
[qr/no "audience" in gateway_jwt_issuer "corp"/]



=== TEST 3: without key_file
--- issuer
no key_file;
--- emerg eval
[qr/no "key_file" in gateway_jwt_issuer "corp"/]



=== TEST 4: an unknown line
--- issuer
audiences api;
--- emerg eval
[qr/"audiences" in gateway_jwt_issuer "corp"/, qr/audience, algorithms, key_file/]



=== TEST 5: a line of another directive
--- issuer
gateway_jwt_cache off;
--- emerg eval
[qr/"gateway_jwt_cache" in gateway_jwt_issuer "corp"/]



=== TEST 6: a block in a block
--- issuer
type {
}
--- emerg eval
[qr/type|"\{"/]



=== TEST 7: issuer twice
--- issuer
issuer https://a.example.com;
issuer https://b.example.com;
--- emerg eval
[qr/"issuer" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 8: issuer of two values
--- issuer
issuer https://a.example.com https://b.example.com;
--- emerg eval
[qr/"issuer" in gateway_jwt_issuer "corp"/, qr/it takes one/]



=== TEST 9: issuer of no value
--- issuer
issuer ;
--- emerg eval
[qr/"issuer" in gateway_jwt_issuer "corp"/, qr/it takes one/]



=== TEST 10: an empty issuer
--- issuer
issuer "";
--- emerg eval
[qr/"issuer" in gateway_jwt_issuer "corp" must not be empty/]



=== TEST 11: audience twice
--- issuer
audience a;
audience b;
--- emerg eval
[qr/"audience" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 12: any, and another audience
--- issuer
audience any api;
--- emerg eval
[qr/"audience" in gateway_jwt_issuer "corp" has "any"/]



=== TEST 13: another audience, and any
--- issuer
audience api any;
--- emerg eval
[qr/"audience" in gateway_jwt_issuer "corp" has "any"/]



=== TEST 14: an empty audience
--- issuer
audience api "";
--- emerg eval
[qr/"audience" in gateway_jwt_issuer "corp" must not be empty/]



=== TEST 15: algorithm none
--- issuer
algorithms RS256 none;
--- emerg eval
[qr/algorithm "none" in gateway_jwt_issuer "corp"/, qr/allowed are/]



=== TEST 16: algorithm None
--- issuer
algorithms None;
--- emerg eval
[qr/algorithm "None" in gateway_jwt_issuer "corp"/, qr/allowed are/]



=== TEST 17: an unknown algorithm
--- issuer
algorithms RS257;
--- emerg eval
[qr/algorithm "RS257" in gateway_jwt_issuer "corp"/, qr/RS256/, qr/HS512/]



=== TEST 18: an algorithm in lower case
--- issuer
algorithms rs256;
--- emerg eval
[qr/algorithm "rs256" in gateway_jwt_issuer "corp"/]



=== TEST 19: algorithms twice
--- issuer
algorithms RS256;
algorithms ES256;
--- emerg eval
[qr/"algorithms" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 20: HS alone, and no oct key
--- issuer
algorithms HS256;
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 21: leeway over 5m
--- issuer
leeway 301s;
--- emerg eval
[qr/leeway "301s" in gateway_jwt_issuer "corp"/, qr/at most 5m/]



=== TEST 22: leeway that is no time
--- issuer
leeway soon;
--- emerg eval
[qr/leeway "soon" in gateway_jwt_issuer "corp"/, qr/at most 5m/]



=== TEST 23: a negative leeway
--- issuer
leeway -1s;
--- emerg eval
[qr/leeway "-1s" in gateway_jwt_issuer "corp"/, qr/at most 5m/]



=== TEST 24: leeway twice
--- issuer
leeway 1s;
leeway 2s;
--- emerg eval
[qr/"leeway" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 25: max_lifetime that is no time
--- issuer
max_lifetime long;
--- emerg eval
[qr/max_lifetime "long" in gateway_jwt_issuer "corp"/, qr/must be a time/]



=== TEST 26: max_lifetime of nothing
--- issuer
max_lifetime 0;
--- emerg eval
[qr/max_lifetime "0" in gateway_jwt_issuer "corp"/, qr/at least 1s/]



=== TEST 27: max_lifetime twice
--- issuer
max_lifetime 1h;
max_lifetime 2h;
--- emerg eval
[qr/"max_lifetime" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 28: require_exp
--- issuer
require_exp yes;
--- emerg eval
[qr/require_exp "yes" in gateway_jwt_issuer "corp"/, qr/"on" or "off"/]



=== TEST 29: require_exp twice
--- issuer
require_exp on;
require_exp on;
--- emerg eval
[qr/"require_exp" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 30: type twice
--- issuer
type JWT;
type at+jwt;
--- emerg eval
[qr/"type" in gateway_jwt_issuer "corp" is duplicate/]



=== TEST 31: an empty type
--- issuer
type JWT "";
--- emerg eval
[qr/"type" in gateway_jwt_issuer "corp" must not be empty/]



=== TEST 32: type of no value
--- issuer
type ;
--- emerg eval
[qr/"type" in gateway_jwt_issuer "corp"/, qr/one or more/]



=== TEST 33: two blocks of one name
--- http_config eval
issuer() . issuer()
--- emerg eval
[qr/duplicate gateway_jwt_issuer "corp"/]



=== TEST 34: a name with a comma
--- http_config eval
issuer() . issuer('', 'a,b')
--- emerg eval
[qr/"a,b" in "gateway_jwt_issuer"/]



=== TEST 35: an empty name
--- http_config eval
issuer() . issuer('', '""')
--- emerg eval
[qr/"" in "gateway_jwt_issuer"/]



=== TEST 36: no name
--- http_config eval
issuer() . issuer('', ' ')
--- emerg eval
[qr/number of arguments in "gateway_jwt_issuer"/]



=== TEST 37: an issuer block in a server
--- config
    gateway_jwt_issuer inner {
    }
--- emerg eval
[qr/"gateway_jwt_issuer" directive is not allowed here/]



=== TEST 38: a key file that is not there
--- issuer eval
"key_file $::Dir/nothing.jwks;"
--- emerg eval
[qr/open\(\) ".*nothing\.jwks" failed/, qr/No such file/]



=== TEST 39: a key file that is a directory
--- issuer eval
"key_file $::Dir;"
--- emerg eval
[qr/key_file ".*html"/, qr/regular file/]



=== TEST 40: an empty key file
--- user_files eval
files('corp.jwks' => '')
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/]



=== TEST 41: a key file that is no JSON
--- user_files eval
files('corp.jwks' => jwks('rsa') =~ s/\}\z//r)
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/JSON/]



=== TEST 42: a key file with more than JSON
--- user_files eval
files('corp.jwks' => jwks('rsa') . 'x')
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/JSON/]



=== TEST 43: JSON that is no JWKS
--- user_files eval
files('corp.jwks' => '{"keys":{}}')
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/JWK/]



=== TEST 44: JSON that is an array
--- user_files eval
files('corp.jwks' => '[' . json(jwk('rsa')) . ']')
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/JWK/]



=== TEST 45: an object of something else
--- user_files eval
files('corp.jwks' => '{"issuer":"x"}')
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/JWK/]



=== TEST 46: a JWKS that is empty
--- user_files eval
files('corp.jwks' => '{"keys":[]}')
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 47: duplicate members in a JWKS
--- user_files eval
files('corp.jwks' => json(jwk('rsa')) =~ s/\A\{/{"kid":"x",/r)
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/]



=== TEST 48: a JWKS of keys that can not be used
--- user_files eval
files('corp.jwks' => jwks('rsa1024', 'oct', jwk('p256', use => 'enc'),
                          jwk('p384', key_ops => [ 'sign' ]),
                          jwk('p521', alg => 'ES256'),
                          jwk('ed25519', alg => 'none'),
                          jwk('rsa', alg => 'RSA-OAEP'),
                          \'{"kty":"XYZ"}', \'{}', \'1', \'null'))
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 49: keys whose members make no key
--- user_files eval
files('corp.jwks' => jwks(jwk('rsa', n => undef), jwk('rsa', n => ''),
                          jwk('rsa', e => undef), jwk('rsa', n => \'1'),
                          jwk('rsa', n => '!'),
                          jwk('p256', x => undef), jwk('p256', y => 'AAAA'),
                          jwk('p256', crv => 'P-384'),
                          jwk('p256', crv => undef),
                          jwk('p256', x => b64u("\0" x 32)),
                          jwk('ed25519', x => undef),
                          jwk('ed25519', x => 'AAAA'),
                          jwk('ed25519', crv => 'X25519')))
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 50: an oct key that is too short
--- issuer
algorithms HS256;
--- user_files eval
files('corp.jwks' => jwks(jwk('oct', k => b64u('secret'))))
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 51: an empty oct key
--- issuer
algorithms HS256;
--- user_files eval
files('corp.jwks' => jwks(jwk('oct', k => '')))
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 52: a private key in PEM, RSA
--- user_files eval
files('corp.jwks' => pem_private('rsa'))
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/private key/]



=== TEST 53: a private key in PEM, EC
--- user_files eval
files('corp.jwks' => pem_private('p256'))
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/private key/]



=== TEST 54: a private key in PEM, Ed25519
--- user_files eval
files('corp.jwks' => pem_private('ed25519'))
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/private key/]



=== TEST 55: a public key, and a private key after it
--- user_files eval
files('corp.jwks' => pem('rsa') . pem_private('rsa'))
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/private key/]



=== TEST 56: broken PEM
--- user_files eval
files('corp.jwks' => pem('rsa') =~ s/MII/!!!/r)
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/PEM/]



=== TEST 57: PEM that was cut short
--- user_files eval
files('corp.jwks' => substr(pem('rsa'), 0, 200))
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/PEM/]



=== TEST 58: PEM of something else
--- user_files eval
files('corp.jwks' => pem('rsa') =~ s/PUBLIC KEY/CERTIFICATE REQUEST/gr)
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/PEM/]



=== TEST 59: a certificate that is none
--- user_files eval
files('corp.jwks' => pem('rsa') =~ s/PUBLIC KEY/CERTIFICATE/gr)
--- emerg eval
[qr/key_file ".*corp\.jwks" in gateway_jwt_issuer "corp"/, qr/PEM/]



=== TEST 60: an RSA key of 1024 bits in PEM
--- user_files eval
files('corp.jwks' => pem('rsa1024'))
--- emerg eval
[qr/no usable key/, qr/gateway_jwt_issuer "corp"/]



=== TEST 61: a good key file, and one that is not there
--- issuer eval
"key_file $::Dir/corp.jwks; key_file $::Dir/nothing;"
--- emerg eval
[qr/open\(\) ".*nothing" failed/]



=== TEST 62: an empty path
--- issuer
key_file "";
--- emerg eval
[qr/"key_file" in gateway_jwt_issuer "corp" must not be empty/]



=== TEST 63: an issuer that is not used is checked all the same
--- http_config eval
issuer() . issuer("key_file $::Dir/nothing;", 'unused')
--- emerg eval
[qr/open\(\) ".*nothing" failed/]



=== TEST 64: gateway_jwt of an unknown issuer
--- access
    gateway_jwt "api" issuer=nobody;
--- emerg eval
[qr/unknown issuer "nobody" in "gateway_jwt"/, qr/nginx\.conf:\d+/]



=== TEST 65: an unknown one among several
--- access
    gateway_jwt "api" issuer=corp,nobody;
--- emerg eval
[qr/unknown issuer "nobody" in "gateway_jwt"/]



=== TEST 66: an empty one among several
--- access
    gateway_jwt "api" issuer=corp,;
--- emerg eval
[qr/unknown issuer "" in "gateway_jwt"/]



=== TEST 67: issuer= of no name
--- access
    gateway_jwt "api" issuer=;
--- emerg eval
[qr/parameter "issuer=" in "gateway_jwt"/, qr/issuer=NAME/]



=== TEST 68: one issuer twice
--- access
    gateway_jwt "api" issuer=corp,corp;
--- emerg eval
[qr/"gateway_jwt"/, qr/"corp"/]



=== TEST 69: two blocks of the same "iss" in one place
--- http_config eval
issuer() . issuer("key_file $::Dir/corp.jwks;", 'twin')
--- access
    gateway_jwt "api" issuer=corp,twin;
--- emerg eval
[qr/"corp" and "twin" in "gateway_jwt"/, qr{https://id\.example\.com}]



=== TEST 70: gateway_jwt without issuer=
--- access
    gateway_jwt "api";
--- emerg eval
[qr/no "issuer=" in "gateway_jwt api"/]



=== TEST 71: gateway_jwt on
--- access
    gateway_jwt on;
--- emerg eval
[qr/no "issuer=" in "gateway_jwt on"/, qr/"off"/]



=== TEST 72: token= without issuer=
--- access
    gateway_jwt "api" token=$cookie_t;
--- emerg eval
[qr/no "issuer=" in "gateway_jwt api"/]



=== TEST 73: token= of no variable
--- access
    gateway_jwt "api" issuer=corp token=abc;
--- emerg eval
[qr/parameter "token=abc" in "gateway_jwt"/, qr/token=\$variable/]



=== TEST 74: token= of a variable without a name
--- access
    gateway_jwt "api" issuer=corp token=$;
--- emerg eval
[qr/parameter "token=\$" in "gateway_jwt"/]



=== TEST 75: token= of an unknown variable
--- access
    gateway_jwt "api" issuer=corp token=$nobody_set_this;
--- emerg eval
[qr/unknown "nobody_set_this" variable/]



=== TEST 76: a realm of an unknown variable
--- access
    gateway_jwt "for $nobody_set_this" issuer=corp;
--- emerg eval
[qr/unknown "nobody_set_this" variable/]



=== TEST 77: an unknown parameter
--- access
    gateway_jwt "api" issuer=corp leeway=1s;
--- emerg eval
[qr/parameter "leeway=1s" in "gateway_jwt"/]



=== TEST 78: issuer= twice
--- access
    gateway_jwt "api" issuer=corp issuer=corp;
--- emerg eval
[qr/parameter "issuer=corp" in "gateway_jwt"/]



=== TEST 79: too many parameters
--- access
    gateway_jwt "api" issuer=corp token=$arg_a token=$arg_b;
--- emerg eval
[qr/number of arguments in "gateway_jwt"/]



=== TEST 80: gateway_jwt twice
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt off;
--- emerg eval
[qr/"gateway_jwt" directive is duplicate/]



=== TEST 81: gateway_jwt in an if
--- config
    location /t {
        if ($arg_a) {
            gateway_jwt "api" issuer=corp;
        }
    }
--- emerg eval
[qr/"gateway_jwt" directive is not allowed here/]



=== TEST 82: claim rules where no token is checked
--- config
    location /t {
        gateway_jwt_require_claim sub eq alice;
    }
--- emerg eval
[qr/"gateway_jwt_require_claim"/, qr/without "gateway_jwt"/, qr{"/t"}]



=== TEST 83: scope rules where no token is checked
--- config
    gateway_jwt "api" issuer=corp;

    location /t {
        gateway_jwt off;
        gateway_jwt_require_scope read;
    }
--- emerg eval
[qr/"gateway_jwt_require_scope"/, qr/without "gateway_jwt"/, qr{"/t"}]



=== TEST 84: scope rules of limit_except where no token is checked
--- config
    location /t {
        limit_except GET {
            gateway_jwt_require_scope read;
        }
    }
--- emerg eval
[qr/"gateway_jwt_require_scope"/, qr/without "gateway_jwt"/]



=== TEST 85: an unknown operator
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub is alice;
--- emerg eval
[qr/"is" in "gateway_jwt_require_claim"/, qr/allowed are eq, ne, in/]



=== TEST 86: no operator
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub;
--- emerg eval
[qr/number of arguments in "gateway_jwt_require_claim"/]



=== TEST 87: no value
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq;
--- emerg eval
[qr/values for "eq" in "gateway_jwt_require_claim"/, qr/it takes one/]



=== TEST 88: too many values
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub ne a b;
--- emerg eval
[qr/values for "ne" in "gateway_jwt_require_claim"/, qr/it takes one/]



=== TEST 89: in, without values
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub in;
--- emerg eval
[qr/values for "in" in "gateway_jwt_require_claim"/, qr/one or more/]



=== TEST 90: exists, with a value
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub exists x;
--- emerg eval
[qr/values for "exists" in "gateway_jwt_require_claim"/, qr/none/]



=== TEST 91: a value that is no number
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim n lt abc;
--- emerg eval
[qr/"abc" for "lt" in "gateway_jwt_require_claim"/, qr/must be a number/]



=== TEST 92: a value that is nearly a number
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim n ge 0x10;
--- emerg eval
[qr/"0x10" for "ge" in "gateway_jwt_require_claim"/, qr/must be a number/]



=== TEST 93: a number that nothing reaches
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim n ge 1e400;
--- emerg eval
[qr/"1e400" for "ge" in "gateway_jwt_require_claim"/, qr/must be a number/]



=== TEST 94: a broken regex
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub matches "a(";
--- emerg eval
[qr/"a\(" in "gateway_jwt_require_claim"|gateway_jwt_require_claim.*"a\("/]



=== TEST 95: an unknown variable in a value
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim sub eq $nobody_set_this;
--- emerg eval
[qr/unknown "nobody_set_this" variable/]



=== TEST 96: an empty pointer
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim "" eq x;
--- emerg eval
[qr/pointer "" in "gateway_jwt_require_claim"/, qr/JSON pointer/]



=== TEST 97: a pointer with a bad escape
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim /a~2 eq x;
--- emerg eval
[qr/pointer "\/a~2" in "gateway_jwt_require_claim"/, qr/JSON pointer/]



=== TEST 98: a pointer with half an escape
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_claim /a~ eq x;
--- emerg eval
[qr/pointer "\/a~" in "gateway_jwt_require_claim"/, qr/JSON pointer/]



=== TEST 99: a scope with a space
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope "read write";
--- emerg eval
[qr/scope "read write" in "gateway_jwt_require_scope"/]



=== TEST 100: a scope with a quote
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope 'a"b';
--- emerg eval
[qr/scope "a"b" in "gateway_jwt_require_scope"/]



=== TEST 101: an empty scope
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope "";
--- emerg eval
[qr/scope "" in "gateway_jwt_require_scope"/]



=== TEST 102: no scope
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_require_scope;
--- emerg eval
[qr/number of arguments in "gateway_jwt_require_scope"/]



=== TEST 103: gateway_jwt_claim_set of no variable
--- http_config
    gateway_jwt_claim_set role /role;
--- emerg eval
[qr/"role" in "gateway_jwt_claim_set"/]



=== TEST 104: gateway_jwt_claim_set of a variable without a name
--- http_config
    gateway_jwt_claim_set $ /role;
--- emerg eval
[qr/"\$" in "gateway_jwt_claim_set"/]



=== TEST 105: gateway_jwt_claim_set of a bad pointer
--- http_config
    gateway_jwt_claim_set $role /a~;
--- emerg eval
[qr/pointer "\/a~" in "gateway_jwt_claim_set"/]



=== TEST 106: gateway_jwt_claim_set of an empty pointer
--- http_config
    gateway_jwt_claim_set $role "";
--- emerg eval
[qr/pointer "" in "gateway_jwt_claim_set"/]



=== TEST 107: gateway_jwt_claim_set of one argument
--- http_config
    gateway_jwt_claim_set $role;
--- emerg eval
[qr/number of arguments in "gateway_jwt_claim_set"/]



=== TEST 108: gateway_jwt_claim_set of a variable twice
--- http_config
    gateway_jwt_claim_set $role a;
    gateway_jwt_claim_set $role b;
--- emerg eval
[qr/"role" variable/]



=== TEST 109: gateway_jwt_claim_set of a variable of nginx
--- http_config
    gateway_jwt_claim_set $uri a;
--- emerg eval
[qr/"uri" variable/]



=== TEST 110: gateway_jwt_cache of size 0
--- http_config
    gateway_jwt_cache size=0;
--- emerg eval
[qr/"size=0" in "gateway_jwt_cache"/, qr/"off"/]



=== TEST 111: gateway_jwt_cache, too large
--- http_config
    gateway_jwt_cache size=1000001;
--- emerg eval
[qr/"size=1000001" in "gateway_jwt_cache"/, qr/1000000/]



=== TEST 112: gateway_jwt_cache that is no number
--- http_config
    gateway_jwt_cache size=many;
--- emerg eval
[qr/"size=many" in "gateway_jwt_cache"/]



=== TEST 113: gateway_jwt_cache on
--- http_config
    gateway_jwt_cache on;
--- emerg eval
[qr/"on" in "gateway_jwt_cache"/, qr/size=N/]



=== TEST 114: gateway_jwt_cache twice
--- http_config
    gateway_jwt_cache size=1;
    gateway_jwt_cache off;
--- emerg eval
[qr/"gateway_jwt_cache" directive is duplicate/]



=== TEST 115: gateway_jwt_cache in a location
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_cache off;
--- emerg eval
[qr/"gateway_jwt_cache" directive is not allowed here/]



=== TEST 116: gateway_jwt_max_size that is no size
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_max_size large;
--- emerg eval
[qr/"large" in "gateway_jwt_max_size"/, qr/from 1 to 1m/]



=== TEST 117: gateway_jwt_max_size twice
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_max_size 1k;
    gateway_jwt_max_size 2k;
--- emerg eval
[qr/"gateway_jwt_max_size" directive is duplicate/]



=== TEST 118: an unknown directive of ours
--- access
    gateway_jwt_require_claims sub eq alice;
--- emerg eval
[qr/unknown directive "gateway_jwt_require_claims"/]



=== TEST 119: no secret of a key file that is refused is in the log
--- issuer
algorithms HS256;
--- user_files eval
files('corp.jwks' => jwks(jwk('oct', k => b64u('a secret, too short'))))
--- emerg eval
[qr/no usable key/]
--- no_error_log eval
['a secret', b64u('a secret, too'), '[alert]', '[crit]']



=== TEST 120: gateway_jwt_max_size of nothing
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_max_size 0;
--- emerg eval
[qr/"0" in "gateway_jwt_max_size"/, qr/from 1 to 1m/]



=== TEST 121: gateway_jwt_max_size, too large
--- access
    gateway_jwt "api" issuer=corp;
    gateway_jwt_max_size 1025k;
--- emerg eval
[qr/"1025k" in "gateway_jwt_max_size"/, qr/from 1 to 1m/]



=== TEST 122: rules of a server, where nobody said gateway_jwt
--- config
    gateway_jwt_require_scope read;

    location /t {
        empty_gif;
    }
--- emerg eval
[qr/"gateway_jwt_require_scope"/, qr/without "gateway_jwt"/, qr/location "/]



=== TEST 123: claim rules of http, where nobody said gateway_jwt
--- http_config
    gateway_jwt_require_claim sub eq alice;
--- config
    location /t {
        empty_gif;
    }
--- emerg eval
[qr/"gateway_jwt_require_claim"/, qr/without "gateway_jwt"/, qr/location "/]



=== TEST 124: rules of a server, one of whose locations says nothing
--- config
    gateway_jwt_require_scope read;

    location /t {
        gateway_jwt "api" issuer=corp;
        empty_gif;

        location /t/deep {
            empty_gif;
        }
    }

    location /off {
        gateway_jwt off;
    }

    location /silent {
        empty_gif;
    }
--- emerg eval
[qr/"gateway_jwt_require_scope"/, qr/without "gateway_jwt"/, qr/location "/]



=== TEST 125: rules of a server, each of whose locations says something
--- http_config eval
issuer() . '
server {
    listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    gateway_jwt_require_scope read;

    location / {
        gateway_jwt off;
        return 200 "open\n";
    }

    location /t {
        gateway_jwt "api" issuer=corp;
        empty_gif;
    }
}'
--- config
    location /p/ {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;
    }
--- request eval
["GET /p/", "GET /p/t", "GET /p/t"]
--- more_headers eval
["X-No: token", "Authorization: Bearer " . jwt(),
 "Authorization: Bearer " . jwt({ scope => 'read' })]
--- error_code eval
[200, 403, 200]
