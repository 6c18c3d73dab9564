#!/bin/sh
# Whether the daemon on this machine is healthy: prints what its health page says; exit code 0 healthy, 1 not.
#
#   scripts/health-check.sh [--json] [--url http://127.0.0.1:8787] [--timeout 5]
#
# DAEMON_HOST, DAEMON_PORT, HEALTH_CHECK_PATH and DAEMON_TLS_CERT_FILE of the environment count, as for the daemon.
set -eu

host=${DAEMON_HOST:-127.0.0.1}
case $host in
  0.0.0.0 | ::) host=127.0.0.1 ;;
  \[*\]) ;;
  *:*) host="[$host]" ;;
esac
scheme=http insecure=no
# Nothing is told to whoever answers on this machine, and the certificate is for another name.
[ -z "${DAEMON_TLS_CERT_FILE:-}" ] || scheme=https insecure=yes
url=$scheme://$host:${DAEMON_PORT:-8787}
path=${HEALTH_CHECK_PATH:-/health}
timeout=5
json=no

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0"
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --json) json=yes ;;
    --url) url=${2:?--url needs an address} insecure=no; shift ;;
    --timeout) timeout=${2:?--timeout needs seconds}; shift ;;
    -h | --help) usage 0 ;;
    *) echo "unknown option $1" >&2; usage 1 >&2 ;;
  esac
  shift
done
url=${url%/}$path

# Prints the page; fails where nothing answers, or with a status of 400 and more.
ask() {
  if command -v curl > /dev/null 2>&1; then
    [ "$insecure" = no ] || set -- --insecure
    answer=$(curl --silent "$@" --max-time "$timeout" --write-out '/%{http_code}' "$url") || return 1
    printf '%s' "${answer%/*}"
    [ "${answer##*/}" -lt 400 ]
  elif command -v wget > /dev/null 2>&1; then
    [ "$insecure" = no ] || set -- --no-check-certificate
    wget -q -O - "$@" -T "$timeout" -t 1 "$url"
  else
    [ "$insecure" = no ] || export NODE_TLS_REJECT_UNAUTHORIZED=0
    node --no-warnings -e '
      const [url, seconds] = process.argv.slice(1)
      fetch(url, { signal: AbortSignal.timeout(seconds * 1000) })
        .then(async (answer) => {
          process.stdout.write(await answer.text())
          process.exitCode = answer.ok ? 0 : 1
        })
        .catch(() => { process.exitCode = 1 })
    ' "$url" "$timeout"
  fi
}

if page=$(ask); then healthy=yes; else healthy=no; fi
if [ "$json" = yes ]; then
  echo "${page:-null}"
elif [ "$healthy" = yes ]; then
  echo "healthy $url"
else
  echo "not healthy $url: ${page:-nothing answers}" >&2
fi
[ "$healthy" = yes ]
