/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/host/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

int host_futex_wait(atomic_uint *word, unsigned expected, const struct timespec *deadline)
{
    long ret = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, NULL,
                       FUTEX_BITSET_MATCH_ANY);

    return ret < 0 ? -errno : 0;
}

void host_futex_wake(atomic_uint *word, int count)
{
    /* Fails only for a bad address. */
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void host_futex_wake_shared(atomic_uint *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0); /* as above */
}
