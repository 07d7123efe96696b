// What is pushed to WebSockets that are served, for serve_ws.cjs, which says
// what its helpers are.

'use strict';

const { limited, next, sleep, ask } = require('./serve_client.cjs');


async function push({ is, opened, act, error, args, told }) {
    const group = (name) => ({ headers: [['Gateway-Groups', name]],
                               status: 204 });
    const ws = await opened('/s/?' + args([['h', 'Gateway-Groups:a,b']]));
    const to = `/push/${ws.id}`;
    const post = (path, body, headers) => ask('POST', path, body, headers);

    // while nothing else happens

    await sleep(50);

    let answer = await post(to, 'grüße', { 'Content-Type': 'text/plain' });

    is([answer.status, answer.json], [200, { reached: 1 }], 'push');
    is(await next(ws), 'grüße', 'push: text');
    await post(to, '{"a":1}', { 'Content-Type': 'application/json' });
    is(await next(ws), '{"a":1}', 'push: JSON');
    await post(to, Buffer.from([0, 255]),
               { 'Content-Type': 'application/octet-stream' });
    is(Buffer.from(await next(ws)).toString('hex'), '00ff', 'push: binary');
    await post(to, 'z'.repeat(1000000), { 'Content-Type': 'text/plain' });
    is((await next(ws)).length, 1000000, 'push: a million');

    answer = await post(to, Buffer.from([0, 255]),
                        { 'Content-Type': 'text/plain' });
    is([answer.status, answer.headers['content-type']],
       [400, 'application/problem+json'], 'push: text that is not UTF-8');
    answer = await post(`/push/small/${ws.id}`, 'x'.repeat(1025));
    is(answer.status, 413, 'push: too large');
    answer = await post(`/push/${'0'.repeat(32)}`, 'x');
    is([answer.status, answer.headers['content-type']],
       [410, 'application/problem+json'], 'push: nobody has this id');
    answer = await ask('PUT', to, 'x');
    is([answer.status, answer.headers['content-type']],
       [405, 'application/problem+json'], 'push: PUT');

    answer = await ask('GET', to);

    const { json } = answer;

    is([answer.status, json.connectionId, json.groups.sort(), json.queued,
        json.identity.sourceIp], [200, ws.id, ['a', 'b'], 0, '127.0.0.1'],
       'push: GET');
    is(Math.abs(Date.parse(json.connectedAt) - Date.now()) < 5000
       && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(json.connectedAt)
       && Date.parse(json.lastActiveAt) >= Date.parse(json.connectedAt), true,
       'push: GET: times');

    // groups

    const other = await opened('/s/', { headers: { 'User-Agent': 'me/1' } });

    is((await ask('GET', `/push/${other.id}`)).json.identity.userAgent, 'me/1',
       'push: GET: the user agent');
    act(other, group('a,c'));
    other.send('x');
    await next(other);

    is((await ask('GET', '/push/groups/a')).json,
       { group: 'a', connections: 2 }, 'group: GET');
    answer = await post('/push/groups/a', 'to all');
    is([answer.status, answer.json], [200, { reached: 2 }], 'group: push');
    is([await next(ws), await next(other)].map(String), ['to all', 'to all'],
       'group: both have it');
    is((await post('/push/b', 'x', { 'Content-Type': 'text/plain' })).json,
       { reached: 1 }, 'group: a name alone');
    is(await next(ws), 'x', 'group: only one is in it');
    is((await post('/push/groups/nobody', 'x')).json, { reached: 0 },
       'group: nobody is in it');

    for (const [value, want] of [['-a', 'c'], ['-*,d,e', 'd,e'],
                                 ['f,-*', '']])
    {
        act(other, group(value));
        other.send('x');
        await next(other);
        is((await ask('GET', `/push/${other.id}`)).json.groups.sort().join(),
           want, `group: ${value}`);
    }

    act(other, { text: 'x', headers: [['Gateway-Groups', 'not/a/name']] });
    await error(other, 502, 'Bad Gateway', 'group: not a name');

    // GRIP

    act(other, group('news'));
    other.send('x');
    await next(other);
    answer = await post('/push/publish/', JSON.stringify({ items: [
        { channel: 'news', formats: { 'ws-message': { content: 'one' } } },
        { channel: 'news', formats: { 'ws-message':
            { 'content-bin': 'AP8=' } } },
    ] }), { 'Content-Type': 'application/json' });
    is([answer.status, answer.text.trim()], [200, 'Published'], 'publish');
    is([await next(other), Buffer.from(await next(other)).toString('hex')],
       ['one', '00ff'], 'publish: both items');

    // a message is with the backend meanwhile, which pushes itself

    act(ws, { text: 'the answer', delay: 1000 });
    await sleep(50);
    await post(to, 'meanwhile', { 'Content-Type': 'text/plain' });
    is([await next(ws), await next(ws)], ['meanwhile', 'the answer'],
       'push: does not wait for an answer');

    // the end

    answer = await ask('DELETE', to, undefined,
                       { 'Gateway-Close': '4003 bye' });
    is(answer.status, 204, 'DELETE');
    is(await limited(ws.closed), [4003, 'bye'], 'DELETE: closed');
    is(await told(ws.id), ['4003 bye'], 'DELETE: the backend is told');
    is([(await post(to, 'x')).status, (await ask('GET', to)).status,
        (await ask('DELETE', to)).status], [410, 410, 410],
       'DELETE: it is gone');
    answer = await ask('DELETE', '/push/groups/news');
    is([answer.status, answer.json], [200, { reached: 1 }], 'DELETE: a group');
    is((await limited(other.closed))[0], 1000, 'DELETE: a group: closed');
    is((await ask('GET', '/push/groups/news')).json,
       { group: 'news', connections: 0 }, 'DELETE: a group: nobody is left');

    // a client that does not read

    const lazy = await opened('/queue/?' + args([
        ['h', 'Gateway-Groups:lazy']]));
    const statuses = {};
    const big = 'b'.repeat(200000);
    let sent = 0;

    lazy.pause();

    for (let i = 0; i < 100; i++) {
        const { status } = await post(`/push/${lazy.id}`, `${i} ${big}`,
                                      { 'Content-Type': 'text/plain' });

        statuses[status] = (statuses[status] || 0) + 1;
        sent += status == 200;

        if (status != 200) {
            break;
        }
    }

    is([Object.keys(statuses).join(), statuses[429]], ['200,429', 1],
       'a client that does not read: 429');
    is((await post('/push/groups/lazy', 'x')).json, { reached: 0, full: 1 },
       'a client that does not read: a group');
    is((await ask('GET', `/push/${lazy.id}`)).json.queued, 4,
       'a client that does not read: queued');
    lazy.resume();

    let right = 0;

    for (let i = 0; i < sent; i++) {
        right += await next(lazy) === `${i} ${big}`;
    }

    is(right, sent, 'a client that reads again gets all that was taken');
    is((await post(`/push/${lazy.id}`, 'x')).status, 200,
       'a client that reads again');
    lazy.close();
}


module.exports = { push };
