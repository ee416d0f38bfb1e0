// SPDX-License-Identifier: Apache-2.0
// bench/rig/process.h - programs that the rig starts, and what the kernel says they use.
//
// Owns     the child: its destructor ends it (SIGTERM, ten seconds, SIGKILL) and waits for it.
// Fails    start throws std::runtime_error; a child that is gone has no use.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace watchwheel::rig {

class Child {
 public:
  Child() = default;
  // Standard output and error go to files, written anew.
  Child(const std::vector<std::string>& words, const std::string& out_file,
        const std::string& err_file);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool is_running();
  // Its exit status once it ended by itself; 128 + signal; -1 when `patience` was not enough.
  [[nodiscard]] int wait_for(std::chrono::milliseconds patience);
  void signal(int number) const noexcept;
  void end() noexcept;

 private:
  pid_t pid_ = -1;
  int status_ = -1;
};

// Runs a program to its end; its exit status, as above.
[[nodiscard]] int run_to_end(const std::vector<std::string>& words, const std::string& out_file,
                             const std::string& err_file, std::chrono::milliseconds patience);

struct Use {
  double cpu_s = 0;
  std::uint64_t rss_bytes = 0;
  std::map<std::string, double> thread_cpu_s;  // By thread name.
};
// Of a running process; zeros when it is gone.
[[nodiscard]] Use use_of(pid_t pid, bool with_threads = false);

// A loopback TCP port that is free now, below those the kernel gives away by itself.
[[nodiscard]] std::uint16_t free_port();

[[nodiscard]] std::string text_of(const std::string& file);
void write_text(const std::string& file, const std::string& text);

}  // namespace watchwheel::rig
