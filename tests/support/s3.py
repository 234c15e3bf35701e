"""An object store for tests: moto's server in a process of its own, started once and ended with the tests.

moto wants older versions of packages that Layerwise also uses, so it lives in an environment of its own,
``.venv/s3``, which ``scripts/install`` makes. ``LAYERWISE_TEST_S3`` names another server to test against, one that
knows the keys below.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import hmac
import os
import secrets
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

KEY, SECRET, REGION = "testing", "testing-secret-7f3a", "us-east-1"

_START = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


def environment(endpoint: str) -> dict[str, str]:
    """Return the variables that make Layerwise talk to ``endpoint``."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }


@functools.cache
def moto() -> str:
    """Return the address of moto's server, which ends when this process does; or of the one that was named."""
    if named := os.environ.get("LAYERWISE_TEST_S3"):
        return named
    folder = Path(sys.prefix) / "s3" / ("Scripts" if sys.platform == "win32" else "bin")
    python = next((path for path in (folder / "python", folder / "python.exe") if path.exists()), None)
    assert python is not None, f"there is no {folder}: `make install` puts the object store of the tests there"
    # It hears the end of our process as the end of its input.
    process = subprocess.Popen(
        [python, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    )  # fmt: skip

    def end() -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=20)

    atexit.register(end)
    assert process.stdout is not None
    host, port = process.stdout.readline().split()
    return f"http://{host}:{port}"


def new_bucket(endpoint: str) -> str:
    """Make a bucket of its own for a test and return its name."""
    name = f"layerwise-{os.getpid()}-{secrets.token_hex(4)}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT", headers=_signed(endpoint, f"/{name}"))
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    return name


def _signed(endpoint: str, path: str) -> dict[str, str]:
    """Return the headers of a PUT without a body, signed as S3 wants it (AWS Signature Version 4)."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    nothing = hashlib.sha256(b"").hexdigest()
    headers = {"host": urlsplit(endpoint).netloc, "x-amz-content-sha256": nothing, "x-amz-date": moment}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = hashlib.sha256(f"PUT\n{path}\n\n{lines}\n{names}\n{nothing}".encode()).hexdigest()
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    mark = hmac.new(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{request}".encode(), "sha256").hexdigest()
    return {
        **headers,
        "authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={mark}",
    }
