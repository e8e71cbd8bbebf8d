"""Dated exchange rates, which are the same for everybody and belong to nobody.

The runtime role reads them. It adds to them through a door, which keeps what is there: whoever
could write as that role could not change a rate of the past, nor say one of days to come, which
would then be kept too. Nothing of the release before looks here.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0018"
down_revision = "0017"

# NaN is above infinity.
TABLE = """
CREATE TABLE exchange_rates (
    currency text NOT NULL,
    day date NOT NULL,
    per_euro numeric NOT NULL,
    source text NOT NULL,
    CONSTRAINT pk_exchange_rates PRIMARY KEY (currency, day),
    CONSTRAINT ck_exchange_rates_currency CHECK (currency ~ '^[A-Z]{3}$' AND currency <> 'EUR'),
    CONSTRAINT ck_exchange_rates_per_euro CHECK (per_euro > 0 AND per_euro < 'Infinity'::numeric),
    CONSTRAINT ck_exchange_rates_source CHECK (length(source) BETWEEN 1 AND 255)
);
GRANT SELECT ON exchange_rates TO dashtam_app;
GRANT INSERT ON exchange_rates TO dashtam_doors;
"""

# Of two processes that add the same days, the second waits for the first, and adds nothing.
DOOR = """
CREATE FUNCTION add_rates(currencies text[], days date[], rates numeric[], published_by text)
    RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH added AS (
        INSERT INTO public.exchange_rates (currency, day, per_euro, source)
        SELECT told.*, published_by FROM unnest(currencies, days, rates) AS told (currency, day, rate)
        WHERE told.day BETWEEN DATE '1999-01-04' AND current_date + 1
        ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT count(*) FROM added
$$;
"""


def upgrade() -> None:
    run(TABLE)
    run(DOOR)
    give("add_rates")
