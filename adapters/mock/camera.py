"""The simulated sCMOS sensor: its properties, its region, its timing and its noise."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core_adapter import Image
from .families import MockFamily
from .properties import PropertySpec, PropertyTable, RefusedError

READ_NOISE_E = 1.6
"""Read noise, electrons rms: an ORCA-Flash4.0 V3 (docs/cameras.md)."""
FULL_SCALE_E = 30_000.0
"""Electrons between black and white at every bit depth: the full well of the same camera."""
SIGNAL_E_PER_MS = 20.0
"""Light on the sensor, electrons per pixel and ms of exposure."""
HOT_PIXEL_FRACTION = 1e-4
INDEX_PIXELS = 8
"""The first pixels of a frame carry its index, one byte each."""

_SCAN_MODES = {"1": 10 / 3, "2": 1.0}
_NOISE_FRAMES = 4


class Format(NamedTuple):
    """What a frame looks like. The region is in binned pixels."""

    x: int
    y: int
    width: int
    height: int
    binning: int
    bytes_per_pixel: int
    bit_depth: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The pixels' type, uint8 or uint16."""
        return np.dtype(np.uint8 if self.bytes_per_pixel == 1 else np.uint16)

    @property
    def frame_bytes(self) -> int:
        """Size of a frame, bytes."""
        return self.width * self.height * self.bytes_per_pixel


def frame_index(pixels: Image) -> int:
    """Read back the index that the simulated camera wrote into a frame.

    Parameters
    ----------
    pixels
        A frame of the simulated camera, shape ``(Y, X)``, uint8 or uint16, of any bit depth, binning and region.

    Returns
    -------
    int
        The number of the exposure since the sequence started, from 0, counting exposures that were lost; for a snapped
        image the number of the snap since the core was made. It lies in the frame's first 8 pixels, one byte each,
        lowest first: in row 0, or row by row where a frame is narrower. A frame of n < 8 pixels in all carries the
        index modulo 256**n.
    """
    return int.from_bytes(pixels.flat[:INDEX_PIXELS].astype(np.uint8).tobytes(), "little")


class MockSensor:
    """An sCMOS sensor of ``height`` x ``width`` pixels whose images depend on nothing but the seed and the settings.

    Parameters
    ----------
    width, height
        Size of the sensor, pixels.
    seed
        Makes the hot pixels and the noise.
    line_time_us
        Time to read one row in the fast scan mode, us.
    roi_step
        Regions are rounded down to multiples of this many pixels.
    family
        Whose properties and refusals it has; None for its own.
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        seed: int,
        line_time_us: float,
        roi_step: int,
        family: MockFamily | None = None,
    ) -> None:
        self._width = width
        self._height = height
        self._seed = seed
        self._line_time_us = line_time_us
        self._roi_step = roi_step
        self._pool_key: object = None
        self._pool: list[Image] = []
        self._lines = 0
        self._family = family
        self._banks: dict[tuple[str, str], dict[str, str]] = {}
        specs = {
            "Binning": PropertySpec("1", allowed=("1", "2", "4"), fixed_in_sequence=True),
            "BitDepth": PropertySpec("16", allowed=("12", "16", "8"), fixed_in_sequence=True),
            "CCDTemperature": PropertySpec("-10.0000", kind=float, limits=(-100.0, 10.0)),
            "CCDTemperature RO": PropertySpec("-10.0000", kind=float, read_only=True),
            "CameraID": PropertySpec("V1.0", read_only=True),
            "CameraName": PropertySpec("Simulated sCMOS", read_only=True),
            "Description": PropertySpec("Simulated sCMOS camera", read_only=True),
            "Exposure": PropertySpec("10.0000", kind=float, limits=(0.0, 10_000.0)),
            "MaximumExposureMs": PropertySpec("10000.0000", kind=float, read_only=True, pre_init=True),
            "Name": PropertySpec("MockCamera", read_only=True),
            "Offset": PropertySpec("100", kind=int, limits=(0.0, 200.0)),
            "PixelType": PropertySpec("16bit", allowed=("16bit", "8bit"), fixed_in_sequence=True),
            "ReadoutTime": PropertySpec("0.0000", kind=float, read_only=True),
            "ScanMode": PropertySpec("2", allowed=tuple(_SCAN_MODES), fixed_in_sequence=True),
            "TriggerMode": PropertySpec("Internal", allowed=("External", "Internal"), fixed_in_sequence=True),
        }
        if family is not None:
            specs = {name: spec for name, spec in specs.items() if name not in family.without} | dict(family.properties)
        self.properties = PropertyTable(specs)
        self.format = Format(0, 0, width, height, 1, 2, 16)
        self._set_exposure_ms(10.0)

    @property
    def exposure_ms(self) -> float:
        """Exposure, ms: a whole number of line times."""
        return round(self._lines * self._line_s * 1e3, 6)

    @property
    def readout_s(self) -> float:
        """Time to read the region's rows, s; a binned row is several rows of the sensor."""
        return self.format.height * self.format.binning * self._line_s

    @property
    def period_s(self) -> float:
        """Time from frame to frame, s: exposing overlaps with reading out."""
        return max(self.exposure_ms / 1e3, self.readout_s)

    @property
    def delay_s(self) -> float:
        """Time from start to the first frame, s."""
        return self.exposure_ms / 1e3 + self.readout_s

    def set_exposure_ms(self, value: float) -> None:
        """Set the exposure; like the DemoCamera, silently keep the old one when `value` is out of limits."""
        low, high = self.properties.spec("Exposure").limits or (0.0, 0.0)
        if low <= value <= high:
            self._set_exposure_ms(value)

    def set_property(self, name: str, value: str, *, running: bool) -> None:
        """Set a property, with what it changes in others."""
        old = self.format.binning
        before = self._value(name, "")
        if self._family is not None and (name, value) in self._family.refused:
            raise RefusedError(f'Cannot set property "{name}" to "{value}": not supported by this camera')
        self.properties.set(name, value, running=running)
        if self._family is not None:
            self._set_others(self._family, name, before)
        new = self.properties.get(name)
        if name == "Exposure":
            self._set_exposure_ms(float(new))
        elif name == "ScanMode":
            self._set_exposure_ms(float(self.properties.get("Exposure")))
        elif name == "Binning":
            self._rebin(old, int(new))
        elif name == "PixelType":
            self._set_depth(*((1, 8) if new == "8bit" else (2, 16)))
        elif name == "BitDepth":
            self._set_depth(self.format.bytes_per_pixel if new == "8" else 2, int(new))

    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Set the region, binned pixels, rounded to the step; all zeros is the whole sensor, as on the DemoCamera."""
        if not (x or y or width or height):
            self.clear_roi()
            return
        step, binning = self._roi_step, self.format.binning
        x, y, width, height = (number // step * step for number in (x, y, width, height))
        full_width, full_height = self._width // binning, self._height // binning
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > full_width or y + height > full_height:
            raise RefusedError(
                f"region of {width} x {height} at ({x}, {y}) is not on the sensor of {full_width} x {full_height} (12)"
            )
        self._resize(x, y, width, height)

    def clear_roi(self) -> None:
        """Read out the whole sensor."""
        binning = self.format.binning
        self._resize(0, 0, self._width // binning, self._height // binning)

    def render(self, index: int) -> Image:
        """Make the image of one exposure in the present format, shape ``(Y, X)``, owned by the caller."""
        # A camera's noise need not be new in each frame: drawing it would cost a hundred times the copy.
        pool = self._noise_pool()
        image = pool[index % len(pool)].copy()
        code = np.frombuffer(index.to_bytes(INDEX_PIXELS, "little"), np.uint8)
        if image.shape[1] >= INDEX_PIXELS:
            image[0, :INDEX_PIXELS] = code
        else:
            image.reshape(-1)[:INDEX_PIXELS] = code[: image.size]
        return image

    def hot_pixels(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Return rows and columns of the sensor's hot pixels and their dark current, electrons per ms."""
        rng = np.random.default_rng(self._seed)
        count = max(1, round(self._width * self._height * HOT_PIXEL_FRACTION))
        pixels = rng.choice(self._width * self._height, count, replace=False)
        return *np.divmod(pixels, self._width), rng.uniform(100.0, 1000.0, count)

    @property
    def _line_s(self) -> float:
        return self._line_time_us * 1e-6 * _SCAN_MODES.get(self._value("ScanMode", "2"), 1.0)

    def _value(self, name: str, default: str) -> str:
        return self.properties.get(name) if name in self.properties else default

    def _set_others(self, family: MockFamily, name: str, before: str) -> None:
        """Do what the adapter does besides when a property was set."""
        new = self.properties.get(name)
        if name in family.inert:
            self.properties.publish(name, before)
        for other, allowed in family.dependent.get(name, {}).get(new, {}).items():
            self.properties.restrict(other, allowed)
        if name in family.banks:
            self._banks[name, before] = {each: self.properties.get(each) for each in family.banks[name]}
        for each, value in self._banks.get((name, new), {}).items():
            self.properties.publish(each, value)

    def _set_exposure_ms(self, value: float) -> None:
        self._lines = max(1, round(value / 1e3 / self._line_s))
        self._publish()

    def _publish(self) -> None:
        self.properties.publish("Exposure", f"{self.exposure_ms:.4f}")
        self.properties.publish("ReadoutTime", f"{self.readout_s * 1e3:.4f}")

    def _rebin(self, old: int, new: int) -> None:
        x, y, width, height = (number * old // new for number in self.format[:4])
        self.format = self.format._replace(binning=new)
        self._resize(x, y, max(1, width), max(1, height))

    def _resize(self, x: int, y: int, width: int, height: int) -> None:
        self.format = self.format._replace(x=x, y=y, width=width, height=height)
        self._publish()

    def _set_depth(self, bytes_per_pixel: int, bit_depth: int) -> None:
        self.format = self.format._replace(bytes_per_pixel=bytes_per_pixel, bit_depth=bit_depth)
        self.properties.publish("BitDepth", str(bit_depth))
        self.properties.publish("PixelType", "8bit" if bytes_per_pixel == 1 else "16bit")

    def _noise_pool(self) -> list[Image]:
        key = (self.format, self._lines, self._value("Offset", "100"), self._value("ScanMode", "2"))
        if key != self._pool_key:
            self._pool = self._make_pool()
            self._pool_key = key
        return self._pool

    def _make_pool(self) -> list[Image]:
        form = self.format
        binned = form.binning**2
        electrons = np.full((form.height, form.width), SIGNAL_E_PER_MS * self.exposure_ms * binned, np.float32)
        rows, columns, rates = self.hot_pixels()
        rows, columns = rows // form.binning - form.y, columns // form.binning - form.x
        inside = (rows >= 0) & (rows < form.height) & (columns >= 0) & (columns < form.width)
        np.add.at(electrons, (rows[inside], columns[inside]), rates[inside] * self.exposure_ms)
        # At these counts a Poisson distribution is a normal one with the variance of its mean.
        sigma = np.sqrt(electrons + READ_NOISE_E**2 * binned)
        rng = np.random.default_rng([self._seed, *form])
        noise = rng.standard_normal(form.width * form.height, dtype=np.float32)
        white = 2**form.bit_depth - 1
        per_electron = white / FULL_SCALE_E
        pool = []
        for number in range(min(_NOISE_FRAMES, noise.size)):
            # Rolled, the same field is as good as an independent one at every pixel, and much cheaper.
            rolled = np.roll(noise, number * noise.size // _NOISE_FRAMES).reshape(electrons.shape)
            counts = (electrons + sigma * rolled) * per_electron + float(self._value("Offset", "100"))
            pool.append(np.clip(np.rint(counts), 0, white).astype(form.dtype))
        return pool
