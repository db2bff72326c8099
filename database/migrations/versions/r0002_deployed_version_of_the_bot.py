"""A bot runs versions of its own alone; deleting bots and versions finds what refers to them by an index.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UPGRADE = (
    """
        ALTER TABLE flow_versions ADD CONSTRAINT uq_flow_versions_organization_id_chatbot_id_id
            UNIQUE (organization_id, chatbot_id, id)
    """,
    "ALTER TABLE chatbots DROP CONSTRAINT fk_chatbots_organization_id_deployed_version_id",
    """
        UPDATE chatbots SET deployed_version_id = NULL WHERE NOT EXISTS (
            SELECT FROM flow_versions
            WHERE flow_versions.id = deployed_version_id AND flow_versions.chatbot_id = chatbots.id
        )
    """,
    """
        ALTER TABLE chatbots ADD CONSTRAINT fk_chatbots_organization_id_id_deployed_version_id
            FOREIGN KEY (organization_id, id, deployed_version_id)
            REFERENCES flow_versions (organization_id, chatbot_id, id)
            ON DELETE SET NULL (deployed_version_id)
    """,
    "CREATE INDEX ix_conversations_organization_id_flow_version_id"
    " ON conversations (organization_id, flow_version_id)",
    "CREATE INDEX ix_files_organization_id_chatbot_id ON files (organization_id, chatbot_id)",
)
DOWNGRADE = (
    "DROP INDEX ix_files_organization_id_chatbot_id",
    "DROP INDEX ix_conversations_organization_id_flow_version_id",
    "ALTER TABLE chatbots DROP CONSTRAINT fk_chatbots_organization_id_id_deployed_version_id",
    """
        ALTER TABLE chatbots ADD CONSTRAINT fk_chatbots_organization_id_deployed_version_id
            FOREIGN KEY (organization_id, deployed_version_id)
            REFERENCES flow_versions (organization_id, id) ON DELETE SET NULL (deployed_version_id)
    """,
    "ALTER TABLE flow_versions DROP CONSTRAINT uq_flow_versions_organization_id_chatbot_id_id",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
