"""The bench of reports runs, and measures whole mails of every account."""

import sys

import pytest

from bench import reports


def test_the_bench_of_reports_prints_its_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["reports", "--accounts", "6"])
    assert reports.main() == 0
    printed = capsys.readouterr().out
    assert "6 accounts, 12 months, 1,236 events" in printed
    assert "10,000 reports, computed and rendered  " in printed, "all of them, not some"
    assert "<= 60 s" in printed
