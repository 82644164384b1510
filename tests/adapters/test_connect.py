"""Ways to a core, and what is said when there is none."""

import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack, closing
from importlib.metadata import PackageNotFoundError

import pymmcore
import pytest

from mmspool.adapters import (
    JavaBridgeAdapter,
    MockCore,
    PymmcoreAdapter,
    Roi,
    connect,
    demo,
    headless,
    sequence_tester,
    wrap,
)
from mmspool.errors import ConnectError, CoreError, MmspoolError

python_core = sys.modules[demo.__module__]


@pytest.fixture(autouse=True)
def no_core_left():
    """Fail when a test leaves a core in the process."""
    launcher = sys.modules.get("mmpycorex.launcher")
    before = list(launcher._PYMMCORES) if launcher else []
    yield
    launcher = sys.modules.get("mmpycorex.launcher")
    left = [core for core in (launcher._PYMMCORES if launcher else []) if core not in before]
    for core in left:
        launcher._PYMMCORES.remove(core)
    assert left == []


def run_script(code: str) -> tuple[int, str, str]:
    """Run a script in a process of its own; return its exit code, output and error output."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


class TestRealCores:
    """Cores in this process."""

    def test_demo_has_the_asked_sensor(self):
        """Size, pixel type and buffer are what was asked for."""
        with closing(demo(width=128, height=64, pixel_type="8bit", buffer_mb=16)) as adapter:
            assert isinstance(adapter, PymmcoreAdapter)
            assert adapter.get_roi() == Roi(0, 0, 128, 64)
            assert adapter.image_format().bit_depth == 8
            assert adapter.buffer_capacity() == 16 * 2**20 // (128 * 64)
            info = {"library": "DemoCamera", "name": "DCam", "description": "Demo camera"}
            assert adapter.device_info(adapter.camera_label()) == info

    def test_cores_follow_and_accompany_each_other(self):
        """Several cores live in one process, and closing one leaves the others."""
        with ExitStack() as stack:
            first = stack.enter_context(closing(demo(width=64, height=64)))
            second = stack.enter_context(closing(sequence_tester(width=64, height=32)))
            third = stack.enter_context(closing(demo(width=48, height=48)))
            first.close()
            assert second.snap().shape == (32, 64)
            second.close()
            assert third.snap().shape == (48, 48)
        with closing(demo(width=64, height=64)) as again:
            assert again.snap().shape == (64, 64)

    @pytest.mark.parametrize("maker", [demo, sequence_tester])
    def test_a_running_or_overflowed_core_closes(self, maker):
        """Closing stops what runs, however it ended."""
        with closing(maker(width=64, height=64, buffer_mb=1)) as adapter:
            adapter.set_exposure_ms(0.1)
            adapter.start_sequence(10**6)
            while not adapter.remaining():
                assert adapter.is_sequence_running() or adapter.is_overflowed()
        with pytest.raises(CoreError, match="closed before"):
            adapter.remaining()

    @pytest.mark.usefixtures("processes")
    def test_pycromanager_s_core_is_the_one_made_here(self):
        """A script finds the core with pycromanager.Core(), and may wrap it without owning it."""
        code = """
            import pycromanager
            from mmspool.adapters import demo, wrap
            adapter = demo(width=64, height=64)
            mine = wrap(pycromanager.Core())
            mine.set_exposure_ms(3.0)
            mine.close()
            print(type(mine).__name__, adapter.get_exposure_ms())
        """
        assert run_script(code) == (0, "PymmcoreAdapter 3.0\n", "")

    def test_a_wrong_setting_leaves_no_core(self):
        """A refused pixel type is a ConnectError that says what was refused."""
        with pytest.raises(ConnectError, match='Cannot set property "PixelType" to "17bit"'):
            demo(pixel_type="17bit")

    @pytest.mark.usefixtures("processes")
    def test_a_script_that_forgets_to_close_exits_cleanly(self):
        """A script that exits during a sequence, without closing its core, prints nothing."""
        code = """
            from mmspool.adapters import demo, sequence_tester
            adapters = [demo(width=64, height=64), sequence_tester(buffer_mb=1)]
            for adapter in adapters:
                adapter.start_sequence(10**6)
        """
        assert run_script(code) == (0, "", "")


class TestDemoPackages:
    """The packages that the demo needs."""

    @pytest.fixture
    def versions(self, monkeypatch):
        """Pretend that other versions are installed."""
        installed = {"mm-test-adapters": "75.20261014.post1", "pymmcore": "12.5.1.75.0"}

        def version(name):
            if name not in installed:
                raise PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(python_core, "version", version)
        return installed

    def test_a_missing_package_is_named(self, versions):
        """What to install is in the message."""
        del versions["mm-test-adapters"]
        with pytest.raises(ConnectError, match=r'mm-test-adapters is not installed.*pip install "mm-test-adapters'):
            demo()

    def test_packages_that_do_not_fit_are_named(self, versions):
        """The message names the versions and device interfaces of two packages that do not match."""
        versions["pymmcore"] = "11.10.0.74.0"
        with pytest.raises(ConnectError, match=r"device interface 75, pymmcore 11\.10\.0\.74\.0 has 74"):
            sequence_tester()

    def test_a_missing_pycromanager_is_named(self, monkeypatch):
        """Without mmpycorex, the error says what to install."""
        monkeypatch.setitem(sys.modules, "mmpycorex", None)
        with pytest.raises(ConnectError, match=r"cannot import mmpycorex .*pip install pycromanager"):
            demo()


class TestHeadless:
    """A core with a configuration file."""

    def demo_folder(self):
        """Return the folder of the test adapters."""
        return python_core._test_adapters()

    def test_a_configuration_of_the_folder_is_loaded(self):
        """A relative name is looked up beside the device adapters."""
        with closing(headless(self.demo_folder(), "MMConfig_demo.cfg", buffer_mb=16)) as adapter:
            assert adapter.camera_label() == "Camera"
            assert adapter.snap().shape == (512, 512)

    def test_a_configuration_elsewhere_is_loaded(self, tmp_path, monkeypatch):
        """An absolute path works, and so does one from the working directory."""
        config = tmp_path / "my.cfg"
        config.write_text(
            "Property,Core,Initialize,0\nDevice,Cam,DemoCamera,DCam\n"
            "Property,Core,Initialize,1\nProperty,Core,Camera,Cam\n"
        )
        monkeypatch.chdir(tmp_path)
        for path in (config, "my.cfg"):
            with closing(headless(self.demo_folder(), path, buffer_mb=16)) as adapter:
                assert adapter.camera_label() == "Cam"

    def test_a_device_that_does_not_load_is_named(self, tmp_path):
        """The core's own message is in the error."""
        config = tmp_path / "bad.cfg"
        config.write_text("Device,Cam,NoSuchLibrary,DCam\n")
        with pytest.raises(ConnectError, match="NoSuchLibrary"):
            headless(self.demo_folder(), config)

    def test_missing_places_are_named(self, tmp_path):
        """Folder and file are checked before anything starts."""
        with pytest.raises(ConnectError, match="is not a folder"):
            headless(tmp_path / "nowhere", "x.cfg")
        with pytest.raises(ConnectError, match=r"no configuration file .*x\.cfg"):
            headless(tmp_path, "x.cfg")

    def test_an_unknown_backend_is_refused(self, tmp_path):
        """`headless` refuses any backend other than the two that exist."""
        (tmp_path / "x.cfg").touch()
        with pytest.raises(ConnectError, match="'perl'; expected 'python' or 'java'"):
            headless(tmp_path, "x.cfg", backend="perl")


class TestConnect:
    """A Micro-Manager that does not run; test_java_bridge.py is about one that does."""

    def test_no_listener_is_told_with_advice(self):
        """A closed port fails at once and says what to tick."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(ConnectError, match=f"port {port} .*Tools > Options > Run server"):
            connect(port, timeout_s=0.5)

    @pytest.mark.parametrize("port", [-1, 70_000])
    def test_an_impossible_port_is_told(self, port):
        """A port that cannot be is no crash."""
        with pytest.raises(ConnectError, match=str(port)):
            connect(port, timeout_s=0.5)


class TestWrap:
    """Cores that exist already."""

    def test_the_backend_chooses_the_adapter(self):
        """Simulated cores are wrapped by their look."""
        assert isinstance(wrap(MockCore("python", width=8, height=8)), PymmcoreAdapter)
        assert isinstance(wrap(MockCore("java", width=8, height=8)), JavaBridgeAdapter)

    def test_a_shadow_object_is_java_s(self):
        """`wrap` recognises a shadow object of pyjavaz by its base class."""
        base = type("_JavaObjectShadow", (), {})
        shadow = type("mmcorej_CMMCore", (base,), {"pop_next_tagged_image": None})
        assert isinstance(wrap(shadow()), JavaBridgeAdapter)
        with pytest.raises(ConnectError, match="mmcorej_StrVector is not a Micro-Manager core"):
            wrap(type("mmcorej_StrVector", (base,), {})())

    def test_a_core_is_known_by_its_methods(self):
        """An object with the methods of the C++ core is wrapped, whatever its class is called."""

        class Relay:
            def __init__(self, core):
                self._core = core

            def __getattr__(self, name):
                return getattr(self._core, name)

        adapter = wrap(Relay(pymmcore.CMMCore()))
        assert isinstance(adapter, PymmcoreAdapter)
        assert adapter.version().startswith("MMCore version")
        with pytest.raises(CoreError, match="the core has no camera"):
            adapter.camera_label()

    def test_other_things_are_refused(self):
        """A number, None and a bare object are refused, with the list of what is taken."""
        for thing in (3, None, object()):
            with pytest.raises(ConnectError, match=r"expected what pycromanager\.Core\(\) returns"):
                wrap(thing)

    def test_errors_have_one_base(self):
        """The connection errors derive from MmspoolError."""
        assert issubclass(ConnectError, MmspoolError)
        assert issubclass(CoreError, MmspoolError)
