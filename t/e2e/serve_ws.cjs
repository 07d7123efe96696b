// Clients of the npm package "ws" that the gateway serves, with a backend of
// node's own HTTP, for serve_ws.t; see t/lib/E2EPeer.pm for how it is talked
// to, and t/lib/E2EServe.pm for the gateway between them.

'use strict';

const http2 = require('http2');
const readline = require('readline');
const zlib = require('zlib');

const { Backend } = require('./serve_backend.cjs');
const { connect, open, limited, until, next, sleep, where, ask } =
    require('./serve_client.cjs');
const { push } = require('./serve_push.cjs');

const backend = new Backend();


function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}


function is(got, want, name) {
    say({ name: name.replace(/[^ -~]/g, '.'),
          got: got === undefined ? null : got, want });
}


// What the backend has seen last, of an event.

function last(event, id) {
    return backend.seen.filter((one) => one.event == event
                                        && (!id || one.id == id)).at(-1);
}


// How a connection has ended, as the backend was told.

async function told(id) {
    await until(() => last('disconnect', id));
    await sleep(20);

    const all = backend.seen.filter((one) => one.id == id
                                             && one.event == 'disconnect');

    return all.map((one) => utf8(one.headers['gateway-close']));
}


function utf8(text) {
    return text === undefined ? null : Buffer.from(text, 'latin1').toString();
}


// A socket and its connection's id.

async function opened(path, options, protocols) {
    const seen = backend.seen.length;
    const ws = await open(path, options, protocols);
    const one = backend.seen.slice(seen).find((o) => o.event == 'connect');

    ws.id = one && one.id;

    return ws;
}


function act(ws, what) {
    ws.send(JSON.stringify({ do: what }));
}


async function error(ws, status, title, name, body) {
    const text = await next(ws);
    const want = { status, title };

    if (body !== undefined) {
        want.body = body;
    }

    let got = text === undefined ? null : text;

    try {
        got = JSON.parse(text).error;

    } catch (e) {
        // it is shown as it is
    }

    is(sorted(got), sorted(want), name);
}


function sorted(object) {
    return object && typeof object == 'object'
           ? JSON.stringify(Object.entries(object).sort()) : object;
}


function args(list) {
    return new URLSearchParams(list).toString();
}


async function handshake() {
    let ws = await opened('/s/hello?' + args([
        ['h', 'Set-Cookie:a=1; Path=/'], ['h', 'Set-Cookie:b=2'],
        ['body', 'of nobody']]),
        { headers: { Cookie: 'c=3', 'X-Mine': 'me', 'Gateway-State': 'x=1',
                     'Gateway-Connection-Id': 'mine', 'Gateway-Other': 'y',
                     Authorization: 'Basic eA==' } });
    let { headers, method, url, body, id } = last('connect');

    is([method, url.split('?')[0], body.length], ['POST', '/connect', 0],
       'connect: a POST without a body');
    is(/^[0-9a-f]{32}$/.test(id), true, 'connect: an id');
    is([headers.cookie, headers['x-mine'], headers.authorization],
       ['c=3', 'me', 'Basic eA=='], 'connect: fields of the client');
    is(Object.keys(headers).filter((name) =>
           /^(sec-websocket|upgrade|gateway-(state|other|close))/.test(name)),
       [], 'connect: not those of the handshake, nor the gateway\'s');
    is([headers['content-length'] || '0', headers['content-type']],
       ['0', undefined].map((x) => x), 'connect: nothing of a body');
    is([headers['x-scheme'], headers['x-address'], headers.host],
       ['http', '127.0.0.1', '127.0.0.1'], 'connect: nginx\'s variables');
    is(ws.upgrade['set-cookie'], ['a=1; Path=/', 'b=2'],
       'connect: cookies in the 101');
    is(ws.got.length, 0, 'connect: its body is not a message');
    ws.close();
    await limited(ws.closed);
    is(await told(id), ['1005'], 'disconnect: a Close without a code');
    is(last('disconnect').body.length, 0, 'disconnect: without a body');
    is([last('disconnect').headers['x-mine'],
        last('disconnect').headers.cookie], ['me', 'c=3'],
       'disconnect: fields of the client');

    for (const [status, ...fields] of [
        [401, 'WWW-Authenticate:Bearer realm="x"'],
        [403, 'Set-Cookie:seen=1'],
        [302, 'Location:https://id.example.com/login'],
        [429, 'Retry-After:7'],
        [503, 'Retry-After:9'],
        [500], [404],
    ]) {
        const before = backend.seen.length;

        ws = connect('/s/?' + args([['status', status],
                                    ...fields.map((f) => ['h', f])]));
        is(await limited(ws.opened), status, `connect: ${status}`);

        const answer = ws.answer || { headers: {}, body: '{}' };

        is(answer.headers['content-type'], 'application/problem+json',
           `connect: ${status}: a problem`);
        is(JSON.parse(answer.body || '{}').status, status,
           `connect: ${status}: that says so`);

        for (const field of fields) {
            const [name, value] = field.split(/:(.*)/);
            const got = answer.headers[name.toLowerCase()];

            is(Array.isArray(got) ? got[0] : got, value,
               `connect: ${status}: ${name}`);
        }

        await sleep(20);
        is(backend.seen.slice(before).map((one) => one.event), ['connect'],
           `connect: ${status}: no disconnect`);
    }

    ws = connect('/deadconnect/');
    is(await limited(ws.opened), 502, 'connect: a backend that is not there');
    ws = connect('/slowconnect/?delay=4000');
    is(await limited(ws.opened), 504, 'connect: a backend that is too slow');
    ws = await open('/plain/');
    ws.send('x');
    is(await next(ws), 'x', 'without connect');
    ws.close();

    // messages that do not wait for the 101

    ws = await opened('/s/?delay=100');
    ws.send('early');
    is(await next(ws), 'early', 'a slow connect');
    ws.close();

    // subprotocols

    for (const [path, offered, want] of [
        ['/protocols/', ['other', 'v2.chat', 'chat'], 'v2.chat'],
        ['/s/?' + args([['h', 'Sec-WebSocket-Protocol:b']]), ['a', 'b'], 'b'],
    ]) {
        ws = await open(path, {}, offered);
        is(ws.protocol, want, `subprotocols: ${path}`);
        is(last('connect').headers['sec-websocket-protocol']
               .replaceAll(' ', ''), offered.join(),
           `subprotocols: ${path}: the backend was told`);
        ws.close();
    }

    ws = connect('/s/?' + args([['h', 'Sec-WebSocket-Protocol:c']]), {},
                 ['a', 'b']);
    is(await limited(ws.opened), 502, 'subprotocols: one not offered');

    for (const [origin, want] of [['https://app.example.com', 'open'],
                                  ['https://x.example.org', 'open'],
                                  ['https://evil.example.com', 403]])
    {
        ws = connect('/origins/', { origin });
        is(await limited(ws.opened), want, `origin ${origin}`);
        ws.terminate();
    }

    // other requests

    for (const [method, want, field, value] of [
        ['GET', 426, 'upgrade', 'websocket'],
        ['POST', 405, 'allow', 'GET'],
    ]) {
        const answer = await ask(method, '/s/');

        is([answer.status, answer.headers[field],
            answer.headers['content-type']],
           [want, value, 'application/problem+json'], `${method}: ${want}`);
    }

    is(await status2('/s/'), [400, 'application/problem+json'], 'HTTP/2: 400');
}


// A request by HTTP/2.

async function status2(path) {
    const session = http2.connect(`https://localhost:${where.tls}`,
                                  { rejectUnauthorized: false });
    const stream = session.request({ ':path': path });

    const headers = await limited(new Promise((resolve) => {
        stream.on('response', resolve);
        session.on('error', (e) => resolve({ ':status': e.message }));
    }));

    stream.resume();
    session.destroy();

    return [headers[':status'], headers['content-type']];
}


async function messages() {
    let ws = await opened('/s/');

    for (const size of [1, 125, 126, 127, 65535, 65536, 1000000]) {
        const text = 'x'.repeat(size);
        const bytes = Buffer.alloc(size, 200);

        ws.send(text);
        is(await next(ws) === text, true, `${size} characters`);
        ws.send(bytes);
        is(bytes.equals(await next(ws) || Buffer.alloc(0)), true,
           `${size} bytes`);
    }

    for (const [message, type] of [
        ['{"a":1}', 'application/json'],
        [' [1.50, null]\n', 'application/json'],
        ['17', 'application/json'],
        ['"x"', 'application/json'],
        ['{"a":1} x', 'text/plain; charset=utf-8'],
        ['{"a":', 'text/plain; charset=utf-8'],
        ['grüße, κόσμε, 🔑', 'text/plain; charset=utf-8'],
        [Buffer.from('{"a":1}'), 'application/octet-stream'],
    ]) {
        ws.send(message);

        const got = await next(ws);
        const { headers, body, id } = last('message');

        is([got.toString(), Buffer.isBuffer(got)],
           [message.toString(), Buffer.isBuffer(message)],
           `${message}: the answer`);
        is([headers['content-type'], headers['content-length'], id,
            headers['gateway-event']],
           [type, String(body.length), ws.id, 'message'],
           `${message}: the request`);
    }

    // an empty one is a message, its echo is none

    ws.send('');
    ws.send('after');
    is(await next(ws), 'after', 'an empty message');
    is(backend.seen.slice(-2).map((o) => o.body.toString()), ['', 'after'],
       'an empty message: the backend got it');

    ws.send('fragments ', { fin: false });
    ws.ping('between');
    ws.send('of a ', { fin: false });
    ws.send('', { fin: false });
    ws.send('message');
    is(await next(ws), 'fragments of a message', 'fragments');
    await until(() => ws.ponged);
    is(ws.ponged, 'between', 'a ping within a message');

    // as the backend says

    for (const [type, text, binary] of [
        ['text/html', '<p>', false],
        ['application/json', '{"b":2}', false],
        ['application/problem+json; charset=utf-8', '{}', false],
        ['image/svg+xml', '<svg/>', false],
        ['application/xml', '<x/>', false],
        ['application/javascript', '1', false],
        ['application/x-www-form-urlencoded', 'a=b', false],
        [null, 'grüße', false],
        ['application/octet-stream', 'text', true],
        ['image/png', 'png', true],
        ['application/cbor', 'x', true],
    ]) {
        act(ws, { text, headers: type ? [['Content-Type', type]] : [] });

        const got = await next(ws);

        is([String(got), Buffer.isBuffer(got)], [text, binary],
           `answered with ${type}`);
    }

    act(ws, { base64: 'AP+A' });
    is(Buffer.from(await next(ws)).toString('hex'), '00ff80',
       'bytes without a type');
    act(ws, { status: 201, text: 'x'.repeat(300000), chunked: true });
    is((await next(ws)).length, 300000, 'answered with chunks');
    act(ws, { status: 204 });
    act(ws, { status: 200, headers: [['Content-Type', 'text/plain']] });
    ws.send('next');
    is(await next(ws), 'next', '204, and 200 without a body: nothing is sent');

    // failures

    act(ws, { status: 404, text: 'nothing' });
    await error(ws, 404, 'Not Found', 'failed: 404');
    act(ws, { status: 409, text: '{"why": [1.0, "x"]}',
              headers: [['Content-Type', 'application/json']] });
    await error(ws, 409, 'Conflict', 'failed: 409, with JSON',
                { why: [1, 'x'] });
    act(ws, { status: 500, text: '{"secret":1}',
              headers: [['Content-Type', 'application/json']] });
    await error(ws, 500, 'Internal Server Error', 'failed: 500');
    act(ws, { die: true });
    await error(ws, 502, 'Bad Gateway', 'failed: the backend hangs up');
    act(ws, { base64: 'AP+A', headers: [['Content-Type', 'text/plain']] });
    await error(ws, 502, 'Bad Gateway', 'failed: text that is not UTF-8');
    act(ws, { base64: zlib.gzipSync('x').toString('base64'),
              headers: [['Content-Encoding', 'gzip']] });
    await error(ws, 502, 'Bad Gateway', 'failed: a compressed answer');
    is(last('message').headers['accept-encoding'] === undefined, true,
       'which nobody asked for');

    ws.send('still open');
    is(await next(ws), 'still open', 'failed: it goes on');
    ws.close(1000);
    await limited(ws.closed);
    is(await told(ws.id), ['1000'], 'closed');

    ws = await opened('/dead/');
    ws.send('x');
    await error(ws, 502, 'Bad Gateway', 'a backend that is not there');
    ws.close();

    ws = await opened('/slow/');
    act(ws, { delay: 4000 });
    await error(ws, 504, 'Gateway Timeout', 'a backend that is too slow');
    ws.close();

    ws = await opened('/reply/');
    act(ws, { text: 'x'.repeat(1024) });
    is((await next(ws)).length, 1024, 'max_reply: as large as may be');
    act(ws, { text: 'x'.repeat(1025) });
    await error(ws, 502, 'Bad Gateway', 'max_reply: larger');
    act(ws, { text: 'x'.repeat(1025), chunked: true });
    await error(ws, 502, 'Bad Gateway', 'max_reply: larger, in chunks');
    ws.close();

    for (const [what, code] of [[{ status: 404 }, 1008],
                                [{ status: 500 }, 1011],
                                [{ die: true }, 1011]])
    {
        ws = await opened('/close/');
        act(ws, what);
        is((await limited(ws.closed))[0], code,
           `on_error close: ${JSON.stringify(what)}`);
        is((await told(ws.id)).map((close) => close.split(' ')[0]),
           [String(code)], `on_error close: ${code}: the backend is told`);
    }

    // which location

    ws = await opened('/route/');

    for (const [message, as] of [
        ['{"action":"order"}', 'order'],
        ['{"action":7}', 'seven'],
        ['{"action":"7"}', 'seven'],
        ['{"a/b":[{"c":true}]}', 'deep'],
        ['{"x":1, "action":"say\\u0020hi"}', 'hi'],
    ]) {
        ws.send(message);

        const answer = JSON.parse(await next(ws));

        is([answer.as, answer.got], [as, message], `route: ${message}`);
    }

    for (const message of ['{"action":"orders"}', 'order', '["order"]',
                           Buffer.from('{"action":"order"}')])
    {
        ws.send(message);
        is(String(await next(ws)), String(message), `no route: ${message}`);
    }

    ws.close();

    ws = await opened('/headers/?x=1', { headers: { Cookie: 'c=1' } });
    ws.send('x');

    const head = JSON.parse(await next(ws));

    is([head['x-told'], head.cookie === undefined], ['told 1', true],
       'set_header');
    ws.close();

    ws = await opened('/head/?a=b%20c');
    ws.send('x');
    is(JSON.parse(await next(ws)).url, '/head?a=b%20c',
       'variables of the handshake');
    ws.close();

    ws = await opened('/s/', { tls: true, rejectUnauthorized: false });
    is(last('connect').headers['x-scheme'], 'https', 'TLS: $scheme');
    ws.send('y'.repeat(100000));
    is((await next(ws)).length, 100000, 'TLS');
    ws.close();
    is(await limited(ws.closed), [1005, ''], 'TLS: closed');
}


async function order() {
    const n = 40;

    for (const [at, most] of [['s', 1], ['parallel', 4]]) {
        const ws = await opened(`/${at}/`);

        for (let i = 0; i < n; i++) {
            act(ws, { text: `${i}`, delay: i * 7 % 13 });
        }

        const got = [];

        for (let i = 0; i < n; i++) {
            got.push(Number(await next(ws)));
        }

        if (most == 1) {
            is(got, Array.from({ length: n }, (_, i) => i), 'in order');
        }

        is([...got].sort((a, b) => a - b).join(),
           Array.from({ length: n }, (_, i) => i).join(),
           `${at}: each is answered once`);

        const all = backend.seen.filter((one) => one.id == ws.id
                                                 && one.event == 'message');
        const at_once = all.map((one) => all.filter((other) =>
            other.from <= one.from && other.to > one.from).length);

        is([Math.max(...at_once) <= Math.max(most, 1),
            most == 1 || Math.max(...at_once) > 1], [true, true],
           `${at}: at once`);

        ws.close();
        await told(ws.id);
        is(backend.seen.filter((one) => one.id == ws.id).at(-1).event,
           'disconnect', `${at}: disconnect is the last`);
    }
}


async function state() {
    let ws = await opened('/s/?' + args([
        ['h', 'Gateway-Set-State:user=Zoë'],
        ['h', 'Gateway-Set-State:n=0']]));
    const seen = async (what = {}) => {
        act(ws, what);
        await next(ws);

        return utf8(last('message', ws.id).headers['gateway-state']);
    };

    is(await seen({ text: '1' }), 'user=Zoë; n=0', 'state: of connect');
    await seen({ text: '2', headers: [['Gateway-Set-State', 'n=1'],
                                      ['Gateway-Set-State', 'm=2']] });
    is(await seen({ text: '3' }), 'user=Zoë; n=1; m=2', 'state: changed');
    await seen({ text: '4', headers: [['Gateway-Set-State', 'm=']] });
    is(await seen({ text: '5' }), 'user=Zoë; n=1', 'state: deleted');

    act(ws, { text: '6', headers: [['Gateway-Set-State', 'n=7'],
                                   ['Gateway-Set-State',
                                    'k=' + 'x'.repeat(4096)]] });
    await error(ws, 502, 'Bad Gateway', 'state: too much');
    is(await seen({ text: '7' }), 'user=Zoë; n=1', 'state: nothing of it');
    ws.close(3000, 'grüße');
    is(await told(ws.id), ['3000 grüße'], 'state: closed');
    is(utf8(last('disconnect').headers['gateway-state']), 'user=Zoë; n=1',
       'state: disconnect has it, too');

    // of each connection its own

    const all = await Promise.all(Array.from({ length: 20 }, (_, i) =>
        open('/s/?' + args([['h', `Gateway-Set-State:i=${i}`]]))));

    await Promise.all(all.map(async (socket, i) => {
        act(socket, { text: `${i}`, headers: [['Gateway-Set-State',
                                               `j=${i}`]] });
        await next(socket);
        socket.close(1000, `${i}`);
    }));

    await until(() => backend.seen.slice(-20).every((one) =>
        one.event == 'disconnect'));
    is(backend.seen.slice(-20).filter(({ headers }) => {
        const [, i] = headers['gateway-close'].split(' ');

        return headers['gateway-state'] == `i=${i}; j=${i}`;
    }).length, 20, 'state: of each connection its own');
}


async function closing() {
    let ws = await opened('/s/');

    act(ws, { text: 'the last', headers: [['Gateway-Close', '4001 why']] });
    is(await next(ws), 'the last', 'closed by an answer: its message first');
    is(await limited(ws.closed), [4001, 'why'], 'closed by an answer');
    is(await told(ws.id), ['4001 why'],
       'closed by an answer: the backend is told');

    ws = await opened('/s/');
    act(ws, { status: 204, headers: [['Gateway-Close', '1000']] });
    is(await limited(ws.closed), [1000, ''], 'closed by an empty answer');

    ws = await opened('/s/?' + args([['h', 'Gateway-Close:4002 at once']]));
    is(await limited(ws.closed), [4002, 'at once'], 'closed by connect');
    is(await told(last('connect').id), ['4002 at once'],
       'closed by connect: the backend is told');

    ws = await opened('/s/');
    act(ws, { text: '1', headers: [['Gateway-Close', '1005 no']] });
    is(await next(ws), '1', 'a code that can not be sent is passed over');
    ws.terminate();
    is(await told(ws.id), ['1006'], 'the client dies');

    for (const code of [1000, 1001, 1011, 3000, 4999]) {
        ws = await opened('/s/');
        ws.close(code, 'why');
        is(await limited(ws.closed), [code, 'why'],
           `closed by the client with ${code}`);
        is(await told(ws.id), [`${code} why`],
           `closed by the client with ${code}: the backend is told`);
    }

    // what came before the Close

    ws = await opened('/s/');

    for (let i = 0; i < 10; i++) {
        act(ws, { text: `${i}`, delay: 100 });
    }

    const start = Date.now();

    ws.close(1000, 'enough');
    is(await limited(ws.closed), [1000, 'enough'], 'closed, with messages');
    is(Date.now() - start < 900, true, 'closed, with messages: at once');
    is(await told(ws.id), ['1000 enough'], 'closed, with messages: once');
    is(backend.seen.filter((one) => one.id == ws.id)
                   .map((one) => one.event).join(),
       'connect,' + 'message,'.repeat(10) + 'disconnect',
       'closed, with messages: they were given to the backend');
}


async function rules() {
    for (const [path, options] of [
        ['/small/', {}],
        ['/smalldeflate/', { perMessageDeflate: { threshold: 0 } }],
    ]) {
        const ws = await opened(path, options);

        ws.send('x'.repeat(1024));
        is((await next(ws)).length, 1024, `${path}: as large as may be`);
        ws.send('x'.repeat(1025));
        is((await limited(ws.closed))[0], 1009, `${path}: larger`);
        is((await told(ws.id)).map((t) => t.split(' ')[0]), ['1009'],
           `${path}: the backend is told`);
    }

    let ws = await opened('/frame/');

    ws.send('x'.repeat(1024), { fin: false });
    ws.send('x'.repeat(1024));
    is((await next(ws)).length, 2048, 'max_frame: as large as may be');
    ws.send('x'.repeat(1025));
    is((await limited(ws.closed))[0], 1009, 'max_frame: larger');

    ws = await opened('/limit/');

    for (let i = 0; i < 8; i++) {
        ws.send(`${i}`);
    }

    is((await limited(ws.closed))[0], 1008, 'limit');

    const ping = await opened('/ping/');
    const idle = await opened('/idle/');
    const age = await opened('/age/');
    const expires = await opened(`/expires/?until=${Date.now() / 1000 + 1.5}`);

    is((await limited(idle.closed))[0], 1001, 'idle_timeout');
    is((await limited(age.closed))[0], 1001, 'max_age');
    is((await limited(expires.closed))[0], 1008, 'expires');
    await until(() => ping.pings > 2);
    is(ping.pings > 2, true, 'ping');
    ping.send('x');
    is(await next(ping), 'x', 'ping: answered');
    ping.close();

    const old = connect(`/expires/?until=${Date.now() / 1000 - 10}`);

    is(await limited(old.opened), 403, 'expires: it has already');
}


async function deflate() {
    const text = JSON.stringify(Array(2000).fill({ some: 'thing', more: 1 }));
    let ws = await open('/s/', { perMessageDeflate: { threshold: 0 } });

    is(ws.extensions, '', 'deflate off: not agreed on');
    ws.close();

    for (const more of [{},
                        { serverNoContextTakeover: true },
                        { clientNoContextTakeover: true },
                        { serverMaxWindowBits: 10 },
                        { clientMaxWindowBits: 10 },
                        { serverNoContextTakeover: true,
                          clientNoContextTakeover: true,
                          serverMaxWindowBits: 9, clientMaxWindowBits: 9 }])
    {
        const name = 'deflate ' + JSON.stringify(more);

        ws = await opened('/deflate/',
                          { perMessageDeflate: { threshold: 0, ...more } });

        is(/^permessage-deflate/.test(ws.extensions), true, name);

        for (let i = 0; i < 3; i++) {
            ws.send(text);
            is(await next(ws) === text, true, `${name}: a message`);
        }

        is(last('message').body.toString() === text, true,
           `${name}: inflated at the backend`);
        ws.send(text.slice(0, 3000), { fin: false });
        ws.send(text.slice(3000, 50000), { fin: false });
        ws.send(text.slice(50000));
        is(await next(ws) === text, true, `${name}: fragments`);

        ws.send('as it is', { compress: false });
        is(await next(ws), 'as it is', `${name}: an uncompressed one`);
        ws.send(Buffer.alloc(100000, 7));
        is((await next(ws)).equals(Buffer.alloc(100000, 7)), true,
           `${name}: bytes`);
        ws.close(1000);
        is((await limited(ws.closed))[0], 1000, `${name}: the end`);
    }
}


async function crowd() {

    // Two were accepted by the backend, but not by the gateway, and one is of a
    // location that does not tell of the end.

    await until(() => backend.sums().open <= 3);
    is(backend.sums().open, 3, 'all others have ended');
    backend.forget();

    const all = await Promise.all(Array.from({ length: 200 }, (_, i) =>
        open(i % 2 ? '/deflate/' : '/parallel/',
             i % 3 ? {} : { perMessageDeflate: { threshold: 10 } })));
    let right = 0;

    await Promise.all(all.map(async (ws, i) => {
        for (let n = 0; n < 10; n++) {
            const text = `${i} ${n} ` + 'x'.repeat(i * n);

            ws.send(text);
            await next(ws) === text && right++;
        }

        ws.close(1000);
        (await limited(ws.closed))[0] === 1000 && right++;
    }));

    is(right, 200 * 11, '200 sockets at once');
    await until(() => !backend.sums().open);

    const { ids, ended, more, never, late, messages: n } = backend.sums();

    is({ ids, ended, more, never, late, messages: n },
       { ids: 200, ended: 200, more: 0, never: 0, late: 0, messages: 2000 },
       '200 sockets at once: the backend');
}


const RUNS = { handshake, messages, order, state, closing, rules, deflate,
               push: () => push({ is, opened, act, error, args, told }),
               crowd };


async function main() {
    say({ port: await backend.listen() });

    const lines = readline.createInterface({ input: process.stdin });

    lines.on('line', async (line) => {
        const what = JSON.parse(line);

        Object.assign(where, what);

        try {
            await RUNS[what.run]();

        } catch (e) {
            is(String(e.stack), '', `${what.run}: no exception`);
        }

        say({ done: true });
    });

    lines.on('close', () => process.exit(0));
}


main();
