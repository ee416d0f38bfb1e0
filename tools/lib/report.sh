# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tools/test says about a run of ctest: its reader often has nothing else. Sourced, not run.

REPORT_BEFORE=6     # Lines before a failure.
REPORT_AFTER=40     # From it on.
REPORT_SANITIZER=60 # Of a sanitizer's report.
REPORT_LINES=900    # Of one stage; what is beyond is in the log alone.

# report_failures LOG: of every program that failed, what it said around each failure, a sanitizer's reports, and the end of what a
# case said that never ended. LOG is that of ctest --output-on-failure, where a program's output follows its line.
report_failures() {
  awk -v before="$REPORT_BEFORE" -v after="$REPORT_AFTER" -v sanitizer="$REPORT_SANITIZER" -v most="$REPORT_LINES" '
    function say(line) {
      if (++said == most) print "... and more, in the log alone"
      if (said < most) print substr(line, 1, 600)
    }
    # How many lines are shown from this one on, because of it; 0 when it means nothing.
    function weight(line) {
      if (line ~ /ERROR: (Address|Leak|Undefined)|WARNING: ThreadSanitizer|: runtime error: /) return sanitizer
      if (line ~ /: Failure$|invariant_broken |terminate called|broken law: /) return after
      return 0
    }
    # Says the lines kept of a case, or between cases; all_of_end: also its last ones.
    function flush_kept(all_of_end,   i, j, w, until, gap) {
      for (i = 1; i <= kept; ++i) {
        w = weight(lines[i])
        if (w == 0) continue
        for (j = i > before ? i - before : 1; j < i + w && j <= kept; ++j) {
          if (j > i && lines[j] ~ /^SUMMARY: /) { shown[j] = 1; break }
          shown[j] = 1
        }
      }
      if (all_of_end) for (j = kept > after ? kept - after : 1; j <= kept; ++j) shown[j] = 1
      if (kept > 0) shown[1] = 1
      gap = 0
      for (i = 1; i <= kept; ++i) {
        if (i in shown) {
          if (gap > 0) say("    ... " gap " lines")
          gap = 0
          say("  " lines[i])
        } else ++gap
      }
      if (gap > 0) say("    ... " gap " lines")
      drop_kept()
    }
    function drop_kept() { kept = 0; split("", shown); split("", lines); meant = 0 }
    function keep(line) { lines[++kept] = line; if (weight(line) > 0) meant = 1 }
    # Between cases only what means something is told; of a program without cases, its end.
    function end_of_program() {
      if (!failing) { drop_kept(); return }
      if (in_case) say("  (the case below never ended)")
      if (in_case || meant || !cases) flush_kept(in_case || !cases); else drop_kept()
    }
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
      end_of_program()
      in_case = 0; cases = 0
      failing = $0 ~ /\*\*\*/
      if (failing) { say(""); say($0) }
      next
    }
    /^ +Start +[0-9]+: / || /^[0-9]+% tests passed, / { end_of_program(); failing = 0; in_case = 0; next }
    !failing { next }
    /^\[ RUN      \] / { if (meant) flush_kept(0); else drop_kept(); in_case = 1; cases = 1; keep($0); next }
    /^\[       OK \] |^\[  SKIPPED \] / { if (in_case) { drop_kept(); in_case = 0 } next }
    /^\[  FAILED  \] .* \([0-9]+ ms\)$/ { if (in_case) { keep($0); shown[kept] = 1; flush_kept(0); in_case = 0 } next }
    !in_case && /^\[[-= A-Z]+\]|^ *$|FAILED TESTS?$|^Note: |^Running main/ {
      if (/^\[=/) cases = 1
      next
    }
    { keep($0) }
    END { end_of_program() }
  ' "$1"
}

# report_slowest LOG REPORTS: the five tests of ctest that took longest, and the five cases of googletest.
report_slowest() {
  local log=$1 reports=$2
  echo "longest programs:"
  sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .* \([0-9.]*\) sec$/\2 \1/p' "$log" | sort -rn | awk 'NR <= 5' |
    while read -r seconds name; do printf '  %7.1f s  %s\n' "$seconds" "$name"; done
  echo "longest cases:"
  find "$reports" -name '*.xml' -exec sed -n \
    's/^ *<testcase name="\([^"]*\)".* time="\([0-9.]*\)".* classname="\([^"]*\)".*$/\2 \3.\1/p' {} + | sort -rn | awk 'NR <= 5' |
    while read -r seconds name; do printf '  %7.1f s  %s\n' "$seconds" "$name"; done
}
