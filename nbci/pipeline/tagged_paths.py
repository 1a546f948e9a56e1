"""Paths that tags name: from the project's root, with `${...}` in place.

In a tag, `${matrix.key}` is a value of the step's matrix, and `${name}` a parameter: of the
notebook, as the step gets it, else of the pipeline file. So a tag says what the cell's code says.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError, spelling_suffix
from nbci.notebook.tags import read_tags
from nbci.params.types import MismatchError, conform
from nbci.pipeline.expressions import (
    as_text,
    escape,
    insert,
    references,
    substitute,
    substitute_matrix,
)
from nbci.pipeline.notebook_parameters import notebook_parameters, step_declared
from nbci.pipeline.paths import project_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from nbci.errors import Location
    from nbci.notebook.cells import Cell, Notebook
    from nbci.notebook.tags import CellTags
    from nbci.params import Declared, Parameter
    from nbci.pipeline.expressions import Reference
    from nbci.pipeline.model import Step, TaggedNotebook


class MisfitError(UsageError):
    """A tag is right in its notebook, and not in the pipeline file whose step has the notebook."""


def check_tagged_paths(notebook: Notebook, cell: Cell, tags: CellTags) -> None:
    """UsageError for a `${...}` in a path that names nothing, or what no path can have."""
    for tag, path in written_paths(tags):
        if "${" not in path:
            continue
        try:
            named = references(path)
        except UsageError as error:
            raise UsageError(
                f"the tag {tag}: {error.message}", hint=error.hint, where=notebook.where(cell)
            ) from error
        for reference in named:
            if reference.step:
                raise UsageError(
                    f"the tag {tag}: ${{{reference.text}}} is measured during the run, "
                    "and paths are needed before",
                    hint="write ${name} or ${matrix.key}; $${ for a plain ${",
                    where=notebook.where(cell),
                )


def written_paths(tags: CellTags) -> Iterator[tuple[str, str]]:
    """Each tag that names a path, as it is written, and the path."""
    for key, paths in (("in", tags.ins), ("out", tags.outs), ("predictions", tags.predictions)):
        for path in paths:
            yield f"{key}:{path}", path


def paths_from_root(step: Step, folder: str, where: Location) -> Step:
    """The step with the paths that its tags name made relative to the project's root.

    `folder` is where its cells run.
    """
    if not step.deps and not step.outs:
        return step

    def from_root(path: str) -> str:
        return project_path(path, folder, where)

    return _with_paths(step, from_root)


def _with_paths(step: Step, change: Callable[[str], str]) -> Step:
    """The step with each path that a tag can name changed."""
    predictions = step.predictions
    if predictions is not None:
        predictions = change(predictions)
    return replace(
        step,
        deps=tuple(map(change, step.deps)),
        outs=tuple(map(change, step.outs)),
        predictions=predictions,
    )


def has_references(step: Step) -> bool:
    """Whether a path of the step has a `${` in it."""
    return any("${" in path for path in (*step.deps, *step.outs))


class Given(Struct, frozen=True):
    """What a pipeline file gives to a step: parameters of its notebook, and its matrix.

    `pipeline` has the names of the pipeline's own parameters, whose values are put in later.
    """

    params: Mapping[str, Any]
    matrix: Mapping[str, Any]
    pipeline: Collection[str]


def fill_tagged_paths(step: Step, tagged: TaggedNotebook, given: Given) -> Step:
    """The step with `${...}` of its matrix and notebook in place, in the paths of its tags.

    References to the pipeline's parameters stay. UsageError, with the cell, for unknown names.
    """
    if not has_references(step):
        return step
    # A notebook that refers to others hands its parameters down to their steps.
    notebooks = {**tagged.parts, tagged.notebook.path: tagged}
    declared = {path: notebook_parameters(one) for path, one in notebooks.items()}
    own = _own_expressions(step_declared(step, declared), given.params)
    names = [*own, *given.pipeline, *(f"matrix.{key}" for key in given.matrix)]

    def in_place(path: str, tag: _Tag) -> str:
        for reference in references(path):
            tag.check_known(reference, names)
            tag.check_time(reference, given.params)
        # In this order: values of the matrix may look like references, and are escaped.
        return as_text(substitute_matrix(insert(path, own), given.matrix))

    return _filled(step, notebooks[step.notebook].notebook, in_place)


def fill_paths_of_notebook(step: Step, notebook: Notebook, values: Mapping[str, Any]) -> Step:
    """The step of a notebook that is a pipeline by itself, with the values of its parameters."""

    def in_place(path: str, tag: _Tag) -> str:
        for reference in references(path):
            if reference.matrix_key is not None:
                tag.refuse(
                    "needs a `matrix`, which a notebook alone has not",
                    "run the pipeline file whose step has the matrix, "
                    "or name a parameter of the notebook",
                )
            tag.check_known(reference, list(values))
        return as_text(substitute(path, values))

    return _filled(step, notebook, in_place)


class _Tag(Struct, frozen=True):
    """A tag with a reference in it, and where it stands."""

    text: str
    where: Location

    def check_known(self, reference: Reference, names: list[str]) -> None:
        if reference.text in names:
            return
        hint = "the notebook declares no parameter"
        if names:
            hint = f"there are {', '.join(dict.fromkeys(names))}"
        close = spelling_suffix(reference.text, names)
        self.refuse(f"names {reference.text!r}, which is unknown{close}", hint)

    def check_time(self, reference: Reference, params: Mapping[str, Any]) -> None:
        """UsageError where the step gets the parameter from a metric of another one."""
        for handed in references(params.get(reference.text)):
            if handed.step:
                self.refuse(
                    f"names {reference.text!r}, which is ${{{handed.text}}} here: "
                    "that is measured during the run, and paths are needed before"
                )

    def refuse(self, message: str, hint: str | None = None) -> NoReturn:
        raise MisfitError(f"the tag {self.text} {message}", hint=hint, where=self.where)


def _filled(step: Step, notebook: Notebook, in_place: Callable[[str, _Tag], str]) -> Step:
    def change(path: str) -> str:
        if "${" not in path:
            return path
        tag = _tag_of(notebook, step, path)
        with_values = in_place(path, tag)
        # A value with `..` in it could lead anywhere.
        try:
            return project_path(with_values, ".")
        except UsageError as error:
            raise MisfitError(error.message, hint=error.hint, where=tag.where) from error

    return _with_paths(step, change)


def _tag_of(notebook: Notebook, step: Step, path: str) -> _Tag:
    """The tag that names the path, which is already relative to the project's root."""
    named = references(path)
    for number in step.cells:
        cell = notebook.cell(number)
        for tag, written in written_paths(read_tags(notebook, cell)):
            # Its references identify a path well enough: only messages show the tag.
            if "${" in written and references(written) == named:
                return _Tag(tag, notebook.where(cell))
    raise LookupError(path)


def _own_expressions(declared: Declared, params: Mapping[str, Any]) -> dict[str, str]:
    """The notebook's parameters as texts, in which references to the pipeline's may be left."""
    return {one.name: _expression(one, params) for one in declared.parameters}


def _expression(parameter: Parameter, params: Mapping[str, Any]) -> str:
    value = params.get(parameter.name, parameter.default)
    # A text of the pipeline file may itself be a reference, and has its own escapes.
    if parameter.name in params and isinstance(value, str):
        return value
    # Parameters that do not fit are refused with their place, when all steps are known.
    with contextlib.suppress(MismatchError):
        # The text is that which the notebook's code makes of it: 1 is `1.0` where it is a float.
        value = conform(value, parameter.type)
    return escape(as_text(value))
