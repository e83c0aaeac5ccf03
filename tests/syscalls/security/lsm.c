/* SPDX-License-Identifier: Apache-2.0 */
/* lsm_list_modules(2), lsm_get_self_attr(2), lsm_set_self_attr(2): Linux 6.8. */
#include "tests/support/guest_test.h"

#define GET_SELF 459
#define SET_SELF 460
#define LIST     461

TEST(list)
{
    uint32_t size = 0, full;
    uint64_t ids[64];
    bool landlock = false, capability = false;
    long n;

    if (sysp(LIST, ids, &size, 1u) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.8");
    CHECK_ERR(sysp(LIST, ids, &size, 1u), EINVAL);
    CHECK_ERR(sysp(LIST, ids, BAD_PTR, 0u), EFAULT);
    CHECK_ERR(sysp(LIST, ids, &size, 0u), E2BIG);
    full = size;
    CHECK(full >= 8 && full <= sizeof(ids));
    CHECK_ERR(sysp(LIST, BAD_PTR, &size, 0u), EFAULT);
    n = sysp(LIST, ids, &size, 0u);
    CHECK_EQ(n * 8, full);
    for (long i = 0; i < n; i++) {
        capability |= ids[i] == 100;
        landlock |= ids[i] == 110;
    }
    CHECK(capability);
    CHECK(landlock);
}

TEST(self_attributes)
{
    uint64_t ctx[4] = {0, 0, 32, 0};
    uint32_t size = sizeof(ctx);

    if (sysp(GET_SELF, 0u, ctx, &size, 0u) == -ENOSYS)
        SKIP_ON_HOST("before Linux 6.8");
    CHECK_ERR(sysp(GET_SELF, 0u, ctx, &size, 0u), EINVAL);
    CHECK_ERR(sysp(GET_SELF, 100u, ctx, NULL, 0u), EINVAL);
    CHECK_ERR(sysp(GET_SELF, 100u, ctx, BAD_PTR, 2u), EFAULT);
    CHECK_ERR(sysp(GET_SELF, 100u, ctx, &size, 2u), EINVAL);
    CHECK_ERR(sysp(GET_SELF, 100u, NULL, &size, 1u), EINVAL);
    CHECK_ERR(sysp(GET_SELF, 100u, BAD_PTR, &size, 1u), EFAULT);
    CHECK_ERR(sysp(GET_SELF, 100u, ctx, &size, 1u), EINVAL);
    CHECK_ERR(sysp(SET_SELF, 100u, ctx, 32u, 1u), EINVAL);
    CHECK_ERR(sysp(SET_SELF, 100u, ctx, 31u, 0u), EINVAL);
    CHECK_ERR(sysp(SET_SELF, 100u, ctx, 5000u, 0u), E2BIG);
    CHECK_ERR(sysp(SET_SELF, 100u, BAD_PTR, 32u, 0u), EFAULT);
    ctx[2] = 33;
    CHECK_ERR(sysp(SET_SELF, 100u, ctx, 32u, 0u), EINVAL);
    ctx[2] = 32;
    ctx[3] = UINT64_MAX;
    CHECK_ERR(sysp(SET_SELF, 100u, ctx, 32u, 0u), EINVAL);
}

GUEST_TEST_MAIN
