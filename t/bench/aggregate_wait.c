
/*
 * A service that answers each request after a fixed time, and a client that
 * sends requests to a gateway at a fixed rate, whether or not answers come, in
 * one process: two that wait for each other's turns on one core would add
 * those turns to the times.
 *
 *     aggregate_wait SERVICE-PORT MS GATEWAY-PORT RATE SECONDS PATH PATH
 *     PATH: answered N p50 MS p99 MS max MS bytes N
 *
 * Each path is asked for RATE times a second.  Times count from the moment at
 * which a request was due.  It never sleeps.
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


#define CLIENTS   128
#define WAITING   4096
#define PATHS     2

#define ANSWER                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"                   \
    "Content-Length: 60\r\n\r\n"                                              \
    "{\"id\":4711,\"name\":\"Ada Lovelace\",\"mail\":\"ada@example.com\"}  "


typedef struct {
    const char  *name;
    char         request[256];
    int64_t     *times;
    size_t       room;
    size_t       answered;
    size_t       bytes;
} path_t;


typedef struct {
    int          fd;
    int          is_client;
    int64_t      due;
    path_t      *path;
    size_t       len;
    char         bytes[8192];
} connection_t;


typedef struct {
    int          fd;
    int64_t      due;
} waiting_t;


static int64_t now(void);
static int listener(const char *port);
static void add(int fd, int is_client);
static void client(const char *port);
static void run(int64_t delay, int64_t rate, int64_t seconds);
static void accept_all(void);
static void answer_due(int64_t time);
static void ask(connection_t *c, path_t *path, int64_t due);
static void serve(connection_t *c, int64_t delay);
static void take(connection_t *c);
static void report(path_t *path);
static int compare(const void *one, const void *two);
static void fail(const char *what);


static connection_t *idle[CLIENTS];
static int           nidle;

static waiting_t     waiting[WAITING];
static size_t        first, last;

static path_t        paths[PATHS];
static int           epoll, listening;


int
main(int argc, char **argv)
{
    int  i;

    if (argc != 6 + PATHS) {
        fprintf(stderr, "usage: aggregate_wait SERVICE-PORT MS GATEWAY-PORT "
                        "RATE SECONDS PATH PATH\n");
        return 2;
    }

    epoll = epoll_create1(0);
    listening = listener(argv[1]);

    for (i = 0; i < CLIENTS; i++) {
        client(argv[3]);
    }

    for (i = 0; i < PATHS; i++) {
        paths[i].name = argv[6 + i];
        paths[i].room = (size_t) (atoi(argv[4]) * atoi(argv[5]));
        paths[i].times = calloc(paths[i].room, sizeof(int64_t));

        if (paths[i].times == NULL) {
            fail("calloc()");
        }

        snprintf(paths[i].request, sizeof(paths[i].request),
                 "GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n", argv[6 + i]);
    }

    run(atoi(argv[2]), atoi(argv[4]), atoi(argv[5]));

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


static int
listener(const char *port)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    one = 1;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
        || listen(fd, 511) != 0)
    {
        fail("listen()");
    }

    return fd;
}


static void
client(const char *port)
{
    int                 fd;
    struct sockaddr_in  sin;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) atoi(port));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0) {
        fail("connect()");
    }

    add(fd, 1);
}


static void
add(int fd, int is_client)
{
    int                  one;
    connection_t        *c;
    struct epoll_event   ev;

    one = 1;
    c = calloc(1, sizeof(connection_t));

    if (c == NULL) {
        fail("calloc()");
    }

    c->fd = fd;
    c->is_client = is_client;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFL, O_NONBLOCK);

    ev.events = EPOLLIN;
    ev.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        fail("epoll_ctl()");
    }

    if (is_client) {
        idle[nidle++] = c;
    }
}


static void
run(int64_t delay, int64_t rate, int64_t seconds)
{
    int                 i, n;
    int64_t             start, due, sent, all, time;
    connection_t       *c;
    struct epoll_event  events[CLIENTS];

    sent = 0;
    rate *= PATHS;
    all = rate * seconds;
    start = now();

    while (sent < all || nidle < CLIENTS) {

        time = now();

        if (time - start > (seconds + 10) * 1000000000) {
            errno = ETIMEDOUT;
            fail("the gateway");
        }

        while (nidle > 0 && sent < all) {

            due = start + sent * 1000000000 / rate;

            if (due > time) {
                break;
            }

            ask(idle[--nidle], &paths[sent % PATHS], due);
            sent++;
        }

        accept_all();
        answer_due(time);

        n = epoll_wait(epoll, events, CLIENTS, 0);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c->is_client) {
                take(c);

            } else {
                serve(c, delay * 1000000);
            }
        }
    }
}


static void
accept_all(void)
{
    int  fd;

    while ((fd = accept(listening, NULL, NULL)) != -1) {
        add(fd, 0);
    }
}


/* all wait equally long: the first one asked is the first one due */

static void
answer_due(int64_t time)
{
    waiting_t  *w;

    while (first != last && waiting[first % WAITING].due <= time) {

        w = &waiting[first++ % WAITING];

        if (write(w->fd, ANSWER, sizeof(ANSWER) - 1) != sizeof(ANSWER) - 1) {
            fail("write() to the gateway");
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


static void
serve(connection_t *c, int64_t delay)
{
    ssize_t     n;
    waiting_t  *w;

    n = read(c->fd, c->bytes + c->len, sizeof(c->bytes) - 1 - c->len);

    if (n <= 0) {
        close(c->fd);
        free(c);
        return;
    }

    c->len += (size_t) n;
    c->bytes[c->len] = '\0';

    if (strstr(c->bytes, "\r\n\r\n") == NULL) {
        return;
    }

    if (last - first == WAITING) {
        errno = ENOBUFS;
        fail("the service");
    }

    w = &waiting[last++ % WAITING];

    w->fd = c->fd;
    w->due = now() + delay;

    c->len = 0;
}


static void
take(connection_t *c)
{
    char     *body, *length;
    ssize_t   n;

    n = read(c->fd, c->bytes + c->len, sizeof(c->bytes) - 1 - c->len);

    if (n <= 0) {
        fail("read()");
    }

    c->len += (size_t) n;
    c->bytes[c->len] = '\0';

    body = strstr(c->bytes, "\r\n\r\n");
    length = strstr(c->bytes, "Content-Length: ");

    if (body == NULL) {
        return;
    }

    if (strncmp(c->bytes, "HTTP/1.1 200", 12) != 0 || length == NULL) {
        fprintf(stderr, "aggregate_wait: %s: %.200s\n", c->path->name,
                c->bytes);
        exit(1);
    }

    n = atoi(length + sizeof("Content-Length: ") - 1);

    if (c->bytes + c->len < body + 4 + n) {
        return;
    }

    c->path->bytes = (size_t) n;
    c->path->times[c->path->answered++] = now() - c->due;

    idle[nidle++] = c;
}


static void
report(path_t *path)
{
    size_t    n;
    int64_t  *times;

    n = path->answered;
    times = path->times;

    qsort(times, n, sizeof(int64_t), compare);

    printf("%s: answered %zu p50 %.2f p99 %.2f max %.2f bytes %zu\n",
           path->name, n, (double) times[n / 2] / 1e6,
           (double) times[n * 99 / 100] / 1e6, (double) times[n - 1] / 1e6,
           path->bytes);
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
    fprintf(stderr, "aggregate_wait: %s: %s\n", what, strerror(errno));
    exit(1);
}
