"""Bring folders and jobs on the controller to what they should be.

Nothing that nbci did not make is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbci.errors import UsageError
from nbci.jenkins.items import differences, is_ours, merge_xml

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
    """Compare items with the controller's; UsageError for a job there that is not nbci's."""
    changes: list[Change] = []
    for item in items:
        # in a folder that is not there, it is not, either
        in_new_folder = bool(changes) and changes[-1].action == "create"
        if in_new_folder or controller.job_or_none(item.name) is None:
            changes.append(Change(item=item, action="create"))
        else:
            changes.append(_compare_existing(controller, item, is_folder=item is not items[-1]))
    return tuple(changes)


def apply(controller: Controller, changes: Sequence[Change]) -> None:
    """Carry the changes out, the outermost folder first.

    UsageError when an item has changed since it was compared.
    """
    for change in changes:
        item = change.item
        if change.action == "create":
            controller.create(item.name, item.xml)
        elif change.action == "update":
            now = controller.config(item.name)
            # Jenkins takes a whole configuration and has no condition on the one it replaces
            if now != change.found:
                raise UsageError(
                    f"{item.name} was changed by somebody else just now",
                    hint="look at it, and sync again",
                )
            controller.reconfigure(item.name, merge_xml(now, item.xml))


def _compare_existing(controller: Controller, item: Item, *, is_folder: bool) -> Change:
    found = controller.config(item.name)
    if not is_ours(found):
        # a team's folder may hold more than this project's jobs
        if is_folder:
            return Change(item=item, action="used")
        raise UsageError(
            f"{item.name} is there already, and nbci did not make it",
            hint="choose another name with --job or jenkins.job in [tool.nbci],"
            " or remove it by hand",
        )

    merge_xml(found, item.xml)  # refuses what is of another kind, before anything is changed
    lines = differences(found, item.xml)
    if not lines:
        return Change(item=item, action="keep", found=found)
    return Change(item=item, action="update", lines=lines, found=found)
