"""Rendering: strict, boxed in, and the same bytes each time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TemplateError
from outreach.rendering import clean_header, render
from outreach.sandbox import MissingValue
from tests.outreach.given import made_template

CONTEXT = {
    "account": {"plan": "pro", "renewal": None, "items": "a trait", "owner": None},
    "you": {"name": "<script>alert(1)</script>", "timezone": "Asia/Tokyo"},
    "orders": [{"at": "2026-03-12T23:00:00Z"}, {"at": "2026-03-12"}],
    "health": {"": 62, "band": "amber"},
    "_zone": "Europe/Berlin",
}


def text(body, **context):
    return render(made_template(body), {**CONTEXT, **context}).text.rstrip("\n")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ account.plan }}", "pro"),
        ("{{ account.items }}", "a trait"),
        ("{{ health }} {{ health.band }}", "62 amber"),
        ("{% if health > 60 %}good{% endif %}", "good"),
        ("{{ account.renewal|default('none') }}", "none"),
        ("{{ account.nothing|default('none') }}", "none"),
        ("{{ nothing|default('none') }}", "none"),
        ("{% if account.renewal %}a{% else %}b{% endif %}", "b"),
        ("{% if account.renewal is defined %}a{% else %}b{% endif %}", "b"),
        (
            "{% for one in orders %}{{ loop.index }}:{{ one.at|date }};{% endfor %}",
            "1:Friday, 13 March 2026;2:Thursday, 12 March 2026;",
        ),
        ("{{ orders[0].at|datetime }}", "Friday, 13 March 2026, 00:00 CET"),
        ("{{ orders[1].at|datetime }}", "Thursday, 12 March 2026"),
        ("{{ orders[0].at|time }}", "00:00 CET"),
        ("{{ orders[0].at|short_date }}, {{ orders[0].at|weekday }}", "13 March 2026, Friday"),
        ("{{ orders[0].at|weekday_time }}; {{ orders[1].at|weekday_time }}", "Friday, 00:00 CET; Thursday"),
        ("{{ 6|share(21) }} {{ 30|share(20) }} {{ 1|share(0) }} {{ (0 - 3)|share(9) }}", "29 100 0 0"),
        ("{{ 6|bar(21) }}.{{ 0.01|bar(21) }}.{{ 0|bar(21) }}.{{ 9|bar(9, 3) }}.", "██████.█..███."),
        ("{{ account.plan|shell }} {{ ('module:' + account.items)|shell }}", "pro 'module:a trait'"),
        ("{{ (orders|last).at|date }} {{ orders|length }}", "Thursday, 12 March 2026 2"),
        ("{{ 3 * 4 + 1 }} {{ 7 // 2 }} {{ 2 ** 10 }} {{ 'a' + 'b' }}", "13 3 1024 ab"),
        ("{{ 1234.5|number }} {{ 1|plural('day') }} {{ 2|plural('person', 'people') }}", "1,234.5 1 day 2 people"),
        ("{{ ['a', 'b']|join(' and ') }} {{ 'x y'|urlencode }}", "a and b x%20y"),
        ("{{ 2.345|round(2) }} {{ 5|round(10**9) }}", "2.35 5.000000"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("a   \n\n\n\n\nb\n\n", "a\n\nb"),
    ],
)
def test_what_a_template_can_do(body, expected):
    assert text(body) == expected


def test_a_zone_with_no_letters_is_written_as_an_offset():
    assert text("{{ orders[0].at|time }}", _zone="Asia/Dubai") == "03:00 (UTC+04:00)"


def test_a_date_without_an_offset_is_read_in_the_readers_zone():
    assert text("{{ '2026-07-01 10:00'|datetime }}") == "Wednesday, 1 July 2026, 10:00 CEST"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("{{ account.renewal }}", "account.renewal"),
        ("{{ account.nothing }}", "account.nothing"),
        ("{{ acount.plan }}", "acount.plan"),
        ("{% if acount.plan %}{% endif %}", "acount.plan"),
        ("{{ account.owner.name }}", "account.owner.name"),
        ("{{ account.renewal|date }}", "account.renewal"),
        ("{{ account.renewal|upper }}", "account.renewal"),
        ("{{ account.renewal|number }}", "account.renewal"),
        ("{{ account.renewal|safe_url }}", "account.renewal"),
        ("{{ account.renewal|length }}", "account.renewal"),
        ("{{ account.renewal|share(3) }}", "account.renewal"),
        ("{{ 3|bar(account.renewal) }}", "account.renewal"),
        ("{{ account.renewal|short_date }}", "account.renewal"),
        ("{{ account.renewal|shell }}", "account.renewal"),
        ("{{ account.renewal + 1 }}", "account.renewal"),
        ("{% if account.renewal > 3 %}{% endif %}", "account.renewal"),
        ("{% if account.renewal == 'x' %}{% endif %}", "account.renewal"),
        ("{% for x in account.renewal %}{% endfor %}", "account.renewal"),
        ("{% for x in orders %}{{ x.to }}{% endfor %}", "orders.to"),
        ("{% set x = account.renewal %}{{ x }}", "account.renewal"),
    ],
)
def test_a_missing_value_is_named(body, name):
    with pytest.raises(MissingValue) as caught:
        text(body)
    assert caught.value.name == name
    assert str(caught.value) == f"template misses {name}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{{ 'a' * 10**9 }}", id="a long text"),
        pytest.param("{{ [1] * 10**9 }}", id="a long list"),
        pytest.param("{{ 10**10**10 }}", id="a tower"),
        pytest.param("{{ 2 ** 100000 }}", id="a big power"),
        pytest.param("{{ (0 - 8) ** 0.5 }}", id="no real power"),
        pytest.param("{{ '%0999999999d' % 1 }}", id="a format"),
        pytest.param("{{ range(10**9)|length }}", id="a long range"),
        pytest.param("{{ range(10**30) }}", id="a range beyond the machine"),
        pytest.param("{{ range(1, 2, 0) }}", id="a range that stands still"),
        pytest.param(
            "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x"
            "{% endfor %}{% endfor %}{% endfor %}",
            id="nested loops",
        ),
        pytest.param(
            "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}"
            "{% endfor %}{% endfor %}{% endfor %}",
            id="nested loops that print nothing",
        ),
        pytest.param("{% for a in range(1000) %}" + "x" * 1000 + "{% endfor %}", id="a long output"),
        pytest.param("{% set a = 'x' * 1 %}", id="text times one"),
        pytest.param("{{ 'x' + 1 }}", id="text and number"),
        pytest.param(
            "".join(f"{{% set a{i + 1} = a{i} + a{i} %}}" for i in range(40)).replace("a0", "'xxxxxxxx'"), id="doubling"
        ),
        pytest.param(f"{{% set a = '{'x' * 9000}' %}}{{{{ [a, a]|join }}}}", id="joining"),
        pytest.param("{{ 1 / 0 }}", id="by zero"),
        pytest.param("{{ account }}", id="a whole dict"),
        pytest.param("{{ orders }}", id="a whole list"),
        pytest.param("{{ self }}", id="jinja's own"),
        pytest.param("{{ orders[0].at|time|date }}", id="no date"),
        pytest.param("{{ '2026-13-45'|date }}", id="no such day"),
        pytest.param("{{ '0001-01-01T00:00:00+23:00'|datetime }}", id="before time"),
        pytest.param("{{ 'javascript:x'|safe_url }}", id="javascript"),
        pytest.param("{{ 'http://a.example'|safe_url }}", id="http"),
        pytest.param("{{ 'http://localhost.a.example/'|safe_url }}", id="http to what begins like this machine"),
        pytest.param("{{ 'http://127.0.0.1@a.example/'|safe_url }}", id="http and this machine as a name"),
        pytest.param("{{ 'https://a.example/\" onclick='|safe_url }}", id="a quote in a link"),
        pytest.param("{{ 'https://a@evil.example'|safe_url }}", id="a name before the host"),
        pytest.param("{{ 'x'|round }}", id="rounding text"),
        pytest.param("{% for x in 'abc' %}{% endfor %}", id="looping over text"),
    ],
)
def test_a_hostile_template_ends_soon_and_with_a_reason(body):
    started = time.perf_counter()
    with pytest.raises(TemplateError):
        text(body)
    assert time.perf_counter() - started < 1


def test_a_context_of_objects_is_refused():
    with pytest.raises(TemplateError, match="plain values"):
        text("x", thing=object())


def test_html_is_escaped_and_text_is_not():
    html = "<mj-section><mj-column><mj-text>{{ you.name }}</mj-text></mj-column></mj-section>"
    rendered = render(made_template("{{ you.name }}", html=html), CONTEXT)
    assert "<script>alert" not in rendered.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rendered.html
    assert rendered.text == "<script>alert(1)</script>\n"


def test_jinja_inside_mjml_may_hold_what_xml_may_not():
    words = """{% if 1 < 2 and "a" != '&' %}yes{% endif %}"""
    html = f"<mj-section><mj-column><mj-text>{words}</mj-text></mj-column></mj-section>"
    assert "yes" in render(made_template("x", html=html), {}).html


def test_no_font_is_fetched_and_no_script_runs(templates):
    for template in templates.values():
        assert "fonts.googleapis" not in template.html
        assert "<script" not in template.html


@pytest.mark.parametrize("sign", ["\r", "\n", "\x00", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_header_with_a_control_character_is_refused(sign):
    with pytest.raises(TemplateError, match="control character"):
        clean_header(f"a{sign}Bcc: b@b.example")


def test_a_long_header_is_cut():
    assert clean_header("x" * 150) == "x" * 150
    assert clean_header("x" * 151) == "x" * 149 + "…"


def test_an_empty_subject_is_refused():
    with pytest.raises(TemplateError, match="subject is empty"):
        render(made_template("x", subject="{% if account.plan == 'free' %}a{% endif %}"), CONTEXT)


@given(name=st.text(max_size=80))
def test_any_name_is_escaped_and_rendered_the_same_twice(name):
    html = '<mj-section><mj-column><mj-text><b title="{{ n }}">{{ n }}</b></mj-text></mj-column></mj-section>'
    template = made_template("{{ n }}.", html=html)
    first = render(template, {"n": name})
    assert first == render(template, {"n": name})
    assert first.html.count("<b ") == 1
    assert first.html.count('"') == render(template, {"n": "plain"}).html.count('"')


PREVIEWED = "<mj-preview>{{ account.plan }} of {{ you.name }}</mj-preview>\n<mj-section><mj-column /></mj-section>"


def test_the_line_for_inboxes_is_plain_beside_the_subject_and_escaped_at_the_beginning_of_the_html():
    layout = "<mjml><mj-head><mj-preview>[[ preview ]]&#847;</mj-preview></mj-head><mj-body>[[ body ]]</mj-body></mjml>"
    rendered = render(made_template("Words.", html=PREVIEWED, layout=layout), CONTEXT)
    assert rendered.preview == "pro of <script>alert(1)</script>"
    assert ">pro of &lt;script&gt;alert(1)&lt;/script&gt;&#847;</div>" in rendered.html
    assert "[[" not in rendered.html


def test_without_such_a_line_the_layouts_place_for_it_is_gone():
    layout = "<mjml><mj-head><mj-preview>[[ preview ]]&#847;</mj-preview></mj-head><mj-body>[[ body ]]</mj-body></mjml>"
    rendered = render(made_template("Words.", layout=layout), CONTEXT)
    assert rendered.preview == ""
    assert "display:none" not in rendered.html
    assert "[[" not in rendered.html
