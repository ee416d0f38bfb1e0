// SPDX-License-Identifier: Apache-2.0
// checker/warm_up.h - does at once what the first check of a process would else do on its way.
//
// Thread   the lane's, up to 100 ms: before its first turn or before a check, never beside others.
//
// Reading the trust store takes some 60 ms, and OpenSSL's tables some more. Of a fleet's checks that is the first of thousands;
// of the one check that a person asked for it would be told as the site's handshake.
#pragma once

#include "checker/plan.h"
#include "core/clock.h"

namespace watchwheel::checker {

// What fails here fails again, and is told, in the check.
void warm_up(const ProbePlan& plan, const core::Clock& clock);

}  // namespace watchwheel::checker
