/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/timens_offsets: of the time namespace that the next children of the process enter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/time.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/timens.h"
#include "sentry/proc/proc_internal.h"

enum { LINES_MAX = 2 };

static int child_timens_get(struct pseudo_node *n, struct timens **out)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    *out = task_child_timens_get(t);
    task_put(t);
    return *out ? 0 : -ESRCH;
}

int proc_show_timens_offsets(struct pseudo_node *n, struct pbuf *b)
{
    struct timens_offset o[2];
    struct timens *ns;
    int ret = child_timens_get(n, &ns);

    if (ret < 0)
        return ret;
    timens_offsets(ns, o);
    timens_put(ns);
    for (int i = 0; i < 2; i++)
        pbuf_printf(b, "%-10s %10lld %9u\n",
                    o[i].clockid == LX_CLOCK_MONOTONIC ? "monotonic" : "boottime",
                    (long long)o[i].sec, o[i].nsec);
    return 0;
}

/* "monotonic 5 0"; what follows is ignored, as on Linux. */
static int parse_line(const char *line, struct timens_offset *out)
{
    char clock[10];
    unsigned long nsec;
    long long sec;

    if (sscanf(line, "%9s %lld %lu", clock, &sec, &nsec) != 3 || nsec >= 1000000000ul)
        return -EINVAL;
    if (!strcmp(clock, "monotonic") || !strcmp(clock, "1"))
        out->clockid = LX_CLOCK_MONOTONIC;
    else if (!strcmp(clock, "boottime") || !strcmp(clock, "7"))
        out->clockid = LX_CLOCK_BOOTTIME;
    else
        return -EINVAL;
    out->sec = sec;
    out->nsec = (uint32_t)nsec;
    return 0;
}

/* Up to two lines; *out_taken is where the rest begins. */
static int parse_lines(char *data, size_t size, struct timens_offset *out, size_t *out_taken)
{
    int count = 0;

    *out_taken = size;
    for (char *line = data, *next; line; line = next) {
        int ret;

        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
            next = *next ? next : NULL;
        }
        ret = parse_line(line, &out[count]);
        if (ret < 0)
            return ret;
        if (++count == LINES_MAX) {
            *out_taken = next ? (size_t)(next - data) : size;
            break;
        }
    }
    return count;
}

ssize_t proc_store_timens_offsets(struct pseudo_node *n, char *data, size_t size)
{
    struct timens_offset o[LINES_MAX];
    struct timens *ns;
    size_t taken;
    int count = parse_lines(data, size, o, &taken), ret;

    if (count < 0)
        return count;
    ret = child_timens_get(n, &ns);
    if (ret < 0)
        return ret;
    ret = cred_ns_capable(curr()->cred, timens_owner(ns), LX_CAP_SYS_TIME)
              ? timens_set_offsets(ns, o, (size_t)count)
              : -EPERM;
    timens_put(ns);
    return ret < 0 ? ret : (ssize_t)taken;
}
