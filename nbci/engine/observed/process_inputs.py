"""What a process is given by its parent, as far as steps are seen to use it.

The module is quick to import.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nbci.umask import current_umask

if TYPE_CHECKING:
    from collections.abc import Mapping


def variable_state(name: str, environ: Mapping[str, str]) -> str:
    """A digest of a variable's value, which may be private.

    A name such as `TQDM_*` stands for all variables that begin so.
    """
    if name.endswith("*"):
        from nbci.secrets import credentials

        begun = {key: environ[key] for key in environ if key.startswith(name[:-1])}
        # Of these alone: a thousand steps ask, and each variable is judged by itself.
        secret = credentials(begun)
        found = sorted(f"{key}={begun[key]}" for key in begun.keys() - secret.keys())
        if not found:
            return "unset"
        return text_digest("\0".join(found))
    value = environ.get(name)
    if value is None:
        return "unset"
    return text_digest(value)


def umask_now() -> str:
    """The process's umask."""
    return f"{current_umask():03o}"


def text_digest(text: str) -> str:
    """A digest of text that may hold bytes that are no UTF-8, as names of files do."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
