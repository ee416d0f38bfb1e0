// SPDX-License-Identifier: Apache-2.0
// fleet/observer.h - when each site was really asked, seen from outside the engine.
//
// A site is asked when a complete request head for it arrives. While something earlier is broken,
// the earlier thing counts: a client hello with a TLS fault on, a DNS query with a DNS or connect
// fault on. The second hop of a redirect is not another asking; a quick re-check of a broken site
// is, which is why sites that were broken at any moment of the window are reported apart.
//
// Owns     what is known of each site in the current measuring window.
// Thread   the fleet's one thread.
// Bounded  12 bytes a site, 4 more once mark() was called; one histogram; a ring of kSeriesMax
//          seconds. A window may last 49 days.
// Time     steady time, passed in.
// Cost     asked: O(1), no memory. summary: O(sites).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fleet/faults.h"
#include "fleet/histogram.h"
#include "fleet/site_map.h"
#include "fleet/units.h"

namespace watchwheel::fleet {

// Five numbers that tell a distribution, in seconds.
struct Spread {
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;
};

struct Summary {
  Duration window{0};
  Duration interval{0};
  std::uint32_t sites = 0;          // That the window is about.
  std::uint32_t healthy_sites = 0;  // Never broken in the window.
  std::uint32_t broken_sites = 0;
  std::uint64_t requests = 0;  // Askings of every site.
  std::uint64_t healthy_requests = 0;
  double request_ratio = 0;      // healthy_requests / (healthy_sites * window / interval)
  std::uint32_t never_seen = 0;  // Healthy sites that were not asked at all,
  std::uint32_t stale = 0;  // or not for longer than interval + 1 s, edges of the window included.
  std::uint32_t expired =
      0;  // The same with interval + timeout: what was told of them grew too old.
  std::uint64_t doubled = 0;  // Askings of healthy sites less than a quarter of the interval after the one before.
  std::uint32_t worst_site = kNoSite;  // The healthy site with the longest wait.
  Spread
      gap;  // Between two askings of a site while it was never broken; max is over the edges too.
  Spread age;           // How long ago each healthy site was asked, now.
  Spread longest_wait;  // Of each healthy site, edges included: how evenly they wait.
  Spread phase_shift;   // See mark(); all 0 without it.
  std::uint32_t phase_sites = 0;
  std::array<std::uint64_t, kFaultKinds> asked_by_kind{};
  std::uint32_t series_start_s = 0;   // Which second of the window the series begins with.
  std::vector<std::uint32_t> series;  // Askings in each second; the last one is under way.
};

struct SiteFacts {
  std::uint32_t asked = 0;
  Duration last_ago{0};  // Since the window began, when never asked.
  Duration gap_max{0};   // Including the wait that is under way.
  bool was_broken = false;
};

// What a window is about.
struct Window {
  Duration interval{0};
  Duration timeout{0};
  SiteRange sites;
};

class Observer {
 public:
  static constexpr std::uint32_t kSeriesMax = 3600;

  // Two queries for one site this close together are one asking: A and AAAA go out as a pair.
  static constexpr Duration kSameAsking = std::chrono::milliseconds(500);

  // Of every site, at first.
  Observer(const SiteMap& map, const FaultBoard& board, Duration interval, Duration timeout,
           Time start);

  void asked(std::uint32_t site, Time now) noexcept;
  void asked_by_dns(std::uint32_t site, Time now) noexcept;

  // Forgets everything but the marks and measures from `now`. The board's begin_window() belongs with
  // it.
  void reset(Time now) noexcept;
  void reset(Time now, const Window& window) noexcept;
  [[nodiscard]] const Window& window() const noexcept { return window_; }

  // Keeps when each site was last asked. Later summaries tell how far each healthy site's newest
  // asking lies from that moment plus whole intervals: its phase has moved by so much.
  void mark();

  [[nodiscard]] Summary summary(Time now) const;
  [[nodiscard]] SiteFacts site(std::uint32_t site, Time now) const noexcept;

 private:
  struct Site {
    std::uint32_t last_ms = 0;  // Since the window began; 0 stands for its beginning.
    std::uint32_t asked = 0;
    std::uint32_t gap_ms_max = 0;
  };
  static constexpr std::uint32_t kNoMark = 0xffffffffU;
  [[nodiscard]] std::uint32_t since_start_ms(Time now) const noexcept;
  [[nodiscard]] static std::uint32_t wait_ms(const Site& site, std::uint32_t now_ms) noexcept;
  void count_second(std::uint32_t now_ms) noexcept;
  void fill_series(std::uint32_t now_ms, Summary& out) const;
  void fill_phase_shift(Summary& out) const;

  const SiteMap& map_;
  const FaultBoard& board_;
  Window window_;
  Time start_;
  std::vector<Site> sites_;
  Histogram gaps_;
  std::uint64_t doubled_ = 0;
  std::uint64_t requests_ = 0;
  std::array<std::uint64_t, kFaultKinds> asked_by_kind_{};
  std::vector<std::uint32_t> seconds_;  // By second of the window, modulo kSeriesMax.
  std::uint64_t second_last_ = 0;
  std::vector<std::uint32_t> marks_;  // By site, since marked_from_; empty without mark().
  Time marked_from_;
};

}  // namespace watchwheel::fleet
