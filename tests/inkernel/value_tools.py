"""Values written and read by the modules that kernels are sent, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blake3 import blake3

from nbci.inkernel import value_files
from nbci.inkernel.sharing import Groups, Probe
from nbci.inkernel.untouched import LoadedGroup, MappedFile, Picture
from nbci.kernels.value_digests import intact_values


def groups_of(values: dict[str, Any]) -> Groups:
    return Groups({name: Probe(name, value) for name, value in values.items()})


def write(folder: str | Path, values: dict[str, Any]) -> tuple[str, int]:
    """All values as one group: digest and size of its file."""
    digest, size = value_files.write_file(
        str(folder), groups_of(values).stream_of(tuple(values), values), blake3
    )
    return digest, size


def read(folder: str | Path, digest: str) -> dict[str, Any]:
    return mapped(folder, digest).load()


def mapped(folder: str | Path, digest: str) -> value_files.Mapped:
    """The file, verified as nbci does it."""
    return value_files.Mapped(str(folder), digest, digest in intact_values(Path(folder), [digest]))


class Taken:
    """A group as a step takes it; `unchanged` is what its end would say."""

    def __init__(self, folder: str | Path, digest: str) -> None:
        file = mapped(folder, digest)
        self.values = file.load()
        files = [MappedFile(file.path, file.data)] if file.count else []
        self._kept = LoadedGroup(Picture(self.values), files)

    @property
    def unchanged(self) -> bool:
        return self._kept.equals(Picture(self.values))
