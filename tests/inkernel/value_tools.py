"""Values written and read by the modules that kernels are sent, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.inkernel import value_files
from nbci.inkernel.sharing import Groups, Probe
from nbci.inkernel.untouched import Kept, MappedFile, Picture

if TYPE_CHECKING:
    from pathlib import Path


def groups_of(values: dict[str, Any]) -> Groups:
    return Groups({name: Probe(name, value) for name, value in values.items()})


def write(folder: str | Path, values: dict[str, Any]) -> tuple[str, int]:
    """All values as one group: digest and size of its file."""
    digest, size = value_files.write_file(str(folder), groups_of(values).dumped(tuple(values), values))
    return digest, size


def read(folder: str | Path, digest: str) -> dict[str, Any]:
    return value_files.Mapped(str(folder), digest, False).load()


class Taken:
    """A group as a step takes it; `unchanged` is what its end would say."""

    def __init__(self, folder: str | Path, digest: str) -> None:
        mapped = value_files.Mapped(str(folder), digest, False)
        self.values = mapped.load()
        files = [MappedFile(mapped.path, mapped.data)] if mapped.count else []
        self._kept = Kept(Picture(self.values), files)

    @property
    def unchanged(self) -> bool:
        return self._kept.equals(Picture(self.values))
