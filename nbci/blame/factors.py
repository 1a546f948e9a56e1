"""The parts in which two runs differ, and what a hybrid is made of where some of them are new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.records.run_record import FileRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from nbci.blame.mixed_notebook import MixedNotebook
    from nbci.records.blames import FactorKind

Content = bytes | FileRef | None
"""What stands at a path: bytes, an artifact whose objects are kept, or nothing."""


class Factor(Struct, frozen=True, kw_only=True):
    """A part that differs: a file, a parameter, or a pair of cells of a mixed notebook."""

    kind: FactorKind
    name: str
    path: str = ""
    pair: int | None = None
    parameter: str = ""


class Mixture(Struct, frozen=True, kw_only=True):
    """Two runs as what can be exchanged between them.

    `files` has both contents of each changed file, `notebooks` those of which cells are exchanged,
    `parameters` both values. `same` and `fixed` are files and parameters that every hybrid has.
    `values_of` names, for a notebook's pair of parameters cells that differ in nothing but values,
    the parameters. `untried` are sentences on what differs and cannot be exchanged.
    """

    factors: tuple[Factor, ...]
    files: Mapping[str, tuple[Content, Content]]
    notebooks: Mapping[str, MixedNotebook]
    parameters: Mapping[str, tuple[Any, Any]]
    values_of: Mapping[tuple[str, int], tuple[str, ...]]
    same: Mapping[str, Content]
    fixed: Mapping[str, Any]
    untried: tuple[str, ...] = ()

    def contents(self, new: Collection[int]) -> Iterator[tuple[str, Content]]:
        """The changed files where these factors, by number, are new and all others old."""
        whole = {self.factors[number].path for number in new}
        for path, (old, now) in self.files.items():
            yield path, now if path in whole else old

        cells = {(self.factors[number].path, self.factors[number].pair) for number in new}
        parameters = self._new_parameters(new)
        for path, notebook in self.notebooks.items():
            pairs = set()
            for pair in notebook.changed:
                # With all of its values old it is that of the earlier run, into which nothing is
                # injected: so the result of that run is found.
                by_value = not parameters.isdisjoint(self.values_of.get((path, pair), ()))
                if by_value or (path, pair) in cells:
                    pairs.add(pair)
            yield path, notebook.text(pairs)

    def values(self, new: Collection[int]) -> dict[str, Any]:
        """The parameters where these factors are new and all others old."""
        changed = self._new_parameters(new)
        values = dict(self.fixed)
        for name, (old, now) in self.parameters.items():
            values[name] = now if name in changed else old
        return values

    def _new_parameters(self, new: Collection[int]) -> set[str]:
        return {self.factors[number].parameter for number in new}
