// SPDX-License-Identifier: Apache-2.0
// support/pseudo_terminal.h - a program run on a terminal of the test's: what it writes is read, keys are typed, the window is
// resized.
//
// Owns     the terminal's two ends and the process, which is stopped with it.
// Thread   the test's.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::testing {

class PseudoTerminal : core::Pinned {
 public:
  struct Settings {
    unsigned short columns = 100;
    unsigned short rows = 60;
    std::string
        out_file;  // Where standard output goes; "": to the terminal, as standard error and input always.
    std::vector<std::string> environment;  // NAME=value, beside the test's own.
  };
  PseudoTerminal(const std::vector<std::string>& argv, const Settings& settings);
  ~PseudoTerminal();

  // Reads until `wanted` was written after `from` (a count of bytes), the program ended, or `patience` is over.
  [[nodiscard]] bool shows(std::string_view wanted, std::size_t from = 0,
                           core::Duration patience = std::chrono::seconds{20});
  void type(std::string_view keys) const;
  void resize(unsigned short columns, unsigned short rows) const;
  void signal(int number) const;
  // As Finished::status; nothing when it still runs after `patience`. What it writes is read meanwhile.
  [[nodiscard]] std::optional<int> wait(core::Duration patience = std::chrono::seconds{20});
  // All that was written so far.
  [[nodiscard]] const std::string& seen() const { return seen_; }
  // Of the terminal, now.
  [[nodiscard]] termios settings() const;

 private:
  // False when there is nothing more to read within 20 ms.
  bool read_some();

  int main_fd_ = -1;
  int terminal_fd_ = -1;  // Kept open, so that its settings can be read after the program's end.
  pid_t pid_ = -1;
  std::optional<int> status_;
  std::string seen_;
};

}  // namespace watchwheel::testing
