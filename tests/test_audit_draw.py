"""Which reused steps are audited."""

from __future__ import annotations

import pytest

from nbci.audit_draw import Draw, parse_share
from nbci.runs.run_file import new_run_id

_KEYS = [f"{number:064x}" for number in range(5)]
_RUNS = [new_run_id(1_800_000_000 + number) for number in range(4000)]


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("100%", 1.0), ("0.5 %", 0.005), (" 12.50% ", 0.125)]
)
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["0%", "0.0%", "200%", "100.1%", "abc", "1", "-1%", "", "%", "1%%"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1%"):
        parse_share(text)


def test_the_share_holds_over_many_runs_of_few_steps() -> None:
    drawn = sum(Draw(run, 0.01).takes(key) for run in _RUNS for key in _KEYS)

    # 200 are expected of 20,000, with a standard deviation of 14.
    assert 130 < drawn < 270


def test_each_step_gets_its_turn() -> None:
    for key in _KEYS:
        assert any(Draw(run, 0.01).takes(key) for run in _RUNS)


def test_a_draw_is_the_same_whenever_it_is_asked_for() -> None:
    run, key = _RUNS[0], _KEYS[0]
    assert Draw(run, 0.5).takes(key) == Draw(run, 0.5).takes(key)
    assert all(Draw(run, 1.0).takes(key) for run in _RUNS)
