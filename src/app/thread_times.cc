// SPDX-License-Identifier: Apache-2.0
#include "app/thread_times.h"

#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace watchwheel::app {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

std::optional<double> cpu_seconds_of_stat(std::string_view stat, double ticks_per_second) {
  // "PID (name) S 4 5 …": the name may hold spaces and parentheses, so counting begins after the last one. utime and stime are
  // fields 14 and 15 of the whole, 12 and 13 after the name.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || ticks_per_second <= 0) return std::nullopt;
  stat.remove_prefix(name_end + 1);
  std::uint64_t ticks = 0;
  for (int field = 1; field <= 13; ++field) {
    const std::size_t from = stat.find_first_not_of(' ');
    if (from == std::string_view::npos) return std::nullopt;
    stat.remove_prefix(from);
    const std::string_view word = stat.substr(0, stat.find(' '));
    if (field >= 12) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
      ticks += number;
    }
    stat.remove_prefix(word.size());
  }
  return static_cast<double>(ticks) / ticks_per_second;
}

std::map<std::string, double> thread_times() {
  std::map<std::string, double> times;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/task", error), end; !error && at != end;
       at.increment(error)) {
    const auto seconds = cpu_seconds_of_stat(text_of(at->path() / "stat"), ticks);
    if (seconds) times[text_of(at->path() / "comm")] += *seconds;
  }
  return times;
}

}  // namespace watchwheel::app
