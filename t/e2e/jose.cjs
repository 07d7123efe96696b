// Keys and tokens of the npm package "jose", for jwt_jose.t.
//
// node jose.cjs DIR: puts public keys into DIR and prints tokens, with what is
// to be said of them, as t/lib/E2EInterop.pm wants them.

'use strict';

const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

let jose;

try {
    jose = require('jose');

} catch (e) {
    console.error('the npm package "jose" is missing or does not work here:'
                  + ' run "make deps", which installs what'
                  + ' t/e2e/package-lock.json lists ('
                  + (e.code || e.message) + ')');
    process.exit(1);
}

const dir = process.argv[2];
const now = Math.floor(Date.now() / 1000);
const text = new TextEncoder();

const ISSUER = 'https://id.example.com';

// Algorithms of one family share a key, which has a name of its own where
// keys have names.

const FAMILIES = {
    rs:      { algs: ['RS256', 'RS384', 'RS512'] },
    ps:      { algs: ['PS256', 'PS384', 'PS512'], bits: 3072 },
    p256:    { algs: ['ES256'] },
    p384:    { algs: ['ES384'] },
    p521:    { algs: ['ES512'] },
    k256:    { algs: ['ES256K'] },
    ed25519: { algs: ['EdDSA'], crv: 'Ed25519' },
    ed448:   { algs: ['EdDSA'], crv: 'Ed448' },
    hs256:   { algs: ['HS256'] },
    hs384:   { algs: ['HS384'] },
    hs512:   { algs: ['HS512'] },
};

const POINTERS = {
    sub: 'sub',
    name: 'name',
    num: 'num',
    list: 'list',
    nested: 'nested',
    flag: 'flag',
    role: '/nested/roles/1',
    slash: '/a~1b/c~0d',
    greek: 'όνομα',
};

const keys = {};        // by family
const strangers = {};   // the same, and not known to the gateway
const cases = [];


async function main() {
    for (const family in FAMILIES) {
        keys[family] = await makeKey(family);
        strangers[family] = await makeKey(family);
    }

    const files = {
        jwks: [await writeSet('jwks.json', true)],
        nokid: [await writeSet('nokid.json', false)],
        pem: await writeSpki(),
        x509: await writeCertificates(),
    };

    await good();
    await claims();
    await badClaims();
    await badForms();
    await badKeys();

    for (const c of cases) {
        c.accepted = await accepted(c.token);
    }

    process.stdout.write(JSON.stringify({
        claims: POINTERS,
        cases,
        issuers: {
            ...files,
            usual: files.jwks,
            typed: files.jwks,
            lenient: files.jwks,
            short: files.jwks,
        },
    }));
}


// Keys.

async function makeKey(family) {
    const { algs, bits, crv } = FAMILIES[family];

    if (family.startsWith('hs')) {
        return { secret: crypto.randomBytes(Number(family.slice(2)) / 8) };
    }

    const pair = await jose.generateKeyPair(algs[0], {
        modulusLength: bits || 2048, crv, extractable: true,
    });

    return { private: pair.privateKey, public: pair.publicKey };
}


// With names, each algorithm has a key of its own that says so.

async function writeSet(file, named) {
    const set = [];

    for (const family in FAMILIES) {
        const jwk = await jose.exportJWK(keys[family].public
                                         || keys[family].secret);

        if (!named) {
            set.push(jwk);
            continue;
        }

        for (const alg of FAMILIES[family].algs) {
            set.push({ ...jwk, kid: kidOf(family, alg), alg, use: 'sig' });
        }
    }

    if (named) {
        set.push({
            ...await jose.exportJWK(keys.p256.public),
            kid: 'clé "π" / 🔑', key_ops: ['verify'],
        });

        set.push({
            ...await jose.exportJWK(strangers.rs.public),
            kid: 'for encryption', use: 'enc',
        });
    }

    fs.writeFileSync(path.join(dir, file), JSON.stringify({ keys: set }));

    return file;
}


async function writeSpki() {
    return write('.pem', async (family, file) => {
        fs.writeFileSync(file, await jose.exportSPKI(keys[family].public));
    });
}


async function writeCertificates() {
    return write('.crt', async (family, file) => {
        const secret = file + '.key';

        fs.writeFileSync(secret, await jose.exportPKCS8(keys[family].private),
                         { mode: 0o600 });
        execFileSync('openssl', ['req', '-x509', '-key', secret, '-days', '2',
                                 '-subj', '/CN=' + family, '-out', file]);
        fs.unlinkSync(secret);
    });
}


async function write(suffix, writer) {
    const files = [];

    for (const family in FAMILIES) {
        if (keys[family].public) {
            await writer(family, path.join(dir, family + suffix));
            files.push(family + suffix);
        }
    }

    return files;
}


function kidOf(family, alg) {
    return family + '-' + alg;
}


function signer(key) {
    return key.private || key.secret;
}


// Tokens.

function usual(more) {
    const payload = { iss: ISSUER, aud: 'api', sub: 'alice', iat: now,
                      exp: now + 3600, ...more };

    for (const name in payload) {
        if (payload[name] === undefined) {
            delete payload[name];
        }
    }

    return payload;
}


async function sign(payload, header = {}, family = 'p256', set = keys) {
    const all = { alg: FAMILIES[family].algs[0], ...header };

    if (!('kid' in header)) {
        all.kid = kidOf(family, all.alg);

    } else if (header.kid === undefined) {
        delete all.kid;
    }

    return new jose.SignJWT(payload).setProtectedHeader(all)
               .sign(signer(set[family]));
}


function add(name, token, answers, more = {}) {
    if (typeof answers == 'string') {
        answers = { jwks: answers };
    }

    cases.push({ name, token, answers, ...more });
}


// A token that is accepted somewhere: what the backend is to be told.

function addGood(name, token, payload, answers = 'ok', more = {}) {
    const header = jose.decodeProtectedHeader(token);
    const told = {};

    for (const name in POINTERS) {
        const value = find(payload, POINTERS[name]);

        if (value !== undefined) {
            told[name] = asText(value);
        }
    }

    add(name, token, answers, {
        claims: told,
        raw: Buffer.from(token.split('.')[1], 'base64url').toString(),
        kid: header.kid,
        ...more,
    });
}


function find(value, pointer) {
    const names = pointer.startsWith('/')
        ? pointer.slice(1).split('/')
              .map((n) => n.replaceAll('~1', '/').replaceAll('~0', '~'))
        : [pointer];

    for (const name of names) {
        if (value === null || typeof value != 'object'
            || !Object.hasOwn(value, name))
        {
            return undefined;
        }

        value = value[name];
    }

    return value;
}


// Strings as they are, unless they would break a header's line; all else as
// in the token.

function asText(value) {
    // eslint-disable-next-line no-control-regex
    return typeof value == 'string' && !/[\u0000-\u001f]/.test(value)
        ? value : JSON.stringify(value);
}


// What jose says of a token.

async function accepted(token) {
    const keyOf = (header) => {
        if (header.kid === 'clé "π" / 🔑') {
            return keys.p256.public;
        }

        if (header.kid === undefined) {
            throw new Error('no kid');
        }

        const family = String(header.kid).split('-')[0];

        if (!FAMILIES[family] || header.kid !== kidOf(family, header.alg)) {
            throw new Error('no such key');
        }

        return keys[family].public || keys[family].secret;
    };

    const rules = { issuer: ISSUER, audience: 'api', requiredClaims: ['exp'] };

    try {
        await jose.jwtVerify(token, keyOf, rules);
        return true;

    } catch (e) {
        if (e.message != 'no kid') {
            return false;
        }
    }

    // Without a name: all keys

    for (const family in FAMILIES) {
        try {
            await jose.jwtVerify(token, keys[family].public
                                        || keys[family].secret, rules);
            return true;

        } catch (e) {
            continue;
        }
    }

    return false;
}


async function good() {
    for (const family in FAMILIES) {
        const symmetric = !keys[family].public;
        const everywhere = { jwks: 'ok', nokid: 'ok' };

        everywhere.pem = everywhere.x509 = symmetric ? 'bad_algorithm' : 'ok';
        everywhere.usual = symmetric || family == 'k256' ? 'bad_algorithm'
                                                         : 'ok';

        for (const alg of FAMILIES[family].algs) {
            const payload = usual({ sub: family });
            const label = family + ' ' + alg;

            addGood(label, await sign(payload, { alg }, family), payload,
                    everywhere);

            addGood(label + ', no kid',
                    await sign(payload, { alg, kid: undefined }, family),
                    payload, everywhere);

            addGood(label + ', another kid',
                    await sign(payload, { alg, kid: 'other' }, family),
                    payload,
                    { ...everywhere, jwks: 'unknown_key',
                      usual: everywhere.usual == 'ok' ? 'unknown_key'
                                                      : everywhere.usual });

            const at = await sign(payload, { alg, typ: 'at+jwt' }, family);

            addGood(label + ', at+jwt', at, payload,
                    { jwks: 'ok', typed: everywhere.usual });
        }
    }

    const payload = usual();

    for (const typ of ['JWT', undefined, 'application/at+jwt', 'AT+JWT',
                       'at+jwt2', 'secevent+jwt'])
    {
        addGood('typ ' + typ, await sign(payload, typ ? { typ } : {}), payload,
                { jwks: 'ok', typed: /^(application\/)?at\+jwt$/i.test(typ)
                                     ? 'ok' : 'wrong_type' });
    }

    addGood('a kid in many scripts',
            await sign(payload, { kid: 'clé "π" / 🔑' }), payload);

    addGood('more header members',
            await sign(payload, { cty: 'x', jku: 'https://evil.example/jwks',
                                  'x5t#S256': 'x', 'π': [1, { a: 2 }] }),
            payload);

    addGood('a key in the header is not looked at',
            await sign(payload, { jwk: await jose.exportJWK(
                                           strangers.p256.public) }),
            payload);
}


async function claims() {
    const list = {
        'unicode': { name: 'Zoë ☃ — 日本語 العربية 👩‍👩‍👧', 'όνομα': 'Ωραία' },
        'quotes and backslashes': { name: 'a "b" \\c\\ /d' },
        'control characters': { name: 'a\r\nX-Admin: 1\t\u0001' },
        'delete': { name: 'a\u007fb' },
        'line separators': { name: 'a\u2028b\u2029c\u00a0d' },
        'an integer that a double holds': { num: Number.MAX_SAFE_INTEGER },
        'a negative integer': { num: Number.MIN_SAFE_INTEGER },
        'the largest double': { num: Number.MAX_VALUE },
        'the smallest double': { num: Number.MIN_VALUE },
        'a fraction': { num: 0.1 + 0.2 },
        'with an exponent': { num: 1e21 },
        'a negative exponent': { num: -1.5e-7 },
        'zero': { num: 0 },
        'true': { flag: true },
        'false': { flag: false },
        'null': { flag: null },
        'empty': { name: '', list: [], nested: {} },
        'nested': { nested: { roles: ['a', 'b', 'c'],
                              x: { y: { z: [{}] } } } },
        'deep': { nested: deep(60) },
        'a long list': { list: Array.from({ length: 1000 }, (_, i) => i) },
        'mixed lists': { list: [1, 'two', null, true, [3, [4]], { five: 6 }] },
        'names that need escapes': { 'a/b': { 'c~d': 'found' }, '': 'empty',
                                     'a"b\\c\n': 1 },
        'names of methods': JSON.parse('{ "__proto__": { "sub": "eve" },'
                                       + ' "constructor": 1, "toString": 2 }'),
        'names that begin alike': { nam: 'x', name: 'right', names: 'y',
                                    Name: 'z' },
        'a name again inside': { nested: { name: 'inside', sub: 'eve',
                                           exp: 1, iss: 'x', aud: 'y' },
                                 name: 'outside' },
        'a string that looks like JSON': { name: '{"sub":"eve"}',
                                           list: '[1]' },
        'a list of audiences': { aud: ['x', 'y', 'api', 'z'] },
        'a long list of audiences':
            { aud: [...Array.from({ length: 200 }, (_, i) => 'aud' + i),
                    'api'] },
        'nbf now': { nbf: now },
        'fractions of a second': { iat: now - 0.5, exp: now + 3600.5,
                                   nbf: now - 1.25 },
        'a late exp': { exp: 253402300799 },
        'no iat': { iat: undefined },
        'no sub': { sub: undefined },
        'sub is a number': { sub: 42 },
    };

    for (const name in list) {
        const payload = usual(list[name]);

        addGood('claims: ' + name, await sign(payload), payload);
        addGood('claims: ' + name + ', RS256', await sign(payload, {}, 'rs'),
                payload, { jwks: 'ok', nokid: 'ok', pem: 'ok' });
    }
}


function deep(n) {
    return n ? { roles: [n, deep(n - 1)] } : {};
}


async function badClaims() {
    const differs = 'jose does not look at it';

    const list = [
        ['expired', { exp: now - 1 }, 'expired'],
        ['expired an hour ago', { iat: now - 7200, exp: now - 3600 },
         'expired'],
        ['expired at the epoch', { exp: 0 }, 'expired'],
        ['expired before the epoch', { exp: -1 }, 'expired'],
        ['not yet valid', { nbf: now + 300 }, 'not_yet_valid'],
        ['made in the future', { iat: now + 300 }, 'not_yet_valid', differs],
        ['no exp', { exp: undefined }, 'malformed'],
        ['exp is a string', { exp: String(now + 3600) }, 'malformed'],
        ['exp is null', { exp: null }, 'malformed'],
        ['nbf is a string', { nbf: String(now) }, 'malformed'],
        ['iat is a string', { iat: String(now) }, 'malformed'],
        ['no aud', { aud: undefined }, 'wrong_audience'],
        ['another aud', { aud: 'apis' }, 'wrong_audience'],
        ['aud in capitals', { aud: 'API' }, 'wrong_audience'],
        ['other auds', { aud: ['a', 'p', 'i', 'api '] }, 'wrong_audience'],
        ['no auds', { aud: [] }, 'wrong_audience'],
        ['aud is an object', { aud: { api: 'api' } }, 'wrong_audience'],
        ['no iss', { iss: undefined }, 'unknown_issuer'],
        ['another iss', { iss: ISSUER + '/' }, 'unknown_issuer'],
        ['iss is a list', { iss: [ISSUER] }, 'unknown_issuer'],
        ['a NUL', { name: 'a\u0000b' }, 'malformed',
         'jose takes U+0000'],
        ['half a character', { name: '\ud83d' }, 'malformed',
         'jose takes half of a surrogate pair'],
        ['an integer of more than 64 bits', { num: 1e20 }, 'malformed',
         'jose reads all numbers as doubles'],
    ];

    for (const [name, more, status, differs] of list) {
        add(name, await sign(usual(more)), status, { differs });
        add(name + ', RS256', await sign(usual(more), {}, 'rs'), status,
            { differs });
    }

    // The same where the rules are lenient, or stricter

    for (const [name, more, answers] of [
        ['expired, leeway', { exp: now - 20 },
         { jwks: 'expired', lenient: 'ok' }],
        ['not yet valid, leeway', { nbf: now + 40 },
         { jwks: 'not_yet_valid', lenient: 'ok' }],
        ['no exp, not required', { exp: undefined },
         { jwks: 'malformed', lenient: 'ok' }],
        ['any aud', { aud: 'x' }, { jwks: 'wrong_audience', lenient: 'ok' }],
        ['ten minutes', { exp: now + 600 }, { jwks: 'ok', short: 'ok' }],
        ['eleven minutes', { exp: now + 660 },
         { jwks: 'ok', short: 'too_long_lived' }],
        ['no iat', { iat: undefined, exp: now + 60 },
         { jwks: 'ok', short: 'too_long_lived' }],
    ]) {
        const payload = usual(more);

        addGood(name, await sign(payload), payload, answers);
    }
}


async function badForms() {
    const payload = usual();
    const token = await sign(payload);
    const [header, claims, signature] = token.split('.');

    add('not signed', new jose.UnsecuredJWT(payload).encode(),
        'bad_algorithm');

    add('encrypted',
        await new jose.EncryptJWT(payload)
                  .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
                  .encrypt(keys.hs256.secret), 'malformed');

    add('an extension that is critical',
        await new jose.CompactSign(text.encode(JSON.stringify(payload)))
                  .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256',
                                        crit: ['x'], x: 1 })
                  .sign(keys.p256.private, { crit: { x: true } }),
        'malformed');

    const flat = await new jose.FlattenedSign(
                               text.encode(JSON.stringify(payload)))
                       .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256',
                                             crit: ['b64'], b64: false })
                       .sign(keys.p256.private);

    add('a payload that is not encoded, taken out',
        flat.protected + '..' + flat.signature, 'malformed');
    add('a payload that was not encoded',
        flat.protected + '.' + claims + '.' + flat.signature, 'malformed');

    for (const [name, body] of [['a string', '"text"'], ['a list', '[]'],
                                ['a number', '1'], ['nothing', ''],
                                ['no JSON', '{"iss":'], ['null', 'null'],
                                ['two objects', JSON.stringify(payload)
                                                + '{}']])
    {
        add('the payload is ' + name,
            await new jose.CompactSign(text.encode(body))
                      .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256' })
                      .sign(keys.p256.private), 'malformed');
    }

    add('an iss twice, the last one right',
        await new jose.CompactSign(text.encode(
                      '{"iss":"x",' + JSON.stringify(payload).slice(1)))
                  .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256' })
                  .sign(keys.p256.private), 'malformed',
        { differs: 'jose takes the last of two members' });

    add('a byte order mark',
        await new jose.CompactSign(text.encode('\ufeff'
                                               + JSON.stringify(payload)))
                  .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256' })
                  .sign(keys.p256.private), 'malformed',
        { differs: 'jose skips it' });

    const spaced = '\n { "iss" : "' + ISSUER + '",\t"aud":["api"] ,\r\n"sub":'
                   + '"alice","exp":' + (now + 60) + ' }\n ';

    addGood('white space',
            await new jose.CompactSign(text.encode(spaced))
                      .setProtectedHeader({ alg: 'ES256', kid: 'p256-ES256' })
                      .sign(keys.p256.private),
            JSON.parse(spaced), 'ok',
            { raw: spaced.replace(/[\t\r\n]/g, ' ').trim() });

    const other = await sign(usual({ sub: 'bob' }));

    add("another token's claims",
        [header, other.split('.')[1], signature].join('.'), 'bad_signature');
    add("another token's signature",
        [header, claims, other.split('.')[2]].join('.'), 'bad_signature');
    add('no signature', header + '.' + claims + '.', 'bad_signature');
    add('two parts', header + '.' + claims, 'malformed');
    add('four parts', token + '.', 'malformed');

    // Longer than gateway_jwt_max_size, and nearly so

    const wide = usual({ pad: 'x'.repeat(5700) });
    const wider = usual({ pad: 'x'.repeat(6200) });

    addGood('nearly 8 KB', await sign(wide), wide);
    add('more than 8 KB', await sign(wider), 'malformed',
        { differs: 'jose has no limit' });
}


async function badKeys() {
    const payload = usual();

    for (const family in FAMILIES) {
        for (const alg of FAMILIES[family].algs) {
            const symmetric = !keys[family].public;

            add('a stranger signs ' + family + ' ' + alg,
                await sign(payload, { alg }, family, strangers),
                { jwks: 'bad_signature', nokid: 'bad_signature',
                  pem: symmetric ? 'bad_algorithm' : 'bad_signature',
                  x509: symmetric ? 'bad_algorithm' : 'bad_signature' });
        }
    }

    add('a key for encryption',
        await sign(payload, { kid: 'for encryption' }, 'rs', strangers),
        'unknown_key');

    add("another algorithm's kid",
        await sign(payload, { kid: 'rs-RS256', alg: 'RS512' }, 'rs'),
        'bad_algorithm');
    add("another curve's kid",
        await sign(payload, { kid: 'p384-ES384' }, 'p256'), 'bad_algorithm');
    add('ES256K by the kid of ES256',
        await sign(payload, { kid: 'p256-ES256' }, 'k256'), 'bad_algorithm');

    // RFC 8725, section 2.1: a public key, in all its forms, as HMAC's secret

    for (const family of ['rs', 'p256', 'ed25519']) {
        const pem = await jose.exportSPKI(keys[family].public);
        const jwk = await jose.exportJWK(keys[family].public);

        const forms = {
            'PEM': text.encode(pem),
            'PEM without the last line break': text.encode(pem.trimEnd()),
            'the file': fs.readFileSync(path.join(dir, family + '.pem')),
            'DER': keys[family].public.export({ type: 'spki', format: 'der' }),
            'JWK': text.encode(JSON.stringify(jwk)),
            'a member of the JWK': text.encode(jwk.n || jwk.x),
        };

        for (const name in forms) {
            for (const alg of ['HS256', 'HS384', 'HS512']) {
                const kid = kidOf(family, FAMILIES[family].algs[0]);

                const confused = (header) =>
                    new jose.SignJWT(payload)
                        .setProtectedHeader({ alg, ...header })
                        .sign(forms[name]);

                if (alg == 'HS256') {
                    add(`${alg} by ${family}'s ${name}`,
                        await confused({ kid }),
                        { jwks: 'bad_algorithm', pem: 'bad_algorithm',
                          usual: 'bad_algorithm', nokid: 'bad_signature' });
                }

                add(`${alg} by ${family}'s ${name}, no kid`,
                    await confused({}),
                    { jwks: 'bad_signature', pem: 'bad_algorithm',
                      usual: 'bad_algorithm', nokid: 'bad_signature' });
            }
        }
    }
}


main().catch((e) => {
    console.error(e);
    process.exit(1);
});
