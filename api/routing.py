"""Routers whose routes read JSON strictly: no infinities, no NUL characters, no lone surrogates."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from core.errors import RequestError, UnsupportedMediaError
from core.json_values import read_json


class StrictRequest(Request):
    """A request whose JSON is what PostgreSQL and the messages between processes can carry."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = read_json(body.decode())
            except json.JSONDecodeError:
                raise
            except ValueError as error:
                raise RequestError(f"The body can't be read as JSON: {error}.") from None
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its body as `StrictRequest` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            if takes_json:
                media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if media_type and not (media_type.startswith("application/") and media_type.endswith("json")):
                    raise UnsupportedMediaError("Send the body as application/json.")
            try:
                return await handle(StrictRequest(request.scope, request.receive))
            except HTTPException as error:  # the framework wraps whatever reading the body raises
                if isinstance(error.__cause__, RequestError):
                    raise error.__cause__ from None
                raise

        return handle_strictly


def slice_router(prefix: str = "", tag: str = "", *, in_schema: bool = True) -> APIRouter:
    """Return the router of a slice."""
    return APIRouter(
        prefix=prefix,
        tags=[tag] if tag else None,
        route_class=StrictRoute,
        include_in_schema=in_schema,
        strict_content_type=False,
    )
