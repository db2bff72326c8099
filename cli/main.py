"""The `versaai` command. A new command is one line in COMMANDS: its name and where its function lies.

Only the module of the command that runs is imported, so that each process starts with what it needs.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

import typer

COMMANDS: dict[str, str] = {
    "up": "cli.up:up",
    "down": "cli.up:down",
    "worker": "cli.processes:worker",
    "api": "cli.processes:api",
    "migrate": "cli.processes:migrate",
    "seed": "cli.seeding:seed",
    "demo-services": "cli.demo_services:demo_services",
    "mail": "cli.mail:mail",
    "plan": "cli.plan:plan",
    "doctor": "cli.doctor:doctor",
    "flow": "cli.flow:app",
    "chat": "cli.chat:chat",
    "replay": "cli.replay:replay",
    "bench": "cli.bench:app",
}
"""Command to `module:attribute`; the attribute is a function, or a Typer application of subcommands."""


def build_app(only: str | None = None) -> typer.Typer:
    """Return the application with all commands, or with `only` one of them."""
    app = typer.Typer(
        name="versaai",
        help="Self-hosted chatbots whose conversations are durable workflows.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, place in COMMANDS.items():
        if only is not None and name != only:
            continue
        module, _, attribute = place.partition(":")
        target = getattr(import_module(module), attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(target)
    return app


def _root() -> None:
    """Keep commands named even when only one is registered."""


def _explained(error: Exception) -> bool:
    """Say what is wrong where that is a matter of settings or servers, not of the program."""
    from pydantic import ValidationError
    from rich.console import Console

    from cli.failures import print_failure
    from core.errors import VersaError
    from core.settings import Settings

    if isinstance(error, VersaError) or (
        isinstance(error, ValidationError) and error.title == Settings.__name__
    ):
        print_failure(Console(stderr=True), error)
        return True
    return False


def main() -> None:
    """Run the command line, and leave without the interpreter's teardown.

    Temporal's native runtime may abort while Python tears down around it; by then nothing is left to do.
    """
    arguments = sys.argv[1:]
    only = arguments[0] if arguments and arguments[0] in COMMANDS else None
    code = 1
    try:
        build_app(only)()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if not _explained(error):
            logging.getLogger("versaai").exception("the command failed")
    finally:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 1
        os._exit(code)


if __name__ == "__main__":
    main()
