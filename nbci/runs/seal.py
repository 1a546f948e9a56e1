"""The seal of a run: the digests of its records when it ended, signed where a key is given."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location
from nbci.runs.file_names import REUSED_FILE, SEAL_FILE, SIGNATURE_FILE, STEPS_FOLDER
from nbci.runs.run_file import content_digest, seal_text
from nbci.runs.signature import check_signature, sign
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write_seal(folder: Path, names: Iterable[str]) -> None:
    """Seal the files of these names that are in the folder of a run."""
    digests = {}
    for name in names:
        digest = _file_digest(f"{folder}/{name}")
        # A step that never began has no record, and steps may be reused without one of their own.
        if digest is not None:
            digests[name] = digest
    text = seal_text(digests)
    write_atomic(folder / SEAL_FILE, text)

    # What signed the run as it was before it was resumed does not fit this seal.
    (folder / SIGNATURE_FILE).unlink(missing_ok=True)
    signature = sign(content_digest(text.encode()), os.environ)
    if signature is not None:
        write_atomic(folder / SIGNATURE_FILE, signature)


def read_seal(folder: Path) -> Seal:
    """The seal in the folder of a run; IntegrityError when it has none that can be read."""
    try:
        content = (folder / SEAL_FILE).read_bytes()
        digests = dict(json.loads(content))
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            "the run's records carry no seal",
            where=Location(str(folder / SEAL_FILE)),
            hint="run again",
        ) from error
    return Seal(folder=folder, content=content, digests=digests)


def read_signature(folder: Path) -> str | None:
    """The signature of the seal in the folder of a run; None where it has none."""
    try:
        return (folder / SIGNATURE_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal as it was read: its bytes, and the digest of each sealed file of the folder."""

    folder: Path
    content: bytes
    digests: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of the seal itself, which stands for all records of the run."""
        return content_digest(self.content)

    @property
    def results_digest(self) -> str:
        """The digest of what is sealed of the steps: it stays when the run is judged once more."""
        names = sorted(filter(_is_of_steps, self.digests))
        of_steps = {name: self.digests[name] for name in names}
        return content_digest(seal_text(of_steps).encode())

    def refuse_altered(self) -> None:
        """Raise IntegrityError when a sealed file was removed or changed."""
        for name, sealed in self.digests.items():
            place = self.folder / name
            digest = _file_digest(place)
            if digest is None:
                raise _no_evidence("the record has gone", place)
            if digest != sealed:
                raise _no_evidence("the record was changed after the run", place)

    def refuse_added(self, names: Iterable[str]) -> None:
        """Raise IntegrityError when one of these files is there and was not sealed."""
        for name in names:
            if name not in self.digests and (self.folder / name).exists():
                raise _no_evidence("the record was added after the run", self.folder / name)

    def require_signer(self, signers: Path | None) -> None:
        """Raise IntegrityError when none of the `signers` signed it; None asks for no signature."""
        if signers is not None:
            check_signature(self.digest, read_signature(self.folder), signers)


def _is_of_steps(name: str) -> bool:
    return name == REUSED_FILE or name.startswith(f"{STEPS_FOLDER}/")


def _file_digest(path: Path | str) -> str | None:
    """The digest of a file, None where there is none."""
    try:
        with open(path, "rb") as file:
            return content_digest(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _no_evidence(message: str, place: Path) -> IntegrityError:
    return IntegrityError(
        message, where=Location(str(place)), hint="what it says is no evidence any more: run again"
    )
