# Clients of the Python library websockets that the gateway serves, with a
# backend of Python's own HTTP, for serve_python.t; see t/lib/E2EPeer.pm for
# how it is talked to, and t/lib/E2EServe.pm for the gateway between them and
# for what the backend is told.

import asyncio
import base64
import concurrent.futures
import http.client
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse

try:
    import websockets

except ImportError as e:
    sys.exit('the Python library websockets is missing: install Debian\'s '
             'package python3-websockets, or run "make deps" (%s)' % e)

from websockets.exceptions import ConnectionClosed, InvalidStatusCode
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory)

threads = concurrent.futures.ThreadPoolExecutor(50)
where = {}          # { port, tls, ca } of the gateway


def say(what):
    print(json.dumps(what), flush=True)


def is_(got, want, name):
    say(dict(name=name, got=got, want=want))


# The backend.

class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1
    seen = []

    def log_message(self, *args):
        pass

    def do_POST(self):
        headers = {name.lower(): value.encode('latin-1').decode()
                   for name, value in self.headers.items()}
        one = dict(path=self.path, headers=headers,
                   event=headers.get('gateway-event'),
                   id=headers.get('gateway-connection-id'),
                   body=self.rfile.read(int(headers.get('content-length', 0))),
                   start=time.monotonic())

        self.seen.append(one)

        answer = self.answer(one)
        time.sleep(answer.get('delay', 0) / 1000)
        one['end'] = time.monotonic()

        if answer.get('die'):
            self.close_connection = True
            return

        if 'base64' in answer:
            body = base64.b64decode(answer['base64'])
        else:
            body = answer.get('text', '').encode()

        self.send_response(answer.get('status', 200))

        for name, value in answer.get('headers', []):
            self.send_header(name, value.encode().decode('latin-1'))

        if answer.get('status') != 204:
            self.send_header('Content-Length', str(len(body)))

        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def answer(self, one):
        path, _, args = one['path'].partition('?')
        args = urllib.parse.parse_qs(args)

        if path == '/connect':
            return dict(status=int(args.get('status', ['200'])[0]),
                        headers=[h.split(':', 1) for h in args.get('h', [])],
                        text=args.get('body', [''])[0],
                        delay=int(args.get('delay', ['0'])[0]))

        if one['event'] == 'disconnect':
            return dict(status=204)

        if path == '/head':
            return dict(headers=[['Content-Type', 'application/json']],
                        text=json.dumps(one['headers']))

        if path.startswith('/as/'):
            return dict(headers=[['Content-Type', 'application/json']],
                        text=json.dumps(dict(
                            {'as': path[4:]}, id=one['id'],
                            got=one['body'].decode())))

        if one['headers']['content-type'] == 'application/json':
            message = json.loads(one['body'])

            if isinstance(message, dict) and 'do' in message:
                return message['do']

        return dict(headers=[['Content-Type',
                              one['headers']['content-type']]],
                    base64=base64.b64encode(one['body']))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def requests(event=None, id=None):
    return [one for one in list(Backend.seen)
            if event in (None, one['event']) and id in (None, one['id'])]


# The client.

def connect(path, **options):
    scheme, port = 'ws', where['port']
    usual = dict(compression=None, ping_interval=None, max_size=8 << 20,
                 open_timeout=5, close_timeout=5)

    if 'ssl' in options:
        scheme, port = 'wss', where['tls']

    return websockets.connect('%s://127.0.0.1:%d%s' % (scheme, port, path),
                              **dict(usual, **options))


def query(path, *pairs):
    return path + '?' + urllib.parse.urlencode(pairs)


async def receive(ws):
    return await asyncio.wait_for(ws.recv(), 8)


async def act(ws, **what):
    await ws.send(json.dumps(dict(do=what)))


async def error(ws, status, title, name):
    got = json.loads(await receive(ws)).get('error')

    is_(got, dict(status=status, title=title), name)


# How a socket ends that the gateway closes.

async def closed(ws):
    try:
        while True:
            await receive(ws)

    except ConnectionClosed:
        await ws.wait_closed()
        return [ws.close_code, ws.close_reason]


async def refused(path, **options):
    try:
        async with connect(path, **options):
            return 'open'

    except InvalidStatusCode as e:
        return e.status_code


async def until(what):
    for _ in range(500):
        if what():
            break

        await asyncio.sleep(0.01)


# The id of the connection, by asking the backend.

async def number(ws):
    await ws.send('which?')
    await receive(ws)

    return [one['id'] for one in requests('message')
            if one['body'] == b'which?'][-1]


async def told(id):
    await until(lambda: requests('disconnect', id))
    await asyncio.sleep(0.02)

    return [one['headers']['gateway-close']
            for one in requests('disconnect', id)]


async def handshake():
    headers = {'X-Mine': 'me', 'Cookie': 'c=3', 'Gateway-State': 'x=1'}

    async with connect(query('/s/', ('h', 'Set-Cookie:a=1')),
                       extra_headers=headers) as ws:
        is_(ws.response_headers.get('Set-Cookie'), 'a=1',
            'connect: a cookie in the 101')

        got = requests('connect')[-1]['headers']
        is_([got.get('x-mine'), got.get('cookie'), got.get('gateway-state'),
             got.get('sec-websocket-key'), got.get('upgrade')],
            ['me', 'c=3', None, None, None], 'connect: fields of the client')

        id = await number(ws)
        is_(id, requests('connect')[-1]['id'], 'the id of both')

    is_(ws.close_code, 1000, 'closed')
    is_(await told(id), ['1000'], 'disconnect')

    for status in (400, 401, 403, 404, 429, 500, 503):
        is_(await refused('/s/?status=%d' % status), status,
            'refused with %d' % status)

    async with connect('/protocols/',
                       subprotocols=['other', 'v2.chat', 'chat']) as ws:
        is_(ws.subprotocol, 'v2.chat', 'subprotocols')

    async with connect(query('/s/', ('h', 'Sec-WebSocket-Protocol:b')),
                       subprotocols=['a', 'b']) as ws:
        is_(ws.subprotocol, 'b', 'subprotocols: by the backend')

    is_(await refused(query('/s/', ('h', 'Sec-WebSocket-Protocol:c')),
                      subprotocols=['a', 'b']), 502,
        'subprotocols: one not offered')

    for origin, want in (('https://app.example.com', 'open'),
                         ('https://evil.example.com', 403)):
        is_(await refused('/origins/', origin=origin), want,
            'origin ' + origin)

    context = ssl.create_default_context(cafile=where['ca'])

    async with connect('/head/', ssl=context,
                       server_hostname='localhost') as ws:
        await ws.send('x')
        is_(json.loads(await receive(ws))['x-scheme'], 'https', 'TLS')


async def messages():
    for at, options in (
        ('s', {}),
        ('s', dict(compression='deflate')),
        ('deflate', {}),
        ('deflate', dict(compression='deflate')),
        ('deflate', dict(extensions=[ClientPerMessageDeflateFactory(
            server_no_context_takeover=True,
            client_no_context_takeover=True)])),
        ('deflate', dict(extensions=[ClientPerMessageDeflateFactory(
            server_max_window_bits=9, client_max_window_bits=10)])),
    ):
        name = '%s %s' % (at, [repr(e) for e in options.get(
            'extensions', [])] or options or '')

        async with connect('/%s/' % at, **options) as ws:
            is_(bool(ws.extensions), at == 'deflate' and bool(options),
                name + ': what was agreed on')

            for size in (1, 125, 126, 65535, 65536, 1000000):
                text = ('{"n":%d}' % size) + 'grüße' * (size // 7)

                for message in (text, text.encode()):
                    await ws.send(message)
                    is_(await receive(ws) == message, True,
                        '%s: %d as %s' % (name, size, type(message).__name__))

            await ws.send(['in ', '', 'parts, ', 'κόσμε'])
            is_(await receive(ws), 'in parts, κόσμε', name + ': fragments')

            await asyncio.wait_for(await ws.ping('a ping'), 5)
            is_(True, True, name + ': a ping is answered')

    async with connect('/s/') as ws:
        for message, kind in (('[1.0]', 'application/json'),
                              ('[1.0', 'text/plain; charset=utf-8'),
                              (b'[1.0]', 'application/octet-stream')):
            await ws.send(message)
            is_(await receive(ws) == message, True, 'as %s' % kind)

            one = requests('message')[-1]
            is_([one['headers']['content-type'],
                 one['headers']['content-length']], [kind, str(len(message))],
                '%s: the request' % kind)

        await act(ws, text='<p>', headers=[['Content-Type', 'text/html']])
        is_(await receive(ws), '<p>', 'answered with text')
        await act(ws, text='x', headers=[['Content-Type', 'image/png']])
        is_((await receive(ws)) == b'x', True, 'answered with bytes')
        await act(ws, status=204)
        await act(ws, status=404, text='x')
        await error(ws, 404, 'Not Found', '204 is no answer, 404 is an error')
        await act(ws, die=True)
        await error(ws, 502, 'Bad Gateway', 'the backend hangs up')

        for n in range(30):
            await act(ws, text=str(n), delay=n * 7 % 11)

        is_([await receive(ws) for n in range(30)],
            [str(n) for n in range(30)], 'in order')

    async with connect('/parallel/') as ws:
        id = await number(ws)

        for n in range(40):
            await act(ws, text=str(n), delay=20)

        is_(sorted([await receive(ws) for n in range(40)]),
            sorted(str(n) for n in range(40)), 'at once: each is answered')

        all = [one for one in requests('message', id) if b'do' in one['body']]
        most = max(sum(other['start'] <= one['start'] < other['end']
                       for other in all) for one in all)
        is_(1 < most <= 4, True, 'at once: no more than four')

    for at, code in (('small', 1009), ('frame', 1009), ('limit', 1008)):
        async with connect('/%s/' % at) as ws:
            for n in range(1 if at != 'limit' else 8):
                await ws.send('x' * 1025)

            is_((await closed(ws))[0], code, at)

    for at, code in (('idle', 1001), ('age', 1001)):
        async with connect('/%s/' % at) as ws:
            is_((await closed(ws))[0], code, at)

    async with connect('/ping/', ping_interval=0.05) as ws:
        await asyncio.sleep(1.5)
        await ws.send('x')
        is_(await receive(ws), 'x', 'pings of both')


async def closing():
    for code in (1000, 1001, 1011, 3000, 4999):
        async with connect('/s/') as ws:
            id = await number(ws)
            await ws.close(code, 'warum nicht, Ülo?')

        is_(await told(id), ['%d warum nicht, Ülo?' % code],
            'closed by the client with %d' % code)

        async with connect('/s/') as ws:
            id = await number(ws)
            await act(ws, text='bye',
                      headers=[['Gateway-Close', '%d grüße' % code]])
            is_(await receive(ws), 'bye', 'a last message')
            is_(await closed(ws), [code, 'grüße'],
                'closed by the backend with %d' % code)

        is_(await told(id), ['%d grüße' % code], 'closed: it is told')

    async with connect('/s/') as ws:
        id = await number(ws)
        ws.transport.abort()

    is_(await told(id), ['1006'], 'the client dies')

    async with connect(query('/s/', ('h', 'Gateway-Set-State:user=ann'))) as ws:
        id = await number(ws)

        for n in range(5):
            await act(ws, text=str(n), delay=30)

        await ws.close(1000, 'enough')

    is_(await told(id), ['1000 enough'], 'closed, with messages')
    is_([one['event'] for one in requests(None, id)],
        ['connect'] + 6 * ['message'] + ['disconnect'],
        'closed, with messages: they were given to the backend')
    is_([one['headers'].get('gateway-state') for one in requests(None, id)],
        [None] + 7 * ['user=ann'], 'its state')


async def crowd():
    Backend.seen.clear()

    async def one(i):
        right = 0

        async with connect('/deflate/' if i % 2 else '/parallel/',
                           compression='deflate' if i % 3 else None) as ws:
            for n in range(10):
                text = '%d %d ' % (i, n) + 'x' * i * n

                await ws.send(text)
                right += await receive(ws) == text

        return right + (ws.close_code == 1000)

    is_(sum(await asyncio.gather(*map(one, range(100)))), 100 * 11,
        '100 sockets at once')
    await until(lambda: len(requests('disconnect')) >= 100)

    all = requests()
    is_([len([one for one in all if one['event'] == event])
         for event in ('connect', 'message', 'disconnect')],
        [100, 1000, 100], '100 sockets at once: the backend')
    is_(len({one['id'] for one in all}), 100,
        '100 sockets at once: their ids')


# Requests to the gateway, in threads.

def request(method, path, body, headers):
    c = http.client.HTTPConnection('127.0.0.1', where['port'], timeout=8)
    c.request(method, path, body, headers)
    answer = c.getresponse()
    status, text = answer.status, answer.read()
    c.close()

    try:
        return [status, json.loads(text)]

    except ValueError:
        return [status, text.decode()]


async def ask(method, path, body=None, **headers):
    return await asyncio.get_running_loop().run_in_executor(
        threads, request, method, path, body,
        {name.replace('_', '-'): value for name, value in headers.items()})


async def push():
    sockets = [await connect(query('/s/', ('h', 'Gateway-Groups:all,g%d'
                                           % (i % 2)))) for i in range(10)]
    ids = [await number(ws) for ws in sockets]

    await asyncio.sleep(0.05)

    for i, id in enumerate(ids):
        is_(await ask('POST', '/push/' + id, 'to %d' % i), [200, dict(
            reached=1)], 'push')

    is_([await receive(ws) for ws in sockets],
        ['to %d' % i for i in range(10)], 'push: each has its own')

    is_(await ask('POST', '/push/groups/g1', b'\x00\xff',
                  Content_Type='application/octet-stream'),
        [200, dict(reached=5)], 'push to a group')
    is_([(await receive(ws)).hex() for ws in sockets[1::2]], 5 * ['00ff'],
        'push to a group: they have it')
    is_(await ask('POST', '/push/groups/all', 'all'),
        [200, dict(reached=10)], 'push to all')
    is_([await receive(ws) for ws in sockets], 10 * ['all'],
        'push to all: they have it')

    # many at once, each in order

    async def stream(i):
        for n in range(20):
            assert (await ask('POST', '/push/' + ids[i], '%d' % n))[0] == 200

    await asyncio.gather(*map(stream, range(10)))

    for ws in sockets:
        got = [await receive(ws) for n in range(20)]

        if got != [str(n) for n in range(20)]:
            break

    is_(got, [str(n) for n in range(20)], 'push: in order')

    status, info = await ask('GET', '/push/' + ids[0])
    is_([status, info['connectionId'], sorted(info['groups'])],
        [200, ids[0], ['all', 'g0']], 'what is known of it')

    is_(await ask('DELETE', '/push/' + ids[0], Gateway_Close='4000 go'),
        [204, ''], 'DELETE')
    is_(await closed(sockets[0]), [4000, 'go'], 'DELETE: closed')
    is_(await told(ids[0]), ['4000 go'], 'DELETE: the backend is told')
    is_((await ask('POST', '/push/' + ids[0], 'x'))[0], 410,
        'DELETE: it is gone')

    await sockets[1].close()
    await told(ids[1])
    is_(await ask('GET', '/push/groups/all'),
        [200, dict(group='all', connections=8)], 'eight are left')
    is_(await ask('DELETE', '/push/groups/all'), [200, dict(reached=8)],
        'DELETE: a group')
    is_([await closed(ws) for ws in sockets[2:]], 8 * [[1000, '']],
        'DELETE: a group: closed')


RUNS = dict(handshake=handshake, messages=messages, closing=closing,
            crowd=crowd, push=push)


async def main():
    server = Server(('127.0.0.1', 0), Backend)

    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(dict(port=server.server_address[1]))

    reader = asyncio.StreamReader(limit=1 << 20)

    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    while True:
        line = await reader.readline()

        if not line:
            return

        what = json.loads(line)
        where.update(what)

        try:
            await RUNS[what['run']]()

        except Exception as e:
            is_('%s: %s' % (type(e).__name__, e), '',
                '%s: no exception' % what['run'])

        say(dict(done=True))


asyncio.run(main())
