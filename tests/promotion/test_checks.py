"""Verdicts that end when their baselines move on, and what the gates let pass."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nbci.promotion.checks import Refused
from nbci.registry.queries import history
from nbci.registry.read import read_models
from tests.promotion.promoting import promote_here, run_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.releases import Released


def other_file(released: Released) -> None:
    (released.project / "base.json").write_text('{"accuracy": 0.7}')


def other_commit(released: Released) -> None:
    (released.project / "metrics.json").write_text('{"accuracy": 0.7}')
    released.git("commit", "-qam", "other metrics")


def one_run_less(released: Released) -> None:
    shutil.rmtree(released.project / ".nbci/runs" / released.runs[1])


@pytest.mark.parametrize(
    ("baseline", "move_on"),
    [("file:base.json", other_file), ("rev:main", other_commit), ("run:latest", one_run_less)],
)
def test_a_verdict_ends_when_its_baseline_moves_on(
    released: Released, baseline: str, move_on: Callable[[Released], None]
) -> None:
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(
        f"{pipeline.read_text()}metrics: {{accuracy: {{direction: up}}}}\n"
        f"gates: [{{metric: accuracy, baseline: '{baseline}', max_drop: 0.5}}]\n"
    )
    (released.project / "base.json").write_text('{"accuracy": 0.8}')
    released.git("add", "--force", "metrics.json")
    released.git("commit", "-qam", "gates")
    run = run_again(released)
    assert promote_here(released, run, dry_run=True).version == "v1.0.0"
    move_on(released)
    with pytest.raises(
        Refused, match=f"the baseline {baseline} has changed since the verdict: it was "
    ) as stale:
        promote_here(released, run)
    assert stale.value.hint == f"judge the run anew: nbci gate {run}"
    assert released.tags(released.project) == set()
    judged = released.nbci("gate", run)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert promote_here(released, run).version == "v1.0.0"
    assert promote_here(released, run).done


_GATES = """\
metrics: {accuracy: {direction: up}}
gates:
  - {metric: accuracy, at_least: 0.915}
  - {metric: accuracy, baseline: champion, max_drop: 0.5}
"""


def test_only_what_the_gates_let_pass(released: Released) -> None:
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text() + _GATES)
    released.git("commit", "-qam", "gates")
    nbci = released.nbci
    assert nbci("run", "pipeline.yaml", "-p", "C=2", "--quiet").returncode == 0
    good = max(os.listdir(released.project / ".nbci/runs"))
    assert nbci("run", "pipeline.yaml", "-p", "C=1", "--quiet").returncode == 3
    weak = max(os.listdir(released.project / ".nbci/runs"))
    with pytest.raises(Refused, match=r"the gates refuse run .*: accuracy at least 0\.915"):
        promote_here(released, weak)
    overridden = nbci("gate", weak, "--override", "1", "--reason", "a hotfix")
    assert overridden.returncode == 0, overridden.stderr
    assert promote_here(released, weak).version == "v1.0.0"
    (entry, *_) = history(released.git, read_models(released.git))
    assert (entry.action, entry.by, entry.reason) == ("gate overridden", "A Tester", "a hotfix")
    with pytest.raises(
        Refused, match=r"compares with nothing, and now digits@v1\.0\.0 is to be beaten"
    ) as stale:
        promote_here(released, good)
    assert stale.value.hint == f"judge the run anew: nbci gate {good}"
    assert nbci("gate", good).returncode == 0
    assert promote_here(released, good).version == "v1.0.1"
    assert promote_here(released, good).done  # what is to be beaten now is this very release
    with pytest.raises(Refused, match=r"and now digits@v1\.0\.1 is to be beaten"):
        promote_here(released, weak)
