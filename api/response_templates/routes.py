"""`/api/v1/response-templates`: texts that several flows share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from api.chatbots.schemas import SLUG_PATTERN
from api.dependencies import Parts, Team
from api.problems import documented
from api.response_templates.schemas import TemplateList, TemplateText, TemplateView
from api.routing import slice_router
from core.errors import NotFoundError, UnprocessableError
from database.repositories import ResponseTemplateRepository
from flow_schema.expressions import read_names

router = slice_router("/response-templates", "response templates")

Slug = Annotated[
    str, Path(title="Slug", description="`a-z`, `0-9`, `-`.", pattern=SLUG_PATTERN, examples=["despedida"])
]


@router.get(
    "",
    summary="List response templates",
    response_description="All templates.",
    responses=documented(401, 429, 503),
)
async def list_response_templates(parts: Parts, team: Team) -> TemplateList:
    """Return all templates with their texts."""
    async with parts.database.session() as session:
        found = await ResponseTemplateRepository(session, team.organization_id).list()
    return TemplateList(templates=[TemplateView(slug=slug, text=text) for slug, text in found.items()])


@router.put(
    "/{slug}",
    summary="Store a response template",
    response_description="Stored.",
    status_code=204,
    responses=documented(400, 401, 413, 415, 422, 429, 503),
)
async def put_response_template(slug: Slug, request: TemplateText, parts: Parts, team: Team) -> Response:
    """Store or replace a text. Versions already published keep the text they were published with.

    A text whose formulas can't be read is refused; whether a flow has the variables that they read is judged
    when the flow is published.
    """
    texts = {"": request.text} if isinstance(request.text, str) else request.text
    if any("\0" in text for text in texts.values()):
        raise UnprocessableError("A text can't hold NUL characters.")
    errors = [
        {"detail": f"{fault.reason} (in `{fault.expression.strip()[:120]}`)", "language": language or None}
        for language, text in texts.items()
        for fault in read_names(text)[1]
    ]
    if errors:
        raise UnprocessableError(
            f"The text has a formula that can't be read: {errors[0]['detail']}. Correct it; two braces that "
            "are no formula are written `\\{{`.",
            errors=errors,
        )
    async with parts.database.session() as session:
        await ResponseTemplateRepository(session, team.organization_id).set(slug, request.text)
    return Response(status_code=204)


@router.delete(
    "/{slug}",
    summary="Delete a response template",
    response_description="Deleted.",
    status_code=204,
    responses=documented(401, 404, 422, 429, 503),
)
async def delete_response_template(slug: Slug, parts: Parts, team: Team) -> Response:
    """Delete a text; flows that refer to it can't be published until it is back."""
    async with parts.database.session() as session:
        found = await ResponseTemplateRepository(session, team.organization_id).delete(slug)
    if not found:
        raise NotFoundError(f"There is no response template {slug}.")
    return Response(status_code=204)
