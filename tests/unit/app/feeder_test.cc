// SPDX-License-Identifier: Apache-2.0
#include "app/feeder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>


namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

TEST(OptionInterner, GivesOneObjectForEqualOptions) {
  core::CheckOptions defaults;
  OptionInterner interner(defaults);
  const auto plain = interner.merged({});
  const auto timed = interner.merged({{"timeout", "7s"}});
  const auto again = interner.merged({{"timeout", "7s"}});
  ASSERT_TRUE(plain && timed && again);
  EXPECT_EQ(timed->get(), again->get());
  EXPECT_NE(plain->get(), timed->get());
  EXPECT_EQ((*timed)->timeout, core::Duration{std::chrono::seconds{7}});
}

TEST(OptionInterner, GivesNewObjectsForNewDefaultsAndKeepsTheOldOnesValid) {
  core::CheckOptions defaults;
  OptionInterner interner(defaults);
  const auto before = *interner.merged({});
  interner.set_defaults(defaults);
  EXPECT_EQ(*interner.merged({}), before) << "the same defaults are not new";
  defaults.method = "HEAD";
  interner.set_defaults(defaults);
  EXPECT_EQ((*interner.merged({}))->method, "HEAD");
  EXPECT_EQ(before->method, "GET");
}

TEST(OptionInterner, RefusesOptionsThatDoNotFit) {
  OptionInterner interner{core::CheckOptions{}};
  EXPECT_EQ(interner.merged({{"timeout", "soon"}}).error().kind, core::ErrorKind::Invalid);
  EXPECT_EQ(interner.merged({{"no_such_option", "1"}}).error().kind, core::ErrorKind::Invalid);
  // Also what only a compiler of expressions sees: no lane is to try it.
  const auto unclosed = interner.merged({{"body_match", "(open"}});
  ASSERT_FALSE(unclosed);
  EXPECT_TRUE(unclosed.error().message.starts_with("body_match: ")) << unclosed.error().message;
  EXPECT_TRUE(interner.merged({{"body_match", "(closed)"}}));
}

// Bug: a refused expression that 100,000 sites share was compiled for each of them.
TEST(OptionInterner, AsksTheCompilerOnceForWhatManySitesShare) {
  OptionInterner interner{core::CheckOptions{}};
  for (int site = 0; site < 100; ++site) {
    const auto refused = interner.merged({{"body_match", "(open"}});
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().message.starts_with("body_match: "));
  }
  EXPECT_EQ(interner.compiled(), 1U);
}

// Goal: options that come and go, those that do not fit among them, take no memory for ever.
TEST(OptionInterner, ForgetsWhatNoSiteHasAnyMore) {
  OptionInterner interner{core::CheckOptions{}};
  const auto kept = interner.rejected("kept");
  for (int i = 0; i < 5000; ++i) {
    (void)interner.rejected("problem " + std::to_string(i));
    ASSERT_LE(interner.size(), 1024U);
  }
  EXPECT_EQ(interner.rejected("kept"), kept);
}

// ---- The thread ----

// A store's site list in memory.
class FakeFeed final : public db::SiteFeed {
 public:
  struct List {
    std::mutex mutex;
    std::map<std::uint64_t, core::KnownSite> sites;
    std::map<std::uint64_t, std::uint64_t> changed;  // Site by the seq of its last change.
    std::set<std::uint64_t> removed;
    std::uint64_t newest = 0;
    std::uint64_t told = 0;  // All changes up to here have been given, and taken.
    bool endless = false;    // A load comes to no end.
    std::size_t loads = 0;
    std::function<void()> when_counted;  // Once, when all URLs have been given.
    std::map<std::uint64_t, core::KnownSite> orphans;
    bool away = false;  // Changes cannot be had.
    bool lose_second_page = false;  // Once: a page of a bucket that is not its first.

    void change(std::uint64_t id) {
      std::erase_if(changed, [id](const auto& entry) { return entry.second == id; });
      changed[++newest] = id;
    }
    void put(std::uint64_t id, const std::string& url, bool active = true) {
      const std::lock_guard lock(mutex);
      core::KnownSite& site = sites[id];
      site.record.id = core::SiteId{id};
      site.record.url = url;
      site.record.active = active;
      removed.erase(id);
      change(id);
    }
    void remove(std::uint64_t id) {
      const std::lock_guard lock(mutex);
      removed.insert(id);
      change(id);
    }
  };

  explicit FakeFeed(List& list) : list_(list) {}

  core::Result<core::ChangeSeq> newest_change() override {
    const std::lock_guard lock(list_.mutex);
    return core::ChangeSeq{list_.newest};
  }
  core::Result<db::SitePage> load(core::SiteId after, std::size_t limit) override {
    const std::lock_guard lock(list_.mutex);
    db::SitePage page;
    ++list_.loads;
    auto site = list_.sites.upper_bound(after.value);
    if (list_.endless) site = list_.sites.begin();  // The same page again and again.
    for (; site != list_.sites.end() && page.sites.size() < limit; ++site) {
      if (!list_.removed.contains(site->first)) page.sites.push_back(site->second);
    }
    page.last = page.sites.size() < limit && !list_.endless;
    return page;
  }
  core::Result<db::SitePage> load_bucket(core::BucketHashes hashes, core::SiteId after,
                                         std::size_t limit) override {
    {
      const std::lock_guard lock(list_.mutex);
      if (after.value != 0 && std::exchange(list_.lose_second_page, false))
        return core::Error{core::ErrorKind::Unavailable, "the session was lost"};
    }
    return db::SiteFeed::load_bucket(hashes, after, limit);
  }
  core::Result<std::vector<db::SiteUrl>> urls(core::SiteId after, std::size_t limit) override {
    std::vector<db::SiteUrl> page = counted(after, limit);
    if (page.size() < limit && list_.when_counted) std::exchange(list_.when_counted, {})();
    return page;
  }
  std::vector<db::SiteUrl> counted(core::SiteId after, std::size_t limit) {
    const std::lock_guard lock(list_.mutex);
    std::vector<db::SiteUrl> page;
    for (auto site = list_.sites.upper_bound(after.value);
         site != list_.sites.end() && page.size() < limit; ++site) {
      if (!list_.removed.contains(site->first))
        page.push_back({site->second.record.id, site->second.record.url});
    }
    return page;
  }
  core::Result<std::vector<db::SiteChange>> changes(core::ChangeSeq after,
                                                    std::size_t limit) override {
    const std::lock_guard lock(list_.mutex);
    if (list_.away) return core::Error{core::ErrorKind::Unavailable, "away"};
    list_.told = after.value;  // Asked for what comes after it: what came before has been sent.
    std::vector<db::SiteChange> page;
    for (auto change = list_.changed.upper_bound(after.value);
         change != list_.changed.end() && page.size() < limit; ++change) {
      page.push_back({core::ChangeSeq{change->first}, list_.removed.contains(change->second),
                      list_.sites[change->second]});
    }
    return page;
  }
  core::Result<std::vector<core::KnownSite>> removed_with_open_event(
      std::size_t limit, core::SiteId after) override {
    const std::lock_guard lock(list_.mutex);
    std::vector<core::KnownSite> page;
    for (auto site = list_.orphans.upper_bound(after.value);
         site != list_.orphans.end() && page.size() < limit; ++site)
      page.push_back(site->second);
    return page;
  }

 private:
  List& list_;
};

// Keeps the lines.
class LinesLog final : public Log {
 public:
  void write(LogLevel /*level*/, std::string_view line) noexcept override {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
  }
  [[nodiscard]] bool enabled(LogLevel /*level*/) const noexcept override { return true; }
  [[nodiscard]] std::size_t count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// A feeder with lanes that only keep what they are told to watch.
class FeederRig {
 public:
  // With a table, sites come as buckets are ordered; the first orders are given by `before_start`.
  FeederRig(FakeFeed::List& list, std::size_t lanes, FeederPace pace = {1ms, 1ms, 100},
            const core::BucketTable* buckets = nullptr,
            const std::function<void(Feeder&)>& before_start = nullptr)
      : list_(list), held_(lanes) {
    std::vector<LaneInbox> inboxes;
    for (std::size_t i = 0; i < lanes; ++i) {
      rings_.push_back(std::make_unique<core::SpscRing<LaneMessage>>(256));
      inboxes.push_back({rings_.back().get(), [] {}});
    }
    feeder_ = std::make_unique<Feeder>(FeederSettings{{}, 60s}, std::make_unique<FakeFeed>(list),
                                       std::move(inboxes), clock_, log_, pace, buckets);
    if (before_start) before_start(*feeder_);
    feeder_->start();
  }
  ~FeederRig() { feeder_->stop(); }

  Feeder& feeder() { return *feeder_; }
  [[nodiscard]] const LinesLog& log() const { return log_; }
  // Takes what has come until `done`. False: it did not become true.
  template <typename Done>
  [[nodiscard]] bool take_until(Done done) {
    const core::SteadyTime end = clock_.steady() + 60s;
    for (;;) {
      take();
      if (done()) return true;
      if (clock_.steady() >= end) return false;
      clock_.sleep_for(1ms);
    }
  }
  [[nodiscard]] bool settle() {
    const bool told = take_until([&] {
      const std::lock_guard lock(list_.mutex);
      return feeder_->stats().load_sent.load() && list_.told == list_.newest;
    });
    take();
    return told;
  }
  [[nodiscard]] const std::map<std::uint64_t, LaneMessage>& lane(std::size_t i) const {
    return held_[i];
  }
  [[nodiscard]] std::size_t lanes() const { return held_.size(); }
  // Sites that were removed with an event that a lane is to end.
  [[nodiscard]] const std::set<std::uint64_t>& ended() const { return ended_; }

 private:
  void take() {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
      LaneMessage message;
      while (rings_[i]->take(message)) {
        if (message.kind == LaneMessage::Kind::Put) {
          held_[i][message.id.value] = std::move(message);
        } else if (message.kind == LaneMessage::Kind::Leave ||
                   message.kind == LaneMessage::Kind::Remove) {
          held_[i].erase(message.id.value);
          if (message.open_event) ended_.insert(message.id.value);
        }
      }
    }
  }

  FakeFeed::List& list_;
  core::SystemClock clock_;
  LinesLog log_;
  std::vector<std::unique_ptr<core::SpscRing<LaneMessage>>> rings_;
  std::vector<std::map<std::uint64_t, LaneMessage>> held_;
  std::set<std::uint64_t> ended_;
  std::unique_ptr<Feeder> feeder_;
};

// Every site of the list is in exactly one lane, as the list has it, and nothing else is in any.
void expect_each_in_one_lane(const FeederRig& rig, FakeFeed::List& list) {
  const std::lock_guard lock(list.mutex);
  std::map<std::uint64_t, std::size_t> homes;
  for (std::size_t i = 0; i < rig.lanes(); ++i) {
    for (const auto& [id, message] : rig.lane(i)) {
      ASSERT_TRUE(homes.emplace(id, i).second) << "site " << id << " is in two lanes";
      const core::SiteRecord& record = list.sites[id].record;
      ASSERT_FALSE(list.removed.contains(id)) << "site " << id << " was removed";
      ASSERT_EQ(message.url, record.url);
      ASSERT_EQ(message.active, record.active);
    }
  }
  ASSERT_EQ(homes.size(), list.sites.size() - list.removed.size());
}

std::uint64_t seed_from_env() {
  const char* text = std::getenv("WATCHWHEEL_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261121;
}

// A URL of some host: a few large ones, some with an address, most with a name of their own.
std::string random_url(std::mt19937_64& random) {
  const std::uint64_t path = random() % 100'000;
  switch (random() % 4) {
    case 0:
      return "http://large-" + std::to_string(random() % 3) + ".example/" + std::to_string(path);
    case 1:
      return "http://192.0.2." + std::to_string(random() % 256) + "/" + std::to_string(path);
    default:
      return "http://s" + std::to_string(random() % 5000) + ".example/";
  }
}

// Goal: whatever is added, removed, paused and moved to other hosts, before the start and after, each site of the list is in
// exactly one lane, and the lanes hold even shares; also across a re-read with other defaults. Method: random lists and edits
// from a printed seed; hosts become heavy at all times.
TEST(Feeder, KeepsEachSiteInExactlyOneLane) {
  const std::uint64_t seed = seed_from_env();
  std::cout << "WATCHWHEEL_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  for (const std::size_t lanes : {1U, 2U, 5U}) {
    FakeFeed::List list;
    std::uint64_t newest = 0;
    for (std::size_t i = 0; i < 3000; ++i)
      list.put(++newest, random_url(random), random() % 10 != 0);
    FeederRig rig(list, lanes);
    ASSERT_TRUE(rig.settle());
    ASSERT_NO_FATAL_FAILURE(expect_each_in_one_lane(rig, list));
    for (int round = 0; round < 6; ++round) {
      for (int edit = 0; edit < 400; ++edit) {
        const std::uint64_t id = random() % newest + 1;
        switch (random() % 4) {
          case 0:
            list.remove(id);
            break;
          case 1:
            list.put(id, random_url(random), random() % 5 != 0);
            break;
          default:
            list.put(++newest, random_url(random));
        }
      }
      if (round % 2 == 1) {
        FeederSettings other{{}, 60s + std::chrono::seconds{round}};
        const std::uint64_t before = rig.feeder().stats().rereads.value();
        rig.feeder().retune(other, std::make_shared<const LaneTuning>());
        ASSERT_TRUE(rig.take_until([&] { return rig.feeder().stats().rereads.value() > before; }));
      }
      ASSERT_TRUE(rig.settle());
      ASSERT_NO_FATAL_FAILURE(expect_each_in_one_lane(rig, list))
          << lanes << " lanes, round " << round;
    }
    const std::size_t all = list.sites.size() - list.removed.size();
    for (std::size_t i = 0; i < lanes; ++i) {
      EXPECT_NEAR(static_cast<double>(rig.lane(i).size()),
                  static_cast<double>(all) / static_cast<double>(lanes),
                  0.1 * static_cast<double>(all));
    }
  }
}

// Goal: sites of one host are spread also when they come while the list is being loaded, or in another order than that of their
// ids. Method: the list grows between the count and the load; then it grows backwards.
TEST(Feeder, AHostThatGrowsDuringTheLoadIsSpread) {
  constexpr std::size_t kLanes = 4;
  FakeFeed::List list;
  std::uint64_t newest = 0;
  const auto url = [](const std::string& host, std::uint64_t id) {
    return "http://" + host + ".example/" + std::to_string(id);
  };
  for (; newest < 10; ++newest) list.put(newest + 1, url("heavy", newest));
  list.when_counted = [&] {
    for (; newest < 4000; ++newest) list.put(newest + 1, url("heavy", newest));
  };
  FeederRig rig(list, kLanes, {1ms, 1ms, 2000});
  const auto expect_spread = [&](std::size_t sites) {
    ASSERT_TRUE(rig.settle());
    ASSERT_NO_FATAL_FAILURE(expect_each_in_one_lane(rig, list));
    for (std::size_t i = 0; i < kLanes; ++i)
      EXPECT_NEAR(static_cast<double>(rig.lane(i).size()), static_cast<double>(sites) / kLanes,
                  LaneSpread::kHeavySites);
  };
  expect_spread(4000);
  {
    const std::lock_guard lock(list.mutex);
    for (std::uint64_t id = 5999; id >= 4001; --id) {
      core::KnownSite& site = list.sites[id];
      site.record.id = core::SiteId{id};
      site.record.url = url("backwards", id);
      list.change(id);
    }
  }
  expect_spread(5999);
}

// Goal: an event that is committed when its site is gone from every lane already is found and ended, while the daemon runs; also
// when there are more than a page of them.
TEST(Feeder, EndsEventsThatWereCommittedAfterTheRemoval) {
  FakeFeed::List list;
  FeederRig rig(list, 2, {1ms, 1ms, 10, 1ms});
  ASSERT_TRUE(rig.settle());
  {
    const std::lock_guard lock(list.mutex);
    for (std::uint64_t id = 1; id <= 25; ++id) {
      list.orphans[id].record.id = core::SiteId{id};
      list.orphans[id].open_event = core::OpenEvent{};
    }
  }
  EXPECT_TRUE(rig.take_until([&] { return rig.ended().size() == 25; }));
}

// Goal: one of which it is told is not left open until the next look of every few minutes.
TEST(Feeder, LooksForEventsWhoseSiteIsGoneWhenItIsTold) {
  FakeFeed::List list;
  FeederRig rig(list, 2, {.poll_every = 1ms, .orphans_every = 24h});
  ASSERT_TRUE(rig.settle());
  {
    const std::lock_guard lock(list.mutex);
    list.orphans[7].record.id = core::SiteId{7};
    list.orphans[7].open_event = core::OpenEvent{};
  }
  rig.feeder().look_for_orphans();
  EXPECT_TRUE(rig.take_until([&] { return rig.ended().size() == 1; }));
}

// Goal: a store that is away for long is asked ever more seldom, and again at once when it was there.
TEST(Feeder, AStoreThatIsAwayIsAskedMoreSeldom) {
  FakeFeed::List list;
  FeederRig rig(list, 1);
  for (std::size_t time = 1; time <= 2; ++time) {
    ASSERT_TRUE(rig.settle());
    {
      const std::lock_guard lock(list.mutex);
      list.away = true;
    }
    ASSERT_TRUE(rig.take_until([&] { return rig.log().count("retry_s=0.4 ") == time; }));
    {
      const std::lock_guard lock(list.mutex);
      list.away = false;
    }
    list.put(time, "http://one.example/");
  }
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.log().count("retry_s=0.1 "), 2U);
  EXPECT_EQ(rig.log().count("retry_s=0.2 "), 2U);
  EXPECT_EQ(rig.log().count("retry_s=0.4 "), 2U);
}

// Goal: a URL longer than a lane can hold, as another program may write it, takes the site's old URL out of every lane and leaves
// the site in one, with the reason why it is not asked.
TEST(Feeder, ASiteWithATooLongUrlIsThereAndNotAsked) {
  FakeFeed::List list;
  list.put(1, "http://one.example/");
  list.put(2, "http://two.example/");
  FeederRig rig(list, 2);
  ASSERT_TRUE(rig.settle());
  for (const std::uint64_t id : {1U, 2U}) {
    list.put(id, "http://moved-" + std::to_string(id) + ".example/" + std::string(5000, 'x'));
    ASSERT_TRUE(rig.settle());
    ASSERT_EQ(rig.lane(0).count(id) + rig.lane(1).count(id), 1U);
    const LaneMessage& put = rig.lane(rig.lane(0).count(id) == 1 ? 0 : 1).at(id);
    EXPECT_EQ(put.url.size(), core::kUrlBytesMax);
    EXPECT_EQ(put.problem, "the URL is longer than 2048 bytes");
    ASSERT_NE(put.options, nullptr);
  }
  EXPECT_EQ(rig.feeder().stats().options_rejected.value(), 2U);
}

// Goal: an edit is in force while a fleet is read again, not after it. Method: a re-read that comes to no end.
TEST(Feeder, ChangesDoNotWaitForTheEndOfAReRead) {
  FakeFeed::List list;
  for (std::uint64_t id = 1; id <= 1000; ++id)
    list.put(id, "http://s" + std::to_string(id) + ".example/");
  FeederRig rig(list, 2);
  ASSERT_TRUE(rig.settle());
  std::size_t loads = 0;
  {
    const std::lock_guard lock(list.mutex);
    list.endless = true;
    loads = list.loads;
  }
  rig.feeder().retune({{}, 90s}, std::make_shared<const LaneTuning>());
  ASSERT_TRUE(rig.take_until([&] {
    const std::lock_guard lock(list.mutex);
    return list.loads > loads + 20;
  }));
  list.put(77, "http://moved.example/");
  list.put(1001, "http://new.example/");
  ASSERT_TRUE(rig.settle());
  ASSERT_NO_FATAL_FAILURE(expect_each_in_one_lane(rig, list));
  EXPECT_EQ(rig.feeder().stats().rereads.value(), 0U) << "it was under way all the time";
  {
    const std::lock_guard lock(list.mutex);
    list.endless = false;
  }
  ASSERT_TRUE(rig.take_until([&] { return rig.feeder().stats().rereads.value() == 1; }));
}

// Goal: and the other way round: a stream of changes that does not end (an import) does not keep new defaults from the sites.
TEST(Feeder, AStreamOfChangesDoesNotHoldUpAReRead) {
  FakeFeed::List list;
  for (std::uint64_t id = 1; id <= 1000; ++id)
    list.put(id, "http://s" + std::to_string(id) + ".example/");
  FeederRig rig(list, 2, {1ms, 1ms, 10});
  ASSERT_TRUE(rig.settle());
  rig.feeder().retune({{}, 90s}, std::make_shared<const LaneTuning>());
  std::uint64_t edits = 0;
  ASSERT_TRUE(rig.take_until([&] {
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t id = ++edits % 1500 + 1;
      list.put(id, "http://s" + std::to_string(id + edits) + ".example/");
    }
    return rig.feeder().stats().rereads.value() == 1;
  }));
  ASSERT_TRUE(rig.settle());
  ASSERT_NO_FATAL_FAILURE(expect_each_in_one_lane(rig, list));
  for (std::size_t i = 0; i < rig.lanes(); ++i) {
    for (const auto& [id, message] : rig.lane(i))
      ASSERT_EQ(message.interval, core::Duration{90s}) << id;
  }
}

// Goal: whatever waits when a node starts is done, however many it is of however few buckets: a bucket that is never said to be at
// hand never comes. Method: half of the buckets are to be prepared, and half are ours, before the first page is read.
TEST(Feeder, WhatIsOrderedBeforeTheStartIsAllDone) {
  FakeFeed::List list;
  const core::SystemClock clock;
  core::BucketTable table(8, clock);
  std::size_t wanted = 0;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    list.put(id, "http://s" + std::to_string(id) + ".example/");
    wanted += table.of(core::SiteId{id}).value < 4 ? 1U : 0U;
  }
  FeederRig rig(list, 2, {1ms, 1ms, 100}, &table, [&](Feeder& feeder) {
    for (std::uint32_t i = 0; i < 4; ++i) {
      table.watch(core::BucketNo{i});
      feeder.begin(core::BucketNo{i}, core::kNoSteadyTime);
      feeder.prepare(core::BucketNo{i + 4});
    }
  });
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.lane(0).size() + rig.lane(1).size(), wanted);
  EXPECT_EQ(rig.feeder().take_prepared().size(), 4U);
}

// Goal: a bucket is taken whole or not at all, also where the database is lost between two of its pages. Method: several pages, the
// second of which is refused once.
TEST(Feeder, ABucketWhosePageFailedIsReadWhole) {
  FakeFeed::List list;
  const core::SystemClock clock;
  core::BucketTable table(8, clock);
  const core::BucketNo ours{3};
  std::size_t wanted = 0;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    list.put(id, "http://s" + std::to_string(id) + ".example/");
    wanted += table.of(core::SiteId{id}) == ours ? 1U : 0U;
  }
  FeederRig rig(list, 2, {1ms, 1ms, 20}, &table);
  ASSERT_TRUE(rig.settle());
  ASSERT_EQ(rig.lane(0).size() + rig.lane(1).size(), 0U);
  {
    const std::lock_guard lock(list.mutex);
    list.lose_second_page = true;
  }
  table.watch(ours);
  rig.feeder().begin(ours, core::kNoSteadyTime);
  // What is ordered after it is done after it.
  rig.feeder().prepare(core::BucketNo{4});
  ASSERT_TRUE(rig.take_until([&] { return !rig.feeder().take_prepared().empty(); }));
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(rig.feeder().stats().errors.value(), 1U);
  EXPECT_EQ(rig.lane(0).size() + rig.lane(1).size(), wanted);
}

}  // namespace
}  // namespace watchwheel::app
