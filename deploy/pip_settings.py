"""What pip is configured with on this machine, said in uv's words. Standard library only.

Reads pip's files and `PIP_*`; a variable of uv's that is already set wins. Values may hold credentials: they go
into the child's environment and nowhere else.
"""

import configparser
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

TRANSLATION: dict[str, tuple[str, ...]] = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "cert": ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
}
"""pip's option to the variables that mean the same to uv (and to later downloads of this process's children)."""

ALREADY_SAID: dict[str, tuple[str, ...]] = {
    "UV_DEFAULT_INDEX": ("UV_INDEX_URL",),
    "UV_INDEX": ("UV_EXTRA_INDEX_URL",),
    "HTTPS_PROXY": ("https_proxy", "ALL_PROXY", "all_proxy"),
    "HTTP_PROXY": ("http_proxy", "ALL_PROXY", "all_proxy"),
    "SSL_CERT_FILE": ("SSL_CERT_DIR",),
}
"""Other names under which the same thing may be set already."""

SEPARATOR = {"UV_FIND_LINKS": ","}


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, the weakest first."""
    only = environment.get("PIP_CONFIG_FILE")
    if only == "/dev/null":
        return
    home = Path(environment.get("HOME") or "/")
    for folder in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield Path("/Library/Application Support/pip/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if only:
        yield Path(only)


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for path in _files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                options.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return options


def pip_options(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's options in force: its files, then `PIP_*` (`PIP_INDEX_URL` is `index-url`)."""
    options = _from_files(environment)
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            options[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return options


def for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with pip's settings added in uv's variables."""
    result = dict(environment)
    for option, value in pip_options(environment).items():
        for variable in TRANSLATION.get(option, ()):
            names = (variable, *ALREADY_SAID.get(variable, ()))
            if not any(environment.get(name) for name in names):
                result[variable] = SEPARATOR.get(variable, " ").join(value.split())
    if "UV_INDEX" in result:
        # Every file is pinned by its hash, so which index it comes from does not matter.
        result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return result


DOWNLOADS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY")


def for_downloads(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with pip's certificate and proxy for the downloads of commands; the machine itself is no detour."""
    known = for_uv(environment)
    result = dict(environment) | {name: known[name] for name in DOWNLOADS if name in known}
    if "HTTPS_PROXY" in result and not any(environment.get(name) for name in ("NO_PROXY", "no_proxy")):
        result["NO_PROXY"] = "127.0.0.1,localhost"
    return result
