"""Certificates for both sides of a connection, looked at before they are used. A private key is never shown."""

from __future__ import annotations

import ssl
from pathlib import Path

from distributed.security import Security

from dropviz import settings


def security_for(url: str) -> Security | None:
    """What a connection to a scheduler needs: certificates for ``tls://``, nothing for ``tcp://``.

    Raises:
        ValueError: A file is missing, or is not what its setting says, or key and certificate do not belong together.
    """
    if not url.startswith("tls://"):
        return None
    files = settings.tls_files()
    _check(files)
    return Security(
        require_encryption=True,
        tls_ca_file=str(files["ca"]),
        tls_client_cert=str(files["cert"]),
        tls_client_key=str(files["key"]),
    )


def _check(files: dict[str, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(files["ca"])
    except ssl.SSLError:
        raise ValueError(
            f"DROPVIZ_TLS_CA = {str(files['ca'])!r} holds no certificate in PEM format: name that of the cluster's"
            " authority."
        ) from None
    try:
        context.load_cert_chain(files["cert"], files["key"], password=_refuse_passphrase)
    except ssl.SSLError as error:
        pair = f"DROPVIZ_TLS_CERT = {str(files['cert'])!r} and DROPVIZ_TLS_KEY = {str(files['key'])!r}"
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{pair} do not belong together: name a certificate and its own key.") from None
        raise ValueError(f"{pair} are not a certificate and its key in PEM format.") from None


def _refuse_passphrase() -> str:
    raise ValueError(
        "DROPVIZ_TLS_KEY is protected by a passphrase, which nobody is there to type: name a key without one, in a file"
        " that only this user can read."
    )
