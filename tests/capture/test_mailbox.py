"""One slot a camera, newest wins, oldest first."""

import threading

import pytest

from agent.capture.mailbox import Mailbox
from agent.data import CameraState
from tests.build import frame


def test_the_newest_frame_wins_and_the_drop_is_counted() -> None:
    mailbox = Mailbox(["a"])
    for seq in range(3):
        mailbox.put("a", frame(seq=seq, t=seq))

    taken = mailbox.take(0)

    assert isinstance(taken, tuple)
    assert taken[1].seq == 2
    assert mailbox.dropped == {"a": 2}
    assert mailbox.take(0) is None


def test_a_busy_camera_cannot_starve_a_quiet_one() -> None:
    mailbox = Mailbox(["busy", "quiet"])
    mailbox.put("quiet", frame(t=1.0))
    taken = []
    for turn in range(4):
        mailbox.put("busy", frame(seq=turn, t=2.0 + turn))
        item = mailbox.take(0)
        assert isinstance(item, tuple)
        taken.append(item[0])

    assert taken == ["quiet", "busy", "busy", "busy"]


def test_words_about_cameras_come_in_order_and_before_frames() -> None:
    mailbox = Mailbox(["a"])
    mailbox.put("a", frame())
    gone, back = CameraState("a", False, "unplugged"), CameraState("a", True, "")
    mailbox.tell(gone)
    mailbox.tell(back)

    assert [mailbox.take(0), mailbox.take(0)] == [gone, back]
    assert isinstance(mailbox.take(0), tuple)


def test_it_ends_only_when_every_source_has_ended_and_all_is_taken() -> None:
    mailbox = Mailbox(["a", "b"])
    mailbox.put("a", frame())
    mailbox.finish("a")
    assert not mailbox.ended
    mailbox.finish("b")
    assert not mailbox.ended
    mailbox.take(0)
    assert mailbox.ended


def test_an_error_is_raised_where_frames_are_taken() -> None:
    mailbox = Mailbox(["a"])
    mailbox.fail(OSError("clip gone"))

    with pytest.raises(OSError, match="clip gone"):
        mailbox.take(0)


def test_received_and_dropped_are_what_was_sent_and_order_is_kept() -> None:
    mailbox = Mailbox(["a"])

    def send() -> None:
        for seq in range(5000):
            mailbox.put("a", frame((8, 6), seq=seq, t=seq))
        mailbox.finish("a")

    sender = threading.Thread(target=send)
    sender.start()
    received = []
    while not mailbox.ended:
        item = mailbox.take(1.0)
        if isinstance(item, tuple):
            received.append(item[1].seq)
    sender.join()

    assert received == sorted(set(received))
    assert received[-1] == 4999
    assert len(received) + mailbox.dropped["a"] == 5000
