// SPDX-License-Identifier: Apache-2.0
// app/commands_deliveries.h - `watchwheel deliveries`, `watchwheel requeue`: what is still to be told, what was given up, and once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "app/command.h"
#include "core/clock.h"
#include "db/delivery_log.h"

namespace watchwheel::app {

struct DeliveriesArgs {
  std::uint64_t id = 0;  // Only this one, with its attempts and its body; 0: a list.
  bool dead = false;
  std::string target;       // "": all.
  std::string reason;       // Of dead letters; "": all.
  std::size_t limit = 100;  // 0: all.
  bool json = false;  // One document: {"deliveries": […], "more": …}; of one: the delivery.
  std::string config;
};
[[nodiscard]] int show_deliveries(const DeliveriesArgs& args, Io& io);

struct RequeueArgs {
  std::uint64_t id = 0;
  bool all = false;  // Instead of `id`: every dead letter of `target` and `reason`.
  std::string target;
  std::string reason;
  std::uint32_t per_minute = 600;  // With `all`: so many fall due each minute.
  std::string config;
};
[[nodiscard]] int requeue(const RequeueArgs& args, Io& io);

[[nodiscard]] std::string delivery_json(const db::DeliveryDetail& detail);
// {"deliveries": […], "more": …}
[[nodiscard]] std::string deliveries_json(const std::vector<db::DeliveryRecord>& page, bool more);
// `reason`: one of kDeathReasonNames, or "".
[[nodiscard]] core::Result<db::DeliveryFilter> delivery_filter(bool dead, const std::string& target,
                                                               const std::string& reason);
[[nodiscard]] std::string delivery_text(const db::DeliveryRecord& record, core::WallTime now);

}  // namespace watchwheel::app
