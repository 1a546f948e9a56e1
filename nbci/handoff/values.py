"""References to values: what one step hands to another, without the value itself."""

from __future__ import annotations

from msgspec import Struct

RANDOM_STATE = "random state of "
"""How the names begin of the states of global random generators, handed on beside variables."""


class ValueRef(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A saved variable.

    `object` is the digest of the file that holds it, together with its alias `group`. `refs` are
    names of what the notebook's parameters, imports and functions cells made and the bytes only
    name: a kernel that loads the value must have run their definitions. `reads` are names that
    functions in it look up when they are called. `called`: it differs from what those cells made
    only in how often cached functions were called. `type` is the qualified type name, for people.
    """

    name: str
    object: str
    bytes: int
    type: str
    group: tuple[str, ...]
    refs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    called: bool = False
