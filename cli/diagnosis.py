"""The examinations of `versaai doctor`. Each returns findings and never raises."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import asyncpg
import httpx2
from temporalio.service import RPCError

from cli.installation import Installation, port_is_free
from core.errors import VersaError
from core.settings import Settings
from flow_schema.effects import CONVERSATION_QUEUE, EFFECTS_QUEUE, SEARCH_ATTRIBUTES
from temporal.client import (
    connect,
    is_serving,
    missing_search_attributes,
    namespace_retention,
    poller_identities,
    server_version,
)

_LOCK_FILE = Path(__file__).resolve().parent.parent / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_USUAL_PORTS = {"api": 8000, "temporal": 7233, "temporal_ui": 8233, "postgres": 5432}
_LEAST_DISK_BYTES = 1024**3
_LEAST_POSTGRES = 150_000
_LEAST_PYTHON = (3, 11)
_LARGEST_CLOCK_GAP_SECONDS = 5.0


class Verdict(StrEnum):
    """`hint` is worth knowing and stops nothing; `broken` stops the platform or a part of it."""

    good = "good"
    hint = "hint"
    broken = "broken"


@dataclass(frozen=True)
class Finding:
    """What was examined, how it is, and how to mend it (empty when it is good)."""

    name: str
    verdict: Verdict
    detail: str
    mend: str = ""


Examination = Callable[[Settings, Installation], Awaitable[list[Finding]]]


async def examine(settings: Settings, installation: Installation) -> list[Finding]:
    """Run every examination and return the findings in a fixed order."""
    findings: list[Finding] = []
    for examination in EXAMINATIONS:
        findings += await examination(settings, installation)
    return findings


async def _python(_settings: Settings, _installation: Installation) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _LEAST_PYTHON:
        mend = "Install Python 3.11 or later and run `make setup` again."
        return [Finding("python", Verdict.broken, f"Python {version} is too old.", mend)]
    return [Finding("python", Verdict.good, f"Python {version}")]


async def _packages(_settings: Settings, _installation: Installation) -> list[Finding]:
    if not _LOCK_FILE.exists():
        return []
    missing, other = [], []
    pinned = _PINNED.findall(_LOCK_FILE.read_text(encoding="utf-8"))
    for name, version in pinned:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
        else:
            if installed != version:
                other.append(f"{name} {installed} instead of {version}")
    mend = "Run `make setup`; if that changes nothing, `make clean setup`."
    if missing:
        return [Finding("packages", Verdict.broken, f"Missing: {', '.join(missing)}.", mend)]
    if other:
        return [Finding("packages", Verdict.hint, f"Not as locked: {', '.join(other)}.", mend)]
    return [Finding("packages", Verdict.good, f"{len(pinned)} as locked")]


async def _data_folder(_settings: Settings, installation: Installation) -> list[Finding]:
    folder = installation.folder
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    findings = []
    probe = existing / f".versaai-probe-{time.time_ns()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
        findings.append(Finding("data folder", Verdict.good, f"{folder} can be written"))
    except OSError as error:
        mend = "Make the folder writable for this user, or choose another with --data-dir."
        detail = f"{folder} can't be written ({error.strerror})."
        findings.append(Finding("data folder", Verdict.broken, detail, mend))
    free = shutil.disk_usage(existing).free
    gigabytes = f"{free / 1024**3:.1f} GiB free"
    if free < _LEAST_DISK_BYTES:
        mend = "Free at least 1 GiB; PostgreSQL and Temporal stop when the disk is full."
        findings.append(Finding("disk", Verdict.broken, gigabytes, mend))
    else:
        findings.append(Finding("disk", Verdict.good, gigabytes))
    return findings


async def _processes(_settings: Settings, installation: Installation) -> list[Finding]:
    state = installation.read_state()
    if state.supervisor is None or state.supervisor.process() is None:
        taken = [f"{port} ({name})" for name, port in _USUAL_PORTS.items() if not port_is_free(port)]
        findings = [Finding("platform", Verdict.hint, "`versaai up` is not running here.", "Start it.")]
        if taken:
            mend = "`versaai up` will choose other ports; give --api-port and the like to name them."
            findings.append(Finding("ports", Verdict.hint, f"Taken: {', '.join(taken)}.", mend))
        return findings
    findings = [Finding("platform", Verdict.good, f"supervisor is process {state.supervisor.pid}")]
    for name, record in state.parts.items():
        if record.process() is None:
            mend = f"The supervisor restarts it; its log {record.log} says why it ended."
            findings.append(Finding(name, Verdict.broken, "is not running.", mend))
        elif record.restarts:
            detail = f"process {record.pid}, restarted {record.restarts} times"
            findings.append(Finding(name, Verdict.hint, detail, f"Its log {record.log} says why."))
    return findings


async def _postgres(settings: Settings, _installation: Installation) -> list[Finding]:
    name = "postgresql"
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=5)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        mend = "Start it (`versaai up`), or correct DATABASE_URL."
        return [Finding(name, Verdict.broken, f"Can't connect: {error or type(error).__name__}.", mend)]
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        version = str(await connection.fetchval("SHOW server_version"))
        vector = await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        before = time.time()
        clock = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        after = time.time()
        revision = None
        with suppress(asyncpg.PostgresError):
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    finally:
        await connection.close()
    findings = []
    if number < _LEAST_POSTGRES:
        mend = "Use PostgreSQL 15 or later."
        findings.append(Finding(name, Verdict.broken, f"version {version} is too old", mend))
    else:
        findings.append(Finding(name, Verdict.good, f"version {version}"))
    if not vector:
        mend = "Install the pgvector extension on the server."
        findings.append(Finding("pgvector", Verdict.broken, "The server has no pgvector.", mend))
    gap = max(before - clock, clock - after, 0.0)
    if gap > _LARGEST_CLOCK_GAP_SECONDS:
        mend = "Synchronise the clocks (NTP) of this machine and the database's."
        findings.append(Finding("clock", Verdict.broken, f"{gap:.0f} s from the database's clock", mend))
    else:
        findings.append(Finding("clock", Verdict.good, "agrees with the database's"))
    findings.append(_schema_finding(revision))
    return findings


def _schema_finding(revision: str | None) -> Finding:
    from database.migrate import head as newest_migration

    head = newest_migration()
    if revision == head:
        return Finding("schema", Verdict.good, f"at the newest migration ({head})")
    detail = "The database is empty." if revision is None else f"At migration {revision}, newest is {head}."
    return Finding("schema", Verdict.broken, detail, "Run `versaai migrate`.")


async def _temporal(settings: Settings, _installation: Installation) -> list[Finding]:
    name = "temporal"
    start = "Start it (`versaai up`), or correct VERSAAI_TEMPORAL_ADDRESS and VERSAAI_TEMPORAL_NAMESPACE."
    try:
        client = await asyncio.wait_for(connect(settings), timeout=8)
        version = await server_version(client)
        retention = await namespace_retention(client)
    except (VersaError, RPCError, RuntimeError, TimeoutError) as error:
        detail = f"No answer from {settings.temporal_address}: {error or 'timeout'}"
        return [Finding(name, Verdict.broken, detail, start)]
    if retention is None or not await is_serving(client):
        detail = f"There is no namespace {settings.temporal_namespace!r} on the server."
        mend = f"Create it: `temporal operator namespace create -n {settings.temporal_namespace}`."
        return [Finding(name, Verdict.broken, detail, mend)]
    findings = [
        Finding(name, Verdict.good, f"version {version}, keeps closed conversations {retention.days} days")
    ]
    if retention.total_seconds() <= settings.opening_token_seconds:
        mend = "Raise the namespace's retention, or lower VERSAAI_OPENING_TOKEN_SECONDS."
        detail = "Closed conversations vanish before their openings expire."
        findings.append(Finding("retention", Verdict.broken, detail, mend))
    try:
        missing = await missing_search_attributes(client, SEARCH_ATTRIBUTES)
    except RPCError as error:
        detail = f"Could not be listed: {error.message}."
        findings.append(Finding("search attributes", Verdict.hint, detail, "Ask the server's operator."))
    else:
        if missing:
            kinds = dict(SEARCH_ATTRIBUTES)
            wanted = " ".join(f"--name {entry} --type {kinds[entry]}" for entry in missing)
            mend = f"`temporal operator search-attribute create {wanted}`"
            findings.append(
                Finding("search attributes", Verdict.broken, f"Missing: {', '.join(missing)}.", mend)
            )
        else:
            detail = f"{len(SEARCH_ATTRIBUTES)} registered"
            findings.append(Finding("search attributes", Verdict.good, detail))
    for queue in (CONVERSATION_QUEUE, EFFECTS_QUEUE):
        workers = await poller_identities(client, queue)
        if workers:
            findings.append(Finding("workers", Verdict.good, f"{len(workers)} on queue {queue!r}"))
        else:
            detail = f"Nobody works on queue {queue!r}: conversations stand still."
            findings.append(Finding("workers", Verdict.broken, detail, "Start `versaai worker`."))
    return findings


async def _api(settings: Settings, _installation: Installation) -> list[Finding]:
    url = f"{settings.api_url}/health"
    try:
        async with httpx2.AsyncClient(timeout=5) as client:
            answer = await client.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        mend = "Start it (`versaai up` or `versaai api`), or correct API_URL."
        return [Finding("api", Verdict.broken, f"No answer from {url}: {error}", mend)]
    if answer.status_code >= 400:
        mend = "Its log says why; see .versaai/logs/api-1.log."
        return [Finding("api", Verdict.broken, f"{url} answers {answer.status_code}", mend)]
    return [Finding("api", Verdict.good, f"answers at {settings.api_url}")]


async def _models(settings: Settings, _installation: Installation) -> list[Finding]:
    configured = {
        "openai": bool(settings.openai_api_key.get_secret_value()),
        "anthropic": bool(settings.anthropic_api_key.get_secret_value()),
        "groq": bool(settings.groq_api_key.get_secret_value()),
        "mistral": bool(settings.mistral_api_key.get_secret_value()),
        "ollama": bool(settings.ollama_base_url),
    }
    usable = [name for name, present in configured.items() if present]
    if usable:
        return [Finding("models", Verdict.good, f"providers with a key or address: {', '.join(usable)}")]
    mend = "Set OPENAI_API_KEY, ANTHROPIC_API_KEY, GROQ_API_KEY, MISTRAL_API_KEY or OLLAMA_BASE_URL."
    return [Finding("models", Verdict.hint, "No provider; the built-in answerer stands in.", mend)]


async def _email(settings: Settings, _installation: Installation) -> list[Finding]:
    if not settings.email_host:
        return [Finding("e-mail", Verdict.hint, "Flows can't send e-mail.", "Set EMAIL_HOST and the like.")]
    place = f"{settings.email_host}:{settings.email_port}"
    try:
        async with asyncio.timeout(5):
            _reader, writer = await asyncio.open_connection(
                settings.email_host, settings.email_port, ssl=settings.email_use_ssl or None
            )
            writer.close()
    except (OSError, TimeoutError) as error:
        mend = "Correct EMAIL_HOST and EMAIL_PORT, or let this machine through to the server."
        return [Finding("e-mail", Verdict.broken, f"{place} can't be reached: {error or 'timeout'}", mend)]
    return [Finding("e-mail", Verdict.good, f"{place} answers")]


async def _secrets(settings: Settings, _installation: Installation) -> list[Finding]:
    if not settings.secret_keys:
        mend = "Set SECRET_KEY, or let `versaai up` make one."
        return [Finding("secret key", Verdict.broken, "There is none.", mend)]
    if min(map(len, settings.secret_keys)) < 32:
        mend = 'Make one with `python -c "import secrets; print(secrets.token_urlsafe(48))"`.'
        return [Finding("secret key", Verdict.broken, "It has fewer than 32 characters.", mend)]
    return [Finding("secret key", Verdict.good, "present")]


EXAMINATIONS: tuple[Examination, ...] = (
    _python,
    _packages,
    _data_folder,
    _secrets,
    _processes,
    _postgres,
    _temporal,
    _api,
    _models,
    _email,
)
