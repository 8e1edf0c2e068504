"""The documentation says what is so: its commands, options, targets, links, settings, requests and examples."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer.main
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Dial, Parameter, Pause, Start, Stream, VoiceResponse

from gateway.api.routes import ENDPOINTS
from gateway.api.schemas import CustomVocabulary, RedactionEntity, RedactionEntityList
from gateway.cli.main import app
from gateway.cli.main import load as load_command
from gateway.cli.metrics_doc import with_table
from gateway.cli.settings_doc import settings
from gateway.config import load
from gateway.text.policy import ENTITIES, Entity
from models import manifest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "samples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FILES = [*PAGES, *sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file())]
# Names with the prefix that are no settings: the simulator's key, and the switch to the Python twins.
OTHER_VARIABLES = {"GATEWAY_API_ID", "GATEWAY_API_SECRET", "GATEWAY_NO_EXTENSIONS", "GATEWAY_URL"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is where it begins."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def name(self) -> str:
        return f"{name(self.page)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1] in languages:
                found.append(Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 2))
    return found


def each(*languages: str) -> pytest.MarkDecorator:
    found = blocks(*languages)
    assert found, f"no page has a block of {languages}"
    return pytest.mark.parametrize("block", found, ids=lambda block: block.name)


def commands(shell: str) -> list[list[str]]:
    """The commands of a shell block as words, without what stands before the program's name."""
    plain = re.sub(r"(?m)(^|\s)# .*$", "", shell.replace("\\\n", " "))
    lexer = shlex.shlex(plain, posix=True, punctuation_chars="&|;\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;\n"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for line in found if (words := program(line))]


def program(words: list[str]) -> list[str]:
    """``words`` from the program's name on: no assignments, no ``sudo -u USER``, no ``env``."""
    while words:
        if words[:2] == ["sudo", "-u"]:
            words = words[3:]
        elif words[0] in ("sudo", "env") or re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]
        else:
            break
    return words


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that ``words`` name, and what follows its name."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    if rest and rest[0] in command.commands:
        command = load_command(rest.pop(0))
    while is_group(command) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"`gateway {' '.join(words)}`: there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def is_group(command: Any) -> bool:
    return hasattr(command, "commands")


class TestCommands:
    @each("bash")
    def test_it_is_shell(self, block: Block) -> None:
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    @each("bash")
    def test_each_gateway_command_is_taken_with_its_options(self, block: Block) -> None:
        for words in commands(block.text):
            if Path(words[0]).name != "gateway":
                continue
            command, rest = find_command(words[1:])
            assert not is_group(command), f"`{' '.join(words)}` names no command"
            command.make_context("gateway", rest)

    @every_page
    def test_commands_in_the_text_exist(self, page: Path) -> None:
        for line in re.findall(r"`(?:\.venv/bin/)?gateway ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
            command, rest = find_command(
                [word for word in shlex.split(line) if re.fullmatch(r"[a-z][a-z-]*|--?\S+", word)]
            )
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert {word for word in rest if word.startswith("-")} <= known, f"`gateway {line}`"

    def test_the_reader_of_blocks_finds_commands(self) -> None:
        shell = "A=1 make run\ncd x && sudo -u me env B=2 .venv/bin/gateway keys list  # all\ncurl -d '{\n}' \\\n  -s\n"
        assert commands(shell) == [
            ["make", "run"],
            ["cd", "x"],
            [".venv/bin/gateway", "keys", "list"],
            ["curl", "-d", "{\n}", "-s"],
        ]

    def test_a_command_that_is_none_is_noticed(self) -> None:
        with pytest.raises(AssertionError, match="there is no command 'frobnicate'"):
            find_command(["models", "frobnicate"])

    @every_page
    def test_make_targets_exist(self, page: Path) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
        text = page.read_text(encoding="utf-8")
        in_text = re.findall(r"`make ([a-z-]+)`", text)
        in_blocks = [w[i + 1] for b in blocks("bash") if b.page == page for w in commands(b.text)
                     for i, word in enumerate(w[:-1]) if word == "make"]  # fmt: skip
        assert {*in_text, *in_blocks} <= targets


class TestNames:
    @pytest.mark.parametrize("file", FILES, ids=name)
    def test_every_variable_is_a_setting(self, file: Path) -> None:
        named = set(re.findall(r"\bGATEWAY_[A-Z0-9_]*[A-Z0-9]\b", file.read_text(encoding="utf-8")))
        assert named <= {setting.variable for setting in settings()} | OTHER_VARIABLES

    @every_page
    def test_every_relative_link_leads_somewhere(self, page: Path) -> None:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith(("http://", "https://")):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert file.is_relative_to(ROOT), target
            if anchor:
                headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
                assert anchor in slugs, target

    @pytest.mark.parametrize("file", ["docs/operating.md", "docs/webhooks.md"])
    def test_every_metric_in_the_text_exists(self, file: str) -> None:
        text = (ROOT / file).read_text(encoding="utf-8")
        table = with_table((ROOT / "docs/operating.md").read_text(encoding="utf-8"))
        known = set(re.findall(r"^\| `(gateway_\w+)`", table, re.MULTILINE))
        assert known
        assert set(re.findall(r"`(gateway_\w+)`", text)) - {"gateway_restart"} <= known

    def test_the_table_of_metrics_is_what_the_registry_says(self) -> None:
        page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
        assert page == with_table(page), "run: python -m gateway.cli.metrics_doc docs/operating.md"


class TestRequests:
    def test_every_endpoint_is_described(self) -> None:
        text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
        assert [
            end.path
            for end in ENDPOINTS
            if end.path.replace("{guid}", "CA5b04") not in text.replace("CA5b040e075515c424391012acc5a870cf", "CA5b04")
        ] == []

    @each("bash")
    def test_every_curl_asks_an_endpoint_with_its_method(self, block: Block) -> None:
        routes = [(end.method, re.sub(r"\{\w+\}", "[^/]+", end.path)) for end in ENDPOINTS]
        for request in re.split(r"(?m)^curl ", block.text)[1:]:
            address = re.search(r"(?:\$BASE|https://calls\.example\.com)(/[^\s\"?]*)", request)
            if address is None:
                assert "api.twilio.com" in request
                continue
            given = re.search(r"-X (\w+) ", request)
            method = given[1] if given else "POST" if " -d " in request else "GET"
            assert any(method == allowed and re.fullmatch(path, address[1]) for allowed, path in routes), request

    @each("bash")
    def test_bodies_are_what_the_endpoint_takes(self, block: Block) -> None:
        models = {end.path: end.request for end in ENDPOINTS if end.request is not None}
        for request in re.split(r"(?m)^curl ", block.text)[1:]:
            found = re.search(r"\$BASE(/[^\s\"?]*).*?-d '(.*?)'", request, re.DOTALL)
            if found is None:
                continue
            (model,) = {m for path, m in models.items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), found[1])}
            model.model_validate_json(found[2])

    @each("json")
    def test_json_is_json(self, block: Block) -> None:
        json.loads(block.text)

    def test_answers_of_the_configuration_api_are_what_it_gives(self) -> None:
        shown = [json.loads(block.text) for block in blocks("json") if name(block.page) == "docs/configuration-api.md"]
        models: tuple[type[BaseModel], ...] = (RedactionEntityList, RedactionEntity, CustomVocabulary)
        assert len(shown) == len(models)
        for answer, model in zip(shown, models, strict=True):
            assert model.model_validate(answer).model_dump(by_alias=True, mode="json") == answer
        page = {entity["id"] for entity in shown[0]["redactionEntities"]}
        assert page == set(sorted(ENTITIES)[:2])
        told = {entity["id"]: entity for entity in (*shown[0]["redactionEntities"], shown[1])}
        assert {key: one["description"] for key, one in told.items()} == {
            key: ENTITIES[Entity(key)].description for key in told
        }

    def test_the_table_of_entities_is_the_policys(self) -> None:
        text = (ROOT / "docs" / "configuration-api.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| (`[A-Z0-9_`, ]+`) \| (on|off) \| (locked)?", text, re.MULTILINE)
        table = {
            entity: (on == "on", bool(lock)) for names, on, lock in rows for entity in re.findall(r"`(\w+)`", names)
        }
        assert table == {entity.value: (info.default, info.locked) for entity, info in ENTITIES.items()}

    @each("toml")
    def test_toml_is_settings_or_models(self, block: Block, tmp_path: Path) -> None:
        values = tomllib.loads(block.text)
        if "model" in values:
            (tmp_path / "models.toml").write_text(block.text)
            assert len(manifest.read(tmp_path / "models.toml")) == len(values["model"])
            return
        values["webhook"]["secret_value"] = "given by the environment"
        file = tmp_path / "gateway.toml"
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items() if not isinstance(value, dict)]
        lines += ["[webhook]", *(f'{key} = "{value}"' for key, value in values["webhook"].items())]
        file.write_text("\n".join(lines))
        assert load(file).port == 8080


def test_the_table_of_models_is_the_manifest() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)`(?: \(default\))? \| [\w ]+ \| ([\d.]+) \| ([\w ]+) \|$", page, re.MULTILINE)
    recognizers = [entry for entry in manifest.known().values() if entry.family == "moonshine"]
    assert rows == [(entry.name, f"{entry.size / 1e6:.1f}", entry.licence) for entry in recognizers]


def rendered(element: ElementTree.Element) -> Any:
    """``element`` built again with Twilio's library, which knows what may stand where."""
    snake = {re.sub("([A-Z])", r"_\1", key).lower(): value for key, value in element.attrib.items()}
    if element.tag == "Dial":
        return Dial(number=element.text, **snake)
    kinds = {"Response": VoiceResponse, "Start": Start, "Stream": Stream, "Parameter": Parameter, "Pause": Pause}
    verb = kinds[element.tag](**snake)
    for child in element:
        verb.append(rendered(child))
    return verb


class TestTwilio:
    @each("xml")
    def test_twiml_is_what_twilios_library_writes(self, block: Block) -> None:
        ours = ElementTree.canonicalize(block.text, strip_text=True)
        theirs = ElementTree.canonicalize(str(rendered(ElementTree.XML(block.text))), strip_text=True)
        assert ours == theirs

    async def test_the_worked_example_brings_a_stream_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[str, str, Any]] = []

        async def gateway(request: web.Request) -> web.Response:
            body = await request.json() if request.can_read_body else None
            seen.append((request.method, request.path, body))
            assert request.headers["asapp-api-secret"] == "secret"
            if request.path.endswith("stream-url"):
                return web.json_response({"streamingUrl": "wss://calls.example.com/twilio-media/T"})
            if sum(path.endswith("start-streaming") for _, path, _ in seen) == 1:
                error = {"requestId": "1", "message": "no such call", "code": "400-203"}
                return web.json_response({"error": error}, status=400)
            return web.json_response({"isOk": True, "autotranscribeResponse": {}})

        async def twilio(request: web.Request) -> web.Response:
            form = dict(await request.post())
            seen.append((request.method, request.path, form))
            if request.method == "GET":
                return web.json_response({"sid": CALL, "status": "in-progress"})
            return web.json_response({"sid": "MZ" + "0" * 32, "status": "in-progress"}, status=201)

        async with serving(gateway) as gateway_url, serving(twilio) as twilio_url:
            monkeypatch.setenv("TRANSCRIBER_URL", gateway_url)
            for variable, value in EXAMPLE_ENVIRONMENT.items():
                monkeypatch.setenv(variable, value)
            (block,) = (block for block in blocks("python") if block.page.name == "twilio.md")
            example = types.ModuleType("example")
            exec(compile(block.text, block.name, "exec"), example.__dict__)  # noqa: S102 - the example is ours
            example.twilio.api.base_url = twilio_url
            example.__dict__["PAUSE"] = 0.0
            async with TestServer(example.app) as server, ClientSession() as client:
                form = {"CallSid": CALL, "StreamSid": "MZ" + "1" * 32, "StreamEvent": "stream-error"}
                address = server.make_url("/stream-status")
                async with client.post(address, data=form, headers={"X-Twilio-Signature": "forged"}) as refused:
                    assert refused.status == 403
                assert seen == []
                signature = RequestValidator("12345").compute_signature(EXAMPLE_ENVIRONMENT["CALLBACK_URL"], form)
                async with client.post(address, data=form, headers={"X-Twilio-Signature": signature}) as answer:
                    assert answer.status == 204
                await asyncio.gather(*example.running)
        streams = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Streams.json"
        assert [path for _, path, _ in seen] == [
            f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json",
            "/mg-autotranscribe/v1/twilio-media-stream-url",
            streams,
            "/mg-autotranscribe/v1/start-streaming",
            "/mg-autotranscribe/v1/start-streaming",
        ]
        assert seen[2][2]["Url"] == "wss://calls.example.com/twilio-media/T"
        assert seen[2][2]["Track"] == "both_tracks"
        assert seen[3][2]["guid"] == CALL


ACCOUNT, CALL = "AC" + "2" * 32, "CA" + "3" * 32
EXAMPLE_ENVIRONMENT = {
    "TRANSCRIBER_ID": "id",
    "TRANSCRIBER_SECRET": "secret",
    "CALLBACK_URL": "https://app.example.com/stream-status",
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": "12345",
}


class serving:  # noqa: N801 - reads as the context manager it is
    """A server that gives every request to one handler; the context's value is its URL."""

    def __init__(self, handler: Any) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        self._server = TestServer(application)

    async def __aenter__(self) -> str:
        await self._server.start_server()
        return str(self._server.make_url("")).rstrip("/")

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()
