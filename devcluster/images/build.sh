#!/usr/bin/env bash
# Builds both images with docker, podman or buildah, whichever works here. docs/tasks/install.md says more.
#   BASE_IMAGE  the base of both; without one, that of the Dockerfiles, or a stand-in made here (base.sh)
#   TAG         of both (dev)
#   OPERATOR_IMAGE, TRAINER_IMAGE  their names (blockqnn-operator, blockqnn-trainer)
#   BUILDER     docker, podman or buildah
set -euo pipefail
cd "$(dirname "$0")/../.."

builder=$(devcluster/images/builder.sh)
base=$(devcluster/images/base.sh)

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
  *) exit 1 ;; # builder.sh prints no other
esac

build() {
  local image=$1:${TAG:-dev} file=$2
  echo "building $image with $builder on $base"
  "${command[@]}" "${options[@]}" --file "$file" --tag "$image" .
}
build "${OPERATOR_IMAGE:-blockqnn-operator}" Dockerfile
build "${TRAINER_IMAGE:-blockqnn-trainer}" trainer_image/Dockerfile
