"""Which of Optuna's samplers chooses the points of a sweep, and which of its pruners stops trials.

Optuna's own modules are given: only the study imports them.
"""

from __future__ import annotations

import warnings
import zlib
from typing import TYPE_CHECKING, Any

from nbci.sweeps.brackets import bracket_of

if TYPE_CHECKING:
    from nbci.pipeline.fidelity import Fidelity
    from nbci.sweeps.study_record import SweepRecord


def make_sampler(samplers: Any, sweep: SweepRecord, so_far: int) -> Any:
    """What chooses the points of a sweep that had so many trials before this process."""
    # Sobol's sequence goes on where the study has it; the others would begin with the same again.
    seed = sweep.seed + so_far
    if sweep.study is not None:
        # So would processes that share a study and its seed.
        seed += zlib.crc32(sweep.sweep.encode())
    seed %= 2**32
    with warnings.catch_warnings(action="ignore"):
        match sweep.method:
            case "tpe" | "hyperband":
                return samplers.TPESampler(seed=seed)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "sobol":
                return samplers.QMCSampler(
                    qmc_type="sobol",
                    scramble=True,
                    seed=sweep.seed,
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case _:
                return samplers.RandomSampler(seed=seed)


def make_pruner(pruners: Any, sweep: SweepRecord) -> Any:
    """What decides by intermediate values which trials go on."""
    if sweep.fidelity is not None:
        return _hyperband(pruners, sweep, sweep.fidelity)
    asked = sweep.prune
    if asked is None:
        return pruners.NopPruner()
    match asked.by:
        case "median":
            return pruners.MedianPruner(
                n_startup_trials=asked.warmup_trials, n_warmup_steps=asked.warmup_steps
            )
        case "percentile":
            return pruners.PercentilePruner(
                asked.percentile,
                n_startup_trials=asked.warmup_trials,
                n_warmup_steps=asked.warmup_steps,
            )
        case "successive_halving":
            return pruners.SuccessiveHalvingPruner(
                # A first rung at step 0 would be one of values before any training.
                min_resource=max(asked.warmup_steps, 1),
                reduction_factor=asked.eta,
            )
        case "patient":
            # Without another pruner inside: a trial is compared with itself only.
            return pruners.PatientPruner(None, patience=asked.patience)


def _hyperband(pruners: Any, sweep: SweepRecord, fidelity: Fidelity) -> Any:
    class SeededHyperband(pruners.HyperbandPruner):  # type: ignore[misc]  # imported lazily
        def _get_bracket_id(self, study: Any, trial: Any) -> int:
            return bracket_of(sweep, trial.number)

    first, *_, last = fidelity.steps
    return SeededHyperband(
        min_resource=first,
        # Above the last step: the number of brackets is a logarithm that is rounded down.
        max_resource=last + 1,
        reduction_factor=fidelity.eta,
    )
