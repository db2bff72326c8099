"""What goes in and out of the endpoints of organizations."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from api.auth.schemas import EmailAddress
from api.fields import Incoming, Outgoing, SafeName
from api.permissions import Role

SLUG = r"^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?$"


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("this is not a time zone of the IANA database, like `Europe/Madrid`")
    return name


def _website(url: str) -> str:
    if url and not url.lower().startswith(("https://", "http://")):
        raise ValueError("a website begins with https:// or http://")
    return url


Timezone = Annotated[str, AfterValidator(_timezone)]
Website = Annotated[str, AfterValidator(_website)]


class NewOrganization(Incoming):
    """An organization to make."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Tienda Pérez", "timezone": "Europe/Madrid"}]}
    )

    name: SafeName = Field(title="Name", description="Its name.")
    slug: str | None = Field(
        default=None,
        title="Slug",
        description="Short name in addresses; left out: made from the name.",
        pattern=SLUG,
        max_length=100,
    )
    description: str | None = Field(
        default=None, title="Description", description="What it is.", max_length=2_000
    )
    website: Website | None = Field(
        default=None, title="Website", description="Its address on the web.", max_length=500
    )
    industry: str | None = Field(default=None, title="Industry", description="Its line.", max_length=50)
    company_size: str | None = Field(
        default=None, title="Size", description="How many people, in words.", max_length=20
    )
    country: str | None = Field(
        default=None, title="Country", description="ISO 3166 code.", pattern="^[A-Z]{2}$"
    )
    timezone: Timezone = Field(
        default="UTC", title="Time zone", description="Of reports and opening hours.", max_length=50
    )


class OrganizationSettings(Incoming):
    """Settings of an organization."""

    exhausted_text: str | None = Field(
        default=None,
        title="Text when used up",
        description="What visitors read when the plan takes no new conversations.",
        max_length=500,
    )


class OrganizationChange(Incoming):
    """What should change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Tienda Pérez e Hijas"}]})

    name: SafeName | None = Field(default=None, title="Name", description="Its name.")
    slug: str | None = Field(
        default=None, title="Slug", description="Short name in addresses.", pattern=SLUG, max_length=100
    )
    description: str | None = Field(
        default=None, title="Description", description="What it is.", max_length=2_000
    )
    website: Website | None = Field(
        default=None, title="Website", description="Its address on the web.", max_length=500
    )
    industry: str | None = Field(default=None, title="Industry", description="Its line.", max_length=50)
    company_size: str | None = Field(
        default=None, title="Size", description="How many people, in words.", max_length=20
    )
    country: str | None = Field(
        default=None, title="Country", description="ISO 3166 code.", pattern="^[A-Z]{2}$"
    )
    timezone: Timezone | None = Field(
        default=None, title="Time zone", description="Of reports and opening hours.", max_length=50
    )
    settings: OrganizationSettings | None = Field(
        default=None, title="Settings", description="Settings; those left out stay."
    )


class OrganizationView(Outgoing):
    """An organization."""

    id: str = Field(title="Id", description="A UUID.")
    name: str = Field(title="Name", description="Its name.")
    slug: str = Field(title="Slug", description="Short name in addresses.")
    description: str | None = Field(title="Description", description="What it is.")
    website: str | None = Field(title="Website", description="Its address on the web.")
    industry: str | None = Field(title="Industry", description="Its line.")
    company_size: str | None = Field(title="Size", description="How many people, in words.")
    country: str | None = Field(title="Country", description="ISO 3166 code.")
    timezone: str = Field(title="Time zone", description="Of reports and opening hours.")
    subscription_plan: str = Field(title="Plan", description="What it may use.")
    owner_id: str | None = Field(title="Owner", description="Who made it, or took it over.")
    settings: dict[str, Any] = Field(title="Settings", description="Settings by name.")
    created_at: datetime = Field(title="Made", description="When it was made.")
    updated_at: datetime = Field(title="Changed", description="When it was last changed.")


class OwnOrganization(OrganizationView):
    """An organization, and what the person is there."""

    role: Role = Field(title="Role", description="The person's role.")
    permissions: list[str] = Field(title="Permissions", description="What the person may do there.")
    current: bool = Field(title="Current", description="Whether this session works there.")


class OrganizationList(Outgoing):
    """The organizations of a person."""

    organizations: list[OwnOrganization] = Field(title="Organizations", description="The oldest first.")


Grants = Annotated[
    dict[str, Literal[True]],
    Field(
        title="Grants",
        description="Single permissions beside the role: `{name: true}`. The API guide lists the names.",
        max_length=50,
        examples=[{"secrets.write": True}],
    ),
]


class MemberView(Outgoing):
    """A member."""

    user_id: str = Field(title="Person", description="Their id.")
    email: str = Field(title="E-mail", description="Their address.")
    first_name: str = Field(title="First name", description="How they are called.")
    last_name: str = Field(title="Last name", description="Their family name.")
    avatar_url: str | None = Field(title="Avatar", description="Their picture.")
    role: Role = Field(title="Role", description="What they are here.")
    permissions: dict[str, bool] = Field(title="Grants", description="Single permissions beside the role.")
    joined_at: datetime = Field(title="Joined", description="Since when they are here.")
    last_login: datetime | None = Field(title="Last sign-in", description="When they last signed in.")


class MemberList(Outgoing):
    """The members of an organization."""

    members: list[MemberView] = Field(title="Members", description="The longest here first.")


class MemberChange(Incoming):
    """What a member should be; what is left out stays."""

    role: Role | None = Field(default=None, title="Role", description="What they are here.")
    permissions: Grants | None = Field(
        default=None,
        title="Grants",
        description="All single permissions beside the role, in place of the old.",
    )


class NewInvitation(Incoming):
    """Somebody to ask in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "luis@example.com", "role": "editor"}]}
    )

    email: EmailAddress
    role: Role = Field(default=Role.member, title="Role", description="What they will be.")
    permissions: Grants = Field(default_factory=dict, title="Grants", description="Beside the role.")


class InvitationView(Outgoing):
    """An invitation that was not accepted yet."""

    id: str = Field(title="Id", description="A UUID.")
    email: str = Field(title="E-mail", description="Who is asked.")
    role: Role = Field(title="Role", description="What they will be.")
    permissions: dict[str, bool] = Field(title="Grants", description="Beside the role.")
    created_at: datetime = Field(title="Made", description="When they were asked.")
    expires_at: datetime = Field(title="Ends", description="Until when it can be accepted.")


class InvitationList(Outgoing):
    """Open invitations."""

    invitations: list[InvitationView] = Field(title="Invitations", description="Newest first.")


class InvitationOffer(Outgoing):
    """What an invitation offers to whoever has its link."""

    organization: str = Field(title="Organization", description="Its name.")
    email: str = Field(title="E-mail", description="Whom it is for.")
    role: Role = Field(title="Role", description="What they will be.")
    expires_at: datetime = Field(title="Ends", description="Until when it can be accepted.")
    has_account: bool = Field(title="Account", description="Whether to sign in, or to register with it.")


class NewKey(Incoming):
    """An API key to make."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Informe nocturno", "scopes": ["conversations.read"]}]}
    )

    name: SafeName = Field(title="Name", description="What it is for.", max_length=100)
    scopes: list[str] = Field(
        title="Scopes",
        description="Permissions of the key; the maker must have each. docs/permissions.md lists them.",
        min_length=1,
        max_length=50,
    )
    expires_at: datetime | None = Field(
        default=None, title="Ends", description="When it stops working; left out: never."
    )


class KeyView(Outgoing):
    """An API key, without the key."""

    id: str = Field(title="Id", description="A UUID.")
    name: str = Field(title="Name", description="What it is for.")
    hint: str = Field(title="Hint", description="The beginning of the key.")
    scopes: list[str] = Field(title="Scopes", description="What it may do.")
    created_by: str | None = Field(title="Maker", description="Who made it.")
    created_at: datetime = Field(title="Made", description="When it was made.")
    expires_at: datetime | None = Field(title="Ends", description="When it stops working.")
    last_used_at: datetime | None = Field(title="Last used", description="To the minute.")


class CreatedKey(KeyView):
    """A new API key. This is the only time that it is shown."""

    key: str = Field(title="Key", description="For `X-API-Key` or `Authorization: Bearer`; not shown again.")


class KeyList(Outgoing):
    """API keys."""

    keys: list[KeyView] = Field(title="Keys", description="Newest first.")


class UsageItem(Outgoing):
    """One thing that is counted."""

    name: Literal["conversations", "messages", "tokens", "storage", "members"] = Field(
        title="What", description="What is counted; `storage` in bytes."
    )
    used: int = Field(title="Used", description="How much was used.")
    allowed: int | None = Field(title="Allowed", description="How much the plan allows; null: no limit.")
    reached: bool = Field(title="Reached", description="Whether nothing more is taken.")


class UsageView(Outgoing):
    """What an organization has used of its plan."""

    plan: str = Field(title="Plan", description="The plan's name.")
    period_start: date = Field(title="From", description="First day of the month that is counted, in UTC.")
    period_end: date = Field(title="Until", description="Day on which counting begins anew.")
    items: list[UsageItem] = Field(title="Counters", description="One for each limit.")


class PlanView(Outgoing):
    """A plan: what it allows a month. Null means no limit."""

    name: str = Field(title="Name", description="The plan's name.")
    conversations: int | None = Field(title="Conversations", description="New ones a month.")
    messages: int | None = Field(title="Messages", description="A month.")
    tokens: int | None = Field(title="Tokens", description="Of language models, a month.")
    storage: int | None = Field(title="Storage", description="Bytes of files.")
    members: int | None = Field(title="Members", description="People.")


class PlanList(Outgoing):
    """All plans."""

    plans: list[PlanView] = Field(title="Plans", description="The smallest first.")


class SsoSettings(Incoming):
    """An OpenID provider through which members sign in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"issuer": "https://id.example.com", "client_id": "versaai", "domains": ["example.com"]}
            ]
        }
    )

    issuer: str = Field(
        title="Issuer",
        description="The provider's issuer; `/.well-known/openid-configuration` under it is read.",
        max_length=500,
        pattern=r"^https?://[^\s?#]+$",
    )
    client_id: str = Field(
        title="Client", description="As registered at the provider.", min_length=1, max_length=300
    )
    client_secret: SecretStr | None = Field(
        default=None,
        title="Client secret",
        description="Encrypted at rest, never shown. Left out: stays as it is; empty: a public client.",
        max_length=1_000,
    )
    domains: list[str] = Field(
        title="Domains",
        description="Domains of e-mail addresses that the provider speaks for.",
        min_length=1,
        max_length=50,
    )
    default_role: Role = Field(
        default=Role.member, title="Role", description="Of people whom the provider brings; not `owner`."
    )
    creates_accounts: bool = Field(
        default=True, title="New people", description="Whether people unknown here become members."
    )
    enabled: bool = Field(default=True, title="On", description="Whether signing in this way works.")


class SsoView(Outgoing):
    """The OpenID provider of an organization."""

    issuer: str = Field(title="Issuer", description="The provider's issuer.")
    client_id: str = Field(title="Client", description="As registered at the provider.")
    has_client_secret: bool = Field(title="Secret", description="Whether there is a client secret.")
    domains: list[str] = Field(title="Domains", description="Of e-mail addresses that it speaks for.")
    default_role: Role = Field(title="Role", description="Of people whom it brings.")
    creates_accounts: bool = Field(title="New people", description="Whether people unknown here come in.")
    enabled: bool = Field(title="On", description="Whether signing in this way works.")
    login_url: str = Field(title="Sign in", description="Where a browser begins.")
    redirect_uri: str = Field(title="Redirect", description="To register at the provider.")
