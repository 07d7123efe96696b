// Many WebSockets that are served, what they say, and what is pushed to them,
// for serve_workers.t; see t/lib/E2EPeer.pm for how it is talked to.
//
//     open    { n }     so many more, each in one of ten groups
//     start             messages and pushes begin, and go on
//     enough            waits until there were many of each
//     stop              { messages, pushes }: what became of them since
//     count             { open, codes }: how sockets are, or have ended
//     all               one push to each socket and to each group
//     leave   { n }     so many more, which close at once, when they have said
//                       something that is answered later
//     close             all are closed

'use strict';

const readline = require('readline');

const { open, limited, next, sleep, until, where, ask } =
    require('./serve_client.cjs');

const GROUPS = 10;
const TALKERS = 8;
const PUSHERS = 4;

let crowd = [];
let running = [];
let going = false;
let messages, pushes;


async function enter(n) {
    for (let i = 0; i < n; i += 50) {
        await Promise.all(Array.from({ length: Math.min(50, n - i) },
                                     async (_, j) => {
            const group = `g${(i + j) % GROUPS}`;
            const ws = await open('/crowd/?' + new URLSearchParams([
                ['h', `Gateway-Groups:${group},all`],
                ['h', `Gateway-Set-State:group=${group}`]]));

            ws.group = group;
            ws.send('id');
            ws.id = JSON.parse(await next(ws)).id;
            crowd.push(ws);
        }));
    }

    return crowd.filter((ws) => ws.readyState == 1).length;
}


function random(list) {
    return list[Math.random() * list.length | 0];
}


function living() {
    return crowd.filter((ws) => ws.readyState == 1 && !ws.busy);
}


function add(where, name) {
    where[name] = (where[name] || 0) + 1;
}


// A message, and its answer among what is pushed meanwhile.

async function say(ws, text) {
    ws.busy = true;
    ws.send(text);

    let got;

    do {
        got = await next(ws, 5);

        if (got !== undefined && got.startsWith('push')) {
            pushed(ws, got);
        }

    } while (got !== undefined && got.startsWith('push'));

    ws.busy = false;

    return got;
}


// What is pushed says to whom.

function pushed(ws, text) {
    const [, to] = text.split(' ');

    add(pushes, to == ws.id || to == ws.group ? 'right' : 'wrong');
}


async function talk() {
    while (going) {
        const ws = random(living());

        if (!ws) {
            await sleep(10);
            continue;
        }

        const text = `say ${Math.random()}`;
        const got = await say(ws, text);

        add(messages, got === undefined && ws.readyState != 1 ? 'cut'
                      : got === undefined ? 'none'
                      : JSON.parse(got).got == text ? 'answered'
                      : JSON.parse(got).error ? 'failed' : 'wrong');
        await sleep(5);
    }
}


async function press() {
    let n = 0;

    while (going) {
        const ws = random(crowd);
        const to = n++ % 5 ? ws.id : ws.group;
        const path = to == ws.id ? `/push/${to}` : `/push/groups/${to}`;
        const method = n % 7 ? 'POST' : 'GET';
        const start = Date.now();
        const answer = await ask(method, path,
                                 method == 'POST' ? `push ${to}` : undefined,
                                 { 'Content-Type': 'text/plain' });

        add(pushes.statuses, answer.status);
        pushes.workers[answer.headers['x-worker']] = true;
        pushes.slowest = Math.max(pushes.slowest, Date.now() - start);
        pushes.reached += answer.json && answer.json.reached || 0;
        await sleep(5);
    }
}


function start() {
    messages = {};
    pushes = { statuses: {}, workers: {}, slowest: 0, reached: 0, right: 0,
               wrong: 0 };
    going = true;
    running = [...Array.from({ length: TALKERS }, talk),
               ...Array.from({ length: PUSHERS }, press)];

    return true;
}


function enough() {
    return until(() => pushes.statuses[200] > 50 && pushes.reached > 100
                       && messages.answered > 50, 20);
}


async function stop() {
    going = false;
    await Promise.all(running);
    await sleep(100);

    for (const ws of crowd) {
        ws.got.splice(0).forEach((text) => pushed(ws, text));
    }

    return { messages, pushes: { ...pushes, workers:
                                 Object.keys(pushes.workers).length } };
}


async function count({ all }) {
    const codes = {};

    await Promise.all(crowd.map(async (ws) => {
        if (all || ws.readyState != 1) {
            const [code] = await limited(ws.closed);

            add(codes, code);
        }
    }));

    return { codes, open: crowd.filter((ws) => ws.readyState == 1).length };
}


// A push to each, then to each group: { ids, groups }, how many of them had
// it.

async function all() {
    const open = crowd.filter((ws) => ws.readyState == 1);
    const queue = [...open];
    const counts = { ids: 0, groups: 0, right: 0 };

    pushes = { right: 0, wrong: 0 };

    await Promise.all(Array.from({ length: 8 }, async () => {
        while (queue.length) {
            const { id } = queue.pop();
            const { json } = await ask('POST', `/push/${id}`, `push ${id}`);

            counts.ids += json && json.reached || 0;
        }
    }));

    for (let i = 0; i < GROUPS; i++) {
        const { json } = await ask('POST', `/push/groups/g${i}`,
                                   `push g${i}`);

        counts.groups += json && json.reached || 0;
    }

    const got = () => open.reduce((sum, ws) => sum + ws.got.length, 0);

    await until(() => got() >= counts.ids + counts.groups);
    await sleep(100);

    for (const ws of open) {
        ws.got.splice(0).forEach((text) => pushed(ws, text));
    }

    return { ...counts, right: pushes.right, wrong: pushes.wrong };
}


async function leave({ n }) {
    const codes = await Promise.all(Array.from({ length: n }, async (_, i) => {
        const ws = await open('/s/?' + new URLSearchParams([
            ['h', `Gateway-Set-State:group=g${i % GROUPS}`]]));

        ws.send('{"do":{"delay":3000,"text":"late"}}');
        ws.send('and this');
        ws.close(1000);

        return (await limited(ws.closed))[0];
    }));

    return codes.filter((code) => code == 1000).length;
}


async function close() {
    const open = crowd.filter((ws) => ws.readyState == 1);

    open.forEach((ws) => ws.close(1000));
    await Promise.all(open.map((ws) => limited(ws.closed)));
    crowd = [];

    return open.length;
}


const ASKS = { open: ({ n }) => enter(n), start, enough, stop, count, all,
               leave, close, forget: () => { crowd = []; return true; } };


process.stdout.write('{}\n');

const lines = readline.createInterface({ input: process.stdin });

lines.on('line', async (line) => {
    const what = JSON.parse(line);
    let answer;

    Object.assign(where, what);

    try {
        answer = { answer: await ASKS[what.ask](what) };

    } catch (e) {
        answer = { error: String(e.stack) };
    }

    process.stdout.write(JSON.stringify(answer) + '\n');
});
lines.on('close', () => process.exit(0));
