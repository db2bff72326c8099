"""What is known of models: who serves them, how much they hold, what they cost, what they refuse.

A table of data with a date, because prices and models change under our feet. Two rules: a price that is not
known for certain is None (the cost of a call is then None too, never a guess), and a model that is not in
the table still works: its provider is told by its prefix and its window is taken as `ASSUMED_WINDOW`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from llm.errors import ModelNotAvailable
from llm.protocol import Usage

AS_OF: Final = date(2026, 11, 1)
ASSUMED_WINDOW: Final = 8192
PROVIDERS: Final = ("openai", "anthropic", "groq", "mistral", "ollama", "builtin")
BUILTIN_MODEL: Final = "builtin/answerer"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a million tokens. `cached` of None: cached input is charged like other input."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. Tokens throughout; see the module for what unknown means."""

    provider: str
    name: str
    """The vendor's own name, as it goes over the wire."""
    window: int = ASSUMED_WINDOW
    max_output: int | None = None
    price: Price | None = None
    temperature: bool = True
    """Whether it accepts a temperature; reasoning models refuse one."""
    json_schema: bool = True
    """Whether it accepts a JSON Schema for its answer; else the schema is told in words."""
    forced_tools: bool = True
    """Whether it lets a tool be forced on it."""
    effort: str | None = None
    """Reasoning effort to ask for: a chat waits, so the least that the model offers."""
    thinking_tokens: int = 0
    """Added to the longest answer, since hidden reasoning counts against it."""
    retired: date | None = None
    """When its vendor switched it off."""
    successor: str | None = None
    """The vendor's named replacement, served in its place once it is retired."""
    known: bool = True

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"


def _price(input_price: str, output: str, cached: str | None = None) -> Price:
    return Price(Decimal(input_price), Decimal(output), None if cached is None else Decimal(cached))


def _reasoning(name: str, price: Price | None, *, window: int, max_output: int) -> ModelEntry:
    return ModelEntry(
        "openai", name, window, max_output, price, temperature=False, effort="low", thinking_tokens=4096
    )


def _claude(
    name: str,
    price: Price | None = None,
    *,
    window: int = 200_000,
    max_output: int = 64_000,
    forced_tools: bool = True,
    effort: str | None = None,
    thinking_tokens: int = 0,
) -> ModelEntry:
    return ModelEntry(
        "anthropic", name, window, max_output, price, temperature=False, forced_tools=forced_tools,
        effort=effort, thinking_tokens=thinking_tokens,
    )  # fmt: skip


_GPT_5 = {"window": 400_000, "max_output": 128_000}
_OPENAI_RETIRED = date(2026, 10, 23)
_GROQ_LLAMA_RETIRED = date(2026, 8, 16)

MODELS: Final[tuple[ModelEntry, ...]] = (
    ModelEntry("openai", "gpt-4o", 128_000, 16_384, _price("2.50", "10", "1.25")),
    ModelEntry("openai", "gpt-4o-mini", 128_000, 16_384, _price("0.15", "0.60", "0.075")),
    ModelEntry("openai", "gpt-4.1", 1_047_576, 32_768, _price("2", "8", "0.50")),
    ModelEntry("openai", "gpt-4.1-mini", 1_047_576, 32_768, _price("0.40", "1.60", "0.10")),
    _reasoning("gpt-5", _price("1.25", "10", "0.125"), **_GPT_5),
    _reasoning("gpt-5-mini", _price("0.25", "2", "0.025"), **_GPT_5),
    _reasoning("gpt-5-nano", _price("0.05", "0.40", "0.005"), **_GPT_5),
    _reasoning("gpt-5.1", _price("1.25", "10", "0.125"), **_GPT_5),
    _reasoning("gpt-5.2", None, **_GPT_5),
    _reasoning("gpt-5.4", None, **_GPT_5),
    _reasoning("gpt-5.4-mini", None, **_GPT_5),
    _reasoning("o3", _price("2", "8", "0.50"), window=200_000, max_output=100_000),
    ModelEntry("openai", "gpt-4-turbo", 128_000, 4096, _price("10", "30"), retired=_OPENAI_RETIRED),
    ModelEntry("openai", "gpt-4", 8192, 8192, _price("30", "60"), retired=_OPENAI_RETIRED),
    ModelEntry("openai", "gpt-3.5-turbo", 16_385, 4096, _price("0.50", "1.50"), retired=_OPENAI_RETIRED),
    _claude("claude-haiku-4-5", _price("1", "5", "0.10")),
    _claude("claude-sonnet-4-5", _price("3", "15", "0.30")),
    _claude("claude-sonnet-4-6", _price("3", "15", "0.30")),
    _claude("claude-opus-4-5", _price("5", "25", "0.50")),
    _claude("claude-opus-4-6", _price("5", "25", "0.50")),
    _claude("claude-opus-5", _price("5", "25", "0.50"), forced_tools=False, thinking_tokens=4096),
    _claude(
        "claude-opus-5-5", _price("4", "20", "0.20"), forced_tools=False, effort="low", thinking_tokens=4096
    ),
    _claude("claude-sonnet-5", forced_tools=False, thinking_tokens=4096),
    _claude("claude-sonnet-5-5", forced_tools=False, thinking_tokens=4096),
    _claude("claude-haiku-5-5", forced_tools=False, thinking_tokens=4096),
    ModelEntry("groq", "openai/gpt-oss-20b", 131_072, 65_536, effort="low", thinking_tokens=2048),
    ModelEntry("groq", "openai/gpt-oss-120b", 131_072, 65_536, effort="low", thinking_tokens=2048),
    ModelEntry(
        "groq", "llama3-8b-8192", 8192, 8192, json_schema=False,
        retired=date(2025, 8, 30), successor="openai/gpt-oss-20b",
    ),
    ModelEntry(
        "groq", "llama3-70b-8192", 8192, 8192, json_schema=False,
        retired=date(2025, 8, 30), successor="openai/gpt-oss-120b",
    ),
    ModelEntry(
        "groq", "llama-3.1-8b-instant", 131_072, 131_072, json_schema=False,
        retired=_GROQ_LLAMA_RETIRED, successor="openai/gpt-oss-20b",
    ),
    ModelEntry(
        "groq", "llama-3.3-70b-versatile", 131_072, 32_768, json_schema=False,
        retired=_GROQ_LLAMA_RETIRED, successor="openai/gpt-oss-120b",
    ),
    ModelEntry("mistral", "mistral-large-latest", 128_000),
    ModelEntry("mistral", "mistral-medium-latest", 128_000),
    ModelEntry("mistral", "mistral-small-latest", 128_000),
    ModelEntry("mistral", "ministral-8b-latest", 128_000),
    ModelEntry("mistral", "open-mistral-nemo", 128_000),
    ModelEntry("builtin", "answerer", 32_768, price=_price("0", "0")),
)  # fmt: skip

_BY_NAME: Final = {entry.name: entry for entry in MODELS if entry.provider != "builtin"}
_BY_ID: Final = {entry.id: entry for entry in MODELS}
_PREFIXES: Final = (
    ("openai", ("gpt-", "chatgpt-", "o1", "o3", "o4")),
    ("anthropic", ("claude-",)),
    ("mistral", ("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-", "open-mi")),
    ("groq", ("meta-llama/", "qwen/", "moonshotai/", "compound", "groq/compound", "llama-3", "llama3-")),
)
_OPENAI_REASONING: Final = ("o1", "o3", "o4", "gpt-5", "gpt-6", "gpt-7")


def find_model(model: str) -> ModelEntry:
    """Resolve a model's name to its entry, without regard to retirement.

    Full ids (`groq/openai/gpt-oss-20b`) come first, then names of the table (`gpt-4o`, `llama3-8b-8192`,
    `openai/gpt-oss-20b`, which Groq serves), then any name behind a known provider's prefix
    (`ollama/llama3.2:1b`), then vendors' habits (`gpt-`, `claude-`, `mistral-`; a tag means Ollama).
    Raises ModelNotAvailable for a name that nobody claims.
    """
    name = model.strip()
    if name in _BY_ID:
        return _BY_ID[name]
    if name in _BY_NAME:
        return _BY_NAME[name]
    prefix, slash, rest = name.partition("/")
    if slash and rest and prefix in PROVIDERS and prefix != "builtin":
        return _assumed(prefix, rest)
    for provider, starts in _PREFIXES:
        if name.startswith(starts):
            return _assumed(provider, name)
    if ":" in name and "/" not in name:
        return _assumed("ollama", name)
    raise ModelNotAvailable(
        f"nobody serves a model named {name[:100]!r}; write it as provider/model with one of "
        f"{', '.join(PROVIDERS)}",
        model=name,
    )


def _assumed(provider: str, name: str) -> ModelEntry:
    dated = [entry for entry in MODELS if entry.provider == provider and name.startswith(f"{entry.name}-20")]
    if dated:
        return replace(max(dated, key=lambda entry: len(entry.name)), name=name)
    if provider == "ollama":
        return ModelEntry(provider, name, price=_price("0", "0"), known=False)
    if provider == "anthropic":
        return ModelEntry(
            provider, name, temperature=False, forced_tools=False, thinking_tokens=4096, known=False
        )
    if provider == "openai" and name.startswith(_OPENAI_REASONING) and "chat" not in name:
        return ModelEntry(provider, name, temperature=False, thinking_tokens=4096, known=False)
    return ModelEntry(provider, name, json_schema=provider != "groq", known=False)


def resolve_model(model: str, *, today: date | None = None) -> ModelEntry:
    """Resolve a name to the entry to call: the successor where the model itself is retired.

    Raises ModelNotAvailable for a retired model without a successor.
    """
    entry = find_model(model)
    if entry.retired is None or entry.retired > (today or datetime.now(UTC).date()):
        return entry
    if entry.successor is not None:
        return _BY_ID[f"{entry.provider}/{entry.successor}"]
    raise ModelNotAvailable(
        f"{entry.id} was retired by its provider on {entry.retired.isoformat()}; choose another model",
        model=entry.id,
    )


def context_window(model: str) -> int:
    """Return the tokens that fit into a model, question and answer together."""
    return resolve_model(model).window


def cost_usd(entry: ModelEntry, usage: Usage) -> str | None:
    """Return what the tokens cost, in US dollars as an exact decimal text; None when the price is unknown."""
    if entry.price is None:
        return None
    cached = min(usage.cached_tokens, usage.input_tokens)
    cached_price = entry.price.input if entry.price.cached is None else entry.price.cached
    total = (
        (usage.input_tokens - cached) * entry.price.input
        + cached * cached_price
        + usage.output_tokens * entry.price.output
    ) / Decimal(1_000_000)
    return format(total.normalize() if total else Decimal(0), "f")
