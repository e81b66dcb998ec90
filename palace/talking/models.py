"""Which model a conversation is thought by: that of its PAL as it was when the conversation began."""

from palace.engines import LanguageModel
from palace.engines.models import Models, open_model
from palace.masks import unmasked
from palace.resource import Services, value_at
from palace.talking.given import Given


class ModelOf:
    """Opens a conversation's model. The secrets of its PAL are opened for that, and kept no longer than the model."""

    def __init__(self, models: Models, services: Services) -> None:
        self._models = models
        self._services = services

    async def __call__(self, given: Given) -> LanguageModel:
        """The model of what a conversation was given. Raises VaultError."""
        pal = given.pal
        reading, vault = self._services.store.reading, self._services.vault
        document = await unmasked(pal.kind, pal.id, pal.document, pal.refs, reading, vault)
        return open_model(value_at(document, ("layers", "llm")), self._models)
