"""Settings that a step changes hold in its own process.

The run warns of them where later steps would miss them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

OF_PYTHON = {
    "os.environ['LEFT'] = '1'": "the environment (LEFT)",
    "os.chdir('/')": "the working folder",
    "os.umask(0o27)": "the umask",
    "decimal.getcontext().prec = 5": "decimal's context (prec)",
    "warnings.filterwarnings('ignore')": "the warnings' filters (ignore Warning)",
    "logging.getLogger('app').setLevel(10)": "logging (app)",
    "logging.disable(10)": "logging (of all loggers)",
    "sys.path.append('/left')": "sys.path (/left)",
    "sys.setrecursionlimit(4321)": "settings of the interpreter (recursion limit)",
    "gc.disable()": "the garbage collector (enabled)",
    "locale.setlocale(locale.LC_ALL, 'C')": "the locale",
    "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()": "the environment (TZ), the time zone",
    "signal.signal(signal.SIGALRM, print)": "handlers of signals (SIGALRM)",
    "socket.setdefaulttimeout(9)": "the sockets' time limit",
    "csv.field_size_limit(99)": "csv's field size",
    "builtins.left = 1": "the builtins (left)",
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))": "limits of the process (RLIMIT_CORE)",
    "multiprocessing.set_start_method('spawn')": "multiprocessing's start method",
    "%precision 3": "IPython (precision)",
    "math.pi = 3": "`math.pi`",
    "setattr(json.decoder, 'left', 1)": "`json.decoder.left`",
    "json.JSONEncoder.item_separator += ''; json.JSONEncoder.left = 1": "`json.JSONEncoder.left`",
    "del math.tau": "`math.tau`",
    "import base64; base64.b64encode = print": "`base64.b64encode`",
    "def leave(): math.e = 2": "",
    "leave()": "`math.e`",
}
OF_LIBRARIES = {
    "pd.set_option('display.precision', 2)": "pandas' options (display.precision)",
    "pd.api.extensions.register_dataframe_accessor('left')(object)": (
        "pandas' classes (DataFrame.left)"
    ),
    "np.set_printoptions(precision=2)": "numpy's print options (precision)",
    "np.seterr(divide='ignore')": "numpy's error handling (divide)",
    "sklearn.set_config(display='text')": "scikit-learn's configuration (display)",
    "plt.rcParams['lines.linewidth'] = 9": "matplotlib's rcParams (lines.linewidth)",
    "matplotlib.use('agg')": "matplotlib's rcParams (backend)",
    "pd.DataFrame.patched = 1": "pandas' classes (DataFrame.patched)",
    "pd.core.groupby.GroupBy.patched = 1": "`pd.core.groupby.GroupBy.patched`",
    "%config InlineBackend.figure_format = 'svg'": "IPython (InlineBackend)",
}
IMPORTS = {
    "python": "import json.decoder, math, sys, builtins\nimport os, csv, decimal, gc\n"
    "import locale, logging, multiprocessing, resource, signal, socket, time, warnings",
    "libraries": (
        "import matplotlib, sklearn\nimport matplotlib.pyplot as plt\nimport numpy as np\n"
        "import pandas as pd"
    ),
}


def left(root: Path, step: str) -> list[tuple[int, str]]:
    """The cells that the step's record warns of, and what they changed."""
    run = max((root / ".nbci/runs").glob("2*"))
    record = json.loads((run / "steps" / step / "record.json").read_text(encoding="utf-8"))
    told = re.compile(r"cell (\d+): it changed (.*), which later steps do not see: .*")
    found = map(told.fullmatch, record.get("warnings", ()))
    return [(int(match[1]), match[2]) for match in found if match is not None]


@pytest.mark.parametrize(("kind", "settings"), [("python", OF_PYTHON), ("libraries", OF_LIBRARIES)])
def test_each_setting_is_named_with_its_cell(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path, kind: str, settings: dict[str, str]
) -> None:
    cells = (
        [("step:a", IMPORTS[kind])] + [("", change) for change in settings] + [("step:b", "x = 1")]
    )
    done = nbci("run", make_notebook("n.ipynb", cells))
    assert done.returncode == 0, done.stderr
    expected = {number: text for number, text in enumerate(settings.values(), 2) if text}
    assert dict(left(tmp_path, "a")) == expected
    assert "it changed" in done.stdout
    assert left(tmp_path, "b") == []


def test_nothing_is_said_where_nothing_is_missed(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    """Changes of the process' state that no later step would miss.

    What the imports set, what a cell sets back, what an import sets by itself, and the last step's
    settings.
    """
    every = (
        "import json, multiprocessing, os\nimport numpy as np\njson.left = 1\n"
        "np.set_printoptions(precision=3)\nos.environ['A'] = '1'"
    )
    back = (
        "import pandas as pd\nwith pd.option_context('display.precision', 2):\n    pass\n"
        "os.environ['B'] = '1'"
    )
    patches = (
        "import math\nclass Own: pass\nOwn.left = 1\nown = Own()\nown.left = 1\n"
        "json.left = 1\nmath_pi, json.dumps = json.dumps, print\nmath.nan == 1\n"
        "def unused(): math.pi = 3\njson.dumps = math_pi"
    )
    cells = [
        ("imports", every),
        ("step:z", patches),
        ("step:a", "import sklearn.linear_model\nimport matplotlib.pyplot as plt\nplt.plot([1])"),
        ("", back),
        ("", "del os.environ['B']\nmultiprocessing.get_context()"),
        ("step:b", "np.set_printoptions(precision=7)\nos.environ['A'] = '2'"),
    ]
    done = nbci("run", make_notebook("n.ipynb", cells))
    assert done.returncode == 0, done.stderr
    assert left(tmp_path, "z") == left(tmp_path, "a") == left(tmp_path, "b") == []


def test_a_figure_of_an_earlier_step_is_shown(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    made = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.close(fig)"
    done = nbci(
        "run", make_notebook("n.ipynb", [("step:a", made), ("step:b", "ax.set_title('t')\nfig")])
    )
    assert done.returncode == 0, done.stderr
    run = max((tmp_path / ".nbci/runs").glob("2*"))
    shown = json.loads((run / "steps/b/notebook.ipynb").read_text(encoding="utf-8"))["cells"][-1][
        "outputs"
    ]
    assert "image/png" in shown[-1]["data"]
