"""Offset and drift of the camera's clock beside the host's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmspool
from mmspool.persistence.camera_clock import NAMES, CameraClock, fit_clock

START_S = 12.5


def arrivals(frames, *, drift_ppm, delay_s, period_s=0.01, begin_ns=0):
    """Return time stamps of a camera with a drift, and when the frames arrive, each with its delay."""
    camera_s = np.arange(frames) * period_s
    camera_ns = begin_ns + np.round(camera_s * 1e9).astype(np.int64)
    return camera_ns, START_S + camera_s * (1 + drift_ppm * 1e-6) + delay_s


class TestFit:
    """`fit_clock`."""

    @pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 25.0])
    def test_late_frames_do_not_move_it(self, drift_ppm):
        """Half the frames wait for up to 200 ms, longer at the end: offset and drift are right all the same."""
        rng = np.random.default_rng(3)
        delay_s = 0.0004 + rng.exponential(0.0002, 60_000)
        delay_s += np.where(rng.random(60_000) < 0.5, rng.uniform(0, 0.2, 60_000) * np.linspace(0, 1, 60_000), 0)
        clock = fit_clock(*arrivals(60_000, drift_ppm=drift_ppm, delay_s=delay_s))
        assert clock.drift_ppm == pytest.approx(drift_ppm, abs=0.1)
        assert clock.offset_s == pytest.approx(START_S + 0.0004, abs=5e-5)
        assert 0 <= clock.residual_median_s <= clock.residual_95_s <= clock.residual_max_s
        assert clock.residual_max_s == pytest.approx(delay_s.max() - 0.0004, abs=1e-3)
        assert clock.frames == 60_000

    def test_time_axis(self):
        """Host times that are computed from the camera's have no jitter of the arrival, and never lie after it."""
        delay_s = np.abs(np.random.default_rng(5).normal(0, 0.005, 5000))
        camera_ns, arrival_s = arrivals(5000, drift_ppm=40, delay_s=delay_s, begin_ns=7 * 10**15)
        times = fit_clock(camera_ns, arrival_s).to_host_s(camera_ns)
        assert np.all(times <= arrival_s + 1e-6)
        assert np.diff(times) == pytest.approx(0.01 * (1 + 40e-6), rel=1e-4)
        assert times[0] == pytest.approx(START_S, abs=5e-4)

    def test_frames_without_a_time_stamp(self):
        """They are left out."""
        camera_ns, arrival_s = arrivals(100, drift_ppm=0, delay_s=0.001)
        camera_ns[::3] = -1
        assert fit_clock(camera_ns, arrival_s).frames == np.count_nonzero(camera_ns >= 0)

    @pytest.mark.parametrize(
        "camera_ns", [np.full(100, -1), np.full(100, 5), np.arange(3), np.zeros(0, np.int64)], ids=str
    )
    def test_nothing_to_fit(self, camera_ns):
        """Without time stamps, with a clock that stands still, or with a few frames only, there is no fit."""
        assert fit_clock(camera_ns.astype(np.int64), np.arange(len(camera_ns)) / 100) is None

    @given(
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=8, max_size=200),
        st.integers(-200, 200),
    )
    def test_no_frame_arrives_before_it_was_exposed(self, frames, drift_ppm):
        """Whatever the delays, the line lies below all arrivals."""
        camera_us = np.sort(np.array([camera for camera, _ in frames], np.int64))
        delay_s = np.array([delay for _, delay in frames]) * 1e-6
        arrival_s = 3 + camera_us * 1e-6 * (1 + drift_ppm * 1e-6) + delay_s
        clock = fit_clock(camera_us * 1000, arrival_s)
        if clock is not None:
            assert np.all(clock.to_host_s(camera_us * 1000) <= arrival_s + 1e-6)


class TestFile:
    """What a recording has of it."""

    @pytest.mark.usefixtures("processes")
    def test_is_stored(self, tmp_path):
        """A closed recording has the fit, and the same one can be computed from its columns."""
        with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16 * 10**6) as spool:
            start_ns = 1_770_000_000_000_000_000
            for index in range(500):
                host_ns = start_ns + index * 10_001_000 + (3_000_000 if index % 3 else 0)
                frame = np.full((32, 64), index, np.uint16)
                spool.put(frame, {"camera_timestamp": index * 10_000_000, "host_timestamp": host_ns})
        with mmspool.open(tmp_path / "run.h5") as recording:
            clock = recording.camera_clock
            table = recording.frame_table()
            again = fit_clock(table["camera_timestamp"], table["start_time"])
        assert clock.drift_ppm == pytest.approx(100, abs=0.01)
        assert clock.residual_max_s == pytest.approx(0.003, abs=1e-5)
        assert clock.to_array() == pytest.approx(again.to_array())

    @pytest.mark.usefixtures("processes")
    def test_while_it_is_recorded(self, tmp_path):
        """Until the file is closed it is fitted to the frames that are there; without time stamps there is none."""
        with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=16 * 10**6, shape=(32, 64), dtype="u2") as spool:
            with mmspool.open(spool.path) as recording:
                assert recording.camera_clock is None
            for index in range(20):
                spool.put(np.full((32, 64), index, np.uint16))
        with mmspool.open(tmp_path / "run.h5") as recording:
            assert recording.camera_clock is None

    def test_values_that_are_not_there(self):
        """What is not finite, or not as many values as there are names, is no fit."""
        assert CameraClock.from_array(np.full(len(NAMES), math.nan)) is None
        assert CameraClock.from_array(np.zeros(2)) is None
        assert CameraClock.from_array(np.arange(float(len(NAMES)))).drift_ppm == 1.0
