/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of procfs share. */
#pragma once

#include "sentry/kernel/task_info.h"
#include "sentry/proc/proc.h"
#include "sentry/proc/pseudo.h"

#define LX_USER_HZ 100u

/* ns -> clock ticks of USER_HZ, what stat files count in. */
static inline uint64_t proc_ticks(uint64_t ns)
{
    return ns / (NSEC_PER_SEC / LX_USER_HZ);
}

/* The namespace whose numbers the mount of n shows; borrowed. */
struct pidns *proc_ns(const struct pseudo_node *n);
/* The task that n shows, +1; -ESRCH once it is gone. */
int MUST_CHECK proc_task_get(const struct pseudo_node *n, struct task **out);
/* pseudo_entry.access: PTRACE_MODE_READ | FSCREDS against the node's task: -EACCES. */
int proc_access_ptrace_read(struct pseudo_node *n);
/* n's number among its task's; comm for display with control characters escaped. */
void proc_put_comm(struct pbuf *b, const char *comm, const char *esc);

/* Tables, one per folder of /proc. */
/* Root of the caller's network namespace, when n is a file of /proc/sys/net: the owner. */
bool proc_sys_net_root(const struct pseudo_node *n, lx_uid_t *out_uid, lx_gid_t *out_gid);
/* May the caller write n as its owner may, being the namespace's network administrator? */
bool proc_sys_net_grants(const struct pseudo_node *n);

extern const struct pseudo_entry g_proc_pid_table[];      /* /proc/PID */
extern const struct pseudo_entry g_proc_pid_more_table[]; /* /proc/PID and task/TID, second half */
extern const struct pseudo_entry g_proc_sys_net_table[];  /* /proc/sys/net */
extern const struct pseudo_entry g_proc_pid_entry;        /* /proc/PID itself */
extern const struct pseudo_entry g_proc_tid_entry;        /* /proc/PID/task/TID itself */
extern const struct pseudo_entry g_proc_sys_table[];      /* /proc/sys */
extern const struct pseudo_entry g_proc_sys_mqueue_table[];          /* /proc/sys/fs/mqueue */
extern const struct pseudo_entry g_proc_net_table[];                 /* /proc/PID/net */
extern const struct pseudo_entry g_proc_self_table[];                /* self, thread-self */
extern const struct pseudo_entry g_proc_root_table[]; /* the rest */ /* /proc, static part */
extern const struct pseudo_entry g_proc_sysvipc_table[];             /* /proc/sysvipc */

/* Limits of System V IPC in /proc/sys/kernel: proc_sysvipc.c. */
struct limit_row;
extern const struct limit_row g_proc_ipc_shmmax, g_proc_ipc_shmall, g_proc_ipc_shmmni,
    g_proc_ipc_shm_rmid_forced, g_proc_ipc_msgmax, g_proc_ipc_msgmnb, g_proc_ipc_msgmni;
int proc_show_ipc_limit(struct pseudo_node *n, struct pbuf *b);
ssize_t proc_store_ipc_limit(struct pseudo_node *n, char *data, size_t size);
int proc_show_sem_limits(struct pseudo_node *n, struct pbuf *b);
ssize_t proc_store_sem_limits(struct pseudo_node *n, char *data, size_t size);
extern const struct pseudo_entry g_proc_ns_table[]; /* /proc/PID/ns */
extern const struct pseudo_dir g_proc_fd_dir;       /* /proc/PID/fd */
extern const struct pseudo_dir g_proc_fdinfo_dir;   /* /proc/PID/fdinfo */
extern const struct pseudo_dir g_proc_task_dir;     /* /proc/PID/task */

/* pid_stat.c */
int proc_show_stat_process(struct pseudo_node *n, struct pbuf *b);
int proc_show_io_process(struct pseudo_node *n, struct pbuf *b);
int proc_show_io_thread(struct pseudo_node *n, struct pbuf *b);
int proc_show_stat_thread(struct pseudo_node *n, struct pbuf *b);
int proc_show_status(struct pseudo_node *n, struct pbuf *b);
int proc_show_statm(struct pseudo_node *n, struct pbuf *b);
/* pid_maps.c */
int proc_show_maps(struct pseudo_node *n, struct pbuf *b);
int proc_show_smaps(struct pseudo_node *n, struct pbuf *b);
int proc_show_smaps_rollup(struct pseudo_node *n, struct pbuf *b);
int proc_show_numa_maps(struct pseudo_node *n, struct pbuf *b);
/* pid_timens.c */
int proc_show_timens_offsets(struct pseudo_node *n, struct pbuf *b);
ssize_t proc_store_timens_offsets(struct pseudo_node *n, char *data, size_t size);
/* pid_mem.c */
int proc_show_cmdline(struct pseudo_node *n, struct pbuf *b);
int proc_show_environ(struct pseudo_node *n, struct pbuf *b);
int proc_show_auxv(struct pseudo_node *n, struct pbuf *b);
int proc_open_mem(struct pseudo_node *n, uint32_t flags, struct file **out);
int proc_open_pagemap(struct pseudo_node *n, uint32_t flags, struct file **out);
