# SPDX-License-Identifier: Apache-2.0
"""cri_client.py SOCKET HANDLER LOGS: the life of a pod with two containers; prints and checks each step."""
import os
import sys
import time

import cri_pb2 as pb
import cri_pb2_grpc as cri
import grpc

socket, handler, logs = sys.argv[1:4]
os.makedirs(logs, exist_ok=True)
runtime = cri.RuntimeServiceStub(grpc.insecure_channel("unix://" + socket))


def step(name, call, want=None):
    started = time.time()
    try:
        result, text = call(), "ok"
    except grpc.RpcError as error:
        result, text = None, error.details()
    print("%-26s %6.0f ms %s" % (name, (time.time() - started) * 1000, text[:200]), flush=True)
    if want is None and text != "ok" or want is not None and want not in text:
        sys.exit("%s: wanted %s" % (name, want or "success"))
    return result


def check(what, condition):
    if not condition:
        sys.exit("wrong: " + what)


# As kubelet makes an emptyDir; the annotations keep it in the sandbox's memory.
uid = "u%d" % os.getpid()
cache = os.path.join(logs, "pods", uid, "volumes", "kubernetes.io~empty-dir", "cache")
os.makedirs(cache)
namespaces = pb.NamespaceOption(network=pb.POD, pid=pb.CONTAINER)
pod = pb.PodSandboxConfig(
    metadata=pb.PodSandboxMetadata(name="pod", uid=uid, namespace="default", attempt=1),
    hostname="podhost", log_directory=logs,
    annotations={"dev.gvisor.spec.mount.cache.share": "pod", "dev.gvisor.spec.mount.cache.type": "tmpfs"},
    linux=pb.LinuxPodSandboxConfig(
        cgroup_parent="/kubepods/besteffort/runsc-c-test",
        security_context=pb.LinuxSandboxSecurityContext(namespace_options=namespaces)))
pod_id = step("RunPodSandbox", lambda: runtime.RunPodSandbox(
    pb.RunPodSandboxRequest(config=pod, runtime_handler=handler))).pod_sandbox_id
status = runtime.PodSandboxStatus(pb.PodSandboxStatusRequest(pod_sandbox_id=pod_id)).status
check("the pod's address", status.network.ip.startswith("10.188."))


def make(name, command, want=None):
    config = pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=name, attempt=0), image=pb.ImageSpec(image="x.local/bb:latest"),
        command=command, log_path=name + ".log",
        mounts=[pb.Mount(container_path="/cache", host_path=cache)],
        linux=pb.LinuxContainerConfig(
            resources=pb.LinuxContainerResources(cpu_period=100000, cpu_quota=50000, memory_limit_in_bytes=64 << 20),
            security_context=pb.LinuxContainerSecurityContext(namespace_options=namespaces)))
    container = step("CreateContainer " + name, lambda: runtime.CreateContainer(
        pb.CreateContainerRequest(pod_sandbox_id=pod_id, config=config, sandbox_config=pod))).container_id
    step("StartContainer " + name, lambda: runtime.StartContainer(pb.StartContainerRequest(container_id=container)), want)
    return container


def execute(container, *command, timeout=10):
    return runtime.ExecSync(pb.ExecSyncRequest(container_id=container, cmd=command, timeout=timeout))


a = make("a", ["sh", "-c", 'echo started on $(hostname); trap "exit 5" TERM; while :; do sleep 1; done'])
b = make("b", ["sleep", "1000"])
out = step("ExecSync a", lambda: execute(a, "sh", "-c", "ip -o addr show eth0; exit 3"))
check("exec's code", out.exit_code == 3)
check("exec sees the pod's address", status.network.ip.encode() in out.stdout)
out = step("ExecSync b", lambda: execute(b, "ps"))
check("b has a pid namespace of its own", b"sleep 1000" in out.stdout and b"trap" not in out.stdout)
step("a volume in memory", lambda: execute(a, "sh", "-c", "echo shared >/cache/file"))
check("both containers have the volume", execute(b, "cat", "/cache/file").stdout == b"shared\n")
check("it is not on the host", os.listdir(cache) == [])
step("ExecSync, too long", lambda: execute(a, "sleep", "30", timeout=1), "timeout")
stats = step("ContainerStats", lambda: runtime.ContainerStats(pb.ContainerStatsRequest(container_id=a))).stats
check("memory is counted", stats.memory.working_set_bytes.value > 0)
step("PodSandboxStats", lambda: runtime.PodSandboxStats(pb.PodSandboxStatsRequest(pod_sandbox_id=pod_id)))
step("UpdateContainerResources", lambda: runtime.UpdateContainerResources(pb.UpdateContainerResourcesRequest(
    container_id=a, linux=pb.LinuxContainerResources(memory_limit_in_bytes=128 << 20))))
step("StopContainer a", lambda: runtime.StopContainer(pb.StopContainerRequest(container_id=a, timeout=5)))
ended = runtime.ContainerStatus(pb.ContainerStatusRequest(container_id=a)).status
check("a's exit code", ended.exit_code == 5)
check("b lives on", step("ExecSync b again", lambda: execute(b, "echo", "here")).stdout == b"here\n")
step("RemoveContainer a", lambda: runtime.RemoveContainer(pb.RemoveContainerRequest(container_id=a)))
make("bad", ["/nonexistent"], "no such file or directory")
step("StopPodSandbox", lambda: runtime.StopPodSandbox(pb.StopPodSandboxRequest(pod_sandbox_id=pod_id)))
step("RemovePodSandbox", lambda: runtime.RemovePodSandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=pod_id)))
check("a's log", "started on podhost" in open(logs + "/a.log").read())
