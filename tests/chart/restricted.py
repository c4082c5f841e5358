"""The Pod Security Standard `restricted`, as checks of a pod's specification.

After https://kubernetes.io/docs/concepts/security/pod-security-standards/. With a real API server
at hand, tests/chart/test_on_apiserver.py asks that one too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECCOMP = ("RuntimeDefault", "Localhost")
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
# What a restricted pod may set; all are safe.
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}


def violations(pod: Json) -> Iterator[str]:
    """What of a pod's specification `restricted` does not allow, one line each."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is set"
    for volume in pod.get("volumes", []):
        if odd := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is of {', '.join(sorted(odd))}"
    ours = pod.get("securityContext", {})
    yield from _context(ours, "pod")
    for sysctl in ours.get("sysctls", []):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']} is set"
    for container in pod.get("initContainers", []) + pod["containers"]:
        yield from _container(container, ours)


def _container(container: Json, pod: Json) -> Iterator[str]:
    context, name = container.get("securityContext", {}), container["name"]
    yield from _context(context, name)
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot is not true"
    if "seccompProfile" not in {**pod, **context}:
        yield f"{name}: there is no seccompProfile"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation is not false"
    if context.get("privileged"):
        yield f"{name}: privileged"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount is {context['procMount']}"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: does not drop ALL"
    if odd := set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: adds {', '.join(sorted(odd))}"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"{name}: hostPort {port['hostPort']}"
    for hook in _hooks(container):
        if host := hook.get("host"):
            yield f"{name}: a probe or hook asks {host}"


def _context(context: Json, owner: str) -> Iterator[str]:
    """What pod and container both may set."""
    if context.get("runAsUser") == 0:
        yield f"{owner}: runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield f"{owner}: runAsNonRoot is false"
    seccomp = context.get("seccompProfile")
    if seccomp and seccomp.get("type") not in SECCOMP:
        yield f"{owner}: seccompProfile is {seccomp.get('type')}"
    if context.get("appArmorProfile", {}).get("type") == "Unconfined":
        yield f"{owner}: appArmorProfile is Unconfined"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"{owner}: seLinuxOptions"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{owner}: hostProcess"


def _hooks(container: Json) -> Iterator[Json]:
    """The requests and connections of probes and of the lifecycle."""
    handlers = [container.get(f"{name}Probe", {}) for name in ("startup", "liveness", "readiness")]
    handlers += container.get("lifecycle", {}).values()
    for handler in handlers:
        yield from (handler[key] for key in ("httpGet", "tcpSocket") if key in handler)
