"""What makes a method of the simulated core behave as one of a bridge: argument types, scripted faults, failures."""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .backends import Backend
from .faults import Faults
from .properties import RefusedError

INT: tuple[type, ...] = (int,)
FLOAT: tuple[type, ...] = (float, int)
BOOL: tuple[type, ...] = (bool,)
TEXT: tuple[type, ...] = (str,)
VALUE: tuple[type, ...] = (str, bool, int, float)
"""The Python types that a parameter accepts; both bridges refuse others, NumPy's too (but its float64 is a float)."""


class CalledCore(Protocol):
    """What a call needs of the core it belongs to."""

    backend_look: Backend
    calls: Counter[str]
    faults: Faults


_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound=CalledCore)


def core_call(
    *types: tuple[type, ...], optional: int = 0
) -> Callable[[Callable[Concatenate[_S, _P], _R]], Callable[Concatenate[_S, _P], _R]]:
    """Make a method take positional arguments of plain types and fail with the backend's exceptions."""

    def decorate(function: Callable[Concatenate[_S, _P], _R]) -> Callable[Concatenate[_S, _P], _R]:
        name = function.__name__
        signature = f"{name}({', '.join(kinds[0].__name__ for kinds in types)})"

        @functools.wraps(function)
        def method(self: _S, /, *args: Any) -> _R:
            if not len(types) - optional <= len(args) <= len(types) or not all(map(isinstance, args, types)):
                raise self.backend_look.wrong_arguments(signature, args)
            self.calls[name] += 1
            fault = self.faults.errors.get(name)
            if fault and self.calls[name] in fault:
                raise self.backend_look.failure(fault[self.calls[name]])
            try:
                return function(self, *args)  # type: ignore[call-arg]
            except RefusedError as exc:
                raise self.backend_look.failure(str(exc)) from None

        method.is_core_call = True  # type: ignore[attr-defined]
        return method  # type: ignore[return-value]

    return decorate


def core_methods(core: type) -> list[str]:
    """Return the names of a simulated core's methods, for which a fault can be scripted."""
    return [name for name in dir(core) if getattr(getattr(core, name), "is_core_call", False)]
