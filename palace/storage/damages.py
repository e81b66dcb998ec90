"""What SQLite itself finds wrong with a file."""

import apsw

MOST = 10


def damages(connection: apsw.Connection) -> list[str]:
    """Sentences about damaged pages and about rows that refer to nothing; none, as a rule."""
    texts = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({MOST})")]
    said = [line for text in texts for line in text.splitlines() if line != "ok" and not line.startswith("***")]
    lost = [
        f"A row of {row[0]} refers to nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")
    ]
    return said + lost[:MOST]
