"""The batched filter against the textbook's (8, 8) matrix form, and its laws of time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.data import Array
from agent.track import kalman

BOX = np.array([[420.0, 310.0, 44.0, 92.0]])
SECONDS = st.floats(0.001, 5.0)


class Textbook:
    """One track, x = F x, P = F P F' + Q, K = P H' (H P H' + R)^-1; noises in px, fixed by the first box."""

    def __init__(self, cxcywh: Array) -> None:
        measured, pushed, unknown = kalman._MEASURED, kalman._PUSHED, kalman._UNKNOWN
        self.x = np.concatenate([cxcywh, np.zeros(4)])
        self.p = np.diag(np.concatenate([measured, unknown]) ** 2) * self.scale() ** 2
        self.measured, self.pushed = measured, pushed

    def scale(self) -> float:
        return float(np.sqrt(self.x[2] * self.x[3]))

    def predict(self, dt: float) -> None:
        f = np.block([[np.eye(4), dt * np.eye(4)], [np.zeros((4, 4)), np.eye(4)]])
        density = np.diag((self.scale() * self.pushed) ** 2)
        q = np.block([[density * dt**3 / 3, density * dt**2 / 2], [density * dt**2 / 2, density * dt]])
        self.x, self.p = f @ self.x, f @ self.p @ f.T + q

    def correct(self, cxcywh: Array) -> None:
        h = np.hstack([np.eye(4), np.zeros((4, 4))])
        r = np.diag((self.scale() * self.measured) ** 2)
        gain = self.p @ h.T @ np.linalg.inv(h @ self.p @ h.T + r)
        self.x = self.x + gain @ (cxcywh - h @ self.x)
        self.p = (np.eye(8) - gain @ h) @ self.p


def dense(spread: Array) -> Array:
    """(3, 4) -> (8, 8)."""
    position, mixed, velocity = (np.diag(row) for row in spread)
    return np.block([[position, mixed], [mixed, velocity]])


def test_equals_the_textbook_over_irregular_frames() -> None:
    rng = np.random.default_rng(5)
    book, (mean, spread) = Textbook(BOX[0]), kalman.start(BOX)
    for step in range(60):
        dt = float(rng.uniform(0.01, 0.8))
        box = BOX + np.array([[9.0, -4.0, 0.3, 0.2]]) * step + rng.normal(0, 2, (1, 4))
        book.predict(dt)
        mean, spread = kalman.predict(mean, spread, np.array([dt]))
        np.testing.assert_allclose(mean[0], book.x, rtol=1e-9)
        np.testing.assert_allclose(dense(spread[0]), book.p, rtol=1e-9, atol=1e-9)
        book.correct(box[0])
        mean, spread = kalman.correct(mean, spread, box)
        np.testing.assert_allclose(mean[0], book.x, rtol=1e-9)
        np.testing.assert_allclose(dense(spread[0]), book.p, rtol=1e-8, atol=1e-8)


def test_a_batch_is_its_tracks_one_by_one() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.uniform(20, 200, (7, 4)), rng.uniform(20, 200, (7, 4))
    dt = rng.uniform(0, 2, 7)
    mean, spread = kalman.correct(*kalman.predict(*kalman.start(first), dt), second)
    for n in range(7):
        one = slice(n, n + 1)
        alone = kalman.correct(*kalman.predict(*kalman.start(first[one]), dt[one]), second[one])
        np.testing.assert_array_equal(alone[0], mean[one])
        np.testing.assert_array_equal(alone[1], spread[one])


@given(SECONDS, SECONDS)
def test_two_steps_know_as_much_as_one(first: float, second: float) -> None:
    mean, spread = kalman.start(BOX)
    mean[0, 4:6] = 30.0, -12.0
    halves = kalman.predict(*kalman.predict(mean, spread, np.array([first])), np.array([second]))
    whole = kalman.predict(mean, spread, np.array([first + second]))
    np.testing.assert_allclose(halves[0], whole[0], rtol=1e-9)
    np.testing.assert_allclose(halves[1], whole[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fps", [30, 10, 3])
def test_velocity_is_in_pixels_per_second_at_any_frame_rate(fps: int) -> None:
    mean, spread = kalman.start(BOX)
    for n in range(1, 4 * fps):
        box = BOX + np.array([[60.0, -25.0, 0, 0]]) * n / fps
        mean, spread = kalman.correct(*kalman.predict(mean, spread, np.array([1 / fps])), box)
    np.testing.assert_allclose(mean[0, 4:6], [60, -25], rtol=0.03)


def test_no_time_changes_nothing() -> None:
    mean, spread = kalman.start(BOX)
    same = kalman.predict(mean, spread, np.zeros(1))
    np.testing.assert_array_equal(same[0], mean)
    np.testing.assert_array_equal(same[1], spread)


def test_a_shrinking_box_never_turns_inside_out() -> None:
    mean, spread = kalman.start(BOX)
    mean[0, 6:] = -500.0
    moved, _ = kalman.predict(mean, spread, np.array([10.0]))
    assert (moved[0, 2:4] >= 1).all()


def test_bridge_takes_the_mean_velocity_of_the_gap() -> None:
    """Seen standing, lost for 2 s, seen 100 px further: it went 50 px/s, not the 75 px/s of the plain filter."""
    mean, spread = kalman.start(BOX)
    for _ in range(20):
        mean, spread = kalman.correct(*kalman.predict(mean, spread, np.array([0.1])), BOX)
    there, gap = BOX + np.array([[100.0, 0, 0, 0]]), np.array([2.0])
    plain, _ = kalman.correct(*kalman.predict(mean, spread, gap), there)
    bridged, _ = kalman.bridge((mean, spread), BOX, there, gap)
    assert abs(bridged[0, 4] - 50) < 10 < abs(plain[0, 4] - 50)
