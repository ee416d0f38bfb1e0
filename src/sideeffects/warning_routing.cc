// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/warning_routing.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/hash.h"

namespace watchwheel::sideeffects {
namespace {

using core::EventKind;

// "warning:MILLISECONDS", and of a hold ":hold:…" behind it: what is told when the wait is over is the step that waited, if it is
// still the newest.
constexpr std::string_view kHeldMemo = "warning:";
// "warning_over:WORD": an end that waits for those of other sites; the word as a requeued letter's wake has it.
constexpr std::string_view kOverMemo = "warning_over:";
constexpr std::string_view kOkWord = "ok";
constexpr std::string_view kClosedWord = "closed";
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
  bool group = false;     // The newest of it named other sites too.
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
    told.group = telling.kind.ends_with(kGroupSuffix);
    told.untouched = told.untouched && telling.state == Telling::State::Queued &&
                     !telling.attempted && !told.group;
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

// How it ended.
struct End {
  core::SiteState after = core::SiteState::Up;  // What the site is by it, as far as it says so.
  core::TransitionReason reason = core::TransitionReason::Recovered;
  std::string_view target{};  // Of a dead letter that was requeued: only for this one.
  bool again = false;         // It was.
};

std::string_view word_of(const End& end) {
  if (end.reason == core::TransitionReason::Recovered) return kOkWord;
  if (end.reason == core::TransitionReason::Operator && end.after == core::SiteState::Unknown)
    return kClosedWord;
  return core::to_string(end.after);
}

End end_of(std::string_view word) {
  if (word == kClosedWord)
    return {.after = core::SiteState::Unknown, .reason = core::TransitionReason::Operator};
  const core::SiteState after = core::parse_site_state(word).value_or(core::SiteState::Up);
  if (after == core::SiteState::Paused)
    return {.after = after, .reason = core::TransitionReason::Operator};
  if (after == core::SiteState::Unknown)
    return {.after = after, .reason = core::TransitionReason::SiteRemoved};
  return {};
}

// Nothing: it is not what tells of the end. That has a notice of its own, and only that knows how it ended.
std::optional<End> end_of(const Notice& notice) {
  if (!notice.wake) {
    const core::TransitionReason reason = notice.transition.reason;
    if (reason == core::TransitionReason::Opened ||
        reason == core::TransitionReason::SeverityChanged)
      return std::nullopt;
    return End{.after = notice.transition.after, .reason = reason};
  }
  std::string_view memo = notice.memo;
  if (memo.starts_with(kOverMemo)) return end_of(memo.substr(kOverMemo.size()));
  if (!memo.starts_with(kRequeuedMemo)) return std::nullopt;
  memo.remove_prefix(kRequeuedMemo.size());
  const std::size_t colon = std::min(memo.find(':'), memo.size());
  End end = end_of(memo.substr(0, colon));
  end.target = memo.substr(std::min(colon + 1, memo.size()));
  end.again = true;
  return end;
}

// `end`: it is over, so.
MessageSite site_of(const Notice& notice, const std::optional<End>& end) {
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
  if (!end) return site;
  site.ended_at = notice.ended_at;
  site.at = notice.ended_at;
  site.after = end->after;
  site.reason = end->reason;
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
    const bool done = notice.state == core::SiteState::Up ? over(notice) : stands(notice);
    if (done) routing_.settled.push_back(notice.id);
  }

  void finish() {
    // Within a line the order of ids is the order of sending, and what is over may be told because the next begins.
    std::stable_partition(together_.begin(), together_.end(),
                          [](const Together& together) { return together.over; });
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
    if (notice.wake) return (notice.memo + ":").starts_with(held_memo(notice.step) + ":");
    return !notice.transition.by && notice.transition.step == notice.step;
  }

  enum class Wait : std::uint8_t { No, Aside, InPlace };

  // Whether others of its kind and step are to join it. What has waited stays where it is until all that waited with it are due.
  Wait wait(const Notice& notice, bool over, std::string memo) {
    const core::Duration left = context_.digest_wait(group_of(notice.kind, notice.step), over);
    if (left <= core::Duration{}) return Wait::No;
    if (notice.wake) return left <= kDigestSlack ? Wait::InPlace : Wait::No;
    put_aside(notice, left - kDigestSlack, std::move(memo));
    return Wait::Aside;
  }

  static std::uint64_t group_of(EventKind kind, core::Duration step) {
    return kWarningsGroup |
           core::stable_hash(std::string(core::to_string(kind)) + "/" + held_memo(step));
  }

  void put_aside(const Notice& notice, core::Duration delay, std::string memo) {
    routing_.wakes.push_back(
        {.site = notice.site,
         .event = notice.event,
         .delay = std::max<core::Duration>(delay, std::chrono::milliseconds{1}),
         .memo = std::move(memo)});
  }

  // False: it stays where it is.
  bool stands(const Notice& notice) {
    if (!is_newest(notice)) return true;
    const Severity severity = severity_of(notice.kind, notice.step);
    std::vector<const NotifyTarget*> owed;
    for (const NotifyTarget& target : targets_) {
      if (target.warnings && severity >= target.severity && tagged_for(target, notice))
        owed.push_back(&target);
    }
    if (owed.empty()) return true;
    if (const std::optional<Hold> hold = context_.hold(notice)) {
      ++routing_.held.at(static_cast<std::size_t>(hold->reason));
      const core::WallTime since = held_since(notice, context_.now);
      put_aside(notice, hold->look_again, held_memo(notice.step) + ":" + hold_memo(*hold, since));
      return true;
    }
    const Wait waits = wait(notice, false, held_memo(notice.step));
    if (waits != Wait::No) return waits == Wait::Aside;
    for (const Notice& former : notice.former) {
      (void)over(former, true);
      routing_.settled.push_back(former.id);
    }
    for (const NotifyTarget* target : owed) {
      const bool chat = target->channel.type == ChannelType::Slack;
      add(target->name(), notice, false, chat).sites.push_back(site_of(notice, std::nullopt));
    }
    return true;
  }

  // False: it stays where it is. `at_once`: others are not waited for, the next of its kind is told.
  bool over(const Notice& notice, bool at_once = false) {
    const std::optional<End> end = end_of(notice);
    if (!end) return true;
    std::vector<std::string_view> heard;
    for (const Telling& telling : notice.tellings) {
      if (std::find(heard.begin(), heard.end(), telling.target) == heard.end())
        heard.emplace_back(telling.target);
    }
    std::vector<std::pair<std::string_view, Told>> owed;
    bool in_group = false;
    for (const std::string_view name : heard) {
      if (end->again && end->target != name) continue;
      Told told = told_to(name, notice, end->again);
      if (!told.open) continue;
      in_group = in_group || told.group;
      owed.emplace_back(name, std::move(told));
    }
    if (owed.empty()) return true;
    if (in_group && !end->again && !at_once) {
      const Wait waits = wait(notice, true, std::string(kOverMemo) + std::string(word_of(*end)));
      if (waits != Wait::No) return waits == Wait::Aside;
    }
    for (auto& [name, told] : owed) tell_over(notice, *end, name, std::move(told));
    return true;
  }

  void tell_over(const Notice& notice, const End& end, std::string_view name, Told told) {
    const auto target = std::find_if(targets_.begin(), targets_.end(),
                                     [&](const auto& one) { return one.name() == name; });
    const bool known = target != targets_.end();
    if (known && target->skip_short && told.untouched)
      return alone(notice, end, std::string(name), std::move(told.deliveries));
    const bool chat = known && target->channel.type == ChannelType::Slack;
    add(std::string(name), notice, true, chat).sites.push_back(site_of(notice, end));
  }

  Together& add(std::string target, const Notice& notice, bool over, bool chat) {
    const auto same = [&](const Together& t) {
      return t.target == target && t.over == over && t.kind == notice.kind && t.step == notice.step;
    };
    const auto found = std::find_if(together_.begin(), together_.end(), same);
    if (found != together_.end()) return *found;
    routing_.digests.emplace_back(group_of(notice.kind, notice.step), over);
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

  void alone(const Notice& notice, const End& end, std::string target,
             std::vector<DeliveryId> instead_of) {
    const Together one{
        .target = std::move(target), .over = true, .kind = notice.kind, .step = notice.step};
    MessageSite site = site_of(notice, end);
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
