"""Any text as LaTeX that pdflatex takes, without further packages."""

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
    # Behind \\ these would be taken for its arguments.
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
# LaTeX's standard fonts have the letters of Latin-1 but these.
_LACKING = "ÐðÞþ"


def escaped(text: str) -> str:
    """The text for LaTeX. A character that its standard fonts lack becomes its code point, as in `U+4E2D`."""
    return "".join(map(_character, unicodedata.normalize("NFC", text)))


def breakable(text: str, length: int = 24, piece: int = 8) -> str:
    """`escaped`, with places to break in words longer than `length` characters."""
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
