"""Measuring a camera and a machine, with simulated cameras and a real core."""

import numpy as np
import pytest

from mmspool import Camera, CameraBusyError, CoreError, Faults, StorageError
from mmspool.driver.preflight import measure as preflight_measure
from mmspool.driver.preflight.measure import measure, measure_camera
from mmspool.driver.preflight.verdict import FrameLoad

MOMENT_S = 0.05
DEMAND = FrameLoad(shape=(64, 96), dtype=np.dtype("uint16"), fps=None)


def rehearse(camera, **options):
    """Measure a camera for a moment."""
    return measure_camera(camera.core, lambda _: None, **({"seconds": MOMENT_S} | options))


@pytest.fixture
def no_copy(monkeypatch):
    """Copy nothing, which takes half a second."""
    monkeypatch.setattr(preflight_measure, "measure_copy", lambda *_: 1e-3)


class TestCamera:
    """`measure_camera`."""

    def test_of_either_backend(self, mock, backend):
        """Frames came, pops took time, the camera is stopped and can be recorded afterwards."""
        camera = mock(backend=backend)
        rate = rehearse(camera)
        assert rate.frames > 0
        assert rate.fps > 0
        assert rate.pop_s > 0
        assert rate.core_frames == camera.core.buffer_capacity()
        assert not camera.core.is_sequence_running()

    def test_of_a_real_core(self):
        """DemoCamera's frames are counted and thrown away."""
        with Camera.demo(width=64, height=64) as camera:
            camera.properties["FastImage"] = "1"
            camera.exposure_ms = 2
            rate = rehearse(camera, seconds=0.2)
            assert rate.fps > 0
            assert 0 < rate.pop_s < 1
            assert not camera.core.is_sequence_running()

    def test_that_gives_no_frame(self, mock):
        """For a camera that waits for a trigger, the rate is unknown, and the measurement ends."""
        camera = mock(faults=Faults(stall_after=0))
        rate = rehearse(camera, seconds=0.01)
        assert (rate.frames, rate.fps, rate.pop_s) == (0, None, None)
        assert not camera.core.is_sequence_running()

    def test_that_overflows(self, mock):
        """A core that is not emptied fast enough is no error here."""
        camera = mock(tick_s=1000.0)
        camera.core.set_buffer_mb(1)
        assert rehearse(camera).core_frames == 85

    def test_that_is_busy(self, mock):
        """A camera that runs a sequence is refused."""
        camera = mock()
        camera.core.start_sequence(10**6)
        with pytest.raises(CameraBusyError, match="a sequence is running, which a preflight would end"):
            rehearse(camera)
        assert camera.core.is_sequence_running()

    def test_that_fails(self, mock):
        """The core's error is raised, and the camera is stopped."""
        camera = mock(faults=Faults(errors={"pop_next_tagged_image": {3: "cable pulled"}}))
        with pytest.raises(CoreError, match="cable pulled"):
            rehearse(camera)
        assert not camera.core.is_sequence_running()

    def test_that_fails_twice(self, mock):
        """If stopping the camera fails too, the first error is the one raised."""
        errors = {"pop_next_tagged_image": {3: "cable pulled"}, "stop_sequence_acquisition": {1: "no answer"}}
        camera = mock(faults=Faults(errors=errors))
        with pytest.raises(CoreError, match="cable pulled"):
            rehearse(camera)

    def test_progress_that_raises_ends_it(self, mock):
        """Which is how Ctrl-C ends it; the camera is stopped."""
        camera = mock()

        def interrupt(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            measure_camera(camera.core, interrupt, seconds=MOMENT_S)
        assert not camera.core.is_sequence_running()


@pytest.mark.usefixtures("no_copy")
class TestMeasure:
    """`measure`."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        """Run the camera for a moment."""
        monkeypatch.setattr(preflight_measure, "_SEQUENCE_S", MOMENT_S)

    def measured(self, folder, load=DEMAND, *, core=None, report=lambda *_: None):
        """Measure with hardly any time for the disk."""
        return measure(folder, load, core=core, seconds=1e-9, report=report)

    def test_without_a_camera(self, tmp_path):
        """Without a camera, there is no pop time and no core buffer, and the rate is the one asked for."""
        found = self.measured(tmp_path)
        assert (found.camera, found.figures.pop_s, found.figures.core_frames) == (None, None, 0)
        assert found.load == DEMAND
        assert found.figures.disk_bytes_per_s == found.disk.bytes_per_s > 0
        assert found.figures.disk_free_bytes > found.disk.size_bytes
        assert 0 < found.figures.ring_default_bytes <= found.figures.ring_largest_bytes
        assert list(tmp_path.iterdir()) == []

    def test_the_camera_tells_its_rate(self, tmp_path, mock):
        """The camera's rate is measured."""
        found = self.measured(tmp_path, core=mock().core)
        assert found.load.fps == found.camera.fps > 0
        assert found.figures.pop_s == found.camera.pop_s

    def test_a_rate_that_was_given_counts(self, tmp_path, mock):
        """A given rate counts instead of the measured one, because a trigger will produce it."""
        load = FrameLoad(shape=(64, 96), dtype=np.dtype("uint16"), fps=12.5)
        assert self.measured(tmp_path, load, core=mock().core).load.fps == 12.5

    def test_without_a_frame_the_exposure_tells_the_rate(self, tmp_path, mock):
        """No camera makes more than one frame each exposure."""
        camera = mock(faults=Faults(stall_after=0))
        camera.exposure_ms = 20
        found = self.measured(tmp_path, core=camera.core)
        assert found.camera.fps is None
        assert found.load.fps == pytest.approx(50, rel=0.01)

    def test_the_folder_is_looked_at_first(self, tmp_path, mock):
        """A typing error does not cost ten seconds: a camera that would fail is not even started."""
        camera = mock(faults=Faults(errors={"start_sequence_acquisition": {1: "it was started"}}))
        with pytest.raises(StorageError, match="the folder does not exist"):
            self.measured(tmp_path / "none", core=camera.core)

    def test_tells_what_it_does(self, tmp_path, mock):
        """Camera, copy and disk, in this order."""
        told = []
        self.measured(tmp_path, core=mock().core, report=lambda what, _: told.append(what))
        assert list(dict.fromkeys(told)) == ["camera", "copy", "disk"]
