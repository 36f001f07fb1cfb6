from zactor.kernel.limits import LOG_BURST_MS
from zactor.kernel.transport.log_throttle import LogThrottle


def test_the_first_event_is_reported_at_once() -> None:
    assert LogThrottle().add(0) == 1


def test_a_flood_costs_one_more_line_for_each_interval() -> None:
    burst = LogThrottle()
    reports = [burst.add(now_ms) for now_ms in range(3 * LOG_BURST_MS)]
    assert [count for count in reports if count] == [1, LOG_BURST_MS, LOG_BURST_MS]


def test_what_followed_the_first_event_is_reported_when_the_interval_is_over() -> None:
    burst = LogThrottle()
    burst.add(0)
    burst.add(1)
    burst.add(2)
    assert burst.due(LOG_BURST_MS - 1) == 0
    assert burst.due(LOG_BURST_MS) == 2
    assert burst.due(2 * LOG_BURST_MS) == 0


def test_after_a_quiet_interval_the_next_event_is_a_first_one_again() -> None:
    burst = LogThrottle()
    burst.add(0)
    assert burst.due(LOG_BURST_MS) == 0
    assert burst.add(LOG_BURST_MS + 1) == 1


def test_the_rest_is_what_no_line_told() -> None:
    burst = LogThrottle()
    burst.add(0)
    burst.add(1)
    assert burst.rest() == 1
    assert burst.rest() == 0
