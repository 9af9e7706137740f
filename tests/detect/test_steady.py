"""While nothing moves, a frame costs no memory: no array of more than 4 KB is made for it."""

import tracemalloc

import numpy as np

from agent import config
from agent.data import Frame, Tracks
from agent.detect.detector import Detector
from agent.detect.watch import Watch
from tests.detect.eye import Eye, paint

SIZE, FPS = (640, 360), 10
MOST = 4096  # bytes at once, of arrays and everything else


def test_a_frame_of_a_still_scene_allocates_nothing_large() -> None:
    watch = Watch(Detector(Eye()), config.Detect(sweep_s=1000.0))
    pictures = [paint(SIZE, seed=n) for n in range(8)]
    peaks = []
    tracemalloc.start()
    try:
        for n in range(200):
            frame = Frame(pictures[n % len(pictures)], n, n / FPS)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            watch.detect("yard", frame, Tracks.empty())
            if n >= 150:  # the sweep has seen every place, the background is learned
                assert watch.invokes == 0
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert np.max(peaks) < MOST
