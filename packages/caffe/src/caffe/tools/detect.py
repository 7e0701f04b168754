"""`caffe detect`: classify windows of images, with the flags of Caffe's detect.py."""

import csv
import time
from collections.abc import Sequence

import h5py
import numpy as np

from caffe.detector import Detection, Detector, Window
from caffe.errors import FormatError, InputError
from caffe.formats import read_file, replacing
from caffe.hdf5 import new_file
from caffe.tools.flags import Flags
from caffe.tools.preparation import add_flags, settings

COORDINATES = ("ymin", "xmin", "ymax", "xmax")
MODES = ("list", "selective_search")


def main(argv: Sequence[str]) -> int:
    """Classify the windows in a table; write a table or HDF5."""
    flags = Flags("detect", "Classify windows of images.")
    flags.add_argument("input_file", help=".csv with filename,xmin,ymin,xmax,ymax; .txt of files")
    flags.add_argument("output_file", help=".csv, or .h5 with filename, window and prediction")
    add_flags(flags)
    flags.add("crop_mode", "selective_search", "list, or selective_search (which needs MATLAB)")
    flags.add("context_pad", 16, "width of the input's border that shows context")
    found = flags.parse(argv)
    if found.crop_mode not in MODES:
        raise InputError(f"--crop_mode {found.crop_mode}. Allowed: {', '.join(MODES)}")
    given = settings(found)
    if given["mean"] is not None and given["mean"].ndim == 3:
        given["mean"] = given["mean"].mean(axis=(1, 2))
    detector = Detector(context_pad=found.context_pad, **given)
    start = time.perf_counter()
    print("Loading input...")
    if found.crop_mode == "list":
        detections = detector.detect_windows(read_windows(found.input_file))
    else:
        detections = detector.detect_selective_search(read_names(found.input_file))
    print(f"Processed {len(detections)} windows in {time.perf_counter() - start:.3f} s.")
    if found.output_file.lower().endswith("csv"):
        write_csv(found.output_file, detections)
    else:
        write_hdf5(found.output_file, detections)
    print(f"Saved to {found.output_file}")
    return 0


def read_names(path: str) -> list[str]:
    """Read file names, one per line, or from a table."""
    if path.lower().endswith("csv"):
        return [name for name, _ in read_windows(path)]
    return [line.strip() for line in _lines(path) if line.strip()]


def read_windows(path: str) -> list[tuple[str, list[Window]]]:
    """Read a table of windows; return them by file, in order of first appearance.

    Raises
    ------
    FormatError
        If it cannot be read, a column is missing or a coordinate is not an integer.
    """
    windows: dict[str, list[Window]] = {}
    table = csv.DictReader(_lines(path))
    number = 1
    while True:
        number += 1
        try:
            row = next(table, None)
            if row is None:
                return list(windows.items())
            box = [int(float(row[name])) for name in COORDINATES]
            windows.setdefault(row["filename"], []).append(box)
        except KeyError as error:
            raise FormatError(
                f"{path}: no column {error}. Needed: filename, {', '.join(COORDINATES)}"
            ) from None
        except csv.Error as error:
            raise FormatError(f"{path}:{number}: {error}") from None
        except (TypeError, ValueError, OverflowError):
            raise FormatError(f"{path}:{number}: a window needs four integers") from None


def write_csv(path: str, detections: Sequence[Detection]) -> None:
    """Write file name, coordinates and the prediction of each class."""
    classes = np.ravel(detections[0]["prediction"]).size
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [f"class{i}" for i in range(classes)]
        writer.writerow(["filename", *COORDINATES, *names])
        for found in detections:
            values = np.ravel(found["prediction"])
            writer.writerow([found["filename"], *found["window"], *(f"{v:.9g}" for v in values)])


def write_hdf5(path: str, detections: Sequence[Detection]) -> None:
    """Write the datasets `filename`, `window` and `prediction`, a row per window."""
    names = [str(found["filename"]) for found in detections]
    columns = {
        key: np.array([found[key] for found in detections], dtype)
        for key, dtype in (("window", np.int64), ("prediction", np.float32))
    }
    size = sum(map(len, names)) * 4 + sum(column.nbytes for column in columns.values())
    room = size + 64 * len(names)
    with replacing(path) as temporary, new_file(temporary, room) as file:
        file.create_dataset("filename", data=names, dtype=h5py.string_dtype())
        for key, column in columns.items():
            file[key] = column


def _lines(path: str) -> list[str]:
    try:
        return read_file(path).decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise FormatError(f"{path}: is binary; a text list or table is needed") from None
