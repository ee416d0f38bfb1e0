# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tools/fuzz and tools/test share: running the fuzz targets. Sourced after install.sh, not run.

FUZZ_PROGRAMS="$ROOT/build/fuzz/tests/fuzz"
FUZZ_FILES="$ROOT/tests/fuzz"
FUZZ_OUT="$ROOT/build/fuzz-runs" # Logs, found inputs, and the corpus that grows.

# The targets that are there, those of tests/fuzz/rig last.
fuzz_targets() {
  local file
  for file in "$FUZZ_FILES"/{app,checker,core,rig}/*_fuzz.cc; do
    [ -e "$file" ] || continue
    file=${file##*/}
    echo "${file%_fuzz.cc}"
  done
}

# fuzz_run TARGET SECONDS SEED: one libFuzzer run. Its log and what it found are in FUZZ_OUT/TARGET. The exit status is libFuzzer's.
fuzz_run() {
  local target=$1 seconds=$2 seed=$3
  local out="$FUZZ_OUT/$target" dictionary="$FUZZ_FILES/dict/$target.dict" status=0
  mkdir -p "$out/corpus"
  rm -f "$out"/found-* "$out/status"
  local arguments=(-max_total_time="$seconds" -seed="$seed" -max_len=4096 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
    -artifact_prefix="$out/found-")
  [ ! -e "$dictionary" ] || arguments+=(-dict="$dictionary")
  # The first folder receives what is new; the committed corpus is only read.
  ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    timeout -k 10 $((seconds + 60)) "$FUZZ_PROGRAMS/${target}_fuzz" "${arguments[@]}" "$out/corpus" "$FUZZ_FILES/corpus/$target" \
    >"$out/log" 2>&1 || status=$?
  echo "$status" >"$out/status"
  return "$status"
}

# fuzz_judge TARGET: says in one line how its run went, and all that is needed to repeat what it found. True when that is as it
# should be: nothing found; in a planted target, its planted mistake.
fuzz_judge() {
  local target=$1 out="$FUZZ_OUT/$1" status runs coverage mark found
  status=$(cat "$out/status" 2>/dev/null || echo "none")
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$out/log" | tail -n 1)
  found=$(find "$out" -maxdepth 1 -name 'found-*' | head -n 1)
  case $target in
    planted_memory) mark='AddressSanitizer: heap-buffer-overflow' ;;
    planted_law) mark='broken law: ' ;;
    *) mark= ;;
  esac
  if [ -n "$mark" ]; then
    if [ "$status" != 0 ] && [ "$status" != none ] && [ -n "$found" ] && grep -q "$mark" "$out/log"; then
      printf '%-16s ok: its planted mistake was found (%s)\n' "$target" "$(sed -n 's/^Base64: /input in base64: /p' "$out/log")"
      return 0
    fi
    printf '%-16s FAILED: its planted mistake was not found (status %s); the rig tells nothing. Log: %s\n' \
      "$target" "$status" "$out/log"
    return 1
  fi
  if [ "$status" = 0 ] && [ -z "$found" ] && [ "${runs:-0}" -gt 0 ]; then
    printf '%-16s ok: %s runs, %s edges\n' "$target" "$runs" "$coverage"
    return 0
  fi
  printf '%-16s FAILED: status %s after %s runs. Log: %s\n' "$target" "$status" "${runs:-an unknown number of}" "$out/log"
  grep -A 3 -E 'broken law|ERROR: |runtime error|ensure|SUMMARY' "$out/log" | head -n 20 | sed 's/^/    /' || true
  if [ -n "$found" ]; then
    echo "    input: $found"
    echo "    in base64: $(base64 -w 0 "$found" | head -c 20000)"
    echo "    again: build/fuzz/tests/fuzz/${target}_fuzz ${found#"$ROOT/"}"
    echo "    when mended, the input goes into tests/fuzz/corpus/$target"
  fi
  return 1
}

# fuzz_all SECONDS TARGET...: runs them, as many at once as there are processors, and judges each as it ends. Sets fuzz_passed and
# fuzz_failed.
fuzz_all() {
  local seconds=$1 target seed jobs=() names=() slot slots next=0 busy
  shift
  local targets=("$@")
  fuzz_passed=0 fuzz_failed=0
  slots=$(nproc)
  seed=${WATCHWHEEL_FUZZ_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
  echo "seed $seed (WATCHWHEEL_FUZZ_SEED=$seed for the same again), $seconds s each, $slots at a time"
  while :; do
    busy=no
    for ((slot = 0; slot < slots; ++slot)); do
      if [ -n "${jobs[slot]:-}" ]; then
        if kill -0 "${jobs[slot]}" 2>/dev/null; then
          busy=yes
          continue
        fi
        wait "${jobs[slot]}" || true
        if fuzz_judge "${names[slot]}"; then fuzz_passed=$((fuzz_passed + 1)); else fuzz_failed=$((fuzz_failed + 1)); fi
        jobs[slot]=
      fi
      if [ "$next" -lt "${#targets[@]}" ]; then
        target=${targets[next]}
        next=$((next + 1))
        rm -f "$FUZZ_OUT/$target/status"
        fuzz_run "$target" "$seconds" "$seed" &
        jobs[slot]=$!
        names[slot]=$target
        busy=yes
      fi
    done
    [ "$busy" = yes ] || break
    sleep 0.5
  done
}
