#!/usr/bin/env bash
# Prints the name of the images' base, having pulled it, or made a stand-in where that cannot be.
#   BASE_IMAGE  the base to use, as it is
# Exit status 3 where this machine has no base and can get none.
set -euo pipefail
cd "$(dirname "$0")"

readonly PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
readonly STAND_IN=localhost/blockqnn-base:bookworm

builder=$(./builder.sh)

exists() {
  if [[ $builder == docker ]]; then
    docker image inspect "$1" >/dev/null 2>&1
  else
    "$builder" inspect --type image "$1" >/dev/null 2>&1
  fi
}

if [[ -n ${BASE_IMAGE:-} ]]; then
  echo "$BASE_IMAGE"
elif exists "$PYTHON_IMAGE"; then
  echo "$PYTHON_IMAGE"
else
  echo "pulling $PYTHON_IMAGE with $builder" >&2
  # A registry that does not answer is one that cannot be reached.
  if timeout 300 "$builder" pull -q "$PYTHON_IMAGE" >/dev/null 2>&1; then
    echo "$PYTHON_IMAGE"
  else
    echo "it cannot be pulled here: $STAND_IN, made from Debian packages, stands in" >&2
    exists "$STAND_IN" || ./stand-in.sh "$builder" "$STAND_IN" >&2 || exit 3
    echo "$STAND_IN"
  fi
fi
