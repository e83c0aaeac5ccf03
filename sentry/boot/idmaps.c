/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/idmaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/boot/config.h"
#include "sentry/core/userns.h"

static bool makes_userns(const json_t *linux_spec)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(linux_spec, "namespaces"), i, entry)
    {
        if (!strcmp(boot_string(entry, "type", ""), "user"))
            return true;
    }
    return false;
}

static uint32_t id_of(const json_t *extent, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(extent, name));
}

static bool has_zero(const json_t *maps)
{
    const json_t *v;
    size_t i;

    json_array_foreach(maps, i, v)
    {
        if (id_of(v, "containerID") == 0)
            return true;
    }
    return false;
}

static int set_map(const json_t *maps, bool gid)
{
    size_t count = json_array_size(maps), i;
    struct id_extent *outside = calloc(count, sizeof(*outside));
    const json_t *v;
    int ret;

    if (!outside)
        return -ENOMEM;
    json_array_foreach(maps, i, v)
    {
        outside[i] =
            (struct id_extent){id_of(v, "containerID"), id_of(v, "hostID"), id_of(v, "size")};
    }
    ret = userns_init_map(gid, outside, (uint32_t)count);
    free(outside);
    return ret;
}

int boot_idmaps(const json_t *spec)
{
    const json_t *linux_spec = json_object_get(spec, "linux");
    const json_t *uids = json_object_get(linux_spec, "uidMappings");
    const json_t *gids = json_object_get(linux_spec, "gidMappings");
    int ret;

    if (!makes_userns(linux_spec) || !has_zero(uids) || !has_zero(gids))
        return 0;
    ret = set_map(uids, /*gid=*/false);
    return ret < 0 ? ret : set_map(gids, /*gid=*/true);
}
