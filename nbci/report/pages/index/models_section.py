"""The models that the run made: their files, releases and cards, and what they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nbci.formatting.numbers import counted, listed
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, short_line
from nbci.git.branches import allows
from nbci.pipeline.models import models_of
from nbci.registry.evidence import evidence_steps
from nbci.registry.lineage import lineage_of
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import facts, linked, section
from nbci.report.html.untrusted import from_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.pipeline.models import Model, Tensor
    from nbci.records.manifest import EvidenceStep
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.registry.lineage import Lineage
    from nbci.report.data.material import Material, Release
    from nbci.report.data.view import ShownStep

_NAMED = 8
_OUTS = 20
_STEPS = 50
_DATA = 100


def models_section(material: Material) -> Markup | None:
    """Each model of the pipeline, as far as the run made it."""
    record = material.run.record
    outs = _outs(record)
    shown = [
        _model(
            model,
            files,
            record,
            [
                release
                for release in material.releases
                if release.model.rpartition(":")[2] == model.name
            ],
        )
        for model in models_of(material.run.plan.models)
        if (files := [ref for path in model.paths for ref in _of(path, outs)])
    ]
    return (
        section("Model" if len(shown) == 1 else "Models", *shown, anchor="models")
        if shown
        else None
    )


def _model(
    model: Model, files: Sequence[FileRef], record: RunRecord, releases: Sequence[Release]
) -> Markup:
    promoted = ", ".join(
        f"{it.version}, in {it.stage}" if it.stage else it.version for it in releases
    )
    to_do = (
        element("code", f"nbci promote {record.run}")
        if not releases and _may_be_released(model, record)
        else None
    )
    said = facts(
        (
            (
                "Stage",
                f"{model.stage}, from {' or '.join(model.branches)}"
                if model.stage and model.branches
                else model.stage,
            ),
            ("Released as", promoted),
            ("Release it", to_do),
            ("Framework", model.framework),
            ("Files", fragment(*(_file(ref) for ref in files))),
            *(
                (f"Takes {tensor.name}", str(tensor).partition(": ")[2])
                for tensor in _tensors(model, "inputs")
            ),
            *(
                (f"Gives {tensor.name}", str(tensor).partition(": ")[2])
                for tensor in _tensors(model, "outputs")
            ),
        )
    )
    description = element("p", model.description) if model.description else None
    return fragment(
        element("h3", model.name), description, said, *(_card(release) for release in releases)
    )


def _may_be_released(model: Model, record: RunRecord) -> bool:
    """As far as the record tells: `nbci promote` asks for more."""
    git, verdict = record.git, record.verdict
    if (
        record.result != "passed"
        or git is None
        or git.dirty
        or (verdict is not None and verdict.refuses)
    ):
        return False
    return not model.branches or (git.branch is not None and allows(model.branches, git.branch))


def _tensors(model: Model, side: Literal["inputs", "outputs"]) -> Sequence[Tensor]:
    signature = model.signature
    return () if signature is None or isinstance(signature, str) else getattr(signature, side)


def _card(release: Release) -> Markup | None:
    if not release.card:
        return None
    return folded(
        f"Card of {release.model} {release.version}",
        element("div", from_markdown(release.card), class_="rich prose"),
    )


def _file(ref: FileRef) -> Markup:
    digest = element("span", f"MD5 {ref.digest}", class_="under")
    return element("div", element("code", ref.path), f" {size(ref.bytes)}", digest)


def _outs(record: RunRecord) -> dict[str, FileRef]:
    return {ref.path: ref for step in record.steps for ref in step.outs}


def _of(path: str, outs: Mapping[str, FileRef]) -> list[FileRef]:
    """Return the out that has this path or contains it."""
    return [ref for out, ref in outs.items() if path == out or path.startswith(f"{out}/")]


def lineage_section(material: Material, steps: Sequence[ShownStep]) -> Markup | None:
    """Return what the models were made from: the steps behind them, and data from outside.

    Without any models, what the outs were made from.
    """
    run = material.run
    evidence = evidence_steps(run.plan, run.record)
    models = {model.name: model.paths for model in models_of(run.plan.models)}
    made = [ref.path for step in evidence for ref in step.outs]
    if not made and not models:
        return None
    lineage = lineage_of(evidence, models)
    starts = [
        node
        for node in lineage.nodes
        if node.startswith("model:") and lineage.next_to(node, up=True)
    ]
    starts = starts or [f"file:{path}" for path in made[:_OUTS]]
    behind = _behind(lineage, starts)
    used = [step for step in evidence if f"step:{step.name}" in behind]
    if not used:
        return None
    shown = {step.record.name: step for step in steps}
    rows = [_step_row(step, lineage, shown, run.record.run) for step in used[-_STEPS:]]
    of = ", ".join(lineage.nodes[start].name for start in starts[:_NAMED])
    heads = ("Step", "Took", "Read", "Wrote", "With", "Made in")
    return section(
        "Lineage",
        element("p", f"What {short_line(of, 200)} was made from.", class_="since"),
        table("The steps behind it", heads, rows, is_stacked=True),
        element("p", f"… and {counted(len(used) - _STEPS, 'earlier step')}.", class_="note")
        if len(used) > _STEPS
        else None,
        _outside(used, made),
        anchor="lineage",
    )


def _outside(used: Sequence[EvidenceStep], made: Sequence[str]) -> Markup | None:
    """The files that the steps read and that none of them wrote."""
    found = {ref.path: ref for step in used for ref in step.deps if not _is_made(ref.path, made)}
    if not found:
        return None
    rows = [
        (
            element("code", short_line(path, 200)),
            size(ref.bytes),
            str(ref.files),
            element("code", ref.digest),
        )
        for path, ref in found.items()
    ]
    shown = table("Data from outside", ("Path", "Size", "Files", "MD5"), rows[:_DATA])
    more = (
        element("p", f"… and {len(rows) - _DATA:,} more.", class_="note")
        if len(rows) > _DATA
        else None
    )
    return fragment(element("h3", "Data from outside"), shown, more)


def _behind(lineage: Lineage, starts: Sequence[str]) -> set[str]:
    """Everything that leads to these nodes."""
    causes: dict[str, list[str]] = {}
    for edge in lineage.edges:
        causes.setdefault(edge.target, []).append(edge.source)
    found, waiting = set(starts), list(starts)
    while waiting:
        fresh = [name for name in causes.get(waiting.pop(), ()) if name not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _step_row(
    step: EvidenceStep, lineage: Lineage, shown: Mapping[str, ShownStep], this_run: str
) -> tuple[str, ...]:
    """Values by the step that gave them."""
    taken = [
        f"{', '.join(edge.values)} from {lineage.nodes[edge.source].name}"
        for edge in lineage.next_to(f"step:{step.name}", up=True)
        if edge.values
    ]
    params = [
        f"{name} = {short_line(as_json(value), 40)}" for name, value in (step.params or {}).items()
    ]
    made = "this run" if step.run == this_run else element("code", step.run or "")
    return (
        linked(shown[step.name]) if step.name in shown else step.name,
        "; ".join(taken),
        _some(ref.path for ref in step.deps),
        _some(ref.path for ref in step.outs),
        _some(params),
        made,
    )


def _some(names: Iterable[str]) -> str:
    return listed([short_line(name, 120) for name in names], _NAMED)


def _is_made(path: str, made: Sequence[str]) -> bool:
    return any(path == out or path.startswith(f"{out}/") for out in made)
