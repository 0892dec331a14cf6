"""`maquette datastore check` at stores that refuse: which sentence, hint and exit code."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from command_line import maquette_here
from fault_proxy import Fault, Gate, Judge, proxy_to
from maquette.storage.embedded import Running
from s3_server import place_in, write_scene
from strict_store import strict

DENIED, ABSENT = Fault(403, "AccessDenied"), Fault(404, "NoSuchBucket")
TAKEN = Fault(409, "BucketAlreadyExists")
SAID = "  the store says: {}: told by a test"
RIGHTS = "hint: ask for the right to read, write, list and delete in this bucket"


@pytest.fixture
def scene(person: Path) -> Path:
    write_scene(person / "scenes/thing", {"report.json": b"{}"})
    return person


def at(store: str, *words: str) -> list[str]:
    return [*words, "MODEL=thing", "BUCKET_NAME=refused", f"DATASTORE={store}"]


def refusing(person: Path, endpoint: str, *words: str) -> tuple[int, list[str], list[str]]:
    """Run a command at a data store there; returns exit code, output, and what went wrong."""
    assert (
        maquette_here(person, "datastore", "add", "REFUSING", "--endpoint", endpoint).returncode
        == 0
    )
    done = maquette_here(person, *words, *at("REFUSING"))
    wrong = [line for line in done.stderr.splitlines() if line]
    return done.returncode, done.stdout.splitlines(), wrong


@pytest.mark.parametrize(
    ("refused", "works", "doing"),
    [
        (
            "PUT .*/thing/",
            ["there", "write: no", "read: yes", "list: yes"],
            "writing `s3://refused/thing/.maquette/check-",
        ),
        (
            "GET .*/thing/",
            ["there", "write: yes", "read: no", "list: yes", "conditional …", "remove: yes"],
            "reading `s3://refused/thing/.maquette/check-",
        ),
        (
            "GET .*prefix=",
            ["there", "write: yes", "read: yes", "list: no", "conditional …", "remove: yes"],
            "listing `s3://refused/`",
        ),
        (
            "DELETE",
            ["there", "write: yes", "read: yes", "list: yes", "conditional …", "remove: no"],
            "removing `s3://refused/thing/.maquette/check-",
        ),
        (
            r"GET /refused\?(?!.*prefix=)|PUT /refused$",
            ["…", "write: yes", "read: yes", "list: yes", "conditional …", "remove: yes"],
            "",
        ),
    ],
    ids=["write", "read", "list", "remove", "bucket"],
)
def test_each_right_that_is_missing_is_told(
    person: Path, server: Running, refused: str, works: list[str], doing: str
) -> None:
    def judge(method: str, path: str) -> Fault | None:
        return DENIED if re.match(refused, f"{method} {path}") else None

    with closing(place_in(server.location.endpoint, "thing", "refused")) as there:
        there.ensure()
    with proxy_to(server.location.endpoint, judge) as proxy:
        code, said, wrong = refusing(person, proxy.endpoint, "datastore", "check", "REFUSING")
    told = works.copy()
    part = "this key may only see a part of it, s3://refused/thing/"
    told[0] = part if told[0] == "…" else "there"
    answer = "conditional writes: no, not needed"
    told = [answer if line == "conditional …" else line for line in told]
    assert said[: len(told)] == [f"bucket refused: {told[0]}", *told[1:]]
    assert code == (11 if doing else 0)
    if not doing:
        return
    assert wrong[0].startswith(f"error: this key may not do that, while {doing}")
    assert wrong[1:] == [SAID.format("403 AccessDenied"), RIGHTS]


def no_bucket(then: Fault) -> Judge:
    return lambda method, path: then if method == "PUT" else ABSENT


@pytest.mark.parametrize(
    ("then", "code", "told"),
    [
        (
            DENIED,
            11,
            [
                "error: there is no bucket `refused`, and this key may not make one",
                "  the store says: told by a test",
                "hint: ask its owner to make it, or set BUCKET_NAME= to one that is there",
            ],
        ),
        (
            TAKEN,
            10,
            [
                "error: the bucket's name is taken by somebody else, while making `s3://refused/`",
                SAID.format("409 BucketAlreadyExists"),
                "hint: set BUCKET_NAME= to another name",
            ],
        ),
    ],
    ids=["may not make it", "taken"],
)
def test_no_such_bucket(
    scene: Path, server: Running, then: Fault, code: int, told: list[str]
) -> None:
    with proxy_to(server.location.endpoint, no_bucket(then)) as proxy:
        for words in (["datastore", "check", "REFUSING"], ["data", "push"]):
            assert refusing(scene, proxy.endpoint, *words) == (code, [], told)
        pulled = refusing(scene, proxy.endpoint, "data", "pull")
    assert pulled[0] == 13
    assert pulled[2][0] == "error: there is no bucket `refused` for `s3://refused/thing/`"


REGION = "`maquette datastore add NAME --endpoint https://… --region gra`"
CLOCK = "hint: set the clock (`timedatectl set-ntp true`), then run the same command again"
MOVED = "`maquette datastore add NAME --endpoint https://s3.gra.example.org --region gra`"


@pytest.mark.parametrize(
    ("gate", "what", "said", "hint"),
    [
        (
            strict("us-east-1", clock_ahead=timedelta(hours=1)),
            "this machine's clock is 60 minutes behind the store's",
            "403 RequestTimeTooSkewed",
            CLOCK,
        ),
        (
            strict("us-east-1", clock_ahead=timedelta(minutes=-20)),
            "this machine's clock is 20 minutes ahead of the store's",
            "403 RequestTimeTooSkewed",
            CLOCK,
        ),
        (
            strict("gra"),
            "the region is wrong",
            "400 AuthorizationHeaderMalformed",
            f"hint: it says: region gra; {REGION}",
        ),
        (
            strict("gra", moved_to="refused.s3.gra.example.org"),
            "the bucket lives at another endpoint",
            "301 PermanentRedirect",
            f"hint: it says: region gra, endpoint s3.gra.example.org; {MOVED}",
        ),
    ],
    ids=["clock behind", "clock ahead", "wrong region", "moved"],
)
def test_a_wrong_clock_and_a_wrong_region(
    scene: Path, server: Running, gate: Gate, what: str, said: str, hint: str
) -> None:
    with proxy_to(server.location.endpoint, gate=gate) as proxy:
        for words in (["datastore", "check", "REFUSING"], ["data", "push"], ["data", "pull"]):
            code, out, wrong = refusing(scene, proxy.endpoint, *words)
            assert (code, out) == (10, [])
            assert re.fullmatch(rf"error: {what}, while (listing|reading) `s3://.*`", wrong[0])
            assert wrong[1:] == [SAID.format(said), hint]


def test_the_region_that_the_store_named_works(person: Path, server: Running) -> None:
    with proxy_to(server.location.endpoint, gate=strict("gra")) as proxy:
        add = ["datastore", "add", "STRICT", "--endpoint", proxy.endpoint, "--region", "gra"]
        assert maquette_here(person, *add).returncode == 0
        done = maquette_here(person, "datastore", "check", "STRICT", "MODEL=elsewhere")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "error: the secret key does not fit, while listing"),
        ("AWS_ACCESS_KEY_ID", "error: the store does not know the access key, while listing"),
    ],
)
def test_wrong_keys_are_told_apart(
    person: Path, monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(variable, "wrong-but-long-enough")
    done = maquette_here(person, "datastore", "check", "NEURALANGELO")
    assert done.returncode == 11 and told in done.stderr
