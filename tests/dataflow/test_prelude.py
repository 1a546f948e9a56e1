"""Statements of imports and functions cells, and which of them a step runs."""

from __future__ import annotations

import pytest

from nbci.dataflow.prelude import Statement, reach, reached_names, split_cell

IMPORTS = split_cell(
    1,
    "from __future__ import annotations\n"
    "%matplotlib inline\n"
    "import pandas as pd\n"
    "import numpy as np, os\n"
    "from sklearn.experimental import enable_iterative_imputer  # noqa\n"
    "from maths import *\n"
    "pd.set_option('x', LEVEL)\n"
    "LEVEL = 3",
)
FUNCTIONS = split_cell(
    2,
    "# loads it\n"
    "@cache(SIZE)\n"
    "def load(path: Path):\n"
    "    # inner\n"
    "    return parse(np.load(path))\n"
    "\n"
    "# far away\n"
    "\n"
    "def parse(x): return x\n"
    "def parse(x): return [x]\n"
    "class Unused(Base): pass\n"
    "def other(): return os\n",
)
ALL = IMPORTS + FUNCTIONS


def texts(statements: tuple[Statement, ...]) -> list[str]:
    return [statement.text for statement in statements]


def reached(*mentions: str, all_mentions: tuple[str, ...] = ()) -> list[str]:
    return texts(reach(ALL, frozenset(mentions), reached_names(ALL, {*mentions, *all_mentions})))


def test_statements_have_their_exact_text() -> None:
    assert texts(FUNCTIONS) == [
        (
            "# loads it\n@cache(SIZE)\ndef load(path: Path):\n    # inner\n"
            "    return parse(np.load(path))"
        ),
        "def parse(x): return x",
        "def parse(x): return [x]",
        "class Unused(Base): pass",
        "def other(): return os",
    ]
    assert [statement.line for statement in FUNCTIONS] == [1, 9, 10, 11, 12]
    assert [statement.cell for statement in ALL] == [1] * 8 + [2] * 5


def test_kinds_and_names() -> None:
    assert [statement.kind for statement in IMPORTS] == ["import", "other"] + ["import"] * 4 + [
        "other"
    ] * 2
    assert [sorted(statement.binds) for statement in IMPORTS[2:5]] == [
        ["pd"],
        ["np", "os"],
        ["enable_iterative_imputer"],
    ]
    assert {statement.kind for statement in FUNCTIONS} == {"definition"}


def test_the_text_runs_on_its_own() -> None:
    for statement in ALL:
        compile(statement.text, "<statement>", "exec")


def test_statements_that_share_a_line() -> None:
    assert texts(split_cell(1, "import a; import b  # both\nx = 1;")) == [
        "import a",
        "import b",
        "x = 1;",
    ]


def test_comments_in_strings_are_not_comments() -> None:
    assert texts(split_cell(1, 'x = """\n# no\n"""\n# yes\ny = 1')) == [
        'x = """\n# no\n"""',
        "# yes\ny = 1",
    ]


def test_a_cell_magic_is_one_statement() -> None:
    (statement,) = split_cell(1, "%%capture out\nimport a\nx = a")
    assert statement.kind == "other"
    assert statement.binds == {"out", "a", "x"}


def test_imports_whose_names_nobody_uses_are_there_for_their_effect() -> None:
    always = [text for text in texts(IMPORTS) if "np" not in text]
    assert [
        text for text in reached(all_mentions=("np", "load", "other")) if text in texts(IMPORTS)
    ] == always
    assert "class Unused(Base): pass" in reached()


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b=1, *, c=-1.5, d=(1, 'x'), e=None) -> pd.DataFrame: return anything(a)",
        "async def f(a: int | None = None): await g()",
        "class A:\n    'doc'\n    x = 1\n    y: list[int] = []\n    def m(self, a=1): return g()",
        (
            "class A:\n    @property\n    def p(self): return 1\n    @p.setter\n"
            "    def p(self, v): pass"
        ),
        "class A:\n    @staticmethod\n    def s(): pass",
        "class A(ValueError): pass",
        "class A: pass\nclass B(A): pass",
    ],
)
def test_a_plain_definition_that_nobody_names_is_left_out(source: str) -> None:
    assert reach(split_cell(1, source), frozenset(), frozenset()) == ()
    assert texts(reach(split_cell(1, source), frozenset(), frozenset(), complete=True)) == texts(
        split_cell(1, source)
    )


@pytest.mark.parametrize(
    "source",
    [
        "@register\ndef f(): pass",
        "@dataclass\nclass A: pass",
        "def f(a=g()): pass",
        "def f(a=LEVEL): pass",
        "def f(a: Annotated[int, g()]): pass",
        "class A:\n    x = g()",
        "class A:\n    @register\n    def f(self): pass",
        "class A:\n    for x in range(3): pass",
        "class A(Base): pass",
        "class A(module.Base): pass",
        "class A(metaclass=Meta): pass",
        "class Base:\n    def __init_subclass__(cls): KNOWN.append(cls)\nclass A(Base): pass",
    ],
)
def test_a_definition_that_may_do_more_is_kept(source: str) -> None:
    assert texts(reach(split_cell(1, source), frozenset(), frozenset())) == texts(
        split_cell(1, source)
    )


def test_a_subclass_of_what_a_step_names_is_kept() -> None:
    statements = split_cell(1, "class Plugin: pass\nclass One(Plugin): pass\nclass Two(One): pass")
    assert reach(statements, frozenset({"Plugin"}), frozenset({"Plugin"})) == statements


def test_a_step_runs_what_it_wants_and_what_that_wants_in_turn() -> None:
    others = ("np", "load", "other", "Unused")
    got = reached("load", all_mentions=others)
    assert FUNCTIONS[0].text in got
    assert [FUNCTIONS[1].text, FUNCTIONS[2].text] == got[-2:]
    assert "import numpy as np, os" in got
    assert "def other(): return os" not in got
    assert reached("other", all_mentions=others)[-1] == "def other(): return os"


def test_other_statements_pull_in_their_imports() -> None:
    assert "import pandas as pd" in reached(all_mentions=("pd",))


def test_the_future_import_reaches_later_statements() -> None:
    first, second = split_cell(1, "from __future__ import annotations\ndef f(a: T) -> R: pass")
    assert first.always
    assert second.names.needs == set()
    assert {"T", "R"} <= second.names.mentions
