"""Which of the servers that the settings name are parts of the installation beside us."""

from __future__ import annotations

from dataclasses import dataclass

from cli.installation import Installation
from cli.ports import LOCAL
from core.settings import Settings


@dataclass(frozen=True)
class OwnParts:
    """True for a server that `versaai up` starts on this data folder; false for one that others run."""

    postgres: bool
    temporal: bool
    api: bool
    mail: bool

    def named(self) -> list[str]:
        """Return their names for people."""
        parts = {
            "PostgreSQL": self.postgres,
            "Temporal": self.temporal,
            "API": self.api,
            "mail server of the demo": self.mail,
        }
        return [name for name, own in parts.items() if own]


def own_parts(settings: Settings, installation: Installation) -> OwnParts:
    """Tell the installation's own servers from others'. A server that nothing names would be its own."""
    state = installation.read_state()
    given = settings.model_fields_set
    return OwnParts(
        postgres="database_url" not in given
        or settings.database_url.partition("@")[2].partition("/")[0]
        == f"{LOCAL}:{state.ports.get('postgres')}",
        temporal="temporal_address" not in given
        or settings.temporal_address == f"{LOCAL}:{state.ports.get('temporal')}",
        api="api_url" not in given or settings.api_url == state.environment.get("API_URL"),
        mail=settings.email_host == LOCAL and settings.email_port == state.ports.get("demo_smtp"),
    )


def is_stopped(installation: Installation) -> bool:
    """Tell whether no `versaai up` runs on the data folder."""
    supervisor = installation.read_state().supervisor
    return supervisor is None or supervisor.process() is None
