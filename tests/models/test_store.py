from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ConfigError, ModelError
from models import checksums, manifest, store
from models.manifest import Member, Model, PypiSource, UrlSource
from models.store import Origin, State

from .conftest import WEIGHTS, WHEEL, sha256
from .site import Site, serving


def left_behind(models_dir: Path) -> list[str]:
    """What there is beside whole models and the lock files, which stay."""
    if not models_dir.exists():
        return []
    return [path.name for path in models_dir.iterdir() if path.name.startswith(".") and path.suffix != ".lock"]


def test_a_model_is_fetched_once_and_never_again(tiny: Model, registry: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "cache"
    seen: list[tuple[int, int]] = []
    assert store.fetch(models_dir, tiny, lambda done, total: seen.append((done, total)))
    assert (models_dir / "tiny" / "weights.bin").read_bytes() == WEIGHTS
    assert isinstance(tiny.source, PypiSource)
    assert seen[0] == (0, tiny.source.size)
    assert seen[-1] == (tiny.source.size, tiny.source.size)
    (registry / WHEEL).unlink()  # offline from here on
    assert not store.fetch(models_dir, tiny)
    assert left_behind(models_dir) == []


def test_a_damaged_model_is_fetched_anew(tiny: Model, tmp_path: Path) -> None:
    store.fetch(tmp_path, tiny)
    weights = tmp_path / "tiny" / "weights.bin"
    weights.write_bytes(WEIGHTS[:-1] + b"\x00")
    with pytest.raises(ModelError, match="wrong checksum"):
        store.verify(tmp_path, tiny)
    assert store.fetch(tmp_path, tiny)
    assert weights.read_bytes() == WEIGHTS
    assert left_behind(tmp_path) == []


def test_a_wrong_wheel_checksum_leaves_nothing(tiny: Model, tmp_path: Path) -> None:
    wrong = tiny.model_copy(update={"source": tiny.source.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(ModelError, match="wrong checksum"):
        store.fetch(tmp_path, wrong)
    assert not (tmp_path / "tiny").exists()
    assert left_behind(tmp_path) == []


def test_a_wrong_member_checksum_keeps_what_was_there(tiny: Model, tmp_path: Path) -> None:
    store.fetch(tmp_path, tiny)
    member = tiny.member[0].model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelError, match=r"weights\.bin has the wrong checksum"):
        store.fetch(tmp_path, tiny.model_copy(update={"member": (member,)}))
    assert (tmp_path / "tiny" / "weights.bin").read_bytes() == WEIGHTS
    assert left_behind(tmp_path) == []


def test_a_member_that_is_not_in_the_archive_is_named(tiny: Model, tmp_path: Path) -> None:
    member = Member(path="tiny_weights/none.bin", file="none.bin", sha256="0" * 64, size=1)
    with pytest.raises(ModelError, match=r"not an archive that holds its members .*tiny_weights/none\.bin"):
        store.fetch(tmp_path, tiny.model_copy(update={"member": (member,)}))
    assert left_behind(tmp_path) == []


def test_no_room_is_said_before_anything_is_fetched(tiny: Model, tmp_path: Path) -> None:
    huge = tiny.model_copy(update={"source": tiny.source.model_copy(update={"size": 1 << 60})})
    with pytest.raises(ModelError, match=r"no room for model tiny .* takes \d+ MiB"):
        store.fetch(tmp_path, huge)
    assert left_behind(tmp_path) == []


def test_a_place_that_cannot_be_a_folder_is_named(tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written .* set GATEWAY_MODELS_DIR"):
        store.fetch(tmp_path / "file", tiny)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_named(tiny: Model, tmp_path: Path) -> None:
    models_dir = tmp_path / "cache"
    models_dir.mkdir(mode=0o500)
    with pytest.raises(ModelError, match="Permission denied; set GATEWAY_MODELS_DIR"):
        store.fetch(models_dir, tiny)


def test_what_a_killed_fetch_left_is_swept(tiny: Model, tmp_path: Path) -> None:
    stale = tmp_path / ".tiny.abc.part" / "source"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"half")
    store.fetch(tmp_path, tiny)
    assert left_behind(tmp_path) == []


def test_fetches_at_once_download_once(tiny: Model, tmp_path: Path) -> None:
    barrier = threading.Barrier(4)
    results: list[bool] = []

    def run() -> None:
        barrier.wait()
        results.append(store.fetch(tmp_path, tiny))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
    store.verify(tmp_path, tiny)


def test_locate_tells_how_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run `gateway models fetch silero-vad`"):
        store.locate(tmp_path, "silero-vad")
    with pytest.raises(ConfigError, match="no model 'nope'"):
        store.locate(tmp_path, "nope")


def test_locate_reads_what_it_finds(tmp_path: Path) -> None:
    (member,) = manifest.model("silero-vad").member
    (tmp_path / "silero-vad").mkdir()
    (tmp_path / "silero-vad" / member.file).write_bytes(bytes(member.size or 0))
    with pytest.raises(ModelError, match=r"wrong checksum: .*; run `gateway models fetch silero-vad`"):
        store.locate(tmp_path, "silero-vad")


@pytest.mark.slow
def test_locate_finds_the_real_models() -> None:
    cache = Path(__file__).parents[2] / "models" / "cache"
    default = [entry.name for entry in manifest.known().values() if entry.default]
    assert [store.locate(cache, name).name for name in default] == default


def test_a_member_of_another_size_is_not_present(tiny: Model, tmp_path: Path) -> None:
    store.fetch(tmp_path, tiny)
    assert store.present(tmp_path, tiny)
    (tmp_path / "tiny" / "weights.bin").write_bytes(b"short")
    assert not store.present(tmp_path, tiny)


def test_verify_names_a_missing_member(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"weights\.bin cannot be read .* run `gateway models fetch tiny`"):
        store.verify(tmp_path, tiny)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site({"/web/weights.bin": WEIGHTS})) as running:
        yield running


@pytest.fixture
def remote(site: Site) -> Model:
    """A model on the web whose checksum is known."""
    member = Member(file="weights.bin", sha256=sha256(WEIGHTS), size=len(WEIGHTS))
    source = UrlSource(kind="url", url=f"{site.url}/web")
    return Model(name="remote", family="silero-vad", what="w", licence="MIT", source=source, member=(member,))


@pytest.fixture
def open_slot(remote: Model) -> Model:
    """The same, if nobody knows the checksum."""
    return remote.model_copy(update={"member": (Member(file="weights.bin"),)})


def test_a_broken_download_goes_on_in_the_next_fetch(remote: Model, site: Site, tmp_path: Path) -> None:
    site.cuts = [1000, 0]
    assert store.state(tmp_path, remote) is State.ABSENT
    site.status = 503
    with pytest.raises(ModelError, match="answered 503"):
        store.fetch(tmp_path, remote)
    assert store.state(tmp_path, remote) is State.ABSENT
    site.status = 200
    site.asked.clear()
    with pytest.raises(ModelError, match="1000 bytes are kept"):
        store.fetch(tmp_path, remote)
    assert store.state(tmp_path, remote) is State.BEGUN
    assert store.fetch(tmp_path, remote)
    assert [asked for _, asked in site.asked] == [None, "bytes=1000-", "bytes=1000-"]
    assert store.state(tmp_path, remote) is State.HERE
    assert left_behind(tmp_path) == []
    (tmp_path / "remote" / "weights.bin").unlink()
    assert store.state(tmp_path, remote) is State.DAMAGED


def test_web_fetches_at_once_download_once(remote: Model, site: Site, tmp_path: Path) -> None:
    barrier = threading.Barrier(4)
    results: list[bool] = []

    def run() -> None:
        barrier.wait()
        results.append(store.fetch(tmp_path, remote))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
    assert len(site.asked) == 1


def test_what_nobody_knows_is_neither_fetched_nor_loaded(open_slot: Model, site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no checksum is known of weights\.bin; .* --sha256 weights\.bin=….* --trust"):
        store.fetch(tmp_path, open_slot)
    assert site.asked == []
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote" / "weights.bin").write_bytes(WEIGHTS)
    with pytest.raises(ModelError, match="no checksum is known"):
        store.verify(tmp_path, open_slot)


def test_what_is_trusted_once_is_held_to_it(open_slot: Model, site: Site, tmp_path: Path) -> None:
    assert store.fetch(tmp_path, open_slot, trust=True)
    assert checksums.read(tmp_path) == {"remote": {"weights.bin": sha256(WEIGHTS)}}
    # The first to hold the lock has recorded it: who comes after finds it done.
    assert not store.fetch(tmp_path, open_slot, trust=True)
    recorded = open_slot.filled(checksums.read(tmp_path)["remote"])
    store.verify(tmp_path, recorded)
    shutil.rmtree(tmp_path / "remote")
    site.files["/web/weights.bin"] = WEIGHTS[::-1]
    with pytest.raises(ModelError, match=r"weights\.bin has the wrong checksum"):
        store.fetch(tmp_path, recorded, trust=True)
    with pytest.raises(ModelError, match=r"weights\.bin has the wrong checksum"):
        store.fetch(tmp_path, open_slot, trust=True)


def test_nothing_is_trusted_without_tls(open_slot: Model, tmp_path: Path) -> None:
    origin = Origin(mirror="http://models.example.com")
    with pytest.raises(ModelError, match="nothing is trusted that comes without TLS"):
        store.fetch(tmp_path, open_slot, origin=origin, trust=True)


def test_a_mirror_has_models_of_the_registry_too(tiny: Model, registry: Path, site: Site, tmp_path: Path) -> None:
    (registry / WHEEL).unlink()
    site.files["/mirror/tiny/weights.bin"] = WEIGHTS
    assert store.fetch(tmp_path, tiny, origin=Origin(mirror=f"{site.url}/mirror"))
    store.verify(tmp_path, tiny)


@pytest.mark.parametrize("place", ["other", "other/tiny", "registry", f"registry/{WHEEL}"])
def test_a_machine_without_a_network(tiny: Model, registry: Path, tmp_path: Path, place: str) -> None:
    store.fetch(tmp_path / "other", tiny)
    if place.startswith("other"):
        (registry / WHEEL).unlink()
    assert store.fetch(tmp_path / "cache", tiny, origin=Origin(place=tmp_path / place))
    store.verify(tmp_path / "cache", tiny)


def test_a_folder_with_a_damaged_file_brings_nothing(tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "weights.bin").write_bytes(WEIGHTS[::-1])
    with pytest.raises(ModelError, match=r"wrong checksum: .* it is another file than the manifest's"):
        store.fetch(tmp_path / "cache", tiny, origin=Origin(place=tmp_path / "usb"))
    assert not (tmp_path / "cache" / "tiny").exists()
    assert left_behind(tmp_path / "cache") == []
