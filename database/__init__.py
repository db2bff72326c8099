"""PostgreSQL: tables, repositories scoped to an organization, migrations.

Nothing outside this package speaks SQL. `Database` opens sessions and is the one place that commits;
repositories take a session and an organization's id and scope every query to it; `public_lookup` holds the
few look-ups of callers whose organization is not known yet.
"""
