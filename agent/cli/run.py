"""Run the agent on the cameras of a config until it is told to stop (SIGTERM, Ctrl-C)."""

from __future__ import annotations

import argparse
from pathlib import Path

from msgspec.structs import replace

from agent import config
from agent.device.duty import Duty
from agent.device.thermal import Thermal
from agent.device.updates import Store, Trial
from agent.device.watchdog import Watchdog
from agent.pipeline import Pipeline, open_detector, stopped_by_signals
from agent.publish.publisher import Publisher
from agent.track.counters import Counters


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="agent.toml")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    store = Store(settings.state_dir / "models")
    if chosen := store.begin():
        settings = replace(settings, model=replace(settings.model, file=chosen))
    detector = open_detector(settings, args.config)
    watchdog = Watchdog(settings.cameras)
    with (
        Counters(settings.state_dir) as counters,
        Publisher(settings, detector.model, counters=counters) as publisher,
    ):
        pipeline = Pipeline(settings, detector, [publisher, watchdog], counters)
        duty = Duty(
            *(pipeline, watchdog, Thermal(settings.thermal)),
            runs_on=lambda: detector.model.backend.runs_on,
            tell=(publisher.on_health, Trial(store).check),
        )
        with stopped_by_signals(pipeline):
            pipeline.run(beat=duty)
        watchdog.stopping()
        store.ended_well()
    return 0
