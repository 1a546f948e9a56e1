"""Joins: the branch that changed a value wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import StepError
from nbci.handoff.joins import resolve_join
from nbci.handoff.values import ValueRef


def ref(digest: str) -> ValueRef:
    return ValueRef(name="x", object=digest, bytes=1, type="int", group=("x",))


def test_the_one_that_changed_it_wins() -> None:
    assert resolve_join("x", ref("a"), {"left": ref("a"), "right": ref("b")}) == ref("b")
    assert resolve_join("x", ref("a"), {"left": ref("a"), "right": ref("a")}) == ref("a")
    assert resolve_join("x", ref("a"), {}) == ref("a")
    assert resolve_join("x", None, {"left": ref("b"), "right": ref("b")}) == ref("b")


def test_two_different_changes_are_refused() -> None:
    with pytest.raises(StepError, match="the steps `left` and `right` both change `x`") as caught:
        resolve_join("x", ref("a"), {"left": ref("b"), "same": ref("a"), "right": ref("c")})
    assert caught.value.hint
    with pytest.raises(StepError, match="nobody gives `x`"):
        resolve_join("x", None, {})


@given(
    st.sampled_from("abc"),
    st.dictionaries(st.sampled_from(["p", "q", "r"]), st.sampled_from("abc"), min_size=1),
)
def test_the_order_of_branches_does_not_matter(start: str, gave: dict[str, str]) -> None:
    def answer(items: list[tuple[str, str]]) -> str | None:
        try:
            return resolve_join(
                "x", ref(start), {giver: ref(digest) for giver, digest in items}
            ).object
        except StepError:
            return None

    found = answer(list(gave.items()))
    assert found == answer(list(reversed(gave.items())))
    assert (found is None) == (len(set(gave.values()) - {start}) > 1)
