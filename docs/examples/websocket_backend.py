#!/usr/bin/python3

"""A chat whose clients speak WebSocket, and which itself speaks only HTTP:
nginx with gateway_websocket_serve is between them.  It keeps nothing of a
client in its memory, so that any number of these may run.

    websocket_backend.py [PORT [PUSH]]

PORT is where it listens, on 127.0.0.1; PUSH is the URL of the gateway's
location with gateway_websocket_push.  See conf.example/chat.conf.
"""

import json
import re
import sys
import threading
import urllib.error
import urllib.request

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8092
PUSH = sys.argv[2] if len(sys.argv) > 2 else 'http://127.0.0.1:8091/push'

NAME = re.compile(r'[A-Za-z0-9_-]{1,20}')


# Each function gets what was asked and returns an answer: a status, header
# fields, and what goes to the client as a message, if anything does.

def connect(ask):
    """Before the WebSocket is open.  A status other than 2xx refuses it."""

    name = ask.query.get('name', [''])[0]
    room = ask.query.get('room', ['lobby'])[0]

    if not NAME.fullmatch(name) or not NAME.fullmatch(room):
        return 403, [], None

    push('groups/' + room, {'joined': name})

    # The state comes back with each request of this connection.

    return 204, [('Gateway-Groups', room),
                 ('Gateway-Set-State', 'name=' + name),
                 ('Gateway-Set-State', 'room=' + room)], None


def say(ask):
    """To all in the room, also to who says it."""

    push('groups/' + ask.state['room'],
         {'from': ask.state['name'], 'text': ask.message.get('text')})

    return 204, [], None


def move(ask):
    """Into another room; the message that is returned is the answer."""

    old, new = ask.state['room'], str(ask.message.get('room', ''))

    if not NAME.fullmatch(new):
        return 400, [], {'reason': 'this is not the name of a room'}

    return 200, [('Gateway-Groups', '-%s,%s' % (old, new)),
                 ('Gateway-Set-State', 'room=' + new)], {'room': new}


def remind(ask):
    """Later, to this one connection, if it is still there."""

    seconds = ask.message.get('seconds', 1)

    if not isinstance(seconds, (int, float)) or not 0 < seconds <= 3600:
        return 400, [], {'reason': 'this is not a time'}

    later = threading.Timer(seconds, push, [ask.connection,
                            {'reminder': ask.message.get('text')}])
    later.daemon = True
    later.start()

    return 204, [], None


def leave(ask):
    """The WebSocket is closed when the message has been sent."""

    return 200, [('Gateway-Close', '1000 see you')], {'left': True}


def disconnect(ask):
    """After the end of a connection, however it came.  No one gets a message
    that is returned here."""

    push('groups/' + ask.state['room'], {'left': ask.state['name']})

    return 204, [], None


def other(ask):
    """What no route is for.  The client gets a message with the error."""

    return 400, [], {'reason': 'there is no such action'}


ROUTES = {
    '/connect': connect,
    '/say': say,
    '/move': move,
    '/remind': remind,
    '/leave': leave,
    '/disconnect': disconnect,
}


def push(to, message):
    """A message to a connection, or to a group of them."""

    request = urllib.request.Request(
        PUSH + '/' + to, data=json.dumps(message).encode(), method='POST',
        headers={'Content-Type': 'application/json'})

    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)['reached']

    except urllib.error.HTTPError as e:
        if e.code != 410:       # 410: it is gone, which is no error
            print('push:', e, file=sys.stderr)

    except OSError as e:
        print('push:', e, file=sys.stderr)

    return 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1               # header and body in one write

    def do_POST(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))

        self.query = parse_qs(url.query, keep_blank_values=True)
        self.connection = self.headers['Gateway-Connection-Id']
        self.state = dict(pair.split('=', 1) for pair in
                          self.headers.get('Gateway-State', '').split('; ')
                          if pair)

        # Messages that are JSON are said to be so.

        self.message = {}

        if self.headers.get('Content-Type') == 'application/json':
            message = json.loads(body)

            if isinstance(message, dict):
                self.message = message

        status, fields, answer = ROUTES.get(url.path, other)(self)
        data = b'' if answer is None else json.dumps(answer).encode()

        self.send_response(status)

        for name, value in fields:
            self.send_header(name, value)

        if data:
            self.send_header('Content-Type', 'application/json')

        if status != 204:
            self.send_header('Content-Length', str(len(data)))

        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(('127.0.0.1', PORT), Handler).serve_forever()
