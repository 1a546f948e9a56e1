"""Brings folders and jobs on the controller to what they should be; nothing that nbci did not make
is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbci.errors import UsageError
from nbci.jenkins.items import differences, is_ours, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.jenkins.controller import Controller
    from nbci.jenkins.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done to an item.

    A folder that is not nbci's is `used`: jobs are put in it, it stays as it is.
    """

    item: Item
    action: Literal["create", "update", "keep", "used"]
    lines: tuple[str, ...] = ()
    found: str | None = None


def compare(controller: Controller, items: Sequence[Item]) -> tuple[Change, ...]:
    """What would be done; UsageError when a job is in the way that is not nbci's."""
    changes: list[Change] = []
    for item in items:
        if changes and changes[-1].action == "create":
            changes.append(
                Change(item=item, action="create")
            )  # its folder is not there, so it is not, either
            continue
        if controller.job_or_none(item.name) is None:
            changes.append(Change(item=item, action="create"))
            continue
        changes.append(_existing(controller, item, is_folder=item is not items[-1]))
    return tuple(changes)


def apply(controller: Controller, changes: Sequence[Change]) -> None:
    """Do it, the outermost folder first.

    UsageError when an item has changed since it was compared.
    """
    for change in changes:
        item = change.item
        if change.action == "create":
            controller.create(item.name, item.xml)
        elif change.action == "update":
            now = controller.config(item.name)
            if now != change.found:
                raise UsageError(
                    f"{item.name} was changed by somebody else just now",
                    hint="look at it, and sync again",
                )
            controller.reconfigure(item.name, merged(now, item.xml))


def _existing(controller: Controller, item: Item, *, is_folder: bool) -> Change:
    found = controller.config(item.name)
    if not is_ours(found):
        if is_folder:
            return Change(item=item, action="used")
        raise UsageError(
            f"{item.name} is there already, and nbci did not make it",
            hint="choose another name with --job or jenkins.job in [tool.nbci], or remove it by hand",
        )
    merged(found, item.xml)  # which refuses what is of another kind
    lines = differences(found, item.xml)
    return Change(item=item, action="update" if lines else "keep", lines=lines, found=found)
