// SPDX-License-Identifier: Apache-2.0
#include "core/ensure.h"

#include <cstdio>
#include <cstdlib>

namespace watchwheel::core {

void ensure_failed(const char* file, int line, const char* condition, std::string_view message) noexcept {
  // stdio, not the logger: the logger's own state may be what is broken.
  std::fprintf(stderr, "invariant_broken file=%s line=%d condition=\"%s\" message=\"%.*s\"\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace watchwheel::core
