"""Channels that take no mail, as a metric: of a worker and of the server alike."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from engine.instants import SECOND
from engine.store import Outage
from ringfirst.intake import now


def away(outages: Iterable[Outage]) -> Metric:
    """For how long each channel has taken no mail, and whether that is for our settings; nothing where all are well."""
    words = "For how long a channel has taken no mail"
    gauge = GaugeMetricFamily("ringfirst_channel_down_seconds", words, labels=("channel", "cause"))
    for one in outages:
        cause = "settings" if one.ours else "away"
        gauge.add_metric([one.channel, cause], max(0, now() - one.since) / SECOND)
    return gauge
