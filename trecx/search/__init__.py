"""Search for exit places, head sizes and loss weights under a budget: trials, Pareto front, resume.

Needs no Keras itself: how a candidate is trained is a function that the caller gives.
"""

from trecx.search.driver import SearchResult, Settings, run_search
from trecx.search.engines import DaskEngine, Engine, ProcessEngine, SerialEngine
from trecx.search.places import Place, exit_places
from trecx.search.space import Candidate, grid, scaled
from trecx.search.trial import Outcome, Trial, measure

__all__ = [
    "Candidate",
    "DaskEngine",
    "Engine",
    "Outcome",
    "Place",
    "ProcessEngine",
    "SearchResult",
    "SerialEngine",
    "Settings",
    "Trial",
    "exit_places",
    "grid",
    "measure",
    "run_search",
    "scaled",
]
