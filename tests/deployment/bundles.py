"""Releases as they lie in a folder, made without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbci.deployment.target import Bundle
from nbci.promotion.fetched import KEPT_MANIFEST
from nbci.records.codec import to_json
from nbci.records.manifest import Manifest, Promoter
from nbci.store.file_index import FileIndex
from tests.serving.linear import linear

if TYPE_CHECKING:
    from pathlib import Path

BAD = "v9.9.9"
"""A version that does not answer its sample: it never gets ready."""


def make_bundle(folder: Path, version: str) -> Bundle:
    """A release of the model `linear` in a folder, with its sample and evidence."""
    recorded = {}
    if version == BAD:
        recorded["scores"] = np.zeros((4, 2), dtype=np.float32)
    linear(folder, version, **recorded)
    index = FileIndex(folder / ".digests")
    manifest = Manifest(
        model="linear",
        version=version,
        run="R",
        pipeline="p",
        target="p.yaml",
        commit="x",
        promoted_utc="2026-01-01T00:00:00Z",
        by=Promoter(name="A", email="a@b.c"),
        nbci="0",
        python="3.12.4",
        files=(index.fingerprint(folder, "linear.onnx"),),
        sample=index.fingerprint(folder, "sample.npz"),
    )
    (folder / KEPT_MANIFEST).write_text(to_json(manifest), encoding="utf-8")
    return Bundle(model="linear", commit="c" * 40, folder=folder, manifest=manifest)
