"""Renders docs/settings.md from the fields of the settings: `python -m core.settings_page`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings import Settings, environment_name


def render_settings_page() -> str:
    """Return docs/settings.md: one row a setting, from the fields themselves."""
    lines = [
        "# Settings",
        "",
        "Read from the environment, then from `.env` in the working directory. Rendered from",
        "`core/settings.py` by `python -m core.settings_page`; a test compares the two.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = _render_default(field.default)
        lines.append(f"| `{environment_name(name)}` | {default} | **{field.title}.** {field.description} |")
    return "\n".join(lines) + "\n"


def _render_default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`" if value not in ("", None) else "empty"


if __name__ == "__main__":
    Path("docs/settings.md").write_text(render_settings_page(), encoding="utf-8")
