"""Bring a release here, as a server takes it: its ONNX files, and the sample that they answer."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.errors import UsageError
from nbci.promotion.fetched import find_release, get_release
from nbci.serving.loading import ModelFile
from nbci.store.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.records.manifest import Manifest
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

    UsageError where it has no ONNX file, IntegrityError where its files are not what was promoted.
    """
    found = find_release(reference, url=url, folder=folder)
    target = cache_folder(environ) / _FOLDER / found.commit
    manifest = get_release(found, target)
    return Released(
        commit=found.commit, manifest=manifest, files=_model_files(found.model, manifest, target)
    )


def _model_files(model: str, manifest: Manifest, folder: Path) -> tuple[ModelFile, ...]:
    paths = [ref.path for ref in manifest.files if ref.path.endswith(".onnx")]
    if not paths:
        named = ", ".join(ref.path for ref in manifest.files)
        raise UsageError(
            f"{model} {manifest.version} has no ONNX file to serve: {named}",
            hint="export the model to ONNX in the step that makes it: docs/promotion.md",
        )
    sample = None
    if manifest.sample is not None:
        sample = str(folder / manifest.sample.path)
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
