"""Renders docs/permissions.md from the table of permissions: `python -m api.permissions_page`."""

from __future__ import annotations

from pathlib import Path

from api.permissions import ACCOUNT, PERMISSIONS, PUBLIC, Role


def render_permissions_page() -> str:
    """Return docs/permissions.md: role by permission, and permission by operation."""
    roles = list(Role)
    lines = [
        "# Permissions",
        "",
        "Rendered from `api/permissions.py`, which the API reads, by `python -m api.permissions_page`; a",
        "test compares the two. Roles belong to a membership: one may be an owner here and a viewer there.",
        "`member` is the default role and has an editor's rights. A single grant in a member's `permissions`",
        '(`{"secrets.write": true}`) adds one permission to the role. An API key has the permissions it was',
        "made with, never those marked *people*; the bootstrap key has all in the first organization.",
        "",
        "| permission | " + " | ".join(roles) + " | what it allows |",
        "|---|" + "---|" * len(roles) + "---|",
    ]
    for permission in PERMISSIONS:
        marks = " | ".join("yes" if role in permission.roles else "" for role in roles)
        only = "" if permission.for_keys else " *People.*"
        lines.append(f"| `{permission.name}` | {marks} | {permission.about}{only} |")
    lines += ["", "## Operations", "", "| needs | operations |", "|---|---|"]
    for permission in PERMISSIONS:
        lines.append(f"| `{permission.name}` | {_names(permission.operations)} |")
    lines.append(f"| being signed in | {_names(ACCOUNT)} |")
    lines.append(f"| nothing of the team's | {_names(PUBLIC)} |")
    return "\n".join(lines) + "\n"


def _names(operations: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in operations)


if __name__ == "__main__":
    Path("docs/permissions.md").write_text(render_permissions_page(), encoding="utf-8")
