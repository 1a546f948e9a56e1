"""The models that the run made: their files, releases and cards, and what they were made from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from nbci.formatting.numbers import counted, listed
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, short_line
from nbci.git.branches import allows
from nbci.pipeline.models import models_of
from nbci.pipeline.paths import is_in
from nbci.registry.evidence import evidence_steps
from nbci.registry.lineage import lineage_of
from nbci.report.data.view import steps_by_name
from nbci.report.html.markup import Markup, element, fold, fragment, optional, table
from nbci.report.html.page import facts, left_out_note, section, step_link
from nbci.report.html.untrusted import from_markdown
from nbci.report.pages.links import run_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.pipeline.models import Model
    from nbci.records.manifest import EvidenceStep
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.registry.lineage import Lineage
    from nbci.report.data.material import Material, Release
    from nbci.report.data.view import ShownStep

# The index page is the first that a reviewer loads: `nbci lineage` has everything.
_NAMED = 8
_OUTS = 20
_STEPS = 50
_DATA = 100
_NAME_LENGTH = 120
_PATH_LENGTH = 200


# ------------------------------------------------------------------------------------- models
def models_section(material: Material) -> Markup | None:
    """Each model of the pipeline, as far as the run made it."""
    record = material.run.record
    shown = []
    for model in models_of(material.run.plan.models):
        files = list(_files_of(model, record))
        if files:
            releases = _releases_of(model, material)
            shown.append(_model(model, files, record, releases))
    if not shown:
        return None
    title = "Model"
    if len(shown) > 1:
        title = "Models"
    return section(title, *shown, anchor="models")


def _files_of(model: Model, record: RunRecord) -> Iterator[FileRef]:
    """The outs that are the model's paths or contain them."""
    for path in model.paths:
        for ref in record.outs.values():
            if is_in(path, [ref.path]):
                yield ref


def _releases_of(model: Model, material: Material) -> list[Release]:
    found = []
    for release in material.releases:
        # GTO writes an artifact of a folder as `folder:name`.
        _, _, name = release.model.rpartition(":")
        if name == model.name:
            found.append(release)
    return found


def _model(
    model: Model, files: Sequence[FileRef], record: RunRecord, releases: Sequence[Release]
) -> Markup:
    how_to_release = None
    if not releases and _may_be_released(model, record):
        how_to_release = element("code", f"nbci promote {record.run}")
    pairs = (
        ("Stage", _stage(model)),
        ("Released as", ", ".join(map(_version_and_stage, releases))),
        ("Release it", how_to_release),
        ("Framework", model.framework),
        ("Files", fragment(*map(_file, files))),
        *_tensors(model, "inputs", "Takes"),
        *_tensors(model, "outputs", "Gives"),
    )
    return fragment(
        element("h3", model.name),
        optional("p", model.description),
        facts(pairs),
        *map(_card, releases),
    )


def _stage(model: Model) -> str | None:
    if model.stage and model.branches:
        return f"{model.stage}, from {' or '.join(model.branches)}"
    return model.stage


def _version_and_stage(release: Release) -> str:
    if not release.stage:
        return release.version
    return f"{release.version}, in {release.stage}"


def _may_be_released(model: Model, record: RunRecord) -> bool:
    """Whether nothing in the record stands against a release: `nbci promote` asks for more."""
    git, verdict = record.git, record.verdict
    if record.result != "passed" or git is None or git.dirty:
        return False
    if verdict is not None and verdict.refuses:
        return False
    return not model.branches or (git.branch is not None and allows(model.branches, git.branch))


def _tensors(
    model: Model, side: Literal["inputs", "outputs"], verb: str
) -> Iterator[tuple[str, str]]:
    signature = model.signature
    # A string is the path of a file that has the signature, which `nbci promote` reads.
    if signature is None or isinstance(signature, str):
        return
    for tensor in getattr(signature, side):
        yield f"{verb} {tensor.name}", str(tensor).partition(": ")[2]


def _file(ref: FileRef) -> Markup:
    digest = element("span", f"MD5 {ref.digest}", class_="under")
    return element("div", element("code", ref.path), f" {size(ref.bytes)}", digest)


def _card(release: Release) -> Markup | None:
    if not release.card:
        return None
    text = element("div", from_markdown(release.card), class_="rich prose")
    return fold(f"Card of {release.model} {release.version}", text)


# ------------------------------------------------------------------------------------ lineage
def lineage_section(material: Material, steps: Sequence[ShownStep]) -> Markup | None:
    """Return what the models were made from: the steps behind them, and data from outside.

    Without any models, what the outs were made from.
    """
    run = material.run
    evidence = evidence_steps(run.plan, run.record)
    models = {model.name: model.paths for model in models_of(run.plan.models)}
    written = [ref.path for step in evidence for ref in step.outs]
    if not written and not models:
        return None

    lineage = lineage_of(evidence, models)
    starts = _models_with_causes(lineage) or [f"file:{path}" for path in written[:_OUTS]]
    causes = lineage.causes_of(starts)
    used = [step for step in evidence if f"step:{step.name}" in causes]
    if not used:
        return None

    names = ", ".join(lineage.nodes[start].name for start in starts[:_NAMED])
    heads = ("Step", "Took", "Read", "Wrote", "With", "Made in")
    row = partial(_step_row, lineage=lineage, pages=steps_by_name(steps), material=material)
    # The last steps are those nearest to the model.
    rows = map(row, used[-_STEPS:])
    parts = [
        element("p", f"What {short_line(names, 200)} was made from.", class_="since"),
        table("The steps behind it", heads, rows, is_stacked=True),
    ]
    if len(used) > _STEPS:
        words = f"… and {counted(len(used) - _STEPS, 'earlier step')}."
        parts.append(element("p", words, class_="note"))
    return section("Lineage", *parts, _outside_data(used, written), anchor="lineage")


def _models_with_causes(lineage: Lineage) -> list[str]:
    """The models whose files a step of the run wrote, as nodes of the graph."""
    found = []
    for node in lineage.nodes:
        # A model that the run did not make has a node, too, but nothing leads to it.
        if node.startswith("model:") and lineage.next_to(node, up=True):
            found.append(node)
    return found


def _step_row(
    step: EvidenceStep, *, lineage: Lineage, pages: Mapping[str, ShownStep], material: Material
) -> tuple[str, ...]:
    name_or_link: str = step.name
    if step.name in pages:
        name_or_link = step_link(pages[step.name])
    made_in = "this run"
    if step.run != material.run.record.run:
        made_in = run_link(step.run or "", material.addresses)
    return (
        name_or_link,
        "; ".join(_values_taken(step, lineage)),
        _list_names(map(_path, step.deps)),
        _list_names(map(_path, step.outs)),
        _list_names(_parameters(step)),
        made_in,
    )


def _values_taken(step: EvidenceStep, lineage: Lineage) -> Iterator[str]:
    """Values by the step that gave them; other edges are files, which have their own column."""
    for edge in lineage.next_to(f"step:{step.name}", up=True):
        if edge.values:
            yield f"{', '.join(edge.values)} from {lineage.nodes[edge.source].name}"


def _parameters(step: EvidenceStep) -> Iterator[str]:
    for name, value in (step.params or {}).items():
        yield f"{name} = {short_line(as_json(value), 40)}"


def _path(ref: FileRef) -> str:
    return ref.path


def _outside_data(used: Sequence[EvidenceStep], written: Sequence[str]) -> Markup | None:
    """The files that the steps read and that none of them wrote."""
    found: dict[str, FileRef] = {}
    for step in used:
        for ref in step.deps:
            if not is_in(ref.path, written):
                found[ref.path] = ref
    if not found:
        return None

    rows = []
    for path, ref in found.items():
        name, digest = element("code", short_line(path, _PATH_LENGTH)), element("code", ref.digest)
        rows.append((name, size(ref.bytes), str(ref.files), digest))
    heads = ("Path", "Size", "Files", "MD5")
    shown = table("Data from outside", heads, rows[:_DATA], is_stacked=True)
    return fragment(element("h3", "Data from outside"), shown, left_out_note(len(rows), _DATA))


def _list_names(names: Iterable[str]) -> str:
    return listed([short_line(name, _NAME_LENGTH) for name in names], _NAMED)
