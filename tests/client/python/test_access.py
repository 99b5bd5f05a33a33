"""Tokens and certificates, as README's "Who may call" says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme
from cluster import Cluster
from processes import run

from svi_serving import (
    Client,
    InvalidArgument,
    PermissionDenied,
    SviError,
    Tls,
    Unauthenticated,
    Unavailable,
)


def new_token(cluster: Cluster, name: str, role: str) -> tuple[str, dict[str, str]]:
    """From svi-server --new-token: the token, and its entry for the server's file."""
    token, entry = run(cluster.binaries / "svi-server", "--new-token").splitlines()[:2]
    named = {**json.loads(entry), "name": name, "role": role}
    if role == "worker":
        named.pop("tenant", None)
    return token, named


@pytest.fixture
def token(cluster: Cluster) -> str:
    """Of the only client that may call a server with the file tokens.json."""
    token, me = new_token(cluster, "me", "client")
    gpu, worker = new_token(cluster, "gpu", "worker")
    (cluster.folder / "tokens.json").write_text(json.dumps({"tokens": [me, worker]}))
    (cluster.folder / "gpu.token").write_text(gpu)
    return token


def test_tokens(cluster: Cluster, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.start_server(f"--token-file={cluster.folder / 'tokens.json'}")
    with pytest.raises(Unauthenticated):
        next(Client(cluster.address).list())
    with pytest.raises(Unauthenticated):
        next(Client(cluster.address, token="wrong").list())
    with pytest.raises(PermissionDenied):
        next(Client(cluster.address, token_file=cluster.folder / "gpu.token").list())
    with pytest.raises(PermissionDenied):
        Client(cluster.address, token=token).workers()
    assert list(Client(cluster.address, token=token).list()) == []

    # A file may be renewed while the client lives.
    file = tmp_path / "me.token"
    file.write_text("outdated\n")
    client = Client(cluster.address, token_file=file)
    with pytest.raises(Unauthenticated):
        next(client.list())
    file.write_text(token + "\n")
    assert list(client.list()) == []

    monkeypatch.setenv("SVI_TOKEN", token)
    monkeypatch.setenv("SVI_SERVER", cluster.address)
    assert list(Client().list()) == []


def test_tls_with_certificates_on_both_sides(cluster: Cluster, token: str, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.crt")
    for name in ("server", "client"):
        pair = authority.issue_cert("localhost")
        pair.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        pair.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
    cluster.start_server(
        f"--tls-cert={tmp_path / 'server.crt'}",
        f"--tls-key={tmp_path / 'server.key'}",
        f"--tls-client-ca={tmp_path / 'ca.crt'}",
        f"--token-file={cluster.folder / 'tokens.json'}",
    )
    mine = {"cert": tmp_path / "client.crt", "key": tmp_path / "client.key", "server_name": "localhost"}
    good = Tls(ca=tmp_path / "ca.crt", **mine)
    assert list(Client(cluster.address, token=token, tls=good).list()) == []
    for refused in (
        False,
        Tls(ca=tmp_path / "stranger.crt", **mine),
        Tls(ca=tmp_path / "ca.crt", server_name="localhost"),
        Tls(ca=tmp_path / "ca.crt", cert=mine["cert"], key=mine["key"], server_name="elsewhere"),
    ):
        with pytest.raises(Unavailable):
            next(Client(cluster.address, token=token, tls=refused, retry_for=0).list())


def test_a_token_does_not_leave_the_machine_in_plain_text() -> None:
    for address in ("10.0.0.1:50051", "ipv4:127.0.0.1:1,10.0.0.1:1", "dns:///example.org:443", "127.example.org:1"):
        with pytest.raises(InvalidArgument, match="TLS"):
            Client(address, token="secret")
        Client(address, token="secret", allow_plaintext=True)
        Client(address, token="secret", tls=True)
    for address in (
        "localhost:1",
        "127.0.0.9:1",
        "[::1]:1",
        "ipv4:127.0.0.1:1,127.0.0.2:1",
        "dns:///localhost:1",
        "unix:/tmp/x",
    ):
        Client(address, token="secret")


def test_wrong_settings_are_named_without_secrets(tmp_path: Path) -> None:
    for settings, name in (
        ({"token": "two words"}, "token"),
        ({"token": ""}, "token"),
        ({"token": "x", "token_file": "y"}, "token_file"),
        ({"token_file": tmp_path / "none"}, "token_file"),
        ({"tls": Tls(ca=tmp_path / "none")}, "tls.ca"),
        ({"tls": Tls(cert=tmp_path / "none")}, "tls.cert"),
    ):
        with pytest.raises(SviError, match=name) as error:
            Client("127.0.0.1:1", **settings)
        assert "two words" not in str(error.value) and str(tmp_path) not in str(error.value)
