// SPDX-License-Identifier: Apache-2.0
#include "scheduler/site_table.h"

#include <algorithm>
#include <array>
#include <utility>
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
// The index is as many small tables: one that doubles is a thousandth of the whole.
constexpr std::size_t kIndexParts = 1024;
constexpr std::size_t kPartMin = 8;
// Rows looked at with each change while the URLs move. A million are through after 16,000 changes.
constexpr std::uint32_t kMovedPerChange = 64;
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
  std::array<std::uint16_t, kBlockRows> generation;
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
  std::size_t moved_at_once_max = 0;

  // While the URLs move, those of slots from `moved_below` on are in `leaving` still. One that all have left is given back a
  // chunk at a time.
  std::unique_ptr<UrlStore> urls = std::make_unique<UrlStore>();
  std::unique_ptr<UrlStore> leaving;
  std::unique_ptr<UrlStore> left;
  std::uint32_t moved_below = 0;

  // Open addressing with linear probing: slots, kNone where nothing is. A power of two, at most three quarters full.
  struct Part {
    std::vector<std::uint32_t> places;
    std::size_t size = 0;

    [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (places.size() - 1); }
    [[nodiscard]] std::size_t home(std::uint64_t hash) const { return hash & (places.size() - 1); }
  };
  std::vector<Part> parts = std::vector<Part>(kIndexParts);
  std::size_t places_total = 0;

  [[nodiscard]] Block& block(std::uint32_t slot) const { return *blocks[slot / kBlockRows]; }
  [[nodiscard]] bool taken(std::uint32_t slot) const {
    return slot < slots_end && block(slot).taken[slot % kBlockRows];
  }
  [[nodiscard]] std::uint64_t id(std::uint32_t slot) const {
    return block(slot).id[slot % kBlockRows];
  }
  // By the upper bits; the lower ones say where in the part.
  [[nodiscard]] Part& part_of(std::uint64_t id_value) {
    return parts[(core::stable_hash(id_value) >> 32U) % kIndexParts];
  }

  // The block of a slot that must be taken.
  [[nodiscard]] Block& of(SiteSlot site) const {
    ENSURE(taken(site.value), "a slot with no site in it");
    return block(site.value);
  }

  [[nodiscard]] UrlStore& store_of(std::uint32_t slot) const {
    return leaving && slot >= moved_below ? *leaving : *urls;
  }

  // Of the id, or of the empty place where it would be. The part has places.
  [[nodiscard]] std::size_t position(const Part& part, std::uint64_t id_value) const;
  void grow(Part& part);
  void index_remove(std::uint64_t id_value);
  [[nodiscard]] std::uint32_t take_slot();
  void after_change();
  void move_urls();
  void note_moved(std::size_t count) { moved_at_once_max = std::max(moved_at_once_max, count); }
};

std::size_t SiteTable::Columns::position(const Part& part, std::uint64_t id_value) const {
  std::size_t at = part.home(core::stable_hash(id_value));
  while (part.places[at] != kNone && id(part.places[at]) != id_value) at = part.next(at);
  return at;
}

void SiteTable::Columns::grow(Part& part) {
  const std::size_t wider = std::max(kPartMin, part.places.size() * 2);
  places_total += wider - part.places.size();
  const std::vector<std::uint32_t> before =
      std::exchange(part.places, std::vector<std::uint32_t>(wider, kNone));
  for (const std::uint32_t slot : before) {
    if (slot != kNone) part.places[position(part, id(slot))] = slot;
  }
  note_moved(part.size);
}

// Backward shift: the entries behind the hole move up until one stands at home, so that no tombstones pile up.
void SiteTable::Columns::index_remove(std::uint64_t id_value) {
  Part& part = part_of(id_value);
  std::vector<std::uint32_t>& places = part.places;
  std::size_t hole = position(part, id_value);
  for (std::size_t at = part.next(hole); places[at] != kNone; at = part.next(at)) {
    const std::size_t wanted = part.home(core::stable_hash(id(places[at])));
    const std::size_t mask = places.size() - 1;
    const bool may_move = ((at - wanted) & mask) >= ((at - hole) & mask);
    if (!may_move) continue;
    places[hole] = places[at];
    hole = at;
  }
  places[hole] = kNone;
  --part.size;
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

// Sites come and go for months: room that no later URL fits must not pile up. All of them moved at once would hold the loop for
// a tenth of a second at a million.
void SiteTable::Columns::after_change() {
  if (left && left->release_chunk()) left.reset();
  if (leaving) {
    move_urls();
  } else if (urls->wasted() >= kWasteMin && urls->wasted() >= urls->used()) {
    leaving = std::exchange(urls, std::make_unique<UrlStore>());
    moved_below = 0;
  }
}

void SiteTable::Columns::move_urls() {
  const std::uint32_t end = std::min(slots_end, moved_below + kMovedPerChange);
  note_moved(end - moved_below);
  for (; moved_below < end; ++moved_below) {
    if (!taken(moved_below)) continue;
    UrlStore::Ref& ref = block(moved_below).url[moved_below % kBlockRows];
    ref = urls->put(leaving->get(ref));
  }
  if (moved_below < slots_end) return;
  left = std::move(leaving);
}

SiteTable::SiteTable(std::size_t sites_max) : columns_(std::make_unique<Columns>()) {
  ENSURE(sites_max > 0 && sites_max <= kSitesMax, "a site table holds from 1 to 2^24 sites");
  columns_->sites_max = sites_max;
}

SiteTable::~SiteTable() = default;

SiteSlot SiteTable::add(SiteId id, std::string_view url, Duration interval, PlanIndex plan) {
  Columns& c = *columns_;
  if (c.size == c.sites_max || url.size() > core::kUrlBytesMax) return core::kNoSlot;
  if (find(id) != core::kNoSlot) return core::kNoSlot;
  Columns::Part& part = c.part_of(id.value);
  if ((part.size + 1) * 4 > part.places.size() * 3) c.grow(part);
  const std::size_t at = c.position(part, id.value);
  const std::uint32_t slot = c.take_slot();
  Block& block = c.block(slot);
  const std::size_t i = slot % kBlockRows;
  block.timing[i] = Timing{};
  block.row[i] = SiteRow{};
  block.id[i] = id.value;
  block.url[i] = c.store_of(slot).put(url);
  block.interval_ms[i] = whole_ms(interval);
  block.plan[i] = plan;
  ++block.generation[i];
  block.taken[i] = true;
  part.places[at] = slot;
  ++part.size;
  ++c.size;
  c.after_change();
  return SiteSlot{slot};
}

void SiteTable::remove(SiteSlot site) {
  Columns& c = *columns_;
  Block& block = c.of(site);
  const std::size_t i = site.value % kBlockRows;
  ENSURE(block.timing[i].place == Place::Nowhere,
         "a site leaves its scheduler before it leaves the table");
  c.index_remove(block.id[i]);
  c.store_of(site.value).drop(block.url[i]);
  block.taken[i] = false;
  block.url[i] = c.free_head;
  c.free_head = site.value;
  --c.size;
  c.after_change();
}

SiteSlot SiteTable::find(SiteId id) const {
  const Columns::Part& part = columns_->part_of(id.value);
  if (part.size == 0) return core::kNoSlot;
  const std::uint32_t slot = part.places[columns_->position(part, id.value)];
  return slot == kNone ? core::kNoSlot : SiteSlot{slot};
}

bool SiteTable::contains(SiteSlot site) const {
  return columns_->taken(site.value);
}

std::uint16_t SiteTable::generation(SiteSlot site) const {
  return columns_->of(site).generation[site.value % kBlockRows];
}

SiteId SiteTable::id(SiteSlot site) const {
  return SiteId{columns_->of(site).id[site.value % kBlockRows]};
}

std::string_view SiteTable::url(SiteSlot site) const {
  const Columns& c = *columns_;
  return c.store_of(site.value).get(c.of(site).url[site.value % kBlockRows]);
}

Duration SiteTable::interval(SiteSlot site) const {
  return std::chrono::milliseconds{columns_->of(site).interval_ms[site.value % kBlockRows]};
}

PlanIndex SiteTable::plan(SiteSlot site) const {
  return columns_->of(site).plan[site.value % kBlockRows];
}

void SiteTable::set_url(SiteSlot site, std::string_view url) {
  Columns& c = *columns_;
  UrlStore::Ref& ref = c.of(site).url[site.value % kBlockRows];
  UrlStore& store = c.store_of(site.value);
  const UrlStore::Ref before = ref;
  ref = store.put(url);  // First, because `url` may be a view of what is dropped.
  store.drop(before);
  c.after_change();
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
         c.parts.capacity() * sizeof(c.parts[0]) + c.places_total * sizeof(std::uint32_t) +
         c.urls->bytes() + (c.leaving ? c.leaving->bytes() : 0) + (c.left ? c.left->bytes() : 0);
}

std::size_t SiteTable::moved_at_once_max() const {
  return columns_->moved_at_once_max;
}

}  // namespace watchwheel::scheduler
