// Clients and services of the npm package "ws", for websocket_ws.t; see
// t/lib/E2EPeer.pm for how they are talked to.

'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const readline = require('readline');
const timers = require('timers/promises');

let WebSocket;

try {
    WebSocket = require('ws');

} catch (e) {
    console.error('the npm package "ws" is missing or does not work here:'
                  + ' run "make deps", which installs what'
                  + ' t/e2e/package-lock.json lists ('
                  + (e.code || e.message) + ')');
    process.exit(1);
}

const [certificate, key] = process.argv.slice(2);
const service = [];     // what the service saw of each connection
let where;              // { port, tls, ca } of the gateway


function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}


function is(got, want, name) {
    say({ name, got: got === undefined ? null : got, want });
}


// The service.

function serve(server, deflate) {
    const sockets = new WebSocket.Server({
        noServer: true,
        maxPayload: 8 << 20,
        perMessageDeflate: deflate,
        handleProtocols: (offered) => offered.values().next().value,
    });

    server.on('upgrade', (request, socket, head) => {
        const url = new URL(request.url, 'http://localhost');

        if (url.pathname == '/refuse') {
            socket.end('HTTP/1.1 401 Unauthorized\r\nX-Why: no\r\n'
                       + 'Content-Length: 4\r\n\r\nwhy?');
            return;
        }

        sockets.handleUpgrade(request, socket, head, (ws) => {
            const seen = { url: request.url, headers: request.headers,
                           messages: [], pings: 0, pongs: 0, close: null,
                           deflate: ws.extensions, ws };

            service.push(seen);

            ws.on('message', (data, binary) => {
                seen.messages.push(binary ? data.toString('hex')
                                          : data.toString());
            });
            ws.on('ping', () => seen.pings++);
            ws.on('pong', () => seen.pongs++);
            ws.on('error', (e) => { seen.error = e.message; });
            ws.on('close', (code, reason) => {
                seen.close = [code, reason.toString()];
            });

            (WAYS[url.pathname.slice(1)] || WAYS.echo)(ws, url.searchParams,
                                                       seen);
        });
    });

    return server;
}


const WAYS = {
    echo(ws) {
        ws.on('message', (data, binary) => ws.send(data, { binary }));
    },

    wait() {},

    close(ws, args) {
        ws.close(Number(args.get('code') || 1000), args.get('reason') || '');
    },

    die(ws) {
        ws.terminate();
    },

    ping(ws) {
        ws.ping('from the service');
        ws.on('pong', (data) => ws.send('pong ' + data));
    },

    bytes(ws, args) {
        ws.send(args.has('binary') ? Buffer.alloc(Number(args.get('n')), 7)
                                   : 'x'.repeat(Number(args.get('n'))));
    },

    // N messages, then a Close, unless it is to wait

    async ticker(ws, args) {
        const n = Number(args.get('n') || 3);

        for (let i = 1; i <= n; i++) {
            ws.send(JSON.stringify({ i, last: i == n }));
            await timers.setTimeout(Number(args.get('pause') || 10));
        }

        if (!args.has('stay')) {
            ws.close(1000);
        }
    },

    mixed(ws) {
        ws.send('{"a":1,\n "b": [2]}');
        ws.send('two\nlines of "text"');
        ws.send(Buffer.from([0, 255, 128]));
        ws.close(1000);
    },

    head(ws, args, seen) {
        ws.send(JSON.stringify(seen.headers));
    },

    // Replies later, in an order of their own

    json(ws, args, seen) {
        ws.on('message', async (data) => {
            const object = JSON.parse(data);

            if (object.silent) {
                return;
            }

            ws.send('not for you');
            await timers.setTimeout(Math.random() * 20);
            ws.send(JSON.stringify({ ...object, reply: true,
                                     connection: service.indexOf(seen) }));
        });
    },
};


// The client.

function connect(path, options = {}, protocols = []) {
    const scheme = options.tls ? 'wss' : 'ws';
    const port = options.tls ? where.tls : where.port;
    const ws = new WebSocket(`${scheme}://127.0.0.1:${port}${path}`,
                             protocols, { perMessageDeflate: false,
                                          maxPayload: 8 << 20, ...options });

    ws.got = [];
    ws.pings = 0;
    ws.waiting = [];

    const wake = () => ws.waiting.splice(0).forEach((f) => f());

    ws.on('message', (data, binary) => {
        ws.got.push(binary ? data : data.toString());
        wake();
    });
    ws.on('ping', () => { ws.pings++; wake(); });
    ws.on('pong', (data) => { ws.ponged = data.toString(); wake(); });
    ws.on('error', (e) => { ws.failed = e.message; });

    ws.opened = new Promise((resolve) => {
        ws.on('open', () => resolve('open'));
        ws.on('error', () => resolve(ws.failed));
        ws.on('unexpected-response', (request, response) => {
            let body = '';

            response.on('data', (data) => { body += data; });
            response.on('end', () => {
                ws.answer = { headers: response.headers, body };
                resolve(response.statusCode);
            });
        });
    });

    ws.closed = new Promise((resolve) => {
        ws.on('close', (code, reason) => {
            ws.at = Date.now();
            resolve([code, reason.toString()]);
        });
    });

    return ws;
}


async function open(path, options, protocols) {
    const ws = connect(path, options, protocols);
    const result = await limited(ws.opened);

    if (result != 'open') {
        throw new Error(`${path}: ${result}`);
    }

    return ws;
}


function limited(promise, seconds = 8) {
    return Promise.race([promise, timers.setTimeout(seconds * 1000, 'timeout',
                                                    { ref: false })]);
}


// Until something is true, or for a while.

async function until(what, seconds = 5) {
    const end = Date.now() + seconds * 1000;

    while (!what() && Date.now() < end) {
        await timers.setTimeout(5);
    }

    return what();
}


async function next(ws) {
    await until(() => ws.got.length || ws.readyState == 3);

    return ws.got.shift();
}


// What the service saw of the last connection to a path, when it has ended.

async function ended(url) {
    const last = () => service.filter((s) => s.url == url).pop();

    await until(() => last() && last().close);

    return last() ? last().close : null;
}


async function guard() {
    let ws = await open('/g/echo?1');

    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1000000]) {
        const text = 'x'.repeat(size);
        const bytes = Buffer.alloc(size, 200);

        ws.send(text);
        is(await next(ws) === text, true, `guard: ${size} characters`);
        ws.send(bytes);
        is(bytes.equals(await next(ws) || Buffer.alloc(1)), true,
           `guard: ${size} bytes`);
    }

    ws.send('grüße, κόσμε, 🔑');
    is(await next(ws), 'grüße, κόσμε, 🔑', 'guard: UTF-8');

    ws.send('fragments ', { fin: false });
    ws.ping('between');
    ws.send('of a ', { fin: false });
    ws.send('message');
    is(await next(ws), 'fragments of a message', 'guard: fragments');
    await until(() => ws.ponged);
    is(ws.ponged, 'between', 'guard: a ping within a message');

    ws.close(3001, 'grüße');
    is(await limited(ws.closed), [3001, 'grüße'], 'guard: closed by client');
    is(await ended('/echo?1'), [3001, 'grüße'],
       'guard: the service was told why');

    ws = await open('/g/ping');
    is(await next(ws), 'pong from the service', 'guard: a ping by the service');
    ws.terminate();
    is(await ended('/ping'), [1006, ''], 'guard: the client dies');

    for (const code of [1000, 1001, 1011, 1013, 3000, 4999]) {
        ws = await open(`/g/close?code=${code}&reason=why`);
        is(await limited(ws.closed), [code, 'why'],
           `guard: the service closes with ${code}`);
    }

    ws = await open('/g/die');
    is((await limited(ws.closed))[0], 1006, 'guard: the service dies');

    ws = connect('/g/refuse');
    is(await limited(ws.opened), 401, 'guard: the service refuses');
    is(ws.answer && ws.answer.headers['x-why'], 'no', 'guard: and says why');
    is(ws.answer && ws.answer.body, 'why?', 'guard: with a body');

    ws = await open('/g/echo', { tls: true, rejectUnauthorized: false });
    ws.send('y'.repeat(100000));
    is((await next(ws)).length, 100000, 'guard: TLS');
    ws.close();
    is(await limited(ws.closed), [1005, ''], 'guard: TLS, closed');
}


async function guardRules() {
    let ws = await open('/small/wait?1');

    ws.send('x'.repeat(1024));
    ws.send('x'.repeat(1025));
    is((await limited(ws.closed))[0], 1009, 'max_message');
    is((await ended('/wait?1'))[0], 1009, 'max_message: the service, too');
    is(service.at(-1).messages.length, 1, 'max_message: it is not passed on');

    ws = await open('/small/bytes?n=1025');
    is((await limited(ws.closed))[0], 1009, 'max_message of the service');
    is(ws.got.length, 0, 'max_message of the service: it is not passed on');

    ws = await open('/small/wait?2');
    ws.send('x'.repeat(1000), { fin: false });
    ws.send('x'.repeat(1000));
    is((await limited(ws.closed))[0], 1009, 'max_message: of fragments');

    ws = await open('/frame/wait?f');
    ws.send('x'.repeat(1024), { fin: false });
    ws.send('x'.repeat(1024));
    await until(() => service.at(-1).messages.length);
    is(service.at(-1).messages[0].length, 2048, 'max_frame: fragments');
    ws.send('x'.repeat(1025));
    is((await limited(ws.closed))[0], 1009, 'max_frame');

    ws = await open('/protocols/echo', {}, ['chat', 'other']);
    is(ws.protocol, 'chat', 'a subprotocol');
    is(service.at(-1).headers['sec-websocket-protocol'], 'chat',
       'others are not offered');
    ws.close();

    for (const [origin, status] of [['https://app.example.com', 'open'],
                                    ['https://x.example.org', 'open'],
                                    ['https://evil.example.com', 403],
                                    ['http://app.example.com', 403],
                                    ['null', 403],
                                    [undefined, 'open']])
    {
        ws = connect('/origins/echo', { origin });
        is(await limited(ws.opened), status, `origin ${origin}`);
        ws.terminate();
    }

    ws = await open('/limit/wait?3');
    for (let i = 0; i < 7; i++) {
        ws.send('x');
    }
    is((await limited(ws.closed))[0], 1008, 'a rate is exceeded');
    await ended('/wait?3');
    is(service.at(-1).messages.length, 5, 'the burst was passed on');

    ws = await open('/ping/wait?4');
    await until(() => ws.pings > 1 && service.at(-1).pings > 1);
    is(ws.pings > 1, true, 'the gateway pings a client that is silent');
    is(service.at(-1).pings > 1, true, 'and a service');
    is(service.at(-1).pongs, 0, 'pongs for the gateway are not passed on');
    is(ws.readyState, 1, 'who answers stays');
    ws.close();

    ws = await open('/ping/wait?5', { autoPong: false });
    is((await limited(ws.closed))[0], 1001, 'who does not answer goes');
    is((await ended('/wait?5'))[0], 1001, 'the service is told');

    ws = await open('/idle/wait?6');
    is((await limited(ws.closed))[0], 1001, 'an idle socket is closed');

    ws = await open('/age/echo');
    const busy = setInterval(() => ws.readyState == 1 && ws.send('x'), 50);
    is((await limited(ws.closed))[0], 1001, 'an old socket is closed');
    clearInterval(busy);

    ws = await open(`/expires/echo?until=${Date.now() / 1000 + 1.6}`);
    ws.send('x');
    is(await next(ws), 'x', 'a socket that is going to expire');
    is((await limited(ws.closed))[0], 1008, 'and expires');

    ws = connect('/expires/echo?until=1000');
    is(await limited(ws.opened), 403, 'one that has expired before');

    // what a library does not send by itself

    for (const [hex, code, name] of [
        ['8100', 1002, 'a frame without a mask'],
        ['c18100000000' + '61', 1002, 'a reserved bit'],
        ['838000000000', 1002, 'an opcode'],
        ['808000000000', 1002, 'a continuation of nothing'],
        ['818100000000ff', 1007, 'a text that is not UTF-8'],
        ['88810000000003', 1002, 'half a close code'],
        ['89fe007e00000000', 1002, 'a large ping'],
    ]) {
        ws = await open('/g/wait?' + name.replaceAll(' ', '_'));
        ws._socket.write(Buffer.from(hex, 'hex'));
        is((await limited(ws.closed))[0], code, `invalid: ${name}`);
        is((await ended('/wait?' + name.replaceAll(' ', '_')))[0], code,
           `invalid: ${name}: the service is told`);
    }
}


async function guardDeflate() {
    const offer = { perMessageDeflate: { threshold: 0 } };
    const text = JSON.stringify(Array(2000).fill({ some: 'thing', more: 1 }));

    let ws = await open('/g/echo?d', offer);

    is(ws.extensions, '', 'deflate off: not agreed on');
    ws.send(text);
    is(await next(ws) === text, true, 'deflate off: passed on as it is');
    is(service.at(-1).headers['sec-websocket-extensions'] === undefined, true,
       'deflate off: not offered to the service');
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

        ws = await open('/deflate/echo',
                        { perMessageDeflate: { threshold: 0, ...more } });

        is(/^permessage-deflate/.test(ws.extensions), true, name);

        for (let i = 0; i < 3; i++) {
            ws.send(text);
            is(await next(ws) === text, true, `${name}: a message`);
        }

        ws.send(text.slice(0, 3000), { fin: false });
        ws.send(text.slice(3000, 50000), { fin: false });
        ws.send(text.slice(50000));
        is(await next(ws) === text, true, `${name}: fragments`);

        ws.send('');
        is(await next(ws), '', `${name}: an empty one`);
        ws.send('as it is', { compress: false });
        is(await next(ws), 'as it is', `${name}: an uncompressed one`);
        ws.close(1000);
        is((await limited(ws.closed))[0], 1000, `${name}: the end`);
    }

    ws = await open('/smalldeflate/wait?d', offer);
    ws.send('x'.repeat(1024));
    ws.send('x'.repeat(100000));
    is((await limited(ws.closed))[0], 1009, 'deflate: too large inflated');
    is((await ended('/wait?d'))[0], 1009, 'deflate: the service is told');

    ws = await open('/smalldeflate/bytes?n=100000', offer);
    is((await limited(ws.closed))[0], 1009, 'deflate: too large a reply');
    is(ws.got.length, 0, 'deflate: which is not passed on');
}


async function crowd() {
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) =>
        open(i % 2 ? '/deflate/echo' : '/g/echo',
             i % 3 ? {} : { perMessageDeflate: { threshold: 10 } })));
    let right = 0;

    await Promise.all(all.map(async (ws, i) => {
        for (let n = 0; n < 20; n++) {
            const text = `${i} ${n} ` + 'x'.repeat(i * n);

            ws.send(text);
            await next(ws) === text && right++;
        }

        ws.close(1000);
        (await limited(ws.closed))[0] === 1000 && right++;
    }));

    is(right, 200 * 21, '200 sockets at once');
}


// Requests.

async function post(path, body, headers = {}) {
    const type = typeof body == 'string' ? 'text/plain'
                                         : 'application/octet-stream';
    const answer = await fetch(`http://127.0.0.1:${where.port}${path}`, {
        method: body === undefined ? 'GET' : 'POST', body,
        headers: { ...body === undefined ? {} : { 'Content-Type': type },
                   ...headers },
    });

    const bytes = Buffer.from(await answer.arrayBuffer());

    return { status: answer.status, headers: answer.headers, bytes,
             type: answer.headers.get('content-type'),
             text: bytes.toString() };
}


async function pass() {
    for (const at of ['p', 'pdeflate', 'ptls']) {
        let answer = await post(`/${at}/echo`, '{"a":1.50}');

        is([answer.status, answer.type, answer.text],
           [200, 'application/json', '{"a":1.50}'], `${at}: JSON`);

        answer = await post(`/${at}/echo`, 'grüße');
        is([answer.status, answer.type, answer.text],
           [200, 'text/plain; charset=utf-8', 'grüße'], `${at}: text`);

        answer = await post(`/${at}/echo`, Buffer.from([0, 255]));
        is([answer.status, answer.type, answer.bytes.toString('hex')],
           [200, 'application/octet-stream', '00ff'], `${at}: binary`);

        for (const size of [1, 125, 126, 65535, 65536, 1000000]) {
            answer = await post(`/${at}/echo`, 'x'.repeat(size));
            is([answer.status, answer.bytes.length,
                answer.headers.get('content-length')],
               [200, size, String(size)], `${at}: ${size} bytes`);
        }
    }

    is(service.filter((s) => s.deflate).length > 5, true,
       'pass: deflate was agreed on');

    let answer = await post('/p/echo?closed', 'x');
    is(await ended('/echo?closed'), [1000, ''],
       'pass: answered, it is closed with 1000');
}


// Lines or events as they come.

async function stream(path, options = {}) {
    const control = new AbortController();
    const answer = await fetch(`http://127.0.0.1:${where.port}${path}`,
                               { signal: control.signal, ...options });
    const all = { status: answer.status, text: '', times: [], control,
                  type: answer.headers.get('content-type'),
                  headers: answer.headers };

    all.end = (async () => {
        const decoder = new TextDecoder();

        try {
            for await (const chunk of answer.body) {
                all.text += decoder.decode(chunk, { stream: true });
                all.times.push(Date.now());
            }

            return 'end';

        } catch (e) {
            return 'cut';
        }
    })();

    return all;
}


async function passReplies() {
    let answer = await post('/p/head', 'x', { Cookie: 'secret=1',
                                              'X-Mine': 'y' });
    let head = JSON.parse(answer.text);

    is([head.cookie === undefined, head['x-mine'] === undefined], [true, true],
       'pass: fields of the client are not passed on');
    is(head.host, `127.0.0.1:${serverPort()}`, 'pass: Host');

    answer = await post('/pheaders/head?x=1', 'x');
    head = JSON.parse(answer.text);
    is([head['x-told'], head.host], ['told 1', 'told.example.com'],
       'pass: set_header');

    answer = await post('/pprotocols/head', 'x');
    is(JSON.parse(answer.text)['sec-websocket-protocol'].replaceAll(' ', ''),
       'chat,v2.chat', 'pass: subprotocols');

    answer = await post('/pnone/ticker', 'x');
    is(answer.text, '{"i":1,"last":false}', 'pass: nothing is sent');
    is(service.at(-1).messages.length, 0, 'pass: not at all');

    answer = await post('/pfixed/echo?x=2', 'x');
    is(answer.text, '{"fixed":"2"}', 'pass: something else is sent');

    answer = await post('/pcount/ticker?n=5', 'x');
    is([answer.type, answer.text.split('\n').length, answer.text],
       ['application/x-ndjson', 4, '{"i":1,"last":false}\n'
        + '{"i":2,"last":false}\n{"i":3,"last":false}\n'],
       'pass: count');

    answer = await post('/puntil/ticker?n=4&stay=1', 'x');
    is(answer.text.trim().split('\n').map((l) => JSON.parse(l).i),
       [1, 2, 3, 4], 'pass: until');

    answer = await post('/pclose/mixed', 'x');
    is(answer.text, '{"a":1,  "b": [2]}\n"two\\nlines of \\"text\\""\n'
                     + '"AP+A"\n', 'pass: all until the end');

    answer = await post('/pclose/close', 'x');
    is(answer.status, 204, 'pass: none until the end');

    for (const [path, status, name] of [
        ['/p/die', 502, 'the service dies'],
        ['/p/close', 502, 'the service closes'],
        ['/p/refuse', 502, 'the service refuses'],
        ['/pverify/echo', 502, 'TLS with a certificate that nobody knows'],
        ['/ptimeout/wait', 504, 'no reply'],
        ['/psmall/bytes?n=1025', 502, 'a reply that is too large'],
    ]) {
        answer = await post(path, 'x');
        is([answer.status, answer.type], [status, 'application/problem+json'],
           `pass: ${name}`);
    }

    answer = await post('/psmall/echo', 'x'.repeat(1025));
    is(answer.status, 413, 'pass: a body that is too large');

    // a service that answers pings may take its time

    answer = await stream('/pping/wait?long', { method: 'POST', body: 'x' });
    is([answer.status, service.at(-1).pings > 5], [504, true],
       'pass: pings while nothing comes, until read_timeout');

    let many = await Promise.all(Array.from({ length: 100 }, (_, i) =>
        post(i % 2 ? '/p/echo' : '/pdeflate/echo', `${i} ` + 'y'.repeat(i))));

    is(many.filter((a, i) => a.text == `${i} ` + 'y'.repeat(i)).length, 100,
       'pass: 100 at once');

    many = await Promise.all(Array.from({ length: 300 }, (_, i) =>
        post('/pcorrelate/json', JSON.stringify({ id: i % 3 ? i : `${i}`,
                                                  more: 'z'.repeat(i) }))));
    many = many.map((a) => [a.status, JSON.parse(a.text)]);

    is(many.filter(([status, o], i) => status == 200 && o.reply
                   && o.id === (i % 3 ? i : `${i}`)
                   && o.more.length == i).length,
       300, 'correlate: 300 at once');
    is(new Set(many.map(([, o]) => o.connection)).size, 1,
       'correlate: over one connection');

    answer = await post('/pcorrelate/json', '{"no":1}');
    is(answer.status, 400, 'correlate: no id');
}


async function passStreams() {
    let s = await stream('/psse/ticker?n=3&pause=300');

    is([s.status, s.type.split(';')[0], s.headers.get('cache-control')],
       [200, 'text/event-stream', 'no-store'], 'sse');
    is(await limited(s.end), 'end', 'sse: ends with the service');
    is(s.text, 'data: {"i":1,"last":false}\n\ndata: {"i":2,"last":false}\n\n'
               + 'data: {"i":3,"last":true}\n\n', 'sse: events');
    is(s.times.length > 1 && s.times.at(-1) - s.times[0] >= 100, true,
       'sse: as they come');

    s = await stream('/psse/mixed');
    await limited(s.end);
    is(s.text, 'data: {"a":1,\ndata:  "b": [2]}\n\n'
               + 'data: two\ndata: lines of "text"\n\n'
               + 'event: binary\ndata: AP+A\n\n', 'sse: lines and bytes');

    s = await stream('/p/ticker?n=2', { headers:
                                        { Accept: 'text/event-stream' } });
    await limited(s.end);
    is([s.type.split(';')[0], s.text.split('data:').length],
       ['text/event-stream', 3], 'sse, as the client wants it');

    s = await stream('/pndjson/mixed');
    await limited(s.end);
    is(s.text, '{"a":1,  "b": [2]}\n"two\\nlines of \\"text\\""\n"AP+A"\n',
       'ndjson');

    s = await stream('/psse/ticker?n=1000&pause=20&gone');
    await until(() => s.text.length > 100);
    s.control.abort();
    is(await ended('/ticker?n=1000&pause=20&gone'), [1001, ''],
       'a client that goes: the service is told');

    s = await stream('/psse/ticker?n=2&stay=1&pause=10');
    await until(() => s.text.split('data:').length > 2);
    service.at(-1).ws.terminate();
    is(await limited(s.end), 'cut', 'a service that dies: cut off');
}


function serverPort() {
    return plain.address().port;
}


// Many that only stay, for websocket_workers.t.

const crowdOf = [];

async function stay(n, path) {
    for (let i = 0; i < n; i += 50) {
        const some = await Promise.all(
            Array.from({ length: Math.min(50, n - i) }, () => open(path)));

        crowdOf.push(...some);
    }

    return crowdOf.filter((ws) => ws.readyState == 1).length;
}


// How each has ended, when the first and the last did, and how many still
// answer.  With "all" it waits for all of them to end.

async function count({ all, talk }) {
    const codes = {};
    let answers = 0;

    await Promise.all(crowdOf.map(async (ws) => {
        if (all || ws.readyState != 1) {
            const [code] = await limited(ws.closed, 20);

            codes[code] = (codes[code] || 0) + 1;

        } else if (talk) {
            ws.send('still there?');
            await next(ws) === 'still there?' && answers++;
        }
    }));

    const times = crowdOf.map((ws) => ws.at).filter(Boolean)
                      .sort((a, b) => a - b);

    return { codes, answers, first: times[0], last: times.at(-1),
             middle: times[times.length >> 1] };
}


const plain = serve(http.createServer(), { threshold: 10 });
const secret = serve(https.createServer({
    cert: fs.readFileSync(certificate), key: fs.readFileSync(key),
}), { threshold: 10 });

const RUNS = { guard, guardRules, guardDeflate, crowd, pass, passReplies,
               passStreams };

const ASKS = {
    stay: ({ n, path }) => stay(n, path),
    count,
    service: () => ({
        open: service.filter((s) => !s.close).length,
        codes: service.filter((s) => s.close)
                      .reduce((sum, { close: [code] }) =>
                              ({ ...sum, [code]: (sum[code] || 0) + 1 }), {}),
    }),
    forget: () => {
        crowdOf.splice(0).forEach((ws) => ws.terminate());
        service.splice(0).forEach((s) => s.ws.terminate());
        return true;
    },
};


plain.listen(0, '127.0.0.1', () => secret.listen(0, '127.0.0.1', () => {
    say({ port: serverPort(), tls: secret.address().port });

    const lines = readline.createInterface({ input: process.stdin });

    lines.on('line', async (line) => {
        const what = JSON.parse(line);

        where = what.port ? what : where;

        if (what.ask) {
            try {
                say({ answer: await ASKS[what.ask](what) });

            } catch (e) {
                say({ error: e.message });
            }

            return;
        }

        try {
            await RUNS[what.run]();

        } catch (e) {
            is(String(e.stack), '', `${what.run}: no exception`);
        }

        say({ done: true });
    });

    lines.on('close', () => process.exit(0));
}));
