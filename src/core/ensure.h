// SPDX-License-Identifier: Apache-2.0
// core/ensure.h - stops the process, with a message, on what we got wrong ourselves.
//
// Thread   any.
// Fails    by design: prints place, condition and message to standard error, then abort()s. On in
//          every build (ADR 0004).
//
// Never for what a peer, a file or a database sent us: that is a value or a core::Result.
#pragma once

#include <string_view>

namespace watchwheel::core {

[[noreturn]] void ensure_failed(const char* file, int line, const char* condition, std::string_view message) noexcept;

}  // namespace watchwheel::core

// ENSURE(condition, "what is broken"): `message` is only evaluated when the condition is false.
#define ENSURE(condition, message)                                                     \
  do {                                                                                 \
    if (!(condition)) [[unlikely]] {                                                   \
      ::watchwheel::core::ensure_failed(__FILE__, __LINE__, #condition, (message));    \
    }                                                                                  \
  } while (false)
