"""The prepared graphs are made once, kept whole, and made again when they must be; the real model (slow) is held to
the shipped graphs, token for token."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

from gateway.errors import ModelError
from models import prepare as module
from models.graphs.source import Source
from models.prepare import Prepared, can_prepare, prepare

MODEL = Path(__file__).parents[2] / "models" / "cache" / "moonshine-tiny-en"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The real model in a folder of its own, nothing prepared yet."""
    folder = tmp_path / "moonshine-tiny-en"
    folder.mkdir()
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (folder / name).symlink_to(MODEL / name)
    return folder


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*prepared*/*"))


def test_only_whole_models_are_prepared(tmp_path: Path) -> None:
    assert not can_prepare(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        prepare(tmp_path)
    (tmp_path / "encoder_model.ort").write_bytes(b"not a model")
    (tmp_path / "decoder_model_merged.ort").write_bytes(b"not a model")
    assert can_prepare(tmp_path)
    with pytest.raises(ModelError, match=r"encoder_model\.ort cannot be read as a graph"):
        prepare(tmp_path)
    assert kept(tmp_path) == []


@pytest.mark.slow
def test_graphs_are_made_once_and_kept(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "models.prepare")
    first = prepare(model)
    assert [record.getMessage().startswith("graphs of moonshine-tiny-en prepared") for record in caplog.records] == [
        True
    ]
    files = {path.name: path.stat().st_mtime_ns for path in kept(model)}
    assert set(files) == {"encoder.onnx", "step.onnx", "sha256.json"}
    assert prepare(model) == first
    assert {path.name: path.stat().st_mtime_ns for path in kept(model)} == files
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_damaged_and_outdated_graphs_are_made_again(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = prepare(model)
    (step,) = (path for path in kept(model) if path.name == "step.onnx")
    outdated = model / "prepared-0123456789abcdef"
    shutil.copytree(step.parent, outdated)
    step.write_bytes(step.read_bytes()[:-1] + b"\0")
    again = prepare(model)
    assert "are damaged and will be made again" in caplog.text
    assert again == first
    assert step.read_bytes() == first.step
    assert not outdated.exists()


@pytest.mark.slow
def test_other_sources_have_another_key(model: Path) -> None:
    prepare(model)
    (before,) = model.glob("prepared-*")
    other = model / "encoder_model.ort"
    content = other.read_bytes()
    other.unlink()
    other.write_bytes(content + b"\0")  # the runtime reads what it needs, and the checksum is another
    prepare(model)
    (after,) = model.glob("prepared-*")
    assert before != after


@pytest.mark.slow
def test_where_nothing_can_be_kept_graphs_are_made_in_memory(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept_elsewhere = prepare(model)
    # A folder under the lock's name cannot be opened for writing, not even by root.
    for folder in model.glob("prepared-*"):
        shutil.rmtree(folder)
    (model / ".prepared.lock").unlink()
    (model / ".prepared.lock").mkdir()
    assert prepare(model) == kept_elsewhere
    assert "they are made at every start" in caplog.text
    assert kept(model) == []


@pytest.mark.slow
def test_several_at_once_do_the_work_once(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "models.prepare")
    made: list[Prepared] = []
    threads = [threading.Thread(target=lambda: made.append(prepare(model))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [made[0]] * 3
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_a_model_of_another_build_is_refused_by_name(model: Path) -> None:
    """The encoder's file in the decoder's place is a graph, but not a decoder."""
    (model / "decoder_model_merged.ort").unlink()
    (model / "decoder_model_merged.ort").symlink_to(MODEL / "encoder_model.ort")
    with pytest.raises(ModelError, match=r"decoder_model_merged\.ort has no input past_key_values"):
        prepare(model)
    assert kept(model) == []


@pytest.mark.slow
def test_weights_are_the_shipped_ones(model: Path) -> None:
    source = Source(model / "decoder_model_merged.ort")
    assert source.layers == 6
    shipped = source.linear("layers.3/mlp/fc1/Add_output_0")
    step = onnx.load_model_from_string(module.make(model).step)
    prepared = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in step.graph.initializer
        if tuple(tensor.dims) == shipped.weight.shape
    ]
    unsigned = [weight.view(np.uint8) ^ np.uint8(128 if weight.dtype == np.int8 else 0) for weight in prepared]
    assert len(prepared) == 6
    assert sum(np.array_equal(weight, shipped.weight) for weight in unsigned) == 1
