"""Uneven channels before SiLU brought to one size: the float model says the same, and int8 loses less."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from convert import ConvertError
from convert.int8 import equalise
from convert.tflite import graph
from tests.convert.tiny import Builder

CHANNELS = 8


def silu(build, x, name, shape):
    s, y = build.tensor(f"{name}/sigmoid", shape), build.tensor(f"{name}/silu", shape)
    build.operator("LOGISTIC", [x], [s])
    build.operator("MUL", [x, s], [y], schema.MulOptionsT())
    return y


def uneven(*, relu=False, shown=False, channels=4):
    """conv, SiLU, depthwise, SiLU, conv: the first one's channels differ a thousandfold. `shown`: SiLU is an output."""
    rng, build = np.random.default_rng(2), Builder()
    sizes = np.geomspace(0.02, 20, CHANNELS, dtype=np.float32)
    image = build.tensor("image", (1, 16, 24, 3))
    weights = rng.normal(size=(CHANNELS, 3, 3, 3)).astype(np.float32) * sizes.reshape(-1, 1, 1, 1)
    a = build.conv(image, "a", (1, 16, 24, CHANNELS), weights, sizes / 10, relu6=relu)
    y = silu(build, a, "a", (1, 16, 24, CHANNELS))
    weights = (rng.normal(size=(1, 3, 3, CHANNELS)).astype(np.float32) / sizes).astype(np.float32)
    b = build.conv(y, "b", (1, 16, 24, CHANNELS), weights, np.zeros(CHANNELS, np.float32), relu6=False, depthwise=True)
    z = silu(build, b, "b", (1, 16, 24, CHANNELS))
    weights = rng.normal(size=(channels, 1, 1, CHANNELS)).astype(np.float32)
    out = build.conv(z, "out", (1, 16, 24, channels), weights, np.zeros(channels, np.float32), relu6=False)
    build.graph.inputs, build.graph.outputs = [image], [out, y] if shown else [out]
    return graph.pack(build.model)


def answers(flatbuffer, picture):
    model = Interpreter(model_content=flatbuffer)
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], picture)
    model.invoke()
    return model.get_tensor(model.get_output_details()[0]["index"])


PICTURE = np.random.default_rng(5).normal(size=(1, 16, 24, 3)).astype(np.float32)


def test_sites_are_found_with_what_they_touch():
    found = equalise.sites(graph.read(uneven()))
    assert [(s.tensor, s.convolution, s.product, s.ends, s.touched) for s in found] == [
        ("a", 0, 2, (3,), ("a/silu",)),
        ("b", 3, 5, (6,), ("b/silu",)),
    ]


@pytest.mark.parametrize("changes", [{"relu": True}, {"shown": True}], ids=["fused activation", "an output"])
def test_a_site_that_others_look_at_is_none(changes):
    assert [s.tensor for s in equalise.sites(graph.read(uneven(**changes)))] == ["b"]


def test_factors_are_powers_of_two_and_lift_the_small_ones():
    c = equalise.factors(np.array([137.0, 28.0, 1.2, 0.1, -5.0], np.float32))
    assert c == (1.0, 4.0, 32.0, 32.0, 32.0)


@pytest.mark.parametrize("names", [["a"], ["b"], ["a", "b"]])
def test_the_float_model_stays_the_same(names):
    """Powers of two only move exponents; XNNPACK may sum in another order where a convolution is another kernel's."""
    levels = {"a": (32.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1.0), "b": (1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0, 2.0)}
    before = answers(uneven(), PICTURE)
    after = answers(equalise.apply(uneven(), {n: levels[n] for n in names}), PICTURE)
    assert np.abs(before).max() > 1
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_the_same_levels_give_the_same_bytes():
    levels = {"a": (2.0,) * CHANNELS}
    assert equalise.apply(uneven(), levels) == equalise.apply(uneven(), levels) != uneven()


def test_a_tensor_that_is_no_site_is_an_error():
    with pytest.raises(ConvertError, match="'out' cannot be equalised in this model"):
        equalise.apply(uneven(), {"out": (1.0,) * 4})


def test_int8_loses_less():
    """The same picture through both int8 models, ranges taken from that picture."""
    from ai_edge_litert.interpreter import OpResolverType

    from convert.int8 import quantize

    def ranges_of(flatbuffer):
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        model = Interpreter(
            model_content=flatbuffer, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
        )
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], PICTURE)
        model.invoke()
        names = set(graph.read(flatbuffer).activations())
        seen = {d["name"]: model.get_tensor(d["index"]) for d in model.get_tensor_details() if d["name"] in names}
        return {n: (min(0.0, float(v.min())), max(0.0, float(v.max()))) for n, v in seen.items()}

    def error(flatbuffer, chosen):
        model = Interpreter(
            model_content=quantize.static_int8(flatbuffer, chosen),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        model.allocate_tensors()
        (i,), (o,) = model.get_input_details(), model.get_output_details()
        scale, zero = i["quantization"]
        model.set_tensor(i["index"], np.clip(np.round(PICTURE / scale + zero), -128, 127).astype(np.int8))
        model.invoke()
        scale, zero = o["quantization"]
        found = (model.get_tensor(o["index"]).astype(np.float32) - zero) * scale
        return float(np.std(found - answers(uneven(), PICTURE)))

    plain = uneven()
    levels = {"a": equalise.factors(np.geomspace(0.2, 200, CHANNELS))}
    levelled = equalise.apply(plain, levels)
    chosen = ranges_of(levelled)
    high = chosen[equalise.twin("a")][1]
    chosen |= {"a": equalise.REACH, equalise.twin("a"): (equalise.BELOW * high, high)}
    assert error(levelled, chosen) < 0.7 * error(plain, ranges_of(plain))
