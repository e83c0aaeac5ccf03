/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by keys.c (what keyctl does), keyring.c (objects, links, rights). */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/tree.h"
#include "sentry/core/user.h"
#include "sentry/kernel/keys.h"

enum key_type { KEY_KEYRING, KEY_USER, KEY_LOGON, KEY_TYPES };
extern const char *const g_key_type_names[KEY_TYPES];

/* The keys of one user: quota and its two keyrings. Lifetime: while it owns keys, or for good once it
 * has keyrings. Keys: k g_keys.lock */
struct key_user {
    lx_uid_t uid;
    uint32_t count, bytes;         /* k */
    struct key *keyring, *session; /* k, +1 */
    UT_hash_handle hh;             /* k */
};

/* Lifetime: refcounted by links, by tasks' keyrings and by calls; all under one lock.
 * Keys: I immutable; k g_keys.lock */
struct key {
    uint32_t refs;                 /* k */
    int serial;                    /* I */
    enum key_type type;            /* I */
    char *description;             /* I */
    lx_uid_t uid;                  /* k: kernel ids */
    lx_gid_t gid;                  /* k */
    uint32_t perm;                 /* k */
    bool revoked, invalid;         /* k */
    int64_t expiry;                /* k: realtime seconds, 0 never */
    uint8_t *payload;              /* k */
    size_t size;                   /* k: of payload */
    uint32_t charged;              /* k: bytes of the owner's quota */
    struct key **links;            /* k, +1 each: keyrings */
    uint32_t link_count, link_cap; /* k */
    UT_hash_handle hh;             /* k */
};

struct keys {
    struct mutex lock; /* rank LEAF */
    struct key *all;   /* uthash by serial */
    struct key_user *users;
};
extern struct keys g_keys;

/* A key found for the caller. possessed: through its own keyrings. */
struct key_ref {
    struct key *key; /* borrowed: while the lock is held */
    bool possessed;
};

#define LOOKUP_CREATE 1u /* make the special keyring that is missing */

int MUST_CHECK key_alloc_locked(enum key_type type, const char *description, uint32_t perm,
                                struct key **out);
void key_put_locked(struct key *k);
int MUST_CHECK key_set_payload_locked(struct key *k, const struct key_bytes *payload);
/* The quota moves along. -EDQUOT, -ENOMEM. */
int MUST_CHECK key_set_owner_locked(struct key *k, lx_uid_t uid);
int key_validate_locked(const struct key *k);
int key_permission_locked(const struct key_ref *r, uint32_t right);
/* right 0: no question. */
int MUST_CHECK key_lookup_locked(int id, uint32_t flags, uint32_t right, struct key_ref *out);
/* Replaces a link to a key of the same type and description. -ENOTDIR, -EDEADLK, -EDQUOT, -ENOMEM. */
int MUST_CHECK keyring_link_locked(struct key *ring, struct key *k);
int keyring_unlink_locked(struct key *ring, struct key *k); /* -ENOENT */
void keyring_clear_locked(struct key *ring);
/* The direct link of that name, or NULL. */
struct key *keyring_find_locked(struct key *ring, enum key_type type, const char *description);
/* In ring and, through searchable keyrings, below it. -EAGAIN: not there. */
int MUST_CHECK keyring_search_locked(const struct key_ref *ring, enum key_type type,
                                     const char *description, struct key_ref *out);
/* In all keyrings of the caller. */
int MUST_CHECK keyrings_search_locked(enum key_type type, const char *description,
                                      struct key_ref *out);
bool key_possessed_locked(const struct key *k);
int MUST_CHECK key_new_session_locked(const char *name, struct key **out);
int64_t key_now(void);
