"""How settings are named, read and checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from core.settings import Settings, environment_name, get_settings, load_settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SECRET_KEY", "CORS_ALLOWED_ORIGINS", "VERSAAI_LOG_LEVEL", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()


def test_names_of_the_environment() -> None:
    assert environment_name("database_url") == "DATABASE_URL"
    assert environment_name("email_host_password") == "EMAIL_HOST_PASSWORD"
    assert environment_name("temporal_address") == "VERSAAI_TEMPORAL_ADDRESS"


def test_environment_wins_over_env_file_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("DATABASE_URL=postgresql://file/x\nVERSAAI_LOG_LEVEL=debug\n")
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/x")
    settings = Settings()
    assert settings.database_url == "postgresql://environment/x"
    assert settings.log_level == "DEBUG"
    assert settings.database_pool_size == 10


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", "https://a.example, https://b.example,")
    assert Settings().cors_allowed_origins == ("https://a.example", "https://b.example")


def test_fallback_lies_beneath_environment_and_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/x")
    monkeypatch.setenv("VERSAAI_TEMPORAL_ADDRESS", "")
    Path(".env").write_text("VERSAAI_LOG_LEVEL=WARNING\n")
    settings = load_settings(
        {
            "DATABASE_URL": "postgresql://fallback/x",
            "VERSAAI_LOG_LEVEL": "ERROR",
            "VERSAAI_TEMPORAL_ADDRESS": "fallback:1",
        }
    )
    assert settings.database_url == "postgresql://environment/x"
    assert settings.log_level == "WARNING"
    assert settings.temporal_address == "fallback:1"
    assert get_settings() is settings


def test_production_needs_a_secret_key() -> None:
    with pytest.raises(ValidationError, match="SECRET_KEY"):
        Settings(app_env="production")  # type: ignore[arg-type]
    assert Settings(app_env="production", secret_key=SecretStr("k" * 32)).secret_keys == ("k" * 32,)  # type: ignore[arg-type]


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        Settings(email_use_tls=True, email_use_ssl=True)
    with pytest.raises(ValidationError, match="retention"):
        Settings(temporal_retention_days=1, opening_token_seconds=86_400)


@pytest.mark.parametrize(
    "field", ["database_pool_size", "email_port", "worker_max_concurrent_workflow_tasks"]
)
def test_limits_hold(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment_name(field), "0")
    with pytest.raises(ValidationError):
        Settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter22@host/x")
    monkeypatch.setenv("SECRET_KEY", "s" * 40)
    monkeypatch.setenv("VERSAAI_SECRET_KEY_PREVIOUS", "p" * 40)
    settings = Settings()
    shown = repr(settings) + str(settings)
    assert "hunter22" not in shown
    assert "s" * 40 not in shown
    assert "p" * 40 not in shown
    assert settings.secret_values() >= {"s" * 40, "p" * 40}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"storage_url": "s3://bucket/files"}, "s3://bucket/files"),
        ({"aws_storage_bucket_name": "bucket"}, "s3://bucket"),
        ({"media_root": Path("/srv/media")}, "file:///srv/media"),
        ({"data_dir": Path("/srv/versaai")}, "file:///srv/versaai/files"),
    ],
)
def test_where_files_lie(given: dict[str, str], expected: str) -> None:
    assert Settings.model_validate(given).files_url == expected


def test_sqlalchemy_address_names_the_driver() -> None:
    assert Settings(database_url="postgresql://u:p@h:1/d").sqlalchemy_url == "postgresql+asyncpg://u:p@h:1/d"
    assert Settings(database_url="postgresql+asyncpg://h/d").sqlalchemy_url == "postgresql+asyncpg://h/d"
