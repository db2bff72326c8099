"""`/api/v1/flows`: judges flows without storing them."""

from __future__ import annotations

from api.chatbots.service import find_bot
from api.dependencies import Parts, Team
from api.flows.publishing import context_for, judge
from api.flows.schemas import FlowToValidate, ValidationReport
from api.problems import documented
from api.routing import slice_router
from flow_schema.flow import content_hash
from flow_schema.validation import has_errors

router = slice_router("/flows", "flows")


@router.post(
    "/validate",
    summary="Judge a flow",
    response_description="Every finding, errors first.",
    responses=documented(400, 401, 404, 413, 415, 422, 429, 503),
)
async def validate_flow(request: FlowToValidate, parts: Parts, team: Team) -> ValidationReport:
    """Return everything that is wrong with a flow, as publishing would find it. Stores nothing."""
    async with parts.database.session() as session:
        bot = None
        if request.chatbot_id is not None:
            bot = await find_bot(session, team.organization_id, request.chatbot_id)
        bot_id = bot.id if bot is not None else None
        context = await context_for(session, team.organization_id, bot_id, request.flow_name)
        flow, findings = judge(request.flow, context, bot)
    return ValidationReport(
        valid=flow is not None and not has_errors(findings),
        content_hash=content_hash(flow) if flow is not None else None,
        findings=findings,
    )
