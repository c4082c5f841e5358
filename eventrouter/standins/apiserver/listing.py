"""A list of events: from the query of a request to the body of its answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

from eventrouter.standins.apiserver.encoding import decode, encode
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.pages import Page
from eventrouter.standins.apiserver.selector import FieldSelector
from eventrouter.standins.apiserver.status import EXPIRED_LIST, EXPIRED_TOKEN, Refusal
from eventrouter.standins.apiserver.store import Compacted, EventStore, NotReached

_MATCHES = ("Exact", "NotOlderThan")


class Token(NamedTuple):
    """A continue token, in the API server's own form (k8s.io/apiserver, pkg/storage/continue.go).

    With revision -1 the list continues at the newest revision, not at that of the earlier pages.
    """

    revision: int
    after: str

    def encode(self) -> str:
        token = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.after + "\0"}
        return base64.urlsafe_b64encode(encode(token)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Token:
        try:
            token = decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(token["rv"], token["start"].removesuffix("\0"))
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise Refusal.bad_request(
                f"invalid continue token: continue key is not valid: {error}"
            ) from error


class ListOptions(NamedTuple):
    """What a query asks for.

    `exact` is the revision to list, None for the newest; the newest must have reached `at_least`.
    """

    exact: int | None
    at_least: int
    token: Token | None
    limit: int | None
    selector: FieldSelector

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> ListOptions:
        """Raises Refusal for a query that the API server refuses."""
        token = Token.decode(query["continue"]) if query.get("continue") else None
        _check(query)
        asked = parse_revision(query.get("resourceVersion", ""))
        limit = _limit(query)
        # A limit without a match is exact as well: storage.ValidateListOptions, the legacy case.
        match = query.get("resourceVersionMatch", "Exact" if limit else "")
        exact = asked if match == "Exact" else 0
        if token is not None:
            exact, asked = token.revision, 0
        selector = FieldSelector(query.get("fieldSelector", ""))
        return cls(exact if exact > 0 else None, asked, token, limit or None, selector)


def list_events(store: EventStore, request: Request) -> bytes:
    """The body of the answer. Raises Refusal."""
    options = ListOptions.parse(request.query)
    page = _page(store, options, namespace=request.namespace)
    metadata: dict[str, object] = {"resourceVersion": str(page.revision)}
    if page.last is not None:
        metadata["continue"] = Token(page.revision, page.last).encode()
        if not options.selector.requirements:
            metadata["remainingItemCount"] = page.remaining
    return b'{"kind":"EventList","apiVersion":"v1","metadata":%b,"items":[%b]}\n' % (
        encode(metadata),
        b",".join(page.items),
    )


def _page(store: EventStore, options: ListOptions, *, namespace: str | None) -> Page:
    token, selector = options.token, options.selector
    if options.at_least > store.revision:
        raise Refusal.too_large(options.at_least, current=store.revision)
    try:
        return store.page(
            revision=options.exact,
            namespace=namespace,
            after=token.after if token else "",
            limit=options.limit,
            matches=selector.matches if selector.requirements else None,
        )
    except NotReached:
        raise Refusal.too_large(options.exact or 0, current=store.revision) from None
    except Compacted:
        if token is None:
            raise Refusal.expired(EXPIRED_LIST) from None
        later = Token(-1, token.after).encode()
        raise Refusal.expired(EXPIRED_TOKEN, continue_token=later) from None


def parse_revision(text: str) -> int:
    """A resourceVersion as a number; 0 for none."""
    if text and not text.isdecimal():
        raise Refusal.bad_request(f'invalid resource version: Invalid value: "{text}"')
    return int(text or 0)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    if text and not text.isdecimal():
        raise Refusal.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text or 0)


def _check(query: Mapping[str, str]) -> None:
    """The rules of apimachinery, pkg/apis/meta/internalversion/validation."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    option = "resourceVersionMatch"
    if match and not version:
        raise Refusal.invalid_option(
            option, f"{option} is forbidden unless resourceVersion is provided"
        )
    if match and query.get("continue"):
        raise Refusal.invalid_option(option, f"{option} is forbidden when continue is provided")
    if match and match not in _MATCHES:
        raise Refusal.invalid_option(option, f'Unsupported value: "{match}"')
    if match == "Exact" and version == "0":
        raise Refusal.invalid_option(
            option, f'{option} "exact" is forbidden for resourceVersion "0"'
        )
    if query.get("continue") and version not in ("", "0"):
        raise Refusal.bad_request("specifying resource version is not allowed when using continue")
