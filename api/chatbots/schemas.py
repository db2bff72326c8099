"""Bots and flow versions as clients see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from api.fields import Incoming, Outgoing, looks_like_uuid
from flow_schema.findings import Finding
from flow_schema.turns import ConversationStatus, Waiting
from llm.catalogue import PROVIDERS, find_model
from llm.errors import ModelNotAvailable

SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"

EXAMPLE_FLOW: dict[str, Any] = {
    "schema_version": 1,
    "name": "Saludo",
    "language": "es",
    "nodes": [
        {"id": "start", "type": "start", "data": {}},
        {"id": "hi", "type": "message", "data": {"text": "¡Hola!"}},
    ],
    "edges": [{"id": "e1", "source": "start", "sourceHandle": "next", "target": "hi"}],
}


def known_model(name: str) -> str:
    """Return a model's full id for any name that it goes by. Raises ValueError for a name of nobody's."""
    try:
        return find_model(name).id
    except ModelNotAvailable:
        raise ValueError(
            f"nobody serves a model named `{name[:100]}`; write it as `provider/model`, with one of "
            f"{', '.join(PROVIDERS)}"
        ) from None


class NewChatbot(Incoming):
    """A bot to make."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Soporte", "slug": "soporte", "language": "es"}]}
    )

    name: str = Field(title="Name", description="Shown to visitors.", min_length=1, max_length=200)
    slug: str | None = Field(
        default=None,
        title="Slug",
        description="Its name in addresses, unique: `a-z`, `0-9`, `-`. Empty: made from the name.",
        pattern=SLUG_PATTERN,
    )
    description: str | None = Field(
        default=None, title="Description", description="A sentence about it.", max_length=2000
    )
    language: str = Field(
        default="es", title="Language", description="Its default language.", pattern=LANGUAGE_PATTERN
    )
    ai_model: str | None = Field(
        default=None,
        title="Model",
        description="For its `ai` nodes that name none: `provider/model`, or a name that only one provider "
        "has (docs/models.md); kept as `provider/model`.",
        max_length=100,
    )
    system_prompt: str | None = Field(
        default=None, title="Instructions", description="For its `ai` nodes.", max_length=20_000
    )
    temperature: float | None = Field(
        default=None, title="Temperature", description="0 to 2, for its `ai` nodes.", ge=0, le=2
    )
    max_tokens: int | None = Field(
        default=None, title="Longest answer", description="Tokens, for its `ai` nodes.", ge=1, le=128_000
    )

    @field_validator("slug")
    @classmethod
    def _no_id(cls, slug: str | None) -> str | None:
        if slug is not None and looks_like_uuid(slug):
            raise ValueError("it looks like a bot's id; choose a name that can't be taken for one")
        return slug

    @field_validator("ai_model")
    @classmethod
    def _served(cls, model: str | None) -> str | None:
        return None if model is None or not model.strip() else known_model(model)


class ChatbotView(Outgoing):
    """A bot."""

    id: str = Field(title="Id", description="A UUID.")
    name: str = Field(title="Name", description="Shown to visitors.")
    slug: str = Field(title="Slug", description="Its name in addresses.")
    description: str | None = Field(default=None, title="Description", description="A sentence about it.")
    status: Literal["draft", "active", "inactive", "archived"] = Field(
        title="Status", description="`active` ones can be talked to."
    )
    language: str = Field(title="Language", description="Its default language.")
    ai_model: str | None = Field(default=None, title="Model", description="For its `ai` nodes.")
    deployed_version_id: str | None = Field(
        default=None, title="Version", description="What new conversations run; null: nothing yet."
    )
    chat_url: str = Field(title="Chat page", description="Where to try it.")
    created_at: datetime = Field(title="Made", description="When.")
    updated_at: datetime = Field(title="Changed", description="When last.")


class ChatbotPage(Outgoing):
    """Bots, newest first."""

    chatbots: list[ChatbotView] = Field(title="Bots", description="Newest first.")
    next_cursor: str | None = Field(default=None, title="Cursor", description="For the next page.")


class NewVersion(Incoming):
    """A flow to publish."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"flow": EXAMPLE_FLOW, "note": "first version"}]}
    )

    flow: dict[str, Any] = Field(title="Flow", description="The flow's JSON, in the flow language.")
    flow_name: str = Field(
        default="main",
        title="Flow's name",
        description="`main` is what conversations run; others are run by `main` as sub-flows.",
        pattern=SLUG_PATTERN,
    )
    note: str | None = Field(
        default=None, title="Note", description="What changed, for people.", max_length=2000
    )
    deploy: bool = Field(
        default=True,
        title="Deploy",
        description="Whether new conversations run it from now on (of `main`). Running ones keep theirs.",
    )


class VersionView(Outgoing):
    """A published version: never changes."""

    id: str = Field(title="Id", description="A UUID.")
    chatbot_id: str = Field(title="Bot", description="Whose.")
    flow_name: str = Field(title="Flow's name", description="`main`, or a sub-flow's.")
    number: int = Field(title="Number", description="Counts from 1 within the bot and flow.", ge=1)
    name: str = Field(title="Name", description="The flow's name.")
    note: str | None = Field(default=None, title="Note", description="What changed.")
    content_hash: str = Field(title="Content hash", description="SHA-256 of the flow's canonical JSON.")
    deployed: bool = Field(title="Deployed", description="Whether new conversations run it.")
    created_at: datetime = Field(title="Published", description="When.")


class PublishedVersion(VersionView):
    """What publishing gave."""

    warnings: list[Finding] = Field(
        default_factory=list, title="Warnings", description="What validation found that doesn't block."
    )


class VersionWithFlow(VersionView):
    """A version with its flow."""

    flow: dict[str, Any] = Field(title="Flow", description="The flow's JSON.")


class VersionPage(Outgoing):
    """Versions, newest first."""

    versions: list[VersionView] = Field(title="Versions", description="Newest first.")
    next_cursor: str | None = Field(default=None, title="Cursor", description="For the next page.")


class EscalationView(Outgoing):
    """Why a human is wanted in a conversation, or at work in it."""

    kind: Literal["escalate", "hand_over", "takeover"] = Field(
        title="Kind", description="Asked for by the flow, given away for good, or taken by an agent."
    )
    since: datetime = Field(title="Since", description="When it began.")
    team: str | None = Field(default=None, title="Team", description="Who should take it.")
    reason: str = Field(default="", title="Reason", description="Why, in the flow's words.")
    priority: Literal["low", "normal", "high", "urgent"] = Field(
        default="normal", title="Priority", description="Its place in the queue."
    )
    claimed_at: datetime | None = Field(default=None, title="Taken", description="When an agent took it.")


class ConversationView(Outgoing):
    """A conversation as the tables have it; a running one may be up to some seconds further."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    chatbot_id: str = Field(title="Bot", description="Which.")
    flow_version_id: str = Field(title="Version", description="The flow version it is pinned to.")
    mode: Literal["live", "test"] = Field(title="Mode", description="Live or a test.")
    status: ConversationStatus = Field(title="Status", description="Where it is.")
    language: str = Field(title="Language", description="Its language.")
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what.")
    agent_id: str | None = Field(default=None, title="Agent", description="Who has it.")
    escalation: EscalationView | None = Field(
        default=None, title="Escalation", description="While a human is wanted or at work."
    )
    tags: list[str] = Field(title="Tags", description="Its tags.")
    satisfaction_rating: int | None = Field(default=None, title="Rating", description="1 to 5.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    started_at: datetime = Field(title="Started", description="When.")
    last_activity: datetime = Field(title="Last activity", description="When.")
    ended_at: datetime | None = Field(default=None, title="Ended", description="When.")


class ConversationPage(Outgoing):
    """Conversations, newest first."""

    conversations: list[ConversationView] = Field(title="Conversations", description="Newest first.")
    next_cursor: str | None = Field(default=None, title="Cursor", description="For the next page.")
