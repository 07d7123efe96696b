
/*
 * A backend for WebSockets and for requests, which says what it was told.
 *
 *     ws_echo PORT
 *
 *         A request with "Upgrade" becomes a WebSocket: each frame is sent
 *         back unmasked, with the opcode, FIN and RSV1 that it had, a ping is
 *         answered, and so is a close.  With permessage-deflate and without
 *         context takeover what was compressed is valid as it is.
 *
 *         GET /tick/COUNT/SIZE with "Upgrade" gets COUNT text messages of
 *         SIZE bytes as fast as they are read, numbered from 1, and a close.
 *
 *         Any other request is answered with the body that it had, as JSON,
 *         or as application/websocket-events if it is that: then an OPEN is
 *         accepted and a message comes back; a POST of /events has to be
 *         that.  The connection is kept unless the request is of HTTP/1.0 or
 *         says "Connection: close".
 *
 * It reads from a connection only when all that it said there is sent.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>


#define IN      16384
#define OUT     (IN + 4096)
#define HEAD    1024            /* the most that is said before a body */
#define EVENTS  256

#define TEXT    0x1
#define CLOSE   0x8
#define PING    0x9
#define PONG    0xa

#define EVENTS_TYPE  "application/websocket-events"
#define GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


typedef struct {
    int        fd;
    int        is_socket;
    int        readable;
    int        lost;            /* the peer will send no more */
    int        last;            /* close when all is sent */

    uint64_t   rest;            /* of a body or of a frame's payload */
    uint8_t    key[4];
    uint32_t   key_at;

    uint32_t   tick, ticks;
    size_t     tick_size;

    size_t     in_len;
    size_t     out_len;
    size_t     out_sent;
    char       in[IN];
    char       out[OUT];
} connection_t;


static void serve(connection_t *c);
static int flush(connection_t *c);
static int receive(connection_t *c);
static size_t request(connection_t *c, char *from, size_t len);
static void upgrade(connection_t *c, char *head, char *key);
static size_t frame(connection_t *c, const uint8_t *from, size_t len);
static size_t payload(connection_t *c, const char *from, size_t len);
static void ticks(connection_t *c);
static size_t header(char *out, uint8_t first, uint64_t size);
static void accept_all(int epoll, int listening);
static void leave(connection_t *c);
static int listener(const char *port);
static void fail(const char *what);


int
main(int argc, char **argv)
{
    int                 i, n, epoll, listening;
    connection_t       *c;
    struct rlimit       limit;
    struct epoll_event  ev, events[EVENTS];

    if (argc != 2) {
        fprintf(stderr, "usage: ws_echo PORT\n");
        return 2;
    }

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    epoll = epoll_create1(0);
    listening = listener(argv[1]);

    ev.events = EPOLLIN;
    ev.data.ptr = NULL;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &ev) != 0) {
        fail("epoll_ctl()");
    }

    for ( ;; ) {
        n = epoll_wait(epoll, events, EVENTS, -1);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c == NULL) {
                accept_all(epoll, listening);
                continue;
            }

            if (events[i].events & EPOLLIN) {
                c->readable = 1;
            }

            if (events[i].events & (EPOLLRDHUP|EPOLLHUP|EPOLLERR)) {
                c->readable = 1;
                c->lost = 1;
            }

            serve(c);
        }
    }
}


static void
serve(connection_t *c)
{
    size_t  at, n;

    for ( ;; ) {

        if (!flush(c)) {
            return;
        }

        /* what was left for want of room, then what has come meanwhile */

        for (at = 0; at < c->in_len && OUT - c->out_len >= HEAD; at += n) {

            if (c->last && c->rest == 0) {
                n = c->in_len - at;

            } else if (c->rest != 0) {
                n = payload(c, c->in + at, c->in_len - at);

            } else if (c->is_socket) {
                n = frame(c, (uint8_t *) c->in + at, c->in_len - at);

            } else {
                n = request(c, c->in + at, c->in_len - at);
            }

            if (n == 0) {
                break;
            }
        }

        c->in_len -= at;
        memmove(c->in, c->in + at, c->in_len);

        if (c->tick < c->ticks && !c->last) {
            ticks(c);
        }

        if (c->out_len != 0) {
            continue;
        }

        if ((c->last && c->rest == 0) || (at == 0 && c->in_len == IN)) {
            leave(c);
            return;
        }

        if (!receive(c)) {
            return;
        }
    }
}


/* whether all is sent, and more can be said */

static int
flush(connection_t *c)
{
    ssize_t  n;

    while (c->out_sent < c->out_len) {

        n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
                 MSG_NOSIGNAL);

        if (n == -1) {
            if (errno != EAGAIN) {
                leave(c);
                return 0;
            }

            /* a peer that only leaves is to be noticed */

            if (c->lost && c->ticks) {
                leave(c);
            }

            return 0;
        }

        c->out_sent += (size_t) n;
    }

    c->out_len = 0;
    c->out_sent = 0;

    return 1;
}


static int
receive(connection_t *c)
{
    size_t   room;
    ssize_t  n;

    if (!c->readable) {
        return 0;
    }

    room = IN - c->in_len;
    n = recv(c->fd, c->in + c->in_len, room, 0);

    if (n == -1 && errno == EAGAIN) {
        c->readable = 0;
        return 0;
    }

    if (n <= 0) {
        leave(c);
        return 0;
    }

    /* there is more, or there will be an event of its own */

    if ((size_t) n < room && !c->lost) {
        c->readable = 0;
    }

    c->in_len += (size_t) n;

    return 1;
}


/* the length of a request's head, or 0 when it is not there yet */

static size_t
request(connection_t *c, char *from, size_t len)
{
    char    *end, *length, *key, *type, saved;
    size_t   n;

    end = memmem(from, len, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    end += 4;
    n = (size_t) (end - from);

    saved = end[-1];
    end[-1] = '\0';

    key = strcasestr(from, "\r\nSec-WebSocket-Key: ");

    if (key != NULL && strncmp(from, "GET ", 4) == 0) {
        upgrade(c, from, key + sizeof("\r\nSec-WebSocket-Key: ") - 1);
        end[-1] = saved;
        return n;
    }

    length = strcasestr(from, "\r\nContent-Length: ");

    if (length != NULL) {
        c->rest = strtoull(length + sizeof("\r\nContent-Length: ") - 1, NULL,
                           10);
    }

    /* the body is said in one go with the head when it fits */

    if (c->rest <= IN / 2 && len - n < c->rest) {
        c->rest = 0;
        end[-1] = saved;
        return 0;
    }

    if (strcasestr(from, "\r\nConnection: close")
        || strstr(from, " HTTP/1.0\r\n"))
    {
        c->last = 1;
    }

    type = strcasestr(from, "\r\nContent-Type: " EVENTS_TYPE)
           ? EVENTS_TYPE : "application/json";

    if (strncmp(from, "POST /events ", 13) == 0 && type[12] != 'w') {
        c->last = 1;
        c->rest = 0;
        return len;
    }

    end[-1] = saved;

    c->out_len += (size_t) snprintf(c->out + c->out_len, HEAD,
                                    "HTTP/1.1 200 OK\r\n"
                                    "Content-Type: %s\r\n"
                                    "Content-Length: %llu\r\n%s\r\n",
                                    type,
                                    (unsigned long long) c->rest,
                                    c->last ? "Connection: close\r\n" : "");

    return n;
}


static void
upgrade(connection_t *c, char *head, char *key)
{
    size_t         len;
    char           text[256];
    unsigned char  digest[SHA_DIGEST_LENGTH], accept[64];

    len = strcspn(key, "\r\n");

    if (len > 64) {
        c->last = 1;
        return;
    }

    memcpy(text, key, len);
    memcpy(text + len, GUID, sizeof(GUID) - 1);

    SHA1((unsigned char *) text, len + sizeof(GUID) - 1, digest);
    EVP_EncodeBlock(accept, digest, SHA_DIGEST_LENGTH);

    c->is_socket = 1;
    c->out_len += (size_t) snprintf(c->out + c->out_len, HEAD,
                                    "HTTP/1.1 101 Switching Protocols\r\n"
                                    "Upgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "%s"
                                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                                    strstr(head, "permessage-deflate")
                                    ? "Sec-WebSocket-Extensions: "
                                      "permessage-deflate; "
                                      "server_no_context_takeover; "
                                      "client_no_context_takeover\r\n"
                                    : "",
                                    accept);

    if (sscanf(head, "GET /tick/%u/%zu ", &c->ticks, &c->tick_size) == 2
        && (c->tick_size < sizeof("{\"tick\":0123456789}")
            || c->tick_size > HEAD))
    {
        c->last = 1;
    }
}


/* the length of a frame's head, or of a whole control frame */

static size_t
frame(connection_t *c, const uint8_t *from, size_t len)
{
    size_t    n, i;
    uint64_t  size;
    uint8_t   opcode;

    if (len < 2) {
        return 0;
    }

    size = from[1] & 0x7f;
    n = size == 126 ? 8 : size == 127 ? 14 : 6;

    if (len < n) {
        return 0;
    }

    if (!(from[1] & 0x80)) {
        c->last = 1;
        return len;
    }

    if (n > 6) {
        for (size = 0, i = 2; i < n - 4; i++) {
            size = size << 8 | from[i];
        }
    }

    opcode = from[0] & 0x0f;

    if (((opcode & CLOSE) || c->ticks) && len < n + size) {
        return 0;
    }

    if (c->ticks && opcode == CLOSE) {
        c->last = 1;
        return len;
    }

    if (opcode == PONG || (c->ticks && opcode < CLOSE)) {
        return n + (size_t) size;
    }

    memcpy(c->key, from + n - 4, 4);
    c->key_at = 0;

    c->out_len += header(c->out + c->out_len,
                         opcode == PING ? 0x80 | PONG : from[0], size);
    c->rest = size;

    if (opcode == CLOSE) {
        payload(c, (const char *) from + n, len - n);
        c->last = 1;
        return len;
    }

    return n;
}


static size_t
payload(connection_t *c, const char *from, size_t len)
{
    char      *out;
    size_t     n, i;
    uint64_t   key, word;

    n = OUT - c->out_len;

    if (n > len) {
        n = len;
    }

    if (n > c->rest) {
        n = (size_t) c->rest;
    }

    out = c->out + c->out_len;
    c->out_len += n;
    c->rest -= n;

    if (!c->is_socket) {
        memcpy(out, from, n);
        return n;
    }

    for (i = 0; i < 8; i++) {
        ((uint8_t *) &key)[i] = c->key[(c->key_at + i) & 3];
    }

    for (i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= key;
        memcpy(out + i, &word, 8);
    }

    for ( /* void */ ; i < n; i++) {
        out[i] = (char) (from[i] ^ c->key[(c->key_at + i) & 3]);
    }

    c->key_at += (uint32_t) n;

    return n;
}


static void
ticks(connection_t *c)
{
    char  *p;

    while (c->tick < c->ticks && OUT - c->out_len >= c->tick_size + HEAD) {

        p = c->out + c->out_len;
        p += header(p, 0x80 | TEXT, c->tick_size);

        memset(p, ' ', c->tick_size);
        p[sprintf(p, "{\"tick\":%010u", ++c->tick)] = ' ';
        p[c->tick_size - 1] = '}';

        c->out_len = (size_t) (p + c->tick_size - c->out);
    }

    if (c->tick == c->ticks) {
        memcpy(c->out + c->out_len, "\x88\x02\x03\xe8", 4);
        c->out_len += 4;
    }
}


static size_t
header(char *out, uint8_t first, uint64_t size)
{
    size_t  n, i;

    out[0] = (char) first;

    if (size < 126) {
        out[1] = (char) size;
        return 2;
    }

    n = size < 65536 ? 2 : 8;
    out[1] = (char) (n == 2 ? 126 : 127);

    for (i = 0; i < n; i++) {
        out[2 + i] = (char) (size >> (8 * (n - 1 - i)));
    }

    return 2 + n;
}


static void
accept_all(int epoll, int listening)
{
    int                  fd, one;
    connection_t        *c;
    struct epoll_event   ev;

    one = 1;

    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) != -1) {

        c = malloc(sizeof(connection_t));

        if (c == NULL) {
            fail("malloc()");
        }

        memset(c, 0, offsetof(connection_t, in));
        c->fd = fd;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

        ev.events = EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET;
        ev.data.ptr = c;

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
            fail("epoll_ctl()");
        }
    }
}


static void
leave(connection_t *c)
{
    close(c->fd);
    free(c);
}


static int
listener(const char *port)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    one = 1;
    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
        || listen(fd, 1024) != 0)
    {
        fail("listen()");
    }

    return fd;
}


static void
fail(const char *what)
{
    fprintf(stderr, "ws_echo: %s: %s\n", what, strerror(errno));
    exit(1);
}
