"""The park's camera: sends pictures to a server of the model, as bytes, one after another.

Usage: python notebooks/pets/camera.py build/pets/test --url http://127.0.0.1:8080 --dusk 0.7 --keep build/pets/camera

The pictures that it sent are kept for the monitor, and what they show, where their folder tells, for `nbci labels add`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEADER_LENGTH = "Inference-Header-Content-Length"
LEAST_LIGHT = 0.08  # share of the light that is left at the end of dusk


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A picture that was sent: its request's id, what it shows, what the model said, and how long that took."""

    request: str
    shows: str
    said: str
    seconds: float


def at_dusk(pixels: np.ndarray, dusk: float, generator: np.random.Generator) -> np.ndarray:
    """The picture with less light: darker, bluer, and with the noise of a sensor that sees little. 0 leaves it as it is."""
    if dusk == 0:
        return pixels
    light = 1 - dusk * (1 - LEAST_LIGHT)
    blue = np.array([1 - 0.25 * dusk, 1 - 0.1 * dusk, 1.0])
    noise = generator.normal(0, 6 * dusk, pixels.shape)
    return np.clip(pixels * light * blue + noise, 0, 255).astype(np.uint8)


def ask(url: str, model: str, pixels: np.ndarray, request: str, timeout_seconds: float = 10) -> str:
    """What the model says of one picture, by the protocol's extension for binary tensors."""
    tensor = pixels[np.newaxis].tobytes()
    size = {"binary_data_size": len(tensor)}
    given = {"name": "image", "shape": [1, *pixels.shape], "datatype": "UINT8", "parameters": size}
    header = json.dumps({"inputs": [given], "outputs": [{"name": "label"}]}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        HEADER_LENGTH: str(len(header)),
        "X-Request-Id": request,
    }
    if token := os.environ.get("NBCI_SERVE_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    address = f"{url.rstrip('/')}/v2/models/{model}/infer"
    asked = urllib.request.Request(address, data=header + tensor, headers=headers)
    with urllib.request.urlopen(asked, timeout=timeout_seconds) as answer:
        outputs: dict[str, Any] = {output["name"]: output["data"] for output in json.load(answer)["outputs"]}
    return str(outputs["label"][0])


def send(options: argparse.Namespace) -> list[Sent]:
    """Send the pictures, and keep each that was answered."""
    chosen = random.Random(options.seed)
    generator = np.random.default_rng(options.seed)
    files = sorted(path for path in options.pictures.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        raise FileNotFoundError(f"{options.pictures}: there are no pictures")
    sent = []
    for number in range(options.count or len(files)):
        # Each once, then again: a camera sees the same dogs tomorrow.
        if number % len(files) == 0:
            chosen.shuffle(files)
        file = files[number % len(files)]
        pixels = at_dusk(np.asarray(Image.open(file).convert("RGB")), options.dusk, generator)
        request = str(uuid.uuid4())
        began = time.perf_counter()
        said = ask(options.url, options.model, pixels, request)
        sent.append(Sent(request=request, shows=file.parent.name, said=said, seconds=time.perf_counter() - began))
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(options.keep / f"{request}.jpg", quality=95, subsampling=0)
        time.sleep(options.every)
    return sent


def write_labels(path: Path, sent: list[Sent]) -> None:
    """What the pictures show, by the request's id: for `nbci labels add`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request", "label"])
        rows.writerows((each.request, each.shows) for each in sent)


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Send pictures to a server of the model pets.")
    parser.add_argument("pictures", type=Path, help="a folder of pictures, in it cat/ and dog/")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where `nbci serve` listens")
    parser.add_argument("--model", default="pets", help="the model's name")
    parser.add_argument("--dusk", type=share, default=0.0, help="0 is noon, 1 the last light")
    parser.add_argument("--count", type=int, default=0, help="how many pictures; each once, unless said")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between two pictures")
    parser.add_argument("--seed", type=int, default=7, help="decides which pictures, and their noise")
    parser.add_argument("--keep", type=Path, help="a folder for the pictures as they were sent")
    parser.add_argument("--labels", type=Path, help="a CSV file for what they show, by request")
    return parser.parse_args()


def main() -> int:
    """Send the pictures, and say how many the model told right."""
    options = read_options()
    try:
        sent = send(options)
    except urllib.error.HTTPError as error:
        print(f"the server refused a picture: {error.code} {error.read(500).decode(errors='replace')}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.url}: {error}", file=sys.stderr)
        return 1
    if options.labels:
        write_labels(options.labels, sent)
    right = sum(each.said == each.shows for each in sent)
    median = sorted(each.seconds for each in sent)[len(sent) // 2] * 1000
    print(f"{len(sent)} pictures sent, dusk {options.dusk}: {right} told right, {median:.0f} ms each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
