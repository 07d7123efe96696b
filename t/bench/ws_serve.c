
/*
 * Clients of served WebSockets, for what is neither a rate nor a ratio.
 *
 *     ws_serve pipe PORT PATH SIZE OUTSTANDING MARK...
 *     at N seconds S
 *
 *         One socket, on which OUTSTANDING messages of SIZE bytes are on their
 *         way at once and come back as they are, in any order.  At each MARK,
 *         a number of messages, all of them are waited for, a line is
 *         printed, and nothing is sent for a quarter of a second.
 *
 *     ws_serve group PORT PATH SIZE CONNECTIONS PUSH ROUNDS
 *     round N first MS last MS answer MS
 *
 *         CONNECTIONS sockets, and one message of SIZE bytes that is posted to
 *         PUSH in each round: when the first and the last of the sockets had
 *         it, and when the POST was answered, from the moment before it is
 *         sent.
 *
 *     ws_serve id PORT PATH SIZE CONNECTIONS PUSH COUNT RATE
 *     other N of N p50 US p99 US max US answer p50 US p99 US max US
 *
 *         A message on each socket is answered "ID WORKER", and so is a GET of
 *         PUSH with "WORKER".  COUNT messages are posted to PUSH/ID, RATE of
 *         them in a second, for IDs of which the worker is another one; times
 *         are from the moment at which the POST was due.
 *
 * All that comes is compared with what has to come.  The first thing that goes
 * wrong is an error, and the last one.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
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


#define LARGEST      4096
#define HEAD         1024
#define IN           65536
#define EVENTS       256
#define OPENING      64             /* handshakes at once */
#define OUTSTANDING  1024
#define PATIENCE     10000          /* milliseconds */
#define PAUSE        250000         /* microseconds */

/* the sample key and its answer in RFC 6455, section 1.3 */

#define KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define MESSAGE  "{\"id\":\"c00000-0000000000\",\"x\":\""
#define NUMBER   8                  /* where these stand in it */
#define COUNT    14


typedef struct {
    int        fd;
    int        is_open;
    uint32_t   expected;            /* the round that it waits for */
    size_t     room;
    size_t     len;
    size_t     size;                /* of the frame's payload */
    char      *in;
    char       id[33];
    char       worker[24];
} connection_t;


static void pipe_messages(connection_t *c, int window, char **marks);
static size_t outgoing(char *out, int window);
static void returned(const char *from, size_t len, int window);
static void push_group(int n, int rounds);
static void push_ids(connection_t *sockets, int n, int count, int rate);
static void open_all(connection_t *sockets, int n);
static void ask_worker(connection_t *c);
static void start(connection_t *c, size_t size);
static int receive(connection_t *c);
static int opened(connection_t *c);
static size_t frame(connection_t *c, char **payload);
static void take(connection_t *c, size_t len);
static void post(const char *path, uint32_t round);
static size_t answered(connection_t *c, char **body);
static int wait_events(int timeout);
static void make_message(char *message, uint32_t number, uint32_t count);
static void digits(char *to, int n, uint32_t value);
static size_t frame_header(uint8_t *out, size_t len);
static void say(connection_t *c, const char *data, size_t len);
static void spread(const char *name, uint32_t *times, int n);
static int longer(const void *one, const void *two);
static int64_t now(void);
static void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));


static const char          *port, *path, *push;
static size_t               size;
static int                  epoll, current;
static struct epoll_event   events[EVENTS];
static connection_t         pusher;

/* pipe: which message is on its way in each of the places, 0 for none */

static uint32_t             places[OUTSTANDING];
static uint64_t             nsent, nreturned, until;


int
main(int argc, char **argv)
{
    int             n;
    connection_t   *sockets;
    struct rlimit   limit;

    if (argc < 7) {
        fail("arguments are missing: see the comment in its source");
    }

    setvbuf(stdout, NULL, _IOLBF, 0);

    port = argv[2];
    path = argv[3];
    size = strtoul(argv[4], NULL, 10);
    n = atoi(argv[5]);
    push = argv[6];

    if (size < sizeof(MESSAGE) + 2 || size > LARGEST || n < 1) {
        fail("a message has %zu to %d bytes", sizeof(MESSAGE) + 2, LARGEST);
    }

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    epoll = epoll_create1(0);
    sockets = calloc((size_t) n, sizeof(connection_t));

    if (epoll == -1 || sockets == NULL) {
        fail("no memory");

    } else if (strcmp(argv[1], "pipe") == 0) {
        open_all(sockets, 1);
        pipe_messages(sockets, n < OUTSTANDING ? n : OUTSTANDING, argv + 6);

    } else if (strcmp(argv[1], "group") == 0 && argc == 8) {
        open_all(sockets, n);
        push_group(n, atoi(argv[7]));

    } else if (strcmp(argv[1], "id") == 0 && argc == 9) {
        open_all(sockets, n);
        push_ids(sockets, n, atoi(argv[7]), atoi(argv[8]));

    } else {
        fail("\"%s\" with %d arguments", argv[1], argc - 2);
    }

    return 0;
}


static void
pipe_messages(connection_t *c, int window, char **marks)
{
    char     *payload;
    size_t    len, n;
    int64_t   begun;

    static char  out[OUTSTANDING * (LARGEST + 16)];

    begun = now();

    for ( /* void */ ; *marks != NULL; marks++) {

        until = strtoull(*marks, NULL, 10);

        for ( ;; ) {
            len = outgoing(out, window);

            if (len != 0) {
                say(c, out, len);
            }

            if (nreturned == until) {
                break;
            }

            if (wait_events(PATIENCE) == 0) {
                fail("nothing comes, after %llu of %llu messages",
                     (unsigned long long) nreturned,
                     (unsigned long long) nsent);
            }

            receive(c);

            while ((n = frame(c, &payload)) != 0) {
                returned(payload, c->size, window);
                take(c, n);
            }
        }

        printf("at %llu seconds %.3f\n", (unsigned long long) nreturned,
               (double) (now() - begun) / 1e9);
        usleep(PAUSE);
    }
}


/* all for which there is a place, as one piece */

static size_t
outgoing(char *out, int window)
{
    int       i;
    char     *p;
    size_t    k;
    uint32_t  key;

    static uint32_t  seed = 2463534242;

    p = out;

    for (i = 0; i < window && nsent < until; i++) {

        if (places[i]) {
            continue;
        }

        places[i] = (uint32_t) ++nsent;

        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        key = seed;

        p += frame_header((uint8_t *) p, size);
        memcpy(p, &key, 4);
        p += 4;

        make_message(p, (uint32_t) i, places[i]);

        for (k = 0; k < size; k++) {
            p[k] = (char) (p[k] ^ ((uint8_t *) &key)[k & 3]);
        }

        p += size;
    }

    return (size_t) (p - out);
}


static void
returned(const char *from, size_t len, int window)
{
    int   place;
    char  message[LARGEST];

    place = len == size ? (int) strtoul(from + NUMBER, NULL, 10) : window;

    if (place < 0 || place >= window || places[place] == 0) {
        fail("\"%.*s\" comes back", (int) len, from);
    }

    make_message(message, (uint32_t) place, places[place]);

    if (memcmp(message, from, size) != 0) {
        fail("\"%.*s\" instead of \"%.*s\"", (int) len, from, (int) size,
             message);
    }

    places[place] = 0;
    nreturned++;
}


static void
push_group(int n, int rounds)
{
    int            i, k, got, round;
    char          *payload, *body, message[LARGEST], want[64];
    size_t         len;
    int64_t        begun, first, last, answer, t;
    connection_t  *c;

    start(&pusher, IN);

    for (round = 1; round <= rounds; round++) {

        usleep(PAUSE / 5);

        make_message(message, 0, (uint32_t) round);
        snprintf(want, sizeof(want), "\"reached\":%d", n);

        first = last = answer = 0;
        begun = now();
        post(push, (uint32_t) round);

        for (got = 0; got < n || !answer; /* void */ ) {

            k = wait_events(PATIENCE);

            if (k == 0) {
                fail("round %d: %d of %d sockets got it, and the POST is%s "
                     "answered", round, got, n, answer ? "" : " not");
            }

            for (i = 0; i < k; i++) {
                c = events[i].data.ptr;

                if (!receive(c)) {
                    continue;
                }

                t = now();

                if (c == &pusher) {
                    len = answered(c, &body);

                    if (len == 0) {
                        continue;
                    }

                    if (answer || strstr(body, want) == NULL) {
                        fail("round %d: %s", round, c->in);
                    }

                    take(c, len);
                    answer = t;
                    continue;
                }

                len = frame(c, &payload);

                if (len == 0) {
                    continue;
                }

                if (c->expected == (uint32_t) round || c->size != size
                    || c->len != len || memcmp(payload, message, size) != 0)
                {
                    fail("round %d: a socket has \"%.*s\"", round,
                         (int) c->size, payload);
                }

                take(c, len);
                c->expected = (uint32_t) round;

                first = first ? first : t;
                last = t;
                got++;
            }
        }

        printf("round %d first %.3f last %.3f answer %.3f\n", round,
               (double) (first - begun) / 1e6, (double) (last - begun) / 1e6,
               (double) (answer - begun) / 1e6);
    }
}


static void
push_ids(connection_t *sockets, int n, int count, int rate)
{
    int             i, k, had, nother;
    char           *payload, *body, message[LARGEST], target[HEAD];
    size_t          len;
    int64_t         due, begun;
    uint32_t       *times, *answers;
    connection_t   *c, **other;

    times = malloc((size_t) count * sizeof(uint32_t));
    answers = malloc((size_t) count * sizeof(uint32_t));
    other = malloc((size_t) n * sizeof(connection_t *));

    if (times == NULL || answers == NULL || other == NULL || rate < 1) {
        fail("no memory");
    }

    start(&pusher, IN);
    ask_worker(&pusher);

    for (i = 0, nother = 0; i < n; i++) {
        ask_worker(&sockets[i]);

        if (strcmp(sockets[i].worker, pusher.worker) != 0) {
            other[nother++] = &sockets[i];
        }
    }

    if (nother == 0) {
        fail("all of %d sockets are with the worker of the POST", n);
    }

    begun = now();

    for (i = 0; i < count; i++) {

        due = begun + (int64_t) i * 1000000000 / rate;

        /* what comes meanwhile comes too early */

        while (now() < due) {
            if (wait_events(0) != 0) {
                fail("something comes that nobody asked for");
            }

            (void) sched_yield();
        }

        c = other[i % nother];

        make_message(message, 0, (uint32_t) i);
        snprintf(target, HEAD, "%s/%s", push, c->id);
        post(target, (uint32_t) i);

        for (had = 0; had != 3; /* void */ ) {

            if (wait_events(PATIENCE) == 0) {
                fail("push %d: %s", i, had == 1 ? "no answer"
                                                : "it does not arrive");
            }

            for (k = 0; k < current; k++) {

                if (!receive(events[k].data.ptr)) {
                    continue;
                }

                if (events[k].data.ptr == &pusher) {
                    len = answered(&pusher, &body);

                    if (len && strstr(body, "\"reached\":1") == NULL) {
                        fail("push %d: %s", i, pusher.in);
                    }

                    if (len) {
                        answers[i] = (uint32_t) ((now() - due) / 10);
                        take(&pusher, len);
                        had |= 2;
                    }

                    continue;
                }

                len = frame(c, &payload);

                if (events[k].data.ptr != c
                    || (len && (c->size != size || c->len != len
                                || memcmp(payload, message, size) != 0)))
                {
                    fail("push %d: another message, or another socket", i);
                }

                if (len) {
                    times[i] = (uint32_t) ((now() - due) / 10);
                    take(c, len);
                    had |= 1;
                }
            }
        }
    }

    printf("other %d of %d", nother, n);
    spread("", times, count);
    spread(" answer", answers, count);
    printf("\n");
}


static void
open_all(connection_t *sockets, int n)
{
    int            i, k, next, nopen, len;
    char           head[HEAD];
    connection_t  *c;

    len = snprintf(head, HEAD, "GET %s HTTP/1.1\r\nHost: bench.example\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: " KEY "\r\n\r\n", path);

    for (next = 0, nopen = 0; nopen < n; /* void */ ) {
        while (next < n && next - nopen < OPENING) {
            start(&sockets[next], n == 1 ? IN : LARGEST);
            say(&sockets[next++], head, (size_t) len);
        }

        k = wait_events(PATIENCE);

        if (k == 0) {
            fail("%d of %d sockets are open, and no more", nopen, n);
        }

        for (i = 0; i < k; i++) {
            c = events[i].data.ptr;

            if (receive(c) && !c->is_open && opened(c)) {
                nopen++;
            }
        }
    }
}


/* by its own connection, whichever kind that is */

static void
ask_worker(connection_t *c)
{
    int      len;
    char    *p, text[HEAD];
    size_t   n;

    if (c == &pusher) {
        len = snprintf(text, HEAD, "GET %s HTTP/1.1\r\n"
                       "Host: bench.example\r\n\r\n", push);

    } else {
        len = 6;
        memcpy(text, "\x81\x80\0\0\0", 6);
    }

    say(c, text, (size_t) len);

    for ( ;; ) {

        if (wait_events(PATIENCE) == 0) {
            fail("a question for the worker is not answered");
        }

        receive(c);
        n = c == &pusher ? answered(c, &p) : frame(c, &p);

        if (n != 0) {
            break;
        }
    }

    if (c == &pusher
        ? sscanf(p, "%23[0-9]", c->worker) != 1
        : sscanf(p, "%32[0-9a-f] %23[0-9]", c->id, c->worker) != 2)
    {
        fail("not a worker: \"%s\"", p);
    }

    take(c, n);
}


static void
start(connection_t *c, size_t room)
{
    int                 one;
    struct sockaddr_in  sin;
    struct epoll_event  ev;

    one = 1;
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->room = room;
    c->in = malloc(room + 1);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->in == NULL || c->fd == -1) {
        fail("socket(): %s", strerror(errno));
    }

    ev.events = EPOLLIN;
    ev.data.ptr = c;

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
        || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
    {
        fail("connect(): %s", strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}


static int
receive(connection_t *c)
{
    ssize_t  n;

    n = recv(c->fd, c->in + c->len, c->room - c->len, 0);

    if (n == -1 && errno == EAGAIN) {
        return 0;
    }

    if (n <= 0) {
        fail("a connection is closed (%s) after \"%.*s\"",
             n == 0 ? "FIN" : strerror(errno), (int) c->len, c->in);
    }

    c->len += (size_t) n;
    c->in[c->len] = '\0';

    return 1;
}


static int
opened(connection_t *c)
{
    char  *end;

    end = strstr(c->in, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }

    if (end + 4 != c->in + c->len
        || strncmp(c->in, "HTTP/1.1 101 ", 13) != 0
        || strstr(c->in, ACCEPT) == NULL)
    {
        fail("handshake: %s", c->in);
    }

    c->len = 0;
    c->is_open = 1;

    return 1;
}


/* the length of a whole text message in one frame, or 0 */

static size_t
frame(connection_t *c, char **payload)
{
    size_t    n;
    uint8_t  *p;

    p = (uint8_t *) c->in;

    if (c->len < 4) {
        return 0;
    }

    n = p[1] == 126 ? 4 : 2;
    c->size = p[1] == 126 ? (size_t) p[2] << 8 | p[3] : p[1];

    if (p[0] != 0x81 || p[1] > 126) {
        fail("a frame that begins with %02x %02x %02x %02x", p[0], p[1], p[2],
             p[3]);
    }

    if (c->len < n + c->size) {
        return 0;
    }

    *payload = c->in + n;

    return n + c->size;
}


static void
take(connection_t *c, size_t len)
{
    c->len -= len;
    memmove(c->in, c->in + len, c->len);
    c->in[c->len] = '\0';
}


static void
post(const char *target, uint32_t round)
{
    int   len;
    char  text[HEAD + LARGEST];

    len = snprintf(text, HEAD, "POST %s HTTP/1.1\r\nHost: bench.example\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n", target, size);

    make_message(text + len, 0, round);
    say(&pusher, text, (size_t) len + size);
}


/* the length of a whole answer, or 0 */

static size_t
answered(connection_t *c, char **body)
{
    char    *end, *length;
    size_t   n;

    end = strstr(c->in, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }

    length = strcasestr(c->in, "\r\nContent-Length: ");

    if (strncmp(c->in, "HTTP/1.1 200 ", 13) != 0 || length == NULL) {
        fail("answered: %s", c->in);
    }

    n = (size_t) (end + 4 - c->in) + strtoul(length + 18, NULL, 10);
    *body = end + 4;

    return c->len < n ? 0 : n;
}


static int
wait_events(int timeout)
{
    current = epoll_wait(epoll, events, EVENTS, timeout);

    if (current == -1) {
        fail("epoll_wait(): %s", strerror(errno));
    }

    return current;
}


static void
make_message(char *message, uint32_t number, uint32_t count)
{
    memset(message, 'a', size);
    memcpy(message, MESSAGE, sizeof(MESSAGE) - 1);
    memcpy(message + size - 2, "\"}", 2);

    digits(message + NUMBER, 5, number);
    digits(message + COUNT, 10, count);
}


static void
digits(char *to, int n, uint32_t value)
{
    while (n-- > 0) {
        to[n] = (char) ('0' + value % 10);
        value /= 10;
    }
}


static size_t
frame_header(uint8_t *out, size_t len)
{
    out[0] = 0x81;
    out[1] = (uint8_t) (0x80 | (len < 126 ? len : 126));

    if (len < 126) {
        return 2;
    }

    out[2] = (uint8_t) (len >> 8);
    out[3] = (uint8_t) len;

    return 4;
}


static void
say(connection_t *c, const char *data, size_t len)
{
    ssize_t  n;

    while (len) {
        n = send(c->fd, data, len, MSG_NOSIGNAL);

        /* it is little: there is room, or soon will be */

        if (n == -1 && errno == EAGAIN) {
            usleep(100);
            continue;
        }

        if (n == -1) {
            fail("send(): %s", strerror(errno));
        }

        data += n;
        len -= (size_t) n;
    }
}


static void
spread(const char *name, uint32_t *times, int n)
{
    qsort(times, (size_t) n, sizeof(uint32_t), longer);

    printf("%s p50 %.2f p99 %.2f max %.2f", name, times[n / 2] / 100.0,
           times[n * 99 / 100] / 100.0, times[n - 1] / 100.0);
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
    fprintf(stderr, "ws_serve: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    exit(1);
}
