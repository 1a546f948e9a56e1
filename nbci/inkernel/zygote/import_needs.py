"""Which modules need which others, as their imports showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ImportNeeds:
    """What each module imported itself, and so what comes with it."""

    def __init__(self) -> None:
        self.by_module: dict[str, set[str]] = {}

    def attach(self, name: str, new: set[str]) -> None:
        """Make `name` need those of the new modules that no import that was seen accounts for."""
        needed = set(self.closure(name))
        self.by_module.setdefault(name, set()).update(new - needed)

    def closure(self, name: str) -> list[str]:
        """`name` and all that it needs, what is needed first."""
        order: list[str] = []
        seen: set[str] = set()
        # not by recursion: imports may be deeper than Python's stack
        pending = [(name, False)]
        while pending:
            current, done = pending.pop()
            if done:
                order.append(current)
            elif current not in seen:
                seen.add(current)
                pending.append((current, True))
                # Python imports the package of a module before the module
                parent = current.rpartition(".")[0]
                needs = set(self.by_module.get(current, ()))
                if parent:
                    needs.add(parent)
                for other in needs - seen:
                    pending.append((other, False))
        return order


def with_packages(asked: Iterable[str]) -> set[str]:
    """The names that were asked for, and the top-level package of each."""
    names: set[str] = set()
    for mark in asked:
        name = mark.rstrip("?")  # it may be a module, or something else in one
        names.update((name, name.partition(".")[0]))
    return names
