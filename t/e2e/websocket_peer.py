# Clients and services of the Python library websockets, for
# websocket_python.t; see t/lib/E2EPeer.pm for how they are talked to.

import asyncio
import concurrent.futures
import http.client
import json
import ssl
import sys

try:
    import websockets

except ImportError as e:
    sys.exit('the Python library websockets is missing: install Debian\'s '
             'package python3-websockets, or run "make deps" (%s)' % e)

from websockets.exceptions import ConnectionClosed, InvalidStatusCode
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory)

CERTIFICATE, KEY = sys.argv[1:3]

threads = concurrent.futures.ThreadPoolExecutor(100)
service = []        # what the service saw of each connection
where = {}          # { port, tls, ca } of the gateway


def say(what):
    print(json.dumps(what), flush=True)


def is_(got, want, name):
    say(dict(name=name, got=got, want=want))


# The service.

async def serve(ws):
    path, _, args = ws.path.partition('?')
    args = dict(arg.partition('=')[::2] for arg in args.split('&') if arg)
    seen = dict(path=ws.path, headers=dict(ws.request_headers.raw_items()),
                messages=[], close=None, extensions=ws.extensions,
                protocol=ws.subprotocol)

    service.append(seen)

    try:
        await WAYS.get(path.lstrip('/'), echo)(ws, args, seen)

    except ConnectionClosed:
        pass

    await ws.close()
    seen['close'] = [ws.close_code, ws.close_reason]


async def echo(ws, args, seen):
    async for message in ws:
        seen['messages'].append(message)
        await ws.send(message)


async def parts(ws, args, seen):
    async for message in ws:
        third = len(message) // 3

        await ws.send([message[:third], message[third:2 * third],
                       message[2 * third:]])


async def wait(ws, args, seen):
    async for message in ws:
        seen['messages'].append(message)


async def close(ws, args, seen):
    await ws.close(int(args.get('code', 1000)), args.get('reason', ''))


async def die(ws, args, seen):
    ws.transport.abort()


async def ping(ws, args, seen):
    await asyncio.wait_for(await ws.ping('from the service'), 5)
    await ws.send('a pong came')


async def ticker(ws, args, seen):
    n = int(args.get('n', 3))

    for i in range(1, n + 1):
        await ws.send(json.dumps(dict(i=i, last=i == n)))
        await asyncio.sleep(float(args.get('pause', 0.01)))

    if 'stay' in args:
        await ws.wait_closed()


async def jsons(ws, args, seen):
    async def reply(message):
        await asyncio.sleep(0.02 * (hash(message) % 7) / 7)
        await ws.send(json.dumps(dict(json.loads(message), reply=True)))

    async for message in ws:
        await ws.send('{"id":"of nobody"}')
        asyncio.create_task(reply(message))


async def head(ws, args, seen):
    await ws.send(json.dumps(seen['headers']))


WAYS = dict(echo=echo, parts=parts, wait=wait, close=close, die=die,
            ping=ping, ticker=ticker, json=jsons, head=head)


# The client.

def connect(path, **options):
    scheme, port = 'ws', where['port']
    usual = dict(compression=None, ping_interval=None, max_size=8 << 20,
                 open_timeout=5, close_timeout=5)

    if 'ssl' in options:
        scheme, port = 'wss', where['tls']

    return websockets.connect('%s://127.0.0.1:%d%s' % (scheme, port, path),
                              **dict(usual, **options))


async def receive(ws):
    return await asyncio.wait_for(ws.recv(), 8)


# How a socket ends that the gateway or the service closes.

async def closed(ws):
    try:
        while True:
            await receive(ws)

    except ConnectionClosed:
        await ws.wait_closed()
        return ws.close_code


async def ended(path):
    for _ in range(500):
        last = [s for s in service if s['path'] == path][-1:]

        if last and last[0]['close']:
            return last[0]['close'][0]

        await asyncio.sleep(0.01)


async def refused(path, **options):
    try:
        async with connect(path, **options):
            return 'open'

    except InvalidStatusCode as e:
        return e.status_code


async def guard():
    for at, options in (
        ('g', {}),
        ('g', dict(compression='deflate')),
        ('deflate', {}),
        ('deflate', dict(compression='deflate')),
        ('deflate', dict(extensions=[ClientPerMessageDeflateFactory(
            server_no_context_takeover=True,
            client_no_context_takeover=True)])),
        ('deflate', dict(extensions=[ClientPerMessageDeflateFactory(
            server_max_window_bits=9, client_max_window_bits=10)])),
    ):
        name = 'guard: %s %s' % (at, [repr(e) for e in options.get(
            'extensions', [])] or options or '')

        async with connect('/%s/echo' % at, **options) as ws:
            is_(bool(ws.extensions), at == 'deflate' and bool(options),
                name + ': what was agreed on')

            for size in (0, 1, 125, 126, 65535, 65536, 1000000):
                text = ('{"n":%d}' % size) + 'grüße' * (size // 7)

                for message in (text, text.encode()):
                    await ws.send(message)
                    is_(await receive(ws) == message, True,
                        '%s: %d as %s' % (name, size, type(message).__name__))

            await ws.send(['in ', '', 'parts, ', 'κόσμε'])
            is_(await receive(ws), 'in parts, κόσμε', name + ': fragments')

            await asyncio.wait_for(await ws.ping('a ping'), 5)
            is_(True, True, name + ': a ping is answered')

        is_(ws.close_code, 1000, name + ': closed')

        async with connect('/%s/parts' % at, **options) as ws:
            await ws.send('abc' * 50000)
            is_(await receive(ws) == 'abc' * 50000, True,
                name + ': fragments of the service')

    async with connect('/g/ping') as ws:
        is_(await receive(ws), 'a pong came', 'guard: a ping by the service')

    for code in (1000, 1001, 1011, 3000, 4999):
        async with connect('/g/close?code=%d&reason=why' % code) as ws:
            is_([await closed(ws), ws.close_reason], [code, 'why'],
                'guard: the service closes with %d' % code)

        async with connect('/g/wait?%d' % code) as ws:
            await ws.close(code, 'why')

        is_(await ended('/wait?%d' % code), code,
            'guard: the client closes with %d' % code)

    async with connect('/g/die') as ws:
        is_(await closed(ws), 1006, 'guard: the service dies')

    async with connect('/g/wait?die') as ws:
        ws.transport.abort()

    is_(await ended('/wait?die'), 1006, 'guard: the client dies')

    context = ssl.create_default_context(cafile=where['ca'])

    async with connect('/g/echo', ssl=context,
                       server_hostname='localhost') as ws:
        await ws.send('z' * 100000)
        is_(len(await receive(ws)), 100000, 'guard: TLS')


async def rules():
    for at, options in (('small', {}), ('smalldeflate', {}),
                        ('smalldeflate', dict(compression='deflate'))):
        name = '%s %s' % (at, options or '')

        async with connect('/%s/echo?%s' % (at, name[-9:-2]),
                           **options) as ws:
            await ws.send('x' * 1024)
            is_(len(await receive(ws)), 1024, name + ': as large as may be')
            await ws.send('x' * 1025)
            is_(await closed(ws), 1009, name + ': larger')

        is_(await ended('/echo?%s' % name[-9:-2]), 1009,
            name + ': the service is told')

    async with connect('/protocols/echo',
                       subprotocols=['other', 'v2.chat', 'chat']) as ws:
        is_(ws.subprotocol, 'v2.chat', 'subprotocols')

    for origin, want in (('https://app.example.com', 'open'),
                         ('https://evil.example.com', 403)):
        is_(await refused('/origins/echo', origin=origin), want,
            'origin ' + origin)

    async with connect('/limit/echo') as ws:
        for _ in range(7):
            await ws.send('x')

        is_(await closed(ws), 1008, 'too many messages')

    async with connect('/ping/echo', ping_interval=0.1) as ws:
        await asyncio.sleep(1.7)
        await ws.send('x')
        is_(await receive(ws), 'x', 'pings of three')

    async with connect('/idle/wait') as ws:
        is_(await closed(ws), 1001, 'idle')


async def crowd():
    async def one(i):
        right = 0

        async with connect('/deflate/echo' if i % 2 else '/g/echo',
                           compression='deflate' if i % 3 else None) as ws:
            for n in range(10):
                text = '%d %d ' % (i, n) + 'x' * i * n

                await ws.send(text)
                right += await receive(ws) == text

        return right + (ws.close_code == 1000)

    is_(sum(await asyncio.gather(*map(one, range(100)))), 100 * 11,
        '100 sockets at once')


# Requests, in threads.

def request(path, body):
    c = http.client.HTTPConnection('127.0.0.1', where['port'], timeout=20)
    headers = {}

    if body is not None:
        headers['Content-Type'] = ('text/plain' if isinstance(body, str)
                                   else 'application/octet-stream')

    c.request('GET' if body is None else 'POST', path,
              body.encode() if isinstance(body, str) else body, headers)
    answer = c.getresponse()
    result = [answer.status, answer.getheader('Content-Type'), answer.read()]
    c.close()

    return result


async def post(path, body=None):
    return await asyncio.get_running_loop().run_in_executor(
        threads, request, path, body)


async def pass_():
    for at in ('p', 'pdeflate', 'ptls'):
        for message in ('{"a": [1.0]}', 'grüße', '1', 'x' * 1000000):
            status, kind, body = await post('/%s/echo' % at, message)

            is_([status, kind, body.decode() == message],
                [200, 'application/json' if message[0] in '{1'
                 else 'text/plain; charset=utf-8', True],
                'pass: %s %s' % (at, message[:10]))

        status, kind, body = await post('/%s/parts' % at, b'\x00\xff' * 50000)
        is_([status, kind, body == b'\x00\xff' * 50000],
            [200, 'application/octet-stream', True],
            'pass: %s bytes, in fragments' % at)

    _, _, body = await post('/pheaders/head?x=1', 'x')
    is_(json.loads(body)['X-Told'], 'told 1', 'pass: set_header')

    status, kind, body = await post('/pcount/ticker?n=5', 'x')
    is_([status, kind, [json.loads(line)['i'] for line in body.split(b'\n')
                        if line]],
        [200, 'application/x-ndjson', [1, 2, 3]], 'pass: count')

    status, kind, body = await post('/pclose/ticker?n=4', 'x')
    is_([status, body.count(b'\n')], [200, 4], 'pass: until the end')

    for path, want in (('/p/die', 502), ('/p/close', 502),
                       ('/pverify/echo', 502), ('/ptimeout/wait', 504)):
        is_((await post(path, 'x'))[0], want, 'pass: ' + path)

    status, kind, body = await post('/psse/ticker?n=3')
    is_([status, kind.split(';')[0], body.count(b'\n\n'),
         body.count(b'data: ')],
        [200, 'text/event-stream', 3, 3], 'pass: sse')

    answers = await asyncio.gather(*(post('/pcorrelate/json',
                                          json.dumps(dict(id=i)))
                                     for i in range(100)))
    is_(sum(a[0] == 200 and json.loads(a[2]) == dict(id=i, reply=True)
            for i, a in enumerate(answers)), 100, 'correlate: 100 at once')


RUNS = {'guard': guard, 'rules': rules, 'crowd': crowd, 'pass': pass_}


async def main():
    global where

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)

    options = dict(compression='deflate', ping_interval=None,
                   max_size=8 << 20, close_timeout=5,
                   subprotocols=['v2.chat', 'chat', 'other'])

    plain = await websockets.serve(serve, '127.0.0.1', 0, **options)
    secret = await websockets.serve(serve, '127.0.0.1', 0, ssl=context,
                                    **options)

    say(dict(port=plain.sockets[0].getsockname()[1],
             tls=secret.sockets[0].getsockname()[1]))

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    while line := await reader.readline():
        where = json.loads(line)

        try:
            await RUNS[where['run']]()

        except Exception as e:
            is_('%s: %s' % (type(e).__name__, e), '',
                where['run'] + ': no exception')

        say(dict(done=True))


asyncio.run(main())
