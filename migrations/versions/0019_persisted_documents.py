"""Documents that clients published, by name, version and id, and when each was last used.

They are nobody's data. The owner publishes and retires; the runtime role reads, and says through a
door what was used: whoever could write as that role could make nothing run that was not published.
An id keeps its text for ever, so that an old client never gets another's. Nothing of the release
before looks here.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0019"
down_revision = "0018"

TABLES = """
CREATE TABLE documents (
    sha256 text NOT NULL,
    body text NOT NULL,
    CONSTRAINT pk_documents PRIMARY KEY (sha256),
    CONSTRAINT ck_documents_sha256 CHECK (sha256 = encode(sha256(convert_to(body, 'UTF8')), 'hex'))
);
CREATE TABLE document_ids (
    id text NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT pk_document_ids PRIMARY KEY (id),
    CONSTRAINT fk_document_ids_sha256_documents FOREIGN KEY (sha256) REFERENCES documents (sha256),
    CONSTRAINT ck_document_ids_id CHECK (id ~ '^[A-Za-z0-9._~:-]{1,128}$'),
    CONSTRAINT ck_document_ids_hash CHECK (id = sha256 OR id !~* '^(sha256:.*|[0-9a-f]{64})$')
);
CREATE TABLE client_versions (
    client_name text NOT NULL,
    client_version text NOT NULL,
    published_at timestamptz NOT NULL,
    limits jsonb NOT NULL DEFAULT '{}'::jsonb,
    CONSTRAINT pk_client_versions PRIMARY KEY (client_name, client_version),
    CONSTRAINT ck_client_versions_client_name CHECK (client_name ~ '^[ -~]{1,100}$'),
    CONSTRAINT ck_client_versions_client_version CHECK (client_version ~ '^[ -~]{1,100}$')
);
CREATE TABLE published_documents (
    client_name text NOT NULL,
    client_version text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    CONSTRAINT pk_published_documents PRIMARY KEY (client_name, client_version, id),
    CONSTRAINT fk_published_documents_client_name_client_versions
        FOREIGN KEY (client_name, client_version)
        REFERENCES client_versions (client_name, client_version),
    CONSTRAINT fk_published_documents_id_document_ids FOREIGN KEY (id) REFERENCES document_ids (id)
);
CREATE TABLE document_uses (
    client_name text NOT NULL,
    client_version text NOT NULL,
    id text NOT NULL,
    last_used_at timestamptz NOT NULL,
    uses bigint NOT NULL,
    CONSTRAINT pk_document_uses PRIMARY KEY (client_name, client_version, id),
    CONSTRAINT fk_document_uses_id_document_ids FOREIGN KEY (id) REFERENCES document_ids (id)
);
CREATE INDEX ix_document_uses_id ON document_uses (id);
GRANT SELECT ON documents, document_ids, client_versions, published_documents TO dashtam_app;
GRANT SELECT ON document_ids, published_documents TO dashtam_doors;
GRANT SELECT, INSERT, UPDATE ON document_uses TO dashtam_doors;
"""

# A client that has not published an id is 'unknown', whatever it calls itself: names that anybody
# can send make no rows. In one order, so that two gateways do not wait for each other in a circle.
DOOR = """
CREATE FUNCTION use_documents(
    names text[], versions text[], used text[], times bigint[], at timestamptz[]
) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        SELECT CASE WHEN p.id IS NULL THEN 'unknown' ELSE t.name END AS name,
            CASE WHEN p.id IS NULL THEN '' ELSE t.version END AS version,
            t.id, sum(t.uses)::bigint AS uses, max(least(t.at, now())) AS at
        FROM unnest(names, versions, used, times, at) AS t (name, version, id, uses, at)
        JOIN public.document_ids d ON d.id = t.id
        LEFT JOIN public.published_documents p
            ON (p.client_name, p.client_version, p.id) = (t.name, t.version, t.id)
        WHERE t.uses > 0
        GROUP BY 1, 2, 3
    ), kept AS (
        INSERT INTO public.document_uses AS u (client_name, client_version, id, last_used_at, uses)
        SELECT name, version, id, at, uses FROM told ORDER BY name, version, id
        ON CONFLICT (client_name, client_version, id) DO UPDATE SET
            last_used_at = greatest(u.last_used_at, excluded.last_used_at),
            uses = u.uses + excluded.uses
        RETURNING 1
    )
    SELECT count(*) FROM kept
$$;
"""


def upgrade() -> None:
    run(TABLES)
    run(DOOR)
    give("use_documents")
