"""An object's metadata alone: what the API server gives as a PartialObjectMetadata.

That saves its memory and ours. It is no border: a right to this is a right to the whole object.
"""

from __future__ import annotations

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from eventrouter.errors import ApiError, BadLine
from eventrouter.kube.api import KubeApi

_ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
# A look-up that takes longer is given up: the events wait for it no longer than half a second.
_SECONDS = 2.0
# More than an object in etcd can have.
_MAX_BYTES = 4 * 2**20


class OwnerRef(Struct, gc=False, rename="camel"):
    """meta/v1 OwnerReference, as far as it names the owner."""

    kind: str
    name: str
    uid: str
    api_version: str = ""
    controller: bool | None = None


class Metadata(Struct, gc=False, rename="camel"):
    """meta/v1 ObjectMeta, as far as a record may show it."""

    uid: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerRef] | None = None

    @property
    def owner(self) -> OwnerRef | None:
        """The owner that controls the object, else the first one."""
        owners = self.owner_references or ()
        return next((owner for owner in owners if owner.controller), owners[0] if owners else None)


class _Object(Struct, gc=False):
    metadata: Metadata


_object = Decoder(_Object).decode


class KubeMetadata:
    """Reads the metadata of single objects. Thread-safe."""

    def __init__(self, *, api: KubeApi) -> None:
        self._api = api

    def get(self, path: str) -> Metadata | None:
        """The metadata of the object at this path; None if there is none of that name.

        Raises ApiError; the reason "not_found" means that the API server has no such resource.
        """
        name = path.rpartition("/")[2]
        try:
            with self._api.request(
                "GET",
                path,
                accept=_ACCEPT,
                connect_seconds=_SECONDS,
                read_seconds=_SECONDS,
            ) as response:
                body = response.read(amt=_MAX_BYTES)
        except ApiError as error:
            # An object: `pods "api-1" not found`. A resource: `the server could not find the …`.
            if error.reason == "not_found" and f'"{name}" not found' in str(error):
                return None
            raise
        try:
            return _object(body).metadata
        except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadLine(f"{path} has no metadata that can be read: {error}") from error
