"""python -m agent COMMAND: run, sim, check, detect, replay, bench, doctor, update, password, gallery: files in cli/."""

from __future__ import annotations

import argparse
import logging
import resource
import sys
from collections.abc import Sequence

from agent import __version__, heap

heap.settle()  # before anything imports numpy: its BLAS starts a thread at once, which would have a heap of its own

from agent import logs, plugins  # noqa: E402
from agent.cli import guarded  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run one command, and turn its troubles into one line each; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    resource.setrlimit(
        resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
    )  # passwords are in memory
    args = _parser(argv).parse_args(argv)
    logs.setup(args.log, logging.DEBUG if args.verbose else logging.INFO)
    return guarded("lookout", lambda: int(args.run(args)))


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("lookout", description="Real-time video agent: camera to tracks over MQTT.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--log", choices=("auto", "json"), default="auto", help="form of the log lines on stderr")
    parser.add_argument("--verbose", action="store_true", help="say more")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    known = plugins.names("cli")
    chosen = next((word for word in argv if not word.startswith("-") and word in known), None)
    for name in [chosen] if chosen else known:  # only the chosen command is imported
        module = plugins.get("cli", name)
        line = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=line, description=module.__doc__)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
