"""Where a repository on an object store is: ``s3://bucket/prefix``, held to a grammar, with nothing secret in it.

>>> parse_remote("s3://models/team-a/")
's3://models/team-a'
>>> is_remote(".layerwise"), is_remote("s3://models")
(False, True)
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from layerwise import canonical
from layerwise.errors import InvalidConfig, InvalidName

SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and what speaks its protocol; Google Cloud Storage; Azure Blob Storage."""

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""The variables that say which S3 is meant, where it is not Amazon's; the first that is set counts."""

CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
)
"""The variables of which one must say who asks. Without any, a machine's own role would be asked for, unasked."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_ADDRESS = re.compile(rf"(?:{'|'.join(SCHEMES)})://[a-z0-9][a-z0-9._-]{{1,61}}[a-z0-9](?:/{_PART}){{0,8}}/?\Z")


def is_remote(where: str | os.PathLike[str]) -> bool:
    """Tell whether ``where`` means an object store, not a folder; a path has one slash after the colon."""
    return _SCHEME.match(os.fspath(where)) is not None


def parse_remote(where: str | os.PathLike[str]) -> str:
    """Return an address without a slash at its end, or raise InvalidName.

    The message does not repeat what it refuses: whoever writes a password into an address must not find it in a log.
    """
    text = os.fspath(where)
    if isinstance(where, os.PathLike):
        text = text.replace(":/", "://", 1)
    if len(text) > 1_000 or not _ADDRESS.match(text):
        raise InvalidName(
            "the address of a repository is not one (it is not repeated here, for it may hold a secret): expected a "
            "folder, or s3://bucket/prefix of letters, digits, '.', '_' and '-'; without a user, password, port, "
            "query or fragment, which come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"
        )
    return text.rstrip("/")


def check_environment(address: str) -> None:
    """Raise InvalidConfig where the environment does not say who asks S3, or says to ask in the clear unasked."""
    if not address.startswith("s3://"):
        return
    if not any(os.environ.get(name) for name in CREDENTIALS):
        raise InvalidConfig(
            f"there are no credentials for {address}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or one of "
            f"{', '.join(CREDENTIALS[1:])}) in the environment"
        )
    if endpoint().lower().startswith("http://") and not allows_http():
        raise InvalidConfig(
            f"the endpoint for {address} is http://: what is sent can be read on the way; where that is meant, on this "
            "machine say, set AWS_ALLOW_HTTP=true"
        )


def allows_http() -> bool:
    """Tell whether the environment allows connections in the clear."""
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on")


def endpoint() -> str:
    """Return which S3 the environment says is meant; nothing where it is Amazon's."""
    return next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")


def working_folder(address: str, repository: str) -> Path:
    """Return the folder on this machine for what belongs to a repository on an object store: its copy of the catalog,
    objects that were fetched, files being written. It can be removed when nobody uses it.

    Args:
        address: as ``parse_remote`` gives it.
        repository: the repository's id: another one at the same address gets another folder.
    """
    key = canonical.digest_bytes([f"{address}\n{endpoint()}\n{repository}".encode()])
    return _caches() / "layerwise" / key[:32]


def _caches() -> Path:
    if said := os.environ.get("LAYERWISE_CACHE"):
        return Path(said).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home())
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
