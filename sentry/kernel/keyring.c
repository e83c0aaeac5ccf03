/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as objects: who has them, who may do what, and how keyrings are searched. keyrings(7).
 *
 * Everything is under one leaf lock: operations are rare and short, and a search sees one state of
 * all keyrings. Keyrings cannot contain themselves: links that would close a circle or nest too deep
 * are refused, so that recursion is bounded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/core/random.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/keys_internal.h"

#define NESTING_MAX 6u
#define LINK_COST   4u /* bytes of quota for each link, as Linux */
#define LINKS_MAX   509u

struct keys g_keys = {.lock = {.rank = RANK_LEAF}};
_Atomic int64_t g_keys_max = 200, g_keys_max_bytes = 20000, g_keys_root_max = 1000000,
                g_keys_root_max_bytes = 25000000;

const char *const g_key_type_names[KEY_TYPES] = {
    [KEY_KEYRING] = "keyring", [KEY_USER] = "user", [KEY_LOGON] = "logon"};

int64_t key_now(void)
{
    return (int64_t)(clock_realtime() / NSEC_PER_SEC);
}

/* ---- quota ---------------------------------------------------------------------------------- */

static struct key_user *user_get_locked(lx_uid_t uid)
{
    struct key_user *u;

    HASH_FIND(hh, g_keys.users, &uid, sizeof(uid), u);
    if (u)
        return u;
    u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->uid = uid;
    HASH_ADD(hh, g_keys.users, uid, sizeof(u->uid), u);
    if (uthash_oom(u->hh)) {
        free(u);
        return NULL;
    }
    return u;
}

/* Changes what the owner of k is charged to bytes. */
static int charge_locked(struct key *k, uint32_t bytes, bool fresh)
{
    struct key_user *u = user_get_locked(k->uid);
    int64_t keys = k->uid ? g_keys_max : g_keys_root_max;
    int64_t room = k->uid ? g_keys_max_bytes : g_keys_root_max_bytes;

    if (!u)
        return -ENOMEM;
    if (fresh && u->count + 1 > keys)
        return -EDQUOT;
    if (bytes > k->charged && (int64_t)u->bytes - k->charged + bytes > room)
        return -EDQUOT;
    u->bytes += bytes - k->charged;
    u->count += fresh;
    k->charged = bytes;
    return 0;
}

static void uncharge_locked(struct key *k)
{
    struct key_user *u = user_get_locked(k->uid);

    if (!u)
        return;
    u->bytes -= k->charged;
    u->count--;
    k->charged = 0;
    if (!u->count && !u->keyring && !u->session) {
        HASH_DEL(g_keys.users, u);
        free(u);
    }
}

/* ---- objects -------------------------------------------------------------------------------- */

static int serial_new_locked(void)
{
    struct key *other;
    uint32_t raw;
    int serial;

    do {
        random_bytes(&raw, sizeof(raw));
        serial = (int)(raw >> 1);
        HASH_FIND_INT(g_keys.all, &serial, other);
    } while (serial < 3 || other);
    return serial;
}

static void key_free(struct key *k)
{
    if (k->payload)
        explicit_bzero(k->payload, k->size);
    free(k->payload);
    free(k->links);
    free(k->description);
    free(k);
}

int key_alloc_locked(enum key_type type, const char *description, uint32_t perm, struct key **out)
{
    const struct cred *c = curr()->cred;
    struct key *k = calloc(1, sizeof(*k));
    int ret = -ENOMEM;

    if (!k)
        return -ENOMEM;
    k->refs = 1;
    k->type = type;
    k->description = strdup(description);
    k->uid = c->fsuid;
    k->gid = c->fsgid;
    k->perm = perm;
    k->serial = serial_new_locked();
    if (k->description)
        ret = charge_locked(k, (uint32_t)strlen(description) + 1, /*fresh=*/true);
    if (ret < 0) {
        key_free(k);
        return ret;
    }
    HASH_ADD_INT(g_keys.all, serial, k);
    if (uthash_oom(k->hh)) {
        uncharge_locked(k);
        key_free(k);
        return -ENOMEM;
    }
    *out = k;
    return 0;
}

void key_put_locked(struct key *k)
{
    if (!k || --k->refs)
        return;
    keyring_clear_locked(k);
    HASH_DEL(g_keys.all, k);
    uncharge_locked(k);
    key_free(k);
}

int key_set_payload_locked(struct key *k, const struct key_bytes *payload)
{
    uint8_t *data = malloc(payload->size);
    int ret;

    if (!data)
        return -ENOMEM;
    ret = charge_locked(k, (uint32_t)(strlen(k->description) + 1 + payload->size),
                        /*fresh=*/false);
    if (ret < 0) {
        free(data);
        return ret;
    }
    memcpy(data, payload->data, payload->size);
    if (k->payload)
        explicit_bzero(k->payload, k->size);
    free(k->payload);
    k->payload = data;
    k->size = payload->size;
    return 0;
}

int key_set_owner_locked(struct key *k, lx_uid_t uid)
{
    uint32_t bytes = k->charged;
    lx_uid_t old = k->uid;
    int ret;

    uncharge_locked(k);
    k->uid = uid;
    ret = charge_locked(k, bytes, /*fresh=*/true);
    if (ret < 0) {
        k->uid = old;
        k->charged = 0;
        (void)charge_locked(k, bytes, /*fresh=*/true); /* there was room a moment ago */
    }
    return ret;
}

int key_validate_locked(const struct key *k)
{
    if (k->invalid)
        return -ENOKEY;
    if (k->revoked)
        return -EKEYREVOKED;
    return k->expiry && key_now() >= k->expiry ? -EKEYEXPIRED : 0;
}

int key_permission_locked(const struct key_ref *r, uint32_t right)
{
    const struct cred *c = curr()->cred;
    const struct key *k = r->key;
    uint32_t granted = k->perm;

    if (k->uid == c->fsuid)
        granted >>= 16;
    else if ((k->perm >> 8 & LX_KEY_ALL) && cred_in_group(c, k->gid))
        granted >>= 8;
    if (r->possessed)
        granted |= k->perm >> 24;
    return (granted & right) == right ? 0 : -EACCES;
}

/* ---- links ---------------------------------------------------------------------------------- */

struct key *keyring_find_locked(struct key *ring, enum key_type type, const char *description)
{
    for (uint32_t i = 0; i < ring->link_count; i++) {
        struct key *k = ring->links[i];

        if (k->type == type && !strcmp(k->description, description))
            return k;
    }
    return NULL;
}

static uint32_t ring_cost(const struct key *ring, uint32_t links)
{
    return (uint32_t)strlen(ring->description) + 1 + links * LINK_COST;
}

/* Is target in the tree below k, or is that tree deeper than depth? */
static bool reaches_locked(const struct key *k, const struct key *target, uint32_t depth)
{
    if (k == target)
        return true;
    if (k->type != KEY_KEYRING)
        return false;
    for (uint32_t i = 0; i < k->link_count; i++) {
        const struct key *next = k->links[i];

        if (next->type == KEY_KEYRING && (depth == 0 || reaches_locked(next, target, depth - 1)))
            return true;
    }
    return false;
}

int keyring_link_locked(struct key *ring, struct key *k)
{
    struct key *old;
    int ret;

    if (ring->type != KEY_KEYRING)
        return -ENOTDIR;
    if (k->type == KEY_KEYRING && reaches_locked(k, ring, NESTING_MAX))
        return -EDEADLK;
    old = keyring_find_locked(ring, k->type, k->description);
    k->refs++;
    if (old) {
        for (uint32_t i = 0; i < ring->link_count; i++)
            if (ring->links[i] == old)
                ring->links[i] = k;
        key_put_locked(old);
        return 0;
    }
    ret = ring->link_count >= LINKS_MAX
              ? -ENFILE
              : charge_locked(ring, ring_cost(ring, ring->link_count + 1), /*fresh=*/false);
    if (ret == 0 && ring->link_count == ring->link_cap) {
        uint32_t cap = ring->link_cap ? ring->link_cap * 2 : 8;
        struct key **links = realloc(ring->links, cap * sizeof(*links));

        if (links) {
            ring->links = links;
            ring->link_cap = cap;
        } else {
            ret = -ENOMEM;
        }
    }
    if (ret < 0) {
        k->refs--;
        return ret;
    }
    ring->links[ring->link_count++] = k;
    return 0;
}

int keyring_unlink_locked(struct key *ring, struct key *k)
{
    if (ring->type != KEY_KEYRING)
        return -ENOTDIR;
    for (uint32_t i = 0; i < ring->link_count; i++) {
        if (ring->links[i] != k)
            continue;
        memmove(ring->links + i, ring->links + i + 1,
                (ring->link_count - i - 1) * sizeof(*ring->links));
        ring->link_count--;
        (void)charge_locked(ring, ring_cost(ring, ring->link_count), false); /* gets less */
        key_put_locked(k);
        return 0;
    }
    return -ENOENT;
}

void keyring_clear_locked(struct key *ring)
{
    while (ring->link_count)
        (void)keyring_unlink_locked(ring, ring->links[ring->link_count - 1]); /* it is there */
}

/* ---- searches ------------------------------------------------------------------------------- */

/* The most telling of two failures, by Linux's order: a key that was there and is not usable counts
 * more than none. */
static int worse(int a, int b)
{
    return b == -EAGAIN ? a : b;
}

static int search_locked(const struct key_ref *ring, enum key_type type, const char *description,
                         uint32_t depth, struct key_ref *out)
{
    struct key *k = keyring_find_locked(ring->key, type, description);
    int failed = -EAGAIN, ret;

    if (k) {
        *out = (struct key_ref){k, ring->possessed};
        ret = key_validate_locked(k);
        if (ret == 0)
            ret = key_permission_locked(out, LX_KEY_SEARCH);
        if (ret == 0)
            return 0;
        failed = ret;
    }
    for (uint32_t i = 0; depth && i < ring->key->link_count; i++) {
        struct key_ref next = {ring->key->links[i], ring->possessed};

        if (next.key->type != KEY_KEYRING || key_validate_locked(next.key) < 0 ||
            key_permission_locked(&next, LX_KEY_SEARCH) < 0)
            continue;
        ret = search_locked(&next, type, description, depth - 1, out);
        if (ret == 0)
            return 0;
        failed = worse(failed, ret);
    }
    return failed;
}

int keyring_search_locked(const struct key_ref *ring, enum key_type type, const char *description,
                          struct key_ref *out)
{
    if (ring->key->type != KEY_KEYRING)
        return -ENOTDIR;
    if (key_permission_locked(ring, LX_KEY_SEARCH) < 0)
        return -EACCES;
    return search_locked(ring, type, description, NESTING_MAX, out);
}

/* The caller's keyrings in the order of searches; NULL where there is none. */
static void own_rings_locked(struct key *rings[3])
{
    struct task *t = current_task();
    struct key_user *u = user_get_locked(curr()->cred->ruid);

    rings[0] = t->k->thread_keyring;
    rings[1] = t->tg->process_keyring;
    rings[2] = t->k->session_keyring ? t->k->session_keyring : u ? u->session : NULL;
}

int keyrings_search_locked(enum key_type type, const char *description, struct key_ref *out)
{
    struct key *rings[3];
    int failed = -EAGAIN;

    own_rings_locked(rings);
    for (int i = 0; i < 3; i++) {
        struct key_ref ring = {rings[i], true};
        int ret;

        if (!rings[i])
            continue;
        ret = keyring_search_locked(&ring, type, description, out);
        if (ret == 0)
            return 0;
        failed = worse(failed, ret);
    }
    return failed;
}

/* Linux: possession is reached through keyrings that the caller may search. */
static bool holds_locked(struct key *ring, const struct key *k, uint32_t depth)
{
    struct key_ref r = {ring, true};

    if (ring == k)
        return true;
    if (ring->type != KEY_KEYRING || key_permission_locked(&r, LX_KEY_SEARCH) < 0)
        return false;
    for (uint32_t i = 0; i < ring->link_count; i++) {
        struct key_ref next = {ring->links[i], true};

        if (next.key == k && key_permission_locked(&next, LX_KEY_SEARCH) == 0)
            return true;
        if (next.key->type == KEY_KEYRING && depth && holds_locked(next.key, k, depth - 1))
            return true;
    }
    return false;
}

bool key_possessed_locked(const struct key *k)
{
    struct key *rings[3];

    own_rings_locked(rings);
    for (int i = 0; i < 3; i++)
        if (rings[i] && holds_locked(rings[i], k, NESTING_MAX))
            return true;
    return false;
}

/* ---- ids ------------------------------------------------------------------------------------ */

/* _uid.N and _uid_ses.N of the caller. */
static int user_rings_locked(struct key_user **out)
{
    const uint32_t perm = LX_KEY_POS(LX_KEY_ALL & ~LX_KEY_SETATTR) | LX_KEY_USR(LX_KEY_ALL);
    const struct cred *c = curr()->cred;
    struct key_user *u = user_get_locked(c->ruid);
    uint32_t uid = userns_from_kuid(c->userns, c->ruid);
    char name[32];
    int ret = 0;

    if (!u)
        return -ENOMEM;
    if (!u->keyring) {
        snprintf(name, sizeof(name), "_uid.%u", uid);
        ret = key_alloc_locked(KEY_KEYRING, name, perm, &u->keyring);
    }
    if (ret == 0 && !u->session) {
        snprintf(name, sizeof(name), "_uid_ses.%u", uid);
        ret = key_alloc_locked(KEY_KEYRING, name, perm, &u->session);
        if (ret == 0)
            ret = keyring_link_locked(u->session, u->keyring);
    }
    *out = u;
    return ret;
}

int key_new_session_locked(const char *name, struct key **out)
{
    uint32_t perm = LX_KEY_POS(LX_KEY_ALL) | LX_KEY_USR(LX_KEY_VIEW | LX_KEY_READ);

    return key_alloc_locked(KEY_KEYRING, name ? name : "_ses",
                            name ? perm | LX_KEY_USR(LX_KEY_LINK) : perm, out);
}

/* A keyring of the thread or the process: made when it is missing and wanted. */
static int own_ring_locked(struct key **slot, const char *name, bool create, struct key **out)
{
    int ret = 0;

    if (!*slot && !create)
        return -ENOKEY;
    if (!*slot)
        ret = key_alloc_locked(KEY_KEYRING, name, LX_KEY_POS(LX_KEY_ALL) | LX_KEY_USR(LX_KEY_VIEW),
                               slot);
    *out = *slot;
    return ret;
}

static int session_ring_locked(bool create, struct key **out)
{
    struct task *t = current_task();
    struct key_user *u;
    int ret = 0;

    if (!t->k->session_keyring) {
        ret = user_rings_locked(&u);
        if (ret == 0 && create)
            ret = key_new_session_locked(NULL, &t->k->session_keyring);
        else if (ret == 0)
            (t->k->session_keyring = u->session)->refs++;
    }
    *out = t->k->session_keyring;
    return ret;
}

static int special_locked(int id, bool create, struct key **out)
{
    struct task *t = current_task();
    struct key_user *u;
    int ret;

    switch (id) {
    case LX_KEY_SPEC_THREAD:
        return own_ring_locked(&t->k->thread_keyring, "_tid", create, out);
    case LX_KEY_SPEC_PROCESS:
        return own_ring_locked(&t->tg->process_keyring, "_pid", create, out);
    case LX_KEY_SPEC_SESSION:
        return session_ring_locked(create, out);
    case LX_KEY_SPEC_USER:
    case LX_KEY_SPEC_USER_SESSION:
        ret = user_rings_locked(&u);
        if (ret == 0)
            *out = id == LX_KEY_SPEC_USER ? u->keyring : u->session;
        return ret;
    case LX_KEY_SPEC_REQKEY_AUTH:
        return -ENOKEY;
    default:
        return -EINVAL;
    }
}

int key_lookup_locked(int id, uint32_t flags, uint32_t right, struct key_ref *out)
{
    int ret = 0;

    if (id > 0) {
        HASH_FIND_INT(g_keys.all, &id, out->key);
        if (!out->key || out->key->invalid)
            return -ENOKEY;
        out->possessed = key_possessed_locked(out->key);
    } else {
        ret = special_locked(id, flags & LOOKUP_CREATE, &out->key);
        /* Linux: the caller's own keyrings are possessed; the user's only through its session. */
        if (ret == 0)
            out->possessed = id == LX_KEY_SPEC_USER || id == LX_KEY_SPEC_USER_SESSION
                                 ? key_possessed_locked(out->key)
                                 : true;
    }
    if (ret == 0)
        ret = key_validate_locked(out->key);
    if (ret == 0 && right)
        ret = key_permission_locked(out, right);
    return ret;
}
