/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What add_key(2), request_key(2) and keyctl(2) do. Each takes the one lock of all keys, finds what
 * the ids name with the right that is needed, and acts.
 *
 * DEVIATION: nobody upcalls /sbin/request-key: request_key(2) finds what is there or says ENOKEY, as
 * Linux does when the helper is missing. Keys of invalidated and revoked state stay in their keyrings
 * until they are unlinked; Linux collects them after a while.
 */
#include "sentry/kernel/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/userns.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/keys_internal.h"

#define USER_PAYLOAD_MAX 32767u

static int type_find(const char *name, enum key_type *out)
{
    for (int i = 0; i < KEY_TYPES; i++) {
        if (!strcmp(g_key_type_names[i], name)) {
            *out = (enum key_type)i;
            return 0;
        }
    }
    return -ENOKEY;
}

/* Linux: a type without a read or an update operation gives nobody that right from the start. */
static uint32_t default_perm(enum key_type type)
{
    uint32_t pos = LX_KEY_VIEW | LX_KEY_SEARCH | LX_KEY_LINK | LX_KEY_SETATTR | LX_KEY_WRITE;

    if (type != KEY_LOGON)
        pos |= LX_KEY_READ;
    return LX_KEY_POS(pos) | LX_KEY_USR(LX_KEY_VIEW);
}

static int payload_check(enum key_type type, const char *description,
                         const struct key_bytes *payload)
{
    if (type == KEY_KEYRING)
        return payload->size ? -EINVAL : 0;
    if (type == KEY_LOGON && description) {
        const char *colon = strchr(description, ':');

        if (!colon || colon == description)
            return -EINVAL;
    }
    return payload->size == 0 || payload->size > USER_PAYLOAD_MAX ? -EINVAL : 0;
}

/* ---- add, request, search -------------------------------------------------------------------- */

static int make_locked(const struct key_ref *ring, enum key_type type, const char *description,
                       const struct key_bytes *payload, struct key **out)
{
    int ret = key_alloc_locked(type, description, default_perm(type), out);

    if (ret < 0)
        return ret;
    if (type != KEY_KEYRING)
        ret = key_set_payload_locked(*out, payload);
    if (ret == 0)
        ret = keyring_link_locked(ring->key, *out);
    key_put_locked(*out); /* the keyring holds it now */
    return ret;
}

static long add_locked(const struct key_text *k, const struct key_bytes *payload, int ring_id)
{
    struct key_ref ring, old;
    struct key *key = NULL;
    enum key_type type;
    int ret = key_lookup_locked(ring_id, LOOKUP_CREATE, LX_KEY_WRITE, &ring);

    if (ret < 0)
        return ret;
    if (type_find(k->type, &type) < 0)
        return -ENODEV;
    if (ring.key->type != KEY_KEYRING)
        return -ENOTDIR;
    ret = payload_check(type, k->description, payload);
    if (ret < 0)
        return ret;
    if (!k->description)
        return -EINVAL;
    if (type != KEY_KEYRING)
        key = keyring_find_locked(ring.key, type, k->description);
    if (key && !key->revoked && !key->invalid) {
        old = (struct key_ref){key, ring.possessed};
        ret = key_permission_locked(&old, LX_KEY_WRITE);
        if (ret == 0)
            ret = key_set_payload_locked(key, payload);
        if (ret == 0)
            key->expiry = 0;
        return ret < 0 ? ret : key->serial;
    }
    ret = make_locked(&ring, type, k->description, payload, &key);
    return ret < 0 ? ret : key->serial;
}

long key_add(const struct key_text *k, const struct key_bytes *payload, int ring)
{
    long ret;

    mutex_lock(&g_keys.lock);
    ret = add_locked(k, payload, ring);
    mutex_unlock(&g_keys.lock);
    return ret;
}

static int dest_locked(int dest, struct key_ref *out)
{
    out->key = NULL;
    return dest ? key_lookup_locked(dest, LOOKUP_CREATE, LX_KEY_WRITE, out) : 0;
}

long key_request(const struct key_text *k, int dest)
{
    struct key_ref ring, found;
    enum key_type type;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = dest_locked(dest, &ring);
    if (ret == 0)
        ret = type_find(k->type, &type);
    if (ret == 0)
        ret = keyrings_search_locked(type, k->description ? k->description : "", &found);
    if (ret == -EAGAIN)
        ret = -ENOKEY;
    if (ret == 0 && ring.key)
        ret = keyring_link_locked(ring.key, found.key);
    if (ret == 0)
        ret = found.key->serial;
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_search(int ring_id, const struct key_text *k, int dest)
{
    struct key_ref ring, to, found;
    enum key_type type;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(ring_id, 0, LX_KEY_SEARCH, &ring);
    if (ret == 0)
        ret = dest_locked(dest, &to);
    if (ret == 0)
        ret = type_find(k->type, &type);
    if (ret == 0)
        ret = keyring_search_locked(&ring, type, k->description ? k->description : "", &found);
    if (ret == -EAGAIN)
        ret = -ENOKEY;
    if (ret == 0 && to.key) {
        ret = key_permission_locked(&found, LX_KEY_LINK);
        if (ret == 0)
            ret = keyring_link_locked(to.key, found.key);
    }
    if (ret == 0)
        ret = found.key->serial;
    mutex_unlock(&g_keys.lock);
    return ret;
}

/* ---- keyrings ------------------------------------------------------------------------------- */

long key_get_keyring_id(int id, bool create)
{
    struct key_ref r;
    long ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, create ? LOOKUP_CREATE : 0, LX_KEY_SEARCH, &r);
    if (ret == 0)
        ret = r.key->serial;
    mutex_unlock(&g_keys.lock);
    return ret;
}

/* A keyring that is called so and that the caller may join. */
static struct key *named_locked(const char *name)
{
    for (struct key *k = g_keys.all; k; k = k->hh.next) {
        struct key_ref r = {k, false};

        if (k->type == KEY_KEYRING && !k->revoked && !strcmp(k->description, name) &&
            key_permission_locked(&r, LX_KEY_SEARCH) == 0)
            return k;
    }
    return NULL;
}

long key_join_session(const char *name)
{
    struct ktask_private *own = current_task()->k;
    struct key *k = NULL;
    long ret = 0;

    mutex_lock(&g_keys.lock);
    if (name)
        k = named_locked(name);
    if (k)
        k->refs++;
    else
        ret = key_new_session_locked(name, &k);
    if (ret == 0 && k == own->session_keyring) {
        key_put_locked(k); /* Linux: 0 and no id when nothing changes */
    } else if (ret == 0) {
        key_put_locked(own->session_keyring);
        own->session_keyring = k;
        ret = k->serial;
    }
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_clear(int ring)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(ring, LOOKUP_CREATE, LX_KEY_WRITE, &r);
    if (ret == 0 && r.key->type != KEY_KEYRING)
        ret = -ENOTDIR;
    if (ret == 0)
        keyring_clear_locked(r.key);
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_link(int id, int ring_id)
{
    struct key_ref ring, key;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(ring_id, LOOKUP_CREATE, LX_KEY_WRITE, &ring);
    if (ret == 0)
        ret = key_lookup_locked(id, LOOKUP_CREATE, LX_KEY_LINK, &key);
    if (ret == 0)
        ret = keyring_link_locked(ring.key, key.key);
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_unlink(int id, int ring_id)
{
    struct key_ref ring, key;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(ring_id, 0, LX_KEY_WRITE, &ring);
    if (ret == 0)
        ret = key_lookup_locked(id, 0, 0, &key);
    if (ret == 0)
        ret = keyring_unlink_locked(ring.key, key.key);
    mutex_unlock(&g_keys.lock);
    return ret;
}

static int move_locked(int id, int from_id, int to_id, bool exclusive)
{
    struct key_ref key, from, to;
    int ret = key_lookup_locked(id, LOOKUP_CREATE, LX_KEY_LINK, &key);

    if (ret == 0)
        ret = key_lookup_locked(from_id, 0, LX_KEY_WRITE, &from);
    if (ret == 0)
        ret = key_lookup_locked(to_id, LOOKUP_CREATE, LX_KEY_WRITE, &to);
    if (ret < 0 || from.key == to.key)
        return ret;
    if (from.key->type != KEY_KEYRING || to.key->type != KEY_KEYRING)
        return -ENOTDIR;
    if (keyring_find_locked(from.key, key.key->type, key.key->description) != key.key)
        return -ENOENT;
    if (exclusive && keyring_find_locked(to.key, key.key->type, key.key->description))
        return -EEXIST;
    ret = keyring_link_locked(to.key, key.key);
    return ret < 0 ? ret : keyring_unlink_locked(from.key, key.key);
}

long key_move(int id, int from, int to, bool exclusive)
{
    int ret;

    mutex_lock(&g_keys.lock);
    ret = move_locked(id, from, to, exclusive);
    mutex_unlock(&g_keys.lock);
    return ret;
}

/* ---- one key -------------------------------------------------------------------------------- */

long key_update(int id, const struct key_bytes *payload)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, LX_KEY_WRITE, &r);
    if (ret == 0 && r.key->type == KEY_KEYRING)
        ret = -EOPNOTSUPP;
    if (ret == 0)
        ret = payload_check(r.key->type, NULL, payload);
    if (ret == 0)
        ret = key_set_payload_locked(r.key, payload);
    if (ret == 0)
        r.key->expiry = 0;
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_revoke(int id)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, LX_KEY_WRITE, &r);
    if (ret == -EACCES)
        ret = key_lookup_locked(id, 0, LX_KEY_SETATTR, &r);
    if (ret == 0) {
        r.key->revoked = true;
        if (r.key->type == KEY_KEYRING)
            keyring_clear_locked(r.key);
    }
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_invalidate(int id)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, LX_KEY_SEARCH, &r);
    if (ret == 0)
        r.key->invalid = true;
    mutex_unlock(&g_keys.lock);
    return ret;
}

static int chown_locked(struct key *k, uint32_t uid, uint32_t gid)
{
    const struct cred *c = curr()->cred;
    bool admin = cred_capable(c, LX_CAP_SYS_ADMIN);
    lx_uid_t kuid = uid == LX_ID_INVALID ? k->uid : userns_to_kuid(c->userns, uid);
    lx_gid_t kgid = gid == LX_ID_INVALID ? k->gid : userns_to_kgid(c->userns, gid);

    if (kuid == LX_ID_INVALID || kgid == LX_ID_INVALID)
        return -EINVAL;
    if (!admin && (kuid != k->uid || (kgid != k->gid && !cred_in_group(c, kgid))))
        return -EACCES;
    k->gid = kgid;
    return kuid == k->uid ? 0 : key_set_owner_locked(k, kuid);
}

long key_chown(int id, uint32_t uid, uint32_t gid)
{
    struct key_ref r;
    int ret;

    if (uid == LX_ID_INVALID && gid == LX_ID_INVALID)
        return 0;
    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, LOOKUP_CREATE, LX_KEY_SETATTR, &r);
    if (ret == 0)
        ret = chown_locked(r.key, uid, gid);
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_setperm(int id, uint32_t perm)
{
    const struct cred *c = curr()->cred;
    struct key_ref r;
    int ret;

    if (perm & ~LX_KEY_PERM_ALL)
        return -EINVAL;
    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, LOOKUP_CREATE, LX_KEY_SETATTR, &r);
    if (ret == 0 && r.key->uid != c->fsuid && !cred_capable(c, LX_CAP_SYS_ADMIN))
        ret = -EACCES;
    if (ret == 0)
        r.key->perm = perm;
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_set_timeout(int id, uint32_t seconds)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, LOOKUP_CREATE, LX_KEY_SETATTR, &r);
    if (ret == 0)
        r.key->expiry = seconds ? key_now() + seconds : 0;
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_describe(int id, char **out)
{
    const struct userns *ns = curr()->cred->userns;
    struct key_ref r;
    long ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, LX_KEY_VIEW, &r);
    if (ret == 0) {
        ret = asprintf(out, "%s;%d;%d;%08x;%s", g_key_type_names[r.key->type],
                       (int)userns_from_kuid(ns, r.key->uid), (int)userns_from_kgid(ns, r.key->gid),
                       r.key->perm, r.key->description);
        ret = ret < 0 ? -ENOMEM : ret + 1;
    }
    mutex_unlock(&g_keys.lock);
    return ret;
}

static long read_locked(const struct key *k, uint8_t **out)
{
    size_t size = k->type == KEY_KEYRING ? k->link_count * sizeof(int32_t) : k->size;

    if (k->type == KEY_LOGON)
        return -EOPNOTSUPP;
    *out = malloc(size ? size : 1);
    if (!*out)
        return -ENOMEM;
    if (k->type == KEY_USER)
        memcpy(*out, k->payload, size);
    else
        for (uint32_t i = 0; i < k->link_count; i++)
            memcpy(*out + i * sizeof(int32_t), &k->links[i]->serial, sizeof(int32_t));
    return (long)size;
}

long key_read(int id, uint8_t **out)
{
    struct key_ref r;
    long ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, 0, &r);
    /* Linux: what the caller holds and could find, it may read. */
    if (ret == 0 && key_permission_locked(&r, LX_KEY_READ) < 0 && !r.possessed)
        ret = -EACCES;
    if (ret == 0)
        ret = read_locked(r.key, out);
    mutex_unlock(&g_keys.lock);
    return ret;
}

long key_check(int id, uint32_t right)
{
    struct key_ref r;
    int ret;

    mutex_lock(&g_keys.lock);
    ret = key_lookup_locked(id, 0, right, &r);
    mutex_unlock(&g_keys.lock);
    return ret;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

void keys_fork(struct task *child, bool thread)
{
    struct key *session = current_task() ? current_task()->k->session_keyring : NULL;

    child->k->thread_keyring = NULL;
    mutex_lock(&g_keys.lock);
    if (session)
        session->refs++;
    child->k->session_keyring = session;
    /* Linux: a thread keyring is not shared; whose creator has one gets one. Without memory it will be
     * made when it is asked for. */
    if (thread && current_task()->k->thread_keyring &&
        key_alloc_locked(KEY_KEYRING, "_tid", LX_KEY_POS(LX_KEY_ALL) | LX_KEY_USR(LX_KEY_VIEW),
                         &child->k->thread_keyring) < 0)
        child->k->thread_keyring = NULL;
    mutex_unlock(&g_keys.lock);
}

static void drop(struct key **slot)
{
    mutex_lock(&g_keys.lock);
    key_put_locked(*slot);
    *slot = NULL;
    mutex_unlock(&g_keys.lock);
}

void keys_exec(struct task *t)
{
    if (t->k->thread_keyring)
        drop(&t->k->thread_keyring);
    if (t->tg->process_keyring)
        drop(&t->tg->process_keyring);
}

void keys_exit(struct task *t)
{
    if (t->k->thread_keyring)
        drop(&t->k->thread_keyring);
    if (t->k->session_keyring)
        drop(&t->k->session_keyring);
}

void keys_group_exit(struct thread_group *tg)
{
    if (tg->process_keyring)
        drop(&tg->process_keyring);
}

/* ---- /proc ---------------------------------------------------------------------------------- */

static void expiry_text(const struct key *k, char text[8])
{
    int64_t left = k->expiry - key_now();

    if (!k->expiry)
        strcpy(text, "perm");
    else if (left <= 0)
        strcpy(text, "expd");
    else if (left < 60)
        snprintf(text, 8, "%us", (unsigned)left);
    else if (left < 3600)
        snprintf(text, 8, "%um", (unsigned)(left / 60));
    else if (left < 86400)
        snprintf(text, 8, "%uh", (unsigned)(left / 3600));
    else
        snprintf(text, 8, "%ud", (unsigned)(left / 86400 % 1000000));
}

static size_t format_locked(const struct key *k, char *buf, size_t size)
{
    const struct userns *ns = curr()->cred->userns;
    char expiry[8], tail[32] = "";
    int n;

    expiry_text(k, expiry);
    if (k->type == KEY_KEYRING)
        snprintf(tail, sizeof(tail), k->link_count ? ": %u" : ": empty", k->link_count);
    else
        snprintf(tail, sizeof(tail), ": %u", (unsigned)k->size);
    n = snprintf(buf, size, "%08x I%c-Q--%c %5u %4s %08x %5d %5d %-9.9s %s%s\n",
                 (unsigned)k->serial, k->revoked ? 'R' : '-', k->invalid ? 'i' : '-', k->refs,
                 expiry, k->perm, (int)userns_from_kuid(ns, k->uid),
                 (int)userns_from_kgid(ns, k->gid), g_key_type_names[k->type], k->description,
                 tail);
    return MIN((size_t)n, size - 1);
}

size_t keys_format_next(int *after, char *buf, size_t size)
{
    struct key *best = NULL;
    size_t n = 0;

    mutex_lock(&g_keys.lock);
    for (struct key *k = g_keys.all; k; k = k->hh.next) {
        struct key_ref r = {k, false};

        if (k->serial <= *after || (best && k->serial > best->serial))
            continue;
        r.possessed = key_possessed_locked(k);
        if (key_permission_locked(&r, LX_KEY_VIEW) == 0)
            best = k;
    }
    if (best) {
        *after = best->serial;
        n = format_locked(best, buf, size);
    }
    mutex_unlock(&g_keys.lock);
    return n;
}

size_t keys_format_users(uint32_t index, char *buf, size_t size)
{
    const struct userns *ns = curr()->cred->userns;
    struct key_user *u;
    int n = 0;

    mutex_lock(&g_keys.lock);
    for (u = g_keys.users; u && index; u = u->hh.next)
        index--;
    if (u)
        n = snprintf(buf, size, "%5u: %5u %u/%u %u/%lld %u/%lld\n", userns_from_kuid(ns, u->uid),
                     u->count + 1, u->count, u->count, u->count,
                     (long long)(u->uid ? g_keys_max : g_keys_root_max), u->bytes,
                     (long long)(u->uid ? g_keys_max_bytes : g_keys_root_max_bytes));
    mutex_unlock(&g_keys.lock);
    return MIN((size_t)n, size - 1);
}
