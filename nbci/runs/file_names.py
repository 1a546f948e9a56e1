"""Names of the files in a run's folder, `.nbci/runs/ID/`, and in the folders of its steps.

Users and the report's readers know them, and runs of earlier versions have them: none is renamed.
"""

from __future__ import annotations

from typing import Final

RUN_FILE: Final = "run.json"
PLAN_FILE: Final = "plan.json"
EVENTS_FILE: Final = "events.jsonl"
REUSED_FILE: Final = "reused.jsonl"
SEAL_FILE: Final = "seal.json"
SIGNATURE_FILE: Final = "seal.sig"
LOCK_FILE: Final = ".lock"
RESERVE_FILE: Final = ".reserve"
REPORT_FOLDER: Final = "report"
NOTEBOOKS_FOLDER: Final = "notebooks"
STEPS_FOLDER: Final = "steps"
BELONGING: Final = "runs"
"""The runs that belong to the run, such as its proofs."""
PROOF_FILE: Final = "proof.json"
"""Of a run that was carried out to prove another: what came of that."""
BLAME_FILE: Final = "blame.json"
"""Why metrics moved between an earlier run and this one."""
DISPLACED: Final = "displaced"
"""What stood where a step was to write and no run had made; it is kept nowhere else."""

# In the folder of a step.
RECORD_FILE: Final = "record.json"
NOTEBOOK: Final = "notebook.ipynb"
JOURNAL: Final = "outputs.jsonl"
KERNEL_LOG: Final = "kernel.log"
SPILL_FOLDER: Final = "files"
"""Outputs too large for the notebook."""
ATTEMPTS_FOLDER: Final = "attempts"
