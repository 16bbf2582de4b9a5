#!/usr/bin/env bash
# Builds both images with docker, podman or buildah, whichever works here. docs/images.md says more.
#   BASE_IMAGE  the base of both; without one, that of the Dockerfiles, or a stand-in made here
#   TAG         of both (dev)
#   OPERATOR_IMAGE, TRAINER_IMAGE  their names (blockqnn-operator, blockqnn-trainer)
#   BUILDER     docker, podman or buildah
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
readonly STAND_IN=localhost/blockqnn-base:bookworm

builder=$(devcluster/images/builder.sh)

exists() {
  if [[ $builder == docker ]]; then
    docker image inspect "$1" >/dev/null 2>&1
  else
    "$builder" inspect --type image "$1" >/dev/null 2>&1
  fi
}

base=${BASE_IMAGE:-$PYTHON_IMAGE}
if [[ -z ${BASE_IMAGE:-} ]] && ! exists "$base"; then
  echo "pulling $base with $builder"
  if ! "$builder" pull -q "$base" 2>/dev/null; then
    echo "$base cannot be pulled here: $STAND_IN, made from Debian packages, stands in"
    exists "$STAND_IN" || devcluster/images/stand-in.sh "$builder" "$STAND_IN"
    base=$STAND_IN
  fi
fi

# What the build's own downloads need on this machine goes in as secrets, and not into the images.
secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT
: >"$secrets/environment"
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy \
  PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL; do
  if [[ -n ${!name:-} ]]; then
    printf '%s=%q\n' "$name" "${!name}" >>"$secrets/environment"
  fi
done
options=(--secret "id=environment,src=$secrets/environment")
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [[ -r $certificates ]]; then
  options+=(--secret "id=certificates,src=$certificates")
  for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE; do
    echo "$name=/run/secrets/certificates" >>"$secrets/environment"
  done
fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
options+=(--build-arg "BASE_IMAGE=$base" --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
case $builder in
  docker) command=(docker build) ;;
  podman) command=(podman build --layers) ;;
  # As root, a build without namespaces of its own: it works inside of containers too.
  buildah) command=(buildah build --layers --isolation chroot --network host) ;;
  *) fail "BUILDER=$builder: use docker, podman or buildah" ;;
esac

build() {
  local image=$1:${TAG:-dev} file=$2
  echo "building $image with $builder on $base"
  "${command[@]}" "${options[@]}" --file "$file" --tag "$image" .
}
build "${OPERATOR_IMAGE:-blockqnn-operator}" Dockerfile
build "${TRAINER_IMAGE:-blockqnn-trainer}" trainer_image/Dockerfile
