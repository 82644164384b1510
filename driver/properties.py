"""A camera's device properties, by name."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from ..adapters import CoreAdapter
from ..errors import CoreError, PropertyNotFoundError, SettingError

_log = logging.getLogger("mmspool")

_TOLERANCE = 0.01  # cameras round numbers to what their electronics can do


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A device property as it stands.

    ``allowed`` is empty where any value may be given; ``limits`` is None where there are none.
    """

    name: str
    value: str
    allowed: tuple[str, ...]
    limits: tuple[float, float] | None
    read_only: bool


class Properties(Mapping[str, str]):
    """The camera's properties: read, set, and asked what they allow. Values are text, as Micro-Manager has them.

    Parameters
    ----------
    core
        The core the camera belongs to.
    device
        The camera's label.
    before_set
        Called before each change; raises when the camera must not be touched.
    """

    def __init__(self, core: CoreAdapter, device: str, before_set: Callable[[str], None]) -> None:
        self._core = core
        self._device = device
        self._before_set = before_set
        self._names: tuple[str, ...] = ()
        self._read_only: dict[str, bool] = {}

    def __getitem__(self, name: str) -> str:
        """Return the present value; ``PropertyNotFoundError`` with similar names if there is no such property."""
        self._require(name)
        return self._core.get_property(self._device, name)

    def __setitem__(self, name: str, value: str | float) -> None:
        """Set a property and read it back.

        Raises
        ------
        PropertyNotFoundError
            The camera has no such property; it is a ``KeyError`` too.
        SettingError
            The value is not allowed, the camera refused it, or made something else of it; the message has the value
            in force.
        CameraBusyError
            A sequence is running.
        """
        described = self.describe(name)
        text = _accepted(described, str(int(value)) if isinstance(value, bool) else str(value))
        self._before_set(name)
        try:
            self._core.set_property(self._device, name, text)
        except CoreError as exc:
            now = self._core.get_property(self._device, name)
            raise SettingError(f"{self._device} refused {name} = {text!r} and has {now!r}: {exc}") from exc
        got = self._core.get_property(self._device, name)
        if not _same(text, got):
            raise SettingError(
                f"{self._device}.{name} was set to {text!r}, but the camera set it to {got!r}: other properties may "
                "decide what it takes, so set those first"
            )

    def __contains__(self, name: object) -> bool:
        return name in self._names or name in self._read_names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read_names())

    def __len__(self) -> int:
        return len(self._read_names())

    def __repr__(self) -> str:
        return f"<{len(self)} properties of {self._device}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - as IPython calls it
        """Show each property with its present value in a notebook."""
        width = max(map(len, self), default=0)
        printer.text("\n".join([repr(self), *(f"  {name:{width}}  {self[name]}" for name in self)]))

    def describe(self, name: str) -> Property:
        """Return a property with its allowed values and limits.

        Raises
        ------
        PropertyNotFoundError
            The camera has no such property; it is a ``KeyError`` too.
        """
        self._require(name)
        return Property(
            name=name,
            value=self._core.get_property(self._device, name),
            allowed=self._core.allowed_values(self._device, name),
            limits=self._core.limits(self._device, name),
            read_only=self._core.is_read_only(self._device, name),
        )

    def settable(self) -> list[str]:
        """Return the names of the properties that are not read-only."""
        for name in self._names or self._read_names():
            if name not in self._read_only:
                self._read_only[name] = self._core.is_read_only(self._device, name)
        return [name for name in self._names if not self._read_only[name]]

    def write(self, name: str, value: str) -> None:
        """Set a property that shows something else than what was set; it is not read back."""
        self._before_set(name)
        self._core.set_property(self._device, name, _accepted(self.describe(name), value))

    def read_all(self) -> dict[str, str]:
        """Return all values by name; one that cannot be read is logged, and empty."""
        return {name: self._read(name) for name in self}

    def dump(self) -> dict[str, dict[str, Any]]:
        """Return all properties with values, allowed values, limits and whether they can be set; JSON can hold it."""
        return {name: asdict(self.describe(name)) for name in self}

    def _read(self, name: str) -> str:
        try:
            return self[name]
        except CoreError as exc:  # one property that cannot be read is no reason not to record
            _log.warning("%s of %s cannot be read: %s", name, self._device, exc)
            return ""

    def _read_names(self) -> tuple[str, ...]:
        """Ask the device; over the Java bridge that is a call for each name, so known names are kept."""
        self._names = self._core.property_names(self._device)
        return self._names

    def _require(self, name: str) -> None:
        if name not in self:
            similar = get_close_matches(name, self._names, n=3) or self._names
            raise PropertyNotFoundError(f"{self._device} has no property {name!r}; it has {', '.join(similar)}")


def _accepted(described: Property, value: str) -> str:
    """Return a value as the camera spells it; refuse one that it does not take."""
    where = f"{described.name} = {value!r}"
    if described.read_only:
        raise SettingError(f"{where} cannot be set: the property is read-only, with the value {described.value!r}")
    number = _number(value)
    if described.allowed and value not in described.allowed:
        equal = [text for text in described.allowed if text.casefold() == value.casefold()] or [
            text for text in described.allowed if number is not None and _number(text) == number
        ]
        if not equal:
            raise SettingError(f"{where} is not allowed: choose one of {', '.join(described.allowed)}")
        return equal[0]
    if described.limits:
        lower, upper = described.limits
        if number is None or not lower <= number <= upper:
            raise SettingError(f"{where} is out of range: it must be a number from {lower:g} to {upper:g}")
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _same(asked: str, got: str) -> bool:
    """Return whether a value was taken: equal as text, or as a number up to the camera's rounding."""
    a, b = _number(asked), _number(got)
    if a is not None and b is not None:
        return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=1e-9)
    return asked == got
