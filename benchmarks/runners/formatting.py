"""Libraries that write spoken numbers as digits, at the sentences of the labelled set.

Standard input is a JSON document, a list of texts. Out comes a line for each: the library's text, and ms of wall time,
the least of several rounds, and whether it raised. Which library it is, its environment tells: only one of them can be
imported.
"""

import importlib.util
import json
import logging
import sys
import time
from collections.abc import Callable

ROUNDS = 3


def library() -> Callable[[str], str]:
    """The library of this environment, for English, set to take cased text where it can be set."""
    if importlib.util.find_spec("text_to_num"):
        from text_to_num import alpha2digit

        return lambda text: alpha2digit(text, "en")
    if importlib.util.find_spec("wetext"):
        from wetext import Normalizer

        wetext: Callable[[str], str] = Normalizer(lang="en", operator="itn").normalize
        return wetext
    if importlib.util.find_spec("nemo_text_processing"):
        from nemo_text_processing.inverse_text_normalization.inverse_normalize import InverseNormalizer

        nemo = InverseNormalizer(lang="en", input_case="cased")
        return lambda text: nemo.inverse_normalize(text, verbose=False)
    from itn.english.inverse_normalizer import InverseNormalizer as WeTextInverse

    inverse: Callable[[str], str] = WeTextInverse(overwrite_cache=False).normalize
    return inverse


def main() -> None:
    """Write out the texts of standard input."""
    logging.disable(logging.CRITICAL)
    texts = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    write = library()
    for text in texts:
        took, written, failed = [], text, False
        for _ in range(ROUNDS):
            start = time.perf_counter()
            try:
                written = write(text)
            except Exception:
                # Whatever a library raises: the text is left as it is.
                failed = True
            took.append(time.perf_counter() - start)
        print(json.dumps({"text": written, "ms": min(took) * 1000, "failed": failed}), file=out, flush=True)


if __name__ == "__main__":
    main()
