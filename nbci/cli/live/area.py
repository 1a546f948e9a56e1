"""Rows that are drawn in place at the end of a terminal, with lines that scroll away above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nbci.cli.live.human import HumanStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text


class Area:
    """Draws with rich's texts, and moves the cursor itself.

    `rich.live` would draw in a thread of its own, and leave broken rows behind where a terminal
    becomes narrower.
    """

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        """Tests pass a `console` of another size than the stream's own."""
        from rich.console import Console

        self._stream = HumanStream(stream)
        self.console = console or Console(
            file=cast("TextIO", self._stream),
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
        )
        self._drawn: list[int] = []

    def draw(self, lines: Sequence[Text], rows: Sequence[Text]) -> None:
        """Write the lines in the place of the rows that were drawn last, and the new ones below."""
        # One write: between two of them a terminal would show no rows, and flicker.
        self._stream.write(self._wipe() + self._render([*lines, *rows]))
        self._drawn = [row.cell_len for row in rows]

    def leave(self) -> None:
        """Leave the rows as they stand; later text is written below them."""
        self._drawn = []

    def text(self, text: str, style: str = "") -> Text:
        """A line of text as the terminal is to show it."""
        from rich.text import Text

        # A terminal draws a tab wider than rich counts it, and a row would be broken in two.
        return Text(text.expandtabs(4), style=style)

    def _wipe(self) -> str:
        """The codes that move up to the first row and clear what is below.

        Rows take more than one line each in a terminal that became narrower.
        """
        if not self._drawn:
            return ""
        columns = max(self.console.width, 1)
        # Upside down division rounds up.
        lines = sum(max(1, -(-length // columns)) for length in self._drawn)
        # What has scrolled out of the window cannot be reached any more.
        lines = min(lines, max(self.console.height - 1, 1))
        # The first line goes by itself: some terminals keep a copy of all they show when it is
        # cleared from the top.
        return f"\r\x1b[{lines}A\x1b[K\n\x1b[J\x1b[A"

    def _render(self, texts: Sequence[Text]) -> str:
        """The texts as terminal codes, each on one line.

        Breaking long lines is left to the terminal, so that paths can be copied whole.
        """
        with self.console.capture() as capture:
            for text in texts:
                self.console.print(text, no_wrap=True, overflow="ignore", crop=False)
        return capture.get()
