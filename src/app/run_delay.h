// SPDX-License-Identifier: Apache-2.0
// app/run_delay.h - how long a thread had work and no processor, by the kernel's own account.
//
// A loop that was woken late cannot tell it by its clock when it had set itself no time to wake:
// what an answer waited for between its arrival and the turn that read it is known to the kernel
// alone. A machine that is shared, or overloaded by others, shows here first.
//
// Owns     one descriptor of /proc.
// Thread   the one that is asked about, for every call, the constructor included.
// Fails    where the kernel does not account for it, it is always zero.
// Cost     a system call, 1 to 2 us.
#pragma once

#include <cstdint>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::app {

class RunDelay : core::Pinned {
 public:
  RunDelay();
  ~RunDelay();

  // Since the last call, or the constructor.
  [[nodiscard]] core::Duration since_last();

 private:
  [[nodiscard]] std::uint64_t read() const;

  int fd_ = -1;
  std::uint64_t last_ns_ = 0;
};

}  // namespace watchwheel::app
