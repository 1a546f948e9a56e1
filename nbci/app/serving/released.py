"""Bring a release here, as a server takes it: what answers, and the sample that it answers."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.models import PredictNotebook, signature_of
from nbci.promotion.fetched import find_release, get_release
from nbci.serving.loading import ModelFile
from nbci.store.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.records.manifest import Manifest, ServedBy
    from nbci.registry.grammar import Reference

_FOLDER = "served"


class Released(Struct, frozen=True, kw_only=True):
    """A release whose files are here and are what was promoted."""

    commit: str
    manifest: Manifest
    files: tuple[ModelFile, ...]


def bring(
    reference: Reference, *, url: str | None, folder: Path, environ: Mapping[str, str]
) -> Released:
    """The release that is meant; `url` is its git repository, by default that of `folder`.

    UsageError where it has neither an ONNX file nor a notebook that answers, IntegrityError where
    its files are not what was promoted.
    """
    found = find_release(reference, url=url, folder=folder)
    target = cache_folder(environ) / _FOLDER / found.commit
    manifest = get_release(found, target)
    return Released(
        commit=found.commit, manifest=manifest, files=_model_files(found.model, manifest, target)
    )


def _model_files(model: str, manifest: Manifest, folder: Path) -> tuple[ModelFile, ...]:
    sample = None
    if manifest.sample is not None:
        sample = str(folder / manifest.sample.path)
    if manifest.served_by is not None:
        notebook = _notebook(model, manifest, manifest.served_by, folder)
        file = ModelFile(
            model=model,
            version=manifest.version,
            path=str(folder),
            sample=sample,
            notebook=notebook,
        )
        return (file,)
    paths = [ref.path for ref in manifest.files if ref.path.endswith(".onnx")]
    if not paths:
        named = ", ".join(ref.path for ref in manifest.files)
        raise UsageError(
            f"{model} {manifest.version} has no ONNX file to serve: {named}",
            hint="export the model to ONNX in the step that makes it, or name a notebook as its "
            "`serve:`: docs/serve.md",
        )
    files = []
    for path in paths:
        # One file is the model; several are told apart by their own names.
        name = model
        if len(paths) > 1:
            name = f"{model}.{PurePosixPath(path).stem}"
        files.append(
            ModelFile(model=name, version=manifest.version, path=str(folder / path), sample=sample)
        )
    return tuple(files)


def _notebook(model: str, manifest: Manifest, served_by: ServedBy, folder: Path) -> PredictNotebook:
    # The evidence is what somebody pushed: the notebook is one of the files that were compared.
    if served_by.notebook not in {ref.path for ref in served_by.files}:
        raise IntegrityError(
            f"the evidence of {model} {manifest.version} has no digest of its notebook"
        )
    declared = (manifest.details or {}).get("signature")
    return PredictNotebook(
        path=served_by.notebook, folder=str(folder), signature=signature_of(declared, model)
    )
