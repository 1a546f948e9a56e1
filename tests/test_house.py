"""What keeps the code readable, measured over all of nbci, so that it does not wear off.

`LIMITS` are the figures of well-kept projects (pre-commit, nox, import-linter, httpx), measured in
the same way.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from tests.support.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "nbci"
LIMITS = {"comments": 3.0, "conditional": 10.0, "comprehensions": 15.0, "participles": 0.05}
"""Comments in 100 lines, expressions in 1,000 lines, the share of functions."""
MOST_LINES = 420
"""Of a module: a longer one holds several tasks."""
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DIRECTIVES = ("# noqa", "# type:", "# pragma", "# fmt:")
_NO_PARTICIPLES = frozenset(("embed", "feed", "need", "seed", "speed", "string", "warning"))
_IRREGULAR = frozenset(
    "begun brought built chosen done drawn found given gone held kept known laid left lost made "
    "met said seen sent shown spoken taken told written".split()
)


@dataclass(frozen=True)
class Module:
    """One module of the package."""

    path: Path

    @cached_property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> int:
        return self.text.count("\n")

    @cached_property
    def _all_nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in self._all_nodes if isinstance(node, kinds))


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]
LINES = sum(module.lines for module in MODULES)


def comments(module: Module) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return sum(
        1
        for token in tokens
        if token.type == tokenize.COMMENT and not token.string.startswith(_DIRECTIVES)
    )


def is_participle(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function that is no property is named by a bare participle."""
    if any("property" in ast.unparse(mark) for mark in function.decorator_list):
        return False
    word = function.name.strip("_")
    if "_" in word or word in _NO_PARTICIPLES:
        return False
    return word in _IRREGULAR or word.endswith(("ed", "ing"))


def importers() -> dict[str, set[str]]:
    """The modules that import each module."""
    known = {module.name for module in MODULES}
    found: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for node in module.nodes(ast.ImportFrom):
            assert isinstance(node, ast.ImportFrom)
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in known else str(node.module)
                if target in known and target != module.name:
                    found[target].add(module.name)
    return found


def test_comments_say_why() -> None:
    assert 100 * sum(map(comments, MODULES)) / LINES >= LIMITS["comments"]


def test_statements_are_simple() -> None:
    conditional = sum(1 for module in MODULES for _ in module.nodes(ast.IfExp))
    comprehensions = sum(1 for module in MODULES for _ in module.nodes(*_COMPREHENSIONS))
    assert 1000 * conditional / LINES <= LIMITS["conditional"]
    assert 1000 * comprehensions / LINES <= LIMITS["comprehensions"]


def test_modules_have_one_task() -> None:
    assert [module.name for module in MODULES if module.lines > MOST_LINES] == []


@pytest.mark.parametrize("kinds", [_COMPREHENSIONS, (ast.IfExp,)], ids=["comprehension", "if"])
def test_nothing_is_nested_in_its_own_kind(kinds: tuple[type[ast.AST], ...]) -> None:
    nested = [
        f"{module.name}:{inner.lineno}"
        for module in MODULES
        for outer in module.nodes(*kinds)
        for inner in ast.walk(outer)
        if inner is not outer and isinstance(inner, kinds) and isinstance(inner, ast.expr)
    ]
    assert nested == []


def test_functions_are_named_by_verbs() -> None:
    functions = [
        (module, node)
        for module in MODULES
        for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    named = [f"{module.name}.{node.name}" for module, node in functions if is_participle(node)]
    assert len(named) <= LIMITS["participles"] * len(functions), named


def test_modules_are_found_by_their_names() -> None:
    packages: dict[str, set[Path]] = defaultdict(set)
    for module in MODULES:
        if module.path.name != "__init__.py":
            packages[module.path.name].add(module.path.parent)
    assert {name: found for name, found in packages.items() if len(found) > 2} == {}


def test_small_modules_have_several_users() -> None:
    found = importers()
    alone = [
        module.name for module in MODULES if len(found[module.name]) == 1 and module.lines < 80
    ]
    assert len(alone) <= 25, alone
