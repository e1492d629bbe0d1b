"""The effect of a fault on a good response."""

from dataclasses import replace

from muses_eval.workers.rehearsal.fault_profile import Fault
from muses_eval.workers.rehearsal.responses import Response, as_json, html_page, truncated_json
from muses_eval.workers.rehearsal.wire_format import ServerWireFormat


def with_fault(good: Response, wire: ServerWireFormat, fault: Fault | None) -> Response:
    """Returns the response that is sent instead of *good*.  A ``rate_limited`` fault is handled before."""
    match fault:
        case Fault(kind="silence" | "reset" | "cut_off" as ending):
            return replace(good, ending=ending)
        case Fault(kind="drip", seconds=seconds):
            return replace(good, ending="drip", drip_s=seconds)
        case Fault(kind="server_error", status=status):
            return wire.error(status, "the server had a problem, try again")
        case Fault(kind="error_inside"):
            return replace(wire.error(500, "the model is unavailable"), status=200)
        case Fault(kind="garbled" | "wrong_json" | "html" as kind):
            bodies = {
                "garbled": truncated_json(good),
                "wrong_json": as_json({"result": "ok", "items": []}),
                "html": html_page(200),
            }
            return bodies[kind]
        case _:
            return good
