"""How to reach svi-server: its address, TLS, and the token that says who calls."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Optional, Union

import grpc

from svi_serving.errors import InvalidArgument

PathLike = Union[str, "os.PathLike[str]"]

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),  # a video of 100,000 clips, listed
    ("grpc.max_send_message_length", -1),  # the server judges the picture's size, and says so
    # This package decides when to try again; the channel must not still be waiting then.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name, how long an attempt to connect may take: TLS over a long way needs a second or two.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Notices a peer that vanished without closing. Only while a call is under way.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.primary_user_agent", f"svi-python/{version('svi-serving')}"),
]


@dataclass(frozen=True)
class Tls:
    """TLS, with PEM files. `Tls()` trusts the system's authorities."""

    ca: Optional[PathLike] = None
    """The authority that signed the server's certificate."""
    cert: Optional[PathLike] = None
    """What to show a server that asks for a certificate; goes with `key`."""
    key: Optional[PathLike] = None
    server_name: Optional[str] = None
    """The name that the server's certificate must have, if not the one in the address."""


@dataclass(frozen=True)
class Endpoint:
    """Where the server is, and who calls. Errors are InvalidArgument; they say nothing of what a file holds."""

    address: str
    tls: Optional[Tls] = None
    token: Optional[str] = None
    token_file: Optional[PathLike] = None
    allow_plaintext: bool = False
    """Allows a token to be sent without TLS to another machine."""

    def __post_init__(self) -> None:
        if self.token is not None and self.token_file is not None:
            raise InvalidArgument("token and token_file exclude each other")
        if self._find_token() and self.tls is None and not self.allow_plaintext and not is_loopback(self.address):
            raise InvalidArgument("token: to another machine needs TLS (tls=True, tls=Tls(…)), or allow_plaintext=True")

    def open_channel(self) -> grpc.Channel:
        """A new channel; its certificates are read now."""
        if self.tls is None:
            return grpc.insecure_channel(self.address, _CHANNEL_OPTIONS)
        if (self.tls.cert is None) != (self.tls.key is None):
            raise InvalidArgument("tls.cert: goes with tls.key")
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read("tls.ca", self.tls.ca),
            private_key=_read("tls.key", self.tls.key),
            certificate_chain=_read("tls.cert", self.tls.cert),
        )
        options = list(_CHANNEL_OPTIONS)
        if self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return grpc.secure_channel(self.address, credentials, options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. A token file is read anew, so that a renewed token is used at once."""
        token = self._find_token()
        return (("authorization", f"Bearer {token}"),) if token else ()

    def _find_token(self) -> str:
        """Empty if there is none."""
        token = self.token
        if self.token_file is not None:
            token = (_read("token_file", self.token_file) or b"").decode("ascii", "replace").strip()
        elif token is None:
            token = os.environ.get("SVI_TOKEN") or None
        if token is None:
            return ""
        if not re.fullmatch(r"[!-~]{1,4096}", token):
            raise InvalidArgument("token: is 1..4096 printable characters without spaces")
        return token


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT, a list of addresses (`ipv4:a,b`) or a unix: address is on this machine."""
    if address.startswith("unix:"):
        return True
    hosts = re.sub(r"^(ipv4:|ipv6:|dns:(///)?)", "", address).split(",")
    return all(_is_loopback_host(host) for host in hosts)


def _is_loopback_host(address: str) -> bool:
    host = re.sub(r":\d+$", "", address).strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # another name


def _read(what: str, path: Optional[PathLike]) -> Optional[bytes]:
    """None for no path; `what` names it in errors."""
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError:
        content = b""
    if not content:
        raise InvalidArgument(f"{what}: the file cannot be read, or is empty")
    return content
