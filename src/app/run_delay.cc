// SPDX-License-Identifier: Apache-2.0
#include "app/run_delay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace watchwheel::app {

RunDelay::RunDelay() : fd_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {
  last_ns_ = read();
}

RunDelay::~RunDelay() {
  if (fd_ >= 0) ::close(fd_);
}

core::Duration RunDelay::since_last() {
  const std::uint64_t now = read();
  const std::uint64_t before = std::exchange(last_ns_, now);
  return std::chrono::nanoseconds{now > before ? static_cast<std::int64_t>(now - before) : 0};
}

// "time on a processor, time waiting for one, turns on it", in nanoseconds.
std::uint64_t RunDelay::read() const {
  if (fd_ < 0) return 0;
  std::array<char, 96> text{};
  const ssize_t size = ::pread(fd_, text.data(), text.size(), 0);
  if (size <= 0) return 0;
  const std::string_view line(text.data(), static_cast<std::size_t>(size));
  const std::size_t space = line.find(' ');
  std::uint64_t waited = 0;
  if (space != std::string_view::npos)
    std::from_chars(line.data() + space + 1, line.data() + line.size(), waited);
  return waited;
}

}  // namespace watchwheel::app
