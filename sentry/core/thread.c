/* SPDX-License-Identifier: Apache-2.0 */
/* Sentry service threads and the calling thread's identity. */
#include "sentry/core/curr.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "platform/base/placement.h"
#include "platform/host/proc.h"

enum { SERVICE_STACK_SIZE = 64 * 1024 };

_Thread_local struct curr *g_curr;

const struct curr_ops *g_curr_ops;
const struct pid_ops *g_pid_ops;

struct service {
    struct curr curr;
    void (*fn)(void *);
    void *arg;
    char name[16];
};

static void *service_main(void *arg)
{
    struct service *s = arg;

    g_curr = &s->curr;
    placement_unpin_self(); /* the creator may be bound to a guest thread's CPU */
    (void)host_prctl(PR_SET_NAME, (unsigned long)s->name, 0, 0, 0); /* a name for debuggers only */
    s->fn(s->arg);
    free(s);
    return NULL;
}

int thread_start(const char *name, void (*fn)(void *), void *arg)
{
    struct service *s = calloc(1, sizeof(*s));
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;
    int ret;

    if (!s)
        return -ENOMEM;
    sleeper_init(&s->curr.sleeper);
    s->curr.cred = cred_kernel();
    s->fn = fn;
    s->arg = arg;
    snprintf(s->name, sizeof(s->name), "%s", name);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, SERVICE_STACK_SIZE);
    /* Host signals for the process go to the main thread; fault signals cannot be blocked anyway.
     */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(&thread, &attr, service_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (ret)
        free(s);
    return -ret;
}
