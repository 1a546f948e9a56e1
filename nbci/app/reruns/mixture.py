"""What differs between two runs, taken apart into what can be exchanged and what cannot."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.app.reruns.recorded_files import RunContents, recorded_files
from nbci.blame.factors import Content, Factor, Mixture
from nbci.blame.mixed_notebook import changed_values, mix
from nbci.data.tracked import SUFFIX as TRACKING
from nbci.errors import UsageError
from nbci.graph import reachable
from nbci.notebook.read import SUFFIXES
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.tagged import understand
from nbci.plan.compare import Compared, difference

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.recorded_files import RecordedFile
    from nbci.blame.mixed_notebook import MixedNotebook
    from nbci.store.cache import Cache

_NOT_CAUSES = ("commit", "branch")
_OUTSIDE = ("file", "module", "variable")
"""Kinds of observations that may be of something outside the project."""


class Side(Struct, frozen=True):
    """One of the two runs, with its files and where their contents are.

    `needed` are the files of the steps as far as the one that measures the metric.
    """

    run: EarlierRun
    files: Mapping[str, RecordedFile]
    needed: Container[str]
    contents: RunContents

    def find(self, path: str) -> Content:
        """What stood at the path; None where that is gone."""
        return self.contents.find(self.files[path])


def open_side(run: EarlierRun, metric: str, cache: Cache) -> Side:
    """The run as one side of a mixture; the metric is named in full."""
    before = reachable([step_of(metric) or ""], run.plan.edges())
    needed = recorded_files(run, before)
    return Side(run, recorded_files(run, run.plan.names), needed, RunContents(run, cache))


def make_mixture(old: Side, new: Side) -> Mixture:
    """What can be exchanged between the two runs; UsageError where a file is gone from both."""
    mixing = _Mixing(old, new)
    for path in dict.fromkeys((*old.files, *new.files)):
        if path in old.files and path in new.files:
            mixing.add_file(path)
    mixing.add_parameters()
    mixing.add_cells()
    mixing.note_surroundings()
    return mixing.mixture()


class _Mixing:
    """The mixture while it is put together."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self._factors: list[Factor] = []
        self._files: dict[str, tuple[Content, Content]] = {}
        self._notebooks: dict[str, MixedNotebook] = {}
        self._parameters: dict[str, tuple[Any, Any]] = {}
        self._values_of: dict[tuple[str, int], tuple[str, ...]] = {}
        self._same: dict[str, Content] = {}
        self._fixed: dict[str, Any] = {}
        self._untried: list[str] = []

    def mixture(self) -> Mixture:
        return Mixture(
            factors=tuple(self._factors),
            files=self._files,
            notebooks=self._notebooks,
            parameters=self._parameters,
            values_of=self._values_of,
            same=self._same,
            fixed=self._fixed,
            untried=tuple(self._untried),
        )

    def add_file(self, path: str) -> None:
        """Note what differs in a file that both runs used."""
        was, now = self._old.files[path], self._new.files[path]
        if was.kind == now.kind and was.digest == now.digest:
            return
        before, after = self._old.find(path), self._new.find(path)
        if before is None and after is None:
            if path not in self._old.needed and path not in self._new.needed:
                return
            raise UsageError(
                f"{path} differs between the runs, and neither content is kept any more",
                hint="name runs whose files are in a commit, or data that DVC tracks",
            )
        if before is None or after is None:
            gone = self._old.run if before is None else self._new.run
            self._untried.append(f"{path}: what run {gone.record.run} used is no longer kept")
            self._same[path] = before if after is None else after
        # What a `.dvc` file says goes with the data.
        elif before == after or path.endswith(TRACKING):
            self._same[path] = after
        elif now.kind != "source":
            self._files[path] = (before, after)
            self._factors.append(Factor(kind=now.kind, name=path, path=path))
        elif isinstance(before, bytes) and isinstance(after, bytes):
            self._add_source(path, before, after)

    def _add_source(self, path: str, before: bytes, after: bytes) -> None:
        if PurePosixPath(path).suffix in SUFFIXES:
            self._add_notebook(mix(path, before, after))
        else:
            self._files[path] = (before, after)
            self._factors.append(Factor(kind="pipeline", name=path, path=path))

    def _add_notebook(self, notebook: MixedNotebook) -> None:
        if notebook.changes_kernel:
            was, now = notebook.old.kernel_name, notebook.new.kernel_name
            self._untried.append(f"kernel of {notebook.path}: {was} → {now}")
        # Where only texts differ, it is a notebook without parts to exchange.
        self._notebooks[notebook.path] = notebook

    def add_parameters(self) -> None:
        """Note the parameters that are not the same in both runs."""
        before, after = self._old.run.record.param_values, self._new.run.record.param_values
        for name in dict.fromkeys((*before, *after)):
            if name not in before or name not in after:
                self._fixed[name] = after.get(name, before.get(name))
            elif before[name] != after[name] or type(before[name]) is not type(after[name]):
                self._parameters[name] = (before[name], after[name])
                factor = Factor(kind="parameter", name=f"parameter {name}", parameter=name)
                self._factors.append(factor)
            else:
                self._fixed[name] = after[name]

    def add_cells(self) -> None:
        """Note the cells that differ; those that only give other values are the parameters'."""
        for path, notebook in self._notebooks.items():
            for number in notebook.changed:
                names = self._values_in(notebook, number)
                if names is not None:
                    self._values_of[path, number] = tuple(names & self._parameters.keys())
                else:
                    self._factors.append(_cell_factor(notebook, number))

    def _values_in(self, notebook: MixedNotebook, number: int) -> set[str] | None:
        """The parameters that a pair of cells gives other values; None where more differs."""
        old, new = notebook.pairs[number].old, notebook.pairs[number].new
        if old is None or new is None:
            return None
        for cell, version in ((old, notebook.old), (new, notebook.new)):
            if cell.number not in understand(version).blocks.parameters:
                return None
        return changed_values(old.source, new.source, {*self._parameters, *self._fixed})

    def note_surroundings(self) -> None:
        """Name what else differs: packages, kernels, the machine, what lies outside the project."""
        old, new = self._old.run, self._new.run
        locked: set[str] = set()
        if any(factor.kind == "packages" for factor in self._factors):
            for run in (old, new):
                locked.update(_locked_packages(run))
        found = difference(
            Compared(record=old.record, plan=old.plan),
            Compared(record=new.record, plan=new.plan),
            lambda _: None,
        )
        for change in found.environment:
            if change.name not in (*_NOT_CAUSES, *locked):
                was, now = change.before or "none", change.after or "none"
                self._untried.append(f"{change.name} {was} → {now}")
        before, after = _outside(old), _outside(new)
        for label in before.keys() & after.keys():
            if before[label] != after[label]:
                self._untried.append(label)


def _cell_factor(notebook: MixedNotebook, number: int) -> Factor:
    pair = notebook.pairs[number]
    cell = pair.new or pair.old
    assert cell is not None
    name = f"{notebook.path} cell {cell.number}"
    if pair.old is None:
        name += " (added)"
    elif pair.new is None:
        name += " (removed)"
    return Factor(kind="cell", name=name, path=notebook.path, pair=number)


def _locked_packages(run: EarlierRun) -> Iterator[str]:
    """The packages that come of lock files."""
    for step in run.plan.steps:
        record = run.record.step(step.name)
        if step.environment is not None and record is not None:
            yield from record.distributions or {}


def _outside(run: EarlierRun) -> dict[str, str]:
    """What steps used outside the project, with its digest."""
    found = {}
    for record in run.record.steps:
        for part in record.observed:
            if part.kind == "variable":
                found[f"environment variable {part.label}"] = part.digest
            elif part.kind in _OUTSIDE and part.label.startswith("/"):
                found[part.label] = part.digest
    return found
