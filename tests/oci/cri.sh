#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod through containerd's CRI plugin: sandbox, two containers in one sentry, exec, a volume in memory, stats, update, stop, remove.
. "$(dirname "$0")/lib.sh"
need containerd ctr protoc grpc_python_plugin umoci busybox apt-get

mkdir "$work/cri" "$work/cni"
source_package containerd "$work/src" && (cd "$work/src" &&
    tar xf containerd_*.orig.tar.* --wildcards '*/cri-api/pkg/apis/runtime/v1/api.proto') ||
    { echo "skipped: no source package of containerd (deb-src)"; exit 77; }
sed -e '/gogoproto\/gogo.proto/d; /^option (gogoproto/d; s/ \[(gogoproto[^]]*\]//' \
    "$(find "$work/src" -path '*runtime/v1/api.proto' | head -n 1)" >"$work/cri/cri.proto"
(cd "$work/cri" && protoc -I. --python_out=. --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" \
    --grpc_python_out=. cri.proto) || fail "protoc"
cat >"$work/config.toml" <<END
version = 2
root = "$work/ctrd/root"
state = "$work/ctrd/state"
[grpc]
  address = "$work/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:latest"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$work/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "ours"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ours]
    runtime_type = "io.containerd.runc.v2"
    pod_annotations = ["dev.gvisor.*", "org.runsc-c.*"]
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ours.options]
      BinaryName = "$RUNSC"
END
echo '{"cniVersion":"1.0.0","name":"runsc-c-test","plugins":[{"type":"ptp","ipam":{"type":"host-local","ranges":[[{"subnet":"10.188.0.0/24"}]]}},{"type":"loopback"}]}' \
    >"$work/cni/10-ptp.conflist"
busybox_root "$work/root"
(cd "$work" && umoci init --layout L && umoci new --image L:latest && umoci insert --rootless --image L:latest root / &&
    umoci config --image L:latest --config.cmd sh --config.env PATH=/usr/sbin:/usr/bin:/sbin:/bin && cp -r L P &&
    umoci config --image P:latest --config.cmd /bin/sleep --config.cmd 1000000 &&
    tar -C L -cf L.tar . && tar -C P -cf P.tar .) >/dev/null 2>&1 || fail "images"
containerd --config "$work/config.toml" >"$work/log" 2>&1 </dev/null &
daemons+=($!)
export CONTAINERD_ADDRESS=$work/containerd.sock
for _ in $(seq 50); do
    ctr version >/dev/null 2>&1 && break
    sleep 0.2
done
ctr -n k8s.io image import "$work/L.tar" --base-name x.local/bb >/dev/null &&
    ctr -n k8s.io image import "$work/P.tar" --base-name localhost/pause >/dev/null || fail "import: $(tail -n 3 "$work/log")"
PYTHONPATH=$work/cri timeout 200 /usr/bin/python3 "$here/cri_client.py" "$work/containerd.sock" ours "$work/logs" || fail "the pod"
