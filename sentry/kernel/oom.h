/* SPDX-License-Identifier: Apache-2.0 */
/* What the OOM killer thinks of a process. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/mm/memcg.h"

struct task;

/* /proc/PID/oom_score: 0 to 2000. */
int oom_score(struct task *t);

/* Inverted need, filled by boot/; NULL: nobody wants to know. The processes of a group have used its maximum up and
 * one is about to be killed. Returns when whoever counts such events outside has seen it, or after a bounded time.
 * Called with locks that rank before TASKSET, by one thread at a time. */
extern void (*g_oom_announce)(memcg_id_t id);

/* After a fault: was the calling thread's group found above memory.high, or has news? Cheap. */
bool memory_took_long(void);
/* Delays the thread as Linux does above memory.high, and tells watchers. Holds no lock. */
void memory_throttle(void);
