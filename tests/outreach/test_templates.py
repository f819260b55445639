"""Reading and checking templates: every finding has its place, and says what to do."""

import pytest

from outreach.examples import check_example
from outreach.lint import is_safe_link
from outreach.templates import check_template, load_templates, read_templates, template_names
from tests.outreach.given import made_template, read_made

PARTS = {
    "made/template.yml": "for: customer\nclass: relationship\nexample: {you: {name: Ada}}\n",
    "made/subject.txt": "A subject",
    "made/body.txt": "Words.",
    "made/body.mjml": "<mj-section><mj-column><mj-text>Words.</mj-text></mj-column></mj-section>",
    "_base/customer.mjml": "<mjml><mj-body>[[ body ]]</mj-body></mjml>",
}


def section(inner):
    return f"<mj-section>\n<mj-column>\n{inner}\n</mj-column>\n</mj-section>"


def errors(findings):
    return [(finding.path, finding.line, finding.message) for finding in findings if finding.severity == "error"]


@pytest.mark.parametrize("part", ["template.yml", "subject.txt", "body.txt", "body.mjml"])
def test_a_missing_part_is_found(part):
    templates, findings = read_templates({k: v for k, v in PARTS.items() if k != f"made/{part}"}, path="templates")
    assert templates == {}
    assert [(finding.path, finding.line) for finding in findings] == [(f"templates/made/{part}", 1)]
    assert f"has no {part}" in findings[0].message


def test_every_template_of_a_folder_is_looked_at_at_once(tmp_path):
    for name, text in PARTS.items():
        for folder in ("one", "two", "fine"):
            path = tmp_path / name.replace("made", folder)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    (tmp_path / "one" / "body.txt").write_text("a\n{{ x")
    (tmp_path / "two" / "subject.txt").write_bytes(b"\xff\xfe")
    templates, findings = load_templates(tmp_path)
    assert set(templates) == {"fine"}
    places = {(path.removeprefix(f"{tmp_path}/"), line) for path, line, _ in errors(findings)}
    assert places == {("one/body.txt", 2), ("two/subject.txt", 1)}


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        pytest.param("a\n\n{{ x", 3, "cannot be read", id="open braces"),
        pytest.param("a\n{% for x in %}", 2, "cannot be read", id="half a loop"),
        pytest.param("{% if a %}", 1, "cannot be read", id="never closed"),
        pytest.param("\n{{ x|attr('y') }}", 2, "No filter named 'attr'", id="a filter that is not there"),
        pytest.param("{{ x|safe }}", 1, "No filter named 'safe'", id="no way round escaping"),
        pytest.param("{{ x is sameas y }}", 1, "No test named", id="a test that is not there"),
        pytest.param("{{ ''.__class__ }}", 1, "underscore", id="class"),
        pytest.param("{{ x['__class__'] }}", 1, "underscore", id="class in brackets"),
        pytest.param("{{ x[y] }}", 1, "computed name", id="computed name"),
        pytest.param("{{ account.items() }}", 1, "a call", id="method"),
        pytest.param("{{ cycler('a') }}", 1, "a call", id="global"),
        pytest.param("{% include 'x' %}", 1, "an include", id="include"),
        pytest.param("{% import 'x' as y %}", 1, "not for templates", id="import"),
        pytest.param("{% extends 'x' %}", 1, "not for templates", id="extends"),
        pytest.param("{% macro m() %}{% endmacro %}", 1, "a macro", id="macro"),
        pytest.param("{{ 'a' ~ 'b' }}", 1, "'~'", id="joined text"),
        pytest.param("{{ x[:2] }}", 1, "", id="slice"),
        pytest.param("{% for a, b in x %}{% endfor %}", 1, "one variable", id="pairs"),
        pytest.param("{{ " + "(" * 5000, 1, "cannot be read", id="deeply nested"),
        pytest.param("{{ " + "9" * 5000 + " }}", 1, "cannot be read", id="a huge number"),
        pytest.param("x" * 70_000, 1, "larger than 64 KB", id="a huge file"),
    ],
)
def test_what_a_template_may_not_do_is_found_on_its_line(body, line, words):
    template, findings = read_made(body)
    assert template is None
    assert findings[0].path == "templates/made/body.txt"
    assert findings[0].line == line
    assert words in findings[0].message


@pytest.mark.parametrize(
    ("html", "line", "words"),
    [
        pytest.param('<mj-button href="http://a.example">Go</mj-button>', 3, "href is neither", id="http"),
        pytest.param('<mj-button href="javascript:alert(1)">Go</mj-button>', 3, "href is neither", id="javascript"),
        pytest.param('<mj-text><a href="{{ with.link }}">Go</a></mj-text>', 3, "safe_url", id="a link from a value"),
        pytest.param('<mj-text><a href="https://{{ x }}">x</a></mj-text>', 3, "safe_url", id="a host from a value"),
        pytest.param('<mj-image src="data:image/png;base64,x" alt="a" width="9px" />', 3, "src is neither", id="data"),
        pytest.param('<mj-image src="https://a.example/a.png" width="9px" />', 3, "no alt", id="no alt"),
        pytest.param('<mj-text><img src="https://a.example/a.png" alt="a"></mj-text>', 3, "no width", id="no width"),
        pytest.param("<mj-text><script>x</script></mj-text>", 3, "'script'", id="script"),
        pytest.param('<mj-text><b onclick="x">x</b></mj-text>', 3, "onclick", id="handler"),
        pytest.param("<mj-text><a title={{ with.link }}>x</a></mj-text>", 3, "no quotes", id="no quotes"),
        pytest.param('<mj-include path="/etc/passwd" />', 3, "mj-include", id="include"),
    ],
)
def test_unsafe_markup_is_found_on_its_line(html, line, words):
    _, findings = read_made("Words.", html=section(html))
    found = [finding for finding in findings if finding.severity == "error" and finding.path.endswith("body.mjml")]
    assert any(finding.line == line and words in finding.message for finding in found), findings


def test_no_file_is_read_by_an_include(tmp_path):
    (tmp_path / "secret.mjml").write_text("SECRET")
    template, findings = read_made("Words.", html=section(f'<mj-include path="{tmp_path}/secret.mjml" />'))
    assert template is None
    assert "SECRET" not in str(findings)


def test_mjml_that_is_not_closed_is_found():
    template, findings = read_made("Words.", html="<mj-section><mj-column>")
    assert template is None
    assert "close every tag" in findings[-1].message


def test_a_line_for_inboxes_needs_a_place_in_the_layout():
    template, findings = read_made("Words.", html="<mj-preview>12 reports</mj-preview>" + section("<mj-text />"))
    assert template is None
    assert findings[-1].path == "templates/made/body.mjml"
    assert "put <mj-preview>[[ preview ]]</mj-preview> into its head" in findings[-1].message


def test_a_name_in_the_line_for_inboxes_is_checked_like_any_other():
    layout = "<mjml><mj-head><mj-preview>[[ preview ]]</mj-preview></mj-head><mj-body>[[ body ]]</mj-body></mjml>"
    html = "<mj-preview>{{ reprots }}</mj-preview>" + section("<mj-text>Words.</mj-text>")
    template = made_template("Words.", html=html, layout=layout)
    assert "reprots" in template_names(template)
    assert "unknown name 'reprots'" in check_template(template, {"reports"})[0].message


def test_a_text_part_that_says_little_or_lacks_a_link_is_a_warning():
    template, findings = read_made("Words.", html=section('<mj-button href="https://a.example/x">Go</mj-button>'))
    assert template is not None
    assert {(finding.severity, finding.path.rpartition("/")[2]) for finding in findings} == {
        ("warning", "body.txt"),
        ("warning", "body.mjml"),
    }


@pytest.mark.parametrize(
    ("link", "safe"),
    [
        ("https://a.example/x?y=1", True),
        ("mailto:a@a.example", True),
        ("{{ links.x|safe_url }}", True),
        ("https://a.example/{{ x|urlencode }}", True),
        ("http://a.example", False),
        ("//a.example", False),
        ("JavaScript:x", False),
        (" javascript:x", False),
        ("{{ x }}", False),
        ("{{ x|safe_url }}{{ y }}", False),
        ("https://{{ x }}", False),
        ("vbscript:x", False),
        ("", False),
    ],
)
def test_a_link_is_https_mailto_or_made_safe(link, safe):
    assert is_safe_link(link) is safe


@pytest.mark.parametrize(
    ("manifest", "line", "words"),
    [
        ("for: nobody\nexample: {a: 1}", 1, "customer or staff"),
        ("for: customer\nexample: {a: 1}", 1, "class"),
        ("for: customer\nclass: urgent\nexample: {a: 1}", 2, "relationship"),
        ("for: staff\nclass: marketing\nexample: {a: 1}", 2, "take the line out"),
        ("for: staff\nexmple: {a: 1}", 2, "did you mean 'example'"),
        ("for: staff\nneeds: x\nexample: {a: 1}", 2, "list of names"),
        ("for: staff\nplural: two words\nexample: {a: 1}", 2, "one word"),
        ("for: staff", 1, "values to try"),
        ("- a", 1, "is a mapping"),
        ("for: [a\n", 2, "not YAML"),
        ("for: &a staff\nexample: *a", 1, "aliases"),
        ("for: staff\nfor: staff\nexample: {a: 1}", 2, "stands twice"),
    ],
)
def test_a_wrong_manifest_is_found_on_its_line(manifest, line, words):
    template, findings = read_made("Words.", manifest=manifest)
    assert template is None
    assert any(finding.line == line and words in finding.message for finding in findings), findings


# -- names -----------------------------------------------------------------------------------------------------------


def test_names_are_followed_through_loops_sets_filters_and_conditions():
    template = made_template(
        "{% for one in orientations if one.kind == 'a' %}{{ one.starts_at|date }}{{ loop.index }}{% endfor %}"
        "{% set plan = account.plan %}{{ plan }}{{ (orientations|first).host.name }}{{ orientations[0].id }}"
        "{% if not you.name is defined and reports_28d > 3 %}{{ [1, 2]|join }}{% endif %}{{ with['feature']|upper }}"
        "{{ range(3)|length }}",
    )
    assert template_names(template) == {
        "orientations",
        "orientations.kind",
        "orientations.starts_at",
        "account.plan",
        "orientations.host.name",
        "orientations.id",
        "you.name",
        "reports_28d",
        "with.feature",
    }


def test_a_name_in_any_part_counts_once_per_line():
    template = made_template("{{ a.b }}", subject="{{ a.c }}", html=section("<mj-text>{{ a.d }}</mj-text>"))
    assert template_names(template) == {"a.b", "a.c", "a.d"}


def test_an_unknown_name_is_found_with_a_suggestion():
    template = made_template("First line.\n  {{ account.paln }}")
    (finding,) = check_template(template, {"account.plan"})
    assert (finding.path, finding.line, finding.column) == ("templates/made/body.txt", 2, 6)
    assert finding.message == (
        "unknown name 'account.paln'; the rule does not give it to its template; did you mean 'account.plan'?"
    )


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ("{{ you.first_name }}", {"you.name"}),
        ("{{ account.anything }}", {"account.*"}),
        ("{% if account.owner %}x{% endif %}", {"account.owner.name"}),
        ("{{ sender.postal_address }}", set()),
        ("{% for one in orientations %}{{ one.id }}{% endfor %}", {"orientation.id"}),
    ],
)
def test_names_that_come_by_themselves_are_no_findings(body, allowed):
    assert check_template(made_template(body), allowed, subject="orientation", plural="orientations") == []


@pytest.mark.parametrize("body", ["{{ orientations.id }}", "{% for o in orientations %}{{ o.ide }}{% endfor %}"])
def test_what_a_plural_does_not_have_is_found(body):
    assert check_template(made_template(body), {"orientation.it"}, subject="orientation", plural="orientations")


def test_a_template_that_ignores_its_plural_is_found_when_it_must_not():
    template = made_template("{{ orientation.id }}")
    allowed = {"orientation.id"}
    assert check_template(template, allowed, plural="orientations") == []
    (finding,) = check_template(template, allowed, plural="orientations", must_use_plural=True)
    assert "each_alone" in finding.message
    looping = made_template("{% for one in orientations %}{{ one.id }}{% endfor %}")
    assert check_template(looping, allowed, subject="orientation", plural="orientations", must_use_plural=True) == []


def test_an_example_that_misses_a_value_is_found():
    (finding,) = check_example(made_template("{{ account.plan }}"))
    assert (finding.path, finding.message) == (
        "templates/made/template.yml",
        "example: template misses account.plan; write it into the example",
    )
    assert check_example(made_template("{{ you.first_name }}")) == []
