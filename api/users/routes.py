"""`/api/v1/users`: one's own account; `/api/v1/avatars`: what pictures' addresses serve."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Path, Request, Response
from starlette.responses import StreamingResponse

from api.access import Person
from api.auth.sessions import confirm, membership_view, user_view
from api.cookies import clear_session
from api.dependencies import AccountHolder, Parts, SignedInPerson
from api.files.service import receive
from api.problems import documented
from api.resources import Resources
from api.routing import slice_router
from api.users.avatars import MEDIA_TYPE, NAME, square, storage_key, whole
from api.users.schemas import AccountDeletion, AvatarReply, Profile, ProfileChange
from core.errors import ConflictError, NotFoundError, TooLargeError, UnprocessableError
from core.ids import random_token
from database.people import UserRepository
from database.tables import User

router = slice_router("", "users")

_AVATAR_NAME = re.compile(r"/api/v1/avatars/([A-Za-z0-9_-]+)\.webp$")
_MULTIPART: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The picture."}
                    },
                }
            }
        },
    }
}


class LastOwnerError(ConflictError):
    """An organization would be left without an owner; `organizations` names which."""

    slug = "last-owner"
    title = "An organization needs an owner"


@router.get(
    "/users/profile",
    summary="Read one's profile",
    response_description="A person and where they work.",
    responses=documented(401, 403, 429, 503),
)
async def get_profile(parts: Parts, person: SignedInPerson) -> Profile:
    """Return the person who is signed in, and where they work."""
    return await _profile(parts, person, person.user)


@router.put(
    "/users/profile",
    summary="Change one's profile",
    response_description="A person and where they work.",
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503),
)
async def update_profile(body: ProfileChange, parts: Parts, person: AccountHolder) -> Profile:
    """Change names, phone and language; what is left out stays."""
    fields = body.model_dump(exclude_unset=True)
    for name in ("first_name", "last_name", "language"):
        if name in fields and fields[name] is None:
            raise UnprocessableError(f"`{name}` can't be empty.")
    if "phone" in fields:
        fields["phone"] = (fields["phone"] or "").strip() or None
    async with parts.database.session() as session:
        user = await UserRepository(session).change(person.id, **fields)
    return await _profile(parts, person, user or person.user)


@router.post(
    "/users/upload-avatar",
    summary="Upload one's picture",
    response_description="Where a new picture lies.",
    openapi_extra=_MULTIPART,
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503),
)
async def upload_avatar(request: Request, parts: Parts, person: AccountHolder) -> AvatarReply:
    """Take a PNG, JPEG, WebP or GIF picture; it is cut to a square and written anew as WebP."""
    upload = await receive(request)
    try:
        content = await upload.file.read(parts.settings.max_avatar_bytes + 1)
    finally:
        await upload.file.close()
    if len(content) > parts.settings.max_avatar_bytes:
        raise TooLargeError(f"A picture may hold at most {parts.settings.max_avatar_bytes} bytes.")
    picture = await square(content)
    name = random_token("a")
    await parts.files.put_stream(storage_key(name), whole(picture), len(picture))
    url = f"{parts.settings.api_url}/api/v1/avatars/{name}.webp"
    async with parts.database.session() as session:
        users = UserRepository(session)
        known = await users.locked(person.id)
        before = known.avatar_url if known is not None else None
        await users.change(person.id, avatar_url=url)
    await _forget_picture(parts, before)
    return AvatarReply(avatar_url=url)


@router.delete(
    "/users/avatar",
    summary="Delete one's picture",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 429, 503),
)
async def delete_avatar(parts: Parts, person: AccountHolder) -> Response:
    """Delete the picture; nothing happens without one."""
    async with parts.database.session() as session:
        await UserRepository(session).change(person.id, avatar_url=None)
    await _forget_picture(parts, person.user.avatar_url)
    return Response(status_code=204)


@router.delete(
    "/users/account",
    summary="Delete one's account",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def delete_account(
    body: AccountDeletion, request: Request, parts: Parts, person: AccountHolder
) -> Response:
    """Delete the account with its memberships, sessions and credentials, by password.

    409 `last-owner` while an organization has no other owner: make somebody one, or delete it first.
    """
    await confirm(parts, person, body.password.get_secret_value(), body.code, request)
    async with parts.database.session() as session:
        users = UserRepository(session)
        owned = await users.solely_owned(person.id)
        if owned:
            raise LastOwnerError(
                f"You are the only owner of {', '.join(one.name for one in owned)}.",
                organizations=[{"id": str(one.id), "name": one.name} for one in owned],
            )
        await users.delete(person.id)
        await parts.mails.write(session, person.user.email, "deleted", person.user.language)
    parts.mails.hurry()
    await _forget_picture(parts, person.user.avatar_url)
    response = Response(status_code=204)
    clear_session(response)
    return response


@router.get(
    "/avatars/{name}.webp",
    summary="Read a picture",
    response_class=StreamingResponse,
    responses=documented(
        404,
        422,
        503,
        s200={
            "description": "The picture.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
    ),
)
async def get_avatar(
    name: Annotated[str, Path(title="Name", description="As `avatar_url` has it.", max_length=60)],
    parts: Parts,
) -> StreamingResponse:
    """Serve a person's picture. Its address can't be guessed and changes with the picture."""
    if not NAME.fullmatch(name):
        raise NotFoundError("There is no such picture.")
    content = await parts.files.get_stream(storage_key(name))
    return StreamingResponse(
        content,
        media_type=MEDIA_TYPE,
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Disposition": "inline",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )


async def _profile(parts: Resources, person: Person, user: User) -> Profile:
    async with parts.database.session() as session:
        memberships = await UserRepository(session).memberships(person.id)
    return Profile(
        **user_view(user).model_dump(),
        organizations=[
            membership_view(organization, member)
            for organization, member in memberships
            if not person.session.bound or organization.id == person.session.organization_id
        ],
    )


async def _forget_picture(parts: Resources, url: str | None) -> None:
    found = _AVATAR_NAME.search(url or "")
    if found is not None:
        await parts.files.delete(storage_key(found[1]))
