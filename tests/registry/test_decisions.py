"""Decisions in a ref of real repositories: two clones, a shallow one, garbage, other formats."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.errors import IntegrityError, UsageError
from nbci.git.process import Git, GitFailed
from nbci.records.decision import Decision, DecisionEvent
from nbci.records.manifest import Promoter
from nbci.registry.decisions import (
    LostTurn,
    add_decision,
    decisions_ref,
    fetch_decisions,
    read_decisions,
)

if TYPE_CHECKING:
    from pathlib import Path

BY = Promoter(name="Ada", email="ada@example.com")
REF = decisions_ref("wine")


def decision(name: str, *kinds: str) -> Decision:
    events = [
        DecisionEvent(kind=kind, at_utc="2026-01-01T00:00:00Z", by="Ada", sentence=kind)  # type: ignore[arg-type]
        for kind in kinds
    ]
    return Decision(
        id=name, model="wine", pipeline="p.yaml", sentence="because", by="Ada", events=tuple(events)
    )


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Git, Git]:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "origin"], check=True)
    for name in ("one", "two"):
        subprocess.run(["git", "init", "-q", tmp_path / name], check=True)
        Git(tmp_path / name)("remote", "add", "origin", str(tmp_path / "origin"))
    return Git(tmp_path / "one"), Git(tmp_path / "two")


def test_each_event_is_a_commit_and_the_last_one_counts(clones: tuple[Git, Git]) -> None:
    one, two = clones
    tip = add_decision(one, decision("a", "decided"), None, by=BY)
    tip = add_decision(one, decision("b", "asked"), tip, by=BY)
    tip = add_decision(one, decision("a", "decided", "failed"), tip, by=BY)

    assert fetch_decisions(two, "wine") == tip
    assert [(each.id, each.state) for each in read_decisions(two, "wine")] == [
        ("a", "failed"),
        ("b", "asked"),
    ]
    assert two("rev-list", "--count", operands=[REF]) == "3"
    assert two("tag") == two("branch") == ""


def test_of_two_that_decide_at_once_one_is_first(clones: tuple[Git, Git]) -> None:
    one, two = clones
    assert fetch_decisions(one, "wine") is None
    assert fetch_decisions(two, "wine") is None
    add_decision(one, decision("a", "decided"), None, by=BY)
    with pytest.raises(LostTurn, match="pushed to origin first"):
        add_decision(two, decision("b", "decided"), None, by=BY)
    assert read_decisions(two, "wine") == ()

    tip = fetch_decisions(two, "wine")
    add_decision(two, decision("b", "decided"), tip, by=BY)
    with pytest.raises(LostTurn):
        add_decision(one, decision("c", "decided"), fetch_of(one), by=BY)


def fetch_of(git: Git) -> str:
    """The tip that is here, without a look at the remote."""
    return git("rev-parse", operands=[REF])


def test_a_push_whose_answer_was_lost_is_known(clones: tuple[Git, Git]) -> None:
    one, two = clones
    tip = add_decision(one, decision("a", "decided"), None, by=BY)
    fetch_decisions(two, "wine")
    one("update-ref", "-d", operands=[REF])
    # as after a kill between the push and the ref here
    assert fetch_decisions(one, "wine") == tip
    assert read_decisions(one, "wine") == read_decisions(two, "wine")


def test_a_shallow_clone_has_all_of_it(clones: tuple[Git, Git], tmp_path: Path) -> None:
    one, _ = clones
    for name in ("first", "second"):
        one("commit", "--allow-empty", "-qm", name)
    one("push", "-q", operands=["origin", "HEAD:refs/heads/main"])
    tip = add_decision(one, decision("a", "decided"), None, by=BY)
    add_decision(one, decision("a", "decided", "started"), tip, by=BY)
    url = f"file://{tmp_path}/origin"
    subprocess.run(["git", "clone", "-q", "--depth=1", url, tmp_path / "flat"], check=True)

    flat = Git(tmp_path / "flat")
    tip = fetch_decisions(flat, "wine") or ""
    assert flat.is_shallow
    assert [each.state for each in read_decisions(flat, "wine")] == ["started"]
    add_decision(flat, decision("a", "decided", "started", "failed"), tip, by=BY)
    fetch_decisions(one, "wine")
    assert [each.state for each in read_decisions(one, "wine")] == ["failed"]


def test_what_was_never_pushed_goes_with_the_next_one(clones: tuple[Git, Git]) -> None:
    one, two = clones
    url = one("remote", "get-url", operands=["origin"])
    one("remote", "remove", "origin")
    tip = add_decision(one, decision("a", "decided"), None, by=BY)
    one("remote", "add", "origin", url)
    assert fetch_decisions(one, "wine") == tip
    add_decision(one, decision("b", "decided"), tip, by=BY)
    fetch_decisions(two, "wine")
    assert [each.id for each in read_decisions(two, "wine")] == ["a", "b"]

    # here another chain began meanwhile: neither is thrown away in silence
    add_decision(two, decision("c", "decided"), fetch_of(two), by=BY)
    two("update-ref", "-d", operands=[REF])
    two("remote", "remove", "origin")
    add_decision(two, decision("d", "decided"), None, by=BY)
    two("remote", "add", "origin", url)
    with pytest.raises(IntegrityError, match="are not those of origin"):
        fetch_decisions(two, "wine")


def test_a_remote_that_is_away_is_no_empty_one(clones: tuple[Git, Git], tmp_path: Path) -> None:
    one, _ = clones
    (tmp_path / "origin").rename(tmp_path / "moved")
    with pytest.raises(GitFailed):
        fetch_decisions(one, "wine")
    with pytest.raises(GitFailed):
        add_decision(one, decision("a", "decided"), None, by=BY)
    assert read_decisions(one, "wine") == ()


def test_garbage_is_named_and_another_format_by_its_number(clones: tuple[Git, Git]) -> None:
    one, _ = clones
    one("commit", "--allow-empty", "-qm", "nothing to read")
    one("update-ref", operands=[REF, "HEAD"])
    with pytest.raises(IntegrityError, match=r"no decision\.json"):
        read_decisions(one, "wine")

    blob = one("hash-object", "-w", "--stdin", stdin="x")
    one("update-ref", operands=[REF, blob])
    with pytest.raises(IntegrityError, match="no commit"):
        read_decisions(one, "wine")

    one("update-ref", "-d", operands=[REF])
    one("remote", "remove", "origin")
    add_decision(one, replace(decision("a", "decided"), format=2), None, by=BY)
    with pytest.raises(UsageError, match="format 2, this nbci reads 1"):
        read_decisions(one, "wine")
    one("update-ref", "-d", operands=[REF])
    event = replace(decision("a", "decided").events[0], at_utc="yesterday")
    add_decision(one, replace(decision("a"), events=(event,)), None, by=BY)
    with pytest.raises(IntegrityError, match="decision a has no times"):
        read_decisions(one, "wine")
    one("update-ref", "-d", operands=[REF])
    other = replace(decision("a", "decided"), model="beer")
    tip = add_decision(one, other, None, by=BY)
    one("update-ref", operands=[REF, tip])
    with pytest.raises(IntegrityError, match="a decision on beer"):
        read_decisions(one, "wine")
