"""What is the same in each run of a step, to see whether what it gives depends on that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping


class Held(Struct, frozen=True, kw_only=True):
    """Conditions that a step runs under.

    `in_kernel` are those that its kernel sees to, by their names in `inkernel.held_conditions`;
    `variables` go before all others of the kernel's environment.
    """

    in_kernel: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def with_too(self, other: Held) -> Held:
        """Both at once."""
        return Held(
            in_kernel=(*self.in_kernel, *other.in_kernel),
            variables={**self.variables, **other.variables},
        )


NOTHING_HELD = Held()
