"""Build command lines of other programs, in which names from outside are never options."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_END_OF_OPTIONS = "--end-of-options"
_WITHOUT_IT = "rev-parse"
"""The git command that gets no such mark: until git 2.30 it printed the mark instead of heeding it.

See https://github.com/git/git/commit/3a1f91cfd9.
"""


def git_command(
    folder: Path, words: Sequence[str], operands: Sequence[str] = (), paths: Sequence[str] = ()
) -> list[str]:
    """The command line of a git command.

    `words` are nbci's own; `operands` and `paths` may come from anywhere.

    >>> from pathlib import Path
    >>> git_command(Path("."), ["ls-remote", "--tags"], ["origin"])
    ['git', '-C', '.', 'ls-remote', '--tags', '--end-of-options', 'origin']

    UsageError for an operand that git could take for an option.
    """
    command = ["git", "-C", str(folder), *words]
    if operands and words[0] != _WITHOUT_IT:
        command.append(_END_OF_OPTIONS)
    command += map(checked_operand, operands)
    if paths:
        command += ["--", *paths]
    return command


def checked_operand(operand: str) -> str:
    """A URL, revision, reference or name, unchanged.

    UsageError where a program could take it for something else.
    """
    if operand.startswith("-"):
        raise UsageError(
            f"{operand!r} begins with a dash, so it would be read as an option",
            hint="a URL, a revision and a name begin with another character; "
            "./ before a folder's name helps",
        )
    if "\0" in operand or "\n" in operand:
        raise UsageError(f"{operand!r} holds a character that no URL, revision or name has")
    return operand


def without_lfs(environ: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with which git works where git-lfs is set up but not installed.

    Files of git-lfs then count as they are in the working tree, as pointers.
    """
    if shutil.which("git-lfs") is not None:
        return {}
    # git numbers such settings from 0: those that the environment has already keep theirs.
    known = environ.get("GIT_CONFIG_COUNT", "")
    first = 0
    if known.isdecimal():
        first = int(known)
    settings = {"required": "false", "clean": "", "smudge": "", "process": ""}
    given = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings.items(), first):
        given |= {
            f"GIT_CONFIG_KEY_{number}": f"filter.lfs.{name}",
            f"GIT_CONFIG_VALUE_{number}": value,
        }
    return given
