from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.errors import UsageError
from nbci.runs.named_runs import NamedRuns

if TYPE_CHECKING:
    from pathlib import Path

RUNS = ("20260101-100000-aaaaaaa", "20260102-100000-bbbbbbb")
SWEEPS = ("20260103-100000-ccccccc", "20260104-100000-ddddddd")
TRIALS = ("20260103-100000-eeeeeee", "20260103-100009-fffffff")


@pytest.fixture
def known(tmp_path: Path) -> NamedRuns:
    nbci = tmp_path / ".nbci"
    folders = [nbci / "runs" / run for run in RUNS]
    folders.append(nbci / "runs" / RUNS[1] / "runs" / "20260105-100000-0000000")
    folders += [nbci / "sweeps" / SWEEPS[0] / "runs" / trial for trial in TRIALS]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    (nbci / "sweeps" / SWEEPS[1]).mkdir()
    return NamedRuns(Project(root=tmp_path))


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("latest", RUNS[1]),
        (RUNS[0], RUNS[0]),
        ("20260101", RUNS[0]),
        (TRIALS[1], TRIALS[1]),
        ("20260103-100009", TRIALS[1]),
        ("20260105", "20260105-100000-0000000"),
    ],
)
def test_a_name_is_that_of_a_run_or_of_one_that_belongs_to_another(
    known: NamedRuns, name: str, run: str
) -> None:
    assert known.sweep(name) is None
    assert known.find_one(name).run == run


@pytest.mark.parametrize(
    ("name", "sweep"), [(SWEEPS[0], 0), ("20260103-100000-c", 0), ("20260104", 1)]
)
def test_a_name_may_be_that_of_a_sweep(known: NamedRuns, name: str, sweep: int) -> None:
    found = known.sweep(name)
    assert found is not None
    assert found.name == SWEEPS[sweep]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("20260103-100000", "is the beginning of a sweep and of a trial"),
        ("2026010", "is the beginning of 2 runs"),
        ("zzz", "there is no run 'zzz'"),
    ],
)
def test_a_name_that_tells_nothing_is_refused(known: NamedRuns, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        known.sweep(name) or known.find_one(name)
