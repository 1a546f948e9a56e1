"""Names of metrics: in full `step:metric`, in short `metric` where only one step has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def short_name(name: str) -> str:
    """The name without its step."""
    return name.partition(":")[2] or name


def step_of(name: str) -> str | None:
    """The step that a full name names, or the node that expands into it."""
    step, colon, _ = name.partition(":")
    if not colon:
        return None
    return step


def is_pattern(name: str) -> bool:
    """Whether the name is one of several steps: `train/*:auc`, in which `*` is any text."""
    return "*" in name


def matching(pattern: str, known: Iterable[str]) -> tuple[str, ...]:
    """The full names that a pattern is for.

    >>> matching("train/*:auc", ["train/svm:auc", "train/svm/fit:auc", "test:auc", "auc"])
    ('train/svm:auc', 'train/svm/fit:auc')
    """
    steps, _, metric = pattern.partition(":")
    wanted = re.compile(".*".join(map(re.escape, steps.split("*"))))
    found = []
    for name in known:
        step = step_of(name)
        if step is not None and short_name(name) == metric and wanted.fullmatch(step):
            found.append(name)
    return tuple(found)


def meant_by(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The full names that the name can mean.

    These are itself, that metric of a node's steps, or that metric of any step.
    """
    listed = tuple(known)
    # A short name may be declared for all steps, and then is known as it is.
    if name in listed:
        return (name,)
    step, short = step_of(name), short_name(name)
    # The steps of a node are named NODE/STEP.
    steps_begin_with = ""
    if step is not None:
        steps_begin_with = f"{step}/"
    return tuple(
        full for full in listed if full.startswith(steps_begin_with) and short_name(full) == short
    )
