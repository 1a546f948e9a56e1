"""The proof of a run that is to be promoted, and whether it is the one that its model asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct

from nbci.closeness import RELATIVE_TOLERANCE
from nbci.errors import IntegrityError, UsageError
from nbci.formatting.numbers import listed, number
from nbci.graph import reachable
from nbci.pipeline.paths import overlap
from nbci.promotion.checks import Refused
from nbci.proofs.compare_steps import least
from nbci.proofs.sentences import first_item, proof_sentence
from nbci.records.manifest import ReleaseProof
from nbci.runs.file_names import PROOF_FILE
from nbci.runs.project_runs import belonging_runs
from nbci.runs.proofs import read_proof
from nbci.runs.run_file import content_digest

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.pipeline.models import Model
    from nbci.plan.model import Plan
    from nbci.records.proof import Proof, StepProof
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

_NAMED = 5


class NotProved(Refused):
    """The model asks for a proof of its run, and there is none yet."""


def check_proved(
    model: Model, plan: Plan, record: RunRecord, folder: RunFolder, signers: Path | None
) -> ReleaseProof | None:
    """The proof that counts for the model, which is also told where none is asked for.

    Refused where the model asks for one and there is none, or it says another thing; IntegrityError
    where it was altered.
    """
    made = folder.made_by(folder.read_header())
    found = _find_proof(made, _steps_behind(model, plan, record), signers)
    if model.proved is None:
        return found.proof
    if found.proof is None:
        raise NotProved(
            f"the model {model.name} asks for a proof (`proved: {model.proved}`): {found.reason}",
            hint=_remedy(made),
        )
    _require_agreement(model, made, found.proof)
    return found.proof


def _steps_behind(model: Model, plan: Plan, record: RunRecord) -> tuple[str, ...]:
    """The steps that the model's files come of, and those that its metrics come of."""
    makers = []
    for step in record.steps:
        # Gates judged the metrics, and the release shows them.
        makes = bool(step.metrics)
        for path in model.paths:
            makes = makes or any(overlap(path.rstrip("/"), ref.path) for ref in step.outs)
        if makes:
            makers.append(step.name)
    behind = reachable(makers, plan.edges())
    return tuple(step.name for step in record.steps if step.name in behind and step.ended_well)


class _Found(Struct, frozen=True, kw_only=True):
    """The proof that counts, or why there is none."""

    proof: ReleaseProof | None = None
    reason: str


def _find_proof(made: RunFolder, needed: tuple[str, ...], signers: Path | None) -> _Found:
    """The newest proof that has all of these steps, or in which one of them is not the same."""
    reason = f"run {made.run} has none"
    for folder in belonging_runs(made):
        proof = _read_proof(folder, made, signers)
        if proof is None:
            continue
        if (proof.run, proof.results) != (made.run, made.results_digest):
            reason = f"{proof.proof} is not of the results that run {made.run} has now"
            continue
        steps = tuple(step for step in proof.steps if step.step in needed)
        known = {step.step for step in steps}
        lacking = [name for name in needed if name not in known]
        # A step that was found to give another thing did so, whatever ran beside it.
        if lacking and first_item(steps, "different") is None:
            reason = f"{proof.proof} left out {listed(lacking, _NAMED)}, which the model comes of"
            continue
        return _Found(proof=_evidence(folder, made, proof, steps), reason="")
    return _Found(reason=reason)


def _read_proof(folder: RunFolder, made: RunFolder, signers: Path | None) -> Proof | None:
    """A proof as it was sealed; None where that run came to none."""
    try:
        proof = read_proof(folder)
        if proof is not None:
            folder.check_seal(signers)
    except (IntegrityError, UsageError) as error:
        raise IntegrityError(
            f"the proof {folder.run} of run {made.run} cannot be trusted: {error.message}",
            where=error.where,
            hint=_remedy(made),
        ) from error
    return proof


def _evidence(
    folder: RunFolder, made: RunFolder, proof: Proof, steps: tuple[StepProof, ...]
) -> ReleaseProof:
    sentence = proof_sentence(
        steps,
        proof.tolerance,
        later_seconds=proof.later_seconds,
        other_machine=proof.host != made.read_header().host,
    )
    return ReleaseProof(
        run=proof.proof,
        agreement=least([step.agreement for step in steps]),
        sentence=sentence,
        tolerance=proof.tolerance,
        digest=content_digest((folder.path / PROOF_FILE).read_bytes()),
        seal=folder.check_seal(),
        started_utc=proof.started_utc,
        host=proof.host,
        steps=tuple(step.step for step in steps),
    )


def _require_agreement(model: Model, made: RunFolder, proof: ReleaseProof) -> None:
    """Refused where the proof says less than the model asks for."""
    if proof.agreement == "different":
        _refuse(model, f"run {made.run} was {proof.sentence}", "mend that, run again, and prove it")
    if proof.agreement == "identical":
        return
    if model.proved == "identical":
        _refuse(model, f"run {made.run} was {proof.sentence}", _remedy(made))
    # With a large enough tolerance, anything would be the same.
    if proof.tolerance > RELATIVE_TOLERANCE:
        reason = (
            f"{proof.run} lets numbers differ by {number(proof.tolerance)} of their size, "
            f"and at most {number(RELATIVE_TOLERANCE)} counts"
        )
        _refuse(model, reason, _remedy(made))


def _refuse(model: Model, reason: str, hint: str) -> NoReturn:
    raise Refused(
        f"the model {model.name} asks for a proof (`proved: {model.proved}`): {reason}", hint=hint
    )


def _remedy(made: RunFolder) -> str:
    return f"nbci prove {made.run}"
