"""`versaai doctor` names what is broken and how to mend it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import cli.diagnosis
from cli.diagnosis import EXAMINATIONS, Examination, examine
from cli.findings import Finding, Verdict
from cli.installation import Installation, ProcessRecord, RunningState
from cli.main import build_app
from cli.supervisor import own_record
from core.settings import Settings, get_settings


def examination(name: str) -> Examination:
    return next(entry for entry in EXAMINATIONS if entry.__name__ == f"_{name}")


async def findings_of(name: str, settings: Settings, folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in await examination(name)(settings, Installation(folder))}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("name", "finding"),
    [("postgres", "postgresql"), ("temporal", "temporal"), ("api", "api"), ("email", "e-mail")],
)
async def test_unreachable_servers_are_broken_and_mendable(name: str, finding: str, tmp_path: Path) -> None:
    port = closed_port()
    settings = Settings(
        database_url=f"postgresql://versaai@127.0.0.1:{port}/versaai",
        temporal_address=f"127.0.0.1:{port}",
        api_url=f"http://127.0.0.1:{port}",
        email_host="127.0.0.1",
        email_port=port,
    )
    found = (await findings_of(name, settings, tmp_path))[finding]
    assert found.verdict is Verdict.broken
    assert found.mend


async def test_a_reachable_mail_server_is_good(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        settings = Settings(email_host="127.0.0.1", email_port=server.sockets[0].getsockname()[1])
        assert (await findings_of("email", settings, tmp_path))["e-mail"].verdict is Verdict.good


async def test_dead_and_restarted_parts_are_named(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.create()
    own = own_record()
    parts = {
        "api-1": ProcessRecord(own.pid, own.created - 1000, "api.log"),
        "worker-1": ProcessRecord(own.pid, own.created, "worker.log", restarts=2),
        "postgres": own,
    }
    installation.write_state(RunningState(supervisor=own, parts=parts))
    found = await findings_of("processes", Settings(), tmp_path)
    assert found["api-1"].verdict is Verdict.broken
    assert "api.log" in found["api-1"].mend
    assert found["worker-1"].verdict is Verdict.hint
    assert "postgres" not in found
    assert found["platform"].verdict is Verdict.good


async def test_packages_that_differ_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "requirements.lock"
    monkeypatch.setattr(cli.diagnosis, "_LOCK_FILE", lock)
    lock.write_text("pytest==0.0.1 \\\n    --hash=sha256:00\n")
    assert (await findings_of("packages", Settings(), tmp_path))["packages"].verdict is Verdict.hint
    lock.write_text("versaai-no-such-package==1.0\n")
    missing = (await findings_of("packages", Settings(), tmp_path))["packages"]
    assert missing.verdict is Verdict.broken
    assert "make setup" in missing.mend


async def test_secret_keys_and_models(tmp_path: Path) -> None:
    weak, none = Settings(secret_key=SecretStr("short")), Settings(secret_key=SecretStr(""))
    assert (await findings_of("secrets", weak, tmp_path))["secret key"].verdict is Verdict.broken
    assert (await findings_of("secrets", none, tmp_path))["secret key"].verdict is Verdict.broken
    assert (await findings_of("models", Settings(), tmp_path))["models"].verdict is Verdict.hint


@asynccontextmanager
async def answering(body: str, status: str = "200 OK") -> AsyncIterator[str]:
    """An HTTP server that answers everything alike; yields its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def provider(url: str, model: str = "") -> Settings:
    return Settings(openai_api_key=SecretStr("sk"), openai_base_url=url, default_model=model)


async def test_providers_are_asked_for_their_models(tmp_path: Path) -> None:
    async with answering('{"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}]}') as url:
        found = await findings_of("models", provider(url, "openai/gpt-4o"), tmp_path)
        assert (found["models"].verdict, found["default model"].verdict) == (Verdict.good, Verdict.good)
        found = await findings_of("models", provider(url, "openai/gpt-nope"), tmp_path)
        assert found["default model"].verdict is Verdict.broken
        assert "gpt-4o-mini" in found["default model"].mend
    async with answering("{}", "401 Unauthorized") as url:
        assert "refuses the key" in (await findings_of("models", provider(url), tmp_path))["models"].detail
    nowhere = f"http://127.0.0.1:{closed_port()}"
    found = await findings_of("models", provider(nowhere), tmp_path)
    assert found["models"].verdict is Verdict.broken
    assert nowhere in found["models"].detail
    assert "OPENAI_BASE_URL" in found["models"].mend
    for model in ("openai/gpt-4o", "nobody's"):
        found = await findings_of("models", Settings(default_model=model), tmp_path)
        assert found["default model"].verdict is Verdict.broken


async def test_the_storage_is_written_to(tmp_path: Path) -> None:
    good = Settings(storage_url=(tmp_path / "files").as_uri())
    assert (await findings_of("storage", good, tmp_path))["storage"].verdict is Verdict.good
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    nowhere = f"http://127.0.0.1:{closed_port()}"
    for settings, words in (
        (Settings(storage_url="file:///proc/nope"), "/proc/nope"),
        (Settings(storage_url="s3://bucket", aws_s3_endpoint_url=nowhere), nowhere),
    ):
        found = (await findings_of("storage", settings, tmp_path))["storage"]
        assert found.verdict is Verdict.broken
        assert words in found.detail
        assert found.mend


async def test_a_stopped_platform_is_one_finding(tmp_path: Path) -> None:
    """Its parts' addresses lead nowhere, and that is no fault of the settings."""
    installation = Installation(tmp_path)
    installation.create()
    postgres, temporal, api, mail = (closed_port() for _ in range(4))
    installation.write_state(
        RunningState(
            ports={"postgres": postgres, "temporal": temporal, "demo_smtp": mail},
            environment={"API_URL": f"http://127.0.0.1:{api}"},
        )
    )
    settings = Settings(
        secret_key=SecretStr("k" * 40),
        database_url=f"postgresql://versaai:p@127.0.0.1:{postgres}/versaai",
        temporal_address=f"127.0.0.1:{temporal}",
        api_url=f"http://127.0.0.1:{api}",
        email_host="127.0.0.1",
        email_port=mail,
        data_dir=tmp_path,
    )
    broken = [one for one in await examine(settings, installation) if one.verdict is Verdict.broken]
    assert [one.name for one in broken] == ["platform"]
    assert "up`" in broken[0].mend
    elsewhere = settings.model_copy(update={"email_port": closed_port()})
    found = await findings_of("email", elsewhere, tmp_path)
    assert "EMAIL_HOST" in found["e-mail"].mend


def test_a_wrong_setting_is_reported_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAIL_PORT", "zero")
    get_settings.cache_clear()
    result = CliRunner().invoke(build_app("doctor"), ["doctor", "--json"])
    get_settings.cache_clear()
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert "EMAIL_PORT" in report["findings"][0]["detail"]
