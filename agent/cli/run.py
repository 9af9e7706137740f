"""Run the agent on the cameras of a config until it is told to stop (SIGTERM, Ctrl-C); SIGHUP: a changed config."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from agent import config, heap
from agent.device.updates import Store
from agent.pipeline import stopped_by_signals
from agent.reload import Live, with_model
from agent.track.counters import Counters


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="agent.toml")


def run(args: argparse.Namespace) -> int:
    heap.keep()  # modules and what is in them, but nothing that a reload replaces
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    settings = config.load(args.config)
    store = Store(settings.state_dir / "models")
    settings = with_model(settings, store.begin())
    with Counters(settings.state_dir) as counters:
        live = Live(args.config, settings, store, counters)
        signal.signal(signal.SIGHUP, lambda *_: live.reload())
        with live, stopped_by_signals(live.pipeline):
            live.pipeline.run(beat=live)
    return 0
