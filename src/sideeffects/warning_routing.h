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
// What one batch has to say to a target of the same warning at the same step is one message that names the sites: a certificate of
// many sites expires for all of them.
//
// A hold (maintenance) keeps beginnings and steps back, with a wake; never an end.
#pragma once

#include <span>

#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

// Adds to `routing` what comes of those of `notices` that are about warnings; passes over the others. They are known and readable.
void route_warnings(std::span<const Notice* const> notices, const NotifyTargets& targets,
                    const RouteContext& context, Routing& routing);

}  // namespace watchwheel::sideeffects
