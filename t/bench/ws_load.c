
/*
 * Load for what carries WebSockets: one message or request after the other on
 * each of some connections, and every answer compared with what was sent.
 *
 *     ws_load ws|deflate|post PORT PATH SIZE CONNECTIONS SECONDSs|COUNT
 *     answered N seconds S p50 US p99 US max US
 *
 *         ws: masked text messages of SIZE bytes, each with an id of its own.
 *         deflate: one such message, compressed with permessage-deflate.
 *         post: requests with such messages as bodies.
 *
 *     ws_load idle PORT PATH SIZE CONNECTIONS ATONCE
 *     ready
 *
 *         Sockets with one message each that was echoed, until it is killed.
 *         ATONCE of them at most wait for an echo; 0: all of them.
 *
 * The first thing that goes wrong is an error, and the last one.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zlib.h>


#define LARGEST  65536
#define HEAD     1024
#define TIMES    (4 * 1024 * 1024)
#define EVENTS   256
#define PATIENCE 10000          /* milliseconds */

/* the sample key and its answer in RFC 6455, section 1.3 */

#define KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define ID       "{\"id\":\"c"
#define ID_ROOM  "{\"id\":\"c01234-0123456789\",\"x\":\""


typedef enum { WS, DEFLATE, POST, IDLE } load_mode_t;


typedef struct {
    int        fd;
    int        number;
    int        is_open;         /* the handshake is over */
    uint32_t   count;
    int64_t    sent_at;

    char      *message;         /* with an id, or compressed */
    size_t     size;
    char      *out;
    size_t     out_len;
    size_t     out_sent;
    char      *in;
    size_t     in_len;
} connection_t;


static void start(connection_t *c, int number);
static void event(connection_t *c);
static int receive(connection_t *c);
static int opened(connection_t *c);
static int echoed(connection_t *c);
static int answered(connection_t *c);
static int compare(connection_t *c, size_t at, size_t len);
static void next(connection_t *c);
static void send_some(connection_t *c);
static void make_message(connection_t *c);
static void number_message(connection_t *c);
static void compress_message(connection_t *c);
static void mask(char *out, const char *from, size_t len);
static size_t frame_header(uint8_t *out, uint8_t first, uint8_t is_masked,
    size_t len);
static void report(double seconds);
static int longer(const void *one, const void *two);
static int64_t now(void);
static void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));


static load_mode_t   mode;
static const char   *port, *path;
static size_t        size;
static int           nconnections, nbusy, epoll;

static uint32_t     *times;
static uint64_t      nanswered, nsent, count;
static int64_t       until;

static char          request_head[HEAD];
static size_t        request_head_len;


int
main(int argc, char **argv)
{
    int                  i, n, atonce, nstarted;
    char                *unit;
    int64_t              begun;
    connection_t        *connections;
    struct rlimit        limit;
    struct epoll_event   events[EVENTS];

    if (argc != 7) {
        fprintf(stderr, "usage: ws_load ws|deflate|post|idle PORT PATH SIZE "
                        "CONNECTIONS SECONDSs|COUNT\n");
        return 2;
    }

    mode = strcmp(argv[1], "post") == 0 ? POST
           : strcmp(argv[1], "idle") == 0 ? IDLE
           : strcmp(argv[1], "deflate") == 0 ? DEFLATE : WS;
    port = argv[2];
    path = argv[3];
    size = strtoul(argv[4], NULL, 10);
    nconnections = atoi(argv[5]);

    if (size < sizeof(ID_ROOM) + 2 || size > LARGEST || nconnections < 1) {
        fail("a message has %zu to %d bytes", sizeof(ID_ROOM) + 2, LARGEST);
    }

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    request_head_len = (size_t) snprintf(request_head, HEAD,
        "POST %s HTTP/1.1\r\nHost: bench.example\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        path, size);

    times = malloc(TIMES * sizeof(uint32_t));
    connections = calloc((size_t) nconnections, sizeof(connection_t));
    epoll = epoll_create1(0);

    if (times == NULL || connections == NULL || request_head_len >= HEAD) {
        fail("no memory");
    }

    begun = now();
    count = strtoul(argv[6], &unit, 10);
    atonce = nconnections;

    if (*unit == 's') {
        until = begun + (int64_t) count * 1000000000;
        count = UINT64_MAX;

    } else if (mode == IDLE) {
        atonce = count ? (int) count : nconnections;
        count = (uint64_t) nconnections;
    }

    nstarted = 0;

    do {
        while (nstarted < nconnections && nbusy < atonce) {
            start(&connections[nstarted], nstarted);
            nstarted++;
        }

        n = epoll_wait(epoll, events, EVENTS, PATIENCE);

        if (n == 0) {
            fail("nothing comes, after %llu answers",
                 (unsigned long long) nanswered);
        }

        for (i = 0; i < n; i++) {
            event(events[i].data.ptr);
        }

    } while (nbusy || nstarted < nconnections);

    if (mode == IDLE) {
        printf("ready\n");
        fflush(stdout);
        pause();
    }

    report((double) (now() - begun) / 1e9);

    return 0;
}


static void
start(connection_t *c, int number)
{
    int                 one;
    struct sockaddr_in  sin;
    struct epoll_event  ev;

    one = 1;
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->number = number;
    c->message = malloc(LARGEST + HEAD);
    c->out = malloc(LARGEST + HEAD);
    c->in = malloc(LARGEST + HEAD);

    if (c->message == NULL || c->out == NULL || c->in == NULL) {
        fail("no memory");
    }

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) != 0) {
        fail("connect(): %s", strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);

    ev.events = EPOLLIN|EPOLLOUT|EPOLLET;
    ev.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
        fail("epoll_ctl(): %s", strerror(errno));
    }

    c->size = size;
    make_message(c);

    nbusy++;

    if (mode == POST) {
        c->is_open = 1;
        next(c);
        return;
    }

    if (mode == DEFLATE) {
        compress_message(c);
    }

    c->out_len = (size_t) snprintf(c->out, HEAD,
        "GET %s HTTP/1.1\r\nHost: bench.example\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s\r\n",
        path, mode == DEFLATE
        ? "Sec-WebSocket-Extensions: permessage-deflate; "
          "client_no_context_takeover; server_no_context_takeover\r\n"
        : "");

    send_some(c);
}


static void
event(connection_t *c)
{
    size_t  room;

    if (c->out_sent < c->out_len) {
        send_some(c);
    }

    /* edges: what fills the buffer may not have been all */

    do {
        room = LARGEST + HEAD - c->in_len;

        if (!receive(c)) {
            return;
        }

        if (!c->is_open) {

            if (opened(c)) {
                next(c);
            }

            continue;
        }

        if (mode == POST ? answered(c) : echoed(c)) {

            if (nanswered < TIMES) {
                times[nanswered] = (uint32_t) (now() - c->sent_at);
            }

            nanswered++;
            next(c);
        }

    } while (c->in_len == room);
}


static int
receive(connection_t *c)
{
    ssize_t  n;

    n = recv(c->fd, c->in + c->in_len, LARGEST + HEAD - c->in_len, 0);

    if (n == -1 && errno == EAGAIN) {
        return 0;
    }

    if (n == -1) {
        fail("recv(): %s", strerror(errno));
    }

    if (n == 0) {
        fail("connection %d is closed after %u answers and \"%.*s\"",
             c->number, c->count, (int) c->in_len, c->in);
    }

    c->in_len += (size_t) n;

    return 1;
}


static int
opened(connection_t *c)
{
    char  *end;

    end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    if (end + 4 != c->in + c->in_len
        || strncmp(c->in, "HTTP/1.1 101 ", 13) != 0
        || memmem(c->in, c->in_len, ACCEPT, sizeof(ACCEPT) - 1) == NULL
        || (memmem(c->in, c->in_len, "permessage-deflate; ", 20) != NULL)
           != (mode == DEFLATE))
    {
        fail("handshake: %.*s", (int) c->in_len, c->in);
    }

    c->in_len = 0;
    c->is_open = 1;

    return 1;
}


static int
echoed(connection_t *c)
{
    size_t   n;
    uint8_t  head[16];

    n = frame_header(head, mode == DEFLATE ? 0xc1 : 0x81, 0, c->size);

    if (c->in_len < n) {
        return 0;
    }

    if (memcmp(c->in, head, n) != 0) {
        fail("connection %d, message %u: a frame that begins with "
             "%02x %02x %02x %02x", c->number, c->count, (uint8_t) c->in[0],
             (uint8_t) c->in[1], (uint8_t) c->in[2], (uint8_t) c->in[3]);
    }

    return compare(c, n, n + c->size);
}


static int
answered(connection_t *c)
{
    char    *end, *length;
    size_t   n;

    end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    n = (size_t) (end + 4 - c->in);
    length = memmem(c->in, n, "\r\nContent-Length: ", 18);

    if (strncmp(c->in, "HTTP/1.1 200 ", 13) != 0 || length == NULL
        || strtoul(length + 18, NULL, 10) != size)
    {
        fail("connection %d, request %u: %.*s", c->number, c->count,
             (int) c->in_len, c->in);
    }

    return compare(c, n, n + c->size);
}


static int
compare(connection_t *c, size_t at, size_t len)
{
    if (c->in_len < len) {
        return 0;
    }

    if (c->in_len > len || memcmp(c->in + at, c->message, c->size) != 0) {
        fail("connection %d, %u: \"%.*s\" instead of \"%.*s\"", c->number,
             c->count, (int) (c->in_len - at), c->in + at, (int) c->size,
             c->message);
    }

    c->in_len = 0;

    return 1;
}


static void
next(connection_t *c)
{
    size_t  n;

    c->sent_at = now();

    if (nsent >= count || (until && c->sent_at >= until)
        || (mode == IDLE && c->count))
    {
        nbusy--;
        return;
    }

    nsent++;
    c->count++;

    if (mode != DEFLATE) {
        number_message(c);
    }

    if (mode == POST) {
        memcpy(c->out, request_head, request_head_len);
        memcpy(c->out + request_head_len, c->message, size);
        c->out_len = request_head_len + size;

    } else {
        n = frame_header((uint8_t *) c->out, mode == DEFLATE ? 0xc1 : 0x81,
                         0x80, c->size);
        mask(c->out + n, c->message, c->size);
        c->out_len = n + 4 + c->size;
    }

    c->out_sent = 0;
    send_some(c);
}


static void
send_some(connection_t *c)
{
    ssize_t  n;

    while (c->out_sent < c->out_len) {

        n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
                 MSG_NOSIGNAL);

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n == -1) {
            fail("send(): %s", strerror(errno));
        }

        c->out_sent += (size_t) n;
    }
}


/* letters, for there to be something to compress */

static void
make_message(connection_t *c)
{
    size_t           i;
    static uint32_t  seed = 4711;

    for (i = 0; i < size; i++) {
        seed = seed * 1103515245 + 12345;
        c->message[i] = (char) ('a' + (seed >> 16) % 26);
    }

    memcpy(c->message, ID_ROOM, sizeof(ID_ROOM) - 1);
    memcpy(c->message + size - 2, "\"}", 2);

    number_message(c);
}


static void
number_message(connection_t *c)
{
    int       i;
    char     *p;
    uint32_t  n;

    p = c->message + sizeof(ID) - 1;

    for (i = 4, n = (uint32_t) c->number; i >= 0; i--, n /= 10) {
        p[i] = (char) ('0' + n % 10);
    }

    for (i = 15, n = c->count; i >= 6; i--, n /= 10) {
        p[i] = (char) ('0' + n % 10);
    }
}


/* deflate with the empty block behind it left away: RFC 7692, 7.2.1 */

static void
compress_message(connection_t *c)
{
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        fail("deflateInit2()");
    }

    z.next_in = (Bytef *) c->message;
    z.avail_in = (uInt) size;
    z.next_out = (Bytef *) c->out;
    z.avail_out = LARGEST + HEAD;

    if (deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.total_out < 5) {
        fail("deflate()");
    }

    c->size = z.total_out - 4;
    memcpy(c->message, c->out, c->size);

    (void) deflateEnd(&z);
}


static void
mask(char *out, const char *from, size_t len)
{
    size_t           i;
    uint64_t         word, twice;
    static uint32_t  key = 2463534242;

    key ^= key << 13;
    key ^= key >> 17;
    key ^= key << 5;

    memcpy(out, &key, 4);
    out += 4;
    twice = (uint64_t) key << 32 | key;

    for (i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= twice;
        memcpy(out + i, &word, 8);
    }

    for ( /* void */ ; i < len; i++) {
        out[i] = (char) (from[i] ^ ((uint8_t *) &key)[i & 3]);
    }
}


static size_t
frame_header(uint8_t *out, uint8_t first, uint8_t is_masked, size_t len)
{
    size_t  n, i;

    out[0] = first;

    if (len < 126) {
        out[1] = (uint8_t) (is_masked | len);
        return 2;
    }

    n = len < 65536 ? 2 : 8;
    out[1] = (uint8_t) (is_masked | (n == 2 ? 126 : 127));

    for (i = 0; i < n; i++) {
        out[2 + i] = (uint8_t) (len >> (8 * (n - 1 - i)));
    }

    return 2 + n;
}


static void
report(double seconds)
{
    size_t  n;

    n = nanswered < TIMES ? nanswered : TIMES;

    if (n == 0) {
        fail("no answers");
    }

    qsort(times, n, sizeof(uint32_t), longer);

    printf("answered %llu seconds %.3f p50 %.1f p99 %.1f max %.1f\n",
           (unsigned long long) nanswered, seconds, times[n / 2] / 1e3,
           times[n * 99 / 100] / 1e3, times[n - 1] / 1e3);
}


static int
longer(const void *one, const void *two)
{
    const uint32_t  *a = one, *b = two;

    return (*a > *b) - (*a < *b);
}


static int64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
fail(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    fprintf(stderr, "ws_load: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    exit(1);
}
