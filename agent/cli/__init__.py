"""A command is a file here, named as it is typed: `python -m agent NAME`.

Its module's docstring starts with the line that the help shows. `arguments(parser)` adds its options to an
argparse parser; `run(args)` does the work and returns the exit code: 0 done, 1 ran but to no use, 2 bad input.
A LookoutError that it raises is printed as one line, exit code 2 (`guarded`, which the converter uses too).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Protocol

from agent import logs
from agent.data import LookoutError


class Command(Protocol):
    """What a command's module has."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code."""
        ...


def guarded(program: str, run: Callable[[], int]) -> int:
    """Run a command; the exit code. Its troubles become one line on stderr, Ctrl-C and a closed pipe none."""
    try:
        return run()
    except LookoutError as error:
        logs.flush()
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        sys.stderr.close()
        return 0
    finally:
        logs.flush()
