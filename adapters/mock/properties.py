"""The property table of the simulated camera, with the refusals of MMCore 12."""

from dataclasses import dataclass, replace


class RefusedError(Exception):
    """The simulated device refuses; the core gives the message in its own exception type."""


@dataclass(frozen=True, slots=True)
class PropertySpec:
    """One property: its value at the start and what may be written to it."""

    value: str
    allowed: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    kind: type[str] | type[int] | type[float] = str
    read_only: bool = False
    pre_init: bool = False
    fixed_in_sequence: bool = False


class PropertyTable:
    """The properties of one device, by name.

    Parameters
    ----------
    specs
        The properties.
    """

    def __init__(self, specs: dict[str, PropertySpec]) -> None:
        self._specs = dict(sorted(specs.items()))
        self._values = {name: spec.value for name, spec in self._specs.items()}

    def names(self) -> tuple[str, ...]:
        """Return the names, sorted as the core has them."""
        return tuple(self._specs)

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return names and present values."""
        return tuple(self._values.items())

    def spec(self, name: str) -> PropertySpec:
        """Return what is known of a property."""
        if name not in self._specs:
            raise RefusedError(f'Error in device "Camera": Invalid property name encountered: {name} (2)')
        return self._specs[name]

    def get(self, name: str) -> str:
        """Return a property's present value."""
        if name not in self._values:
            raise RefusedError(f'Cannot get value of property "{name}"')
        return self._values[name]

    def set(self, name: str, value: str, *, running: bool) -> None:
        """Write a property as a user does; a read-only one silently keeps its value."""
        spec = self.spec(name)
        if spec.read_only:
            return
        text = _normalised(spec, value)
        forbidden = (spec.fixed_in_sequence and running) or (spec.allowed and text not in spec.allowed)
        if forbidden or (spec.limits and not spec.limits[0] <= float(text) <= spec.limits[1]):
            raise RefusedError(f'Cannot set property "{name}" to "{value}"')
        self._values[name] = text

    def restrict(self, name: str, allowed: tuple[str, ...]) -> None:
        """Give a property another list of values, as the device does; a value that is not in it becomes the first."""
        self._specs[name] = replace(self._specs[name], allowed=allowed)
        if self._values[name] not in allowed:
            self._values[name] = allowed[0]

    def publish(self, name: str, value: str) -> None:
        """Write a property as the device itself does."""
        self._values[name] = value


def _normalised(spec: PropertySpec, value: str) -> str:
    if spec.kind is str:
        return value
    try:
        number = float(value)
    except ValueError:
        # The core's devices read numbers with C's atof, which makes 0 of a word.
        number = 0.0
    return str(int(number)) if spec.kind is int else f"{number:.4f}"
