"""Makes files of the night's embeddings for servers that retrieve online: an index of videos, vectors of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.job import Job, JobContext, log
from core.tables.embeddings import TABLE as EMBEDDINGS

if TYPE_CHECKING:
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

    version = int(ctx.lake.open(EMBEDDINGS).version())
    models = ctx.lake.read_arrow(EMBEDDINGS, [ctx.ds], ["model"], version, kind="video")["model"].unique().to_pylist()
    later = served_night(ctx.settings.index)
    if later > str(ctx.ds):
        log.warning("export_index: that of %s is served, which is later than %s: it is left as it is", later, ctx.ds)
        return
    if not models:
        log.warning("export_index: no source has embeddings of %s, the index is left as it is", ctx.ds)
        return
    faiss.omp_set_num_threads(ctx.settings.threads)
    told = {"night": str(ctx.ds), "model": models[0], "recipe": ctx.recipe.name}
    found = (_vectors(ctx, name, version) for name in served_sources(ctx.recipe))
    manifest = write(ctx.settings.index, f"{ctx.ds}-{models[0][:12]}", told, (one for one in found if one is not None))
    for name, of in manifest["sources"].items():
        size = f"{of['videos']:,} videos and {of['users']:,} users, {of['dimensions']} dimensions"
        log.info("export_index: %s, %s, recall %.3f", name, size, of["recall"])


def _vectors(ctx: JobContext, source: str, version: int) -> Vectors | None:
    """Returns what `source` learned in the night, None where it has no vectors of videos."""
    from models.retrieval_index import Vectors, matrix

    read = (EMBEDDINGS, [ctx.ds], ["entity_id", "embedding"], version)
    videos = ctx.lake.read_arrow(*read, source=source, kind="video").sort_by("entity_id")
    if not videos.num_rows:
        return None
    anyone = matrix(ctx.lake.read_arrow(*read, source=source, kind="anyone")["embedding"], source)
    return Vectors(
        source,
        videos["entity_id"].to_numpy(),
        matrix(videos["embedding"], source),
        anyone[0] if len(anyone) else None,
        (
            batch.rename_columns(["user_id", "embedding"])
            for batch in ctx.lake.read_batches(*read, source=source, kind="user")
        ),
    )


JOB = Job(
    name="export_index",
    doc=__doc__,
    owner="feed-candidates",
    reads=(EMBEDDINGS,),
    writes=(),
    run=run,
)
