"""An out that all combinations of a matrix would write, and what is to be written instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.notebook.tags import read_tags
from nbci.pipeline.expressions import as_text, references, substitute_matrix
from nbci.pipeline.paths import project_path
from nbci.pipeline.tagged_paths import Given, MisfitError, fill_tagged_paths, written_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.errors import Location
    from nbci.pipeline.document import Document
    from nbci.pipeline.model import Step, TaggedNotebook


class MatrixOuts:
    """Explains where two steps of one matrix write to one path."""

    def __init__(self, document: Document, notebooks: Mapping[str, TaggedNotebook]) -> None:
        """`notebooks` are those that steps run, by path."""
        self._document = document
        self._notebooks = notebooks

    def explain(self, one: Step, other: Step, path: str) -> None:
        """UsageError with the place and what to write there, where the two are of one matrix."""
        if one.node != other.node or one.matrix == other.matrix:
            return
        message = f"steps {one.name} and {other.name} both write {path}"
        # The tag first: who writes `out:` there looks for the mistake there.
        for tag, where in self._tags(other, path):
            wanted = self._with_keys(other, tag)
            if wanted != tag:
                raise MisfitError(
                    f"{message}: the tag {tag} names the same file for all of the matrix",
                    hint=f"tag the cell `{wanted}`, and let it write that file",
                    where=where,
                )
        for written, where in self._entries(other, path):
            wanted = self._with_keys(other, written)
            if wanted != written:
                raise UsageError(
                    message,
                    hint=f'write "{wanted}" here, and let the notebook write that file',
                    where=where,
                )

    def _tags(self, step: Step, path: str) -> Iterator[tuple[str, Location]]:
        """The tags of the step's cells that name the path."""
        tagged = self._notebooks[step.composition or step.notebook]
        notebook = self._notebooks[step.notebook].notebook
        given = Given(step.params or {}, step.matrix or {}, self._document.data.get("params", {}))
        for number in step.cells:
            cell = notebook.cell(number)
            for tag, written in written_paths(read_tags(notebook, cell)):
                where = notebook.where(cell)
                # Each tag by itself, since the step no longer knows which path is whose.
                own = project_path(written, step.working_folder, where)
                alone = replace(step, deps=(), outs=(own,), predictions=None)
                if fill_tagged_paths(alone, tagged, given).outs == (path,):
                    yield tag, where

    def _entries(self, step: Step, path: str) -> Iterator[tuple[str, Location]]:
        """What the pipeline file writes for the path."""
        node = self._document.data["steps"][step.node]
        places: list[tuple[Any, tuple[str | int, ...]]] = [
            (node.get("predictions"), ("predictions",))
        ]
        for key in ("outs", "metrics"):
            places += [(text, (key, at)) for at, text in enumerate(node.get(key, ()))]
        for text, place in places:
            if text is None:
                continue
            with_values = as_text(substitute_matrix(text, step.matrix or {}))
            if project_path(with_values, ".") == path:
                yield text, self._document.where("steps", step.node, *place)

    def _with_keys(self, step: Step, written: str) -> str:
        """The path or tag with those keys of the matrix that it lacks, before its ending."""
        node = self._document.data["steps"][step.node]
        named = set()
        for reference in references(written):
            named.add(reference.matrix_key)
            # The notebook's own parameter may have its value from the matrix.
            for handed in references(node.get("params", {}).get(reference.text)):
                named.add(handed.matrix_key)
        lacking = []
        for key, values in node["matrix"].items():
            if len(values) > 1 and key not in named:
                lacking.append(f"-${{matrix.{key}}}")
        stem, ending = _split_ending(written.rstrip("/"))
        return f"{stem}{''.join(lacking)}{ending}"


def _split_ending(path: str) -> tuple[str, str]:
    """The path before the first point of its file's name, and the rest.

    >>> _split_ending("out:build/${matrix.model}.tar.gz"), _split_ending("data/.env")
    (('out:build/${matrix.model}', '.tar.gz'), ('data/.env', ''))
    """
    name_at = path.rfind("/") + 1
    # A point inside `${matrix.model}` ends nothing.
    point = path.find(".", max(name_at + 1, path.rfind("}")))
    if point == -1:
        return path, ""
    return path[:point], path[point:]
