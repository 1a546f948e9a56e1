"""BLAKE3 for kernels: where its extension lies, and digests that nbci computes for them.

A kernel loads the extension of nbci's own environment; one of another Python cannot.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import os
from typing import TYPE_CHECKING, Any

from nbci.digests import file_digest

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@functools.cache
def blake3_extension() -> tuple[str, str]:
    """Where the extension lies, and the ending that names the interpreters which can load it."""
    place = importlib.import_module("blake3.blake3").__file__
    return str(place), importlib.machinery.EXTENSION_SUFFIXES[0]


def intact_values(folder: Path, digests: Collection[str]) -> set[str]:
    """Those whose files are there, and are what their names say."""
    found = set()
    for digest in digests:
        # The kernel will say why it cannot read the file.
        with contextlib.suppress(OSError):
            found.add(file_digest(folder / digest[:2] / digest[2:])[0])
    return found.intersection(digests)


def with_digests(answer: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A kernel's answer about saving, with digests in the place of the names that it chose.

    The files are moved to where their digests say.
    """
    names = {name: _name_by_digest(folder, name) for name in answer["undigested"]}
    gives = []
    for ref in answer["gives"]:
        name = ref["object"]
        gives.append({**ref, "object": names.get(name, name)})
    return {**answer, "gives": gives}


def _name_by_digest(folder: Path, name: str) -> str:
    digest, _ = file_digest(folder / name)
    place = folder / digest[:2] / digest[2:]
    place.parent.mkdir(exist_ok=True)
    # As the kernel itself does with what it digests: values never change.
    (folder / name).chmod(0o444)
    os.replace(folder / name, place)
    return digest
