// SPDX-License-Identifier: Apache-2.0
// app/legacy_writer.h - the thread that tells the legacy table what we know, "legacy-write".
//
// Owns     the thread, the table's session, which sites are to be written.
// Thread   note(), note_urgent(): any. start(), stop(): the engine's. stats(): any.
// Bounded  a site waits once, however often it is noted. A transaction is what waits, in the order of the key, at most
//          db::kLegacyTransactionMax sites, and fewer when the server is slow (db::kLegacyHeldMost).
// Time     what is urgent goes with the next batch; the rest in rounds, one after the other, each in the order of the key.
// Fails    a store that is away: the same batch again, with backoff, for ever; counted. A row that its table refuses (a
//          trigger, a constraint) is found by halving, counted and passed over until it is noted again.
//
// Only names of sites come here: what is written is read from the store by the batch that writes it (db/sql_legacy_table.h). So
// nothing old is ever written, in whatever order things are noted, and what a crash forgets comes again with the site's next mark.
#pragma once

#include <memory>
#include <span>

#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "db/legacy_table.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/freshness_api.h"

namespace watchwheel::app {

// Written by the thread, read by any.
struct LegacyWriteStats {
  core::Counter status;     // Rows whose status was written.
  core::Counter checked;    // Rows whose checked-at was.
  core::Counter overruled;  // Of the first, those that another program had set meanwhile.
  core::Counter not_ours;   // Looked at and left alone: paused, or about another URL.
  core::Counter refused;    // Rows that their table would not take.
  core::Counter batches;
  core::Counter errors;
  core::Gauge pending;
  core::Gauge lag_s;  // How long the oldest of them has waited.
};

class LegacyWriter : core::Pinned {
 public:
  LegacyWriter(std::unique_ptr<db::LegacyTable> table, const core::Clock& clock, Log& log);
  ~LegacyWriter();

  void start();
  // Writes what waits, or until `deadline`. False: something was left; it comes with each site's next mark.
  bool stop(core::SteadyTime deadline);

  void note(core::SiteId site);
  void note_urgent(core::SiteId site);

  [[nodiscard]] const LegacyWriteStats& stats() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// A store's event writes, each commit followed by a note of its sites.
class NotedEvents final : public sideeffects::EventStore {
 public:
  NotedEvents(std::unique_ptr<sideeffects::EventStore> store, LegacyWriter& writer)
      : store_(std::move(store)), writer_(writer) {}
  core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override {
    auto done = store_->commit(writes);
    // Unknown may have been stored: looking costs little.
    if (done || done.error().kind == core::ErrorKind::Unknown) {
      for (const sideeffects::EventWrite& write : writes) writer_.note_urgent(write.site);
    }
    return done;
  }
  core::Result<std::optional<sideeffects::StoredEvent>> open_event(core::SiteId site) override {
    return store_->open_event(site);
  }

 private:
  const std::unique_ptr<sideeffects::EventStore> store_;
  LegacyWriter& writer_;
};

// The same for marks.
class NotedFreshness final : public sideeffects::FreshnessSink {
 public:
  NotedFreshness(std::unique_ptr<sideeffects::FreshnessSink> sink, LegacyWriter& writer)
      : sink_(std::move(sink)), writer_(writer) {}
  core::Result<void> write(std::span<const core::FreshnessMark> marks) override {
    auto done = sink_->write(marks);
    if (done || done.error().kind == core::ErrorKind::Unknown) {
      for (const core::FreshnessMark& mark : marks) writer_.note(mark.site);
    }
    return done;
  }

 private:
  const std::unique_ptr<sideeffects::FreshnessSink> sink_;
  LegacyWriter& writer_;
};

}  // namespace watchwheel::app
