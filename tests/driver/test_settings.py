"""Settings: checked, set, read back, the same on every core."""

import logging

import numpy as np
import pytest

from mmspool import Camera, CameraBusyError, CoreError, Roi, SettingError

SIDE = 512


@pytest.fixture(params=["mock-python", "mock-java", "demo"])
def camera(request, mock):
    """Every kind of camera, with a square sensor, idle."""
    if request.param != "demo":
        yield mock(backend=request.param.removeprefix("mock-"), width=SIDE, height=SIDE)
        return
    with Camera.demo(width=SIDE, height=SIDE, buffer_mb=64) as camera:
        yield camera


@pytest.fixture
def idle_again(camera):
    """Stop a sequence that the test left running."""
    yield
    camera.core.stop_sequence()


class TestExposure:
    """``exposure_ms``."""

    def test_is_set_and_read_back(self, camera):
        """What was set is in force, up to the camera's own steps."""
        camera.exposure_ms = 25
        assert camera.exposure_ms == pytest.approx(25, rel=0.01)
        assert isinstance(camera.exposure_ms, float)

    @pytest.mark.parametrize("value", [-1, 10_000.5, float("nan"), float("inf")])
    def test_out_of_limits_is_refused(self, camera, value):
        """The message has the value and the limits; the camera keeps what it had."""
        before = camera.exposure_ms
        with pytest.raises(SettingError, match=r"exposure_ms = \S+ is out of range: Camera takes 0 to 10000 ms"):
            camera.exposure_ms = value
        assert camera.exposure_ms == before

    @pytest.mark.parametrize("value", ["5 ms", None])
    def test_what_is_no_number_is_refused(self, camera, value):
        """The error is one of ours, and has the value."""
        with pytest.raises(SettingError, match=f"exposure_ms is a number of ms, not {value!r}"):
            camera.exposure_ms = value

    def test_numpy_numbers_are_taken(self, camera):
        """The bridges refuse NumPy's types; the driver converts them."""
        camera.exposure_ms = np.float32(20)
        assert camera.exposure_ms == pytest.approx(20, rel=0.01)

    def test_rounded_one_is_logged(self, mock, caplog):
        """A camera that exposes in whole lines says what it made of the value."""
        camera = mock(line_time_us=100.0)
        with caplog.at_level(logging.INFO, "mmspool"):
            camera.exposure_ms = 5.04
        assert camera.exposure_ms == pytest.approx(5.0)
        assert "exposure_ms: asked for 5.04, the camera uses 5.0" in caplog.text

    def test_ignored_one_is_an_error(self, camera, mocker):
        """A camera that keeps its exposure without a word does not pass for one that took the new one."""
        mocker.patch.object(camera.core, "set_exposure_ms")
        with pytest.raises(SettingError, match="was set to 77, but Camera made it"):
            camera.exposure_ms = 77


class TestRoi:
    """``roi``, ``clear_roi`` and ``sensor_size``."""

    def test_is_set_then_cleared(self, camera):
        """Frames have the region's shape, then the sensor's again."""
        camera.roi = Roi(16, 32, 128, 64)
        assert camera.roi == Roi(16, 32, 128, 64)
        assert camera.snap().shape == (64, 128)
        camera.clear_roi()
        assert camera.roi == Roi(0, 0, SIDE, SIDE)
        assert camera.snap().shape == (SIDE, SIDE)

    def test_second_one_does_not_lie_in_the_first(self, camera):
        """A region counts from the sensor's corner, whatever was set before."""
        camera.roi = Roi(100, 100, 64, 64)
        camera.roi = Roi(0, 0, 256, 256)
        assert camera.roi == Roi(0, 0, 256, 256)

    @pytest.mark.parametrize(
        "roi",
        [
            Roi(0, 0, SIDE + 1, 10),
            Roi(SIDE - 5, 0, 10, 10),
            Roi(0, SIDE, 1, 1),
            Roi(-1, 0, 10, 10),
            Roi(0, 0, 0, 10),
            Roi(0, 0, 10, -1),
        ],
    )
    def test_outside_the_sensor_is_refused(self, camera, roi):
        """The camera keeps the region that it had."""
        camera.roi = Roi(0, 0, 64, 32)
        with pytest.raises(SettingError, match=f"does not lie in the {SIDE} x {SIDE} pixels that Camera reads out"):
            camera.roi = roi
        assert camera.roi == Roi(0, 0, 64, 32)

    def test_counts_in_binned_pixels(self, camera):
        """Binned, the sensor has fewer pixels; regions are given and read in those."""
        camera.binning = 2
        camera.roi = Roi(0, 0, 256, 128)
        assert camera.snap().shape == (128, 256)
        with pytest.raises(SettingError, match="256 x 256 pixels"):
            camera.roi = Roi(0, 0, 257, 128)

    def test_whole_sensor_clears_the_region(self, camera):
        """A region of the sensor's size is no region at all."""
        camera.roi = Roi(0, 0, 64, 32)
        camera.roi = Roi(0, 0, SIDE, SIDE)
        assert camera.roi == Roi(0, 0, SIDE, SIDE)

    def test_sensor_size_is_learnt_without_changing_the_region(self, camera):
        """Asking for the sensor's size leaves region and binning as they are."""
        camera.core.set_roi(Roi(8, 16, 64, 32))
        assert camera.sensor_size() == (SIDE, SIDE)
        assert camera.roi == Roi(8, 16, 64, 32)

    def test_sensor_size_does_not_depend_on_binning(self, camera):
        """The sensor's size is in unbinned pixels, whatever the binning."""
        camera.binning = 4
        assert camera.sensor_size() == (SIDE, SIDE)

    def test_rounded_one_is_logged(self, mock, caplog):
        """A camera that rounds to its steps says what it made of the region."""
        camera = mock(width=256, height=128, roi_step=8)
        with caplog.at_level(logging.INFO, "mmspool"):
            camera.roi = Roi(9, 0, 100, 64)
        assert camera.roi == Roi(8, 0, 96, 64)
        assert "roi: asked for Roi(x=9, y=0, width=100, height=64), the camera uses" in caplog.text

    def test_ignored_one_is_an_error(self, camera, mocker):
        """A camera that goes on reading the whole sensor does not pass for one that took the region."""
        mocker.patch.object(camera.core, "set_roi")
        with pytest.raises(SettingError, match=r"was not taken: Camera still reads out its 512 x 512 pixels"):
            camera.roi = Roi(0, 0, 64, 64)

    def test_rounded_up_to_the_sensor_is_no_error(self, camera, mocker):
        """A region of nearly the whole sensor may become the whole sensor."""
        mocker.patch.object(camera.core, "set_roi")
        camera.roi = Roi(0, 0, SIDE - 4, SIDE)
        assert camera.roi == Roi(0, 0, SIDE, SIDE)

    def test_refusal_by_the_core_tells_what_is_in_force(self, camera, mocker):
        """The region had to be cleared first, which the error mentions."""
        mocker.patch.object(camera.core, "set_roi", side_effect=CoreError("no"))
        with pytest.raises(CoreError) as caught:
            camera.roi = Roi(0, 0, 64, 64)
        assert caught.value.__notes__ == ["Camera now reads out the whole sensor"]


class TestBinning:
    """``binning``."""

    def test_is_a_number(self, camera):
        """Binning is a number, and it shrinks the frames."""
        assert camera.binning == 1
        camera.binning = 4
        assert camera.binning == 4
        assert camera.image_format[:2] == (SIDE // 4, SIDE // 4)

    def test_not_allowed_is_refused_with_the_allowed_ones(self, camera):
        """The message lists what the camera takes; it keeps what it had."""
        with pytest.raises(SettingError, match="binning = 3 is not allowed: Camera takes 1, 2, 4"):
            camera.binning = 3
        assert camera.binning == 1

    def test_two_by_two_is_a_number_too(self, mock, mocker):
        """Cameras that say "2x2" take a 2 and read as 2."""
        camera = mock()
        values = {"Binning": "1x1"}
        mocker.patch.object(camera.core, "allowed_values", return_value=("1x1", "2x2", "4x4"))
        mocker.patch.object(camera.core, "get_property", side_effect=lambda _, name: values[name])
        mocker.patch.object(camera.core, "set_property", side_effect=lambda _, name, text: values.update({name: text}))
        camera.binning = 2
        assert values == {"Binning": "2x2"}
        assert camera.binning == 2

    def test_free_one_is_passed_on(self, mock, mocker):
        """A camera that lists no values is given the number."""
        camera = mock()
        mocker.patch.object(camera.core, "allowed_values", return_value=())
        camera.binning = 2
        assert camera.binning == 2

    def test_word_is_an_error(self, mock, mocker):
        """A binning that does not begin with a number is an error."""
        camera = mock()
        mocker.patch.object(camera.core, "get_property", return_value="full")
        with pytest.raises(SettingError, match="binning 'full' does not begin with a number"):
            _ = camera.binning

    def test_camera_without_it_has_one(self, mock, mocker):
        """Without the property, pixels are not binned, and cannot be."""
        camera = mock()
        mocker.patch.object(camera.core, "property_names", return_value=("Gain",))
        assert camera.binning == 1
        with pytest.raises(SettingError, match="Camera has no property Binning"):
            camera.binning = 2


class TestPixels:
    """``pixel_type``, ``bit_depth``, ``image_format`` and ``snap``."""

    def test_pixel_type_decides_the_dtype(self, camera):
        """The frames of both types arrive as they should, 2-D."""
        camera.pixel_type = "8bit"
        assert camera.pixel_type == "8bit"
        assert camera.snap().dtype == camera.image_format.dtype == np.uint8
        camera.pixel_type = "16bit"
        assert camera.snap().dtype == np.uint16

    def test_unknown_pixel_type_is_refused(self, camera):
        """The message lists what the camera takes."""
        with pytest.raises(SettingError, match=r"PixelType = '12bit' is not allowed: choose one of .*16bit.*8bit"):
            camera.pixel_type = "12bit"
        assert camera.pixel_type == "16bit"

    def test_bit_depth(self, camera):
        """The bit depth is set by the property and read back from the core."""
        camera.bit_depth = 12
        assert camera.bit_depth == camera.image_format.bit_depth == 12

    def test_bit_depth_that_is_not_delivered_is_an_error(self, camera, mocker):
        """A property that says what frames do not have is not believed."""
        form = camera.image_format
        mocker.patch.object(camera.core, "image_format", return_value=form)
        with pytest.raises(SettingError, match="bit_depth was set to 12, but Camera delivers 16 bits"):
            camera.bit_depth = 12

    def test_snap_is_a_frame_of_ones_own(self, camera):
        """``snap`` returns ``(Y, X)`` pixels that a later snap does not change."""
        camera.roi = Roi(0, 0, 128, 64)
        first = camera.snap()
        kept = first.copy()
        second = camera.snap()
        assert first.shape == second.shape == (64, 128)
        assert np.array_equal(first, kept)

    def test_pixel_size(self, mock):
        """The sample pixel size comes from Micro-Manager."""
        assert mock(pixel_size_um=0.25).pixel_size_um == 0.25


class TestDetectorInfo:
    """What is known of the camera, for the file."""

    def test_holds_settings_and_properties(self, camera):
        """Units are those of the file: seconds, and (y, x)."""
        camera.exposure_ms = 20
        camera.roi = Roi(8, 16, 64, 32)
        info = camera.detector_info()
        assert info.count_time_s == pytest.approx(0.02, rel=0.01)
        assert info.roi_origin == (16, 8)
        assert info.bit_depth == 16
        assert info.serial_number == "V1.0"
        assert info.camera["roi"] == {"x": 8, "y": 16, "width": 64, "height": 32}
        assert info.camera["binning"] == 1
        assert info.camera["label"] == "Camera"
        assert info.camera["backend"] == camera.core.backend
        assert info.camera["properties"]["PixelType"] == "16bit"
        assert set(info.camera["properties"]) == set(camera.properties)

    def test_property_that_cannot_be_read_is_no_reason_not_to_record(self, camera, mocker, caplog):
        """A property that cannot be read is logged, and is empty in the file."""
        read = camera.core.get_property

        def fail(device, name):
            if name == "CCDTemperature":
                raise CoreError("no answer")
            return read(device, name)

        mocker.patch.object(camera.core, "get_property", side_effect=fail)
        assert camera.detector_info().camera["properties"]["CCDTemperature"] == ""
        assert "CCDTemperature of Camera cannot be read: no answer" in caplog.text

    def test_unknown_pixel_size_stays_unknown(self, mock):
        """An uncalibrated pixel size, Micro-Manager's 0.0, stays unknown in the file."""
        assert mock(pixel_size_um=0.0).detector_info().sample_pixel_um is None
        assert mock(pixel_size_um=0.5).detector_info().sample_pixel_um == (0.5, 0.5)


CHANGES = {
    "exposure": lambda camera: setattr(camera, "exposure_ms", 5),
    "roi": lambda camera: setattr(camera, "roi", Roi(0, 0, 64, 64)),
    "clear_roi": lambda camera: camera.clear_roi(),
    "binning": lambda camera: setattr(camera, "binning", 2),
    "pixel_type": lambda camera: setattr(camera, "pixel_type", "8bit"),
    "bit_depth": lambda camera: setattr(camera, "bit_depth", 12),
    "property": lambda camera: camera.properties.__setitem__("ScanMode", "1"),
    "sensor_size": lambda camera: camera.sensor_size(),
    "snap": lambda camera: camera.snap(),
    "recording": lambda camera: camera.start_recording("never.h5", frames=1, core_buffer_mb=8),
}


class TestWhileASequenceRuns:
    """Nothing may end a sequence."""

    def test_every_change_is_refused_and_it_survives(self, camera, idle_again, wait_until, tmp_path, monkeypatch):
        """Each change raises CameraBusyError; the sequence delivers its frames all the same, none missing."""
        monkeypatch.chdir(tmp_path)
        camera.exposure_ms = 10
        camera.core.start_sequence(100_000)
        for name, change in CHANGES.items():
            with pytest.raises(CameraBusyError, match="of Camera while a sequence is running"):
                change(camera)
            assert camera.core.is_sequence_running(), name
        numbers = []
        wait_until(lambda: camera.core.remaining() >= 10)
        while len(numbers) < 10:
            numbers.append(camera.core.pop().image_number)
        assert numbers == list(range(10))
        assert camera.image_format[:2] == (SIDE, SIDE)
        assert list(tmp_path.iterdir()) == []

    def test_reading_is_harmless(self, camera, idle_again):
        """During a sequence every setting but an unknown sensor size can be read."""
        assert camera.sensor_size() == (SIDE, SIDE)
        camera.core.start_sequence(100_000)
        assert camera.sensor_size() == (SIDE, SIDE)
        assert camera.roi == Roi(0, 0, SIDE, SIDE)
        assert camera.properties["PixelType"] == camera.pixel_type == "16bit"
        assert camera.detector_info().bit_depth == camera.bit_depth == 16
        assert camera.core.is_sequence_running()


class TestCamera:
    """The object itself."""

    def test_says_what_it_is(self, mock, backend):
        """Its repr names the camera and the backend."""
        assert repr(mock(backend=backend, label="Zyla")) == f"<Camera Zyla ({backend} core)>"

    def test_core_without_a_camera_is_refused(self, mock):
        """A core without a camera is refused."""
        with pytest.raises(CoreError, match="the core has no camera"):
            mock(label="")

    def test_closing_is_idempotent(self, mock):
        """A closed camera says so, and can be closed again."""
        camera = mock()
        camera.close()
        camera.close()
        with pytest.raises(CoreError, match="closed before"):
            _ = camera.exposure_ms

    def test_takes_an_adapter(self, mock):
        """A core that has its adapter is used as it is."""
        camera = mock()
        assert Camera(camera.core).core is camera.core
