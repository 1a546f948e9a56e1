"""What a run's kernels are forked from, and what watches the files that they open."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nbci.engine.observed.opens import Opens
    from nbci.kernels.zygote.zygotes import Zygotes


class KernelSource:
    """The zygotes and file watches of one run, or of several that go on side by side.

    Both are None until `open`: a run in which no step needs a kernel has neither, since the imports
    alone would take it longer than all the rest. Without them kernels start as new processes, and
    files that are opened below Python are not seen.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        noticed: Callable[[str], None],
        lender: KernelSource | None = None,
    ) -> None:
        """`root` is watched; the zygotes are those of the `lender`, if there is one."""
        self._root = root
        self._environ = environ
        self._noticed = noticed
        self._lender = lender
        self.zygotes: Zygotes | None = None
        self.opens: Opens | None = None

    def open(self, spares: int) -> None:
        """Have kernels forked where that can be; `spares` of them are forked ahead."""
        from nbci.engine.observed.opens import Opens
        from nbci.kernels.zygote.zygotes import Zygotes

        if self._lender is None:
            self.zygotes = Zygotes(environ=self._environ, spares=spares, noticed=self._noticed)
        else:
            self.zygotes = self._lender.zygotes
        # Runs that come one after another in one folder have the same watches.
        if self.opens is None:
            self.opens = Opens(self._root)

    def lend(self, root: Path) -> KernelSource:
        """The source for a run in another folder: the zygotes of this one, which must be open."""
        return KernelSource(root, self._environ, self._noticed, lender=self)

    @contextlib.contextmanager
    def in_folder(self, root: Path) -> Iterator[KernelSource]:
        """The source for kernels of a workspace: the same zygotes, and watches of that folder."""
        source = self.lend(root)
        source.open(spares=0)
        try:
            yield source
        finally:
            source.close()

    def dismiss(self) -> None:
        """Have the zygotes end while the run does other things; `close` waits for them."""
        if self.zygotes is not None and self._lender is None:
            self.zygotes.dismiss()

    def close(self) -> None:
        """End the watches and the zygotes."""
        try:
            if self.opens is not None:
                self.opens.close()
        finally:
            if self.zygotes is not None and self._lender is None:
                self.zygotes.close()
