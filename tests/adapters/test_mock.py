"""The simulated core: its images, its time, its faults, and its Java look."""

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspool.adapters import Faults, MockCore, SteppedClock, frame_index, wrap
from mmspool.adapters.mock.camera import FULL_SCALE_E, INDEX_PIXELS, READ_NOISE_E, SIGNAL_E_PER_MS

MS = 1e-3


def make(*, backend="python", faults=None, **settings):
    """Make a small core on a stepped clock, and return core, adapter and clock."""
    clock = SteppedClock()
    settings = {"width": 64, "height": 32, "line_time_us": 10.0} | settings
    core = MockCore(backend, clock=clock, faults=faults, **settings)
    return core, wrap(core), clock


def run(faults, frames=10, **settings):
    """Run a sequence to its end or for a second, and return core and frames."""
    core, adapter, clock = make(faults=faults, **settings)
    adapter.set_exposure_ms(1.0)
    adapter.start_sequence(frames)
    clock.advance(1.0)
    popped = []
    while adapter.remaining():
        frame = adapter.pop()
        if frame is not None:
            popped.append(frame)
    return core, popped


def indices(frames):
    """Return the exposures that the frames show."""
    return [frame_index(frame.pixels) for frame in frames]


class TestImages:
    """Pixels."""

    def test_equal_seeds_make_equal_frames(self):
        """Seed and settings determine every pixel, whatever happened before."""
        first, second = make(seed=3)[0], make(seed=3)[0]
        second.set_exposure(3.0)
        second.snap_image()
        second.set_exposure(10.0)
        second.snap_image()
        first.snap_image()
        first.snap_image()
        assert np.array_equal(first.get_image(), second.get_image())

    def test_other_seeds_make_other_frames(self):
        """Two seeds differ in noise and hot pixels."""
        images = []
        for seed in (1, 2):
            core = make(seed=seed)[0]
            core.snap_image()
            images.append(core.get_image())
        assert not np.array_equal(*images)

    @pytest.mark.parametrize("exposure_ms", [1.0, 10.0])
    @pytest.mark.parametrize(("pixel_type", "bit_depth"), [("16bit", "16"), ("16bit", "12"), ("8bit", "8")])
    def test_noise_is_read_noise_and_photon_noise(self, exposure_ms, pixel_type, bit_depth):
        """Mean and variance of a frame are those of signal, offset and noise."""
        core = make(width=512, height=512)[0]
        core.set_property("Camera", "PixelType", pixel_type)
        core.set_property("Camera", "BitDepth", bit_depth)
        core.set_exposure(exposure_ms)
        core.snap_image()
        counts = core.get_image()[1:].astype(float)
        per_electron = (2 ** int(bit_depth) - 1) / FULL_SCALE_E
        electrons = SIGNAL_E_PER_MS * exposure_ms
        dark = counts[counts < np.quantile(counts, 0.999)] if bit_depth != "8" else counts
        assert np.mean(dark) == pytest.approx(100 + electrons * per_electron, rel=0.01)
        if bit_depth == "16":
            variance = (electrons + READ_NOISE_E**2) * per_electron**2 + 1 / 12
            assert np.var(dark) == pytest.approx(variance, rel=0.05)

    def test_hot_pixels_stay_where_they_are(self):
        """A hot pixel keeps its place on the sensor through regions, binning and time."""
        core = make(seed=5, width=256, height=256)[0]
        core.set_exposure(200.0)
        core.snap_image()
        full = core.get_image()[8:]
        row, column = (int(number) for number in np.unravel_index(np.argmax(full), full.shape))
        row += 8
        x, y = column // 4 * 4 - 16, row // 4 * 4 - 4
        core.set_roi(max(x, 0), y, 32, 32 if y + 32 <= 256 else 256 - y)
        core.snap_image()
        image = core.get_image()
        assert image[row - y, column - max(x, 0)] == image[1:].max()
        core.clear_roi()
        core.set_property("Camera", "Binning", "4")
        core.snap_image()
        image = core.get_image()
        assert image[row // 4, column // 4] >= np.quantile(image[1:], 0.999)

    def test_exposure_and_binning_make_frames_brighter(self):
        """Signal grows with exposure and with binned area."""
        core = make()[0]
        means = []
        for binning, exposure_ms in (("1", 2.0), ("1", 4.0), ("2", 4.0)):
            core.set_property("Camera", "Binning", binning)
            core.set_exposure(exposure_ms)
            core.snap_image()
            means.append(float(np.median(core.get_image()[1:])) - 100)
        assert means[1] == pytest.approx(2 * means[0], rel=0.05)
        assert means[2] == pytest.approx(4 * means[1], rel=0.05)

    def test_12_bit_frames_saturate_at_4095(self):
        """Twelve bits in 16-bit words are clipped at their own white."""
        core = make()[0]
        core.set_property("Camera", "BitDepth", "12")
        core.set_exposure(10_000.0)
        core.snap_image()
        image = core.get_image()
        assert image.dtype == np.uint16
        assert image[1:].min() == image.max() == 4095

    def test_the_offset_is_a_setting(self):
        """The simulated camera's black level follows its Offset property."""
        core = make()[0]
        core.set_exposure(0.01)
        core.set_property("Camera", "Offset", "10")
        core.snap_image()
        assert np.median(core.get_image()[1:]) == pytest.approx(10, abs=3)

    def test_a_caller_may_write_into_its_image(self):
        """Images are copies: writing into one changes no other."""
        core, adapter, _ = make()
        image = adapter.snap()
        before = core.get_image()
        image[:] = 0
        assert np.array_equal(core.get_image(), before)


class TestFrameIndex:
    """The exposure's number in the pixels."""

    @pytest.mark.parametrize("binning", ["1", "2", "4"])
    @pytest.mark.parametrize(
        ("pixel_type", "bit_depth"), [("8bit", "8"), ("16bit", "8"), ("16bit", "12"), ("16bit", "16")]
    )
    @pytest.mark.parametrize("roi", [(0, 0, 16, 8), (3, 5, 9, 3), (8, 4, 8, 1), (2, 2, 3, 4)])
    def test_it_survives_every_setting(self, binning, pixel_type, bit_depth, roi):
        """Exposures count from 0 in every format and region."""
        core, adapter, clock = make()
        core.set_property("Camera", "Binning", binning)
        core.set_property("Camera", "PixelType", pixel_type)
        core.set_property("Camera", "BitDepth", bit_depth)
        core.set_roi(*roi)
        adapter.set_exposure_ms(0.1)
        adapter.start_sequence(300)
        clock.advance(1.0)
        frames = [adapter.pop() for _ in range(300)]
        assert indices(frames) == list(range(300))
        assert frames[0].pixels.shape == roi[:1:-1]

    @given(st.integers(0, 2**64 - 1), st.integers(1, 12), st.integers(1, 12))
    def test_any_index_fits_any_frame_of_eight_pixels(self, index, width, height):
        """The whole number comes back, or as many bytes of it as there are pixels."""
        core = MockCore(width=width, height=height)
        pixels = core.sensor.render(index)
        assert frame_index(pixels) == index % 256 ** min(INDEX_PIXELS, width * height)

    def test_it_reads_views(self):
        """Strided views and lists of frames need no copy."""
        _core, adapter, _ = make(width=32)
        adapter.snap()
        stack = np.zeros((32, 4, 64), np.uint16)
        stack[:, 2, :32] = adapter.snap()
        assert frame_index(stack[:, 2, :32]) == 1


class TestTime:
    """When frames come."""

    @pytest.mark.parametrize(
        ("exposure_ms", "rows", "binning", "period_ms"),
        [(5.0, 32, "1", 5.0), (0.1, 32, "1", 0.32), (0.1, 8, "1", 0.08), (0.1, 8, "2", 0.16)],
    )
    def test_the_period_is_the_longer_of_exposure_and_readout(self, exposure_ms, rows, binning, period_ms):
        """Exposing overlaps with reading out rows, of which a binned row is several."""
        core, adapter, clock = make()
        core.set_property("Camera", "Binning", binning)
        core.set_roi(0, 0, 16, rows)
        adapter.set_exposure_ms(exposure_ms)
        period_ms = max(period_ms, exposure_ms)
        adapter.start_sequence(100_000)
        clock.advance(1.0)
        readout_ms = rows * int(binning) * 0.01
        expected = math.floor((1000 - exposure_ms - readout_ms) / period_ms + 1e-9) + 1
        assert adapter.remaining() == pytest.approx(expected, abs=1)
        assert core.get_property("Camera", "ReadoutTime") == f"{readout_ms:.4f}"

    def test_the_slow_scan_mode_takes_longer(self):
        """The readout time follows the scan mode."""
        core = make()[0]
        core.set_property("Camera", "ScanMode", "1")
        assert float(core.get_property("Camera", "ReadoutTime")) == pytest.approx(0.32 * 10 / 3, abs=1e-3)

    def test_exposure_is_a_whole_number_of_lines(self):
        """What reads back is not what was set."""
        core = make(line_time_us=9.744)[0]
        core.set_exposure(5.0)
        assert core.get_exposure() == pytest.approx(513 * 9.744e-3)
        assert core.get_property("Camera", "Exposure") == "4.9987"

    def test_regions_may_be_rounded(self):
        """With a step, the region that reads back is smaller than asked for."""
        core = make(roi_step=4)[0]
        core.set_roi(5, 6, 19, 18)
        assert core.get_roi() == [4, 4, 16, 16]

    def test_a_region_beyond_the_sensor_is_refused(self):
        """A region beyond the sensor is refused, and the previous region stays in force."""
        core = make()[0]
        for roi in ((0, 0, 65, 32), (-1, 0, 8, 8), (60, 0, 8, 8), (0, 0, 8, 0)):
            with pytest.raises(RuntimeError, match="is not on the sensor of 64 x 32"):
                core.set_roi(*roi)
        assert core.get_roi() == [0, 0, 64, 32]

    def test_a_new_exposure_changes_the_rate_at_once(self):
        """Frames before the change keep their time."""
        _core, adapter, clock = make()
        adapter.set_exposure_ms(10.0)
        adapter.start_sequence(1000)
        clock.advance(0.1)
        before = adapter.remaining()
        adapter.set_exposure_ms(1.0)
        clock.advance(0.1)
        assert before == pytest.approx(9, abs=1)
        assert adapter.remaining() == pytest.approx(before + 100, abs=1)

    def test_time_is_what_the_tags_say(self):
        """Elapsed time and arrival follow the clock, not the moment of the pop."""
        core, adapter, clock = make()
        clock.advance(3600)
        adapter.set_exposure_ms(10.0)
        adapter.start_sequence(3)
        clock.advance(100)
        tags = [core.pop_next_tagged_image().tags for _ in range(3)]
        assert [tag["ElapsedTime-ms"] for tag in tags] == ["10.32", "20.32", "30.32"]
        assert tags[0]["TimeReceivedByCore"] == "2026-01-01 01:00:00.010320"

    def test_long_sequences_do_not_drift(self):
        """The millionth frame comes in its own millisecond."""
        _core, adapter, clock = make(width=2, height=1)
        adapter.set_exposure_ms(1.0)
        adapter.start_sequence(200_000)
        clock.advance(1.0 * MS + 0.01 * MS + 199_999 * MS - 1e-7)
        assert adapter.remaining() == 199_999
        clock.advance(2e-7)
        assert adapter.remaining() == 200_000
        assert not adapter.is_sequence_running()

    def test_snapping_takes_exposure_and_readout(self):
        """A snap advances a stepped clock by exposure and readout."""
        _core, adapter, clock = make()
        adapter.set_exposure_ms(10.0)
        adapter.snap()
        assert clock() == pytest.approx(10.32 * MS)

    def test_a_ticking_clock_moves_when_it_is_polled(self):
        """Asking whether it runs and how much waits lets time pass; nothing else does."""
        clock = SteppedClock(tick_s=0.5)
        core = MockCore(clock=clock, width=16, height=16)
        core.is_sequence_running()
        core.get_remaining_image_count()
        core.is_buffer_overflowed()
        core.get_exposure()
        assert clock() == 1.0

    def test_time_does_not_run_backwards(self):
        """A stepped clock refuses negative steps and ticks."""
        with pytest.raises(ValueError, match="backwards"):
            SteppedClock(tick_s=-1)
        with pytest.raises(ValueError, match="backwards"):
            SteppedClock().advance(-1)


class TestFaults:
    """Scripted misfortunes."""

    def test_a_camera_may_fail_silently(self):
        """The sequence ends short, with no overflow."""
        core, frames = run(Faults(end_after=4))
        assert indices(frames) == [0, 1, 2, 3]
        assert not core.is_sequence_running()
        assert not core.is_buffer_overflowed()
        assert run(Faults(end_after=0))[1] == []

    def test_a_camera_may_stall(self):
        """The sequence runs, but no frame comes until it is stopped."""
        core, frames = run(Faults(stall_after=3))
        assert indices(frames) == [0, 1, 2]
        assert core.is_sequence_running()
        core.stop_sequence_acquisition()
        assert not core.is_sequence_running()

    def test_a_lost_trigger_leaves_no_trace(self):
        """The exposure is missing, no counter jumps, and the camera makes up for it."""
        _, frames = run(Faults(lost_triggers=frozenset({0, 3})), frames=4, camera_counter=True)
        assert indices(frames) == [1, 2, 4, 5]
        assert [frame.image_number for frame in frames] == [0, 1, 2, 3]
        assert [frame.camera_frame_number for frame in frames] == [1, 2, 3, 4]

    def test_a_frame_dropped_in_the_camera_shows_in_its_counter_only(self):
        """The camera's counter jumps, ImageNumber does not, and the sequence is one short."""
        core, frames = run(Faults(dropped_in_camera=frozenset({2})), frames=5, camera_counter=True)
        assert indices(frames) == [0, 1, 3, 4]
        assert [frame.image_number for frame in frames] == [0, 1, 2, 3]
        assert [frame.camera_frame_number for frame in frames] == [1, 2, 4, 5]
        assert not core.is_sequence_running()

    def test_image_numbers_may_jump(self):
        """The count goes on from where it jumped to."""
        _, frames = run(Faults(image_number_jumps={2: 5}), frames=5)
        assert [frame.image_number for frame in frames] == [0, 1, 7, 8, 9]
        assert indices(frames) == [0, 1, 2, 3, 4]

    def test_image_numbers_may_start_again(self):
        """The count begins at 0 once more."""
        _, frames = run(Faults(image_number_reset_at=3), frames=5)
        assert [frame.image_number for frame in frames] == [0, 1, 2, 0, 1]

    def test_a_pop_may_fail_though_frames_wait(self):
        """The scripted pop finds nothing, and the next one the frame."""
        _core, adapter, clock = make(faults=Faults(empty_pops=frozenset({2})))
        for _ in range(2):
            adapter.start_sequence(2)
            clock.advance(1.0)
            assert adapter.pop().image_number == 0
            assert adapter.remaining() == 1
            assert adapter.pop() is None
            assert adapter.pop().image_number == 1

    @pytest.mark.parametrize(("backend", "kind"), [("python", RuntimeError), ("java", Exception)])
    def test_a_call_may_fail(self, backend, kind):
        """The scripted call fails in the backend's own exception, the others work."""
        core = make(backend=backend, faults=Faults(errors={"get_exposure": {2: "Camera on fire"}}))[0]
        assert core.get_exposure() == 10
        with pytest.raises(Exception, match="Camera on fire") as caught:
            core.get_exposure()
        assert type(caught.value) is kind
        assert core.get_exposure() == 10

    def test_a_camera_may_run_on_after_an_overflow(self):
        """Through the adapter, a camera that claims to run after an overflow looks stopped."""
        core, adapter, clock = make(faults=Faults(runs_on_after_overflow=True), width=512, height=512)
        adapter.set_buffer_mb(1)
        adapter.start_sequence(100)
        clock.advance(10)
        assert core.is_sequence_running()
        assert not adapter.is_sequence_running()
        assert adapter.is_overflowed()
        with pytest.raises(RuntimeError, match="Buffer Overflow"):
            core.stop_sequence_acquisition()
        assert not core.is_sequence_running()
        adapter.start_sequence(100)
        clock.advance(10)
        adapter.stop_sequence()
        assert adapter.remaining() == 2
        adapter.start_sequence(1)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"end_after": -1}, "end_after is -1"),
            ({"stall_after": -1}, "stall_after is -1"),
            ({"image_number_reset_at": -2}, "image_number_reset_at is -2"),
            ({"lost_triggers": frozenset({-1})}, "lost_triggers has"),
            ({"dropped_in_camera": frozenset({-1})}, "dropped_in_camera has"),
            ({"image_number_jumps": {-1: 1}}, "image_number_jumps has"),
            ({"empty_pops": frozenset({0})}, "numbers from 1 on"),
            ({"errors": {"get_roi": {0: "no"}}}, "the first call is 1"),
        ],
    )
    def test_impossible_faults_are_refused(self, settings, message):
        """Numbers that can never come are a ValueError."""
        with pytest.raises(ValueError, match=message):
            Faults(**settings)

    def test_unknown_faults_and_methods_are_refused(self):
        """Misspelt names are errors, not faults that never happen."""
        with pytest.raises(TypeError):
            Faults(end_afer=3)
        with pytest.raises(ValueError, match="get_exposur"):
            MockCore(faults=Faults(errors={"get_exposur": {1: "no"}}))

    @pytest.mark.parametrize(
        "settings", [{"backend": "ruby"}, {"width": 0}, {"height": -1}, {"line_time_us": 0}, {"roi_step": 0}]
    )
    def test_impossible_cores_are_refused(self, settings):
        """A sensor needs pixels and time, and a core one of two backends."""
        with pytest.raises(ValueError, match=next(iter(settings))):
            MockCore(**settings)


class TestJavaLook:
    """What differs through pycromanager's Java backend."""

    def test_pixels_are_flat(self):
        """Images of the Java backend are 1-D."""
        core, _adapter, clock = make(backend="java")
        core.snap_image()
        core.start_sequence_acquisition(3, 0.0, True)
        clock.advance(1)
        images = [core.get_image(), core.get_tagged_image().pix, core.get_last_image(), core.pop_next_image()]
        images.append(core.pop_next_tagged_image().pix)
        assert {image.shape for image in images} == {(64 * 32,)}

    def test_every_access_is_a_transfer(self):
        """Each access to `pix` or `tags` over the bridge is a new transfer, which the simulated core counts."""
        core, _adapter, clock = make(backend="java")
        core.start_sequence_acquisition(1, 0.0, True)
        clock.advance(1)
        tagged = core.pop_next_tagged_image()
        assert tagged.pix is not tagged.pix
        assert tagged.tags == tagged.tags
        assert core.transfers == {"pix": 2, "tags": 2}

    def test_tags_are_numbers_and_text(self):
        """Sizes are int, the rest text; the system state comes along unless it is turned off."""
        core, _adapter, clock = make(backend="java", pixel_size_um=1.0)
        core.set_include_system_state_cache(True)
        core.start_sequence_acquisition(2, 0.0, True)
        clock.advance(1)
        tags = core.pop_next_tagged_image().tags
        numbers = {"Width": 64, "Height": 32, "BitDepth": 16, "PixelSizeUm": 1}
        assert {name: value for name, value in tags.items() if type(value) is int} == numbers
        assert {type(value) for name, value in tags.items() if name not in numbers} == {str}
        assert tags["Camera-Binning"] == "1"
        core.set_include_system_state_cache(False)
        assert "Camera-Binning" not in core.pop_next_tagged_image().tags

    def test_vectors_and_regions_are_objects(self):
        """String vectors have size and get only; a region has four attributes."""
        core = make(backend="java")[0]
        names = core.get_device_property_names("Camera")
        assert names.get(0) == "Binning"
        assert names.size() == 15
        with pytest.raises(TypeError):
            len(names)
        with pytest.raises(TypeError):
            iter(names)
        roi = core.get_roi()
        assert (roi.x, roi.y, roi.width, roi.height) == (0, 0, 64, 32)

    def test_whole_floats_are_ints(self):
        """A float without a fraction arrives as int."""
        core = make(backend="java")[0]
        assert type(core.get_exposure()) is int
        assert type(core.get_property_lower_limit("Camera", "Offset")) is int
        core.set_exposure(1.51)
        assert core.get_exposure() == 1.51

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("set_exposure", (np.float32(5),)),
            ("set_roi", (0, 0, np.int64(8), 8)),
            ("start_sequence_acquisition", (5, 0.0, np.bool_(True))),
            ("start_sequence_acquisition", (5.0, 0.0, True)),
            ("get_tagged_image", (0, "Camera", 32, 64)),
        ],
    )
    def test_wrong_arguments_are_a_bare_exception(self, name, args):
        """The bridge finds no method for these types."""
        core = make(backend="java")[0]
        core.snap_image()
        with pytest.raises(Exception, match="Incorrect arguments") as caught:
            getattr(core, name)(*args)
        assert type(caught.value) is Exception

    def test_keyword_arguments_are_refused(self):
        """A shadow object's methods take positional arguments only."""
        with pytest.raises(TypeError):
            make(backend="java")[0].set_exposure(exposure=5.0)

    def test_failures_are_bare_exceptions_with_a_stack(self):
        """An empty buffer and any refusal have the same type."""
        core = make(backend="java")[0]
        for call in (core.pop_next_tagged_image, core.get_last_image, core.get_image):
            with pytest.raises(Exception, match=r"java\.lang\.Exception: .*\n") as caught:
                call()
            assert type(caught.value) is Exception


@pytest.mark.usefixtures("processes")
def test_importing_the_adapters_imports_no_micro_manager():
    """The layer loads without pycromanager and what comes with it."""
    code = """
        import sys
        import mmspool.adapters
        loaded = {"pycromanager", "mmpycorex", "pymmcore", "pyjavaz", "mm_test_adapters"} & set(sys.modules)
        sys.exit(str(loaded) if loaded else 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
