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
  MachineLimit memory_bytes;     // The smaller of the cgroup's limit and the machine's memory.
  MachineLimit ephemeral_ports;  // For one destination.
};

// Raises the soft descriptor limit to the hard one, then reads.
[[nodiscard]] Machine read_machine();

// This process's resident memory.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace watchwheel::app
