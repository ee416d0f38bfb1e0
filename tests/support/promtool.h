// SPDX-License-Identifier: Apache-2.0
// support/promtool.h - what Prometheus's own linter says of a metrics page.
#pragma once

#include <string>
#include <string_view>

#include "support/child_process.h"

namespace watchwheel::testing {

// Empty when `promtool check metrics` accepts `page` without a word; else its complaints. A missing promtool is a complaint.
[[nodiscard]] inline std::string promtool_complaints(std::string_view page) {
  const Finished done = run_program({"promtool", "check", "metrics"}, page);
  if (done.status == 127) return "promtool is not installed (package prometheus)";
  if (done.status == 0) return done.out + done.err;
  return "exit status " + std::to_string(done.status) + "\n" + done.out + done.err;
}

}  // namespace watchwheel::testing
