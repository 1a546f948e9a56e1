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

    from nbci.pipeline.models import Signature
    from nbci.promotion.packaging import Packaged
    from nbci.records.manifest import Manifest

# the manifest holds all packages; a longer table would make the card hard to read
_NAMED_DISTRIBUTIONS = 40


def card(manifest: Manifest, model: Packaged, tag: str, introduction: str | None = None) -> str:
    """The card of a release, Markdown.

    `tag` is the release's; `introduction` is the project's own text.
    """
    blocks = [
        f"# {_line(manifest.model)} {manifest.version}",
        introduction.strip() if introduction else _line(model.description or ""),
        _table(("", ""), _facts(manifest, model)),
        "## Getting it",
        _getting(manifest, tag),
        *_signature(model.signature),
        *_section(
            "Metrics",
            ("metric", "value"),
            ((name, number(value)) for name, value in _metrics(manifest)),
        ),
        *_section("Gates", ("asked", "verdict", "found", "reason"), _gates(manifest)),
        *_section("Tried", ("file", "rows of its sample", "largest difference"), _trials(model)),
        *_section(
            "Files",
            ("path", "size", "MD5"),
            ((f.path, size(f.bytes), f.digest) for f in manifest.files),
        ),
        *_section("Parameters", ("parameter", "value", "from"), _parameters(manifest)),
        *_section("Data", ("path", "size", "MD5"), _data(manifest)),
        *_section("Steps", ("step", "notebook", "kernel", "ended (UTC)"), _steps(manifest)),
        *_section("Packages", ("package", "version"), _packages(manifest)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


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
    yield from ((name, value) for name, value in facts.items() if value)


def _getting(manifest: Manifest, tag: str) -> str:
    commands = [f"nbci models get {manifest.model}@{manifest.version} DESTINATION"]
    commands += [f"dvc get REPOSITORY {file.path} --rev {tag}" for file in manifest.files]
    return "\n".join(["```sh", *commands, "```"])


def _signature(signature: Signature | None) -> Iterator[str]:
    if signature is None:
        return
    rows = [("input", tensor) for tensor in signature.inputs] + [
        ("output", tensor) for tensor in signature.outputs
    ]
    yield from _section(
        "Signature",
        ("", "name", "type", "shape"),
        (
            (
                kind,
                tensor.name,
                tensor.dtype,
                ", ".join("any" if axis is None else str(axis) for axis in tensor.shape),
            )
            for kind, tensor in rows
        ),
    )


def _metrics(manifest: Manifest) -> list[tuple[str, float]]:
    return sorted((manifest.metrics or {}).items())


def _gates(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    for gate in manifest.verdict.gates if manifest.verdict else ():
        found = "" if gate.found is None else number(gate.found)
        yield gate.asked, gate.result, found, gate.reason


def _trials(model: Packaged) -> Iterator[tuple[str, str, str]]:
    for trial in model.trials:
        largest = ", ".join(
            f"{name} {value:.2g}" for name, value in sorted(trial.largest_difference.items())
        )
        yield trial.path, str(trial.rows), largest


def _parameters(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for param in manifest.params:
        yield param.name, str(param.value), param.source


def _data(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield the files that the steps read and that none of the steps wrote."""
    made = {out.path for step in manifest.steps for out in step.outs}
    read = {dep.path: dep for step in manifest.steps for dep in step.deps if dep.path not in made}
    yield from ((path, size(dep.bytes), dep.digest) for path, dep in sorted(read.items()))


def _steps(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    for step in manifest.steps:
        yield step.name, step.notebook, step.kernel or "", step.ended_utc or ""


def _packages(manifest: Manifest) -> list[tuple[str, str]]:
    loaded = {
        name: version
        for step in manifest.steps
        for name, version in (step.distributions or {}).items()
    }
    return sorted(loaded.items())[:_NAMED_DISTRIBUTIONS]


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The section's title and table, or nothing when it has no rows."""
    if listed := list(rows):
        yield f"## {title}"
        yield _table(header, listed)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_line(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(text: str) -> str:
    """Return the text on one line, with the characters escaped that Markdown or HTML interpret."""
    return re.sub(r"([\\`*_{}\[\]<>|#&])", r"\\\1", " ".join(text.split()))
