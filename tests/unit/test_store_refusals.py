"""What stores say when they refuse, in their many words: which exit code, and which next step."""

from __future__ import annotations

import pytest

from maquette.errors import ExitCode, MaquetteError
from maquette.storage import error_responses

CONFIG, KEYS, FAILED, ABSENT = (
    ExitCode.CONFIG,
    ExitCode.CREDENTIALS,
    ExitCode.JOB_FAILED,
    ExitCode.NOT_FOUND,
)


def refused(status: int, word: str, message: str = "m &amp; n") -> MaquetteError:
    told = f"<Code>{word}</Code><Message>{message}</Message>" if word else ""
    body = f"<Error>{told}</Error>".encode()
    answer = error_responses.read_error(status, body, {}, 0.0)
    return error_responses.translate(answer, "writing `s3://b/k`")


@pytest.mark.parametrize(
    ("status", "word", "code", "told"),
    [
        (403, "RequestTimeTooSkewed", CONFIG, "clock"),
        (400, "AuthorizationHeaderMalformed", CONFIG, "region"),
        (404, "NoSuchBucket", ABSENT, "no such bucket"),
        (405, "MethodNotAllowed", CONFIG, "does not do that"),
        (403, "AccessDenied", KEYS, "may not"),
        (403, "SignatureDoesNotMatch", KEYS, "secret key"),
        (400, "ExpiredToken", KEYS, "has expired"),
        (403, "ExpiredTokenException", KEYS, "has expired"),
        (403, "TokenRefreshRequired", KEYS, "has expired"),
        (403, "RequestExpired", FAILED, "signature had expired"),
        (403, "QuotaExceeded", KEYS, "quota"),
        (403, "XMinioAdminBucketQuotaExceeded", KEYS, "quota"),
        (409, "StorageQuotaExceeded", KEYS, "quota"),
        (507, "XMinioStorageFull", KEYS, "quota"),
        (507, "SomethingNew", KEYS, "full"),
        (507, "", KEYS, "full"),
        (400, "TooManyBuckets", KEYS, "no more buckets"),
        (403, "UserSuspended", KEYS, "account"),
        (403, "AccountProblem", KEYS, "account"),
        (402, "", KEYS, "account"),
        (403, "InvalidSecurity", KEYS, "keys"),
        (400, "IncompleteSignature", KEYS, "keys"),
        (403, "MissingAuthenticationToken", KEYS, "keys"),
        (401, "Unauthorized", KEYS, "Unauthorized"),
        (401, "SomethingNew", KEYS, "SomethingNew"),
        (403, "SomethingNew", KEYS, "SomethingNew"),
        (400, "EntityTooLarge", FAILED, "large"),
        (400, "SomethingNew", FAILED, "SomethingNew"),
        (418, "", FAILED, "418"),
    ],
)
def test_refusals_become_sentences(status: int, word: str, code: int, told: str) -> None:
    error = refused(status, word)
    assert error.exit_code == code and told in error.what and error.hint
    assert not word or "m & n" in error.what + error.detail
    assert "run the same command again" not in error.hint or "clock" in error.what


@pytest.mark.parametrize(
    ("word", "message", "told"),
    [
        ("InvalidArgument", "Credential access key has length 20, should be 32", "these keys"),
        ("AuthorizationHeaderMalformed", "a non-empty Access Key must be provided", "these keys"),
        ("AuthorizationHeaderMalformed", "the region 'x' is wrong; expecting 'y'", "region"),
        ("AccessDenied", "Cannot upload files, storage cap exceeded", "quota"),
        ("AccessDenied", "Request has expired", "signature had expired"),
        ("AccessDenied", "no identity-based policy allows s3:PutObject", "may not do that"),
        ("AccessDenied", "invalid credential", "may not do that"),
        ("InvalidRequest", "The provided token has expired.", "token has expired"),
    ],
)
def test_what_one_word_means_its_message_tells(word: str, message: str, told: str) -> None:
    assert told in refused(403 if word == "AccessDenied" else 400, word, message).what


@pytest.mark.parametrize(("status", "word"), [(500, "InternalError"), (503, "SlowDown")])
def test_what_may_pass_is_worth_the_same_command(status: int, word: str) -> None:
    error = refused(status, word)
    assert error.exit_code == FAILED and "run the same command again" in error.hint


@pytest.mark.parametrize(
    ("status", "word", "message", "may"),
    [
        (400, "ExpiredToken", "m", True),
        (403, "", "", True),  # an answer to HEAD has no words
        (403, "AccessDenied", "Access Denied.", False),
        (404, "", "", False),
    ],
)
def test_which_refusals_newer_keys_may_help(
    status: int, word: str, message: str, may: bool
) -> None:
    assert error_responses.ErrorResponse(status, word, message).may_be_expired == may
