# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154  # Sourced by tools/bench/cost, whose variables these are.
# The whole daemon as one more client: its own list of the fleet's sites, its store, its schedule.

# The value of a metric, labels added up.
daemon_metric() {
  local body
  exec 3<>"/dev/tcp/127.0.0.1/$daemon_port" || return 1
  printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  body=$(cat <&3)
  exec 3>&-
  awk -v name="$1" '{ split($1, part, "{") } part[1] == name { sum += $2 } END { printf "%d", sum }' <<<"$body"
}

# User and system time so far, in ticks.
daemon_ticks() { awk '{ sub(/.*\) /, ""); print $12, $13 }' "/proc/$daemon_pid/stat"; }

# measure_daemon LABEL: prints the line of a client. The rate is that of the sites' interval of 10 s.
measure_daemon() {
  local label=$1 dir=$work/daemon program=$build/src/app/watchwheel
  rm -rf "$dir"
  mkdir -p "$dir"
  daemon_port=$((20000 + RANDOM % 10000))
  "$build/tools/fleet/watchwheel-fleet" sites --sites "$sites" --http-port "$http_port" --interval 10s >"$dir/sites.csv"
  cat >"$dir/watchwheel.toml" <<TOML
[store]
url = "sqlite://$dir/watchwheel.db"
state_dir = "$dir"
[checks]
allow = ["127.0.0.0/8"]
resolvers = ["$dns"]
[engine]
lanes = 1
[http]
listen = "127.0.0.1:$daemon_port"
TOML
  "$program" sites import "$dir/sites.csv" --config "$dir/watchwheel.toml" >"$dir/import.out" 2>&1 || return 1
  "${on_client[@]}" "$program" run --config "$dir/watchwheel.toml" >"$dir/run.out" 2>&1 &
  daemon_pid=$!
  # An interval and a little, so that every name is known; then the window.
  sleep 13
  local before after checks_before checks seconds=$((paced_s * 4)) user system failed
  read -r -a before < <(daemon_ticks) || return 1
  checks_before=$(daemon_metric watchwheel_checks_total) || return 1
  sleep "$seconds"
  read -r -a after < <(daemon_ticks) || return 1
  checks=$(($(daemon_metric watchwheel_checks_total) - checks_before))
  failed=$(daemon_metric watchwheel_check_failures_total)
  local peak
  peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$daemon_pid/status")
  kill "$daemon_pid"
  wait "$daemon_pid" || true
  daemon_pid=
  [ "$checks" -gt 0 ] || return 1
  user=$((after[0] - before[0])) system=$((after[1] - before[1]))
  awk -v label="$label" -v checks="$checks" -v failed="$failed" -v user="$user" -v sys="$system" -v wall="$seconds" -v peak="$peak" \
    -v tick_us=$((1000000 / $(getconf CLK_TCK))) 'BEGIN {
      printf "{\"client\":\"%s\",\"checks\":%d,\"failed\":%d,\"broken_off\":false,\"user_us\":%.2f,\"system_us\":%.2f,\"cpu_us\":%.2f,\"wall_s\":%d,\"peak_rss_kib\":%d}\n",
        label, checks, failed, user * tick_us / checks, sys * tick_us / checks, (user + sys) * tick_us / checks, wall, peak
    }'
}
