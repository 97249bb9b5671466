"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest

from dropviz import export
from dropviz.experiment import ExperimentSpec
from dropviz.export.archive import event_members
from dropviz.export.events import crc32c, event_file
from dropviz.export.series import Series
from dropviz.store import Store
from tests.export.played import finished

loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")


def events(content: bytes, folder: Path) -> list:
    (folder / "events.out.tfevents.1.test").write_bytes(content)
    return list(loader.EventFileLoader(str(folder / "events.out.tfevents.1.test")).Load())


def scalars(found: list) -> dict[str, dict[int, float]]:
    read: dict[str, dict[int, float]] = {}
    for event in found:
        for value in event.summary.value:
            read.setdefault(value.tag, {})[event.step] = value.tensor.float_val[0]
    return read


def test_the_checksum_is_that_of_the_standard() -> None:
    """The values of RFC 3720, B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


def test_tensorboard_reads_every_series_of_every_run(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    experiment = finished(store, spec)
    files = dict(event_members(store, experiment))
    assert len(files) == len(spec.arms) * 3
    for one in export.series_of(store, experiment):
        (name,) = (name for name in files if name.startswith(f"{one.arm}/seed-{one.seed}/"))
        found = scalars(events(files[name], tmp_path))[one.metric]
        assert found == {
            step: float(np.float32(value)) for step, value in zip(one.steps, one.values, strict=True)
        }


def test_numbers_that_float32_has_not_and_large_steps_are_read_as_near_as_can_be(tmp_path: Path) -> None:
    values = (math.nan, math.inf, -math.inf, 1e300, 1e-300, -0.0, 0.1)
    steps = (0, 1, 127, 128, 16_384, 10**6, 2**40)
    series = Series(arm="none", seed=0, metric="curvature/λ", steps=steps, values=values)
    found = events(event_file([series], 1.5e9), tmp_path)
    assert found[0].file_version == "brain.Event:2"
    assert {event.wall_time for event in found} == {1.5e9}
    read = scalars(found)["curvature/λ"]
    assert tuple(read) == steps
    nearest = [math.nan, math.inf, -math.inf, math.inf, 0.0, -0.0, float(np.float32(0.1))]
    np.testing.assert_array_equal(list(read.values()), nearest)


def test_a_file_with_a_flipped_bit_is_not_read_to_its_end(tmp_path: Path) -> None:
    series = Series(arm="none", seed=0, metric="loss", steps=(1, 2, 3), values=(1.0, 2.0, 3.0))
    content = bytearray(event_file([series], 0.0))
    content[-10] ^= 1
    from tensorboard.compat.tensorflow_stub.errors import DataLossError

    with contextlib.suppress(DataLossError):
        assert len(scalars(events(bytes(content), tmp_path))["loss"]) < 3
