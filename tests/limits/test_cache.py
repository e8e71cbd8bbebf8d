from adapters.memory.cache import SessionCache


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_a_value_is_remembered_until_its_time_is_over() -> None:
    clock = Clock()
    cache = SessionCache[str, int](clock=clock)
    cache.put("a", 1, ttl_s=5)
    clock.s += 4.9
    assert cache.get("a") == 1
    clock.s += 0.1
    assert cache.get("a") is None
    assert len(cache) == 0


def test_the_least_recently_used_leaves_first() -> None:
    cache = SessionCache[str, int](size_max=2, clock=Clock())
    cache.put("a", 1, ttl_s=5)
    cache.put("b", 2, ttl_s=5)
    cache.get("a")
    cache.put("c", 3, ttl_s=5)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_a_value_put_again_takes_no_second_place() -> None:
    cache = SessionCache[str, int](size_max=2, clock=Clock())
    cache.put("b", 2, ttl_s=5)
    for value in range(10):
        cache.put("a", value, ttl_s=5)
    assert (cache.get("a"), cache.get("b")) == (9, 2)


def test_what_is_dropped_is_gone_at_once() -> None:
    cache = SessionCache[str, int](clock=Clock())
    for value, key in enumerate("abcd"):
        cache.put(key, value, ttl_s=5)
    cache.drop("a")
    cache.drop("never there")
    cache.drop_where(lambda key, value: key == "b" or value == 2)
    assert [cache.get(key) for key in "abcd"] == [None, None, None, 3]
    cache.clear()
    assert len(cache) == 0


def test_a_session_revoked_while_it_was_being_loaded_is_not_remembered() -> None:
    cache = SessionCache[str, str](clock=Clock())
    since = cache.drops
    loaded = "live"  # read from the database, and then:
    cache.drop("session")
    cache.put("session", loaded, ttl_s=5, since=since)
    assert cache.get("session") is None
    cache.put("session", "live", ttl_s=5, since=cache.drops)
    assert cache.get("session") == "live"
