// SPDX-License-Identifier: Apache-2.0
#include "db/testimony_codec.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "db/text.h"

namespace watchwheel::db {
namespace {

using core::Testimony;
using core::Witness;
using nlohmann::json;

// A column holds 64 KiB: more witnesses than can be configured, each with so much.
constexpr std::size_t kWitnessesMax = 100;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kDetailBytesMax = 160;

json time_json(core::WallTime at) {
  return at == core::kNoWallTime ? json() : json(core::to_unix_ms(at));
}
core::WallTime time_from(const json& value) {
  return value.is_null() ? core::kNoWallTime : core::from_unix_ms(value.get<std::int64_t>());
}

// The bindings name every field there is: one more does not compile until it is kept here too.
json to_json(const Witness& witness) {
  const auto& [vantage, region, saw, cause, http_status, detail, at] = witness;
  return {{"vantage", to_utf8(vantage, kNameBytesMax)},
          {"region", to_utf8(region, kNameBytesMax)},
          {"saw", core::to_string(saw)},
          {"cause", core::to_string(cause)},
          {"http_status", http_status},
          {"detail", to_utf8(detail, kDetailBytesMax)},
          {"at", time_json(at)}};
}

core::Error corrupt(const std::string& what) {
  return core::Error{core::ErrorKind::Corrupt, "what vantages saw cannot be read: " + what};
}

}  // namespace

std::string testimony_to_json(const Testimony& testimony) {
  const auto& [basis, outage, quorum, round, decided_at, witnesses] = testimony;
  if (basis == core::Basis::None) return "";
  json all = json::array();
  for (const Witness& witness : witnesses) {
    if (all.size() < kWitnessesMax) all.push_back(to_json(witness));
  }
  return json{{"basis", core::to_string(basis)},
              {"quorum", quorum},
              {"round", round},
              {"decided_at", time_json(decided_at)},
              {"witnesses", std::move(all)}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

core::Result<Testimony> testimony_from_json(std::string_view text) {
  if (text.empty()) return Testimony{};
  try {
    const json value = json::parse(text);
    const auto basis = core::parse_basis(value.at("basis").get<std::string>());
    if (!basis) return corrupt("its basis is unknown");
    Testimony testimony{.basis = *basis,
                        .quorum = value.at("quorum").get<std::uint32_t>(),
                        .round = value.at("round").get<std::uint32_t>(),
                        .decided_at = time_from(value.at("decided_at"))};
    for (const json& one : value.at("witnesses")) {
      const auto saw = core::parse_saw(one.at("saw").get<std::string>());
      const auto cause = core::parse_cause(one.at("cause").get<std::string>());
      if (!saw || !cause) return corrupt("a witness says what is unknown");
      testimony.witnesses.push_back({.vantage = one.at("vantage").get<std::string>(),
                                     .region = one.at("region").get<std::string>(),
                                     .saw = *saw,
                                     .cause = *cause,
                                     .http_status = one.at("http_status").get<std::uint16_t>(),
                                     .detail = one.at("detail").get<std::string>(),
                                     .at = time_from(one.at("at"))});
    }
    return testimony;
  } catch (const json::exception& why) {
    return corrupt(why.what());
  }
}

}  // namespace watchwheel::db
