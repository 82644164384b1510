"""The command ``export``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click

from ..exporting import Format
from ..exporting import export as export_file
from .output import bar, errors_as_messages, out, print_json
from .selection_options import selection_arguments, selection_options


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--format", "chosen", type=click.Choice(get_args(Format)), help="The format, where TARGET's ending does not say it."
)
@selection_options
@click.option("--compress", is_flag=True, help="Compress without loss (TIFF: deflate, OME-Zarr: Blosc).")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--scheduler", metavar="ADDRESS", help="Compute projections on a dask cluster: tcp://HOST:8786.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(
    file: Path,
    target: Path,
    *,
    chosen: Format | None,
    compress: bool,
    overwrite: bool,
    scheduler: str | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Write FILE, or a part of it, in another format.

    \b
    TARGET's ending chooses the format:
      .ome.tiff    OME-TIFF: Fiji, napari, OMERO, QuPath (needs tifffile)
      .ome.zarr    OME-Zarr 0.5, a folder (needs ome-writers[tensorstore])
      .tiff        multi-page TIFF, an ImageJ hyperstack up to 4 GB (needs tifffile)
      .npy         NumPy
      .csv         a line a frame: time, mean, deviation, range of its pixels
      .txt         one image as numbers
      .zarr.json   a Zarr view of FILE's own bytes: a few kB, no copy

    \b
    Examples:
      mmspool export run.h5 run.ome.tiff
      mmspool export run.h5 first.tiff --frames :100 --crop 512,512,256,256
      mmspool export run.h5 mean.tiff --project mean --bin 2
      mmspool export run.h5 trace.csv --crop 100,100,16,16

    Exit codes: 0 written, 1 error (nothing is left at TARGET), 2 wrong usage, 130 stopped by Ctrl-C.
    """  # noqa: D301 - click reads the control character
    with errors_as_messages(), bar("exporting") as progress:
        result = export_file(
            file,
            target,
            format=chosen,
            compress=compress,
            overwrite=overwrite,
            scheduler=scheduler,
            progress=progress,
            **selection_arguments(**selection),
        )
    if as_json:
        print_json(asdict(result) | {"path": str(result.path), "dtype": result.dtype.str})
        return
    count, height, width, *colours = result.shape
    kind = f"{result.dtype.name}{' RGB' if colours else ''}"
    out.print(f"{result.path}: {count:,} of {width}x{height} {kind}, {result.size_bytes / 1e6:,.1f} MB")
