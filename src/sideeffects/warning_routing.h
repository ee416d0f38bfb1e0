// SPDX-License-Identifier: Apache-2.0
// sideeffects/warning_routing.h - who is told what of warnings (warning_api.h). Pure: decides only. The counterpart of routing.h.
//
//   the notice says            told before, not over    earned
//   it began, or a step        -                        told, when the target wants warnings, and its tags and severity let this one
//                                                       through. Of a step that is not the newest any more nothing: the newest is
//   it is over                 yes                      told so, whatever tags, severity and states say by now, and whether or not the
//                                                       target is configured
//   it is over                 no                       nothing
//
// A certificate of many sites expires for all of them, but each is looked at in its own moment of a projection interval. So what is to
// be told of one warning at one step is gathered as the sites of a mass outage are (RouteContext::digest_wait, under a number of its
// own): first for moments, then, while there is more, for minutes. One message names them; their end likewise where they were told so.
//
// A hold (maintenance) keeps beginnings and steps back, with a wake; never an end.
#pragma once

#include <cstdint>
#include <span>

#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

// What digest_wait is asked of warnings has the highest bit, which no mass outage's number has.
inline constexpr std::uint64_t kWarningsGroup = std::uint64_t{1} << 63U;

// Adds to `routing` what comes of those of `notices` that are about warnings; passes over the others. They are known and readable.
void route_warnings(std::span<const Notice* const> notices, const NotifyTargets& targets,
                    const RouteContext& context, Routing& routing);

}  // namespace watchwheel::sideeffects
