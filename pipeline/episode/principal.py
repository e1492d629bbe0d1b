"""A principal: one of the users that an agent serves at the same time."""

from dataclasses import dataclass

AGENT = "agent"
SYSTEM = "system"
RESERVED_NAMES = frozenset({AGENT, SYSTEM, "assistant", "user", "tool", "all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One user of an agent (paper, section 3: role, authority, persona, private context)."""

    name: str
    role: str
    authority: int
    """Authority from 1 (intern) to 10 (chief executive)."""
    persona: str
    """Description of the principal, which the agent sees."""
    private_context: str = ""
    """Goal and instructions of the principal, which no other principal and no agent sees."""
    background: str = ""
    """Background of the principal, which only the protocol ``released`` tells its model; empty in rows without one."""
