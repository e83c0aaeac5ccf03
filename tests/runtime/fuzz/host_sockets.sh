#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random socket calls on host sockets: the filter admits all that the sentry makes of them, and it neither dies nor hangs.
# RUNSC_FUZZ_SECONDS makes it longer; RUNSC_FUZZ_SEED repeats a run.
[ "$(id -u)" = 0 ] || { echo "a network namespace needs root"; exit 77; }
[ -n "${IN_FUZZ:-}" ] || exec env IN_FUZZ=1 unshare --net "$0"
. "$(dirname "$0")/../lib.sh"
ip link set lo up
seed=${RUNSC_FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed"
fuzz=$(dirname "$0")/../../support/socket_fuzz.py
timeout 250 "$RUNSC" --network=host do -- python3 "$fuzz" "$seed" "${RUNSC_FUZZ_SECONDS:-8}" >"$work/out" 2>"$work/err" ||
    fail "seed $seed: exit code $?: $(tail -5 "$work/err")"
grep -q '^calls [0-9]' "$work/out" || fail "seed $seed: $(cat "$work/out")"
grep -qi panic "$work/err" && fail "seed $seed: $(cat "$work/err")"
exit 0
