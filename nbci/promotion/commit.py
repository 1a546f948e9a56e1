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
    # both: an author from the environment of a CI job would stand in the release as its maker
    identity = {
        "GIT_AUTHOR_NAME": by.name,
        "GIT_AUTHOR_EMAIL": by.email,
        "GIT_COMMITTER_NAME": by.name,
        "GIT_COMMITTER_EMAIL": by.email,
    }
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
    lines = []
    for key, value in notes.items():
        if value:
            # one line each, because the notes are read back line by line
            lines.append(f"{key}: {' '.join(value.split())}")

    paragraphs = [summary]
    if text:
        paragraphs.append(text.strip())
    paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs) + "\n"
