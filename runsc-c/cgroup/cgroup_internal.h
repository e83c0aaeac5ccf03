/* SPDX-License-Identifier: Apache-2.0 */
/* Inside runsc-c/cgroup/ only. */
#pragma once

#include <stdint.h>

#include "runsc-c/cgroup/cgroup.h"

enum { CGROUP_DIRS_MAX = 24 };

/* One hierarchy: where it is mounted, which controllers it has, where the caller is in it. */
struct cgroup_hierarchy {
    char *mountpoint;  /* owned */
    char *controllers; /* owned: "cpu,cpuacct", "name=systemd", "" for the v2 tree */
    char *own;         /* owned: the caller's path below mountpoint, "/..." */
};

struct cgroup_place {
    char *controllers; /* owned; as of the hierarchy */
    char *path;        /* owned; NULL: could not be made, rootless */
};

struct cgroup {
    struct cgroup_place dirs[CGROUP_DIRS_MAX];
    size_t count;
    bool unified; /* all there is is a v2 tree */
    bool rootless;
    char *scope, *slice; /* owned: systemd unit and slice, or NULL */
    bool scope_started;
    json_t *limits; /* owned: what the scope is to start with, or NULL */
};

/* ---- hierarchies.c ---- */
int cgroup_hierarchies(struct cgroup_hierarchy *out, size_t *out_count, struct err *e);
void cgroup_hierarchies_free(struct cgroup_hierarchy *h, size_t count);
/* Is name one of the comma-separated list's? */
bool cgroup_has_controller(const char *list, const char *name);

/* ---- cgroup.c ---- */
/* What lack of permission looks like: a rootless container goes on without. */
bool cgroup_forgivable(int errnum);

/* ---- file.c: small files of a directory. Text functions give 0 or -errno. ---- */
int cgroup_write(const char *dir, const char *file, const char *text);
int cgroup_write_int(const char *dir, const char *file, int64_t value);
/* NUL-terminated and without the last newline. */
int cgroup_read(const char *dir, const char *file, char *buf, size_t size);
/* The whole file, allocated; NULL. */
char *cgroup_read_all(const char *dir, const char *file);
/* A number; "max" is UINT64_MAX; fallback when there is none. */
uint64_t cgroup_read_u64(const char *dir, const char *file, uint64_t fallback);
/* The value behind "key " in a flat keyed file. */
uint64_t cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t fallback);
bool cgroup_file_exists(const char *dir, const char *file);

/* Writes and words the failure as runc does. */
int cgroup_set(const char *dir, const char *file, const char *text, struct err *e);
int cgroup_set_int(const char *dir, const char *file, int64_t value, struct err *e);

/* ---- devices.c, devices_bpf.c ---- */
#define CGROUP_DEVICE_MKNOD 1u
#define CGROUP_DEVICE_READ  2u
#define CGROUP_DEVICE_WRITE 4u
#define CGROUP_DEVICE_ALL   7u
struct cgroup_device_rule {
    bool allow;
    bool by_default;      /* not configured */
    char type;            /* 'b', 'c' or 'a': both */
    int64_t major, minor; /* -1: any */
    uint32_t access;      /* CGROUP_DEVICE_* that it is about */
};
/* linux.resources.devices and the default rules; *out is allocated. */
int cgroup_device_rules(const json_t *configured, struct cgroup_device_rule **out,
                        size_t *out_count, struct err *e);
/* Both do nothing where nothing is configured. */
int cgroup_apply_devices_v1(const struct cgroup *cg, const char *dir, const json_t *configured,
                            struct err *e);
int cgroup_apply_devices_v2(const struct cgroup *cg, const char *dir, const json_t *configured,
                            struct err *e);
/* The program that asks the rules; *out is allocated. 0 or -ENOMEM. */
struct bpf_insn;
int cgroup_device_program(const struct cgroup_device_rule *rules, size_t count,
                          struct bpf_insn **out, size_t *out_count);

/* ---- apply_v1.c, apply_v2.c, systemd.c, stats.c ---- */
int cgroup_apply_v1(struct cgroup *cg, const json_t *resources, struct err *e);
/* v1's 2..262144 and 10..1000 as v2's 1..10000. */
int64_t cgroup_cpu_weight(int64_t shares);
int64_t cgroup_io_weight(int64_t weight);
int cgroup_apply_v2(struct cgroup *cg, const char *dir, const json_t *resources, struct err *e);
/* hugetlb of a v2 directory. */
int cgroup_apply_hugetlb_v2(const char *dir, const json_t *limits, struct err *e);
bool cgroup_systemd_running(void);
/* Asks systemd for cg->scope with pid in it, waits until it is. */
int cgroup_systemd_start(struct cgroup *cg, pid_t pid, struct err *e);
/* Tells systemd of limits that changed. */
int cgroup_systemd_limit(struct cgroup *cg, const json_t *resources, struct err *e);
void cgroup_systemd_stop(struct cgroup *cg);
/* "a-b.slice" as "a.slice/a-b.slice"; allocated, NULL when malformed. */
char *cgroup_systemd_slice_path(const char *slice);
