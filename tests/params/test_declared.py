from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.params import Declared, declared_parameters, override_cells


def declared(source: str, language: str = "python") -> Declared:
    return declared_parameters([(2, source)], path="nb.ipynb", language=language)


def summary(source: str, language: str = "python") -> dict[str, tuple[Any, str, str | None]]:
    return {p.name: (p.default, str(p.type), p.help) for p in declared(source, language).parameters}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("C = 1.0  # strength", (1.0, "float", "strength")),
        ("C = -1", (-1, "int", None)),
        ("C = +1_000", (1000, "int", None)),
        ("C = 1e-3", (0.001, "float", None)),
        ("C = 'a' \"b\"", ("ab", "str", None)),
        ("C = '''x\ny'''  # two lines", ("x\ny", "str", "two lines")),
        ("C = None", (None, "any", None)),
        ("C = True", (True, "bool", None)),
        ("C = [1, [-2, {'a': (1,)}]]", ([1, [-2, {"a": (1,)}]], "list", None)),
        ("C = {1: 'x', (1, 2): None}", ({1: "x", (1, 2): None}, "dict", None)),
        ("C = [\n  1,  # one\n]  # all", ([1], "list", "all")),
        ("C: float = 1", (1.0, "float", None)),
        ("C: 'float' = 1", (1.0, "float", None)),
        ("C: Optional[int] = None", (None, "int or None", None)),
        ("C: typing.Optional[int] = 3", (3, "int or None", None)),
        ("C: int | None = 3", (3, "int or None", None)),
        ("C: int = None", (None, "int or None", None)),
        ("C: Union[int, float] = 3", (3.0, "float", None)),
        ("C: list[float] = [1]", ([1.0], "list[float]", None)),
        ("C: dict[str, int] = {}", ({}, "dict[int]", None)),
        ("C: Literal['a', 'b'] = 'a'", ("a", "one of 'a', 'b'", None)),
        ("C: np.ndarray = 3", (3, "int", None)),
        ("C: int = 'x'", ("x", "str", None)),
        ("C = 3  # type: float the strength", (3.0, "float", "the strength")),
        ("C = 1; D = 2  # of D", (1, "int", None)),
        ("C = 1\nC = 2.5", (2.5, "float", None)),
        ("C = D = 3", (3, "int", None)),
        ("C = 1\r\nD = 2\r\n", (1, "int", None)),
        ("%matplotlib inline\nC = 1", (1, "int", None)),
        ("x = await f()\nC = 1", (1, "int", None)),
        ("p = '\\d'\nC = 1", (1, "int", None)),
    ],
)
def test_literals_declare_parameters(source: str, expected: tuple[Any, str, str | None]) -> None:
    assert summary(source)["C"] == expected


@pytest.mark.parametrize(
    "source",
    ["C = 1 + 1", "C = f()", "C = f'{1}'", "C = b'x'", "C = 1j", "C = -True", "C = {1}",
     "C, D = 1, 2", "C.x = 1",
     "C += 1", "if True:\n    C = 1", "C = [x for x in ()]", "C = {**{}}", "C = {[]: 1}", "C: int",
     "C = not True",
     "def C(): pass", "import C", "from x import y as C", "for C in (): pass", "with x as C: pass",
     "(C := 1)"],
)  # fmt: skip
def test_other_statements_are_code(source: str) -> None:
    assert "C" not in summary(source)


def test_names_that_code_binds_are_remembered() -> None:
    source = "C = 1\nrun = f'{C}'\nimport os.path, sys as s\ndef f():\n    inner = 1\n"
    source += "for i in [k for k in ()]:\n    j = 1\nC = C + 1"
    found = declared(source)
    assert {name.name for name in found.code_names} == {"run", "os", "s", "f", "i", "j"}
    run = found.code_names[0]
    assert str(run) == "`run` is not a literal (cell 2, line 2), so it cannot be overridden"


def test_a_syntax_error_names_cell_and_line() -> None:
    with pytest.raises(UsageError, match=r"nb.ipynb, cell 2 \('C = 1'\), line 2: syntax error"):
        declared("C = 1\nD = = 2")
    with pytest.raises(UsageError, match=r"nb\.ipynb, cell 2"):
        declared("C = '\0'")
    with pytest.raises(UsageError, match=r"nb\.ipynb, cell 2"):
        declared("C = '\ud800'")


def test_the_place_of_a_declaration_is_known() -> None:
    assert str(declared("\nC = 1").parameters[0].where) == "nb.ipynb, cell 2 ('C = 1'), line 2"


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("bash", ("C=10  # strength\nname='two words'\n"
         "where=$(pwd)\nflag=true\npath=/tmp/x\nempty=\nuser=\"$USER\"\nmode=fast"), {
            "C": (10, "int", "strength"), "name": ("two words", "str", None),
            "flag": (True, "bool", None),
            "path": ("/tmp/x", "str", None), "empty": ("", "str", None),
            "mode": ("fast", "str", None)}),
        ("R", 'C <- 1.5\nname = "x"\nf <- function(x) 1\nnone = NULL', {
            "C": (1.5, "float", None), "name": ("x", "str", None), "none": (None, "any", None)}),
        ("julia", "C = 1e-3 # help\ny = C\nz = C-1", {"C": (0.001, "float", "help")}),
        ("scala", "val C = 3 // three", {"C": (3, "int", "three")}),
    ],
)  # fmt: skip
def test_other_languages_declare_plain_values(
    language: str, source: str, expected: dict[str, Any]
) -> None:
    assert summary(source, language) == expected


def test_without_code_the_cells_stay_and_the_overrides_follow() -> None:
    found = override_cells(declared("C = 1\nD = 2  # two"), {"C": 5})
    assert found.cells == ((2, "C = 1\nD = 2  # two"),)
    assert found.injected == "# Parameters\nC = 5\n"


def test_without_overrides_nothing_is_injected() -> None:
    found = override_cells(declared("C = 1\nx = C"), {})
    assert (found.cells, found.injected) == (((2, "C = 1\nx = C"),), None)


def test_code_moves_behind_the_injected_values() -> None:
    cells = [
        (1, "import os\nC = 1  # strength\n# the name\nrun = f'{C}'"),
        (3, "D = 2\nprint(run)"),
    ]
    found = override_cells(declared_parameters(cells), {"C": 5})
    assert found.cells == ((1, "import os\nC = 1  # strength"), (3, ""))
    assert found.injected == "# Parameters\nC = 5\n# the name\nrun = f'{C}'\nD = 2\nprint(run)"


def test_code_before_the_first_overridden_literal_stays() -> None:
    found = override_cells(declared("run = 1 + 1\nC = 1\n%matplotlib inline"), {"C": 5})
    assert found.cells == ((2, "run = 1 + 1\nC = 1"),)
    assert (
        found.injected
        == "# Parameters\nC = 5\nget_ipython().run_line_magic('matplotlib', 'inline')"
    )


def test_future_imports_stay_first() -> None:
    cells = [(1, "C = 1\nprint(C)"), (2, "from __future__ import annotations\nD = 1")]
    found = override_cells(declared_parameters(cells), {"C": 5})
    assert (found.injected or "").startswith("from __future__ import annotations\n")
    compile(found.injected or "", "injected", "exec")


NAMES = ("a", "b", "c")
literal = st.one_of(
    st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
    st.none(), st.booleans(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.tuples(st.integers(), st.text(max_size=2)),
)  # fmt: skip
statement = st.one_of(
    st.tuples(st.just("literal"), st.sampled_from(NAMES), st.integers(-9, 9)),
    st.tuples(st.just("code"), st.sampled_from((*NAMES, "x", "y")), st.sampled_from(NAMES)),
    st.tuples(st.just("log"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("block"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)


def written(kind: str, name: str, value: Any, overrides: dict[str, Any]) -> str:
    if kind == "literal":
        return f"{name} = {overrides.get(name, value)!r}"
    if kind == "code":
        return f"{name} = repr({value}) + '!'"
    if kind == "log":
        return f"log.append(({name}, {value}))"
    return f"# about the block\nif {name} is not None:\n    log.append({value})  # {name}"


def namespace(sources: list[str]) -> dict[str, str]:
    names: dict[str, Any] = {"log": []}
    for source in sources:
        exec(compile(source, "cell", "exec"), names)
    return {name: repr(value) for name, value in names.items() if name != "__builtins__"}


@given(
    st.lists(st.lists(statement, max_size=6), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(NAMES), literal),
    st.sampled_from(["\n", "\n\n", "; ", ";  # joined\n"]),
)
def test_running_the_overridden_cells_is_running_the_original_with_other_literals(
    cells: list[list[tuple[str, str, Any]]], overrides: dict[str, Any], separator: str
) -> None:
    first: list[tuple[str, str, Any]] = [("literal", name, 0) for name in NAMES]
    cells = [first, *cells]

    def sources(values: dict[str, Any]) -> list[str]:
        texts = []
        for statements in cells:
            simple = all(kind != "block" for kind, _, _ in statements)
            joined = separator if simple else "\n"
            texts.append(
                joined.join(written(kind, name, value, values) for kind, name, value in statements)
            )
        return texts

    original = list(enumerate(sources({}), start=1))
    found = override_cells(declared_parameters(original), overrides)
    ran = [source for _, source in found.cells] + ([found.injected] if found.injected else [])
    assert namespace(ran) == namespace(sources(overrides))


@given(literal)
def test_values_survive_injection(value: Any) -> None:
    found = override_cells(declared("a = None\nb = a"), {"a": value})
    assert namespace([found.injected or ""])["b"] == repr(value)


def test_nan_and_infinities_survive_injection() -> None:
    names = namespace(
        [override_cells(declared("a = 1"), {"a": [math.nan, math.inf, -math.inf]}).injected or ""]
    )
    assert names["a"] == "[nan, inf, -inf]"
