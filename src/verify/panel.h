// SPDX-License-Identifier: Apache-2.0
// verify/panel.h - the engine's side of the talk with its verifiers, without the sockets: who is asked what next, what an answer
// comes to, and how each of them does.
//
// Owns     the questions under way, a queue and the batches of each verifier, what is known of how it does.
// Thread   the panel thread's, for every call; stats() are for any.
// Bounded  questions_max questions; batch_max checks a batch (fewer for a verifier that refused so many), batches_max batches at once
//          to a verifier.
// Time     steady and wall, passed in.
// Fails    never. Every verifier gives one answer to each question, by its deadline: what cannot be asked or is not answered by then
//          becomes an answer that is no vote. One that comes later is counted and not told.
//
// Batches that were under way together when one of them failed are one failure: a restart, or a link that breaks for a moment, ends
// them all. One that refuses answers: that is no failure. After a moment in which we ourselves stood still all deadlines are moved (stalled()).
//
// A verifier that refuses (429, 503) or fails is left alone for a moment (Retry-After, else 1 s, doubling to 30 s with each failure
// in a row), and what it was asked is asked again where time is left. One that failed kFailuresToDoubt times in a row is in doubt: one batch at a time is tried,
// and what cannot be tried in its time is answered for it at once, so that nobody waits for the dead.
//
// Every `examine_every` a verifier is examined, outage or not: a name that does not exist (kNowhere) must not be up, and of our
// canaries, while we see them up, one at least must not be down. So one that is not there, has another token, or whose network or
// resolver is broken is known before it is needed. One that fails kExamsToWrong of these in a row is wrong: what it sees is no vote
// until it passes one again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "core/testimony.h"
#include "sideeffects/verifier_panel_api.h"
#include "verify/wire.h"

namespace watchwheel::verify {

inline constexpr std::uint32_t kFailuresToDoubt = 3;
// So many votes in a row against ours make a verifier one that always disagrees.
inline constexpr std::uint32_t kUpsToContrary = 10;
// And of so many sites: a single one may be well where it stands.
inline constexpr std::size_t kSitesToContrary = 3;
// A name that no registry gives out (RFC 6761).
inline constexpr std::string_view kNowhere = "http://watchwheel-examines.invalid/";
inline constexpr std::uint32_t kExamsToWrong = 2;
inline constexpr std::size_t kExamCanariesMost = 8;

struct PanelLimits {
  std::size_t questions_max = 65'536;
  std::size_t batch_max = 64;
  std::size_t batches_max = 32;
  // What waits is spread over the batches that may go: so many at least in each. A batch is as slow as its slowest check.
  std::size_t batch_least = 8;
  core::Duration hold = std::chrono::seconds{1};
  core::Duration hold_most = std::chrono::seconds{30};
  // Of a deadline, for the way there and back, a handshake included; a third of the time at most.
  core::Duration reserve = std::chrono::seconds{1};
  core::Duration grace = std::chrono::seconds{2};  // A batch that comes so late is late, not lost.
  // Who has less time than a check may take, or than this, is not sent any more; half of its time at most.
  core::Duration check_least = std::chrono::seconds{5};
  // A batch has the deadline of the first of its questions: those that have so much more time go with a later one.
  core::Duration spread = std::chrono::seconds{1};
  core::Duration examine_every{};  // 0: never.
  core::Duration exam_time = std::chrono::seconds{15};
  core::Duration exam_again = std::chrono::seconds{5};  // After the first that failed.
};

// How a verifier does. A closed list.
enum class Standing : std::uint8_t {
  Unknown,   // Never asked, or nothing came of it yet.
  Well,
  Silent,    // It does not answer, or with errors.
  Overloaded,
  Contrary,  // It answers, and sees up whatever we see down.
  Wrong,     // It fails its examinations: what it sees is not counted.
};
inline constexpr std::size_t kStandingCount = 6;
[[nodiscard]] std::string_view to_string(Standing standing);

// Written by the panel thread, read by any.
struct VerifierStats {
  std::array<core::Counter, core::kSawCount> answers;  // By what came of asking: one a question.
  core::Counter asked;                                 // Questions sent, repeated ones too.
  core::Counter batches;                               // Sent. Each ends as one of the four:
  core::Counter answered_batches;
  core::Counter refused_batches;                       // Answered with 429 or 503.
  core::Counter divided_batches;                       // Too large; what was in it is asked in smaller ones.
  core::Counter failed_batches;
  core::Counter exams_passed;
  core::Counter exams_failed;
  core::Histogram batch;                               // From sending to the answer.
  core::Gauge standing;
};

struct VerifierReading {
  std::string name;
  std::string region;
  std::string url;
  Standing standing = Standing::Unknown;
  core::WallTime since = core::kNoWallTime;  // Of that standing.
  std::string last_error;                    // "" when the newest batch was answered, and it is not wrong.
};

// A batch as it ended.
struct BatchEnd {
  enum class How : std::uint8_t { Answered, Refused, TooLarge, Failed, TimedOut };
  How how = How::Failed;
  std::string body{};     // Answered.
  std::string problem{};  // All but Answered: for people, without secrets.
  std::optional<core::Duration> retry_after{};
};
// What an HTTP answer comes to.
[[nodiscard]] BatchEnd batch_end(int status, std::string body, std::optional<core::Duration> retry_after);

struct VerifierSeat {
  std::string name;
  std::string region;
  std::string url;
};

class Panel : core::Pinned {
 public:
  struct Now {
    core::SteadyTime steady;
    core::WallTime wall;
    bool well_here = false;  // Our canaries are up, as far as we see.
  };
  // Sends a batch; on_end() tells of it later. `timeout`: for the whole of it.
  using Send = std::function<void(std::size_t seat, std::uint64_t batch, std::string body, core::Duration timeout)>;
  using Tell = std::function<void(std::uint64_t asker, sideeffects::SeatAnswer answer)>;
  using Say = std::function<void(const VerifierReading& now, Standing before)>;

  Panel(const PanelLimits& limits, std::vector<VerifierSeat> seats, Send send, Tell tell, Say say);

  // `asker` and the question's id name it. False: full.
  [[nodiscard]] bool ask(std::uint64_t asker, const sideeffects::Question& question, Now now);
  void drop(std::uint64_t asker, std::uint64_t id);
  void on_end(std::size_t seat, std::uint64_t batch, BatchEnd end, Now now);
  // We stood still for so long: whatever waits has so much more time.
  void stalled(core::Duration time);
  // What is up as far as anybody knows; at most kExamCanariesMost of them are asked about.
  void set_canaries(std::vector<std::string> urls);
  // Sends what can be sent, gives up what has no time left.
  void turn(Now now);
  // When turn() has something to do, if nothing comes.
  [[nodiscard]] std::optional<core::SteadyTime> next() const;

  [[nodiscard]] std::size_t questions() const { return questions_.size(); }
  [[nodiscard]] const VerifierStats& stats(std::size_t seat) const { return *seats_[seat].stats; }
  [[nodiscard]] std::vector<VerifierReading> readings() const;

 private:
  using Number = std::uint64_t;  // Of a question, here.
  struct Open {
    std::uint64_t asker = 0;
    std::uint64_t id = 0;
    std::string url;
    core::SiteOptions options;
    core::SteadyTime deadline;
    core::Duration least{};      // With less time it is not sent.
    bool inward = false;         // Its name may be known only where we are.
    std::vector<bool> answered;  // By seat.
    std::size_t left = 0;
    std::multimap<core::SteadyTime, Number>::iterator due;
  };
  struct Batch {
    std::vector<Number> questions;
    core::SteadyTime sent;
    std::size_t exam = 0;  // Of how many checks; 0: it is none.
  };
  struct Seat {
    VerifierReading reading;
    std::deque<Number> queue;
    std::unordered_map<std::uint64_t, Batch> batches;
    std::size_t batch_max = 0;
    core::SteadyTime hold_until = core::kNoSteadyTime;
    core::SteadyTime failed_at = core::kNoSteadyTime;   // The newest failure that was counted.
    core::SteadyTime refused_at = core::kNoSteadyTime;
    std::uint32_t failures = 0;  // Batches in a row.
    core::Saw last_failure = core::Saw::Error;
    std::uint32_t refusals = 0;  // Batches in a row.
    std::uint32_t ups = 0;       // Votes in a row.
    std::vector<std::string> up_urls;  // Of what; at most kSitesToContrary different ones.
    core::SteadyTime exam_at = core::kNoSteadyTime;  // The next; the first at once.
    bool examined = false;                           // An examination is under way.
    std::uint32_t exams_failed = 0;                  // In a row.
    std::string wrong;                               // What it got wrong in the newest.
    std::unique_ptr<VerifierStats> stats;
  };

  void expire(Now now);
  void fill(std::size_t seat, Now now);
  void send_batch(std::size_t seat, Now now);
  void take_answers(std::size_t seat, const Batch& batch, const Reply& reply, Now now);
  void fail_batch(std::size_t seat, Batch&& batch, const BatchEnd& end, Now now);
  void give(std::size_t seat, Number question, core::Witness witness, Now now);
  void examine(std::size_t seat, Now now);
  void mark_exam(Seat& seat, std::size_t checks, const Reply& reply, Now now);
  void stand(Seat& seat, Standing standing, Now now);
  void stand_answered(Seat& seat, Now now);
  [[nodiscard]] static bool contrary(const Seat& seat);
  [[nodiscard]] static bool wrong(const Seat& seat) { return seat.exams_failed >= kExamsToWrong; }
  [[nodiscard]] static bool in_doubt(const Seat& seat) { return seat.failures >= kFailuresToDoubt; }

  const PanelLimits limits_;
  const Send send_;
  const Tell tell_;
  const Say say_;
  std::vector<Seat> seats_;
  std::vector<std::string> canaries_;
  std::unordered_map<Number, Open> questions_;
  std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, Number>> numbers_;  // By asker and id.
  std::multimap<core::SteadyTime, Number> due_;  // Those that are open, by deadline.
  Number last_ = 0;
  std::uint64_t last_batch_ = 0;
};

}  // namespace watchwheel::verify
