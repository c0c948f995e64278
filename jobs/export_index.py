"""Makes files of the night's embeddings for servers that retrieve online: an index of videos, vectors of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.lake import BATCH_ROWS
from core.tables.embeddings import TABLE as EMBEDDINGS

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.dataset

    from models.retrieval_index import Vectors


def run(ctx: JobContext) -> None:
    """Makes the embeddings of `ctx.ds` those that the index folder of the home serves, in one switch.

    Where no source learned vectors of videos that night, and where those of a later night are served, as in a backfill,
    what was served is served on. Raises MissingDataError where the day was never published, ContractError where vectors
    or an index are no good.
    """
    import faiss

    from models.retrieval_index import served_night, write
    from models.serving import served_sources

    night = _Night(ctx)
    later = served_night(ctx.settings.index)
    if later > str(ctx.ds):
        log.warning("export_index: that of %s is served, which is later than %s: it is left as it is", later, ctx.ds)
        return
    models = night.rows(["model"], kind="video")["model"].unique().to_pylist()
    if not models:
        log.warning("export_index: no source has embeddings of %s, the index is left as it is", ctx.ds)
        return
    faiss.omp_set_num_threads(ctx.settings.threads)
    told = {"night": str(ctx.ds), "model": models[0], "recipe": ctx.recipe.name}
    found = (night.vectors(name) for name in served_sources(ctx.recipe))
    manifest = write(ctx.settings.index, f"{ctx.ds}-{models[0][:12]}", told, (one for one in found if one is not None))
    for name, of in manifest["sources"].items():
        size = f"{of['videos']:,} videos and {of['users']:,} users, {of['dimensions']} dimensions"
        log.info("export_index: %s, %s, recall %.3f", name, size, of["recall"])


class _Night:
    """The embeddings of one night, at one version of their table."""

    def __init__(self, ctx: JobContext) -> None:
        ctx.lake.files(EMBEDDINGS, [ctx.ds])
        self.ds, self.dataset = ctx.ds, ctx.lake.dataset(EMBEDDINGS)

    def rows(self, columns: list[str], **wanted: str) -> pyarrow.Table:
        return self.dataset.to_table(columns=columns, filter=self._wanted(wanted))

    def vectors(self, source: str) -> Vectors | None:
        """Returns what `source` learned, None where it has no vectors of videos."""
        from models.retrieval_index import Vectors, matrix

        columns = ["entity_id", "embedding"]
        videos = self.rows(columns, source=source, kind="video").sort_by("entity_id")
        if not videos.num_rows:
            return None
        anyone = matrix(self.rows(columns, source=source, kind="anyone")["embedding"], source)
        wanted = self._wanted({"source": source, "kind": "user"})
        users = self.dataset.to_batches(
            columns=columns, filter=wanted, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1
        )
        return Vectors(
            source,
            videos["entity_id"].to_numpy(),
            matrix(videos["embedding"], source),
            anyone[0] if len(anyone) else None,
            (batch.rename_columns(["user_id", "embedding"]) for batch in users),
        )

    def _wanted(self, equal: dict[str, str]) -> pyarrow.dataset.Expression:
        import pyarrow.compute as pc

        expression = pc.field("ds") == self.ds
        for name, value in equal.items():
            expression = expression & (pc.field(name) == value)
        return expression


JOB = Job(
    name="export_index",
    doc=__doc__,
    owner="feed-candidates",
    reads=(EMBEDDINGS,),
    writes=(),
    run=run,
)
