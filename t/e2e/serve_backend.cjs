// An HTTP backend of WebSocket clients that the gateway serves, and what it
// saw of them.  It does what it is told: see t/lib/E2EServe.pm.  A module, and
// a program, which E2EPeer.pm talks to: node serve_backend.cjs [NAME]

'use strict';

const http = require('http');
const readline = require('readline');

const ID = 'gateway-connection-id';


class Backend {

    constructor(name) {
        this.name = name;
        this.forget();

        this.server = http.createServer((request, response) =>
            this.take(request, response));
        this.server.keepAliveTimeout = 60000;
    }

    async listen() {
        await new Promise((resolve) =>
            this.server.listen(0, '127.0.0.1', 1024, resolve));

        return this.server.address().port;
    }

    // seen: requests, ids: what became of each connection that was accepted

    forget() {
        this.seen = [];
        this.ids = new Map();
    }

    take(request, response) {
        const { headers, method, url } = request;
        const chunks = [];
        const one = { method, url, headers, body: null, from: Date.now(),
                      id: headers[ID],
                      event: headers['gateway-event'], raw: request.rawHeaders,
                      to: 0 };

        this.seen.push(one);
        this.count(one);

        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', async () => {
            one.body = Buffer.concat(chunks);

            const answer = this.answer(one);

            if (answer.delay) {
                await new Promise((f) => setTimeout(f, answer.delay));
            }

            one.to = Date.now();

            if (answer.die) {
                request.socket.destroy();
                return;
            }

            for (const [field, value] of answer.headers || []) {
                response.appendHeader(field, Buffer.from(value)
                                                   .toString('latin1'));
            }

            if (this.name) {
                response.appendHeader('X-Backend', this.name);
            }

            const body = answer.base64 !== undefined
                         ? Buffer.from(answer.base64, 'base64')
                         : Buffer.from(answer.text || '');

            response.statusCode = answer.status || 200;

            if (one.event == 'connect' && response.statusCode >= 300) {
                this.ids.delete(one.id);
            }

            if (answer.chunked) {
                response.write(body.subarray(0, 1));
                response.write(body.subarray(1));
                response.end();
                return;
            }

            if (response.statusCode != 204) {
                response.appendHeader('Content-Length', body.length);
            }

            response.end(body);
        });
    }

    answer({ url, headers, body, event }) {
        const { pathname, searchParams: args } = new URL(url, 'http://b');

        if (pathname == '/connect') {
            return { status: Number(args.get('status') || 200),
                     headers: args.getAll('h').map((h) =>
                         [h.split(':')[0], h.slice(h.indexOf(':') + 1)]),
                     text: args.get('body') || '',
                     delay: Number(args.get('delay')) };
        }

        if (event == 'disconnect') {
            return { status: 204 };
        }

        if (pathname == '/head') {
            return { headers: [['Content-Type', 'application/json']],
                     text: JSON.stringify({ ...headers, url,
                                            backend: this.name }) };
        }

        if (pathname.startsWith('/as/')) {
            return { status: Number(args.get('status') || 200),
                     headers: [['Content-Type', 'application/json']],
                     text: JSON.stringify({ as: pathname.slice(4),
                                            got: body.toString(),
                                            id: headers[ID],
                                            user: headers['x-user'],
                                            backend: this.name }) };
        }

        if (headers['content-type'] == 'application/json') {
            const { do: what } = JSON.parse(body) || {};

            if (what) {
                return what;
            }
        }

        return { headers: [['Content-Type', headers['content-type']]],
                 base64: body.toString('base64') };
    }

    count({ id, event, from, headers }) {
        if (!id) {
            return;
        }

        if (!this.ids.has(id)) {
            this.ids.set(id, { connect: 0, message: 0, disconnect: 0,
                               late: 0 });
        }

        const one = this.ids.get(id);

        if (one.disconnect && event != 'disconnect') {
            one.late++;
        }

        one[event]++;

        if (event == 'disconnect') {
            one.close = headers['gateway-close'];
            one.state = headers['gateway-state'];
            one.at = from;
        }
    }

    // How many connections there were, are, and what is not as it should be:
    // ended more than once, without a beginning, with something afterwards.

    sums() {
        const sums = { ids: 0, open: 0, ended: 0, more: 0, never: 0, late: 0,
                       messages: 0, close: {}, state: {} };

        for (const one of this.ids.values()) {
            sums.ids++;
            sums.messages += one.message;
            sums.never += one.connect != 1;
            sums.late += one.late;
            sums.more += one.disconnect > 1;

            if (one.disconnect) {
                sums.ended++;
                sums.close[one.close] = (sums.close[one.close] || 0) + 1;
                sums.state[one.state] = (sums.state[one.state] || 0) + 1;

            } else {
                sums.open++;
            }
        }

        return sums;
    }
}


async function main() {
    const backend = new Backend(process.argv[2]);

    const ASKS = {
        sums: () => backend.sums(),
        seen: ({ event }) => backend.seen
            .filter((one) => !event || one.event == event)
            .map((one) => ({ ...one, raw: undefined,
                             body: one.body && one.body.toString() })),
        forget: () => { backend.forget(); return true; },
    };

    process.stdout.write(JSON.stringify({ port: await backend.listen() })
                         + '\n');

    const lines = readline.createInterface({ input: process.stdin });

    lines.on('line', (line) => {
        const what = JSON.parse(line);

        process.stdout.write(JSON.stringify({ answer: ASKS[what.ask](what) })
                             + '\n');
    });
    lines.on('close', () => process.exit(0));
}


module.exports = { Backend };

if (require.main === module) {
    main();
}
