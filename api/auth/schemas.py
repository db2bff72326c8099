"""What goes in and out of the account endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints

from api.fields import Incoming, Outgoing
from core.passwords import LONGEST_PASSWORD


def normal_email(text: str) -> str:
    """Return an address in the one form in which accounts keep it. Raises ValueError."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("this is not an e-mail address") from None
    normal = found.normalized.lower()
    if len(normal) > 255:
        raise ValueError("an e-mail address has at most 255 characters")
    return normal


def _plain_line(text: str) -> str:
    if not all(character.isprintable() for character in text):
        raise ValueError("control characters can't be in a name")
    return text


EmailAddress = Annotated[
    str,
    Field(title="E-mail", description="An e-mail address; case does not matter.", max_length=320,
          json_schema_extra={"format": "email"}, examples=["ana@example.com"]),
    AfterValidator(normal_email),
]  # fmt: skip
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_plain_line),
]
Language = Literal["es", "en"]


def _secret(title: str, about: str, longest: int = LONGEST_PASSWORD) -> SecretStr:
    field: SecretStr = Field(title=title, description=about, min_length=1, max_length=longest)
    return field


class Registration(Incoming):
    """A new account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "ana@example.com",
                    "password": "nueve caballos azules",
                    "first_name": "Ana",
                    "last_name": "Pérez",
                    "organization_name": "Tienda Pérez",
                }
            ]
        }
    )

    email: EmailAddress
    password: SecretStr = _secret("Password", "At least VERSAAI_PASSWORD_MIN_LENGTH characters; any will do.")
    first_name: PersonName = Field(title="First name", description="How the person is called.")
    last_name: PersonName = Field(title="Last name", description="The person's family name.")
    organization_name: str | None = Field(
        default=None,
        title="Organization",
        description="Name of an organization to make, whose owner the account is. Left out: named after "
        "the person. The first account of an installation owns the organization that is there.",
        min_length=1,
        max_length=200,
    )
    invitation: str | None = Field(
        default=None,
        title="Invitation",
        description="The token of an invitation to accept at once; no organization is made then.",
        max_length=100,
    )
    language: Language | None = Field(
        default=None, title="Language", description="Of e-mails; left out: by Accept-Language."
    )


class RegistrationReply(Outgoing):
    """What happens next; the same for an address that has an account already, which is told by e-mail."""

    status: Literal["active", "verify_email"] = Field(
        title="Status",
        description="`active`: sign in. `verify_email`: follow the link that was sent first.",
    )
    email: str = Field(title="E-mail", description="The address as accounts keep it.")


class SignIn(Incoming):
    """Credentials."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ana@example.com", "password": "nueve caballos azules"}]}
    )

    email: EmailAddress
    password: SecretStr = _secret("Password", "The account's password.")
    code: str | None = Field(
        default=None,
        title="Second factor",
        description="A code of the authenticator, or a backup code, once `two-factor-required` asks for it.",
        max_length=40,
    )
    session: Literal["token", "cookie"] = Field(
        default="token",
        title="Session",
        description="`token`: an access and a refresh token in the answer. `cookie`: for browsers, a cookie "
        "that scripts can't read; what changes something then needs the CSRF token.",
    )


class UserView(Outgoing):
    """A person."""

    id: str = Field(title="Id", description="A UUID.")
    email: str = Field(title="E-mail", description="The address they sign in with.")
    first_name: str = Field(title="First name", description="How the person is called.")
    last_name: str = Field(title="Last name", description="The family name.")
    phone: str | None = Field(title="Phone", description="A phone number.")
    avatar_url: str | None = Field(title="Avatar", description="Address of the picture.")
    language: str = Field(title="Language", description="Of e-mails and pages.")
    email_verified: bool = Field(title="Verified", description="Whether the address was confirmed.")
    two_factor_enabled: bool = Field(title="Second factor", description="Whether signing in needs a code.")
    last_login: datetime | None = Field(title="Last sign-in", description="When they last signed in.")
    date_joined: datetime = Field(title="Joined", description="When the account was made.")


class MembershipView(Outgoing):
    """An organization that somebody works in."""

    organization_id: str = Field(title="Organization", description="Its id.")
    name: str = Field(title="Name", description="Its name.")
    slug: str = Field(title="Slug", description="Its short name in addresses.")
    role: str = Field(title="Role", description="The person's role there.")
    permissions: list[str] = Field(title="Permissions", description="What the person may do there.")


class SessionReply(Outgoing):
    """A session: who is signed in, and with what to go on."""

    user: UserView = Field(title="Person", description="Who is signed in.")
    organization_id: str | None = Field(
        title="Organization", description="Where the session works; switch to change it."
    )
    organizations: list[MembershipView] = Field(
        title="Organizations", description="All organizations of the person that this session reaches."
    )
    session_id: str = Field(title="Session", description="The session's id.")
    access_token: str | None = Field(
        default=None, title="Access token", description="For `Authorization: Bearer`; null with a cookie."
    )
    token_type: Literal["bearer"] = Field(default="bearer", title="Kind", description="How to send it.")
    expires_in: int | None = Field(
        default=None, title="Lifetime", description="Seconds that the access token works."
    )
    refresh_token: str | None = Field(
        default=None, title="Refresh token", description="Good once, for the next pair; null with a cookie."
    )
    csrf_token: str | None = Field(
        default=None, title="CSRF token", description="For `X-CSRF-Token`; null without a cookie."
    )


class RefreshRequest(Incoming):
    """What renews a session; empty for a browser, whose cookie does."""

    refresh_token: SecretStr | None = Field(
        default=None, title="Refresh token", description="The newest one of the session.", max_length=100
    )


class TokenRequest(Incoming):
    """The token of a mailed link."""

    token: SecretStr = _secret("Token", "As the link carries it.", 100)


class EmailRequest(Incoming):
    """An address."""

    email: EmailAddress


class NewPassword(Incoming):
    """A password in the place of a forgotten one."""

    token: SecretStr = _secret("Token", "As the link carries it.", 100)
    password: SecretStr = _secret("Password", "The new password.")


class PasswordChange(Incoming):
    """A password in the place of a known one."""

    current_password: SecretStr = _secret("Present password", "The one that holds until now.")
    new_password: SecretStr = _secret("New password", "The one that holds from now on.")


class Done(Outgoing):
    """It was done, or will be if there is anything to do."""

    status: Literal["ok", "accepted"] = Field(
        default="ok", title="Status", description="`accepted`: the same whether there is such an account."
    )


class Verified(Outgoing):
    """An address is confirmed."""

    status: Literal["verified"] = Field(default="verified", title="Status", description="It is confirmed.")
    email: str = Field(title="E-mail", description="The address.")


class SessionView(Outgoing):
    """A place where the person is signed in."""

    id: str = Field(title="Id", description="The session's id.")
    current: bool = Field(title="This one", description="Whether this request belongs to it.")
    kind: Literal["token", "cookie"] = Field(title="Kind", description="A program's or a browser's.")
    address: str = Field(title="Address", description="From where it was begun.")
    user_agent: str = Field(title="Client", description="What the client called itself.")
    created_at: datetime = Field(title="Begun", description="When it was begun.")
    last_used_at: datetime = Field(title="Last used", description="To the minute.")
    expires_at: datetime = Field(title="Ends", description="When it ends unless refreshed.")


class SessionList(Outgoing):
    """Where the person is signed in."""

    sessions: list[SessionView] = Field(title="Sessions", description="The last used first.")


class PasswordConfirmation(Incoming):
    """The password once more, before something weighty."""

    password: SecretStr = _secret("Password", "The account's password.")


class TwoFactorSetup(Outgoing):
    """A second factor that is not on yet: show the picture, keep the codes, then verify."""

    secret: str = Field(title="Secret", description="For authenticators that can't read the picture.")
    uri: str = Field(title="Address", description="The `otpauth:` address in the picture.")
    qr_svg: str = Field(title="Picture", description="The address as a QR code: an SVG in a `data:` URI.")
    backup_codes: list[str] = Field(
        title="Backup codes", description="Ten, each good once in place of a code; not shown again."
    )


class TwoFactorCode(Incoming):
    """A code of the authenticator."""

    code: str = Field(
        title="Code", description="Six digits.", min_length=6, max_length=40, examples=["123456"]
    )


class TwoFactorState(Outgoing):
    """Whether the second factor is on."""

    enabled: bool = Field(title="On", description="Whether signing in needs a code.")


class TwoFactorProof(Incoming):
    """Password and code, before the second factor is changed."""

    password: SecretStr = _secret("Password", "The account's password.")
    code: str = Field(
        title="Code", description="Of the authenticator, or a backup code.", min_length=6, max_length=40
    )


class BackupCodes(Outgoing):
    """How many backup codes there are; they are not shown."""

    total: int = Field(title="All", description="How many were made.")
    remaining: int = Field(title="Left", description="How many were not used.")
    created_at: datetime | None = Field(title="Made", description="When they were made.")


class NewBackupCodes(Outgoing):
    """New backup codes in the place of the old ones."""

    backup_codes: list[str] = Field(title="Backup codes", description="Each good once; not shown again.")
