"""The fold over events: what is registered, what is in which stage, what was before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.registry.events import Event, fold, next_version
from nbci.registry.grammar import TagName, tag_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from nbci.registry.events import ModelState
    from nbci.registry.grammar import Action


def event(
    action: Action,
    version: int,
    number: int | None = None,
    *,
    stage: str | None = None,
    seconds: int = 0,
) -> Event:
    """An event of the model `m`, on the commit of version v{version}.0.0."""
    name = f"v{version}.0.0"
    registry = action in ("register", "deregister")
    tag = TagName(
        action=action, model="m", version=name if registry else None, stage=stage, number=number
    )
    return Event(
        action=action,
        model="m",
        tag=tag_name(tag),
        object=f"o{number}",
        commit=f"c{version}",
        seconds=0,
        name="A",
        email="a@b.c",
        version=tag.version,
        stage=stage,
        number=number,
    )


def state(events: Sequence[Event]) -> ModelState:
    (model,) = fold(events)
    return model


def holders(model: ModelState) -> dict[str, str | None]:
    return {name: stage.current.version for name, stage in model.stages.items()}


def test_a_stage_holds_what_was_assigned_last() -> None:
    events = [event("register", n) for n in (1, 2, 3)]
    events += [event("assign", n, n, stage="production") for n in (1, 2, 3)]
    model = state(events)
    assert holders(model) == {"production": "v3.0.0"}
    assert (model.next_number, model.before("production")) == (4, "v2.0.0")
    back = [
        *events,
        event("unassign", 3, 4, stage="production"),
        event("assign", 2, 5, stage="production"),
    ]
    assert holders(state(back)) == {"production": "v2.0.0"}
    assert state(back).before("production") == "v1.0.0"
    emptied = [*events, *(event("unassign", n, 3 + n, stage="production") for n in (3, 2, 1))]
    assert holders(state(emptied)) == {}
    assert state(emptied).before("production") == "v2.0.0"


def test_a_version_taken_back_is_in_no_stage() -> None:
    events = [
        event("register", 1),
        event("register", 2),
        event("assign", 1, 1, stage="s"),
        event("assign", 2, 2, stage="s"),
        event("deregister", 2),
    ]
    model = state(events)
    assert model.latest is not None
    assert (model.latest.version, holders(model)) == ("v1.0.0", {"s": "v1.0.0"})


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["assign", "unassign"]), st.integers(1, 4), st.sampled_from(["a", "b"])
    ),
    max_size=12,
)


@given(_EVENTS, st.randoms(use_true_random=False))
def test_the_order_in_which_tags_are_read_does_not_matter(
    drawn: list[tuple[Action, int, str]], random: Random
) -> None:
    events = [event("register", n) for n in range(1, 5)]
    events += [
        event(action, version, number, stage=stage)
        for number, (action, version, stage) in enumerate(drawn, 1)
    ]
    shuffled = list(events)
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(events)


@given(_EVENTS)
def test_stages_are_what_gto_makes_of_them(drawn: list[tuple[Action, int, str]]) -> None:
    from datetime import UTC, datetime

    from gto.base import Artifact, Assignment, Registration, Unassignment

    kinds = {"assign": Assignment, "unassign": Unassignment}
    artifact = Artifact(artifact="m", versions=[])
    common: dict[str, Any] = {
        "artifact": "m",
        "author": "A",
        "author_email": "a@b.c",
        "message": "",
    }
    for n in range(1, 5):
        artifact.add_event(
            Registration(
                version=f"v{n}.0.0",
                created_at=datetime.fromtimestamp(n, UTC),
                commit_hexsha=f"c{n}",
                tag="t",
                **common,
            )
        )
    for number, (action, version, stage) in enumerate(drawn, 1):
        artifact.add_event(
            kinds[action](
                version=f"v{version}.0.0",
                stage=stage,
                commit_hexsha=f"c{version}",
                tag="t",
                created_at=datetime.fromtimestamp(100 + number, UTC),
                **common,
            )
        )
    from gto.constants import VersionSort

    expected = {
        stage: found[0].version
        for stage, found in artifact.get_vstages(
            versions_per_stage=1, sort=VersionSort.Timestamp
        ).items()
    }
    events = [event("register", n) for n in range(1, 5)]
    events += [
        event(action, version, number, stage=stage)
        for number, (action, version, stage) in enumerate(drawn, 1)
    ]
    assert holders(state(events)) == expected


@pytest.mark.parametrize(
    ("versions", "part", "expected"),
    [
        ([], "major", "v1.0.0"),
        (["v1.9.0", "v1.10.0"], "patch", "v1.10.1"),
        (["v1.9.0", "v1.10.0"], "minor", "v1.11.0"),
        (["v1.9.0", "v2.0.0-rc.1"], "major", "v2.0.0"),
    ],
)
def test_the_next_version(versions: list[str], part: str, expected: str) -> None:
    assert next_version(versions, part) == expected


def test_notes_are_the_last_paragraph() -> None:
    noted = event("register", 1)
    with_message = replace(
        noted, message="Promote m\n\nabout: nothing\n\nNbci-Run: R\nNbci-Build: http://ci/1\n"
    )
    assert with_message.notes == {"Nbci-Run": "R", "Nbci-Build": "http://ci/1"}
    assert noted.notes == {}
