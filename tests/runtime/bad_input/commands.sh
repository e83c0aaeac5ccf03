#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Commands that cannot run: exit codes as sh and runc (127 missing, 126 not executable), one line of
# explanation.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

expect 127 'executable file not found in $PATH' "$RUNSC" do no-such-command
expect 127 'no such file or directory' "$RUNSC" do /no/such/command
expect 127 'no such file or directory' "$RUNSC" do ./missing
echo data >plain
expect 126 'permission denied' "$RUNSC" do ./plain
expect 126 'permission denied' "$RUNSC" do /etc
chmod +x plain
printf 'neither script nor ELF' >plain
expect 126 'exec format error' "$RUNSC" do ./plain
head -c 40 /bin/true >truncated && chmod +x truncated
expect 126 '' "$RUNSC" do ./truncated
# Another architecture: ELF machine aarch64 (183).
cp /bin/true arch && printf '\xb7\x00' | dd of=arch bs=1 seek=18 conv=notrunc status=none
expect 126 'exec format error' "$RUNSC" do ./arch
printf '#!/no/such/interpreter\n' >script && chmod +x script
expect 127 'no such file or directory' "$RUNSC" do ./script
: >empty && chmod +x empty
expect 126 'exec format error' "$RUNSC" do ./empty

# Exit codes of programs that do run.
"$RUNSC" do sh -c 'exit 7'
[ $? = 7 ] || fail "exit code 7 was lost"
"$RUNSC" do sh -c 'kill -9 $$'
[ $? = 137 ] || fail "signal 9 is not 137"

# Options.
expect 1 'unknown command' "$RUNSC" frobnicate
expect 1 'unknown option' "$RUNSC" --no-such-option do true
expect 1 '--platform' "$RUNSC" --platform=vax do true
expect 1 '--network' "$RUNSC" --network=moon do true
expect 1 '--overlay' "$RUNSC" --overlay=root:self do true
expect 1 'needs a value' "$RUNSC" --platform
echo "ok"
