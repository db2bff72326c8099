"""What belongs to a person rather than to an organization: accounts, sessions, credentials, their e-mail.

Each repository takes a session; its methods name the person, or the credential by which they are found.
"""

from database.people.credentials import CredentialRepository
from database.people.mails import AccountMailRepository
from database.people.sessions import SessionRepository, SignedIn
from database.people.sign_ins import FailureRepository
from database.people.users import UserRepository

__all__ = [
    "AccountMailRepository",
    "CredentialRepository",
    "FailureRepository",
    "SessionRepository",
    "SignedIn",
    "UserRepository",
]
