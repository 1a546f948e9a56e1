"""What is known of the module's names at one point of the code.

A name may be surely bound, maybe bound, or surely deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class State(Struct):
    """The names that are bound surely, maybe, and deleted surely (`gone`).

    `maybe` includes `sure`; `dead` code is never reached.
    """

    sure: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    dead: bool = False

    def copy(self) -> State:
        """The same knowledge, to change on its own."""
        return State(set(self.sure), set(self.maybe), set(self.gone), self.dead)

    def bind(self, name: str) -> None:
        """The name surely has a value now."""
        self.sure.add(name)
        self.maybe.add(name)
        self.gone.discard(name)

    def unbind(self, name: str) -> None:
        """The name surely has no value now."""
        self.sure.discard(name)
        self.maybe.discard(name)
        self.gone.add(name)

    def perhaps(self, events: Iterable[tuple[str, bool]]) -> State:
        """The knowledge after any of the events (name, whether bound) may have happened.

        Each may have happened any number of times, or never.
        """
        after = self.copy()
        for name, bound in events:
            if bound:
                after.maybe.add(name)
                after.gone.discard(name)
            else:
                after.sure.discard(name)
        return after


def join(states: Sequence[State]) -> State:
    """What is known when any one of the states, of which there is one at least, led here."""
    # Ways that ended before, as with `raise`, do not lead here.
    live = [state for state in states if not state.dead]
    if not live:
        after = State(set(states[0].sure), dead=True)
        for state in states:
            after.maybe |= state.maybe
        return after
    after = live[0].copy()
    for state in live[1:]:
        after.sure &= state.sure
        after.maybe |= state.maybe
        after.gone &= state.gone
    return after
