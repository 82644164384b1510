"""The plan in a recording's file: a group with a dataset for each field, written before the first frame."""

from collections.abc import Callable

import h5py
import numpy as np

from ..columns import check_field_name
from ..plan import MAX_AXES, Plan

PLAN = "/entry/plan"


def create_plan(file: h5py.File, plan: Plan | None) -> None:
    """Write the group, if there is a plan."""
    if plan is None:
        return
    group = file.create_group(PLAN)
    group.attrs.update(NX_class="NXcollection", shape=np.array(plan.shape), repeats=int(plan.repeats))
    group.attrs["grows"] = int(plan.grows)
    group.attrs["axes"] = np.array([axis.encode() for axis in plan.axes])
    names = plan.rows.dtype.names or ()
    group.attrs["order"] = np.array([name.encode() for name in names])
    for name in names:
        group[name] = plan.rows[name]
        if plan.rows.dtype[name].kind == "S":
            group[name].attrs["encoding"] = np.bytes_(b"utf-8")


def read_plan(file: h5py.File, file_size: Callable[[], int]) -> Plan | None:
    """Return the plan; None for a recording without.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is not as `create_plan` makes it.
    """
    if PLAN not in file:
        return None
    group = file[PLAN]
    axes, names = _names(group, "axes"), _names(group, "order")
    shape = tuple(int(length) for length in np.atleast_1d(group.attrs["shape"]))
    fields = {name: group[name] for name in names}
    lengths = {field.shape for field in fields.values()}
    if not 1 <= len(axes) <= MAX_AXES or len(shape) != len(axes) or min(shape) < 1:
        raise ValueError(f"{PLAN} has the axes {axes} of lengths {shape}")
    if len(lengths) != 1 or lengths != {(int(np.prod(shape, dtype=object)),)}:
        raise ValueError(f"{PLAN} has fields of {sorted(map(str, lengths))} places, not of {shape}")
    size = file_size()
    if any(field.dtype.kind not in "fibS" or field.size * field.dtype.itemsize > size for field in fields.values()):
        raise ValueError(f"{PLAN} holds what no plan does")
    rows = np.empty(next(iter(lengths)), [(name, field.dtype) for name, field in fields.items()])
    for name, field in fields.items():
        rows[name] = field[:]
    repeats, grows = (bool(int(group.attrs[name])) for name in ("repeats", "grows"))
    return Plan(rows=rows, axes=axes, shape=shape, repeats=repeats, grows=grows)


def _names(group: h5py.Group, attribute: str) -> tuple[str, ...]:
    order = group.attrs.get_id(attribute)
    if order.dtype.kind != "S" or len(order.shape) != 1 or not order.shape[0]:
        raise ValueError(f"{group.name}@{attribute} holds {order.shape} {order.dtype}, not names")
    names = tuple(name.decode("ascii") for name in group.attrs[attribute])
    for name in names:
        check_field_name(name)
    return names
