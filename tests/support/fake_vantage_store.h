// SPDX-License-Identifier: Apache-2.0
// support/fake_vantage_store.h - a VantageStore in memory that fails as long as it is told to.
#pragma once

#include <optional>
#include <vector>

#include "sideeffects/vantage_store_api.h"

namespace watchwheel::testing {

class FakeVantageStore final : public sideeffects::VantageStore {
 public:
  core::Result<void> put(const sideeffects::VantageEvent& event) override {
    if (failure) return *failure;
    puts.push_back(event);
    return {};
  }
  core::Result<std::uint64_t> close_open(core::WallTime at) override {
    if (failure) return *failure;
    closed.push_back(at);
    return std::uint64_t{1};
  }
  std::optional<core::Error> failure;
  std::vector<sideeffects::VantageEvent> puts;
  std::vector<core::WallTime> closed;
};

}  // namespace watchwheel::testing
