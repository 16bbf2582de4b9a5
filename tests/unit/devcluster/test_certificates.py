"""Certificates and kubeconfigs of the development cluster."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from blockqnn_devcluster.access import kubeconfig, user_file_name, write_private
from blockqnn_devcluster.certificates import (
    Credential,
    create_authority,
    create_signing_key,
    issue_client,
    issue_server,
)

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def authority() -> Credential:
    return create_authority("test", NOW)


def load(credential: Credential) -> x509.Certificate:
    return x509.load_pem_x509_certificate(credential.certificate)


def test_a_client_certificate_names_the_user_and_its_groups(authority: Credential) -> None:
    certificate = load(issue_client(authority, "someone", ["a", "b"], NOW))
    subject = certificate.subject
    assert [n.value for n in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["someone"]
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [n.value for n in groups] == ["a", "b"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(load(authority))


def test_a_server_certificate_is_valid_for_its_addresses(authority: Credential) -> None:
    certificate = load(issue_server(authority, "s", ["127.0.0.1", "localhost"], NOW))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


def test_only_the_authority_may_sign(authority: Credential) -> None:
    def constraints(credential: Credential) -> x509.BasicConstraints:
        return load(credential).extensions.get_extension_for_class(x509.BasicConstraints).value

    assert constraints(authority).ca
    assert not constraints(issue_client(authority, "u", [], NOW)).ca


def test_keys_fit_their_certificates(authority: Credential, tmp_path: Path) -> None:
    credential = issue_server(authority, "s", ["127.0.0.1"], NOW)
    (tmp_path / "crt").write_bytes(credential.certificate)
    (tmp_path / "key").write_bytes(credential.key)
    # Raises where they do not belong together.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "crt", tmp_path / "key")
    private, public = create_signing_key()
    assert b"PRIVATE KEY" in private
    assert b"PUBLIC KEY" in public


def test_a_kubeconfig_holds_everything_it_needs() -> None:
    config = kubeconfig("https://127.0.0.1:1", b"ca", "someone", Credential(b"crt", b"key"))
    [user] = config["users"]
    assert base64.b64decode(user["user"]["client-key-data"]) == b"key"
    [context] = config["contexts"]
    assert context["context"]["user"] == user["name"] == "someone"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


def test_different_users_get_different_files() -> None:
    names = {
        user_file_name("system:serviceaccount:a:b", []),
        user_file_name("system:serviceaccount:a-b", []),
        user_file_name("system:serviceaccount:a-b", ["g"]),
    }
    assert len(names) == 3
    assert not any("/" in user_file_name(name, []) for name in ("../x", "/x", ""))


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
