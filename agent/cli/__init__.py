"""A command is a file here, named as it is typed: `python -m agent NAME`.

Its module's docstring starts with the line that the help shows. `arguments(parser)` adds its options to an
argparse parser; `run(args)` does the work and returns the exit code: 0 done, 1 ran but to no use, 2 bad input.
A LookoutError that it raises is printed as one line, exit code 2.
"""

from __future__ import annotations

import argparse
from typing import Protocol


class Command(Protocol):
    """What a command's module has."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code."""
        ...
