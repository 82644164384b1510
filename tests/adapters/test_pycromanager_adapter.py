"""The adapters alone: what they ask of a core, and what they make of its answers."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from mmspool.adapters import JavaBridgeAdapter, MockCore, PymmcoreAdapter, Roi, SteppedClock, wrap
from mmspool.errors import CoreError

TAGS = {"Width": "4", "Height": "2", "PixelType": "GRAY16", "ImageNumber": "0"}


@pytest.fixture
def core(mocker):
    """Stand in for a core that answers whatever a test tells it to."""
    core = mocker.MagicMock()
    core.get_image_width.return_value = 4
    core.get_image_height.return_value = 2
    core.get_image_bit_depth.return_value = 16
    core.get_bytes_per_pixel.return_value = 2
    core.get_number_of_components.return_value = 1
    return core


def popping(core, pixels, **tags):
    """Let the core pop a frame with these pixels and tags."""
    core.pop_next_tagged_image.return_value = SimpleNamespace(pix=pixels, tags=TAGS | tags)


class TestArguments:
    """Native Python types go in, by position."""

    @pytest.mark.parametrize("adapter_class", [PymmcoreAdapter, JavaBridgeAdapter])
    def test_numpy_numbers_become_python_s_own(self, core, adapter_class):
        """Whatever the caller has, the core gets int, float, bool and str."""
        adapter = adapter_class(core)
        adapter.set_exposure_ms(np.float32(5))
        adapter.set_roi(Roi(np.int64(1), np.uint16(2), np.int32(3), np.int8(4)))
        adapter.set_buffer_mb(np.int64(64))
        adapter.start_sequence(np.int64(5))
        adapter.set_property("Camera", "Gain", 3)
        for method, args in (
            (core.set_exposure, (5.0,)),
            (core.set_roi, (1, 2, 3, 4)),
            (core.set_circular_buffer_memory_footprint, (64,)),
            (core.start_sequence_acquisition, (5, 0.0, True)),
            (core.set_property, ("Camera", "Gain", "3")),
        ):
            method.assert_called_once_with(*args)
            assert list(map(type, method.call_args.args)) == list(map(type, args))

    def test_the_system_state_cache_is_turned_off_once(self, core):
        """The Java adapter saves its 0.4 ms a frame, where the core has the switch."""
        JavaBridgeAdapter(core)
        core.set_include_system_state_cache.assert_called_once_with(False)
        PymmcoreAdapter(core)
        core.set_include_system_state_cache.assert_called_once_with(False)

    def test_an_old_java_core_has_no_switch(self, mocker):
        """A core without the switch is taken as it is."""
        core = mocker.MagicMock(spec=["get_version_info"])
        core.get_version_info.return_value = "MMCore version 10"
        assert JavaBridgeAdapter(core).version() == "MMCore version 10"


class TestAnswers:
    """One type comes out, whatever the backend."""

    def test_java_numbers_become_floats(self, core):
        """Whole floats that arrive as int are floats again."""
        core.get_exposure.return_value = 5
        core.get_pixel_size_um.return_value = 0
        core.has_property_limits.return_value = True
        core.get_property_lower_limit.return_value = -5
        core.get_property_upper_limit.return_value = 8
        adapter = JavaBridgeAdapter(core)
        values = [adapter.get_exposure_ms(), adapter.pixel_size_um(), *adapter.limits("Camera", "Gain")]
        assert values == [5.0, 0.0, -5.0, 8.0]
        assert {type(value) for value in values} == {float}

    def test_pix_and_tags_are_read_once(self):
        """A pop is one transfer of pixels and one of tags."""
        clock = SteppedClock()
        core = MockCore("java", width=64, height=64, clock=clock)
        adapter = wrap(core)
        adapter.start_sequence(5)
        clock.advance(1)
        for count in range(1, 6):
            frame = adapter.pop()
            assert frame.pixels.shape == (64, 64)
            assert core.transfers == {"pix": count, "tags": count}

    @pytest.mark.parametrize("adapter_class", [PymmcoreAdapter, JavaBridgeAdapter])
    @pytest.mark.parametrize(
        ("pixel_type", "java", "python", "dtype"),
        [
            ("GRAY8", np.arange(8, dtype=np.uint8), np.arange(8, dtype=np.uint8), np.uint8),
            ("GRAY16", np.arange(8, dtype=np.uint16), np.arange(8, dtype=np.uint16), np.uint16),
            ("GRAY32", np.arange(8, dtype=np.float32), np.arange(8, dtype=np.float32).view(np.uint32), np.float32),
        ],
    )
    def test_every_pixel_type_is_the_same_on_both_backends(self, core, adapter_class, pixel_type, java, python, dtype):
        """Flat or 2-D, split or packed, popped or snapped: one shape and one dtype, without a copy."""
        raw = java if adapter_class is JavaBridgeAdapter else python.reshape(2, 4)
        core.get_bytes_per_pixel.return_value = np.dtype(dtype).itemsize
        core.get_image.return_value = raw
        popping(core, raw, PixelType=pixel_type)
        adapter = adapter_class(core)
        for pixels in (adapter.snap(), adapter.pop().pixels):
            assert pixels.dtype == dtype
            assert pixels.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
            assert np.shares_memory(pixels, raw)

    @pytest.mark.parametrize("adapter_class", [PymmcoreAdapter, JavaBridgeAdapter])
    @pytest.mark.parametrize(("pixel_type", "dtype"), [("RGB32", np.uint8), ("RGB64", np.uint16)])
    def test_colours_are_the_same_on_both_backends(self, core, adapter_class, pixel_type, dtype):
        """Blue, green, red and a fourth, flat or packed, become red, green and blue; popped without a copy."""
        flat = np.arange(32, dtype=dtype)
        number = np.uint32 if dtype is np.uint8 else np.uint64
        raw = flat if adapter_class is JavaBridgeAdapter else flat.view(number).reshape(2, 4)
        core.get_bytes_per_pixel.return_value, core.get_number_of_components.return_value = 4 * flat.itemsize, 4
        core.get_image_bit_depth.return_value = 64
        core.get_image.return_value = raw
        popping(core, raw, PixelType=pixel_type)
        adapter = adapter_class(core)
        form, popped = adapter.image_format(), adapter.pop().pixels
        assert (form.shape, form.core_bytes, form.bit_depth) == ((2, 4, 3), flat.nbytes, 8 * flat.itemsize)
        assert np.shares_memory(popped, raw)
        for pixels in (adapter.snap(), popped):
            assert pixels.dtype == dtype
            assert pixels[0].tolist() == [[2, 1, 0], [6, 5, 4], [10, 9, 8], [14, 13, 12]]

    def test_java_tags_may_be_ints(self, core):
        """Width and height are read as numbers too."""
        popping(core, np.zeros(8, np.uint16), Width=4, Height=2, ImageNumber=3)
        frame = JavaBridgeAdapter(core).pop()
        assert frame.pixels.shape == (2, 4)
        assert frame.image_number == 3

    def test_capacity_follows_the_present_format(self, core):
        """The footprint, divided by what a frame takes now."""
        core.get_circular_buffer_memory_footprint.return_value = 1
        assert PymmcoreAdapter(core).buffer_capacity() == 2**20 // 16


class TestErrors:
    """Failures have one type, and an empty buffer is none."""

    @pytest.mark.parametrize(
        "error",
        [
            IndexError("Circular buffer is empty."),
            Exception("java.lang.Exception: Circular buffer is empty.\n at mmcorej"),
            RuntimeError("Circular buffer is empty."),
        ],
    )
    @pytest.mark.parametrize("adapter_class", [PymmcoreAdapter, JavaBridgeAdapter])
    def test_an_empty_buffer_is_none(self, core, adapter_class, error):
        """However a core says that its buffer is empty, pop returns None."""
        core.pop_next_tagged_image.side_effect = error
        assert adapter_class(core).pop() is None

    @pytest.mark.parametrize("error", [RuntimeError("Camera on fire"), Exception("Camera on fire\n at mmcorej.Core")])
    def test_any_other_failure_of_a_pop_is_a_core_error(self, core, error):
        """The message names the call and has one line; the cause is kept."""
        core.pop_next_tagged_image.side_effect = error
        with pytest.raises(CoreError) as caught:
            PymmcoreAdapter(core).pop()
        assert str(caught.value) == "core.pop_next_tagged_image() failed: Camera on fire"
        assert caught.value.__cause__ is error

    def test_an_error_without_a_text_shows_its_type(self, core):
        """A core error without a text shows its type."""
        core.get_exposure.side_effect = ValueError
        with pytest.raises(CoreError, match=r"core\.get_exposure\(\) failed: ValueError"):
            PymmcoreAdapter(core).get_exposure_ms()

    def test_a_returned_object_may_fail_too(self, core):
        """On Java, reading a vector or a region is a call of its own."""
        core.get_device_property_names.return_value.size.side_effect = Exception("Bridge has been closed")
        core.get_roi.return_value = object()
        adapter = JavaBridgeAdapter(core)
        with pytest.raises(CoreError, match="Bridge has been closed"):
            adapter.property_names("Camera")
        with pytest.raises(CoreError, match="get_roi"):
            adapter.get_roi()

    def test_ctrl_c_is_not_an_error_of_the_core(self, core):
        """KeyboardInterrupt passes unchanged and leaves the adapter usable."""
        core.get_exposure.side_effect = [KeyboardInterrupt, 5.0]
        adapter = PymmcoreAdapter(core)
        with pytest.raises(KeyboardInterrupt):
            adapter.get_exposure_ms()
        assert adapter.get_exposure_ms() == 5.0

    def test_no_camera_is_an_error_with_advice(self, core):
        """A core without a camera raises an error that says how to choose one."""
        core.get_camera_device.return_value = ""
        with pytest.raises(CoreError, match="no camera: load a configuration"):
            PymmcoreAdapter(core).camera_label()

    @pytest.mark.parametrize("missing", ["Width", "Height", "PixelType"])
    def test_a_frame_that_does_not_tell_its_format_is_lost(self, core, missing):
        """A frame whose tags lack its format is refused; shape and dtype are never guessed."""
        tags = {name: value for name, value in TAGS.items() if name != missing}
        core.pop_next_tagged_image.return_value = SimpleNamespace(pix=np.zeros(8, np.uint16), tags=tags)
        with pytest.raises(CoreError, match="has no format tags"):
            JavaBridgeAdapter(core).pop()

    @pytest.mark.parametrize(
        "pixels",
        [np.zeros((2, 4), np.uint8), np.zeros((4, 2), np.uint16), np.zeros((2, 5), np.uint16), np.zeros(7, np.uint16)],
    )
    def test_a_frame_that_does_not_fit_its_tags_is_lost(self, core, pixels):
        """A wrong size, shape or dtype is an error, not a scrambled image."""
        popping(core, pixels)
        with pytest.raises(CoreError, match="2 x 4 of uint16: the camera's settings were changed"):
            PymmcoreAdapter(core).pop()

    def test_unknown_pixels_are_refused(self, core):
        """A layout without a dtype is named."""
        core.get_bytes_per_pixel.return_value = 3
        with pytest.raises(CoreError, match="3 bytes and 1 components"):
            PymmcoreAdapter(core).image_format()

    def test_frames_without_pixels_have_no_capacity(self, core):
        """An empty format is an error, not a division by zero."""
        core.get_image_width.return_value = 0
        with pytest.raises(CoreError, match="no pixels"):
            PymmcoreAdapter(core).buffer_capacity()

    def test_an_overflow_reported_by_the_stop_is_no_second_error(self, core):
        """A stop that fails because of an overflow is not an error; any other failing stop raises."""
        adapter = PymmcoreAdapter(core)
        core.stop_sequence_acquisition.side_effect = RuntimeError("Buffer Overflow. (22)")
        core.is_sequence_running.return_value = False
        core.is_buffer_overflowed.return_value = True
        adapter.stop_sequence()
        core.is_buffer_overflowed.return_value = False
        with pytest.raises(CoreError, match="Buffer Overflow"):
            adapter.stop_sequence()


class TestClosing:
    """Letting go of the core."""

    def test_an_owned_core_is_released_once(self, core, mocker):
        """Closing an adapter twice releases its core once."""
        release = mocker.Mock()
        adapter = PymmcoreAdapter(core, release)
        adapter.close()
        adapter.close()
        release.assert_called_once_with()

    def test_a_failing_release_is_a_core_error(self, core, mocker):
        """A core that cannot be shut down is reported, and not tried again."""
        adapter = PymmcoreAdapter(core, mocker.Mock(side_effect=RuntimeError("stuck")))
        with pytest.raises(CoreError, match="could not be shut down: stuck"):
            adapter.close()
        adapter.close()

    def test_a_wrapped_core_goes_on(self):
        """Closing an adapter leaves a core that others use."""
        core = MockCore(width=16, height=16)
        wrap(core).close()
        assert wrap(core).get_roi() == Roi(0, 0, 16, 16)


class TestThreads:
    """Two threads at once."""

    def test_calls_do_not_overlap(self, core):
        """A second thread's call waits for the first one's."""
        inside, leave, overlaps = threading.Event(), threading.Event(), []

        def slow():
            inside.set()
            assert leave.wait(10)
            overlaps.append("slow")
            return 1.0

        core.get_exposure.side_effect = slow
        core.get_remaining_image_count.side_effect = lambda: overlaps.append("quick") or 0
        adapter = PymmcoreAdapter(core)
        first = threading.Thread(target=adapter.get_exposure_ms)
        second = threading.Thread(target=adapter.remaining)
        first.start()
        assert inside.wait(10)
        second.start()
        leave.set()
        first.join(10)
        second.join(10)
        assert overlaps == ["slow", "quick"]

    def test_a_handler_may_call_in_the_middle_of_a_call(self, core):
        """A signal handler may call the core in the middle of a call of the same thread."""
        adapter = PymmcoreAdapter(core)

        def interrupted():
            adapter.stop_sequence()
            return 3

        core.get_remaining_image_count.side_effect = interrupted
        assert adapter.remaining() == 3
        core.stop_sequence_acquisition.assert_called_once_with()
