"""What a command says when it can't do its work: a sentence that tells what to do, not a trace."""

from __future__ import annotations

from pydantic import ValidationError
from rich.console import Console

from core.errors import ConfigurationError, VersaError
from core.settings import Settings, environment_name

_PAGE = "docs/settings.md lists every setting."
_FIELDS = {environment_name(name): field for name, field in Settings.model_fields.items()}
_STORAGE = ("file://", "s3://", "memory://")


class WrongSettingError(ConfigurationError):
    """An option or a setting has a value that nothing can be done with."""

    slug = "wrong-setting"
    title = "A setting is wrong"


def print_failure(console: Console, error: VersaError | ValidationError) -> None:
    """Print an error's title and what to do about it."""
    wrong_settings = isinstance(error, ValidationError)
    title = WrongSettingError.title if wrong_settings else error.title
    detail = "\n".join(settings_problems(error)) if isinstance(error, ValidationError) else error.detail
    console.print(f"[red]{title}.[/red]", highlight=False)
    console.print(detail, highlight=False, markup=False, soft_wrap=True)
    if wrong_settings:
        console.print(f"Correct it in the environment or in .env; {_PAGE}", highlight=False)


def settings_problems(error: ValidationError) -> list[str]:
    """Return a sentence for each setting that is wrong, with what it is for."""
    found = []
    for problem in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, problem["loc"]))
        said = problem["msg"].removeprefix("Value error, ")
        field = _FIELDS.get(name)
        about = f" ({field.description.rstrip('.')})" if field is not None and field.description else ""
        found.append(f"{name}: {said}{about}." if name else f"{said[:1].upper()}{said[1:]}.")
    return found


def judge_storage_url(url: str) -> None:
    """Raise WrongSettingError for an address that names no storage."""
    if not url.startswith(_STORAGE):
        raise WrongSettingError(f"--storage-url {url}: give file:///folder or s3://bucket/prefix.")
