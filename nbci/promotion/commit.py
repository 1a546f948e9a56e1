"""Write a release as git objects: blobs, a tree, a commit on no branch, tags.

No ref names them, so nothing of it is visible yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.commands import checked_operand
from nbci.promotion.publish import NewTag
from nbci.registry.grammar import tag_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.git.process import Git
    from nbci.records.manifest import Promoter
    from nbci.registry.grammar import TagName


def write_commit(
    git: Git, parent: str, files: Mapping[str, str], message: str, *, by: Promoter, folder: Path
) -> str:
    """A child of that commit with these files (paths from the repository's root) added or replaced.

    `folder` is where git may leave its index.
    """
    entries = []
    for path, text in files.items():
        # --no-filters: the text is stored as it is, whatever .gitattributes says of line ends
        blob = git("hash-object", "-w", "--stdin", "--no-filters", stdin=text)
        entries.append(f"100644 {blob}\t{path}\0")
    # an index other than the user's, whose staged changes must neither be lost nor released
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    git("read-tree", operands=[parent], environ=index)
    git("update-index", "-z", "--index-info", stdin="".join(entries), environ=index)
    tree = git("write-tree", environ=index)
    identity = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in
                (("NAME", by.name), ("EMAIL", by.email))}  # fmt: skip
    return git(
        "commit-tree",
        f"-p{checked_operand(parent)}",
        "-F-",
        operands=[tree],
        stdin=message,
        environ=identity,
    )


def write_tag(
    git: Git, tag: TagName, commit: str, message: str, *, by: Promoter, seconds: int
) -> NewTag:
    """An annotated tag on that commit, as an object that no ref names yet."""
    name = tag_name(tag)
    text = (
        f"object {commit}\ntype commit\ntag {name}\n"
        f"tagger {by.name} <{by.email}> {seconds} +0000\n\n{message.rstrip()}\n"
    )  # fmt: skip
    return NewTag(name=name, object=git("mktag", stdin=text))


def message_of(summary: str, notes: Mapping[str, str | None], text: str | None = None) -> str:
    """A message: a line, a text, and a last paragraph of `Key: value`."""
    # one line each, because the notes are read back line by line
    lines = [f"{key}: {' '.join(value.split())}" for key, value in notes.items() if value]
    return "\n\n".join([summary, *([text.strip()] if text else []), "\n".join(lines)]) + "\n"
