"""Imports that load a submodule: from then on the names of its package lead to it.

`import xml.dom.minidom as m` binds only `m`, and yet `xml.dom` is there in all cells further down:
the import system sets it on the package. A step that reads `xml` in a kernel of its own needs the
import, too. https://docs.python.org/3/reference/import.html#submodules
"""

from __future__ import annotations

import ast
import re
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dataflow.names import names_of
from nbci.dataflow.prelude import reached_names, split_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.prelude import Statement

    _Import = ast.Import | ast.ImportFrom

_WORD = re.compile(r"[^\W\d]\w*")


class Submodules:
    """The submodules that a notebook's imports load, and the steps that can reach them.

    A step reaches `xml.dom` where its text has a name that is bound to `xml`, and the word `dom`:
    as an attribute, or in a string, as `hasattr` takes one. `from a import b` counts as an import
    of `a.b`, too, since the code does not say whether that is a module.
    """

    def __init__(
        self,
        prelude: Sequence[Statement],
        steps: Mapping[str, Sequence[tuple[int, ParsedCell]]],
        shared: Sequence[ParsedCell] = (),
    ) -> None:
        """`steps` are the own cells with their numbers; `shared` are cells that end any step."""
        self._prelude = prelude
        self._steps = steps
        self._shared = shared
        self._reached_by: dict[str, frozenset[str]] = {}
        self._bound: dict[str, set[str]] = {}
        self._loaded_by_prelude: dict[str, set[str]] = {}
        self._loaded_by_cells: dict[str, tuple[int, int]] = {}
        for one in prelude:
            for node in _imports(one.code):
                self._note_bound(node)
                for module in _loads(node):
                    self._loaded_by_prelude.setdefault(module, set()).update(one.binds)
        for cells in steps.values():
            for number, cell in cells:
                for node in _imports(cell):
                    self._note_bound(node)
                    self._note_place(node, number)

    def names_to_import(self, step: str) -> frozenset[str]:
        """The names of the prelude whose imports load what the step reaches."""
        names: set[str] = set()
        for module in self._reached(step):
            names |= self._loaded_by_prelude.get(module, set())
        return frozenset(names)

    def inherited(self, step: str) -> tuple[Statement, ...]:
        """What loads the modules that the step reaches and cells of other steps further up load.

        The statements bind no name, and stand at the lines of those cells' imports.
        """
        own = [number for number, _ in self._steps[step]]
        found: dict[tuple[int, int, str], Statement] = {}
        for module in self._reached(step):
            number, line = self._loaded_by_cells.get(module, (0, 0))
            if not number or number in own or number > max(own, default=0):
                continue
            if module not in self._loaded_by_prelude:
                (statement,) = split_cell(number, _load(module))
                found[number, line, module] = replace(statement, line=line)
        return tuple(found[place] for place in sorted(found))

    def _note_bound(self, node: _Import) -> None:
        for name, module in _binds(node):
            self._bound.setdefault(name, set()).add(module)

    def _note_place(self, node: _Import, number: int) -> None:
        for module in _loads(node):
            place = (number, node.lineno)
            self._loaded_by_cells[module] = min(place, self._loaded_by_cells.get(module, place))

    @cached_property
    def _reachable(self) -> frozenset[str]:
        """The submodules whose packages some name leads to: in most notebooks there are none."""
        packages = frozenset().union(*self._bound.values())
        loaded = self._loaded_by_prelude.keys() | self._loaded_by_cells.keys()
        return frozenset(module for module in loaded if not packages.isdisjoint(_above(module)))

    @cached_property
    def _shared_words(self) -> frozenset[str]:
        texts = [one.text for one in self._prelude if one.kind != "import"]
        texts += [cell.source for cell in self._shared]
        return _words_of(texts)

    def _reached(self, step: str) -> frozenset[str]:
        # Both questions are asked of each step, and a plan may have 10,000 of them.
        if step not in self._reached_by:
            self._reached_by[step] = self._find_reached(step)
        return self._reached_by[step]

    def _find_reached(self, step: str) -> frozenset[str]:
        if not self._reachable:
            return self._reachable
        cells = [cell for _, cell in self._steps[step]]
        names = names_of([*cells, *self._shared])
        if names.any_name:
            return self._reachable
        words = self._shared_words | _words_of(cell.source for cell in cells)
        packages: set[str] = set()
        for name in reached_names(self._prelude, names.mentions | names.in_text):
            packages |= self._bound.get(name, set())
        reached = set()
        for module in self._reachable:
            if any(_leads_to(package, module, words) for package in packages):
                reached.add(module)
        return frozenset(reached)


def _imports(cell: ParsedCell) -> Iterator[_Import]:
    # A cell that may fail may not have come as far as its import.
    if cell.may_fail:
        return
    for node in cell.tree.body:
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            yield node


def _binds(node: _Import) -> Iterator[tuple[str, str]]:
    """The names that the import binds, each with the module that it leads to if to any."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            package = alias.name.partition(".")[0]
            yield package, package


def _loads(node: _Import) -> Iterator[str]:
    """The submodules that the import may load, by their full names."""
    for alias in node.names:
        module = alias.name
        if isinstance(node, ast.ImportFrom):
            module = f"{node.module}.{alias.name}"
        for one in (module, *_above(module)):
            if "." in one and not one.endswith(".*"):
                yield one


def _above(module: str) -> Iterator[str]:
    """The packages that the module lies in."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _leads_to(package: str, module: str, words: frozenset[str]) -> bool:
    below = module.removeprefix(package + ".")
    return below != module and words.issuperset(below.split("."))


def _words_of(texts: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(_WORD.findall, texts))


def _load(module: str) -> str:
    # With a `fromlist`, Python passes over names that turn out to be no modules.
    package, _, name = module.rpartition(".")
    return f'__import__("{package}", fromlist=["{name}"])'
