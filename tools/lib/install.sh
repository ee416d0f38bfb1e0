# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tools/quickstart and tools/test share: packages, and building with a preset. Sourced, not run.
#
# Debian 12. Asks nothing, starts no service, touches nothing that is there already, may be run any number of times.

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 3
}

# The compiler, the tools and the libraries of cmake/Dependencies.cmake.
BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config ccache mold git ca-certificates curl
  libboost-dev libcurl4-openssl-dev libc-ares-dev libssl-dev zlib1g-dev libsqlite3-dev libmysqlcppconn-dev libre2-dev libsystemd-dev
  libyaml-dev libcctz-dev tzdata
  libspdlog-dev libfmt-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
# What the tests run beside us: promtool and Prometheus, systemd-analyze, what cpack needs for a package; the servers that
# checks are tried on.
TEST_PACKAGES=(
  prometheus systemd dpkg-dev fakeroot file openssl iproute2
  nginx-light haproxy apache2 unbound knot mariadb-server mariadb-client galera-4
  prometheus-alertmanager python3 python3-aiosmtpd
)
# What the fuzz targets are built with: libFuzzer is clang's.
FUZZ_PACKAGES=(clang-14 libclang-rt-14-dev)

missing_packages() {
  local package
  for package in "$@"; do
    # Without multi-arch doubts: any installed architecture will do.
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
  done
}

# Runs a command as root: directly, or through sudo where that asks no password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

# install_packages PACKAGE...: those that are missing, without starting any service they bring.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then
    echo "all ${#} packages are installed"
    return 0
  fi
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    die "these packages are missing, and installing them needs root:
  apt-get install --no-install-recommends ${missing[*]}"
  fi

  echo "installing: ${missing[*]}"
  # While it says 101 no package starts its service. Ours is removed again; one that was there stays.
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    # shellcheck disable=SC2064  # The path is fixed now.
    trap "as_root rm -f '$policy'" EXIT
  fi
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -q -y)
  as_root "${apt[@]}" update >/dev/null || status=$?
  [ "$status" -eq 0 ] &&
    { as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null || status=$?; }
  if [ "$ours" = yes ]; then
    as_root rm -f "$policy"
    trap - EXIT
  fi
  [ "$status" -eq 0 ] || die "apt-get failed with status $status; run it by hand to see why:
  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
}

# As many compilers at once as there are processors, but no more than memory carries (about 1.2 GB each at worst).
build_jobs() {
  local cores memory_kb by_memory
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  by_memory=$((memory_kb / 1200000))
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# show_build LOG: how far ninja is, on one line of a terminal's standard error, until it is stopped or the script has ended.
show_build() {
  local begin=$SECONDS at made all left
  while kill -0 "$$" 2>/dev/null; do
    at=$(tail -c 4096 "$1" 2>/dev/null | grep -oE '^\[[0-9]+/[0-9]+\]' | tail -n 1 | tr -d '[]') || true
    if [ -n "$at" ]; then
      made=${at%/*} all=${at#*/}
      left=$(((SECONDS - begin) * (all - made) / (made > 0 ? made : 1)))
      printf '\r%s of %s steps, %d s so far, about %d s left\033[K' "$made" "$all" $((SECONDS - begin)) "$left" >&2
    fi
    sleep 0.5
  done
}

# build PRESET [TARGET...]: everything, or the targets. Quiet unless it fails.
build() {
  local preset=$1 log shower='' status=0
  shift
  log="$ROOT/build/$preset.log"
  mkdir -p "$ROOT/build"
  # ccache must not tell build directories apart: three presets share most of what they compile.
  export CCACHE_BASEDIR="$ROOT" CCACHE_NOHASHDIR=1
  if ! (cd "$ROOT" && cmake --preset "$preset" >"$log" 2>&1); then
    tail -n 40 "$log" >&2
    die "configuring failed; the whole output is in $log"
  fi
  if [ -t 2 ]; then
    show_build "$log" &
    shower=$!
  fi
  (cd "$ROOT" && cmake --build --preset "$preset" -j "$(build_jobs)" ${1:+--target "$@"} >>"$log" 2>&1) || status=$?
  if [ -n "$shower" ]; then
    kill "$shower" 2>/dev/null || true
    wait "$shower" 2>/dev/null || true
    printf '\r\033[K' >&2
  fi
  if [ "$status" -ne 0 ]; then
    grep -nE '(error|undefined symbol|undefined reference)[: ]|^FAILED' "$log" | head -n 40 >&2 || true
    tail -n 20 "$log" >&2
    die "the build failed; the whole output is in $log"
  fi
}
