"""Publishing: a document becomes a version that never changes, or the list of what is wrong with it.

Used by the API and by the command that publishes the demo bots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import TooLargeError, UnprocessableError
from core.settings import get_settings
from database.repositories import (
    ChatbotRepository,
    FlowVersionRepository,
    ResponseTemplateRepository,
    SecretRepository,
)
from database.tables import Chatbot, FlowVersion
from flow_schema.flow import Flow, canonical_json, content_hash
from flow_schema.nodes.ai import AiNode
from flow_schema.references import templates_used
from flow_schema.templates import TemplateError, resolve_templates
from flow_schema.validation import Finding, ValidationContext, has_errors, read_flow, validate
from llm.catalogue import BUILTIN_MODEL, PROVIDERS, find_model
from llm.credentials import credentials_from_settings
from llm.errors import ModelNotAvailable
from llm.registry import ProviderRegistry

MAIN = "main"
MODELS = frozenset(f"{name}/*" for name in PROVIDERS if name != BUILTIN_MODEL.partition("/")[0]) | {
    BUILTIN_MODEL
}
"""Every model that some provider may serve; which providers have their key is another question."""
_AI_DEFAULTS = "/settings/ai/"


class FlowInvalidError(UnprocessableError):
    """A flow has errors; `findings` lists all of them, warnings included."""

    slug = "flow-invalid"
    title = "The flow can't be published"


@dataclass(frozen=True)
class Published:
    """A version, and what validation found that doesn't block. `created` is False when the newest version
    was this very flow."""

    version: FlowVersion
    warnings: list[Finding]
    created: bool


async def context_for(
    session: AsyncSession, organization_id: UUID, chatbot_id: UUID | None, flow_name: str
) -> ValidationContext:
    """Return what there is around a flow: its bot's other flows, the organization's secrets and templates,
    and the language models that this installation can call."""
    secrets = frozenset(await SecretRepository(session, organization_id).names())
    templates = await ResponseTemplateRepository(session, organization_id).list()
    flows: dict[str, Flow] | None = None
    if chatbot_id is not None:
        versions = FlowVersionRepository(session, organization_id)
        flows = {}
        for slug in await versions.slugs(chatbot_id) - {flow_name}:
            newest = await versions.latest(chatbot_id, slug)
            if newest is not None:
                flows[slug] = Flow.model_validate(newest.flow)
    registry = ProviderRegistry(credentials_from_settings(get_settings()))
    return ValidationContext(
        slug=flow_name,
        flows=flows,
        secrets=secrets,
        templates=templates,
        models=MODELS,
        is_usable_model=registry.is_usable,
    )


def judge(
    document: dict[str, Any], context: ValidationContext, bot: Chatbot | None = None
) -> tuple[Flow | None, list[Finding]]:
    """Return the flow, if the document is one, and everything that is wrong with it.

    With a bot, its AI defaults are judged with the flow wherever that asks a model.
    """
    flow, findings = read_flow(document, context)
    if flow is None:
        return None, findings
    if bot is None or not any(isinstance(node, AiNode) for node in flow.nodes):
        return flow, validate(flow, context)
    given = with_defaults_of(bot, flow)
    return flow, _of_the_bot(validate(given, context), flow)


def _of_the_bot(findings: list[Finding], flow: Flow) -> list[Finding]:
    """Findings about what the bot gave say so. Its instructions may read variables that a flow lacks: they
    are written for all of its flows, and what is missing reads as empty."""
    found = []
    for item in findings:
        name = item.path.removeprefix(_AI_DEFAULTS)
        if name in ("model", "instructions") and getattr(flow.settings.ai, name) is None:
            if item.code == "unknown-variable":
                continue
            words = f"in the bot's own settings: {item.message}"
            item = item.model_copy(update={"message": words, "fix": f"{item.fix} Change it in the bot."})
        found.append(item)
    return found


async def publish(
    session: AsyncSession,
    organization_id: UUID,
    bot: Chatbot,
    document: dict[str, Any],
    *,
    flow_name: str = MAIN,
    note: str | None = None,
    deploy: bool = True,
    max_bytes: int = 1_500_000,
    created_by: UUID | None = None,
) -> Published:
    """Publish a flow of a bot, in the session's transaction.

    Texts of response templates and the bot's AI defaults become part of the version. A flow equal to the
    newest version makes no new one. Raises FlowInvalidError, TooLargeError.
    """
    flow, findings = judge(document, await context_for(session, organization_id, bot.id, flow_name), bot)
    if flow is None or has_errors(findings):
        raise _invalid(findings)
    try:
        known = await ResponseTemplateRepository(session, organization_id).texts(set(templates_used(flow)))
        final = with_defaults_of(bot, resolve_templates(flow, known))
    except TemplateError as error:
        raise FlowInvalidError(str(error), findings=[item.model_dump() for item in findings]) from error
    if len(canonical_json(final)) > max_bytes:
        raise TooLargeError(f"A flow may have at most {max_bytes} bytes.", limit=max_bytes)
    versions = FlowVersionRepository(session, organization_id)
    newest = await versions.latest(bot.id, flow_name)
    created = newest is None or newest.content_hash != content_hash(final)
    version = (
        await versions.publish(bot.id, final, flow_slug=flow_name, note=note, created_by=created_by)
        if newest is None or created
        else newest
    )
    if deploy and flow_name == MAIN and bot.deployed_version_id != version.id:
        await ChatbotRepository(session, organization_id).deploy(bot.id, version.id)
    warnings = [item for item in findings if item.severity == "warning"]
    return Published(version=version, warnings=warnings, created=created)


def with_defaults_of(bot: Chatbot, flow: Flow) -> Flow:
    """Return the flow with the bot's model, instructions and limits where the flow has none of its own."""
    own = flow.settings.ai
    given = {
        "model": _model_of(bot) if own.model is None else None,
        "instructions": bot.system_prompt,
        "temperature": float(bot.temperature) if bot.temperature is not None else None,
        "max_tokens": bot.max_tokens,
    }
    missing = {
        name: value for name, value in given.items() if value is not None and getattr(own, name) is None
    }
    if not missing:
        return flow
    settings = flow.settings.model_copy(update={"ai": own.model_copy(update=missing)})
    return flow.model_copy(update={"settings": settings})


def _model_of(bot: Chatbot) -> str | None:
    """The full id of a bot's model, which may go by a short name such as `llama3-8b-8192`.

    A name of nobody's stays as it is, for `judge` to find.
    """
    if not bot.ai_model:
        return None
    try:
        return find_model(bot.ai_model).id
    except ModelNotAvailable:
        return bot.ai_model


def _invalid(findings: list[Finding]) -> FlowInvalidError:
    errors = [item for item in findings if item.severity == "error"]
    first = f" {errors[0].message}" if errors else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return FlowInvalidError(
        f"The flow has {len(errors)} errors.{first}{more}"
        if len(errors) != 1
        else f"The flow has an error.{first}",
        findings=[item.model_dump() for item in findings],
    )
