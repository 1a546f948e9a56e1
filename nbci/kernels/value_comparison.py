"""What a kernel is asked to say how two versions of its values differ, and how it answers."""

from __future__ import annotations

import importlib.resources
import json
import secrets
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.kernels.job import ProgramCell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class ComparedFiles(Struct, frozen=True, kw_only=True):
    """Values to compare: their names, each with the digest of its file before and now.

    The files lie in `folder`. `tolerances` of floats are relative and absolute. Texts may differ by
    the first of `folders` now and the second before. `by_reference` are names that the notebook's
    first cells bind.
    """

    folder: Path
    pairs: tuple[tuple[str, str, str], ...]
    tolerances: tuple[float, float]
    folders: tuple[str, str]
    by_reference: tuple[str, ...]


class ComparingCell:
    """A cell that compares values in the kernel, the only place where they may be loaded."""

    def __init__(self, files: ComparedFiles) -> None:
        # Nobody can know it beforehand: what a cell of the notebook prints is no answer.
        self._mark = f"nbci-{secrets.token_hex(16)} "
        self._files = files

    @property
    def cell(self) -> ProgramCell:
        """The cell, which leaves no name behind."""
        source = importlib.resources.files("nbci.inkernel").joinpath("differences.py")
        code = f"{source.read_text(encoding='utf-8')}\nshow({self._mark!r}, {self._question()!r})\n"
        # `from __future__` is the first statement of what is compiled, so annotations stay texts.
        return ProgramCell(role="step", number=None, source=f"exec({code!r}, {{}})")

    def _question(self) -> str:
        return json.dumps(
            {
                "folder": str(self._files.folder),
                "pairs": self._files.pairs,
                "tolerances": self._files.tolerances,
                "folders": self._files.folders,
                "by_reference": self._files.by_reference,
            }
        )

    def answers(self, notebook: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """An answer for each pair, as far as the executed notebook has them."""
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                for line in "".join(output.get("text", "")).splitlines():
                    if line.startswith(self._mark):
                        answers: list[dict[str, Any]] = json.loads(line.removeprefix(self._mark))
                        return answers
        return ()
