// SPDX-License-Identifier: Apache-2.0
#include "app/commands_deliveries.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/units.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;
using db::DeliveryStatus;

constexpr std::size_t kPage = 500;

Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}
Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}
Json number_or_null(std::uint64_t number) {
  return number == 0 ? Json() : Json(number);
}
std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const db::DeliveryRecord& record) {
  return {{"id", record.id.value},
          {"status", db::to_string(record.status)},
          {"target", record.target},
          {"kind", record.kind},
          {"message_id", record.message_id},
          {"site", number_or_null(record.site.value)},
          {"url", text_or_null(record.url)},
          {"name", record.name},
          {"attempts", record.attempts},
          {"rescues", record.rescues},
          {"requeues", record.requeues},
          {"made_at", time_or_null(record.made_at)},
          {"next_at", time_or_null(record.next_at)},
          {"ended_at", time_or_null(record.ended_at)},
          {"reason", text_or_null(record.reason)},
          {"http_status", number_or_null(record.http_status)},
          {"detail", record.detail}};
}

Json to_json(const db::DeliveryDetail& detail) {
  Json json = to_json(detail.record);
  json["failed_attempts"] = Json::array();
  for (const db::AttemptRecord& attempt : detail.attempts) {
    json["failed_attempts"].push_back({{"requeues", attempt.requeues},
                                       {"attempt", attempt.attempt},
                                       {"at", time_or_null(attempt.at)},
                                       {"took_ms", core::to_ms(attempt.took)},
                                       {"http_status", number_or_null(attempt.http_status)},
                                       {"detail", attempt.detail},
                                       {"last", attempt.last}});
  }
  const Json body = Json::parse(detail.body, nullptr, false);
  json["body"] = body.is_discarded() ? text_or_null(detail.body) : body;
  return json;
}

std::string times(std::uint32_t count, const char* one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

std::string attempt_text(const db::AttemptRecord& attempt) {
  std::string text = "    " + core::to_iso8601(attempt.at) + "  attempt " +
                     std::to_string(attempt.attempt) + ", " + core::humanize(attempt.took);
  if (attempt.http_status != 0) text += ", HTTP " + std::to_string(attempt.http_status);
  if (!attempt.detail.empty()) text += ": " + printable(attempt.detail, 512);
  return text + "\n";
}

core::Result<std::unique_ptr<db::DeliveryLog>> open_log(const Config& config) {
  const auto store = open_migrated_store(config);
  if (!store) return store.error();
  return (*store)->make_delivery_log();
}

int show_one(const DeliveriesArgs& args, db::DeliveryLog& log, core::WallTime now, Io& io) {
  const auto found = log.find(sideeffects::DeliveryId{args.id});
  if (!found) return fail(io, found.error());
  if (!*found) return fail(io, kExitBad, "there is no delivery " + std::to_string(args.id));
  if (args.json) {
    io.out << dumped(to_json(**found)) << "\n";
    return kExitOk;
  }
  io.out << delivery_text((*found)->record, now);
  for (const db::AttemptRecord& attempt : (*found)->attempts) io.out << attempt_text(attempt);
  if (!(*found)->body.empty()) io.out << "    " << printable((*found)->body, 65536) << "\n";
  return kExitOk;
}

}  // namespace

std::string delivery_json(const db::DeliveryDetail& detail) {
  return dumped(to_json(detail));
}

core::Result<db::DeliveryFilter> delivery_filter(bool dead, const std::string& target,
                                           const std::string& reason) {
  db::DeliveryFilter filter{.dead = dead, .target = target};
  if (reason.empty()) return filter;
  filter.reason = sideeffects::parse_death_reason(reason);
  if (filter.reason) return filter;
  std::string known;
  for (const std::string_view name : sideeffects::kDeathReasonNames)
    known += (known.empty() ? "" : ", ") + std::string(name);
  return core::Error{core::ErrorKind::Invalid,
                     "reason: '" + printable(reason, 60) + "' is none of " + known};
}

std::string deliveries_json(const std::vector<db::DeliveryRecord>& page, bool more) {
  Json deliveries = Json::array();
  for (const db::DeliveryRecord& record : page) deliveries.push_back(to_json(record));
  return dumped({{"deliveries", std::move(deliveries)}, {"more", more}});
}

std::string delivery_text(const db::DeliveryRecord& record, core::WallTime now) {
  std::string text =
      "#" + std::to_string(record.id.value) + " " + std::string(db::to_string(record.status));
  if (!record.reason.empty()) text += " (" + printable(record.reason, 60) + ")";
  text += "  " + printable(record.kind, 60) + " to " + printable(record.target, 64);
  if (!record.url.empty()) {
    text += "  site " + std::to_string(record.site.value) + " " + printable(record.url, 2048);
    if (!record.name.empty()) text += " \"" + printable(record.name, 256) + "\"";
  }
  text +=
      "\n    made " + core::to_iso8601(record.made_at) + ", " + times(record.attempts, "attempt");
  if (record.rescues > 0) text += ", " + times(record.rescues, "rescue");
  if (record.requeues > 0) text += ", requeued " + times(record.requeues, "time");
  if (record.ended_at != core::kNoWallTime) text += ", ended " + core::to_iso8601(record.ended_at);
  if (record.status == DeliveryStatus::Waiting)
    text += record.next_at <= now ? ", due" : ", next in " + core::humanize(record.next_at - now);
  if (record.http_status != 0) text += ", HTTP " + std::to_string(record.http_status);
  if (!record.detail.empty()) text += ": " + printable(record.detail, 512);
  return text + "\n";
}

int show_deliveries(const DeliveriesArgs& args, Io& io) {
  const core::WallTime now = core::SystemClock().wall();
  auto filter = delivery_filter(args.dead, args.target, args.reason);
  if (!filter) return fail(io, kExitUsage, filter.error().message);
  if (filter->reason && !args.dead) return fail(io, kExitUsage, "--reason is of --dead ones");
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto log = open_log(*config);
  if (!log) return fail(io, log.error());
  if (args.id != 0) return show_one(args, **log, now, io);

  Json deliveries = Json::array();
  std::size_t shown = 0;
  bool more = false;
  while (!more) {
    const std::size_t left = args.limit == 0 ? kPage : std::min(kPage, args.limit - shown);
    const auto page = (*log)->list(*filter, left + 1);  // One more tells whether there is more.
    if (!page) return fail(io, page.error());
    const std::size_t count = std::min(page->size(), left);
    for (std::size_t i = 0; i < count; ++i) {
      const db::DeliveryRecord& record = (*page)[i];
      filter->after = record.id.value;
      if (args.json) {
        deliveries.push_back(to_json(record));
      } else {
        io.out << delivery_text(record, now);
      }
    }
    shown += count;
    if (page->size() <= left) break;
    more = args.limit != 0 && shown >= args.limit;
  }
  if (args.json) {
    io.out << dumped({{"deliveries", std::move(deliveries)}, {"more", more}}) << "\n";
    return kExitOk;
  }
  if (shown == 0) io.out << (args.dead ? "no dead letters\n" : "nothing waits to be told\n");
  if (more) io.err << "… and newer ones; use --limit to see more\n";
  return kExitOk;
}

int requeue(const RequeueArgs& args, Io& io) {
  if (args.all == (args.id != 0))
    return fail(io, kExitUsage, "name a dead letter by its id, or use --all");
  const auto filter = delivery_filter(true, args.target, args.reason);
  if (!filter) return fail(io, kExitUsage, filter.error().message);
  if (!args.all && (!args.target.empty() || filter->reason))
    return fail(io, kExitUsage, "--target and --reason are of --all");
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto log = open_log(*config);
  if (!log) return fail(io, log.error());
  if (!args.all) {
    if (auto done = (*log)->requeue(sideeffects::DeliveryId{args.id}); !done)
      return fail(io, done.error());
    io.out << "requeued " << args.id << "\n";
    return kExitOk;
  }
  const core::Duration spacing = core::Duration(std::chrono::minutes{1}) / args.per_minute;
  const auto count = (*log)->requeue_all(*filter, spacing);
  if (!count) return fail(io, count.error());
  io.out << "requeued " << *count;
  if (*count > 1)
    io.out << ", the last of them in "
           << core::humanize(spacing * static_cast<std::int64_t>(*count - 1));
  io.out << "\n";
  return kExitOk;
}

}  // namespace watchwheel::app
