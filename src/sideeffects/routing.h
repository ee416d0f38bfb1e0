// SPDX-License-Identifier: Apache-2.0
// sideeffects/routing.h - who is told what of committed transitions. Pure: decides only.
//
// What an event's change and what a target was told of it before (its tellings) earn together:
//
//   the notice says                told before, not over   earned
//   seems down, or down            nothing of that         told, when the target's states, tags and severity let it through
//   over (recovered, false alarm,  yes                     told that it is over, whatever tags and severity say by now, and
//   paused, removed, closed)                               whether or not the target is configured at this moment
//   over                           no                      nothing: nobody is told the end of what they never heard of
//   a reminder is due, still down  -                       told again, unless the last telling still waits; acknowledged: no more
//   acknowledged, commented        -                       nothing
//
// Told means that the receiver has it or that it waits to be sent; what was given up (a dead letter) or taken back was not told.
//
// The sites of one mass outage are told together: the first notice of a group waits for `digest_first` so that the others can join
// it, later ones are gathered for `digest_later`; each message names only sites that none before it named. Their end likewise. An
// outage whose beginning still waits for its digest when it ends is told whole, both messages in order.
//
// What begins at a site is told behind the end of its events before, also where that waits for a digest (Notice::former): it is told
// then, at once.
//
// Of warnings see warning_routing.h.
//
// A hold (maintenance, a parent that is down, flapping) keeps what begins from being told until it is over; when the event is over
// first, nothing is told. It never keeps back an end.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/hold_api.h"
#include "sideeffects/message.h"
#include "sideeffects/notify_target.h"

namespace watchwheel::sideeffects {

using NotifyTargets = std::vector<NotifyTarget>;

// Those that wait for one digest fall due within this: nothing is made of them before.
inline constexpr core::Duration kDigestSlack = std::chrono::milliseconds{300};

// What else a decision needs.
struct RouteContext {
  core::WallTime now = core::kNoWallTime;
  // How long a message about this mass outage is to wait for further sites; 0: it can be made now. `ends`: about its end.
  std::function<core::Duration(std::uint64_t group, bool ends)> digest_wait =
      [](std::uint64_t, bool) { return core::Duration{}; };
  std::function<std::optional<Hold>(const Notice& notice)> hold = [](const Notice&) {
    return std::optional<Hold>{};
  };
  // What a message that says that it is down has to say besides, in a sentence. "": nothing.
  std::function<std::string(const Notice& notice)> remark = [](const Notice&) {
    return std::string{};
  };
};

// What to do with a batch of notices, all in one transaction.
struct Routing {
  std::vector<NoticeId> settled;
  std::vector<NewDelivery> deliveries;
  std::vector<NewWake> wakes;
  std::vector<std::pair<std::uint64_t, bool>>
      digests;             // (group, ends) of which a message was made.
  std::array<std::uint64_t, kHoldReasonCount> held{};  // Kept back, by why.
};

// `notices`: at most one of each site, as Outbox::take gives them. What is not in `settled` stays and is to be routed again.
[[nodiscard]] Routing route(std::span<const Notice> notices, const NotifyTargets& targets,
                            const RouteContext& context);

// Since when `notice` is held that is to be held now: what its wake says, else now.
[[nodiscard]] core::WallTime held_since(const Notice& notice, core::WallTime now);

// `url` as somebody else may see it: without user, query and fragment, where secrets are.
[[nodiscard]] std::string public_url(std::string_view url);

// The message of `watchwheel deliveries test`.
[[nodiscard]] Message test_message(const std::string& target, core::WallTime now);

}  // namespace watchwheel::sideeffects
