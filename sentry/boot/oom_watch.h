/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container whose memory limit is reached loses a process to the guests' own OOM killer, before the host's would end the
 * sandbox. Engines learn of it from the host's counters only. So the connection that owns the container's first process is
 * told, {"oom": N}, before the victim dies; its proxy lets the host's OOM killer act in the container's host group
 * (runsc-c/container/witness.h) and answers "oom_seen".
 */
#pragma once

#include "sentry/boot/sandbox.h"
#include "sentry/mm/memcg.h"

/* Embedded in a connection; its thread's own between start and stop. */
struct oom_watch {
    struct list node; /* w: the file's lock */
    int fd;           /* I while listed */
    memcg_id_t group; /* I while listed */
    bool
        first; /* I while listed: of the sandbox's first container, whose limit is the sandbox's too */
};

/* fd's peer answers for p from here on. Nothing happens if p is not the first process of its container. */
void oom_watch_start(struct oom_watch *w, int fd, struct sandbox_process *p);
/* Before fd is closed; also when it was never started (node initialised). */
void oom_watch_stop(struct oom_watch *w);
/* The peer's answer. */
void oom_watch_seen(uint32_t number);
