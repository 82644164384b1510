"""The vocabulary of camera families, over simulated cameras with their properties, tags and refusals."""

import json
import logging
import math

import numpy as np
import pytest

from mmspool import CameraBusyError, CoreError, Faults, SettingError
from mmspool.adapters import read_pco_stamp, wrap
from mmspool.adapters.mock.families import FAMILIES as SIMULATED
from mmspool.driver.families import FAMILIES, check_dump, family_of
from mmspool.driver.families.andor_sdk3 import clock_step_ns
from mmspool.driver.families.pvcam import PVCAM
from mmspool.driver.frame_counters import GapDetector

MODES = {
    "andor_sdk3": {"internal", "software", "edge", "level", "start"},
    "hamamatsu": {"internal", "software", "edge", "level", "synchronous", "start", "master_pulse"},
    "pco": {"internal", "software", "edge", "level", "start"},
    "pvcam": {"internal", "software", "edge", "level", "start"},
    "tucam": {"internal", "software", "edge", "level", "synchronous", "global"},
}
OUTPUT = ("source", "polarity", "delay_us", "width_us")


@pytest.fixture(params=sorted(SIMULATED))
def family(request):
    """Name each family that can be simulated."""
    return request.param


@pytest.fixture
def camera(mock, family, backend):
    """Return a simulated camera of each family, of either backend."""
    return mock(family=family, backend=backend)


class TestTable:
    """Each family's table against its simulated camera."""

    def test_is_chosen_by_the_library(self, camera, family):
        """A camera gets the table of its device adapter's library; any other one gets the generic table."""
        assert camera.family == family
        assert family_of("SomethingElse").name == "generic"

    def test_fits_the_camera(self, camera):
        """The simulated camera has the property and the value for each word of its family's table."""
        lines = check_dump(family_of(camera.core.device_info("Camera")["library"]), camera.properties.dump())
        known = ("gain", "readout.speed", "readout.shutter")  # models of the family differ in these
        assert not [line for line in lines if not line.startswith(known)]

    def test_names_what_does_not_fit(self):
        """A property that a camera lacks, and a list without the word, are each named in a line."""
        dump = {"TriggerMode": {"allowed": ["Internal Trigger", "Edge Trigger"]}}
        lines = check_dump(PVCAM, dump)
        assert "trigger.mode = level: none of Internal Trigger, Edge Trigger of TriggerMode is Level*" in lines
        assert "gain: the camera has none of Gain" in lines
        assert json.loads(json.dumps(dump)) == dump

    def test_uses_the_vocabulary(self):
        """All tables use the same names for their settings."""
        names = {name for family in FAMILIES for name in family.features}
        assert names <= {
            "trigger.mode",
            "trigger.activation",
            "trigger.overlap",
            "trigger.delay_us",
            "trigger.burst_frames",
            *(f"output{number}.{name}" for number in (1, 2, 3, 4) for name in OUTPUT),
            "light_sheet.mode",
            "light_sheet.line_interval_us",
            "light_sheet.line_delay",
            "light_sheet.exposed_lines",
            "readout.port",
            "readout.speed",
            "readout.shutter",
            "readout.direction",
            "gain",
            "sensor_temperature_c",
            "temperature_setpoint_c",
            "frame_rate_hz",
            "line_time_us",
        }
        assert all("trigger.mode" in family.features for family in FAMILIES)


class TestTrigger:
    """``camera.trigger``."""

    def test_modes(self, camera, family):
        """The modes are those that this camera's lists have; it starts with internal ones."""
        assert set(camera.trigger.modes) == MODES[family]
        assert camera.trigger.mode == "internal"

    def test_every_mode_is_set_and_read_back(self, camera, family):
        """Each mode can be set, in any case of letters, and reads as what was set."""
        for mode in MODES[family] - ({"software"} if family == "pvcam" else set()):
            camera.trigger.mode = mode.upper()
            assert camera.trigger.mode == mode

    def test_mode_that_the_camera_lacks(self, camera, family):
        """It is refused with the modes that there are, and nothing is changed."""
        with pytest.raises(SettingError, match=r"has no trigger\.mode 'warp': it has internal"):
            camera.trigger.mode = "warp"
        assert camera.trigger.mode == "internal"

    def test_mode_that_is_listed_but_refused(self, mock, backend):
        """PVCAM lists software triggers and refuses them: the error has the state afterwards."""
        camera = mock(family="pvcam", backend=backend)
        with pytest.raises(SettingError, match="it has TriggerMode = 'Internal Trigger'"):
            camera.trigger.mode = "software"
        assert camera.trigger.mode == "internal"

    def test_values_without_a_word(self, mock):
        """Properties that were set otherwise read as `other`, not as a wrong word."""
        camera = mock(family="pco")
        camera.properties["Acquiremode"] = "External"
        assert camera.trigger.mode == "other"

    def test_misspelt_name(self, camera):
        """A name that a trigger does not have is refused."""
        with pytest.raises(AttributeError, match="there is no 'mod' here; there is mode"):
            camera.trigger.mod = "edge"

    def test_units(self, mock):
        """Seconds, ms and us of the adapters are all us here, and a period is a rate."""
        hamamatsu, tucam = mock(family="hamamatsu"), mock(family="tucam")
        hamamatsu.trigger.delay_us = tucam.trigger.delay_us = 250_000
        assert hamamatsu.trigger.delay_us == tucam.trigger.delay_us == pytest.approx(250_000)
        assert float(hamamatsu.properties["TRIGGER DELAY"]) == pytest.approx(0.25)
        hamamatsu.frame_rate_hz = 50
        assert float(hamamatsu.properties["MASTER PULSE INTERVAL"]) == pytest.approx(0.02)
        assert hamamatsu.frame_rate_hz == pytest.approx(50)
        assert hamamatsu.frame_rate_limits_hz == pytest.approx((0.1, 100_000))
        assert mock(family="andor_sdk3").line_time_us == pytest.approx(9.6)
        assert mock(family="pvcam").line_time_us == pytest.approx(7.063)


class TestReadout:
    """``camera.readout``, gain and temperature."""

    def test_dependent_lists(self, mock):
        """With PVCAM's port the list of its speeds changes; a speed of another port is refused."""
        camera = mock(family="pvcam")
        assert camera.readout.choices("speed") == ("100MHz 12bit", "100MHz 16bit")
        camera.readout.port = "speed"
        assert camera.readout.choices("speed") == ("200MHz 8bit",)
        assert camera.readout.speed == "200MHz 8bit"
        with pytest.raises(SettingError, match="'100MHz 16bit' is not one of 200MHz 8bit"):
            camera.readout.speed = "100MHz 16bit"

    def test_own_words_in_any_case(self, mock):
        """The camera's own texts are matched in any case, or by a pattern that only one of them fits."""
        camera = mock(family="andor_sdk3")
        camera.gain = "16-BIT*"
        assert camera.gain == "16-bit (low noise & high well capacity)"
        camera.readout.shutter = "global"
        assert (camera.readout.shutter, camera.readout.port) == ("global", None)
        with pytest.raises(SettingError, match="is not one of"):
            camera.gain = "12-bit*"

    def test_unknown_camera(self, mock):
        """A camera without a table works by what properties are usually called; what it lacks is None."""
        camera = mock()
        assert (camera.family, camera.trigger.mode, camera.sensor_temperature_c) == ("generic", "internal", -10.0)
        assert (camera.frame_rate_hz, camera.trigger.overlap, camera.line_time_us) == (None, None, None)
        with pytest.raises(SettingError, match=r"has no trigger\.delay_us"):
            camera.trigger.delay_us = 5


OUTPUTS = {"andor_sdk3": {1, 2, 3}, "hamamatsu": {1, 2, 3}, "pco": {3, 4}, "pvcam": {1}, "tucam": {1, 2, 3}}


class TestOutputs:
    """``camera.outputs``."""

    def test_every_source_is_set_and_read_back(self, camera, family):
        """Each line takes each of its sources, in any case of letters, and reads as what was set."""
        assert set(camera.outputs) == OUTPUTS[family]
        for output in camera.outputs.values():
            assert output.sources
            for source in output.sources:
                output.source = source.upper()
                assert output.source == source

    def test_lines_do_not_share_their_settings(self, mock, backend):
        """TUCam has one set of properties and a selector for three lines: each line keeps its own settings."""
        outputs = mock(family="tucam", backend=backend).outputs
        outputs[1].source, outputs[3].source = "all_rows", "trigger_ready"
        outputs[1].width_us, outputs[3].width_us = 100, 2500
        outputs[3].polarity = "negative"
        assert (outputs[1].source, outputs[3].source) == ("all_rows", "trigger_ready")
        assert (outputs[1].width_us, outputs[3].width_us) == (100, 2500)
        assert (outputs[1].polarity, outputs[3].polarity) == ("positive", "negative")

    def test_units(self, mock):
        """Hamamatsu's seconds are us here, and its line 1 is the one that it calls [0]."""
        camera = mock(family="hamamatsu")
        camera.outputs[1].delay_us, camera.outputs[2].width_us = 2000, 500
        assert float(camera.properties["OUTPUT TRIGGER DELAY[0]"]) == pytest.approx(2e-3)
        assert float(camera.properties["OUTPUT TRIGGER PERIOD[1]"]) == pytest.approx(500e-6)
        assert camera.outputs[2].width_us == pytest.approx(500)

    def test_lines_while_it_runs(self, mock):
        """Which lines there are is known while a sequence runs; reading one that would have to be chosen is refused."""
        camera = mock(family="tucam")
        camera.core.start_sequence(1000)
        outputs = camera.outputs
        assert set(outputs) == {1, 2, 3}
        assert outputs[1].source == "exposure_start"
        with pytest.raises(CameraBusyError, match="Output Trigger Port"):
            _ = outputs[2].source

    def test_what_a_line_lacks(self, mock):
        """A source that a line does not have is refused with those it has; what it cannot do at all reads as None."""
        output = mock(family="andor_sdk3").outputs[1]
        with pytest.raises(SettingError, match=r"has no output1\.source 'readout_end': it has exposure, first_row"):
            output.source = "readout_end"
        assert (output.delay_us, output.polarity) == (None, None)
        assert mock().outputs == {}


class TestLightSheet:
    """``camera.light_sheet``."""

    def test_mode(self, camera):
        """Each family has a mode for light sheets that is off at the start, and can be set and read back."""
        assert camera.light_sheet.mode == "off"
        camera.light_sheet.mode = "on"
        assert camera.light_sheet.mode == "on"

    def test_units(self, mock):
        """Lines a second, ms, and times in a unit that another property has, are all us here."""
        andor, hamamatsu, pco = (mock(family=each).light_sheet for each in ("andor_sdk3", "hamamatsu", "pco"))
        andor.line_interval_us = hamamatsu.line_interval_us = pco.line_interval_us = 40
        assert andor.line_interval_us == pytest.approx(40)
        assert hamamatsu.line_interval_us == pytest.approx(40)
        assert pco.line_interval_us == 40
        camera = mock(family="pco")
        camera.properties["Line Scanning Mode Timebase"] = "ns"
        camera.light_sheet.line_interval_us = 20
        assert camera.properties["Line Scanning Mode Line Time"] == "20000"
        assert mock(family="pvcam").light_sheet.line_interval_us == pytest.approx(7.063)
        assert mock(family="tucam").light_sheet.line_interval_us == pytest.approx(7.2)

    def test_lines(self, mock):
        """How many lines expose at the same time can be set where the camera counts them."""
        for family in ("andor_sdk3", "pco", "pvcam", "tucam"):
            light_sheet = mock(family=family).light_sheet
            light_sheet.exposed_lines = 50
            assert light_sheet.exposed_lines == 50
        assert mock(family="hamamatsu").light_sheet.exposed_lines is None


class TestTemperature:
    """Temperature and set point."""

    @pytest.mark.parametrize(
        ("name", "sensor_c", "setpoint_c"),
        [("andor_sdk3", -0.3, 0.0), ("hamamatsu", -10.5, -10.0), ("pco", None, 5.0), ("pvcam", -25.0, -25.0)],
    )
    def test_are_read(self, mock, name, sensor_c, setpoint_c):
        """Both are numbers in degrees Celsius; what the adapter does not show is None (PCO's sensor)."""
        camera = mock(family=name)
        assert (camera.sensor_temperature_c, camera.temperature_setpoint_c) == (sensor_c, setpoint_c)
        camera.temperature_setpoint_c = 0
        assert camera.temperature_setpoint_c == 0


class TestQuirks:
    """What adapters do that a user would not expect."""

    def test_readings_are_no_settings(self, mock):
        """What an adapter lets one set to no effect is refused as a setting, and not kept with the settings."""
        pvcam, tucam = mock(family="pvcam"), mock(family="tucam")
        with pytest.raises(SettingError, match="ActualInterval-ms of Camera only shows what the camera does"):
            pvcam.frame_rate_hz = 50
        assert "ActualInterval-ms" not in pvcam.settings()["properties"]
        assert "Temperature" not in tucam.settings()["properties"]

    def test_set_point_that_cannot_be_read_back(self, mock, raw):
        """TUCam's one property sets the set point and shows the sensor: setting it is no error."""
        camera = mock(family="tucam")
        camera.temperature_setpoint_c = -20
        assert (camera.sensor_temperature_c, camera.temperature_setpoint_c) == (-10.0, None)
        assert raw(camera).calls["set_property"] == 1

    def test_limits_in_a_text(self, mock):
        """Andor has the limits of its frame rate as a text in a property of its own."""
        assert mock(family="andor_sdk3").frame_rate_limits_hz == pytest.approx((0.016, 100.5))

    def test_bursts(self, mock):
        """How many frames a trigger gives can be set where the adapter has it."""
        for family in ("pco", "tucam"):
            trigger = mock(family=family).trigger
            trigger.burst_frames = 10
            assert trigger.burst_frames == 10
        assert mock(family="andor_sdk3").trigger.burst_frames is None

    def test_overlap_and_edge(self, mock):
        """TUCam has one list for both: choosing overlap keeps the edge mode, and choosing edge keeps the overlap."""
        trigger = mock(family="tucam").trigger
        trigger.overlap = "off"
        trigger.mode = "edge"
        assert (trigger.mode, trigger.overlap) == ("edge", "off")

    def test_no_sequence_without_a_count(self, mock, record, raw):
        """Andor's adapter turns endless sequences into software triggering: a recording without an end has a count."""
        camera = mock(family="andor_sdk3")
        received = []
        record(camera, until=lambda: len(received) > 3, on_frame=received.append)
        assert camera.trigger.mode == "internal"
        assert raw(camera).calls["start_continuous_sequence_acquisition"] == 0
        raw(camera).start_continuous_sequence_acquisition(0.0)
        assert camera.trigger.mode == "software"


class TestRecording:
    """Recordings of each family."""

    def test_counters_and_clock(self, mock, record, read):
        """PVCAM's counter and picoseconds, and Andor's clock, are in the file's columns; Andor has no counter."""
        kinetix = mock(family="pvcam")
        kinetix.properties["MetadataEnabled"] = "Yes"
        file = read(record(kinetix, frames=20).path)
        frames = file.frames
        assert np.array_equal(frames["camera_frame_number"], np.arange(1, 21))
        assert np.all(np.diff(frames["camera_timestamp"]) > 0)
        assert file.metadata["detector"]["camera"]["family"] == "pvcam"
        andor = mock(family="andor_sdk3")
        frames = read(record(andor, frames=20, overwrite=True).path).frames
        assert np.all(frames["camera_frame_number"] == -1)
        assert np.all(np.diff(frames["camera_timestamp"]) > 0)

    def test_says_what_cannot_be_seen(self, mock, record, read, family):
        """Result and file say whether losses before the core can be seen with this camera."""
        result = record(mock(family=family), frames=3)
        camera = read(result.path).metadata["detector"]["camera"]
        assert "before the core" in camera["losses_before_core"]
        assert result.losses_before_core == camera["losses_before_core"]

    @pytest.mark.parametrize(
        ("name", "properties", "options", "stamp"),
        [
            ("pvcam", {"MetadataEnabled": "Yes"}, {}, ("camera", "start of the exposure")),
            ("pvcam", {}, {}, ("host", "arrival in the device adapter or the core")),
            ("pco", {"Timestampmode": "Binary"}, {"pixel_stamp": "pco"}, ("camera", "end of the exposure")),
            ("tucam", {}, {}, ("host", "arrival in the device adapter or the core")),
        ],
    )
    def test_says_what_its_times_are(self, mock, record, read, name, properties, options, stamp):
        """Each file says whose clock its time stamps come from, and which moment of the exposure they are."""
        camera = mock(family=name)
        for each, value in properties.items():
            camera.properties[each] = value
        told = read(record(camera, frames=3, **options).path).metadata["detector"]["camera"]["time_stamp"]
        assert (told["clock"], told["moment"]) == stamp

    def test_disk_streaming_is_refused(self, mock, record, tmp_path):
        """PVCAM's own streaming hands on one of many frames, which would count as losses: it has to be off."""
        camera = mock(family="pvcam")
        camera.properties["DiskStreamingEnabled"] = "Yes"
        with pytest.raises(SettingError, match=r"DiskStreamingEnabled is 'Yes', .*set it to No"):
            record(camera, frames=3)
        assert list(tmp_path.iterdir()) == []

    def test_warns_of_a_stop_that_hangs(self, mock, record, caplog):
        """PCO's driver cannot be stopped while it waits for a trigger: a recording with one says so at its start."""
        camera = mock(family="pco")
        camera.trigger.mode = "edge"
        with caplog.at_level(logging.WARNING, "mmspool"):
            record(camera, frames=3)
        assert "cannot be stopped" in caplog.text

    @pytest.mark.parametrize(("mode", "lost"), [("internal", 2), ("edge", 0)])
    def test_losses_in_a_clock(self, mock, record, read, mode, lost):
        """Andor's lost frames show in its clock while it runs at equal intervals, but not between triggers."""
        camera = mock(family="andor_sdk3", faults=Faults(dropped_in_camera=frozenset({30, 40})))
        camera.trigger.mode = mode
        file = read(record(camera, frames=60).path)
        located = [loss.before_frame for loss in file.losses if loss.before_frame < 58]
        assert located == ([30, 39] if lost else [])


class TestClockGaps:
    """Gaps in the clock of a camera without a counter."""

    @pytest.mark.parametrize(("start_s", "found"), [(0, 1), (90, 1), (1_100, 0), (11_000, 0)])
    def test_horizon(self, start_s, found):
        """At 100 frames/s a gap is found until the clock's steps are as long as a frame, and never made up."""

        def printed(frame):
            return round(float(f"{start_s * 1e3 + frame * 10:.6g}") * 1e6)

        gaps = GapDetector(clock_step_ns)
        stamps = [printed(frame) for frame in range(100) if frame != 50]
        missing = [gap.count for stamp in stamps for gap in gaps.missing_before(frame_with(stamp))]
        assert sum(missing) == found

    @pytest.mark.parametrize(
        ("stamp_s", "step_ms"), [(0.5, 0.001), (50, 0.1), (100, 1), (999, 1), (1000, 10), (10_000, 100)]
    )
    def test_steps(self, stamp_s, step_ms):
        """Six digits of a time in ms are 1 ms from 100 s on, 10 ms from 1,000 s on."""
        assert clock_step_ns(round(stamp_s * 1e9)) == step_ms * 1e6


def frame_with(stamp_ns):
    """Return a frame of a camera that has a clock and no counter."""
    from mmspool.adapters import Frame

    return Frame(np.zeros((1, 1), np.uint16), -1, -1, stamp_ns)


def stamped(number, microseconds=123_450):
    """Return an image that PCO's stamp is written into: frame ``number``, 3 February 2026, 04:05:06."""
    pixels = np.full((4, 20), 500, np.uint16)
    digits = f"{number:08}" + "20260203040506" + f"{microseconds:06}"
    pixels[0, :14] = [int(digits[at : at + 2], 16) for at in range(0, 28, 2)]
    return pixels


class TestPcoStamp:
    """PCO's counter and time in the first pixels."""

    def test_is_decoded(self):
        """The frame's number and the time in microseconds are read from two digits a pixel."""
        stamp = read_pco_stamp(stamped(12_345_678))
        assert stamp.frame_number == 12_345_678
        assert stamp.time_ns == 1_770_091_506_123_450_000

    def test_no_stamp(self):
        """Pixels that hold no stamp are not taken for one."""
        assert read_pco_stamp(np.full((4, 20), 500, np.uint16)) is None
        assert read_pco_stamp(np.zeros((4, 20), np.uint16)) is None
        assert read_pco_stamp(np.zeros((4, 8), np.uint16)) is None

    def test_recording(self, mock, record):
        """On request the columns have the stamp's counter and time, losses are found, and the file marks the pixels."""
        camera = mock(family="pco", faults=Faults(dropped_in_camera=frozenset(range(11, 16))))
        camera.properties["Timestampmode"] = "Binary"
        result = record(camera, frames=20, pixel_stamp="pco")
        assert (result.losses[0].before_frame, result.losses[0].count, result.losses[0].stage) == (11, 5, "camera")
        import mmspool

        with mmspool.open(result.path) as recording:
            table = np.asarray(recording.frame_table())
            about = recording.metadata["detector"]["camera"]
        assert list(table["camera_frame_number"]) == [*range(1, 12), *range(17, 21)]
        assert np.all(np.diff(table["camera_timestamp"]) > 0)
        assert about["pixels_not_image"] == {"y": 0, "x": 0, "height": 1, "width": 16, "content": "PCO stamp"}


class TestSettings:
    """``camera.settings()``, and setting them again."""

    def test_there_and_back(self, camera, mock, family, backend):
        """Through JSON, another camera of the family gets all of them."""
        camera.trigger.mode = "edge"
        camera.exposure_ms = 7
        camera.roi = (8, 4, 32, 16)
        settings = json.loads(json.dumps(camera.settings()))
        other = mock(family=family, backend=backend)
        report = other.apply_settings(settings)
        assert report.complete, report.refused
        assert {"roi", "exposure_ms"} <= set(report.changed)
        assert other.settings() == settings

    def test_dependent_lists(self, mock):
        """What decides about other lists is set first, whatever the order in the file."""
        camera, other = mock(family="pvcam"), mock(family="pvcam")
        camera.readout.port = "Dynamic Range"
        assert other.apply_settings(camera.settings()).complete
        assert other.readout.speed == "83MHz 16bit"

    def test_from_a_recording(self, mock, record):
        """A recording has the settings, and a camera can be set from it."""
        from mmspool.driver import load_settings

        camera, other = mock(family="tucam"), mock(family="tucam")
        camera.gain = "Low Gain"
        path = record(camera, frames=3).path
        assert other.apply_settings(load_settings(path)).complete
        assert other.gain == "Low Gain"

    def test_another_camera(self, mock):
        """What another camera lacks or refuses is reported, and the rest is set."""
        settings = mock(family="pvcam").settings() | {"exposure_ms": 3}
        other = mock(family="tucam")
        report = other.apply_settings(settings)
        assert "Port" in report.refused
        assert "has no property 'Port'" in report.refused["Port"]
        assert other.exposure_ms == pytest.approx(3, abs=0.05)

    @pytest.mark.parametrize("wrong", [{"expsure": 3}, {"properties": [1]}])
    def test_wrong_form(self, mock, wrong):
        """What is not the form of settings is refused, and nothing is set."""
        with pytest.raises(SettingError, match="settings"):
            mock().apply_settings(wrong)


def test_simulated_families_are_known():
    """There is a table for each family that can be simulated, and another name is refused."""
    assert set(SIMULATED) <= {family.name for family in FAMILIES}
    from mmspool import MockCore

    with pytest.raises(ValueError, match="expected one of andor_sdk3"):
        MockCore(family="kodak")
    assert wrap(MockCore(family="pvcam")).device_info("Camera")["library"] == "PVCAM"


class TestStopThatHangs:
    """PCO's driver, which does not return from a stop before the next external trigger."""

    def test_frames_are_safe(self, mock, raw, start, mocker, read, tmp_path):
        """The recording ends with an error that says what to do, all frames are in the file, and nobody hangs."""
        mocker.patch("mmspool.driver.stopping.STOP_S", 0.1)
        camera = mock(family="pco", faults=Faults(stall_after=12))
        camera.trigger.mode = "edge"
        recording = start(camera, frames=20, frame_timeout_s=2.0)
        with pytest.raises(CoreError, match=r"external trigger\. Send one, or end this process"):
            recording.wait()
        assert recording.stuck
        camera.close()  # returns, without the core
        raw(camera).trigger()
        file = read(tmp_path / "run.h5")
        assert (file.holds_first(12), file.state) == (True, "interrupted")

    def test_with_a_trigger(self, mock, raw, start, wait_until):
        """A trigger that comes in time lets the driver return, and the recording ends as it was asked to."""
        camera = mock(family="pco", faults=Faults(stall_after=12))
        camera.trigger.mode = "edge"
        recording = start(camera, frames=20)
        wait_until(lambda: recording.stats.frames_received == 12)
        recording.stop()
        raw(camera).trigger()
        result = recording.wait()
        assert (result.frames_written, recording.stuck) == (12, False)


def test_tucam_returns_from_a_stop(mock, start, wait_until):
    """TUCam waits for a frame without a limit, but a stop ends that wait: a missing trigger holds nothing up."""
    camera = mock(family="tucam", faults=Faults(stall_after=5))
    camera.trigger.mode = "edge"
    recording = start(camera, frames=20, frame_timeout_s=math.inf)
    wait_until(lambda: recording.stats.frames_received == 5)
    recording.stop()
    assert recording.wait().frames_written == 5


def test_numbers_that_do_not_rise():
    """PVCAM without its circular buffer does not count: numbers that stand still are no losses."""
    gaps = GapDetector()
    from mmspool.adapters import Frame

    frames = [Frame(np.zeros((1, 1), np.uint16), index, number, -1) for index, number in enumerate((1, 1, 1, 0, 1))]
    assert [gap for frame in frames for gap in gaps.missing_before(frame)] == []
