"""Finding lost frames in their counters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmspool.adapters import Frame
from mmspool.driver.frame_counters import Gap, GapDetector

PIXELS = np.zeros((2, 2), np.uint8)


def losses(*numbers):
    """Return what is missing before each of the frames with these (image, camera) numbers."""
    watch = GapDetector()
    return [watch.missing_before(Frame(PIXELS, image, camera, -1)) for image, camera in numbers]


def test_consecutive_frames_miss_nothing():
    """A camera's counter may start anywhere."""
    assert losses((0, 17), (1, 18), (2, 19)) == [[], [], []]


def test_frames_without_counters_miss_nothing():
    """What is not told cannot jump."""
    assert losses((-1, -1), (-1, -1)) == [[], []]
    assert losses((0, 1), (-1, -1), (1, 2)) == [[], [], []]


def test_jump_of_the_image_number_is_a_loss_in_the_core():
    """It counts what was put into the core's buffer, from 0 on."""
    assert losses((2, -1), (3, -1), (7, -1)) == [[Gap(2, "core")], [], [Gap(3, "core")]]


def test_reset_of_the_image_number_is_at_least_one_lost_frame():
    """A buffer that was emptied unread is never nothing."""
    assert losses((0, -1), (1, -1), (0, -1), (1, -1)) == [[], [], [Gap(1, "core")], []]
    assert losses((0, -1), (1, -1), (2, -1), (1, -1)) == [[], [], [], [Gap(1, "core")]]


def test_reset_beyond_zero_loses_the_frames_before_it():
    """Those that came after the reset and are not here either."""
    assert losses(*((number, -1) for number in range(9)), (5, -1))[-1] == [Gap(5, "core")]


def test_jump_of_the_camera_counter_alone_is_a_loss_in_the_camera():
    """The core never saw these frames."""
    assert losses((0, 1), (1, 5)) == [[], [Gap(3, "camera")]]


def test_frame_lost_in_the_core_is_not_counted_for_the_camera_too():
    """Both counters jump, and only the rest was lost before the core."""
    assert losses((0, 1), (3, 4)) == [[], [Gap(2, "core")]]
    assert losses((0, 1), (3, 9)) == [[], [Gap(2, "core"), Gap(5, "camera")]]


def test_camera_counter_that_starts_again_is_no_loss():
    """Some wrap, some restart: nothing can be told from that."""
    assert losses((0, 65_535), (1, 0), (2, 1)) == [[], [], []]


@given(st.lists(st.sampled_from(["kept", "core", "camera"]), max_size=60))
def test_every_loss_before_a_kept_frame_is_found_at_its_stage(fates):
    """Whatever mixture of frames is lost, the counters tell how many, where, and at which stage."""
    watch, inserted, camera = GapDetector(), 0, 100
    watch.missing_before(Frame(PIXELS, inserted, camera, -1))
    pending = {"core": 0, "camera": 0}
    for fate in fates:
        camera += 1
        inserted += fate != "camera"
        if fate != "kept":
            pending[fate] += 1
            continue
        expected = [Gap(count, stage) for stage, count in pending.items() if count]
        assert watch.missing_before(Frame(PIXELS, inserted, camera, -1)) == expected
        pending = {"core": 0, "camera": 0}
