"""The agent.toml that a simulation runs on."""

import argparse

import pytest

from agent import config
from agent.cli import sim
from agent.data import LookoutError


def settings(tmp_path, *words):
    parser = argparse.ArgumentParser()
    sim.arguments(parser)
    args = parser.parse_args(["--source", "synthetic", *map(str, words)])
    path = tmp_path / "agent.toml"
    path.write_text(sim._text(args, sim.source(args.source, args.speed), "127.0.0.1", 1883, tmp_path))
    return config.load(path)


def test_a_second_model_looks_at_all_that_is_found_or_at_what_is_named(tmp_path):
    assert not settings(tmp_path).second
    look = settings(tmp_path, "--second", "signs.tflite").second["look"]
    assert {"person", "stop sign"} <= set(look.labels)
    assert look.options.file.name == "signs.tflite"
    assert settings(tmp_path, "--second", "signs.tflite", "--of", "car", "--of", "bus").second["look"].labels == (
        "car",
        "bus",
    )


def test_a_detector_without_a_card_has_to_be_told_of(tmp_path):
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(b"\0\0\0\0TFL3" + bytes(24))
    with pytest.raises(LookoutError, match="--of LABEL"):
        settings(tmp_path, "--model", plain, "--second", "signs.tflite")
