# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The target of a measurement: watchwheel-fleet on the other core. Sourced; needs $build, $work and die().

# The target and its clients do not share a core, where there are two.
on_client=()
on_target=()
if [ "$(nproc)" -ge 2 ]; then on_client=(taskset -c 0) on_target=(taskset -c 1); fi

fleet_pid='' daemon_pid='' names_pid=''
stop() {
  if [ -n "$names_pid" ]; then kill "$names_pid" 2>/dev/null || true; wait "$names_pid" 2>/dev/null || true; names_pid=''; fi
  if [ -n "$daemon_pid" ]; then kill "$daemon_pid" 2>/dev/null || true; wait "$daemon_pid" 2>/dev/null || true; daemon_pid=''; fi
  if [ -n "$fleet_pid" ]; then kill "$fleet_pid" 2>/dev/null || true; wait "$fleet_pid" 2>/dev/null || true; fleet_pid=''; fi
}
trap stop EXIT

# start_fleet SITES HTTPS OPTIONS...: sets http_port, https_port, dns, ca_file.
start_fleet() {
  local sites=$1 https=$2
  shift 2
  : >"$work/fleet.out"  # Here, not by the child: the words of the one before are not this one's.
  "${on_target[@]}" "$build/tools/fleet/watchwheel-fleet" run --sites "$sites" --https "$https" --http-port 0 --https-port 0 \
    --dns 127.0.0.1:0 --dns-ttl 1h --control 127.0.0.1:0 --cert-dir "$work/certs" --no-keep-alive --duration 30m "$@" \
    >"$work/fleet.out" 2>"$work/fleet.err" &
  fleet_pid=$!
  for _ in $(seq 300); do
    grep -q '"ready":true' "$work/fleet.out" && break
    kill -0 "$fleet_pid" 2>/dev/null || die "the fleet did not start: $(cat "$work/fleet.err")"
    sleep 0.1
  done
  local ready
  ready=$(head -1 "$work/fleet.out")
  [ -n "$ready" ] || die "the fleet is not ready after 30 s"
  http_port=$(sed -E 's/.*"http_port":([0-9]+).*/\1/' <<<"$ready")
  https_port=$(sed -E 's/.*"https_port":([0-9]+).*/\1/' <<<"$ready")
  dns=$(sed -E 's/.*"dns":"([^"]+)".*/\1/' <<<"$ready")
  ca_file=$(sed -E 's/.*"ca_file":"([^"]+)".*/\1/' <<<"$ready")
}

# start_names SITES: a second fleet that only answers names, for targets that are too busy to; sets dns.
start_names() {
  : >"$work/names.out"
  "${on_target[@]}" "$build/tools/fleet/watchwheel-fleet" run --sites "$1" --http-port 0 --dns 127.0.0.1:0 --dns-ttl 1h \
    --control 127.0.0.1:0 --duration 30m >"$work/names.out" 2>"$work/names.err" &
  names_pid=$!
  for _ in $(seq 100); do
    grep -q '"ready":true' "$work/names.out" && break
    kill -0 "$names_pid" 2>/dev/null || die "the name server did not start: $(cat "$work/names.err")"
    sleep 0.1
  done
  dns=$(head -1 "$work/names.out" | sed -E 's/.*"dns":"([^"]+)".*/\1/')
}
