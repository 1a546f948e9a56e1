"""Channels to a kernel on which whoever has all the time in the world waits with less ado."""

from __future__ import annotations

from typing import Any

from jupyter_client.channels import AsyncZMQSocketChannel


class PatientChannel(AsyncZMQSocketChannel):
    """Without a time limit it takes the next message at once, where jupyter_client first asks whether there is one."""

    async def get_msg(  # type: ignore[override]  # as in its parent, which breaks with its own
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as jupyter_client calls it
    ) -> dict[str, Any]:
        """The next message; raises Empty when none comes in time."""
        return await (self._recv() if timeout is None else super().get_msg(timeout))
