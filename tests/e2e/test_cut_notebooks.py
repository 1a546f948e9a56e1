"""A notebook cut into steps prints what it prints whole: known cases, and random notebooks."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.cut_notebooks import cells_of, printed_whole, without_addresses
from tests.e2e.flow_cases import CASES
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("NBCI_SOAK_EXAMPLES", "50"))
ORDERS = ("declared", "dataflow")
Cells = list[tuple[str, str]]


class Cut:
    """Notebooks that ran as one pipeline; of each, what it printed, and what was said of it."""

    def __init__(self, folder: Path, notebooks: dict[str, Cells], order: str = "declared") -> None:
        self.notebooks = notebooks
        for name, cells in notebooks.items():
            write_notebook(folder / f"{name}.ipynb", cells)
        nodes = {name: {"notebook": f"{name}.ipynb"} for name in notebooks}
        (folder / "all.yaml").write_text(
            yaml.safe_dump({"order": order, "steps": nodes}), encoding="utf-8"
        )
        done = Console(folder)(
            "run",
            "all.yaml",
            "--json",
            "--force",
            "--keep-going",
            "-j",
            "2",
            env={"NBCI_CACHE": str(folder / "cache")},
        )
        assert done.returncode in (0, 1), done.stderr
        self.document: dict[str, Any] = json.loads(done.stdout)
        self.run = folder / ".nbci" / "runs" / self.document["run"]

    def steps(self, name: str) -> list[dict[str, Any]]:
        """Its steps, in the notebook's order."""
        steps = {step["name"]: step for step in self.document["steps"]}
        tags = (
            tag
            for tags, _ in self.notebooks[name]
            for tag in tags.split()
            if tag.startswith("step:")
        )
        return [steps[f"{name}/{tag.removeprefix('step:')}"] for tag in dict.fromkeys(tags)]

    def printed(self, name: str) -> str:
        texts = []
        for step in self.steps(name):
            executed = json.loads(
                (self.run / "steps" / step["name"] / "notebook.ipynb").read_text(encoding="utf-8")
            )
            outputs = [output for cell in executed["cells"] for output in cell.get("outputs", ())]
            texts += ["".join(one["text"]) for one in outputs if one.get("name") == "stdout"]
        return without_addresses("".join(texts))

    def failure(self, name: str) -> str:
        failures = [step["failure"]["message"] for step in self.steps(name) if step.get("failure")]
        return "\n".join(failures)


@pytest.fixture(scope="module", params=ORDERS)
def cut(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Cut:
    """All known cases, run once in each order."""
    cases = {f"n{at}": case.cells for at, case in enumerate(CASES)}
    return Cut(tmp_path_factory.mktemp("cut"), cases, request.param)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cut_notebook_prints_what_the_whole_one_prints(cut: Cut, case: Any) -> None:
    name = f"n{CASES.index(case)}"
    assert cut.failure(name) == ""
    assert cut.printed(name) == printed_whole(case.cells)


def check_random_notebooks(folder: Path, seed: int, count: int, order: str) -> None:
    chance = random.Random(seed)  # for variety, not for secrecy
    draws = order == "declared"  # steps that are in no order draw from copies
    notebooks = {
        f"n{at}": cells_of(chance, chance.randint(8, 14), chance.randint(3, 7), draws=draws)
        for at in range(count)
    }
    cut = Cut(folder, notebooks, order)
    for name, cells in notebooks.items():
        text = "\n".join(f"# %% {tags}\n{source}" for tags, source in cells)
        assert cut.failure(name) == "", text
        assert cut.printed(name) == printed_whole(cells), text


@pytest.mark.parametrize("order", ORDERS)
def test_random_notebooks(tmp_path: Path, order: str) -> None:
    check_random_notebooks(tmp_path, 12, 8, order)


@pytest.mark.soak
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
@given(seed=st.integers(0, 2**32), order=st.sampled_from(ORDERS))
def test_many_random_notebooks(
    tmp_path_factory: pytest.TempPathFactory, seed: int, order: str
) -> None:
    check_random_notebooks(tmp_path_factory.mktemp("random"), seed, 40, order)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            [("step:a", "T = int"), ("functions", "def f(x: T): pass"), ("step:b", "f(1)")],
            "`T` is used while",
        ),
        (
            [("step:a", "T = 1"), ("functions", "def f(x=T): pass"), ("step:b", "f()")],
            "step a makes it",
        ),
        (
            [("step:a", "class A: pass"), ("functions", "class B(A): pass"), ("step:b", "B()")],
            "`A` is used while",
        ),
        (
            [
                ("functions", "def f(): return 1"),
                ("step:a", "f()"),
                ("functions", "def f(): return 2"),
                ("step:b", "f()"),
            ],
            "`f` is defined in cell 1 and again here",
        ),
    ],
)
def test_cells_of_all_steps_that_cannot_mean_what_the_whole_does_are_refused(
    nbci: Console, tmp_path: Path, cells: Cells, said: str
) -> None:
    write_notebook(tmp_path / "n.ipynb", cells)
    done = nbci("plan", "n.ipynb")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_change_that_cannot_be_handed_on_is_a_warning(tmp_path: Path) -> None:
    cells = [
        ("functions", "numbers = (n for n in range(9))"),
        ("step:a", "next(numbers)"),
        ("step:b", "next(numbers)"),
    ]
    cut = Cut(tmp_path, {"n": cells})
    record = json.loads((cut.run / "steps" / "n" / "a" / "record.json").read_text(encoding="utf-8"))
    assert ["`numbers`" in warning and "`n/b`" in warning for warning in record["warnings"]] == [
        True
    ]


def test_a_step_that_asks_for_subclasses_may_lack_some_and_this_is_a_warning(
    nbci: Console, tmp_path: Path
) -> None:
    made = "def make():\n    class Hidden(Base): pass\n    return Hidden()"
    cells = [("functions", "class Base: pass"), ("step:a", made), ("step:b", "held = make()")]
    write_notebook(tmp_path / "n.ipynb", [*cells, ("step:c", "print(Base.__subclasses__())")])
    write_notebook(tmp_path / "none.ipynb", [*cells, ("step:c", "print(Base.__name__)")])
    for command in ("plan", "lint"):
        assert (
            "step c asks for `__subclasses__()`: of the classes that"
            in nbci(command, "n.ipynb").stdout
        )
        assert "__subclasses__" not in nbci(command, "none.ipynb").stdout
