"""A source's model as rows of table source_models, and back as matrices: links between things, embeddings of things."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame, SparkSession
    from scipy.sparse import csr_array

COLUMNS = ("part", "entity_id", "target_id", "score", "embedding")
DDL = "part string, entity_id bigint, target_id bigint, score double, embedding array<float>"


def links(part: str, rows: DataFrame, entity: str | Column, target: str | Column, score: str | Column) -> DataFrame:
    """Returns model rows that point from `entity` to `target` with the strength `score`."""
    from pyspark.sql import functions as F

    named = [F.col(by) if isinstance(by, str) else by for by in (entity, target, score)]
    return rows.select(
        F.lit(part).alias("part"),
        named[0].cast("bigint").alias("entity_id"),
        named[1].cast("bigint").alias("target_id"),
        named[2].cast("double").alias("score"),
        F.array().cast("array<float>").alias("embedding"),
    )


def embeddings(part: str, rows: DataFrame, entity: str, embedding: str) -> DataFrame:
    """Returns model rows that hold the vector `embedding` of each `entity`."""
    from pyspark.sql import functions as F

    return rows.select(
        F.lit(part).alias("part"),
        F.col(entity).cast("bigint").alias("entity_id"),
        F.lit(-1).cast("bigint").alias("target_id"),
        F.lit(0.0).alias("score"),
        F.col(embedding).cast("array<float>").alias("embedding"),
    )


def nothing(spark: SparkSession) -> DataFrame:
    """Returns the model of a source that had nothing to learn from."""
    return spark.createDataFrame([], DDL)


def vectors(model: DataFrame, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sorted entity ids, int64, of `part` and their vectors, float32 (entities, dimensions)."""
    import numpy as np
    from pyspark.sql import functions as F

    rows = model.where(F.col("part") == part).select("entity_id", "embedding").orderBy("entity_id").toArrow()
    ids = rows["entity_id"].to_numpy()
    flat = np.asarray(rows["embedding"].combine_chunks().flatten(), dtype=np.float32)
    return ids, flat.reshape(len(ids), -1) if len(ids) else np.zeros((0, 1), np.float32)


def link_matrix(model: DataFrame, part: str) -> tuple[np.ndarray, np.ndarray, csr_array]:
    """Returns the sorted entity ids and target ids of `part`, int64, and the scores, (entities, targets)."""
    import numpy as np
    from pyspark.sql import functions as F
    from scipy.sparse import csr_array

    rows = model.where(F.col("part") == part).select("entity_id", "target_id", "score")
    rows = rows.orderBy("entity_id", "target_id").toArrow()
    entities, row = np.unique(rows["entity_id"].to_numpy(), return_inverse=True)
    targets, column = np.unique(rows["target_id"].to_numpy(), return_inverse=True)
    matrix = csr_array((rows["score"].to_numpy(), (row, column)), shape=(len(entities), len(targets)))
    return entities, targets, matrix


def per_entity(model: DataFrame, part: str) -> DataFrame:
    """Returns one row per entity of `part`: user_id (the entity), and the arrays things and weights it points to."""
    from pyspark.sql import functions as F

    pointed = F.sort_array(F.collect_list(F.struct("target_id", "score")))
    of_part = model.where(F.col("part") == part)
    listed = of_part.groupBy(F.col("entity_id").alias("user_id")).agg(pointed.alias("pointed"))
    return listed.select(
        "user_id",
        F.col("pointed").getField("target_id").alias("things"),
        F.col("pointed").getField("score").alias("weights"),
    )
