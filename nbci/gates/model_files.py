"""The files of a baseline's model, under the paths by which a step of the run reads its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.pipeline.models import Signature, signature_of
from nbci.pipeline.paths import is_in
from nbci.plan.evaluation import model_deps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.gates.baseline import Baseline
    from nbci.pipeline.models import Model
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import FileRef

    ListingOf = Callable[[str], Mapping[str, str] | None]
    """The files of a folder's digest with theirs; None for a file."""


def baseline_files(
    baseline: Baseline, step: PlannedStep, models: Iterable[Model], listing: ListingOf
) -> tuple[FileRef, ...]:
    """The files that are to stand in the place of those of the models that the step reads.

    UsageError where the baseline has no such file.
    """
    found: dict[str, FileRef] = {}
    for model in models:
        for path in model_deps(step, model.paths):
            for ref in _files_at(path.rstrip("/"), model, baseline, listing):
                found[ref.path] = ref
    return tuple(found.values())


def _files_at(path: str, model: Model, baseline: Baseline, listing: ListingOf) -> Iterator[FileRef]:
    # A folder of the model may have been kept file by file.
    inside = [ref for ref in baseline.files if is_in(ref.path, [path])]
    if inside:
        yield from inside
        return
    for ref in baseline.files:
        if is_in(path, [ref.path]):
            digest = (listing(ref.digest) or {}).get(path.removeprefix(f"{ref.path}/"))
            if digest is not None:
                yield replace(ref, path=path, digest=digest, files=1)
                return
    is_champion = baseline.asked.startswith("champion")
    # A model of one file may have had another name when it was released.
    if is_champion and len(model.paths) == 1 and len(baseline.files) == 1:
        yield replace(baseline.files[0], path=path)
        return
    raise UsageError(f"it has no file {path}")


def refuse_other_signature(model: Model, baseline: Baseline, root: Path) -> None:
    """UsageError where the baseline's model takes or answers something else than is declared now.

    What neither declares shows when the step is carried out.
    """
    declared = _declared_signature(model, root)
    if declared is None or baseline.signature is None:
        return
    try:
        before = msgspec.convert(baseline.signature, Signature)
    except msgspec.ValidationError:
        # Another nbci may have written it in another form.
        return
    known = {tensor.name: tensor for tensor in (*before.inputs, *before.outputs)}
    for tensor in (*declared.inputs, *declared.outputs):
        other = known.get(tensor.name)
        if other is None or not tensor.fits(other):
            had = other or "no such input or output"
            raise UsageError(f"its signature is another: it has {had} where {tensor} is declared")


def _declared_signature(model: Model, root: Path) -> Signature | None:
    if not isinstance(model.signature, str):
        return model.signature
    try:
        return signature_of(json.loads((root / model.signature).read_bytes()), model.name)
    except (OSError, ValueError) as error:
        raise UsageError(f"{model.signature} cannot be read: {error}") from error
