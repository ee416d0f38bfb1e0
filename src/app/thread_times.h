// SPDX-License-Identifier: Apache-2.0
// app/thread_times.h - how much processor time each of our threads has taken, as the kernel tells it.
//
// Thread   any. Reads /proc/self/task: some microseconds a thread.
// Fails    what cannot be read is left out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace watchwheel::app {

// Processor seconds since its start, by thread name ("lane-0"); threads of one name are added up.
[[nodiscard]] std::map<std::string, double> thread_times();

// User and system time of a line of /proc/…/stat, in seconds. Nothing: it is no such line. The name in it may hold anything.
[[nodiscard]] std::optional<double> cpu_seconds_of_stat(std::string_view stat,
                                                        double ticks_per_second);

}  // namespace watchwheel::app
