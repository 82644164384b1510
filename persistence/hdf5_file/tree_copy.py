"""A copy of a recording's file, object by object, in which some datasets are replaced."""

from collections.abc import Callable, Mapping

import h5py
import numpy as np

from .nexus_schema import DATA

MakeDataset = Callable[[h5py.Dataset, h5py.Group, str], h5py.Dataset]
"""Makes the dataset that replaces the first one, in a group and under a name; attributes are copied afterwards."""

_SCALES = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")


def copy_tree(source: h5py.File, copy: h5py.File, replaced: Mapping[str, MakeDataset]) -> None:
    """Copy every group, dataset, link and attribute, but create the datasets at some paths by ``replaced``."""
    done: dict[int, str] = {}
    scales: list[tuple[str, str]] = []
    makers = {h5py.h5o.get_info(source[where].id).addr: make for where, make in replaced.items()}

    def walk(group: h5py.Group, into: h5py.Group) -> None:
        _copy_attributes(group, into)
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                into[name] = link
                continue
            item = group[name]
            where = h5py.h5o.get_info(item.id).addr
            if where in done:
                into[name] = copy[done[where]]
                continue
            if isinstance(item, h5py.Group):
                walk(item, into.create_group(name))
                continue
            if where in makers:
                new = makers[where](item, into, name)
            else:
                source.copy(item, into, name, without_attrs=True)
                new = into[name]
            _copy_attributes(item, new)
            done[where] = new.name
            if item.is_scale:
                scales.append((item.name, new.name))

    walk(source, copy)
    _copy_scales(source, copy, scales)


def _copy_scales(source: h5py.File, copy: h5py.File, scales: list[tuple[str, str]]) -> None:
    """Attach the same dimension scales: they are references, which belong to one file."""
    for old, new in scales:
        copy[new].make_scale(source[old].attrs.get("NAME", b"").decode())
    for axis, dimension in enumerate(source[DATA].dims):
        for scale in dimension.values():
            copy[DATA].dims[axis].attach_scale(copy[next(new for old, new in scales if source[old] == scale)])


def _copy_attributes(item: h5py.HLObject, copy: h5py.HLObject) -> None:
    for name in item.attrs:
        if name in _SCALES:
            continue
        old = item.attrs.get_id(name)
        new = h5py.h5a.create(copy.id, name.encode(), old.get_type(), old.get_space())
        value = np.empty(old.shape, old.dtype)
        old.read(value)
        new.write(value)
