// A service made for Pushpin, with the npm package "@fanoutio/grip", behind the
// gateway, and clients of the npm package "ws", for serve_grip.t; see
// t/lib/E2EPeer.pm for how it is talked to.

'use strict';

const http = require('http');
const readline = require('readline');
const { pathToFileURL } = require('url');

const { connect, open, limited, until, next, where } =
    require('./serve_client.cjs');

const KEY = 'a key that only the gateway and the service have';

const seen = [];        // what the service was told: { id, events, meta }

let grip, publisher;


function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}


function is(got, want, name) {
    say({ name, got: got === undefined ? null : got, want });
}


// The package is a module of ECMAScript, for which NODE_PATH does not count.

async function load() {
    grip = await import(pathToFileURL(require.resolve('@fanoutio/grip')));

    const jose = require('jose');

    return new jose.SignJWT({}).setProtectedHeader({ alg: 'HS256' })
        .setIssuer('gateway').setExpirationTime('1h')
        .sign(new TextEncoder().encode(KEY));
}


// As the package's README has it

async function service(req, res) {
    const status = await publisher.validateGripSig(req.headers['grip-sig']);

    if (!status.isProxied || !status.isSigned) {
        res.writeHead(401, { 'Content-Type': 'text/plain' });
        res.end('not from the gateway\n');
        return;
    }

    if (!grip.isNodeReqWsOverHttp(req)) {
        res.writeHead(400, { 'Content-Type': 'text/plain' });
        res.end('no events\n');
        return;
    }

    const ws = await grip.getWebSocketContextFromNodeReq(req);
    const one = { id: ws.id, meta: { ...ws.meta },
                  events: ws._inEvents.map((event) => event.type) };

    seen.push(one);

    if (ws.isOpening()) {
        if (req.headers.cookie == 'who=nobody') {
            res.writeHead(403, { 'Content-Type': 'text/plain' });
            res.end('nobody\n');
            return;
        }

        ws.accept();
        ws.meta.n = '0';
        ws.meta.who = req.headers.cookie || 'unknown';
    }

    try {
        while (ws.canRecv()) {
            const message = ws.recvRaw();

            if (message === null) {
                one.code = ws.closeCode;
                ws.close(ws.closeCode || 0);
                break;
            }

            act(ws, message);
        }

    } catch (e) {
        one.error = e.message;
    }

    res.writeHead(200, ws.toHeaders());
    res.end(grip.encodeWebSocketEvents(ws.getOutgoingEvents()));
}


function act(ws, message) {
    if (typeof message != 'string') {
        ws.sendBinary(message);
        return;
    }

    const [verb, ...words] = message.split(' ');
    const rest = words.join(' ');

    switch (verb) {

    case 'join':
        ws.subscribe(rest);
        ws.send(`in ${rest}`);
        break;

    case 'leave':
        ws.unsubscribe(rest);
        ws.send(`out of ${rest}`);
        break;

    case 'count':
        ws.meta.n = String(Number(ws.meta.n) + 1);
        ws.send(ws.meta.n);
        break;

    case 'forget':
        delete ws.meta.who;
        ws.send('forgotten');
        break;

    case 'who':
        ws.send(ws.meta.who === undefined ? 'nobody' : ws.meta.who);
        break;

    case 'twice':
        ws.send(rest);
        ws.send(rest);
        break;

    case 'nothing':
        break;

    case 'raw':
        ws.outEvents.push(new grip.WebSocketEvent('TEXT', rest));
        break;

    case 'detach':
        ws.detach();
        ws.send('still here');
        break;

    case 'close':
        ws.send('bye');
        ws.close(Number(rest));
        break;

    case 'disconnect':
        ws.disconnect();
        break;

    default:
        ws.send(message);
    }
}


async function said(ws, text) {
    ws.send(text);

    const got = await next(ws);

    return Buffer.isBuffer(got) ? got.toString('hex') : got;
}


// What the service was told of a connection, the last n times

function told(id, n) {
    return seen.filter((one) => one.id == id).slice(-n);
}


async function opened(options) {
    const n = seen.length;
    const ws = await open('/grip', options);

    ws.id = seen[n].id;

    return ws;
}


function publish(channel, ...format) {
    return publisher.publishFormats(channel,
                                  new grip.WebSocketMessageFormat(...format));
}


async function messages() {
    const ws = await opened();

    is(seen[0].events, ['OPEN'], 'OPEN');
    is(/^[0-9a-f]{32}$/.test(ws.id), true, 'the id of the connection');
    is(await said(ws, 'hello'), 'hello', 'a text');
    is(await said(ws, 'h\u00e9\ud83d\ude00'), 'h\u00e9\ud83d\ude00',
       'characters');
    is(await said(ws, ''), '', 'an empty one');
    is(await said(ws, Buffer.from([0, 255])), '00ff', 'a binary message');
    is(await said(ws, Buffer.alloc(0)), '', 'an empty one');
    is(await said(ws, 'x'.repeat(100000)), 'x'.repeat(100000), 'a long one');

    ws.send('nothing');
    is([await said(ws, 'twice a'), await next(ws)], ['a', 'a'],
       'no answer, and two');
    ws.send('raw without a prefix');
    ws.send('raw c:{"type":"hold"}');
    is(await said(ws, 'raw m:with'), 'with', 'what has no prefix is dropped');
    is(await said(ws, 'detach'), 'still here', 'detach is passed over');

    for (let i = 0; i < 50; i++) {
        ws.send(String(i));
    }

    const all = [];

    for (let i = 0; i < 50; i++) {
        all.push(await next(ws));
    }

    is(all, Array.from({ length: 50 }, (_, i) => String(i)), 'in order');
    ws.close();
    await limited(ws.closed);
}


async function state() {
    const ws = await opened({ headers: { Cookie: 'who=ann', 'Meta-Who': 'x',
                                         'Connection-Id': 'y' } });

    is(told(ws.id, 1)[0].meta, {}, 'no state at first');
    is([await said(ws, 'count'), await said(ws, 'count')], ['1', '2'],
       'state that changes');
    is(await said(ws, 'who'), 'who=ann', 'and stays');
    await said(ws, 'forget');
    is(await said(ws, 'who'), 'nobody', 'until it is deleted');
    is(told(ws.id, 1)[0].meta, { n: '2' }, 'which leaves the rest');
    ws.terminate();
    await until(() => told(ws.id, 1)[0].events[0] == 'DISCONNECT');
    is(told(ws.id, 1)[0].meta, { n: '2' }, 'also in the end');

    const refused = connect('/grip', { headers: { Cookie: 'who=nobody' } });

    is(await limited(refused.opened), 403, 'a handshake that is refused');
}


async function closing() {
    let ws = await opened();

    ws.close(4001, 'why');
    is((await limited(ws.closed))[0], 4001, 'a client that closes');
    await until(() => told(ws.id, 1)[0].events[0] == 'CLOSE');
    is(told(ws.id, 5).map((one) => one.events.join()), ['OPEN', 'CLOSE'],
       'is told, once');

    ws = await opened();
    ws.close(1000);
    await limited(ws.closed);
    await until(() => told(ws.id, 1)[0].events[0] == 'CLOSE');
    is(told(ws.id, 1)[0].code, 1000, 'with its code');

    ws = await opened();
    ws.terminate();
    await until(() => told(ws.id, 1)[0].events[0] == 'DISCONNECT');
    is(told(ws.id, 1)[0].error, 'Client disconnected unexpectedly.',
       'a client that goes');

    for (const [code, want] of [[4002, 4002], [0, 1000]]) {
        ws = await opened();
        is(await said(ws, `close ${code}`), 'bye', 'a message before CLOSE');
        is(await limited(ws.closed), [want, ''], `CLOSE with code ${code}`);
    }

    ws = await opened();
    ws.send('disconnect');
    is((await limited(ws.closed))[0], 1011, 'DISCONNECT');
    is(told(ws.id, 1)[0].events, ['TEXT'], 'is not told back');
}


async function channels() {
    const all = [await opened(), await opened(), await opened()];

    for (const ws of all) {
        is(await said(ws, 'join room'), 'in room', 'into a channel');
    }

    await publish('room', 'news');
    is([await next(all[0]), await next(all[1]), await next(all[2])],
       ['news', 'news', 'news'], 'a text is published');

    await publish('room', new Uint8Array([0, 255]));
    is([(await next(all[0])).toString('hex'), (await next(all[1]))
        .toString('hex')], ['00ff', '00ff'], 'a binary message is');
    await next(all[2]);

    is(await said(all[0], 'leave room'), 'out of room', 'out of a channel');
    await publish('other', 'not for them');
    await publish('room', 'more');
    is([await next(all[1]), await next(all[2])], ['more', 'more'],
       'published to the others');
    is(await said(all[0], 'a'), 'a', 'and not to it');

    await publish('room', null, true, 4003);
    is([await limited(all[1].closed), await limited(all[2].closed)],
       [[4003, ''], [4003, '']], 'closed by what is published');
    is(all[0].readyState, 1, 'and it stays open');

    await said(all[0], 'join last');
    await publish('last', null, true);
    is((await limited(all[0].closed))[0], 1000, 'closed without a code');

    await publish('nobody', 'x');

    let failed;

    try {
        await publisher.publish('room', new grip.Item({
            name: () => 'ws-message', export: () => ({ content: 1 }) }));

    } catch (e) {
        failed = e.context && e.context.statusCode;
    }

    is(failed, 400, 'a malformed item is refused');
}


// Many at once, of all workers: what each of them says, and what all are told

async function crowd() {
    const all = await Promise.all(Array.from({ length: 100 },
                                             () => open('/grip')));
    const numbers = Array.from({ length: 20 }, (_, i) => String(i));

    const right = await Promise.all(all.map(async (ws, n) => {
        let good = await said(ws, 'join crowd') == 'in crowd';

        for (const i of numbers) {
            good = await said(ws, `${n} ${i}`) == `${n} ${i}` && good;
        }

        return good;
    }));

    is(right.filter((good) => good).length, 100, 'a hundred clients');

    for (const i of numbers) {
        await publish('crowd', i);
    }

    const told = await Promise.all(all.map(async (ws) => {
        const got = [];

        while (got.length < numbers.length) {
            got.push(await next(ws));
        }

        return got.join() == numbers.join();
    }));

    is(told.filter((good) => good).length, 100, 'are told, in order');

    const from = seen.length;

    all.forEach((ws, n) => n % 2 ? ws.close(1000) : ws.terminate());
    await until(() => seen.length >= from + 100);

    const ends = seen.slice(from).map((one) => one.events.join());

    is(['CLOSE', 'DISCONNECT'].map((type) =>
           ends.filter((end) => end == type).length), [50, 50], 'and leave');
}


const RUNS = { messages, state, closing, channels, crowd };


async function main() {
    const signature = await load();
    const server = http.createServer((req, res) => {
        service(req, res).catch((e) => {
            is(String(e.stack), '', 'no exception in the service');
            res.destroy();
        });
    });

    server.listen(0, '127.0.0.1', () => {
        say({ port: server.address().port, signature });
    });

    const lines = readline.createInterface({ input: process.stdin });

    lines.on('line', async (line) => {
        const what = JSON.parse(line);

        Object.assign(where, what);

        publisher = new grip.Publisher({
            control_uri: `http://127.0.0.1:${what.port}/`,
            verify_key: KEY, verify_iss: 'gateway',
        });

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
