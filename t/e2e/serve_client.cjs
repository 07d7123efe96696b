// Clients of the npm package "ws", and HTTP requests, for serve_*.cjs.

'use strict';

const http = require('http');
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

const sleep = timers.setTimeout;
const where = {};       // { port, tls, ca } of the gateway


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
    ws.on('ping', () => { ws.pings++; });
    ws.on('pong', (data) => { ws.ponged = data.toString(); });
    ws.on('error', (e) => { ws.failed = e.message; });
    ws.on('upgrade', (response) => { ws.upgrade = response.headers; });

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
            wake();
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
    return Promise.race([promise, sleep(seconds * 1000, 'timeout',
                                        { ref: false })]);
}


// Until something is true, or for a while.

async function until(what, seconds = 5) {
    const end = Date.now() + seconds * 1000;

    while (!what() && Date.now() < end) {
        await sleep(5);
    }

    return what();
}


// The next message, or undefined when there is none for a while, or no more.

async function next(ws, seconds = 5) {
    const end = Date.now() + seconds * 1000;

    while (!ws.got.length && ws.readyState < 3 && Date.now() < end) {
        await Promise.race([new Promise((f) => ws.waiting.push(f)),
                            sleep(end - Date.now(), 0, { ref: false })]);
    }

    return ws.got.shift();
}


// A request on a connection of its own: { status, headers, text, json }, where
// status may be "timeout" or what has happened to the connection.

function ask(method, path, body, headers = {}, seconds = 5) {
    return new Promise((resolve) => {
        const request = http.request({
            host: '127.0.0.1', port: where.port, method, path, agent: false,
            headers: { ...headers, ...body === undefined ? {}
                       : { 'Content-Length': Buffer.byteLength(body) } },
        });
        const ends = (status) => {
            clearTimeout(timer);
            resolve({ status, headers: {}, text: '' });
            request.destroy();
        };
        const timer = setTimeout(ends, seconds * 1000, 'timeout');

        request.on('error', (e) => ends(e.code || e.message));
        request.on('response', (response) => {
            const { statusCode: status } = response;
            let text = '';

            response.setEncoding('utf8');
            response.on('data', (data) => { text += data; });
            response.on('error', (e) => ends(e.code || e.message));
            response.on('end', () => {
                let json = null;

                try {
                    json = JSON.parse(text);

                } catch (e) {
                    // it is not JSON
                }

                clearTimeout(timer);
                resolve({ status, headers: response.headers, text, json });
            });
        });
        request.end(body);
    });
}


module.exports = { connect, open, limited, until, next, sleep, where, ask };
