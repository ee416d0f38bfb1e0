// SPDX-License-Identifier: Apache-2.0
#include "core/testimony.h"

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::core {
namespace {

constexpr std::array<std::string_view, kBasisCount> kBases{
    "none", "local_only", "quorum", "disagreement", "unanswered", "unasked", "bound",
    "outlasted"};
constexpr std::array<std::string_view, kSawCount> kSaws{"down",       "up",     "not_measured",
                                                        "overloaded", "silent", "error"};

template <typename Enum, std::size_t N>
std::optional<Enum> parsed(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view to_string(Basis basis) {
  ENSURE(static_cast<std::size_t>(basis) < kBasisCount, "a basis outside its list");
  return kBases[static_cast<std::size_t>(basis)];
}
std::optional<Basis> parse_basis(std::string_view name) {
  return parsed<Basis>(kBases, name);
}
std::string_view to_string(Saw saw) {
  ENSURE(static_cast<std::size_t>(saw) < kSawCount, "a sight outside its list");
  return kSaws[static_cast<std::size_t>(saw)];
}
std::optional<Saw> parse_saw(std::string_view name) {
  return parsed<Saw>(kSaws, name);
}

}  // namespace watchwheel::core
