// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "cases/http_parts.h"

namespace watchwheel::testing {
namespace {

class HttpCases final : public CaseArea {
 public:
  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    for (const auto& part : parts_)
      for (CheckCase& one : part->cases()) all.push_back(std::move(one));
    return all;
  }

 private:
  std::array<std::unique_ptr<CaseArea>, 6> parts_{http_request_cases(), http_head_cases(),
                                                  http_body_cases(),    http_redirect_cases(),
                                                  http_two_cases(),     http_wire_cases()};
};

}  // namespace

std::unique_ptr<CaseArea> http_cases() {
  return std::make_unique<HttpCases>();
}

}  // namespace watchwheel::testing
