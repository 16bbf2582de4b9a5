# The operator's image. Build context: the root of the repository. `make images` builds it.
#   docker build -t blockqnn-operator .
# What a build needs of its surroundings (certificates, a package index) comes in as two secrets,
# both optional; docs/tasks/install.md says how.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

# Of all that the project needs, only the operator's part, and what installs it.
FROM ${BASE_IMAGE} AS requirements
WORKDIR /src
COPY constraints.txt pyproject.toml ./
RUN --mount=type=secret,id=certificates --mount=type=secret,id=environment \
    set -a; if [ -f /run/secrets/environment ]; then . /run/secrets/environment; fi; set +a \
 && python3 -m venv /opt/uv \
 && sed -n '/^uv==/,/[^\\]$/p' constraints.txt > uv.txt \
 && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes -r uv.txt \
 && /opt/uv/bin/uv pip compile -q pyproject.toml --extra operator -c constraints.txt \
      --generate-hashes --no-header --no-annotate -o requirements.txt

FROM requirements AS application
COPY README.md LICENSE ./
COPY agent agent
COPY api api
COPY operator operator
COPY trainer_image/blockqnn_trainer trainer_image/blockqnn_trainer
COPY cli cli
RUN --mount=type=secret,id=certificates --mount=type=secret,id=environment \
    set -a; if [ -f /run/secrets/environment ]; then . /run/secrets/environment; fi; set +a \
 && python3 -m venv --without-pip /opt/blockqnn \
 && /opt/uv/bin/uv pip install -q --no-cache --compile-bytecode --no-deps \
      --build-constraint constraints.txt --python /opt/blockqnn/bin/python \
      --target /opt/application .

FROM ${BASE_IMAGE}
# A layer that changes with the dependencies and with nothing else, installed in place: it is too
# large to be copied from another stage. Every hash is verified.
COPY --from=requirements /src/requirements.txt /src/uv.txt /opt/blockqnn/
RUN --mount=type=secret,id=certificates --mount=type=secret,id=environment \
    set -a; if [ -f /run/secrets/environment ]; then . /run/secrets/environment; fi; set +a \
 && python3 -m venv --without-pip /opt/blockqnn && python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes -r /opt/blockqnn/uv.txt \
 && /opt/uv/bin/uv pip install -q --no-cache --compile-bytecode --no-deps --require-hashes \
      --python /opt/blockqnn/bin/python -r /opt/blockqnn/requirements.txt \
 && rm -rf /opt/uv
COPY --from=application /opt/application /opt/application
ENV PATH=/opt/application/bin:/opt/blockqnn/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/application PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp LOGNAME=blockqnn
# No user database has it, and a cluster may choose another: hence HOME and LOGNAME.
USER 65532:65532
CMD ["blockqnn-operator", "--probe-port=8080", "--metrics-port=9090"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="blockqnn-operator" \
      org.opencontainers.image.description="Runs BlockSearches: finds convolutional blocks by Q-learning" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
