"""What every peer's program shares: the question on standard input, its numbers in a file, the answer on standard output."""

import importlib.metadata
import json
import sys
import time
import warnings

import numpy as np

# What a peer warns of is told by what it answers.
warnings.filterwarnings("ignore")


class Question(dict):
    """The question, as ../src/question.rs reads it."""

    def numbers(self, at):
        """A slice: first value and number of values."""
        return np.fromfile(self["file"], offset=8 * at[0], count=at[1]) if at[1] else np.empty(0)


def category(code):
    """What a code of a category is called; NaN is a missing value."""
    return None if np.isnan(code) else "abcdefghij"[int(code)]


def timed(work):
    """What `work` answers, and its CPU seconds, all threads together."""
    before = time.process_time()
    answer = work()
    return answer, time.process_time() - before


def attempt(work, columns):
    """What `work` answers for `columns` columns, or the exception it ends with, for each of them."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 Whatever a peer raises is its answer.
        return [{"error": f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"}] * columns


def answer(package, tasks):
    """Answers the question of the task that the command line names."""
    question = Question(json.load(sys.stdin))
    found = tasks[sys.argv[1]](question)
    found["version"] = importlib.metadata.version(package)
    print(json.dumps(found, default=float))
