"""The first tables: accounts, bots and their flow versions, conversations, callbacks, files, e-mail.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
        CREATE TABLE users (
            id UUID NOT NULL,
            email VARCHAR(255) NOT NULL,
            password_hash VARCHAR(255) NOT NULL,
            first_name VARCHAR(100) NOT NULL,
            last_name VARCHAR(100) NOT NULL,
            phone VARCHAR(20),
            avatar_url VARCHAR(500),
            is_active BOOLEAN DEFAULT false NOT NULL,
            email_verified BOOLEAN DEFAULT false NOT NULL,
            two_factor_enabled BOOLEAN DEFAULT false NOT NULL,
            two_factor_secret TEXT,
            last_login TIMESTAMP WITH TIME ZONE,
            date_joined TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_users PRIMARY KEY (id)
        )
    """,
    "CREATE UNIQUE INDEX idx_users_email ON users (email)",
    """
        CREATE TABLE organizations (
            id UUID NOT NULL,
            name VARCHAR(200) NOT NULL,
            slug VARCHAR(100) NOT NULL,
            description TEXT,
            website VARCHAR(500),
            industry VARCHAR(50),
            company_size VARCHAR(20),
            country VARCHAR(2),
            timezone VARCHAR(50) DEFAULT 'UTC' NOT NULL,
            subscription_plan VARCHAR(20) DEFAULT 'free' NOT NULL,
            owner_id UUID,
            settings JSONB DEFAULT '{}'::jsonb NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_organizations PRIMARY KEY (id),
            CONSTRAINT fk_organizations_owner_id FOREIGN KEY(owner_id) REFERENCES users (id)
        )
    """,
    "CREATE UNIQUE INDEX idx_organizations_slug ON organizations (slug)",
    """
        CREATE TABLE organization_members (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            user_id UUID NOT NULL,
            role VARCHAR(20) DEFAULT 'member' NOT NULL,
            permissions JSONB DEFAULT '{}'::jsonb NOT NULL,
            invited_by UUID,
            joined_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_organization_members PRIMARY KEY (id),
            CONSTRAINT uq_organization_members_organization_id_user_id UNIQUE (organization_id, user_id),
            CONSTRAINT fk_organization_members_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE,
            CONSTRAINT fk_organization_members_user_id
                FOREIGN KEY(user_id)
                REFERENCES users (id) ON DELETE CASCADE,
            CONSTRAINT fk_organization_members_invited_by
                FOREIGN KEY(invited_by)
                REFERENCES users (id)
        )
    """,
    """
        CREATE TABLE chatbots (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            name VARCHAR(200) NOT NULL,
            description TEXT,
            slug VARCHAR(100) NOT NULL,
            status VARCHAR(20) DEFAULT 'draft' NOT NULL,
            ai_model VARCHAR(100) DEFAULT 'llama3-8b-8192',
            system_prompt TEXT,
            temperature NUMERIC(3, 2) DEFAULT 0.7,
            max_tokens INTEGER DEFAULT 1000,
            personality VARCHAR(50) DEFAULT 'professional',
            language VARCHAR(35) DEFAULT 'es' NOT NULL,
            use_case VARCHAR(50),
            config JSONB DEFAULT '{}'::jsonb NOT NULL,
            created_by UUID,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            deployed_version_id UUID,
            CONSTRAINT pk_chatbots PRIMARY KEY (id),
            CONSTRAINT uq_chatbots_organization_id_slug UNIQUE (organization_id, slug),
            CONSTRAINT uq_chatbots_organization_id_id UNIQUE (organization_id, id),
            CONSTRAINT ck_chatbots_status
                CHECK (status IN ('draft', 'active', 'inactive', 'archived')),
            CONSTRAINT fk_chatbots_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE,
            CONSTRAINT fk_chatbots_created_by FOREIGN KEY(created_by) REFERENCES users (id)
        )
    """,
    "CREATE INDEX idx_chatbots_org_status ON chatbots (organization_id, status)",
    """
        CREATE TABLE flow_versions (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            chatbot_id UUID NOT NULL,
            flow_slug VARCHAR(64) DEFAULT 'main' NOT NULL,
            number INTEGER NOT NULL,
            name VARCHAR(200) NOT NULL,
            note TEXT,
            flow JSONB NOT NULL,
            content_hash VARCHAR(64) NOT NULL,
            created_by UUID,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_flow_versions PRIMARY KEY (id),
            CONSTRAINT uq_flow_versions_chatbot_id_flow_slug_number UNIQUE (chatbot_id, flow_slug, number),
            CONSTRAINT uq_flow_versions_organization_id_id UNIQUE (organization_id, id),
            CONSTRAINT fk_flow_versions_organization_id_chatbot_id
                FOREIGN KEY(organization_id, chatbot_id)
                REFERENCES chatbots (organization_id, id) ON DELETE CASCADE,
            CONSTRAINT ck_flow_versions_number CHECK (number >= 1),
            CONSTRAINT fk_flow_versions_created_by FOREIGN KEY(created_by) REFERENCES users (id)
        )
    """,
    """
        CREATE TABLE secrets (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            name VARCHAR(64) NOT NULL,
            ciphertext TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_secrets PRIMARY KEY (id),
            CONSTRAINT uq_secrets_organization_id_name UNIQUE (organization_id, name),
            CONSTRAINT fk_secrets_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE response_templates (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            slug VARCHAR(64) NOT NULL,
            text JSONB NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_response_templates PRIMARY KEY (id),
            CONSTRAINT uq_response_templates_organization_id_slug UNIQUE (organization_id, slug),
            CONSTRAINT fk_response_templates_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE conversations (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            chatbot_id UUID NOT NULL,
            flow_version_id UUID NOT NULL,
            mode VARCHAR(8) DEFAULT 'live' NOT NULL,
            session_id VARCHAR(100) NOT NULL,
            user_identifier VARCHAR(255),
            user_metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
            status VARCHAR(20) DEFAULT 'active' NOT NULL,
            language VARCHAR(35) DEFAULT 'es' NOT NULL,
            satisfaction_rating SMALLINT,
            feedback TEXT,
            started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            ended_at TIMESTAMP WITH TIME ZONE,
            last_activity TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            last_seq INTEGER DEFAULT 0 NOT NULL,
            tags TEXT[] DEFAULT '{}'::text[] NOT NULL,
            waiting JSONB,
            variables JSONB DEFAULT '{}'::jsonb NOT NULL,
            agent_id TEXT,
            escalation JSONB,
            CONSTRAINT pk_conversations PRIMARY KEY (id),
            CONSTRAINT uq_conversations_organization_id_id UNIQUE (organization_id, id),
            CONSTRAINT fk_conversations_organization_id_chatbot_id
                FOREIGN KEY(organization_id, chatbot_id)
                REFERENCES chatbots (organization_id, id) ON DELETE CASCADE,
            CONSTRAINT fk_conversations_organization_id_flow_version_id
                FOREIGN KEY(organization_id, flow_version_id)
                REFERENCES flow_versions (organization_id, id),
            CONSTRAINT ck_conversations_satisfaction_rating
                CHECK (satisfaction_rating >= 1 AND satisfaction_rating <= 5),
            CONSTRAINT ck_conversations_status
                CHECK (status IN ('active', 'waiting', 'escalated', 'stuck', 'ended')),
            CONSTRAINT ck_conversations_mode CHECK (mode IN ('live', 'test'))
        )
    """,
    "CREATE INDEX idx_conversations_chatbot_status ON conversations (chatbot_id, status)",
    "CREATE INDEX idx_conversations_started_at ON conversations (started_at)",
    """
        CREATE TABLE messages (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            conversation_id UUID NOT NULL,
            seq INTEGER NOT NULL,
            role VARCHAR(20) NOT NULL,
            content TEXT NOT NULL,
            body JSONB NOT NULL,
            metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
            client_message_id TEXT,
            reply_to TEXT,
            node_id TEXT,
            agent JSONB,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_messages PRIMARY KEY (id),
            CONSTRAINT uq_messages_conversation_id_seq UNIQUE (conversation_id, seq),
            CONSTRAINT fk_messages_organization_id_conversation_id
                FOREIGN KEY(organization_id, conversation_id)
                REFERENCES conversations (organization_id, id) ON DELETE CASCADE,
            CONSTRAINT ck_messages_role CHECK (role IN ('user', 'assistant', 'agent', 'system')),
            CONSTRAINT ck_messages_seq CHECK (seq >= 1)
        )
    """,
    "CREATE INDEX idx_messages_conversation_created ON messages (conversation_id, created_at)",
    """
        CREATE TABLE node_visits (
            conversation_id UUID NOT NULL,
            number INTEGER NOT NULL,
            organization_id UUID NOT NULL,
            flow TEXT NOT NULL,
            node_id TEXT NOT NULL,
            entered_at TIMESTAMP WITH TIME ZONE NOT NULL,
            left_at TIMESTAMP WITH TIME ZONE,
            exit TEXT,
            changes JSONB DEFAULT '{}'::jsonb NOT NULL,
            error TEXT,
            usage JSONB,
            CONSTRAINT pk_node_visits PRIMARY KEY (conversation_id, number),
            CONSTRAINT fk_node_visits_organization_id_conversation_id
                FOREIGN KEY(organization_id, conversation_id)
                REFERENCES conversations (organization_id, id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE replies (
            conversation_id UUID NOT NULL,
            message_id TEXT NOT NULL,
            organization_id UUID NOT NULL,
            body_hash TEXT NOT NULL,
            reply JSONB NOT NULL,
            CONSTRAINT pk_replies PRIMARY KEY (conversation_id, message_id),
            CONSTRAINT fk_replies_organization_id_conversation_id
                FOREIGN KEY(organization_id, conversation_id)
                REFERENCES conversations (organization_id, id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE callbacks (
            organization_id UUID NOT NULL,
            id TEXT NOT NULL,
            conversation_id UUID NOT NULL,
            token_hash VARCHAR(64) NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            used_at TIMESTAMP WITH TIME ZONE,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_callbacks PRIMARY KEY (organization_id, id),
            CONSTRAINT uq_callbacks_token_hash UNIQUE (token_hash),
            CONSTRAINT fk_callbacks_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    "CREATE INDEX ix_callbacks_conversation_id ON callbacks (conversation_id)",
    """
        CREATE TABLE files (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            chatbot_id UUID NOT NULL,
            conversation_id UUID NOT NULL,
            name VARCHAR(255) NOT NULL,
            media_type VARCHAR(255) NOT NULL,
            size BIGINT NOT NULL,
            sha256 VARCHAR(64) NOT NULL,
            storage_key TEXT NOT NULL,
            uploaded_by VARCHAR(20) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_files PRIMARY KEY (id),
            CONSTRAINT fk_files_organization_id_chatbot_id
                FOREIGN KEY(organization_id, chatbot_id)
                REFERENCES chatbots (organization_id, id) ON DELETE CASCADE,
            CONSTRAINT uq_files_storage_key UNIQUE (storage_key),
            CONSTRAINT ck_files_uploaded_by CHECK (uploaded_by IN ('user', 'agent')),
            CONSTRAINT ck_files_size CHECK (size >= 0)
        )
    """,
    "CREATE INDEX ix_files_conversation_id ON files (conversation_id)",
    """
        CREATE TABLE sent_emails (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            message_id TEXT NOT NULL,
            "to" TEXT[] NOT NULL,
            subject TEXT NOT NULL,
            text TEXT NOT NULL,
            html TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_sent_emails PRIMARY KEY (id),
            CONSTRAINT uq_sent_emails_organization_id_message_id UNIQUE (organization_id, message_id),
            CONSTRAINT fk_sent_emails_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE UNLOGGED TABLE stream_texts (
            stream_id TEXT NOT NULL,
            conversation_id UUID NOT NULL,
            attempt INTEGER NOT NULL,
            text TEXT NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_stream_texts PRIMARY KEY (stream_id)
        )
    """,
    "CREATE INDEX ix_stream_texts_conversation_id ON stream_texts (conversation_id)",
    """
        ALTER TABLE chatbots ADD CONSTRAINT fk_chatbots_organization_id_deployed_version_id
            FOREIGN KEY (organization_id, deployed_version_id)
            REFERENCES flow_versions (organization_id, id) ON DELETE SET NULL (deployed_version_id)
    """,
    """
        CREATE FUNCTION refuse_flow_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'flow version % is published and can not change; publish a new one', OLD.id
                USING ERRCODE = 'restrict_violation';
        END $$
    """,
    """
        CREATE TRIGGER flow_versions_immutable BEFORE UPDATE ON flow_versions FOR EACH ROW
        WHEN (
            (OLD.id, OLD.organization_id, OLD.chatbot_id, OLD.flow_slug, OLD.number, OLD.content_hash)
                IS DISTINCT FROM
            (NEW.id, NEW.organization_id, NEW.chatbot_id, NEW.flow_slug, NEW.number, NEW.content_hash)
            OR OLD.flow IS DISTINCT FROM NEW.flow
        )
        EXECUTE FUNCTION refuse_flow_version_change()
    """,
)

TABLES = (
    "stream_texts",
    "sent_emails",
    "files",
    "callbacks",
    "replies",
    "node_visits",
    "messages",
    "conversations",
    "response_templates",
    "secrets",
    "flow_versions",
    "chatbots",
    "organization_members",
    "organizations",
    "users",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE chatbots DROP CONSTRAINT fk_chatbots_organization_id_deployed_version_id")
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_flow_version_change()")
