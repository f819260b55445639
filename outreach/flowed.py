"""The text part's lines: short ones for terminals, which phones may put together again (RFC 3676, format=flowed)."""

WIDTH = 76
"""Characters of a line. RFC 3676, 4.2 asks for 78 at most, the space at its end among them."""
_SIGNATURE = "--"


def flow(text: str) -> str:
    """Break the paragraphs of a text into lines of at most 76 characters, each but the last ending in a space.

    Indented lines (tables, lists, commands) keep their shape; a word that is longer than a line stays whole. The line
    ``--`` becomes the signature's ``-- ``, which readers show in grey. ``unflow`` gives the text back.
    """
    return "".join(f"{line}\n" for paragraph in text.removesuffix("\n").split("\n") for line in _lines(paragraph))


def unflow(text: str) -> str:
    r"""Put flowed lines together again, as a reader that knows of them does.

    >>> unflow(flow("word " * 30 + "end")) == "word " * 30 + "end\n"
    True
    """
    whole: list[str] = []
    open_ended = False
    for line in text.removesuffix("\n").split("\n"):
        bare = line.removeprefix(" ")
        if open_ended:
            whole[-1] += bare
        else:
            whole.append(_SIGNATURE if bare == f"{_SIGNATURE} " else bare)
        open_ended = bare.endswith(" ") and bare != f"{_SIGNATURE} "
    return "".join(f"{line}\n" for line in whole)


def _lines(paragraph: str) -> list[str]:
    if paragraph == _SIGNATURE:
        return [f"{_SIGNATURE} "]
    if paragraph.startswith(" ") or len(paragraph) < WIDTH:
        return [_stuffed(paragraph)]
    lines: list[str] = []
    words = paragraph.split(" ")
    begins, length = 0, len(words[0])
    for at, word in enumerate(words[1:], 1):
        if length and word and length + 1 + len(word) >= WIDTH:
            lines.append(" ".join([*words[begins:at], ""]))
            begins, length = at, len(word)
        else:
            length += 1 + len(word)
    lines.append(" ".join(words[begins:]))
    return [_stuffed(line) for line in lines]


def _stuffed(line: str) -> str:
    """What begins like a quote, a header or an indent gets a space before it (RFC 3676, 4.4)."""
    return f" {line}" if line.startswith((" ", ">", "From ")) else line
