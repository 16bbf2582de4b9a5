# The operator's image. Build context: the root of the repository.
#   docker build -t blockqnn-operator .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/blockqnn
# uv verifies the hashes of constraints.txt for everything that it installs.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN sed -n '/^uv==/,/[^\\]$/p' constraints.txt > uv.txt \
 && python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes -r uv.txt
# The dependencies change seldom: a layer of their own.
RUN /opt/uv/bin/uv pip compile -q pyproject.toml --extra operator -c constraints.txt \
      --generate-hashes --no-header -o operator.txt \
 && /opt/uv/bin/uv pip install -q --no-cache --compile-bytecode --python /opt/blockqnn/bin/python \
      --require-hashes -r operator.txt
COPY agent agent
COPY operator operator
COPY trainer_image/blockqnn_trainer trainer_image/blockqnn_trainer
COPY cli cli
RUN /opt/uv/bin/uv pip install -q --no-cache --compile-bytecode --python /opt/blockqnn/bin/python \
      --no-deps --build-constraint constraints.txt .

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="blockqnn-operator" \
      org.opencontainers.image.description="Runs BlockSearches: finds convolutional blocks by Q-learning" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/blockqnn /opt/blockqnn
ENV PATH=/opt/blockqnn/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
CMD ["blockqnn-operator", "--probe-port", "8080", "--metrics-port", "9090"]
