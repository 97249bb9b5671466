"""How much one program holds: seeds are stacked as long as a step stays small."""

from __future__ import annotations

import pytest

from dropviz.budget import (
    CACHED,
    CALLS_COST_MOST,
    MOST_SEEDS_TOGETHER,
    SEEDS_TOGETHER,
    Budget,
    activations,
    check_budget,
    generated_tokens,
    seeds_together,
)
from dropviz.experiment import ExperimentSpec, SpecError, preset, preset_names
from dropviz.models import registry
from tests.computing.tasks import fits
from tests.computing.tiny import experiment


def test_the_activations_of_a_step_are_masks_times_minibatch_times_units() -> None:
    asked = experiment()  # two features, eight units, two classes, four rows
    assert activations(asked, "none") == 4 * 12
    assert activations(asked, "dropout-8+mask-noise") == 10 * 4 * 12


@pytest.mark.parametrize("name", registry.members)
def test_every_model_counts_its_units(name: str) -> None:
    model = registry.read(name)
    for task in fits(model):
        assert model.units(task) >= task.inputs + task.outputs


@pytest.mark.parametrize("arm", ["none", "dropout-8+mask-noise"])
def test_the_seeds_of_the_default_preset_are_stacked_sixteen_at_a_time(arm: str) -> None:
    assert seeds_together(preset("noisy-digits"), arm) == 16


def held(spec: ExperimentSpec, arm: str) -> int:
    return activations(spec, arm) + spec.model.parameter_count(spec.data.task)


def test_seeds_of_tiny_networks_are_stacked_by_the_dozen_until_arithmetic_costs_more_than_calls() -> None:
    found = {}
    for width in (4, 32, 64, 96, 128, 192, 512):
        spec = preset("noisy-digits").with_settings(["data.name=two-moons", f"model.widths=[{width}]"])
        found[seeds_together(spec, "none")] = held(spec, "none")
    assert max(found) == MOST_SEEDS_TOGETHER
    assert min(found) == SEEDS_TOGETHER
    assert len(found) > 2
    for seeds, numbers in found.items():
        if seeds > SEEDS_TOGETHER:
            assert seeds * numbers <= CALLS_COST_MOST


def test_fewer_seeds_are_stacked_where_their_numbers_would_leave_the_cache() -> None:
    found = set()
    for k in (2, 8, 16, 32, 64):
        spec = preset("noisy-digits").with_settings(["train.batch_size=64", "model.widths=[256,256]"])
        seeds = seeds_together(spec, f"dropout-{k}")
        assert seeds == 1 or seeds * held(spec, f"dropout-{k}") <= CACHED
        found.add(seeds)
    assert max(found) == SEEDS_TOGETHER
    assert min(found) <= 2
    assert len(found) > 2


def test_weights_count_as_well_as_activations() -> None:
    text = preset("markov-lstm")
    assert 1 < seeds_together(text.with_settings(["model.layers=2"]), "none") < SEEDS_TOGETHER
    wide = text.with_settings(["model.width=1024", "model.embedding=1024", "train.batch_size=1"])
    assert activations(wide, "none") * 2 < CACHED < held(wide, "none") * 2
    assert seeds_together(wide, "none") == 1


def test_one_seed_always_fits() -> None:
    large = preset("noisy-digits").with_settings(["train.batch_size=512", "model.widths=[512,512]"])
    assert held(large, "dropout-256") > CACHED
    assert seeds_together(large, "dropout-256") == 1


def test_the_exact_estimator_is_refused_where_a_step_would_take_thousands_of_passes() -> None:
    text = preset("markov-lstm").with_settings(["surrogate.estimator=exact"])
    with pytest.raises(SpecError, match=r"70,000 backward passes.*choose another estimator than exact"):
        check_budget(text, Budget())
    check_budget(text.with_settings(["arms=['none','dropout','implicit']"]), Budget())
    check_budget(preset("noisy-digits").with_settings(["surrogate.estimator=exact"]), Budget())


def chain(tokens: int, seeds: int, name: str = "markov") -> ExperimentSpec:
    settings = [f"data.name={name}", f"data.train_tokens={tokens}", "data.held_out_tokens=1000"]
    return preset("markov-lstm").with_settings([*settings, f"seeds={seeds}"])


@pytest.mark.parametrize("name", ["markov", "hmm"])
def test_the_tokens_of_a_generated_text_are_counted_as_they_are_drawn(name: str) -> None:
    spec = chain(2000, 3, name)
    texts = [spec.data.load(seed) for seed in spec.seed_list()]
    drawn = sum(len(part) for text in texts for part in (text.train, text.validation, text.test))
    assert generated_tokens(spec) == drawn == 12_000


def test_generated_texts_of_all_seeds_together_have_a_budget() -> None:
    check_budget(chain(10_000_000, 4), Budget())
    with pytest.raises(SpecError) as refused:
        check_budget(chain(10_000_000, 200), Budget())
    assert str(refused.value) == (
        "This asks for 2,000,400,000 tokens of generated texts (tokens × seeds), over this server's budget of 50,000,000:"
        " lower data.train_tokens, data.held_out_tokens or seeds."
    )
    assert generated_tokens(chain(2000, 3)) <= 12_000
    check_budget(chain(2000, 3), Budget(tokens=12_000))
    with pytest.raises(SpecError, match="12,000 tokens"):
        check_budget(chain(2000, 3), Budget(tokens=11_999))


def test_a_text_that_is_there_costs_no_tokens() -> None:
    ptb = preset("markov-lstm").with_settings(["data.name=ptb", "seeds=256"])
    assert generated_tokens(ptb) == generated_tokens(preset("noisy-digits")) == 0


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_within_the_budget_at_the_most_seeds_of_generated_texts(name: str) -> None:
    check_budget(preset(name), Budget())
    assert generated_tokens(preset(name).with_settings(["seeds=256"])) <= Budget().tokens


def test_seeds_that_stop_early_train_one_by_one() -> None:
    spec = preset("noisy-digits")
    assert seeds_together(spec, "none") == 16
    assert seeds_together(spec.with_settings(["train.patience=3"]), "none") == 1


def xl(*settings: str) -> ExperimentSpec:
    table = preset("markov-lstm").to_table() | {"arms": ["none", "dropout"]}
    return ExperimentSpec.from_table(table).with_settings(["model.name=transformer", *settings])


def test_attention_counts_every_pair_of_tokens() -> None:
    short, long = (xl(f"language.segment={segment}", "train.batch_size=1") for segment in (100, 200))
    model, task = short.model, short.data.task
    assert activations(short, "none") == 100 * model.units(task) + 100**2 * model.units_a_pair()
    assert activations(long, "none") == 200 * model.units(task) + 200**2 * model.units_a_pair()
    wide = xl("language.segment=1024", "model.heads=64", "model.width=64", "model.layers=12")
    with pytest.raises(SpecError, match=r"activations in a step"):
        check_budget(wide, Budget())


def test_a_dropped_weight_counts_for_every_replica() -> None:
    spec = preset("markov-lstm").with_settings(["model.dropout_at=['recurrent']"])
    without = preset("markov-lstm").with_settings(["model.dropout_at=['input']"])
    weights = 128 * 4 * 128
    for arm, replicas in (("dropout", 1), ("dropout-8", 8)):
        assert activations(spec, arm) - activations(without, arm) == 3 * replicas * weights
    assert activations(spec, "none") == activations(without, "none")


def test_statistics_that_no_server_could_hold_are_refused() -> None:
    settings = ["data.symbols=2000", "observe.probe=4096", "observe.masks=1024"]
    with pytest.raises(
        SpecError, match=r"activations in the statistics.*lower observe.probe or observe.masks"
    ):
        check_budget(preset("markov-lstm").with_settings(settings), Budget())
    check_budget(preset("markov-lstm").with_settings([*settings, "observe.statistics=0"]), Budget())
