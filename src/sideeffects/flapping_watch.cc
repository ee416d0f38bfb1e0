// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/flapping_watch.h"

#include <algorithm>
#include <set>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

constexpr core::Duration kAfterFailure = 15s;

bool is_wake_of_flapping(const Notice& notice) {
  return notice.wake && parse_flapping_memo(notice.memo).has_value();
}

// A change from up to down or back. Of an outage that nobody confirmed neither end is one.
bool is_change(const Notice& notice) {
  if (notice.wake) return false;
  const core::SiteState before = notice.transition.before;
  const core::SiteState after = notice.transition.after;
  return before != after && (before == core::SiteState::Down || after == core::SiteState::Down);
}

bool would_be_told(const NotifyTarget& target, const Notice& notice) {
  const auto has = [&](const std::string& tag) {
    return std::find(notice.tags.begin(), notice.tags.end(), tag) != notice.tags.end();
  };
  const bool wants =
      (target.wants(core::SiteState::Down) && Severity::Critical >= target.severity) ||
      (target.wants(core::SiteState::SeemsDown) && Severity::Warning >= target.severity);
  return wants && (target.tags.empty() || std::any_of(target.tags.begin(), target.tags.end(), has));
}

// Who has it, or will have it, that it flaps, and not that this is over.
std::vector<std::string> told_so(const Notice& notice) {
  std::vector<std::string> names;
  for (const Telling& telling : notice.tellings) {
    if (telling.state == Telling::State::Dead || telling.state == Telling::State::Cancelled)
      continue;
    const auto known = std::find(names.begin(), names.end(), telling.target);
    if (telling.kind == to_string(MessageKind::Flapping) && known == names.end())
      names.push_back(telling.target);
    if (telling.kind == to_string(MessageKind::FlappingOver) && known != names.end())
      names.erase(known);
  }
  return names;
}

struct Said {
  MessageKind kind = MessageKind::Flapping;
  core::WallTime since = core::kNoWallTime;
  core::WallTime now = core::kNoWallTime;
  core::SiteState state = core::SiteState::Unknown;
};

std::string note_of(const Said& said) {
  if (said.kind == MessageKind::Flapping)
    return "Its state changes so often that new outages are not told one by one until it is "
           "steady.";
  switch (said.state) {
    case core::SiteState::Down:
      return "It is steady again: it is down.";
    case core::SiteState::Up:
      return "It is steady again: it is up.";
    case core::SiteState::SeemsDown:
      return "Its state does not change so often any more; at this moment it seems down.";
    case core::SiteState::Paused:
      return "It is not watched any more: it is paused.";
    case core::SiteState::Unknown:
    case core::SiteState::Maintenance:
      break;
  }
  return "Its state does not change so often any more; how it is now is not known.";
}

// Of no transition: what made the state that it is in.
core::TransitionReason reason_of(const Notice& notice, core::SiteState state) {
  switch (state) {
    case core::SiteState::Down:
      return core::TransitionReason::Confirmed;
    case core::SiteState::Up:
      return core::TransitionReason::Recovered;
    case core::SiteState::SeemsDown:
      return core::TransitionReason::Opened;
    case core::SiteState::Paused:
      return core::TransitionReason::Operator;
    case core::SiteState::Unknown:
    case core::SiteState::Maintenance:
      break;
  }
  return notice.url.empty() ? core::TransitionReason::SiteRemoved
                            : core::TransitionReason::SeverityChanged;
}

NewDelivery delivery_of(const std::string& target, const Notice& notice, const Said& said) {
  const bool over = said.kind == MessageKind::FlappingOver;
  Message message{.id = message_id({target, std::string(to_string(said.kind)),
                                    std::to_string(notice.site.value),
                                    std::to_string(core::to_unix_ms(said.since))}),
                  .kind = said.kind,
                  .severity = Severity::Warning,
                  .target = target,
                  .made_at = said.now,
                  .sites = {},
                  .group = 0,
                  .group_started_at = core::kNoWallTime,
                  .part = 0,
                  .note = note_of(said),
                  .links = {}};
  // A condition of its own: it began when the last change that it took was seen, not with the outage.
  message.sites.push_back(
      {.site = notice.site,
       .name = notice.name,
       .url = public_url(notice.url),
       .tags = notice.tags,
       .event = notice.event.value >= kAwayIdFirst ? core::EventId{} : notice.event,
       .transition = 0,
       .reason = reason_of(notice, said.state),
       .before = said.state,
       .after = said.state,
       .started_at = said.since,
       .confirmed_at = core::kNoWallTime,
       .ended_at = over ? said.now : core::kNoWallTime,
       .at = over ? said.now : said.since,
       .failures = notice.failures,
       .evidence = notice.evidence,
       .witnesses = {}});
  NewDelivery delivery{.target = target,
                       .kind = std::string(to_string(said.kind)),
                       .message_id = message.id,
                       .line = notice.site.value,
                       .site = notice.site,
                       .body = encode_message(message),
                       .events = {notice.event},
                       .delay = {},
                       .instead_of = {}};
  return delivery;
}

}  // namespace

core::Result<void> FlappingWatch::ready() {
  if (read_at_ != core::kNoSteadyTime || clock_.steady() < not_before_) return {};
  const auto read = read_sites();
  if (read || read.error().kind != core::ErrorKind::Unknown) return {};
  not_before_ = core::SteadyTime::min();  // Asked again as soon as the router is.
  return read;
}

void FlappingWatch::look(std::span<const Notice> notices, const Holds& otherwise) {
  verdicts_.clear();
  if (notices.empty()) return;
  const core::SteadyTime now = clock_.steady();
  if (now < not_before_) return;
  if ((must_read_ || now >= read_at_ + kReadEach) && !read_sites()) return;

  std::map<core::SiteId, const Notice*> asked;
  const std::vector<core::SiteId> ids = to_ask(notices, asked);
  if (ids.empty()) return;
  const auto histories = store_.changes(ids, interval(), clock_.wall());
  if (!histories) return failed(histories.error());
  for (const SiteChanges& history : *histories) {
    const auto found = asked.find(history.site);
    if (found != asked.end()) judge(*found->second, history, otherwise);
  }
  const auto begins = [](const auto& entry) { return entry.second.kind == Verdict::Kind::Begins; };
  if (std::none_of(verdicts_.begin(), verdicts_.end(), begins) || read_at_ == now) return;
  // It may have begun where the site was before: nobody is told so twice.
  const bool sure = read_sites().has_value();
  std::erase_if(verdicts_, [&](const auto& entry) {
    return begins(entry) && (!sure || sites_.contains(entry.second.site));
  });
}

// At most one notice of each site.
std::vector<core::SiteId> FlappingWatch::to_ask(std::span<const Notice> notices,
                                                std::map<core::SiteId, const Notice*>& asked) {
  std::vector<core::SiteId> ids;
  for (const Notice& notice : notices) {
    if (!notice.event_known || !notice.problem.empty()) continue;
    const bool wake = is_wake_of_flapping(notice);
    if (wake) sites_.try_emplace(notice.site);
    const auto known = sites_.find(notice.site);
    const bool flaps = known != sites_.end();
    const bool unread = flaps && known->second.look <= core::Duration{};
    if (!wake && !unread && (flaps || !is_change(notice))) continue;
    if (asked.emplace(notice.site, &notice).second) ids.push_back(notice.site);
  }
  return ids;
}

core::Duration FlappingWatch::look_of(const SiteChanges& history) const {
  return history.interval > core::Duration{} ? history.interval : interval();
}

core::Result<void> FlappingWatch::read_sites() {
  const auto all = store_.flapping();
  if (!all) {
    failed(all.error());
    return all.error();
  }
  std::map<core::SiteId, Site> sites;
  for (const FlappingSite& site : *all) {
    const auto known = sites_.find(site.site);
    sites[site.site] = known == sites_.end() ? Site{} : known->second;
  }
  sites_ = std::move(sites);
  stats_.sites.set(static_cast<double>(sites_.size()));
  failing_ = false;
  must_read_ = false;
  read_at_ = clock_.steady();
  return {};
}

void FlappingWatch::judge(const Notice& notice, const SiteChanges& history,
                          const Holds& otherwise) {
  const core::WallTime now = clock_.wall();
  const bool did = is_wake_of_flapping(notice);
  const core::Duration look = look_of(history);
  Verdict verdict{.kind = Verdict::Kind::GoesOn,
                  .site = notice.site,
                  .since = did ? *parse_flapping_memo(notice.memo) : notice.transition.at,
                  .until = core::steady_at(history.changes, now, look, settings_.policy),
                  .look = look,
                  .state = history.state};
  if (did) {
    const bool does =
        core::flaps(core::flap_share(history.changes, now, look), did, settings_.policy);
    const bool watched = history.state != core::SiteState::Paused;
    if (!does || !watched) verdict.kind = Verdict::Kind::Ends;
  } else if (const auto known = sites_.find(notice.site); known != sites_.end()) {
    known->second = {.until = verdict.until, .look = look};
    return;
  } else {
    const core::SiteState after = notice.transition.after;
    const bool down = after == core::SiteState::Down;
    if (notice.group != 0 || (!down && after != core::SiteState::Up)) return;
    // Of this one nobody has been told yet.
    std::vector<core::WallTime> told = history.told;
    if (down) told.push_back(notice.transition.at);
    const bool does = core::flaps(core::flap_share(told, now, look), did, settings_.policy);
    if (!does || otherwise(notice)) return;
    verdict.kind = Verdict::Kind::Begins;
    // What a change says is surer than what was read before or after it.
    verdict.state = after;
  }
  verdicts_[notice.id] = verdict;
}

std::optional<Hold> FlappingWatch::hold(const Notice& notice) const {
  const auto verdict = verdicts_.find(notice.id);
  const bool begins = verdict != verdicts_.end() && verdict->second.kind == Verdict::Kind::Begins;
  const auto known = sites_.find(notice.site);
  if (!begins && known == sites_.end()) return std::nullopt;
  const core::WallTime now = clock_.wall();
  core::WallTime until = begins ? verdict->second.until : known->second.until;
  core::Duration look = begins ? verdict->second.look : known->second.look;
  if (look <= core::Duration{}) look = interval();
  const bool confirmed = notice.confirmed_at != core::kNoWallTime;
  const core::WallTime since = confirmed ? notice.confirmed_at : notice.started_at;
  if (notice.state != core::SiteState::Up && since != core::kNoWallTime) {
    const core::WallTime lasts = since + kSteadyLooks * look;
    if (lasts <= now) return std::nullopt;
    until = std::min(until, lasts);
  }
  return Hold{.reason = HoldReason::Flapping,
              .look_again = std::clamp<core::Duration>(until - now, kLookAgainMin, kLookAgainMax),
              .until = until};
}

void FlappingWatch::add(std::span<const Notice> notices, const NotifyTargets& targets,
                        Routing& routing) const {
  const std::set<NoticeId> settled(routing.settled.begin(), routing.settled.end());
  const core::WallTime now = clock_.wall();
  for (const Notice& notice : notices) {
    const bool wake = is_wake_of_flapping(notice);
    if (!settled.contains(notice.id) || !notice.event_known || !notice.problem.empty()) continue;
    const auto found = verdicts_.find(notice.id);
    if (found == verdicts_.end()) {
      if (wake)
        routing.wakes.push_back({.site = notice.site,
                                 .event = notice.event,
                                 .delay = kLookAgainMax,
                                 .memo = notice.memo});
      continue;
    }
    const Verdict& verdict = found->second;
    Said said{
        .kind = MessageKind::Flapping, .since = verdict.since, .now = now, .state = verdict.state};
    if (verdict.kind == Verdict::Kind::Ends) {
      said.kind = MessageKind::FlappingOver;
      for (const std::string& target : told_so(notice))
        routing.deliveries.push_back(delivery_of(target, notice, said));
      continue;
    }
    if (verdict.kind == Verdict::Kind::Begins) {
      for (const NotifyTarget& target : targets) {
        if (would_be_told(target, notice))
          routing.deliveries.push_back(delivery_of(target.name(), notice, said));
      }
    }
    routing.wakes.push_back(
        {.site = notice.site,
         .event = notice.event,
         .delay = std::max<core::Duration>(verdict.until - now, std::chrono::milliseconds{1}),
         .memo = flapping_memo(verdict.since)});
  }
}

void FlappingWatch::settled(std::span<const NoticeId> notices) {
  for (const NoticeId notice : notices) {
    const auto found = verdicts_.find(notice);
    if (found == verdicts_.end()) continue;
    const Verdict& verdict = found->second;
    if (verdict.kind == Verdict::Kind::Ends) {
      sites_.erase(verdict.site);
      stats_.ended.add();
    } else {
      if (verdict.kind == Verdict::Kind::Begins) stats_.begun.add();
      sites_[verdict.site] = {.until = verdict.until, .look = verdict.look};
    }
    verdicts_.erase(found);
  }
  stats_.sites.set(static_cast<double>(sites_.size()));
}

void FlappingWatch::failed(const core::Error& error) {
  if (!failing_) settings_.warn("flapping_unread why=\"" + error.message + "\"");
  stats_.unread.add();
  failing_ = true;
  must_read_ = true;
  not_before_ = clock_.steady() + kAfterFailure;
}

}  // namespace watchwheel::sideeffects
