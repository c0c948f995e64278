"""Every decision about which feeds are served, in order: the newest that did not withhold is the pointer itself."""

from core.table import Column, Table

TABLE = Table(
    name="publications",
    doc=__doc__,
    owner="feed-ranking",
    columns=(
        Column("recipe", "string", "The recipe, a file of conf/feeds/."),
        Column("number", "int", "Place among the recipe's decisions, first is 1.", minimum=1),
        Column(
            "action",
            "string",
            "published: these feeds are served from now on; withheld: they are not; rolled_back: earlier ones are.",
            choices=("published", "withheld", "rolled_back"),
        ),
        Column(
            "origin", "int", "The decision that first put these feeds up: this one, or the one restored.", minimum=1
        ),
        Column("feeds_ds", "date", "Night of the feeds."),
        Column("feeds_version", "bigint", "Version of table feeds that holds them.", minimum=0),
        Column("fallbacks_version", "bigint", "Version of table fallback_feeds beside it.", minimum=0),
        Column("content_hash", "string", "Hash of that night's rows of feeds, whatever their order."),
        Column("reasons", "array<string>", "Every check with its figure, or why it was rolled back."),
        Column("valid_from", "string", "When serving begins, ISO 8601, the app's local time."),
        Column("valid_until", "string", "When the store may forget them, where nothing newer came: as valid_from."),
        Column("previous", "int", "The decision that was served until then; null for the first.", nullable=True),
    ),
    key=("recipe", "number"),
    fresh_for_hours=30,
)
