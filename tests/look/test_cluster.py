"""Work on a dask cluster of separate processes gives what this process alone gives."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mmspool
from mmspool import ClusterError, MissingPackageError
from mmspool.cli import main
from mmspool.export import export
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
