/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and keyrings: keyrings(7). Functions take sentry copies of the guest's strings and bytes; ids
 * are serial numbers or LX_KEY_SPEC_*. All key ids are positive. Negative results are the errno of
 * keyctl(2).
 */
#pragma once

#include <stdbool.h>

#include "sentry/abi/keyctl.h"

struct task;
struct thread_group;

/* /proc/sys/kernel/keys: what a user and what root may have. */
extern _Atomic int64_t g_keys_max, g_keys_max_bytes, g_keys_root_max, g_keys_root_max_bytes;

struct key_text {
    const char *type, *description; /* description may be NULL */
};
struct key_bytes {
    const void *data;
    size_t size;
};

/* The id. */
long key_add(const struct key_text *k, const struct key_bytes *payload, int ring);
long key_request(const struct key_text *k, int dest);
long key_search(int ring, const struct key_text *k, int dest);
long key_get_keyring_id(int id, bool create);
long key_join_session(const char *name);

long key_update(int id, const struct key_bytes *payload);
long key_revoke(int id);
long key_invalidate(int id);
long key_chown(int id, uint32_t uid, uint32_t gid); /* ids of the caller's namespace, -1: keep */
long key_setperm(int id, uint32_t perm);
long key_set_timeout(int id, uint32_t seconds);
long key_clear(int ring);
long key_link(int id, int ring);
long key_unlink(int id, int ring);
long key_move(int id, int from, int to, bool exclusive);
/* Text of DESCRIBE and bytes of READ: *out is malloc'ed, the result its size. */
long key_describe(int id, char **out);
long key_read(int id, uint8_t **out);
long key_check(int id, uint32_t right);

/* clone: what the child has of the caller's keyrings. */
void keys_fork(struct task *child, bool thread);
/* exec: thread and process keyrings go. The last of a thread, of a process: all of its. */
void keys_exec(struct task *t);
void keys_exit(struct task *t);
void keys_group_exit(struct thread_group *tg);

/* One line of /proc/keys for each key that the caller may view, with an id above *after; 0: end. */
size_t keys_format_next(int *after, char *buf, size_t size);
/* /proc/key-users. */
size_t keys_format_users(uint32_t index, char *buf, size_t size);
