// SPDX-License-Identifier: Apache-2.0
#include "app/commands_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "app/node_identity.h"
#include "core/clock.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

// What the rows say, added up.
struct Shares {
  std::map<std::string, std::uint32_t> held;    // By owner, leases that hold.
  std::map<std::string, std::uint32_t> leaving;  // On their way from there.
  std::uint32_t moving = 0;
  std::uint32_t unowned = 0;
};

bool holds(const db::LeaseRow& lease, const db::ClusterView& view) {
  return !lease.owner.empty() && lease.expires_ms >= view.now_ms;
}

Shares shares_of(const db::ClusterView& view) {
  Shares shares;
  for (const db::LeaseRow& lease : view.leases) {
    if (!holds(lease, view)) {
      ++shares.unowned;
      continue;
    }
    ++shares.held[lease.owner];
    if (lease.cut_ms == 0 && lease.taker.empty()) continue;
    ++shares.moving;
    ++shares.leaving[lease.owner];
  }
  return shares;
}

std::uint32_t of(const std::map<std::string, std::uint32_t>& counts, const std::string& node) {
  const auto found = counts.find(node);
  return found == counts.end() ? 0 : found->second;
}

// "joining" is one that is there and holds nothing while others do; "dead" one that went without a word.
std::string shown_state(const db::NodeRow& node, const Shares& shares, const db::ClusterView& view) {
  if (node.state == db::NodeState::Gone) return "gone";
  if (node.seen_ms + node.lease_ms < view.now_ms) return "dead";
  if (node.state == db::NodeState::Draining || node.drain_wanted) return "draining";
  return of(shares.held, node.name) == 0 && !view.leases.empty() ? "joining" : "active";
}

Json lease_json(const db::LeaseRow& lease, const db::ClusterView& view) {
  return {{"bucket", lease.bucket.value},
          {"owner", holds(lease, view) ? Json(lease.owner) : Json()},
          {"epoch", lease.epoch},
          {"expires_in_s", static_cast<double>(lease.expires_ms - view.now_ms) / 1000},
          {"taker", lease.taker.empty() ? Json() : Json(lease.taker)},
          {"cut_at", lease.cut_ms == 0 ? Json() : Json(core::to_iso8601(core::from_unix_ms(lease.cut_ms)))},
          {"moved_at", lease.moved_ms == 0 ? Json() : Json(core::to_iso8601(core::from_unix_ms(lease.moved_ms)))}};
}

}  // namespace

std::string nodes_json(const db::ClusterView& view, bool buckets) {
  const Shares shares = shares_of(view);
  Json nodes = Json::array();
  for (const db::NodeRow& node : view.nodes) {
    nodes.push_back({{"name", node.name},
                     {"state", shown_state(node, shares, view)},
                     {"weight", node.weight},
                     {"buckets", of(shares.held, node.name)},
                     {"leaving", of(shares.leaving, node.name)},
                     {"version", node.version},
                     {"started_at", core::to_iso8601(core::from_unix_ms(node.started_ms))},
                     {"seen_at", core::to_iso8601(core::from_unix_ms(node.seen_ms))},
                     {"seen_ago_s", static_cast<double>(view.now_ms - node.seen_ms) / 1000},
                     {"drain_wanted", node.drain_wanted},
                     {"instance", node.instance}});
  }
  std::uint64_t epoch = 0;
  for (const db::LeaseRow& lease : view.leases) epoch = std::max(epoch, lease.epoch);
  Json json{{"now", core::to_iso8601(core::from_unix_ms(view.now_ms))},
            {"buckets", {{"total", view.leases.size()},
                         {"unowned", shares.unowned},
                         {"moving", shares.moving},
                         {"highest_epoch", epoch}}},
            {"nodes", std::move(nodes)}};
  if (buckets) {
    Json& leases = json["leases"] = Json::array();
    for (const db::LeaseRow& lease : view.leases) leases.push_back(lease_json(lease, view));
  }
  return json.dump(2);
}

std::string nodes_text(const db::ClusterView& view, bool buckets) {
  const Shares shares = shares_of(view);
  std::string text = fmt::format("{:<24} {:<9} {:>6} {:>8} {:>8} {:>9}  {}\n", "NODE", "STATE",
                                 "WEIGHT", "BUCKETS", "LEAVING", "SEEN", "VERSION");
  for (const db::NodeRow& node : view.nodes) {
    text += fmt::format("{:<24} {:<9} {:>6} {:>8} {:>8} {:>7.1f} s  {}\n", node.name,
                        shown_state(node, shares, view), node.weight, of(shares.held, node.name),
                        of(shares.leaving, node.name),
                        static_cast<double>(view.now_ms - node.seen_ms) / 1000, node.version);
  }
  text += fmt::format("{} buckets, {} without an owner, {} on their way\n", view.leases.size(),
                      shares.unowned, shares.moving);
  if (!buckets) return text;
  text += fmt::format("\n{:>6} {:>8} {:>10}  {:<24} {}\n", "BUCKET", "EPOCH", "EXPIRES", "OWNER",
                      "GOES TO");
  for (const db::LeaseRow& lease : view.leases) {
    const bool held = holds(lease, view);
    const double left = static_cast<double>(lease.expires_ms - view.now_ms) / 1000;
    text += fmt::format("{:>6} {:>8} {:>10}  {:<24} {}\n", lease.bucket.value, lease.epoch,
                        held ? fmt::format("{:.1f} s", left) : "-", held ? lease.owner : "-",
                        lease.taker);
  }
  return text;
}

namespace {

core::Result<std::unique_ptr<db::LeaseStore>> lease_store_of(const Config& config) {
  const auto store = open_migrated_store(config);
  if (!store) return store.error();
  auto leases = (*store)->make_lease_store();
  if (!leases) return leases.error();
  if (*leases) return leases;
  return core::Error{core::ErrorKind::Invalid,
                     "the store is one process's alone, so there are no nodes; several hosts share a "
                     "server (store.url = \"mysql://…\")"};
}

}  // namespace

int show_nodes(const NodesArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto leases = lease_store_of(*config);
  if (!leases) return fail(io, leases.error());
  const auto view = (*leases)->look("");
  if (!view) return fail(io, view.error());
  io.out << (args.json ? nodes_json(*view, args.buckets) + "\n" : nodes_text(*view, args.buckets));
  return shares_of(*view).unowned == 0 ? kExitOk : kExitBad;
}

int drain_node(const DrainArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto node = node_name(args.node.empty() ? config->cluster.node : args.node);
  if (!node) return fail(io, node.error());
  const auto leases = lease_store_of(*config);
  if (!leases) return fail(io, leases.error());
  if (auto asked = (*leases)->ask_to_drain(*node, !args.cancel); !asked)
    return fail(io, asked.error());
  io.out << (args.cancel ? "node " + *node + " takes buckets again\n"
                         : "node " + *node + " gives its buckets to the others; `watchwheel nodes` shows how far it is\n");
  return kExitOk;
}

}  // namespace watchwheel::app
