"""A terminal to look at: a program in a pseudo-terminal, and what its screen shows."""

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Screen:
    """A terminal, as little of one as the view may ask for; fails on any other control sequence."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.lines, self.cursor = columns, [""] * rows, True
        self.row, self.column = 0, 0

    def feed(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+|\x1b", text):
            if token == "\x1b[H":
                self.row = self.column = 0
            elif token == "\x1b[K":
                self.lines[self.row] = self.lines[self.row][: min(self.column, self.columns - 1)]  # as xterm does
            elif token in ("\x1b[?25l", "\x1b[?25h"):
                self.cursor = token.endswith("h")
            elif token == "\r":
                self.column = 0
            elif token == "\n":
                self._down()
            elif not re.fullmatch(r"\x1b\[\d+m", token):
                assert token.isprintable(), f"unexpected {token!r}"
                for char in token:
                    self._put(char)

    def _put(self, char: str) -> None:
        if self.column == self.columns:
            self.column = 0
            self._down()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines, self.row = [*self.lines[1:], ""], self.row - 1


class Terminal:
    """A program in a pseudo-terminal, and what its screen shows."""

    def __init__(self, source: str, columns: int, rows: int, **env: str) -> None:
        self.screen, self.raw = Screen(columns, rows), ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", source], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave,
            env={**clean, "TERM": "xterm", **env}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        tail = ""
        decode = codecs.getincrementaldecoder("utf-8")().decode
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # EIO: the program's end is closed
                return
            if not data:
                return
            text = tail + decode(data)
            self.raw += text[len(tail) :]
            whole = re.fullmatch(r"(.*?)(\x1b[^A-Za-z]*)?", text, re.S)
            assert whole is not None
            tail = whole[2] or ""
            self.screen.feed(whole[1])

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        os.close(self._master)


@contextmanager
def terminal(source: str, columns: int = 60, rows: int = 24, **env: str):
    running = Terminal(source, columns, rows, **env)
    try:
        yield running
    finally:
        running.close()
