/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on capabilities; see caps.h. A library would first ask the host for everything that it
 * can tell: 250 calls in each process of a sandbox. */
#include "platform/host/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "platform/host/host_internal.h"

enum { CAPS_MAX = 64 };

int host_caps_get(struct host_caps *out)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0}, {0}};
    int ret = (int)raw2(SYS_capget, &head, d);

    if (ret == 0)
        *out = (struct host_caps){
            .effective = d[0].effective | (uint64_t)d[1].effective << 32,
            .permitted = d[0].permitted | (uint64_t)d[1].permitted << 32,
            .inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32,
        };
    return ret;
}

int host_caps_set(const struct host_caps *caps)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct d[2] = {
        {(uint32_t)caps->effective, (uint32_t)caps->permitted, (uint32_t)caps->inheritable},
        {(uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
         (uint32_t)(caps->inheritable >> 32)},
    };

    return (int)raw2(SYS_capset, &head, d);
}

int host_caps_drop_bounding(void)
{
    for (unsigned long cap = 0; cap < CAPS_MAX; cap++) {
        int ret = (int)raw5(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);

        if (ret == -EINVAL)
            return 0; /* the host knows no more */
        if (ret < 0)
            return ret;
    }
    return 0;
}
