"""A seed set once holds for the whole notebook, cut into steps or not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nbci.inkernel.value_files import MAGIC
from nbci.store.cache import user_cache
from tests.e2e.shown import document, results

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

    Cells = list[tuple[str, str]]

SEED = "import random\nimport numpy as np\nrandom.seed(3)\nnp.random.seed(3)"
DRAW = (
    "import random\nimport numpy as np\n"
    "print(random.random(), random.gauss(0, 1), np.random.randn())"
)
SPLIT = "from sklearn.model_selection import train_test_split\nprint(train_test_split(range(9))[1])"
SAMPLE = "import pandas as pd\nprint(pd.DataFrame({'a': range(99)}).sample(3).index.tolist())"
SET = """
import random
import numpy as np
random.setstate(random.Random(4).getstate())
np.random.set_state(np.random.RandomState(4).get_state())
"""

WHOLE: dict[str, Cells] = {
    "a step seeds": [
        ("step:a", SEED),
        ("step:b", "x = 1"),
        ("step:c", DRAW),
        ("step:d", SPLIT),
        ("step:e", SAMPLE),
    ],
    "the imports seed": [
        ("imports", SEED),
        ("step:a", DRAW),
        ("step:b", DRAW),
        ("step:c", f"{SEED}\n{DRAW}"),
    ],
    "a state is set": [
        ("step:a", SET),
        ("step:b", DRAW),
        ("step:c", "import numpy as np\nnp.random.set_bit_generator(np.random.PCG64(5))"),
        ("step:d", "import numpy as np\nprint(np.random.rand())"),
    ],
}


def shown(nbci: Console, notebook: object, *arguments: str) -> tuple[list[str], str]:
    """What the cells printed, and all that was said."""
    done = nbci("run", str(notebook), "--force", *arguments)
    assert done.returncode == 0, done.stderr
    return re.findall(r"^\[\w+\] ([\d\[].*)$", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("zygote", ["on", "off"])
def test_the_numbers_are_those_of_the_whole_notebook(
    nbci: Console, make_notebook: MakeNotebook, name: str, zygote: str
) -> None:
    notebook = make_notebook("n.ipynb", WHOLE[name])
    source = "\n".join(text for _, text in WHOLE[name])
    whole = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    )
    done = nbci("run", notebook, env={"NBCI_ZYGOTE": zygote})
    assert done.returncode == 0, done.stderr
    assert (
        re.findall(r"^\[\w+\] ([\d\[].*)$", done.stdout, re.MULTILINE) == whole.stdout.splitlines()
    )
    assert "seeded" not in done.stdout + done.stderr


def test_a_result_stands_only_for_the_state_that_it_was_drawn_from(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    def run(b: str) -> dict[str, str]:
        steps = [
            ("step:a", SEED),
            ("step:b", b),
            ("step:c", "y = 2"),
            ("step:d", DRAW),
            ("step:e", DRAW),
        ]
        done = nbci("run", make_notebook("n.ipynb", steps), "--json")
        assert done.returncode == 0, done.stderr
        return results(document(done))

    drawing = {"d": "passed", "e": "passed"}
    assert run("x = 1") == {"a": "passed", "b": "passed", "c": "passed", **drawing}
    assert run("x = 2") == {
        "a": "reused",
        "b": "passed",
        "c": "reused",
        "d": "reused",
        "e": "reused",
    }
    drawing_more = "import random\nimport numpy as np\nx = random.random(), np.random.rand(3)"
    assert run(drawing_more) == {"a": "reused", "b": "passed", "c": "reused", **drawing}
    make_notebook(
        "n.ipynb", [("step:a", SEED), ("step:b", "x = 4"), ("step:c", "y = 2"), ("step:d", DRAW)]
    )
    planned = nbci("plan", "n.ipynb").stdout
    assert re.search(
        r"^d  \[depends: on the random state that b will leave\]", planned, re.MULTILINE
    ), planned
    assert run("x = 1") == dict.fromkeys("abcde", "reused")


def test_branches_have_copies_and_where_they_meet_the_one_that_drew_counts(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "n.ipynb",
        [
            ("step:a", SEED),
            ("step:b prev:a", DRAW),
            ("step:c prev:a", DRAW),
            ("step:d prev:a", "x = 1"),
            ("step:e prev:c prev:d", DRAW),
            ("step:f prev:b prev:e", DRAW),
            ("step:g prev:b prev:c", "y = 1"),
        ],
    )
    numbers, said = shown(nbci, notebook, "-j", "1")
    assert numbers[0] == numbers[1] != numbers[2]
    disputes = [line for line in said.splitlines() if "both drew" in line]
    assert [
        re.findall(r"steps (\w) and (\w) both drew from the random state of ([\w.]+)", line)
        for line in disputes
    ] == [
        [("b", "e", "numpy.random")],
        [("b", "e", "random")],
    ], said  # not of e, where only one drew, nor of g, which draws nothing


def test_steps_that_dataflow_leaves_unordered_are_told_that_they_drew_from_copies(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    seed, draw = "random.seed(3)", "print(random.random())"
    make_notebook(
        "n.ipynb",
        [
            ("imports", "import random"),
            ("step:a", f"{seed}\nfor_b = 1\nfor_c = 2\nfor_d = 3\nfor_f = 4"),
            ("step:b", f"for_b\n{draw}"),
            ("step:c", f"for_c\n{seed}\n{draw}"),
            ("step:d", f"of_d = for_d\n{draw}"),
            ("step:e", f"of_d\n{draw}"),
            ("step:f", "for_f"),
        ],
    )
    (nbci.cwd / "p.yaml").write_text(
        "pipeline: p\norder: dataflow\nsteps:\n  n: {notebook: n.ipynb}\n"
    )
    _, said = shown(nbci, "p.yaml", "-j", "1")
    pairs = re.findall(r"steps n/(\w) and n/(\w) both drew from the random state of random", said)
    # c sets the state itself; but what comes after it in the notebook would go on from that
    assert sorted(set(pairs)) == [("b", "d"), ("c", "d")], said
    assert "let n/d come after n/b (`prev:`), or seed it in each step (`random.seed(0)`)" in said


def test_what_nobody_seeded_stays_unpredictable_and_is_told(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    unseeded = (
        "import random\nimport numpy as np\nrandom.seed()\nprint(random.random(), np.random.rand())"
    )
    notebook = make_notebook(
        "n.ipynb", [("step:a", unseeded), ("step:b prev:a", SPLIT), ("step:c prev:a", DRAW)]
    )
    first, said = shown(nbci, notebook)
    for step, name in [
        ("a", "random"),
        ("a", "numpy.random"),
        ("b", "numpy.random"),
        ("c", "random"),
    ]:
        assert re.search(
            rf"^\[{step}\] warning: .* the random state of {name}, which nothing had seeded",
            said,
            re.MULTILINE,
        ), said
    second, _ = shown(nbci, notebook)
    assert first[0] != second[0]
    assert first[-1] != second[-1]


def test_a_state_that_is_gone_is_made_again(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook("n.ipynb", [("step:a", SEED), ("step:b", DRAW)])
    numbers, _ = shown(nbci, notebook)
    make_notebook("n.ipynb", [("step:a", SEED), ("step:b", f"{DRAW}\nx = 1")])
    values = user_cache(os.environ).values
    states = [
        file for file in values.rglob("*") if file.is_file() and file.read_bytes().startswith(MAGIC)
    ]
    assert len(states) == 4  # of two generators, after two steps
    for file in states:
        file.unlink()
    done = nbci("run", notebook)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\[\w+\] ([\d\[].*)$", done.stdout, re.MULTILINE) == numbers


def test_the_state_is_carried_to_another_machine(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    numbers, _ = shown(nbci, make_notebook("n.ipynb", [("step:a", SEED), ("step:b", DRAW)]))
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    for step in "ab":
        cache = {"NBCI_CACHE": str(tmp_path / f"cache-of-{step}")}
        done = nbci("step", "--plan", "plan.json", "--store", "store", step, env=cache)
        assert done.returncode == 0, done.stderr
    assert re.findall(r"^\[\w+\] ([\d\[].*)$", done.stdout, re.MULTILINE) == numbers
