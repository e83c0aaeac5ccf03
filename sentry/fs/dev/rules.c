/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/dev/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/refs.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/vfs_internal.h"

/* Keys: I immutable */
struct dev_rules {
    struct refs refs;       /* a */
    size_t count;           /* I */
    struct dev_rule list[]; /* I */
};

int dev_rules_new(const struct dev_rule *list, size_t count, struct dev_rules **out)
{
    struct dev_rules *r = malloc(sizeof(*r) + count * sizeof(*list));

    if (!r)
        return -ENOMEM;
    refs_init(&r->refs);
    r->count = count;
    if (count)
        memcpy(r->list, list, count * sizeof(*list));
    *out = r;
    return 0;
}

struct dev_rules *dev_rules_get(struct dev_rules *r)
{
    if (r)
        refs_get(&r->refs);
    return r;
}

void dev_rules_put(struct dev_rules *r)
{
    if (r && refs_put(&r->refs))
        free(r);
}

static bool everybodys(char type, uint32_t major, uint32_t minor)
{
    return type == 'c' &&
           ((major == 1 && (minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9)) ||
            (major == 5 && minor <= 2) || (major >= 136 && major <= 143));
}

bool dev_rules_allow(const struct dev_rules *r, uint32_t mode, lx_dev_t dev, uint32_t access)
{
    uint32_t major = lx_dev_major(dev), minor = lx_dev_minor(dev), denied = 0;
    char type = LX_S_ISBLK(mode) ? 'b' : 'c';

    if (!r || everybodys(type, major, minor))
        return true;
    for (size_t i = 0; i < r->count; i++) {
        const struct dev_rule *rule = &r->list[i];

        if ((rule->type != 'a' && rule->type != type) ||
            (rule->major >= 0 && rule->major != major) ||
            (rule->minor >= 0 && rule->minor != minor))
            continue;
        denied = rule->allow ? denied & ~rule->access : denied | rule->access;
    }
    return !(denied & access);
}

void fs_ctx_set_devices(struct fs_ctx *c, struct dev_rules *r)
{
    dev_rules_put(c->devices);
    c->devices = dev_rules_get(r);
}
