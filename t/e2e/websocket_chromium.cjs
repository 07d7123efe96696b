// Chromium without its window, for websocket_chromium.t; see t/lib/E2EPeer.pm
// for how it is talked to.  It is told { url, call }: a page, and a function
// of it whose value is a list of { name, got, want }.  Without url the page
// stays.

'use strict';

const { spawn } = require('child_process');
const readline = require('readline');

const [binary, profile] = process.argv.slice(2);

// Through pipes, which tell the browser when to end

const browser = spawn(binary, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update',
    '--no-first-run', '--ignore-certificate-errors', '--no-proxy-server',
    `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank',
], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });

const asked = new Map();
const events = [];
let id = 0;
let session;
let text = '';


function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}


browser.stdio[4].on('data', (data) => {
    const all = (text + data).split('\0');

    text = all.pop();

    for (const line of all) {
        const message = JSON.parse(line);

        if (asked.has(message.id)) {
            asked.get(message.id)(message);
            asked.delete(message.id);

        } else {
            events.splice(0).forEach((f) => f(message) || events.push(f));
        }
    }
});


function ask(method, params = {}) {
    id++;
    browser.stdio[3].write(JSON.stringify({ id, method, params,
                                            sessionId: session }) + '\0');

    return new Promise((resolve, reject) => {
        asked.set(id, ({ result, error }) =>
            error ? reject(new Error(`${method}: ${error.message}`))
                  : resolve(result));
    });
}


function event(method) {
    return new Promise((resolve) => {
        events.push((message) =>
            message.method == method && (resolve(message.params), true));
    });
}


async function run({ url, call }) {
    if (url) {
        const loaded = event('Page.loadEventFired');

        await ask('Page.navigate', { url });
        await loaded;
    }

    if (!call) {
        return;
    }

    const { result, exceptionDetails } = await ask('Runtime.evaluate', {
        expression: call, awaitPromise: true, returnByValue: true,
    });

    if (exceptionDetails) {
        const { exception, text: what } = exceptionDetails;

        throw new Error(exception && exception.description || what);
    }

    result.value.forEach(say);
}


async function main() {
    const { targetInfos } = await ask('Target.getTargets');
    const page = targetInfos.find((target) => target.type == 'page');

    session = (await ask('Target.attachToTarget', {
        targetId: page.targetId, flatten: true,
    })).sessionId;

    await ask('Page.enable');
    await ask('Runtime.enable');

    const { product } = await ask('Browser.getVersion');

    say({ product });

    const lines = readline.createInterface({ input: process.stdin });

    lines.on('line', async (line) => {
        const what = JSON.parse(line);

        try {
            await run(what);

        } catch (e) {
            say({ name: `${what.call}: no exception`, got: e.message,
                  want: '' });
        }

        say({ done: true });
    });

    lines.on('close', async () => {
        session = undefined;
        await ask('Browser.close');
    });
}


browser.on('error', (e) => {
    console.error(`${binary}: ${e.message}`);
    process.exit(1);
});
browser.on('exit', () => process.exit(0));

main();
