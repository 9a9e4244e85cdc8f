"""Detection of closing remarks, such as "ok thanks", that need no reply (conversations/README.md 4).

A text is looked at once, in memory, when its webhook is decoded. Only one bit is kept, never the text.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LENGTH: Final = 24
"""Length of the longest text that can be a closing remark, in characters."""

DEFAULT: Final[tuple[str, ...]] = tuple(
    """
ok, okay, okey, ok thanks, ok thank you, ok bye, k, kk, okie, thanks, thank you, thank u, thanks a lot, thanks
so much, many thanks, thank you so much, thank you very much, thx, thnx, tnx, ty, bye, bye bye, goodbye, good
bye, thanks bye, cheers, great thanks, perfect thanks, gracias, muchas gracias, mil gracias, ok gracias, vale,
vale gracias, listo gracias, perfecto gracias, adios, adiós, chao, hasta luego, obrigado, obrigada, muito
obrigado, muito obrigada, ok obrigado, ok obrigada, valeu, tchau, até logo, dhanyavad, dhanyawad, dhanyavaad,
shukriya, bahut dhanyavad, theek hai, thik hai, accha thik hai, alvida, شكرا, شكرا لك, شكرا جزيلا, مع السلامة,
تمام, تمام شكرا, حسنا, حسنا شكرا, merci, merci beaucoup, ok merci, d'accord, d'accord merci, au revoir, à
bientôt, danke, danke schön, vielen dank, ok danke, alles klar, alles klar danke, tschüss, auf wiedersehen,
grazie, grazie mille, ok grazie, va bene, va bene grazie, grazie ciao, arrivederci, terima kasih, terimakasih,
makasih, ok makasih, oke, oke terima kasih, sampai jumpa, teşekkürler, teşekkür ederim, çok teşekkürler, sağ
ol, sağol, tamam, tamam teşekkürler, hoşça kal, görüşürüz, спасибо, большое спасибо, спасибо большое, ок, ок
спасибо, хорошо, хорошо спасибо, пока, до свидания
""".replace("\n", " ")
    .strip()
    .split(", ")
)
"""The default of the setting `closings`, in the languages that most customers write."""

_MAX_JSON_BYTES: Final = 12 * MAX_LENGTH + 2  # at most two escapes per character, plus quotation marks
_QUESTION_MARKS: Final = frozenset(
    "?\xbf\u037e\u055e\u061f\u1367\u1945\u203d\u2047\u2048\u2049\u2753\u2754\u2cfa\u2cfb\u2e2e\u2e54\ua60f\ua6f7\ufe16\ufe56\uff1f"
    "\U00011143\U0001e95f"
)
_WORD_CATEGORIES: Final = frozenset("LNM")  # letters, numbers and marks; all other characters separate words
_VARIATION_SELECTORS: Final = dict.fromkeys(range(0xFE00, 0xFE10))  # they are marks, but belong to emoji
_ASCII_WORDS: Final = "".join(char if char.isalnum() else " " for char in map(chr, range(128)))
_decode_text = msgspec.json.Decoder(str).decode


class ClosingRemarks:
    """A detector of closing remarks.

    Args:
        phrases: the setting `closings`. Without any phrase, no text is a closing remark.

    Example:
        >>> ClosingRemarks(["ok thanks"]).matches("OK, thanks!")
        True

    """

    __slots__ = ("_phrases",)

    def __init__(self, phrases: Iterable[str]) -> None:
        words = {normalized(phrase) for phrase in phrases}
        self._phrases: frozenset[str] = frozenset(words | {""} if words else ())

    def matches(self, text: str) -> bool:
        """Return whether a text is short, asks no question, and is empty or one of the phrases after normalisation."""
        if not self._phrases or len(text) > MAX_LENGTH or not _QUESTION_MARKS.isdisjoint(text):
            return False
        return normalized(text) in self._phrases

    def match_json(self, text: bytes | memoryview) -> bool:
        """Return whether a JSON string can be a closing remark. A longer string is not even decoded."""
        if len(text) > _MAX_JSON_BYTES or not self._phrases:
            return False
        try:
            return self.matches(_decode_text(text))
        except (msgspec.MsgspecError, ValueError):
            return False


def normalized(text: str) -> str:
    """Return a text without case, punctuation, emoji and extra white space.

    Letters, digits and marks remain. One space separates words.
    """
    if text.isascii():  # the same result in a tenth of the time
        return " ".join(text.lower().translate(_ASCII_WORDS).split())
    plain = unicodedata.normalize("NFKC", text.translate(_VARIATION_SELECTORS))
    folded = unicodedata.normalize("NFKC", plain.casefold())
    kept = [char if unicodedata.category(char)[0] in _WORD_CATEGORIES else " " for char in folded]
    return " ".join("".join(kept).split())


BY_DEFAULT: Final = ClosingRemarks(DEFAULT)
"""The detector with the default phrases."""
