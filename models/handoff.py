"""How feeds lie in a key-value store and are looked up there: docs/serving.md is the contract, this its one writer.

Keys, R the recipe, V an edition's version: R:current, JSON that names V and its parts; R:withdrawn, a list of videos
that no feed may show any more; R:V:users:P, a hash of the feeds of users whose id leaves P when divided by the parts;
R:V:refreshed:P, the same of those whose feed was made anew within the day; R:V:fallback, a hash of the lists for all
others. An edition is written beside the one that is served and becomes it by one write of R:current; feeds made anew
are their edition's and are never read with another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.store import Fields, Store, StoreError

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

POPULAR = "popular"
"""Field of the list for everyone; that of a segment is `segment:` and its name."""


NIGHT = 0
"""Stands for the night where feeds of the day have the hour at which they were made, 1 to 24."""


@dataclass(frozen=True)
class Edition:
    """One publication as it lies in a store; `content_hash` and `valid_until` as in table publications. `number` is the
    decision that first put these feeds up, so that a rollback to them finds them again."""

    recipe: str
    number: int
    content_hash: str
    valid_until: str
    parts: int
    ttl_seconds: int

    @property
    def version(self) -> str:
        return f"{self.number}-{self.content_hash[:12]}-{self.parts}"

    def users_key(self, part: int) -> str:
        return f"{self.recipe}:{self.version}:users:{part}"

    def refreshed_key(self, part: int) -> str:
        return f"{self.recipe}:{self.version}:refreshed:{part}"

    @property
    def fallback_key(self) -> str:
        return f"{self.recipe}:{self.version}:fallback"

    @property
    def keys(self) -> list[str]:
        return [self.fallback_key, *map(self.users_key, range(self.parts))]

    @property
    def refreshed_keys(self) -> list[str]:
        return list(map(self.refreshed_key, range(self.parts)))


@dataclass(frozen=True)
class Served:
    """What a reader gets: the edition's version, the tier (personal, segment or popular), video ids, best first, and
    the hour of the day at which the feed was made, NIGHT for the night's."""

    version: str
    tier: str
    videos: tuple[int, ...]
    hour: int = NIGHT


def current_key(recipe: str) -> str:
    return f"{recipe}:current"


def withdrawn_key(recipe: str) -> str:
    return f"{recipe}:withdrawn"


def segment_field(segment: str) -> str:
    return f"segment:{segment}"


def encoded(videos: Sequence[int], hour: int = NIGHT) -> str:
    """Returns the value of a list: compact JSON, which every language of a server reads, and no pickle ever."""
    return json.dumps({"videos": list(videos), **({"hour": hour} if hour else {})}, separators=(",", ":"))


def feed_values(feeds: DataFrame, parts: int, hour: int = NIGHT) -> DataFrame:
    """Returns part, user_id, value: one row per user of `feeds` (user_id, slot, video_id), made at `hour`, each part in
    one partition, the parts of a partition one after the other."""
    from pyspark.sql import functions as F

    # The value is that of `encoded`.
    end = f'],"hour":{hour}}}' if hour else "]}"
    parted = feeds.select(F.pmod("user_id", F.lit(parts)).cast("int").alias("part"), "user_id", "slot", "video_id")
    listed = F.sort_array(F.collect_list(F.struct("slot", "video_id"))).getField("video_id")
    value = F.concat(F.lit('{"videos":['), F.array_join(listed.cast("array<string>"), ","), F.lit(end))
    # The user's hash follows from the part: one shuffle serves both groupings.
    by_user = parted.repartition("part").groupBy("part", "user_id").agg(value.alias("value"))
    return by_user.sortWithinPartitions("part")


def write_users(
    store: Store, edition: Edition, batches: Iterable[pyarrow.RecordBatch], hour: int = NIGHT
) -> Iterator[tuple[int, int]]:
    """Writes the feeds of `batches` (part, user_id, value; a part's rows one after the other), and yields every part
    that is written with its number of users. Holds one batch in memory.

    Those of an hour take the place of those of earlier hours, a part at a time: each user's feed is one or the other.
    """
    key = edition.refreshed_key if hour else edition.users_key
    pieces = (piece for batch in batches for piece in _by_part(batch))
    for part, of_part in groupby(pieces, key=lambda piece: piece[0]):
        users: list[int] = []
        store.write(key(part), _counted(of_part, users), edition.ttl_seconds)
        yield part, sum(users)


def _counted(pieces: Iterable[tuple[int, Fields]], users: list[int]) -> Iterator[Fields]:
    for _, fields in pieces:
        users.append(len(fields))
        yield fields


def _by_part(batch: pyarrow.RecordBatch) -> Iterator[tuple[int, Fields]]:
    rows = zip(*[batch.column(name).to_pylist() for name in ("part", "user_id", "value")], strict=True)
    for part, own in groupby(rows, key=lambda row: row[0]):
        yield part, [(str(user), value) for _, user, value in own]


def parts_written(store: Store, edition: Edition) -> list[int]:
    """Returns the parts of `edition` that an earlier try has written already."""
    there = store.written(map(edition.users_key, range(edition.parts)))
    return [part for part in range(edition.parts) if edition.users_key(part) in there]


def renew(store: Store, edition: Edition, parts: Iterable[int]) -> None:
    """Lets `parts`, which an earlier export wrote, live as long as if they were written now."""
    store.renew(map(edition.users_key, parts), edition.ttl_seconds)


def keep_refreshed(store: Store, edition: Edition, parts: Collection[int]) -> None:
    """Removes the feeds made anew within the day but those in `parts`: their users are back at the night's."""
    store.drop(edition.refreshed_key(part) for part in range(edition.parts) if part not in parts)


def switch(store: Store, edition: Edition, parts: Iterable[int], fallbacks: Mapping[str, Sequence[int]]) -> None:
    """Serves `edition`, of which `parts` were written, from now on; `fallbacks` maps fields to lists.

    Raises StoreError, and changes nothing, where the store has lost one of the parts.
    """
    wanted = {edition.users_key(part) for part in parts}
    lost = sorted(wanted - store.written(wanted))
    if lost:
        raise StoreError(
            f"{len(lost)} of {len(wanted)} parts that were written are gone, {lost[0]} among them",
            where=f"feed store, edition {edition.version} of {edition.recipe}",
            next_step="look at its memory limit and eviction policy, then run export_feeds again",
        )
    # Those of a day on which it was served before; nobody reads them now.
    keep_refreshed(store, edition, ())
    lists = [(name, encoded(videos)) for name, videos in sorted(fallbacks.items())]
    store.write(edition.fallback_key, [lists], None)
    told = {"version": edition.version, **asdict(edition)}
    store.put(current_key(edition.recipe), json.dumps(told, separators=(",", ":")))


def current(store: Store, recipe: str) -> Edition | None:
    """Returns the edition that `store` serves, None where it serves none."""
    told = store.get(current_key(recipe))
    if told is None:
        return None
    content = json.loads(told)
    return Edition(**{name: content[name] for name in Edition.__dataclass_fields__})


def withdraw(store: Store, recipe: str, videos: Iterable[int]) -> None:
    """Names to readers the `videos` that no feed may show any more, in place of those that it named before."""
    named = set(videos)
    if named != withdrawn(store, recipe):
        store.put(withdrawn_key(recipe), encoded(sorted(named)))


def withdrawn(store: Store, recipe: str) -> set[int]:
    """Returns the videos that readers are to leave out."""
    return set(_decoded(store.get(withdrawn_key(recipe)) or encoded(())))


def retire(store: Store, editions: Iterable[Edition]) -> None:
    """Removes `editions`, none of which may be served or have been until just now."""
    for edition in editions:
        store.drop([*edition.keys, *edition.refreshed_keys])


def look_up(store: Store, recipe: str, user_id: int, segment: str = "") -> Served:
    """Returns what to show `user_id`, of audience `segment` (the app's activity class): their feed, as it was last made
    anew, else the segment's list, else the popular one, without what was withdrawn since. Raises MissingDataError where
    nothing is served."""
    edition = current(store, recipe)
    if edition is None:
        raise MissingDataError(
            f"no feeds of recipe {recipe!r} are served",
            where="feed store",
            next_step=f"reelfeed run publish_feeds export_feeds --recipe {recipe} --ds …",
        )
    part, hour = user_id % edition.parts, NIGHT
    tier, found = "personal", store.field(edition.users_key(part), str(user_id))
    # Only beside the night's: what was written later would outlive it.
    if found is not None and (anew := store.field(edition.refreshed_key(part), str(user_id))) is not None:
        found, hour = anew, int(json.loads(anew)["hour"])
    if found is None and segment:
        tier, found = "segment", store.field(edition.fallback_key, segment_field(segment))
    if found is None:
        tier, found = POPULAR, store.field(edition.fallback_key, POPULAR) or encoded(())
    gone = withdrawn(store, recipe)
    return Served(edition.version, tier, tuple(video for video in _decoded(found) if video not in gone), hour)


def _decoded(value: str) -> tuple[int, ...]:
    return tuple(json.loads(value)["videos"])
