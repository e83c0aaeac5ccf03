/* SPDX-License-Identifier: Apache-2.0 */
/* Host clocks by system call: CPU clocks of threads and processes, which the vDSO cannot answer. */
#pragma once

#include <time.h>

#include "platform/base/compiler.h"

/* Nanoseconds of CPU used. 0 when the thread or process is gone. */
uint64_t host_thread_cpu_ns(int tid);  /* a thread of this process */
uint64_t host_process_cpu_ns(int pid); /* any process of this pid namespace */
int host_clock_gettime(clockid_t id, struct timespec *out);
