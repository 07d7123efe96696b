"""Keys and tokens of the Python library jwcrypto, for jwt_jwcrypto.t.

jwcrypto_peer.py DIR: puts key files into DIR and prints tokens, with what is
to be said of them, as t/lib/E2EInterop.pm wants them.
"""

import base64
import datetime
import json
import os
import subprocess
import sys
import time

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from jwcrypto import jwk, jws, jwt
    from jwcrypto.common import json_decode, json_encode

except ImportError as e:
    sys.exit("%s: install Debian's package python3-jwcrypto, or run "
             "\"make deps\"" % e)

ISSUER = 'https://id.example.com'
NOW = int(time.time())

# What a key is made with, and the algorithms it is for.  "pss" and "pss256"
# are keys of the type RSASSA-PSS, the latter for SHA-256 alone: JWKs have no
# such types, PEM files and certificates do.

FAMILIES = {
    'rsa': (dict(kty='RSA', size=2048),
            ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']),
    'rsa3072': (dict(kty='RSA', size=3072), ['RS512', 'PS512']),
    'pss': ([], ['PS256', 'PS384', 'PS512']),
    'pss256': (['rsa_pss_keygen_md:sha256', 'rsa_pss_keygen_mgf1_md:sha256'],
               ['PS256']),
    'p256': (dict(kty='EC', crv='P-256'), ['ES256']),
    'p384': (dict(kty='EC', crv='P-384'), ['ES384']),
    'p521': (dict(kty='EC', crv='P-521'), ['ES512']),
    'k256': (dict(kty='EC', crv='secp256k1'), ['ES256K']),
    'ed25519': (dict(kty='OKP', crv='Ed25519'), ['EdDSA']),
    'ed448': (dict(kty='OKP', crv='Ed448'), ['EdDSA']),
    'hs': (dict(kty='oct', size=512), ['HS256', 'HS384', 'HS512']),
}

POINTERS = {
    'sub': 'sub',
    'name': 'name',
    'num': 'num',
    'list': 'list',
    'nested': 'nested',
    'flag': 'flag',
    'role': '/nested/roles/1',
    'slash': '/a~1b/c~0d',
    'greek': '\u03cc\u03bd\u03bf\u03bc\u03b1',
}

directory = sys.argv[1]
keys = {}           # by family
strangers = {}      # the same, and not known to the gateway
cases = []


def main():
    for family in FAMILIES:
        keys[family] = make_key(family, path(family + '.key'))
        strangers[family] = make_key('rsa' if family.startswith('rsa')
                                     else family, path('stranger.key'))

    # jwks has each key under its own name and one more time under one that
    # is not its own alone

    keyset = jwk.JWKSet()
    for key in keys.values():
        keyset.add(key)

    for family in ('p256', 'rsa', 'ed448'):
        keyset.add(renamed(keys[family], kid='shared'))

    spew('jwks.json', public(keyset))
    spew('private.json', keyset.export(private_keys=True))
    spew('nokid.json', json.dumps(
        {'keys': [renamed(key, public=key['kty'] != 'oct')
                  for key in keys.values()]}, indent=4))

    files = {
        'jwks': ['jwks.json'],
        'private': ['private.json'],
        'nokid': ['nokid.json'],
        'pem': [write_pem(family) for family in keys if family != 'hs'],
        'x509': [write_certificate(family) for family in keys
                 if family != 'hs'],
    }

    for name in os.listdir(directory):
        if name.endswith('.key'):
            os.unlink(path(name))

    good()
    kids()
    claims()
    bad_claims()
    bad_forms()
    bad_keys()

    for case in cases:
        case['accepted'] = accepted(case['token'])

    for issuer in ('usual', 'typed', 'lenient', 'short'):
        files[issuer] = files['jwks']

    json.dump({'claims': POINTERS, 'cases': cases, 'issuers': files},
              sys.stdout)


# Keys.

def make_key(family, file):
    how = FAMILIES[family][0]

    if isinstance(how, dict):
        return jwk.JWK.generate(kid='kid-' + family, **how)

    options = [word for option in ['rsa_keygen_bits:2048'] + how
               for word in ('-pkeyopt', option)]

    subprocess.run(['openssl', 'genpkey', '-quiet', '-algorithm', 'RSA-PSS',
                    '-out', file] + options, check=True)

    with open(file, 'rb') as pem:
        key = jwk.JWK.from_pem(pem.read())

    return jwk.JWK(**dict(json_decode(key.export()), kid='kid-' + family))


# A key set's JSON without private keys; symmetric ones have nothing else.

def public(keyset):
    return json_encode({'keys': [
        json_decode(key.export() if key['kty'] == 'oct'
                    else key.export_public()) for key in keyset]})


def renamed(key, kid=None, public=None):
    members = json_decode(key.export() if public is not True
                          else key.export_public())
    members.pop('kid')

    if kid is not None:
        return jwk.JWK(kid=kid, **members)

    return members


def write_pem(family):
    name = family + '.pem'

    if family.startswith('pss'):
        subprocess.run(['openssl', 'pkey', '-in', path(family + '.key'),
                        '-pubout', '-out', path(name)], check=True)

    else:
        spew(name, keys[family].export_to_pem().decode())

    return name


def write_certificate(family):
    name = family + '.crt'

    if family.startswith('pss'):
        subprocess.run(['openssl', 'req', '-x509', '-days', '2',
                        '-key', path(family + '.key'), '-sha256',
                        '-subj', '/CN=' + family, '-out', path(name)],
                       check=True)
        return name

    pem = keys[family].export_to_pem(private_key=True, password=None)
    key = serialization.load_pem_private_key(pem, None)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, family)])
    now = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)

    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, None if family.startswith('ed') else hashes.SHA256()))

    spew(name, certificate.public_bytes(
        serialization.Encoding.PEM).decode())

    return name


def path(name):
    return os.path.join(directory, name)


def spew(name, text):
    with open(path(name), 'w') as out:
        out.write(text)


# Tokens.

def usual(**more):
    payload = dict(iss=ISSUER, aud='api', sub='alice', iat=NOW, exp=NOW + 3600)
    payload.update(more)

    return {name: value for name, value in payload.items()
            if value is not None}


# "claims" is an object, or the text of one; a kid of '' means none.

def sign(claims, family='p256', key=None, **header):
    header.setdefault('alg', FAMILIES[family][1][0])
    header.setdefault('kid', 'kid-' + family)

    if header['kid'] == '':
        del header['kid']

    key = key or keys[family]

    if isinstance(claims, dict):
        token = jwt.JWT(header=header, claims=claims, algs=[header['alg']])
        token.make_signed_token(key)
        return token.serialize()

    token = jws.JWS(claims.encode('utf-8'))
    token.allowed_algs = [header['alg']]
    token.add_signature(key, None, json_encode(header))

    return token.serialize(compact=True)


def add(name, token, answers, **more):
    if isinstance(answers, str):
        answers = dict(jwks=answers)

    cases.append(dict(name=name, token=token, answers=answers, **more))


# A token that is accepted somewhere: what the backend is to be told.

def add_good(name, token, answers='ok', **more):
    header, payload = (base64.urlsafe_b64decode(part + '==').decode('utf-8')
                       for part in token.split('.')[:2])

    told = {}

    for claim, pointer in POINTERS.items():
        found, value = find(json.loads(payload), pointer)
        if found:
            told[claim] = as_text(value)

    case = dict(claims=told, raw=payload, kid=json.loads(header).get('kid'))
    case.update(more)

    add(name, token, answers, **case)


def find(value, pointer):
    names = [pointer]

    if pointer.startswith('/'):
        names = [name.replace('~1', '/').replace('~0', '~')
                 for name in pointer[1:].split('/')]

    for name in names:
        if isinstance(value, list) and name.isdigit() \
                and int(name) < len(value):
            value = value[int(name)]

        elif isinstance(value, dict) and name in value:
            value = value[name]

        else:
            return False, None

    return True, value


# Strings as they are, unless they would break a header's line; all else as in
# the token.

def as_text(value):
    if isinstance(value, str) and not any(c < ' ' for c in value):
        return value

    return json_encode(value)


# What jwcrypto says of a token.

def accepted(token):
    try:
        header = json_decode(base64.urlsafe_b64decode(
            token.split('.')[0] + '=='))
    except ValueError:
        return False

    kid = header.get('kid')

    for family, key in keys.items():
        algs = FAMILIES[family][1]

        shared = kid == 'shared' and family in ('p256', 'rsa', 'ed448')

        if kid not in (None, 'kid-' + family) and not shared:
            continue

        try:
            check = jwt.JWT(algs=algs, check_claims=dict(iss=ISSUER, aud='api',
                                                         exp=None))
            check.leeway = 0
            check.deserialize(token, key)
            return True

        except Exception:       # pylint: disable=broad-except
            continue

    return False


def good():
    for family, (_, algs) in FAMILIES.items():
        symmetric = family == 'hs'

        files = 'bad_algorithm' if symmetric else 'ok'
        usually = 'bad_algorithm' if family in ('hs', 'k256') else 'ok'

        for alg in algs:
            label = '%s %s' % (family, alg)
            payload = usual(sub=family)

            everywhere = dict(jwks='ok', private='ok', nokid='ok', pem=files,
                              x509=files, usual=usually)

            add_good(label, sign(payload, family, alg=alg), everywhere)
            add_good(label + ', no kid',
                     sign(payload, family, alg=alg, kid=''), everywhere)

            unknown = 'unknown_key' if usually == 'ok' else usually

            add_good(label + ', another kid',
                     sign(payload, family, alg=alg, kid='other'),
                     dict(everywhere, jwks='unknown_key',
                          private='unknown_key', usual=unknown))
            add_good(label + ', at+jwt',
                     sign(payload, family, alg=alg, typ='at+jwt'),
                     dict(jwks='ok', typed=usually))
            add_good(label + ', JWT',
                     sign(payload, family, alg=alg, typ='JWT'),
                     dict(jwks='ok',
                          typed='wrong_type' if usually == 'ok' else usually))


def kids():
    payload = usual()

    for family in ('p256', 'rsa', 'ed448'):
        add_good('one of three keys of a kid, ' + family,
                 sign(payload, family, kid='shared'))

    add('none of three keys of a kid',
        sign(payload, 'ed25519', kid='shared'), 'bad_signature')
    add('no algorithm of three keys of a kid',
        sign(payload, 'p384', kid='shared'), 'bad_algorithm')


def claims():
    everything = {
        'unicode, escaped': dict(name='Zo\u00eb \u2603 \U0001f511 \u0627',
                                 **{POINTERS['greek']: '\u03a9\u03c1'}),
        'escapes': dict(name='a "b" \\c\\ /d'),
        'control characters': dict(name='a\r\nX-Admin: 1\t\u0001'),
        'the largest integer': dict(num=2 ** 63 - 1),
        'the smallest integer': dict(num=-2 ** 63),
        'more than a double holds': dict(num=2 ** 53 + 1),
        'fractions': dict(num=0.1 + 0.2),
        'large numbers': dict(num=1.7976931348623157e308),
        'small numbers': dict(num=5e-324),
        'a negative zero': dict(num=-0.0),
        'true': dict(flag=True),
        'false': dict(flag=False),
        'empty': dict(name='', list=[], nested={}),
        'nested': dict(nested=dict(roles=['a', 'b', 'c'],
                                   x=dict(y=dict(z=[{}])))),
        'a long list': dict(list=list(range(1200))),
        'lists of lists': dict(list=[[[[[[[[1]]]]]]], [], [[]]]),
        'names that need escapes': {'a/b': {'c~d': 'found'}, '': 'empty',
                                    'a"b\\c\n': 1},
        'names that begin alike': dict(nam='x', name='right', names='y',
                                       Name='z'),
        'a name again inside': dict(nested=dict(name='inside', sub='eve'),
                                    name='outside'),
        'a list of audiences': dict(aud=['x', 'api', 'y']),
        'audiences of many kinds': dict(aud=['x', 'API', 'api ', 'api']),
        'nbf now': dict(nbf=NOW),
        'a late exp': dict(exp=2 ** 53),
        'no iat': dict(iat=None),
        'no sub': dict(sub=None),
    }

    for name, more in everything.items():
        payload = usual(**more)

        add_good('claims: ' + name, sign(payload))
        add_good('claims: %s, EdDSA' % name, sign(payload, 'ed448'),
                 dict(jwks='ok', nokid='ok', pem='ok'))

    # The same text in another writing

    payload = usual(name='Zo\u00eb \U0001f511', nested=dict(roles=['a', 'b']))
    written = json.dumps(payload, indent=2, ensure_ascii=False)

    add_good('claims: on many lines', sign(written),
             raw=written.replace('\n', ' '),
             claims=dict(sub='alice', role='b', name=payload['name'],
                         nested=json.dumps(payload['nested'], indent=2)
                         .replace('\n', '\n  ').replace('\n', ' ')))

    for number in ('12.50', '1E2', '-0', '1.0', '0.10e-07', '100e+5'):
        written = json_encode(usual())[:-1] + ',"num":%s}' % number

        add_good('claims: ' + number, sign(written),
                 claims=dict(sub='alice', num=number))


def bad_claims():
    list_of = [
        ('expired', dict(exp=NOW - 1), 'expired'),
        ('expired an hour ago', dict(iat=NOW - 7200, exp=NOW - 3600),
         'expired'),
        ('not yet valid', dict(nbf=NOW + 300), 'not_yet_valid',
         'jwcrypto looks at it only where it is required'),
        ('made in the future', dict(iat=NOW + 300), 'not_yet_valid',
         'jwcrypto does not look at it'),
        ('no exp', dict(exp=None), 'malformed'),
        ('exp is a string', dict(exp=str(NOW + 3600)), 'malformed'),
        ('nbf is a string', dict(nbf=str(NOW)), 'malformed',
         'jwcrypto looks at it only where it is required'),
        ('no aud', dict(aud=None), 'wrong_audience'),
        ('another aud', dict(aud='apis'), 'wrong_audience'),
        ('other auds', dict(aud=['a', 'api2', 'API']), 'wrong_audience'),
        ('no auds', dict(aud=[]), 'wrong_audience'),
        ('no iss', dict(iss=None), 'unknown_issuer'),
        ('another iss', dict(iss=ISSUER.upper()), 'unknown_issuer'),
        ('a NUL', dict(name='a\0b'), 'malformed', 'jwcrypto takes U+0000'),
        ('an integer of 65 bits', dict(num=2 ** 64), 'malformed',
         'Python has integers of any length'),
        ('an integer of 64 bits without sign', dict(num=2 ** 63), 'malformed',
         'Python has integers of any length'),
        ('no number', dict(num=float('nan')), 'malformed',
         'Python takes NaN for JSON'),
        ('too large a number', dict(num=float('inf')), 'malformed',
         'Python takes Infinity for JSON'),
    ]

    for name, more, status, *differs in list_of:
        more_of = dict(differs=differs[0]) if differs else {}

        add(name, sign(usual(**more)), status, **more_of)
        add(name + ', EdDSA', sign(usual(**more), 'ed448'), status, **more_of)

    add_good('expired, leeway', sign(usual(exp=NOW - 20)),
             dict(jwks='expired', lenient='ok'))
    add_good('eleven minutes', sign(usual(exp=NOW + 660)),
             dict(jwks='ok', short='too_long_lived'))
    add_good('ten minutes', sign(usual(exp=NOW + 600)),
             dict(jwks='ok', short='ok'))


def bad_forms():
    payload = usual()
    header, body, signature = sign(payload).split('.')
    other = sign(usual(sub='bob')).split('.')

    add("another token's claims", '.'.join((header, other[1], signature)),
        'bad_signature')
    add("another token's signature", '.'.join((header, body, other[2])),
        'bad_signature')
    add('no signature', header + '.' + body + '.', 'bad_signature')

    secret = jwk.JWK.generate(kty='oct', size=256)
    encrypted = jwt.JWT(header=dict(alg='dir', enc='A256GCM'), claims=payload)
    encrypted.make_encrypted_token(secret)
    add('encrypted', encrypted.serialize(), 'malformed')

    nested = jwt.JWT(header=dict(alg='ES256', kid='kid-p256', cty='JWT'),
                     claims=sign(payload))
    nested.make_signed_token(keys['p256'])
    add('a token in a token', nested.serialize(), 'malformed')

    for name, text in (('a string', '"text"'), ('a list', '[]'),
                       ('a number', '1'), ('no JSON', '{"iss":'),
                       ('two objects', json_encode(payload) + '{}')):
        add('the payload is ' + name, sign(text), 'malformed')

    twice = '{"iss":"x",' + json_encode(payload)[1:]
    add('an iss twice, the last one right', sign(twice), 'malformed',
        differs='Python takes the last of two members')


def bad_keys():
    payload = usual()

    for family, (_, algs) in FAMILIES.items():
        for alg in algs:
            files = 'bad_algorithm' if family == 'hs' else 'bad_signature'

            add('a stranger signs %s %s' % (family, alg),
                sign(payload, family, strangers[family], alg=alg),
                dict(jwks='bad_signature', private='bad_signature',
                     nokid='bad_signature', pem=files, x509=files))

    add("another curve's kid", sign(payload, 'p256', kid='kid-p384'),
        'bad_algorithm')
    add("another key's kid", sign(payload, 'ed25519', kid='kid-ed448'),
        'bad_signature')
    add('RSA by the kid of EC', sign(payload, 'rsa', kid='kid-p256'),
        'bad_algorithm')

    # RFC 8725, section 2.1: a public key as HMAC's secret

    for family in ('rsa', 'p256', 'ed448'):
        pem = keys[family].export_to_pem()

        for name, text in (('PEM', pem), ('stripped PEM', pem.strip()),
                           ('JWK', keys[family].export_public().encode())):
            secret = jwk.JWK(kty='oct', k=base64.urlsafe_b64encode(text)
                             .decode().rstrip('='))

            add("HS256 by %s's %s" % (family, name),
                sign(payload, 'hs', secret, kid='kid-' + family),
                dict(jwks='bad_algorithm', pem='bad_algorithm',
                     usual='bad_algorithm', nokid='bad_signature'))
            add("HS256 by %s's %s, no kid" % (family, name),
                sign(payload, 'hs', secret, kid=''),
                dict(jwks='bad_signature', pem='bad_algorithm',
                     usual='bad_algorithm', nokid='bad_signature'))

    # Keys of the type RSASSA-PSS do nothing else, and hold to their hash.

    add_good('RS256 by a key for PS256',
             sign(payload, 'pss', alg='RS256', kid=''),
             dict(jwks='ok', pem='bad_signature', x509='bad_signature'),
             differs='its list of algorithms says PS256 alone')
    add_good('PS384 by a key for SHA-256',
             sign(payload, 'pss256', alg='PS384', kid=''),
             dict(jwks='ok', pem='bad_signature', x509='bad_signature'),
             differs='its list of algorithms says PS256 alone')


main()
