"""The proofs of a run: each lies with the run that was carried out for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, UsageError
from nbci.records.codec import from_json, refuse_other_format, to_json
from nbci.records.proof import FORMAT, Proof
from nbci.runs.file_names import PROOF_FILE
from nbci.runs.project_runs import belonging_runs
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from nbci.runs.folder import RunFolder


def write_proof(folder: RunFolder, proof: Proof) -> None:
    """Keep a proof in the folder of the run that was carried out for it, which seals it."""
    write_atomic(folder.path / PROOF_FILE, to_json(proof))
    # Sealed with the records that it was made of: none of them can be changed without a trace.
    folder.write_run(folder.read())


def read_proof(folder: RunFolder) -> Proof | None:
    """The proof that a run was carried out for; None where it came to none.

    IntegrityError or UsageError for a file that this nbci cannot read.
    """
    path = folder.path / PROOF_FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    refuse_other_format(text, FORMAT, "the proof", path)
    return from_json(text, Proof, str(path))


def read_proofs(parent: RunFolder) -> tuple[Proof, ...]:
    """The proofs of a run, the newest first; damaged ones are left out."""
    found = []
    for folder in belonging_runs(parent):
        with suppress(IntegrityError, UsageError):
            proof = read_proof(folder)
            if proof is not None:
                found.append(proof)
    return tuple(found)
