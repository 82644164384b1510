"""What every core does, the simulated ones and Micro-Manager's own: where they differ, the simulation is wrong."""

import re
import threading
import time
from typing import Any

import numpy as np
import pytest

from mmspool.adapters import MAX_FRAMES, CoreAdapter, MockCore, Roi, frame_index
from mmspool.errors import CoreError, SettingError

RUNNING = "This operation can not be executed while sequence acquisition is running."
EMPTY = r"Circular buffer is empty\."

python_cores = pytest.mark.parametrize("rig", ["mock-python", "demo"], indirect=True)
SETTABLE = ["mock-python", "mock-java", "demo", "pymmcore", "pymmcore-plus"]
settable_cores = pytest.mark.parametrize("rig", SETTABLE, indirect=True)
all_cores = pytest.mark.parametrize("rig", [*SETTABLE, "sequence-tester"], indirect=True)


def buffer_of(rig, frames):
    """Size the buffer to hold so many frames of the present format, and return how many that is."""
    frame_bytes = rig.core.get_image_width() * rig.core.get_image_height() * rig.core.get_bytes_per_pixel()
    megabytes = max(1, -(-frames * frame_bytes // 2**20))
    rig.core.set_circular_buffer_memory_footprint(megabytes)
    return megabytes * 2**20 // frame_bytes


def overflow(rig):
    """Run a sequence into a buffer too small for it, and return the buffer's capacity."""
    capacity = buffer_of(rig, 4)
    rig.adapter.set_exposure_ms(1.0)
    rig.sequence(1000)
    assert rig.core.is_buffer_overflowed()
    return capacity


@python_cores
class TestTypes:
    """The core's own API: what comes back."""

    def test_text_vectors_are_tuples(self, rig):
        """The adapter returns the core's string vectors as tuples of str."""
        names = rig.core.get_device_property_names("Camera")
        assert isinstance(names, tuple)
        assert list(names) == sorted(names)
        assert {"Binning", "PixelType", "Exposure", "BitDepth", "Offset"} <= set(names)
        assert rig.core.get_allowed_property_values("Camera", "PixelType")[0] == "16bit"
        assert rig.core.get_allowed_property_values("Camera", "Exposure") == ()
        assert rig.core.get_loaded_devices() == ("Camera", "Core")

    def test_numbers_have_one_type(self, rig):
        """Regions are lists of int, sizes int, exposure and limits float."""
        assert rig.core.get_roi() == [0, 0, 512, 512]
        assert type(rig.core.get_image_width()) is int
        assert type(rig.core.get_exposure()) is float
        assert rig.core.get_property_lower_limit("Camera", "CCDTemperature") == -100.0
        assert type(rig.core.get_property_upper_limit("Camera", "CCDTemperature")) is float
        assert type(rig.core.get_pixel_size_um()) is float
        assert rig.core.is_property_read_only("Camera", "CameraID") is True
        assert rig.core.is_property_pre_init("Camera", "MaximumExposureMs") is True
        assert rig.core.has_property("Camera", "Nope") is False
        assert rig.core.get_number_of_components() == 1

    def test_images_are_2d_and_owned(self, rig):
        """Snapped and popped images are 2-D, writeable, and belong to the caller."""
        rig.core.snap_image()
        rig.sequence(3)
        images = [rig.core.get_image(), rig.core.get_last_image(), rig.core.pop_next_image()]
        images.append(rig.core.pop_next_tagged_image().pix)
        for image in images:
            assert image.shape == (512, 512)
            assert image.dtype == np.uint16
            assert image.flags.writeable
            assert image.flags.owndata
            assert image.flags.c_contiguous

    def test_tags_of_a_frame_are_all_text(self, rig):
        """A popped frame has the ten tags of core and camera, all text."""
        rig.sequence(2)
        first, second = rig.core.pop_next_tagged_image().tags, rig.core.pop_next_tagged_image().tags
        times = {name: first.pop(name) for name in ("ElapsedTime-ms", "TimeReceivedByCore")}
        assert first == {
            "Binning": "1",
            "Camera": "Camera",
            "Height": "512",
            "ImageNumber": "0",
            "PixelType": "GRAY16",
            "ROI-X-start": "0",
            "ROI-Y-start": "0",
            "Width": "512",
        }
        assert second["ImageNumber"] == "1"
        assert list(second) == sorted(second)
        assert re.fullmatch(r"\d+\.\d\d", times["ElapsedTime-ms"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", times["TimeReceivedByCore"])

    def test_a_snapped_tagged_image_needs_arguments(self, rig):
        """get_tagged_image needs camera index, camera, height and width, and has five tags."""
        with pytest.raises(RuntimeError, match="Issue snapImage before getImage"):
            rig.core.get_tagged_image(0, "Camera", 512, 512)
        rig.core.snap_image()
        tagged = rig.core.get_tagged_image(0, "Camera", 512, 512)
        assert tagged.pix.shape == (512, 512)
        expected = {"Camera": "Camera", "Height": 512, "Width": 512, "PixelType": None, "CameraChannelIndex": 0}
        assert tagged.tags == expected
        with pytest.raises(TypeError):
            rig.core.get_tagged_image()

    def test_java_only_names_do_not_exist(self, rig):
        """What only Java's core has is missing."""
        assert not hasattr(rig.core, "set_include_system_state_cache")
        assert not hasattr(rig.core, "get_last_tagged_image")


@python_cores
class TestArguments:
    """The core's own API: what may go in."""

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("set_exposure", (np.float32(5),)),
            ("set_exposure", ("5",)),
            ("set_exposure", ()),
            ("set_roi", (0, 0, np.int64(16), 16)),
            ("set_roi", (0, 0, 16.0, 16)),
            ("set_property", ("Camera", "Offset", np.int64(2))),
            ("set_circular_buffer_memory_footprint", (np.int64(64),)),
            ("set_circular_buffer_memory_footprint", (64.0,)),
            ("start_sequence_acquisition", (np.int64(5), 0, True)),
            ("start_sequence_acquisition", (5.0, 0, True)),
            ("start_sequence_acquisition", (5, 0, 1)),
            ("start_sequence_acquisition", (5, 0, np.bool_(True))),
        ],
    )
    def test_other_types_are_refused(self, rig, name, args):
        """NumPy scalars, floats for ints and ints for bools are a TypeError."""
        with pytest.raises(TypeError):
            getattr(rig.core, name)(*args)

    def test_keyword_arguments_are_refused(self, rig):
        """The simulated core refuses keyword arguments with a TypeError, as a bridge does."""
        with pytest.raises(TypeError):
            rig.core.set_exposure(exposure=5.0)

    def test_numbers_are_taken_for_text(self, rig):
        """A property takes text, int, float and bool."""
        for value, text in ((2, "2"), (3.0, "3"), ("4", "4"), (True, "1"), (np.float64(5), "5")):
            rig.core.set_property("Camera", "Offset", value)
            assert rig.core.get_property("Camera", "Offset") == text

    def test_an_exposure_may_be_an_int_or_a_float64(self, rig):
        """set_exposure takes what converts to a float without loss."""
        rig.core.set_exposure(5)
        rig.core.set_exposure(np.float64(6))
        assert rig.core.get_exposure() == pytest.approx(6, abs=0.01)


@python_cores
class TestRefusals:
    """The core's own API: its exceptions, by type and text."""

    @pytest.mark.parametrize("name", ["pop_next_image", "pop_next_tagged_image", "get_last_image"])
    def test_an_empty_buffer_is_an_index_error(self, rig, name):
        """Reading from the empty buffer is an IndexError."""
        with pytest.raises(IndexError, match=EMPTY):
            getattr(rig.core, name)()

    @pytest.mark.parametrize(
        ("name", "args", "message"),
        [
            ("get_image", (), "Issue snapImage before getImage."),
            ("get_property", ("Camera", "Nope"), 'Cannot get value of property "Nope"'),
            ("get_property", ("Nope", "Binning"), 'No device with label "Nope"'),
            ("set_property", ("Camera", "PixelType", "17bit"), 'Cannot set property "PixelType" to "17bit"'),
            ("set_property", ("Camera", "CCDTemperature", "11"), 'Cannot set property "CCDTemperature" to "11"'),
            ("set_property", ("Camera", "Exposure", "99999"), 'Cannot set property "Exposure" to "99999"'),
            (
                "set_property",
                ("Camera", "Nope", "1"),
                'Error in device "Camera": Invalid property name encountered: Nope (2)',
            ),
            (
                "is_property_read_only",
                ("Camera", "Nope"),
                'Error in device "Camera": Invalid property name encountered: Nope (2)',
            ),
            (
                "has_property_limits",
                ("Camera", "Nope"),
                'Error in device "Camera": Invalid property name encountered: Nope (2)',
            ),
            ("get_device_library", ("Nope",), 'No device with label "Nope"'),
            ("get_device_property_names", ("Nope",), 'No device with label "Nope"'),
            ("wait_for_device", ("Nope",), 'No device with label "Nope"'),
            ("has_property", ("Nope", "Binning"), 'No device with label "Nope"'),
        ],
    )
    def test_a_refused_call_is_a_runtime_error(self, rig, name, args, message):
        """Every other refusal is a RuntimeError with the same text."""
        with pytest.raises(RuntimeError) as caught:
            getattr(rig.core, name)(*args)
        assert str(caught.value) == message

    def test_some_wrong_settings_change_nothing_and_say_nothing(self, rig):
        """Read-only properties and exposures out of limits are silently kept."""
        rig.core.set_exposure(10.0)
        before = rig.core.get_exposure()
        rig.core.set_exposure(-5.0)
        rig.core.set_exposure(20_000.0)
        rig.core.set_property("Camera", "CameraID", "mine")
        assert rig.core.get_exposure() == before
        assert rig.core.get_property("Camera", "CameraID") == "V1.0"
        assert rig.core.get_allowed_property_values("Camera", "Nope") == ()
        assert rig.core.get_property_lower_limit("Camera", "Binning") == 0.0

    def test_a_word_for_a_number_is_zero(self, rig):
        """A property that is a number reads a word as 0."""
        rig.core.set_property("Camera", "Offset", "many")
        assert rig.core.get_property("Camera", "Offset") == "0"

    def test_a_buffer_too_small_for_a_frame_is_a_memory_error(self, rig):
        """A buffer smaller than one frame makes both sizing and starting fail."""
        with pytest.raises(MemoryError, match="Failed to initialize circular buffer"):
            rig.core.set_circular_buffer_memory_footprint(0)
        assert rig.core.get_circular_buffer_memory_footprint() == 0
        with pytest.raises(MemoryError, match="Failed to initialize circular buffer"):
            rig.core.start_sequence_acquisition(2, 0.0, True)
        assert not rig.core.is_sequence_running()

    def test_an_unloaded_camera_is_a_runtime_error(self, rig):
        """Without a camera there is nothing to set, snap or start; unloading needs a stopped sequence."""
        rig.core.start_sequence_acquisition(1000, 0.0, True)
        with pytest.raises(RuntimeError, match="while sequence acquisition is running"):
            rig.core.unload_all_devices()
        rig.core.stop_sequence_acquisition()
        rig.core.unload_all_devices()
        assert rig.core.get_camera_device() == ""
        assert rig.core.get_loaded_devices() == ("Core",)
        assert not rig.core.is_sequence_running()
        for name, args in (
            ("set_exposure", (5.0,)),
            ("set_roi", (0, 0, 16, 16)),
            ("snap_image", ()),
            ("start_sequence_acquisition", (1, 0.0, True)),
            ("stop_sequence_acquisition", ()),
        ):
            with pytest.raises(RuntimeError, match=r"Camera not loaded or initialized\."):
                getattr(rig.core, name)(*args)


@settable_cores
class TestDuringASequence:
    """What a running sequence refuses, survives and dies of."""

    def failing(self, rig: Any, name: str, *args: Any) -> str:
        """Call the core, expect a refusal, and return its text."""
        with pytest.raises(Exception, match=r".") as caught:
            getattr(rig.core, name)(*args)
        assert type(caught.value) is (Exception if rig.adapter.backend == "java" else RuntimeError)
        return str(caught.value)

    @pytest.fixture
    def running(self, rig):
        """Let a sequence run whose first frame was popped and whose next two wait."""
        rig.core.set_exposure(10.0)
        rig.core.start_sequence_acquisition(100_000, 0.0, True)
        rig.wait_for_frames(3)
        assert rig.adapter.pop().image_number == 0
        yield rig
        rig.core.stop_sequence_acquisition()

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("snap_image", ()),
            ("start_sequence_acquisition", (5, 0.0, True)),
            ("start_continuous_sequence_acquisition", (0.0,)),
        ],
    )
    def test_a_second_acquisition_is_refused(self, running, name, args):
        """Snapping and starting are refused, and the sequence goes on."""
        assert RUNNING in self.failing(running, name, *args)
        assert running.core.is_sequence_running()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("PixelType", "8bit"), ("PixelType", "16bit"), ("Binning", "1"), ("Binning", "2"), ("BitDepth", "12")],
    )
    def test_what_changes_the_frame_is_refused(self, running, name, value):
        """Pixel type, bit depth and binning are refused, even to the value they have."""
        message = self.failing(running, "set_property", "Camera", name, value)
        assert f'Cannot set property "{name}" to "{value}"' in message
        assert running.core.is_sequence_running()

    def test_what_leaves_the_frame_alone_is_taken(self, running):
        """Exposure, offset and temperature can be set, and the sequence goes on."""
        running.core.set_exposure(5.0)
        running.core.set_property("Camera", "Offset", "3")
        running.core.set_property("Camera", "CCDTemperature", "-20")
        running.core.set_property("Camera", "Exposure", "6")
        running.wait_for_frames(running.adapter.remaining() + 3)
        assert running.core.is_sequence_running()
        assert running.image_numbers()[:3] == [1, 2, 3]

    def test_a_new_region_discards_the_frames_and_silently_ends_the_sequence(self, running):
        """The camera dies of a changed region: no error, no overflow."""
        running.core.set_roi(0, 0, 100, 100)
        running.wait_for_end()
        assert running.drain() == []
        assert not running.core.is_buffer_overflowed()

    def test_the_same_region_discards_the_frames_and_restarts_the_count(self, running):
        """Setting the region it has costs the waiting frames without a gap in ImageNumber."""
        running.core.set_roi(0, 0, 512, 512)
        running.wait_for_frames(2)
        assert running.image_numbers()[:2] == [0, 1]

    def test_clearing_the_buffer_restarts_the_count(self, running):
        """Clearing costs the waiting frames without a gap in ImageNumber."""
        running.core.clear_circular_buffer()
        running.wait_for_frames(2)
        assert running.image_numbers()[:2] == [0, 1]

    def test_a_new_footprint_discards_the_frames(self, running):
        """Sizing the buffer costs the waiting frames; during a sequence it restarts the count, or ends the sequence."""
        running.core.stop_sequence_acquisition()
        assert running.adapter.remaining() >= 2
        running.core.set_circular_buffer_memory_footprint(32)
        assert running.image_numbers() == []


@all_cores
class TestSequences:
    """The order of frames and the end of sequences, through the adapter."""

    def test_a_finite_sequence_ends_by_itself_with_every_frame_in_order(self, rig):
        """All frames come, numbered from 0, and none is left."""
        rig.adapter.start_sequence(20)
        rig.wait_for_end()
        assert rig.image_numbers() == list(range(20))
        assert rig.adapter.remaining() == 0
        assert rig.adapter.pop() is None
        assert not rig.adapter.is_overflowed()

    def test_the_finishing_order_of_questions_never_loses_a_frame(self, rig):
        """Running first, then remaining: two frames come two hundred times."""
        rig.adapter.set_exposure_ms(0.1)
        for _ in range(200 if isinstance(rig.core, MockCore) or rig.core.get_image_width() == 64 else 20):
            rig.adapter.start_sequence(2)
            frames = 0
            while True:
                running = rig.adapter.is_sequence_running()
                if rig.adapter.remaining():
                    frames += rig.adapter.pop() is not None
                elif not running:
                    break
            assert frames == 2

    def test_stopping_keeps_the_frames(self, rig):
        """Frames in the buffer stay poppable after a stop, and a second stop is harmless."""
        rig.adapter.start_sequence(MAX_FRAMES)
        rig.wait_for_frames(3)
        rig.adapter.stop_sequence()
        rig.adapter.stop_sequence()
        assert not rig.adapter.is_sequence_running()
        numbers = rig.image_numbers()
        assert len(numbers) >= 3
        assert numbers == list(range(len(numbers)))

    def test_stopping_an_idle_camera_is_harmless(self, rig):
        """Stopping a camera that was never started does nothing."""
        rig.adapter.stop_sequence()
        assert not rig.adapter.is_sequence_running()

    def test_starting_discards_what_was_left(self, rig):
        """A start empties the buffer and counts from 0 again."""
        rig.sequence(5)
        rig.adapter.start_sequence(2)
        rig.wait_for_end()
        assert rig.image_numbers() == [0, 1]

    def test_a_count_the_core_would_not_refuse_is_refused(self, rig):
        """Zero, negative and oversized counts do not reach the core."""
        for frames in (0, -1, MAX_FRAMES + 1):
            with pytest.raises(SettingError, match="expected 1 to 2147483647"):
                rig.adapter.start_sequence(frames)
        assert not rig.adapter.is_sequence_running()

    def test_an_overflow_stops_the_camera_and_keeps_the_frames(self, rig):
        """With stop_on_overflow the first frames of the sequence stay poppable, and the flag outlives the drain."""
        capacity = buffer_of(rig, 4)
        rig.adapter.set_exposure_ms(1.0)
        rig.adapter.start_sequence(100_000)
        rig.wait_for_end()
        assert rig.adapter.is_overflowed()
        assert rig.core.get_buffer_total_capacity() == capacity
        assert rig.core.get_buffer_free_capacity() == 0
        assert rig.image_numbers() == list(range(capacity))
        assert rig.core.get_buffer_free_capacity() == capacity
        rig.adapter.stop_sequence()
        assert rig.adapter.is_overflowed()
        rig.adapter.start_sequence(1)
        assert not rig.adapter.is_overflowed()
        rig.wait_for_end()

    def test_without_stop_on_overflow_all_unread_frames_vanish(self, rig):
        """A full buffer is emptied at once, with a jump of ImageNumber as the only trace."""
        capacity = buffer_of(rig, 4)
        rig.adapter.set_exposure_ms(1.0)
        rig.core.start_sequence_acquisition(capacity + 2, 0.0, False)
        rig.wait_for_end()
        assert rig.image_numbers() == [capacity, capacity + 1]
        assert not rig.adapter.is_overflowed()


@settable_cores
class TestBuffer:
    """What the circular buffer holds, and what empties it."""

    def test_a_snap_leaves_the_buffer_alone(self, rig):
        """Snapping neither takes frames nor forgets an overflow."""
        capacity = overflow(rig)
        rig.core.snap_image()
        assert rig.core.get_remaining_image_count() == capacity
        assert rig.core.is_buffer_overflowed()

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("clear_circular_buffer", ()),
            ("initialize_circular_buffer", ()),
            ("set_circular_buffer_memory_footprint", (2,)),
            ("set_roi", (0, 0, 512, 512)),
            ("clear_roi", ()),
        ],
    )
    def test_what_empties_the_buffer_forgets_the_overflow(self, rig, name, args):
        """Clearing, sizing and setting a region discard frames and flag together."""
        overflow(rig)
        getattr(rig.core, name)(*args)
        assert rig.core.get_remaining_image_count() == 0
        assert not rig.core.is_buffer_overflowed()

    @pytest.mark.parametrize(
        ("name", "value"), [("Binning", "2"), ("PixelType", "8bit"), ("Exposure", "12"), ("Offset", "7")]
    )
    def test_properties_leave_the_buffer_alone(self, rig, name, value):
        """Frames stay in the buffer when a property is set, whether they can still be read or not."""
        rig.sequence(3)
        rig.core.set_property("Camera", name, value)
        assert rig.core.get_remaining_image_count() == 3

    def test_the_core_s_capacity_is_that_of_the_last_sequence(self, rig):
        """The core's figure is stale after a region was set; the adapter's is not."""
        buffer_of(rig, 4)
        rig.adapter.set_roi(Roi(0, 0, 64, 64))
        assert rig.core.get_buffer_total_capacity() == 4
        assert rig.adapter.buffer_capacity() == 4 * 64
        rig.sequence(1)
        assert rig.core.get_buffer_total_capacity() == 4 * 64

    @pytest.mark.slow
    def test_a_buffer_of_tiny_frames_has_a_limit(self, rig):
        """However small the frames, the buffer holds ten million."""
        rig.adapter.set_roi(Roi(0, 0, 1, 1))
        rig.adapter.set_buffer_mb(64)
        assert rig.core.get_buffer_total_capacity() == rig.adapter.buffer_capacity() == 10_000_000

    def test_a_continuous_sequence_never_says_that_it_lost_frames(self, rig):
        """A continuous sequence runs on when its buffer is full; only the image numbers reveal the loss."""
        rig.adapter.set_exposure_ms(1.0)
        capacity = buffer_of(rig, 4)
        rig.core.start_continuous_sequence_acquisition(0.0)
        rig.wait_for_frames(capacity)
        rig.wait_until(lambda: rig.adapter.remaining() < capacity)
        assert rig.core.is_sequence_running()
        rig.adapter.stop_sequence()
        assert not rig.adapter.is_overflowed()
        numbers = rig.image_numbers()
        assert numbers[0] >= capacity
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


@settable_cores
class TestSettings:
    """Settings through the adapter, the same on every backend."""

    def test_the_camera_introduces_itself(self, rig):
        """Label, library, name and description are text."""
        assert rig.adapter.camera_label() == "Camera"
        info = rig.adapter.device_info("Camera")
        assert set(info) == {"library", "name", "description"}
        assert all(isinstance(value, str) and value for value in info.values())
        assert rig.adapter.version().startswith("MMCore version ")

    def test_properties_are_read_and_written_as_text(self, rig):
        """Names, values, allowed values and limits have one type on every backend."""
        assert "Binning" in rig.adapter.property_names("Camera")
        rig.adapter.set_property("Camera", "CCDTemperature", "-20")
        assert rig.adapter.get_property("Camera", "CCDTemperature") == "-20.0000"
        assert {"8bit", "16bit"} <= set(rig.adapter.allowed_values("Camera", "PixelType"))
        assert rig.adapter.allowed_values("Camera", "CCDTemperature") == ()
        assert rig.adapter.limits("Camera", "CCDTemperature") == (-100.0, 10.0)
        assert all(type(limit) is float for limit in rig.adapter.limits("Camera", "CCDTemperature"))
        assert rig.adapter.limits("Camera", "PixelType") is None
        assert rig.adapter.is_read_only("Camera", "CameraID") is True
        assert rig.adapter.is_read_only("Camera", "Binning") is False

    def test_a_refusal_names_the_call_and_keeps_the_cause(self, rig):
        """A CoreError says which call failed with what, and chains the core's own error."""
        with pytest.raises(CoreError, match=r"set_property\('Camera', 'PixelType', '17bit'\).*Cannot set") as caught:
            rig.adapter.set_property("Camera", "PixelType", "17bit")
        assert caught.value.__cause__ is not None
        assert "\n" not in str(caught.value)

    def test_exposure_reads_back(self, rig):
        """Exposure is a float within a line time of what was asked for."""
        rig.adapter.set_exposure_ms(5)
        assert type(rig.adapter.get_exposure_ms()) is float
        assert rig.adapter.get_exposure_ms() == pytest.approx(5.0, abs=0.01)
        rig.adapter.set_exposure_ms(np.float32(7.5))
        assert rig.adapter.get_exposure_ms() == pytest.approx(7.5, abs=0.01)

    def test_regions_read_back(self, rig):
        """A region changes the images; clearing it gives the whole sensor."""
        rig.adapter.set_roi(Roi(np.int64(10), 20, 101, 102))
        assert rig.adapter.get_roi() == Roi(10, 20, 101, 102)
        assert rig.adapter.snap().shape == (102, 101)
        rig.adapter.set_roi(Roi(0, 0, 0, 0))
        assert rig.adapter.get_roi() == Roi(0, 0, 512, 512)
        rig.adapter.set_roi(Roi(10, 20, 100, 100))
        rig.adapter.clear_roi()
        assert rig.adapter.get_roi() == Roi(0, 0, 512, 512)

    def test_binning_scales_the_region(self, rig):
        """Regions are in binned pixels, and odd ones do not survive binning and back."""
        rig.adapter.set_property("Camera", "Binning", "2")
        assert rig.adapter.get_roi() == Roi(0, 0, 256, 256)
        rig.adapter.set_property("Camera", "Binning", "1")
        rig.adapter.set_roi(Roi(5, 5, 50, 50))
        rig.adapter.set_property("Camera", "Binning", "2")
        assert rig.adapter.get_roi() == Roi(2, 2, 25, 25)
        assert rig.adapter.snap().shape == (25, 25)
        rig.adapter.set_property("Camera", "Binning", "1")
        assert rig.adapter.get_roi() == Roi(4, 4, 50, 50)

    def test_pixel_type_and_bit_depth_make_the_format(self, rig):
        """Pixel type resets the depth; the depth alone changes no dtype."""
        steps = (
            ("PixelType", "8bit", np.uint8, 8),
            ("PixelType", "16bit", np.uint16, 16),
            ("BitDepth", "12", np.uint16, 12),
            ("Binning", "2", np.uint16, 12),
            ("BitDepth", "8", np.uint16, 8),
            ("PixelType", "16bit", np.uint16, 16),
        )
        for name, value, dtype, bit_depth in steps:
            rig.adapter.set_property("Camera", name, value)
            form = rig.adapter.image_format()
            assert (form.dtype, form.bit_depth) == (np.dtype(dtype), bit_depth)
            assert (form.height, form.width) == rig.adapter.snap().shape


@all_cores
class TestFrames:
    """Frames through the adapter."""

    def test_a_frame_has_the_announced_format(self, rig):
        """Snapped and popped frames are 2-D with shape and dtype of `image_format`, and belong to the receiver."""
        form = rig.adapter.image_format()
        rig.sequence(2)
        frames = rig.drain()
        for pixels in (rig.adapter.snap(), frames[0].pixels):
            assert pixels.shape == (form.height, form.width)
            assert pixels.dtype == form.dtype
            assert pixels.flags.writeable
        assert not np.shares_memory(frames[0].pixels, frames[1].pixels)

    def test_a_frame_carries_its_numbers(self, rig):
        """Image number and time are ints; no counter of the camera's own exists here."""
        rig.sequence(3)
        frames = rig.drain()
        assert [frame.image_number for frame in frames] == [0, 1, 2]
        assert {frame.camera_frame_number for frame in frames} == {-1}
        times = [frame.camera_timestamp_ns for frame in frames]
        assert times == sorted(times)
        assert times[0] >= 0

    def test_a_closed_adapter_says_so(self, rig):
        """After `close`, called twice, every call raises a CoreError that gives the reason."""
        rig.adapter.close()
        rig.adapter.close()
        for call in (rig.adapter.pop, rig.adapter.remaining, rig.adapter.snap, rig.adapter.stop_sequence):
            with pytest.raises(CoreError, match="closed before"):
                call()

    def test_an_adapter_is_a_core_adapter(self, rig):
        """The adapter implements the interface that the driver is written for."""
        assert isinstance(rig.adapter, CoreAdapter)
        assert rig.adapter.backend in ("python", "java")
        assert rig.adapter.pixel_size_um() >= 0.0


@settable_cores
class TestThreads:
    """A script and the acquisition loop at the same camera."""

    def test_settings_may_be_read_while_another_thread_pops(self, rig):
        """No frame is lost, doubled or out of order, and every answer is the right one."""
        rig.adapter.set_exposure_ms(1.0)
        rig.adapter.start_sequence(50)
        numbers = []

        def pop_all():
            while (running := rig.adapter.is_sequence_running()) or rig.adapter.remaining():
                frame = rig.adapter.pop()
                if frame is not None:
                    numbers.append(frame.image_number)
                elif not running:
                    break

        loop = threading.Thread(target=pop_all)
        loop.start()
        while loop.is_alive():
            assert rig.adapter.get_property("Camera", "Binning") == "1"
            assert rig.adapter.get_roi() == Roi(0, 0, 512, 512)
        loop.join()
        assert numbers == list(range(50))


@settable_cores
class TestQuirks:
    """What the simulated core imitates of the DemoCamera, right or not."""

    def test_a_sequence_of_none_is_one_of_one(self, rig):
        """Asked for 0 frames, the camera makes one."""
        rig.sequence(0)
        assert rig.image_numbers() == [0]


@settable_cores
class TestTrap10:
    """A pop reads the buffer with the camera's present settings."""

    def test_a_frame_read_with_other_settings_is_an_error(self, rig):
        """Pixels that do not fit their tags are refused, and the next pop goes on."""
        rig.sequence(2)
        rig.adapter.set_property("Camera", "PixelType", "8bit")
        with pytest.raises(CoreError, match="settings were changed"):
            rig.adapter.pop()
        rig.adapter.set_property("Camera", "PixelType", "16bit")
        assert rig.adapter.pop().image_number == 1

    def test_the_core_itself_does_not_notice(self, rig):
        """The core returns an array of the present type with the tags of the old one."""
        rig.sequence(1)
        rig.core.set_property("Camera", "PixelType", "8bit")
        tagged = rig.core.pop_next_tagged_image()
        assert tagged.pix.dtype == np.uint8
        assert tagged.tags["PixelType"] == "GRAY16"


@pytest.mark.parametrize("rig", ["demo", "pymmcore", "pymmcore-plus"], indirect=True)
class TestRealPixelTypes:
    """Pixel types that only the real cameras have."""

    @pytest.mark.parametrize(
        ("pixel_type", "shape", "dtype", "bit_depth"),
        [
            ("32bit", (512, 512), np.float32, 32),
            ("32bitRGB", (512, 512, 3), np.uint8, 8),
            ("64bitRGB", (512, 512, 3), np.uint16, 16),
        ],
    )
    def test_other_pixel_types_have_their_dtype(self, rig, pixel_type, shape, dtype, bit_depth):
        """GRAY32 is float32, colours are red, green and blue of 8 or 16 bits, snapped or popped."""
        rig.adapter.set_property("Camera", "PixelType", pixel_type)
        form = rig.adapter.image_format()
        assert (form.shape, form.dtype, form.bit_depth) == (shape, np.dtype(dtype), bit_depth)
        rig.sequence(1)
        for pixels in (rig.adapter.snap(), rig.adapter.pop().pixels):
            assert pixels.shape == shape
            assert pixels.dtype == dtype
            assert np.isfinite(pixels).all()
        if dtype is np.float32:
            assert 0 < pixels.max() < 1000

    def test_colours_are_in_order(self, rig):
        """The pattern's first three bars are of one colour each: blue, green and red, as the DemoCamera packs them."""
        rig.adapter.set_property("Camera", "PixelType", "32bitRGB")
        rig.adapter.set_property("Camera", "Mode", "Color Test Pattern")
        rig.sequence(1)
        for pixels in (rig.adapter.snap(), rig.adapter.pop().pixels):
            bars = [np.unique(np.flatnonzero(pixels[row].any(axis=0))).tolist() for row in (32, 96)]
            assert bars == [[2], [1]]


def test_real_and_simulated_exposures_take_their_time():
    """A simulated sequence on the real clock takes as long as its exposures."""
    core = MockCore(width=64, height=64)
    core.set_exposure(2.0)
    started = time.monotonic()
    core.start_sequence_acquisition(10, 0.0, True)
    while core.is_sequence_running():
        assert time.monotonic() - started < 5
    assert time.monotonic() - started >= 10 * 0.00199
    assert [frame_index(core.pop_next_image()) for _ in range(10)] == list(range(10))
