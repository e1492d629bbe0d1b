"""The OpenAPI document of an agent that is a service; docs/agent_api.json is its copy for readers."""

from typing import Any

from muses_eval.workers.agents.http_messages import FieldsResponse, TextResponse, TurnRequest
from pydantic.json_schema import models_json_schema

VERSION = "1.0.0"
"""Version of the format.  Requests may receive further fields in a minor version; services must ignore unknown ones."""

_RETRIED = "The service is not available now; the request is sent again, after `Retry-After` when it is given."


def openapi_document() -> dict[str, Any]:
    """Returns the OpenAPI 3.1 document."""
    references, definitions = models_json_schema(
        [(TurnRequest, "serialization"), (TextResponse, "validation"), (FieldsResponse, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    request = references[TurnRequest, "serialization"]
    replies = [references[kind, "validation"] for kind in (TextResponse, FieldsResponse)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agent of muses-eval",
            "version": VERSION,
            "description": "A service that is evaluated as an agent offers this one operation, at any address.",
        },
        "paths": {
            "/": {
                "post": {
                    "operationId": "turn",
                    "summary": "Reply in one turn of an episode.",
                    "requestBody": {"required": True, "content": _json(request)},
                    "responses": {
                        "200": {"description": "The reply of the agent.", "content": _json({"anyOf": replies})},
                        **{status: {"description": _RETRIED} for status in ("429", "502", "503", "504")},
                        "default": {"description": "The agent failed: the turn counts as an empty reply."},
                    },
                }
            }
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
