"""Which of several versions of a value a step gets, when branches meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.handoff.values import ValueRef


def resolve_join(name: str, took: ValueRef | None, gave: Mapping[str, ValueRef]) -> ValueRef:
    """The version of `name` that counts: `took` is what the branches started from, `gave` what each
    handed on.

    The one giver that changed it wins; equal digests are the same value. Raises StepError when two
    changed it differently.
    """
    if not gave:
        if took is None:
            raise StepError(f"nobody gives `{name}`")
        return took
    changed = {
        giver: ref for giver, ref in gave.items() if took is None or ref.object != took.object
    }
    firm = {giver: ref for giver, ref in changed.items() if not ref.called}
    if changed and not firm:  # what is in a cache is computed again where it is missing
        return changed[min(changed)]
    changed = firm
    if not changed:
        return next(iter(gave.values()))
    if len({ref.object for ref in changed.values()}) > 1:
        first, second = _two_that_differ(changed)
        raise StepError(
            f"the steps `{first}` and `{second}` both change `{name}`, and their versions differ",
            hint=f"let one of them come after the other, or give the two results different names than `{name}`",
        )
    return next(iter(changed.values()))


def _two_that_differ(changed: Mapping[str, ValueRef]) -> tuple[str, str]:
    first = next(iter(changed))
    second = next(giver for giver, ref in changed.items() if ref.object != changed[first].object)
    return first, second
