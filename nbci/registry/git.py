"""Git as a process: one way to call it, and its refusals as errors that say what to do."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_QUIET = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_HINTS = {
    "dubious ownership": "let git trust the folder: git config --global --add safe.directory FOLDER",
    ".lock': File exists": "another git runs here, or was killed: when none runs, remove that .lock file",
    "Permission denied": "look at the rights of the files, or of the key that git uses",
    "Could not read from remote": "try again, and look at `git remote --verbose` and at your right to read there",
    "unable to access": "try again, and look at `git remote --verbose` and at your right to read there",
}


class GitFailed(InfrastructureError):
    """Git ended with an error; `said` is what it said."""

    def __init__(self, words: tuple[str, ...], said: str) -> None:
        said = _CREDENTIALS.sub("://", said.strip())
        hint = next((hint for part, hint in _HINTS.items() if part in said), None)
        lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
        told = "; ".join(line.rstrip(". ") for line in lines[:3]) or said.rpartition("\n")[2]
        super().__init__(f"git {words[0]} failed: {told or 'without a word'}", hint=hint)
        self.said = said


class Git:
    """The repository that a folder belongs to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, stdin: bytes | str | None = None, environ: Mapping[str, str] | None = None) -> str:
        """What the command prints; GitFailed when it fails."""
        return self.bytes(*words, stdin=stdin, environ=environ).decode("utf-8", "surrogateescape").rstrip("\n")

    def bytes(self, *words: str, stdin: bytes | str | None = None, environ: Mapping[str, str] | None = None) -> bytes:
        """What the command prints, as it is."""
        data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        try:
            done = subprocess.run(
                ["git", "-C", str(self.folder), *words],
                input=data if data is not None else b"",
                capture_output=True,
                check=False,
                env={
                    **os.environ,
                    "LC_ALL": "C",
                    "GIT_TERMINAL_PROMPT": "0",
                    "GIT_OPTIONAL_LOCKS": "0",
                    **(environ or {}),
                },
            )
        except FileNotFoundError:
            raise UsageError("git is not installed", hint="releases are git tags: install git") from None
        if done.returncode:
            raise GitFailed(words, done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def get(self, *words: str) -> str | None:
        """What the command prints; None when it fails."""
        try:
            return self(*words)
        except GitFailed:
            return None

    @property
    def prefix(self) -> str:
        """The folder's path in its repository, with `/` at its end, or empty for the repository's root."""
        return self("rev-parse", "--show-prefix")

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut when it was cloned."""
        return self("rev-parse", "--is-shallow-repository") == "true"

    def has_remote(self, name: str) -> bool:
        """Whether a remote of that name is known."""
        return self.get("remote", "get-url", name) is not None


def open_git(folder: Path) -> Git:
    """The repository of a folder; UsageError when there is none."""
    git = Git(folder)
    try:
        git("rev-parse", "--git-dir")
    except GitFailed as error:
        if "not a git repository" not in error.said:
            raise
        raise UsageError(
            "this is no git repository, and releases are git tags", hint="git init, and commit the project"
        ) from error
    return git
