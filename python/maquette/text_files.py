"""Text that a person wrote with whatever editor: read, or told where it can not be."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError, shown_path

_KEPT_TAGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """Read a file of UTF-8, or of UTF-16 as some editors mark it.

    Raises:
        ConfigError: it is neither; names file and line.
        OSError: it can not be read.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        place = shown_path(path)
        raise ConfigError(
            f"not UTF-8 text: `{place}`, line {line}",
            detail=f"byte 0x{content[error.start]:02x} can be no letter there",
            hint=f"save it as UTF-8: `iconv -f latin1 -t utf-8 {place} > new`, then take `new`",
        ) from None


def read_yaml_words(path: Path) -> Any:
    """Read YAML whose values stay as they were written: `007`, `1:30`, `no` are no numbers here.

    An option's own type decides what a value means, as on the command line.

    Raises:
        ConfigError: it is not text.
        yaml.YAMLError: it is not YAML.
    """
    import yaml  # most commands find no such file, and start sooner

    known = yaml.SafeLoader.yaml_implicit_resolvers
    kept = {
        first: [(tag, form) for tag, form in known[first] if tag in _KEPT_TAGS] for first in known
    }
    words = type("Words", (yaml.SafeLoader,), {"yaml_implicit_resolvers": kept})
    return yaml.load(read_text(path), words)
