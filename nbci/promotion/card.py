"""Write the card of a model: a README.

It says what the model is, how it was judged, what it was made of, and how to get it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.formatting.numbers import number
from nbci.formatting.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.pipeline.models import Signature, Tensor
    from nbci.promotion.packaging import Packaged
    from nbci.records.manifest import Manifest

# the manifest holds all packages; a longer table would make the card hard to read
_NAMED_DISTRIBUTIONS = 40


def card(manifest: Manifest, model: Packaged, tag: str, introduction: str | None = None) -> str:
    """The card of a release, Markdown.

    `tag` is the release's; `introduction` is the project's own text.
    """
    metrics = ((name, number(value)) for name, value in _metrics(manifest))
    files = ((file.path, size(file.bytes), file.digest) for file in manifest.files)
    blocks = [
        f"# {_line(manifest.model)} {manifest.version}",
        # the project's own text is Markdown already; a description is plain text
        (introduction or "").strip() or _line(model.description or ""),
        _table(("", ""), _facts(manifest, model)),
        "## Getting it",
        _commands(manifest, tag),
        *_section("Signature", ("", "name", "type", "shape"), _tensors(model.signature)),
        *_section("Metrics", ("metric", "value"), metrics),
        *_section("Gates", ("asked", "verdict", "found", "reason"), _gates(manifest)),
        *_section("Tried", ("file", "rows of its sample", "largest difference"), _trials(model)),
        *_section("Files", ("path", "size", "MD5"), files),
        *_section("Parameters", ("parameter", "value", "from"), _parameters(manifest)),
        *_section("Search", ("", ""), _search(manifest)),
        *_section("Data", ("path", "size", "MD5"), _data(manifest)),
        *_section("Steps", ("step", "notebook", "kernel", "ended (UTC)"), _steps(manifest)),
        *_section("Packages", ("package", "version"), _packages(manifest)),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _facts(manifest: Manifest, model: Packaged) -> Iterator[tuple[str, str]]:
    facts = {
        "framework": model.framework,
        "stage": manifest.stage,
        "promoted": f"{manifest.promoted_utc} by {manifest.by.name}",
        "commit": manifest.commit,
        "branch": manifest.branch,
        "pipeline": f"{manifest.pipeline} ({manifest.target})",
        "run": manifest.run,
        "build": manifest.build_url,
        "python": manifest.python,
        "platform": manifest.platform,
    }
    if manifest.profile is not None:
        facts["profile"] = f"{manifest.profile.path} ({size(manifest.profile.bytes)})"
    if manifest.proof is not None:
        facts["proof"] = f"{manifest.proof.sentence} (run {manifest.proof.run})"
    if manifest.because is not None:
        facts["started"] = str(manifest.because)
    if manifest.chosen is not None:
        facts["chosen"] = manifest.chosen.sentence
    if manifest.confirmed is not None:
        facts["confirmed"] = manifest.confirmed.sentence
    for name, value in facts.items():
        # a promotion by hand has no build, and a model may have no stage
        if value:
            yield name, value


def _commands(manifest: Manifest, tag: str) -> str:
    """The commands that fetch the model, for those with nbci and for those with DVC alone."""
    lines = ["```sh", f"nbci models get {manifest.model}@{manifest.version} DESTINATION"]
    for file in manifest.files:
        lines.append(f"dvc get REPOSITORY {file.path} --rev {tag}")
    lines.append("```")
    return "\n".join(lines)


def _tensors(signature: Signature | None) -> Iterator[tuple[str, str, str, str]]:
    if signature is None:
        return
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            yield kind, tensor.name, tensor.dtype, _shape(tensor)


def _shape(tensor: Tensor) -> str:
    """The lengths of the axes; ONNX leaves that of a batch open."""
    lengths = []
    for axis in tensor.shape:
        if axis is None:
            lengths.append("any")
        else:
            lengths.append(str(axis))
    return ", ".join(lengths)


def _metrics(manifest: Manifest) -> list[tuple[str, float]]:
    return sorted((manifest.metrics or {}).items())


def _gates(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    # a pipeline without gates has no verdict
    if manifest.verdict is None:
        return
    for gate in manifest.verdict.gates:
        found = ""
        if gate.found is not None:
            found = number(gate.found)
        yield gate.asked, gate.result, found, gate.reason


def _trials(model: Packaged) -> Iterator[tuple[str, str, str]]:
    for trial in model.trials:
        differences = []
        for name, value in sorted(trial.largest_difference.items()):
            differences.append(f"{name} {value:.2g}")
        yield trial.path, str(trial.rows), ", ".join(differences)


def _parameters(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for param in manifest.params:
        yield param.name, str(param.value), param.source


def _search(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What the values were chosen from; the evidence has every trial's value."""
    chosen = manifest.chosen
    if chosen is None:
        return
    yield "method", f"{chosen.method}, seed {chosen.seed}"
    yield "trials", f"{chosen.complete} complete, {chosen.pruned} pruned, {chosen.failed} failed"
    for name, dimension in chosen.space.items():
        # which kind of dimension it is shows in the rest
        known = {key: value for key, value in dimension.items() if key != "type"}
        yield name, ", ".join(f"{key} {value}" for key, value in known.items())
    for each in chosen.objectives:
        quartiles = (each.lower_quartile, each.median, each.upper_quartile)
        quartiles_text = ", ".join(map(number, quartiles))
        reach = f"{number(each.minimum)} to {number(each.maximum)}"
        yield each.metric, f"{number(each.chosen)}; of all {reach}, quartiles {quartiles_text}"


def _data(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield the files that the steps read and that none of the steps wrote."""
    written: set[str] = set()
    read = {}
    for step in manifest.steps:
        written.update(out.path for out in step.outs)
        for dep in step.deps:
            read[dep.path] = dep

    # the files between steps follow from the data, and would hide it in the table
    for path, dep in sorted(read.items()):
        if path not in written:
            yield path, size(dep.bytes), dep.digest


def _steps(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    for step in manifest.steps:
        yield step.name, step.notebook, step.kernel or "", step.ended_utc or ""


def _packages(manifest: Manifest) -> list[tuple[str, str]]:
    loaded: dict[str, str] = {}
    for step in manifest.steps:
        # None where none was observed, as in kernels of other languages
        loaded.update(step.distributions or {})
    return sorted(loaded.items())[:_NAMED_DISTRIBUTIONS]


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The section's title and table, or nothing when it has no rows."""
    if listed := list(rows):
        yield f"## {title}"
        yield _table(header, listed)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(header), _row(["---"] * len(header))]
    for row in rows:
        lines.append(_row(map(_line, row)))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(text: str) -> str:
    """Return the text on one line, with the characters escaped that Markdown or HTML interpret."""
    return re.sub(r"([\\`*_{}\[\]<>|#&])", r"\\\1", " ".join(text.split()))
