"""Whether the file storage and the language models of the settings can be used, asked of them themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from cli.findings import Finding, Verdict
from cli.installation import Installation
from cli.servers import answers_http
from core.errors import VersaError
from core.files import FileStore
from core.settings import Settings
from llm.catalogue import find_model
from llm.credentials import credentials_from_settings
from llm.errors import LlmError
from llm.registry import ProviderRegistry

_PROBE = b"versaai doctor"
_STORAGE_SECONDS = 10
_MODEL_SECONDS = 5
_VERSIONS = {"anthropic": "/v1", "groq": "/openai/v1"}


@dataclass(frozen=True)
class _Address:
    """Where a provider is, and the key that it takes."""

    url: str
    key: str = ""


def _configured(settings: Settings) -> dict[str, _Address]:
    """The providers that can be used as the settings stand."""
    keys = {
        "openai": (settings.openai_api_key, settings.openai_base_url or "https://api.openai.com/v1"),
        "anthropic": (settings.anthropic_api_key, settings.anthropic_base_url or "https://api.anthropic.com"),
        "groq": (settings.groq_api_key, settings.groq_base_url or "https://api.groq.com"),
        "mistral": (settings.mistral_api_key, settings.mistral_base_url or "https://api.mistral.ai/v1"),
    }
    found = {
        name: _Address(url, key.get_secret_value())
        for name, (key, url) in keys.items()
        if key.get_secret_value()
    }
    if settings.ollama_base_url:
        found["ollama"] = _Address(settings.ollama_base_url)
    return found


async def examine_storage(settings: Settings, installation: Installation) -> Finding:
    """Write a small file where files are kept, and delete it."""
    name, url = "storage", settings.files_url
    if url == (installation.folder / "files").as_uri() and not installation.folder.exists():
        return Finding(name, Verdict.good, f"{url}, made by the first start")
    mend = "Correct VERSAAI_STORAGE_URL or MEDIA_ROOT, or let this user write there."
    if urlsplit(url).scheme == "s3":
        mend = (
            "Correct VERSAAI_STORAGE_URL, AWS_S3_ENDPOINT_URL and the other AWS_* settings; "
            "the key needs to be let to put and delete objects."
        )
        endpoint = settings.aws_s3_endpoint_url
        if endpoint and not await answers_http(endpoint, any_status=True):
            return Finding(name, Verdict.broken, f"No S3 server answers at {endpoint}.", mend)
    try:
        async with asyncio.timeout(_STORAGE_SECONDS):
            store = await asyncio.to_thread(FileStore.from_settings, settings)
            key = f"doctor/{uuid4().hex}"
            await store.put_stream(key, _probe(), len(_PROBE))
            await store.delete(key)
    except TimeoutError:
        return Finding(name, Verdict.broken, f"{url} takes no file within {_STORAGE_SECONDS} s.", mend)
    except Exception as error:  # whatever the storage's library raises is the finding
        cause = error.__cause__ or error
        detail = f"{url} takes no files: {_first_line(cause)}."
        return Finding(name, Verdict.broken, detail, mend)
    return Finding(name, Verdict.good, f"{url} takes files")


async def _probe() -> AsyncIterator[bytes]:
    yield _PROBE


async def examine_models(settings: Settings) -> list[Finding]:
    """Ask every configured provider for its models, and look for the default model among them."""
    asked = _configured(settings)
    answers = await asyncio.gather(*(_models_of(name, place) for name, place in asked.items()))
    known = {name: models for name, (models, _) in zip(asked, answers, strict=True)}
    findings = [
        Finding(
            "models",
            Verdict.broken,
            f"{name} can't be used: {reason}.",
            _cure(name),
        )
        if reason
        else Finding("models", Verdict.good, f"{name} answers and lists {len(models)} models")
        for name, (models, reason) in zip(asked, answers, strict=True)
    ]
    if settings.default_model:
        findings.append(
            _default_model(
                settings.default_model, ProviderRegistry(credentials_from_settings(settings)), known
            )
        )
    if not asked:
        mend = "Set OPENAI_API_KEY, ANTHROPIC_API_KEY, GROQ_API_KEY, MISTRAL_API_KEY or OLLAMA_BASE_URL."
        findings.append(
            Finding("models", Verdict.hint, "No provider; the built-in answerer stands in.", mend)
        )
    return findings


def _cure(provider: str) -> str:
    prefix = provider.upper()
    if provider == "ollama":
        return "Start Ollama there, or correct OLLAMA_BASE_URL."
    return f"Correct {prefix}_API_KEY and {prefix}_BASE_URL, or let this machine through."


def _default_model(model: str, registry: ProviderRegistry, known: dict[str, set[str]]) -> Finding:
    name = "default model"
    try:
        entry = find_model(model)
    except LlmError as error:
        return Finding(name, Verdict.broken, f"{error}.", "Correct VERSAAI_DEFAULT_MODEL.")
    if not registry.is_usable(model):
        mend = f"Set {entry.provider.upper()}_API_KEY or another VERSAAI_DEFAULT_MODEL."
        if entry.provider == "ollama":
            mend = "Set OLLAMA_BASE_URL or another VERSAAI_DEFAULT_MODEL."
        return Finding(name, Verdict.broken, f"{model} has no provider that can be used.", mend)
    listed = known.get(entry.provider)
    if listed and not any(one == entry.name or one.startswith(f"{entry.name}:") for one in listed):
        near = [one for one in sorted(listed) if one[:4] == entry.name[:4]][:5]
        mend = "Correct VERSAAI_DEFAULT_MODEL" + (f"; there are {', '.join(near)}." if near else ".")
        return Finding(name, Verdict.broken, f"{entry.provider} has no model named {entry.name!r}.", mend)
    return Finding(name, Verdict.good, model)


async def _models_of(provider: str, address: _Address) -> tuple[set[str], str]:
    """The names that a provider lists, or the reason why it doesn't."""
    headers = {"Authorization": f"Bearer {address.key}"} if address.key else {}
    if provider == "anthropic":
        headers = {"x-api-key": address.key, "anthropic-version": "2023-06-01"}
    version = _VERSIONS.get(provider, "")  # which their SDKs add
    url = address.url.rstrip("/").removesuffix(version or "/")
    place = f"{url}{version}/models"
    try:
        async with httpx2.AsyncClient(timeout=_MODEL_SECONDS, follow_redirects=True) as client:
            answer = await client.get(place, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, VersaError) as error:
        return set(), f"no answer from {url} ({_first_line(error)})"
    if answer.status_code in {401, 403}:
        return set(), f"{url} refuses the key"
    if answer.status_code == 404:
        return set(), ""  # an address that speaks only of completions
    if not answer.is_success:
        return set(), f"{place} answers {answer.status_code}"
    try:
        listed = answer.json()["data"]
        return {str(model["id"]).removeprefix("models/") for model in listed}, ""
    except (ValueError, KeyError, TypeError):
        return set(), f"{place} answers with something else than models"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
