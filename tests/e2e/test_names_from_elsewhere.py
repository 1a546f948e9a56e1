"""Names that no cell is seen to bind.

Star imports, exec, `__main__`, startup files, what kernels bring along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.console import Console

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook

FEATURES = "import math\nTABLE = {'a': 1}\ndef clean(x):\n    return x + TABLE['a']\n"


LATER = [
    (
        "from math import *\nr = sqrt(4)",
        "print('OUT', round(sin(r), 3), pi > 3)",
        "OUT 0.909 True",
    ),
    (
        "from numpy import *",
        "print('OUT', sum([[1, 2], [3, 4]], axis=0).tolist())",
        "OUT [4, 6]",
    ),
    ("sqrt = 3", "from math import *\n# %% tags=['step:c']\nprint('OUT', sqrt(9))", "OUT 3.0"),
    ("x = 1\nexec('y = x + 1')", "print('OUT', y)", "OUT 2"),
    ("import __main__\n__main__.y = 5", "print('OUT', y)", "OUT 5"),
    ("import sys\nsys.modules['__main__'].y = 6", "print('OUT', y)", "OUT 6"),
    (
        "from features import *\nTABLE['a'] = 2",
        "print('OUT', clean(1), math.pi > 3)",
        "OUT 2 True",
    ),
    (
        "import os\nfrom __future__ import annotations\nx = 1",
        "class Tree:\n    left: Tree | None = None\nprint('OUT', Tree.__annotations__)",
        "OUT {'left': 'Tree | None'}",
    ),
]
"""A cell, one of a later step, and what that one prints."""


@pytest.fixture(scope="module")
def printed_later(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What was printed by a pipeline that has each of them as a notebook of its own."""
    folder = tmp_path_factory.mktemp("later")
    (folder / "features.py").write_text(FEATURES)
    nodes = {}
    for number, (first, second, _) in enumerate(LATER):
        nodes[f"n{number}"] = {"notebook": f"n{number}.py"}
        (folder / f"n{number}.py").write_text(
            f"# %% tags=['step:a']\n{first}\n# %% tags=['step:b']\n{second}\n"
        )
    (folder / "all.yaml").write_text(yaml.safe_dump({"steps": nodes}))
    # one that fails is no reason for the others to be left out
    return Console(folder)("run", "all.yaml", "--force", "--keep-going", "-j", "2").stdout


@pytest.mark.parametrize("number", range(len(LATER)), ids=[printed for *_, printed in LATER])
def test_a_later_step_has_them_as_the_whole_notebook_would(printed_later: str, number: int) -> None:
    *_, printed = LATER[number]
    lines = [line for line in printed_later.splitlines() if line.startswith(f"[n{number}/")]
    assert any(line.endswith(f"] {printed}") for line in lines), printed_later
    assert not any("failed" in line for line in lines), lines


def test_names_of_an_init_session_pass_and_are_warned_of(nbci: Console) -> None:
    """As SymPy's does: it puts names into the shell that called it."""
    (nbci.cwd / "tools.py").write_text(
        "from IPython import get_ipython\ndef init_session():\n    get_ipython().user_ns['y'] = 5\n"
    )
    started = "from tools import init_session\ninit_session()"
    (nbci.cwd / "n.py").write_text(
        f"# %% tags=['step:a']\n{started}\n# %% tags=['step:b']\nprint('OUT', y)\n"
    )
    assert (
        "`y` is used by step b and defined nowhere (init_session() may define names)"
        in nbci("lint", "n.py").stdout
    )
    assert "OUT 5" in nbci("run", "n.py").stdout


@pytest.mark.parametrize("module", ["builtins", "sys.modules['builtins']"])
def test_a_builtin_that_a_step_defines_is_told_by_name(nbci: Console, module: str) -> None:
    define = f"import builtins, sys\n{module}.y = 5"
    (nbci.cwd / "n.py").write_text(
        f"# %% tags=['step:a']\n{define}\n# %% tags=['step:b']\nprint('OUT', y)\n"
    )
    linted = nbci("lint", "n.py").stdout
    assert (
        "`y` is used by step b and defined nowhere (`builtins.y = …` defines a name in "
        "this step's kernel"
    ) in linted
    ran = nbci("run", "n.py")
    assert ran.returncode == 1
    assert "it changed the builtins (y), which later steps do not see" in ran.stdout

    remedied = (
        f"# %% tags=['imports']\n{define}\n# %% tags=['step:a']\nx = 1\n# %% tags=['step:b']\n"
        "print('OUT', y)\n"
    )
    (nbci.cwd / "n.py").write_text(remedied)
    assert "OUT 5" in nbci("run", "n.py").stdout


def test_an_imports_cells_future_holds_in_steps(nbci: Console, make_notebook: MakeNotebook) -> None:
    tree = "class Tree:\n    left: Tree | None = None\nprint('OUT', Tree.__annotations__)"
    make_notebook(
        "n.ipynb",
        [("imports", "from __future__ import annotations"), ("step:a", "1"), ("step:b", tree)],
    )
    assert "OUT {'left': 'Tree | None'}" in nbci("run", "n.ipynb").stdout


def test_own_modules_are_known_and_others_get_a_warning(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    (nbci.cwd / "features.py").write_text(FEATURES)
    make_notebook(
        "known.ipynb", [("imports", "from features import *"), ("step:a", "print(clean(1))")]
    )
    make_notebook(
        "wrong.ipynb", [("imports", "from features import *"), ("step:a", "print(claen(1))")]
    )
    make_notebook("other.ipynb", [("step:a", "from math import *"), ("step:b", "print(sin(1))")])
    assert "warning" not in nbci("plan", "known.ipynb").stdout
    assert "no error" not in nbci("lint", "known.ipynb").stdout
    for command in ("plan", "lint"):
        refused = nbci(command, "wrong.ipynb")
        assert refused.returncode == 2
        assert "did you mean `clean`?" in refused.stdout + refused.stderr
        warned = nbci(command, "other.ipynb")
        assert warned.returncode == 0
        assert (
            "`sin` is used by step b and defined nowhere (`from math import *` may define any name)"
            in warned.stdout
        )


@pytest.mark.parametrize("command", ["plan", "lint"])
def test_what_a_kernel_may_bring_is_a_warning_until_somebody_says_so(
    nbci: Console, make_notebook: MakeNotebook, command: str
) -> None:
    make_notebook("n.ipynb", [("step:a", "df = spark.range(3)"), ("step:b", "print(helper(df))")])
    startup = nbci.cwd / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00-team.py").write_text("def helper(x):\n    return x\n")
    env = {"IPYTHONDIR": str(nbci.cwd / "ipython")}
    warned = nbci(command, "n.ipynb", env=env)
    assert warned.returncode == 0, warned.stdout + warned.stderr
    assert (
        "`spark` is used by step a and defined nowhere (kernels for Spark bring it)"
        in warned.stdout
    )
    assert "IPython's startup file 00-team.py defines it on this machine" in warned.stdout
    (nbci.cwd / "pyproject.toml").write_text('[tool.nbci]\nnames = ["spark", "helper"]\n')
    assert "defined nowhere" not in nbci(command, "n.ipynb", env=env).stdout
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    (nbci.cwd / "p.yaml").write_text("names: [spark, helper]\nsteps: {a: {notebook: n.ipynb}}\n")
    assert "defined nowhere" not in nbci(command, "p.yaml", env=env).stdout
    assert nbci(command, "n.ipynb").returncode == 2
