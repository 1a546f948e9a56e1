"""What is made of requests beside their answers: lines, the request log, a candidate's answers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from nbci.behaviour.recorded_answers import difference
from nbci.serving.refusal import Refusal
from nbci.serving.request_log import Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.serving.measures import Measures
    from nbci.serving.request_log import RequestLog
    from nbci.serving.served import Served, Version
    from nbci.serving.signature import Arrays

_WAITING_FOR_SHADOW = 64


class Observing:
    """Writes down and compares; `log` writes a line, `writes_lines` whether each request is one."""

    def __init__(
        self,
        served: Served,
        measures: Measures,
        log: Callable[..., None],
        request_log: RequestLog | None,
        *,
        writes_lines: bool,
    ) -> None:
        self._served = served
        self._measures = measures
        self._log = log
        self._request_log = request_log
        self._writes_lines = writes_lines
        self._comparing: set[asyncio.Task[None]] = set()

    def request(self, version: Version, request_id: str, status: int, seconds: float) -> None:
        """Write a line, where each request is to be one."""
        if self._writes_lines:
            self._log(
                "request",
                id=request_id,
                model=version.model,
                version=version.version,
                status=status,
                ms=round(seconds * 1000, 3),
            )

    def answered(
        self,
        version: Version,
        request_id: str,
        seconds: float,
        inputs: Arrays,
        answers: Mapping[str, Any],
    ) -> None:
        """Note the request for the log, and ask the candidate, where there is one."""
        if self._request_log is not None:
            self._request_log.note(
                Noted(
                    time.time(),
                    seconds,
                    request_id,
                    version.model,
                    version.version,
                    inputs,
                    answers,
                )
            )
        shadow = self._served.shadow_of(version.model)
        if shadow is None:
            return
        # A candidate that is slower than the requests come answers some of them only.
        if len(self._comparing) >= _WAITING_FOR_SHADOW:
            self._measures.shadow(shadow.model, shadow.version, "left out")
            return
        task = asyncio.create_task(self._compare(shadow, request_id, inputs, answers))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    async def _compare(
        self, shadow: Version, request_id: str, inputs: Arrays, answers: Mapping[str, Any]
    ) -> None:
        """Ask the candidate the same, and count whether it answers alike."""
        known = {spec.name for spec in shadow.signature.outputs}
        outputs = [name for name in answers if name in known]
        result = "failed"
        differs: list[str] = []
        shadow.begin()
        try:
            found = await shadow.batcher.answer(inputs, outputs)
            for name in outputs:
                if not difference(answers[name], found[name])["same"]:
                    differs.append(name)
            result = "other" if differs else "same"
        except Refusal:
            # It is counted, and told below.
            pass
        finally:
            shadow.end()
        self._measures.shadow(shadow.model, shadow.version, result)
        if result != "same":
            self._log(
                "shadow",
                id=request_id,
                model=shadow.model,
                version=shadow.version,
                result=result,
                outputs=differs,
            )
