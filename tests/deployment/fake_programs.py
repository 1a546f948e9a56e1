"""Stand-ins for docker, kubectl and systemctl: they note what is asked, and answer as those do.

Each is this file under that name on PATH. Their state is a JSON file beside them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

BAD = "v9.9.9"
"""A version whose container and pod are never healthy."""
HERE = Path(__file__).parent
STATE = HERE / "state.json"
PACKAGES = (
    Path(sys.executable)
    .parents[1]
    .joinpath("lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
)


def install(folder: Path, *names: str) -> Path:
    """Put the programs into a folder for PATH."""
    folder.mkdir(exist_ok=True)
    text = Path(__file__).read_text(encoding="utf-8")
    for name in names:
        program = folder / name
        # Without `site`, which takes longer than all that is done here.
        program.write_text(f"#!{sys.executable} -SE\n{text}", encoding="utf-8")
        program.chmod(0o755)
    return folder


def state_of(folder: Path) -> dict[str, Any]:
    """What the programs in a folder know: `calls`, `images`, `containers`, `services`."""
    if not (folder / "state.json").exists():
        return {"calls": [], "images": {}, "containers": {}, "services": {}, "says": {}}
    found: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return found


def say(folder: Path, command: str, complaint: str) -> None:
    """From now on, have that command fail and complain so."""
    state = state_of(folder)
    state["says"][command] = complaint
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


class Failed(Exception):
    """The program ends with a code and a complaint."""

    def __init__(self, complaint: str, code: int = 1) -> None:
        super().__init__(complaint)
        self.code = code


def docker(words: list[str], state: dict[str, Any]) -> str:
    command, rest = words[0], words[1:]
    match command:
        case "version":
            return "27.3.1"
        case "build":
            return build(rest[1], Path(rest[2]), state)
        case "push":
            if rest[0] not in state["images"]:
                raise Failed(f"An image does not exist locally with the tag: {rest[0]}")
            return "pushed"
        case "run":
            return run(rest, state)
        case "container":
            if rest[1] not in state["containers"]:
                raise Failed(f"Error response from daemon: No such container: {rest[1]}")
            return json.dumps([state["containers"][rest[1]]])
        case "logs":
            return "nbci: the model does not answer its sample"
        case "rm":
            state["containers"].pop(rest[1], None)
            return rest[1]
        case "compose":
            return compose(Path(rest[1]), rest[2], state)
        case _:
            raise Failed(f"docker: '{command}' is not a docker command.")


def build(tag: str, folder: Path, state: dict[str, Any]) -> str:
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    for source in re.findall(r"^COPY (?:--\S+ )?(\S+) \S+$", text, re.MULTILINE):
        if not (folder / source).exists():
            raise Failed(f'ERROR: failed to calculate checksum: "/{source}": not found')
    state["images"][tag] = dict(re.findall(r'^LABEL (\S+)="(.*)"$', text, re.MULTILINE))
    return ""


def start(name: str, image: str, state: dict[str, Any]) -> str:
    labels = state["images"][image]
    number = f"{len(state['calls']):064d}"
    health = "unhealthy" if labels["io.nbci.version"] == BAD else "healthy"
    state["containers"][name] = {
        "Id": number,
        "State": {"Status": "running", "Running": True, "Health": {"Status": health}},
        "Config": {"Labels": labels, "Image": image},
    }
    return number


def run(words: list[str], state: dict[str, Any]) -> str:
    name = words[words.index("--name") + 1]
    if name in state["containers"]:
        raise Failed(f'docker: Conflict. The container name "/{name}" is already in use', 125)
    if words[-1] not in state["images"]:
        raise Failed(f"Unable to find image '{words[-1]}' locally", 125)
    return start(name, words[-1], state)


def compose(file: Path, command: str, state: dict[str, Any]) -> str:
    (service,) = read_yaml(file)["services"].values()
    name, image = service["container_name"], service["image"]
    if command == "down":
        state["containers"].pop(name, None)
        return ""
    if image not in state["images"]:
        raise Failed(f"Error response from daemon: No such image: {image}")
    found = state["containers"].get(name)
    # Compose leaves what is as it should be.
    if found is None or found["Config"]["Labels"] != state["images"][image]:
        start(name, image, state)
    return ""


def read_yaml(path: Path) -> Any:
    sys.path.append(str(PACKAGES))
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def kubectl(words: list[str], state: dict[str, Any]) -> str:
    match words[0]:
        case "get":
            found = state["services"].get(words[2])
            return "" if found is None else json.dumps(found)
        case "apply":
            document = read_yaml(Path(words[2]))
            name = document["metadata"]["name"]
            version = document["metadata"]["annotations"]["io.nbci.version"]
            status = "False" if version == BAD else "True"
            conditions = [{"type": "Ready", "status": status}]
            url = f"http://{name}.default.example.com"
            document["status"] = {"conditions": conditions, "url": url}
            state["services"][name] = document
            return f"inferenceservice.serving.kserve.io/{name} configured"
        case "wait":
            name = words[3].rpartition("/")[2]
            if state["services"][name]["status"]["conditions"][0]["status"] != "True":
                raise Failed(f"error: timed out waiting for the condition on {words[3]}")
            return f"{words[3]} condition met"
        case "delete":
            if words[2] not in state["services"]:
                raise Failed("Error from server (NotFound)")
            del state["services"][words[2]]
            return f'inferenceservice.serving.kserve.io "{words[2]}" deleted'
        case _:
            raise Failed(f'error: unknown command "{words[0]}" for "kubectl"')


def main() -> int:
    program, *words = sys.argv
    name = Path(program).name
    state = state_of(HERE)
    state["calls"].append([name, *words])
    code = 0
    try:
        if f"{name} {words[0]}" in state["says"]:
            raise Failed(state["says"][f"{name} {words[0]}"])
        sys.stdout.write({"docker": docker, "kubectl": kubectl}[name](words, state))
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        code = failed.code
    STATE.write_text(json.dumps(state), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
