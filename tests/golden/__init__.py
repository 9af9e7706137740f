"""Golden replays: what the pipeline says of a known clip, kept as text so that a change shows as a diff."""

import contextlib
import io
from pathlib import Path

from agent.__main__ import main

FOLDER = Path(__file__).parent
CONFIGS = {
    "street": """
[model]
labels = ["person"]
[cameras.street]
kind = "file"
path = "{clip}"
fps = 5
[cameras.street.zones.lawn]
polygon = [[0.3, 0.3], [0.9, 0.3], [0.9, 0.9], [0.3, 0.9]]
[cameras.street.lines.path]
points = [[0.5, 0.1], [0.5, 0.9]]
""",
}


def replay(name: str, clip: Path, folder: Path) -> str:
    """The events of one golden config over a clip, as JSON lines."""
    settings, events = folder / f"{name}.toml", folder / f"{name}.events.jsonl"
    settings.write_text(CONFIGS[name].format(clip=clip))
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(["replay", str(settings), "--events", str(events)])
    assert code == 0
    return events.read_text()


def path(name: str) -> Path:
    """Where the golden events of one config are kept."""
    return FOLDER / f"{name}.events.jsonl"
