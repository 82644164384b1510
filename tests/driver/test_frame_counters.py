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
    """Consecutive frames show no gap, wherever the camera's counter starts."""
    assert losses((0, 17), (1, 18), (2, 19)) == [[], [], []]


def test_frames_without_counters_miss_nothing():
    """Frames without counters show no gap."""
    assert losses((-1, -1), (-1, -1)) == [[], []]
    assert losses((0, 1), (-1, -1), (1, 2)) == [[], [], []]


def test_jump_of_the_image_number_is_a_loss_in_the_core():
    """A jump of the image number, which counts inserts into the core, is a loss in the core."""
    assert losses((2, -1), (3, -1), (7, -1)) == [[Gap(2, "core")], [], [Gap(3, "core")]]


def test_reset_of_the_image_number_is_at_least_one_lost_frame():
    """A buffer that was emptied unread is never nothing."""
    assert losses((0, -1), (1, -1), (0, -1), (1, -1)) == [[], [], [Gap(1, "core")], []]
    assert losses((0, -1), (1, -1), (2, -1), (1, -1)) == [[], [], [], [Gap(1, "core")]]


def test_reset_beyond_zero_loses_the_frames_before_it():
    """After a reset of the image number to more than zero, the frames before that number are lost."""
    assert losses(*((number, -1) for number in range(9)), (5, -1))[-1] == [Gap(5, "core")]


def test_jump_of_the_camera_counter_alone_is_a_loss_in_the_camera():
    """A jump of the camera's counter alone is a loss in the camera."""
    assert losses((0, 1), (1, 5)) == [[], [Gap(3, "camera")]]


def test_frame_lost_in_the_core_is_not_counted_for_the_camera_too():
    """When both counters jump, only the difference counts as lost in the camera."""
    assert losses((0, 1), (3, 4)) == [[], [Gap(2, "core")]]
    assert losses((0, 1), (3, 9)) == [[], [Gap(2, "core"), Gap(5, "camera")]]


def test_camera_counter_that_starts_again_is_no_loss():
    """A camera counter that wraps or restarts is no loss."""
    assert losses((0, 65_535), (1, 0), (2, 1)) == [[], [], []]


@given(st.lists(st.sampled_from(["kept", "core", "camera"]), max_size=60))
def test_every_loss_before_a_kept_frame_is_found_at_its_stage(fates):
    """For any mixture of losses before a kept frame, the counters give number, place and stage."""
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
