"""Make the hash of a password for the live page: what it prints goes into web.password_file."""

from __future__ import annotations

import argparse
import getpass
import sys

from agent.data import LookoutError

_SHORTEST = 8  # characters


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Asks twice, or reads one line where standard input is no terminal."


def run(args: argparse.Namespace) -> int:
    del args
    try:
        from agent.web.password import hashed  # noqa: PLC0415  of an extra
    except ModuleNotFoundError as error:
        raise LookoutError(f"{error.name} is not installed; pip install 'lookout-agent[web]'") from error
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise LookoutError("the two are not the same; nothing was made")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < _SHORTEST:
        raise LookoutError(f"a password of at least {_SHORTEST} characters, please; nothing was made")
    print(hashed(password))
    return 0
