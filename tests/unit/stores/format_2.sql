CREATE TABLE contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL);
CREATE INDEX contacts_due ON contacts (due) WHERE due IS NOT NULL;
CREATE TABLE open_since (kind TEXT, number TEXT, key INTEGER, at REAL, PRIMARY KEY (kind, number, key)) WITHOUT ROWID;
CREATE INDEX open_since_at ON open_since (kind, number, at);
CREATE TABLE cells (family TEXT, labels TEXT, field INTEGER, value REAL, PRIMARY KEY (family, labels, field))
    WITHOUT ROWID;
CREATE TABLE documents (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT, given REAL, ends REAL) WITHOUT ROWID;
PRAGMA application_id = 1668707443;
PRAGMA user_version = 2;
