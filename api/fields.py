"""Types that several slices share: ids in paths, pages, and messages as clients get them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.tokens import Tokens
from flow_schema.turns import (
    Agent,
    Content,
    FileInfo,
    FilesContent,
    Message,
    MessageRole,
    ModelUsage,
)

_UUID = re.compile(r"[0-9a-fA-F]{32}")


def looks_like_uuid(name: str) -> bool:
    """Tell whether a name would be read as a UUID, with or without dashes."""
    return _UUID.fullmatch(name.replace("-", "")) is not None


BotName = Annotated[
    str,
    Path(
        title="Bot",
        description="The bot's id, or its slug.",
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+$",
        examples=["soporte"],
    ),
]
Identifier = Annotated[
    str,
    Path(title="Id", description="A UUID.", pattern=r"^[0-9a-fA-F-]{32,36}$"),
]
MOST_MESSAGES = 2**31 - 1
"""The largest `seq` that the tables hold."""
After = Annotated[
    int, Query(title="After", description="`seq` of the last message already known.", ge=0, le=MOST_MESSAGES)
]
Limit = Annotated[int, Query(title="Limit", description="Entries a page.", ge=1, le=200)]


class Outgoing(BaseModel):
    """Configuration of the models that are answered."""

    model_config = ConfigDict(ser_json_timedelta="iso8601")


class Incoming(BaseModel):
    """Configuration of the models that are taken: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


Item = TypeVar("Item")


class Page(Outgoing, Generic[Item]):
    """Some entries and where to go on."""

    items: list[Item] = Field(title="Entries", description="In order.")
    next_cursor: str | None = Field(
        default=None, title="Cursor", description="Give it as `cursor` for the next page; null at the end."
    )


class LinkedFile(FileInfo):
    """A file with a link to it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(title="Address", description="A signed link that works for a while.")


class LinkedFilesContent(FilesContent):
    """Files of a visitor or an agent, with links."""

    files: list[LinkedFile] = Field(  # type: ignore[assignment]
        title="Files", description="The files."
    )


class TranscriptMessage(Outgoing):
    """One entry of a transcript. `seq` counts from 1 without gaps."""

    seq: int = Field(title="Number", description="Its place in the conversation, from 1.", ge=1)
    role: MessageRole = Field(title="Role", description="Who speaks.")
    content: Content | LinkedFilesContent = Field(
        title="Content", description="What is said; files carry a signed `url`."
    )
    created_at: str = Field(
        title="Time", description="When, in UTC.", json_schema_extra={"format": "date-time"}
    )
    client_message_id: str | None = Field(
        default=None, title="Client's id", description="Of a visitor's or an agent's message."
    )
    reply_to: str | None = Field(
        default=None, title="Answers", description="The client's id of the message it answers."
    )
    node_id: str | None = Field(default=None, title="Node", description="The node that said it.")
    stream_id: str | None = Field(
        default=None, title="Stream", description="Under which its tokens were streamed, if they were."
    )
    agent: Agent | None = Field(default=None, title="Agent", description="The agent who said it.")
    typing_seconds: float = Field(default=0, title="Typing pause", description="To show before it appears.")


class TeamTranscriptMessage(TranscriptMessage):
    """One entry of a transcript as the team reads it: also what a language model took."""

    usage: ModelUsage | None = Field(
        default=None, title="Usage", description="What the language model took, if one wrote it."
    )


_NOT_FOR_VISITORS = {"usage"}


def message_json(message: Message, tokens: Tokens) -> dict[str, Any]:
    """Return a message as visitors get it: plain JSON, each file with a signed link."""
    return _linked(message.model_dump(mode="json", exclude=_NOT_FOR_VISITORS), tokens)


def team_message_json(message: Message, tokens: Tokens) -> dict[str, Any]:
    """Return a message as the team gets it: as visitors do, and what a language model took."""
    return _linked(message.model_dump(mode="json"), tokens)


def _linked(data: dict[str, Any], tokens: Tokens) -> dict[str, Any]:
    content = data["content"]
    if content["type"] == "files":
        for file in content["files"]:
            file["url"] = tokens.file_link(file["id"])
    return data


SafeName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
