#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random system calls for a while: the sentry neither dies nor hangs, and the sandbox still works
# afterwards. RUNSC_FUZZ_SECONDS makes it longer; RUNSC_FUZZ_SEED repeats a run.
. "$(dirname "$0")/../lib.sh"

seed=${RUNSC_FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed"
out=$("$RUNSC" do sh -c "${RUNSC_BUILD_DIR:?}/bin/syscall_fuzz $seed ${RUNSC_FUZZ_SECONDS:-10}; echo rc \$?; ls / | wc -l" 2>"$work/err") ||
    fail "seed $seed: exit code $?: $(tail -5 "$work/err")"
echo "$out"
grep -q 'rc 0' <<<"$out" || fail "seed $seed: $(tail -5 "$work/err")"
grep -qi panic "$work/err" && fail "seed $seed: $(cat "$work/err")"
exit 0
