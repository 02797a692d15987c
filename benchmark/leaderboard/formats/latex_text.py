"""Any text as LaTeX that pdflatex accepts without further packages."""

import unicodedata

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi - pi rho - sigma tau upsilon phi chi psi "
    "omega"
)
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After \\ these would be read as its arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "÷": r"$\div$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "¬": r"$\neg$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}
_SPECIAL |= {chr(0x3B1 + place): rf"$\{name}$" for place, name in enumerate(_GREEK.split()) if name != "-"}
# LaTeX's standard fonts have all letters of Latin-1 except these.
_LACKING = "ÐðÞþ"


def escaped(text: str) -> str:
    """The text for LaTeX. A character that the standard fonts lack becomes its code point, such as `U+4E2D`."""
    return "".join(map(_character, unicodedata.normalize("NFC", text)))


def breakable(text: str, length: int = 24, piece: int = 8) -> str:
    """The text for LaTeX, with places where long words may break.

    Args:
        text: The text.
        length: Longer words, in characters, may break.
        piece: Characters between two such places.
    """
    words = (
        escaped(word)
        if len(word) <= length
        else r"\allowbreak{}".join(escaped(word[start : start + piece]) for start in range(0, len(word), piece))
        for word in text.split(" ")
    )
    return " ".join(words)


def _character(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    if char.isascii() and char.isprintable():
        return char
    if char.isspace():
        return " "
    if "À" <= char <= "ÿ" and char not in _LACKING:
        return char
    if unicodedata.combining(char):
        return ""
    return f"U+{ord(char):04X}"
