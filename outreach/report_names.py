"""Every name that the template of a report is given: what a template may read is held against these."""

_BLOCKS = {
    "report": (
        "title label before first_day last_day since times assumptions unpriced goals_first link corrects "
        "parts_in_all parts_left_out parts_apart not_added "
        "money.amount money.currency price.amount price.currency total_ever.amount total_ever.currency "
        "lead.label lead.unit lead.amount contact.name contact.address"
    ),
    "report.rates": "label rate currency unit told sum",
    "report.figures": "label unit amount most money.amount money.currency change.amount change.percent",
    "report.figures.series": "label short amount",
    "report.parts": (
        "name money.amount money.currency figures.label figures.unit figures.amount change.amount change.percent"
    ),
    "report.goals": "label unit baseline current target due reached way",
    "report.adoption": "active active_before seats used bought unused",
    "report.support": (
        "opened solved open answer_hours solve_hours answer_working_hours solve_working_hours "
        "opened_before solved_before open_before answer_hours_before solve_hours_before "
        "answer_working_hours_before solve_working_hours_before"
    ),
    "report.next_steps": "text about",
    "report.changes": "label period was is",
    "report.contract": "from whole total.amount total.currency",
}
NAMES = frozenset(f"{place}.{name}" for place, names in _BLOCKS.items() for name in names.split())
"""Dotted names; those below a list are the names of its elements."""
