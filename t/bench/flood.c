
/*
 * Sends requests at a fixed rate, whether or not the answers come, over a
 * number of keepalive connections, for two paths in turn, and tells how long
 * those had to wait that were answered with 200, from the moment at which the
 * request was due:
 *
 *     flood PORT REQUESTS-PER-SECOND SECONDS PATH PATH
 *     PATH: admitted N refused N p50 US p99 US max US
 *
 * A client that sends the next request only after an answer, as wrk does,
 * would not notice a server that stops for a moment.  It never sleeps.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define CONNECTIONS  64
#define PATHS        2


typedef struct {
    const char  *name;
    char         request[256];
    int64_t     *waits;
    size_t       admitted;
    size_t       refused;
} path_t;


typedef struct {
    int          fd;
    int64_t      due;
    path_t      *path;
    size_t       len;
    char         answer[4096];
} connection_t;


static int64_t now(void);
static void run(int epoll, int64_t rate, int64_t seconds);
static void ask(connection_t *c, path_t *path, int64_t due);
static int answered(connection_t *c);
static void report(path_t *path);
static int compare(const void *one, const void *two);
static void fail(const char *what);


static connection_t  connections[CONNECTIONS];
static connection_t *idle[CONNECTIONS];
static int           nidle;

static path_t        paths[PATHS];
static size_t        room;


int
main(int argc, char **argv)
{
    int                 i, one, epoll;
    struct epoll_event  ev;
    struct sockaddr_in  sin;

    if (argc != 4 + PATHS) {
        fprintf(stderr,
                "usage: flood PORT REQUESTS-PER-SECOND SECONDS PATH PATH\n");
        return 2;
    }

    one = 1;
    epoll = epoll_create1(0);
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(argv[1]));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    for (i = 0; i < CONNECTIONS; i++) {
        connections[i].fd = socket(AF_INET, SOCK_STREAM, 0);

        if (connect(connections[i].fd, (struct sockaddr *) &sin, sizeof(sin))
            != 0)
        {
            fail("connect()");
        }

        setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one,
                   sizeof(one));
        fcntl(connections[i].fd, F_SETFL, O_NONBLOCK);

        ev.events = EPOLLIN;
        ev.data.ptr = &connections[i];

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &ev) != 0) {
            fail("epoll_ctl()");
        }

        idle[nidle++] = &connections[i];
    }

    room = (size_t) (atoi(argv[2]) * (atoi(argv[3]) + 1));

    for (i = 0; i < PATHS; i++) {
        paths[i].name = argv[4 + i];
        paths[i].waits = calloc(room, sizeof(int64_t));

        if (paths[i].waits == NULL) {
            fail("calloc()");
        }

        snprintf(paths[i].request, sizeof(paths[i].request),
                 "GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n", argv[4 + i]);
    }

    run(epoll, atoi(argv[2]), atoi(argv[3]));

    for (i = 0; i < PATHS; i++) {
        report(&paths[i]);
    }

    return 0;
}


static int64_t
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
run(int epoll, int64_t rate, int64_t seconds)
{
    int                 i, n;
    int64_t             start, due, sent, time;
    connection_t       *c;
    struct epoll_event  events[CONNECTIONS];

    sent = 0;
    start = now();

    while (sent < rate * seconds || nidle < CONNECTIONS) {

        time = now();

        if (time - start > (seconds + 10) * 1000000000) {
            errno = ETIMEDOUT;
            fail("the gateway");
        }

        while (nidle > 0 && sent < rate * seconds) {

            due = start + sent * 1000000000 / rate;

            if (due > time) {
                break;
            }

            ask(idle[--nidle], &paths[sent % PATHS], due);
            sent++;
        }

        n = epoll_wait(epoll, events, CONNECTIONS, 0);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (answered(c)) {
                idle[nidle++] = c;
            }
        }
    }
}


static void
ask(connection_t *c, path_t *path, int64_t due)
{
    size_t  len;

    c->due = due;
    c->path = path;
    c->len = 0;

    len = strlen(path->request);

    if (write(c->fd, path->request, len) != (ssize_t) len) {
        fail("write()");
    }
}


/* whether the whole answer is there */

static int
answered(connection_t *c)
{
    char     *body, *length;
    ssize_t   n;

    n = read(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len);

    if (n <= 0) {
        fail("read()");
    }

    c->len += (size_t) n;
    c->answer[c->len] = '\0';

    body = strstr(c->answer, "\r\n\r\n");
    length = strstr(c->answer, "Content-Length: ");

    if (body == NULL || length == NULL
        || c->answer + c->len < body + 4
           + atoi(length + sizeof("Content-Length: ") - 1))
    {
        return 0;
    }

    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0) {
        c->path->refused++;

    } else if (c->path->admitted < room) {
        c->path->waits[c->path->admitted++] = now() - c->due;
    }

    return 1;
}


static void
report(path_t *path)
{
    size_t    n;
    int64_t  *waits;

    n = path->admitted;
    waits = path->waits;

    if (n == 0) {
        errno = 0;
        fail("nothing admitted");
    }

    qsort(waits, n, sizeof(int64_t), compare);

    printf("%s: admitted %zu refused %zu p50 %.1f p99 %.1f max %.1f\n",
           path->name, n, path->refused, (double) waits[n / 2] / 1000,
           (double) waits[n * 99 / 100] / 1000, (double) waits[n - 1] / 1000);
}


static int
compare(const void *one, const void *two)
{
    const int64_t  *a = one, *b = two;

    return (*a > *b) - (*a < *b);
}


static void
fail(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}
