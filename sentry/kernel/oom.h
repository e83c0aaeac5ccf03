/* SPDX-License-Identifier: Apache-2.0 */
/* What the OOM killer thinks of a process. */
#pragma once

#include "platform/base/compiler.h"

struct task;

/* /proc/PID/oom_score: 0 to 2000. */
int oom_score(struct task *t);

/* After a fault: was the calling thread's group found above memory.high, or has news? Cheap. */
bool memory_took_long(void);
/* Delays the thread as Linux does above memory.high, and tells watchers. Holds no lock. */
void memory_throttle(void);
