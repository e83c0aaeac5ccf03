/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time namespaces, time_namespaces(7): offsets of CLOCK_MONOTONIC and CLOCK_BOOTTIME. They can be set
 * until the first process enters; from then on a vvar page of its own shows the namespace's clocks in
 * the address spaces of its processes (loader/vdso.h).
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct mappable;
struct mm;
struct timens;
struct userns;

/* Boot. -ENOMEM. */
int MUST_CHECK timens_init(void);
/* The one without offsets, +1. */
struct timens *timens_root_get(void);
/* With from's offsets, to be set anew. -ENOMEM. */
int MUST_CHECK timens_copy(struct timens *from, struct userns *owner, struct timens **out);
struct timens *timens_get(struct timens *ns); /* NULL stays NULL, here and below */
void timens_put(struct timens *ns);
struct userns *timens_owner(const struct timens *ns);
uint64_t timens_inum(const struct timens *ns);

/* The caller's address space, or one that does not run yet, shows the clocks of ns, whose offsets are
 * final then. -ENOMEM. */
int MUST_CHECK timens_enter(struct timens *ns, struct mm *mm);
/* The vvar page of ns, borrowed, for a new image; NULL: the one without offsets. -ENOMEM. */
int MUST_CHECK timens_vvar(struct timens *ns, struct mappable **out);

/* What the caller's namespace adds to a clock, ns. */
int64_t timens_shift(int clockid);
/* An absolute time of a clock as the caller reads it: as the sandbox has it. What is past is 0. */
uint64_t timens_to_host(int clockid, uint64_t ns);

struct timens_offset {
    int clockid; /* MONOTONIC or BOOTTIME */
    int64_t sec;
    uint32_t nsec;
};
/* /proc/PID/timens_offsets: [0] MONOTONIC, [1] BOOTTIME. */
void timens_offsets(struct timens *ns, struct timens_offset out[2]);
/* -ERANGE: the clock would show nonsense; -EACCES: somebody lives in ns. */
int MUST_CHECK timens_set_offsets(struct timens *ns, const struct timens_offset *o, size_t count);
