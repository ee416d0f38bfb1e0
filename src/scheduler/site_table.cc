// SPDX-License-Identifier: Apache-2.0
#include "scheduler/site_table.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/ensure.h"
#include "core/hash.h"
#include "core/site.h"
#include "scheduler/url_store.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteId;
using core::SiteSlot;

constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::uint32_t kBlockRows = 4096;
constexpr std::size_t kIndexMin = 64;
// Below this, unused URL bytes are not worth moving anything.
constexpr std::size_t kWasteMin = std::size_t{1} << 20U;

// The columns of 4096 consecutive slots, each an array of its own.
struct Block {
  std::array<SiteTable::Timing, kBlockRows> timing;
  std::array<SiteRow, kBlockRows> row;
  std::array<std::uint64_t, kBlockRows> id;
  std::array<UrlStore::Ref, kBlockRows> url;  // Of a free slot: the free slot before it.
  std::array<std::uint32_t, kBlockRows> interval_ms;
  std::array<PlanIndex, kBlockRows> plan;
  std::array<std::uint8_t, kBlockRows> generation;
  std::array<bool, kBlockRows> taken;
};

std::uint32_t whole_ms(Duration interval) {
  const auto ms = core::duration_cast<std::chrono::milliseconds>(interval).count();
  ENSURE(ms > 0 && ms < UINT32_MAX && std::chrono::milliseconds{ms} == interval,
         "an interval is a whole number of milliseconds, from 1 to 49 days");
  return static_cast<std::uint32_t>(ms);
}

}  // namespace

struct SiteTable::Columns {
  std::size_t sites_max;
  std::vector<std::unique_ptr<Block>> blocks;
  std::uint32_t slots_end = 0;
  std::uint32_t free_head = kNone;
  std::size_t size = 0;
  std::unique_ptr<UrlStore> urls = std::make_unique<UrlStore>();
  // Open addressing with linear probing: slots, kNone where nothing is. A power of two, at most three quarters full.
  std::vector<std::uint32_t> index = std::vector<std::uint32_t>(kIndexMin, kNone);

  [[nodiscard]] Block& block(std::uint32_t slot) const { return *blocks[slot / kBlockRows]; }
  [[nodiscard]] bool taken(std::uint32_t slot) const {
    return slot < slots_end && block(slot).taken[slot % kBlockRows];
  }
  [[nodiscard]] std::uint64_t id(std::uint32_t slot) const {
    return block(slot).id[slot % kBlockRows];
  }
  [[nodiscard]] std::size_t home(std::uint64_t id_value) const {
    return core::stable_hash(id_value) & (index.size() - 1);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (index.size() - 1); }

  // The block of a slot that must be taken.
  [[nodiscard]] Block& of(SiteSlot site) const {
    ENSURE(taken(site.value), "a slot with no site in it");
    return block(site.value);
  }

  [[nodiscard]] std::size_t position(
      std::uint64_t id_value) const;  // Of the id, or of the empty place where it would be.
  void index_grow();
  void index_remove(std::uint64_t id_value);
  [[nodiscard]] std::uint32_t take_slot();
  void urls_rebuild_if_wasteful();
};

std::size_t SiteTable::Columns::position(std::uint64_t id_value) const {
  std::size_t at = home(id_value);
  while (index[at] != kNone && id(index[at]) != id_value) at = next(at);
  return at;
}

void SiteTable::Columns::index_grow() {
  index.assign(index.size() * 2, kNone);
  for (std::uint32_t slot = 0; slot < slots_end; ++slot) {
    if (taken(slot)) index[position(id(slot))] = slot;
  }
}

// Backward shift: the entries behind the hole move up until one stands at home, so that no tombstones pile up.
void SiteTable::Columns::index_remove(std::uint64_t id_value) {
  std::size_t hole = position(id_value);
  for (std::size_t at = next(hole); index[at] != kNone; at = next(at)) {
    const std::size_t wanted = home(id(index[at]));
    const std::size_t mask = index.size() - 1;
    const bool may_move = ((at - wanted) & mask) >= ((at - hole) & mask);
    if (!may_move) continue;
    index[hole] = index[at];
    hole = at;
  }
  index[hole] = kNone;
}

std::uint32_t SiteTable::Columns::take_slot() {
  if (free_head != kNone) {
    const std::uint32_t slot = free_head;
    free_head = block(slot).url[slot % kBlockRows];
    return slot;
  }
  if (slots_end / kBlockRows >= blocks.size()) blocks.push_back(std::make_unique<Block>());
  return slots_end++;
}

// Sites come and go for months: room that no later URL fits must not pile up.
void SiteTable::Columns::urls_rebuild_if_wasteful() {
  if (urls->wasted() < kWasteMin || urls->wasted() < urls->used()) return;
  auto fresh = std::make_unique<UrlStore>();
  for (std::uint32_t slot = 0; slot < slots_end; ++slot) {
    if (!taken(slot)) continue;
    UrlStore::Ref& ref = block(slot).url[slot % kBlockRows];
    ref = fresh->put(urls->get(ref));
  }
  urls = std::move(fresh);
}

SiteTable::SiteTable(std::size_t sites_max) : columns_(std::make_unique<Columns>()) {
  ENSURE(sites_max > 0 && sites_max <= kSitesMax, "a site table holds from 1 to 2^24 sites");
  columns_->sites_max = sites_max;
}

SiteTable::~SiteTable() = default;

SiteSlot SiteTable::add(SiteId id, std::string_view url, Duration interval, PlanIndex plan) {
  Columns& c = *columns_;
  if (c.size == c.sites_max || url.size() > core::kUrlBytesMax) return core::kNoSlot;
  std::size_t at = c.position(id.value);
  if (c.index[at] != kNone) return core::kNoSlot;
  if ((c.size + 1) * 4 > c.index.size() * 3) {
    c.index_grow();
    at = c.position(id.value);
  }
  const std::uint32_t slot = c.take_slot();
  Block& block = c.block(slot);
  const std::size_t i = slot % kBlockRows;
  block.timing[i] = Timing{};
  block.row[i] = SiteRow{};
  block.id[i] = id.value;
  block.url[i] = c.urls->put(url);
  block.interval_ms[i] = whole_ms(interval);
  block.plan[i] = plan;
  ++block.generation[i];
  block.taken[i] = true;
  c.index[at] = slot;
  ++c.size;
  return SiteSlot{slot};
}

void SiteTable::remove(SiteSlot site) {
  Columns& c = *columns_;
  Block& block = c.of(site);
  const std::size_t i = site.value % kBlockRows;
  ENSURE(block.timing[i].place == Place::Nowhere,
         "a site leaves its scheduler before it leaves the table");
  c.index_remove(block.id[i]);
  c.urls->drop(block.url[i]);
  block.taken[i] = false;
  block.url[i] = c.free_head;
  c.free_head = site.value;
  --c.size;
  c.urls_rebuild_if_wasteful();
}

SiteSlot SiteTable::find(SiteId id) const {
  const std::uint32_t slot = columns_->index[columns_->position(id.value)];
  return slot == kNone ? core::kNoSlot : SiteSlot{slot};
}

bool SiteTable::contains(SiteSlot site) const {
  return columns_->taken(site.value);
}

std::uint8_t SiteTable::generation(SiteSlot site) const {
  return columns_->of(site).generation[site.value % kBlockRows];
}

SiteId SiteTable::id(SiteSlot site) const {
  return SiteId{columns_->of(site).id[site.value % kBlockRows]};
}

std::string_view SiteTable::url(SiteSlot site) const {
  return columns_->urls->get(columns_->of(site).url[site.value % kBlockRows]);
}

Duration SiteTable::interval(SiteSlot site) const {
  return std::chrono::milliseconds{columns_->of(site).interval_ms[site.value % kBlockRows]};
}

PlanIndex SiteTable::plan(SiteSlot site) const {
  return columns_->of(site).plan[site.value % kBlockRows];
}

void SiteTable::set_url(SiteSlot site, std::string_view url) {
  UrlStore::Ref& ref = columns_->of(site).url[site.value % kBlockRows];
  const UrlStore::Ref before = ref;
  ref = columns_->urls->put(url);  // First, because `url` may be a view of what is dropped.
  columns_->urls->drop(before);
  columns_->urls_rebuild_if_wasteful();
}

void SiteTable::set_interval(SiteSlot site, Duration interval) {
  columns_->of(site).interval_ms[site.value % kBlockRows] = whole_ms(interval);
}

void SiteTable::set_plan(SiteSlot site, PlanIndex plan) {
  columns_->of(site).plan[site.value % kBlockRows] = plan;
}

SiteRow& SiteTable::row(SiteSlot site) {
  return columns_->of(site).row[site.value % kBlockRows];
}
const SiteRow& SiteTable::row(SiteSlot site) const {
  return columns_->of(site).row[site.value % kBlockRows];
}
SiteTable::Timing& SiteTable::timing(SiteSlot site) {
  return columns_->of(site).timing[site.value % kBlockRows];
}
const SiteTable::Timing& SiteTable::timing(SiteSlot site) const {
  return columns_->of(site).timing[site.value % kBlockRows];
}

std::size_t SiteTable::size() const {
  return columns_->size;
}
std::uint32_t SiteTable::slots_end() const {
  return columns_->slots_end;
}

std::size_t SiteTable::bytes() const {
  const Columns& c = *columns_;
  return sizeof c + c.blocks.size() * sizeof(Block) + c.blocks.capacity() * sizeof(c.blocks[0]) +
         c.index.capacity() * sizeof(c.index[0]) + c.urls->bytes();
}

}  // namespace watchwheel::scheduler
