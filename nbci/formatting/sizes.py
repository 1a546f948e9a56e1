"""Numbers of bytes as people read them."""

from __future__ import annotations

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(count: int | None) -> str:
    """A number of bytes in kB, MB, GB or TB, of 1,000 each; nothing for None.

    >>> size(1_234_567)
    '1.23 MB'
    """
    if count is None:
        return ""
    for unit_bytes, unit in _UNITS:
        # 999,500 bytes are 1 MB once rounded to three digits, not "1e+03 kB".
        if count < 0.9995 * unit_bytes:
            continue
        amount = count / unit_bytes
        # `g` would write terabytes in four digits as a power of ten.
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        return f"{amount:.0f} {unit}"
    return f"{count} B"
