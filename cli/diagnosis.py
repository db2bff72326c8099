"""The examinations of `versaai doctor`. Each returns findings and never raises."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path

import httpx2
from temporalio.service import RPCError

from cli.findings import Finding, Verdict
from cli.installation import Installation
from cli.outside import examine_models, examine_storage
from cli.own_parts import is_stopped, own_parts
from cli.ports import port_is_free
from cli.programs import typed
from cli.servers import ServerUnusableError, examine_postgres, examine_temporal
from core.settings import Settings
from flow_schema.effects import CONVERSATION_QUEUE, EFFECTS_QUEUE, SEARCH_ATTRIBUTES
from temporal.client import missing_search_attributes, poller_identities

_LOCK_FILE = Path(__file__).resolve().parent.parent / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_USUAL_PORTS = {"api": 8000, "temporal": 7233, "temporal_ui": 8233, "postgres": 5432}
_LEAST_DISK_BYTES = 1024**3
_LEAST_PYTHON = (3, 11)
_LARGEST_CLOCK_GAP_SECONDS = 5.0


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


async def _processes(settings: Settings, installation: Installation) -> list[Finding]:
    state = installation.read_state()
    if state.supervisor is None or state.supervisor.process() is None:
        stopped = own_parts(settings, installation).named()
        taken = [f"{port} ({name})" for name, port in _USUAL_PORTS.items() if not port_is_free(port)]
        start = f"Start it: `{typed('versaai')} up`."
        detail = f"`versaai up` does not run on {installation.folder}"
        findings = [
            Finding("platform", Verdict.broken, f"{detail}: no {', '.join(stopped)}.", start)
            if stopped
            else Finding("platform", Verdict.hint, f"{detail}.", start)
        ]
        if taken:
            mend = "`versaai up` will choose other ports; give --api-port and the like to name them."
            findings.append(Finding("ports", Verdict.hint, f"Taken: {', '.join(taken)}.", mend))
        return findings
    assert state.supervisor is not None
    findings = [Finding("platform", Verdict.good, f"supervisor is process {state.supervisor.pid}")]
    for name, record in state.parts.items():
        if record.process() is None:
            mend = f"The supervisor restarts it; its log {record.log} says why it ended."
            findings.append(Finding(name, Verdict.broken, "is not running.", mend))
        elif record.restarts:
            detail = f"process {record.pid}, restarted {record.restarts} times"
            findings.append(Finding(name, Verdict.hint, detail, f"Its log {record.log} says why."))
    return findings


async def _postgres(settings: Settings, installation: Installation) -> list[Finding]:
    name = "postgresql"
    try:
        facts = await examine_postgres(settings.database_url, "DATABASE_URL")
    except ServerUnusableError as error:
        if own_parts(settings, installation).postgres:
            return _own_part_is_down(name, error.wrong, installation)
        return [Finding(name, Verdict.broken, error.wrong, error.mend)]
    findings = [Finding(name, Verdict.good, f"version {facts.version}")]
    if not facts.has_vector:
        mend = "Install the pgvector extension on the server."
        findings.append(Finding("pgvector", Verdict.broken, "The server has no pgvector.", mend))
    if facts.clock_gap > _LARGEST_CLOCK_GAP_SECONDS:
        mend = "Synchronise the clocks (NTP) of this machine and the database's."
        detail = f"{facts.clock_gap:.0f} s from the database's clock"
        findings.append(Finding("clock", Verdict.broken, detail, mend))
    else:
        findings.append(Finding("clock", Verdict.good, "agrees with the database's"))
    findings.append(_schema_finding(facts.revision))
    return findings


def _schema_finding(revision: str | None) -> Finding:
    from database.migrate import head as newest_migration

    head = newest_migration()
    if revision == head:
        return Finding("schema", Verdict.good, f"at the newest migration ({head})")
    detail = "The database is empty." if revision is None else f"At migration {revision}, newest is {head}."
    return Finding("schema", Verdict.broken, detail, f"Run `{typed('versaai')} migrate`.")


async def _temporal(settings: Settings, installation: Installation) -> list[Finding]:
    name = "temporal"
    try:
        facts = await examine_temporal(settings, "VERSAAI_TEMPORAL_ADDRESS")
    except ServerUnusableError as error:
        if own_parts(settings, installation).temporal:
            return _own_part_is_down(name, error.wrong, installation)
        return [Finding(name, Verdict.broken, error.wrong, error.mend)]
    client, retention = facts.client, facts.retention
    detail = f"version {facts.version}, keeps closed conversations {retention.days} days"
    findings = [Finding(name, Verdict.good, detail)]
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
            place = f"--address {settings.temporal_address} -n {settings.temporal_namespace}"
            mend = f"`{typed('temporal')} operator search-attribute create {place} {wanted}`"
            findings.append(
                Finding("search attributes", Verdict.broken, f"Missing: {', '.join(missing)}.", mend)
            )
        else:
            detail = f"{len(SEARCH_ATTRIBUTES)} registered"
            findings.append(Finding("search attributes", Verdict.good, detail))
    for queue in (CONVERSATION_QUEUE, EFFECTS_QUEUE):
        try:
            workers = await poller_identities(client, queue)
        except RPCError as error:
            detail = f"Could not be listed: {error.message}."
            findings.append(Finding("workers", Verdict.hint, detail, "Ask the server's operator."))
            break
        if workers:
            findings.append(Finding("workers", Verdict.good, f"{len(workers)} on queue {queue!r}"))
        else:
            detail = f"Nobody works on queue {queue!r}: conversations stand still."
            findings.append(Finding("workers", Verdict.broken, detail, f"Start `{typed('versaai')} worker`."))
    return findings


async def _api(settings: Settings, installation: Installation) -> list[Finding]:
    url = f"{settings.api_url}/health"
    own = own_parts(settings, installation).api
    try:
        async with httpx2.AsyncClient(timeout=5) as client:
            answer = await client.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        detail = f"No answer from {url}: {error or type(error).__name__}"
        if own:
            return _own_part_is_down("api", detail, installation)
        mend = f"Start it (`{typed('versaai')} api`), or correct API_URL."
        return [Finding("api", Verdict.broken, detail, mend)]
    if answer.status_code >= 400:
        mend = f"Its log says why; see {installation.logs / 'api-1.log'}." if own else "Its log says why."
        return [Finding("api", Verdict.broken, f"{url} answers {answer.status_code}", mend)]
    return [Finding("api", Verdict.good, f"answers at {settings.api_url}")]


def _own_part_is_down(name: str, detail: str, installation: Installation) -> list[Finding]:
    """Nothing where the platform is stopped: `_processes` has said so, once for all its parts."""
    if is_stopped(installation):
        return []
    mend = f"`versaai up` restarts it; the logs in {installation.logs} say why it ended."
    return [Finding(name, Verdict.broken, detail, mend)]


async def _storage(settings: Settings, installation: Installation) -> list[Finding]:
    return [await examine_storage(settings, installation)]


async def _models(settings: Settings, _installation: Installation) -> list[Finding]:
    return await examine_models(settings)


async def _email(settings: Settings, installation: Installation) -> list[Finding]:
    if not settings.email_host:
        return [Finding("e-mail", Verdict.hint, "Flows can't send e-mail.", "Set EMAIL_HOST and the like.")]
    place = f"{settings.email_host}:{settings.email_port}"
    own = own_parts(settings, installation).mail
    try:
        async with asyncio.timeout(5):
            _reader, writer = await asyncio.open_connection(
                settings.email_host, settings.email_port, ssl=settings.email_use_ssl or None
            )
            writer.close()
    except (OSError, TimeoutError) as error:
        detail = f"{place} can't be reached: {error or 'timeout'}"
        if own:
            return _own_part_is_down("e-mail", f"The demo's mail server: {detail}", installation)
        mend = "Correct EMAIL_HOST and EMAIL_PORT, or let this machine through to the server."
        return [Finding("e-mail", Verdict.broken, detail, mend)]
    return [Finding("e-mail", Verdict.good, f"{place} answers" + (" (the demo's own)" if own else ""))]


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
    _storage,
    _models,
    _email,
)
