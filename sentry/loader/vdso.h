/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vDSO of our own: a shared object built at compile time (vdso/), and a data page (vvar) that the
 * sentry keeps current. Clocks are read from the TSC with parameters of that page, by the guest and
 * by the sentry alike, so both agree and never go backwards.
 *
 * The page is refreshed by whoever handles a system call, at most once a second: there is no timer.
 * Where the TSC cannot be used, mode 0 in the page sends the guest to the system call.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct mappable;
struct mm;

/* Boot, before the jail: looks at the TSC, makes image and data page. -ENOMEM. */
int vdso_init(void);
/* Maps vvar and vdso into a new image; *out_base is for AT_SYSINFO_EHDR. vvar: from vdso_vvar_new, NULL:
 * the clocks as they are. */
int MUST_CHECK vdso_map(struct mm *mm, struct mappable *vvar, uaddr_t *out_base);
/* A data page that shows CLOCK_MONOTONIC and CLOCK_BOOTTIME shifted by so many ns, +1. -ENOMEM. */
int MUST_CHECK vdso_vvar_new(int64_t mono_shift, int64_t boot_shift, struct mappable **out);
/* The image that mm has reads this page from here on. -ENOMEM. */
int MUST_CHECK vdso_show_vvar(struct mm *mm, struct mappable *vvar);

/* Nanoseconds of a Linux clock as the vDSO shows it: CLOCK_REALTIME 0, MONOTONIC 1, their _COARSE
 * 5 and 6, BOOTTIME 7, TAI 11. False: not one of these. Works in every mode. */
bool MUST_CHECK vdso_clock_read(int clockid, uint64_t *out_ns);
/* Refreshes the data page when it is due. Any thread; cheap when it is not. */
void vdso_tick(void);
