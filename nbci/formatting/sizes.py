"""Numbers of bytes as people read them."""

from __future__ import annotations


def size(count: int | None) -> str:
    """A number of bytes in kB, MB, GB or TB, of 1,000 each; nothing for None.

    >>> size(1_234_567)
    '1.23 MB'
    """
    if count is None:
        return ""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        # 999,999 bytes are 1 MB once rounded.
        if count >= 0.9995 * limit:
            shown = count / limit
            return f"{shown:.3g} {unit}" if shown < 999.5 else f"{shown:.0f} {unit}"
    return f"{count} B"
