#!/bin/sh
# Starts a Sentinel from a file that it may rewrite, so that what it knows outlives a restart (deploy/compose.sentinel.yml).
#   NAME     under which others find this Sentinel
#   PRIMARY  the primary at its very first start
set -eu

config=/data/sentinel.conf
if [ ! -e "$config" ]; then
  # Two of three agree on a loss. A busy machine is silent for a second now and then.
  cat > "$config.new" << END
port 26379
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $NAME
sentinel monitor orchestrator $PRIMARY 6379 2
sentinel down-after-milliseconds orchestrator 3000
sentinel failover-timeout orchestrator 10000
END
  mv "$config.new" "$config"
fi
exec redis-sentinel "$config"
