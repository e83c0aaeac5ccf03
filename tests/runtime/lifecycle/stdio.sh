#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The caller's descriptors are the program's: files that several programs write in turn, append mode,
# pipes, closed descriptors, a file as standard input.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

script='echo one; /bin/echo two; cat data; cat data | cat; head -c 3 data; echo end'
printf 'payload\n' >data
(echo before; bash -c "$script"; echo after) >native
(echo before; "$RUNSC" do bash -c "$script"; echo after) >here
cmp native here || fail "shared position: $(diff native here)"
(echo before; "$RUNSC" do bash -c "$script"; echo after) >>here
cat native native | cmp - here || fail "append: $(cat here)"

[ "$("$RUNSC" do cat <data)" = payload ] || fail "standard input from a file"
[ "$(echo piped | "$RUNSC" do cat)" = piped ] || fail "standard input from a pipe"
# What the program leaves unread stays for the next reader.
printf 'first\nsecond\n' >lines
out=$({ "$RUNSC" do sh -c 'read x; echo $x'; cat; } <lines | tr '\n' ' ')
[ "$out" = "first second " ] || fail "shared input position: $out"
out=$("$RUNSC" do sh -c 'ls -l /proc/self/fd | wc -l; echo x' 2>&1 <&-)
[ "${out##*$'\n'}" = x ] || fail "closed standard input: $out"
"$RUNSC" do sh -c 'echo lost' >&- 2>"$work/err"
grep -qi 'error' err || fail "closed standard output: $(cat err)"
# A reader that goes away ends the writer, as natively.
"$RUNSC" do yes | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" = 141 ] || fail "no SIGPIPE: ${PIPESTATUS[0]}"
"$RUNSC" do sh -c 'echo out; echo err >&2' >out 2>err
[ "$(cat out err | tr '\n' ' ')" = "out err " ] || fail "two files"
echo ok
