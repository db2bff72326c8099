"""Every setting of the platform, and the only place that reads the environment.

A setting that the platform's `.env` has always had keeps its name there (DATABASE_URL, SECRET_KEY,
OPENAI_API_KEY, ...); every other one is named VERSAAI_ and the field in upper case. Values come from the
arguments, then the environment, then `.env` in the working directory, then the defaults. The page
docs/settings.md is rendered from this module by `core/settings_page.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "VERSAAI_"
ENV_FILE = Path(".env")

PLAIN_NAMES = frozenset(
    {
        "APP_NAME", "APP_ENV", "APP_DEBUG", "APP_URL", "API_URL", "DATABASE_URL", "SECRET_KEY",
        "ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "GROQ_API_KEY", "GROQ_BASE_URL", "MISTRAL_API_KEY",
        "MISTRAL_BASE_URL", "OLLAMA_BASE_URL", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_USE_TLS",
        "EMAIL_USE_SSL", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "DEFAULT_FROM_EMAIL",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_STORAGE_BUCKET_NAME", "AWS_S3_REGION_NAME",
        "AWS_S3_ENDPOINT_URL", "MEDIA_ROOT", "JWT_SECRET_KEY", "JWT_ACCESS_TOKEN_LIFETIME",
        "JWT_REFRESH_TOKEN_LIFETIME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE",
    }
)  # fmt: skip
"""Environment names that carry no prefix."""


def environment_name(field: str) -> str:
    """Return the environment variable that holds a field."""
    plain = field.upper()
    return plain if plain in PLAIN_NAMES else PREFIX + plain


class AppEnv(StrEnum):
    """What the process is run for; production refuses weak or missing secrets."""

    development = "development"
    test = "test"
    production = "production"


class Registration(StrEnum):
    """Who may register."""

    open = "open"
    invited = "invited"
    closed = "closed"


class LogFormat(StrEnum):
    """How log lines are written: `auto` means colours on a terminal, JSON elsewhere."""

    auto = "auto"
    console = "console"
    json = "json"


CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """The platform's settings. Immutable; tests build one with keyword arguments."""

    model_config = SettingsConfigDict(
        alias_generator=environment_name,
        populate_by_name=True,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # Application
    app_name: str = Field(
        "VersaAI Platform", title="Name", description="Name shown on the API's pages.", max_length=100
    )
    app_env: AppEnv = Field(
        AppEnv.development,
        title="Environment",
        description="`production` refuses to start with weak or missing secrets.",
    )
    app_debug: bool = Field(
        False,
        title="Debug",
        description="Writes the log at level `DEBUG`, each request among it; answers stay as they are.",
    )
    app_url: str = Field(
        "http://localhost:8000",
        title="Application address",
        description="Public address of the dashboard and chat pages, without a slash at the end.",
    )
    api_url: str = Field(
        "http://localhost:8000",
        title="API address",
        description="Public address of the API; callback and file links begin with it.",
    )
    allowed_hosts: CommaSeparated = Field(
        ("*",),
        title="Host names",
        description="Comma-separated Host headers that the API answers to; `*` means any.",
    )
    cors_allowed_origins: CommaSeparated = Field(
        ("*",),
        title="CORS origins",
        description="Comma-separated origins that may call the widget's endpoints; `*` means any site.",
    )
    data_dir: Path = Field(
        Path(".versaai"),
        title="Data folder",
        description="Where the embedded servers, files, logs and generated secrets lie.",
    )

    # Secrets
    secret_key: SecretStr = Field(
        SecretStr(""),
        title="Secret key",
        description="At least 32 characters. Encrypts stored secrets and signs tokens and links. "
        "`versaai up` makes one on its first start.",
    )
    secret_key_previous: CommaSeparated = Field(
        (),
        title="Earlier secret keys",
        description="Comma-separated; still read after a rotation, never used for new values.",
        repr=False,
    )
    bootstrap_api_key: SecretStr = Field(
        SecretStr(""),
        title="First API key",
        description="A key (`vk_...`) with an owner's rights in the first organization; `versaai up` makes "
        "one on its first start.",
    )

    # Accounts
    registration: Registration = Field(
        Registration.open,
        title="Registration",
        description="Who may register once there is an account: `open` anybody, `invited` those with an "
        "invitation, `closed` nobody.",
    )
    jwt_secret_key: SecretStr = Field(
        SecretStr(""),
        title="Access token key",
        description="Signs access tokens; at least 32 characters. Empty means a key derived from SECRET_KEY.",
    )
    jwt_access_token_lifetime: float = Field(
        24.0, title="Access token lifetime, h", description="How long an access token works.", gt=0, le=720
    )
    jwt_refresh_token_lifetime: float = Field(
        168.0,
        title="Session lifetime, h",
        description="How long a session lasts without being refreshed.",
        gt=0,
        le=8760,
    )
    session_cookie_secure: bool | None = Field(
        None,
        title="Session cookie over TLS",
        description="Send the session cookie over HTTPS alone; empty means if API_URL begins with https.",
    )
    csrf_cookie_secure: bool | None = Field(
        None,
        title="CSRF cookie over TLS",
        description="As above, for the cookie with the CSRF token.",
    )
    password_min_length: int = Field(
        10, title="Password length", description="Fewest characters of a password.", ge=8, le=64
    )
    verification_hours: float = Field(
        48.0, title="Verification, h", description="How long the link in a verification e-mail works.", gt=0
    )
    password_reset_minutes: float = Field(
        60.0, title="Password reset, min", description="How long the link to a new password works.", gt=0
    )
    invitation_days: float = Field(
        7.0, title="Invitation, d", description="How long an invitation can be accepted.", gt=0, le=365
    )
    max_avatar_bytes: int = Field(
        5 * 1024 * 1024, title="Avatar size", description="Bytes of an uploaded avatar.", ge=1024, le=1 << 26
    )
    default_plan: str = Field(
        "free",
        title="Plan",
        description="Plan of new organizations: `free`, `pro`, `business` or `unlimited`.",
        pattern="^(free|pro|business|unlimited)$",
    )

    # Database
    database_url: str = Field(
        "postgresql://versaai@localhost:5432/versaai",
        title="PostgreSQL address",
        description="`postgresql://user:password@host:port/database`, PostgreSQL 15 or later with pgvector.",
        repr=False,
    )
    database_pool_size: int = Field(
        10, title="Connections kept", description="Open connections a process keeps.", ge=1, le=500
    )
    database_pool_overflow: int = Field(
        10,
        title="Connections beyond",
        description="Connections beyond the kept ones under load.",
        ge=0,
        le=500,
    )

    # Temporal
    temporal_address: str = Field(
        "localhost:7233", title="Temporal address", description="`host:port` of the Temporal frontend."
    )
    temporal_namespace: str = Field(
        "default", title="Temporal namespace", description="Namespace of all workflows.", min_length=1
    )
    temporal_ui_url: str = Field(
        "http://localhost:8233", title="Temporal UI", description="Address of the Temporal Web UI, for links."
    )
    temporal_tls: bool = Field(False, title="Temporal over TLS", description="Connect to Temporal with TLS.")
    temporal_api_key: SecretStr = Field(
        SecretStr(""), title="Temporal API key", description="Sent to Temporal; implies TLS."
    )
    temporal_retention_days: int = Field(
        90,
        title="Retention",
        description="Days that closed conversations stay in the embedded Temporal server.",
        ge=1,
        le=3650,
    )

    # Workers
    worker_max_cached_workflows: int = Field(
        5000,
        title="Cached conversations",
        description="Conversations that a worker keeps in memory, 56-70 KiB each; 0 replays every turn.",
        ge=0,
        le=100_000,
    )
    worker_max_concurrent_workflow_tasks: int = Field(
        100,
        title="Workflow tasks at once",
        description="Turns that a worker computes at once.",
        ge=2,
        le=10_000,
    )
    worker_max_concurrent_activities: int = Field(
        100, title="Activities at once", description="Effects that a worker runs at once.", ge=1, le=10_000
    )
    worker_max_concurrent_local_activities: int = Field(
        100, title="Local activities at once", description="Short effects run inside a turn.", ge=1, le=10_000
    )
    worker_sticky_timeout_seconds: float = Field(
        1.0,
        title="Sticky queue timeout, s",
        description="How long a turn waits for the worker that had the conversation in memory before another "
        "takes it over.",
        gt=0,
        le=60,
    )
    worker_shutdown_seconds: float = Field(
        5.0,
        title="Worker grace, s",
        description="How long running effects may end on shutdown.",
        ge=0,
        le=600,
    )
    worker_sandbox: bool = Field(
        False,
        title="Workflow sandbox",
        description="Run workflows in the SDK's sandbox, which finds nondeterminism and costs 9.5 ms of CPU "
        "per new conversation. On in tests.",
    )

    continue_as_new_after_turns: int | None = Field(
        None,
        title="New run after, turns",
        description="For developers: moves each new conversation to a new run of its workflow after so many "
        "turns, as long conversations do by themselves. Visitors can't notice.",
        ge=1,
        le=1000,
    )

    # Models
    default_model: str = Field(
        "",
        title="Default model",
        description="`provider/model` of bots that name none; empty means the first fast model whose key is "
        "set, else the built-in answerer.",
        max_length=120,
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""), title="OpenAI key", description="Enables OpenAI's models."
    )
    openai_org_id: str = Field("", title="OpenAI organization", description="Sent with each OpenAI request.")
    openai_base_url: str = Field(
        "", title="OpenAI address", description="Another address with OpenAI's API; empty means OpenAI's own."
    )
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), title="Anthropic key", description="Enables Anthropic's models."
    )
    anthropic_base_url: str = Field(
        "", title="Anthropic address", description="Another address; empty means Anthropic's own."
    )
    groq_api_key: SecretStr = Field(SecretStr(""), title="Groq key", description="Enables Groq's models.")
    groq_base_url: str = Field(
        "", title="Groq address", description="Another address; empty means Groq's own."
    )
    mistral_api_key: SecretStr = Field(
        SecretStr(""), title="Mistral key", description="Enables Mistral's models."
    )
    mistral_base_url: str = Field(
        "https://api.mistral.ai/v1", title="Mistral address", description="Address of Mistral's API."
    )
    ollama_base_url: str = Field(
        "",
        title="Ollama address",
        description="Address of an Ollama server (`http://localhost:11434/v1`); empty switches it off.",
    )

    # E-mail
    email_host: str = Field("", title="SMTP host", description="Empty switches sending of e-mail off.")
    email_port: int = Field(587, title="SMTP port", description="Port of the SMTP server.", ge=1, le=65535)
    email_use_tls: bool = Field(True, title="STARTTLS", description="Upgrade the connection by STARTTLS.")
    email_use_ssl: bool = Field(False, title="TLS", description="Speak TLS from the first byte (port 465).")
    email_host_user: str = Field("", title="SMTP user", description="Empty means no login.")
    email_host_password: SecretStr = Field(
        SecretStr(""), title="SMTP password", description="Password of the SMTP user."
    )
    default_from_email: str = Field(
        "VersaAI Platform <noreply@localhost>",
        title="Sender",
        description="From address of all e-mails.",
    )

    # Files
    media_root: Path | None = Field(
        None,
        title="File folder",
        description="Where files lie on disk; empty means `files` in the data folder.",
    )
    storage_url: str = Field(
        "",
        title="Storage address",
        description="`file:///folder` or `s3://bucket/prefix`; empty means the bucket below if one is named, "
        "else the file folder.",
        pattern=r"^$|^(file|s3|memory)://",
    )
    aws_access_key_id: SecretStr = Field(
        SecretStr(""), title="AWS key id", description="For S3 storage; empty uses the machine's role."
    )
    aws_secret_access_key: SecretStr = Field(
        SecretStr(""), title="AWS secret key", description="For S3 storage."
    )
    aws_storage_bucket_name: str = Field("", title="S3 bucket", description="Bucket for files.")
    aws_s3_region_name: str = Field("us-east-1", title="S3 region", description="Region of the bucket.")
    aws_s3_endpoint_url: str = Field(
        "", title="S3 address", description="Address of an S3-compatible server; empty means AWS."
    )
    max_upload_bytes: int = Field(
        20 * 1024 * 1024, title="File size", description="Bytes of one uploaded file.", ge=1, le=1 << 32
    )
    max_conversation_files: int = Field(
        100, title="Files of a conversation", description="Files that visitors may upload into one.", ge=1
    )
    max_conversation_file_bytes: int = Field(
        200 * 1024 * 1024,
        title="File bytes of a conversation",
        description="Bytes of all files that visitors upload into one conversation.",
        ge=1,
        le=1 << 40,
    )
    file_link_seconds: int = Field(
        3600,
        title="File link lifetime, s",
        description="How long a signed file link works.",
        ge=10,
        le=604_800,
    )

    # Limits
    max_message_chars: int = Field(
        8_000, title="Message length", description="Characters of one visitor message.", ge=1, le=8_000
    )
    max_request_bytes: int = Field(
        1024 * 1024,
        title="Request size",
        description="Bytes of a request body that is not a file.",
        ge=1024,
        le=1 << 28,
    )
    max_flow_bytes: int = Field(
        1_500_000,
        title="Flow size",
        description="Bytes of a published flow; Temporal takes 2 MB a payload.",
        ge=1024,
        le=2_000_000,
    )
    visitor_token_seconds: int = Field(
        30 * 24 * 3600,
        title="Visitor token lifetime, s",
        description="How long a visitor may come back to a conversation.",
        ge=60,
    )
    opening_token_seconds: int = Field(
        24 * 3600,
        title="Opening lifetime, s",
        description="How long the opening of a conversation may be retried; less than Temporal's retention.",
        ge=60,
    )
    reply_wait_seconds: float = Field(
        25.0,
        title="Reply wait, s",
        description="How long a request waits for the bot before it is answered 202.",
        gt=0,
        le=120,
    )
    max_concurrent_openings: int = Field(
        4,
        title="Openings at once",
        description="Conversations that one API process opens at once; the rest queue for milliseconds.",
        ge=1,
        le=1000,
    )
    rate_limit_visitor_per_minute: int = Field(
        1_200, title="Visitor rate", description="Messages a minute and conversation; 0 means no limit.", ge=0
    )
    rate_limit_address_per_minute: int = Field(
        30_000,
        title="Address rate",
        description="Widget requests a minute and address; 0 means no limit.",
        ge=0,
    )
    rate_limit_key_per_minute: int = Field(
        6000, title="API key rate", description="Requests a minute and API key; 0 means no limit.", ge=0
    )
    rate_limit_sign_in_per_minute: int = Field(
        60,
        title="Sign-in rate",
        description="Requests without credentials to the account endpoints, a minute and address; 0 means "
        "no limit. Failed sign-ins are slowed besides.",
        ge=0,
    )
    trusted_proxies: CommaSeparated = Field(
        ("127.0.0.1", "::1"),
        title="Trusted proxies",
        description="Comma-separated addresses whose X-Forwarded-For is believed.",
    )

    # Calls to other servers
    outbound_allow_private: bool = Field(
        False,
        title="Private addresses",
        description="Let flows call loopback, link-local and private addresses.",
    )
    outbound_allowed_hosts: CommaSeparated = Field(
        (),
        title="Allowed hosts",
        description="Comma-separated `host` or `host:port` that flows may call even on a private address.",
    )
    outbound_max_response_bytes: int = Field(
        1024 * 1024,
        title="Response size",
        description="Bytes that are read of another server's answer.",
        ge=1024,
        le=1 << 26,
    )

    demo_services_url: str = Field(
        "",
        title="Demo services",
        description="Address of the order service that the demo bots call; `versaai up --demo` sets it.",
    )

    # Logging
    log_level: str = Field(
        "INFO", title="Log level", description="Least level written.", pattern="^(DEBUG|INFO|WARNING|ERROR)$"
    )
    log_format: LogFormat = Field(
        LogFormat.auto, title="Log format", description="`console`, `json`, or `auto` by the terminal."
    )

    @field_validator(
        "allowed_hosts", "cors_allowed_origins", "secret_key_previous", "trusted_proxies",
        "outbound_allowed_hosts", mode="before",
    )  # fmt: skip
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_level(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("app_url", "api_url", "temporal_ui_url", mode="after")
    @classmethod
    def _no_final_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.app_env is AppEnv.production and len(self.secret_key.get_secret_value()) < 32:
            raise ValueError("production needs a SECRET_KEY of at least 32 characters")
        if 0 < len(self.jwt_secret_key.get_secret_value()) < 32:
            raise ValueError("JWT_SECRET_KEY needs at least 32 characters")
        if self.email_use_tls and self.email_use_ssl:
            raise ValueError("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other")
        if self.opening_token_seconds >= self.temporal_retention_days * 86_400:
            raise ValueError("an opening must expire before Temporal's retention ends")
        return self

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The present secret key and the earlier ones, present first; empty when none is set."""
        present = self.secret_key.get_secret_value()
        return (present, *self.secret_key_previous) if present else ()

    @property
    def sends_session_securely(self) -> bool:
        """Whether the session cookie is for HTTPS alone."""
        chosen = self.session_cookie_secure
        return self.api_url.startswith("https://") if chosen is None else chosen

    @property
    def sends_csrf_securely(self) -> bool:
        """Whether the cookie with the CSRF token is for HTTPS alone."""
        chosen = self.csrf_cookie_secure
        return self.api_url.startswith("https://") if chosen is None else chosen

    @property
    def sqlalchemy_url(self) -> str:
        """`database_url` with the asyncpg driver named, as SQLAlchemy wants it."""
        scheme, separator, rest = self.database_url.partition("://")
        if scheme in {"postgres", "postgresql"}:
            return f"postgresql+asyncpg{separator}{rest}"
        return self.database_url

    @property
    def files_url(self) -> str:
        """Where files are stored, as one URL: `storage_url`, else the S3 bucket, else the file folder."""
        if self.storage_url:
            return self.storage_url
        if self.aws_storage_bucket_name:
            return f"s3://{self.aws_storage_bucket_name}"
        return (self.media_root or self.data_dir / "files").absolute().as_uri()

    def secret_values(self) -> frozenset[str]:
        """Every secret string in the settings, for redaction."""
        values = {
            value.get_secret_value() for value in self.__dict__.values() if isinstance(value, SecretStr)
        }
        values.update(self.secret_key_previous)
        values.discard("")
        return frozenset(values)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings, read once. Raises pydantic's ValidationError naming what is wrong."""
    return Settings()


def load_settings(fallback: Mapping[str, str]) -> Settings:
    """Read settings with `fallback` (environment names to values) beneath the environment and `.env`.

    Commands use it to find a platform that `versaai up` started in another terminal. The result also
    becomes what `get_settings` returns.
    """
    given = {**dotenv_values(ENV_FILE), **os.environ}
    for name, value in fallback.items():
        if not given.get(name):
            os.environ[name] = value
    get_settings.cache_clear()
    return get_settings()


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `overrides`, for a child process."""
    return {**os.environ, **overrides}
