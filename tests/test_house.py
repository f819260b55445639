"""The workshop itself: what the pages say can be typed, the locks can travel, and nothing is open to the world."""

import re
import tomllib
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def words_to_type(page: str) -> list[str]:
    """Every ``make WORD`` that a page shows as code, in order."""
    code = re.findall(r"```.*?```|`[^`\n]+`", page, re.DOTALL)
    return re.findall(r"(?:^|[\s`$&;])make ([a-z][a-z-]*)\b", "\n".join(code))


def locked_names(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def asked_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", wanted)[0] for wanted in requirements}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_make_word_on_a_page_can_be_typed(page):
    assert set(words_to_type(page.read_text())) <= make_targets()


def test_the_readme_begins_with_the_two_words_that_matter():
    assert words_to_type((ROOT / "README.md").read_text())[:2] == ["demo", "test"]


def test_ci_runs_the_word_a_person_types():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().splitlines()[-1] == "make test"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_packages_and_hashes_and_no_place(lock):
    package = re.compile(r"[a-z0-9._-]+==[^\s;:/@]+( ; [^:/@]+)? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    for line in (ROOT / lock).read_text().splitlines():
        assert package.fullmatch(line) or digest.fullmatch(line), line


def test_the_locks_hold_what_the_project_asks_for():
    asked = asked_names(PROJECT["project"]["dependencies"])
    assert asked <= locked_names("requirements.lock") <= locked_names("requirements-dev.lock")
    assert asked_names(PROJECT["dependency-groups"]["dev"]) <= locked_names("requirements-dev.lock")


def test_the_locks_hold_what_unpacks_every_compression_of_kafka():
    assert "cramjam" in locked_names("requirements.lock")


def test_both_locks_agree():
    small, large = ({*re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), re.MULTILINE)} for lock in LOCKS)
    assert small <= large


def test_the_changelog_knows_the_version():
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in {"Unreleased", PROJECT["project"]["version"]}


def test_the_license_is_there_in_full():
    license_text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in license_text
    assert "END OF TERMS AND CONDITIONS" in license_text


def test_every_package_says_that_it_is_typed():
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert all((ROOT / package / "py.typed").is_file() for package in packages)


def test_a_fresh_database_is_empty_and_takes_every_letter(fresh_postgres):
    engine = create_engine(fresh_postgres)
    with engine.connect() as connection:
        tables = connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        assert (tables, connection.scalar(text("SHOW server_encoding"))) == (0, "UTF8")
    engine.dispose()


def test_two_fresh_databases_never_meet(fresh_postgres, postgres_url):
    plain = fresh_postgres.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (n int)")
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)


def test_the_real_streams_are_two(shared_data):
    assert sorted(path.name for path in shared_data.glob("*.jsonl.gz")) == [
        "learning_usage.jsonl.gz",
        "support_incidents.jsonl.gz",
    ]
