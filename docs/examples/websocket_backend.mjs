#!/usr/bin/env node

// A chat whose clients speak WebSocket, and which itself speaks only HTTP:
// nginx with gateway_websocket_serve is between them.  It keeps nothing of a
// client in its memory, so that any number of these may run.
//
//     websocket_backend.mjs [PORT [PUSH]]
//
// PORT is where it listens, on 127.0.0.1; PUSH is the URL of the gateway's
// location with gateway_websocket_push.  See conf.example/chat.conf.

import { createServer } from "node:http";

const [port = 8092, pushUrl = "http://127.0.0.1:8091/push"] =
    process.argv.slice(2);

const isName = (text) => /^[A-Za-z0-9_-]{1,20}$/.test(text);


// Each function gets what was asked and returns an answer: a status, header
// fields, and what goes to the client as a message, if anything does.

const routes = {

    // Before the WebSocket is open.  A status other than 2xx refuses it.

    async "/connect"({ query }) {
        const name = query.get("name") ?? "";
        const room = query.get("room") ?? "lobby";

        if (!isName(name) || !isName(room)) {
            return { status: 403 };
        }

        await push(`groups/${room}`, { joined: name });

        // The state comes back with each request of this connection.

        return { headers: { "Gateway-Groups": room,
                            "Gateway-Set-State": [`name=${name}`,
                                                  `room=${room}`] } };
    },

    // To all in the room, also to who says it.

    async "/say"({ state, message }) {
        await push(`groups/${state.room}`,
                   { from: state.name, text: message.text });

        return {};
    },

    // Into another room; the message that is returned is the answer.

    async "/move"({ state, message }) {
        if (!isName(message.room)) {
            return { status: 400,
                     answer: { reason: "this is not the name of a room" } };
        }

        return { headers: { "Gateway-Groups": `-${state.room},${message.room}`,
                            "Gateway-Set-State": `room=${message.room}` },
                 answer: { room: message.room } };
    },

    // Later, to this one connection, if it is still there.

    async "/remind"({ connection, message }) {
        const seconds = message.seconds ?? 1;

        if (!(seconds > 0 && seconds <= 3600)) {
            return { status: 400, answer: { reason: "this is not a time" } };
        }

        setTimeout(push, 1000 * seconds, connection,
                   { reminder: message.text });

        return {};
    },

    // The WebSocket is closed when the message has been sent.

    async "/leave"() {
        return { headers: { "Gateway-Close": "1000 see you" },
                 answer: { left: true } };
    },

    // After the end of a connection, however it came.  No one gets a message
    // that is returned here.

    async "/disconnect"({ state }) {
        await push(`groups/${state.room}`, { left: state.name });

        return {};
    },
};


// What no route is for.  The client gets a message with the error.

async function other() {
    return { status: 400, answer: { reason: "there is no such action" } };
}


// A message to a connection, or to a group of them.

async function push(to, message) {
    try {
        const answer = await fetch(`${pushUrl}/${to}`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(message),
            signal: AbortSignal.timeout(5000),
        });

        // 410: it is gone, which is no error

        if (!answer.ok && answer.status !== 410) {
            console.error("push:", answer.status, await answer.text());
        }

    } catch (e) {
        console.error("push:", e.message);
    }
}


createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const chunks = [];

    for await (const chunk of request) {
        chunks.push(chunk);
    }

    // Messages that are JSON are said to be so.

    const message = request.headers["content-type"] === "application/json"
                    ? JSON.parse(Buffer.concat(chunks)) : {};

    const state = (request.headers["gateway-state"] ?? "").split("; ")
                  .map((pair) => pair.split("="));

    const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname]
                                                      : other;

    const { status, headers = {}, answer } = await route({
        connection: request.headers["gateway-connection-id"],
        query: url.searchParams,
        state: Object.fromEntries(state),
        message: message ?? {},
    });

    if (answer !== undefined) {
        headers["Content-Type"] = "application/json";
    }

    response.writeHead(status ?? (answer === undefined ? 204 : 200), headers);
    response.end(answer === undefined ? "" : JSON.stringify(answer));

}).listen(port, "127.0.0.1");
