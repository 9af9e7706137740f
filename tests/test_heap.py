"""Freed memory is not kept: holes in the heap go back after a reload and every few seconds; large files leave none."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable

from agent import config, heap, modelfile
from tests.conftest import ROOT
from tests.fakes.agent import YARD, Running, start

__all__ = ["start"]  # a fixture
# Blocks below the size from which glibc takes each from the system: they stand in the thread's own heap. The last one
# stays, so that the heap cannot shrink from its end.
HOLES = """
import threading
from pathlib import Path
from agent import heap

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

def work():
    blocks = [bytearray(b"x" * 100_000) for _ in range(600)]
    kept.append(blocks.pop())

kept, begin = [], rss_mb()
thread = threading.Thread(target=work)
thread.start()
thread.join()
held = rss_mb() - begin
heap.give_back()
print(held, rss_mb() - begin)
"""
# Threads that live at once, each with a heap of its own: a large block that is freed has it keep more from then on.
THREADS = """
import sys, threading
from pathlib import Path
from agent import heap

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

def work():
    bytearray(b"x" * 14_000_000)
    together.wait()
    for _ in range(3):
        [bytearray(b"x" * 1_000_000) for _ in range(20)]
    together.wait()
    together.wait()

if sys.argv[1] == "shared":
    heap.settle()
together, begin = threading.Barrier(9), rss_mb()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
together.wait()
together.wait()
heap.give_back()
print(rss_mb() - begin)
together.wait()
"""
# Large blocks, each with something after it that stays. The first that is freed decides where the later ones stand.
LARGE = """
import sys
from pathlib import Path
from agent import heap

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

if sys.argv[1] == "settled":
    heap.settle()
kept, begin = [], rss_mb()
for _ in range(4):
    block = b"x" * 14_000_000
    kept.append(b"x" * 100_000)
    del block
print(rss_mb() - begin)
"""
# What glibc itself says of its heaps, with a thread more that asks for memory.
HEAPS = """
import ctypes, sys, threading
if sys.argv[1] == "agent":
    import agent.__main__
import cv2, numpy

thread = threading.Thread(target=lambda: [bytearray(b"x" * 1000) for _ in range(1000)])
thread.start()
thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""
# What is in use after many small arrays came and went: numpy holds some of them.
SMALL = """
import ctypes, sys
import numpy as np
from agent import heap

class Info(ctypes.Structure):  # mallinfo(3)
    _fields_ = [("before", ctypes.c_size_t * 7), ("used", ctypes.c_size_t), ("rest", ctypes.c_size_t * 2)]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if sys.argv[1] == "kept":
    heap.keep()
begin = libc.mallinfo2().used
for size in range(1, 1100):
    many = [np.zeros(size, np.uint8) for _ in range(20)]
del many
print((libc.mallinfo2().used - begin) / 2**20)
"""
TELLING = """
import sys
from agent import heap
from agent.__main__ import main

def told(what, said):
    def done():
        what()
        print(said, file=sys.stderr, flush=True)
    return done

heap.give_back, heap.collect = told(heap.give_back, "given back"), told(heap.collect, "collected")
sys.exit(main())
"""


def said(script: str, *how: str) -> str:
    """What a process of its own prints: its heap is as it began."""
    return subprocess.check_output([sys.executable, "-c", script, *how], cwd=ROOT, text=True)


def test_what_a_thread_freed_goes_back_to_the_system() -> None:
    held, left = map(float, said(HOLES).split())
    assert held > 40, "glibc keeps it: else there is nothing to show"
    assert left < 10


def test_what_threads_needed_in_one_shared_heap_goes_back() -> None:
    assert float(said(THREADS, "own")) > 80, "else there is nothing to show"
    assert float(said(THREADS, "shared")) < 40


def test_the_agent_has_one_heap_though_numpy_starts_a_thread_as_it_is_imported() -> None:
    assert said(HEAPS, "plain").count("<heap nr=") > 1, "else there is nothing to show"
    assert said(HEAPS, "agent").count("<heap nr=") == 1


def test_a_large_block_leaves_no_hole_in_the_heap() -> None:
    assert float(said(LARGE, "not")) > 10, "else there is nothing to show"
    assert float(said(LARGE, "settled")) < 2


def test_what_numpy_holds_of_small_arrays_is_there_from_the_start() -> None:
    assert float(said(SMALL, "not")) > 3, "else there is nothing to show"
    assert float(said(SMALL, "kept")) < 0.5


def test_what_only_refers_to_itself_is_gone_and_what_was_there_at_the_start_is_not_looked_at() -> None:
    class Ring:
        """Keeps itself alive."""

        def __init__(self) -> None:
            self.me = self

    gc.disable()
    try:
        alive = weakref.ref(Ring())
        assert alive() is not None, "else there is nothing to show"
        heap.collect()
        assert alive() is None
        heap.keep()
        assert gc.get_freeze_count() > 1000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
        gc.enable()


def test_a_reload_gives_back_what_it_needed_and_so_does_each_look_at_the_board(start: Callable[..., Running]) -> None:
    agent = start(YARD, "-c", TELLING)
    agent.wait(lambda: "given back" in agent.process.log(), "a look at the board")
    assert "collected" not in agent.process.log()
    agent.write(YARD + "fps = -1\n")
    assert not agent.ask("reload")["ok"]
    agent.wait(lambda: "collected" in agent.process.log(), "the reload's end")


def test_a_model_is_never_in_memory_as_a_whole() -> None:
    path = config.shipped(config.DEFAULT_MODEL)
    tracemalloc.start()
    try:
        modelfile.read(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < path.stat().st_size / 4
