"""What does the recognizer's model cost, piece by piece: as it was shipped, prepared, and at the least?

    python -m benchmarks.bench_recognizer [--json] [--seconds S] [--rounds N] [--keep]

* *first*: from audio to the first token's probabilities, one row: the encoder, what the decoder keeps of it, and a
  step (the two graphs divide this work otherwise, so only the sum can be compared), for several lengths of audio;
* *step*: a later step of the decoder, for batches of rows of that audio;
* *floor*: a graph of nothing but a step's matrix products, of the same weights: no decoder built of ONNX Runtime's
  products takes less;
* *shares*: where the time of a prepared step and of the prepared encoder goes, by kind of node;
* *decodes*: utterances of the sample call as the engine decodes them, resampling and text included, in batches:
  processor time for each second of audio; *new*, and *again*, when three quarters of each were decoded before.

Milliseconds of processor time, on one thread. All are measured in turns, round by round, and the least of all rounds
counts: on a machine with neighbours it is what the work costs, and means are what the neighbours cost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import soundfile
from onnx import TensorProto, helper

from benchmarks.audio.files import SAMPLE
from benchmarks.machine import machine
from gateway import config
from gateway.errors import GatewayError
from gateway.speech.engine import Job, Kind, Pcm
from gateway.speech.graphs import Audio, Graphs, PreparedGraphs, ShippedGraphs
from gateway.speech.moonshine import Moonshine, prepare
from gateway.speech.tokenizer import START
from models import store
from models.prepare import prepare as prepared_graphs

__all__ = ["floor_graph", "main", "measure", "shares"]

RESULTS = Path(__file__).parent / "results" / "recognizer.json"
BATCHES = (1, 4, 8, 16)
LENGTHS = (2, 4, 8)

_STEPS = 20  # of a batch, from the first token on
_PRODUCTS = "DynamicQuantizeMatMul"


def speech(seconds: float) -> Audio:
    """So much of the sample call's first channel, as the model hears it (0.3 s of silence included)."""
    pcm, _ = soundfile.read(SAMPLE, dtype="int16", always_2d=True)
    return prepare(np.ascontiguousarray(pcm[: int((seconds - 0.3) * 8000), 0]))


def turns(count: int) -> list[Pcm]:
    """The longest turns of the sample call, of like length."""
    call, _ = soundfile.read(SAMPLE, dtype="int16", always_2d=True)
    described = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    channels = {described["channels"]["left"]: 0, described["channels"]["right"]: 1}
    cuts = [
        np.ascontiguousarray(call[8 * (turn["start_ms"] - 150) : 8 * (turn["end_ms"] + 150), channels[turn["speaker"]]])
        for turn in described["turns"]
    ]
    longest = sorted(cuts, key=len, reverse=True)
    return (longest * -(-count // len(longest)))[:count]


def floor_graph(step: bytes) -> onnx.ModelProto:
    """The matrix products of a step's graph, each fed from outside: inputs ``x_N`` of shape (rows, 1, N)."""
    model = onnx.load_model_from_string(step)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    graph = onnx.GraphProto(name="floor")
    widths: set[int] = set()
    for number, node in enumerate(entry for entry in model.graph.node if entry.op_type == _PRODUCTS):
        width, outputs = weights[node.input[1]].dims
        widths.add(width)
        kept = [name for name in node.input[1:] if name]
        graph.initializer.extend(weights[name] for name in kept)
        graph.node.append(
            helper.make_node(_PRODUCTS, [f"x_{width}", *node.input[1:]], [f"y_{number}"], domain=node.domain)
        )
        graph.output.append(helper.make_tensor_value_info(f"y_{number}", TensorProto.FLOAT, ["rows", 1, outputs]))
    for width in sorted(widths):
        graph.input.append(helper.make_tensor_value_info(f"x_{width}", TensorProto.FLOAT, ["rows", 1, width]))
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _session(model: bytes, *, profile: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _timed(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return (time.thread_time() - before) * 1000


def _first(graphs: Graphs, audio: Audio) -> None:
    graphs.begin([audio], 1).step(np.array([START], np.int64))


def _steps(graphs: Graphs, audio: Audio, batch: int) -> float:
    """The least of some later steps; no row is ended, so that every step has the whole batch."""
    decoding = graphs.begin([audio] * batch, _STEPS)
    tokens = decoding.step(np.full(batch, START, np.int64)).argmax(axis=-1)
    return min(_timed(lambda: decoding.step(tokens)) for _ in range(_STEPS - 1))


def _products(session: ort.InferenceSession, batch: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    binding = session.io_binding()
    for entry in session.get_inputs():
        binding.bind_cpu_input(entry.name, random.normal(size=(batch, 1, entry.shape[-1])).astype(np.float32))
    for entry in session.get_outputs():
        binding.bind_output(entry.name)
    return lambda: session.run_with_iobinding(binding)


def measure(directory: Path, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Least milliseconds by row of the table and column: every length's first token and every batch's step."""
    audio = speech(seconds)
    made = prepared_graphs(directory)
    shipped = ShippedGraphs(directory / "encoder_model.ort", directory / "decoder_model_merged.ort")
    both: dict[str, Graphs] = {"shipped": shipped, "prepared": PreparedGraphs(made)}
    products = _session(floor_graph(made.step).SerializeToString())
    least: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(lambda: float("inf")))
    lengths = {f"first, {length} s": speech(length) for length in LENGTHS}
    for _ in range(rounds):
        for (what, heard), (name, graphs) in itertools.product(lengths.items(), both.items()):
            least[what][name] = min(least[what][name], *(_timed(partial(_first, graphs, heard)) for _ in range(3)))
        for batch in BATCHES:
            row = least[f"step of {batch}"]
            for name, graphs in both.items():
                row[name] = min(row[name], _steps(graphs, audio, batch))
            work = _products(products, batch)
            row["floor"] = min(row["floor"], *(_timed(work) for _ in range(_STEPS)))
    return {name: dict(row) for name, row in least.items()}


def decodes(directory: Path, rounds: int) -> dict[int, dict[str, float]]:
    """Processor time for each second of audio, by batch."""
    engine = Moonshine(directory)
    pcm = turns(max(BATCHES))

    def decode(batch: Sequence[Pcm], kind: Kind) -> float:
        jobs = [Job(engine.open(), kind) for _ in batch]
        for job, samples in zip(jobs, batch, strict=True):
            job.session.accept(samples)
        before = time.thread_time()
        engine.step(jobs)
        return time.thread_time() - before

    least: dict[int, dict[str, float]] = {batch: {"new": np.inf, "again": np.inf} for batch in BATCHES}
    for _, (size, row) in itertools.product(range(rounds), least.items()):
        spent = {"new": 0.0, "again": 0.0}
        for batch in (pcm[at : at + size] for at in range(0, len(pcm), size)):
            spent["new"] += decode(batch, Kind.FINAL)
            for samples in batch:
                decode([samples[: len(samples) * 3 // 4]], Kind.PARTIAL)
            spent["again"] += decode(batch, Kind.FINAL)
        seconds = sum(map(len, pcm)) / 8000
        for name, value in spent.items():
            row[name] = min(row[name], value / seconds)
    return least


def shares(directory: Path, seconds: float, batch: int) -> dict[str, float]:
    """The part of a prepared step's time in each kind of node, largest first; of the encoder's if ``batch`` is 0."""
    made = prepared_graphs(directory)
    with tempfile.TemporaryDirectory() as folder:
        profiled = _session(made.step if batch else made.encoder, profile=Path(folder) / "profile")
        if batch:
            graphs = PreparedGraphs(made, profiled)
            for _ in range(3):
                _steps(graphs, speech(seconds), batch)
        else:
            for _ in range(10):
                profiled.run(None, {"audio": speech(seconds)[None]})
        return _by_kind(json.loads(Path(profiled.end_profiling()).read_text(encoding="utf-8")))


def _by_kind(events: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Parts of the whole, of a profile; the lower quartile of every node counts."""
    nodes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["args"]["node_index"]].append(event["dur"])
    kinds: dict[str, float] = defaultdict(float)
    for (kind, _), durations in nodes.items():
        kinds[kind] += float(np.percentile(durations, 25))
    total = sum(kinds.values())
    return {kind: spent / total for kind, spent in sorted(kinds.items(), key=lambda item: -item[1])}


def _print(result: dict[str, Any]) -> None:
    print(f"{result['machine']}; ms, steps of rows of {result['seconds']:g} s")
    print(f"{'':<12}{'shipped':>9}{'prepared':>9}{'floor':>9}")
    for name, row in result["ms"].items():
        print(
            f"{name:<12}"
            + "".join(f"{row[column]:>9.2f}" for column in ("shipped", "prepared", "floor") if column in row)
        )
    print("a whole decode, processor time for each second of audio:")
    for batch, row in result["decodes"].items():
        print(f"batch of {batch:<3}" + "".join(f"  {name} {value:.4f}" for name, value in row.items()))
    for batch, kinds in result["shares"].items():
        what = f"a step of {batch}" if batch else "the encoder"
        print(f"{what}: " + ", ".join(f"{kind} {part:.0%}" for kind, part in kinds.items() if part >= 0.01))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; exit code 0, also where there is no model to measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=float, default=7.0, help="of audio in each row (default 7)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default 5)")
    parser.add_argument("--keep", action="store_true", help="write the result into benchmarks/results/")
    options = parser.parse_args(arguments)
    try:
        directory = store.locate(config.load().models_dir, Moonshine.name)
        result = {
            "machine": machine(),
            "seconds": options.seconds,
            "ms": measure(directory, options.seconds, options.rounds),
            "decodes": decodes(directory, options.rounds),
            "shares": {batch: shares(directory, options.seconds, batch) for batch in (0, 1, 8)},
        }
    except GatewayError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return 0
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
