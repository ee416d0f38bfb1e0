// SPDX-License-Identifier: Apache-2.0
// What every store has to do, whatever it is made of. A second implementation passes the same suite
// by adding one factory and one INSTANTIATE_TEST_SUITE_P (as sqlite_under_test.cc does).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "db/store.h"

namespace watchwheel::db::contract {

// One store that a test may do with as it likes, and the ways around the interfaces that the suite
// needs.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  // Empty and not migrated at first. The same place at every call.
  [[nodiscard]] virtual std::string url() const = 0;
  // Leads to the same place by another node, where there are several.
  [[nodiscard]] virtual std::string other_url() const { return url(); }
  // Plain SQL, as somebody at a prompt would run it. Throws when it fails.
  virtual void execute(const std::string& sql) = 0;
  [[nodiscard]] virtual std::int64_t number(const std::string& sql) = 0;
  // As another program would add a site of this URL that knows no more than it must; and remove the sites that `condition` names.
  virtual void foreign_insert(const std::string& url) = 0;
  virtual void foreign_remove(const std::string& condition) = 0;
  virtual void foreign_remove_marks() = 0;
  // Keeps every writer out until the returned object is destroyed.
  [[nodiscard]] virtual std::shared_ptr<void> lock() = 0;
};

struct Implementation {
  const char* name;
  std::unique_ptr<StoreUnderTest> (*make)();
};
inline void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

// Those that several hosts may share.
[[nodiscard]] std::vector<Implementation> servers();

// A migrated store with one object of each kind. A test that needs another connection makes it from
// `store`.
class StoreContract : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override;

  // Adds sites https://site-N.example/ for N from 1, and returns their ids in order.
  std::vector<core::SiteId> add_sites(std::size_t count);
  // All pages of the feed, `limit` at a time.
  std::vector<core::KnownSite> load_all(std::size_t limit);
  void commit(const sideeffects::EventWrite& write);
  // The one incident of `site`; fails when there is not exactly one.
  Incident incident_of(core::SiteId site);
  SiteView view(core::SiteId site);

  std::unique_ptr<StoreUnderTest> under_test;
  std::unique_ptr<Store> store;
  std::unique_ptr<SiteFeed> feed;
  std::unique_ptr<SiteCatalog> catalog;
  std::unique_ptr<IncidentLog> incidents;
  std::unique_ptr<sideeffects::EventStore> events;
  std::unique_ptr<sideeffects::FreshnessSink> freshness;
};

// Tests of notices and deliveries. What several processes meet in is tested as StoreContract, on a cluster too; the rest is not, for
// the sake of the time.
class DeliveryContract : public StoreContract {};

// Milliseconds after an agreed moment in the past.
core::WallTime at(std::int64_t ms);
core::SiteRecord site(std::string_view url);
core::Evidence evidence(core::Cause cause, std::string_view detail);

// An event step by step, each with all that a shard would say. `start` names the event.
sideeffects::EventWrite opened(core::SiteId site, std::int64_t start);
// After opened(): three failures, a second and two seconds later.
sideeffects::EventWrite confirmed(core::SiteId site, std::int64_t start);
// After confirmed(): a success a minute after the start.
sideeffects::EventWrite recovered(core::SiteId site, std::int64_t start);
// All three in one write: what a shard says that could not store anything for a while.
sideeffects::EventWrite whole_story(core::SiteId site, std::int64_t start);

core::FreshnessMark measured(core::SiteId site, std::int64_t checked_at);

// Takes the value out of a result, or fails the test with its message.
template <typename T>
T take(core::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

// An error of this kind that says these words.
::testing::AssertionResult is_error(const core::Error& error, core::ErrorKind kind,
                                    std::string_view words);

}  // namespace watchwheel::db::contract
