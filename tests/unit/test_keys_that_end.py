"""Keys that end: when they are looked for again, and what a person is told before a job."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from maquette.errors import CredentialsError
from maquette.runners.agent_command import limit_in_command
from maquette.runners.key_lifetime import ends_before
from maquette.storage.key_renewal import RenewedKeys
from maquette.storage.signing import Credentials

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def session(number: int, ends: datetime | None) -> Credentials:
    return Credentials("a", "s", f"token-{number}", ends)


class Source:
    """Makes sessions of one hour, by a clock that a test sets."""

    def __init__(self) -> None:
        self.now, self.made, self.is_away = NOON, 0, False

    def find(self) -> Credentials:
        if self.is_away:
            raise CredentialsError("log in")
        self.made += 1
        return session(self.made, self.now + timedelta(hours=1))

    def keys(self) -> RenewedKeys:
        return RenewedKeys(self.find, lambda: self.now)


def test_keys_are_looked_for_a_quarter_of_an_hour_before_they_end() -> None:
    source = Source()
    keys = source.keys()
    for minutes, made in ((0, 1), (44, 1), (46, 2), (89, 2), (92, 3)):
        source.now = NOON + timedelta(minutes=minutes)
        assert keys.current().token == f"token-{made}"


def test_a_login_that_is_over_counts_only_when_its_keys_are() -> None:
    source = Source()
    keys = source.keys()
    source.is_away, source.now = True, NOON + timedelta(minutes=50)
    assert keys.current().token == "token-1"
    source.now = NOON + timedelta(minutes=61)
    with pytest.raises(CredentialsError):
        keys.current()


def test_a_store_that_refuses_a_session_makes_us_look_once() -> None:
    source = Source()
    keys = source.keys()
    used = keys.current()
    assert keys.renew(used) and keys.renew(used)  # the second thread finds what the first brought
    assert source.made == 2
    lasting = RenewedKeys(lambda: Credentials("a", "s"))
    assert not lasting.renew(lasting.current())


@pytest.mark.parametrize(
    ("keys", "limit_hours", "told"),
    [
        (Credentials("a", "s"), None, ""),
        (session(1, NOON + timedelta(hours=9)), 8, ""),
        (session(1, NOON + timedelta(minutes=59)), 8, "in 59 minutes.*may take 8 h.*MAX_HOURS=0.8"),
        (session(1, NOON + timedelta(hours=9)), None, "in 9 hours.*no time limit.*MAX_HOURS=8.8"),
        (session(1, NOON + timedelta(minutes=3)), 1, "in 3 minutes.*without a session token last$"),
        (session(1, None), 8, "nobody tells when"),
    ],
)
def test_a_job_is_told_when_its_keys_end_before_it_may(
    keys: Credentials, limit_hours: float | None, told: str
) -> None:
    said = ends_before(keys, limit_hours, NOON)
    assert bool(said) == bool(told) and re.search(told, said)


def test_the_limit_of_a_job_is_that_of_its_agent() -> None:
    agent = ["python", "-m", "maquette.agent", "--max-hours", "4"]
    assert limit_in_command([*agent, "--", "step", "--max-hours", "9"]) == 4
    money = ["--max-cost", "6", "--price-per-hour", "2"]
    assert limit_in_command([*agent, *money, "--", "step"]) == 3
    assert limit_in_command(["python", "-m", "maquette.agent", "--", "step"]) is None
