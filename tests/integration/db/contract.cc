// SPDX-License-Identifier: Apache-2.0
#include "contract.h"

namespace watchwheel::db::contract {

void StoreContract::SetUp() {
  under_test = GetParam().make();
  store = take(open_store(under_test->url()));
  (void)take(store->migrate(false));
  feed = take(store->make_site_feed());
  catalog = take(store->make_site_catalog());
  incidents = take(store->make_incident_log());
  events = take(store->make_event_store());
  freshness = take(store->make_freshness_sink());
}

std::vector<core::SiteId> StoreContract::add_sites(std::size_t count) {
  std::vector<core::SiteRecord> records;
  for (std::size_t i = 1; i <= count; ++i)
    records.push_back(site("https://site-" + std::to_string(i) + ".example/"));
  std::vector<core::SiteId> ids;
  (void)take(catalog->upsert(records, &ids));
  return ids;
}

std::vector<core::KnownSite> StoreContract::load_all(std::size_t limit) {
  std::vector<core::KnownSite> all;
  core::SiteId after;
  while (true) {
    SitePage page = take(feed->load(after, limit));
    EXPECT_LE(page.sites.size(), limit);
    for (core::KnownSite& one : page.sites) {
      EXPECT_GT(one.record.id, after);
      after = one.record.id;
      all.push_back(std::move(one));
    }
    if (page.last) return all;
  }
}

void StoreContract::commit(const sideeffects::EventWrite& write) {
  const core::Result<void> done = events->commit(std::span(&write, 1));
  ASSERT_TRUE(done) << done.error().message;
}

Incident StoreContract::incident_of(core::SiteId site) {
  std::vector<Incident> found = take(incidents->list({.open_only = false, .site = site}, 0, 10));
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? Incident{} : found.front();
}

SiteView StoreContract::view(core::SiteId site) {
  return take(catalog->get(site));
}

core::WallTime at(std::int64_t ms) {
  return core::from_unix_ms(1'700'000'000'000 + ms);
}

core::SiteRecord site(std::string_view url) {
  core::SiteRecord record;
  record.url = url;
  return record;
}

core::Evidence evidence(core::Cause cause, std::string_view detail) {
  return core::Evidence{.cause = cause,
                        .phase = core::Phase::FirstByte,
                        .http_status = 503,
                        .detail = std::string(detail),
                        .address = "203.0.113.7"};
}

namespace {

using core::SiteState;
using core::TransitionReason;

sideeffects::TransitionRecord transition(std::uint32_t seq, TransitionReason reason,
                                         SiteState before, SiteState after, core::WallTime when) {
  return {.seq = seq,
          .reason = reason,
          .before = before,
          .after = after,
          .at = when,
          .failures = seq,
          .evidence = evidence(core::Cause::HttpStatus, "transition " + std::to_string(seq))};
}

}  // namespace

sideeffects::EventWrite opened(core::SiteId site, std::int64_t start) {
  sideeffects::EventWrite write;
  write.site = site;
  write.started_at = at(start);
  write.state = SiteState::SeemsDown;
  write.failures = 1;
  write.transitions_total = 1;
  write.evidence = evidence(core::Cause::HttpStatus, "status 503");
  write.transitions = {
      transition(1, TransitionReason::Opened, SiteState::Up, SiteState::SeemsDown, at(start))};
  return write;
}

sideeffects::EventWrite confirmed(core::SiteId site, std::int64_t start) {
  sideeffects::EventWrite write = opened(site, start);
  write.state = SiteState::Down;
  write.confirmed_at = at(start + 2000);
  write.failures = 3;
  write.transitions_total = 2;
  write.transitions = {transition(2, TransitionReason::Confirmed, SiteState::SeemsDown,
                                  SiteState::Down, at(start + 2000))};
  return write;
}

sideeffects::EventWrite recovered(core::SiteId site, std::int64_t start) {
  sideeffects::EventWrite write = confirmed(site, start);
  write.state = SiteState::Up;
  write.ended_at = at(start + 60'000);
  write.transitions_total = 3;
  write.transitions = {transition(3, TransitionReason::Recovered, SiteState::Down, SiteState::Up,
                                  at(start + 60'000))};
  return write;
}

sideeffects::EventWrite whole_story(core::SiteId site, std::int64_t start) {
  sideeffects::EventWrite write = recovered(site, start);
  write.transitions = {opened(site, start).transitions[0], confirmed(site, start).transitions[0],
                       recovered(site, start).transitions[0]};
  return write;
}

core::FreshnessMark measured(core::SiteId site, std::int64_t checked_at) {
  return {.site = site,
          .measured = true,
          .checked_at = at(checked_at),
          .cause = core::Cause::Ok,
          .http_status = 200,
          .total = std::chrono::milliseconds{120},
          .next_due_at = at(checked_at + 60'000),
          .cert_not_after = at(checked_at + 86'400'000),
          .cert_sha256 = std::nullopt};
}

::testing::AssertionResult is_error(const core::Error& error, core::ErrorKind kind,
                                    std::string_view words) {
  if (error.kind == kind && error.message.find(words) != std::string::npos)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << core::to_string(error.kind) << ": " << error.message << " (wanted "
         << core::to_string(kind) << " with '" << words << "')";
}

}  // namespace watchwheel::db::contract
