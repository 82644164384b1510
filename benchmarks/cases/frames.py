"""Frames as an sCMOS camera makes them: an offset, read noise and photon noise, realistic for compression too."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

OFFSET = 100.0  # ADU of an unlit pixel
READ_NOISE = 1.5  # electrons
GAIN = 0.46  # electrons an ADU
PHOTONS = 50.0  # electrons on average

_POOL_PIXELS = 10 << 20  # more than the largest frame has
_STACK_BYTES, _QUICK_STACK_BYTES = 128 << 20, 4 << 20  # four times the last-level cache of this page's machine


def exposed(
    electrons: float | npt.NDArray[np.float64], shape: tuple[int, ...], random: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return pixels of ``shape`` that were lit by so many electrons on average."""
    light = random.poisson(electrons, shape) + random.normal(0.0, READ_NOISE, shape)
    return (OFFSET + light / GAIN).round().clip(0, 65535).astype(np.uint16)


def spots(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the light ``(Y, X)``, electrons, of bright spots on a background of 5."""
    y, x = (np.arange(size) % 128 - 64.0 for size in shape)
    return 5.0 + 300.0 * np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * 10.0**2))


def stack_of(shared: Path, shape: tuple[int, int], dtype: Any, *, quick: bool) -> npt.NDArray[Any]:
    """Return frames ``(T, Y, X)``, at least two, made at the first call and kept in ``shared``."""
    dtype = np.dtype(dtype)
    file = shared / f"{shape[0]}x{shape[1]}-{dtype.name}.npy"
    if not file.exists():
        np.save(file, _make(shared, shape, dtype, _QUICK_STACK_BYTES if quick else _STACK_BYTES))
    stack: npt.NDArray[Any] = np.load(file)
    return stack


def camera_frames(count: int, height: int, width: int) -> list[npt.NDArray[np.uint16]]:
    """Return ``count`` different frames ``(Y, X)``."""
    random = np.random.default_rng(1)
    return [exposed(PHOTONS, (height, width), random) for _ in range(count)]


def _make(shared: Path, shape: tuple[int, int], dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
    """Cut frames out of a pool of noise at random places: noise enough, in a tenth of the time."""
    pixels = math.prod(shape)
    count = max(2, size // (pixels * dtype.itemsize))
    pool_file = shared / "pool.npy"
    if not pool_file.exists():
        np.save(pool_file, exposed(PHOTONS, (_POOL_PIXELS,), np.random.default_rng(1)))
    pool = np.load(pool_file)
    random = np.random.default_rng(2)
    stack = np.empty((count, *shape), dtype)
    for frame, start in zip(stack, random.integers(0, pool.size - pixels, count), strict=True):
        part = pool[start : start + pixels].reshape(shape)
        frame[...] = np.clip(part, OFFSET, OFFSET + 255) - OFFSET if dtype == np.uint8 else part
    return stack
