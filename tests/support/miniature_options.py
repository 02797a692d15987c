"""Options of the miniature's cards."""

import copy

from promptarena.benchmark.data.cards import load_card


def options_of(name, **changes):
    options = copy.deepcopy(load_card(name).options)
    options.update(changes)
    return options
