"""What kind of statement a text is: rows out, data in, or neither; without parsing all of SQL.

Comments, quotes and brackets are respected, so a word counts only where it is a keyword.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.local.clickhouse_server.faults import NOT_IMPLEMENTED, SYNTAX_ERROR, QueryRefused

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.|'')*+'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>`(?:[^`\\]|\\.|``)*+`|"(?:[^"\\]|\\.|"")*+")
      | (?P<word>[A-Za-z_]\w*)
      | (?P<number>[0-9][\w.]*)
      | (?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
ROW_STARTS = frozenset({"SELECT", "WITH", "FROM", "("})
_SOURCES = frozenset({"SELECT", "WITH", "FROM", "WATCH"})
_STOPS = _SOURCES | {"VALUES", "FORMAT"}
_BEFORE_TABLE = frozenset({"INSERT", "INTO", "TABLE", "FUNCTION"})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement; `key` is upper case for words and signs, empty for quoted names and literals."""

    kind: str
    text: str
    start: int
    depth: int

    @property
    def key(self) -> str:
        return self.text.upper() if self.kind in ("word", "sign") else ""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class InsertTarget:
    """Where data goes: `head` is the text up to its SETTINGS, VALUES or FORMAT; `columns` as written or None."""

    head: str
    table: str
    is_function: bool = False
    columns: str | None = None
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """`verb` is the first word; `text` is what the engine gets; `insert` is set when the client sends blocks."""

    verb: str
    text: str
    insert: InsertTarget | None = None

    @property
    def streams(self) -> bool:
        """Whether the engine can hand out the result block by block."""
        return self.verb in ROW_STARTS


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Significant tokens from `start` on; a bracket has the depth of what is around it."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup or "sign"
        if kind == "space":
            continue
        piece = match.group()
        if piece in (")", "]", "}"):
            depth -= 1
        yield Token("text" if kind == "tag" else kind, piece, match.start(), depth)
        if piece in ("(", "[", "{"):
            depth += 1


def names(column_list: str) -> list[str] | None:
    """The plain column names in a list, unquoted; None if it has expressions (`*`, `EXCEPT(…)`)."""
    found = [""]
    for token in tokens(column_list):
        if token.text == ",":
            found.append("")
        elif token.kind == "quoted":
            found[-1] += unquoted(token.text)
        elif token.kind in ("word", "number") or token.text == ".":
            found[-1] += token.text
        else:
            return None
    return found


def unquoted(name: str) -> str:
    """A name as it is, without its backticks or double quotes."""
    if name[:1] not in ("`", '"'):
        return name
    return re.sub(r"\\(.)|(``)|(\"\")", lambda m: m.group(1) or m.group()[0], name[1:-1])


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def classify(text: str) -> Statement:
    """Tell what a statement is. Raises QueryRefused for none, several, or one that writes server files."""
    stream = tokens(text)
    first = next((token for token in stream if token.text != ";"), None)
    if first is None:
        raise QueryRefused(SYNTAX_ERROR, "Syntax error: Empty query.")
    if first.key == "INSERT":
        return _insert(text, first.start)
    found = [first]
    for token in stream:
        if token.text == ";":
            _nothing_after(stream)
            break
        found.append(token)
    return Statement(first.key, _without_format(text, found))


def _nothing_after(stream: Iterator[Token]) -> None:
    if any(token.text != ";" for token in stream):
        raise QueryRefused(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed).")


def _without_format(text: str, found: list[Token]) -> str:
    # The client formats rows itself, so a FORMAT clause has no meaning here, as on a real server.
    start, end = found[0].start, found[-1].end
    for index, token in enumerate(found):
        if token.depth or token.kind != "word":
            continue
        following = found[index + 1 : index + 3]
        after = following[0].key if following else ""
        if token.key == "INTO" and after == "OUTFILE":
            raise QueryRefused(NOT_IMPLEMENTED, "INTO OUTFILE is for the client, not for the server.")
        is_last = len(following) == 1 or (len(following) == 2 and following[1].key == "SETTINGS")
        if index and token.key == "FORMAT" and is_last and following[0].kind == "word":
            return text[start : token.start] + text[following[0].end : end]
    return text[start:end]


def _insert(text: str, start: int) -> Statement:
    stream = tokens(text, start)
    head, stop = _head(stream)
    if stop is None or stop.key in _SOURCES or stop.text == ";":
        rest = [] if stop is None else [stop, *stream]
        _single([*head, *rest])
    elif not _only_semicolons(text, stop, stream):
        return Statement("INSERT", text[start:])
    target = _target(text, head, stop.start if stop and stop.text != ";" else None)
    if target is None or (stop is not None and stop.key in _SOURCES):
        return Statement("INSERT", text[start:].rstrip("; \n\t"))
    return Statement("INSERT", target.head, target)


def _head(stream: Iterator[Token]) -> tuple[list[Token], Token | None]:
    """Tokens up to where data or a query begins, and the token that says so."""
    head: list[Token] = []
    named = False
    for token in stream:
        if token.text == ";" or (named and not token.depth and token.key in _STOPS):
            return head, token
        head.append(token)
        named = named or token.key not in _BEFORE_TABLE
    return head, None


def _only_semicolons(text: str, stop: Token, stream: Iterator[Token]) -> bool:
    """Whether nothing follows VALUES or FORMAT name, so that the data come in blocks."""
    if stop.key == "FORMAT" and next(stream, None) is None:
        raise QueryRefused(SYNTAX_ERROR, f"Syntax error: a format is missing at position {len(text)}.")
    following = next(stream, None)
    return following is None or following.text == ";"


def _single(found: list[Token]) -> None:
    ends = [index for index, token in enumerate(found) if token.text == ";"]
    if ends:
        _nothing_after(iter(found[ends[0] :]))


def _target(text: str, head: list[Token], end: int | None) -> InsertTarget | None:
    """What an INSERT writes to; None if it brings its own query in brackets or cannot be understood."""
    first = next((index for index, token in enumerate(head) if token.key not in _BEFORE_TABLE), None)
    if first is None:
        return None
    is_function = any(token.key == "FUNCTION" for token in head[:first])
    after = _name_end(head, first)
    if is_function:
        after = _closing(head, after) + 1
    table = text[head[first].start : head[after - 1].end]
    columns = None
    if after < len(head) and head[after].text == "(":
        close = _closing(head, after)
        has_query_behind = close + 1 < len(head) and head[close + 1].text == "("
        if has_query_behind or head[after + 1].key in _SOURCES or head[after + 1].text == "(":
            return None
        columns = text[head[after].end : head[close].start]
    whole_end = head[-1].end if end is None else end
    cut = next((token.start for token in head[after:] if token.key == "SETTINGS" and not token.depth), whole_end)
    return InsertTarget(text[head[0].start : cut], table, is_function, columns, text[cut:whole_end].strip())


def _closing(found: list[Token], opening: int) -> int:
    for index in range(opening + 1, len(found)):
        if found[index].text == ")" and found[index].depth == found[opening].depth:
            return index
    raise QueryRefused(SYNTAX_ERROR, "Syntax error: a bracket is not closed.")


def _name_end(found: list[Token], start: int) -> int:
    """Where a name of parts and dots ends."""
    end = start + 1
    while end + 1 < len(found) and found[end].text == ".":
        end += 2
    return end
