// SPDX-License-Identifier: Apache-2.0
// channels/program.h - the operator's program, run once: without a shell, with nothing of ours but its input.
//
// It gets its input as standard input, one pipe as standard output and error, no other descriptor, no environment but the one
// given, no blocked or ignored signal, "/" as its directory, and a process group of its own. When it has ended, and when it
// is killed, so is every process of that group: what a program leaves behind would pile up.
//
// Owns     the process, reaped by whoever destroys this; the descriptors.
// Thread   one, for every call. Nothing waits: turn() takes what is there.
// Bounded  kOutputBytesKept of output are kept; more than kOutputBytesMax end it.
// Fails    run(): Unavailable where our machine has no process, memory or descriptor left; Invalid where the program cannot
//          be run.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "channels/prepare.h"
#include "channels/verdict.h"
#include "core/pinned.h"
#include "core/result.h"

namespace watchwheel::channels {

inline constexpr std::size_t kOutputBytesKept = 1024;
inline constexpr std::size_t kOutputBytesMax = 64 * 1024;

class Program : core::Pinned {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<Program>> run(const ProgramRequest& request);
  ~Program();  // As kill().

  // Readable when turn() has something to do; at most two, -1 for none.
  [[nodiscard]] std::array<int, 2> descriptors() const { return {output_, process_}; }
  // How it ended, once it has.
  [[nodiscard]] std::optional<ProgramEnd> turn();
  // It and all its group, at once.
  [[nodiscard]] ProgramEnd kill(ProgramEnd::Why why);

 private:
  Program() = default;
  void read_output();
  [[nodiscard]] bool has_ended() const;
  // Kills what is left of the group and reaps. The wait status.
  int end_group();

  pid_t pid_ = -1;  // Also its process group. -1: reaped.
  int process_ = -1;
  int output_ = -1;
  std::string kept_;
  std::size_t output_bytes_ = 0;
};

}  // namespace watchwheel::channels
