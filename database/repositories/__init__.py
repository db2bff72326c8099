"""What the rest of the platform reads and writes, one organization at a time.

A repository is made for a session and an organization's id; no method reaches another organization's rows.
"""

from database.repositories.api_keys import ApiKeyRepository
from database.repositories.callbacks import CallbackRepository
from database.repositories.chatbots import ChatbotRepository, ResponseTemplateRepository
from database.repositories.conversations import ConversationRepository, TranscriptRepository
from database.repositories.emails import EmailOutboxRepository
from database.repositories.files import FileRepository
from database.repositories.flow_versions import FlowVersionRepository
from database.repositories.organizations import (
    InvitationRepository,
    MemberRepository,
    OrganizationRepository,
)
from database.repositories.secrets import SecretRepository
from database.repositories.single_sign_on import SsoRepository
from database.repositories.usage import UsageRepository

__all__ = [
    "ApiKeyRepository",
    "CallbackRepository",
    "ChatbotRepository",
    "ConversationRepository",
    "EmailOutboxRepository",
    "FileRepository",
    "FlowVersionRepository",
    "InvitationRepository",
    "MemberRepository",
    "OrganizationRepository",
    "ResponseTemplateRepository",
    "SecretRepository",
    "SsoRepository",
    "TranscriptRepository",
    "UsageRepository",
]
