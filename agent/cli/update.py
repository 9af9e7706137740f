"""Take a new model, or go back to the one before; it runs from the next start on, at first on trial.

Exit code 0 taken, 2 not taken and nothing changed. On a Pi: sudo lookout update mine.tflite && sudo systemctl
restart lookout; or --newest /etc/lookout/agent.toml for what is offered at the address in its [updates]. The trial
ends well after ten minutes of work, or badly with the fourth start before that.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import config
from agent.data import LookoutError
from agent.device import offers
from agent.device.updates import Store

_SERVICE = Path("/var/lib/lookout")  # StateDirectory= of the unit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", type=Path, help="a .tflite file; its .json and .labels.txt come along")
    parser.add_argument("--sha256", default="", help="of the file, as its maker told it")
    parser.add_argument(
        "--newest", type=Path, metavar="CONFIG", help="what the maker named in this agent.toml offers and has signed"
    )
    parser.add_argument("--back", action="store_true", help="the model before, instead of a new one")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help=f"the agent's state_dir (that of CONFIG, else {state_of()})"
    )


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.newest) if args.newest else None
    store = Store((args.state or state_of(settings)) / "models")
    if [args.back, bool(args.model), bool(args.newest)].count(True) != 1:
        raise LookoutError("update: name a model, or --newest CONFIG, or --back")
    if settings:
        with offers.newest(settings.updates, store) as (file, offer):
            store.install(file, offer.sha256, version=offer.version)
    elif args.back:
        if store.state.chosen is None:
            raise LookoutError("update: the config's model runs, there is none before it")
        store.roll_back("asked for")
    else:
        store.install(args.model, args.sha256)
    chosen = store.path(store.state.chosen)
    print(f"from the next start on: {chosen.name if chosen else 'the model of the config'} (systemctl restart lookout)")
    return 0


def state_of(settings: config.Config | None = None) -> Path:
    """The config's where it names one; the service's where root asks and it is there, else one's own."""
    if settings and settings.state_dir != config.state_folder():
        return settings.state_dir
    return _SERVICE if os.geteuid() == 0 and _SERVICE.exists() else config.state_folder()
