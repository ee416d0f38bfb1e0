// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/routing.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <list>
#include <memory>
#include <utility>

#include "sideeffects/flapping_api.h"
#include "sideeffects/warning_routing.h"

namespace watchwheel::sideeffects {
namespace {

// Words of NewDelivery::kind. A message about a mass outage says so: its sites share a line and cannot be taken back one by one.
constexpr std::string_view kGroupSuffix = "_group";
constexpr std::string_view kRemindMemo = "remind:";
constexpr std::string_view kDigestMemo = "digest";
// There for the state of a site whose event a person closed: nobody knows how it is.
constexpr std::string_view kClosedWord = "closed";
// No site's id has the highest bit.
constexpr std::uint64_t kGroupLine = std::uint64_t{1} << 63U;
// A chat message of more sites than this would be cut, and what no message names nobody hears of: a site is four lines in our words,
// 150 to 250 bytes, and a chat shows some 32 KiB.
constexpr std::size_t kChatSitesMax = 100;
// Of a message as it is stored: half of what a body may have, for texts grow when they are written as JSON.
constexpr std::size_t kBodyBytesWanted = kDeliveryBodyMax / 2;

std::string kind_word(MessageKind kind, bool group) {
  return std::string(to_string(kind)) + std::string(group ? kGroupSuffix : "");
}

bool is_outage(core::SiteState state) {
  return state == core::SiteState::SeemsDown || state == core::SiteState::Down;
}

// What a target knows of an event.
struct Known {
  bool open = false;      // It was told that it began, and not that it is over.
  bool down = false;      // It was told that it is down, not only that it seems so.
  bool group = false;     // The newest of it stood in a message about a mass outage.
  bool waiting = false;   // The newest of it is not sent yet.
  bool untouched = true;  // All of it waits, was never tried, and concerns this event alone.
  std::vector<DeliveryId> deliveries;
};

// The target for which a dead letter of the notice's event was requeued; "": that is not what it is about.
std::string_view requeued_for(const Notice& notice) {
  const std::string_view memo = notice.memo;
  if (!notice.wake || !memo.starts_with(kRequeuedMemo)) return {};
  const std::size_t colon = memo.find(':', kRequeuedMemo.size());
  return colon == std::string_view::npos ? std::string_view() : memo.substr(colon + 1);
}

bool wants_beginning(const NotifyTarget& target, const Notice& notice, MessageKind kind);

// What a target was told, as far as it can be told from the event and today's settings.
Known presumed_of(const NotifyTarget& target, const Notice& notice) {
  Known known;
  known.untouched = false;
  if (notice.wake) return known;
  const bool was_down = notice.transition.before == core::SiteState::Down;
  known.down = was_down && wants_beginning(target, notice, MessageKind::Down);
  known.open = known.down || (is_outage(notice.transition.before) &&
                              wants_beginning(target, notice, MessageKind::SeemsDown));
  return known;
}

Known known_to(const NotifyTarget& target, const Notice& notice) {
  const bool again = requeued_for(notice) == target.name();
  Known known;
  if (notice.presumed && std::none_of(notice.tellings.begin(), notice.tellings.end(),
                                      [&](const Telling& t) { return t.target == target.name(); }))
    return presumed_of(target, notice);
  for (const Telling& telling : notice.tellings) {
    if (telling.target != target.name() || telling.state == Telling::State::Cancelled) continue;
    std::string_view word = telling.kind;
    const bool group = word.ends_with(kGroupSuffix);
    if (group) word.remove_suffix(kGroupSuffix.size());
    const std::optional<MessageKind> kind = parse_message_kind(word);
    if (!kind || is_of_flapping(*kind)) continue;
    if (ends(*kind)) {  // Given up or not: it is not said again, but behind a beginning that is.
      if (again && telling.state == Telling::State::Dead) continue;
      known = {};
      continue;
    }
    if (telling.state == Telling::State::Dead) continue;
    const bool waits = telling.state == Telling::State::Queued;
    known.open = true;
    known.down = known.down || *kind != MessageKind::SeemsDown;
    known.group = group;
    known.waiting = waits;
    known.untouched = known.untouched && waits && !telling.attempted && !group;
    known.deliveries.push_back(telling.delivery);
  }
  return known;
}

Severity severity_of(MessageKind kind) {
  switch (kind) {
    case MessageKind::Down:
    case MessageKind::Reminder:
    case MessageKind::Up:
      return Severity::Critical;
    case MessageKind::SeemsDown:
    case MessageKind::Warning:
    case MessageKind::WarningOver:
    case MessageKind::Flapping:
    case MessageKind::FlappingOver:
      return Severity::Warning;
    case MessageKind::Test:
      return Severity::Info;
  }
  return Severity::Info;
}

bool tagged_for(const NotifyTarget& target, const Notice& notice) {
  if (target.tags.empty()) return true;
  return std::any_of(target.tags.begin(), target.tags.end(), [&](const std::string& tag) {
    return std::find(notice.tags.begin(), notice.tags.end(), tag) != notice.tags.end();
  });
}

bool wants_beginning(const NotifyTarget& target, const Notice& notice, MessageKind kind) {
  const core::SiteState state =
      kind == MessageKind::SeemsDown ? core::SiteState::SeemsDown : core::SiteState::Down;
  return target.wants(state) && severity_of(kind) >= target.severity && tagged_for(target, notice);
}

// The state that the notice is about. Of a transition it is what that changed it to, though the event may have gone on: each change
// is told. Of a wake it is how the event stands. Up: it is over, also when nobody saw the site up (it is paused, or was removed).
core::SiteState told_state(const Notice& notice) {
  if (notice.wake) return notice.state;
  const core::SiteState after = notice.transition.after;
  return !is_outage(after) && notice.state == core::SiteState::Up ? core::SiteState::Up : after;
}

// A person acknowledged it or said something: nothing has changed that anybody is to be told.
bool says_only(const Notice& notice) {
  return !notice.wake && notice.transition.by && notice.transition.by->act != Act::Close;
}

// What the site is after its event, in a word that a wake can keep. "": none was kept.
std::string_view after_word(const Notice& notice) {
  if (!notice.wake) {
    const bool closed = notice.transition.by && notice.transition.by->act == Act::Close;
    return closed ? kClosedWord : core::to_string(notice.transition.after);
  }
  std::string_view memo = notice.memo;
  if (memo.starts_with(kDigestEndMemo)) return memo.substr(kDigestEndMemo.size());
  if (!memo.starts_with(kRequeuedMemo)) return {};
  memo.remove_prefix(kRequeuedMemo.size());
  return memo.substr(0, memo.find(':'));
}

// Up only if somebody saw it up.
core::SiteState state_after(const Notice& notice) {
  if (!notice.wake) return notice.transition.after;
  const std::string_view word = after_word(notice);
  if (word.empty()) return core::SiteState::Up;
  return core::parse_site_state(word).value_or(core::SiteState::Unknown);
}

core::TransitionReason closing_reason(const Notice& notice, core::SiteState after) {
  if (after == core::SiteState::Paused) return core::TransitionReason::Operator;
  if (after == core::SiteState::Unknown)
    return after_word(notice) == kClosedWord ? core::TransitionReason::Operator
                                             : core::TransitionReason::SiteRemoved;
  return notice.confirmed_at == core::kNoWallTime ? core::TransitionReason::FalseAlarm
                                                  : core::TransitionReason::Recovered;
}

// What is told of an outage that was confirmed: how that was decided.
bool tells_testimony(const Notice& notice, MessageKind kind) {
  return notice.confirmed_at != core::kNoWallTime && kind != MessageKind::SeemsDown;
}

// The verifiers that saw it so. Our own word, the first, is not among them.
std::vector<std::string> verifiers_that(const core::Testimony& testimony, core::Saw saw) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i < testimony.witnesses.size(); ++i) {
    if (testimony.witnesses[i].saw == saw) names.push_back(testimony.witnesses[i].vantage);
  }
  return names;
}

// What a reader must know of how one site was called down; "": nothing. Of what is over nothing more.
std::string note_of(const Notice& notice, MessageKind kind) {
  if (!tells_testimony(notice, kind) || ends(kind)) return {};
  switch (notice.testimony.basis) {
    case core::Basis::Outlasted: {
      std::string names;
      for (const std::string& name : verifiers_that(notice.testimony, core::Saw::Up))
        names += (names.empty() ? "" : ", ") + name;
      return "Seen up by " + names + "; called down because it went on failing here.";
    }
    case core::Basis::Unanswered:
    case core::Basis::Unasked:
      return "Confirmed from here only: no other vantage could tell in time.";
    case core::Basis::None:
    case core::Basis::LocalOnly:
    case core::Basis::Quorum:
    case core::Basis::Disagreement:
    case core::Basis::Bound:
      break;
  }
  return {};
}

// Of a message about a mass outage not all that there is to say of its sites has room.
constexpr std::size_t kNoteBytesMax = 1000;

void append_sentence(std::string& note, const std::string& sentence) {
  if (sentence.empty() || note.size() + sentence.size() > kNoteBytesMax) return;
  note += (note.empty() ? "" : " ") + sentence;
}

MessageSite site_of(const Notice& notice, MessageKind kind) {
  MessageSite site{.site = notice.site,
                   .name = notice.name,
                   .url = public_url(notice.url),
                   .tags = notice.tags,
                   .event = notice.event,
                   .transition = 0,
                   .reason = core::TransitionReason::Confirmed,
                   .before = core::SiteState::SeemsDown,
                   .after = core::SiteState::Down,
                   .started_at = notice.started_at,
                   .confirmed_at = notice.confirmed_at,
                   .ended_at = core::kNoWallTime,
                   .at = notice.confirmed_at,
                   .failures = notice.failures,
                   .evidence = notice.evidence,
                   .witnesses = {}};
  if (tells_testimony(notice, kind))
    site.witnesses = verifiers_that(notice.testimony, core::Saw::Down);
  if (kind == MessageKind::SeemsDown) {
    site.reason = core::TransitionReason::Opened;
    site.before = core::SiteState::Up;
    site.after = core::SiteState::SeemsDown;
    site.confirmed_at = core::kNoWallTime;
    site.at = notice.started_at;
  }
  if (ends(kind)) {
    site.after = state_after(notice);
    site.reason = closing_reason(notice, site.after);
    site.before = notice.confirmed_at == core::kNoWallTime ? core::SiteState::SeemsDown
                                                           : core::SiteState::Down;
    site.ended_at = notice.ended_at;
    site.at = notice.ended_at;
  }
  const bool its_own = !notice.wake && notice.transition.after == site.after;
  if (!its_own) return site;
  site.transition = notice.transition.seq;
  site.reason = notice.transition.reason;
  site.before = notice.transition.before;
  site.at = notice.transition.at;
  site.failures = notice.transition.failures;
  if (!ends(kind)) site.evidence = notice.transition.evidence;
  return site;
}

std::size_t bytes_of(const MessageSite& site) {
  std::size_t bytes = 500 + site.name.size() + site.url.size() + site.evidence.detail.size() +
                      site.evidence.address.size();
  for (const std::string& tag : site.tags) bytes += tag.size() + 3;
  for (const std::string& witness : site.witnesses) bytes += witness.size() + 3;
  return bytes;
}

std::string text_of(std::uint64_t number) {
  return std::to_string(number);
}

class Decider {
 public:
  Decider(const NotifyTargets& targets, const RouteContext& context)
      : targets_(targets), context_(context) {}
  ~Decider();
  Decider(const Decider&) = delete;
  Decider& operator=(const Decider&) = delete;

  void one(const Notice& notice) {
    const bool nobody = targets_.empty() && notice.tellings.empty();
    if (!notice.event_known || !notice.problem.empty() || nobody) return settle(notice);
    if (notice.wake && notice.memo.starts_with(kRemindMemo)) return remind(notice);
    if (notice.wake && notice.memo.starts_with(kFlappingMemo)) return settle(notice);
    if (says_only(notice)) return settle(notice);
    const core::SiteState state = told_state(notice);
    if (state == core::SiteState::Down) return began(notice, MessageKind::Down);
    if (state == core::SiteState::SeemsDown) return began(notice, MessageKind::SeemsDown);
    if (state == core::SiteState::Up) return over(notice);
    settle(notice);  // A change of another kind: nobody asked for it.
  }

  Routing finish();

 private:
  // Messages about a mass outage that become one.
  struct Together {
    const NotifyTarget* target = nullptr;
    MessageKind kind = MessageKind::Down;
    std::uint64_t group = 0;
    core::WallTime started_at = core::kNoWallTime;
    std::vector<MessageSite> sites;
    core::WallTime due_at = core::kNoWallTime;  // Of reminders.
    std::string note{};
  };

  void settle(const Notice& notice) { routing_.settled.push_back(notice.id); }
  void count(const Hold& hold) { ++routing_.held.at(static_cast<std::size_t>(hold.reason)); }

  void wake(const Notice& notice, core::Duration delay, std::string memo) {
    routing_.wakes.push_back(
        {.site = notice.site, .event = notice.event, .delay = delay, .memo = std::move(memo)});
  }

  // True: it is to wait for further sites of its mass outage, and was seen to.
  bool waits_for_others(const Notice& notice, bool ends_it) {
    if (notice.group == 0) return false;
    const core::Duration wait = context_.digest_wait(notice.group, ends_it);
    if (wait <= core::Duration{}) return false;
    // One that has waited stays where it is until all that waited with it are due, which takes moments.
    if (notice.wake && notice.memo.starts_with(kDigestMemo)) return wait <= kDigestSlack;
    wake(notice, std::max<core::Duration>(wait - kDigestSlack, std::chrono::milliseconds{1}),
         ends_it ? std::string(kDigestEndMemo) + std::string(after_word(notice))
                 : std::string(kDigestMemo));
    settle(notice);
    return true;
  }

  void began(const Notice& notice, MessageKind kind) {
    std::vector<const NotifyTarget*> owed;
    for (const NotifyTarget& target : targets_) {
      const Known known = known_to(target, notice);
      const bool news = kind == MessageKind::Down ? !known.down : !known.open;
      if (news && !already_over(target, notice) && !given_up(target, notice, kind) &&
          wants_beginning(target, notice, kind))
        owed.push_back(&target);
    }
    if (owed.empty()) return settle(notice);
    if (const std::optional<Hold> hold = context_.hold(notice)) {
      // It is not known whether anything holds it, and what is held is dropped when it is over: it stays what it is.
      const bool may_not_be = !notice.wake || notice.memo == kDigestMemo;
      if (may_not_be && hold->reason == HoldReason::ParentsUnread) return;
      count(*hold);
      // When it is over already, what waits would only be dropped.
      if (notice.state != core::SiteState::Up)
        wake(notice, hold->look_again, hold_memo(*hold, held_since(notice, context_.now)));
      return settle(notice);
    }
    if (notice.state != core::SiteState::Up && waits_for_others(notice, false)) return;
    settle(notice);
    end_former(notice);
    for (const NotifyTarget* target : owed) tell(*target, notice, kind, notice.group != 0, {});
  }

  // The last thing that is heard of a site must be how it is: the end of an earlier event waits for others no longer.
  void end_former(const Notice& notice);

  // Its end was told before this notice came up: it waited for its digest longer than the event lasted.
  [[nodiscard]] static bool already_over(const NotifyTarget& target, const Notice& notice) {
    return std::any_of(notice.tellings.begin(), notice.tellings.end(), [&](const Telling& told) {
      return told.target == target.name() && told.kind.starts_with(to_string(MessageKind::Up));
    });
  }

  // It was told so and that is a dead letter, which a person may send again: the same message is not made twice. What a hold kept back
  // comes back once for each change that it kept, and the first that does tells all.
  [[nodiscard]] static bool given_up(const NotifyTarget& target, const Notice& notice,
                                     MessageKind kind) {
    const std::string word = kind_word(kind, notice.group != 0);
    return notice.wake &&
           std::any_of(notice.tellings.begin(), notice.tellings.end(), [&](const Telling& told) {
             return told.target == target.name() && told.kind == word &&
                    told.state == Telling::State::Dead;
           });
  }

  void over(const Notice& notice) {
    std::vector<std::pair<const NotifyTarget*, Known>> owed;
    bool in_digest = false;
    bool whole = false;
    const std::string_view only = requeued_for(notice);
    std::vector<const NotifyTarget*> heard = absent(notice);
    for (const NotifyTarget& target : targets_) heard.push_back(&target);
    for (const NotifyTarget* const one : heard) {
      const NotifyTarget& target = *one;
      if (!only.empty() && only != target.name()) continue;
      Known known = known_to(target, notice);
      if (!known.open && was_kept_for_digest(target, notice)) {
        tell(target, notice, MessageKind::Down, true, {});
        known = {.open = true,
                 .down = true,
                 .group = true,
                 .waiting = true,
                 .untouched = false,
                 .deliveries = {}};
        whole = true;
      }
      if (!known.open || !target.wants(core::SiteState::Up)) continue;
      in_digest = in_digest || known.group;
      owed.emplace_back(&target, std::move(known));
    }
    // Where one target waits for a digest all do: a notice is settled once.
    if (in_digest && !whole && only.empty() && waits_for_others(notice, true)) return;
    settle(notice);
    if (whole) end_former(notice);
    for (const auto& [target, known] : owed) {
      std::vector<DeliveryId> instead_of;
      if (target->skip_short && known.untouched) instead_of = known.deliveries;
      tell(*target, notice, MessageKind::Up, known.group, std::move(instead_of));
    }
  }

  // Who was told of the event and is not configured now. A mistake in the configuration that lasts a moment must not leave them
  // with an outage that never ends; of those that stay away the delivery worker gives it up.
  [[nodiscard]] std::vector<const NotifyTarget*> absent(const Notice& notice) {
    std::vector<const NotifyTarget*> found;
    for (const Telling& telling : notice.tellings) {
      const auto named = [&](const NotifyTarget& one) { return one.name() == telling.target; };
      if (std::any_of(targets_.begin(), targets_.end(), named)) continue;
      auto known = std::find_if(absent_.begin(), absent_.end(), named);
      if (known == absent_.end()) {
        known = absent_.emplace(absent_.end());
        known->channel.name = telling.target;
      }
      if (std::find(found.begin(), found.end(), &*known) == found.end()) found.push_back(&*known);
    }
    return found;
  }

  // It began in a mass outage and ended before its digest was made: the wait for it is there, or is what came up. What a hold kept
  // back waits for something else.
  [[nodiscard]] bool was_kept_for_digest(const NotifyTarget& target, const Notice& notice) {
    if (notice.group == 0 || notice.confirmed_at == core::kNoWallTime) return false;
    if (notice.memo != kDigestMemo) return false;
    if (already_over(target, notice) || !wants_beginning(target, notice, MessageKind::Down))
      return false;
    if (std::any_of(notice.tellings.begin(), notice.tellings.end(),
                    [&](const Telling& told) { return told.target == target.name(); }))
      return false;
    const std::optional<Hold> hold = context_.hold(notice);
    return !hold || hold->reason == HoldReason::ParentsUnread;
  }

  void remind(const Notice& notice) {
    settle(notice);
    const std::string_view name = std::string_view(notice.memo).substr(kRemindMemo.size());
    const auto target = std::find_if(targets_.begin(), targets_.end(),
                                     [&](const NotifyTarget& t) { return t.name() == name; });
    if (target == targets_.end() || target->remind <= core::Duration{}) return;
    if (notice.state != core::SiteState::Down) return;
    if (notice.acked) return;  // Somebody is on it, until it is over.
    const Known known = known_to(*target, notice);
    core::Duration again = target->remind;
    if (const std::optional<Hold> hold = context_.hold(notice)) {
      count(*hold);
      if (hold->reason == HoldReason::ParentsUnread) again = std::min(again, hold->look_again);
    } else if (!known.waiting) {
      tell(*target, notice, MessageKind::Reminder, known.group, {});
      return;  // With its next reminder.
    }
    wake(notice, again, notice.memo);
  }

  void tell(const NotifyTarget& target, const Notice& notice, MessageKind kind, bool group,
            std::vector<DeliveryId> instead_of) {
    MessageSite site = site_of(notice, kind);
    const std::string remark = ends(kind) ? std::string() : context_.remark(notice);
    if (target.remind > core::Duration{} && notice.state == core::SiteState::Down &&
        (kind == MessageKind::Down || kind == MessageKind::Reminder))
      wake(notice, target.remind, std::string(kRemindMemo) + target.name());
    if (!group) {
      Together alone{.target = &target,
                     .kind = kind,
                     .group = 0,
                     .started_at = core::kNoWallTime,
                     .sites = {std::move(site)},
                     .due_at = notice.wake ? notice.at : core::kNoWallTime,
                     .note = note_of(notice, kind)};
      append_sentence(alone.note, remark);
      return insert(alone, {.first = 0, .count = 1, .number = 0}, std::move(instead_of));
    }
    const auto same = [&](const Together& t) {
      return t.target == &target && t.kind == kind && t.group == notice.group;
    };
    auto found = std::find_if(together_.begin(), together_.end(), same);
    if (found == together_.end()) {
      routing_.digests.emplace_back(notice.group, ends(kind));
      found = together_.insert(together_.end(), {.target = &target,
                                                 .kind = kind,
                                                 .group = notice.group,
                                                 .started_at = notice.group_started_at,
                                                 .sites = {},
                                                 .due_at = notice.at});
    }
    const std::string shown = site.shown();
    found->sites.push_back(std::move(site));
    static const std::string kOutlasted =
        "Other vantages see some of them up; they went on failing here.";
    if (notice.testimony.basis == core::Basis::Outlasted && !note_of(notice, kind).empty() &&
        found->note.find(kOutlasted) == std::string::npos)
      append_sentence(found->note, kOutlasted);
    if (!remark.empty()) append_sentence(found->note, shown + ": " + remark);
  }

  // In as many messages as it takes.
  void deliver(Together& together) {
    const std::size_t most =
        together.target->channel.type == ChannelType::Slack ? kChatSitesMax : kMessageSitesMax;
    std::uint32_t part = 0;
    for (std::size_t first = 0; first < together.sites.size();) {
      std::size_t count = 0;
      std::size_t bytes = 0;
      while (first + count < together.sites.size() && count < most) {
        bytes += bytes_of(together.sites[first + count]);
        if (count > 0 && bytes > kBodyBytesWanted) break;
        ++count;
      }
      const bool only = first == 0 && count == together.sites.size();
      insert(together, {.first = first, .count = count, .number = only ? 0 : ++part}, {});
      first += count;
    }
  }

  // Which of the sites one message names.
  struct Part {
    std::size_t first = 0;
    std::size_t count = 0;
    std::uint32_t number = 0;  // Message::part.
  };

  void insert(Together& together, const Part& part, std::vector<DeliveryId> instead_of) {
    const NotifyTarget& target = *together.target;
    Message message{.id = {},
                    .kind = together.kind,
                    .severity = severity_of(together.kind),
                    .target = target.name(),
                    .made_at = context_.now,
                    .sites = {},
                    .group = together.group,
                    .group_started_at = together.started_at,
                    .part = part.number,
                    .note = together.note,
                    .links = {}};
    NewDelivery delivery{.target = target.name(),
                         .kind = kind_word(together.kind, together.group != 0),
                         .message_id = {},
                         .line = 0,
                         .site = {},
                         .body = {},
                         .events = {},
                         .delay = {},
                         .instead_of = std::move(instead_of)};
    std::vector<std::string> parts{target.name(), delivery.kind};
    if (together.kind == MessageKind::Reminder)
      parts.push_back(text_of(static_cast<std::uint64_t>(core::to_unix_ms(together.due_at))));
    for (std::size_t i = part.first; i < part.first + part.count; ++i) {
      MessageSite& site = together.sites[i];
      parts.push_back(text_of(site.site.value));
      // Not the event's id: while the store is away it has none, and the message is the same one.
      parts.push_back(text_of(static_cast<std::uint64_t>(core::to_unix_ms(site.started_at))));
      delivery.events.push_back(site.event);
      if (site.event.value >= kAwayIdFirst) site.event = {};
      message.sites.push_back(std::move(site));
    }
    // What is over was as bad as the worst of it.
    const auto only_seemed = [](const MessageSite& site) {
      return site.before == core::SiteState::SeemsDown;
    };
    if (ends(together.kind) && std::all_of(message.sites.begin(), message.sites.end(), only_seemed))
      message.severity = Severity::Warning;
    message.id = message_id(parts);
    delivery.message_id = message.id;
    if (part.count == 1) delivery.site = message.sites.front().site;
    delivery.line =
        together.group != 0 ? kGroupLine | together.group : message.sites.front().site.value;
    delivery.body = encode_message(message);
    routing_.deliveries.push_back(std::move(delivery));
  }

  const NotifyTargets& targets_;
  const RouteContext& context_;
  Routing routing_;
  std::vector<Together> together_;
  std::list<NotifyTarget> absent_;  // Of each only the name is known.
  struct Before;
  std::unique_ptr<Before> before_;  // What has to be told before all that is decided here.
};

struct Decider::Before {
  Before(const NotifyTargets& targets, RouteContext at_once)
      : context(std::move(at_once)), decider(targets, context) {}
  const RouteContext context;
  Decider decider;
};

Routing Decider::finish() {
  // Ids rise in this order, and by them the queue knows what is to be sent first.
  if (before_) {
    Routing before = before_->decider.finish();
    std::move(routing_.deliveries.begin(), routing_.deliveries.end(),
              std::back_inserter(before.deliveries));
    routing_.deliveries = std::move(before.deliveries);
    const auto add = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    add(routing_.settled, before.settled);
    add(routing_.wakes, before.wakes);
    add(routing_.digests, before.digests);
  }
  // Within a line the order of ids is the order of sending, and an event that is told whole stands in two of these.
  std::stable_sort(together_.begin(), together_.end(), [](const Together& a, const Together& b) {
    return !ends(a.kind) && ends(b.kind);
  });
  for (Together& together : together_) deliver(together);
  return std::move(routing_);
}

void Decider::end_former(const Notice& notice) {
  if (notice.former.empty()) return;
  if (!before_) {
    RouteContext at_once = context_;
    at_once.digest_wait = [](std::uint64_t, bool) { return core::Duration{}; };
    before_ = std::make_unique<Before>(targets_, std::move(at_once));
  }
  for (const Notice& former : notice.former) before_->decider.one(former);
}

Decider::~Decider() = default;

}  // namespace

Routing route(std::span<const Notice> notices, const NotifyTargets& targets,
              const RouteContext& context) {
  Decider decider(targets, context);
  std::vector<const Notice*> warnings;
  for (const Notice& notice : notices) {
    const bool readable = notice.event_known && notice.problem.empty();
    if (readable && notice.kind != core::EventKind::Outage) {
      warnings.push_back(&notice);
    } else {
      decider.one(notice);
    }
  }
  Routing routing = decider.finish();
  route_warnings(warnings, targets, context, routing);
  return routing;
}

core::WallTime held_since(const Notice& notice, core::WallTime now) {
  if (!notice.wake) return now;
  const std::optional<HeldBack> before = parse_hold_memo(notice.memo);
  return before && before->since != core::kNoWallTime ? before->since : now;
}

std::string public_url(std::string_view url) {
  const std::size_t cut = url.find_first_of("?#");
  std::string shown(url.substr(0, cut));
  const std::size_t scheme = shown.find("://");
  if (scheme == std::string::npos) return shown;
  const std::size_t host = scheme + 3;
  const std::size_t path = std::min(shown.find('/', host), shown.size());
  const std::size_t user = shown.rfind('@', path);
  if (user != std::string::npos && user >= host && user < path) shown.erase(host, user + 1 - host);
  return shown;
}

Message test_message(const std::string& target, core::WallTime now) {
  return {.id = message_id({"test", target, std::to_string(now.time_since_epoch().count())}),
          .kind = MessageKind::Test,
          .severity = Severity::Info,
          .target = target,
          .made_at = now,
          .sites = {},
          .group = 0,
          .group_started_at = core::kNoWallTime,
          .part = 0,
          .note = "Somebody tries whether this target can be told.",
          .links = {}};
}

}  // namespace watchwheel::sideeffects
