"""Cameras that the tests of several kinds share."""

from collections.abc import Iterator

import pytest

from tests.fakes.webcam import Webcam


@pytest.fixture
def webcam() -> Iterator[Webcam]:
    """An http camera that can be made to fail."""
    webcam = Webcam()
    yield webcam
    webcam.close()
