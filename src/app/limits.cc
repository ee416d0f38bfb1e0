// SPDX-License-Identifier: Apache-2.0
#include "app/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/units.h"

namespace watchwheel::app {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

// Descriptors kept for the store, the listener, logs, DNS and the multi handles' own pairs.
constexpr std::uint64_t kDescriptorsReserved = 512;
// What an entry takes, its place in the tables included.
constexpr std::uint64_t kDnsEntryBytes = 300;
constexpr std::uint64_t kTlsChainBytes = 70;

// A limit that is smaller than the number of lanes still is one: 0 would mean none.
std::uint64_t share_of(std::uint64_t all, std::uint64_t lanes) {
  return all == 0 ? 0 : std::max<std::uint64_t>(1, all / lanes);
}

class Deriving {
 public:
  Deriving(const Config& config, const Machine& machine) : config_(config), machine_(machine) {}

  Limits run() {
    lanes();
    memory();
    descriptors();
    in_flight();
    caches();
    told_only();
    return std::move(limits_);
  }

 private:
  void add(std::string name, std::uint64_t value, Origin origin, std::string source) {
    limits_.list.push_back({std::move(name), value, origin, std::move(source)});
  }

  void lanes() {
    const bool set = config_.engine.lanes != 0;
    limits_.lanes =
        set ? config_.engine.lanes
            : static_cast<std::uint32_t>(std::clamp<std::uint64_t>(machine_.cores.value, 1, 256));
    add("lanes", limits_.lanes, set ? Origin::Set : Origin::Auto,
        set ? "engine.lanes" : machine_.cores.origin);
  }

  // A quarter of what there is stays with the kernel's page cache and with others; half of what is ours is for checks in flight,
  // the other half for the sites, the caches and the program.
  void memory() {
    const bool set = config_.engine.memory_bytes != 0;
    limits_.memory_bytes = set ? config_.engine.memory_bytes : machine_.memory_bytes.value / 4 * 3;
    limits_.memory_source =
        set ? "engine.memory"
            : fmt::format("3/4 of {} ({})", core::format_size(machine_.memory_bytes.value),
                          machine_.memory_bytes.origin);
    add("memory_bytes", limits_.memory_bytes, set ? Origin::Set : Origin::Auto,
        limits_.memory_source + "; the whole process");
    const std::uint64_t reserved = limits_.memory_bytes / 2;
    limits_.lane.memory_bytes = share_of(reserved, limits_.lanes);
    add("in_flight_memory_bytes", reserved, Origin::Auto,
        "1/2 of memory_bytes, reserved by checks in flight");
    for (const auto& [name, tier] :
         {std::pair{"plain", scheduler::Tier::Plain}, std::pair{"tls", scheduler::Tier::Tls},
          std::pair{"kept", scheduler::Tier::Kept}}) {
      const std::uint64_t bytes = scheduler::bytes_of(tier);
      add(fmt::format("in_flight_{}", name),
          std::max<std::uint64_t>(1, limits_.lane.memory_bytes / bytes) * limits_.lanes,
          Origin::Auto,
          fmt::format("in_flight_memory_bytes / {} for each", core::format_size(bytes)));
    }
  }

  void descriptors() {
    const std::uint64_t all = machine_.descriptors.value;
    const bool few = all <= 2 * kDescriptorsReserved;
    const std::uint64_t usable = few ? all / 2 : all - kDescriptorsReserved;
    limits_.lane.descriptors = share_of(std::max<std::uint64_t>(1, usable / 5 * 4), limits_.lanes);
    // A quarter of the checks may hold two sockets while they dial (checker.h).
    add("in_flight_descriptors", limits_.lane.descriptors * limits_.lanes, Origin::Auto,
        fmt::format("{} {}, {} reserved, 4/5 for two sockets while dialing, / {} lanes",
                    machine_.descriptors.origin, all, few ? all - usable : kDescriptorsReserved,
                    limits_.lanes));
  }

  void in_flight() {
    const bool set = config_.engine.in_flight_max != 0;
    limits_.lane.in_flight_max = share_of(config_.engine.in_flight_max, limits_.lanes);
    const scheduler::Admission admission(limits_.lane);
    limits_.checker.in_flight_max = admission.ceiling();
    const std::uint64_t each = limits_.checker.in_flight_max;
    const bool is_set = set && each == limits_.lane.in_flight_max;
    add("in_flight_max", each * limits_.lanes, is_set ? Origin::Set : Origin::Auto,
        is_set                             ? "engine.in_flight_max"
        : each == limits_.lane.descriptors ? "in_flight_descriptors, the tightest"
        : each == scheduler::kInFlightMost ? "1,000,000 a lane, the most that makes sense"
                                           : "in_flight_plain, the tightest");
  }

  // Together at most a fifth of the budget.
  void caches() {
    const std::uint64_t each = limits_.memory_bytes / limits_.lanes;
    const auto entries = [&](std::uint64_t share, std::uint64_t bytes, std::uint64_t most) {
      return std::clamp<std::uint64_t>(each / share / bytes, 1000, most);
    };
    checker::Limits& c = limits_.checker;
    c.dns_cache_entries_max = entries(16, kDnsEntryBytes, c.dns_cache_entries_max);
    c.tls_chains_max = entries(32, kTlsChainBytes, c.tls_chains_max);
    c.kept_body_bytes_max = std::clamp<std::uint64_t>(each / 10, 4 * kMiB, c.kept_body_bytes_max);
    add("dns_cache_entries_each", c.dns_cache_entries_max, Origin::Auto,
        "1/16 of memory_bytes / lanes, 1,000 to 100,000");
    add("tls_chains_each", c.tls_chains_max, Origin::Auto,
        "1/32 of memory_bytes / lanes, 1,000 to 1,000,000");
    add("kept_body_bytes_each", c.kept_body_bytes_max, Origin::Auto,
        "1/10 of memory_bytes / lanes, 4 MiB to 64 MiB");
  }

  void told_only() {
    add("ports_each_destination", machine_.ephemeral_ports.value, Origin::Auto,
        machine_.ephemeral_ports.origin +
            ", for each address and port of a site: no limit of the fleet");
    add("loop_lag_ms", static_cast<std::uint64_t>(core::to_ms(scheduler::kLoopLagMax)),
        Origin::Default, "a lane this late starts nothing new");
  }

  const Config& config_;
  const Machine& machine_;
  Limits limits_;
};

}  // namespace

Limits derive_limits(const Config& config, const Machine& machine) {
  return Deriving(config, machine).run();
}

}  // namespace watchwheel::app
