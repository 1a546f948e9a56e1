"""Say which nbci and Python this is, and which kernels and GPUs this machine has.

Unlike `nbci doctor` it judges nothing, and takes no time: programs ask it to fill in a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json, print_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.app.health import Inventory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci about`."""
    add_json_argument(parser, "one JSON document")


def main(arguments: argparse.Namespace) -> int:
    """Print what this machine has."""
    from nbci.app.health import take_inventory
    from nbci.records.codec import plain

    found = take_inventory()
    if arguments.json:
        print_json(plain(found))
    else:
        # Kernels may have names in any script, and agents a locale without UTF-8.
        print_text("\n".join(_lines(found)))
    return 0


def _lines(found: Inventory) -> Iterator[str]:
    yield f"nbci {found.nbci}, Python {found.python}, {found.platform}"
    for kernel in found.kernels:
        yield f"kernel {kernel.name}: {kernel.display_name} ({kernel.language})"
    if not found.kernels:
        yield "no kernels; nbci doctor says how to get one"
    for gpu in found.gpus:
        yield f"GPU: {gpu.name}"
    if not found.gpus:
        yield "no GPU"
