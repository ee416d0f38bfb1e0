// SPDX-License-Identifier: Apache-2.0
#include "support/paths.h"

namespace watchwheel::testing {

std::string binary_dir() {
  return WATCHWHEEL_BINARY_DIR;
}

}  // namespace watchwheel::testing
