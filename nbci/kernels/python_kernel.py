"""A Python kernel after bootstrap: values are loaded and saved, metrics and facts read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import InfrastructureError
from nbci.handoff.answers import decode_load, decode_lost, decode_ref, decode_save, encode_ref
from nbci.kernels import bootstrap
from nbci.kernels.distributions import distributions_of
from nbci.kernels.job import RandomUse, Seen
from nbci.kernels.process import StartFailed
from nbci.kernels.value_digests import blake3_extension, whole, with_digests
from nbci.records.run_record import Metric, Usage
from nbci.secrets import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_client.asynchronous.client import AsyncKernelClient

    from nbci.handoff.answers import Refusal
    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import KernelJob
    from nbci.kernels.process import KernelProcess


class Facts(Struct, frozen=True, kw_only=True):
    """What a kernel said at its end; `asides` and `left` are execution counts with texts."""

    probes: tuple[Metric, ...]
    usage: Usage
    distributions: Mapping[str, str]
    seen: Seen
    asides: tuple[tuple[int | None, str], ...]
    random: RandomUse
    left: tuple[tuple[int | None, str], ...]
    has_unended_threads: bool = False


class PythonKernel:
    """Asks a Python kernel for what nbci needs of it, beside the cells."""

    def __init__(self, job: KernelJob, process: KernelProcess) -> None:
        self._job = job
        self._process = process
        self._has_cloudpickle = True
        self.asked = ""
        """The id of the last request."""
        self.lost: tuple[str, ...] = ()
        self.deleted: tuple[str, ...] = ()

    async def install(self) -> str:
        """Send nbci's part; gives the kernel's version, e.g. `Python 3.11.7`."""
        await self._start()
        known = await self._ask(
            "install", bootstrap.install_arguments(self._job, self._process.parent_pid)
        )
        self._has_cloudpickle = bool(known["cloudpickle"])
        return str(known["version"])

    async def _start(self) -> None:
        if self._process.is_forked:
            with contextlib.suppress(KernelConfused):  # its zygote is another nbci's
                await self._execute(bootstrap.start_prepared())
                return
        await self._execute(bootstrap.start_source())

    async def load(self) -> Refusal | None:
        """Load the values that the step takes, and the random states that it goes on from."""
        await self._provide_cloudpickle()
        job = self._job
        unsure = {ref.object for ref in (*job.takes, *job.random_states)} - job.verified
        verified = job.verified
        if unsure:
            verified |= await asyncio.to_thread(whole, job.values_folder, unsure)
        answer = await self._ask(
            "boundary.begin",
            {
                "load": self._load_arguments(verified),
                "folder": str(job.values_folder),
                "states": [[ref.name, ref.object] for ref in job.random_states],
                "verified": sorted(verified),
                "followed": job.followed,
            },
        )
        return decode_load(answer, job.givers or {})

    def _load_arguments(self, verified: frozenset[str]) -> dict[str, Any]:
        return {
            "folder": str(self._job.values_folder),
            "takes": [
                [ref.name, ref.object, ref.called, list(ref.refs)] for ref in self._job.takes
            ],
            "gives": [*self._job.gives, *self._job.optional_gives],
            "by_reference": sorted(self._job.defined_by_reference),
            "step": self._job.step,
            "verified": sorted(verified),
        }

    async def save(self) -> tuple[ValueRef, ...] | Refusal:
        """Save the values that the step gives; `lost` then says what could not be handed on.

        `deleted` are names of those taken that no longer have a value.
        """
        job = self._job
        if not job.gives and not job.optional_gives:
            return ()
        answer = await self._ask(
            "values.save",
            {
                "folder": str(job.values_folder),
                "takes": [encode_ref(ref) for ref in job.takes],
                "gives": list(job.gives),
                "optional": list(job.optional_gives),
                "secrets": [
                    value for value in (job.secrets or {}).values() if len(value) >= SHORTEST
                ],
                "step": job.step,
                "blake3": blake3_extension(),
            },
        )
        if answer.get("undigested"):
            answer = await asyncio.to_thread(with_digests, answer, job.values_folder)
        self.deleted = tuple(answer.get("deleted", ()))
        self.lost = decode_lost(answer, job.consumers or {})
        return decode_save(answer, job.step, job.consumers or {})

    async def finish(self) -> Facts:
        """Evaluate the metrics and read what the kernel knows about itself."""
        probes = self._job.probes
        said = await self._ask(
            "boundary.finish",
            {
                "probes": [probe.expression for probe in probes],
                "folder": str(self._job.values_folder),
                "blake3": blake3_extension(),
            },
        )
        metrics, asides = [], [(count, str(text)) for count, text in said["warnings"]]
        for probe, answer in zip(probes, said["probes"], strict=True):
            if "value" in answer:
                metrics.append(
                    Metric(
                        name=probe.name, value=float(answer["value"]), source=f"cell {probe.cell}"
                    )
                )
            else:
                asides.append(
                    (
                        None,
                        f"cell {probe.cell}: the metric `{probe.name}` has no value: {answer['problem']}",
                    )
                )
        usage = Usage(
            cpu_seconds=said["cpu_seconds"],
            peak_memory_bytes=max(said["peak_memory_bytes"], self._process.peak_memory_bytes),
            gpu=said["gpu"].get("name"),
            peak_gpu_memory_bytes=said["gpu"].get("memory"),
        )
        return Facts(
            probes=tuple(metrics),
            usage=usage,
            distributions=distributions_of(said["modules"], said["path"]),
            seen=_seen(said["seen"]),
            asides=tuple(asides),
            random=await self._random_use(said["random"]),
            left=tuple((count, str(text)) for count, text in said["left"]),
            has_unended_threads=bool(said["threads"]),
        )

    async def _random_use(self, said: dict[str, Any]) -> RandomUse:
        if said["undigested"]:
            said = await asyncio.to_thread(with_digests, said, self._job.values_folder)
        return RandomUse(
            drew=tuple(said["drew"]),
            unseeded=tuple(said["unseeded"]),
            reseeded=tuple(said["reseeded"]),
            gives=tuple(decode_ref(ref) for ref in said["gives"]),
        )

    async def _provide_cloudpickle(self) -> None:
        needs = self._job.takes or self._job.gives or self._job.optional_gives
        if needs and not self._has_cloudpickle:
            await self._ask("provide_cloudpickle", bootstrap.cloudpickle_sources())

    async def _ask(self, function: str, argument: dict[str, Any]) -> Any:
        """The answer of a function of `_nbci`."""
        reply = await self._execute("", {"nbci": bootstrap.question(function, argument)})
        said = reply["user_expressions"].get("nbci", {})
        if said.get("status") != "ok":
            raise KernelConfused(f"{said.get('ename')}: {said.get('evalue')}")
        if bootstrap.ANSWER not in said["data"]:
            raise KernelConfused("IPython kept the answer: a cell changed how objects are shown")
        answer = json.loads(said["data"][bootstrap.ANSWER])
        if "os_error" in answer:
            raise InfrastructureError(
                f"the kernel could not read or write values: {answer['os_error']}"
            )
        if "broken" in answer:
            raise KernelConfused(answer["broken"])
        return answer["ok"]

    async def _execute(
        self, code: str, expressions: dict[str, str] | None = None
    ) -> dict[str, Any]:
        client = self._client()
        self.asked = asked = client.execute(
            code,
            silent=True,
            store_history=False,
            user_expressions=expressions,
            allow_stdin=False,
            stop_on_error=False,
        )
        while True:
            reply = await client.get_shell_msg(timeout=None)
            if reply["parent_header"].get("msg_id") == asked:
                break
        content: dict[str, Any] = reply["content"]
        if content["status"] != "ok":
            raise KernelConfused(f"{content.get('ename')}: {content.get('evalue')}")
        return content

    def _client(self) -> AsyncKernelClient:
        if self._process.client is None:
            raise StartFailed("the kernel was not started")
        return self._process.client


def _seen(said: Mapping[str, Any]) -> Seen:
    names = (
        "site_folders",
        "search_path",
        "modules",
        "written",
        "variables",
        "network",
        "native",
        "programs",
    )
    return Seen(
        interpreter=str(said["interpreter"]),
        sights=tuple((str(kind), str(path), tuple(more)) for kind, path, more in said["sights"]),
        has_workers=bool(said["has_workers"]),
        has_secret_paths=False,  # the kernel does not know which are
        stamps={str(path): tuple(stamp) for path, stamp in said["stamps"].items()},
        **{name: tuple(said[name]) for name in names},
    )


class KernelConfused(Exception):
    """The kernel answered nbci's own question with an error: user code changed it beyond use, or
    was interrupted.
    """
