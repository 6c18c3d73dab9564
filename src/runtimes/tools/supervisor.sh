# supervisor.sh: outlives the worker that starts it. Suspends the process groups of commands while the worker's beats are
# not acknowledged, and kills them when the worker is gone, however it went: the pipe then has no writer any more.
# ARG 1 named pipe that only the worker writes, alone in its directory  2 ms for which the worker may run without a first
#   beat; 0 when it does not beat
# Lines in the pipe: "+<group>" watch a group | "-<group>" it has ended | "b<ms>" a beat was acknowledged and holds that
#   long | "q" the worker stops
declare -A groups=()
deadline= suspended=

# Monotonic, in hundredths of a second.
now() {
  local up
  read -r up _ </proc/uptime
  now=$((10#${up/./}))
}

beat() {
  now
  deadline=$((now + $1 / 10))
}

# Parents before children, so that a suspended one cannot start more behind our back.
tree() {
  local file child children
  kill -s "$1" -- "$2"
  for file in /proc/"$2"/task/*/children; do
    children=
    read -r children <"$file"
    for child in $children; do tree "$1" "$child"; done
  done
}

# All of a command: its group, and what descends from it and has left the group (setsid).
signal() {
  kill -s "$1" -- "-$2"
  tree "$1" "$2"
}

suspend() {
  local group
  for group in "${!groups[@]}"; do signal STOP "$group"; done
  suspended=1
}

resume() {
  local group
  for group in "${!groups[@]}"; do signal CONT "$group"; done
  suspended=
}

descendants() {
  local file child children
  for file in /proc/"$1"/task/*/children; do
    children=
    read -r children <"$file"
    for child in $children; do
      found+=("$child")
      descendants "$child"
    done
  done
}

# Found first, killed then: a child of a killed process is nobody's child.
end() {
  local group found
  suspend
  for group in "${!groups[@]}"; do
    found=()
    descendants "$group"
    kill -s KILL -- "-$group" "${found[@]}"
  done
}

exec <"$1"
if (($2 > 0)); then beat "$2"; fi
while :; do
  wait=()
  if [[ $deadline && ! $suspended ]]; then
    now
    left=$((deadline - now))
    if ((left <= 0)); then
      suspend
      continue
    fi
    printf -v seconds '%d.%02d' $((left / 100)) $((left % 100))
    wait=(-t "$seconds")
  fi
  read -r "${wait[@]}" line
  status=$?
  if ((status > 128)); then continue; fi
  if ((status != 0)); then break; fi
  case $line in
    +*)
      groups[${line#+}]=1
      if [[ $suspended ]]; then signal STOP "${line#+}"; fi
      ;;
    -*) unset "groups[${line#-}]" ;;
    b*)
      beat "${line#b}"
      if [[ $suspended ]]; then resume; fi
      ;;
    q) break ;;
  esac
done
end
rm -rf -- "${1%/*}"
