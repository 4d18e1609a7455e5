"""Observe, decide, carry out, and again where the world moved in between: one account to where it is declared."""

from pulumi_pinata.core import execute, observe, plan
from pulumi_pinata.core.actions import Await, Outcome, Refuse
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError
from pulumi_pinata.core.model import Actual, Desired
from pulumi_pinata.core.ports import Ports

_ROUNDS = 6


def converge(desired: Desired, ports: Ports) -> Outcome:
    """Bring one account to what is declared.

    At most `_ROUNDS` actions are tried; each can mint at most one key.

    Raises the PinataError that stopped it; whatever it is, the account is left in a state that the next run
    knows how to go on from.
    """
    gone: frozenset[int] = frozenset()
    last: PinataError = Conflict("another run is at work on this account.", hint="Wait for it to end, then run again.")
    for _ in range(_ROUNDS):
        actual = _observed(desired, ports, gone, last)
        action = plan.decide(desired, actual)
        if isinstance(action, Await):
            if is_abandoned(desired.account, action.version, ports):
                gone |= {action.version}
            continue
        if isinstance(action, Refuse) and ports.store.record(desired.account) != actual.record:
            continue  # somebody was at work while it was looked at
        try:
            outcome = execute.carry_out(action, desired, actual, ports)
            if not plan.falls_short(desired, action, outcome):
                return outcome
        except (Ambiguous, Conflict) as error:
            last = error
    raise last


def _observed(desired: Desired, ports: Ports, gone: frozenset[int], last: PinataError) -> Actual:
    try:
        return observe.account(desired, ports, resume=gone)
    except PinataError as error:
        if not isinstance(last, Ambiguous):
            raise
        # What the round before may have left behind matters more than why it can't be looked at now.
        raise Ambiguous(f"{last.message} Then: {error.message}", about=error.about, hint=last.hint) from None


def is_abandoned(account: str, version: int, ports: Ports) -> bool:
    """Wait until the open intent `version` moves on (False) or has stood still for a lease (True).

    The time is this process's own: clocks of other machines, and times that they wrote, decide nothing.
    """
    ports.notice(
        f"an unfinished run holds this account; waiting up to {ports.lease:.0f} s for it to go on or prove to be gone"
    )
    end = ports.clock.monotonic() + ports.lease
    while (left := end - ports.clock.monotonic()) > 0:
        ports.clock.sleep(min(left, ports.lease / 16))
        record = ports.store.record(account)
        if record is None or not record.open or record.version != version:
            return False
    return True
