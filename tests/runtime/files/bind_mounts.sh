#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bind mounts are shared: each side sees the other's changes at once. Read-only ones refuse writes; a
# single file can be mounted; the tree cannot be left through a planted symlink.
. "$(dirname "$0")/../lib.sh"

mkdir -p "$work/rw/sub" "$work/ro"
echo one >"$work/rw/file"
echo secret >"$work/ro/data"
echo single >"$work/single"
ln -s /etc/passwd "$work/rw/out"
make_bundle "$work/b" '.process.args=["sh","/rw/script"]
  | .mounts += [{"destination":"/rw","type":"bind","source":"'"$work"'/rw","options":["rbind","rw"]},
                {"destination":"/ro","type":"bind","source":"'"$work"'/ro","options":["rbind","ro"]},
                {"destination":"/etc/single","type":"bind","source":"'"$work"'/single","options":["rbind","ro"]}]'
cat >"$work/rw/script" <<'END'
cat /rw/file /etc/single /ro/data
echo x >/ro/data && echo "wrote to a read-only mount"
cat /rw/late 2>/dev/null && echo "was there too early"
echo ready >/rw/ready
while [ ! -e /rw/go ]; do sleep 0.05; done
cat /rw/file /rw/late
cat /rw/gone 2>/dev/null || echo gone
head -n 1 /rw/out
echo from inside >/rw/sub/new
END
echo soon >"$work/rw/gone"
runsc run --bundle "$work/b" c >"$work/out" 2>"$work/err" </dev/null &
pid=$!
started+=("$pid")
wait_until test -e "$work/rw/ready" || fail "the container did not start: $(cat "$work/err")"
echo two, longer than before >"$work/rw/file"
echo late >"$work/rw/late"
rm "$work/rw/gone"
touch "$work/rw/go"
wait "$pid" || fail "exit code $?: $(cat "$work/err")"
printf 'one\nsingle\nsecret\ntwo, longer than before\nlate\ngone\nroot:x:0:0:root:/root:/bin/sh\n' >"$work/want"
diff "$work/want" "$work/out" || fail "what the container saw"
[ "$(cat "$work/rw/sub/new")" = "from inside" ] || fail "the container's file is not there"
[ "$(cat "$work/ro/data")" = secret ] || fail "the read-only mount was written"
