
/*
 * Preloaded into wrk and the backend: they look for events again and again,
 * giving way to each other, before they sleep.
 *
 * A gateway that is slower than its peers finds them asleep with each request
 * and pays for waking them, in a virtual machine several microseconds; a fast
 * one, which keeps them busy, does not.  That would be counted as the cost of
 * what made it slow.
 */

#define _GNU_SOURCE

#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>


/* looks without an event, about a millisecond of them, before sleeping */

#define LOOKS  1000


int
epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
    int  i, n;

    for (i = 0; timeout != 0 && i < LOOKS; i++) {

        n = epoll_pwait(epfd, events, maxevents, 0, NULL);

        if (n != 0) {
            return n;
        }

        (void) sched_yield();
    }

    return epoll_pwait(epfd, events, maxevents, timeout, NULL);
}
