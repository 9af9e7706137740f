"""Corners of zones for hypothesis to draw."""

from __future__ import annotations

from hypothesis import strategies as st

EIGHTHS = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda p: (p[0] / 8, p[1] / 8))
