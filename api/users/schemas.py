"""What goes in and out of the endpoints of one's own account."""

from __future__ import annotations

from pydantic import ConfigDict, Field, SecretStr

from api.auth.schemas import Language, MembershipView, PersonName, UserView
from api.fields import Incoming, Outgoing
from core.passwords import LONGEST_PASSWORD


class Profile(UserView):
    """A person and where they work."""

    organizations: list[MembershipView] = Field(
        title="Organizations", description="The organizations that this session reaches."
    )


class ProfileChange(Incoming):
    """The profile as it should be; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"first_name": "Ana", "language": "es"}]})

    first_name: PersonName | None = Field(
        default=None, title="First name", description="How the person is called."
    )
    last_name: PersonName | None = Field(default=None, title="Last name", description="The family name.")
    phone: str | None = Field(
        default=None,
        title="Phone",
        description="Digits, spaces and `+ - ( )`; null or empty takes it away.",
        pattern=r"^$|^\+?[0-9 ()\-]{3,19}$",
    )
    language: Language | None = Field(default=None, title="Language", description="Of e-mails and pages.")


class AvatarReply(Outgoing):
    """Where a new picture lies."""

    avatar_url: str = Field(title="Avatar", description="Address of the picture, 256 by 256 pixels.")


class AccountDeletion(Incoming):
    """The password once more, before the account is deleted."""

    password: SecretStr = Field(
        title="Password", description="The account's password.", min_length=1, max_length=LONGEST_PASSWORD
    )
    code: str | None = Field(
        default=None,
        title="Second factor",
        description="A code, where the second factor is on.",
        max_length=40,
    )
