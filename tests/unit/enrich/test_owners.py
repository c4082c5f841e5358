"""Owner references, followed to the top."""

from __future__ import annotations

from eventrouter.enrich.cache import Entry, Owner, State
from eventrouter.enrich.kinds import KNOWN, Kinds
from eventrouter.enrich.owners import Walk, walk
from eventrouter.enrich.subject import Target

NOW = 100.0


def target_of(kind: str, name: str) -> Target:
    return Target(KNOWN[kind], "shop", name, f"uid-{name}")


POD, SET, DEPLOYMENT = (
    target_of("Pod", "api-1"),
    target_of("ReplicaSet", "api-5f"),
    target_of("Deployment", "api"),
)


def ref(target: Target) -> Owner:
    kind = target.kind
    return Owner(kind.kind, f"{kind.group}/{kind.version}", target.name, target.uid)


def owned(by: Target | None, *, expires: float = 200.0, state: State = "found") -> Entry:
    return Entry(state=state, owner=by and ref(by), expires=expires)


def walked(known: dict[Target, Entry], *kinds: str) -> Walk:
    by_key = {target.key: entry for target, entry in known.items()}
    allowed = Kinds(KNOWN[kind] for kind in kinds or ("Pod", "ReplicaSet", "Deployment"))
    return walk(POD, get=by_key.get, kinds=allowed, now=NOW)


def test_the_top_is_reached() -> None:
    way = walked({POD: owned(SET), SET: owned(DEPLOYMENT), DEPLOYMENT: owned(None)})

    assert way == Walk(owned(SET), ref(DEPLOYMENT), None, True)


def test_what_is_not_known_is_asked_for_first_the_object_then_its_owners() -> None:
    known: dict[Target, Entry] = {}
    for target, owner in ((POD, SET), (SET, DEPLOYMENT), (DEPLOYMENT, None)):
        way = walked(known)
        assert (way.missing, way.is_complete) == (target, False)
        known[target] = owned(owner)


def test_a_kind_that_is_not_allowed_is_the_last_owner() -> None:
    way = walked({POD: owned(SET)}, "Pod", "Deployment")

    assert (way.owner, way.missing, way.is_complete) == (ref(SET), None, True)


def test_an_owner_that_is_gone_is_the_last_one() -> None:
    way = walked({POD: owned(SET), SET: owned(None, state="gone")})

    assert (way.owner, way.missing, way.is_complete) == (ref(SET), None, True)


def test_what_has_expired_is_asked_for_and_good_until_then() -> None:
    way = walked({POD: owned(SET), SET: owned(None, expires=50.0)})

    assert (way.owner, way.missing, way.is_complete) == (ref(SET), SET, True)


def test_a_circle_of_owners_has_an_end() -> None:
    way = walked({POD: owned(SET), SET: owned(SET)})

    assert way.is_complete
