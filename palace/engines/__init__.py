"""Language models: one small interface, and what is behind it."""

from palace.engines.base import Answer, Ask, LanguageModel, Means, ModelDown, Piece, Usage, Wish

__all__ = ["Answer", "Ask", "LanguageModel", "Means", "ModelDown", "Piece", "Usage", "Wish"]
