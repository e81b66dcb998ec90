"""Everything that a database holds as one file, and such a file as a database (docs/decisions/0020-export.md)."""

from palace.transfer.exporting import export
from palace.transfer.form import UnusableExport
from palace.transfer.importing import Imported, import_file
from palace.transfer.sides import Side, Tell, TransferFailure

__all__ = ["Imported", "Side", "Tell", "TransferFailure", "UnusableExport", "export", "import_file"]
