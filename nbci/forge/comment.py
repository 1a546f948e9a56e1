"""One comment on a change, which each run updates instead of adding another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nbci.forge.client import Comment, Forge

_NAME = re.compile(r"[^\w./-]")
_RUN = r"(?P<run>[\w.-]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of it; `older` where a later run's comment stands, which is left as it is."""

    what: Literal["created", "updated", "older"]
    page: str


def keep_one(forge: Forge, pipeline: str, run: str, text: str) -> Posted:
    """Let the comment on this pipeline be `text`. Run ids sort by time.

    Only comments of the token's own user are touched: anybody can write one that looks like ours.
    """
    name = _NAME.sub("-", pipeline)
    body = f"<!-- nbci {name} {run} -->\n{text}"
    mark = re.compile(rf"<!-- nbci {re.escape(name)} {_RUN} -->")
    me = forge.me()

    ours = []
    for comment in forge.comments():
        found = mark.match(comment.body)
        if found is not None and _is_ours(comment, me):
            ours.append((found["run"], comment))
    if not ours:
        return Posted(what="created", page=forge.create(body).page)

    # builds may end in another order than they began: a newer run's figures stay
    newest = max(ours, key=lambda pair: pair[0])
    if newest[0] > run:
        return Posted(what="older", page=newest[1].page)
    posted = forge.update(ours[0][1], body)

    # two builds that ended at the same time have each made one
    for _, comment in ours[1:]:
        forge.remove(comment)
    return Posted(what="updated", page=posted.page)


def _is_ours(comment: Comment, me: int | None) -> bool:
    # The tokens of apps and of GitHub Actions may not ask who they are; such comments are a bot's.
    if me is None:
        return comment.by_bot
    return comment.author == me
