# SPDX-License-Identifier: Apache-2.0
# Turns the lines of tools/bench/cost into one Markdown table for each condition: median [min] of the
# CPU time of a check, and the median of its ratio to the first client of the same repetition.
function field(name,    found) {
  if (!match($0, "\"" name "\":(\"[^\"]*\"|[^,}]*)")) return ""
  found = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
  gsub(/"/, "", found)
  return found
}

# Of the values in values[1..n], which are sorted on the way.
function median(n,    i, j, swap) {
  for (i = 2; i <= n; ++i)
    for (j = i; j > 1 && values[j - 1] > values[j]; --j) {
      swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
    }
  return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
}

# Fills values[] with one field of every run of a client; returns how many.
function collect(condition, client, name,    rep, n) {
  n = 0
  for (rep = 1; rep <= reps[condition]; ++rep)
    if ((condition, client, rep, name) in run) values[++n] = run[condition, client, rep, name] + 0
  return n
}

function ratios(condition, client, first,    rep, n) {
  n = 0
  for (rep = 1; rep <= reps[condition]; ++rep)
    if ((condition, client, rep, "cpu_us") in run && (condition, first, rep, "cpu_us") in run)
      values[++n] = run[condition, client, rep, "cpu_us"] / run[condition, first, rep, "cpu_us"]
  return n
}

/"client"/ {
  condition = field("condition"); client = field("client"); rep = field("rep") + 0
  if (!(condition in reps)) { conditions[++condition_count] = condition; reps[condition] = 0; client_count[condition] = 0 }
  if (!((condition, client) in known)) {
    known[condition, client] = 1
    clients[condition, ++client_count[condition]] = client
    # The order rotates, so the first row is told by its name.
    if (client ~ /^(floor|libcurl)/ && !(condition in floor)) floor[condition] = client
  }
  if (rep > reps[condition]) reps[condition] = rep
  run[condition, client, rep, "cpu_us"] = field("cpu_us")
  run[condition, client, rep, "user_us"] = field("user_us")
  run[condition, client, rep, "wall"] = field("checks") / (field("wall_s") + 0 > 0 ? field("wall_s") : 1)
  run[condition, client, rep, "rss"] = field("peak_rss_kib") / 1024
  run[condition, client, rep, "each"] = field("in_flight_kib_each")
  failed[condition, client] += field("failed")
}

function row(condition, client, first,    n, middle) {
  n = collect(condition, client, "cpu_us"); middle = median(n)
  printf "| %s | %.1f [%.1f] |", client, middle, values[1]
  n = collect(condition, client, "user_us"); printf " %.1f |", median(n)
  n = ratios(condition, client, first)
  if (n) { middle = median(n); printf " %.2f (%.2f to %.2f) |", middle, values[1], values[n] } else printf " |"
  n = collect(condition, client, "wall"); printf " %d |", median(n)
  n = collect(condition, client, "rss"); printf " %.0f |", median(n)
  n = collect(condition, client, "each"); printf " %.1f |", median(n)
  printf " %d |\n", failed[condition, client]
}

END {
  for (c = 1; c <= condition_count; ++c) {
    condition = conditions[c]; first = floor[condition]
    printf "\n%s, %d repetitions\n\n", condition, reps[condition]
    print "| client | CPU µs a check, median [min] | of it user | ratio to the floor, median (range) | checks a second | peak RSS MiB | KiB more for each in flight | failed |"
    print "| --- | --- | --- | --- | --- | --- | --- | --- |"
    if (first != "") row(condition, first, first)
    for (i = 1; i <= client_count[condition]; ++i)
      if (clients[condition, i] != first) row(condition, clients[condition, i], first)
  }
}
