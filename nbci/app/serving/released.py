"""Bring a release here, as a server takes it: what answers, and the sample that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.digests import file_digest
from nbci.errors import IntegrityError, Location, UsageError
from nbci.pipeline.models import PredictNotebook, signature_of
from nbci.promotion.fetched import KEPT_MANIFEST, find_release, get_release, read_release
from nbci.serving.loading import ModelFile
from nbci.store.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.records.manifest import Manifest, ServedBy
    from nbci.registry.grammar import Reference

_FOLDER = "served"


class Released(Struct, frozen=True, kw_only=True):
    """A release whose files are here and are what was promoted.

    `commit` tells releases apart: of one that came from a repository, its commit; of one that lies
    in a folder, the digest of its evidence.
    """

    commit: str
    manifest: Manifest
    files: tuple[ModelFile, ...]


def served_folder(commit: str, environ: Mapping[str, str]) -> Path:
    """Where the files of the release with this commit are kept for servers."""
    return cache_folder(environ) / _FOLDER / commit


def bring(
    reference: Reference, *, url: str | None, folder: Path, environ: Mapping[str, str]
) -> Released:
    """The release that is meant; `url` is its git repository, by default that of `folder`.

    UsageError where it has neither an ONNX file nor a notebook that answers, IntegrityError where
    its files are not what was promoted.
    """
    found = find_release(reference, url=url, folder=folder)
    target = served_folder(found.commit, environ)
    manifest = get_release(found, target)
    return Released(
        commit=found.commit, manifest=manifest, files=model_files(found.model, manifest, target)
    )


def bring_from(folder: Path, reference: Reference) -> Released:
    """The release that lies in a folder with its evidence, which has to be the one that is meant.

    The folder may be a link, which is turned to another release meanwhile: it is followed once.
    """
    target = folder.resolve()
    identity = evidence_digest(target)
    manifest = read_release(target)
    version = reference.version or manifest.version
    if (manifest.model, manifest.version) != (reference.model, version):
        raise UsageError(
            f"{manifest.model}@{manifest.version} lies there, not what was asked for",
            where=Location(str(folder)),
        )
    return Released(
        commit=identity, manifest=manifest, files=model_files(manifest.model, manifest, target)
    )


def evidence_digest(folder: Path) -> str:
    """What tells the release in a folder from others; empty where none lies there."""
    try:
        digest, _ = file_digest(folder / KEPT_MANIFEST)
    # Whoever reads the release says what is wrong.
    except OSError:
        return ""
    return digest


def model_files(model: str, manifest: Manifest, folder: Path) -> tuple[ModelFile, ...]:
    """What is served of a release whose files are in the folder; errors as of `bring`."""
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
    if not manifest.served:
        named = ", ".join(ref.path for ref in manifest.files)
        raise UsageError(
            f"{model} {manifest.version} has no ONNX file to serve: {named}",
            hint="export the model to ONNX in the step that makes it, or name a notebook as its "
            "`serve:`: docs/serve.md",
        )
    files = []
    for name, path in manifest.served.items():
        part = None
        if len(manifest.served) > 1:
            part = name.removeprefix(f"{manifest.model}.")
        files.append(
            ModelFile(
                model=name,
                version=manifest.version,
                path=str(folder / path),
                sample=sample,
                part=part,
            )
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
