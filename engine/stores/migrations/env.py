"""How Alembic runs our migrations: on the connection, and inside the transaction, of the store being opened."""

from alembic import context

from engine.stores.tables import metadata

VERSION_TABLE = "ringfirst_version"


def run() -> None:
    """Bring the database of ``attributes["connection"]`` to the version asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
