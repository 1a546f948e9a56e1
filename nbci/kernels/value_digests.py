"""BLAKE3 for kernels: where its extension lies, and digests made here for interpreters that cannot
load it.
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


def whole(folder: Path, digests: Collection[str]) -> set[str]:
    """Those whose files are there, and are what their names say."""
    found = set()
    for digest in digests:
        with contextlib.suppress(OSError):  # the kernel will say why it cannot read it
            found.add(file_digest(folder / digest[:2] / digest[2:])[0])
    return found.intersection(digests)


def with_digests(answer: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a kernel said of saving, with all files in the places that their digests give them."""
    names = {name: _place(folder, name) for name in answer["undigested"]}
    return {
        **answer,
        "gives": [
            {**ref, "object": names.get(ref["object"], ref["object"])} for ref in answer["gives"]
        ],
    }


def _place(folder: Path, name: str) -> str:
    digest, _ = file_digest(folder / name)
    place = folder / digest[:2] / digest[2:]
    place.parent.mkdir(exist_ok=True)
    (folder / name).chmod(0o444)
    os.replace(folder / name, place)
    return digest
