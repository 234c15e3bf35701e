"""How an object store is reached, and what its refusals are called: nothing of a request's text gets into a message."""

from __future__ import annotations

import errno
import re
from datetime import timedelta

from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from layerwise.errors import InvalidConfig, LayerwiseError, NotFound, Unreachable, Unsupported
from layerwise.store.bucket.remote import allows_http

CONNECT_SECONDS = 5.0
"""How long a connection may take to be made."""

REFUSED = (FileNotFoundError, NotSupportedError, PermissionDeniedError, UnauthenticatedError)
"""Answers that another attempt would not change."""

_STATUS = re.compile(r"status code: (\d{3})")
_DETAILS = "\n\nDebug source"
_KIND = re.compile(r"\bkind: ([A-Z][a-z]+)")
_KINDS = {"Connect": "no connection", "Timeout": "no answer in time"}
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")


def connect(address: str, patience: float, *, retries: int) -> ObjectStore:
    """Return a client of the store behind ``address``; credentials and endpoint come from the environment.

    Args:
        address: as ``remote.parse_remote`` gives it.
        patience: seconds that a request may take.
        retries: how often the client itself repeats a request.

    Raises:
        InvalidConfig: the environment does not say enough.
    """
    try:
        # Not every store that speaks S3 knows the request that removes many.
        config = {"disable_bulk_delete": "true"} if address.startswith("s3://") else {}
        store: ObjectStore = from_url(
            address,
            config=config,  # type: ignore[call-overload]
            client_options={
                "timeout": timedelta(seconds=patience),
                "connect_timeout": timedelta(seconds=min(patience, CONNECT_SECONDS)),
                "user_agent": "layerwise",
                # What is said here puts the variable out of use.
                "allow_http": allows_http(),
            },
            retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=patience)},
        )
        return store
    except (BaseError, ValueError) as error:
        raise InvalidConfig(
            f"{address} cannot be reached ({_reason(error)}); docs/object-stores.md says which variables to set"
        ) from None


def refused(verb: str, what: str, error: BaseException, *, unknown: bool) -> LayerwiseError | FileNotFoundError:
    """Return the error for an answer that says no."""
    text = str(error)
    if isinstance(error, FileNotFoundError):
        if "<Code>NoSuchBucket<" in text:
            return NotFound(f"there is no bucket for {what}; make it first, or correct the address")
        return FileNotFoundError(errno.ENOENT, "there is no such file in the object store", what)
    if isinstance(error, NotSupportedError):
        return Unsupported(f"the object store does not know how to {verb} {what} as it must be done; use another one")
    return Unreachable(
        f"the object store refused to {verb} {what} ({_reason(error)}){_doubt(unknown)}; the credentials in the "
        "environment must be allowed to get, put, remove and list"
    )


def unanswered(verb: str, what: str, error: BaseException | None, *, unknown: bool) -> LayerwiseError:
    """Return the error for a request that no attempt got an answer to."""
    return Unreachable(
        f"the object store did not {verb} {what} ({_reason(error)}), several times{_doubt(unknown)}; "
        "look whether it can be reached, and try again"
    )


def _doubt(unknown: bool) -> str:
    return "; it is not known whether anything was written" if unknown else ""


def lacks_condition(error: BaseException) -> bool:
    """Tell whether a store says that it does not know what was asked of it."""
    return _status(error).startswith("501")


def _status(error: BaseException | None) -> str:
    said, _, _ = str(error).partition(_DETAILS)
    status, code = _STATUS.search(said), _CODE.search(said)
    return "" if status is None else f"{status[1]} {code[1]}" if code is not None else status[1]


def _reason(error: BaseException | None) -> str:
    # The whole text would repeat the address of the endpoint, and whatever a server chose to answer.
    if status := _status(error):
        return status
    said, _, details = str(error).partition(_DETAILS)
    if "redirect" in said:
        return "it is in another region; set AWS_REGION"
    if "must be" in said or "issing" in said:
        return "something is not set"
    kind = _KIND.search(details)
    return _KINDS.get(kind[1] if kind is not None else "", "an answer that was cut off")
