// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/projector.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::ErrorKind;
using core::FreshnessMark;
using core::SteadyTime;

Projector::Projector(const ProjectorLimits& limits, std::vector<MarkRing*> rings,
                     FreshnessSink& sink, const core::Clock& clock, std::uint64_t jitter_seed,
                     ResponseGatherer* gatherer)
    : limits_(limits),
      rings_(std::move(rings)),
      sink_(sink),
      clock_(clock),
      jitter_seed_(jitter_seed),
      gatherer_(gatherer) {
  ENSURE(limits.pending_max > 0 && limits.batch_max > 0, "a projector needs room for a mark");
}

std::size_t Projector::turn(SteadyTime now) {
  now_ = now;
  take_marks();
  std::size_t written = 0;
  while (now_ >= retry_at_) {
    if (parts_.empty() && !batch_is_due()) break;
    if (parts_.empty()) make_batch();
    if (!write_part(written)) break;
  }
  publish();
  return written;
}

SteadyTime Projector::next_turn() const {
  if (!parts_.empty()) return std::min(now_ + limits_.poll, std::max(now_, retry_at_));
  return flushing_ && !idle() ? now_ : now_ + limits_.poll;
}

bool Projector::idle() const {
  const auto is_empty = [](const MarkRing* ring) { return ring->depth() == 0; };
  return parts_.empty() && pending_.empty() && std::all_of(rings_.begin(), rings_.end(), is_empty);
}

// One mark from each ring in turn, until all are empty, there is no room, or every seat was taken once.
void Projector::take_marks() {
  std::size_t budget = 0;
  for (const MarkRing* ring : rings_) budget += ring->capacity();
  FreshnessMark mark;
  std::size_t empty = 0;
  while (empty < rings_.size() && budget > 0 && pending_.size() < limits_.pending_max) {
    if (rings_[next_ring_]->take(mark)) {
      add(mark);
      empty = 0;
      --budget;
    } else {
      ++empty;
    }
    next_ring_ = (next_ring_ + 1) % rings_.size();
  }
}

void Projector::add(const FreshnessMark& mark) {
  const auto [seat, is_new] = pending_.try_emplace(mark.site, Pending{.mark = {}, .since = now_});
  if (gatherer_ != nullptr) gatherer_->add(mark);
  seat->second.mark = mark;
  seat->second.mark.responses = {};
  if (is_new) {
    order_.push_back(mark.site);
  } else {
    stats_.coalesced.add();
  }
}

bool Projector::batch_is_due() const {
  if (pending_.empty()) return false;
  if (flushing_ || pending_.size() >= limits_.batch_max) return true;
  return now_ - pending_.at(order_.front()).since >= limits_.period;
}

void Projector::make_batch() {
  Part& part = parts_.emplace_back();
  batch_since_ = pending_.at(order_.front()).since;
  while (part.size() < limits_.batch_max && !order_.empty()) {
    const auto seat = pending_.find(order_.front());
    part.push_back(seat->second.mark);
    pending_.erase(seat);
    order_.pop_front();
  }
  std::sort(part.begin(), part.end(),
            [](const FreshnessMark& a, const FreshnessMark& b) { return a.site < b.site; });
}

bool Projector::write_part(std::size_t& written) {
  const SteadyTime before = clock_.steady();
  const core::Result<void> stored = sink_.write(parts_.front());
  stats_.write.observe(clock_.steady() - before);
  if (stored) {
    attempts_failed_ = 0;
    stats_.batches.add();
    stats_.rows.add(parts_.front().size());
    written += parts_.front().size();
    parts_.pop_front();
    return true;
  }
  stats_.errors.add();
  const ErrorKind kind = stored.error().kind;
  if (kind == ErrorKind::Invalid || kind == ErrorKind::NotFound) {
    attempts_failed_ = 0;
    divide_or_drop();
    return true;
  }
  retry_at_ = now_ + backoff_delay(limits_.backoff, ++attempts_failed_, jitter_seed_);
  return false;
}

void Projector::divide_or_drop() {
  Part part = std::move(parts_.front());
  parts_.pop_front();
  if (part.size() == 1) {
    stats_.dropped.add();
    return;
  }
  const auto middle = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
  Part second(std::make_move_iterator(middle), std::make_move_iterator(part.end()));
  part.erase(middle, part.end());
  parts_.push_front(std::move(second));
  parts_.push_front(std::move(part));
}

SteadyTime Projector::oldest() const {
  if (!parts_.empty()) return batch_since_;
  return order_.empty() ? now_ : pending_.at(order_.front()).since;
}

void Projector::publish() {
  std::size_t waiting = pending_.size();
  for (const Part& part : parts_) waiting += part.size();
  stats_.pending.set(static_cast<double>(waiting));
  stats_.lag_s.set(core::to_seconds(now_ - oldest()));
}

}  // namespace watchwheel::sideeffects
