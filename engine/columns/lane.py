"""One lane over columns: the same facts as ``engine.lane.Lane``, which is its judge, many times as fast.

Columns only find out where a truth has turned; what is decided there, the plain code decides (``Account.consider``).
An account that columns cannot hold is kept plainly in the same lane.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.account import FOREVER, MAX_OPEN, Account, History, Memory, thing_key
from engine.columns.layout import Acts, Tally, Trend
from engine.columns.moves import Found, Stirred, find, move
from engine.columns.rows import KeptRow
from engine.columns.sheet import SPECIAL, Handler, Narrow, Printed, Sheet, Touched, printed_of
from engine.columns.table import WildError
from engine.columns.trends import full_from
from engine.decision import Fact
from engine.instants import Instant
from engine.lane import Lane, Programs
from engine.log import EngineEntry, Entry, Recorded
from engine.measures.measure import LONG_AGO, Happening, matches
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
NOTHING_MOVES: list[Found] = []
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
    """A lane whose accounts are rows."""

    sheet_kind: type[Sheet] = Sheet
    nobody = 2
    """What is remembered of a rule that is true with nobody to write to."""

    def __init__(self, programs: Programs, history: History) -> None:
        super().__init__(programs, history)
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
        return self._dawn(sheet, at, {}, {})

    def _dawn(self, sheet: Sheet, at: Instant, hits: dict[str, list[Hit]], views: dict[str, AccountView]) -> list[Fact]:
        """A day has begun: what is read anew today, and looks at all whom the night concerns."""
        for kind, table in sheet.tables.items():
            for trend in table.scope.trends.values():
                for row in table.expired(trend):
                    self._read_trend(sheet, kind, trend, row, at, views)
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
                facts += self._consider(account, hits[account_id], at, None, views.get(account_id))
            if account.next_at is not None:
                self._schedule(account)
        return facts

    def _read_trend(
        self, sheet: Sheet, kind: str, trend: Trend, row: int, at: Instant, views: dict[str, AccountView]
    ) -> None:
        owner = sheet.tables[kind].owners[row]
        account = owner[0] if kind else owner
        view = views.get(account.id)
        if view is None:
            view = views[account.id] = account.view(at)
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
        rows, moved = NO_THINGS, NOTHING_MOVES
        named = not handler.ids.isdisjoint(event.properties)
        if named or (handler.person and event.user_id is not None):
            found = self._things_of(handler, account, entry, time, named=named)
            if found is None:
                return self._wide_event(account, entry, handler)
            rows, moved = found
        if handler.prop:
            value = event.properties.get(handler.prop)
            if type(value) is str:
                narrow = handler.by_value.get(value, narrow)
        if moved:
            return self._moving_event(account, entry, handler, narrow, rows, moved, time)
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

    def _things_of(
        self, handler: Handler, account: Account, entry: Recorded, time: Instant, *, named: bool
    ) -> tuple[Things, list[Found]] | None:
        """The things of an event: those that it leaves as they are, already noted, and those that it moves.

        None, and nothing noted, when one of them has to go the wide way. ``named``: it may name more than a person.
        """
        if handler.lone and not named and entry.event.user_id:
            alone = self._person(handler, account, entry.event.user_id, time)
            return None if alone is None else (alone, NOTHING_MOVES)
        moved: list[Found] | None = NOTHING_MOVES
        if handler.active:
            account.tidy(entry.recorded_at)
            moved = find(handler.plans, handler.active, account, entry.event, time)
        if moved is None:
            return None
        rows = self._light(handler, account, entry, time, moving=bool(moved))
        return None if rows is None else (rows, moved)

    def _light(
        self, handler: Handler, account: Account, entry: Recorded, time: Instant, *, moving: bool = False
    ) -> Things | None:
        """Note an event with things that it leaves as they are, but for measures and ``last``; gives those with rows.

        None, and nothing noted, when one of them may change; those that it opens, closes or changes are not asked when
        it is ``moving``: they are taken care of elsewhere.
        """
        event = entry.event
        properties = event.properties
        for kind, path in () if moving else handler.active:
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

    def _moving_event(
        self,
        account: Account,
        entry: Recorded,
        handler: Handler,
        narrow: Narrow,
        rows: Things,
        moved: list[Found],
        time: Instant,
    ) -> list[Fact]:
        """An event in its turn that opens, answers, closes or changes things: only what it touches is read anew."""
        seat: Seat = account.seat
        sheet = seat.sheet
        event, at = entry.event, entry.recorded_at
        try:
            narrow.take(seat.row, event, time)
            for kind, _, inner in rows:
                narrow.things[kind](inner, event, time, seat.row)
            for one in moved:
                move(self, account, entry, one, time, narrow.things[one.plan.kind] if one.plan.table else None)
        except WildError:
            return self._plain(account, entry)
        if narrow.touched is not None:
            self._slow_measures(account, narrow, entry)
        kinds = moved[0].plan.kinds if len(moved) == 1 else frozenset([one.plan.kind for one in moved])
        stirs = sheet.stirred(event.type, kinds)
        view, hits = self._stir(account, stirs, moved, at)
        if seat.restless:
            return self._looked(account, self._whole_look(account, at, self._happening(account, entry)))
        hits += [(rule, "") for rule in stirs.touched.check[""](seat.row, False)]
        for kind, key, inner in rows:
            hits += [(rule, key) for rule in sheet.check[kind](seat.row, inner, False)]
        for kind, seats in seat.things.items():
            if kind in kinds or stirs.touched.rules[kind]:
                hits += self._ask_things(seat, kind, seats, stirs, moved)
        if hits or handler.events:
            return self._looked(account, self._consider(account, hits, at, self._happening(account, entry), view))
        return []

    @staticmethod
    def _ask_things(seat: Seat, kind: str, seats: dict[str, int], stirs: Stirred, moved: list[Found]) -> list[Hit]:
        """Ask the rules for things of a kind: of what moved all of them, of the others those that may have turned."""
        hits: list[Hit] = []
        mine = [one.key for one in moved if one.plan.kind == kind]
        for key in mine:
            if key in seats:
                hits += [(rule, key) for rule in seat.sheet.check[kind](seat.row, seats[key], True)]
        if stirs.touched.rules[kind]:
            check = stirs.touched.check[kind]
            for key, inner in seats.items():
                if key not in mine:
                    hits += [(rule, key) for rule in check(seat.row, inner, False)]
        return hits

    def _stir(
        self, account: Account, stirs: Stirred, moved: list[Found], at: Instant
    ) -> tuple[AccountView | None, list[Hit]]:
        """Read anew what things that moved have changed; gives a view if one was made, and what must be considered."""
        seat: Seat = account.seat
        sheet, states = seat.sheet, account.state.things
        view = account.view(at) if stirs.views else None
        if view is not None:
            self._read_all(seat, stirs.touched, view)
        for kind, trend, read in stirs.glances:
            if any(one.plan.kind == kind and (one.turned or one.changed) for one in moved):
                opened = [states[kind][key] for key in account.opened.get(kind, ())]
                sheet.set_trend(trend, seat.row, read(opened, sheet.today, sheet.zone))
        hits: list[Hit] = []
        wakes = False
        for one in moved:
            kind, key = one.plan.kind, one.key
            leaves, trends, moves = one.plan.read(sheet, one.changed, stepped=one.stepped)
            wakes = wakes or moves
            if one.plan.table is None:
                continue
            row, is_open = seat.things.get(kind, NO_ROWS).get(key), states[kind][key].open
            if one.seated or is_open is (row is None):
                view = view or account.view(at)
                hits += self._thing(account, kind, key, view)
            elif row is not None and (leaves or trends):
                view = view or account.view(at)
                sheet.read(leaves, trends, row, view, view.thing(kind, key))
        if wakes:
            view = view or account.view(at)
            account.schedule(view)
            self._schedule(account)
        return view, hits

    @staticmethod
    def _person(handler: Handler, account: Account, person: str, time: Instant) -> Things | None:
        """Note an event that names a person and nothing else, and leaves it as it is; gives it, if it has a row."""
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
        account.tidy(at)
        happening = self._happening(account, entry)
        folded = self._fold_wide(account, happening)
        if folded is None:
            return self._anew(account, entry, happening)
        kinds, late = folded
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

    def _fold_wide(self, account: Account, happening: Happening) -> tuple[dict[str, str], bool] | None:
        """Fold an event of any kind: (things by kind, must everything be read anew?); None: build the account anew."""
        event = happening.event
        seat: Seat = account.seat
        shape = account.program.shape
        first, created = account.state.first_event, account.state.trait("created_at")
        shape.fold_account(account.state, happening)
        try:
            self._fold_measures(account, happening, fresh=first is None)
            kinds = self._fold_things(account, happening)
        except (WildError, OutOfTurn):
            return None
        if event.type == "account.updated" and account.wanted_zone() is not account.zone:
            return None
        if event.type == "outreach.sent":
            account.left(event.properties.get("outreach_id"), happening.now)
        late = (
            happening.time < seat.sheet.start
            or first != account.state.first_event
            or created != account.state.trait("created_at")
        )
        return kinds, late

    @staticmethod
    def _fold_measures(account: Account, happening: Happening, *, fresh: bool) -> None:
        """Fold an event of any kind into the account's measures; the very first one by printed code, if it is of today.

        That code wants events in their turn, as the first one always is; what it would ask is asked later.
        """
        seat: Seat = account.seat
        event, routed = happening.event, account.program.shape.route(happening.event.type)
        if fresh and happening.time >= seat.sheet.start:
            narrow = seat.sheet.handler(event.type).narrow(event)
            if narrow is not None:
                narrow.take(seat.row, event, happening.time)
                routed = list(narrow.own)
        seat.sheet.tables[""].fold(seat.row, seat.own, happening, routed)

    def _fold_things(self, account: Account, happening: Happening) -> dict[str, str]:
        """Fold the event into the things it belongs to; gives them by kind."""
        seat: Seat = account.seat
        found: dict[str, str] = {}
        for kind, shape in account.program.shape.things.items():
            key = shape.thing_of(happening.event)
            if key is None:
                continue
            found[kind] = key
            account.program.shape.recall(account.state, kind, key)
            states = account.state.things[kind]
            before = self._marks(account, kind, states.get(key))
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
                fold_thing(shape.spec, state, happening, shape.props)
                table.fold(row, table.owners[row][2], happening, shape.route(happening.event.type))
            self._noted(account, kind, key, before)
        return found

    def _marks(self, account: Account, kind: str, state: ThingState | None) -> tuple[list[Act], list[bool]]:
        """What of a thing stands in the row of its account: what happened to it, and which counts it is in."""
        tallies = account.seat.sheet.layout.opens_of.get(kind, ())
        return self._acts(account, kind, state), _counted(tallies, state, account.zone)

    def _noted(self, account: Account, kind: str, key: str, marks: tuple[list[Act], list[bool]]) -> None:
        """Keep account of which things are open, and of what happened to them."""
        before, counted = marks
        seat: Seat = account.seat
        state = account.state.things[kind][key]
        account.list_thing(kind, key, is_open=state.open)
        tallies = seat.sheet.layout.opens_of.get(kind, ())
        for tally, was, now in zip(tallies, counted, _counted(tallies, state, account.zone), strict=True):
            seat.sheet.narrow[tally.column][seat.row] += now - was
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
                row = self.seat_thing(account, kind, key)
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
        return [(~rule, key) for rule in remembered]

    def _listed(self, account: Account, kind: str, view: AccountView) -> list[Hit]:
        """Things that are the elements of a list attribute, after the account's attributes changed."""
        program = account.program.things[kind]
        if not program.spec.each_in:
            return []
        seat: Seat = account.seat
        keys = {*(one.id for one in view.open_things(kind)), *seat.things.get(kind, ())}
        return [hit for key in sorted(keys) for hit in self._thing(account, kind, key, view)]

    def seat_thing(self, account: Account, kind: str, key: str) -> int:
        """Give an open thing its row."""
        seat: Seat = account.seat
        table = seat.sheet.tables[kind]
        own = table.fresh_own()
        row = seat.sheet.add(kind, (account, key, own))
        seat.things.setdefault(kind, {})[key] = row
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
        seat.sheet.tables[""].arrays["g"][seat.row] = full_from(
            account.state.watched(account.zone, account.log_began), account.zone
        )

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
            # Whether a simple rule may speak was asked just now.
            account.consider(rule, name, subject, view, facts, plain=True, free=rule_at in seat.sheet.simple)
            row = seat.things[kind][key] if kind else seat.row
            seat.sheet.memory[rule_at][row] = 1 if name in account.truths.get(rule.rule.id, ()) else self.nobody
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
        account.remember(rule.id, name, Memory(at, held=True))
        row = seat.things[rule.thing][key] if rule.thing else seat.row
        seat.sheet.memory[rule_at][row] = 1
        return True

    def _forgot(self, account: Account, rule_at: int, key: str) -> None:
        """A rule is no longer true; there is no mail to take back, for then every look would be a whole one."""
        seat: Seat = account.seat
        rule = account.program.rules[rule_at].rule
        account.forget(rule.id, thing_key(rule.thing, key))
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
                known = account.truths.get(account.program.rules[rule].rule.id, ())
                column = seat.sheet.memory[rule]
                for key, row in rows.items():
                    column[row] = thing_key(kind, key) in known if known else 0

    def _after(self, account: Account, view: AccountView, *, scheduled: bool = False) -> None:
        if not scheduled:
            account.clock = view.moment.at
            account.schedule(view)
        self._restless(account, on=self._needs_whole_looks(account))

    def _needs_whole_looks(self, account: Account) -> bool:
        sticky = account.seat.sheet.sticky
        on = bool(account.open) and any(account.open.values())
        on = on or (bool(sticky) and any(rows for rule, rows in account.truths.items() if rule in sticky))
        return on or any(len(rows) > MAX_OPEN for rows in account.seat.things.values())

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

    def doubts(self) -> Iterator[tuple[Account, frozenset[int] | None]]:
        """Accounts with the rules that may be unknown for them, as far as columns tell it."""
        found: dict[str, set[int]] = {}
        for sheet in self._sheets.values():
            for rule, owner in sheet.doubts():
                found.setdefault((owner[0] if isinstance(owner, tuple) else owner).id, set()).add(rule)
        for account in self.accounts.values():
            told = account.seat is not None and not account.program.moving and not self._unread(account)
            yield account, frozenset(found.get(account.id, ())) if told else None

    @staticmethod
    def _unread(account: Account) -> bool:
        """Is there something that columns have not read yet?"""
        del account
        return False

    # -- seats ---------------------------------------------------------------------------------------------------------
    def _unseated(self, entry: Recorded, account: Account | None) -> list[Fact]:
        """An event of an account that has no row yet, or never will."""
        program = self.program
        fresh = account is None or account.state.first_event is None
        if fresh and program is not None and printed_of(program) is not None:
            if account is None:
                account = Account(entry.account_id, program, self.first_at or entry.recorded_at)
                account.portfolio, account.late = self.portfolio, self.late
                self.accounts[entry.account_id] = account
            self.seat(account, entry.recorded_at)
            return self._event(entry)
        facts = super()._event(entry)
        account = self.accounts.get(entry.account_id)
        if account is not None:
            account.tidy(entry.recorded_at)
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
            account.opened = {}
            return
        try:
            table.load(seat.row, own, account.state.kept)
            account.state.kept = KeptRow(table, seat.row, own)  # type: ignore[assignment]
            self._fill_things(account)
            self._read_seat(account, at)
        except WildError:
            self._unseat(account, at)
            account.wild = True

    def _read_seat(self, account: Account, at: Instant) -> None:
        """Everything that is read of an account that got its row. Raises ``WildError``."""
        seat: Seat = account.seat
        scope = seat.sheet.tables[""].scope
        view = account.view(at)
        self._seen(account)
        for kind in seat.sheet.tables:
            if kind:
                for one in view.open_things(kind):
                    self._thing(account, kind, one.id, view)
        seat.sheet.read(scope.leaves.values(), scope.trends.values(), seat.row, view, None)
        self._remember(account)
        self._after(account, view)

    def _fill_things(self, account: Account) -> None:
        """Which things are open, and what happened to all of them, from the plain state."""
        seat: Seat = account.seat
        states = account.state.things
        opened = {kind: sorted([key for key, one in rows.items() if one.open]) for kind, rows in states.items()}
        account.opened = {kind: dict.fromkeys(keys) for kind, keys in opened.items() if keys}
        layout = seat.sheet.layout
        for kind, tallies in layout.opens_of.items():
            for tally in tallies:
                counted = sum([tally.counts(states[kind][key], account.zone) for key in opened[kind]])
                seat.sheet.narrow[tally.column][seat.row] = counted
        reach = {name: self._reach(seat.sheet, acts) for name, acts in layout.scopes[""].acts.items()}
        for kind in layout.acts_of:
            for state in states[kind].values():
                for act in self._acts(account, kind, state):
                    if act[1] >= reach[act[0]]:
                        self._act(account, act, 1)

    @staticmethod
    def _reach(sheet: Sheet, acts: Acts) -> Instant:
        """The first instant that one of the windows over these acts holds, or a later one will."""
        return sheet.zone.start(sheet.today - acts.count.days + 1) if acts.count.days else LONG_AGO

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
            found = self._sheets[zone.key] = self.sheet_kind(printed, zone, at)
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
            account.looks += not account.program.tells_parts
            return []
        self._read_all(seat, totals, account.view(at))
        return self._whole_look(account, at)

    def looked_at(self, account: Account, at: Instant) -> list[Fact]:
        """Look at everything of an account."""
        return self._whole_look(account, at) if account.seat is not None else super().looked_at(account, at)

    def weighed(self, account: Account, at: Instant, *, look: bool) -> list[Fact]:
        """What its open mails must do now that other sources are late; with ``look`` it is looked at first."""
        if account.seat is None:
            return super().weighed(account, at, look=look)
        facts = self._whole_look(account, at) if look else []
        facts += account.weigh_holds(at)
        self._restless(account, on=self._needs_whole_looks(account))
        return facts

    def _read_all(self, seat: Seat, touched: Touched | None, view: AccountView) -> None:
        """Read these cached values and trends anew, of the account and of all its things."""
        if touched is None:
            return
        seat.sheet.read(touched.leaves[""], touched.trends[""], seat.row, view, None)
        for kind, rows in seat.things.items():
            if touched.leaves[kind] or touched.trends[kind]:
                for key, row in rows.items():
                    seat.sheet.read(touched.leaves[kind], touched.trends[kind], row, view, view.thing(kind, key))


def _counted(tallies: Iterable[Tally], state: ThingState | None, zone: Zone) -> list[bool]:
    """Which counts of open things a thing is in."""
    return [state is not None and state.open and tally.counts(state, zone) for tally in tallies]
