"""Check notebooks that refer to other notebooks together with these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.dataflow.origin import NOTHING_BROUGHT
from nbci.errors import UsageError
from nbci.lint.check import wrong_composition
from nbci.notebook.read import parse_notebook
from nbci.params import bind
from nbci.pipeline.compose import notebook_pipeline
from nbci.pipeline.composition import references, unfold
from nbci.pipeline.tagged import understand
from nbci.plan.build import build_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbci.dataflow.origin import Brought
    from nbci.lint.finding import Finding
    from nbci.pipeline.model import TaggedNotebook


def referred_to(path: str, data: bytes) -> tuple[str, ...]:
    """The notebooks that this one refers to, as far as it can be read."""
    # most notebooks refer to no other, and a search of the bytes is cheaper than parsing them
    if b'"notebook_path"' not in data:
        return ()
    try:
        return tuple(references(understand(parse_notebook(data, path))))
    except UsageError:  # its own findings say what is wrong
        return ()


def composition(
    tagged: TaggedNotebook,
    understood: Mapping[str, TaggedNotebook | None],
    exists: Callable[[str], bool],
) -> TaggedNotebook | None:
    """Return the notebook joined with those that it refers to.

    None where one of them has mistakes. UsageError where one does not exist.
    """
    named = references(tagged)
    for path, reference in named.items():
        if not exists(path):
            where = tagged.notebook.where(tagged.notebook.cell(reference.cell))
            raise UsageError(f"there is no notebook {path}", where=where)

    others: dict[str, TaggedNotebook] = {}
    for path in named:
        other = understood.get(path)
        # its own findings say what is wrong; planning without it would only report consequences
        if other is None:
            return None
        others[path] = other
    return unfold(tagged, others)


def check_compositions(
    understood: dict[str, TaggedNotebook | None],
    brought: Mapping[str, Brought],
    exists: Callable[[str], bool],
) -> Iterator[Finding]:
    """Yield what keeps notebooks that refer to others from being planned together with them.

    Each such notebook in `understood` is replaced by its composition, or by None if there is none.
    """
    # a list, because the loop assigns to `understood`
    for path, tagged in list(understood.items()):
        if tagged is None or not tagged.references:
            continue
        try:
            found = understood[path] = composition(tagged, understood, exists)
            if found is not None:
                pipeline = notebook_pipeline(found, path)
                build_plan(
                    pipeline,
                    bind(pipeline.params, []),
                    sources={},
                    brought=brought.get(path, NOTHING_BROUGHT),
                )
        except UsageError as error:
            understood[path] = None
            yield wrong_composition(error, path)
