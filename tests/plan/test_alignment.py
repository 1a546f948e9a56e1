from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbci.plan.alignment import align

SOURCES = st.lists(
    st.sampled_from(
        ["a = 1", "a = 12", "plot(a)", "plot(a, b)", "x", "", "for i in range(9): pass"]
    )
)


@given(SOURCES, SOURCES)
def test_every_text_has_one_place_in_order(before: list[str], after: list[str]) -> None:
    pairs = align(before, after)
    assert [old for old, _ in pairs if old is not None] == list(range(len(before)))
    assert [new for _, new in pairs if new is not None] == list(range(len(after)))
    assert all(pair != (None, None) for pair in pairs)


@given(SOURCES)
def test_the_same_program_is_paired_throughout(sources: list[str]) -> None:
    assert align(sources, sources) == tuple((at, at) for at in range(len(sources)))


def test_a_cell_that_came_before_a_changed_one_is_not_taken_for_it() -> None:
    before = ["model = SVC(C=1)\nmodel.fit(X, y)"]
    after = ["X = scale(X)", "model = SVC(C=10)\nmodel.fit(X, y)"]
    assert align(before, after) == ((None, 0), (0, 1))


def test_a_single_cell_that_was_rewritten_is_a_changed_one() -> None:
    assert align(["a", "import os", "z"], ["a", "print(3)", "z"]) == ((0, 0), (1, 1), (2, 2))


def test_very_many_changed_cells_are_paired_in_order() -> None:
    before, after = [f"a{at}" for at in range(40)], [f"b{at}" for at in range(40)]
    assert align(before, after) == tuple((at, at) for at in range(40))
