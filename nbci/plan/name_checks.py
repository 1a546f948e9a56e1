"""Refuses names that a notebook's steps use and do not have, and words the warnings about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.dataflow.history import lost_history
from nbci.dataflow.names import names_of
from nbci.dataflow.outside import BROUGHT_BY_SOME_KERNELS
from nbci.dataflow.shape import shape_of
from nbci.errors import UsageError
from nbci.plan.parts import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import StepFlow
    from nbci.dataflow.origin import Brought
    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.undefined import Undefined
    from nbci.errors import Location
    from nbci.pipeline.model import Step, TaggedNotebook
    from nbci.plan.metrics_cells import MetricsPart

# A user mends one name at a time: the first error and a few more are enough of a message.
_MOST_ERRORS_SHOWN = 6


class NameChecks:
    """The checks of one Python notebook's steps; each finding names the cell and line.

    `cells` are the steps' own cells, `metrics` those that end them; `order` is one in which the
    steps may run.
    """

    def __init__(
        self,
        tagged: TaggedNotebook,
        steps: Mapping[str, Step],
        cells: Mapping[str, Sequence[ParsedCell]],
        metrics: Mapping[str, Sequence[MetricsPart]],
        order: Sequence[str],
    ) -> None:
        self._tagged = tagged
        self._order = order
        self._steps = steps
        self._cells = cells
        self._metrics = metrics

    def refuse_undefined(self, undefined: Sequence[Undefined]) -> None:
        """UsageError when the steps surely read names that nobody defines."""
        errors = [found for found in undefined if found.severity == "error"]
        if not errors:
            return

        first = errors[0]
        hints = []
        if first.hint:
            hints.append(first.hint)
        for other in errors[1:_MOST_ERRORS_SHOWN]:
            hints.append(f"also {self._place_of(other)}: {other.message}")
        raise UsageError(first.message, hint="\n".join(hints) or None, where=self._place_of(first))

    def undefined_warnings(self, undefined: Sequence[Undefined]) -> Iterator[str]:
        """A line for each name that may be defined in a way that cannot be followed."""
        for found in undefined:
            if found.severity == "warning":
                warning = f"{self._place_of(found)}: {found.message}"
                if found.reason:
                    warning += f" ({found.reason})"
                yield warning

    def history_warnings(self, given: frozenset[str]) -> Iterator[str]:
        """Warnings of uses of IPython's history; UsageError for a last value that surely is not.

        `given` are the names that every step has. `_` before a step has shown anything is an empty
        text in a fresh kernel, so such a step would give a wrong result without a word.
        """
        # A step that is the whole notebook has the history that the notebook has.
        if self._tagged.whole:
            return
        for step, cells in self._cells.items():
            for lost in lost_history(cells, given):
                where = self._where(self._steps[step].cells[lost.cell], lost.line)
                if lost.surely:
                    raise UsageError(f"in step {step}, {lost.message}", hint=lost.hint, where=where)
                yield f"{where}: {lost.message}: {lost.hint}"

    def refuse_names_of_other_notebooks(self, step: StepFlow, elsewhere: frozenset[str]) -> None:
        """UsageError for names that only another notebook's cells of all steps make."""
        # A step of the other notebook may have changed such a name: then it is a value that passes.
        taken = {take.name for take in step.takes}
        for name in sorted((step.names.surely_needs & elsewhere) - taken):
            position = step.names.first_use[name]
            number = self._numbers(step.name)[position.cell]
            raise UsageError(
                f"`{name}` is used by step {step.name}, and only another notebook's imports, "
                "functions or parameters cells define it",
                hint="these hold in their own notebook: define it here, too",
                where=self._where(number, position.line),
            )

    def refuse_early_uses(
        self, kept: Sequence[Statement], given: frozenset[str], brought: Brought
    ) -> None:
        """UsageError for imports and functions cells that need a step's names while they run.

        `kept` are their statements, `given` the parameters and `brought` the names of kernels.
        """
        if self._tagged.whole:
            return
        names = names_of([statement.code for statement in kept])
        # A star import or `exec` may define what is missing.
        if names.uncertain:
            return
        missing = names.surely_needs - given - brought.surely - brought.perhaps.keys()
        missing -= BROUGHT_BY_SOME_KERNELS.keys()
        if not missing:
            return

        name = next(name for name in names.first_use if name in missing)
        position = names.first_use[name]
        raise UsageError(
            f"`{name}` is used while this cell runs, "
            f"which is before every step's own cells, and {self._who_makes(name)}",
            hint=f"define `{name}` in an imports or functions cell, "
            "or tag this cell as one of the step's",
            where=self._where(kept[position.cell].cell, position.line),
        )

    def _who_makes(self, name: str) -> str:
        for step in self._order:
            if name in names_of(self._cells[step]).binds:
                return f"step {step} makes it"
        return "nothing defines it"

    def refuse_two_meanings(self, step: str, kept: Sequence[Statement]) -> None:
        """UsageError for a name that is defined twice, in cells before and after one of the step.

        Imports and functions cells run before the step's: where the notebook's own order gives the
        step's cell the first definition, it would see the second.
        """
        if self._tagged.whole:
            return
        definitions: dict[str, list[Statement]] = {}
        for statement in kept:
            # A second import of a module gives the same module.
            if statement.kind != "import":
                for name in statement.binds:
                    definitions.setdefault(name, []).append(statement)

        for name, statements in definitions.items():
            first, last = statements[0], statements[-1]
            between = [at for at in self._steps[step].cells if first.cell < at < last.cell]
            if between and _digest(first) != _digest(last):
                raise UsageError(
                    f"`{name}` is defined in cell {first.cell} and again here, and step {step}, "
                    f"whose cell {between[0]} stands between them, would see the second",
                    hint=f"give the two different names, or define `{name}` again "
                    "in the step that wants it",
                    where=self._where(last.cell, last.line),
                )

    def _place_of(self, found: Undefined) -> Location:
        return self._where(self._numbers(found.step)[found.cell], found.line)

    def _where(self, number: int, line: int) -> Location:
        notebook = self._tagged.notebook
        return notebook.where(notebook.cell(number), line=line)

    def _numbers(self, step: str) -> list[int]:
        """The numbers of the cells that analysis saw of the step, in that order."""
        numbers = list(self._steps[step].cells)
        for part in self._metrics[step]:
            numbers.append(part.cell.number or 1)
        return numbers


def _digest(statement: Statement) -> str:
    return digest_of(shape_of(statement.code.tree))
