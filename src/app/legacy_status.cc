// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_status.h"

#include <nlohmann/json.hpp>

#include "app/legacy_reader.h"
#include "app/legacy_writer.h"

namespace watchwheel::app {

nlohmann::ordered_json legacy_json(const LegacyReading& reading) {
  nlohmann::ordered_json json;
  if (reading.table.empty()) return json;
  json["table"] = reading.table;
  if (const LegacyReadStats* read = reading.read; read != nullptr) {
    json["read"] = {{"sweeps", read->sweeps.value()},
                    {"sweep_s", read->sweep_s.value()},
                    {"sweep_wanted_s", core::to_seconds(reading.sweep_wanted)},
                    {"rows", read->rows.value()},
                    {"rows_per_second", read->rows_per_second.value()},
                    {"active", static_cast<std::uint64_t>(read->active.value())},
                    {"rejected", static_cast<std::uint64_t>(read->rejected.value())},
                    {"withheld", static_cast<std::uint64_t>(read->withheld.value())},
                    {"added", read->added.value()},
                    {"changed", read->changed.value()},
                    {"paused", read->paused.value()},
                    {"removed", read->removed.value()},
                    {"errors", read->errors.value()}};
  }
  if (const LegacyWriteStats* write = reading.write; write != nullptr) {
    json["write"] = {{"status", write->status.value()},
                     {"checked", write->checked.value()},
                     {"overruled", write->overruled.value()},
                     {"not_ours", write->not_ours.value()},
                     {"refused", write->refused.value()},
                     {"pending", static_cast<std::uint64_t>(write->pending.value())},
                     {"lag_s", write->lag_s.value()},
                     {"errors", write->errors.value()}};
  }
  return json;
}

}  // namespace watchwheel::app
