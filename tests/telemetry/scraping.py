"""What Prometheus would read."""

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


async def scraped(url: str) -> list[Sample]:
    async with httpx2.AsyncClient(base_url=url, timeout=10) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return [
        sample
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    ]


def series(samples: list[Sample]) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}


def value(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum over all series of that name that have these labels."""
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
