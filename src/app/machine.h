// SPDX-License-Identifier: Apache-2.0
// app/machine.h - what the machine lets us have, read once at start. Each figure keeps where it
// came from, for `status`.
//
// Thread   any. Reads /proc and /sys; nothing here is cached.
// Fails    a figure that cannot be read is left at a cautious default, and its origin says so.
#pragma once

#include <cstdint>
#include <string>

namespace watchwheel::app {

struct MachineLimit {
  std::uint64_t value = 0;
  std::string origin;  // "RLIMIT_NOFILE", "cgroup memory.max", "MemTotal" …
};

struct Machine {
  MachineLimit cores;
  MachineLimit descriptors;
  MachineLimit memory_bytes;     // See memory_of().
  MachineLimit ephemeral_ports;  // For one destination.
};

// Raises the soft descriptor limit to the hard one, then reads.
[[nodiscard]] Machine read_machine();

// The smallest limit on the memory of our control group and those above it, versions 1 and 2, or `machine_bytes`. `root` stands
// before /proc and /sys: "" but for tests.
[[nodiscard]] MachineLimit memory_of(const std::string& root, std::uint64_t machine_bytes);

// This process's resident memory.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace watchwheel::app
