"""
### experiment · an Airflow DAG

A training that differs from tonight's, to be looked at beside it. Tier 3: nothing of it is ever served.

* **When does it run?** When triggered. The form asks for a name, heads, groups of features and LightGBM's numbers; what
  is left empty is as in `train_models`.
* **On what?** The training set that `train_models` built for that day, with the champion that it left.
* **Where is the result?** In MLflow's experiment `experiments`, a run with the same figures as a training's, so that
  both can be compared; and in table `experiments`. No model is registered and no alias moves.
* **Failed?** Nobody notices. A choice that makes no sense fails at once, in words that name the choices.
* **Re-run?** Yes: the same changes on the same day are the same run.
"""

from dags._kit import number, some_of, text, triggered
from models.experiment import NAME, group_names, numbers
from models.heads import head_names

dag = triggered(
    "experiment",
    doc=__doc__,
    owner="feed-ranking",
    tags=["tier-3"],
    jobs=["run_experiment"],
    params={
        "name": text("Name", "What you call it.", NAME.pattern),
        "heads": some_of(head_names(), "Heads", "What to train; empty: all."),
        "take": some_of(group_names(), "Groups of features", "What to learn from; empty: all."),
        "leave_out": some_of(group_names(), "Groups left out", "What not to learn from."),
        **{one.name: number(one.name, **one.metadata) for one in numbers()},
    },
    option="experiment",
)
