"""Stops: many at once, each to a known outcome.

Owns the outcomes, the course of one stop, the crew that carries many out, the journal that makes an interrupted run
resumable, and the summary. Acts on the ids that were shown, and on no others.
"""

from ivrctl.stopping.course import Course, Target, Wanted, in_branch
from ivrctl.stopping.crew import Crew
from ivrctl.stopping.journal import Journal
from ivrctl.stopping.outcomes import OUTCOMES, Result
from ivrctl.stopping.progress import Bar
from ivrctl.stopping.summary import Summary

__all__ = ["OUTCOMES", "Bar", "Course", "Crew", "Journal", "Result", "Summary", "Target", "Wanted", "in_branch"]
