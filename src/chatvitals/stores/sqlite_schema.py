"""The SQL of the SQLite store: its tables, and what a commit writes."""

SCHEMA = """
CREATE TABLE contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL);
CREATE INDEX contacts_due ON contacts (due) WHERE due IS NOT NULL;
CREATE TABLE marks (kind TEXT, number TEXT, key INTEGER, at REAL, PRIMARY KEY (kind, number, key)) WITHOUT ROWID;
CREATE INDEX marks_at ON marks (kind, number, at);
CREATE TABLE cells (family TEXT, labels TEXT, field INTEGER, value REAL, PRIMARY KEY (family, labels, field))
    WITHOUT ROWID;
CREATE TABLE kept (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
# a due time that stays is not written again: the index on it is the dearest part of a write
UPDATE_STATE = "UPDATE contacts SET row = ? WHERE key = ?"
PUT_STATE = (
    "INSERT INTO contacts (row, key, due) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = excluded.due"
)
PUT_LINK = (
    "INSERT INTO contacts (key, row, due) VALUES (?, ?, NULL) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = NULL"
)
PUT_MARK = (
    "INSERT INTO marks (kind, number, key, at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, number, key) DO UPDATE SET at = excluded.at"
)
ADD_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = value + excluded.value"
)
RAISE_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = max(value, excluded.value)"
)

PUT_DOCUMENT = "INSERT INTO kept (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
