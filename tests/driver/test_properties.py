"""The properties mapping, on both backends."""

import pytest

from mmspool import CoreError, Property, SettingError


@pytest.fixture
def camera(mock, backend):
    """Return a simulated camera of either backend."""
    return mock(backend=backend)


class TestReading:
    """Looking at properties."""

    def test_is_a_mapping(self, camera):
        """The properties are a mapping with names, values and a length."""
        names = list(camera.properties)
        assert len(names) == len(camera.properties) > 10
        assert names == sorted(names)
        assert "Binning" in camera.properties
        assert "Binnning" not in camera.properties
        assert dict(camera.properties)["Binning"] == "1"
        assert repr(camera.properties) == f"<{len(names)} properties of Camera>"

    def test_unknown_name_suggests_similar_ones(self, camera):
        """A typing error is answered with what was meant."""
        with pytest.raises(KeyError, match=r"Camera has no property 'Binnning'; it has Binning"):
            camera.properties["Binnning"]
        with pytest.raises(KeyError, match="TriggerMode"):
            camera.properties["TrigerMode"] = "External"
        with pytest.raises(KeyError, match="ScanMode"):
            camera.properties.describe("Scanmode")

    def test_name_like_nothing_lists_all(self, camera):
        """Where nothing is similar, every name is shown."""
        with pytest.raises(KeyError, match=r"it has Binning, .*TriggerMode"):
            camera.properties["$$$"]

    @pytest.mark.parametrize(
        "described",
        [
            Property(name="Binning", value="1", allowed=("1", "2", "4"), limits=None, read_only=False),
            Property(name="Offset", value="100", allowed=(), limits=(0.0, 200.0), read_only=False),
            Property(name="CameraID", value="V1.0", allowed=(), limits=None, read_only=True),
        ],
    )
    def test_describe(self, camera, described):
        """Value, allowed values, limits and whether it can be set."""
        assert camera.properties.describe(described.name) == described


class TestWriting:
    """Setting properties."""

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("TriggerMode", "External", "External"),
            ("Offset", 50, "50"),
            ("Offset", "50", "50"),
            ("CCDTemperature", -20, "-20.0000"),
            ("Binning", 2.0, "2"),
            ("ScanMode", True, "1"),
        ],
    )
    def test_is_set_as_the_camera_spells_it(self, camera, name, value, text):
        """Numbers are given as numbers or as text; the camera's spelling is read back."""
        camera.properties[name] = value
        assert camera.properties[name] == text

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("CameraID", "V2", "CameraID = 'V2' cannot be set: the property is read-only, with the value 'V1.0'"),
            ("TriggerMode", "extern", "'extern' is not allowed: choose one of External, Internal"),
            ("Binning", 2.01, "Binning = '2.01' is not allowed: choose one of 1, 2, 4"),
            ("Offset", 201, "Offset = '201' is out of range: it must be a number from 0 to 200"),
            ("Offset", "much", "Offset = 'much' is out of range: it must be a number from 0 to 200"),
            ("Offset", "nan", "Offset = 'nan' is out of range"),
        ],
    )
    def test_bad_value_never_reaches_the_camera(self, camera, raw, name, value, message):
        """A bad property value is refused with the allowed ones, and never reaches the camera."""
        before = camera.properties[name]
        with pytest.raises(SettingError, match=message):
            camera.properties[name] = value
        assert camera.properties[name] == before
        assert raw(camera).calls["set_property"] == 0

    def test_silently_ignored_value_is_an_error(self, camera, mocker):
        """What the camera made of it is in the message."""
        mocker.patch.object(camera.core, "set_property")
        with pytest.raises(SettingError, match=r"Camera.TriggerMode was set to 'External', but the camera set it to '"):
            camera.properties["TriggerMode"] = "External"

    def test_refusal_by_the_core(self, camera, mocker):
        """A value that the core refuses is a SettingError with the core's reason and the value in force."""
        mocker.patch.object(camera.core, "set_property", side_effect=CoreError("core.set_property failed: broken"))
        with pytest.raises(SettingError, match=r"refused Offset = '1' and has '100': .*broken") as caught:
            camera.properties["Offset"] = 1
        assert isinstance(caught.value.__cause__, CoreError)

    def test_new_value_may_change_the_sensor(self, camera, raw):
        """Setting a property makes the next question for the sensor's size ask the camera again."""
        assert camera.sensor_size() == (64, 96)
        camera.properties["ScanMode"] = "1"
        calls = raw(camera).calls["clear_roi"]
        assert camera.sensor_size() == (64, 96)
        assert raw(camera).calls["clear_roi"] == calls + 1
