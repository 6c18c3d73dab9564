#!/bin/sh
# join-cluster.sh <host:port…>: makes a Redis Cluster of these servers, a replica for each master, unless they are one
# already; ends when every slot is served (deploy/compose.redis-cluster.yml).
set -eu

readonly TRIES=60
first=$1
state() { redis-cli -h "${first%:*}" -p "${first#*:}" cluster info | tr -d '\r' | grep -q "^$1"; }

state 'cluster_known_nodes:1$' && redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes
tries=0
until state 'cluster_state:ok'; do
  tries=$((tries + 1))
  [ "$tries" -lt "$TRIES" ] || { echo "the Redis Cluster has not become whole within $TRIES s" >&2; exit 1; }
  sleep 1
done
