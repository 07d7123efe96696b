
/*
 * Copyright (C) ngx_gateway authors
 */


/*
 * A clock that can be moved on, to be preloaded: the clocks by which nginx has
 * its timers are ahead by the number of seconds in the file CLOCK_FILE, a
 * 64-bit integer.
 */


#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>


static void clock_start(void) __attribute__((constructor));


static int64_t            none;
static volatile int64_t  *ahead = &none;


/* the processes that are forked have it, too */

static void
clock_start(void)
{
    int    fd;
    void  *p;
    char  *name;

    name = getenv("CLOCK_FILE");

    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDONLY);

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) {
        ahead = p;
    }

    (void) close(fd);
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int  rc;

    rc = syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) {
        ts->tv_sec += *ahead;
    }

    return rc;
}
