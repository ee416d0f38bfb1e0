// SPDX-License-Identifier: Apache-2.0
#include "cases/check_case.h"

namespace watchwheel::testing {

core::CheckOptions case_defaults() {
  core::CheckOptions options;
  options.timeout = std::chrono::seconds{3};
  options.connect_timeout = std::chrono::seconds{2};
  return options;
}

core::SiteOptions on_loopback(core::SiteOptions options) {
  options.emplace_back("allow", "127.0.0.0/8\n::1/128");
  return options;
}

// Grows with the files of this folder.
const std::vector<NamedArea>& case_areas() {
  static const std::vector<NamedArea> areas{};
  return areas;
}

}  // namespace watchwheel::testing
