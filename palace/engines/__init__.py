"""Things that think."""

from palace.engines.base import Answer, Ask, LanguageModel, ModelDown, Piece, Reason, Usage, Wish

__all__ = ["Answer", "Ask", "LanguageModel", "ModelDown", "Piece", "Reason", "Usage", "Wish"]
