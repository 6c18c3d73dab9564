#!/bin/sh
# Starts Redis from a file that it may rewrite, so that who is primary outlives a restart (deploy/compose.sentinel.yml).
#   NAME     under which others find this server
#   PRIMARY  whom it follows at its very first start; nobody when empty
set -eu

config=/data/redis.conf
if [ ! -e "$config" ]; then
  cat > "$config.new" << END
dir /data
save ""
appendonly yes
appendfsync everysec
auto-aof-rewrite-min-size 512mb
maxmemory-policy noeviction
stream-node-max-bytes 1024
replica-announce-ip $NAME
protected-mode no
${PRIMARY:+replicaof $PRIMARY 6379}
END
  mv "$config.new" "$config"
fi
exec redis-server "$config"
