"""The verdict, on figures that a test makes up."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmspool import StorageError
from mmspool.driver.preflight.verdict import (
    DISK_MARGIN,
    LOOP_S,
    PRODUCER_MARGIN,
    PUT_S,
    STALLS_S,
    Bottleneck,
    FrameLoad,
    Measurements,
    judge,
)
from mmspool.persistence.capacity.sizing import ring_frames

MB = 10**6
FRAME = 2048 * 2048 * 2
STORED = FRAME + 56
"""A frame and its seven columns of 8 bytes."""

SCMOS = FrameLoad(shape=(2048, 2048), dtype=np.dtype("uint16"), fps=100.0)
WORKSTATION = Measurements(
    disk_bytes_per_s=2000.0 * MB,
    disk_free_bytes=1000 * STORED * 100,
    copy_s=0.001,
    pop_s=0.002,
    core_frames=200,
    ring_default_bytes=1 << 30,
    ring_largest_bytes=6 << 30,
)


def verdict(load=SCMOS, **figures):
    """Judge a workstation of which these figures are others."""
    return judge(load, replace(WORKSTATION, **figures))


class TestCan:
    """A machine that is fast enough."""

    def test_until_the_disk_is_full(self):
        """For as many seconds as frames fit, of which a second has a hundred."""
        said = verdict()
        assert said.feasible
        assert said.fps == 100.0
        assert said.duration_s == pytest.approx(1000.0)

    def test_the_disk_is_the_bottleneck(self):
        """Its rate, a margin taken off, is the limit."""
        said = verdict(disk_bytes_per_s=1000.0 * MB)
        assert (said.feasible, said.bottleneck) == (True, Bottleneck.DISK)
        assert said.max_fps == pytest.approx(DISK_MARGIN * 1000 * MB / STORED)

    @pytest.mark.parametrize(
        ("pop_s", "copy_s", "stage"), [(0.006, 0.001, Bottleneck.CORE), (0.001, 0.006, Bottleneck.COPY)]
    )
    def test_one_thread_takes_and_copies(self, pop_s, copy_s, stage):
        """Taking and copying happen in one thread: the times add up, and the longer one is named."""
        said = verdict(pop_s=pop_s, copy_s=copy_s)
        assert (said.feasible, said.bottleneck) == (True, stage)
        assert said.max_fps == pytest.approx(PRODUCER_MARGIN / (0.007 + LOOP_S))

    def test_without_a_camera_frames_are_only_copied(self):
        """Without a camera, only the copy counts."""
        said = verdict(pop_s=None, copy_s=0.006, core_frames=0)
        assert said.bottleneck is Bottleneck.COPY
        assert said.max_fps == pytest.approx(PRODUCER_MARGIN / (0.006 + PUT_S))

    def test_rate_that_nobody_gave(self):
        """Without a given rate, the verdict is the highest rate, and it is feasible."""
        said = verdict(replace(SCMOS, fps=None))
        assert said.feasible
        assert said.fps == said.max_fps == pytest.approx(DISK_MARGIN * 2000 * MB / STORED)


class TestCannot:
    """A machine that is too slow or too full."""

    def test_disk_too_slow(self):
        """Ring and core buffer fill by the difference of the rates; then frames are lost."""
        said = verdict(disk_bytes_per_s=STORED * 50 / DISK_MARGIN)
        ring = ring_frames(SCMOS.shape, SCMOS.dtype, 1 << 30)
        assert (said.feasible, said.bottleneck) == (False, Bottleneck.DISK)
        assert said.duration_s == pytest.approx((ring + 200) / 50)

    def test_core_too_slow(self):
        """When the core is too slow, only its own buffer fills and the ring stays empty."""
        said = verdict(pop_s=0.02, copy_s=0.0, core_frames=200)
        fps = PRODUCER_MARGIN / (0.02 + LOOP_S)
        assert (said.feasible, said.bottleneck) == (False, Bottleneck.CORE)
        assert said.duration_s == pytest.approx(200 / (100 - fps))

    def test_disk_is_full_before_the_buffers_are(self):
        """When the disk fills before the buffers overflow, the verdict names the disk."""
        said = verdict(disk_bytes_per_s=STORED * 99 / DISK_MARGIN, disk_free_bytes=STORED * 200)
        assert not said.feasible
        assert said.duration_s == pytest.approx(2.0)

    def test_no_room_for_the_first_frames(self):
        """The file could not even be made."""
        said = verdict(disk_free_bytes=STORED * 99)
        assert (said.feasible, said.bottleneck, said.duration_s) == (False, Bottleneck.SPACE, 0.0)

    def test_no_room_for_two_frames_in_the_ring(self):
        """The error is that of a recording."""
        with pytest.raises(StorageError, match="cannot hold 2 frames of 2048x2048 uint16"):
            verdict(ring_default_bytes=8 << 20)


class TestBuffers:
    """Which buffers carry what."""

    def test_how_long_they_carry_a_stall(self):
        """A buffer survives a stall for as long as frames fit into it."""
        said = verdict(core_frames=250)
        assert said.ring_s == pytest.approx(ring_frames(SCMOS.shape, SCMOS.dtype, 1 << 30) / 100)
        assert said.core_s == pytest.approx(2.5)

    @pytest.mark.parametrize(("slowest_write_s", "stall_s"), [(0.01, 1.0), (0.4, 1.0), (1.5, 3.0)])
    def test_core_buffer_for_the_stall_that_was_seen(self, slowest_write_s, stall_s):
        """The core's buffer that is proposed alone holds all frames of twice the longest write, or of a second."""
        proposed = verdict(slowest_write_s=slowest_write_s).core_buffer
        assert (proposed.stall_s, proposed.fits) == (stall_s, True)
        assert proposed.buffer_bytes % 2**20 == 0
        assert stall_s * 100 * FRAME <= proposed.buffer_bytes <= (stall_s * 100 + 2) * FRAME

    def test_core_buffer_that_does_not_fit(self):
        """It is proposed all the same, and says that there is too little memory beside the ring."""
        assert not verdict(slowest_write_s=1.5, ring_largest_bytes=3 << 30).core_buffer.fits
        assert verdict(core_frames=0).core_buffer is None

    def test_rings_hold_all_frames_of_a_stall(self):
        """One second of 2048x2048 at 100 frames/s is 839 MB, with two blocks more; 6 GiB are no room for ten."""
        rings = verdict().rings
        assert [ring.stall_s for ring in rings] == list(STALLS_S)
        assert rings[0].buffer_bytes == pytest.approx(102 * FRAME, rel=0.001)
        assert [ring.fits for ring in rings] == [True, True, True, False]
        for ring in rings:
            assert ring_frames(SCMOS.shape, SCMOS.dtype, ring.buffer_bytes) >= 100 * ring.stall_s + 2


DEMANDS = st.builds(
    FrameLoad,
    shape=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    dtype=st.sampled_from([np.dtype(name) for name in ("uint8", "uint16", "float32")]),
    fps=st.floats(0.01, 1e5),
)
FIGURES = st.builds(
    Measurements,
    disk_bytes_per_s=st.floats(1e6, 1e10),
    disk_free_bytes=st.integers(0, 10**14),
    copy_s=st.floats(1e-7, 0.1),
    pop_s=st.none() | st.floats(1e-7, 0.1),
    core_frames=st.integers(0, 10**5),
    ring_default_bytes=st.integers(256 << 20, 1 << 30),
    ring_largest_bytes=st.integers(0, 10**11),
)
BETTER = {
    "disk_bytes_per_s": lambda value, factor: value * factor,
    "disk_free_bytes": lambda value, factor: int(value * factor),
    "copy_s": lambda value, factor: value / factor,
    "pop_s": lambda value, factor: value / factor,
    "core_frames": lambda value, factor: int(value * factor),
    "ring_largest_bytes": lambda value, factor: int(value * factor),
}


@pytest.mark.parametrize("what", BETTER)
@given(load=DEMANDS, figures=FIGURES, factor=st.floats(1.0, 100.0))
def test_a_better_machine_is_never_judged_worse(what, load, figures, factor):
    """A machine that is better in any figure is never judged worse."""
    old = getattr(figures, what)
    assume(old is not None)
    before = judge(load, figures)
    after = judge(load, replace(figures, **{what: BETTER[what](old, factor)}))
    assert after.feasible >= before.feasible
    assert after.max_fps >= before.max_fps * 0.999999
    assert after.duration_s >= before.duration_s * 0.999999
    assert after.core_s >= before.core_s
    assert all(new.fits >= old.fits for new, old in zip(after.rings, before.rings, strict=True))


@given(load=DEMANDS, figures=FIGURES, factor=st.floats(1.0, 100.0))
def test_fewer_frames_are_never_harder(load, figures, factor):
    """A slower camera can be recorded wherever a faster one can, for longer."""
    fast, slow = judge(load, figures), judge(replace(load, fps=load.fps / factor), figures)
    assert slow.feasible >= fast.feasible
    assert slow.duration_s >= fast.duration_s * 0.999999
    assert all(a.buffer_bytes <= b.buffer_bytes + (20 << 20) for a, b in zip(slow.rings, fast.rings, strict=True))


@given(load=DEMANDS, figures=FIGURES)
def test_the_limit_is_consistent(load, figures):
    """The most that may be can be recorded, unless the disk is full; a little more cannot."""
    said = judge(replace(load, fps=None), figures)
    assert said.feasible == (said.bottleneck is not Bottleneck.SPACE)
    assert not judge(replace(load, fps=said.max_fps * 1.001), figures).feasible
    assert not any(math.isnan(value) for value in asdict(said).values() if isinstance(value, float))
