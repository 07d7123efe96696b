# Clients of a chat of docs/examples/, for websocket_backends.t.
#
#     websocket_backends.py URL
#
# Each line that is printed is { name, got, want }.

import asyncio
import json
import sys

try:
    import websockets

except ImportError as e:
    sys.exit('the Python library websockets is missing: install Debian\'s '
             'package python3-websockets, or run "make deps" (%s)' % e)

from websockets.exceptions import ConnectionClosed, InvalidStatusCode

URL = sys.argv[1]


def is_(got, want, name):
    print(json.dumps(dict(name=name, got=got, want=want)), flush=True)


async def enter(name, room):
    return await websockets.connect('%s?name=%s&room=%s' % (URL, name, room))


async def say(ws, action, **more):
    await ws.send(json.dumps(dict(action=action, **more)))


# What comes next, without the space that one of the services puts into it

async def hear(ws):
    message = await asyncio.wait_for(ws.recv(), 5)

    return json.dumps(json.loads(message), separators=(',', ':'))


async def silent(ws):
    try:
        return await asyncio.wait_for(ws.recv(), 0.2)

    except asyncio.TimeoutError:
        return None


async def main():
    ann = await enter('ann', 'tea')
    bob = await enter('bob', 'tea')

    is_(await hear(ann), '{"joined":"bob"}', 'ann hears that bob came')

    await say(ann, 'say', text='hello')

    for ws in ann, bob:
        is_(await hear(ws), '{"from":"ann","text":"hello"}',
            'all in the room hear her')

    await say(bob, 'move', room='coffee')
    is_(await hear(bob), '{"room":"coffee"}', 'bob goes to another room')

    await say(ann, 'say', text='are you there?')
    is_(await hear(ann), '{"from":"ann","text":"are you there?"}',
        'only ann')
    is_(await silent(bob), None, 'hears her now')

    await say(bob, 'move', room='no such name')
    is_(await hear(bob), '{"error":{"status":400,"title":"Bad Request",'
        '"body":{"reason":"this is not the name of a room"}}}',
        'a refusal')

    await say(bob, 'remind', seconds=0.1, text='drink')
    is_(await hear(bob), '{"reminder":"drink"}', 'a reminder')

    for what in '{"action":"sing"}', '[1]', 'null', 'a text', b'\x00\xff':
        await ann.send(what)
        is_(await hear(ann), '{"error":{"status":400,"title":"Bad Request",'
            '"body":{"reason":"there is no such action"}}}',
            'what no route is for')

    await say(bob, 'leave')
    is_(await hear(bob), '{"left":true}', 'bob leaves')

    try:
        await bob.recv()

    except ConnectionClosed as e:
        is_('%d %s' % (e.code, e.reason), '1000 see you', 'with a Close')

    eve = await enter('eve', 'tea')

    is_(await hear(ann), '{"joined":"eve"}', 'eve comes')
    eve.transport.abort()
    is_(await hear(ann), '{"left":"eve"}', 'and is lost')

    for query in '', '?name=a%20b', '?name=ann&room=':
        try:
            await websockets.connect(URL + query)

        except InvalidStatusCode as e:
            is_(e.status_code, 403, 'who has no good name stays out')

        else:
            is_('', 403, 'who has no good name stays out')

    await ann.close()

asyncio.run(asyncio.wait_for(main(), 30))
