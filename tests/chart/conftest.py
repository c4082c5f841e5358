"""What tests of the chart share: a real cluster, and the real sidecar as the chart sets it up."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack

import pytest
import yaml

from tests.chart.chart import env_of, pod_of, render, sidecar_of, write_config
from tests.programs import ApiServer, Etcd, FluentBit
from tests.programs.required import required
from tests.support.ports import free_port

NAMESPACES = ("logging", "observability", "team-a", "team-b")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CERTIFICATES = "/etc/eventrouter/tls/"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A real kube-apiserver with namespaces that take restricted pods only."""
    etcd, apiserver, openssl = map(required, ("etcd", "kube-apiserver", "openssl"))
    folder = tmp_path_factory.mktemp("cluster")
    with (
        Etcd(folder / "etcd", binary=etcd) as store,
        ApiServer(folder / "apiserver", binary=apiserver, etcd=store, openssl=openssl) as server,
    ):
        for name in NAMESPACES:
            body = {"metadata": {"name": name, "labels": RESTRICTED}}
            server.client.call("POST", "/api/v1/namespaces", body)
            # A controller's work.
            accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
            server.client.call("POST", accounts, {"metadata": {"name": "default"}})
        priority = {"metadata": {"name": "high"}, "value": 1000}
        server.client.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", priority)
        runtime = {"metadata": {"name": "gvisor"}, "handler": "gvisor"}
        server.client.call("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)
        yield server


@pytest.fixture(scope="session")
def fluent_bit():
    """The real program."""
    return required("fluent-bit")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """One file with a server's key and its certificate, which is its own CA."""
    openssl = required("openssl")
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=sink -keyout key -out certificate"
        " -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)
    path = folder / "key-and-certificate"
    path.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return path


@pytest.fixture
def start_sidecar(fluent_bit, tmp_path):
    """Starts Fluent Bit with the chart's config and variables; only buffer and certificates are
    somewhere else, and the waits between two tries are short. `secrets` are the cluster's, by name:
    what each key holds. `edit` may change the outputs before they are run.
    """
    with ExitStack() as started:

        def start(values, *, secrets=None, edit=None):
            objects = render(values=values)
            folder = tmp_path / "sidecar"
            folder.mkdir()
            config = write_config(objects, folder)
            mounted = _mount_certificates(objects, folder, secrets)
            text = config.read_text().replace(CERTIFICATES, f"{mounted}/")
            config.write_text(_edited(text, edit) if edit else text)
            pipeline = folder / "pipeline.yaml"
            waits = re.sub(
                r"(?m)^( *scheduler\.(?:base|cap)): \d+$", r"\1: 2", pipeline.read_text()
            )
            pipeline.write_text(waits)
            variables = {
                name: value
                if isinstance(value, str)
                else secrets[value["secretKeyRef"]["name"]][value["secretKeyRef"]["key"]]
                for name, value in env_of(sidecar_of(objects)).items()
            }
            sidecar = FluentBit(
                folder,
                binary=fluent_bit,
                config=config,
                variables={
                    **variables,
                    "BUFFER_PATH": str(folder / "buffer"),
                    "OPTIONAL_PORT": str(free_port()),
                },
            )
            return started.enter_context(sidecar)

        yield start


def _mount_certificates(objects, folder, secrets):
    """The volumes with certificates, as the kubelet would mount them."""
    volumes = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}
    for mount in sidecar_of(objects)["volumeMounts"]:
        if mount["mountPath"].startswith(CERTIFICATES):
            secret = volumes[mount["name"]]["secret"]
            target = folder / "tls" / mount["mountPath"].removeprefix(CERTIFICATES)
            target.mkdir(parents=True)
            for item in secret["items"]:
                (target / item["path"]).write_text(secrets[secret["secretName"]][item["key"]])
    return folder / "tls"


def _edited(text, edit):
    config = yaml.safe_load(text)
    outputs = {output["alias"]: output for output in config["pipeline"]["outputs"]}
    edit(outputs)
    config["pipeline"]["outputs"] = list(outputs.values())
    return yaml.safe_dump(config)
