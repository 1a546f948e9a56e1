"""The report's files on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_report(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file below `folder`, whole or not at all; files of other names stay.

    InfrastructureError when the disk refuses.
    """
    for name, content in files.items():
        write_atomic(folder / name, content)
