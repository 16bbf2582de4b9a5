#!/usr/bin/env bash
# Prints which of docker, podman and buildah works here; BUILDER names one of them.
set -euo pipefail

if [[ -n ${BUILDER:-} ]]; then
  case $BUILDER in
    docker | podman | buildah) echo "$BUILDER" ;;
    *)
      echo "error: BUILDER=$BUILDER: use docker, podman or buildah" >&2
      exit 1
      ;;
  esac
  exit
fi
for candidate in docker podman buildah; do
  # A client without its daemon builds nothing, so each is asked.
  if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
    echo "$candidate"
    exit
  fi
done
echo "error: no docker, podman or buildah works here; on Debian: apt-get install buildah" >&2
exit 1
