"""Reader for the CSV files of banks and brokers: one reader, and a profile for each layout."""

from adapters.csv.profiles import PROFILES, Profile
from adapters.csv.statements import is_csv, statement_of

__all__ = ["PROFILES", "Profile", "is_csv", "statement_of"]
