/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/stub/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void stack(void **state)
{
    struct slot_stack s = {0};

    (void)state;
    assert_int_equal(slot_stack_pop(&s), SLOT_NONE);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(slot_stack_push(&s, i * 3));
    for (uint32_t i = 100; i-- > 0;)
        assert_int_equal(slot_stack_pop(&s), i * 3);
    assert_int_equal(slot_stack_pop(&s), SLOT_NONE);
    slot_stack_free(&s);
    slot_stack_free(&s);
}

/* Every number once, then none; what is given back comes again, and its memory is its own. */
static void all_slots(void **state)
{
    struct slots s;

    (void)state;
    assert_int_equal(slots_init(&s, "slots-test", 64), 0);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        assert_int_equal(slots_get(&s), i);
        *(uint32_t *)slots_at(&s, i) = i;
    }
    assert_int_equal(slots_get(&s), SLOT_NONE);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        assert_int_equal(*(uint32_t *)slots_at(&s, i), i);
        slots_put(&s, i);
    }
    slots_put(&s, SLOT_NONE);
    for (uint32_t i = SLOT_COUNT; i-- > 0;)
        assert_int_equal(slots_get(&s), i);
    assert_int_equal(slots_get(&s), SLOT_NONE);
    slots_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stack), cmocka_unit_test(all_slots)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
