#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From the package to `docker run`: a clean Debian with Docker, podman and containerd made by mmdebstrap, the .deb
# installed by apt, `runsc-c install`, a container by each engine, `runsc-c uninstall`. The new Debian has mount, pid and
# network namespaces of its own, so its daemons use their usual paths.
. "$(dirname "$0")/lib.sh"
need cpack mmdebstrap unshare jq
[ -n "${RUNSC_BUILD_DIR:-}" ] || fail "run through ctest, or set RUNSC_BUILD_DIR"

(cd "$RUNSC_BUILD_DIR" && cpack -G DEB -B "$work/deb") >"$work/log" 2>&1 || fail "cpack: $(tail -n 5 "$work/log")"
root=$work/debian
mmdebstrap --quiet --variant=minbase --include=passwd,docker.io,containerd,podman,conmon,iptables,iproute2,jq,busybox-static \
    --dpkgopt='path-exclude=/usr/share/man/*' bookworm "$root" >"$work/log" 2>&1 || fail "mmdebstrap: $(tail -n 5 "$work/log")"
cp "$work"/deb/runsc-c_*.deb "$root/tmp/"
chroot "$root" sh -c 'apt-get install -y --no-install-recommends /tmp/runsc-c_*.deb' >"$work/log" 2>&1 || fail "apt: $(tail -n 5 "$work/log")"
busybox_root "$root/bb"

cat >"$root/inside" <<'END'
#!/bin/bash
set -u
failed=0
daemons=
expect() { [ "$2" = "$3" ] || { printf 'FAIL: %s: "%s", not "%s"\n' "$1" "$2" "$3"; failed=1; }; }
ip link set lo up
cp -a /etc /tmp/etc.before
runsc-c install >/tmp/install.out || { cat /tmp/install.out; exit 1; }
for engine in docker: podman: containerd: 'kind: RuntimeClass' 'handler: runsc-c'; do
    grep -q "$engine" /tmp/install.out || { echo "FAIL: install does not say $engine"; failed=1; }
done
runsc-c install >/tmp/again.out || { cat /tmp/again.out; failed=1; }

mkdir -p /var/run /var/log
dockerd >/var/log/dockerd 2>&1 </dev/null &
daemons="$daemons $!"
for _ in $(seq 100); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
tar -C /bb -c . | docker import -c 'ENV PATH=/bin' - bb:latest >/dev/null || { tail -n 5 /var/log/dockerd; failed=1; }
expect docker "$(docker run --rm --runtime=runsc-c bb sh -c 'echo hello; ip -o link | wc -l' 2>&1 | tr '\n' ' ')" "hello 2 "
expect "docker info" "$(docker info -f '{{index .Runtimes "runsc-c"}}' 2>/dev/null | grep -c /usr/bin/runsc-c)" 1

cp /podman.conf /etc/containers/containers.conf.d/zz-test.conf
tar -C /bb -c . | podman --storage-driver vfs import -c 'ENV PATH=/bin' - localhost/bb:latest >/dev/null 2>&1 || { echo "FAIL: podman import"; failed=1; }
expect podman "$(podman --storage-driver vfs --runtime runsc-c run --rm --network none localhost/bb echo hello 2>&1 | tail -n 1)" hello

containerd --config /etc/containerd/config.toml --address /run/test.sock --root /var/lib/test --state /run/test >/var/log/containerd 2>&1 </dev/null &
daemons="$daemons $!"
export CONTAINERD_ADDRESS=/run/test.sock
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.2; done
expect ctr "$(ctr run --rm --runc-binary /usr/bin/runsc-c --rootfs /bb one /bin/sh -c 'echo hello' 2>&1)" hello
expect "containerd's handler" "$(containerd --config /etc/containerd/config.toml config dump | grep -c 'BinaryName = "/usr/bin/runsc-c"')" 1

for pid in $daemons; do kill "$pid"; done
wait
rm /etc/containers/containers.conf.d/zz-test.conf
# Undone, but for the copy that `install` kept of a file that was there; key.json is dockerd's.
runsc-c uninstall || failed=1
for f in docker containers containerd; do
    diff -r -x key.json -x "*.runsc-c.bak" /tmp/etc.before/$f /etc/$f >/tmp/diff 2>&1 || { [ ! -e /tmp/etc.before/$f ] && [ -z "$(find /etc/$f -type f 2>/dev/null)" ]; } ||
        { echo "FAIL: uninstall leaves in /etc/$f: $(cat /tmp/diff)"; failed=1; }
done
apt-get remove -y runsc-c >/tmp/remove.out 2>&1 || { cat /tmp/remove.out; failed=1; }
[ ! -e /usr/bin/runsc-c ] || { echo "FAIL: the package left its binary"; failed=1; }
exit $failed
END
chmod +x "$root/inside"
mkdir -p "$root/etc/containers/containers.conf.d" && "$here/../support/podman_conf" >"$root/podman.conf" || fail "podman.conf"
unshare --mount --pid --net --ipc --uts --fork --propagation private sh -c '
    mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" &&
    mount -t tmpfs none "$1/run" && cd "$1" && pivot_root . mnt && exec chroot . sh -c "umount -l /mnt && exec /inside"' \
    sh "$root" >"$work/out" 2>&1 </dev/null || fail "in the new Debian: $(cat "$work/out")"
echo ok
