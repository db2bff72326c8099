"""The application: its parts, its layers, its routes, and the description of all of it.

`create_app` is what the server runs. Connections are made when it starts; one to Temporal is lazy, so that
the API answers (503 where it must) while other parts are still starting.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import mail_page, pages, problems
from api.access_tokens import AccessTokens
from api.account_mail import AccountMails
from api.auth.routes import router as auth
from api.bots import BotDirectory
from api.callbacks.routes import router as callbacks
from api.chatbots.routes import router as chatbots
from api.conversations.routes import router as conversations
from api.files.routes import router as files
from api.flows.routes import router as flows
from api.health.routes import router as health
from api.middleware import BodyRule, CrossOrigin, RequestGate, RequestIdentity
from api.organization import FirstOrganization
from api.organizations.routes import router as organizations
from api.permissions import ACCOUNT, BY_OPERATION
from api.plans import Plans
from api.presence import Presence
from api.problems import Problem
from api.rate_limits import RateLimits
from api.resources import Background, Resources
from api.response_templates.routes import router as response_templates
from api.secrets.routes import router as secrets
from api.tokens import Tokens
from api.transcripts import Transcripts
from api.users.routes import router as users
from api.widget.routes import EVENT_MODELS
from api.widget.routes import router as widget
from api.widget.shortcut import ChatShortcut
from core.crypto import Keyring
from core.events import EventBus
from core.files import FileStore
from core.outbound import OutboundClient
from core.settings import Settings, get_settings
from database.database import Database
from database.streams import StreamText
from temporal.gateway import open_gateway

_FLOW_BODY_BYTES = 8 * 1024 * 1024
_CALLBACK_BODY_BYTES = 256 * 1024
_MULTIPART_ROOM = 256 * 1024
_EXPOSED = (
    "X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "Accept-Ranges", "Content-Range",
    "Content-Disposition",
)  # fmt: skip
"""What pages of other sites may read of an answer's headers, besides those that all may."""
_DESCRIPTION = """
Chatbots drawn as flows, whose every conversation is a durable workflow.

- **Visitors** talk through `/api/v1/widget/{chatbot_id}/chat`. The first request opens a conversation and
  its answer carries a token for everything after it.
- **The team** reads and acts through the other paths: people signed in through `/api/v1/auth/login`, with an
  access token or a browser's cookie, and programs with an API key. `x-permission` names what each operation
  needs.
- Every message and action carries an id made by its sender. Sending it again, whatever happened in between,
  gives the same answer and has no second effect.
- Errors are problem documents (RFC 9457) with a stable `type`.
"""
_TAGS = (
    ("widget", "What a visitor's chat client uses."),
    ("auth", "Accounts: registering, signing in and out, passwords, second factors, sessions."),
    ("users", "One's own profile, picture and account."),
    ("organizations", "Organizations, members, invitations, API keys, usage."),
    ("conversations", "What the team reads and does."),
    ("chatbots", "Bots and the versions of their flows."),
    ("flows", "Judging flows without storing them."),
    ("files", "Uploads and what their links serve."),
    ("callbacks", "One-time addresses by which other systems wake conversations."),
    ("secrets", "Values that flows name and nobody reads back."),
    ("response templates", "Texts that several flows share."),
    ("health", "For load balancers and supervisors."),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application with the given settings, those of the environment by default."""
    chosen = settings or get_settings()
    app = FastAPI(
        title=chosen.app_name,
        version=_version(),
        description=_DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in _TAGS],
        lifespan=_lifespan(chosen),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    problems.install(app)
    api = APIRouter(prefix="/api/v1")
    for router in (
        widget, auth, users, organizations, conversations, chatbots, flows, files, callbacks, secrets,
        response_templates,
    ):  # fmt: skip
        api.include_router(router)
    app.include_router(api)
    app.include_router(health)
    app.include_router(pages.router)
    app.include_router(mail_page.router)
    app.router.routes.insert(0, ChatShortcut())
    app.add_middleware(
        RequestGate,
        rules=_body_rules(chosen),
        default_limit=chosen.max_request_bytes,
        hosts=chosen.allowed_hosts,
    )
    app.add_middleware(
        CrossOrigin,
        allow_origins=list(chosen.cors_allowed_origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
        max_age=600,
    )
    app.add_middleware(RequestIdentity)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _body_rules(settings: Settings) -> tuple[BodyRule, ...]:
    return (
        BodyRule(
            re.compile(r"^/api/v1/(widget|conversations)/[^/]+/files$"),
            settings.max_upload_bytes + _MULTIPART_ROOM,
            streamed=True,
        ),
        BodyRule(
            re.compile(r"^/api/v1/users/upload-avatar$"),
            settings.max_avatar_bytes + _MULTIPART_ROOM,
            streamed=True,
        ),
        BodyRule(re.compile(r"^/api/v1/(chatbots/[^/]+/versions|flows/validate)$"), _FLOW_BODY_BYTES),
        BodyRule(re.compile(r"^/api/v1/callbacks/"), _CALLBACK_BODY_BYTES),
    )


def _lifespan(settings: Settings) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = await open_resources(settings)
        app.state.resources = parts
        parts.mails.start()
        try:
            yield
        finally:
            await parts.mails.close()
            await parts.outbound.close()
            await parts.background.close()
            await parts.events.close()
            await parts.database.close()

    return lifespan


async def open_resources(settings: Settings) -> Resources:
    """Make the process's parts. Raises ConfigurationError without a usable secret key."""
    keyring = Keyring(settings.secret_keys)
    database = Database(settings.database_url, settings.database_pool_size, settings.database_pool_overflow)
    events = EventBus(settings.database_url)
    await events.start()
    gateway = await open_gateway(settings)
    organization = FirstOrganization(database)
    return Resources(
        settings=settings,
        keyring=keyring,
        tokens=Tokens(
            keyring,
            lifetime_seconds=settings.visitor_token_seconds,
            file_link_seconds=settings.file_link_seconds,
            api_url=settings.api_url,
        ),
        access_tokens=AccessTokens(settings, keyring),
        limits=RateLimits(settings),
        database=database,
        events=events,
        files=FileStore.from_settings(settings),
        gateway=gateway,
        organization=organization,
        mails=AccountMails(settings, database),
        plans=Plans(database),
        outbound=OutboundClient.from_settings(settings),
        bots=BotDirectory(database, organization),
        transcripts=Transcripts(database, gateway),
        presence=Presence(gateway),
        streams=StreamText(database, events),
        background=Background(),
    )


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    try:
        return version("versaai")
    except PackageNotFoundError:
        return "0.0.0"


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the models that only errors and events use."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    _, definitions = models_json_schema(
        [(model, "serialization") for model in (Problem, *EVENT_MODELS)],
        ref_template="#/components/schemas/{model}",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in definitions.get("$defs", {}).items():
        schemas.setdefault(name, schema)
    for operation in (one for methods in document["paths"].values() for one in methods.values()):
        if "application/json" in operation["responses"].get("422", {}).get("content", {}):
            operation["responses"]["422"] = problems.documented(422)[422]
        _describe_permission(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    app.openapi_schema = document
    return document


def _describe_permission(operation: dict[str, Any]) -> None:
    """Say what an operation needs, and that it is refused without."""
    needed = BY_OPERATION.get(operation["operationId"])
    if needed is not None:
        operation["x-permission"] = needed.name
        operation["description"] += f"\n\nNeeds the permission `{needed.name}`."
    if needed is not None or operation["operationId"] in ACCOUNT:
        operation["responses"].setdefault("403", problems.documented(403)[403])
