"""What a fault makes of a good answer."""

from dataclasses import replace

from muses_eval.workers.rehearsal.fault_profile import Fault
from muses_eval.workers.rehearsal.responses import Response, as_json, garbled, page
from muses_eval.workers.rehearsal.wire_format import WireFormat


def with_fault(good: Response, wire: WireFormat, fault: Fault | None) -> Response:
    """What is sent instead of *good*.  A ``rate_limited`` request never comes this far."""
    match fault:
        case Fault(kind="silence" | "reset" | "cut_off" as ending):
            return replace(good, ending=ending)
        case Fault(kind="drip", seconds=seconds):
            return replace(good, ending="drip", drip_s=seconds)
        case Fault(kind="server_error", status=status):
            return wire.error(status, "the server had a problem, try again")
        case Fault(kind="error_inside"):
            return replace(wire.error(500, "the model is not there for now"), status=200)
        case Fault(kind="garbled" | "wrong_json" | "html" as kind):
            bodies = {"garbled": garbled(good), "wrong_json": as_json({"result": "ok", "items": []}), "html": page(200)}
            return bodies[kind]
        case _:
            return good
