"""A certificate authority for tests, by the openssl command."""

from __future__ import annotations

import base64
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A certificate and its key, each in a file."""

    cert: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server shows it with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """A CA that issues certificates for a day.

    With the extensions that Python 3.13 insists on, unless it `is_lax`, as many are.
    """

    def __init__(self, folder: Path, *, openssl: Path, is_lax: bool = False) -> None:
        self._folder = folder
        self._openssl = openssl
        folder.mkdir()
        self._own = self._make(
            "ca",
            "basicConstraints=critical,CA:TRUE",
            *([] if is_lax else ["keyUsage=critical,keyCertSign,cRLSign"]),
            "subjectKeyIdentifier=hash",
        )

    @property
    def file(self) -> Path:
        """Its own certificate."""
        return self._own.cert

    def server(self, *names: str) -> Certificate:
        """For a server of these names, such as `IP:127.0.0.1` and `DNS:localhost`."""
        return self._issue("server", "serverAuth", f"subjectAltName={','.join(names)}")

    def client(self, name: str) -> Certificate:
        """For a client."""
        return self._issue(name, "clientAuth")

    def _issue(self, name: str, usage: str, *extensions: str) -> Certificate:
        return self._make(
            name,
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={usage}",
            "authorityKeyIdentifier=keyid",
            *extensions,
            issuer=self._own,
        )

    def _make(self, name: str, *extensions: str, issuer: Certificate | None = None) -> Certificate:
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        command = [
            self._openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", f"/CN={name}",
            "-out", made.cert, "-keyout", made.key,
            *(word for extension in extensions for word in ("-addext", extension)),
            *(("-CA", issuer.cert, "-CAkey", issuer.key) if issuer else ()),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return made


def inline(path: Path) -> str:
    """A file as a kubeconfig holds it, in one of its `-data` fields."""
    return base64.b64encode(path.read_bytes()).decode()
