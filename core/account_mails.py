"""The e-mails about accounts, in Spanish and English. Bodies are Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LANGUAGES: Final = ("es", "en")
_SPECIAL = re.compile(r"[\\`*_{}\[\]()<>#|~]|://")


@dataclass(frozen=True)
class AccountMail:
    """An e-mail to write."""

    subject: str
    body: str


_TEXTS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "verify": {
        "es": (
            "Confirma tu dirección de correo",
            "Alguien se ha registrado en {platform} con esta dirección. Si has sido tú, confírmala:\n\n"
            "{link}\n\nEl enlace vale {hours} horas. Si no has sido tú, no hagas nada.",
        ),
        "en": (
            "Confirm your e-mail address",
            "Somebody registered at {platform} with this address. If it was you, confirm it:\n\n"
            "{link}\n\nThe link works for {hours} hours. If it wasn't you, do nothing.",
        ),
    },
    "known": {
        "es": (
            "Ya tienes una cuenta",
            "Alguien ha intentado registrarse en {platform} con esta dirección, que ya tiene una cuenta. "
            "Si has sido tú y no recuerdas la contraseña, pide una nueva:\n\n{link}\n\n"
            "Si no has sido tú, no hagas nada.",
        ),
        "en": (
            "You have an account already",
            "Somebody tried to register at {platform} with this address, which has an account already. "
            "If it was you and you have forgotten the password, ask for a new one:\n\n{link}\n\n"
            "If it wasn't you, do nothing.",
        ),
    },
    "reset": {
        "es": (
            "Elige una contraseña nueva",
            "Alguien ha pedido una contraseña nueva para tu cuenta de {platform}. Si has sido tú, elígela "
            "aquí:\n\n{link}\n\nEl enlace vale {minutes} minutos y una sola vez. Si no has sido tú, no hagas "
            "nada: tu contraseña sigue siendo la misma.",
        ),
        "en": (
            "Choose a new password",
            "Somebody asked for a new password for your account at {platform}. If it was you, choose it "
            "here:\n\n{link}\n\nThe link works for {minutes} minutes, and once. If it wasn't you, do "
            "nothing: your password stays as it is.",
        ),
    },
    "changed": {
        "es": (
            "Tu contraseña ha cambiado",
            "La contraseña de tu cuenta de {platform} ha cambiado y las demás sesiones se han cerrado. "
            "Si no has sido tú, pide otra enseguida:\n\n{link}",
        ),
        "en": (
            "Your password was changed",
            "The password of your account at {platform} was changed and the other sessions were ended. "
            "If it wasn't you, ask for another one at once:\n\n{link}",
        ),
    },
    "reused": {
        "es": (
            "Se ha cerrado una sesión por seguridad",
            "Una clave de tu cuenta de {platform} se ha usado dos veces, como si alguien la hubiera copiado. "
            "Hemos cerrado esa sesión. Vuelve a entrar; si algo te extraña, cambia la contraseña.",
        ),
        "en": (
            "A session was ended for safety",
            "A token of your account at {platform} was used twice, as if somebody had copied it. We ended "
            "that session. Sign in again; if anything looks strange, change the password.",
        ),
    },
    "invitation": {
        "es": (
            "Invitación a {organization}",
            "{inviter} te invita a trabajar en {organization} ({platform}). Acepta aquí:\n\n{link}\n\n"
            "La invitación vale {days} días. Si no esperabas este correo, no hagas nada.",
        ),
        "en": (
            "Invitation to {organization}",
            "{inviter} invites you to work in {organization} ({platform}). Accept here:\n\n{link}\n\n"
            "The invitation works for {days} days. If you did not expect this e-mail, do nothing.",
        ),
    },
    "deleted": {
        "es": ("Tu cuenta se ha borrado", "Tu cuenta de {platform} se ha borrado, con todo lo que era tuyo."),
        "en": (
            "Your account was deleted",
            "Your account at {platform} was deleted, with all that was yours.",
        ),
    },
}
KINDS: Final = tuple(_TEXTS)


def account_mail(kind: str, language: str, **values: object) -> AccountMail:
    """Return an e-mail of a kind. What people typed can't become a link in it; `link` is taken as it is."""
    texts = _TEXTS[kind]
    subject, body = texts.get(language, texts["en"])
    plain = {name: " ".join(str(value).split()) for name, value in values.items()}
    shown = {
        name: f"<{value}>" if name == "link" else " ".join(_SPECIAL.sub(" ", value).split())
        for name, value in plain.items()
    }
    return AccountMail(subject.format(**plain), body.format(**shown))


def choose_language(accepted: str | None) -> str:
    """Return the language, of those there are, that an Accept-Language header names first."""
    for part in (accepted or "").split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return LANGUAGES[0]
