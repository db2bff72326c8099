"""Which provider serves a model, and which models this installation can use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from llm.catalogue import MODELS, ModelEntry, resolve_model
from llm.credentials import ProviderCredentials
from llm.errors import LlmError
from llm.protocol import Provider

_NEEDED = {
    "openai": "openai_api_key",
    "anthropic": "anthropic_api_key",
    "groq": "groq_api_key",
    "mistral": "mistral_api_key",
    "ollama": "ollama_base_url",
}


@dataclass(frozen=True, slots=True)
class ModelAvailability:
    """One line of a model list: what it is, and if it can't be used, why."""

    id: str
    provider: str
    window: int
    usable: bool
    reason: str | None = None


class ProviderRegistry:
    """Makes each provider once, when first needed: SDKs are slow to import and hold connections."""

    def __init__(self, credentials: ProviderCredentials) -> None:
        self._credentials = credentials
        self._providers: dict[str, Provider] = {}

    def provider_for(self, model: str) -> tuple[Provider, ModelEntry]:
        """Return who serves a model and under which entry; retired models come back as their successor.

        Raises ModelNotAvailable (unknown or retired) or AuthenticationFailed (no key).
        """
        entry = resolve_model(model)
        if entry.provider not in self._providers:
            self._providers[entry.provider] = self._make(entry.provider)
        return self._providers[entry.provider], entry

    def usable_models(self) -> list[ModelAvailability]:
        """Return the catalogue's models, each usable or with the reason why not.

        Ollama's models are not listed: what it holds is known to it alone. Any `ollama/NAME` may be asked.
        """
        return [self._availability(entry) for entry in MODELS]

    def is_usable(self, model: str) -> bool:
        """Tell whether a model has a provider with its key; says nothing about whether it answers now."""
        try:
            return self._missing(resolve_model(model)) is None
        except LlmError:
            return False

    def _availability(self, entry: ModelEntry) -> ModelAvailability:
        reason = self._missing(entry)
        if entry.retired is not None and entry.retired <= datetime.now(UTC).date():
            successor = f"; {entry.successor} answers in its place" if entry.successor else ""
            reason = reason or f"retired on {entry.retired.isoformat()}{successor}"
            usable = entry.successor is not None and self._missing(entry) is None
            return ModelAvailability(entry.id, entry.provider, entry.window, usable, reason)
        return ModelAvailability(entry.id, entry.provider, entry.window, reason is None, reason)

    def _missing(self, entry: ModelEntry) -> str | None:
        field = _NEEDED.get(entry.provider)
        if field is None or getattr(self._credentials, field):
            return None
        return f"{field.upper()} is not set"

    def _make(self, provider: str) -> Provider:
        match provider:
            case "openai":
                from llm.openai_provider import OpenAIProvider

                return OpenAIProvider(self._credentials)
            case "anthropic":
                from llm.anthropic_provider import AnthropicProvider

                return AnthropicProvider(self._credentials)
            case "groq":
                from llm.groq_provider import GroqProvider

                return GroqProvider(self._credentials)
            case "mistral":
                from llm.mistral_provider import MistralProvider

                return MistralProvider(self._credentials)
            case "ollama":
                from llm.ollama_provider import OllamaProvider

                return OllamaProvider(self._credentials)
            case _:
                from llm.builtin import BuiltinProvider

                return BuiltinProvider()

    async def close(self) -> None:
        """Close every provider that was made."""
        providers, self._providers = list(self._providers.values()), {}
        for provider in providers:
            await provider.close()
