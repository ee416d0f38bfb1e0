// SPDX-License-Identifier: Apache-2.0
#include "checker/direct_exchange.h"

#include <sys/epoll.h>

#include <vector>

#include "checker/direct_transfer.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::SteadyTime;
using Wants = DirectTransfer::Wants;

constexpr std::size_t kTlsFactsMax = 1024;
constexpr std::size_t kReadBytes = 16 * 1024;  // A whole TLS record.
constexpr core::Duration kTurnMost = std::chrono::milliseconds{10};
constexpr std::size_t kGoneOnBetweenLooks = 4;  // At the clock.

struct Row {
  std::unique_ptr<DirectTransfer> transfer;  // Null: the row is free.
  ExchangeHandler* handler = nullptr;        // Null as well.
  std::uint64_t tag = 0;
  std::uint32_t generation = 0;
  std::uint32_t watched = 0;  // What the reactor was asked to tell.
  bool pending = false;       // turn() comes to it, and on_io() leaves it to that.
  bool unwatched = false;     // The reactor refused to watch it.
};

ExchangeResult unwatched_result() {
  ExchangeResult result;
  result.cause = core::Cause::LocalResources;
  result.phase = core::Phase::Request;
  result.detail = "no watch for the connection";
  return result;
}

class DirectExchange final : public Exchange, private IoHandler, private DirectHost {
 public:
  DirectExchange(std::size_t transfers_max, Reactor& reactor, const core::Clock& clock,
                 BodyMeans& bodies, bool exact)
      : reactor_(reactor),
        clock_(clock),
        bodies_(bodies),
        exact_(exact),
        facts_(kTlsFactsMax),
        room_(kReadBytes),
        transfers_max_(transfers_max),
        now_(clock.steady()) {}
  ~DirectExchange() override {
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].handler != nullptr) release(i);
    }
  }

  ExchangeId begin(const ExchangeRequest& request, ExchangeHandler& handler, std::uint64_t tag,
                   SteadyTime now) override;
  bool came(ExchangeId exchange) override { return rows_[index_of(exchange)].transfer->came(); }
  ExchangeResult expire(ExchangeId exchange, core::Duration allowed, SteadyTime now) override;
  void cancel(ExchangeId exchange, SteadyTime now) override;
  void turn(SteadyTime now) override;
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const override {
    if (pending_.empty()) return std::nullopt;
    return now_;
  }

 private:
  // DirectHost
  [[nodiscard]] SteadyTime now() const noexcept override { return exact_ ? clock_.steady() : now_; }
  [[nodiscard]] core::WallTime wall() const override { return clock_.wall(); }
  [[nodiscard]] TlsFactsCache& facts() noexcept override { return facts_; }
  [[nodiscard]] BodyMeans& bodies() noexcept override { return bodies_; }
  [[nodiscard]] TlsContexts& contexts() noexcept override { return contexts_; }
  [[nodiscard]] std::span<char> read_room() noexcept override { return room_; }
  // IoHandler
  void on_io(int fd, std::uint32_t events, std::uint64_t tag, SteadyTime now) noexcept override;

  void heed(std::uint32_t index, Wants wants);
  void watch(std::uint32_t index, std::uint32_t events);
  void leave_to_turn(std::uint32_t index);
  void deliver(std::uint32_t index, ExchangeResult&& result);
  void release(std::uint32_t index);
  // Null: it has ended.
  [[nodiscard]] Row* find(ExchangeId exchange);
  [[nodiscard]] std::uint32_t index_of(ExchangeId exchange);
  [[nodiscard]] ExchangeId id_of(std::uint32_t index) const {
    return (static_cast<ExchangeId>(rows_[index].generation) << 32U) | (index + 1);
  }

  Reactor& reactor_;
  const core::Clock& clock_;
  BodyMeans& bodies_;
  bool exact_;
  TlsFactsCache facts_;
  TlsContexts contexts_;
  std::vector<char> room_;
  std::size_t transfers_max_;
  std::vector<Row> rows_;            // As many as there ever were at once.
  std::vector<std::uint32_t> free_;  // Last out, first in: the warm ones.
  std::vector<ExchangeId> pending_;  // Each once: to be gone on with, or told of, at the next turn.
  SteadyTime now_;
};

// ---- beginning and ending ----

ExchangeId DirectExchange::begin(const ExchangeRequest& request, ExchangeHandler& handler,
                                 std::uint64_t tag, SteadyTime now) {
  now_ = now;
  if (free_.empty()) {
    ENSURE(rows_.size() < transfers_max_, "more exchanges than the table may have rows");
    free_.push_back(static_cast<std::uint32_t>(rows_.size()));
    rows_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Row& row = rows_[index];
  row.handler = &handler;
  row.tag = tag;
  row.watched = 0;
  row.pending = false;
  row.unwatched = false;
  row.generation = (row.generation + 1) & kExchangeUsesMask;
  DirectHost& host = *this;
  row.transfer = std::make_unique<DirectTransfer>(host);
  const Wants wants = row.transfer->begin(request, handler, tag);
  if (wants == Wants::Nothing) {
    leave_to_turn(index);
  } else {
    heed(index, wants);
  }
  return id_of(index);
}

ExchangeResult DirectExchange::expire(ExchangeId exchange, core::Duration allowed, SteadyTime now) {
  now_ = now;
  const std::uint32_t index = index_of(exchange);
  ExchangeResult result =
      rows_[index].unwatched ? unwatched_result() : rows_[index].transfer->finish_expired(allowed);
  release(index);
  return result;
}

void DirectExchange::cancel(ExchangeId exchange, SteadyTime now) {
  now_ = now;
  release(index_of(exchange));
}

Row* DirectExchange::find(ExchangeId exchange) {
  const auto index = static_cast<std::uint32_t>(exchange & 0xffff'ffffU) - 1;
  if (index >= rows_.size() || rows_[index].handler == nullptr || id_of(index) != exchange)
    return nullptr;
  return &rows_[index];
}

std::uint32_t DirectExchange::index_of(ExchangeId exchange) {
  const Row* row = find(exchange);
  ENSURE(row != nullptr, "an exchange that has ended");
  return static_cast<std::uint32_t>(row - rows_.data());
}

void DirectExchange::release(std::uint32_t index) {
  Row& row = rows_[index];
  if (row.transfer->fd() != -1) reactor_.forget(row.transfer->fd());
  row.transfer.reset();
  row.handler = nullptr;
  free_.push_back(index);
}

void DirectExchange::deliver(std::uint32_t index, ExchangeResult&& result) {
  ExchangeHandler* handler = rows_[index].handler;
  const std::uint64_t tag = rows_[index].tag;
  release(index);
  handler->on_exchanged(tag, std::move(result), now());
}

// ---- going on ----

void DirectExchange::heed(std::uint32_t index, Wants wants) {
  switch (wants) {
    case Wants::Read:
      watch(index, EPOLLIN);
      return;
    case Wants::Write:
      // Not EPOLLIN beside it: what a server has said, and nobody reads now, would be told again and again.
      watch(index, EPOLLOUT);
      return;
    case Wants::Either:
      watch(index, EPOLLIN | EPOLLOUT);
      return;
    case Wants::Turn:
      leave_to_turn(index);
      return;
    case Wants::Nothing:
      deliver(index, rows_[index].transfer->finish());
      return;
  }
}

void DirectExchange::watch(std::uint32_t index, std::uint32_t events) {
  Row& row = rows_[index];
  if (row.watched == events) return;
  row.watched = events;
  if (reactor_.watch(row.transfer->fd(), events, *this, id_of(index))) return;
  row.unwatched = true;
  leave_to_turn(index);
}

void DirectExchange::leave_to_turn(std::uint32_t index) {
  rows_[index].pending = true;
  pending_.push_back(id_of(index));
}

void DirectExchange::on_io(int /*fd*/, std::uint32_t /*events*/, std::uint64_t tag,
                           SteadyTime now) noexcept {
  now_ = now;
  const std::uint32_t index = index_of(tag);
  // Else each turn would go on with it once more than the one before: the socket tells of the same bytes again and again.
  if (rows_[index].pending) return;
  heed(index, rows_[index].transfer->go_on());
}

void DirectExchange::turn(SteadyTime now) {
  now_ = now;
  if (pending_.empty()) return;
  std::vector<ExchangeId> pending;
  pending.swap(pending_);
  const SteadyTime until = clock_.steady() + kTurnMost;
  std::size_t next = 0;
  while (next < pending.size()) {
    const Row* row = find(pending[next++]);
    if (row == nullptr) continue;  // Ended meanwhile.
    const auto index = static_cast<std::uint32_t>(row - rows_.data());
    rows_[index].pending = false;
    if (rows_[index].unwatched) {
      deliver(index, unwatched_result());
    } else {
      heed(index, rows_[index].transfer->go_on());
    }
    if (next % kGoneOnBetweenLooks == 0 && clock_.steady() >= until) break;
  }
  const auto left = pending.begin() + static_cast<std::ptrdiff_t>(next);
  pending_.insert(pending_.begin(), left, pending.end());
}

}  // namespace

bool is_direct(const ExchangeRequest& request) {
  const ProbePlan& plan = *request.plan;
  const bool is_plain_method = request.method == "GET" || request.method == "HEAD";
  const bool sends_body = request.with_body && !plan.options.body.empty();
  const bool asks_for_http2 =
      plan.http == HttpVersion::V2 && request.target->tls && !request.no_http2;
  return is_plain_method && !sends_body && !asks_for_http2 && !plan.frames_itself;
}

std::unique_ptr<Exchange> make_direct_exchange(std::size_t transfers_max, Reactor& reactor,
                                               const core::Clock& clock, BodyMeans& bodies,
                                               bool exact) {
  return std::make_unique<DirectExchange>(transfers_max, reactor, clock, bodies, exact);
}

}  // namespace watchwheel::checker
