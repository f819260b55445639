"""One lane over columns: the same facts as ``engine.lane.Lane``, which is its judge, many times as fast.

Columns only find out where a truth has turned; what is decided there, the plain code decides (``Account.consider``).
An account that columns cannot hold is kept plainly in the same lane.
"""

import heapq
from collections.abc import Sequence
from typing import Any

from engine.account import FOREVER, MAX_OPEN, Account, History, Memory, thing_key
from engine.columns.rows import KeptRow
from engine.columns.sheet import SPECIAL, Handler, Narrow, Printed, Sheet, Touched, fickle, printed_of
from engine.columns.table import WildError
from engine.columns.trends import full_from
from engine.decision import Fact
from engine.instants import Instant
from engine.lane import Lane, Programs
from engine.log import EngineEntry, Entry, Recorded
from engine.measures.measure import Happening, matches
from engine.slots import acts_of, property_at
from engine.state import PERSON, happening_of
from engine.things import OutOfTurn, ThingState, fold_thing
from engine.values import nested, thing_id
from engine.views import AccountView
from engine.whole import Whole
from engine.zones import Zone

Act = tuple[tuple[str, str], Instant, int]
"""What happened to a thing: by the name of its rings, when, and how long it took."""
Things = list[tuple[str, str, int]]
"""Things that have rows: kind, id, row."""
NO_THINGS: Things = []
NO_ROWS: dict[str, int] = {}
Hit = tuple[int, str]
"""A rule (``~rule`` when it is no longer true) and a thing's id (empty: the account): what must be considered."""


class Seat:
    """Where an account sits: its sheet, its row, the rows of its things, and whether every look must be a whole one."""

    __slots__ = ("own", "restless", "row", "sheet", "things")

    def __init__(self, sheet: Sheet, row: int, own: list[Any]) -> None:
        self.sheet = sheet
        self.row = row
        self.own = own
        self.things: dict[str, dict[str, int]] = {}
        self.restless = False


class ColumnLane(Lane):
    """A lane whose accounts are rows. ``nightly``: they are looked at when their local day begins and never else."""

    def __init__(self, programs: Programs, history: History, *, nightly: bool = False) -> None:
        super().__init__(programs, history)
        self._nightly = nightly
        self._sheets: dict[str, Sheet] = {}
        self._next: Instant = -FOREVER
        """No look is due before it."""

    def take(self, entry: Entry) -> list[Fact]:
        """Take the next entry of the log: first all looks due up to its recorded_at, then the entry itself."""
        at = entry.recorded_at
        if at >= self._next or self.first_at is None or not isinstance(entry, Recorded):
            return super().take(entry)
        self.clock = at
        return self._event(entry)

    # -- time --------------------------------------------------------------------------------------------------------
    def advance(self, until: Instant) -> list[Fact]:
        """Move the clock: midnights of whole sheets, and the looks that single accounts are due."""
        facts: list[Fact] = []
        while True:
            sheet = min(self._sheets.values(), key=lambda one: one.midnight, default=None)
            night = sheet.midnight if sheet is not None else None
            due = self._due[0][0] if self._due else None
            if night is not None and night <= until and (due is None or night <= due):
                facts += self._night(sheet)  # type: ignore[arg-type]  # there is a night, so there is a sheet
            elif due is not None and due <= until:
                at, account_id = heapq.heappop(self._due)
                account = self.accounts[account_id]
                if account.next_at == at:
                    facts += self._whole_look(account, at) if account.seat else account.look(at)
                    self._schedule(account)
            else:
                break
        self.clock = until if self.clock is None else max(self.clock, until)
        nights = min((one.midnight for one in self._sheets.values()), default=FOREVER)
        self._next = min(nights, self._due[0][0]) if self._due else nights
        return facts

    def _night(self, sheet: Sheet) -> list[Fact]:
        at = sheet.midnight
        sheet.turn()
        for kind, table in sheet.tables.items():
            for trend in table.scope.trends.values():
                for row in table.expired(trend):
                    self._read_trend(sheet, kind, trend, table.owners[row], row, at)
        hits: dict[str, list[Hit]] = {}
        for rule, owner in sheet.night():
            account, thing = owner[:2] if isinstance(owner, tuple) else (owner, "")
            hits.setdefault(account.id, []).append((rule, thing))
        for account in sheet.restless.values():
            hits.setdefault(account.id, [])
        facts: list[Fact] = []
        for account_id in sorted(hits):
            account = self.accounts[account_id]
            # A wake-up of this very instant is a look at everything; to consider some rules would put it off for ever.
            if account.seat.restless or account.next_at == at:
                facts += self._whole_look(account, at)
            else:
                facts += self._consider(account, hits[account_id], at, None)
            if account.next_at is not None:
                self._schedule(account)
        return facts

    def _read_trend(self, sheet: Sheet, kind: str, trend: Any, owner: Any, row: int, at: Instant) -> None:
        account = owner[0] if kind else owner
        view = account.view(at)
        sheet.read((), (trend,), row, view, view.thing(kind, owner[1]) if kind else None)

    # -- one event ---------------------------------------------------------------------------------------------------
    def _event(self, entry: Recorded) -> list[Fact]:
        event, at = entry.event, entry.recorded_at
        account = self.accounts.get(event.account_id)
        if account is None or account.seat is None:
            return self._unseated(entry, account)
        seat: Seat = account.seat
        sheet = seat.sheet
        account.position = entry.position
        account.looks += 1
        handler = sheet.handlers.get(event.type) or sheet.handler(event.type)
        narrow, time, first = handler.default, event.time, account.state.first_event
        if time > at:  # noqa: PLR1730 - one call less for each event
            time = at
        if narrow is None or time < sheet.start or first is None or time < first:
            return self._wide_event(account, entry, handler)
        rows = NO_THINGS
        named = not handler.ids.isdisjoint(event.properties)
        if named or (handler.person and event.user_id is not None):
            alone = handler.lone and not named and event.user_id
            found = self._person(handler, account, alone, time) if alone else self._light(handler, account, entry, time)
            if found is None:
                return self._wide_event(account, entry, handler)
            rows = found
        if handler.prop:
            value = event.properties.get(handler.prop)
            if type(value) is str:
                narrow = handler.by_value.get(value, narrow)
        try:
            turned = narrow.take(seat.row, event, time)
        except WildError:
            return self._plain(account, entry)
        if turned or rows or seat.restless or narrow.more or handler.events:
            return self._narrow_event(account, entry, handler, narrow, rows, turned)
        return []

    def _narrow_event(
        self,
        account: Account,
        entry: Recorded,
        handler: Handler,
        narrow: Narrow,
        rows: Things,
        turned: Sequence[int],
    ) -> list[Fact]:
        """What more there is to an event that changes nothing but measures, when its printed code has taken it in."""
        seat: Seat = account.seat
        event, at = entry.event, entry.recorded_at
        time = min(at, event.time)
        hits: list[Hit] = []
        try:
            for kind, key, inner in rows:
                hits += [(rule, key) for rule in narrow.things[kind](inner, event, time, seat.row)]
        except WildError:
            return self._plain(account, entry)
        if narrow.touched is not None:
            self._slow_measures(account, narrow, entry)
        if self._nightly:
            return []
        if seat.restless:
            return self._looked(account, self._whole_look(account, at, self._happening(account, entry)))
        if narrow.touched is not None:
            turned = narrow.touched.check[""](seat.row, False)
        hits += [(rule, "") for rule in turned]
        for kind, check in narrow.all_things.items():
            for key, inner in seat.things.get(kind, NO_ROWS).items():
                hits += [(rule, key) for rule in check(seat.row, inner, False)]
        if not hits and not handler.events:
            return []
        happening = self._happening(account, entry) if handler.events else None
        return self._looked(account, self._consider(account, hits, at, happening))

    def _light(self, handler: Handler, account: Account, entry: Recorded, time: Instant) -> Things | None:
        """Note an event with things that it leaves as they are, but for measures and ``last``; gives those with rows.

        None, and nothing noted, when one of them may change.
        """
        event = entry.event
        properties = event.properties
        for kind, path in handler.active:
            if (event.user_id if kind == PERSON else nested(properties, path)) is not None:
                return None
        things, seats = account.state.things, account.seat.things
        noted: list[ThingState] = []
        found: Things = []
        unlisted: list[str] = []
        for kind, path, routed, listed in handler.inert:
            raw = event.user_id if kind == PERSON else nested(properties, path)
            if raw is None:
                continue
            key = raw if type(raw) is str else thing_id(raw)
            if not key:
                continue
            row = seats.get(kind, NO_ROWS).get(key)
            if listed and row is None:
                unlisted.append(kind)
                continue
            state = things[kind].get(key)
            if state is None or time < (state.last or 0):
                return None
            if row is not None:
                found.append((kind, key, row))
            elif routed or (kind == PERSON and not state.open):
                return None
            noted.append(state)
        for state in noted:
            state.last = time
        for kind in unlisted:
            account.program.things[kind].shape.fold(things[kind], self._happening(account, entry))
        return found

    @staticmethod
    def _person(handler: Handler, account: Account, person: str, time: Instant) -> Things | None:
        """The same for an event that names a person and nothing else."""
        state = account.state.things[PERSON].get(person)
        if state is None or time < (state.last or 0):
            return None
        row = account.seat.things.get(PERSON, NO_ROWS).get(person)
        if row is None and (handler.routed or not state.open):
            return None
        state.last = time
        return NO_THINGS if row is None else [(PERSON, person, row)]

    def _slow_measures(self, account: Account, narrow: Any, entry: Recorded) -> None:
        """Measures without columns, and what is read from them."""
        seat: Seat = account.seat
        if narrow.own:
            seat.sheet.tables[""].fold(seat.row, seat.own, self._happening(account, entry), narrow.own)
            seat.sheet.postpone(narrow.later, seat.row)
        touched = narrow.touched
        if touched.moves or any(touched.leaves.values()) or any(touched.trends.values()):
            self._read(account, touched, account.view(entry.recorded_at))

    def _read(self, account: Account, touched: Touched, view: AccountView) -> None:
        seat: Seat = account.seat
        self._read_all(seat, touched, view)
        if touched.moves:
            account.schedule(view)
            self._schedule(account)

    # -- events that change more than measures -------------------------------------------------------------------------
    def _wide_event(self, account: Account, entry: Recorded, handler: Handler) -> list[Fact]:
        event, at = entry.event, entry.recorded_at
        seat: Seat = account.seat
        happening = self._happening(account, entry)
        shape = account.program.shape
        first, created = account.state.first_event, account.state.trait("created_at")
        shape.fold_account(account.state, happening)
        try:
            seat.sheet.tables[""].fold(seat.row, seat.own, happening, shape.route(event.type))
            kinds = self._fold_things(account, happening)
        except (WildError, OutOfTurn):
            return self._anew(account, entry, happening)
        if event.type == "account.updated" and account.wanted_zone() is not account.zone:
            return self._anew(account, entry, happening)
        if event.type == "outreach.sent":
            account.left(event, at)
        late = (
            happening.time < seat.sheet.start
            or first != account.state.first_event
            or created != account.state.trait("created_at")
        )
        touched = seat.sheet.touched(event.type, frozenset(kinds), all_=late)
        if late:
            self._seen(account)
        view = account.view(at)
        self._read(account, touched, view)
        hits: list[Hit] = []
        for kind, key in kinds.items():
            hits += self._thing(account, kind, key, view)
        if event.type == "account.updated":
            hits += [hit for kind in seat.sheet.tables if kind for hit in self._listed(account, kind, view)]
        if self._nightly:
            return []
        if seat.restless:
            return self._looked(account, self._whole_look(account, at, happening))
        # Whom a rule writes to is part of its truth, and people may have changed: then every rule is asked.
        every = late or event.type in SPECIAL or PERSON in kinds
        checks = seat.sheet.check if every else touched.check
        hits += [(rule, "") for rule in checks[""](seat.row, True)]
        for kind, rows in seat.things.items():
            for key, row in rows.items():
                check = seat.sheet.check[kind] if kinds.get(kind) == key else checks[kind]
                hits += [(rule, key) for rule in check(seat.row, row, True)]
        if hits or handler.events:
            return self._looked(account, self._consider(account, hits, at, happening, view))
        return []

    def _fold_things(self, account: Account, happening: Happening) -> dict[str, str]:
        """Fold the event into the things it belongs to; gives them by kind."""
        seat: Seat = account.seat
        found: dict[str, str] = {}
        for kind, shape in account.program.shape.things.items():
            key = shape.thing_of(happening.event)
            if key is None:
                continue
            found[kind] = key
            states = account.state.things[kind]
            before = self._acts(account, kind, states.get(key))
            table = seat.sheet.tables.get(kind)
            if table is None or shape.zone is not None:
                shape.fold(states, happening)
                self._noted(account, kind, key, before)
                continue
            row = seat.things.get(kind, {}).get(key)
            state = states.get(key)
            if row is None:
                shape.fold(states, happening)
            else:
                if state is None:
                    state = states[key] = ThingState(kept=KeptRow(table, row, table.owners[row][2]))  # type: ignore[arg-type]
                fold_thing(shape.spec, state, happening)
                table.fold(row, table.owners[row][2], happening, shape.route(happening.event.type))
            self._noted(account, kind, key, before)
        return found

    def _noted(self, account: Account, kind: str, key: str, before: list[Act]) -> None:
        """Keep account of which things are open, and of what happened to them."""
        state = account.state.things[kind][key]
        if state.open:
            account.opened[kind][key] = None
        else:
            account.opened[kind].pop(key, None)
        for name in account.seat.sheet.layout.opens_of.get(kind, ()):
            account.seat.sheet.narrow[name][account.seat.row] = len(account.opened[kind])
        after = self._acts(account, kind, state)
        if after == before:
            return
        for one in before:
            if one in after:
                after.remove(one)
            else:
                self._act(account, one, -1)
        for one in after:
            self._act(account, one, 1)

    def _acts(self, account: Account, kind: str, state: ThingState | None) -> list[Act]:
        """What happened to one thing, as far as measures count it."""
        wanted = account.seat.sheet.layout.acts_of.get(kind)
        if wanted is None or state is None:
            return []
        spec = account.program.things[kind].spec
        if spec.where and not all(matches(test, property_at(state, test.path)) for test in spec.where):
            return []
        return [(name, when, length) for name, act in wanted for when, length in acts_of(state, act)]

    def _act(self, account: Account, act: Act, amount: int) -> None:
        name, when, length = act
        seat: Seat = account.seat
        table = seat.sheet.tables[""]
        table.act(table.scope.acts[name], seat.row, account.zone.day(when), length, amount)

    def _thing(self, account: Account, kind: str, key: str, view: AccountView) -> list[Hit]:
        """Give a thing that opened a row, take one that closed out; what its closing ends must be considered."""
        seat: Seat = account.seat
        table = seat.sheet.tables.get(kind)
        if table is None:
            return []
        one = view.thing(kind, key)
        rows = seat.things.setdefault(kind, {})
        row = rows.get(key)
        if one.open:
            if row is None:
                row = self._seat_thing(account, kind, key)
            scope = seat.sheet.layout.scopes[kind]
            table.arrays[f"{scope.prefix}g"][row] = full_from(one.state.seen, account.zone)
            seat.sheet.read(scope.leaves.values(), scope.trends.values(), row, view, one)
            if len(rows) > MAX_OPEN:
                self._restless(account, on=True)
            return []
        if row is None:
            return []
        prefix = table.scope.prefix
        remembered = [rule for rule in table.scope.rules if table.arrays[f"{prefix}m{rule}"][row]]
        self._unseat_thing(account, kind, key)
        if self._nightly and remembered:
            self._restless(account, on=True)  # it may open again before anybody looks
        return [(~rule, key) for rule in remembered]

    def _listed(self, account: Account, kind: str, view: AccountView) -> list[Hit]:
        """Things that are the elements of a list attribute, after the account's attributes changed."""
        program = account.program.things[kind]
        if not program.spec.each_in:
            return []
        seat: Seat = account.seat
        keys = {*(one.id for one in view.open_things(kind)), *seat.things.get(kind, ())}
        return [hit for key in sorted(keys) for hit in self._thing(account, kind, key, view)]

    def _seat_thing(self, account: Account, kind: str, key: str) -> int:
        seat: Seat = account.seat
        table = seat.sheet.tables[kind]
        own = table.fresh_own()
        row = seat.sheet.add(kind, (account, key, own))
        seat.things.setdefault(kind, {})[key] = row
        for rule in table.scope.rules if self._nightly else ():
            name = account.program.rules[rule].rule.id
            seat.sheet.memory[rule][row] = thing_key(kind, key) in account.truths.get(name, ())
        table.arrays[f"{table.scope.prefix}parent"][row] = seat.row
        state = account.state.things[kind].get(key)
        if state is not None:
            if len(state.kept):
                table.load(row, own, state.kept)
            state.kept = KeptRow(table, row, own)  # type: ignore[assignment]  # it reads like the list it stands for
        return row

    def _unseat_thing(self, account: Account, kind: str, key: str) -> None:
        seat: Seat = account.seat
        row = seat.things[kind].pop(key)
        state = account.state.things[kind].get(key)
        if state is not None:
            state.kept = list(state.kept)
        seat.sheet.tables[kind].drop(row)

    def _seen(self, account: Account) -> None:
        seat: Seat = account.seat
        seat.sheet.tables[""].arrays["g"][seat.row] = full_from(account.state.seen(account.zone), account.zone)

    # -- looking -------------------------------------------------------------------------------------------------------
    def _consider(
        self,
        account: Account,
        hits: list[Hit],
        at: Instant,
        happening: Happening | None,
        view: AccountView | None = None,
    ) -> list[Fact]:
        """Look at the rules and things whose truth may have turned."""
        seat: Seat = account.seat
        todo: list[tuple[int, str]] = []
        rules = account.program.rules
        for rule_at, key in hits:
            if rule_at < 0:
                self._forgot(account, ~rule_at, key)
            elif not self._used_up(account, rule_at, key, at):
                todo.append((rule_at, key))
        if happening is not None:
            todo += [(rule_at, "") for rule_at in seat.sheet.handler(happening.event.type).events]
        facts: list[Fact] = []
        if not todo:
            return facts
        if view is None:
            view = account.view(at)
        todo.sort()
        for rule_at, key in todo:
            rule = rules[rule_at]
            if rule.way == "event":
                account.look_events(rule, view, happening, facts)
                continue
            kind = rule.rule.thing
            subject = view.thing(kind, key) if kind else None
            name = thing_key(kind, key)
            account.consider(rule, name, subject, view, facts, plain=True)
            row = seat.things[kind][key] if kind else seat.row
            seat.sheet.memory[rule_at][row] = 1 if name in account.truths[rule.rule.id] else 0 if self._nightly else 2
        self._after(account, view)
        return facts

    def _used_up(self, account: Account, rule_at: int, key: str, at: Instant) -> bool:
        """A rule that came true while its occasion is used: that it is true is noted, and nothing is decided."""
        seat: Seat = account.seat
        if rule_at not in seat.sheet.simple:
            return False
        rule = account.program.rules[rule_at].rule
        name = thing_key(rule.thing, key)
        # The instant of an edge is a new occasion each time: only how long ago the last one was can stand against it.
        if account.free(rule, name, "once" if rule.re_entry.kind == "never" else "", at):
            return False
        account.truths.setdefault(rule.id, {})[name] = Memory(at, held=True)
        row = seat.things[rule.thing][key] if rule.thing else seat.row
        seat.sheet.memory[rule_at][row] = 1
        return True

    def _forgot(self, account: Account, rule_at: int, key: str) -> None:
        """A rule is no longer true; there is no mail to take back, for then every look would be a whole one."""
        seat: Seat = account.seat
        rule = account.program.rules[rule_at].rule
        account.truths.get(rule.id, {}).pop(thing_key(rule.thing, key), None)
        row = seat.things.get(rule.thing, {}).get(key) if rule.thing else seat.row
        if row is not None:
            seat.sheet.memory[rule_at][row] = 0

    def _whole_look(self, account: Account, at: Instant, happening: Happening | None = None) -> list[Fact]:
        """Look at everything, as the plain lane does."""
        facts = account.look(at, happening)
        seat: Seat = account.seat
        view = account.view(at)
        self._read_all(seat, seat.sheet.moving(), view)
        self._remember(account)
        self._after(account, view, scheduled=True)
        return facts

    def _remember(self, account: Account) -> None:
        """Write what the account remembers into the columns."""
        seat: Seat = account.seat
        for kind, table in seat.sheet.tables.items():
            rows = seat.things.get(kind, {}) if kind else {"": seat.row}
            for rule in table.scope.rules:
                known = account.truths.get(account.program.rules[rule].rule.id, {})
                column = table.arrays[f"{table.scope.prefix}m{rule}"]
                for key, row in rows.items():
                    column[row] = thing_key(kind, key) in known

    def _after(self, account: Account, view: AccountView, *, scheduled: bool = False) -> None:
        if not scheduled:
            account.clock = view.moment.at
            account.schedule(view)
        sticky = account.seat.sheet.sticky
        on = bool(account.open) and any(account.open.values())
        on = on or (bool(sticky) and any(rows for rule, rows in account.truths.items() if rule in sticky))
        on = on or (self._nightly and self._unsettled(account))
        crowded = any(len(rows) > MAX_OPEN for rows in account.seat.things.values())
        self._restless(account, on=on or crowded)

    def _unsettled(self, account: Account) -> bool:
        """May a night change something that only events and wake-ups change otherwise?"""
        program = account.program
        once = [rule.rule.id for rule in program.rules if rule.once_per is not None or fickle(rule)]
        held = [memory for rule in program.holding for memory in account.truths.get(rule.id, {}).values()]
        return bool(program.moving) or any(account.truths.get(rule) for rule in once) or bool(held)

    def _restless(self, account: Account, *, on: bool) -> None:
        account.seat.restless = on
        if on:
            account.seat.sheet.restless[account.id] = account
        else:
            account.seat.sheet.restless.pop(account.id, None)

    def _looked(self, account: Account, facts: list[Fact]) -> list[Fact]:
        if account.next_at is not None:
            self._schedule(account)
        return facts

    def _happening(self, account: Account, entry: Recorded) -> Happening:
        return happening_of(entry, account.zone, entry.recorded_at)

    # -- seats ---------------------------------------------------------------------------------------------------------
    def _unseated(self, entry: Recorded, account: Account | None) -> list[Fact]:
        """An event of an account that has no row yet, or never will."""
        program = self.program
        fresh = account is None or account.state.first_event is None
        if fresh and program is not None and printed_of(program) is not None:
            if account is None:
                account = Account(entry.account_id, program, self.first_at or entry.recorded_at)
                account.portfolio = self.portfolio
                self.accounts[entry.account_id] = account
            self.seat(account, entry.recorded_at)
            return self._event(entry)
        facts = super()._event(entry)
        account = self.accounts.get(entry.account_id)
        if account is not None and not account.wild:
            self.seat(account, entry.recorded_at)
            self._schedule(account)
        return facts

    def seat(self, account: Account, at: Instant) -> None:
        """Give an account that was looked at as of ``at`` its rows, if columns can hold it."""
        program = account.program
        if self.program is not program or isinstance(account, Whole):
            return
        printed = printed_of(program)
        if printed is None:
            return
        sheet = self._sheet(printed, account.zone, at)
        table = sheet.tables[""]
        own = table.fresh_own()
        seat = account.seat = Seat(sheet, sheet.add("", account), own)
        if account.state.first_event is None:  # its first event, which comes now, reads everything
            account.state.kept = KeptRow(table, seat.row, own)  # type: ignore[assignment]  # as below
            account.opened = {kind: {} for kind in account.state.things}
            if self._nightly and program.moving:
                self._restless(account, on=True)
            return
        try:
            table.load(seat.row, own, account.state.kept)
            account.state.kept = KeptRow(table, seat.row, own)  # type: ignore[assignment]
            self._fill_things(account)
            self._seen(account)
            view = account.view(at)
            if self._nightly and program.moving:
                self._restless(account, on=True)
            for kind in sheet.tables:
                if kind:
                    for one in view.open_things(kind):
                        self._thing(account, kind, one.id, view)
            sheet.read(table.scope.leaves.values(), table.scope.trends.values(), seat.row, view, None)
        except WildError:
            self._unseat(account, at)
            account.wild = True
            return
        self._remember(account)
        self._after(account, view)

    def _fill_things(self, account: Account) -> None:
        """Which things are open, and what happened to all of them, from the plain state."""
        seat: Seat = account.seat
        states = account.state.things
        account.opened = {kind: {key: None for key in sorted(rows) if rows[key].open} for kind, rows in states.items()}
        layout = seat.sheet.layout
        for kind, names in layout.opens_of.items():
            for name in names:
                seat.sheet.narrow[name][seat.row] = len(account.opened[kind])
        for kind in layout.acts_of:
            for state in states[kind].values():
                for act in self._acts(account, kind, state):
                    self._act(account, act, 1)

    def _unseat(self, account: Account, at: Instant) -> None:
        """Take an account out of the columns: from here on it is kept plainly."""
        seat: Seat = account.seat
        for kind, rows in list(seat.things.items()):
            for key in list(rows):
                self._unseat_thing(account, kind, key)
        account.state.kept = list(account.state.kept)
        seat.sheet.restless.pop(account.id, None)
        seat.sheet.tables[""].drop(seat.row)
        account.seat = None
        account.opened = None
        account.schedule(account.view(at))

    def _plain(self, account: Account, entry: Recorded) -> list[Fact]:
        """An account with sums beyond what columns hold: it is built anew and kept plainly."""
        account.wild = True
        return self._anew(account, entry, self._happening(account, entry))

    def _anew(self, account: Account, entry: Recorded, happening: Happening) -> list[Fact]:
        """Build an account from its stored events, this one included, and look."""
        at = entry.recorded_at
        self._unseat(account, at)
        account.build(self._history, at)
        facts = account.look(at, happening)
        if not account.wild:
            self.seat(account, at)
        self._schedule(account)
        return facts

    def _schedule(self, account: Account) -> None:
        super()._schedule(account)
        if account.next_at is not None and account.next_at < self._next:
            self._next = account.next_at

    def _sheet(self, printed: Printed, zone: Zone, at: Instant) -> Sheet:
        found = self._sheets.get(zone.key)
        if found is None:
            found = self._sheets[zone.key] = Sheet(printed, zone, at, nightly=self._nightly)
            self._next = min(self._next, found.midnight)
        return found

    # -- other entries and restored accounts ---------------------------------------------------------------------------
    def adopt(self, account: Account) -> None:
        """Take in an account that was restored; it gets its rows when the lane's clock is where it stood."""
        super().adopt(account)
        if self.clock is not None:
            self.seat(account, self.clock)
            self._schedule(account)

    def settle(self) -> None:
        """All restored accounts are where the lane's clock is: give them rows."""
        if self.clock is None:
            return
        for account in self._in_order():
            if account.seat is None and not account.wild:
                self.seat(account, self.clock)
                self._schedule(account)

    def _activate(self, entry: EngineEntry) -> list[Fact]:
        seated = [account for account in self._in_order() if account.seat is not None]
        for account in seated:
            self._unseat(account, entry.recorded_at)
        self._sheets.clear()
        facts = super()._activate(entry)
        for account in seated:
            self.seat(account, entry.recorded_at)
            self._schedule(account)
        return facts

    def daily_totals(self, account: Account, at: Instant) -> list[Fact]:
        """An account gets the portfolio's new totals; it is looked at if one of its rules reads them."""
        seat: Seat | None = account.seat
        if seat is None:
            return super().daily_totals(account, at)
        totals = seat.sheet.totals()
        if totals is None:
            account.looks += 1
            return []
        self._read_all(seat, totals, account.view(at))
        return self._whole_look(account, at)

    def _read_all(self, seat: Seat, touched: Touched | None, view: AccountView) -> None:
        """Read these cached values and trends anew, of the account and of all its things."""
        if touched is None:
            return
        seat.sheet.read(touched.leaves[""], touched.trends[""], seat.row, view, None)
        for kind, rows in seat.things.items():
            if touched.leaves[kind] or touched.trends[kind]:
                for key, row in rows.items():
                    seat.sheet.read(touched.leaves[kind], touched.trends[kind], row, view, view.thing(kind, key))
