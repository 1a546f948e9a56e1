"""Send wines to a server of the cellar's model, as a cellar that grows would: with a share of another vintage.

Usage: python notebooks/cellar/simulate.py data/cellar.csv --drift 0.6 --count 300 --labels truth.csv

Each measurement of a wine is that of some wine of its cultivar in the table. The new vintage comes from a hot, dry year: more alcohol,
colour and proline, and half of the flavanoids. `--drift` is its share. What each wine really is, the model is not told; `--labels` writes it, for later.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

TOKEN = "NBCI_SERVE_TOKEN"
NEW_VINTAGE = {  # factor and summand of what the year changes
    "alcohol": (1.0, 1.3),
    "color_intensity": (1.9, 0.0),
    "flavanoids": (0.5, 0.0),
    "proline": (1.4, 0.0),
    "total_phenols": (0.7, 0.0),
}
NO_MEASUREMENTS = {"id", "cultivar", "origin"}


class Wine(NamedTuple):
    """One that is sent: the id of its request, what is measured, and what it is."""

    request: str
    measured: dict[str, float]
    cultivar: str


class Sent(NamedTuple):
    """What came of all of them."""

    answered: int
    right: int
    failed: int
    milliseconds: list[float]


def read_table(path: Path) -> list[dict[str, str]]:
    """The wines that the table has had from its beginning."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["id"].startswith("cellar-")]


def draw(table: list[dict[str, str]], count: int, drift: float, seed: int) -> list[Wine]:
    """So many wines; the same for the same seed."""
    chance = random.Random(seed)
    by_cultivar: dict[str, list[dict[str, str]]] = {}
    for row in table:
        by_cultivar.setdefault(row["cultivar"], []).append(row)
    names = [name for name in table[0] if name not in NO_MEASUREMENTS]
    wines = []
    for number in range(count):
        cultivar = chance.choice(table)["cultivar"]
        changes = NEW_VINTAGE if chance.random() < drift else {}
        measured = {}
        for name in names:
            factor, summand = changes.get(name, (1.0, 0.0))
            value = float(chance.choice(by_cultivar[cultivar])[name])
            measured[name] = value * factor + summand
        wines.append(Wine(f"wine-{seed}-{number:05}", measured, cultivar))
    return wines


def body_of(wine: Wine) -> bytes:
    """The request, as the Open Inference Protocol has it: a tensor for each measurement."""
    inputs = []
    for name, value in wine.measured.items():
        inputs.append({"name": name, "shape": [1, 1], "datatype": "FP32", "data": [value]})
    return json.dumps({"inputs": inputs}).encode()


def send(wines: list[Wine], url: str, model: str, rate: float) -> Sent:
    """Send them one after another, `rate` of them in a second; what fails is counted, and the next one sent."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port or 80, timeout=30)
    headers = {"content-type": "application/json"}
    if os.environ.get(TOKEN):
        headers["authorization"] = f"Bearer {os.environ[TOKEN]}"
    answered = right = failed = 0
    milliseconds = []
    began = time.monotonic()
    for number, wine in enumerate(wines):
        if rate:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        asked = time.perf_counter()
        try:
            connection.request("POST", f"/v2/models/{model}/infer", body_of(wine), {**headers, "x-request-id": wine.request})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            failed += 1
            continue
        if response.status != http.client.OK:
            failed += 1
            continue
        milliseconds.append((time.perf_counter() - asked) * 1000)
        answered += 1
        outputs = {output["name"]: output["data"] for output in json.loads(content)["outputs"]}
        right += outputs["label"] == [wine.cultivar]
    connection.close()
    return Sent(answered, right, failed, milliseconds)


def write_labels(path: Path, wines: list[Wine]) -> None:
    """What each wine is, by the id of its request: for `nbci labels add`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["request", "label"])
        rows.writerows((wine.request, wine.cultivar) for wine in wines)


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def main() -> int:
    """Read the command line, send, and say what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Send wines to a server of the cellar's model.")
    parser.add_argument("table", type=Path, help="of the wines, as make_table.py makes it")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the server (default: %(default)s)")
    parser.add_argument("--model", default="cellar", help="default: %(default)s")
    parser.add_argument("--drift", type=share, default=0.0, help="share of the new vintage, from 0 to 1 (default: 0)")
    parser.add_argument("--count", type=int, default=300, help="how many wines (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.0, help="how many in a second; 0 as fast as it goes (the default)")
    parser.add_argument("--seed", type=int, default=7, help="other seeds, other wines (default: %(default)s)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="write what they really are")
    arguments = parser.parse_args()

    wines = draw(read_table(arguments.table), arguments.count, arguments.drift, arguments.seed)
    sent = send(wines, arguments.url, arguments.model, arguments.rate)
    if arguments.labels:
        write_labels(arguments.labels, wines)
    print(f"{len(wines)} wines sent, {sent.failed} failed")
    if sent.answered:
        middle = sorted(sent.milliseconds)[len(sent.milliseconds) // 2]
        print(f"{sent.right / sent.answered:.1%} of the answers are right, which takes {middle:.1f} ms in the middle")
    return 1 if sent.failed else 0


if __name__ == "__main__":
    sys.exit(main())
