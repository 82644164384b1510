"""The names that users may rely on."""

import pkgutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import mmspool
from mmspool.cli import main

HOME = Path(mmspool.__file__).parents[1]

NAMES = """
Camera CameraBusyError CameraError CameraSet ClusterError Column ConnectError CoreError DetectorInfo EndReason
ExportError Faults FrameError Loss MDASink MDASpooling MissingPackageError MmspoolError MockCore Property
PropertyNotFoundError RecordResult RecordStats Recording RecordingError RepairReport RingFullError Roi RunningRecording
SelectionError SettingError Spool SpoolClosedError SpoolError SpoolResult SpoolStats SteppedClock StorageError
VerifyReport WriterError __version__ compress expected_places export frame_index frame_metadata frames_by_place join
live open record_cameras repair report spool_mda verify view watch
"""


def run(source):
    """Run source in a new interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HOME)!r})\n{source}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_names():
    """A name that is added or taken away is a change for users, and belongs in the changelog."""
    assert sorted(mmspool.__all__) == sorted(NAMES.split())
    assert len(set(mmspool.__all__)) == len(mmspool.__all__)
    assert [name for name in mmspool.__all__ if not hasattr(mmspool, name)] == []


@pytest.mark.parametrize("command", sorted(set(main.commands) - {"doctor", "info", "preflight", "record"}))
def test_a_command_has_its_function(command):
    """What a command does with a recording, the public function of the same name does in a script."""
    assert callable(getattr(mmspool, command))
    assert command in mmspool.__all__


def test_no_module_hides_a_function():
    """No module has the name of a public function: whoever imported it first would find it in the function's place."""
    assert {module.name for module in pkgutil.iter_modules(mmspool.__path__)}.isdisjoint(mmspool.__all__)


def test_errors_are_one_tree():
    """Every error can be caught as `MmspoolError`, and as the built-in kind it also is."""
    errors = [getattr(mmspool, name) for name in mmspool.errors.__all__]
    assert all(issubclass(error, mmspool.MmspoolError) for error in errors)
    assert issubclass(mmspool.StorageError, OSError)
    assert issubclass(mmspool.FrameError, ValueError)
    assert issubclass(mmspool.SettingError, ValueError)
    assert issubclass(mmspool.PropertyNotFoundError, KeyError)


def test_storage_errors_read_well():
    """A storage error reads as a sentence after the file's name, without Python's error number."""
    assert str(mmspool.StorageError(2, "the folder is missing", "/x/run.h5")) == "/x/run.h5: the folder is missing"
    assert str(mmspool.StorageError("just text")) == "just text"


@pytest.mark.usefixtures("processes")
def test_import_is_light():
    """Importing mmspool loads neither pycromanager nor rich, which recording arrays does not need."""
    loaded = run("import mmspool; print(*sys.modules)").split()
    heavy = (
        "pycromanager",
        "mmpycorex",
        "pyjavaz",
        "pymmcore",
        "pymmcore_plus",
        "useq",
        "mm_test_adapters",
        "zmq",
        "rich",
    )
    assert [name for name in loaded if name.split(".")[0] in heavy] == []


@pytest.mark.usefixtures("processes")
def test_reading_loads_nothing_that_records(tmp_path):
    """Opening, checking and repairing a file loads no camera, shared memory, processes, psutil or terminal output."""
    with mmspool.Spool(tmp_path / "run.h5", buffer_bytes=1 << 20) as spool:
        spool.put(np.zeros((4, 6), "u2"))
    loaded = run(
        f"import mmspool\npath = {str(tmp_path / 'run.h5')!r}\n"
        "with mmspool.open(path) as recording: recording[0], recording.frame_table()['index']\n"
        "mmspool.verify(path), mmspool.repair(path)\n"
        "print(*sys.modules)"
    ).split()
    unwanted = ("mmspool.driver", "mmspool.adapters", "mmspool.persistence.shared_ring", "mmspool.persistence.spool")
    unwanted += ("mmspool.persistence.writer_process", "psutil", "rich", "click", "multiprocessing", "_posixshmem")
    assert [name for name in loaded if name.startswith(unwanted)] == []


@pytest.mark.usefixtures("processes")
def test_the_writer_process_is_light():
    """The writer process imports NumPy, h5py, and little else: on Windows a virus scanner looks at each module."""
    loaded = run(
        "import h5py\nothers = set(sys.modules)\n"
        "import mmspool.persistence.writer_process.main\nprint(*(set(sys.modules) - others))"
    ).split()
    unwanted = {"asyncio", "click", "difflib", "psutil", "rich", "hashlib", "hmac", "secrets", "ssl", "_posixshmem"}
    unwanted |= {"pycromanager", "pyjavaz", "mmpycorex", "pymmcore", "pymmcore_plus", "zmq", "useq", "dask", "xarray"}
    unwanted |= {f"multiprocessing.{name}" for name in ("queues", "shared_memory", "resource_tracker", "spawn", "pool")}
    assert unwanted.isdisjoint(loaded)
    assert not [name for name in loaded if name.startswith(("mmspool.driver", "mmspool.adapters", "mmspool.cli"))]
    assert len(loaded) <= 115


@pytest.mark.usefixtures("processes")
def test_import_alone_loads_no_numpy():
    """Importing mmspool takes a few milliseconds: NumPy and HDF5 are loaded with the first name that needs them."""
    loaded = run("import mmspool; print(*sys.modules)").split()
    assert [name for name in loaded if name in ("numpy", "h5py", "rich", "psutil")] == []


def test_an_unknown_name_is_refused():
    """The lazy module face knows its names and no others."""
    assert set(mmspool.__all__) <= set(dir(mmspool))
    with pytest.raises(AttributeError, match="no attribute 'Recordings'"):
        mmspool.Recordings  # noqa: B018


@pytest.mark.usefixtures("processes")
def test_import_has_no_side_effects():
    """Importing mmspool starts no thread and no process, and prints nothing."""
    assert run(
        "import mmspool, threading, multiprocessing\nprint(threading.active_count(), multiprocessing.active_children())"
    ).split() == ["1", "[]"]


def test_version_is_that_of_the_installed_package():
    """The version that the code says is the one that was installed."""
    try:
        installed = metadata.version("mmspool")
    except metadata.PackageNotFoundError:
        pytest.skip("mmspool runs from the checkout, nothing is installed; tox installs it")
    assert mmspool.__version__ == installed
