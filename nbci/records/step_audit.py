"""An audit: what came of running a step again whose kept result a run was about to use."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from nbci.records.proof import Agreement, Item  # noqa: TC001 - msgspec reads the annotation

AuditCause = Literal["input", "chance", "place"]
"""Why a step gave another result: something that it depends on and that nbci does not see is
another now; it gives another one each time; it gives another one in another folder.
"""


class StepAudit(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step whose kept result was compared with what the step gives now.

    `kept` is the run that made that result, `run` the one in which the step ran again, if it did.
    `agreement` is None where that came to no result. `items` are those that are not the same, bit
    for bit. `cause` is known where they are different and the step then ran in the run itself, too;
    `suspects` are what may have changed unseen. `sentence` is the answer for people.
    """

    kept: str
    sentence: str
    run: str = ""
    agreement: Agreement | None = None
    items: tuple[Item, ...] = ()
    cause: AuditCause | None = None
    suspects: tuple[str, ...] = ()
