/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/timens.h"

#include <errno.h>
#include <string.h>

#include "sentry/abi/time.h"
#include "sentry/boot/config.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/timens.h"

static bool wanted(const json_t *linux_spec)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(linux_spec, "namespaces"), i, entry)
    {
        if (!strcmp(boot_string(entry, "type", ""), "time"))
            return true;
    }
    return false;
}

static int set_offsets(struct timens *ns, const json_t *offsets)
{
    static const struct {
        const char *name;
        int clockid;
    } clocks[] = {{"monotonic", LX_CLOCK_MONOTONIC}, {"boottime", LX_CLOCK_BOOTTIME}};
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < ARRAY_COUNT(clocks); i++) {
        const json_t *o = json_object_get(offsets, clocks[i].name);
        const struct timens_offset offset = {
            .clockid = clocks[i].clockid,
            .sec = boot_int(o, "secs", 0),
            .nsec = (uint32_t)boot_int(o, "nanosecs", 0),
        };

        if (o)
            ret = timens_set_offsets(ns, &offset, 1);
    }
    return ret;
}

int boot_time_namespace(const json_t *spec, struct timens **out, struct boot_error *e)
{
    const json_t *linux_spec = json_object_get(spec, "linux");
    struct timens *root = timens_root_get();
    int ret = 0;

    *out = NULL;
    if (wanted(linux_spec))
        ret = timens_copy(root, userns_init_get(), out);
    timens_put(root);
    if (ret == 0 && *out)
        ret = set_offsets(*out, json_object_get(linux_spec, "timeOffsets"));
    if (ret == 0)
        return 0;
    timens_put(*out);
    *out = NULL;
    return boot_error_set(e, 1, "linux.timeOffsets: %s", strerror(-ret));
}
