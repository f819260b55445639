"""The names in the story: companies, people, places, features, questions."""

_COMPANIES = """
acorn alder almond alpaca amber anchor apricot arbor ash aspen aster auburn badger bamboo barley basalt basil bay
beacon beech birch bison blossom bramble brook buckeye buttercup cactus camellia canyon caraway cardinal cedar
chamois cherry chestnut clover cobalt comet condor coral cormorant crane cricket crocus curlew cypress dahlia delta
dolphin dove drake dune eagle ebony egret elder elm ember falcon fennel fern finch fir fjord flint fox foxglove
gannet garnet gazelle geyser ginger glacier goldfinch granite grebe grove gull harbor hare hawthorn hazel heath
heather hemlock heron hickory holly hornbeam ibex ibis indigo iris island ivy jackdaw jade jasmine juniper kelp
kestrel kingfisher kiwi lagoon larch lark laurel lavender lemon lichen lilac lily linden linnet lotus lupin lynx
magnolia magpie mallow maple marble marigold marlin marten martin meadow merlin mesa mimosa mint mistral moss
mulberry myrtle nectar nettle nightjar nutmeg oak oasis olive onyx opal orchid oriole osprey otter pansy papaya
pear pebble pelican peony petrel pine pippin plover plum poplar poppy prairie primrose puffin quail quartz quince
raven reed ridge robin rosemary rowan rush saffron sage salmon sandpiper sequoia shale siskin skylark sparrow
spruce starling stork sumac swallow swift sycamore tamarind tern thistle thyme topaz tulip violet willow wren
"""
COMPANIES = tuple(_COMPANIES.split())
"""A word for each customer, short enough to type."""
_FIRST_NAMES = """
Ada Amara Anton Aylin Bruno Carla Chioma Clara Dario David Elena Elif Emil Farah Felix Goran Greta Hana Hugo Ines
Isak Jana Jonas Kenji Kofi Lena Liam Lucia Malik Maren Mateo Mei Nadia Nikhil Nora Omar Paula Pedro Priya Rosa Sami
Sofia Tomas Uma Viktor Wanda Yara Zoe
"""
FIRST_NAMES = tuple(_FIRST_NAMES.split())
_LAST_NAMES = """
Adeyemi Andersen Babic Bauer Becker Byrne Castro Chen Conti Costa Diallo Duarte Eze Fischer Fontaine Garcia Gruber
Haddad Hansen Ivanov Jensen Kaya Keller Kowalski Laurent Lindqvist Mensah Moreau Murphy Nair Nakamura Nasser Novak
Okafor Olsen Patel Petrov Reyes Romano Ruiz Sato Schmidt Silva Tanaka Varga Weber Yilmaz Zimmer
"""
LAST_NAMES = tuple(_LAST_NAMES.split())
ZONES = (
    *(["Europe/Berlin"] * 7),
    *(["Europe/London"] * 3),
    *(["America/New_York"] * 4),
    *(["America/Los_Angeles"] * 2),
    *(["Europe/Lisbon", "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney"]),
)
"""Half of the customers share our clock; the others do not, and some are at work while we sleep."""
OWNERS = ("mara@ringfirst.example", "jonas@ringfirst.example", "leila@ringfirst.example", "sven@ringfirst.example")
"""Who of us looks after whom."""
BASICS = ("reports", "charts", "exports", "dashboards", "search")
"""Features that everybody has."""
MODULES = ("automations", "forecasts", "alerts", "integrations", "approvals")
"""Features that are bought apart."""
QUESTIONS = (
    ("How do I share a report with a colleague?", "how_to", "reports"),
    ("Can a chart show two currencies?", "how_to", "charts"),
    ("The export has an empty column", "bug", "exports"),
    ("Which plan has single sign-on?", "billing", "account"),
    ("An invoice carries our old address", "billing", "account"),
    ("How do I undo a deleted dashboard?", "how_to", "dashboards"),
    ("The search does not find umlauts", "bug", "search"),
    ("Can an automation run every second Friday?", "how_to", "automations"),
)
"""Subject, question type and product area of everyday tickets."""
TROUBLES = (
    "Exports fail since this morning",
    "Nobody can sign in",
    "Figures of last month are wrong",
    "The nightly automation did not run",
    "The page stays white after the update",
)
"""Subjects of tickets that burn."""
