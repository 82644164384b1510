"""When a buffer will be full, from figures that a test makes up."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspool import RecordStats, SpoolStats
from mmspool.driver.forecast import Forecast

RING = 1000
CORE = 400


def stats(*, ring=0, core=0, received=0):
    """Return figures with so many frames in the ring and in the core."""
    return RecordStats(
        frames_requested=None,
        frames_received=received,
        core_waiting=core,
        core_peak=core,
        core_capacity=CORE,
        spool=SpoolStats(
            **(dict.fromkeys((each.name for each in fields(SpoolStats)), 0) | {"ring_frames": RING, "ring_used": ring})
        ),
    )


def forecast(*looks, disk_left_s=math.inf, end_left_s=math.inf):
    """Return what is told after looks one second apart."""
    told, last = Forecast(), None
    for now, last in enumerate(looks):
        told.update(last, float(now))
    return told.text(last, disk_left_s=disk_left_s, end_left_s=end_left_s)


def filling(*, ring=0, core=0, looks=20):
    """Return looks at a ring and a core buffer that fill by so much a second."""
    return [stats(ring=ring * look, core=core * look, received=100 * look) for look in range(looks)]


class TestQuiet:
    """Nothing is near."""

    def test_one_look_tells_no_rate(self):
        """After a single look the forecast is empty, because there is no rate yet."""
        assert forecast(stats(ring=500, core=200)) == ""

    def test_buffers_that_do_not_fill(self):
        """A level that stays is none of anybody's business."""
        assert forecast(*[stats(ring=500, core=100)] * 20) == ""

    def test_buffers_that_empty(self):
        """Buffers that drain give no warning."""
        assert forecast(*reversed(filling(ring=40, core=15))) == ""

    def test_ring_that_is_nearly_empty(self):
        """A nearly empty ring, whose level swings with each block, gives no warning."""
        assert forecast(stats(ring=0), stats(ring=90)) == ""

    def test_far_away(self):
        """Nothing is forecast more than a minute ahead."""
        assert forecast(*filling(ring=8, looks=30)) == ""

    @pytest.mark.parametrize("end_left_s", [0.0, 5.9])
    def test_the_recording_ends_before(self, end_left_s):
        """What comes after its end does not matter."""
        assert forecast(*filling(ring=40), end_left_s=end_left_s) == ""

    def test_no_ring_yet(self):
        """Before the first frame there is none."""
        assert Forecast().text(stats(), disk_left_s=math.inf, end_left_s=math.inf) == ""


class TestWarnings:
    """Something will be full."""

    def test_ring(self):
        """760 of 1,000 frames at 40 a second."""
        assert forecast(*filling(ring=40)) == "ring full in 6 s"

    def test_core_buffer(self):
        """285 of 400 frames at 15 a second, as when the script is held up."""
        assert forecast(*filling(core=15)) == "core buffer full in 8 s"

    @pytest.mark.parametrize(("ring", "core", "first"), [(40, 5, "ring"), (10, 20, "core buffer")])
    def test_the_nearest_one(self, ring, core, first):
        """The forecast names only the buffer that fills first."""
        assert forecast(*filling(ring=ring, core=core)).startswith(f"{first} full in ")

    def test_disk(self):
        """The forecast names the disk when it is about to be full."""
        assert forecast(stats(), disk_left_s=42.0) == "disk full in 42 s"
        assert forecast(*filling(ring=40), disk_left_s=3.0) == "disk full in 3 s"

    def test_rates_are_smoothed(self):
        """One block that comes or goes changes little."""
        looks = filling(ring=40)
        looks[-1] = stats(ring=looks[-1].spool.ring_used - 8)
        assert forecast(*looks) in ("ring full in 6 s", "ring full in 7 s")

    def test_same_moment_twice(self):
        """Two looks at one moment are one."""
        told = Forecast()
        for now, look in enumerate(filling(ring=40)):
            told.update(look, float(now))
            told.update(look, float(now))
        assert told.text(look, disk_left_s=math.inf, end_left_s=math.inf) == "ring full in 6 s"


class TestFullRing:
    """The disk stands still: the core's buffer is next."""

    def test_is_told(self):
        """Frames that the camera made went to the ring until then; now all of them stay in the core."""
        looks = [stats(ring=50 * second, received=50 * second) for second in range(20)]
        held_up = [stats(ring=RING, received=1000)] * 20
        assert forecast(*looks, *held_up) == "ring full, core buffer full in 8 s"

    def test_writer_that_keeps_up_with_the_camera(self):
        """A ring that is full and a core buffer that does not fill: no frame is in danger yet."""
        looks = [stats(ring=RING, received=50 * second) for second in range(20)]
        assert forecast(*looks) == "ring full"

    def test_disk_is_full_first(self):
        """When the disk fills before a buffer does, the forecast names both."""
        looks = [stats(ring=RING, received=50 * second) for second in range(20)]
        assert forecast(*looks, disk_left_s=2.0) == "ring full, disk full in 2 s"


LEVELS = st.builds(stats, ring=st.integers(0, RING), core=st.integers(0, CORE), received=st.integers(0, 10**6))


@given(looks=st.lists(LEVELS, min_size=1, max_size=20), left_s=st.floats(0.0, 1e6))
def test_whatever_happens_it_is_a_short_text(looks, left_s):
    """Any sequence of levels gives a short text, and nothing beyond a minute is forecast."""
    text = forecast(*looks, disk_left_s=left_s, end_left_s=left_s)
    for part in filter(None, text.split(", ")):
        name, _, when = part.partition(" full")
        assert name in ("ring", "core buffer", "disk")
        seconds = when.removeprefix(" in ").removesuffix(" s")
        assert not seconds or 0 <= int(seconds) <= 60
