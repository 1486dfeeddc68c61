"""The training command: it turns a folder of raw data into a model folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ...engines.spelling_hints import WORDS_FILE
from .data import load
from .export import export_model
from .feedback import feedback_pairs
from .frequencies import read_usage
from .lexicon import read_word_list, write_words
from .model import Shape
from .pairs import PairSource
from .report import write_report
from .retrieval import Retrieval
from .tokenizer import load_tokenizer, train_tokenizer
from .trainer import Trainer, TrainingSettings, validation_pairs

_SIZES = ("vocabulary", "width", "feed_forward", "heads")
_SETTINGS = (
    "minutes", "seed", "threads", "batch_tokens", "muon_rate", "adam_rate", "decay_share",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    The defaults are those of the bundled model, except for ``--minutes``, ``--words`` and
    ``--usage``, which the model card has.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the raw data")
    parser.add_argument("--out", type=Path, required=True, help="for checkpoints, log and model")
    parser.add_argument("--words", type=Path, nargs="*", default=[], help="lists of correct words")
    parser.add_argument("--usage", type=Path, help="en_lexeme_prob.json.gz of spacy-lookups-data")
    parser.add_argument("--steps", type=int, help="stop after steps instead of minutes")
    for defaults, names in ((Shape(), _SIZES), (TrainingSettings(), _SETTINGS)):
        for name in names:
            value = getattr(defaults, name)
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--fp32", action="store_true", help="compute in float32")
    parser.add_argument("--report-pairs", type=int, default=300, help="of each kind")
    parser.add_argument("--export-only", action="store_true", help="export the last checkpoint")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the data, train (or resume from the checkpoint in ``--out``), and export."""
    given = build_parser().parse_args(arguments)
    sizes = {name: getattr(given, name) for name in _SIZES}
    shape = Shape(**sizes, kv=given.width // given.heads)
    options = {name: getattr(given, name) for name in ("steps", *_SETTINGS)}
    settings = TrainingSettings(**options, bfloat16=not given.fp32)
    keep_freed_memory()
    given.out.mkdir(parents=True, exist_ok=True)
    words = {word for path in given.words for word in read_word_list(path)}
    usage = None if given.usage is None else read_usage(given.usage)
    corpora = load(given.data, words, usage)
    corpora.feedback = feedback_pairs(given.data)
    source, validation = PairSource(corpora), PairSource(corpora, validation=True)
    pieces = given.out / "spiece.model"
    if not pieces.exists():
        train_tokenizer(source, pieces, vocabulary=shape.vocabulary, seed=settings.seed)
    words_file = given.out / WORDS_FILE
    if corpora.lexicon is not None:
        write_words(corpora.lexicon, words_file)
    pairs = validation_pairs(validation, settings.seed, settings.validate_pairs)
    retrieval = Retrieval(given.data, validation, seed=settings.seed)
    trainer = Trainer(
        given.out, shape, settings, source, load_tokenizer(pieces), pairs, retrieval=retrieval
    )
    if not given.export_only:
        _train(trainer)
    export_model(trainer.model, pieces, words_file, given.out / "model")
    report_pairs = validation_pairs(validation, settings.seed + 1, given.report_pairs)
    report = write_report(given.out / "model", report_pairs, given.out / "report.json", retrieval)
    print("\n".join(f"{kind:14} {score:.3f}" for kind, score in report.items()))
    return 0


def keep_freed_memory() -> None:
    """Make glibc keep freed memory: fresh pages can cost more than the arithmetic."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(-4, 0)  # M_MMAP_MAX: allocate no block by mmap
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never return memory
    mallopt(-2, 256 * 2**20)  # M_TOP_PAD: grow in large steps


def _train(trainer: Trainer) -> None:
    from tqdm import tqdm

    with tqdm(total=1000, unit="‰", mininterval=5) as bar:

        def report(share: float, loss: float) -> None:
            bar.set_postfix(step=trainer.progress.step, loss=f"{loss:.3f}", refresh=False)
            bar.update(min(1000, int(share * 1000)) - bar.n)

        trainer.run(report)


if __name__ == "__main__":
    raise SystemExit(main())
