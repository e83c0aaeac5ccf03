/* SPDX-License-Identifier: Apache-2.0 */
/* add_key(2), request_key(2), keyctl(2): strings and buffers to and from the guest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/keys.h"
#include "sentry/kernel/settings.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

/* A type and a description; description is malloc'ed. */
struct text_args {
    char type[LX_KEY_TYPE_MAX];
    char *description;
};

static int type_in(char type[LX_KEY_TYPE_MAX], uaddr_t src)
{
    ssize_t n = copy_in_str(type, src, LX_KEY_TYPE_MAX);

    if (n == 0 || n == -ENAMETOOLONG)
        return -EINVAL;
    if (n < 0)
        return (int)n;
    return type[0] == '.' ? -EPERM : 0;
}

static int description_in(char **out, uaddr_t src)
{
    char *text = malloc(LX_KEY_DESC_MAX);
    ssize_t n;

    if (!text)
        return -ENOMEM;
    n = copy_in_str(text, src, LX_KEY_DESC_MAX);
    if (n < 0) {
        free(text);
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    }
    *out = text;
    return 0;
}

static int bytes_in(uaddr_t src, size_t size, void **out)
{
    int ret;

    *out = NULL;
    if (!size)
        return 0;
    *out = malloc(size);
    if (!*out)
        return -ENOMEM;
    ret = copy_in(*out, src, size);
    if (ret < 0) {
        free(*out);
        *out = NULL;
    }
    return ret;
}

long sys_add_key(struct task *t, uaddr_t utype, uaddr_t udescription, uaddr_t upayload, size_t size,
                 int ringid)
{
    struct text_args a = {.description = NULL};
    void *payload = NULL;
    long ret;

    (void)t;
    if (size > LX_KEY_PAYLOAD_MAX)
        return -EINVAL;
    ret = type_in(a.type, utype);
    if (ret == 0 && udescription)
        ret = description_in(&a.description, udescription);
    if (ret == 0 && a.description && a.description[0] == '.' && !strncmp(a.type, "keyring", 7))
        ret = -EPERM;
    if (ret == 0)
        ret = bytes_in(upayload, size, &payload);
    if (ret == 0) {
        const char *d = a.description && a.description[0] ? a.description : NULL;

        ret = key_add(&(struct key_text){a.type, d}, &(struct key_bytes){payload, size}, ringid);
    }
    if (payload)
        explicit_bzero(payload, size);
    free(payload);
    free(a.description);
    return ret;
}

static long find(uaddr_t utype, uaddr_t udescription, uaddr_t ucallout, int dest)
{
    struct text_args a = {.description = NULL};
    char *callout = NULL;
    long ret = type_in(a.type, utype);

    if (ret == 0)
        ret = description_in(&a.description, udescription);
    if (ret == 0 && ucallout)
        ret = description_in(&callout, ucallout);
    if (ret == 0)
        ret = key_request(&(struct key_text){a.type, a.description}, dest);
    free(callout);
    free(a.description);
    return ret;
}

long sys_request_key(struct task *t, uaddr_t type, uaddr_t description, uaddr_t callout_info,
                     int destringid)
{
    (void)t;
    return find(type, description, callout_info, destringid);
}

/* ---- keyctl --------------------------------------------------------------------------------- */

static long ctl_join(uaddr_t uname)
{
    char *name = NULL;
    long ret = uname ? description_in(&name, uname) : 0;

    if (ret == 0 && name && name[0] == '.')
        ret = -EPERM;
    if (ret == 0)
        ret = key_join_session(name);
    free(name);
    return ret;
}

static long ctl_update(int id, uaddr_t upayload, size_t size)
{
    void *payload;
    long ret;

    if (size > LX_PAGE_SIZE)
        return -EINVAL;
    ret = bytes_in(upayload, size, &payload);
    if (ret == 0)
        ret = key_update(id, &(struct key_bytes){payload, size});
    if (payload)
        explicit_bzero(payload, size);
    free(payload);
    return ret;
}

/* Linux: the size always, the bytes when they fit. */
static long bytes_out(void *data, long size, uaddr_t buf, size_t room)
{
    long ret = size;

    if (buf && room && room >= (size_t)size && copy_out(buf, data, (size_t)size) < 0)
        ret = -EFAULT;
    explicit_bzero(data, (size_t)size);
    free(data);
    return ret;
}

static long ctl_describe(int id, uaddr_t buf, size_t room)
{
    char *text;
    long ret = key_describe(id, &text);

    return ret < 0 ? ret : bytes_out(text, ret, buf, room);
}

static long ctl_read(int id, uaddr_t buf, size_t room)
{
    uint8_t *data;
    long ret = key_read(id, &data);

    return ret < 0 ? ret : bytes_out(data, ret, buf, room);
}

static long ctl_search(int ring, uaddr_t utype, uaddr_t udescription, int dest)
{
    struct text_args a = {.description = NULL};
    long ret = type_in(a.type, utype);

    if (ret == 0)
        ret = description_in(&a.description, udescription);
    if (ret == 0)
        ret = key_search(ring, &(struct key_text){a.type, a.description}, dest);
    free(a.description);
    return ret;
}

/* No module labels keys: the empty string. */
static long ctl_security(int id, uaddr_t buf, size_t room)
{
    const char none = '\0';
    long ret = key_check(id, LX_KEY_VIEW);

    if (ret < 0)
        return ret;
    return buf && room && put_user(&none, buf) < 0 ? -EFAULT : 1;
}

static long ctl_reqkey(struct task *t, int where)
{
    return where < -1 || where > 7 ? -EINVAL : task_set_reqkey_default(t, where);
}

/* What of this works: keyrings, invalidate, restrict, move. */
static long ctl_capabilities(uaddr_t buf, size_t room)
{
    const uint8_t caps[2] = {0x01 | 0x20 | 0x80, 0x02};

    if (!room)
        return sizeof(caps);
    if (clear_out_partial(buf, room) < room || copy_out(buf, caps, MIN(room, sizeof(caps))) < 0)
        return -EFAULT;
    return sizeof(caps);
}

long sys_keyctl(struct task *t, int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    int id = (int)a;

    switch (option) {
    case LX_KEYCTL_GET_KEYRING_ID:
        return key_get_keyring_id(id, (int)b);
    case LX_KEYCTL_JOIN_SESSION:
        return ctl_join(a);
    case LX_KEYCTL_UPDATE:
        return ctl_update(id, b, c);
    case LX_KEYCTL_REVOKE:
        return key_revoke(id);
    case LX_KEYCTL_CHOWN:
        return key_chown(id, (uint32_t)b, (uint32_t)c);
    case LX_KEYCTL_SETPERM:
        return key_setperm(id, (uint32_t)b);
    case LX_KEYCTL_DESCRIBE:
        return ctl_describe(id, b, c);
    case LX_KEYCTL_CLEAR:
        return key_clear(id);
    case LX_KEYCTL_LINK:
        return key_link(id, (int)b);
    case LX_KEYCTL_UNLINK:
        return key_unlink(id, (int)b);
    case LX_KEYCTL_SEARCH:
        return ctl_search(id, b, c, (int)d);
    case LX_KEYCTL_READ:
        return ctl_read(id, b, c);
    case LX_KEYCTL_INSTANTIATE:
    case LX_KEYCTL_NEGATE:
    case LX_KEYCTL_REJECT:
    case LX_KEYCTL_INSTANTIATE_IOV:
        return -EPERM; /* for helpers of request_key, which are not called */
    case LX_KEYCTL_SET_REQKEY:
        return ctl_reqkey(t, id);
    case LX_KEYCTL_SET_TIMEOUT:
        return key_set_timeout(id, (uint32_t)b);
    case LX_KEYCTL_ASSUME_AUTHORITY:
        return id < 0 ? -EINVAL : id == 0 ? 0 : -ENOKEY;
    case LX_KEYCTL_GET_SECURITY:
        return ctl_security(id, b, c);
    case LX_KEYCTL_INVALIDATE:
        return key_invalidate(id);
    case LX_KEYCTL_MOVE:
        if ((uint32_t)d & ~LX_KEYCTL_MOVE_EXCL)
            return -EINVAL;
        return key_move(id, (int)b, (int)c, (uint32_t)d & LX_KEYCTL_MOVE_EXCL);
    case LX_KEYCTL_CAPABILITIES:
        return ctl_capabilities(a, b);
    default:
        return -EOPNOTSUPP;
    }
}
