/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials, user namespaces and capability tests. credentials(7), capabilities(7),
 * user_namespaces(7). All ids are kernel ids (those of the initial user namespace of the sandbox);
 * userns_to_kuid and friends translate at the system call border.
 */
#pragma once

#include "platform/base/refs.h"
#include "sentry/abi/types.h"

#define LX_CAP_CHOWN              0
#define LX_CAP_DAC_OVERRIDE       1
#define LX_CAP_DAC_READ_SEARCH    2
#define LX_CAP_FOWNER             3
#define LX_CAP_FSETID             4
#define LX_CAP_KILL               5
#define LX_CAP_SETGID             6
#define LX_CAP_SETUID             7
#define LX_CAP_SETPCAP            8
#define LX_CAP_LINUX_IMMUTABLE    9
#define LX_CAP_NET_BIND_SERVICE   10
#define LX_CAP_NET_BROADCAST      11
#define LX_CAP_NET_ADMIN          12
#define LX_CAP_NET_RAW            13
#define LX_CAP_IPC_LOCK           14
#define LX_CAP_IPC_OWNER          15
#define LX_CAP_SYS_MODULE         16
#define LX_CAP_SYS_RAWIO          17
#define LX_CAP_SYS_CHROOT         18
#define LX_CAP_SYS_PTRACE         19
#define LX_CAP_SYS_PACCT          20
#define LX_CAP_SYS_ADMIN          21
#define LX_CAP_SYS_BOOT           22
#define LX_CAP_SYS_NICE           23
#define LX_CAP_SYS_RESOURCE       24
#define LX_CAP_SYS_TIME           25
#define LX_CAP_SYS_TTY_CONFIG     26
#define LX_CAP_MKNOD              27
#define LX_CAP_LEASE              28
#define LX_CAP_AUDIT_WRITE        29
#define LX_CAP_AUDIT_CONTROL      30
#define LX_CAP_SETFCAP            31
#define LX_CAP_MAC_OVERRIDE       32
#define LX_CAP_MAC_ADMIN          33
#define LX_CAP_SYSLOG             34
#define LX_CAP_WAKE_ALARM         35
#define LX_CAP_BLOCK_SUSPEND      36
#define LX_CAP_AUDIT_READ         37
#define LX_CAP_PERFMON            38
#define LX_CAP_BPF                39
#define LX_CAP_CHECKPOINT_RESTORE 40
#define LX_CAP_LAST               40
#define LX_CAP_ALL                ((1ull << (LX_CAP_LAST + 1)) - 1)
#define LX_CAP_BIT(c)             (1ull << (c))

struct userns;

/* What a security module hangs on credentials; copies of them share it. Lifetime: refcounted. */
struct cred_security {
    struct refs refs;
    /* The last reference is gone. May run under any lock: takes only leaf locks, never blocks. */
    void (*destroy)(struct cred_security *s);
};
struct cred_security *cred_security_get(struct cred_security *s);
void cred_security_put(struct cred_security *s);

/* Lifetime: refcounted (cred_get/cred_put), immutable once published: change = copy + replace. */
struct cred {
    struct refs refs;
    lx_uid_t ruid, euid, suid, fsuid;
    lx_gid_t rgid, egid, sgid, fsgid;
    uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
    uint32_t securebits;
    struct userns *userns;          /* +1 */
    struct cred_security *security; /* +1 or NULL: landlock's domain */
    size_t group_count;
    lx_gid_t groups[]; /* sorted */
};

/* Root with all capabilities in the initial user namespace; static, never freed. */
struct cred *cred_kernel(void);
/* A copy to change before it is published, with room for group_count groups (0: keep old's). */
int MUST_CHECK cred_copy(const struct cred *old, struct cred **out);
int MUST_CHECK cred_copy_groups(const struct cred *old, const lx_gid_t *groups, size_t count,
                                struct cred **out);
struct cred *cred_get(const struct cred *c);
void cred_put(struct cred *c);
bool cred_in_group(const struct cred *c, lx_gid_t gid); /* fsgid or supplementary */
/* Capability in the initial / in the given user namespace (owner and ancestor rules). */
bool cred_capable(const struct cred *c, int cap);
bool cred_ns_capable(const struct cred *c, const struct userns *ns, int cap);

/* Lifetime: refcounted. */
struct userns *userns_init_get(void);
struct userns *userns_get(struct userns *ns);
void userns_put(struct userns *ns);
#define LX_ID_INVALID 0xffffffffu
/* LX_ID_INVALID when not mapped (from), overflow id 65534 when not mapped (to guest). */
lx_uid_t userns_to_kuid(const struct userns *ns, lx_uid_t uid);
lx_gid_t userns_to_kgid(const struct userns *ns, lx_gid_t gid);
lx_uid_t userns_from_kuid(const struct userns *ns, lx_uid_t kuid);
lx_gid_t userns_from_kgid(const struct userns *ns, lx_gid_t kgid);
