"""Credentials come from the environment or a file of one's own, and no message repeats one."""

from pathlib import Path

import pytest

from extract.errors import UsageError
from flows.secrets import NAMES, secrets

SECRET = "wJalrXUtnFEMI/K7MDENG"


def written(place: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    """An environment that names a file with this text."""
    file = place / "secrets"
    file.write_text(text)
    file.chmod(mode)
    return {"REALCOUNT_SECRETS": str(file)}


def test_nothing_set_is_nothing() -> None:
    assert secrets({}) == {}


def test_a_file_gives_the_known_names_and_no_others(tmp_path: Path) -> None:
    text = f"# the store\n\nAWS_SECRET_ACCESS_KEY={SECRET}=\nexport PGPASSWORD='a b'\nPATH=/evil\nAWS_REGION = eu\n"
    assert secrets(written(tmp_path, text)) == {
        "AWS_SECRET_ACCESS_KEY": f"{SECRET}=",
        "PGPASSWORD": "a b",
        "AWS_REGION": "eu",
    }


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    environment = written(tmp_path, "PGPASSWORD=old\nAWS_REGION=eu\n") | {"PGPASSWORD": "new", "HOME": "/root"}
    assert secrets(environment) == {"PGPASSWORD": "new", "AWS_REGION": "eu"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageError, match=r"can be read by others .*; run: chmod 600"):
        secrets(written(tmp_path, "PGPASSWORD=x\n", mode))


@pytest.mark.parametrize("text", [f"PGPASSWORD {SECRET}\n", f"A=1\n{SECRET}\n", f"{SECRET}\xff", SECRET * 4000])
def test_what_is_no_file_of_credentials_is_told_without_its_text(tmp_path: Path, text: str) -> None:
    environment = written(tmp_path, "")
    (tmp_path / "secrets").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as refused:
        secrets(environment)
    assert SECRET not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"REALCOUNT_SECRETS names .*nowhere, which cannot be read: No such file"):
        secrets({"REALCOUNT_SECRETS": str(tmp_path / "nowhere")})


def test_every_name_is_a_library_s_own() -> None:
    assert all(name.startswith(("AWS_", "PG")) for name in NAMES)
