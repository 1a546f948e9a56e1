"""Times, ids and random draws made by parameters, imports and functions cells.

The whole notebook sees one value of each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console

IMPORTS = (
    "import dataclasses, os, random, secrets, tempfile, time, uuid\nimport numpy as np\n"
    "import datetime as dt\n"
    "from time import time as now"
)
MADE = """
def new(): return uuid.uuid4().hex
T0, PID = time.time(), os.getpid()
RUN_ID: str = str(uuid.uuid4())
NAME = f"run-{RUN_ID}"
class Made:
    at, again = time.time(), RUN_ID
    def __init__(self): self.id = uuid.uuid4()
@dataclasses.dataclass
class Row: id: object = dataclasses.field(default_factory=uuid.uuid4)
def stamped(at=uuid.uuid4()): return at
one, row = Made(), Row()
many = [now(), dt.datetime.now(), dt.date.today(), random.random(), secrets.token_hex(), new()]
many += [np.random.rand(), np.random.default_rng().random(), tempfile.mkdtemp()]
"""
PRINTS = (
    "print('OUT', T0, PID, RUN_ID, label(), many, Made.at, Made.again, one.id, row, stamped(), "
    "type(one) is Made)"
)


def outputs(text: str) -> list[str]:
    return re.findall(r"OUT .*", text)


@pytest.mark.parametrize("role", ["parameters", "imports", "functions"])
def test_all_steps_have_those_of_the_first(
    nbci: Console, make_notebook: MakeNotebook, role: str
) -> None:
    cells = [
        ("imports", IMPORTS),
        (role, MADE),
        ("functions", "def label(): return NAME"),
        ("step:a", "x = 1"),
        ("step:b", PRINTS),
        ("step:c", PRINTS),
    ]
    make_notebook("n.ipynb", cells)
    done = nbci("run", "n.ipynb")
    assert done.returncode == 0, done.stdout
    first, second = outputs(done.stdout)
    assert first == second
    assert outputs(nbci("run", "n.ipynb", "--force").stdout)[0] != first, "they are what they seem"


def test_steps_ordered_by_variables_have_it_from_the_first_that_uses_it(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [("imports", "import uuid"), ("functions", "RUN_ID = uuid.uuid4()")]
    cells += [(f"step:{name}", "print('OUT', RUN_ID)") for name in "abc"]
    make_notebook("n.ipynb", cells)
    (nbci.cwd / "p.yaml").write_text(
        "pipeline: p\norder: dataflow\nsteps:\n  n: {notebook: n.ipynb}\n"
    )
    done = nbci("run", "p.yaml")
    assert done.returncode == 0, done.stdout
    assert len(outputs(done.stdout)) == 3
    assert len(set(outputs(done.stdout))) == 1


def test_where_no_step_comes_first_plan_and_lint_warn_by_name(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [
        ("parameters", "import uuid\nRUN_ID = uuid.uuid4()\nSAME = uuid.UUID(int=1)"),
        ("step:a", "print(RUN_ID, SAME)"),
    ]
    make_notebook(
        "n.ipynb", [*cells, ("step:b", "print(RUN_ID, SAME)"), ("step:c prev:a", "print(RUN_ID)")]
    )
    for command in ("plan", "lint"):
        said = nbci(command, "n.ipynb").stdout
        assert "`RUN_ID` (cell 1) is never the same twice" in said
        assert "make it a parameter" in said
        assert "`SAME`" not in said


def test_one_that_cannot_be_handed_on_is_a_warning(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    stream = "import time\nclock = (one for one in [time.time()])"
    make_notebook(
        "n.ipynb",
        [("imports", stream), ("step:a", "x = 1"), ("step:b", "clock"), ("step:c", "clock")],
    )
    done = nbci("run", "n.ipynb")
    assert done.returncode == 0, done.stdout
    assert re.search(r"warning: .*`clock`", done.stdout)


def test_a_deleted_name_that_later_steps_make_again_is_a_warning(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    made = "def helper(): return 1\ndef other(): return 2\ndef unused(): return 3"
    deletes = "if other() == 3:\n    del other\ndel helper, unused"
    make_notebook(
        "n.ipynb", [("functions", made), ("step:a", deletes), ("step:b", "helper(); other()")]
    )
    for command in ("plan", "lint"):
        said = nbci(command, "n.ipynb").stdout
        assert (
            "step a deletes `helper`, which every step makes: the later steps b make it again"
            in said
        )
        assert "step a deletes `other`" in said
        assert "`unused`" not in said
