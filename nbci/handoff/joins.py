"""Choose which of several versions of a value a step gets where branches meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.handoff.values import ValueRef


def resolve_join(name: str, took: ValueRef | None, gave: Mapping[str, ValueRef]) -> ValueRef:
    """Return the version of `name` that counts.

    `took` is what the branches started from, `gave` what each handed on. The one giver that changed
    it wins; equal digests are the same value. Raises StepError when two changed it differently.
    """
    if not gave:
        if took is None:
            raise StepError(f"nobody gives `{name}`")
        return took

    before = took and took.object
    changed = {giver: ref for giver, ref in gave.items() if ref.object != before}
    if not changed:
        return next(iter(gave.values()))

    # A version that differs only in how often cached functions were called never contradicts
    # another: what is in a cache is computed again where it is missing. Among such versions alone,
    # the first by name is taken, so that the order in which steps end does not matter.
    firm = {giver: ref for giver, ref in changed.items() if not ref.called}
    if not firm:
        return changed[min(changed)]

    first, version = next(iter(firm.items()))
    for second, other in firm.items():
        if other.object != version.object:
            raise StepError(
                f"the steps `{first}` and `{second}` both change `{name}`, "
                "and their versions differ",
                hint="let one of them come after the other, "
                f"or give the two results different names than `{name}`",
            )
    return version
