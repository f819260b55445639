"""The text part in short lines: nothing is lost, nothing is torn."""

from hypothesis import given
from hypothesis import strategies as st

from outreach.flowed import flow, unflow

LINES = st.text(st.sampled_from("ab >.-\u00e9\u05d0"), max_size=200).map(str.rstrip)


def test_a_paragraph_is_broken_between_words():
    told = flow("We sent you a contract on Monday, 2 March 2026, and it has not been opened yet by anybody.\n")
    assert told == ("We sent you a contract on Monday, 2 March 2026, and it has not been opened \nyet by anybody.\n")


def test_what_is_indented_keeps_its_shape():
    command = "    ringfirst explain acme first-orientation-eve --about orientation:a-meeting-with-a-long-name"
    assert flow(f"{command}\n") == f" {command}\n", "one space more, which readers take away again"


def test_a_long_word_stays_whole():
    link = "https://app.example/" + "x" * 200
    assert flow(f"See {link} now\n").split("\n")[1].startswith(link)


def test_the_signature_is_what_readers_know_as_one():
    assert flow("Words.\n\n--\nRingfirst\n") == "Words.\n\n-- \nRingfirst\n"


@given(st.lists(LINES, min_size=1))
def test_flowed_lines_are_short_and_give_the_text_back(lines):
    text = "\n".join(lines) + "\n"
    flowed = flow(text)
    assert unflow(flowed) == text
    for line in flowed.split("\n"):
        assert len(line) <= 78 or " " not in line.strip() or line.startswith(" ")
