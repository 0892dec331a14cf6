"""A file and a folder of one name in the bucket itself: neither moves, and both are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.errors import ExitCode
from maquette.storage.conflicts import Sides
from maquette.storage.diffing import Difference, Kind
from maquette.storage.name_clashes import NameClash
from maquette.storage.object_store import RemoteObject, StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.planning import Plan, plan
from maquette.storage.selection import LocalFile
from maquette.storage.signing import Credentials

THERE, HERE = RemoteObject(1, "e"), LocalFile(1, 1)


def only_there(path: str) -> Difference:
    return Difference(path, Kind.ONLY_THERE, None, THERE, None)


def pulled(*differences: Difference, prefer: str = "") -> Plan:
    return plan(differences, "pull", delete=False, prefer=prefer)


def moved(found: Plan) -> set[str]:
    return {action.path for action in found.actions}


def test_both_in_the_bucket_are_left_and_named() -> None:
    found = pulled(*map(only_there, ("a", "x", "x-ray", "x/y", "x/z/1")))
    assert moved(found) == {"a", "x-ray"}
    assert found.clashes == (NameClash("x", "x/y", True), NameClash("x", "x/z/1", True))
    store = open_store(StoreLocation("http://127.0.0.1:1"), Credentials("a", "s"), "b", "thing")
    error = Sides(Path("scene"), store, "pull").conflict((), found.clashes)
    assert error is not None and error.exit_code == ExitCode.BAD_INPUT
    assert "`s3://b/thing/x` and `s3://b/thing/x/y`" in error.what
    assert "s3://b/thing/x/z/1" in error.detail and "make push-data PREFER=local" in error.hint


@pytest.mark.parametrize(("prefer", "told"), [("local", False), ("remote", True)])
def test_what_counts_here_can_not_choose_among_two_there(prefer: str, told: bool) -> None:
    found = pulled(only_there("x"), only_there("x/y"), prefer=prefer)
    assert not moved(found) and bool(found.clashes) == told


def test_a_push_takes_away_the_old_key_of_its_own() -> None:
    old = Difference("x", Kind.REMOVED_HERE, None, THERE, None)
    new = Difference("x/y", Kind.ONLY_HERE, HERE, None, None)
    found = plan([old, new], "push", delete=False, prefer="")
    assert [action.path for action in found.replaced] == ["x"] and moved(found) == {"x/y"}
    assert not found.removable and not found.clashes
