"""Models as an operator handles them: fetched from a server under a name of their own, and run by the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway._native.mulaw import encode
from gateway.errors import ConfigError, ModelError
from gateway.participants import Track
from gateway.peers.recording import load
from gateway.server.speech import load_engine
from models import manifest, store
from models.store import Origin
from tests.harness import (
    MODELS,
    SAMPLE,
    Customer,
    Receiver,
    Twilio,
    gateway_running,
    new_sid,
    settings_for,
    webhook_receiver,
)
from tests.models.site import Site, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (MODELS / "silero-vad").is_dir(), reason="the models are not fetched (`make models`)"),
]

OTHER = "moonshine-other-es"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that has the default model's files under another model's name."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shipped = manifest.model("moonshine-tiny-en")
    files = {f"/es/{one.file}": (MODELS / shipped.name / one.file).read_bytes() for one in shipped.member}
    with serving(Site(files)) as running:
        yield running


@pytest.fixture
def cache(site: Site, tmp_path: Path) -> Path:
    """A models' folder with the voice activity model, and the owner's list with that other model."""
    folder = tmp_path / "models"
    store.fetch(folder, manifest.model("silero-vad"), origin=Origin(place=MODELS))
    members = ", ".join(
        f'{{ file = "{one.file}", sha256 = "{one.sha256}", size = {one.size} }}'
        for one in manifest.model("moonshine-tiny-en").member
    )
    (folder / manifest.LOCAL).write_text(
        f"""
        [[model]]
        name = "{OTHER}"
        family = "moonshine"
        what = "said to be Spanish"
        licence = "MIT"
        languages = ["es"]
        source = {{ kind = "url", url = "{site.url}/es" }}
        member = [{members}]
        """
    )
    return folder


async def say(twilio: Twilio, seconds: int = 6) -> None:
    """The first seconds of the sample call, as fast as the wire takes them."""
    recording = load(SAMPLE)
    for track in (Track.INBOUND, Track.OUTBOUND):
        payload = encode(recording.tracks[track][: seconds * 8000])
        for at in range(0, len(payload), 160):
            await twilio.media(at // 8, bytes(payload[at : at + 160]), track.value)
    await twilio.settle()


def statuses(answer: dict[str, Any]) -> dict[str, int]:
    return {role: one["status"]["code"] for role, one in answer["autotranscribeResponse"].items()}


async def start(customer: Customer, call: Twilio, language: str) -> dict[str, Any]:
    status, answer = await customer.start(call.call_sid, autotranscribeParams={"language": language})
    assert status == 200
    found: dict[str, Any] = answer
    return found


def damage(model: Path) -> None:
    """Change a prepared model's tokenizer, not its size."""
    assert list(model.glob("prepared-*/step.onnx"))
    content = (model / "tokenizer.bin").read_bytes()
    (model / "tokenizer.bin").write_bytes(content[:-1] + b"\0")


async def one_refused_one_heard(customer: Customer, receiver: Receiver, refused: str, heard: str) -> None:
    """Two calls at once: one in a language without a model, one in the model's."""
    url = await customer.stream_url()
    async with Twilio.connected(url, new_sid("CA")) as without, Twilio.connected(url, new_sid("CA")) as within:
        answer = await start(customer, without, refused)
        assert not answer["isOk"]
        assert statuses(answer) == {"customer": 4050, "agent": 4050}
        answer = await start(customer, within, heard)
        assert answer["isOk"]
        assert statuses(answer) == {"customer": 1000, "agent": 1000}
        await say(without)
        await say(within)
        await within.stop()
        posts = await receiver.wait_for(1)
        assert {post["externalConversationId"] for post in posts} == {within.call_sid}
        # The call stays gated, and may be started in a language that there is.
        assert (await start(customer, without, heard))["isOk"]


async def test_a_language_without_a_model_is_refused_for_its_call_alone(tmp_path: Path, receiver: Receiver) -> None:
    settings = settings_for(tmp_path, asr={"model": "moonshine-tiny-en"}, webhook={"url": receiver.url})
    async with gateway_running(settings) as customer:
        await one_refused_one_heard(customer, receiver, "es-US", "en-us")


async def test_a_model_from_a_server_is_fetched_prepared_and_run(
    cache: Path, site: Site, tmp_path: Path, receiver: Receiver
) -> None:
    settings = settings_for(tmp_path, models_dir=cache, asr={"model": OTHER}, webhook={"url": receiver.url})
    with pytest.raises(ConfigError, match=f"run `gateway models fetch {OTHER}`"):
        load_engine(settings)
    entry = manifest.find(cache, OTHER)
    site.cuts = [1_000_000]
    assert store.fetch(cache, entry)
    assert len(site.asked) == len(entry.member) + 1
    async with gateway_running(settings) as customer:
        await one_refused_one_heard(customer, receiver, "en-US", "es-US")
    damage(cache / OTHER)
    with pytest.raises(ConfigError, match=r"tokenizer\.bin has the wrong checksum"):
        load_engine(settings)


def test_a_model_of_another_architecture_is_named(cache: Path, site: Site, tmp_path: Path) -> None:
    """The encoder's file in the decoder's place, with the right checksum: its owner's list is wrong."""
    encoder, decoder, _ = manifest.find(cache, OTHER).member
    site.files["/es/decoder_model_merged.ort"] = site.files["/es/encoder_model.ort"]
    listed = (cache / manifest.LOCAL).read_text()
    with pytest.raises(ModelError, match="it is another file than the manifest's"):
        store.fetch(cache, manifest.find(cache, OTHER))
    listed = listed.replace(str(decoder.sha256), str(encoder.sha256)).replace(str(decoder.size), str(encoder.size))
    (cache / manifest.LOCAL).write_text(listed)
    store.fetch(cache, manifest.find(cache, OTHER))
    with pytest.raises(
        ConfigError, match=r"GATEWAY_ASR__MODEL: .*decoder_model_merged\.ort takes .* another architect"
    ):
        load_engine(settings_for(tmp_path, models_dir=cache, asr={"model": OTHER}))


@pytest.mark.parametrize(("name", "complaint"), [("whisper", "is not known"), ("silero-vad", "is no recognizer")])
def test_what_is_no_recognizer_is_told_what_may_be(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' {complaint}; it may be moonshine-tiny-en, .*, or none to run"):
        load_engine(settings_for(tmp_path, asr={"model": name}))
