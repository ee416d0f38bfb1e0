// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/warning_routing.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/hash.h"

namespace watchwheel::sideeffects {
namespace {

using core::EventKind;

// "warning:MILLISECONDS": what is told when the hold is over is the step that waited, if it is still the newest.
constexpr std::string_view kHeldMemo = "warning:";
constexpr std::string_view kGroupSuffix = "_group";
// No site's id has the highest bit.
constexpr std::uint64_t kGroupLine = std::uint64_t{1} << 63U;
// As routing.cc: a chat cuts what is longer, and a body has a limit.
constexpr std::size_t kChatSitesMax = 100;
constexpr std::size_t kBodyBytesWanted = kDeliveryBodyMax / 2;

std::string held_memo(core::Duration step) {
  return std::string(kHeldMemo) +
         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(step).count());
}

struct Told {
  bool open = false;      // That it began, and not that it is over.
  bool untouched = true;  // All of it waits, was never tried, and names this site alone.
  std::vector<DeliveryId> deliveries{};
};

// `again`: a dead letter of it was requeued, so an end that was given up is said again.
Told told_to(std::string_view target, const Notice& notice, bool again) {
  Told told;
  for (const Telling& telling : notice.tellings) {
    if (telling.target != target || telling.state == Telling::State::Cancelled) continue;
    const bool dead = telling.state == Telling::State::Dead;
    if (is_end_kind(telling.kind)) {
      if (!again || !dead) told = {};
      continue;
    }
    if (dead) continue;
    told.open = true;
    told.untouched = told.untouched && telling.state == Telling::State::Queued &&
                     !telling.attempted && !telling.kind.ends_with(kGroupSuffix);
    told.deliveries.push_back(telling.delivery);
  }
  return told;
}

bool tagged_for(const NotifyTarget& target, const Notice& notice) {
  return target.tags.empty() ||
         std::any_of(target.tags.begin(), target.tags.end(), [&](const std::string& tag) {
           return std::find(notice.tags.begin(), notice.tags.end(), tag) != notice.tags.end();
         });
}

// Of a wake for a dead letter that was requeued: what the site was after the event, and for which target.
struct Requeued {
  std::string_view state;
  std::string_view target;
};
std::optional<Requeued> requeued(const Notice& notice) {
  std::string_view memo = notice.memo;
  if (!notice.wake || !memo.starts_with(kRequeuedMemo)) return std::nullopt;
  memo.remove_prefix(kRequeuedMemo.size());
  const std::size_t colon = memo.find(':');
  if (colon == std::string_view::npos) return Requeued{memo, {}};
  return Requeued{memo.substr(0, colon), memo.substr(colon + 1)};
}

MessageSite site_of(const Notice& notice, bool over) {
  MessageSite site{.site = notice.site,
                   .name = notice.name,
                   .url = public_url(notice.url),
                   .tags = notice.tags,
                   .event = notice.event,
                   .transition = notice.wake ? 0 : notice.transition.seq,
                   .reason = core::TransitionReason::Opened,
                   .before = core::SiteState::Up,
                   .after = core::SiteState::Up,
                   .started_at = notice.started_at,
                   .confirmed_at = core::kNoWallTime,
                   .ended_at = core::kNoWallTime,
                   .at = notice.wake ? notice.at : notice.transition.at,
                   .failures = 0,
                   .evidence = notice.evidence,
                   .witnesses = {},
                   .kind = notice.kind,
                   .step = notice.step};
  if (!notice.wake) site.reason = notice.transition.reason;
  if (!over) return site;
  site.ended_at = notice.ended_at;
  site.at = notice.ended_at;
  site.reason = core::TransitionReason::Recovered;
  if (!notice.wake) {
    site.after = notice.transition.after;
    site.reason = notice.transition.reason;
  } else if (const auto asked = requeued(notice)) {
    site.after = core::parse_site_state(asked->state).value_or(core::SiteState::Up);
  }
  return site;
}

std::size_t bytes_of(const MessageSite& site) {
  std::size_t bytes = 500 + site.name.size() + site.url.size() + site.evidence.detail.size();
  for (const std::string& tag : site.tags) bytes += tag.size() + 3;
  return bytes;
}

class Teller {
 public:
  Teller(const NotifyTargets& targets, const RouteContext& context, Routing& routing)
      : targets_(targets), context_(context), routing_(routing) {}

  void one(const Notice& notice) {
    if (notice.state == core::SiteState::Up) {
      over(notice);
    } else if (is_newest(notice)) {
      stands(notice);
    }
    routing_.settled.push_back(notice.id);
  }

  void finish() {
    for (Together& together : together_) deliver(together);
  }

 private:
  struct Together {
    std::string target;
    bool over = false;
    EventKind kind = EventKind::TlsExpiring;
    core::Duration step{};
    bool chat = false;
    std::vector<MessageSite> sites{};
  };

  // What was said of an earlier step is old by now.
  [[nodiscard]] static bool is_newest(const Notice& notice) {
    if (notice.wake) return notice.memo == held_memo(notice.step);
    return !notice.transition.by && notice.transition.step == notice.step;
  }

  void stands(const Notice& notice) {
    const Severity severity = severity_of(notice.kind, notice.step);
    std::vector<const NotifyTarget*> owed;
    for (const NotifyTarget& target : targets_) {
      if (target.warnings && severity >= target.severity && tagged_for(target, notice))
        owed.push_back(&target);
    }
    if (owed.empty()) return;
    if (const std::optional<Hold> hold = context_.hold(notice)) {
      ++routing_.held;
      routing_.wakes.push_back({.site = notice.site,
                                .event = notice.event,
                                .delay = hold->look_again,
                                .memo = held_memo(notice.step)});
      return;
    }
    for (const NotifyTarget* target : owed) {
      const bool chat = target->channel.type == ChannelType::Slack;
      add(target->name(), notice, false, chat).sites.push_back(site_of(notice, false));
    }
  }

  void over(const Notice& notice) {
    const std::optional<Requeued> asked = requeued(notice);
    std::vector<std::string_view> heard;
    for (const Telling& telling : notice.tellings) {
      if (std::find(heard.begin(), heard.end(), telling.target) == heard.end())
        heard.emplace_back(telling.target);
    }
    for (const std::string_view name : heard) {
      if (asked && asked->target != name) continue;
      Told told = told_to(name, notice, asked.has_value());
      if (!told.open) continue;
      const auto target = std::find_if(targets_.begin(), targets_.end(),
                                       [&](const auto& one) { return one.name() == name; });
      const bool known = target != targets_.end();
      if (known && target->skip_short && told.untouched) {
        alone(notice, std::string(name), std::move(told.deliveries));
        continue;
      }
      const bool chat = known && target->channel.type == ChannelType::Slack;
      add(std::string(name), notice, true, chat).sites.push_back(site_of(notice, true));
    }
  }

  Together& add(std::string target, const Notice& notice, bool over, bool chat) {
    const auto same = [&](const Together& t) {
      return t.target == target && t.over == over && t.kind == notice.kind && t.step == notice.step;
    };
    const auto found = std::find_if(together_.begin(), together_.end(), same);
    if (found != together_.end()) return *found;
    return *together_.insert(together_.end(), {.target = std::move(target),
                                               .over = over,
                                               .kind = notice.kind,
                                               .step = notice.step,
                                               .chat = chat});
  }

  // In as many messages as it takes.
  void deliver(Together& together) {
    const std::size_t most = together.chat ? kChatSitesMax : kMessageSitesMax;
    for (std::size_t first = 0; first < together.sites.size();) {
      std::size_t count = 0;
      std::size_t bytes = 0;
      while (first + count < together.sites.size() && count < most) {
        bytes += bytes_of(together.sites[first + count]);
        if (count > 0 && bytes > kBodyBytesWanted) break;
        ++count;
      }
      const std::span<MessageSite> part(together.sites.data() + first, count);
      insert(together, part, {});
      first += count;
    }
  }

  void alone(const Notice& notice, std::string target, std::vector<DeliveryId> instead_of) {
    const Together one{
        .target = std::move(target), .over = true, .kind = notice.kind, .step = notice.step};
    MessageSite site = site_of(notice, true);
    insert(one, {&site, 1}, std::move(instead_of));
  }

  void insert(const Together& together, std::span<MessageSite> sites,
              std::vector<DeliveryId> instead_of) {
    const MessageKind kind = together.over ? MessageKind::WarningOver : MessageKind::Warning;
    const bool several = sites.size() > 1;
    Message message{.id = {},
                    .kind = kind,
                    .severity = severity_of(together.kind, together.step),
                    .target = together.target,
                    .made_at = context_.now,
                    .sites = {},
                    .group = 0,
                    .group_started_at = core::kNoWallTime,
                    .part = 0,
                    .note = {},
                    .links = {}};
    NewDelivery delivery{
        .target = together.target,
        .kind = std::string(to_string(kind)) + std::string(several ? kGroupSuffix : ""),
        .message_id = {},
        .line = 0,
        .site = {},
        .body = {},
        .events = {},
        .delay = {},
        .instead_of = std::move(instead_of)};
    std::vector<std::string> parts{together.target, delivery.kind,
                                   std::string(core::to_string(together.kind)),
                                   held_memo(together.step)};
    for (MessageSite& site : sites) {
      parts.push_back(std::to_string(site.site.value));
      parts.push_back(std::to_string(core::to_unix_ms(site.started_at)));
      delivery.events.push_back(site.event);
      message.sites.push_back(std::move(site));
    }
    message.id = message_id(parts);
    delivery.message_id = message.id;
    const core::SiteId site = message.sites.front().site;
    if (!several) delivery.site = site;
    delivery.line = several ? kGroupLine | core::stable_hash(message.id) : site.value;
    delivery.body = encode_message(message);
    routing_.deliveries.push_back(std::move(delivery));
  }

  const NotifyTargets& targets_;
  const RouteContext& context_;
  Routing& routing_;
  std::vector<Together> together_;
};

}  // namespace

void route_warnings(std::span<const Notice* const> notices, const NotifyTargets& targets,
                    const RouteContext& context, Routing& routing) {
  Teller teller(targets, context, routing);
  for (const Notice* notice : notices) teller.one(*notice);
  teller.finish();
}

}  // namespace watchwheel::sideeffects
