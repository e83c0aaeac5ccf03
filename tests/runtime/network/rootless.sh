#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An ordinary user: `do` and `run` with a single id, also as root of a user namespace with one id; `run` with subuid ranges;
# podman on the networks none, host and slirp4netns (a published port too). The user exists only in a mount namespace of the test.
[ "$(id -u)" = 0 ] || { echo "becoming an ordinary user needs root"; exit 77; }
[ -n "${IN_ROOTLESS_TEST:-}" ] || exec env IN_ROOTLESS_TEST=1 unshare --net --mount --propagation private "$0"
. "$(dirname "$0")/../lib.sh"

uid=54321 user=runsc-c-tester
ip link set lo up
mkdir "$work/etc" "$work/home" "$work/xdg" && cp "$RUNSC" "$work/runsc-c" && chmod 755 "$work" "$work/runsc-c" || fail "setup"
for f in passwd group subuid subgid; do
    cp "/etc/$f" "$work/etc/$f" 2>/dev/null || : >"$work/etc/$f"
done
echo "$user:x:$uid:$uid::$work/home:/bin/sh" >>"$work/etc/passwd"
echo "$user:x:$uid:" >>"$work/etc/group"
echo "$user:700000:65536" | tee -a "$work/etc/subuid" >>"$work/etc/subgid"
for f in passwd group subuid subgid; do
    [ -e "/etc/$f" ] || { echo "no /etc/$f to cover"; exit 77; }
    mount --bind "$work/etc/$f" "/etc/$f" || fail "bind $f"
done
chown -R $uid:$uid "$work/home" "$work/xdg" && chmod 700 "$work/xdg"
as_user() {
    (cd "$work/home" && HOME=$work/home USER=$user XDG_RUNTIME_DIR=$work/xdg timeout 100 setpriv --reuid $uid --regid $uid --clear-groups "$@")
}
r=$work/runsc-c

# A single id.
[ "$(as_user "$r" do -- id -u)" = 0 ] || fail "do"
[ "$(as_user unshare -r "$r" do -- id -u)" = 0 ] || fail "do as root of a single-id namespace"
[ "$(as_user "$r" --network=host do -- sh -c 'ip -o link | wc -l')" = "$(ip -o link | wc -l)" ] || fail "do --network=host"
make_bundle "$work/b" '.process.args=["id","-u"]'
chmod -R a+rX "$work/b"
[ "$(as_user "$r" run --bundle "$work/b" rl1 </dev/null)" = 0 ] || fail "run"
[ -z "$(ls "$work/xdg/runsc-c" 2>/dev/null)" ] || fail "state is left: $(ls "$work/xdg/runsc-c")"

# Ranges, by newuidmap: what the container's users own belongs to the ranges outside.
if command -v newuidmap >/dev/null; then
    ids='[{"containerID":0,"hostID":'$uid',"size":1},{"containerID":1,"hostID":700000,"size":65536}]'
    make_bundle "$work/r" '.process.args=["sh","-c","echo > /f; chown 7:8 /f; stat -c %u:%g /f"] | .root.readonly=false
        | .process.capabilities |= map_values(. + ["CAP_CHOWN"]) | .linux.namespaces += [{"type":"user"}] | .linux.uidMappings='"$ids"' | .linux.gidMappings='"$ids"
    for applet in stat chown; do ln -s busybox "$work/r/rootfs/bin/$applet"; done
    chmod -R a+rX "$work/r" && chown -R $uid:$uid "$work/r/rootfs"
    [ "$(as_user "$r" run --bundle "$work/r" rl2 </dev/null 2>"$work/err")" = 7:8 ] || fail "ranges: $(cat "$work/err")"
    [ "$(stat -c %u:%g "$work/r/rootfs/f")" = 700006:700007 ] || fail "ranges: outside $(stat -c %u:%g "$work/r/rootfs/f")"
    jq '.linux.uidMappings[1].hostID=1' "$work/r/config.json" >"$work/c" && cp "$work/c" "$work/r/config.json"
    expect 1 'newuidmap refuses' as_user "$r" run --bundle "$work/r" rl3
fi

# podman.
for program in podman newuidmap slirp4netns conmon; do
    command -v "$program" >/dev/null || { echo "$program is not installed: podman was not tried"; exit 0; }
done
mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun || fail "tun"
mkdir -p "$work/fs"/{bin,etc,proc,dev,sys,tmp} && cp /bin/busybox "$work/fs/bin/"
for applet in sh cat echo ip id httpd mkdir wc touch sleep ls chown stat; do ln -s busybox "$work/fs/bin/$applet"; done
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$work/fs/etc/passwd"
"$(dirname "$0")/../../support/podman_conf" "runsc-c=$r" >"$work/containers.conf" || fail "containers.conf"
tar -C "$work/fs" -cf "$work/fs.tar" . && chmod a+r "$work/fs.tar" "$work/containers.conf"
pm() { CONTAINERS_CONF=$work/containers.conf as_user podman --storage-driver vfs "$@"; }
end_podman() {
    status=$?
    pm rm -fa -t 0 >/dev/null 2>&1
    pm system migrate >/dev/null 2>&1
    cleanup
    exit $status
}
trap end_podman EXIT
pm import -c 'ENV PATH=/bin' "$work/fs.tar" localhost/box:latest >"$work/log" 2>&1 ||
    { echo "podman does not work here for an ordinary user: $(tail -1 "$work/log")"; exit 0; }
run() { pm --runtime runsc-c run --rm "$@" 2>>"$work/log"; }
[ "$(run --network none localhost/box sh -c 'id -u; ip -o link | wc -l')" = $'0\n1' ] || fail "none: $(tail -3 "$work/log")"
[ "$(run --network host localhost/box sh -c 'ip -o link | wc -l')" = "$(ip -o link | wc -l)" ] || fail "host: $(tail -3 "$work/log")"
[ "$(run --network none -u 1000:1000 localhost/box id -u)" = 1000 ] || fail "user"
mkdir "$work/home/v" && chown $uid:$uid "$work/home/v"
run --network none -v "$work/home/v:/v" localhost/box sh -c 'touch /v/f; chown 1:1 /v/f' || fail "volume: $(tail -3 "$work/log")"
[ "$(stat -c %u "$work/home/v/f")" = 700000 ] || fail "owner through subuids: $(stat -c %u "$work/home/v/f")"
run --network none localhost/box sh -c 'exit 7'
[ $? = 7 ] || fail "exit code"
run --network none localhost/box nosuch
[ $? = 127 ] || fail "missing command"
run --network none --read-only --tmpfs /tmp localhost/box sh -c 'touch /tmp/x && ! touch /x 2>/dev/null' || fail "read-only: $(tail -3 "$work/log")"
pm --runtime runsc-c run -d --name web --network slirp4netns -p 18080:80 localhost/box \
    sh -c 'mkdir /tmp/w; echo served > /tmp/w/index.html; httpd -f -h /tmp/w -p 80' >"$work/log" 2>&1 || fail "slirp4netns: $(tail -3 "$work/log")"
served() { python3 -c 'import urllib.request; assert urllib.request.urlopen("http://127.0.0.1:18080/index.html", timeout=5).read() == b"served\n"'; }
wait_until served || fail "the published port does not answer"
[ "$(pm exec web sh -c 'echo in')" = in ] || fail "exec"
pm rm -f -t 1 web >/dev/null 2>&1 || fail "rm"
exit 0
