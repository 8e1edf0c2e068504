"""How what was spoken is written; comes before redaction."""

from gateway.text.formatting.formatter import PLAIN, Formatted, Formatter, Piece, format_text, format_tokens

__all__ = ["PLAIN", "Formatted", "Formatter", "Piece", "format_text", "format_tokens"]
