#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# install and uninstall on copies of engines' files: other settings stay, a second time changes nothing, uninstall leaves
# what was there before, broken files are left alone; the engines that are installed here read the result.
. "$(dirname "$0")/../lib.sh"

bin=/usr/bin/runsc-c
p=$work/p
docker=$p/etc/docker/daemon.json
podman=$p/etc/containers/containers.conf.d/50-runsc-c.conf
toml=$p/etc/containerd/config.toml
all=(--docker --podman --containerd --prefix "$p" --binary "$bin")

# From nothing to nothing.
"$RUNSC" install "${all[@]}" --dry-run >"$work/out" || fail "dry run"
[ ! -e "$p" ] || fail "a dry run wrote something"
"$RUNSC" install "${all[@]}" >"$work/out" || fail "install"
grep -q 'kind: RuntimeClass' "$work/out" || fail "no RuntimeClass"
[ "$(jq -c . "$docker")" = '{"runtimes":{"runsc-c":{"path":"/usr/bin/runsc-c"}}}' ] || fail "$(cat "$docker")"
cp -r "$p" "$work/copy"
"$RUNSC" install "${all[@]}" >"$work/out" || fail "second install"
[ "$(grep -c 'already registered' "$work/out")" = 3 ] || fail "second install: $(cat "$work/out")"
diff -r "$p" "$work/copy" || fail "the second install changed something"
"$RUNSC" uninstall "${all[@]}" >"$work/out" || fail "uninstall"
[ -z "$(find "$p" -type f)" ] || fail "left: $(find "$p" -type f)"
"$RUNSC" uninstall "${all[@]}" >"$work/out" || fail "second uninstall"

# With settings of others.
mkdir -p "$(dirname "$docker")" "$(dirname "$toml")"
cat >"$docker" <<'JSON'
{ "log-level": "warn", "runtimes": {"crun": {"path": "/usr/bin/crun"}}, "insecure-registries": ["a","b"],
  "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "max-concurrent-downloads": 3 }
JSON
chmod 640 "$docker"
cat >"$toml" <<'TOML'
version = 2
root = "/var/lib/containerd"
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "pause"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
      runtime_type = "io.containerd.runc.v2"
TOML
printf '# last line without newline' >>"$toml"
cp "$docker" "$work/daemon.json"
cp "$toml" "$work/config.toml"
"$RUNSC" install "${all[@]}" -- --platform=ptrace --debug >"$work/out" 2>&1 || fail "install over settings"
[ "$(jq -cS 'del(.runtimes["runsc-c"])' "$docker")" = "$(jq -cS . "$work/daemon.json")" ] || fail "$(cat "$docker")"
[ "$(jq -c '.runtimes["runsc-c"].runtimeArgs' "$docker")" = '["--platform=ptrace","--debug"]' ] || fail "$(cat "$docker")"
[ "$(stat -c %a "$docker")" = 640 ] || fail "mode of daemon.json"
cmp -s "$docker.runsc-c.bak" "$work/daemon.json" || fail "backup"
python3 - "$toml" <<'PY' || fail "$(cat "$toml")"
import sys
try: import tomllib
except ImportError: sys.exit(0)
r = tomllib.load(open(sys.argv[1], "rb"))["plugins"]["io.containerd.grpc.v1.cri"]
assert r["sandbox_image"] == "pause" and set(r["containerd"]["runtimes"]) == {"other", "runsc-c"}
ours = r["containerd"]["runtimes"]["runsc-c"]
assert ours["options"]["BinaryName"] == "/usr/bin/runsc-c" and ours["pod_annotations"] == ["dev.gvisor.*", "org.runsc-c.*"]
PY
"$RUNSC" install "${all[@]}" --binary /opt/x/runsc-c >"$work/out" || fail "another path"
[ "$(grep -c 'BinaryName' "$toml")" = 1 ] && grep -q /opt/x "$toml" || fail "$(cat "$toml")"
"$RUNSC" uninstall "${all[@]}" >"$work/out" || fail "uninstall"
[ "$(jq -cS . "$docker")" = "$(jq -cS . "$work/daemon.json")" ] || fail "uninstall: $(cat "$docker")"
[ "$(cat "$toml")" = "$(cat "$work/config.toml")" ] || fail "uninstall: $(cat "$toml")"

# Files that are not what they should be.
echo '{"runtimes": ' >"$docker"
expect 1 'docker: ' "$RUNSC" install --docker --prefix "$p"
[ "$(cat "$docker")" = '{"runtimes": ' ] || fail "a broken daemon.json was changed"
echo '{"runtimes": [1]}' >"$docker"
expect 1 'docker: ' "$RUNSC" install --docker --prefix "$p"
echo 'version = 9' >"$toml"
expect 1 'version 9' "$RUNSC" install --containerd --prefix "$p"
printf 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc-c]\n' >"$toml"
expect 1 'defined there already' "$RUNSC" install --containerd --prefix "$p"
expect 1 'letters' "$RUNSC" install --docker --prefix "$p" --name 'a b'
expect 1 'absolute' "$RUNSC" install --docker --prefix "$p" --binary x

# Engines that are here read it.
rm -rf "$p"
"$RUNSC" install "${all[@]}" --binary "$RUNSC" >/dev/null || fail "install"
if command -v dockerd >/dev/null && [ "$(id -u)" = 0 ]; then
    dockerd --validate --config-file "$docker" >"$work/out" 2>&1 ||
        grep -q 'unknown flag' "$work/out" || fail "dockerd: $(cat "$work/out")"
fi
if command -v containerd >/dev/null; then
    timeout 60 containerd --config "$toml" config dump >"$work/out" 2>&1 || fail "containerd: $(cat "$work/out")"
    grep -q 'runtimes.runsc-c' "$work/out" || fail "containerd does not know it"
fi
exit 0
