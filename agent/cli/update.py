"""Take a new model, or go back to the one before; it runs from the next start on, at first on trial.

Exit code 0 taken, 2 not taken and nothing changed. On a Pi: sudo lookout update mine.tflite && sudo systemctl
restart lookout. The trial ends well after ten minutes of work, or badly with the fourth start before that.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import config
from agent.data import LookoutError
from agent.device.updates import Store

_SERVICE = Path("/var/lib/lookout")  # StateDirectory= of the unit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", type=Path, help="a .tflite file; its .json and .labels.txt come along")
    parser.add_argument("--sha256", default="", help="of the file, as its maker told it")
    parser.add_argument("--back", action="store_true", help="the model before, instead of a new one")
    parser.add_argument(
        "--state", type=Path, default=_state(), metavar="DIR", help="the agent's state_dir (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    store = Store(args.state / "models")
    if args.back == bool(args.model):
        raise LookoutError("update: name a model, or --back")
    if args.back:
        if store.state.chosen is None:
            raise LookoutError("update: the config's model runs, there is none before it")
        store.roll_back("asked for")
    else:
        store.install(args.model, args.sha256)
    chosen = store.path(store.state.chosen)
    print(f"from the next start on: {chosen.name if chosen else 'the model of the config'} (systemctl restart lookout)")
    return 0


def _state() -> Path:
    """The service's where root asks and it is there, else one's own."""
    return _SERVICE if os.geteuid() == 0 and _SERVICE.exists() else config.state_folder()
