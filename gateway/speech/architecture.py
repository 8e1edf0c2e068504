"""Whether graphs are those of a Moonshine encoder and merged decoder, told by what they take and give."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from gateway.errors import ModelError

__all__ = ["must_be_moonshine"]

_ENCODER = frozenset({"input_values", "attention_mask"})
_DECODER = frozenset({"input_ids", "encoder_hidden_states", "encoder_attention_mask", "use_cache_branch"})
_CACHES = "past_key_values."


def must_be_moonshine(encoder: ort.InferenceSession, decoder: ort.InferenceSession, directory: Path) -> None:
    """Look at the inputs of both graphs.

    Raises:
        ModelError: they are of another architecture or of another export; the message says what would run.
    """
    for file, graph, wanted in (
        ("encoder_model.ort", encoder, _ENCODER),
        ("decoder_model_merged.ort", decoder, _DECODER),
    ):
        taken = {entry.name for entry in graph.get_inputs()}
        named = {name for name in taken if not name.startswith(_CACHES)}
        caches = taken - named
        if named != wanted or bool(caches) != (graph is decoder):
            takes, instead = _listed(named, caches), _listed(wanted, graph is decoder)
            msg = (
                f"{directory / file} takes {takes} instead of {instead}: it is of another architecture or export; what "
                "runs is Moonshine's encoder and merged decoder, as in the models that `gateway models list` shows"
            )
            raise ModelError(msg)


def _listed(names: frozenset[str] | set[str], caches: object) -> str:
    return ", ".join([*sorted(names), *([f"{_CACHES}…"] if caches else [])])
