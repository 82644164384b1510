"""Work on a dask cluster of separate processes gives what this process alone gives."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import mmspool
from mmspool import ClusterError, MissingPackageError
from mmspool.analysis import background, drift
from mmspool.cli import main
from mmspool.exporting import export
from mmspool.parallel import map_in_order
from mmspool.statistics import frame_statistics

from .browser import free_port

pytestmark = pytest.mark.filterwarnings("ignore:::(?!mmspool)")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Start a scheduler and two workers, each a process, and yield the scheduler's address."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        cluster.scale(2)
        yield cluster.scheduler_address


def test_workers_are_other_processes(scheduler: str) -> None:
    """Tasks run on the workers, in this order."""
    places = set(map_in_order(os.path.realpath, ["/proc/self"] * 10, scheduler=scheduler))
    assert f"/proc/{os.getpid()}" not in places
    assert list(map_in_order(abs, range(-50, 0), scheduler=scheduler)) == list(range(50, 0, -1))


@pytest.mark.parametrize("projection", ["max", "mean", "std", "sum"])
def test_projections(
    source: Path, tmp_path: Path, scheduler: str, projection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projection, made of partial ones of the workers, is the one that is made here."""
    monkeypatch.setattr("mmspool.selection.READ_BYTES", 3 * 48 * 64 * 2)  # three frames a task
    export(source, tmp_path / "here.npy", projection=projection, group=8, bin=2)
    export(source, tmp_path / "there.npy", projection=projection, group=8, bin=2, scheduler=scheduler)
    assert np.allclose(np.load(tmp_path / "here.npy"), np.load(tmp_path / "there.npy"), rtol=1e-6)


def test_statistics(source: Path, scheduler: str) -> None:
    """The figures of the frames are the same."""
    with mmspool.open(source) as run:
        here, there = frame_statistics(run, samples=None), frame_statistics(run, samples=None, scheduler=scheduler)
    assert np.array_equal(here.mean, there.mean)
    assert np.array_equal(here.noise, there.noise, equal_nan=True)


@pytest.mark.parametrize("method", ["mean", "sum"])
def test_binned_frames(
    source: Path, tmp_path: Path, scheduler: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that the workers bin are exported in order."""
    monkeypatch.setattr("mmspool.selection.READ_BYTES", 3 * 48 * 64 * 2)
    export(source, tmp_path / "here.npy", bin=2, bin_method=method)
    export(source, tmp_path / "there.npy", bin=2, bin_method=method, scheduler=scheduler)
    assert np.array_equal(np.load(tmp_path / "here.npy"), np.load(tmp_path / "there.npy"))


def test_background(source: Path, expected: Any, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background, made of bands of rows by the workers, is the median of all frames."""
    monkeypatch.setattr("mmspool.analysis._TASK_BYTES", 20 * 64 * 2 * 10)  # ten rows a task
    with mmspool.open(source) as run:
        here, there = background(run), background(run, scheduler=scheduler)
    assert np.array_equal(here, np.median(expected, axis=0).astype(np.float32))
    assert np.array_equal(here, there)


def test_several_files(source: Path, expected: Any, scheduler: str) -> None:
    """The workers open several files as one, as they were opened here."""
    with mmspool.open([source, source]) as run:
        assert np.array_equal(frame_statistics(run, samples=None, scheduler=scheduler).low[20:], expected.min((1, 2)))


@pytest.fixture(scope="module")
def drifting(processes: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    """Return a noisy recording of spots that move, and where they are in each frame ``(t, 2)``."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:128, :160]
    spots = random.uniform(-20, 180, (60, 2))
    places = np.linspace(0, 1, 9)[:, None] * (7.5, -4.25)
    path = tmp_path_factory.mktemp("drift") / "run.h5"
    with mmspool.Spool(path, buffer_bytes=16_000_000) as spool:
        for down, right in places:
            image = np.full(y.shape, 100.0)
            for at_y, at_x in spots:
                image += 200 * np.exp(-((y - at_y - down) ** 2 + (x - at_x - right) ** 2) / 12)
            spool.put(random.poisson(image).astype("u2"))
    return path, places


def test_drift(drifting: tuple[Path, np.ndarray[Any, Any]], scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drift is found to a fraction of a pixel, the same on the workers."""
    monkeypatch.setattr("mmspool.analysis._TASK_BYTES", 3 * 128 * 160 * 2)
    path, places = drifting
    with mmspool.open(path) as run:
        here, there = drift(run), drift(run, scheduler=scheduler)
    assert np.abs(np.stack([here.y_px, here.x_px], 1) - places).max() < 0.3
    assert np.array_equal(here.y_px, there.y_px)
    assert np.array_equal(here.x_px, there.x_px)
    assert (here.y_px[0], here.x_px[0]) == (0, 0)


def test_verify(source: Path, tmp_path: Path, scheduler: str) -> None:
    """Verifying finds the same damage at the same frame."""
    import h5py

    path = tmp_path / "damaged.h5"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        file["data"][7, 3, 4] ^= 1
    arguments = ["verify", str(path), "--json"]
    here = CliRunner().invoke(main, arguments)
    there = CliRunner().invoke(main, [*arguments, "--scheduler", scheduler])
    assert here.exit_code == there.exit_code == 1
    assert json.loads(here.stdout) == json.loads(there.stdout)
    assert "at 1 frame (7)" in json.loads(there.stdout)["damage"][0]


def test_no_workers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler whose workers are gone is reported; nothing waits for ever."""
    from distributed import LocalCluster

    monkeypatch.setattr("mmspool.parallel.CONNECT_TIMEOUT", "2s")
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as cluster,
        pytest.raises(ClusterError, match=r"has no workers \(left\): start some"),
    ):
        export(source, tmp_path / "x.npy", projection="max", scheduler=cluster.scheduler_address)
    assert not (tmp_path / "x.npy").exists()


def test_no_scheduler(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing answers, and a missing package, are one line each."""
    address = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr("mmspool.parallel.CONNECT_TIMEOUT", "1s")
    with pytest.raises(ClusterError, match="no dask scheduler answers"):
        export(source, tmp_path / "x.npy", projection="max", scheduler=address)
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingPackageError, match="pip install distributed"):
        export(source, tmp_path / "x.npy", projection="max", scheduler=address)
