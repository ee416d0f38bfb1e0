// SPDX-License-Identifier: Apache-2.0
#include "app/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kGiB = 1024ULL * 1024 * 1024;

Machine machine_of(std::uint64_t cores, std::uint64_t descriptors, std::uint64_t memory) {
  return Machine{.cores = {cores, "cores"},
                 .descriptors = {descriptors, "RLIMIT_NOFILE"},
                 .memory_bytes = {memory, "memory of the machine"},
                 .ephemeral_ports = {28'232, "net.ipv4.ip_local_port_range"}};
}

EffectiveLimit find(const Limits& limits, const std::string& name) {
  for (const EffectiveLimit& limit : limits.list) {
    if (limit.name == name) return limit;
  }
  ADD_FAILURE() << "no limit " << name;
  return {};
}

TEST(Limits, FollowFromTheMachineWhereNothingIsSet) {
  const Limits limits = derive_limits(Config{}, machine_of(2, 20'000, 24 * kGiB));
  EXPECT_EQ(limits.lanes, 2U);
  EXPECT_EQ(limits.memory_bytes, 18 * kGiB);
  EXPECT_EQ(limits.lane.memory_bytes, 9 * kGiB / 2);
  EXPECT_EQ(limits.lane.descriptors, 19'488U / 5 * 4 / 2);
  EXPECT_EQ(limits.lane.in_flight_max, 0U);
  EXPECT_EQ(limits.checker.in_flight_max, limits.lane.descriptors);
  EXPECT_EQ(find(limits, "in_flight_max").value, 2 * limits.lane.descriptors);
  EXPECT_EQ(find(limits, "in_flight_max").origin, Origin::Auto);
  EXPECT_THAT(find(limits, "in_flight_max").source, HasSubstr("in_flight_descriptors"));
  EXPECT_THAT(find(limits, "in_flight_descriptors").source,
              HasSubstr("RLIMIT_NOFILE 20000, 512 reserved, 4/5 for two sockets"));
  EXPECT_EQ(find(limits, "in_flight_tls").value, 9 * kGiB / 2 / scheduler::kTlsProbeBytes * 2);
  for (const EffectiveLimit& limit : limits.list) EXPECT_NE(limit.source, "") << limit.name;
}

TEST(Limits, WhatIsSetWins) {
  Config config;
  config.engine.lanes = 4;
  config.engine.memory_bytes = kGiB;
  config.engine.in_flight_max = 100;
  const Limits limits = derive_limits(config, machine_of(2, 20'000, 24 * kGiB));
  EXPECT_EQ(limits.lanes, 4U);
  EXPECT_EQ(limits.lane.in_flight_max, 25U);
  EXPECT_EQ(limits.checker.in_flight_max, 25U);
  for (const char* name : {"lanes", "memory_bytes", "in_flight_max"})
    EXPECT_EQ(find(limits, name).origin, Origin::Set) << name;
  EXPECT_EQ(find(limits, "in_flight_max").value, 100U);
  EXPECT_EQ(find(limits, "memory_bytes").value, kGiB);
}

TEST(Limits, WhatIsSetBeyondTheMachineDoesNotLimit) {
  Config config;
  config.engine.in_flight_max = 500'000;
  const Limits limits = derive_limits(config, machine_of(2, 1024, 24 * kGiB));
  EXPECT_EQ(find(limits, "in_flight_max").origin, Origin::Auto);
  EXPECT_EQ(limits.checker.in_flight_max, limits.lane.descriptors);
}

// Goal: nothing is ever zero, which would mean "no limit" or "no check at all", however small the machine.
TEST(Limits, TheSmallestMachineStillChecks) {
  for (const std::uint64_t descriptors : {1ULL, 3ULL, 200ULL, 1024ULL, 1025ULL}) {
    Config config;
    config.engine.memory_bytes = 64ULL * 1024 * 1024;
    config.engine.in_flight_max = 1;
    const Limits limits = derive_limits(config, machine_of(16, descriptors, kGiB));
    EXPECT_GE(limits.lane.descriptors, 1U) << descriptors;
    EXPECT_EQ(limits.lane.in_flight_max, 1U);
    EXPECT_GE(limits.lane.memory_bytes, scheduler::kKeptProbeBytes);
    EXPECT_EQ(limits.checker.in_flight_max, 1U);
    EXPECT_GE(limits.checker.dns_cache_entries_max, 1000U);
  }
}

TEST(Limits, CachesAndReservationsFitTheBudgetTogether) {
  for (const std::uint64_t budget : {256 * kGiB / 1024, kGiB, 64 * kGiB}) {
    Config config;
    config.engine.memory_bytes = budget;
    const Limits limits = derive_limits(config, machine_of(2, 1'000'000, kGiB));
    const std::uint64_t each = limits.lane.memory_bytes + limits.checker.kept_body_bytes_max +
                               limits.checker.dns_cache_entries_max * 300 +
                               limits.checker.tls_chains_max * 70;
    EXPECT_LT(each * limits.lanes, budget * 3 / 4) << budget;
  }
}

TEST(Limits, TheSmallestOfAControlGroupAndItsParentsIsOurs) {
  const testing::TempDir dir;
  const auto write = [&](const std::string& file, const std::string& text) {
    const std::filesystem::path path = dir.file(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  };
  const std::string root = dir.file("root");
  EXPECT_EQ(memory_of(root, 1000).value, 1000U);
  EXPECT_EQ(memory_of(root, 1000).origin, "memory of the machine");

  write("root/proc/self/cgroup", "0::/system.slice/watch.service");
  write("root/sys/fs/cgroup/system.slice/watch.service/memory.max", "max");
  EXPECT_EQ(memory_of(root, 1000).value, 1000U);
  write("root/sys/fs/cgroup/system.slice/memory.max", "900");
  EXPECT_EQ(memory_of(root, 1000).value, 900U);
  EXPECT_EQ(memory_of(root, 1000).origin, "cgroup /sys/fs/cgroup/system.slice/memory.max");
  write("root/sys/fs/cgroup/system.slice/watch.service/memory.high", "800");
  EXPECT_EQ(memory_of(root, 1000).value, 800U);

  write("root/proc/self/cgroup", "7:cpu,cpuacct:/\n4:memory:/docker/abc");
  write("root/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "700");
  EXPECT_EQ(memory_of(root, 1000).value, 700U);
  write("root/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(memory_of(root, 1000).value, 1000U);
  write("root/sys/fs/cgroup/memory/memory.limit_in_bytes", "600");
  EXPECT_EQ(memory_of(root, 1000).value, 600U);
}

}  // namespace
}  // namespace watchwheel::app
