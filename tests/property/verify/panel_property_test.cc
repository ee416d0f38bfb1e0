// SPDX-License-Identifier: Apache-2.0
// Goal: whatever verifiers do, each question gets one answer of each of them, in its time, and no vote that was not cast. Method:
// a panel in virtual time with verifiers that are right, slow, silent, refuse, fail, lose answers, give them twice, invent names or
// see nothing; shards that ask, lose interest and ask too much. A naive model keeps what was asked of whom, what each would say of
// a site, and how each has done in a row. The seed of a failure is printed; WATCHWHEEL_SEED replays it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "verify/panel.h"

namespace watchwheel::verify {
namespace {

using core::Saw;
using nlohmann::json;
using namespace std::chrono_literals;

std::vector<std::uint64_t> seeds(std::size_t count) {
  if (const char* one = std::getenv("WATCHWHEEL_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

// How a verifier is, for a while.
enum class Mood {
  Right,
  Partial,
  Twice,
  Overloaded,
  Refuses,
  Fails,
  TooLarge,
  Silent,
  Rubbish,
  YesMan,
  Blind
};
constexpr int kMoods = 11;

struct Way {  // A batch under way.
  std::size_t seat = 0;
  std::uint64_t batch = 0;
  json body;
  core::SteadyTime sent, until;
  Mood mood = Mood::Right;
  core::SteadyTime ends;
};

struct Wanted {  // A question, as the model has it.
  core::SteadyTime deadline;
  std::string url;
  std::set<std::size_t> answered;
};

class World {
 public:
  World(std::uint64_t seed, std::size_t seats)
      : random_(seed), moods_(seats, Mood::Right), wrong_(seats), failed_(seats), counted_(seats), free_at_(seats) {
    limits_ = {.questions_max = 40,
               .batch_max = 5,
               .batches_max = 3,
               .spread = 1s,
               .examine_every = chance(2) ? core::Duration{} : core::Duration{20s}};
    std::vector<VerifierSeat> list;
    for (std::size_t i = 0; i < seats; ++i) list.push_back({"v" + std::to_string(i), "", ""});
    panel_ = std::make_unique<Panel>(
        limits_, list,
        [this](std::size_t seat, std::uint64_t batch, const std::string& body,
               core::Duration within) { on_send(seat, batch, json::parse(body), within); },
        [this](std::uint64_t asker, sideeffects::SeatAnswer answer) { on_told(asker, answer); },
        [](const VerifierReading&, Standing) {});
    panel_->set_canaries({"http://canary-1/", "http://canary-2/"});
  }

  void run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      now_ += std::chrono::milliseconds{roll(400)};
      if (chance(40)) moods_[roll(moods_.size())] = static_cast<Mood>(roll(kMoods));
      if (chance(2)) ask();
      if (chance(20)) lose_interest();
      end_batches();
      panel_->turn(now());
      check();
    }
    // Nothing new: all that was asked is answered when its time is over.
    for (int i = 0; i < 400; ++i) {
      now_ += 100ms;
      end_batches();
      panel_->turn(now());
      check();
    }
    EXPECT_EQ(panel_->questions(), 0U);
    EXPECT_TRUE(open_.empty());
  }

  std::size_t votes = 0;
  std::size_t not_counted = 0;

 private:
  std::size_t roll(std::size_t n) { return random_() % n; }
  bool chance(std::size_t one_in) { return roll(one_in) == 0; }
  Panel::Now now() const { return {now_, core::from_unix_ms(1'700'000'000'000), true}; }
  // What a verifier that is right sees of a site.
  static Saw truth(std::size_t seat, const std::string& url) {
    return std::hash<std::string>{}(url + std::to_string(seat)) % 3 == 0 ? Saw::Up : Saw::Down;
  }

  void ask() {
    const std::uint64_t id = ++last_id_;
    const std::uint64_t asker = roll(2);
    const std::string url = "http://s" + std::to_string(roll(12)) + "/";
    const core::SteadyTime deadline = now_ + std::chrono::milliseconds{1000 + roll(14'000)};
    const bool has_room = open_.size() < limits_.questions_max;
    // Before the call: it may be answered within it.
    if (has_room) open_[{asker, id}] = {.deadline = deadline, .url = url, .answered = {}};
    const bool taken =
        panel_->ask(asker,
                    {.id = id,
                     .subject = {.url = url, .options = std::make_shared<core::CheckOptions>()},
                     .deadline = deadline},
                    now());
    EXPECT_EQ(taken, has_room);
  }

  void lose_interest() {
    if (open_.empty()) return;
    const auto one = std::next(open_.begin(), static_cast<std::ptrdiff_t>(roll(open_.size())));
    panel_->drop(one->first.first, one->first.second);
    open_.erase(one);
  }

  void on_send(std::size_t seat, std::uint64_t batch, json body, core::Duration within) {
    const std::size_t checks = body["checks"].size();
    const bool is_exam = body["checks"][0]["id"] == "exam-0";
    EXPECT_GT(checks, 0U);
    EXPECT_LE(checks, limits_.batch_max);
    EXPECT_GE(now_, free_at_[seat]) << "asked while it is left alone";
    const auto same = [&](const Way& way) { return way.seat == seat; };
    const auto at_once = std::count_if(ways_.begin(), ways_.end(), same) + 1;
    EXPECT_LE(at_once, failed_[seat] >= kFailuresToDoubt
                           ? 1
                           : static_cast<std::ptrdiff_t>(limits_.batches_max + 1));
    EXPECT_LE(body["deadline_ms"].get<std::int64_t>(),
              core::duration_cast<std::chrono::milliseconds>(within).count());
    if (!is_exam) {
      for (const json& check : body["checks"])
        EXPECT_TRUE(check["url"].get<std::string>().starts_with("http://s"));
    }
    const Mood mood = moods_[seat];
    Way way{.seat = seat,
            .batch = batch,
            .body = std::move(body),
            .sent = now_,
            .until = now_ + within,
            .mood = mood,
            .ends = now_ + std::chrono::milliseconds{roll(900)}};
    if (mood == Mood::Silent || way.ends >= way.until) way.ends = way.until;
    ways_.push_back(std::move(way));
  }

  void end_batches() {
    for (std::size_t i = 0; i < ways_.size();) {
      if (ways_[i].ends > now_) {
        ++i;
        continue;
      }
      const Way way = std::move(ways_[i]);
      ways_.erase(ways_.begin() + static_cast<std::ptrdiff_t>(i));
      end(way);
    }
  }

  void end(const Way& way) {
    if (way.ends >= way.until)
      return finish(way, {.how = BatchEnd::How::TimedOut, .problem = "silence"});
    switch (way.mood) {
      case Mood::Refuses:
        return finish(way, batch_end(503, "", std::chrono::seconds{1 + roll(5)}));
      case Mood::Fails:
        return finish(way, {.how = BatchEnd::How::Failed, .problem = "refused"});
      case Mood::TooLarge:
        return finish(way, batch_end(413, "", std::nullopt));
      case Mood::Rubbish:
        return finish(way, batch_end(200, "<html>", std::nullopt));
      default:
        return finish(way, batch_end(200, answer(way), std::nullopt));
    }
  }

  std::string answer(const Way& way) {
    json results = json::array();
    for (const json& check : way.body["checks"]) {
      if (way.mood == Mood::Partial && chance(2)) continue;
      const std::string url = check["url"];
      Saw saw = truth(way.seat, url);
      if (url == kNowhere) saw = Saw::Down;
      if (url.starts_with("http://canary")) saw = Saw::Up;
      if (way.mood == Mood::YesMan) saw = Saw::Up;
      if (way.mood == Mood::Blind) saw = Saw::Down;
      if (way.mood == Mood::Overloaded && chance(2)) saw = Saw::Overloaded;
      const core::Cause cause = saw == Saw::Up     ? core::Cause::Ok
                                : saw == Saw::Down ? core::Cause::HttpStatus
                                                   : core::Cause::LocalOverload;
      results.push_back(
          {{"id", check["id"]}, {"cause", core::to_string(cause)}, {"phase", "done"}});
      cast_[{way.seat, url}].insert(saw);
      if (way.mood == Mood::Twice) results.push_back(results.back());
    }
    return json{{"results", results}}.dump();
  }

  void finish(const Way& way, BatchEnd how) {
    const bool refused = how.how == BatchEnd::How::Refused;
    const bool splits = how.how == BatchEnd::How::TooLarge && way.body["checks"].size() > 1;
    const bool answered = how.how == BatchEnd::How::Answered && how.body != "<html>";
    if (answered || refused) failed_[way.seat] = 0;
    // What was under way together fails together.
    if (!answered && !refused && !splits && way.sent > counted_[way.seat]) {
      counted_[way.seat] = now_;
      failed_[way.seat] = std::min(failed_[way.seat] + 1, 16U);
      leave_alone(way.seat, std::min<core::Duration>(1s * (1U << (failed_[way.seat] - 1)),
                                                     limits_.hold_most));
    }
    if (refused) leave_alone(way.seat, *how.retry_after);
    mark_exam(way, answered, how.body);
    panel_->on_end(way.seat, way.batch, std::move(how), now());
    const VerifierReading reading = panel_->readings()[way.seat];
    if (!answered && failed_[way.seat] >= kFailuresToDoubt) {
      EXPECT_EQ(reading.standing, Standing::Silent);
    } else if (answered && wrong_[way.seat] >= kExamsToWrong) {
      EXPECT_EQ(reading.standing, Standing::Wrong);
    } else if (answered) {
      EXPECT_TRUE(reading.standing == Standing::Well || reading.standing == Standing::Contrary ||
                  reading.standing == Standing::Overloaded);
    }
  }

  void leave_alone(std::size_t seat, core::Duration time) {
    free_at_[seat] = std::max(free_at_[seat], now_ + time);
  }

  void mark_exam(const Way& way, bool answered, const std::string& body) {
    if (!answered || way.body["checks"][0]["id"] != "exam-0") return;
    std::map<std::string, bool> up;  // By URL; what has no vote is not there.
    bool has_said = false;
    const json results = json::parse(body)["results"];
    for (const json& check : way.body["checks"]) {
      for (const json& result : results) {
        if (result["id"] != check["id"]) continue;
        has_said = has_said || check["id"] == "exam-0";
        if (result["cause"] != "local_overload") up[check["url"]] = result["cause"] == "ok";
      }
    }
    if (!has_said) return;
    bool blind = way.body["checks"].size() > 1;
    for (const json& check : way.body["checks"]) {
      const std::string url = check["url"];
      if (url != kNowhere) blind = blind && up.contains(url) && !up[url];
    }
    const bool invents = up.contains(std::string(kNowhere)) && up[std::string(kNowhere)];
    wrong_[way.seat] = blind || invents ? std::min(wrong_[way.seat] + 1, kExamsToWrong) : 0;
  }

  void on_told(std::uint64_t asker, const sideeffects::SeatAnswer& answer) {
    const auto found = open_.find({asker, answer.id});
    ASSERT_NE(found, open_.end()) << "an answer to what nobody asks";
    Wanted& wanted = found->second;
    EXPECT_TRUE(wanted.answered.insert(answer.seat).second) << "two answers of one verifier";
    const Saw saw = answer.witness.saw;
    if (core::is_vote(saw)) {
      ++votes;
      EXPECT_TRUE((cast_[{answer.seat, wanted.url}].contains(saw))) << "a vote that nobody cast";
      EXPECT_LT(wrong_[answer.seat], kExamsToWrong) << "a vote of one that is wrong";
    } else if (saw == Saw::NotMeasured) {
      ++not_counted;
    }
    if (wanted.answered.size() == moods_.size()) open_.erase(found);
  }

  // Every batch ends by its time, so no question is open for longer than its own and a step.
  void check() {
    EXPECT_EQ(panel_->questions(), open_.size());
    for (const auto& [key, wanted] : open_) EXPECT_GT(wanted.deadline + 1s, now_) << key.second;
  }

  PanelLimits limits_;
  std::mt19937_64 random_;
  core::SteadyTime now_ = core::SteadyTime{} + 1h;
  std::unique_ptr<Panel> panel_;
  std::vector<Mood> moods_;
  std::vector<std::uint32_t> wrong_;   // Examinations in a row.
  std::vector<std::uint32_t> failed_;  // Batches in a row.
  std::vector<core::SteadyTime> counted_;  // Their newest failure.
  std::vector<core::SteadyTime> free_at_;
  std::vector<Way> ways_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Wanted> open_;
  std::map<std::pair<std::size_t, std::string>, std::set<Saw>> cast_;
  std::uint64_t last_id_ = 0;
};

TEST(PanelProperty, EachQuestionHasOneAnswerOfEachInTimeAndNoVoteThatWasNotCast) {
  std::size_t votes = 0;
  std::size_t not_counted = 0;
  for (const std::uint64_t seed : seeds(150)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    World world(seed, 1 + seed % 4);
    world.run(600);
    votes += world.votes;
    not_counted += world.not_counted;
    if (HasFailure()) return;
  }
  if (std::getenv("WATCHWHEEL_SEED") != nullptr) return;
  EXPECT_GT(votes, 10'000U);
  EXPECT_GT(not_counted, 100U);
}

}  // namespace
}  // namespace watchwheel::verify
