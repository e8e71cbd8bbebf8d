"""Recognising securities over providers and formats."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from domain.identity import new_id
from domain.merging.merge import Merge
from domain.securities import AssetType, Security, SecurityId, SecurityTerms

SecurityOf: TypeAlias = Mapping[SecurityTerms, Security]


def merge_securities(
    known: Iterable[Security], described: Iterable[SecurityTerms]
) -> tuple[Merge[Security], dict[SecurityTerms, Security]]:
    """Each description's security: one that shares an identity, or a new one.

    A known security learns identifiers that it lacked; two sure identifiers that contradict one
    another are two securities.
    """
    by_identity: dict[str, Security] = {}
    for security in known:
        for identity in security.identities:
            by_identity.setdefault(identity, security)
    merge: Merge[Security] = Merge()
    found: dict[SecurityTerms, Security] = {}
    touched: dict[SecurityId, tuple[Security | None, Security]] = {}
    for terms in described:
        if terms in found:
            continue
        stored = next(
            (s for i in terms.identities if (s := by_identity.get(i)) and _agree(s, terms)), None
        )
        security = _learn(stored, terms)
        first = touched.get(security.id, (stored, security))[0]
        touched[security.id] = (first, security)
        found[terms] = security
        for identity in security.identities:
            by_identity[identity] = security
    for before, after in touched.values():
        merge.meet(before, after)
    latest = {id: after for id, (_, after) in touched.items()}
    return merge, {terms: latest[s.id] for terms, s in found.items()}


def _agree(a: SecurityTerms, b: SecurityTerms) -> bool:
    pairs = ((a.isin, b.isin), (a.cusip, b.cusip), (a.figi, b.figi))
    return all(x is None or y is None or x == y for x, y in pairs)


def _learn(stored: Security | None, terms: SecurityTerms) -> Security:
    if stored is None:
        return Security(
            id=SecurityId(new_id()),
            name=terms.name,
            asset_type=terms.asset_type,
            currency=terms.currency,
            symbol=terms.symbol,
            isin=terms.isin,
            cusip=terms.cusip,
            figi=terms.figi,
            multiplier=terms.multiplier,
            option=terms.option,
            key=terms.key,
        )
    is_vague = stored.asset_type is AssetType.OTHER  # as of those that tell no more than a name
    return replace(
        stored,
        asset_type=terms.asset_type if is_vague else stored.asset_type,
        symbol=stored.symbol or terms.symbol,
        isin=stored.isin or terms.isin,
        cusip=stored.cusip or terms.cusip,
        figi=stored.figi or terms.figi,
        option=stored.option or terms.option,
    )
