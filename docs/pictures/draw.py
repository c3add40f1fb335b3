"""Draws terminal screens as one SVG, readable in light and in dark surroundings."""

import html
import re
from dataclasses import dataclass, field

SIZE = 14  # of the font, in pixels, as all lengths here
CELL, LINE = 8.43, 19  # a character's width and height
PADDING, BAR, GAP = 14, 30, 14
# Whichever the reader has; characters that it lacks come from another one, each in a place of its own.
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"

# For each class: its colour in light and in dark surroundings.
COLORS = {
    "screen": ("#ffffff", "#1e2227"),
    "bar": ("#e4e7eb", "#343a42"),
    "edge": ("#b9c0c8", "#4b535d"),
    "text": ("#24292f", "#e6e8ea"),
    "dim": ("#6a737d", "#959da5"),
    "red": ("#b31d28", "#f47067"),
    "green": ("#22863a", "#6bc46d"),
    "yellow": ("#8a5a00", "#daaa3f"),
    "blue": ("#0550ae", "#6cb6ff"),
    "magenta": ("#8250df", "#dcbdfb"),
    "cyan": ("#1b7c83", "#56d4dd"),
}
BASIC = ["text", "red", "green", "yellow", "blue", "magenta", "cyan", "text"]


@dataclass
class Screen:
    """A terminal, as tmux shows it with escape sequences, and where its cursor is, if that is to be seen."""

    title: str
    columns: int
    lines: list[str]
    cursor: tuple[int, int] | None = None

    @property
    def width(self):
        return self.columns * CELL + 2 * PADDING

    def height(self, rows):
        return BAR + rows * LINE + PADDING


@dataclass
class Style:
    """The attributes that escape sequences have set."""

    color: str = "text"
    flags: set[str] = field(default_factory=set)

    def apply(self, codes):
        for code in codes:
            match code:
                case 0:
                    self.color, self.flags = "text", set()
                case 1:
                    self.flags.add("bold")
                case 2:
                    self.flags.add("dim")
                case 22:
                    self.flags -= {"bold", "dim"}
                case 39:
                    self.color = "text"
                case _ if 30 <= code <= 37:
                    self.color = BASIC[code - 30]
                case _ if 90 <= code <= 97:
                    self.color = BASIC[code - 90]

    @property
    def classes(self):
        color = "dim" if "dim" in self.flags else self.color
        return f"{color} bold" if "bold" in self.flags else color


def runs(line, style):
    """Splits a line into texts of one style, each with its column. Rare characters stand alone."""
    column = 0
    for codes, text in re.findall(r"(?:\x1b\[([\d;]*)m)|([^\x1b]+)", line):
        if not text:
            style.apply([int(code or 0) for code in codes.split(";")])
        for part in re.findall(r"[\x00-\xff]+|[^\x00-\xff]", text):
            if part.strip():
                yield column, part, style.classes
            column += len(part)


def text(x, y, content, classes):
    length = f' textLength="{len(content) * CELL:.1f}"' if len(content) > 1 else ""
    return f'<text x="{x:.1f}" y="{y:.0f}"{length} class="{classes}">{html.escape(content, quote=False)}</text>'


def panel(screen, left, top, rows):
    """Returns the drawing of one terminal with its title."""
    size = f'width="{screen.width:.0f}" height="{screen.height(rows)}"'
    parts = [
        f'<rect x="{left:.0f}" y="{top:.0f}" {size} rx="8" class="bar edge"/>',
        f'<path d="M{left + 1:.0f} {top + BAR}h{screen.width - 2:.0f}v{rows * LINE + PADDING - 9}a8 8 0 0 1 -8 8'
        f'h-{screen.width - 18:.0f}a8 8 0 0 1 -8 -8z" class="screen"/>',
        f'<text x="{left + PADDING:.0f}" y="{top + 20:.0f}" class="text bold">{html.escape(screen.title)}</text>',
    ]
    style = Style()
    x, y = left + PADDING, top + BAR + LINE
    for row, line in enumerate(screen.lines):
        parts += [text(x + column * CELL, y + row * LINE, part, classes) for column, part, classes in runs(line, style)]
    if screen.cursor:
        column, row = screen.cursor
        parts.append(
            f'<rect x="{x + column * CELL:.1f}" y="{y + row * LINE - 14:.0f}" width="{CELL}" height="17" class="text"/>'
        )
    return parts


def rules(index):
    fills = [f".{name}{{fill:{colors[index]}}}" for name, colors in COLORS.items() if name != "edge"]
    return "".join([*fills, f".edge{{stroke:{COLORS['edge'][index]}}}"])


def picture(title, rows_of_screens):
    """Returns an SVG with screens in rows, those of a row equally high."""
    parts, top, width = [], 1, 0
    for screens in rows_of_screens:
        rows, left = max(len(screen.lines) for screen in screens), 1
        for screen in screens:
            parts += panel(screen, left, top, rows)
            left += screen.width + GAP
        width = max(width, left - GAP + 2)
        top += screens[0].height(rows) + GAP
    height = top - GAP + 2
    style = f"text{{white-space:pre}}.bold{{font-weight:bold}}{rules(0)}@media(prefers-color-scheme:dark){{{rules(1)}}}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONTS}" font-size="{SIZE}" xml:space="preserve">'
    )
    return "\n".join([head, f"<title>{html.escape(title)}</title>", f"<style>{style}</style>", *parts, "</svg>", ""])
