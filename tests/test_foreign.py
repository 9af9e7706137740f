"""Files of other makers get a card from what is in them, or a line that says what is missing."""

from pathlib import Path

import pytest

from agent import foreign
from agent.modelfile import Card, ModelError, ModelFile, Tensor

PICTURE = Tensor("image", (1, 192, 320, 3), "uint8", 1 / 128, 128)
FLOATS = Tensor("image", (1, 192, 320, 3), "float32")
PLANES = Tensor("image", (1, 3, 192, 320), "float32")
META = {"names": {"1": "car", "0": "person", "10": "bus", "2": "dog"}, "task": "detect", "license": "AGPL-3.0"}
N = sum((192 // s) * (320 // s) for s in (8, 16, 32))


def card_of(
    outputs: list[Tensor],
    *,
    fed: Tensor = PICTURE,
    labels: tuple[str, ...] = (),
    meta: dict[str, object] | None = None,
) -> Card:
    return foreign.recognise(ModelFile(Path("m.tflite"), "00", None, None, meta), [fed], outputs, labels)


def test_a_postprocess_graph_is_recognised() -> None:
    outputs = [Tensor(str(n), shape, "float32") for n, shape in enumerate([(1, 10, 4), (1, 10), (1, 10), (1,)])]

    card = card_of(outputs, labels=("???", "person"))

    assert (card.task, card.head, card.labels) == ("detect", "ssd_postprocess", ("person",))
    assert (card.input.size, card.input.resize) == ((320, 192), "stretch")
    assert card.input.range == pytest.approx((-1.0, 0.9921875))


def test_an_ultralytics_export_is_recognised() -> None:
    card = card_of([Tensor("Identity", (1, 8, N), "float32")], fed=PLANES, meta=META)

    assert (card.task, card.head, card.labels) == ("detect", "ultralytics", ("person", "car", "dog", "bus"))
    assert (card.input.size, card.input.layout, card.input.range) == ((320, 192), "NCHW", (0.0, 1.0))
    assert (card.input.resize, card.input.align, card.input.pad) == ("letterbox", "center", 114)
    assert card.decode == {"boxes": "fraction"}
    assert card.licence == "AGPL-3.0"


@pytest.mark.parametrize(
    ("tensor", "meta", "decode"),
    [
        (Tensor("o", (1, 8, N), "int8", 1 / 255, -128), {}, {"boxes": "fraction"}),
        (Tensor("o", (1, 8, N), "int8", 1.24, -128), {}, {"boxes": "px"}),
        (Tensor("o", (1, 300, 6), "float32"), {"end2end": True}, {"boxes": "fraction", "suppressed": True}),
        (Tensor("o", (1, 300, 6), "float32"), {"args": {"nms": True}}, {"boxes": "fraction", "suppressed": True}),
        (Tensor("o", (1, 3 * N, 9), "float32"), {}, {"boxes": "fraction", "objectness": True}),
        (
            *(Tensor("o", (1, 8 + 51, N), "float32"), {"task": "pose", "kpt_shape": [17, 3]}),
            {"boxes": "fraction", "keypoints": [17, 3]},
        ),
    ],
    ids=["int8", "naive int8", "one-to-one", "nms in the graph", "v5", "pose"],
)
def test_what_an_ultralytics_tensor_holds_is_told_by_its_shape(
    tensor: Tensor, meta: dict[str, object], decode: dict[str, object]
) -> None:
    assert card_of([tensor], fed=FLOATS, meta=META | meta).decode == decode


def test_an_ultralytics_segmenter_has_its_prototypes_whatever_their_order() -> None:
    outputs = [Tensor("p", (1, 48, 80, 32), "float32"), Tensor("o", (1, 8 + 32, N), "float32")]

    card = card_of(outputs, fed=FLOATS, meta=META | {"task": "segment"})

    assert {o.role: o.name for o in card.outputs} == {"predictions": "o", "prototypes": "p"}


def test_an_ultralytics_classifier_is_a_classifier() -> None:
    card = card_of([Tensor("o", (1, 4), "float32")], fed=FLOATS, meta=META | {"task": "classify"})

    assert (card.task, card.head, card.input.range) == ("classify", "classify", (0.0, 1.0))


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [((), ("class 0", "class 1", "class 2")), (("a", "b"), ("background", "a", "b")), (("???", "b", "c"),) * 2],
)
def test_a_classifier_has_as_many_labels_as_scores(labels: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    card = card_of([Tensor("o", (1, 3), "uint8", 1 / 256, 0)], labels=labels)

    assert (card.task, card.head, card.labels) == ("classify", "classify", wanted)
    assert card.outputs[0].role == "score"


def test_a_float_vector_is_a_classifier_only_with_labels() -> None:
    outputs = [Tensor("o", (1, 3), "float32")]

    assert card_of(outputs, labels=("a", "b", "c")).decode == {"activation": "auto"}
    with pytest.raises(ModelError, match="not known"):
        card_of(outputs)


def test_8_bits_beyond_0_to_1_are_logits() -> None:
    card = card_of([Tensor("o", (1, 3), "int8", 0.1, 0)], labels=("a", "b", "c"))

    assert card.outputs[0].role == "logit"


@pytest.mark.parametrize(
    ("tensor", "role", "labels"),
    [
        (Tensor("o", (1, 24, 40), "int64"), "mask", 1000),
        (Tensor("o", (1, 24, 40, 1), "int32"), "mask", 1000),
        (Tensor("o", (1, 24, 40, 21), "float32"), "logit", 21),
    ],
)
def test_a_label_a_cell_is_a_segmenter(tensor: Tensor, role: str, labels: int) -> None:
    card = card_of([tensor])

    assert (card.task, card.head, card.outputs[0].role, len(card.labels)) == ("segment", "segment", role, labels)


def test_three_channels_of_the_inputs_size_are_labels_only_with_labels() -> None:
    outputs = [Tensor("o", (1, 192, 320, 3), "float32")]

    assert card_of(outputs, labels=("a", "b", "c")).head == "segment"
    with pytest.raises(ModelError, match="not known"):
        card_of(outputs)


UNKNOWN = (
    "model m.tflite: no card in it or beside it, and its outputs are not known ({});"
    " describe it in m.json, or give its labels if it is a classifier"
)


@pytest.mark.parametrize(
    ("fed", "outputs", "labels", "meta", "message"),
    [
        (PICTURE, [Tensor("o", (1, 7, 9), "float32")], (), None, UNKNOWN.format("o [1, 7, 9] float32")),
        (
            *(Tensor("sound", (1, 16000), "float32"), [Tensor("o", (1, 4), "uint8", 1 / 256, 0)], (), None),
            UNKNOWN.format("o [1, 4] uint8"),
        ),
        (
            *(PICTURE, [Tensor("o", (1, 4), "uint8", 1 / 256, 0)], ("a", "b"), None),
            "model m.tflite: tells 4 classes apart, but 2 labels are given",
        ),
        (
            *(PICTURE, [Tensor("o", (1, 9, N), "float32")], (), META | {"task": "obb"}),
            "model m.tflite: an Ultralytics file for 'obb', which no head here reads",
        ),
        (
            *(PICTURE, [Tensor("o", (1, 9, N), "float32")], (), {"names": {"a": "b"}}),
            "model m.tflite: the names in its metadata are not a list or a table of labels",
        ),
        (
            *(PICTURE, [Tensor("o", (1, 9, N), "float32")], (), {"names": 7}),
            "model m.tflite: the names in its metadata are not a list or a table of labels",
        ),
    ],
    ids=["shape", "no picture", "labels", "task", "names", "no names"],
)
def test_what_is_not_known_is_one_line(
    fed: Tensor, outputs: list[Tensor], labels: tuple[str, ...], meta: dict[str, object] | None, message: str
) -> None:
    with pytest.raises(ModelError) as error:
        card_of(outputs, fed=fed, labels=labels, meta=meta)

    assert str(error.value) == message
