"""The catalog's tables; docs/format.md, section 6, says what they mean."""

from __future__ import annotations

import sqlalchemy as sa

from layerwise.store.catalog.rows import crc_column

SCHEMA = 3
"""The schema this Layerwise writes. An older database is migrated; one with a larger number is refused."""

LIVE, TRASH, DAMAGED = "live", "trash", "damaged"
"""Where a pack is: in use; waiting to be removed; set aside because its bytes are not what its name says."""

SEALED = ("object", "entry", "branch", "alias", "run", "metric", "recording")
"""The tables whose rows carry a checksum (`rows`)."""

tables = sa.MetaData()
_Name = sa.String(100)
_Hex = sa.String(64)
# SQLite never gives an AUTOINCREMENT number twice; PostgreSQL's sequences never do.
_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

schema_version = sa.Table("schema_version", tables, sa.Column("version", sa.Integer, primary_key=True))

pack = sa.Table(
    "pack",
    tables,
    sa.Column("digest", _Hex, primary_key=True),
    sa.Column("state", sa.String(10), nullable=False, server_default=LIVE),
    # Of a pack in the trash: whoever holds an older lease may rely on it. NULL: its file is not there yet.
    sa.Column("fence", sa.BigInteger),
    # Whether a collector has coded what it holds as tightly as it can.
    sa.Column("dense", sa.Boolean),
)

object_ = sa.Table(
    "object",
    tables,
    sa.Column("digest", _Hex, primary_key=True),
    sa.Column("pack", _Hex, sa.ForeignKey("pack.digest"), primary_key=True, index=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    # Of a coded object: its bytes in the pack, and how they are coded. NULL: as they are.
    sa.Column("stored", sa.BigInteger),
    sa.Column("coding", sa.String(200)),
    crc_column(),
)

lease = sa.Table(
    "lease",
    tables,
    sa.Column("id", _Number, primary_key=True, autoincrement=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("expires", sa.Float(53), nullable=False),
    sqlite_autoincrement=True,
)

change = sa.Table(
    "change",
    tables,
    sa.Column("number", _Number, primary_key=True, autoincrement=True),
    sa.Column("record", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

entry = sa.Table(
    "entry",
    tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", _Hex, nullable=False),
    sa.Column("branch", _Name, nullable=False),
    sa.Column("parent", sa.BigInteger),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    crc_column(),
)


def _to_entry(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["sort", "name", column], ["entry.sort", "entry.name", "entry.number"])


branch = sa.Table(
    "branch",
    tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("branch", _Name, primary_key=True),
    sa.Column("head", sa.BigInteger, nullable=False),
    crc_column(),
    _to_entry("head"),
)

alias = sa.Table(
    "alias",
    tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("alias", _Name, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    crc_column(),
    _to_entry("number"),
)

run = sa.Table(
    "run",
    tables,
    sa.Column("id", _Name, primary_key=True),
    sa.Column("model", _Name, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("version", sa.BigInteger),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("finished", sa.String(40)),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    crc_column(),
    # A page of runs comes out of an index in its order, and no row is read that is not on the page.
    sa.Index("ix_run_by_time", "created", "id"),
    sa.Index("ix_run_of_model", "model", "created", "id"),
    sa.Index("ix_run_of_model_and_status", "model", "status", "created", "id"),
    sa.Index("ix_run_of_status", "status", "created", "id"),
    sa.Index("ix_run_of_actor", "actor", "created", "id"),
)

metric = sa.Table(
    "metric",
    tables,
    sa.Column("run", _Name, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("key", sa.String(500), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    # NULL is NaN: SQLite has no NaN, and a loss that became NaN must be seen.
    sa.Column("value", sa.Float(53)),
    crc_column(),
)

recording = sa.Table(
    "recording",
    tables,
    # Never given twice: a collector that sees the largest one unchanged knows that none was added.
    sa.Column("number", _Number, primary_key=True, autoincrement=True),
    sa.Column("record", _Hex, nullable=False),
    # Of a set of records itself: empty. Of what was made of it to be found faster: what that is.
    sa.Column("part", sa.String(2000), nullable=False),
    sa.Column("digest", _Hex, nullable=False),
    sa.Column("version", _Hex, nullable=False, index=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("expires", sa.String(40)),
    crc_column(),
    sa.UniqueConstraint("record", "part"),
    sqlite_autoincrement=True,
)
