"""What is written and what is told of secrets."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from api.fields import Incoming, Outgoing

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"

RESERVED_NAME = "callback_url"
"""What a waiting step calls its own address in its request."""


class SecretValue(Incoming):
    """A secret's value."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"value": "s3cr3t"}]})

    value: str = Field(
        title="Value",
        description="Encrypted at rest, never shown again.",
        min_length=1,
        max_length=20_000,
        repr=False,
        json_schema_extra={"format": "password", "writeOnly": True},
    )


class SecretView(Outgoing):
    """A secret, without its value."""

    name: str = Field(title="Name", description="Flows write `secrets.NAME`.")


class SecretList(Outgoing):
    """The organization's secrets."""

    secrets: list[SecretView] = Field(title="Secrets", description="By name, without values.")
