#!/bin/sh
# roll.sh <service> [options of docker compose]: replaces the containers of a service one after the other, so that the
# others work meanwhile: for a new image, and for settings that have changed. Each is stopped in order (an edge sends its
# clients away, a worker lets its turns end), and the next one has to wait until its successor is ready.
#
#   ORCHESTRATOR_IMAGE=orchestrator-daemon:2.1.0 deploy/roll.sh worker -f docker-compose.cluster.yml
set -eu

[ $# -gt 0 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
readonly service=$1 TRIES=60
shift

old=$(docker compose "$@" ps --quiet "$service")
count=$(echo "$old" | grep -c .) || { echo "no container of $service runs" >&2; exit 1; }

# The question of the image's health check, asked at once: Docker itself asks every ten seconds.
all_ready() {
  for container in $(docker compose "$@" ps --quiet "$service"); do
    docker exec "$container" node --disable-sigusr1 deploy/health-check.mjs > /dev/null || return 1
  done
}

for container in $old; do
  docker stop "$container" > /dev/null
  docker rm "$container" > /dev/null
  docker compose "$@" up --detach --no-deps --no-build --no-recreate --scale "$service=$count" "$service"
  tries=0
  until all_ready "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt "$TRIES" ] || { echo "$service is not ready; docker compose logs $service tells why" >&2; exit 1; }
    sleep 1
  done
done
