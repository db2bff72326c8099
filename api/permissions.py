"""Who may do what: the one table of permissions, roles and operations.

A permission names the roles that have it and the operations (routes, by their names) that need it. Routes
are refused unless they stand here, so that a new one can't be forgotten; docs/permissions.md is rendered
from this module by `python -m api.permissions_page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a member is in an organization. `member` is the default and has an editor's rights."""

    owner = "owner"
    admin = "admin"
    editor = "editor"
    agent = "agent"
    viewer = "viewer"
    member = "member"


@dataclass(frozen=True)
class Permission:
    """A right. With `for_keys` false no API key can have it, only people (and the bootstrap key)."""

    name: str
    about: str
    roles: frozenset[Role]
    operations: tuple[str, ...]
    for_keys: bool = True


_OWNER = frozenset({Role.owner})
_ADMINS = _OWNER | {Role.admin}
_EDITORS = _ADMINS | {Role.editor, Role.member}
_AGENTS = _EDITORS | {Role.agent}
_ALL = frozenset(Role)

PERMISSIONS: Final = (
    Permission(
        "organization.read",
        "See the organization, its members and what it has used.",
        _ALL,
        ("get_organization", "list_members", "get_usage"),
    ),
    Permission(
        "organization.update", "Change name, settings and profile.", _ADMINS, ("update_organization",)
    ),
    Permission(
        "organization.delete",
        "Delete the organization with everything in it.",
        _OWNER,
        ("delete_organization",),
        for_keys=False,
    ),
    Permission(
        "members.manage",
        "Invite, change roles and grants, remove. Only owners make or unmake owners.",
        _ADMINS,
        ("invite_member", "update_member", "remove_member", "list_invitations", "withdraw_invitation"),
        for_keys=False,
    ),
    Permission(
        "keys.manage",
        "Make, list and revoke API keys.",
        _ADMINS,
        ("list_api_keys", "create_api_key", "revoke_api_key"),
        for_keys=False,
    ),
    Permission(
        "sso.manage",
        "Configure single sign-on: whoever runs the provider can act as any member.",
        _OWNER,
        ("get_sso_provider", "put_sso_provider", "delete_sso_provider"),
        for_keys=False,
    ),
    Permission(
        "bots.read",
        "See bots, versions and texts; judge flows.",
        _ALL,
        (
            "list_chatbots",
            "get_chatbot",
            "list_versions",
            "get_version",
            "validate_flow",
            "list_response_templates",
        ),
    ),
    Permission("bots.write", "Make and change bots.", _EDITORS, ("create_chatbot",)),
    Permission(
        "flows.publish",
        "Publish and deploy flows, and the texts they refer to.",
        _EDITORS,
        ("publish_version", "put_response_template", "delete_response_template"),
    ),
    Permission("secrets.read", "See the names of secrets.", _EDITORS, ("list_secrets", "get_secret")),
    Permission("secrets.write", "Store and delete secrets.", _ADMINS, ("put_secret", "delete_secret")),
    Permission(
        "conversations.read",
        "Read conversations.",
        _ALL,
        (
            "list_conversations",
            "get_conversation",
            "list_conversation_messages",
            "get_conversation_path",
        ),
    ),
    Permission(
        "conversations.act",
        "Write to visitors, take over, hand back, mend.",
        _AGENTS,
        ("send_agent_message", "act_on_conversation", "upload_agent_file"),
    ),
)

ACCOUNT: Final = (
    "logout",
    "get_session",
    "change_password",
    "list_sessions",
    "end_session",
    "end_other_sessions",
    "set_up_two_factor",
    "verify_two_factor",
    "disable_two_factor",
    "get_backup_codes",
    "regenerate_backup_codes",
    "get_profile",
    "update_profile",
    "upload_avatar",
    "delete_avatar",
    "delete_account",
    "list_organizations",
    "create_organization",
    "switch_organization",
    "leave_organization",
    "accept_invitation",
)
"""Operations on one's own account: anybody who is signed in, nobody with an API key."""

PUBLIC: Final = (
    "register",
    "login",
    "refresh",
    "verify_email",
    "resend_verification",
    "forgot_password",
    "reset_password",
    "begin_single_sign_on",
    "finish_single_sign_on",
    "get_invitation",
    "get_avatar",
    "list_plans",
    "list_public_bots",
    "get_widget_config",
    "get_widget_status",
    "send_chat_message",
    "list_visitor_messages",
    "follow_visitor_events",
    "upload_visitor_file",
    "get_file",
    "post_callback",
    "put_callback",
    "get_callback",
    "get_liveness",
    "get_readiness",
)
"""Operations without a credential of the team: for visitors, mailed links, signed links, load balancers."""

BY_NAME: Final[Mapping[str, Permission]] = {permission.name: permission for permission in PERMISSIONS}
BY_OPERATION: Final[Mapping[str, Permission]] = {
    operation: permission for permission in PERMISSIONS for operation in permission.operations
}
NAMES: Final = frozenset(BY_NAME)
KEY_SCOPES: Final = frozenset(permission.name for permission in PERMISSIONS if permission.for_keys)

_OF_ROLE: Final[Mapping[str, frozenset[str]]] = {
    role.value: frozenset(permission.name for permission in PERMISSIONS if role in permission.roles)
    for role in Role
}


def permissions_of(role: str, grants: Mapping[str, object] | Iterable[str] = ()) -> frozenset[str]:
    """Return what a role may do, and the single grants beside it (a map of names to true, or names)."""
    given = {name for name in grants if not isinstance(grants, Mapping) or grants[name] is True}
    return _OF_ROLE.get(role, frozenset()) | (given & NAMES)
