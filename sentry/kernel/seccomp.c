/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp filters of guests. */
#include "sentry/kernel/seccomp.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/kernel_internal.h"

struct seccomp_filter {
    struct refs refs;
    struct seccomp_filter *below; /* I, +1 */
};

struct seccomp_filter *seccomp_filter_get(struct seccomp_filter *f)
{
    if (f)
        refs_get(&f->refs);
    return f;
}

void seccomp_filter_put(struct seccomp_filter *f)
{
    while (f && refs_put(&f->refs)) {
        struct seccomp_filter *below = f->below;

        free(f);
        f = below;
    }
}

void seccomp_task_exit(struct task *t)
{
    struct seccomp_filter *f = t->k->seccomp;

    t->k->seccomp = NULL;
    seccomp_filter_put(f);
}

long seccomp_mode(struct task *t)
{
    return t->k->seccomp_mode;
}

long seccomp_prctl(struct task *t, uint64_t mode, uaddr_t filter)
{
    (void)t;
    (void)mode;
    (void)filter;
    return -EINVAL;
}
