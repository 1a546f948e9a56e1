"""Rules about pipeline files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.errors import UsageError, spelling_hint
from nbci.lint.finding import Hit
from nbci.params import bind
from nbci.params.yaml_text import read_yaml
from nbci.pipeline.compose import compose
from nbci.pipeline.document import Document, notebook_paths, read_document
from nbci.pipeline.expressions import references
from nbci.pipeline.tagged_paths import MisfitError
from nbci.plan.build import build_plan
from nbci.schema import violations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.errors import Location
    from nbci.pipeline.model import Pipeline, TaggedNotebook

_SUBSTITUTED = ("params", "deps", "outs", "metrics", "agent", "env", "environment", "container")


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A pipeline file as far as it can be read.

    `document` is None where the text is no pipeline file at all, for `refusals`' reasons.
    `notebooks` holds those that can be understood; `missing` those that are not there. `pipeline`
    is None where it cannot be put together.
    """

    path: str
    document: Document | None = None
    refusals: tuple[UsageError, ...] = ()
    wrong: tuple[Hit, ...] = ()
    missing: tuple[Hit, ...] = ()
    notebooks: Mapping[str, TaggedNotebook] = field(default_factory=dict)
    pipeline: Pipeline | None = None

    @property
    def data(self) -> Mapping[str, Any]:
        """What the file says; nothing where it could not be read."""
        if self.document is None:
            return {}
        return self.document.data


def read_pipeline_text(text: str, path: str) -> Composition:
    """The file without its notebooks, each thing that the schema does not allow on its own."""
    try:
        return Composition(path=path, document=read_document(text, path))
    except UsageError as error:
        return Composition(path=path, wrong=tuple(_schema_hits(text, path)) or (Hit.of(error),))


def _schema_hits(text: str, path: str) -> Iterator[Hit]:
    try:
        document = read_yaml(text, path)
    except UsageError:
        return
    # the schema speaks of mappings with text keys only; the error of read_document is reported then
    if not isinstance(document.data, dict) or document.odd_keys:
        return
    for violation in violations(document.data, "pipeline"):
        where = document.where(violation.path, key=violation.about == "key")
        yield Hit(message=str(violation), line=where.line, column=where.column)


def named_notebooks(composition: Composition) -> dict[str, Location]:
    """The notebooks that the file names, each with the place that names it first."""
    if composition.document is None:
        return {}
    try:
        return dict(notebook_paths(composition.document))
    except UsageError:
        return {}


def notebooks_elsewhere(composition: Composition) -> frozenset[str]:
    """Return the notebooks whose every step runs in an environment other than the project's.

    Their kernel is the one of that environment, so it need not be installed here.
    """
    if composition.document is None:
        return frozenset()
    here: set[str] = set()
    elsewhere: set[str] = set()
    for step in composition.data["steps"].values():
        notebook = posixpath.normpath(step["notebook"])
        if step.get("environment"):
            elsewhere.add(notebook)
        else:
            here.add(notebook)
    # a notebook that another step runs here needs its kernel here
    return frozenset(elsewhere - here)


def with_notebooks(
    composition: Composition,
    notebooks: Mapping[str, TaggedNotebook],
    missing: Iterable[Hit],
    brought: Brought = NOTHING_BROUGHT,
) -> Composition:
    """The file with its notebooks, planned as far as that goes."""
    document = composition.document
    if document is None:
        return composition
    refusals: list[UsageError] = []
    pipeline: Pipeline | None = None
    if not missing:
        try:
            notebook_paths(document)
            pipeline = compose(document, notebooks)
            build_plan(pipeline, bind(pipeline.params, []), sources={}, brought=brought)
        except UsageError as error:
            refusals.append(error)
    return Composition(
        path=composition.path,
        document=document,
        refusals=tuple(refusals),
        missing=tuple(missing),
        notebooks=notebooks,
        pipeline=pipeline,
    )


def wrong_files(composition: Composition) -> Iterator[Hit]:
    """What keeps the file from being a pipeline file."""
    yield from composition.wrong


def missing_notebooks(composition: Composition) -> Iterator[Hit]:
    """Notebooks that the file names and that are not there."""
    yield from composition.missing


def wrong_compositions(composition: Composition) -> Iterator[Hit]:
    """Yield what cannot be put together or planned.

    What is wrong in a notebook by itself is left to that notebook's findings.
    """
    for error in composition.refusals:
        if isinstance(error, MisfitError):
            # Its place is one of the notebook, and findings are shown by file.
            yield Hit(message=str(error), hint=error.hint)
    # a wrong reference also stops the planning, on the same line
    lines = {hit.line for hit in wrong_references(composition)}
    for error in _refusals_of_file(composition):
        hit = Hit.of(error)
        if "cycle" not in error.message and (hit.line is None or hit.line not in lines):
            yield hit


def cycles(composition: Composition) -> Iterator[Hit]:
    """Steps that wait for each other."""
    for error in _refusals_of_file(composition):
        if "cycle" in error.message:
            yield Hit.of(error)


def _refusals_of_file(composition: Composition) -> Iterator[UsageError]:
    """The refusals that are no fault of a notebook."""
    for error in composition.refusals:
        if error.where is None or error.where.path not in composition.notebooks:
            yield error


def wrong_references(composition: Composition) -> Iterator[Hit]:
    """`${...}` that name no parameter, no key of the step's matrix, or nothing at all."""
    document = composition.document
    if document is None:
        return
    parameters = document.data.get("params", {})
    for node, step in document.data["steps"].items():
        for key in _SUBSTITUTED:
            for part, place in _parts(step.get(key), ("steps", node, key)):
                where = document.where(*place)
                for message, hint in _wrong_in(part, parameters, step.get("matrix") or {}):
                    yield Hit(
                        message=f"{message}, in step {node}",
                        hint=hint,
                        line=where.line,
                        column=where.column,
                    )


def _parts(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _parts(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _parts(item, (*place, index))
    else:
        yield value, place


def _wrong_in(
    value: Any, parameters: Mapping[str, Any], matrix: Mapping[str, Any]
) -> Iterator[tuple[str, str | None]]:
    try:
        found = references(value)
    except UsageError as error:
        yield error.message, error.hint
        return
    for reference in found:
        if reference.parameter is not None and reference.parameter not in parameters:
            yield (
                f"${{{reference.text}}} names no parameter",
                _meant(reference.parameter, parameters),
            )
        if reference.matrix_key is not None and reference.matrix_key not in matrix:
            yield (
                f"${{{reference.text}}} names no key of the matrix",
                _meant(reference.matrix_key, matrix),
            )


def _meant(name: str, known: Mapping[str, Any]) -> str | None:
    if not known:
        return None
    return spelling_hint(name, known, f"there are {', '.join(known)}")


def unused_parameters(composition: Composition) -> Iterator[Hit]:
    """Parameters of the pipeline that no step, condition, gate or retraining uses."""
    document = composition.document
    if document is None or composition.pipeline is None:
        return
    used: set[str | None] = set()
    conditions: list[str] = []
    for step in document.data["steps"].values():
        conditions.append(str(step.get("when", "")))
        for key in _SUBSTITUTED:
            used.update(reference.parameter for reference in references(step.get(key)))
    for gate in document.data.get("gates", ()):
        conditions.append(str(gate.get("when", "")))
    # Where new data lie may differ between the machines that train.
    new_data = (document.data.get("retrain") or {}).get("data")
    used.update(reference.parameter for reference in references(new_data))
    # conditions name parameters without `${...}`
    words = set(re.findall(r"\w+", " ".join(conditions)))
    for name in document.data.get("params", {}):
        if name not in used | words:
            where = document.where("params", name, key=True)
            yield Hit(
                message=f"no step uses the parameter `{name}`",
                hint=f'hand it to a notebook: `params: {{{name}: "${{{name}}}"}}`, or take it away',
                line=where.line,
                column=where.column,
            )


def _is_named(metric: str, sources: str) -> bool:
    """Return whether code holds the name of a metric, or a label that becomes it.

    For example, `print("mean error:", e)` measures mean_error.
    """
    words = re.escape(metric).replace("_", "[_ ]+")
    return re.search(rf"(?<!\w){words}(?!\w)", sources) is not None


def unmeasured_metrics(composition: Composition) -> Iterator[Hit]:
    """Metrics that the file declares or judges and that no notebook names."""
    document = composition.document
    if document is None or composition.pipeline is None:
        return
    # metrics may come from files that steps write, which are not there yet
    if any(step.metrics for step in composition.pipeline.steps):
        return
    texts: list[str] = []
    for tagged in composition.notebooks.values():
        texts.extend(cell.source for cell in tagged.notebook.cells)
    sources = "\n".join(texts)
    # glue with a computed name may record any metric
    if re.search(r"\bglue\(\s*(?!['\"])", sources):
        return
    places: list[tuple[str, tuple[str | int, ...]]] = []
    for name in document.data.get("metrics", {}):
        places.append((name, ("metrics", name)))
    for at, gate in enumerate(document.data.get("gates", ())):
        if "metric" in gate:
            places.append((gate["metric"], ("gates", at, "metric")))
    seen: set[str] = set()
    for name, place in places:
        short = str(name).rpartition(":")[2]
        if short not in seen and not _is_named(short, sources):
            where = document.where(*place, key=place[0] == "metrics")
            yield Hit(
                message=f"no notebook names the metric `{short}`",
                hint="print it in a cell tagged `metrics`, "
                "or name a JSON file that holds it with `metrics:`",
                line=where.line,
                column=where.column,
            )
        seen.add(short)
