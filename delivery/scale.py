"""`make scale`: prints the tables of docs/scale.md: costs and quotas of the service, at three sizes.

Owns their form; `units`, `cost` and `quotas` own their content. Called by the Makefile; a test compares the output with
the page.
"""

from collections.abc import Iterator

from delivery import cost, quotas, units
from delivery.units import ASSUMED, NODES, RECORDED, SIZES, Load

MANY_SITES = 75
"""The most sites of one stack."""


def table(*rows: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a Markdown table. The first row is its head; all columns but the first are numbers."""
    head, *body = rows
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in body:
        yield f"| {' | '.join(row)} |"


def number(value: float) -> str:
    """Write a number for people."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def tables() -> Iterator[str]:
    """Yield the lines of all tables."""
    yield "### Prices\n"
    yield from table(("input", "USD per million, or each", "page"), *map(_price, cost.PRICES))
    yield "\n### Assumptions\n"
    yield from table(("assumption", "value"), *((name, f"{value:,}") for name, value in ASSUMED.items()))
    yield "\n### Measured\n"
    yield from table(("figure", "value", "by", "on", "day"), *map(_measured, RECORDED))
    yield "\n### Units\n"
    yield from table(("unit", "value"), *((name, number(value)) for name, value in _units().items()))
    yield from _by_load()
    yield from _by_sites()


def _by_load() -> Iterator[str]:
    loads = [Load(size) for size in SIZES]
    heads = tuple(f"{size:,}" for size in SIZES)
    yield "\n### Monthly cost, USD, by concurrent runtimes of the domain\n"
    costs = [cost.monthly(load) for load in loads]
    rows = [(name, *(f"{one[name]:,.2f}" for one in costs)) for name in costs[0]]
    yield from table(("cost", *heads), *rows, ("**sum**", *(f"**{sum(one.values()):,.2f}**" for one in costs)))
    yield "\n### Quotas, by concurrent runtimes of the domain\n"
    met = [(name, number(limit), *(_used(use(load), limit) for load in loads)) for name, limit, use in quotas.BY_LOAD]
    yield from table(("quota", "limit", *heads), *met)


def _by_sites() -> Iterator[str]:
    yield "\n### Quotas, by sites of a stack\n"
    columns = (units.SITES, MANY_SITES)
    met = [(name, number(limit), *(_used(use(n), limit) for n in columns)) for name, limit, use in quotas.BY_SITES]
    yield from table(("quota", "limit", *(f"{sites} sites" for sites in columns)), *met)


def _units() -> dict[str, float]:
    return {
        "a row of `runtimes`, bytes": units.ROW_BYTES,
        "the same with caller, called number and call id, bytes": units.NUMBERED_ROW_BYTES,
        "a row of `nodes`, bytes": units.NODE_BYTES,
        "a row in a list's answer, bytes as Lambda serialises it": units.SERIALISED_BYTES,
        "write units per row written (table and index)": 2 * units.ROW_WRITE_UNITS,
        "write units per heartbeat": units.HEARTBEAT_WRITE_UNITS,
        f"read units of {NODES:,} nodes (Scan, consistent; once a second per environment)": units.NODES_READ_UNITS,
        "a page is billed, ms at 1,024 MB (nodes read for it)": units.PAGE_MS,
        "a list of 10,000 rows is billed, ms at 1,024 MB": units.list_ms(10_000),
        "a stop is billed, ms at 512 MB": units.STOP_MS,
        "SQS requests per stop (send, receive, delete)": 3,
        "SQS requests of an idle node, per minute (long poll of 5 s)": 12,
        "metrics that alarms look at": quotas.alarm_metrics(units.SITES),
    }


def _measured(name: str) -> tuple[str, ...]:
    figure, value = RECORDED[name], RECORDED[name]["value"]
    text = ", ".join(f"{one} with {of} runtimes" for of, one in value.items()) if isinstance(value, dict) else value
    return f"`{name}`", str(text), f"`{figure['by']}`", figure["on"], figure["day"]


def _price(name: str) -> tuple[str, str, str]:
    amount, page = cost.PRICES[name]
    return name, f"{amount * 1e6:,.4g}" if amount < 0.01 else f"{amount:.2f} each", page


def _used(value: float, quota: float) -> str:
    return f"**{number(value)}**" if value > quota else number(value)


if __name__ == "__main__":
    print("\n".join(tables()))  # noqa: T201  # its output
