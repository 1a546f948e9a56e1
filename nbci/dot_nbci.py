"""Names of the folder `.nbci`, where nbci keeps what belongs to a project, and of lock files.

A module below all rooms, because `git` and the quick look for an unchanged run need the names too,
and must not import `config`, which reads the project's settings.
"""

from __future__ import annotations

from typing import Final

NBCI_FOLDER: Final = ".nbci"

# All below are relative to the project's root.
RUNS_FOLDER: Final = f"{NBCI_FOLDER}/runs"
LOCKS_FOLDER: Final = f"{NBCI_FOLDER}/locks"
STATE_FOLDER: Final = f"{NBCI_FOLDER}/state"
DISPLACED_FOLDER: Final = f"{NBCI_FOLDER}/displaced"
STORE_FOLDER: Final = f"{NBCI_FOLDER}/store"
WORKSPACES_FOLDER: Final = f"{NBCI_FOLDER}/workspaces"
SWEEPS_FOLDER: Final = f"{NBCI_FOLDER}/sweeps"
DEPLOYMENTS_FOLDER: Final = f"{NBCI_FOLDER}/deployments"
REMOVED_FOLDER: Final = f"{NBCI_FOLDER}/removed"
INDEX_FILE: Final = f"{NBCI_FOLDER}/index.sqlite"

TEMPORARY_PREFIX: Final = ".nbci-"
"""How the names of files begin that are written beside their final place, and then renamed."""


def lock_file(name: str) -> str:
    """The name of the file that is the lock of what has this name, in any folder of locks.

    A name may hold slashes, and be longer than the name of a file: its end is what differs most.
    """
    return f"{name.replace('/', '%')[-200:]}.lock"
