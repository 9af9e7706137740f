"""Check a config and the model it names, and print what they come to.

Nothing is opened but files: no camera, no broker. Exit code 0 when `run` would start, else 2 and one line.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from agent import config
from agent.data import redacted
from agent.pipeline import open_detector


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="agent.toml")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    model = open_detector(settings, args.config).model
    card = model.card
    print(f"{args.config}: good; {len(settings.cameras)} camera(s): {', '.join(settings.cameras)}")
    width, height = card.input.size
    print(f"model {model.name}: {card.task}, {len(card.labels)} labels, {width}x{height}, sha256 {model.sha256[:12]}..")
    print(redacted(msgspec.json.format(msgspec.json.encode(settings, enc_hook=_plain), indent=2).decode()))
    return 0


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))
