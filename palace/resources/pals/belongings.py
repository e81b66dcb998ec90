"""What goes and comes back with a PAL."""

from collections.abc import Mapping, Sequence
from typing import Any

from palace.call import Call
from palace.resource import Services
from palace.resources.pals.gates import delete_gate, restore_gate
from palace.resources.pals.rehearsing import delete_rehearsals
from palace.resources.pals.skills import delete_with_pal, restore_with_pal
from palace.storage import Transaction
from palace.verbs.writing import Outcome

Effects = Sequence[Mapping[str, Any]]


async def delete_belongings(tx: Transaction, call: Call, outcome: Outcome, services: Services) -> Effects:
    """Delete the skills, the gate and the rehearsals of a PAL after the PAL itself."""
    return [
        *await delete_with_pal(tx, call, outcome, services),
        *await delete_gate(tx, call, services),
        *await delete_rehearsals(tx, call, services),
    ]


async def restore_belongings(tx: Transaction, call: Call, outcome: Outcome, services: Services) -> Effects:
    """Bring back the skills and the gate that were deleted with a PAL."""
    return [*await restore_with_pal(tx, call, outcome, services), *await restore_gate(tx, call, services)]
