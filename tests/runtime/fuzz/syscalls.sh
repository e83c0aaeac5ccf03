#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random system calls for a while, an equal part of it on each platform and one in lanes (every call that can goes another way than
# calls usually do): the sentry neither dies nor hangs, and the sandbox still works afterwards. RUNSC_FUZZ_SECONDS makes it longer;
# RUNSC_FUZZ_SEED repeats a run.
. "$(dirname "$0")/../lib.sh"

seconds=${RUNSC_FUZZ_SECONDS:-12}
platforms=(ptrace seccomp "seccomp --lanes=eager")
[ -w /dev/kvm ] && platforms+=(kvm)
for platform in "${platforms[@]}"; do
    seed=${RUNSC_FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}
    echo "$platform: seed $seed"
    # shellcheck disable=SC2086
    out=$("$RUNSC" --platform=$platform do sh -c "${RUNSC_BUILD_DIR:?}/bin/syscall_fuzz $seed $((seconds / ${#platforms[@]})); echo rc \$?; ls / | wc -l" 2>"$work/err") ||
        fail "$platform: seed $seed: exit code $?: $(tail -5 "$work/err")"
    echo "$out"
    grep -q 'rc 0' <<<"$out" || fail "$platform: seed $seed: $(tail -5 "$work/err")"
    grep -qi panic "$work/err" && fail "$platform: seed $seed: $(cat "$work/err")"
done
exit 0
