#!/bin/sh
# Installs the daemon of this folder as a service that starts with the machine (systemd), or with its user (systemd, or
# launchd on macOS).
#
#   scripts/install-service.sh [--system] [--port 8787] [--log-dir DIR] [--env-file FILE] [--dry-run]
#   scripts/install-service.sh --uninstall [--system]
#
#   --system     for the machine rather than for this user; needs root, and makes the user `orchestrator`
#   --log-dir    also writes a log file there; without it the journal has the log, and on macOS ~/Library/Logs/orchestrator-daemon
#   --env-file   settings, as in .env; with --system default /etc/orchestrator-daemon.env
#   --dry-run    prints what would be installed
set -eu

name=orchestrator-daemon
root=$(cd "$(dirname "$0")/.." && pwd)
system=no port='' logs='' env_file='' uninstall=no dry_run=no

fail() {
  echo "$1" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --system) system=yes ;;
    --port) port=${2:?--port needs a number}; shift ;;
    --log-dir) logs=${2:?--log-dir needs a folder}; shift ;;
    --env-file) env_file=${2:?--env-file needs a file}; shift ;;
    --uninstall) uninstall=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift
done
case $port in *[!0-9]*) fail "--port must be a number, not \"$port\"" ;; esac

node=$(command -v node) || fail 'node is not on the PATH'
[ "$uninstall$dry_run" != nono ] || [ -f "$root/dist/main.js" ] || fail "there is no $root/dist/main.js; run \`npm run build\` first"

# What the README of the settings calls the default of DAEMON_MAX_HEAP_MB, or less where Node.js would take less on this machine.
# Said here, it needs no second process; a setting still wins.
heap=$("$node" -p 'Math.min(2048, Math.floor(require("v8").getHeapStatistics().heap_size_limit / 1048576))')

# The unit of deploy/systemd, fitted to this machine. A user has no root's privileges to give away, so for a user's
# service the lines about users and bounds go.
unit() {
  # The .env of its folder the daemon reads itself, also when it changes.
  file=${env_file:-/etc/$name.env}
  [ "$system$env_file" != no ] || file=''
  sed -e "s|^ExecStart=.*|ExecStart=$node --max-old-space-size=$heap $root/dist/main.js start${port:+ --port $port}|" \
    -e "s|^EnvironmentFile=.*|${file:+EnvironmentFile=-$file}|" \
    -e "s|^Environment=NODE_ENV=.*|&${logs:+ LOG_FILE=$logs/daemon.log}|" "$root/deploy/systemd/$name.service" |
    if [ "$system" = yes ]; then
      if [ -n "$logs" ]; then sed "s|^ProtectSystem=.*|&\\nReadWritePaths=$logs|"; else cat; fi
    else
      sed -e '/^User=/d' -e '/^# Tools of sessions/,/^UMask=/d' \
        -e "s|^WorkingDirectory=.*|WorkingDirectory=$root|" -e '/^Environment=DATA_DIR=/d' -e '/^# Variables are/d' \
        -e '/^StateDirectory=/d' -e 's|^WantedBy=.*|WantedBy=default.target|'
    fi
}

# Text as XML has it.
xml() {
  printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'
}

plist() {
  home=$(xml "$root")
  folder=$(xml "$logs")
  cat << END
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>io.wundr.$name</string>
  <key>ProgramArguments</key>
  <array>
    <string>$(xml "$node")</string><string>--max-old-space-size=$heap</string>${env_file:+
    <string>--env-file=$(xml "$env_file")</string>}
    <string>$home/dist/main.js</string><string>start</string>${port:+
    <string>--port</string><string>$port</string>}
  </array>
  <key>WorkingDirectory</key><string>$home</string>
  <key>EnvironmentVariables</key>
  <dict>
    <key>NODE_ENV</key><string>production</string>
    <key>LOG_FILE</key><string>$folder/daemon.log</string>
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>StandardErrorPath</key><string>$folder/daemon-error.log</string>
</dict>
</plist>
END
}

if [ "$(uname)" = Darwin ]; then
  [ "$system" = no ] || fail '--system is for systemd; launchd starts it for this user'
  target=$HOME/Library/LaunchAgents/io.wundr.$name.plist
  logs=${logs:-$HOME/Library/Logs/$name}
  if [ "$uninstall" = yes ]; then
    launchctl unload "$target" 2> /dev/null || true
    rm -f "$target"
  elif [ "$dry_run" = yes ]; then
    plist
  else
    # launchd starts nothing whose output it cannot open.
    mkdir -p "$(dirname "$target")" "$logs"
    plist > "$target"
    launchctl load "$target"
    echo "$target is installed"
  fi
  exit 0
fi

if [ "$dry_run" = yes ]; then
  unit
  exit 0
fi
command -v systemctl > /dev/null || fail 'there is no systemd on this machine'
if [ "$system" = yes ]; then
  [ "$(id -u)" = 0 ] || fail '--system needs root'
  folder=/etc/systemd/system control=systemctl
else
  folder=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user control='systemctl --user'
fi
target=$folder/$name.service
if [ "$uninstall" = yes ]; then
  $control disable --now $name 2> /dev/null || true
  rm -f "$target"
  $control daemon-reload
  echo "$target is gone; its data is where it was"
  exit 0
fi
if [ "$system" = yes ] && ! id orchestrator > /dev/null 2>&1; then
  useradd --system --home-dir /var/lib/$name --shell /usr/sbin/nologin orchestrator
fi
mkdir -p "$folder"
if [ -n "$logs" ]; then
  mkdir -p "$logs"
  [ "$system" = no ] || chown orchestrator "$logs"
fi
unit > "$target"
$control daemon-reload
$control enable --now $name
echo "$target is installed; see \`$control status $name\`"
