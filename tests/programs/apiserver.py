"""kube-apiserver: the real events API, with TLS, tokens and RBAC."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import urllib3

from tests.programs.etcd import Etcd
from tests.programs.kubeclient import KubeClient
from tests.programs.program import Program
from tests.support.ports import free_port
from tests.support.waiting import eventually

READ_EVENTS: dict[str, Any] = {
    "apiGroups": [""],
    "resources": ["events"],
    "verbs": ["list", "watch"],
}


class ApiServer(Program):
    """One kube-apiserver on an etcd. `client` is an administrator; others come by kubeconfig."""

    name = "kube-apiserver"
    ready_seconds = 120.0
    # It waits for its watchers to go; tests have better things to do.
    stop_seconds = 90.0

    def __init__(self, directory: Path, *, binary: Path, etcd: Etcd, openssl: Path) -> None:
        super().__init__(directory)
        self._binary = binary
        self._etcd = etcd
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self._keys = directory / "keys"
        self._token = secrets.token_hex(16)
        self._openssl = openssl
        _make_keys(self._keys, openssl=openssl)
        self.ca_file = self._keys / "ca.crt"
        self._tokens = self._keys / "tokens.csv"
        self._tokens.touch(mode=0o600)
        self._tokens.write_text(f"{self._token},admin,admin,system:masters\n")
        self.client = KubeClient(self.url, ca_file=self.ca_file, token=self._token)
        self.kubeconfig = self._write_kubeconfig("admin", self._token)

    def command(self) -> list[str]:
        keys = self._keys
        return [
            str(self._binary),
            f"--etcd-servers={self._etcd.url}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={keys}",
            f"--tls-cert-file={keys / 'server.crt'}",
            f"--tls-private-key-file={keys / 'server.key'}",
            f"--token-auth-file={self._tokens}",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={keys / 'accounts.key'}",
            f"--service-account-signing-key-file={keys / 'accounts.key'}",
            # History goes when a test takes it (Etcd.compact), at no other time.
            "--etcd-compaction-interval=0",
        ]

    def is_ready(self) -> bool:
        try:
            return self.client.request("GET", "/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def wait_ready(self) -> None:
        super().wait_ready()
        # It makes this namespace itself, a moment after it calls itself ready.
        eventually(
            lambda: self.client.request("GET", "/api/v1/namespaces/default").status == 200,
            timeout=30,
            what="the namespace default",
        )

    def thaw(self) -> None:
        """As for any program. What was idle for so long the server is about to close."""
        super().thaw()
        self.client.reconnect()

    def rotate_ca(self) -> None:
        """While it is down: another CA, and a certificate by it. Tokens stay good."""
        accounts = self._keys / "accounts.key"
        key = accounts.read_bytes()
        _make_keys(self._keys, openssl=self._openssl)
        accounts.write_bytes(key)

    def create_namespace(self, name: str) -> None:
        """A namespace; one that exists is fine."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.client.call("POST", "/api/v1/namespaces", body, accept=(201, 409))

    def kubeconfig_for(
        self, account: str, rules: Sequence[dict[str, Any]] = (READ_EVENTS,)
    ) -> Path:
        """A kubeconfig for a ServiceAccount with these rights, cluster-wide, and no others.

        An account of this name that is there already keeps the rights that it has.
        """
        client = self.client
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        client.call("POST", accounts, {"metadata": {"name": account}}, accept=(201, 409))
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        role = {"metadata": {"name": account}, "rules": list(rules)}
        client.call("POST", f"{rbac}/clusterroles", role, accept=(201, 409))
        binding = {
            "metadata": {"name": account},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": account,
            },
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
        }
        client.call("POST", f"{rbac}/clusterrolebindings", binding, accept=(201, 409))
        return self._write_kubeconfig(account, client.token_of(account, seconds=24 * 3600))

    def _write_kubeconfig(self, user: str, token: str) -> Path:
        """JSON is YAML enough for every reader of kubeconfigs."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
            "clusters": [
                {
                    "name": "e2e",
                    "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)},
                }
            ],
            "users": [{"name": user, "user": {"token": token}}],
        }
        path = self.directory / f"{user}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))
        return path


def _make_keys(folder: Path, *, openssl: Path) -> None:
    """A CA, a server certificate for 127.0.0.1, and the key that signs service account tokens.

    With all extensions that Python 3.13's strict checks ask for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.ext").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
        "basicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature,keyEncipherment\n"
        "extendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n"
    )
    (folder / "ca.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=ca\nprompt=no\n"
        "[name]\nCN=e2e-ca\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\n"
    )
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 30 -config ca.cnf -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30"
        " -extfile server.ext -out server.crt",
        "genrsa -out accounts.key 2048",
    ):
        subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)
