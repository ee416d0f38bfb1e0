// SPDX-License-Identifier: Apache-2.0
// The in-flight table and the walk of a probe over its stages: resolve -> guard -> dial -> exchange, hop by hop.
//
// Each row is in one state; whatever ends a stage finds its row by tag (index and generation) and moves it on. The stages
// never call back from inside the call that began them, so a row is never moved twice by one event.
#include "checker/checker.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "checker/content_judge.h"
#include "checker/dialer.h"
#include "checker/exchange_router.h"
#include "checker/judge_thread.h"
#include "checker/plan.h"
#include "checker/reactor.h"
#include "checker/redirect_policy.h"
#include "checker/resolver.h"
#include "checker/safe_text.h"
#include "checker/target.h"
#include "checker/warm_up.h"
#include "core/ensure.h"
#include "core/owner.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;
using core::SteadyTime;
using core::Warning;

constexpr std::size_t kDetailBytesMax = 512;
// Answers away at the judge's thread. Some ms each are the most that makes sense; more would be late.
constexpr std::size_t kJudgedMax = 1000;
// After the deadline the dialer tells in the same turn what it came to; should it not, we do.
constexpr core::Duration kDialGrace = std::chrono::milliseconds{20};
// Turns in which an answer is read on after its deadline, without a pause, while something comes in each. Of a long answer that is
// here as a whole one turn reads a part, of 128 KiB at the most and often less: who was late would else tell it as a slow one.
constexpr std::uint8_t kLateTurns = 32;

enum class State : std::uint8_t { Free, Fresh, Resolving, Dialing, Exchanging, Judging };

Phase phase_of(State state) {
  if (state == State::Dialing) return Phase::Connect;
  if (state == State::Judging) return Phase::Content;
  return state == State::Exchanging ? Phase::Request : Phase::Dns;
}

// How a probe goes, where that is asked for.
struct Traced {
  core::ProbeTrace trace;
  SteadyTime hop_since;
  [[nodiscard]] core::HopTrace& hop() { return trace.hops.back(); }
};

struct Row {
  State state = State::Free;
  std::uint8_t late_turns = 0;  // That its answer was read on in after the deadline.
  std::uint32_t generation = 0;
  ProbeToken token = 0;
  PlanRef plan;
  std::string problem;  // Why the URL cannot be asked; empty when it can.
  Target first;         // Of the URL asked for.
  Target at;            // Of this hop.
  std::string method;
  bool with_body = false;
  bool at_origin = true;
  bool no_http2 = false;                 // This hop's server does not want it.
  RedirectStep step;                     // Decided at the response header, done at its end.
  std::unique_ptr<RedirectTrail> trail;  // From the first redirect on.
  SteadyTime deadline;
  SteadyTime stage_since;  // When the stage that is under way began.
  TimerId timer = 0;
  DialId dial = 0;
  ExchangeId exchange = 0;
  core::ProbeResult result;
  std::unique_ptr<Traced> traced;  // Null: nobody asked.
};

// The options' own go where credentials may; those of earlier hops where they belong.
std::string cookies_of(const Row& row) {
  const std::string_view own = row.at_origin ? std::string_view(row.plan->cookies) : "";
  return row.trail ? row.trail->cookies.header_for(row.at, own) : std::string(own);
}

class LaneChecker final : public Checker,
                          private ResolveHandler,
                          private DialHandler,
                          private ExchangeHandler,
                          private JudgeHandler,
                          private TimerHandler {
 public:
  LaneChecker(const Settings& settings, std::vector<Cidr> allow, const core::Clock& clock,
              ResultHandler& handler, std::unique_ptr<Reactor> reactor)
      : clock_(clock),
        handler_(handler),
        reactor_(std::move(reactor)),
        bodies_{{}, KeptBytes{settings.limits.kept_body_bytes_max}},
        rows_max_(settings.limits.in_flight_max),
        limit_(settings.limits.in_flight_max),
        trace_(settings.trace) {
    ground_.user_agent = settings.user_agent;
    ground_.allow = std::move(allow);
    ground_.trust = std::make_shared<TrustStores>(&stats_, settings.limits.tls_chains_max);
    // Room for all of them, so that none ever moves; memory is taken by those that are used.
    rows_.reserve(rows_max_);
  }
  ~LaneChecker() override;

  [[nodiscard]] core::Result<void> open(const Settings& settings);

  [[nodiscard]] core::Result<PlanRef> prepare(const core::CheckOptions& options) override;
  [[nodiscard]] Start start(ProbeToken token, std::string_view url, const PlanRef& plan,
                            SteadyTime now) override;
  void cancel_all(SteadyTime now) override;
  void warm_up() override;
  void give_back_memory() override;
  void set_in_flight_limit(std::size_t limit) override { limit_ = std::min(limit, rows_max_); }
  [[nodiscard]] std::size_t in_flight() const override { return rows_.size() - free_.size(); }

  [[nodiscard]] int descriptor() const override { return reactor_->descriptor(); }
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const override;
  void turn(SteadyTime now) override;
  [[nodiscard]] bool behind() const override { return reactor_->more_ready(); }
  [[nodiscard]] ReactorWaits answers_wait() const override { return reactor_->waits(); }
  [[nodiscard]] const Stats& stats() const override { return stats_; }

 private:
  void on_resolved(std::uint64_t tag, const Resolution& resolution,
                   SteadyTime now) noexcept override;
  void on_dialed(std::uint64_t tag, Dialed&& dialed, SteadyTime now) noexcept override;
  HeadAnswer on_head(std::uint64_t tag, const ResponseHead& head) noexcept override;
  void on_exchanged(std::uint64_t tag, ExchangeResult&& result, SteadyTime now) noexcept override;
  void on_judged(const JudgeJob& job, SteadyTime now) noexcept override;
  void on_timer(std::uint64_t tag, SteadyTime now) noexcept override;

  [[nodiscard]] PlanRef in_force(const PlanRef& plan, SteadyTime now);
  void renew(const ProbePlan& plan, SteadyTime now);
  void begin_hop(Row& row, SteadyTime now);
  static void trace_hop_begin(Row& row, SteadyTime now);
  static void trace_hop_end(Row& row, SteadyTime now);
  void resolved(Row& row, const Resolution& resolution, SteadyTime now);
  void dial(Row& row, std::span<const IpAddress> addresses, SteadyTime now);
  void note_redirect(Row& row, const ResponseHead& head);
  void note_exchange(Row& row, ExchangeResult& result, SteadyTime now);
  void take_step(Row& row, SteadyTime now);
  void judge_response(Row& row, ExchangeResult&& result, SteadyTime now);
  void finish_unbegun(Row& row, SteadyTime now);
  void expire_resolving(Row& row, SteadyTime now);
  void expire_dialing(Row& row, std::uint64_t tag, SteadyTime now);
  void drop_stage(Row& row, SteadyTime now);
  void finish(Row& row, Cause cause, Phase phase, std::string_view detail, SteadyTime now);
  void add_warnings(Row& row, core::Duration total);
  void count(const core::ProbeResult& result);
  [[nodiscard]] Row& row_of(std::uint64_t tag);
  [[nodiscard]] std::uint64_t tag_of(const Row& row) const {
    return (static_cast<std::uint64_t>(row.generation) << 32U) |
           static_cast<std::uint64_t>(&row - rows_.data());
  }

  const core::Clock& clock_;
  ResultHandler& handler_;
  core::ThreadOwner owner_;
  PlanGround ground_;
  Stats stats_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Dialer> dialer_;
  BodyMeans bodies_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<JudgeThread> judge_;
  const std::size_t rows_max_;
  std::vector<Row> rows_;  // As many as were in flight at once.
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> fresh_;  // Started, not begun.
  std::vector<std::uint32_t> begun_;  // The fresh ones of this turn; a member for its memory.
  std::size_t limit_;
  bool trace_;  // Results say how the probe went.
  SteadyTime now_;
};

core::Result<void> LaneChecker::open(const Settings& settings) {
  std::vector<Endpoint> servers;
  for (const std::string& text : settings.resolvers) {
    auto server = parse_endpoint(text, 53);
    if (!server)
      return core::Error{core::ErrorKind::Invalid, "resolvers: " + server.error().message};
    servers.push_back(*server);
  }
  auto resolver = Resolver::make({.cache_entries_max = settings.limits.dns_cache_entries_max,
                                   .keep_max = settings.limits.dns_keep_max},
                                 servers, *reactor_, stats_);
  if (!resolver) return resolver.error();
  resolver_ = std::move(*resolver);
  const std::size_t pairs_max = std::max<std::size_t>(1, rows_max_ / 4);
  dialer_ = Dialer::make(rows_max_, pairs_max, *reactor_);
  exchange_ = make_exchange_router(rows_max_, *reactor_, clock_, bodies_, stats_, trace_);
  JudgeHandler& judged = *this;
  judge_ = std::make_unique<JudgeThread>(std::min(rows_max_, kJudgedMax), *reactor_, clock_,
                                         judged);
  return {};
}

LaneChecker::~LaneChecker() {
  for (Row& row : rows_) {
    if (row.state != State::Free) drop_stage(row, now_);
  }
}

core::Result<PlanRef> LaneChecker::prepare(const core::CheckOptions& options) {
  owner_.ensure_here();
  auto plan = make_plan(options, ground_, clock_.wall());
  if (!plan) return plan.error();
  if (!(*plan)->resolvers.empty()) {
    auto servers = resolver_->server_set((*plan)->resolvers);
    if (!servers) return servers.error();
    (*plan)->servers = *servers;
  }
  if (trace_) checker::warm_up(**plan, clock_);
  return PlanRef(std::move(*plan));
}

void LaneChecker::warm_up() {
  owner_.ensure_here();
  if (const auto plan = make_plan({}, ground_, clock_.wall())) checker::warm_up(**plan, clock_);
}

// By what its files hold now.
PlanRef LaneChecker::in_force(const PlanRef& plan, SteadyTime now) {
  if (plan->files.empty()) return plan;
  if (now >= plan->renewal.look_at) renew(*plan, now);
  return plan->renewal.successor ? plan->renewal.successor : plan;
}

void LaneChecker::renew(const ProbePlan& plan, SteadyTime now) {
  PlanRenewal& renewal = plan.renewal;
  renewal.look_at = now + FileStamp::kLookEvery;
  const FileStamp stamp = stamp_of(plan.files);
  if (stamp.text == renewal.stamp) return;
  if (!stamp.is_quiet(clock_.wall())) {
    renewal.look_at = now + FileStamp::kQuiet;
    return;
  }
  auto made = prepare(plan.options);
  (made ? stats_.trust_reloads : stats_.trust_reload_failures).add();
  if (!made) return;
  renewal.stamp = (*made)->renewal.stamp;
  renewal.successor = std::move(*made);
}

// ---- one probe, from start to finish ----

Start LaneChecker::start(ProbeToken token, std::string_view url, const PlanRef& plan,
                         SteadyTime now) {
  owner_.ensure_here();
  ENSURE(plan != nullptr, "a probe without a plan");
  if (in_flight() >= limit_) return Start::Full;
  if (free_.empty()) {
    ENSURE(rows_.size() < rows_max_, "more probes in flight than there is room for");
    free_.push_back(static_cast<std::uint32_t>(rows_.size()));
    rows_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Row& row = rows_[index];
  ++row.generation;
  row.state = State::Fresh;
  row.late_turns = 0;
  row.token = token;
  row.plan = in_force(plan, now);
  row.method = plan->options.method;
  row.with_body = true;
  row.at_origin = true;
  row.no_http2 = false;
  row.deadline = now + plan->options.timeout;
  row.stage_since = now;
  row.result = core::ProbeResult{};
  row.result.started = now;
  row.result.started_at = clock_.wall();
  if (trace_) row.traced = std::make_unique<Traced>();
  auto target = parse_target(url);
  if (target) {
    row.problem.clear();
    row.first = std::move(*target);
    row.at = row.first;
  } else {
    row.problem = target.error().message;
  }
  row.timer = reactor_->arm(row.deadline, *this, tag_of(row));
  fresh_.push_back(index);
  stats_.in_flight.set(static_cast<double>(in_flight()));
  return Start::Started;
}

void LaneChecker::turn(SteadyTime now) {
  owner_.ensure_here();
  now_ = now;
  begun_.clear();
  begun_.swap(fresh_);
  for (const std::uint32_t index : begun_) {
    Row& row = rows_[index];
    if (row.state != State::Fresh) continue;
    if (now < row.deadline) {
      begin_hop(row, now);
    } else {
      finish_unbegun(row, now);
    }
  }
  reactor_->run(now);
  exchange_->turn(now);
}

std::optional<SteadyTime> LaneChecker::next_deadline() const {
  if (!fresh_.empty() || reactor_->more_ready()) return now_;
  std::optional<SteadyTime> next = reactor_->next_timer();
  const std::optional<SteadyTime> transfers = exchange_->next_deadline();
  if (transfers && (!next || *transfers < *next)) next = transfers;
  return next;
}

void LaneChecker::begin_hop(Row& row, SteadyTime now) {
  row.result.timings = core::Timings{};
  row.result.tls.reset();  // What the hop before showed is another server's.
  row.result.addresses_tried = 0;
  row.result.address.clear();
  row.step = RedirectStep{};
  row.stage_since = now;
  if (row.traced) trace_hop_begin(row, now);
  if (!row.problem.empty()) {
    finish(row, Cause::TargetInvalid, Phase::Dns, row.problem, now);
    return;
  }
  if (row.at.literal) {
    dial(row, std::span(&*row.at.literal, 1), now);
    return;
  }
  row.state = State::Resolving;
  Resolution known;
  if (resolver_->resolve(row.at.host, row.plan->options.ip, row.plan->servers, now, *this,
                         tag_of(row), known)) {
    resolved(row, known, now);
  }
}

void LaneChecker::trace_hop_begin(Row& row, SteadyTime now) {
  row.traced->hop_since = now;
  row.traced->trace.hops.emplace_back().url = row.problem.empty() ? row.at.url() : "";
}

void LaneChecker::trace_hop_end(Row& row, SteadyTime now) {
  if (row.traced->trace.hops.empty()) return;  // It was not begun.
  core::HopTrace& hop = row.traced->hop();
  hop.status = row.result.http_status;
  hop.timings = row.result.timings;
  hop.timings.total = now - row.traced->hop_since;
}

void LaneChecker::on_resolved(std::uint64_t tag, const Resolution& resolution,
                              SteadyTime now) noexcept {
  Row& row = row_of(tag);
  ENSURE(row.state == State::Resolving, "an answer for a probe that asked for no name");
  resolved(row, resolution, now);
}

void LaneChecker::resolved(Row& row, const Resolution& resolution, SteadyTime now) {
  row.result.timings.dns = now - row.stage_since;
  if (row.traced) {
    row.traced->hop().dns_cached = resolution.cached;
    for (const IpAddress& ip : resolution.addresses)
      row.traced->hop().addresses.push_back(to_string(ip));
  }
  if (resolution.cause != Cause::Ok) {
    finish(row, resolution.cause, Phase::Dns, resolution.detail, now);
    return;
  }
  dial(row, resolution.addresses, now);
}

void LaneChecker::dial(Row& row, std::span<const IpAddress> addresses, SteadyTime now) {
  row.state = State::Dialing;
  row.stage_since = now;
  const DialRequest request{
      .addresses = addresses,
      .port = row.at.port,
      .allow = row.plan->allow,
      .allow_private = row.plan->options.allow_private,
      .deadline = std::min(now + row.plan->options.connect_timeout, row.deadline),
      .trace = row.traced != nullptr};
  row.dial = dialer_->dial(request, *this, tag_of(row), now);
}

void LaneChecker::on_dialed(std::uint64_t tag, Dialed&& dialed, SteadyTime now) noexcept {
  Row& row = row_of(tag);
  ENSURE(row.state == State::Dialing, "a connection for a probe that dialled none");
  row.dial = 0;
  row.result.addresses_tried = dialed.tried;
  if (row.traced) row.traced->hop().tries = std::move(dialed.tries);
  if (dialed.tried > 0 || dialed.cause == Cause::Ok)
    row.result.address = to_string(dialed.endpoint.ip);
  if (dialed.no_port) stats_.dials_without_port.add();
  if (dialed.cause != Cause::Ok) {
    finish(row, dialed.cause, Phase::Connect, dialed.detail, now);
    return;
  }
  row.result.timings.connect = now - row.stage_since;
  row.state = State::Exchanging;
  row.stage_since = now;
  const ExchangeRequest request{.fd = dialed.fd,
                                .peer = dialed.endpoint,
                                .target = &row.at,
                                .plan = row.plan.get(),
                                .method = row.method,
                                .with_body = row.with_body,
                                .at_origin = row.at_origin,
                                .cookies = cookies_of(row),
                                .trace = row.traced != nullptr,
                                .no_http2 = row.no_http2};
  row.exchange = exchange_->begin(request, *this, tag, now);
}

HeadAnswer LaneChecker::on_head(std::uint64_t tag, const ResponseHead& head) noexcept {
  Row& row = row_of(tag);
  row.result.http_status = head.status;
  if (may_redirect(row.plan->options, head)) note_redirect(row, head);
  const Hop hop{.at = row.at,
                .first = row.first,
                .method = row.method,
                .redirects = row.result.redirects,
                .trail = row.trail.get()};
  row.step = decide_redirect(row.plan->options, hop, row.at_origin, head);
  if (row.step.kind != RedirectStep::Kind::Judge) return HeadAnswer::Enough;
  return core::status_expected(row.plan->options, head.status) ? HeadAnswer::ReadBody
                                                               : HeadAnswer::Enough;
}

// What was asked, and what the answer wants to be sent along from now on.
void LaneChecker::note_redirect(Row& row, const ResponseHead& head) {
  if (!row.trail) row.trail = std::make_unique<RedirectTrail>();
  row.trail->note(row.at, row.method);
  for (const std::string& cookie : head.cookies)
    row.trail->cookies.take(cookie, row.at, clock_.wall());
}

void LaneChecker::on_exchanged(std::uint64_t tag, ExchangeResult&& result,
                               SteadyTime now) noexcept {
  Row& row = row_of(tag);
  ENSURE(row.state == State::Exchanging, "a response for a probe that asked nothing");
  row.exchange = 0;
  note_exchange(row, result, now);
  if (result.wants_http1 && !row.no_http2) {
    row.no_http2 = true;
    if (row.traced) trace_hop_end(row, now);
    begin_hop(row, now);
  } else if (result.cause != Cause::Ok) {
    finish(row, result.cause, result.phase, result.detail, now);
  } else if (row.step.kind != RedirectStep::Kind::Judge) {
    take_step(row, now);
  } else {
    judge_response(row, std::move(result), now);
  }
}

// Times, body size and certificate of a response, whole or not. Its header lines are moved out of it.
void LaneChecker::note_exchange(Row& row, ExchangeResult& result, SteadyTime now) {
  core::Timings& timings = row.result.timings;
  const SteadyTime ready = result.tls_done.value_or(row.stage_since);
  row.result.asked = ready - row.result.started;
  if (result.tls_done) timings.tls = *result.tls_done - row.stage_since;
  if (result.first_byte) {
    timings.first_byte = *result.first_byte - ready;
    timings.transfer = now - *result.first_byte;
  }
  if (result.body) {
    row.result.body_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(result.body->bytes(), UINT32_MAX));
  }
  if (result.tls) row.result.tls = result.tls;
  if (row.traced) {
    row.traced->hop().http_version = result.head.version;
    row.traced->hop().request = std::move(result.request_lines);
    row.traced->hop().response = std::move(result.response_lines);
  }
}

void LaneChecker::take_step(Row& row, SteadyTime now) {
  if (row.step.kind == RedirectStep::Kind::Fail) {
    finish(row, row.step.cause, Phase::FirstByte, row.step.detail, now);
    return;
  }
  ++row.result.redirects;
  if (row.step.downgrade) row.result.warnings.add(Warning::RedirectDowngrade);
  row.at = std::move(row.step.next);
  row.method = std::move(row.step.method);
  row.with_body = row.with_body && row.step.keeps_body;
  row.at_origin = row.step.at_origin;
  row.no_http2 = false;
  row.result.final_url = url_without_secrets(row.at.url());
  if (row.traced) trace_hop_end(row, now);
  row.result.http_status = 0;
  begin_hop(row, now);
}

void LaneChecker::judge_response(Row& row, ExchangeResult&& result, SteadyTime now) {
  if (!core::status_expected(row.plan->options, result.head.status)) {
    std::string detail = std::to_string(result.head.status);
    if (!result.head.reason.empty()) detail += " " + result.head.reason;
    finish(row, Cause::HttpStatus, Phase::FirstByte, detail, now);
    return;
  }
  stats_.kept_body_bytes.set(static_cast<double>(bodies_.kept.used()));
  if (result.body && result.body->not_kept()) stats_.bodies_not_kept.add();
  result.home_page = row.method == "GET" && row.at.path == "/" && result.head.status == 200;
  if (!judge_->has(*row.plan) && judged_quickly(*row.plan, result)) {
    if (row.traced) row.traced->trace.findings = content_findings(*row.plan, row.method, result);
    const Verdict verdict = judge_content(*row.plan, row.method, result);
    finish(row, verdict.cause, verdict.phase, verdict.detail, now);
    return;
  }
  auto job = std::make_unique<JudgeJob>();
  job->tag = tag_of(row);
  job->plan = row.plan;
  job->method = row.method;
  job->result = std::move(result);
  job->deadline = row.deadline;
  job->wants_findings = row.traced != nullptr;
  row.state = State::Judging;
  const bool offered = judge_->offer(std::move(job));
  stats_.judging.set(static_cast<double>(judge_->away()));
  if (offered) return;
  finish(row, Cause::LocalResources, Phase::Content,
         "too many answers wait for their expressions and JSON to be judged", now);
}

void LaneChecker::on_judged(const JudgeJob& job, SteadyTime now) noexcept {
  stats_.judging.set(static_cast<double>(judge_->away()));
  // The row may have ended at its deadline, and be another probe's.
  Row& row = rows_[job.tag & 0xffff'ffffU];
  if (row.state != State::Judging || tag_of(row) != job.tag) return;
  if (row.traced) row.traced->trace.findings = job.findings;
  finish(row, job.verdict.cause, job.verdict.phase, job.verdict.detail, now);
}

// ---- deadlines ----

void LaneChecker::on_timer(std::uint64_t tag, SteadyTime now) noexcept {
  Row& row = row_of(tag);
  row.timer = 0;
  switch (row.state) {
    case State::Fresh:
      finish(row, Cause::LocalOverload, Phase::Dns, "the check was not begun within its whole time",
             now);
      return;
    case State::Resolving:
      expire_resolving(row, now);
      return;
    case State::Dialing:
      expire_dialing(row, tag, now);
      return;
    case State::Exchanging: {
      if (row.late_turns < kLateTurns && exchange_->came(row.exchange)) {
        ++row.late_turns;
        row.timer = reactor_->arm(row.deadline, *this, tag);
        return;
      }
      ExchangeResult result =
          exchange_->expire(std::exchange(row.exchange, 0), row.plan->options.timeout, now);
      note_exchange(row, result, now);
      finish(row, result.cause, result.phase, result.detail, now);
      return;
    }
    case State::Judging:
      finish(row, Cause::LocalResources, Phase::Content,
             "the answer came, but its expressions and JSON were not judged in time", now);
      return;
    case State::Free:
      break;
  }
  ENSURE(false, "a deadline of a probe that has ended");
}

void LaneChecker::finish_unbegun(Row& row, SteadyTime now) {
  finish(row, Cause::LocalOverload, Phase::Dns, "the check was not begun within its whole time",
         now);
}

// The resolver tells a silent name from a silent resolver, but takes its time; when ours is shorter it says what it knows so far.
void LaneChecker::expire_resolving(Row& row, SteadyTime now) {
  const Cause known =
      resolver_->cancel(row.at.host, row.plan->options.ip, row.plan->servers, tag_of(row));
  row.result.timings.dns = now - row.stage_since;
  std::string detail =
      "no address for " + row.at.host + " within " + core::humanize(now - row.stage_since);
  if (known == Cause::DnsTimeout) detail += ": its name servers do not answer";
  if (known == Cause::ResolverUnreachable) detail += ": the resolver answers nothing";
  if (known == Cause::LocalOverload) detail += ": we were too late for it";
  ENSURE(known != Cause::Cancelled, "the resolver does not know a probe that waits for it");
  finish(row, known, Phase::Dns, detail, now);
}

void LaneChecker::expire_dialing(Row& row, std::uint64_t tag, SteadyTime now) {
  if (now < row.deadline + kDialGrace) {
    row.timer = reactor_->arm(row.deadline + kDialGrace, *this, tag);
    return;
  }
  dialer_->cancel(std::exchange(row.dial, 0));
  finish(row, Cause::ConnectTimeout, Phase::Connect,
         "no connection within the check's " + core::humanize(row.plan->options.timeout), now);
}

void LaneChecker::give_back_memory() {
  owner_.ensure_here();
  resolver_->give_back_memory();
  ground_.trust->give_back_memory();
}

void LaneChecker::cancel_all(SteadyTime now) {
  owner_.ensure_here();
  now_ = now;
  judge_->forget();
  for (Row& row : rows_) {
    if (row.state == State::Free) continue;
    const Phase phase = phase_of(row.state);
    drop_stage(row, now);
    finish(row, Cause::Cancelled, phase, "cancelled", now);
  }
}

// Tells whoever works for this row that it is gone.
void LaneChecker::drop_stage(Row& row, SteadyTime now) {
  switch (row.state) {
    case State::Resolving:
      resolver_->cancel(row.at.host, row.plan->options.ip, row.plan->servers, tag_of(row));
      break;
    case State::Dialing:
      dialer_->cancel(std::exchange(row.dial, 0));
      break;
    case State::Exchanging:
      exchange_->cancel(std::exchange(row.exchange, 0), now);
      break;
    case State::Judging:  // What comes of it finds no row.
    case State::Free:
    case State::Fresh:
      break;
  }
}

// ---- the result ----

void LaneChecker::finish(Row& row, Cause cause, Phase phase, std::string_view detail,
                         SteadyTime now) {
  row.result.cause = cause;
  row.result.phase = phase;
  row.result.timings.total = now - row.result.started;
  row.result.detail = safe_text(detail, kDetailBytesMax);
  add_warnings(row, row.result.timings.total);

  if (row.traced) {
    trace_hop_end(row, now);
    row.result.trace = std::make_shared<const core::ProbeTrace>(std::move(row.traced->trace));
    row.traced.reset();
  }
  core::ProbeResult result = std::move(row.result);
  const ProbeToken token = row.token;
  reactor_->disarm(std::exchange(row.timer, 0));
  row.plan.reset();
  row.trail.reset();
  row.state = State::Free;
  free_.push_back(static_cast<std::uint32_t>(&row - rows_.data()));
  count(result);
  handler_.on_result(token, std::move(result));
}

void LaneChecker::add_warnings(Row& row, core::Duration total) {
  core::ProbeResult& result = row.result;
  const core::Duration limit = row.plan->options.latency_warning;
  if (limit > core::Duration::zero() && total > limit)
    result.warnings.add(Warning::LatencyExceeded);
  if (!result.tls) return;
  if (result.tls->version == "TLSv1" || result.tls->version == "TLSv1.1" ||
      result.tls->version == "SSLv3") {
    result.warnings.add(Warning::TlsDeprecated);
  }
  if (core::expiry_step_days(result.tls->not_after, clock_.wall()) != 0)
    result.warnings.add(Warning::TlsExpiring);
}

void LaneChecker::count(const core::ProbeResult& result) {
  stats_.in_flight.set(static_cast<double>(in_flight()));
  stats_.results[static_cast<std::size_t>(result.cause)].add();
  stats_.duration.observe(result.timings.total);
  const core::Timings& t = result.timings;
  const std::array<std::optional<core::Duration>, kTimedPhases.size()> phases{
      t.dns, t.connect, t.tls, t.first_byte, t.transfer};
  for (std::size_t i = 0; i < phases.size(); ++i) {
    if (phases[i]) stats_.phase_duration[i].observe(*phases[i]);
  }
}

Row& LaneChecker::row_of(std::uint64_t tag) {
  const std::uint64_t index = tag & 0xffff'ffffU;
  ENSURE(index < rows_.size() &&
             rows_[index].generation == static_cast<std::uint32_t>(tag >> 32U) &&
             rows_[index].state != State::Free,
         "an event for a probe that has ended");
  return rows_[index];
}

}  // namespace

core::Result<std::unique_ptr<Checker>> Checker::make(const Settings& settings,
                                                     const core::Clock& clock,
                                                     ResultHandler& handler) {
  std::vector<Cidr> allow;
  for (const std::string& text : settings.allow) {
    auto block = parse_cidr(text);
    if (!block) return core::Error{core::ErrorKind::Invalid, "allow: " + block.error().message};
    allow.push_back(*block);
  }
  auto reactor = Reactor::make(settings.limits.events_per_turn, &clock);
  if (!reactor) return reactor.error();
  auto made = std::make_unique<LaneChecker>(settings, std::move(allow), clock, handler,
                                            std::move(*reactor));
  if (auto opened = made->open(settings); !opened) return opened.error();
  return std::unique_ptr<Checker>(std::move(made));
}

}  // namespace watchwheel::checker
