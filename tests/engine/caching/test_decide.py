"""What the key of a step is made of, beside what its plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.engine.caching.decide import decide
from nbci.engine.steps.inputs import Inputs
from nbci.plan.model import PlannedStep
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from pathlib import Path


def test_what_stands_in_the_environment_file_counts(tmp_path: Path) -> None:
    step = PlannedStep(
        name="a", notebook="n", kernel="k", language="python", cells=(), environment="pins.lock"
    )

    def key() -> str:
        index = FileIndex(tmp_path / "digests.json")
        return decide(
            tmp_path, step, Inputs(values=(), params={}), Cache(tmp_path / "cache"), index
        ).key

    absent = key()
    (tmp_path / "pins.lock").write_text("numpy==2.0\n", encoding="utf-8")
    first = key()
    (tmp_path / "pins.lock").write_text("numpy==2.1\n", encoding="utf-8")
    assert len({absent, first, key()}) == 3
