# The gateway, the worker and every other `dashtam` command in one image, run as nobody in particular.
#
# `docker build -t dashtam .` · CONTRIBUTING.md says how without Docker. Pinned by exact tags; for a
# build that cannot change give digests: --build-arg BASE=python@sha256:… --build-arg NODE_BASE=…

ARG BASE=python:3.13.15-slim-bookworm
ARG NODE_BASE=node:24.19.0-bookworm-slim

# ── The GraphiQL page ─────────────────────────────────────────────────────────────────────────────
FROM ${NODE_BASE} AS graphiql
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
COPY gateway/routes/pages/ ../gateway/routes/pages/
RUN npm run build

# ── The packages of the lock, by hash, and our own wheel ──────────────────────────────────────────
FROM ${BASE} AS packages
WORKDIR /src
COPY uv.req requirements.lock requirements.runtime.lock ./
# Two environments: /tools builds, and has hatchling; /opt/dashtam is what the image gets.
RUN python3 -m venv /tools \
 && /tools/bin/python -m pip install -q --no-cache-dir --require-hashes -r uv.req \
 && python3 -m venv --without-pip /opt/dashtam \
 && /tools/bin/uv pip install -q --python /tools --require-hashes -r requirements.lock \
 && /tools/bin/uv pip install -q --python /opt/dashtam --require-hashes -r requirements.runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway/ gateway/
COPY domain/ domain/
COPY adapters/ adapters/
COPY schema/ schema/
COPY migrations/ migrations/
COPY --from=graphiql /src/gateway/static/graphiql/ gateway/static/graphiql/
# Compiled here: the image's user may not write, and would compile at every start. Unchecked hashes,
# so that the bytecode is good whatever times the files have in a layer.
RUN /tools/bin/python -m hatchling build -t wheel \
 && /tools/bin/uv pip install -q --python /opt/dashtam --no-deps dist/*.whl \
 && /opt/dashtam/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/dashtam/lib

# ── The image ─────────────────────────────────────────────────────────────────────────────────────
FROM ${BASE}
LABEL org.opencontainers.image.title="Dashtam" \
      org.opencontainers.image.description="A self-hosted GraphQL gateway for a person's money" \
      org.opencontainers.image.licenses="MIT"
COPY --from=packages /opt/dashtam /opt/dashtam
# A named volume mounted on one of these takes its owner from here.
RUN install -d -o 10001 -g 10001 -m 0700 /keys /checkpoints
ENV PATH=/opt/dashtam/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    HOME=/tmp \
    DASHTAM_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
# /readyz answers 503 while the gateway must not get traffic, which urlopen raises.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('DASHTAM_PORT', '8000') + '/readyz', timeout=4)"]
ENTRYPOINT ["dashtam"]
CMD ["serve"]
