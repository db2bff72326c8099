"""Accounts: sessions, mailed links, second factors, keys, invitations, single sign-on, plans and usage.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CREATED = (
    """
        CREATE TABLE user_sessions (
            id UUID NOT NULL,
            user_id UUID NOT NULL,
            organization_id UUID,
            kind VARCHAR(10) NOT NULL,
            bound BOOLEAN DEFAULT false NOT NULL,
            cookie_hash VARCHAR(64),
            address VARCHAR(64) DEFAULT '' NOT NULL,
            user_agent VARCHAR(300) DEFAULT '' NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            ended_at TIMESTAMP WITH TIME ZONE,
            end_reason VARCHAR(40),
            CONSTRAINT pk_user_sessions PRIMARY KEY (id),
            CONSTRAINT ck_user_sessions_kind CHECK (kind IN ('token', 'cookie')),
            CONSTRAINT uq_user_sessions_cookie_hash UNIQUE (cookie_hash),
            CONSTRAINT fk_user_sessions_user_id
                FOREIGN KEY(user_id)
                REFERENCES users (id) ON DELETE CASCADE,
            CONSTRAINT fk_user_sessions_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE SET NULL
        )
    """,
    "CREATE INDEX ix_user_sessions_user_id ON user_sessions (user_id)",
    """
        CREATE TABLE refresh_tokens (
            id UUID NOT NULL,
            session_id UUID NOT NULL,
            token_hash VARCHAR(64) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            used_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_refresh_tokens PRIMARY KEY (id),
            CONSTRAINT uq_refresh_tokens_token_hash UNIQUE (token_hash),
            CONSTRAINT fk_refresh_tokens_session_id
                FOREIGN KEY(session_id)
                REFERENCES user_sessions (id) ON DELETE CASCADE
        )
    """,
    "CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id)",
    """
        CREATE TABLE account_tokens (
            id UUID NOT NULL,
            user_id UUID NOT NULL,
            purpose VARCHAR(10) NOT NULL,
            token_hash VARCHAR(64) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            used_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_account_tokens PRIMARY KEY (id),
            CONSTRAINT uq_account_tokens_token_hash UNIQUE (token_hash),
            CONSTRAINT ck_account_tokens_purpose CHECK (purpose IN ('verify', 'reset')),
            CONSTRAINT fk_account_tokens_user_id
                FOREIGN KEY(user_id)
                REFERENCES users (id) ON DELETE CASCADE
        )
    """,
    "CREATE INDEX ix_account_tokens_user_id ON account_tokens (user_id)",
    """
        CREATE TABLE backup_codes (
            id UUID NOT NULL,
            user_id UUID NOT NULL,
            code_hash VARCHAR(64) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            used_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_backup_codes PRIMARY KEY (id),
            CONSTRAINT uq_backup_codes_user_id_code_hash UNIQUE (user_id, code_hash),
            CONSTRAINT fk_backup_codes_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE sign_in_failures (
            key_hash VARCHAR(64) NOT NULL,
            failures INTEGER DEFAULT 0 NOT NULL,
            last_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            blocked_until TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_sign_in_failures PRIMARY KEY (key_hash)
        )
    """,
    "CREATE INDEX ix_sign_in_failures_last_at ON sign_in_failures (last_at)",
    """
        CREATE TABLE account_emails (
            id UUID NOT NULL,
            "to" VARCHAR(320) NOT NULL,
            subject TEXT NOT NULL,
            body TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            next_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            sent_at TIMESTAMP WITH TIME ZONE,
            failed_at TIMESTAMP WITH TIME ZONE,
            error TEXT,
            CONSTRAINT pk_account_emails PRIMARY KEY (id)
        )
    """,
    """
        CREATE INDEX ix_account_emails_next_at ON account_emails (next_at)
        WHERE sent_at IS NULL AND failed_at IS NULL
    """,
    """
        CREATE TABLE api_keys (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            name VARCHAR(100) NOT NULL,
            hint VARCHAR(20) NOT NULL,
            key_hash VARCHAR(64) NOT NULL,
            scopes JSONB DEFAULT '[]'::jsonb NOT NULL,
            created_by UUID,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE,
            last_used_at TIMESTAMP WITH TIME ZONE,
            revoked_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_api_keys PRIMARY KEY (id),
            CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash),
            CONSTRAINT fk_api_keys_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE,
            CONSTRAINT fk_api_keys_created_by
                FOREIGN KEY(created_by)
                REFERENCES users (id) ON DELETE SET NULL
        )
    """,
    "CREATE INDEX ix_api_keys_organization_id ON api_keys (organization_id)",
    """
        CREATE TABLE invitations (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            email VARCHAR(255) NOT NULL,
            role VARCHAR(20) NOT NULL,
            permissions JSONB DEFAULT '{}'::jsonb NOT NULL,
            token_hash VARCHAR(64) NOT NULL,
            invited_by UUID,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            accepted_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_invitations PRIMARY KEY (id),
            CONSTRAINT uq_invitations_token_hash UNIQUE (token_hash),
            CONSTRAINT fk_invitations_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE,
            CONSTRAINT fk_invitations_invited_by
                FOREIGN KEY(invited_by)
                REFERENCES users (id) ON DELETE SET NULL
        )
    """,
    """
        CREATE UNIQUE INDEX uq_invitations_open ON invitations (organization_id, email)
        WHERE accepted_at IS NULL
    """,
    """
        CREATE TABLE sso_providers (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            issuer TEXT NOT NULL,
            client_id TEXT NOT NULL,
            client_secret TEXT NOT NULL,
            domains JSONB DEFAULT '[]'::jsonb NOT NULL,
            default_role VARCHAR(20) DEFAULT 'member' NOT NULL,
            creates_accounts BOOLEAN DEFAULT true NOT NULL,
            enabled BOOLEAN DEFAULT true NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_sso_providers PRIMARY KEY (id),
            CONSTRAINT uq_sso_providers_organization_id UNIQUE (organization_id),
            CONSTRAINT uq_sso_providers_organization_id_id UNIQUE (organization_id, id),
            CONSTRAINT fk_sso_providers_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE sso_identities (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            provider_id UUID NOT NULL,
            user_id UUID NOT NULL,
            subject VARCHAR(255) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_sso_identities PRIMARY KEY (id),
            CONSTRAINT uq_sso_identities_provider_id_subject UNIQUE (provider_id, subject),
            CONSTRAINT fk_sso_identities_organization_id_provider_id
                FOREIGN KEY(organization_id, provider_id)
                REFERENCES sso_providers (organization_id, id) ON DELETE CASCADE,
            CONSTRAINT fk_sso_identities_user_id
                FOREIGN KEY(user_id)
                REFERENCES users (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE sso_attempts (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            provider_id UUID NOT NULL,
            state_hash VARCHAR(64) NOT NULL,
            browser_hash VARCHAR(64) NOT NULL,
            nonce VARCHAR(64) NOT NULL,
            code_verifier TEXT NOT NULL,
            return_to VARCHAR(500) NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_sso_attempts PRIMARY KEY (id),
            CONSTRAINT uq_sso_attempts_state_hash UNIQUE (state_hash),
            CONSTRAINT fk_sso_attempts_organization_id_provider_id
                FOREIGN KEY(organization_id, provider_id)
                REFERENCES sso_providers (organization_id, id) ON DELETE CASCADE
        )
    """,
    "CREATE INDEX ix_sso_attempts_provider_id ON sso_attempts (provider_id)",
    """
        CREATE TABLE usage_counters (
            organization_id UUID NOT NULL,
            month DATE NOT NULL,
            conversations BIGINT DEFAULT 0 NOT NULL,
            messages BIGINT DEFAULT 0 NOT NULL,
            tokens BIGINT DEFAULT 0 NOT NULL,
            CONSTRAINT pk_usage_counters PRIMARY KEY (organization_id, month),
            CONSTRAINT fk_usage_counters_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    """
        CREATE TABLE usage_deltas (
            id UUID NOT NULL,
            organization_id UUID NOT NULL,
            month DATE NOT NULL,
            conversations BIGINT DEFAULT 0 NOT NULL,
            messages BIGINT DEFAULT 0 NOT NULL,
            tokens BIGINT DEFAULT 0 NOT NULL,
            CONSTRAINT pk_usage_deltas PRIMARY KEY (id),
            CONSTRAINT fk_usage_deltas_organization_id
                FOREIGN KEY(organization_id)
                REFERENCES organizations (id) ON DELETE CASCADE
        )
    """,
    "CREATE INDEX ix_usage_deltas_organization_id ON usage_deltas (organization_id)",
)

REFERENCES_TO_USERS = (
    ("organizations", "owner_id"),
    ("organization_members", "invited_by"),
    ("chatbots", "created_by"),
    ("flow_versions", "created_by"),
)
"""What outlives a deleted account."""

COLUMNS = (
    "ALTER TABLE users ADD COLUMN two_factor_step BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE users ADD COLUMN language VARCHAR(2) DEFAULT 'es' NOT NULL",
    "CREATE INDEX ix_organization_members_user_id ON organization_members (user_id)",
    """
        ALTER TABLE organization_members ADD CONSTRAINT ck_organization_members_role
            CHECK (role IN ('owner', 'admin', 'editor', 'agent', 'viewer', 'member'))
    """,
)

DATA = (
    "UPDATE organizations SET subscription_plan = 'unlimited' WHERE slug = 'default'",
    """
        INSERT INTO usage_counters (organization_id, month, conversations, messages, tokens)
        SELECT organization_id, month, sum(conversations), sum(messages), sum(tokens)
        FROM (
            SELECT organization_id, date_trunc('month', started_at AT TIME ZONE 'UTC')::date AS month,
                count(*) AS conversations, 0 AS messages, 0 AS tokens
            FROM conversations WHERE mode = 'live' GROUP BY 1, 2
            UNION ALL
            SELECT m.organization_id, date_trunc('month', m.created_at AT TIME ZONE 'UTC')::date,
                0, count(*), 0
            FROM messages m JOIN conversations c ON c.id = m.conversation_id
            WHERE c.mode = 'live' GROUP BY 1, 2
            UNION ALL
            SELECT v.organization_id, date_trunc('month', v.left_at AT TIME ZONE 'UTC')::date, 0, 0,
                sum((v.usage->>'input_tokens')::bigint + (v.usage->>'output_tokens')::bigint)
            FROM node_visits v JOIN conversations c ON c.id = v.conversation_id
            WHERE c.mode = 'live' AND v.left_at IS NOT NULL AND v.usage ? 'input_tokens'
            GROUP BY 1, 2
        ) AS used
        GROUP BY organization_id, month
    """,
)

TABLES = (
    "usage_deltas",
    "usage_counters",
    "sso_attempts",
    "sso_identities",
    "sso_providers",
    "invitations",
    "api_keys",
    "account_emails",
    "sign_in_failures",
    "backup_codes",
    "account_tokens",
    "refresh_tokens",
    "user_sessions",
)


def _refer_to_users(on_delete: str) -> None:
    for table, column in REFERENCES_TO_USERS:
        name = f"fk_{table}_{column}"
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} "
            f"FOREIGN KEY ({column}) REFERENCES users (id) {on_delete}"
        )


def upgrade() -> None:
    for statement in (*CREATED, *COLUMNS, *DATA):
        op.execute(statement)
    _refer_to_users("ON DELETE SET NULL")


def downgrade() -> None:
    _refer_to_users("")
    op.execute("ALTER TABLE organization_members DROP CONSTRAINT ck_organization_members_role")
    op.drop_index("ix_organization_members_user_id")
    op.execute("ALTER TABLE users DROP COLUMN language")
    op.execute("ALTER TABLE users DROP COLUMN two_factor_step")
    for table in TABLES:
        op.drop_table(table)
