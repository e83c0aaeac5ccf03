/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that drive --strace. syscall-table/gen.c writes the data (gen/syscall_strace.c) from
 * x86_64.tbl; strace_print.c reads it. All of it is constant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the register holds: decides how a number is cut and printed. */
enum strace_type {
    STRACE_TYPE_INT,
    STRACE_TYPE_UINT,
    STRACE_TYPE_LONG,
    STRACE_TYPE_ULONG,
    STRACE_TYPE_SIZE,
    STRACE_TYPE_UADDR,
    STRACE_TYPE_OFF,
    STRACE_TYPE_PID,
    STRACE_TYPE_UID,
    STRACE_TYPE_GID,
    STRACE_TYPE_MODE,
    STRACE_TYPE_FD,
    STRACE_TYPE_DIRFD,
    STRACE_TYPE_PATH,
    STRACE_TYPE_STR,
    STRACE_TYPE_PTR,
};

/* What it means. PLAIN: the type says it all. */
enum strace_kind {
    STRACE_KIND_PLAIN,
    STRACE_KIND_FLAGS, /* .flags names the bits or values */
    /* Scalars of kinds.def */
    STRACE_KIND_DEV,
    STRACE_KIND_FCNTL_ARG,
    STRACE_KIND_FUTEX_TIMEOUT,
    STRACE_KIND_HEX,
    STRACE_KIND_IOCTL_ARG,
    STRACE_KIND_OCT,
    STRACE_KIND_PRCTL_ARG,
    /* Pointers of kinds.def */
    STRACE_KIND_BYTES,
    STRACE_KIND_CAP_DATA,
    STRACE_KIND_CAP_HEADER,
    STRACE_KIND_CLONE_ARGS,
    STRACE_KIND_CPUSET,
    STRACE_KIND_DIRENT,
    STRACE_KIND_DIRENT64,
    STRACE_KIND_ENVV,
    STRACE_KIND_EPOLL_EVENT,
    STRACE_KIND_FDPAIR,
    STRACE_KIND_FDSET,
    STRACE_KIND_GIDS,
    STRACE_KIND_INT,
    STRACE_KIND_IOVEC,
    STRACE_KIND_ITIMERSPEC,
    STRACE_KIND_ITIMERVAL,
    STRACE_KIND_MMSGHDR,
    STRACE_KIND_MSGHDR,
    STRACE_KIND_OFF,
    STRACE_KIND_OPEN_HOW,
    STRACE_KIND_POLLFD,
    STRACE_KIND_RLIMIT,
    STRACE_KIND_RUSAGE,
    STRACE_KIND_SCHED_PARAM,
    STRACE_KIND_SEMBUF,
    STRACE_KIND_SIGACTION,
    STRACE_KIND_SIGEVENT,
    STRACE_KIND_SIGINFO,
    STRACE_KIND_SIGSET,
    STRACE_KIND_SIGSTACK,
    STRACE_KIND_SOCKADDR,
    STRACE_KIND_SOCKOPTVAL,
    STRACE_KIND_STAT,
    STRACE_KIND_STATFS,
    STRACE_KIND_STATX,
    STRACE_KIND_STR,
    STRACE_KIND_STRV,
    STRACE_KIND_SYSINFO,
    STRACE_KIND_TID,
    STRACE_KIND_TIMESPEC,
    STRACE_KIND_TIMESPEC2,
    STRACE_KIND_TIMEVAL,
    STRACE_KIND_TIMEVAL2,
    STRACE_KIND_TIMEZONE,
    STRACE_KIND_UINT,
    STRACE_KIND_ULONG,
    STRACE_KIND_UTIMBUF,
    STRACE_KIND_UTSNAME,
    STRACE_KIND_WSTATUS,
    STRACE_KIND_COUNT,
};

enum strace_dir { STRACE_IN, STRACE_OUT, STRACE_INOUT, STRACE_NODIR };

#define STRACE_COUNT_NONE (-1)
#define STRACE_COUNT_RET  (-2)

enum strace_ret {
    STRACE_RET_INT,
    STRACE_RET_UINT,
    STRACE_RET_LONG,
    STRACE_RET_ULONG,
    STRACE_RET_SIZE,
    STRACE_RET_SSIZE,
    STRACE_RET_OFF,
    STRACE_RET_FD,
    STRACE_RET_PID,
    STRACE_RET_UID,
    STRACE_RET_GID,
    STRACE_RET_MODE,
    STRACE_RET_UADDR,
    STRACE_RET_NONE,
};

struct strace_flag {
    const char *name;
    uint64_t value;
    uint64_t mask; /* present when (v & mask) == value; ~0: the value as a whole */
};

struct strace_flagset {
    const char *name;
    const struct strace_flag *flags;
    unsigned count;
};

struct strace_arg {
    const char *name;
    enum strace_type type;
    enum strace_kind kind;
    enum strace_dir dir;
    int count; /* argument with the number of elements, or STRACE_COUNT_* */
    const struct strace_flagset *flags;
};

struct strace_syscall {
    const char *name;
    int arg_count;
    enum strace_ret ret;
    bool noreturn;
    bool may_block;
    struct strace_arg args[6];
};

/* Indexed by system call number, NULL where there is no such call. */
extern const struct strace_syscall *const g_strace_syscalls[];
extern const unsigned g_strace_syscall_count;

/* Flag sets that decoders use by name. */
extern const struct strace_flagset strace_flags_errno, strace_flags_signal, strace_flags_sa_flags,
    strace_flags_si_code, strace_flags_socket_family, strace_flags_poll_events,
    strace_flags_epoll_events, strace_flags_st_mode, strace_flags_clone, strace_flags_open,
    strace_flags_fd_flags, strace_flags_sigev, strace_flags_ss_flags, strace_flags_cap,
    strace_flags_wait, strace_flags_prctl, strace_flags_inotify, strace_flags_sock_level,
    strace_flags_sockopt, strace_flags_msg, strace_flags_resolve, strace_flags_at;
