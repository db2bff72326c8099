"""Keys and addresses of the providers, apart from where they were read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from llm.errors import AuthenticationFailed


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """What the providers need. A provider without its key (Ollama: without its address) is not usable.

    Keys never show in `repr`. Addresses of None mean the vendor's public one.
    """

    openai_api_key: str | None = field(default=None, repr=False)
    openai_org_id: str | None = None
    openai_base_url: str | None = None
    anthropic_api_key: str | None = field(default=None, repr=False)
    anthropic_base_url: str | None = None
    groq_api_key: str | None = field(default=None, repr=False)
    groq_base_url: str | None = None
    mistral_api_key: str | None = field(default=None, repr=False)
    mistral_base_url: str | None = None
    ollama_base_url: str | None = None

    def require(self, name: str) -> str:
        """Return a field that must be set; raises AuthenticationFailed that names it."""
        value: str | None = getattr(self, name)
        if not value:
            raise AuthenticationFailed(f"{name.upper()} is not set")
        return value


def credentials_from_settings(settings: Any) -> ProviderCredentials:
    """Read the fields off the settings by name, unwrapping secrets; empty texts count as not set."""
    values: dict[str, str | None] = {}
    value: Any
    for spec in fields(ProviderCredentials):
        value = getattr(settings, spec.name, None)
        if value is not None and hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        values[spec.name] = str(value).strip() or None if value is not None else None
    return ProviderCredentials(**values)
