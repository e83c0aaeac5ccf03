/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of x86-64 core files: core(5), elf(5). */
#pragma once

#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/abi/types.h"

struct lx_elf_prstatus {
    int32_t si_signo, si_code, si_errno;
    int16_t cursig;
    int16_t pad;
    uint64_t sigpend, sighold;
    int32_t pid, ppid, pgrp, sid;
    struct lx_timeval utime, stime, cutime, cstime;
    struct lx_regs regs;
    int32_t fpvalid;
    int32_t pad2;
};
static_assert(sizeof(struct lx_elf_prstatus) == 336, "elf_prstatus");

struct lx_elf_prpsinfo {
    char state, sname, zomb, nice;
    uint64_t flag;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char fname[16];
    char psargs[80];
};
static_assert(sizeof(struct lx_elf_prpsinfo) == 136, "elf_prpsinfo");

struct lx_elf_nhdr {
    uint32_t namesz, descsz, type;
};
static_assert(sizeof(struct lx_elf_nhdr) == 12, "Elf64_Nhdr");
