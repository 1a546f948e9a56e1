"""Each rule of notebooks on something that breaks it, and on its like that does not."""

from __future__ import annotations

from typing import Any

import pytest

from nbci.lint.rules import NOTEBOOK_RULES
from tests.lint.checking import findings_of, notebook, places

A = ("step:a", "x = 1")
USES_X = ("step:b", "print(x)")
MAKE_HIDDEN = "def make():\n    class Hidden(Base): pass\n    return Hidden()"
MPL = ("imports", "import matplotlib.pyplot as plt\nimport numpy as np\nimport random, os")
STATE = (
    "import decimal, locale, logging, sys, warnings\nimport numpy as np\n"
    "import pandas as pd\nimport sklearn\n"
    "from tqdm.auto import tqdm"
)
CHANGES = """pd.set_option('display.precision', 2)
pd.options.display.max_rows = 5
np.set_printoptions(precision=2)
sklearn.set_config(display='text')
warnings.filterwarnings('ignore')
logging.basicConfig(level=10)
logging.getLogger('x').setLevel(10)
locale.setlocale(locale.LC_ALL, 'C')
decimal.getcontext().prec = 5
sys.path.append('lib')
sys.stdout = None
pd.DataFrame.mine = len
tqdm.pandas()
%precision 3
del np.float_"""

PRINTED = [{"output_type": "stream", "name": "stdout", "text": "1\n"}]


def _result(count: int) -> list[dict[str, Any]]:
    data = {"text/plain": "1"}
    return [
        {"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}}
    ]


def _zero_division(count: int, line: str = "1 / 0") -> list[dict[str, Any]]:
    """The error of the line as IPython 9 writes it, with its colours."""
    frame = (
        f"\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[{count}]\x1b[39m\x1b[32m, line 2\x1b[39m"
    )
    marked = f"\x1b[32m----> \x1b[39m\x1b[32m2\x1b[39m {line}"
    traceback = [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mZeroDivisionError\x1b[39m                Traceback (most recent call last)",
        f"{frame}\n\x1b[32m      1\x1b[39m \n{marked}\n",
        "\x1b[31mZeroDivisionError\x1b[39m: division by zero",
    ]
    error = {"ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": traceback}
    return [{"output_type": "error", **error}]


# rule, what breaks it, where it is found, what does not break it
CASES: list[tuple[str, bytes, list[tuple[int | None, int | None]], bytes]] = [
    (
        "wrong-tag",
        notebook(("stpe:a", ""), ("step:Big retries:two", ""), ("step:a step:b out:${x", "")),
        [(1, None), (2, None), (2, None), (3, None), (3, None)],
        notebook(("step:a retries:2 slideshow other:tag out:${x}", "x = 1")),
    ),
    (
        "wrong-edge",
        notebook(("step:a prev:z", "1"), ("step:b prev:a prev:y prev:x", "2")),
        [(1, None), (2, None), (2, None)],
        notebook(("step:a", "1"), ("step:b prev:a", "2")),
    ),
    ("wrong-edge", notebook(("", "1"), ("prev:a", "2")), [(2, None)], notebook(("", "1"))),
    (
        "cycle",
        notebook(("step:a prev:c", "1"), ("step:b prev:a", "2"), ("step:c prev:b", "3")),
        [(1, None)],
        notebook(("step:a", "1"), ("step:b prev:a", "2"), ("step:c prev:b", "3")),
    ),
    ("cycle", notebook(("step:a prev:a", "1")), [(1, None)], notebook(A)),
    (
        "syntax-error",
        notebook(
            A, ("step:b", "print(x)\nif x\n  pass"), ("", "y = = 2"), ("skip", "this is skipped")
        ),
        [(2, 2), (3, 1)],
        notebook(("step:a", "%matplotlib inline\n!ls\nimport asyncio\nx = await asyncio.sleep(0)")),
    ),
    ("syntax-error", notebook(("step:a", "x = '\0'")), [(1, 1)], notebook(A)),
    (
        "undefined-name",
        notebook(A, ("step:b", "y = 1\nprint(xx)"), ("step:c", "print(zz)")),
        [(2, 2), (3, 1)],
        notebook(A, USES_X, ("step:c", "print(x)")),
    ),
    (
        "undefined-name",
        notebook(A, ("step:b", "print(other)"), ("step:c", "print(made)"), ("", "made = (")),
        [(2, 1)],  # `made` may come from the cell that does not parse
        notebook(A, ("step:b", "made = 2"), ("step:c", "print(made)")),
    ),
    (
        "undefined-name",
        notebook(A, ("metrics", "print(acuracy)")),
        [(2, 1)],
        notebook(A, ("metrics", "print(x)")),
    ),
    (
        "maybe-undefined-name",
        notebook(("imports", "from math import *"), ("step:a", "print(floor(2))")),
        [(2, 1)],
        notebook(("imports", "from math import floor"), ("step:a", "print(floor(2))")),
    ),
    (
        "unsaveable-value",
        notebook(("step:a", "x = []\nx = (i for i in [1])"), ("step:b", "print(list(x))")),
        [(1, 2)],
        notebook(("step:a", "x = (i for i in [1])\nx = list(x)"), ("step:b", "print(x)")),
    ),
    (
        "unsaveable-value",
        notebook(
            ("imports", "import threading as t\nfrom sqlite3 import connect"),
            ("step:a", "lock = t.Lock()\ndb = connect('x')\nwith open('f') as f:\n    pass"),
            ("step:b", "print(lock, db, f)"),
        ),
        [(2, 1), (2, 2), (2, 3)],
        notebook(
            ("imports", "import threading as t"),
            ("step:a", "lock = t.Lock()\nf = lambda: open('f')\ng = 1"),
            ("step:b", "lock = t.Lock()\nprint(lock, f, g)"),
        ),
    ),
    (
        "unsaveable-value",
        notebook(
            ("imports", "import tensorflow as tf\nimport xgboost as xgb"),
            (
                "step:a",
                (
                    "ds = tf.data.Dataset.from_tensor_slices([1]).shuffle(9).batch(2)\n"
                    "m = xgb.QuantileDMatrix(1)\ng = tf.Graph()"
                ),
            ),
            ("step:b", "print(ds, m, g)"),
        ),
        [(2, 1), (2, 2), (2, 3)],
        notebook(
            ("imports", "import tensorflow as tf\nimport xgboost as xgb"),
            (
                "step:a",
                (
                    "n = tf.data.Dataset.range(3).reduce(0, max)\nm = xgb.DMatrix(1)\n"
                    "x = list(tf.data.Dataset.range(3))\nparts = open('f').read().map()"
                ),
            ),
            ("step:b", "print(n, m, x, parts)"),
        ),
    ),
    (
        "unsaveable-value",
        notebook(("step:a", "f = open('f')"), ("step:b", "f.read()")),
        [(1, 1)],
        notebook(
            ("step:a", "def open(name):\n    return 1\nf = open('f')"), ("step:b", "print(f)")
        ),
    ),
    (
        "cell-before-tags",
        notebook(("", "print(1)"), ("", "  "), ("skip", "print(2)"), A),
        [(1, None)],
        notebook(("", "print(1)")),
    ),
    (
        "cell-behind-metrics",
        notebook(
            A, ("metrics", "print(x)"), ("", "print(x)"), ("skip", "!"), ("", "y = 1"), USES_X
        ),
        [(3, None), (5, None)],
        notebook(A, ("metrics", "print(x)"), ("metrics", "x"), USES_X, ("", "print(x)")),
    ),
    (
        "ignored-tag",
        notebook(("step:a", "1"), ("timeout:5m", "2"), ("step:a prev:b", "3"), ("step:b", "4")),
        [(2, None), (3, None)],
        notebook(("step:a timeout:5m", "1"), ("in:data.csv", "2")),
    ),
    (
        "tag-on-text",
        notebook(("markdown step:a", "# A"), A),
        [(1, None)],
        notebook(("markdown", "# A"), A),
    ),
    (
        "unsettled-join",
        notebook(
            ("step:a", "0"),
            ("step:b prev:a", "x = 1"),
            ("step:c prev:a", "x = 2"),
            ("step:d prev:b prev:c", "print(x)"),
        ),
        [(None, None)],
        notebook(
            ("step:a", "0"),
            ("step:b prev:a", "x = 1"),
            ("step:c prev:a", "y = 2"),
            ("step:d prev:b prev:c", "print(x)"),
        ),
    ),
    (
        "not-handed-on",
        notebook(
            ("functions", "class Base: pass"),
            ("step:a", MAKE_HIDDEN),
            ("step:b prev:a", "held = make()"),
            ("step:c prev:b", "print(Base.__subclasses__())"),
        ),
        [(None, None)],
        notebook(
            ("functions", "class Base: pass"),
            ("step:a", MAKE_HIDDEN),
            ("step:b prev:a", "held = make()"),
            ("step:c prev:b", "print(Base.__name__)"),
        ),
    ),
    (
        "hidden-names",
        notebook(
            ("parameters", "C = 1\nD = 2"),
            ("functions", "def shown():\n    return '{C}'.format(**globals())"),
            ("step:a", "x = D\ny = eval('C')"),
            ("step:b", "print(shown())"),
        ),
        [(2, 2), (3, 2)],
        notebook(
            ("parameters", "C = 1"),
            ("functions", "def f():\n    return locals()"),
            ("step:a", "x = globals()['C'], 'C' in globals(), f()\nx.query('x > @C')"),
            ("step:b", "print(C, eval('x'))"),
        ),
    ),
    (
        "unused-parameter",
        notebook(("parameters", "used = 1\nunused = 2"), ("step:a", "print(used)")),
        [(1, 2)],
        notebook(("parameters", "a = 1\nb = a + 1\nc = 3"), ("step:a", "print(b)\n!echo {c}")),
    ),
    (
        "overwritten-parameter",
        notebook(("parameters", "C = 1"), ("step:a", "print(C)\nC = 2")),
        [(2, 2)],
        notebook(
            ("parameters", "C = 1"),
            ("step:a", "def f():\n    C = 2\nprint([C for C in range(3)], C)"),
        ),
    ),
    (
        "environment-change",
        notebook(MPL, ("step:a", "os.environ['A'] = '1'\n%env B=2"), ("step:b", "1")),
        [(2, 1), (2, 2)],
        notebook(
            MPL, ("step:a", "print(os.environ['A'])\n%env"), ("step:b", "os.environ['A'] = '1'")
        ),
    ),
    (
        "folder-change",
        notebook(MPL, ("step:a", "os.chdir('x')"), ("", "%cd y"), ("step:b", "1")),
        [(2, 1), (3, 1)],
        notebook(MPL, ("step:a", "print(os.getcwd())"), ("step:b", "os.chdir('x')")),
    ),
    (
        "random-seed",
        notebook(
            MPL,
            ("step:a", "1"),
            ("step:b prev:a", "np.random.seed(0)"),
            ("step:c prev:a", "x = np.random.rand(2)"),
        ),
        [(3, 1)],
        notebook(
            MPL,
            ("step:a", "np.random.seed(0)\nrandom.seed(0)"),
            ("step:b", "x = np.random.rand(2)"),
            ("step:c", "np.random.seed(0)\nx = np.random.rand(2), np.random.default_rng(1)"),
        ),
    ),
    (
        "random-seed",
        notebook(
            ("imports", "import tensorflow as tf"),
            ("step:a", "tf.random.set_seed(0)"),
            ("step:b", "x = tf.random.uniform((2,))"),
        ),
        [(2, 1)],
        notebook(
            ("imports", "import tensorflow as tf\ntf.random.set_seed(0)"),
            ("step:a", "1"),
            ("step:b", "x = tf.random.uniform((2,))"),
        ),
    ),
    (
        "unseeded-random",
        notebook(
            MPL,
            ("imports", "from sklearn.model_selection import train_test_split as split"),
            ("step:a", "x = np.random.rand(2)\ny = split(x)"),
            ("step:b", "random.shuffle(y)"),
        ),
        [(3, 1), (3, 2), (4, 1)],
        notebook(
            MPL,
            ("imports", "from sklearn.model_selection import train_test_split as split"),
            (
                "step:a",
                (
                    "rng = np.random.default_rng(1)\nx = split(rng.random(9), random_state=1)\n"
                    "y = split(x, shuffle=False)\nz = random.Random(1).random()"
                ),
            ),
            ("step:b", "1"),
        ),
    ),
    (
        "unseeded-random",
        notebook(("imports", "import random"), ("step:a", "x = random.random()")),
        [(2, 1)],
        notebook(
            ("imports", "import random\nfrom mine import seed_everything"),
            ("step:a", "seed_everything(3)\nx = random.random()"),
        ),
    ),
    (
        "numbered-output",
        notebook(("step:a", "1 + 1"), ("step:b", "print(Out[1],\n_1)")),
        [(2, 1), (2, 2)],
        notebook(("step:a", "Out = [1]\nprint(Out[0])"), ("step:b", "1 + 1"), ("", "print(_)")),
    ),
    (
        "process-state",
        notebook(("imports", STATE), ("step:a", CHANGES), ("step:b", "1")),
        [(2, line) for line in range(1, CHANGES.count("\n") + 2)],
        notebook(
            ("imports", f"{STATE}\npd.set_option('display.precision', 2)"),
            (
                "step:a",
                (
                    "with pd.option_context('display.precision', 2):\n    pd.set_option('x', 1)\n"
                    "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n"
                    "own = type('Own', (), {})()\nown.level = 3\n"
                    "print(sys.path, decimal.getcontext().prec)"
                ),
            ),
            ("step:b", CHANGES),
        ),
    ),
    (
        "plot-settings",
        notebook(
            MPL,
            ("step:a", "plt.style.use('ggplot')\nplt.rcParams['x'] = 1"),
            ("step:b", "plt.plot([1])"),
        ),
        [(2, 1), (2, 2)],
        notebook(
            ("imports", "import matplotlib.pyplot as plt\nplt.style.use('ggplot')"),
            ("step:a", "1"),
            ("step:b", "plt.plot([1])"),
        ),
    ),
    (
        "large-output",
        notebook(A, USES_X, outputs=[[{"text": "x" * 1_100_000}], []]),
        [(1, None)],
        notebook(A, USES_X, outputs=[[{"text": "x" * 900_000}], []]),
    ),
    (
        "large-output",
        notebook(*[A] * 6, outputs=[[{"text": "x" * 900_000}]] * 6),
        [(None, None)],
        notebook(*[A] * 5, outputs=[[{"text": "x" * 900_000}]] * 5),
    ),
    (
        "secret-in-source",
        notebook(
            ("markdown", "The key is `ghp_" + "a1B2c3D4e5" * 3 + "abcdef`"),
            A,
            ("", "import os\npassword = 'hunter2-and-more'"),
            ("", "url = 'postgres://me:pw12345@warehouse/db'"),
            ("", "key = '''-----BEGIN RSA PRIVATE KEY-----\nabc'''"),
        ),
        [(1, 1), (3, 2), (4, 1), (5, 1)],
        notebook(
            (
                "markdown",
                "Set `password` in the environment; the digest is " + "0123456789abcdef" * 4,
            ),
            A,
            ("", "import os\npassword = os.environ['DB_PASSWORD']\ntokens = 'a b c'.split()"),
            ("", "password = 'not one'  # pragma: allowlist secret"),
            ("", "api_key = '{{ api_key }}'"),
        ),
    ),
    (
        "cells-out-of-order",
        notebook(A, USES_X, ("", "1"), counts=[2, 5, 3]),
        [(3, None)],
        notebook(A, USES_X, ("", "1"), counts=[2, None, 7]),
    ),
    (
        "cells-out-of-order",
        notebook(A, USES_X, counts=[2, 2]),
        [(2, None)],
        notebook(A, USES_X, counts=[2, True]),
    ),
    (
        "missing-count",
        notebook(A, USES_X, USES_X, counts=[1, None, None], outputs=[[], PRINTED, PRINTED]),
        [(2, None)],
        notebook(A, USES_X, counts=[1, 2], outputs=[[], PRINTED]),
    ),
    (
        "missing-count",
        notebook(("", "# text"), A, USES_X, counts=[None, None, 2], outputs=[[], [], PRINTED]),
        [(2, None)],
        notebook(
            ("markdown", "x"),
            *[("", "# comment"), ("", " \n"), ("skip", "1"), ("nbval-skip", "2"), A, USES_X],
            counts=[None, None, None, None, None, 1, None],
            outputs=[[], [], [], [], [], PRINTED, []],
        ),
    ),
    (
        "stale-output",
        notebook(
            *[("", " \n"), ("", "x"), ("", "1 / 1"), ("", "import os\ndef f():\n    return 1")],
            counts=[1, 2, 3, 4],
            outputs=[PRINTED, _result(5), _zero_division(3), _result(4)],
        ),
        [(1, None), (2, None), (3, None), (4, None)],
        notebook(
            *[("", "print(1)"), ("", "1;1"), ("", "\n1 / 0"), ("", "y = 1"), ("", "%%time\nx=1")],
            *[("", "!false\n1 / 2"), ("", "print()"), ("raises-exception", "x = (")],
            counts=[1, 2, 3, 4, 5, 6, 7, 8],
            outputs=[
                *[PRINTED, _result(2), _zero_division(3), _result(4), _result(5)],
                *[_zero_division(6, "get_ipython().system('false')"), _zero_division(3)],
                _result(8),
            ],
        ),
    ),
    (
        "absolute-path",
        notebook(
            ("imports", "import pandas as pd"),
            ("step:a", "open('/home/me/x')\npd.read_csv('C:\\\\data.csv')\npd.read_csv('~/x.csv')"),
        ),
        [(2, 1), (2, 2), (2, 3)],
        notebook(
            ("imports", "import pandas as pd"),
            ("step:a", "open('/dev/null')\npd.read_csv('data/x.csv')"),
        ),
    ),
]


@pytest.mark.parametrize(
    ("rule", "wrong", "where", "right"), CASES, ids=[case[0] for case in CASES]
)
def test_a_rule_finds_what_breaks_it_and_nothing_else(
    rule: str, wrong: bytes, where: list[tuple[int | None, int | None]], right: bytes
) -> None:
    assert places(wrong, rule) == where
    assert places(right, rule) == []
    assert {finding.severity for finding in findings_of(wrong) if finding.rule == rule} == {
        NOTEBOOK_RULES[rule].severity
    }


def test_what_breaks_no_rule_breaks_no_other_either() -> None:
    surprising = {
        (case[0], finding.rule)
        for case in CASES
        for finding in findings_of(case[3])
        if finding.severity == "error"
    }
    assert surprising == set()


def test_every_rule_of_notebooks_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(NOTEBOOK_RULES)


def test_an_order_derived_from_variables_is_no_mistake() -> None:
    cells = notebook(
        ("step:load", "rows = [1]"),
        ("step:train prev:load", "model = rows"),
        ("step:show prev:load", "print(model)"),
    )
    assert places(cells, "undefined-name") == [(3, 1)]
    assert findings_of(cells, by_dataflow=True) == []


def test_another_language_is_checked_for_tags_only() -> None:
    cells = notebook(("step:a prev:z", "if [ 1 ]; then echo; fi"), ("", "$x"), language="bash")
    assert [(finding.rule, finding.cell) for finding in findings_of(cells)] == [("wrong-edge", 1)]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"nbformat": 5}', b"\xff\xfe", b'{"nbformat": 4, "cells": 3}']
)
def test_a_file_that_is_no_notebook_is_a_finding(data: bytes) -> None:
    assert [finding.rule for finding in findings_of(data)] == ["unreadable"]
