"""napari and ndv show recordings, without a screen."""

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import mmspool
from mmspool import Spool
from mmspool.cli import main
from mmspool.napari_reader import get_reader, read
from mmspool.viewing import RecordingViewer

from .conftest import FRAMES, HEIGHT, PIXEL_UM, WIDTH, record, recorded

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")

WaitUntil = Callable[[Callable[[], bool]], None]


class TestNapari:
    """The reader plugin, found by its manifest."""

    @pytest.fixture
    def manager(self) -> Iterator[Any]:
        """Yield npe2's plugin manager, which has found mmspool or is given its manifest."""
        from npe2 import PluginManager, PluginManifest

        manager = PluginManager.instance()
        manager.discover()
        if "mmspool" not in manager:  # not installed: the tests run on the checkout
            manager.register(PluginManifest.from_file(str(resources.files("mmspool") / "napari.yaml")))
        yield manager
        PluginManager._instance = None

    def test_manifest(self, manager: Any) -> None:
        """The manifest is valid, and offers a reader for HDF5 files."""
        commands = [reader.command for reader in manager.iter_compatible_readers(["x.h5"])]
        assert "mmspool.get_reader" in commands

    def test_reads_by_the_plugin(self, manager: Any, camera_file: Path) -> None:
        """npe2 reads a recording as one lazy layer with its scale and its frames."""
        import npe2

        ((data, options, kind),) = npe2.read([str(camera_file)], stack=False, plugin_name="mmspool")
        with data:
            assert (kind, data.shape, options["name"]) == ("image", (FRAMES, HEIGHT, WIDTH), "cells")
            assert options["scale"][1:] == PIXEL_UM
            assert not isinstance(data, np.ndarray)

    def test_in_napari(self, screenless: None, camera_file: Path) -> None:
        """A viewer without a window takes the layer as it is, and shows each frame."""
        from napari.components import ViewerModel
        from napari.layers import Layer

        reader = get_reader(str(camera_file))
        assert reader is not None
        ((data, options, kind),) = reader(str(camera_file))
        with data:
            viewer = ViewerModel()
            viewer.add_layer(Layer.create(data, options, kind))
            layer = viewer.layers["cells"]
            assert layer.data is data  # nothing was loaded
            for index in (0, 7, FRAMES - 1):
                viewer.dims.set_current_step(0, index)
                assert np.array_equal(np.asarray(layer._slice.image.raw), data[index])
            assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"]

    def test_colour(self, screenless: None, colour: tuple[Path, np.ndarray[Any, Any]]) -> None:
        """Colours of 8 bits are one layer; of 16 bits, three that add up: red, green, blue, none of them loaded."""
        from napari.components import ViewerModel
        from napari.layers import Layer

        path, frames = colour
        viewer = ViewerModel()
        for layer in read(str(path)):
            viewer.add_layer(Layer.create(*layer))
        viewer.dims.set_current_step(0, 7)
        shown = [np.asarray(layer._slice.image.raw) for layer in viewer.layers]
        if frames.dtype == np.uint8:
            assert [layer.rgb for layer in viewer.layers] == [True]
            assert np.array_equal(shown[0], frames[7])
        else:
            assert [layer.colormap.name for layer in viewer.layers] == ["red", "green", "blue"]
            assert np.array_equal(np.stack(shown, axis=-1), frames[7])

    def test_several_cameras(self, processes: None, tmp_path: Path) -> None:
        """A master file opens as a layer for each camera, named after its file."""
        cameras = {name: mmspool.Camera.mock(width=32, height=size) for name, size in (("left", 24), ("right", 48))}
        mmspool.record_cameras(tmp_path / "run.h5", cameras, frames=3, buffer_bytes=16_000_000)
        path = str(tmp_path / "run.h5")
        reader = get_reader(path)
        assert reader is not None
        layers = reader(path)
        assert [(options["name"], data.shape) for data, options, _kind in layers] == [
            ("run_left", (3, 24, 32)),
            ("run_right", (3, 48, 32)),
        ]
        for data, _options, _kind in layers:
            data.close()

    def test_other_files(self, tmp_path: Path, camera_file: Path) -> None:
        """HDF5 files that are no recordings, and files that are none at all, are left to other plugins."""
        import h5py

        other = tmp_path / "other.h5"
        h5py.File(other, "w").close()
        (tmp_path / "text.h5").write_text("no HDF5")
        for path in (other, tmp_path / "text.h5", tmp_path / "none.h5"):
            assert get_reader(str(path)) is None
        assert get_reader([str(camera_file), str(other)]) is None


class TestNdv:
    """``mmspool view``."""

    @pytest.fixture
    def shown(self, screenless: None) -> Iterator[Callable[[RecordingViewer], np.ndarray[Any, Any]]]:
        """Yield a function that returns the pixels that a viewer shows now."""
        import ndv

        def pixels(viewer: RecordingViewer) -> np.ndarray[Any, Any]:
            ndv.process_events()
            for future in list(viewer.viewer._futures):
                future.result(timeout=20)
            ndv.process_events()
            (handle,) = viewer.viewer._lut_controllers[None].handles
            return np.asarray(handle.data())

        yield pixels
        ndv.process_events()

    def test_shows_a_frame(self, tmp_path: Path, shown: Callable[..., Any], wait_until: WaitUntil) -> None:
        """The window shows frames by the slider of time; a short recording's frames are not taken for channels."""
        path = record(tmp_path / "short.h5", frames=3)
        with mmspool.open(path) as run:
            viewer = RecordingViewer(run)
            assert np.array_equal(shown(viewer), run[0])
            viewer.viewer.display_model.current_index.update({0: 2})
            wait_until(lambda: np.array_equal(shown(viewer), run[2]))
            viewer.viewer.close()

    def test_colour(self, screenless: None, colour: tuple[Path, np.ndarray[Any, Any]], wait_until: WaitUntil) -> None:
        """The window takes the last axis of colour frames for red, green and blue."""
        import ndv

        path, frames = colour
        with mmspool.open(path) as run:
            viewer = RecordingViewer(run)

            def shown() -> list[np.ndarray[Any, Any]]:
                ndv.process_events()
                controllers = viewer.viewer._lut_controllers
                return [np.asarray(handle.data()) for key in controllers for handle in controllers[key].handles]

            wait_until(lambda: len(shown()) == 1 and np.array_equal(shown()[0], frames[0]))
            viewer.viewer.close()

    def test_follows(self, tmp_path: Path, shown: Callable[..., Any], wait_until: WaitUntil) -> None:
        """Following, it shows the newest frame of a recording that another process writes, until it ends."""
        with Spool(tmp_path / "run.h5", buffer_bytes=16_000_000) as spool:
            spool.put(np.full((32, 32), 5, np.uint16))
            wait_until(lambda: recorded(tmp_path / "run.h5") == 1)
            with mmspool.open(tmp_path / "run.h5") as run:
                viewer = RecordingViewer(run, follow=True)
                assert shown(viewer).max() == 5
                for value in range(6, 20):
                    spool.put(np.full((32, 32), value, np.uint16))
                wait_until(lambda: viewer.update() and len(run) == 15)
                wait_until(lambda: shown(viewer).max() == 19)
                spool.close()
                assert not viewer.update()
                viewer.viewer.close()


def test_record_and_view(screenless: None, tmp_path: Path, wait_until: WaitUntil) -> None:
    """``mmspool record --view`` starts a viewer of its own, which has the recording open and outlives it."""
    result = CliRunner().invoke(
        main, ["record", str(tmp_path / "run.h5"), "--mock", "--roi", "0,0,64,64", "-n", "50", "--view", "-q"]
    )
    assert result.exit_code == 0, result.output
    (viewer,) = (process for process in psutil.Process().children() if "view" in process.cmdline())
    try:
        wait_until(lambda: any(file.path == str(tmp_path / "run.h5") for file in viewer.open_files()))
    finally:
        viewer.kill()
        viewer.wait()
