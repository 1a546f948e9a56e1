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
from nbci.kernels.kernel_manager import StartFailed
from nbci.kernels.value_digests import blake3_extension, intact_values, with_digests
from nbci.records.run_record import Metric, Usage
from nbci.secrets import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
            # A warm zygote may have been started by an nbci of another version.
            with contextlib.suppress(KernelConfused):
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
            # In a thread: values may be gigabytes, and other steps run on this event loop.
            verified |= await asyncio.to_thread(intact_values, job.values_folder, unsure)
        answer = await self._ask(
            "boundary.begin",
            {
                "load": self._load_arguments(verified),
                "folder": str(job.values_folder),
                "states": _pairs(job.random_states),
                "verified": sorted(verified),
                "followed": job.followed,
            },
        )
        return decode_load(answer, job.givers or {})

    def _load_arguments(self, verified: frozenset[str]) -> dict[str, Any]:
        job = self._job
        takes = [(ref.name, ref.object, ref.called, ref.refs) for ref in job.takes]
        return {
            "folder": str(job.values_folder),
            "takes": takes,
            "gives": [*job.gives, *job.optional_gives],
            "by_reference": sorted(job.defined_by_reference),
            "step": job.step,
            "verified": sorted(verified),
        }

    async def save(self) -> tuple[ValueRef, ...] | Refusal:
        """Save the values that the step gives; `lost` then says what could not be handed on.

        `deleted` are names of those taken that no longer have a value.
        """
        job = self._job
        # The last step of most notebooks gives nothing, and need not be asked.
        if not job.gives and not job.optional_gives:
            return ()
        # What is too short to be masked is no secret here either.
        secrets = [value for value in (job.secrets or {}).values() if len(value) >= SHORTEST]
        answer = await self._ask(
            "values.save",
            {
                "folder": str(job.values_folder),
                "takes": [encode_ref(ref) for ref in job.takes],
                "gives": list(job.gives),
                "optional": list(job.optional_gives),
                "secrets": secrets,
                "step": job.step,
                "blake3": blake3_extension(),
            },
        )
        # An interpreter that cannot load the BLAKE3 of this one leaves the digests to nbci.
        if answer.get("undigested"):
            answer = await asyncio.to_thread(with_digests, answer, job.values_folder)
        self.deleted = tuple(answer.get("deleted", ()))
        self.lost = decode_lost(answer, job.consumers or {})
        return decode_save(answer, job.step, job.consumers or {})

    async def finish(self) -> Facts:
        """Evaluate the metrics and read what the kernel knows about itself."""
        answer = await self._ask(
            "boundary.finish",
            {
                "probes": [probe.expression for probe in self._job.probes],
                "folder": str(self._job.values_folder),
                "blake3": blake3_extension(),
            },
        )
        metrics, problems = self._read_probes(answer["probes"])
        usage = Usage(
            cpu_seconds=answer["cpu_seconds"],
            peak_memory_bytes=max(answer["peak_memory_bytes"], self._process.peak_memory_bytes),
            gpu=answer["gpu"].get("name"),
            peak_gpu_memory_bytes=answer["gpu"].get("memory"),
        )
        return Facts(
            probes=metrics,
            usage=usage,
            distributions=distributions_of(answer["modules"], answer["path"]),
            seen=_seen(answer["seen"]),
            asides=(*_counted_texts(answer["warnings"]), *problems),
            random=await self._random_use(answer["random"]),
            left=_counted_texts(answer["left"]),
            has_unended_threads=bool(answer["threads"]),
        )

    def _read_probes(
        self, answers: Sequence[Mapping[str, Any]]
    ) -> tuple[tuple[Metric, ...], list[tuple[None, str]]]:
        """The metrics, and what to say of those without a value."""
        metrics, problems = [], []
        for probe, answer in zip(self._job.probes, answers, strict=True):
            source = f"cell {probe.cell}"
            if "value" in answer:
                value = float(answer["value"])
                metrics.append(Metric(name=probe.name, value=value, source=source))
            else:
                problem = f"the metric `{probe.name}` has no value: {answer['problem']}"
                problems.append((None, f"{source}: {problem}"))
        return tuple(metrics), problems

    async def _random_use(self, answer: dict[str, Any]) -> RandomUse:
        if answer["undigested"]:
            answer = await asyncio.to_thread(with_digests, answer, self._job.values_folder)
        return RandomUse(
            drew=tuple(answer["drew"]),
            unseeded=tuple(answer["unseeded"]),
            reseeded=tuple(answer["reseeded"]),
            gives=tuple(map(decode_ref, answer["gives"])),
        )

    async def _provide_cloudpickle(self) -> None:
        needs = self._job.takes or self._job.gives or self._job.optional_gives
        if needs and not self._has_cloudpickle:
            await self._ask("provide_cloudpickle", bootstrap.cloudpickle_sources())

    async def _ask(self, function: str, argument: dict[str, Any]) -> Any:
        """The answer of a function of `_nbci`.

        As a user expression, so that cells' history, counts and outputs show nothing of it:
        https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results
        """
        reply = await self._execute("", {"nbci": bootstrap.question(function, argument)})
        result = reply["user_expressions"].get("nbci", {})
        if result.get("status") != "ok":
            raise KernelConfused(f"{result.get('ename')}: {result.get('evalue')}")
        if bootstrap.ANSWER not in result["data"]:
            raise KernelConfused("IPython kept the answer: a cell changed how objects are shown")
        answer = json.loads(result["data"][bootstrap.ANSWER])
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
        # A cell that was interrupted may have its reply still on the way.
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


def _pairs(refs: Iterable[ValueRef]) -> list[tuple[str, str]]:
    return [(ref.name, ref.object) for ref in refs]


def _counted_texts(
    pairs: Iterable[tuple[int | None, object]],
) -> tuple[tuple[int | None, str], ...]:
    return tuple((count, str(text)) for count, text in pairs)


def _seen(answer: Mapping[str, Any]) -> Seen:
    sights = tuple((str(kind), str(path), tuple(more)) for kind, path, more in answer["sights"])
    return Seen(
        interpreter=str(answer["interpreter"]),
        site_folders=tuple(answer["site_folders"]),
        search_path=tuple(answer["search_path"]),
        modules=tuple(answer["modules"]),
        sights=sights,
        stamps={str(path): tuple(stamp) for path, stamp in answer["stamps"].items()},
        written=tuple(answer["written"]),
        variables=tuple(answer["variables"]),
        network=tuple(answer["network"]),
        native=tuple(answer["native"]),
        programs=tuple(answer["programs"]),
        has_workers=bool(answer["has_workers"]),
        # Only nbci knows the secrets, and looks for them in the paths.
        has_secret_paths=False,
    )


class KernelConfused(Exception):
    """The kernel answered nbci's own question with an error.

    Code of the step changed it beyond use, or was interrupted.
    """
