// Clients of the chat of conf.example/chat.conf, for serve_chat.t; see
// t/lib/E2EPeer.pm for how it is talked to.

'use strict';

const readline = require('readline');

const { connect, open, limited, next, sleep, where, ask } =
    require('./serve_client.cjs');


function is(got, want, name) {
    process.stdout.write(JSON.stringify({
        name: `${where.name}: ${name}`,
        got: got === undefined ? null : got, want,
    }) + '\n');
}


function enter(name, room) {
    const args = new URLSearchParams({ name, ...room && { room } });

    return open(`/chat?${args}`, { origin: where.origin });
}


async function told(ws) {
    const text = await next(ws);

    return text === undefined ? null : JSON.parse(text);
}


function say(ws, what) {
    ws.send(JSON.stringify(what));
}


async function chat() {
    const ann = await enter('ann');
    const bob = await enter('bob');

    is(await told(ann), { joined: 'bob' }, 'who is there is told who comes');

    say(ann, { action: 'say', text: 'hello, grüße' });

    for (const ws of [ann, bob]) {
        is(await told(ws), { from: 'ann', text: 'hello, grüße' },
           'all have what is said');
    }

    for (let i = 0; i < 15; i++) {
        say(bob, { action: 'say', text: `${i}` });
    }

    for (const ws of [ann, bob]) {
        const got = [];

        for (let i = 0; i < 15; i++) {
            got.push((await told(ws)).text);
        }

        is(got, Array.from({ length: 15 }, (_, i) => `${i}`), 'in order');
    }

    // rooms

    say(bob, { action: 'move', room: 'kitchen' });
    is(await told(bob), { room: 'kitchen' }, 'another room');
    say(ann, { action: 'say', text: 'alone?' });
    is(await told(ann), { from: 'ann', text: 'alone?' }, 'who stays');

    const cid = await enter('cid', 'kitchen');

    is(await told(bob), { joined: 'cid' }, 'it is another room');
    say(cid, { action: 'say', text: 'tea' });
    is([await told(bob), await told(cid)],
       [{ from: 'cid', text: 'tea' }, { from: 'cid', text: 'tea' }],
       'who is in that room');

    // errors

    say(ann, { action: 'move', room: 'no such/name' });
    is((await told(ann)).error.body,
       { reason: 'this is not the name of a room' }, 'no name of a room');

    for (const message of ['{"action":"sing"}', 'plain text', '[1]']) {
        ann.send(message);

        const { error } = await told(ann);

        is([error.status, error.body],
           [400, { reason: 'there is no such action' }], message);
    }

    // by itself

    const start = Date.now();

    say(ann, { action: 'remind', text: 'tea', seconds: 0.2 });
    is(await told(ann), { reminder: 'tea' }, 'a reminder');
    is(Date.now() - start >= 190, true, 'a reminder: later');

    // the end

    say(cid, { action: 'leave' });
    is(await told(cid), { left: true }, 'who leaves');
    is(await limited(cid.closed), [1000, 'see you'], 'who leaves is closed');
    is(await told(bob), { left: 'cid' }, 'others are told');

    say(bob, { action: 'move', room: 'lobby' });
    await told(bob);
    bob.terminate();
    is(await told(ann), { left: 'bob' }, 'also of who is gone without a word');

    // who does not come in

    for (const [query, origin] of [['?name=not%20a%20name', where.origin],
                                   ['', where.origin],
                                   ['?name=eve', 'https://evil.example.com']])
    {
        const ws = connect(`/chat${query}`, { origin });

        is(await limited(ws.opened), 403, `refused: ${query} ${origin}`);
    }

    ann.close();
    await limited(ann.closed);

    // ten of an address, as soon as the others are gone

    const all = [];
    const end = Date.now() + 5000;
    let ws;

    do {
        ws = connect(`/chat?name=n${all.length}&room=r${all.length}`,
                     { origin: where.origin });

        if (await limited(ws.opened) == 'open') {
            all.push(ws);
            ws = undefined;

        } else if (all.length < 10 && Date.now() < end) {
            await sleep(20);
            ws = undefined;
        }

    } while (!ws && all.length < 20);

    is([all.length, ws && ws.answer && 1], [10, 1], 'ten of an address');

    is((await ask('POST', '/push/groups/lobby', 'x')).status, 404,
       'clients can not push');

    all.forEach((socket) => socket.terminate());
}


process.stdout.write('{}\n');

const lines = readline.createInterface({ input: process.stdin });

lines.on('line', async (line) => {
    Object.assign(where, JSON.parse(line));
    where.origin = `http://127.0.0.1:${where.port}`;

    try {
        await chat();

    } catch (e) {
        is(String(e.stack), '', 'no exception');
    }

    process.stdout.write('{"done":true}\n');
});
lines.on('close', () => process.exit(0));
