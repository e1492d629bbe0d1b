"""Reads the fields of a posted form."""

from urllib.parse import parse_qs

from starlette.requests import Request

MAX_BYTES = 256_000
MAX_FIELDS = 50


class BadFormError(Exception):
    """The body of a request is no form, or too large."""


async def read_form(request: Request) -> dict[str, str]:
    """Returns field -> value of an urlencoded form; of a field that occurs twice, the last value.

    Raises:
        BadFormError: the body is too large, or no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadFormError(f"expected a form (application/x-www-form-urlencoded), got {kind or 'no content type'}")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise BadFormError(f"the form has more than {MAX_BYTES:,} bytes; send less")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadFormError(f"not a form in UTF-8: {error}") from None
    return {name: values[-1] for name, values in fields.items()}
